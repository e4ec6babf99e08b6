"""Modbus I/O modules under simulated time: a line of simulated modules, every fault, no thread and no clock."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from drivers.api import DeviceSpec, Health, Input, Outcome, PortSpec, Pulse, Quality, Result, Show, Signal
from drivers.catalog import family as installed
from drivers.codecs.modbus_rtu import WriteCoil
from drivers.modbus_io import family, profiles
from drivers.modbus_line import LOST_AFTER_MISSES, PROBE_MS, ModbusLine
from drivers.sim.modbus_io import SimulatedLine, SimulatedModule

PORT = PortSpec("rs485", "serial", {"path": "/dev/ttyS9", "baud": 38400})
WAVESHARE = "waveshare-io-8ch"
ADAM = "advantech-adam-4055"
LOOPS = {
    "di0": {"polarity": "normally-closed", "clear_after_ms": 300},
    "di1": {"polarity": "normally-open", "clear_after_ms": 300},
    "di2": {"mode": "pulse", "shortest_ms": 150},
}


def device(name: str = "io", model: str = WAVESHARE, address: int = 1, **options: Any) -> DeviceSpec:
    return DeviceSpec(name, "modbus-io", model, "rs485", {"address": address, "inputs": LOOPS, **options})


ADAM_TIMED = {"host_timed_watchdog_ms": 1000, "outputs": {"do0": {}, "do1": {}}}


@dataclass
class World:
    """An engine and the line it speaks on, joined by a wire without delay; the time is ours."""

    devices: Sequence[DeviceSpec] = field(default_factory=lambda: [device()])
    now_ms: int = 1_000

    def __post_init__(self) -> None:
        assert [] == family.check(PORT, self.devices)
        self.engine: ModbusLine = family.engine(PORT, self.devices)
        self.line = SimulatedLine(
            [
                SimulatedModule(
                    profiles()[spec.model],
                    spec.options["address"],
                    watchdog_ms=spec.options.get("host_timed_watchdog_ms"),
                )
                for spec in self.devices
            ]
        )
        self.line.heard_max = 1_000_000
        self.signals: list[Signal] = []
        self.outputs: list[tuple[int, int, bool]] = []
        self._numbers = count(1)
        for module in self.line.modules.values():
            module.inputs[0] = True  # normally-closed: nothing is there
            module.on_output = lambda output, on, at_ms: self.outputs.append((at_ms, output, on))

    @property
    def module(self) -> SimulatedModule:
        return next(iter(self.line.modules.values()))

    def run(self, for_ms: int, noise: Mapping[int, bytes] | None = None) -> list[Signal]:
        """Let time pass in steps of a millisecond; returns what was signalled meanwhile."""
        before = len(self.signals)
        for _ in range(for_ms):
            self.now_ms += 1
            turn = self.engine.poll(self.now_ms)
            self.signals += turn.signals
            assert turn.wake_at_ms is None or turn.wake_at_ms >= self.now_ms
            if turn.write:
                self.line.received(turn.write, self.now_ms)
            heard, _ = self.line.poll(self.now_ms)
            heard = (noise or {}).get(self.now_ms, b"") + heard
            if heard:
                self.engine.received(heard, self.now_ms)
        return self.signals[before:]

    def start(self) -> "World":
        self.engine.opened(self.now_ms)
        self.run(1_000)
        return self

    def pulse(self, point: str = "do0", width_ms: int = 500, in_ms: int = 2_000, name: str = "io") -> str:
        order = f"order-{next(self._numbers)}"
        self.engine.order(name, Pulse(order, point, width_ms, self.now_ms + in_ms), self.now_ms)
        return order

    def outcomes(self, order: str) -> list[tuple[Result, str]]:
        return [(s.result, s.detail) for s in self.signals if isinstance(s, Outcome) and s.order == order]

    def result(self, order: str) -> Result:
        assert len(self.outcomes(order)) == 1, self.outcomes(order)
        return self.outcomes(order)[0][0]

    def writes(self) -> list[WriteCoil]:
        return [request for request in self.line.heard if isinstance(request, WriteCoil)]


def inputs(signals: Sequence[Signal], point: str = "di1") -> list[tuple[bool, Quality]]:
    return [(s.on, s.quality) for s in signals if isinstance(s, Input) and s.point == point]


# -- contacts ---------------------------------------------------------------------------------------------------------


def test_the_entry_point_names_this_family() -> None:
    """Built-ins come through the same door as everybody's."""
    assert installed("modbus-io") is family


def test_at_the_start_everything_is_read_and_told_once_and_nothing_moves() -> None:
    """The first thing said to a module is a question."""
    world = World().start()

    assert [Health("io", up=True)] == [s for s in world.signals if isinstance(s, Health)]
    for point in LOOPS:
        assert [(False, Quality.GOOD)] == inputs(world.signals, point)
    assert [] == world.writes()


@pytest.mark.parametrize("model", [WAVESHARE, ADAM])
def test_a_vehicle_is_seen_at_once_and_its_leaving_after_the_dwell(model: str) -> None:
    """Occupied after two samples; clear only after the dwell, so that a gap under a trailer is not the end of it."""
    world = World([device(model=model)]).start()
    world.module.inputs[1] = True
    came = world.run(60)
    world.module.inputs[1] = False
    gap = world.run(200)
    world.module.inputs[1] = True
    again = world.run(200)
    world.module.inputs[1] = False
    before = world.run(300)
    left = world.run(60)

    assert [(True, Quality.GOOD)] == inputs(came)
    assert [] == inputs(gap + again + before)
    assert [(False, Quality.GOOD)] == inputs(left)


def test_a_cut_wire_of_a_normally_closed_loop_reads_occupied() -> None:
    """The contact opens when a vehicle is there, when the detector fails, and when the wire breaks."""
    world = World().start()
    world.module.inputs[0] = False

    assert [(True, Quality.GOOD)] == inputs(world.run(60), "di0")


def test_one_sample_is_not_believed() -> None:
    """A spike that one reading sees is no vehicle."""
    world = World().start()
    module = world.module
    polls = len(world.line.heard)
    module.inputs[1] = True
    while len(world.line.heard) == polls:
        world.run(1)
    module.inputs[1] = False

    assert [] == inputs(world.run(500))


def test_a_pulse_as_long_as_configured_is_never_missed() -> None:
    """The shortest signal, at any moment of the cycle, while a pulse is given."""
    for shift in range(0, 40, 3):
        world = World().start()
        world.run(shift)
        world.pulse(width_ms=100)
        world.module.inputs[2] = True
        seen = world.run(150)
        world.module.inputs[2] = False
        seen += world.run(100)

        assert [(True, Quality.GOOD), (False, Quality.GOOD)] == inputs(seen, "di2"), f"shift {shift}"


def test_silence_makes_values_stale_then_the_device_lost_and_everything_is_told_again() -> None:
    """No reply is never "good"; after the reconnect every input is told once, changed or not."""
    world = World().start()
    world.module.mute = True
    silent = world.run(3_000)
    world.module.mute = False
    back = world.run(PROBE_MS + 1_000)

    assert [(False, Quality.STALE)] == inputs(silent)
    assert [Health("io", up=False, why="no answer")] == [s for s in silent if isinstance(s, Health)]
    assert [Health("io", up=True)] == [s for s in back if isinstance(s, Health)]
    assert [(False, Quality.GOOD)] == inputs(back)


def test_a_short_silence_is_stale_and_then_good_again_without_a_loss() -> None:
    """The module restarts in half a second."""
    world = World().start()
    world.module.mute = True
    stale = world.run(800)
    world.module.mute = False
    good = world.run(1_000)

    assert [(False, Quality.STALE)] == inputs(stale)
    assert [(False, Quality.GOOD)] == inputs(good)
    assert [] == [s for s in stale + good if isinstance(s, Health)]


def test_a_module_that_never_answers_is_lost_once() -> None:
    """It is reported, and asked again now and then."""
    world = World()
    world.module.mute = True
    world.start()
    world.run(10_000)

    assert [Health("io", up=False, why="no answer")] == world.signals


def test_a_babbling_line_makes_values_stale() -> None:
    """Something sends garbage without a pause: what cannot be read is not good, and nothing raises."""
    world = World().start()
    dice = random.Random(5)
    noise = {at: dice.randbytes(3) for at in range(world.now_ms, world.now_ms + 6_000)}
    world.module.mute = True
    heard = world.run(5_000, noise)

    assert [(False, Quality.STALE)] == inputs(heard)
    assert [False] == [s.up for s in heard if isinstance(s, Health)]


def test_noise_between_good_replies_does_no_harm() -> None:
    """Garbage before every reply is skipped and counted."""
    world = World().start()
    noise = dict.fromkeys(range(world.now_ms, world.now_ms + 2_000), b"\x01\x02")
    heard = world.run(1_500, noise)

    assert [] == heard
    assert world.engine.counters["late-bytes"] + world.engine.counters["skipped-bytes"] > 1_000


@pytest.mark.parametrize("fault", ["garbled", "late_ms", "refuses_with"])
def test_a_module_that_answers_wrongly_is_lost_with_a_reason(fault: str) -> None:
    """A wrong bit, an answer that comes when nobody waits any more, an exception."""
    world = World().start()
    setattr(world.module, fault, {"garbled": True, "late_ms": 150, "refuses_with": 2}[fault])
    lost = [s for s in world.run(4_000) if isinstance(s, Health)]
    setattr(world.module, fault, 0)
    back = [s for s in world.run(3_000) if isinstance(s, Health)]

    expected = "exception 2 (illegal data address)" if fault == "refuses_with" else "no answer"
    assert [Health("io", up=False, why=expected)] == lost
    assert [Health("io", up=True)] == back


def test_an_adapter_that_echoes_is_not_used() -> None:
    """It would confirm every write by itself: the module never comes up, and the reason is told."""
    world = World()
    world.line.echo = True
    world.start()
    world.run(3_000)
    order = world.pulse()
    world.run(100)

    assert [Health("io", up=False, why="the adapter repeats what is sent: switch its echo off")] == [
        s for s in world.signals if isinstance(s, Health)
    ]
    assert Result.REFUSED is world.result(order)


def test_a_dead_module_does_not_stop_the_others() -> None:
    """Of two modules one is dead: the other one's loop is seen in time, again and again."""
    world = World([device("dead", address=1), device("io", address=2)])
    world.line.modules[1].mute = True
    world.start()
    world.run(LOST_AFTER_MISSES * 500)
    for _ in range(20):
        world.run(50)
        world.line.modules[2].inputs[1] = True
        came = world.run(300)
        world.line.modules[2].inputs[1] = False
        left = world.run(600)

        assert [(True, Quality.GOOD)] == inputs(came)
        assert [(False, Quality.GOOD)] == inputs(left)


def test_modules_are_polled_in_turn() -> None:
    """Three modules on one line get the same share of it."""
    world = World([device(f"io{n}", address=n) for n in (1, 2, 3)]).start()
    world.line.heard.clear()
    world.run(2_000)
    polls = [sum(request.address == n for request in world.line.heard) for n in (1, 2, 3)]

    assert max(polls) - min(polls) <= 1
    assert min(polls) > 50


# -- pulses -----------------------------------------------------------------------------------------------------------


def test_a_pulse_is_timed_by_the_module() -> None:
    """One write, of the maker's flash-on, and the output is on for that time."""
    world = World().start()
    order = world.pulse("do3", width_ms=700)
    world.run(1_000)

    assert Result.CONFIRMED is world.result(order)
    assert [WriteCoil(1, 0x0203, 7)] == world.writes()
    (on_ms, *on), (off_ms, *off) = world.outputs
    assert [[3, True], [3, False], 700] == [on, off, off_ms - on_ms]


def test_a_width_between_units_is_rounded_up() -> None:
    """Units are 100 ms: a barrier that wants 250 gets 300."""
    world = World().start()
    world.pulse(width_ms=250)
    world.run(500)

    assert [WriteCoil(1, 0x0200, 3)] == world.writes()


def test_an_order_goes_before_the_polls() -> None:
    """It waits for the request that is outstanding at most."""
    world = World([device(f"io{n}", address=n) for n in (1, 2, 3)]).start()
    world.pulse(name="io3")
    world.run(10)

    assert 1 == len(world.writes())


def test_outputs_of_one_module_exclude_each_other() -> None:
    """Open and close at the same time would fight: the second waits for the end of the first and the dead time."""
    world = World().start()
    world.pulse("do0", width_ms=500)
    world.pulse("do1", width_ms=500)
    world.run(2_000)

    (_, *a), (off_ms, *b), (on_ms, *c), (_, *d) = world.outputs
    assert [[0, True], [0, False], [1, True], [1, False]] == [a, b, c, d]
    assert on_ms - off_ms >= 100


def test_outputs_of_two_modules_do_not_wait_for_each_other() -> None:
    """Two lanes open at once."""
    world = World([device("io1", address=1), device("io2", address=2)]).start()
    world.pulse(name="io1")
    world.pulse(name="io2")
    world.run(100)

    assert [True, True] == [on for _, _, on in world.outputs]


def test_a_pulse_that_waits_too_long_is_refused_and_not_given() -> None:
    """The deadline passes while another output is on."""
    world = World().start()
    world.pulse("do0", width_ms=2_000)
    order = world.pulse("do1", in_ms=1_000)
    world.run(5_000)

    assert [(Result.REFUSED, "expired: another output was on until just now")] == world.outcomes(order)
    assert 1 == len(world.writes())


def test_a_lost_reply_is_read_back_and_the_pulse_is_not_given_again() -> None:
    """The module acted and its answer was lost: the output is seen on, and there is one write."""
    world = World().start()
    world.module.silent_writes = 1
    order = world.pulse(width_ms=1_000)
    world.run(3_000)

    assert [(Result.CONFIRMED, "the answer was lost, the output was read back")] == world.outcomes(order)
    assert 1 == len(world.writes()) == world.module.pulses


def test_a_short_pulse_whose_reply_is_lost_is_unknown() -> None:
    """It was over before it could be read back: nobody can say."""
    world = World().start()
    world.module.silent_writes = 1
    order = world.pulse(width_ms=100)
    world.run(3_000)

    assert Result.UNKNOWN is world.result(order)
    assert 1 == len(world.writes()) == world.module.pulses


def test_a_write_that_did_not_arrive_is_unknown_and_not_repeated() -> None:
    """From here it looks the same as one that came and went."""
    world = World().start()
    world.module.deaf_writes = 1
    order = world.pulse(width_ms=1_000)
    world.run(3_000)

    assert Result.UNKNOWN is world.result(order)
    assert 1 == len(world.writes())
    assert 0 == world.module.pulses


def test_a_module_that_dies_during_a_pulse_leaves_it_unknown() -> None:
    """Neither answer nor output can be read; the next pulse waits as if the first one had acted."""
    world = World().start()
    world.module.mute = True
    order = world.pulse(width_ms=1_000)
    waiting = world.pulse("do1", in_ms=60_000)
    world.run(3_000)

    assert Result.UNKNOWN is world.result(order)
    assert Result.REFUSED is world.result(waiting)
    assert 1 == len(world.writes())


def test_a_module_that_refuses_a_pulse_has_not_acted() -> None:
    """An exception reply is a clear no."""
    world = World().start()
    world.module.refuses_with = 3
    order = world.pulse()
    world.run(200)

    assert [(Result.REFUSED, "exception 3 (illegal data value)")] == world.outcomes(order)


def test_the_port_vanishes_during_a_pulse() -> None:
    """What was sent is unknown, what waited is refused, and nothing is sent when the port is back."""
    world = World().start()
    world.module.silent_writes = 1
    sent = world.pulse(width_ms=3_000, in_ms=60_000)
    waiting = world.pulse("do1", in_ms=60_000)
    world.run(3)
    world.engine.lost(world.now_ms, "unplugged")
    gone = world.run(100)
    world.engine.opened(world.now_ms)
    back = world.run(6_000)

    assert Result.UNKNOWN is world.result(sent)
    assert Result.REFUSED is world.result(waiting)
    assert 1 == len(world.writes())
    assert [(False, Quality.STALE)] == inputs(gone)
    assert [(False, Quality.GOOD)] == inputs(back)
    assert [(True, Quality.GOOD), (False, Quality.GOOD)] == inputs(back, "do0"), (
        "its own pulse, found on and seen to end"
    )


def test_a_coil_found_on_is_reported_and_not_switched_and_holds_pulses_back() -> None:
    """Somebody left the opening contact on: a person must know, and closing against it is not done."""
    world = World()
    world.module.outputs[0] = True
    world.start()
    order = world.pulse("do1", in_ms=500)
    world.run(1_000)
    world.module.outputs[0] = False
    off = world.run(1_500)
    free = world.pulse("do1")
    world.run(1_000)

    assert [(True, Quality.GOOD), (False, Quality.GOOD)] == inputs(world.signals, "do0")
    assert [(False, Quality.GOOD)] == inputs(off, "do0")
    assert 1 == world.engine.counters["coils-found-on"]
    assert [(Result.REFUSED, "expired: do0 is on")] == world.outcomes(order)
    assert Result.CONFIRMED is world.result(free)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (Pulse("o", "do8", 500, 99_999), "no output 'do8'"),
        (Pulse("o", "di0", 500, 99_999), "no output 'di0'"),
        (Pulse("o", "do0", 99, 99_999), "a pulse of 99 ms is not between 100 and 3000 ms"),
        (Pulse("o", "do0", 3_001, 99_999), "a pulse of 3001 ms is not between 100 and 3000 ms"),
        (Pulse("o", "do0", 500, 0), "expired"),
        (Show("o", "hello", 99_999), "an I/O module takes no Show"),
    ],
    ids=repr,
)
def test_an_impossible_order_is_refused_by_name(order: Pulse | Show, why: str) -> None:
    """Nothing is written for it."""
    world = World().start()
    world.engine.order("io", order, world.now_ms)
    world.run(100)

    assert [(Result.REFUSED, why)] == world.outcomes("o")
    assert [] == world.writes()


def test_a_pulse_before_the_module_was_read_is_refused() -> None:
    """Nothing moves before the outputs are known."""
    world = World()
    world.engine.opened(world.now_ms)
    order = world.pulse()
    world.run(100)

    assert Result.REFUSED is world.result(order)


# -- host-timed pulses ------------------------------------------------------------------------------------------------


def adam() -> World:
    return World([device(model=ADAM, **ADAM_TIMED)])


def test_a_host_timed_pulse_is_switched_on_and_off() -> None:
    """ADAM-4055: outputs are coils 16-23, and we end the pulse."""
    world = adam().start()
    order = world.pulse("do1", width_ms=400)
    world.run(1_000)

    assert Result.CONFIRMED is world.result(order)
    assert [WriteCoil(1, 17, 0xFF00), WriteCoil(1, 17, 0x0000)] == world.writes()
    (on_ms, *_), (off_ms, *_) = world.outputs
    assert 400 <= off_ms - on_ms <= 420


def test_a_host_timed_pulse_needs_the_modules_watchdog() -> None:
    """The site says that it is set; the module says that it is not: refused."""
    world = adam()
    world.module.watchdog_ms = None
    world.start()
    order = world.pulse("do1")
    world.run(100)

    assert [(Result.REFUSED, "the module's communication watchdog is off")] == world.outcomes(order)
    assert [] == world.writes()


def test_the_lost_reply_of_a_host_timed_pulse_is_read_back_and_it_is_ended() -> None:
    """One "on", one "off"."""
    world = adam().start()
    world.module.silent_writes = 1
    order = world.pulse("do1", width_ms=1_000)
    world.run(2_000)

    assert Result.CONFIRMED is world.result(order)
    assert [WriteCoil(1, 17, 0xFF00), WriteCoil(1, 17, 0x0000)] == world.writes()


def test_a_lost_off_is_written_again_only_after_reading_that_it_is_on() -> None:
    """It did not arrive: seen on, so written again. It arrived and its reply was lost: seen off, so not."""
    arrived, lost = adam().start(), adam().start()
    for world in (arrived, lost):
        world.pulse("do1", width_ms=400)
        world.run(100)
    arrived.module.silent_writes = 1
    lost.module.deaf_writes = 1
    arrived.run(2_000)
    lost.run(2_000)

    assert [0xFF00, 0x0000] == [write.value for write in arrived.writes()]
    assert [0xFF00, 0x0000, 0x0000] == [write.value for write in lost.writes()]
    assert not any(lost.module.outputs)


def test_an_output_that_will_not_go_off_is_reported_as_a_fault() -> None:
    """The writes get lost, each time; a person must come, and no other output is switched meanwhile."""
    world = adam().start()
    world.pulse("do1", width_ms=400)
    world.run(100)
    world.module.deaf_writes = 100
    told = world.run(5_000)
    order = world.pulse("do0", in_ms=500)
    world.run(1_000)

    assert [(True, Quality.FAULT)] == inputs(told, "do1")
    assert [(Result.REFUSED, "expired: do1 is on")] == world.outcomes(order)


def test_the_watchdog_ends_a_pulse_that_we_cannot_end() -> None:
    """The port vanishes while the output is on: the module switches off, and on our return nothing is written."""
    world = adam().start()
    world.pulse("do1", width_ms=3_000)
    world.run(100)
    world.engine.lost(world.now_ms, "unplugged")
    world.run(1_500)
    world.engine.opened(world.now_ms)
    world.run(1_000)

    assert not any(world.module.outputs)
    assert [0xFF00] == [write.value for write in world.writes()]
    assert 1 == world.engine.counters["watchdogs-tripped"]


# -- any order of faults ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(24))
def test_whatever_happens_each_order_is_answered_once_and_none_acts_twice(seed: int) -> None:
    """Faults, losses and orders at random; afterwards the line is good and all is well."""
    dice = random.Random(seed)
    host = dice.random() < 0.5
    world = World([device(model=ADAM, **ADAM_TIMED) if host else device()]).start()
    orders: list[str] = []
    for _ in range(60):
        module = world.module
        module.mute = dice.random() < 0.1
        module.garbled = dice.random() < 0.1
        module.late_ms = dice.choice([0, 0, 0, 50, 150])
        module.silent_writes = dice.choice([0, 0, 0, 1])
        module.deaf_writes = dice.choice([0, 0, 0, 1])
        module.inputs[1] = dice.random() < 0.5
        if dice.random() < 0.1:
            world.engine.lost(world.now_ms, "unplugged")
            world.run(dice.randrange(100))
            world.engine.opened(world.now_ms)
        if dice.random() < 0.5:
            orders.append(world.pulse(dice.choice(["do0", "do1"]), dice.choice([100, 300, 1_000])))
        noise = {world.now_ms + dice.randrange(500): dice.randbytes(4) for _ in range(dice.randrange(3))}
        world.run(dice.randrange(10, 700), noise)
        on_now = [output for output, on in enumerate(module.outputs) if on]
        assert len(on_now) <= 1, f"seed {seed}: {on_now} at once"
    world.module.mute = world.module.garbled = False
    world.module.late_ms = world.module.silent_writes = world.module.deaf_writes = 0
    world.module.inputs[1] = True
    world.run(10_000)

    results = [world.result(order) for order in orders]
    sent = sum(write.value != 0 for write in world.writes())
    assert results.count(Result.CONFIRMED) <= world.module.pulses <= sent, f"seed {seed}"
    assert sent <= len(results) - results.count(Result.REFUSED) + world.engine.counters.get("exceptions", 0)
    assert (True, Quality.GOOD) == inputs(world.signals)[-1], f"seed {seed}"
    assert not any(world.module.outputs)


# -- options ----------------------------------------------------------------------------------------------------------


def test_every_mistake_is_named_at_once_with_its_place() -> None:
    """Ten mistakes, ten lines."""
    port = PortSpec("rs485", "serial", {"path": "/dev/ttyS9", "baud": 9601})
    devices = [
        device(
            "a", inputs={"di0": {"polarity": "normaly-open"}, "di8": {}, "di1": {"mode": "pulse", "fail_safe": True}}
        ),
        device("b", model="waveshare-io-8h", address=2),
        device("c", address=1, outputs={"do0": {"width_ms_max": 5_000}}),
        DeviceSpec("d", "modbus-io", ADAM, "rs485", {"outputs": {}, "adress": 3}),
        device("e", address=4, host_timed_watchdog_ms=1_000),
    ]
    faults = {fault.where: fault for fault in family.check(port, devices)}

    assert {
        "ports.rs485.baud",
        "devices.a.inputs.di0.polarity",
        "devices.a.inputs.di8",
        "devices.a.inputs.di1.fail_safe",
        "devices.a.inputs.di1.shortest_ms",
        "devices.b.model",
        "devices.c.address",
        "devices.c.outputs.do0.width_ms_max",
        "devices.d.address",
        "devices.d.adress",
        "devices.d.host_timed_watchdog_ms",
        "devices.e.host_timed_watchdog_ms",
    } <= set(faults)
    assert "did you mean 'waveshare-io-8ch'?" == faults["devices.b.model"].hint
    assert "did you mean 'address'?" == faults["devices.d.adress"].hint


def test_a_poll_cycle_too_long_for_the_shortest_signal_is_refused_with_the_figures() -> None:
    """Three modules at 9600 baud cannot see a pulse of 50 ms; one at 115200 can."""
    inputs_ = {"di0": {"mode": "pulse", "shortest_ms": 50}}
    slow = PortSpec("rs485", "serial", {"path": "/dev/ttyS9", "baud": 9600})
    fast = PortSpec("rs485", "serial", {"path": "/dev/ttyS9", "baud": 115200})
    faults = family.check(slow, [device(f"io{n}", address=n, inputs=inputs_) for n in (1, 2, 3)])

    assert 3 == len(faults)
    assert "a signal of 50 ms can be missed: a poll cycle of 3 module(s) at 9600 baud takes 112 ms" in faults[0].what
    assert [] == family.check(fast, [device(inputs=inputs_, poll_ms=5)])


def test_capabilities_say_what_may_guard_an_arm() -> None:
    """A contact that is not fail-safe, and a pulse, never have "safety"."""
    spec = device(
        inputs={**LOOPS, "di3": {"fail_safe": True}, "di4": {"polarity": "normally-closed", "fail_safe": False}}
    )

    assert {
        "di0": frozenset({"presence", "safety"}),
        "di1": frozenset({"presence"}),
        "di2": frozenset({"pulse-input"}),
        "di3": frozenset({"presence", "safety"}),
        "di4": frozenset({"presence"}),
        **{f"do{number}": frozenset({"pulse"}) for number in range(8)},
    } == family.capabilities(spec)


def test_a_model_that_cannot_end_a_pulse_has_none_without_a_watchdog() -> None:
    """The lane's configuration is refused before anything is connected."""
    assert not [point for point in family.capabilities(device(model=ADAM)) if point.startswith("do")]
    assert frozenset({"pulse"}) == family.capabilities(device(model=ADAM, **ADAM_TIMED))["do1"]


def test_a_watchdog_shorter_than_a_lost_answer_is_refused() -> None:
    """It would end pulses, and lanes, that are well."""
    tight = {**ADAM_TIMED, "host_timed_watchdog_ms": 500, "reply_ms": 200}
    faults = family.check(PORT, [device(model=ADAM, **tight)])

    assert ["devices.io.host_timed_watchdog_ms"] == [fault.where for fault in faults]
