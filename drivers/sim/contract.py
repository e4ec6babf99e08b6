"""What every serial driver must survive, as cases that any driver's tests can run; a driver from outside uses them too.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_contract(case, tmp_path):
        case(Subject(...), tmp_path)

Each case builds the driver through its `Family`, runs it on the real `SerialBus` over a pseudo-terminal, and holds it
to the rules of `drivers.api`. A broken rule is an AssertionError that names the seed and shows every signal seen.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from drivers.api import ORDERS_WAITING_MAX, DeviceSpec, Family, Health, Order, Outcome, PortSpec, Result, Signal
from drivers.links.monotonic import Monotonic
from drivers.links.serial_link import SerialBus
from drivers.options import line_of
from drivers.sim.pty import PERFECT, Cable, PtyPeer, SimulatedSerialDevice

WAIT_MS_MAX: Final = 20_000
ORDER_MS_MAX: Final = 5_000
ORDER_AGAIN_MS: Final = 20
ORDERS_ON_A_BAD_LINE: Final = 5


def _nothing(_device: SimulatedSerialDevice) -> None:
    pass


@dataclass(frozen=True)
class Subject:
    """A driver, a port with one device, and the simulation of that device."""

    family: Family
    options: dict[str, object]
    """The port's options, without `path`."""
    device: DeviceSpec
    simulate: Callable[[], SimulatedSerialDevice]
    order: Callable[[str, int], Order] | None = None
    """Makes an order from (id, deadline_ms) that a healthy device confirms. None: the device takes no orders."""
    acted: Callable[[SimulatedSerialDevice], int] | None = None
    """How often the simulated device carried out an order."""
    provoke: Callable[[SimulatedSerialDevice], None] = _nothing
    """Makes the device send something by itself; for devices that are only heard."""
    heard: Callable[[Signal], bool] | None = None
    """Whether a signal is what `provoke` causes."""
    notices_silence: bool = True
    """Whether a device that says nothing is lost: not so for one that is only heard."""
    seed: int = 1


class Witness:
    """A sink that remembers, and waits for what it is asked about."""

    def __init__(self) -> None:
        self.signals: list[Signal] = []
        self._changed = threading.Condition()

    def __call__(self, signal: Signal) -> None:
        with self._changed:
            self.signals.append(signal)
            self._changed.notify_all()

    def wait_for(self, what: str, holds: Callable[[Sequence[Signal]], bool], since: int = 0) -> None:
        """Until `holds(signals[since:])`; AssertionError with all that was seen after `WAIT_MS_MAX`."""
        with self._changed:
            seen = self._changed.wait_for(lambda: holds(self.signals[since:]), WAIT_MS_MAX / 1000)
            assert seen, f"never saw {what}; since then: {self.signals[since:]}"

    def outcomes(self, order: str) -> list[Result]:
        with self._changed:
            return [s.result for s in self.signals if isinstance(s, Outcome) and s.order == order]

    def answered(self, order: str) -> Result:
        """The outcome of `order`, waited for."""
        self.wait_for(
            f"an outcome of {order}", lambda seen: any(isinstance(s, Outcome) and s.order == order for s in seen)
        )
        return self.outcomes(order)[0]

    def healths(self, since: int = 0) -> list[bool]:
        with self._changed:
            return [s.up for s in self.signals[since:] if isinstance(s, Health)]


@dataclass
class Bench:
    """A running bus, the peer on the other end, and the witness between bus and world."""

    subject: Subject
    peer: PtyPeer
    bus: SerialBus
    seen: Witness
    ordered: int = 0

    def wait_up(self, since: int = 0) -> None:
        self.seen.wait_for("the device up", lambda seen: any(isinstance(s, Health) and s.up for s in seen), since)

    def wait_down(self, since: int = 0) -> None:
        self.seen.wait_for("the device lost", lambda seen: any(isinstance(s, Health) and not s.up for s in seen), since)

    def mark(self) -> int:
        return len(self.seen.signals)

    def order(self, in_ms: int = ORDER_MS_MAX) -> str:
        assert self.subject.order is not None
        self.ordered += 1
        name = f"order-{self.ordered}"
        self.bus.order(self.subject.device.name, self.subject.order(name, Monotonic().monotonic_ms() + in_ms))
        return name

    def works(self) -> None:
        """The device does its work on a good line: an order is confirmed, what it says by itself is heard."""
        if self.subject.order is not None:
            self._an_order_is_confirmed()
        if self.subject.heard is not None:
            since = self.mark()
            heard = self.subject.heard
            with self.peer.changing():
                self.subject.provoke(self.peer.device)
            self.seen.wait_for("what was provoked", lambda seen: any(heard(s) for s in seen), since)

    def _an_order_is_confirmed(self) -> None:
        # A device that has just come back may refuse (it certainly did not act) until it has been read again.
        until_ms = Monotonic().monotonic_ms() + WAIT_MS_MAX
        result = self.seen.answered(self.order())
        while result is Result.REFUSED and Monotonic().monotonic_ms() < until_ms:
            time.sleep(ORDER_AGAIN_MS / 1000)
            result = self.seen.answered(self.order())
        assert result is Result.CONFIRMED, f"{result}; {self.seen.signals}"


@contextmanager
def bench(subject: Subject, folder: Path, cable: Cable = PERFECT) -> Iterator[Bench]:
    """Run `subject` over a cable. At the end nothing is left: no thread, no failed bus, no order with two outcomes."""
    peer = PtyPeer(subject.simulate(), folder / "port", cable=cable, seed=subject.seed)
    try:
        port = PortSpec("line", "serial", {**subject.options, "path": str(peer.path)})
        device = replace(subject.device, port=port.name)
        faults = subject.family.check(port, [device])
        assert not faults, faults
        engine = subject.family.engine(port, [device])
        bus = SerialBus(port.name, line_of(port), engine, [device.name])  # type: ignore[arg-type] # a serial family
        running = Bench(subject, peer, bus, Witness())
        bus.start(running.seen)
        try:
            yield running
        except AssertionError as broken:
            broken.add_note(f"seed {subject.seed}, cable {cable}, counters {dict(bus.counters())}")
            raise
        finally:
            bus.close()
        assert bus.failed == "", bus.failed
        for number in range(1, running.ordered + 1):
            answers = running.seen.outcomes(f"order-{number}")
            assert len(answers) == 1, f"order-{number} was answered {answers}"
    finally:
        peer.close()


def _acts_at_most_once_each(line: Bench) -> None:
    """Whatever was lost on the way, the device acted at most once for an order, and for each that is confirmed."""
    if line.subject.acted is None:
        return
    names = [f"order-{number}" for number in range(1, line.ordered + 1)]
    results = [line.seen.answered(name) for name in names]
    with line.peer.changing():
        acted = line.subject.acted(line.peer.device)
    confirmed, refused = results.count(Result.CONFIRMED), results.count(Result.REFUSED)
    assert confirmed <= acted <= len(results) - refused, f"acted {acted} times for {results}"


def good_line(subject: Subject, folder: Path) -> None:
    """Nothing goes wrong: the device comes up once and does its work."""
    with bench(subject, folder) as line:
        line.wait_up()
        line.works()
        assert line.seen.healths() == [True], line.seen.signals
        _acts_at_most_once_each(line)


def one_byte_at_a_time(subject: Subject, folder: Path) -> None:
    """Every byte arrives alone."""
    with bench(subject, folder, Cable(one_byte_at_a_time=True)) as line:
        line.wait_up()
        line.works()


def _bad_line(subject: Subject, folder: Path, cable: Cable) -> None:
    """On a bad line each order is answered once and none acts twice; when the line is good again, all is well."""
    with bench(subject, folder) as line:
        line.wait_up()
        line.peer.cable = cable
        for _ in range(ORDERS_ON_A_BAD_LINE):
            if subject.order is not None:
                line.seen.answered(line.order())
            with line.peer.changing():
                subject.provoke(line.peer.device)
        line.peer.cable = PERFECT
        _acts_at_most_once_each(line)
        _until_it_works(line)


def _until_it_works(line: Bench) -> None:
    """A device that was lost comes back; one that was not is up still."""
    line.seen.wait_for("the device up at last", lambda _: line.seen.healths()[-1:] == [True])
    line.works()


def loss(subject: Subject, folder: Path) -> None:
    """Every twentieth byte vanishes."""
    _bad_line(subject, folder, Cable(loss=0.05))


def garbage(subject: Subject, folder: Path) -> None:
    """Random bytes are heard between the real ones."""
    _bad_line(subject, folder, Cable(garbage=0.3))


def late_answers(subject: Subject, folder: Path) -> None:
    """Answers come long after anybody waits for them."""
    _bad_line(subject, folder, Cable(delay_ms=700))


def silence(subject: Subject, folder: Path) -> None:
    """The device goes dumb: it is reported lost once, orders are not confirmed, and it comes back when it speaks."""
    with bench(subject, folder) as line:
        line.wait_up()
        since = line.mark()
        line.peer.cable = Cable(loss=1.0)
        if subject.order is not None:
            answer = line.seen.answered(line.order())
            assert answer is not Result.CONFIRMED, line.seen.signals
        if subject.notices_silence:
            line.wait_down(since)
            assert line.seen.healths(since) == [False], line.seen.signals
        line.peer.cable = PERFECT
        _until_it_works(line)


def vanishing_port(subject: Subject, folder: Path) -> None:
    """The cable is pulled and put back: lost once, back once, and nothing old is sent when it is."""
    with bench(subject, folder) as line:
        line.wait_up()
        since = line.mark()
        line.peer.unplug()
        line.wait_down(since)
        if subject.order is not None:
            assert line.seen.answered(line.order()) is Result.REFUSED, line.seen.signals
        line.peer.plug_in()
        line.wait_up(since)
        assert line.seen.healths(since) == [False, True], line.seen.signals
        _acts_at_most_once_each(line)
        line.works()


def absent_port(subject: Subject, folder: Path) -> None:
    """The port is not there at the start: its device is lost, and comes up when the port appears."""
    with bench(subject, folder) as line:
        line.peer.unplug()
        line.wait_down()
        since = line.mark()
        line.peer.plug_in()
        line.wait_up(since)
        line.works()


def expired_order(subject: Subject, folder: Path) -> None:
    """An order past its deadline is refused and not carried out."""
    if subject.order is None:
        return
    with bench(subject, folder) as line:
        line.wait_up()
        assert line.seen.answered(line.order(in_ms=-1)) is Result.REFUSED, line.seen.signals
        _acts_at_most_once_each(line)


def too_many_orders(subject: Subject, folder: Path) -> None:
    """More orders than fit: those on top are refused at once, all are answered once."""
    if subject.order is None:
        return
    with bench(subject, folder, Cable(loss=1.0)) as line:
        names = [line.order() for _ in range(ORDERS_WAITING_MAX + 10)]
        for name in names:
            assert line.seen.answered(name) is not Result.CONFIRMED, line.seen.signals


def closing_twice(subject: Subject, folder: Path) -> None:
    """Closing twice is closing once, and an order after it is refused."""
    with bench(subject, folder) as line:
        line.wait_up()
        line.bus.close()
        line.bus.close()
        if subject.order is not None:
            assert line.seen.answered(line.order()) is Result.REFUSED, line.seen.signals


CASES: Final[tuple[Callable[[Subject, Path], None], ...]] = (
    good_line,
    one_byte_at_a_time,
    loss,
    garbage,
    late_answers,
    silence,
    vanishing_port,
    absent_port,
    expired_order,
    too_many_orders,
    closing_twice,
)
