"""What breaks on cables: rows beside those of `gatectl.world.faults`, for worlds whose lanes are wired.

One fault at a time is on one cable; how bad it is, and for how long, the fault's own chance says.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gatectl.world.cables import Cable, Trouble
from gatectl.world.cables_lane import CabledLane
from gatectl.world.cables_mqtt import Broker, MqttEnd
from gatectl.world.devices import LaneDevices
from gatectl.world.faults import Faults, Mending

SECOND_MS: Final = 1_000
DAEMON: Final = "broker"
"""The name of the daemon's own link."""
FITTING: Final = (
    *("loop", "arm-opens", "arm-closes", "boom", "arm-by-key", "arm-answer", "printer", "print-job", "terminal"),
    *("device", "door", "hold", "lock", "hands", "office-word", "books", "fire", "power", "clock", "disk"),
)
"""The other faults that a wired lane can have. What is left out speaks for devices, which here speak for themselves."""


class Quick(Faults):
    """The other faults, in a world of minutes."""

    __slots__ = ()

    def minutes(self, least: float, most: float) -> int:
        return int(self.rng.uniform(min(least, 0.1), min(most, 1.5)) * 60 * SECOND_MS)


def _seconds(world: Faults, least: float, most: float) -> int:
    return int(world.rng.uniform(least, most) * SECOND_MS)


def _wired(lane: LaneDevices) -> CabledLane:
    assert isinstance(lane, CabledLane), "this fault needs a wired world"
    return lane


def _cable(world: Faults, lane: LaneDevices, kind: str = "") -> Cable | None:
    """A good cable of the lane, to be spoilt."""
    serial = _wired(lane).cables.serial
    good = [device for device in sorted(serial) if device.startswith(kind) and serial[device].trouble == Trouble()]
    return serial[world.rng.choice(good)] if good else None


def _bad(world: Faults, cable: Cable | None, trouble: Trouble, least: float = 1, most: float = 40) -> Mending:
    if cable is None:
        return
    cable.trouble = trouble
    yield _seconds(world, least, most)
    if cable.trouble is trouble:
        cable.mend()


def flips(world: Faults, lane: LaneDevices) -> Mending:
    yield from _bad(world, _cable(world, lane), Trouble(flip=world.rng.choice([0.02, 0.2, 0.7])))


def skews(world: Faults, lane: LaneDevices) -> Mending:
    """Always the same bit: a fault that two equal readings do not show."""
    yield from _bad(world, _cable(world, lane), Trouble(skew=world.rng.randint(1, 32)))


def loses(world: Faults, lane: LaneDevices) -> Mending:
    yield from _bad(world, _cable(world, lane), Trouble(lose=world.rng.choice([0.02, 0.2, 0.7])))


def inserts(world: Faults, lane: LaneDevices) -> Mending:
    yield from _bad(world, _cable(world, lane), Trouble(garbage=world.rng.choice([0.05, 0.4, 0.9])))


def doubles(world: Faults, lane: LaneDevices) -> Mending:
    yield from _bad(world, _cable(world, lane), Trouble(double=world.rng.choice([0.05, 0.4, 0.9])))


def cuts(world: Faults, lane: LaneDevices) -> Mending:
    yield from _bad(world, _cable(world, lane), Trouble(cut=world.rng.choice([0.05, 0.4, 0.9])))


def everything(world: Faults, lane: LaneDevices) -> Mending:
    """A cable beside a lift motor."""
    share = world.rng.choice([0.02, 0.1])
    yield from _bad(
        world, _cable(world, lane), Trouble(flip=share, lose=share, garbage=share, double=share, cut=share, late_ms=40)
    )


def echoes(world: Faults, lane: LaneDevices) -> Mending:
    """An RS-485 adapter that repeats what is sent."""
    yield from _bad(world, _cable(world, lane, "io"), Trouble(echo=True))


def deaf(world: Faults, lane: LaneDevices) -> Mending:
    yield from _bad(world, _cable(world, lane), Trouble(deaf=True))


def mute(world: Faults, lane: LaneDevices) -> Mending:
    yield from _bad(world, _cable(world, lane), Trouble(mute=True))


def silent(world: Faults, lane: LaneDevices) -> Mending:
    yield from _bad(world, _cable(world, lane), Trouble(deaf=True, mute=True), 0.1, 20)


def late(world: Faults, lane: LaneDevices) -> Mending:
    """Replies come in the window of the next request."""
    yield from _bad(world, _cable(world, lane), Trouble(late_ms=world.rng.choice([60, 250, 900])))


def wedged(world: Faults, lane: LaneDevices) -> Mending:
    yield from _bad(world, _cable(world, lane), Trouble(wedged=True), 0.2, 10)


def unplugged(world: Faults, lane: LaneDevices) -> Mending:
    cable = _cable(world, lane)
    if cable is not None:
        cable.unplug()
        yield _seconds(world, 0.05, 30)
        cable.mend()


def reboots(world: Faults, lane: LaneDevices) -> Mending:
    """A device starts anew in the middle of whatever it is doing."""
    wired = _wired(lane)
    wired.reboot(world.rng.choice(sorted(wired.roles())))
    yield 10 * SECOND_MS


def ambush(world: Faults, lane: LaneDevices) -> Mending:
    """Something breaks at the very moment at which an order goes out, for a blink or for some seconds."""
    wired, rng = _wired(lane), world.rng
    after_ms, for_ms = rng.choice([0, 3, 15, 60, 400]), rng.choice([5, 40, 200, 1_500, 6_000])
    what = rng.choice(AMBUSHES)

    def spring(role: str) -> None:
        device = wired.device_of[role]
        world.kernel.after(after_ms, lambda: _break(device))

    def _break(device: str) -> None:
        cable = wired.cables.serial.get(device)
        if cable is not None and cable.trouble == Trouble():
            trouble = Trouble(**what)
            cable.trouble = trouble
            if trouble.unplugged:
                cable.unplug()
            world.kernel.after(for_ms, lambda: cable.mend() if cable.trouble is trouble else None)
        elif cable is None:
            end = rng.choice([end for end in _broker(lane).ends if end.name in (DAEMON, device)])
            if "unplugged" in what:
                end.cut("connection lost")
            else:
                end.freeze()
                world.kernel.after(for_ms, end.thaw)

    wired.ambush = spring
    yield _seconds(world, 10, 60)
    wired.ambush = None
    yield 10 * SECOND_MS


AMBUSHES: Final[tuple[dict[str, Any], ...]] = (
    {"mute": True},
    {"deaf": True},
    {"flip": 1.0},
    {"cut": 1.0},
    {"double": 1.0},
    {"garbage": 1.0},
    {"late_ms": 400},
    {"wedged": True},
    {"unplugged": True},
)


# -- the broker ---------------------------------------------------------------------------------------------------------


def _broker(lane: LaneDevices) -> Broker:
    broker = _wired(lane).cables.broker
    assert broker is not None
    return broker


def _end(world: Faults, lane: LaneDevices) -> MqttEnd | None:
    """The daemon's link to the broker, or that of one of the lane's devices."""
    links = _wired(lane).cables.links
    ends = [end for end in _broker(lane).ends if end.name == DAEMON or end.name in links]
    return world.rng.choice(ends) if ends else None


def link_lost(world: Faults, lane: LaneDevices) -> Mending:
    end = _end(world, lane)
    if end is not None:
        end.weak.down = True
        end.cut("connection lost")
        yield _seconds(world, 0.1, 30)
        end.weak.down = False


def link_frozen(world: Faults, lane: LaneDevices) -> Mending:
    end = _end(world, lane)
    if end is not None:
        end.freeze()
        yield _seconds(world, 0.1, 25)
        end.thaw()


def link_slow(world: Faults, lane: LaneDevices) -> Mending:
    end = _end(world, lane)
    if end is not None:
        end.weak.slow_ms = world.rng.choice([200, 900, 2_500])
        yield _seconds(world, 1, 40)
        end.weak.slow_ms = 0


def link_doubles(world: Faults, lane: LaneDevices) -> Mending:
    end = _end(world, lane)
    if end is not None:
        end.weak.double = 0.5
        yield _seconds(world, 1, 40)
        end.weak.double = 0.0


def retained(world: Faults, lane: LaneDevices) -> Mending:
    """The broker has kept what devices said at some other time, and hands it to the daemon whenever it connects.

    Commands are not among it: one that is kept moves a relay at every reconnect, and that is why ours never are.
    """
    broker = _broker(lane)
    ours = next((end for end in broker.ends if end.name == DAEMON), None)
    said = {topic: payload for topic, payload in broker.last.items() if ours is not None and ours.asked_for(topic)}
    kept = {topic: payload for topic, payload in said.items() if topic not in broker.retained}
    for topic, payload in kept.items():
        broker.retained[topic] = payload.replace(b'"state":true', b'"state":false')
    for end in list(broker.ends):
        end.cut("the broker was started anew")
    yield _seconds(world, 5, 30)
    for topic in kept:
        broker.retained.pop(topic, None)


def rubbish(world: Faults, lane: LaneDevices) -> Mending:
    """A stranger publishes on the topics of devices and of ours."""
    broker = _broker(lane)
    for _ in range(world.rng.randint(5, 60)):
        topics = sorted(broker.last)
        if topics:
            broker.rubbish(world.rng.choice(topics))
        yield world.rng.randint(1, 1_500)


CABLE_FAULTS: Final[Mapping[str, Callable[[Faults, LaneDevices], Mending]]] = {
    "cable-flips": flips,
    "cable-skews": skews,
    "cable-loses": loses,
    "cable-inserts": inserts,
    "cable-doubles": doubles,
    "cable-cuts": cuts,
    "cable-everything": everything,
    "cable-echoes": echoes,
    "cable-deaf": deaf,
    "cable-mute": mute,
    "cable-silent": silent,
    "cable-late": late,
    "cable-wedged": wedged,
    "cable-unplugged": unplugged,
    "cable-reboots": reboots,
    "cable-ambush": ambush,
    "cable-link-lost": link_lost,
    "cable-link-frozen": link_frozen,
    "cable-link-slow": link_slow,
    "cable-link-doubles": link_doubles,
    "cable-retained": retained,
    "cable-rubbish": rubbish,
}
