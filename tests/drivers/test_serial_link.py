"""The serial link over real pseudo-terminals: what it promises whatever engine speaks on it."""

import contextlib
import fcntl
import os
import random
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from drivers.api import ORDERS_WAITING_MAX, Health, OptionFault, Order, Outcome, PortSpec, Result, SerialTurn, Show
from drivers.links.serial_core import WRITE_WAITING_BYTES_MAX
from drivers.links.serial_link import SerialBus, open_port
from drivers.options import LineOptions, read_line
from drivers.sim.contract import Witness
from drivers.sim.pty import Cable, PtyPeer

WAIT_S_MAX = 10.0


def eventually(what: str, holds: Callable[[], bool]) -> None:
    """For what no signal tells of: looks again until the deadline."""
    until = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < until, f"never: {what}"
        threading.Event().wait(0.002)


@dataclass
class EchoingEngine:
    """Answers every byte that it hears with itself; confirms an order when its text is heard."""

    counters: dict[str, int] = field(default_factory=dict)
    signals: list[Health | Outcome] = field(default_factory=list)
    write: bytes = b""
    open_orders: list[tuple[str, str]] = field(default_factory=list)
    raises: bool = False
    wake_at_ms: int | None = None
    answers_twice: bool = False
    losses: int = 0

    def opened(self, now_ms: int) -> None:
        self.signals.append(Health("d", up=True))

    def lost(self, now_ms: int, why: str) -> None:
        self.losses += 1
        self.signals.append(Health("d", up=False, why=why))

    def received(self, data: bytes, now_ms: int) -> None:
        if self.raises:
            raise RuntimeError("a bug in the engine")
        self.counters["heard"] = self.counters.get("heard", 0) + len(data)
        for device, order in self.open_orders:
            for _ in range(1 + self.answers_twice):
                self.signals.append(Outcome(device, order, Result.CONFIRMED))
        self.open_orders.clear()

    def order(self, device: str, order: Order, now_ms: int) -> None:
        self.open_orders.append((device, order.order))
        assert isinstance(order, Show)
        self.write += order.text.encode()

    def poll(self, now_ms: int) -> SerialTurn:
        turn = SerialTurn(self.write, tuple(self.signals), self.wake_at_ms)
        self.write, self.signals = b"", []
        return turn


@dataclass
class Terminal:
    """A pseudo-terminal whose master end is the test's."""

    master: int
    path: str

    @classmethod
    def new(cls) -> "Terminal":
        master, slave = os.openpty()
        tty.setraw(slave)
        path = os.ttyname(slave)
        os.close(slave)
        return cls(master, path)

    def close(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal.new()
    yield terminal
    terminal.close()


def line(path: object) -> LineOptions:
    return LineOptions(str(path), 9600, "none", 1)


@dataclass
class Running:
    bus: SerialBus
    engine: EchoingEngine
    seen: Witness


@pytest.fixture
def running(terminal: Terminal) -> Iterator[Running]:
    engine, seen = EchoingEngine(), Witness()
    bus = SerialBus("p", line(terminal.path), engine, ["d"], jitter=random.Random(1))
    bus.start(seen)
    seen.wait_for("the port open", lambda signals: Health("d", up=True) in signals)
    yield Running(bus, engine, seen)
    bus.close()


def test_an_order_goes_out_and_its_answer_comes_back(terminal: Terminal, running: Running) -> None:
    """The plain way through: order, bytes, answer, outcome."""
    running.bus.order("d", Show("o1", "hello", 0))
    heard = os.read(terminal.master, 100)
    os.write(terminal.master, b"!")

    assert heard == b"hello"
    assert Result.CONFIRMED is running.seen.answered("o1")


def test_a_second_program_cannot_open_the_port(terminal: Terminal, running: Running) -> None:
    """Two programs on one line would both lose bytes: the second is refused, by lock and by kernel."""
    with pytest.raises(OSError, match="lock"):
        open_port(line(terminal.path))
    if os.geteuid() != 0:  # root may always open
        with pytest.raises(OSError, match="busy"):
            os.open(terminal.path, os.O_RDWR | os.O_NOCTTY)


def test_the_port_is_free_again_after_close(terminal: Terminal, running: Running) -> None:
    """Whoever comes next can open it, the exclusive mark does not outlive us."""
    running.bus.close()
    port = open_port(line(terminal.path))
    flags = termios.tcgetattr(port.fileno())[0]
    port.close()

    assert flags & (termios.IXON | termios.IXOFF) == 0


def test_a_vanished_port_is_reported_once_and_opened_again(tmp_path: Path) -> None:
    """The cable is pulled and comes back as another terminal under the same path."""
    first, second = Terminal.new(), Terminal.new()
    path = tmp_path / "port"
    path.symlink_to(first.path)
    engine, seen = EchoingEngine(), Witness()
    bus = SerialBus("p", line(path), engine, ["d"], jitter=random.Random(1))
    bus.start(seen)
    try:
        seen.wait_for("the port open", lambda signals: Health("d", up=True) in signals)
        path.unlink()
        first.close()
        seen.wait_for("the loss", lambda signals: any(isinstance(s, Health) and not s.up for s in signals))
        eventually("several tries", lambda: bus.counters().get("link-open-failed", 0) >= 3)
        since = len(seen.signals)
        path.symlink_to(second.path)
        seen.wait_for("the port back", lambda signals: Health("d", up=True) in signals, since)
    finally:
        bus.close()
        first.close()
        second.close()

    assert seen.healths() == [True, False, True, False]
    assert engine.losses == 2


def test_an_order_for_a_port_that_is_away_is_refused(tmp_path: Path) -> None:
    """Nothing waits for a port to come back: an old order must not move anything."""
    engine, seen = EchoingEngine(), Witness()
    bus = SerialBus("p", line(tmp_path / "nothing"), engine, ["d"])
    bus.start(seen)
    bus.order("d", Show("o1", "x", 0))
    result = seen.answered("o1")
    bus.close()

    assert Result.REFUSED is result
    assert engine.write == b""


def test_an_order_in_flight_when_the_port_vanishes_is_unknown(terminal: Terminal, running: Running) -> None:
    """The engine forgot it; the link answers in its place."""
    running.bus.order("d", Show("o1", "x", 0))
    assert os.read(terminal.master, 10) == b"x"
    terminal.close()

    assert Result.UNKNOWN is running.seen.answered("o1")
    assert running.bus.counters()["link-orders-left-open"] == 1


def test_the_queue_is_bounded_and_what_is_on_top_is_refused_at_once(running: Running) -> None:
    """Nobody answers: the limit's orders wait, one more is refused."""
    for number in range(ORDERS_WAITING_MAX + 1):
        running.bus.order("d", Show(f"o{number}", "x", 0))
    running.bus.order("d", Show("o0", "again", 0))

    assert Outcome("d", f"o{ORDERS_WAITING_MAX}", Result.REFUSED, "queue full") in running.seen.signals
    assert running.bus.counters()["link-orders-repeated"] == 1


def test_an_unknown_device_is_refused(running: Running) -> None:
    """An order for a device that is on another port is refused by name."""
    running.bus.order("e", Show("o1", "x", 0))

    assert Outcome("e", "o1", Result.REFUSED, "no device 'e' on port 'p'") in running.seen.signals


def test_an_order_is_answered_once_even_if_the_engine_answers_twice(terminal: Terminal, running: Running) -> None:
    """The second outcome is dropped and counted."""
    running.engine.answers_twice = True
    running.bus.order("d", Show("o1", "x", 0))
    os.read(terminal.master, 10)
    os.write(terminal.master, b"!")
    eventually("the second answer", lambda: running.bus.counters().get("link-outcomes-unasked") == 1)

    assert running.seen.outcomes("o1") == [Result.CONFIRMED]


def test_a_peer_that_does_not_read_neither_blocks_nor_spins(terminal: Terminal, running: Running) -> None:
    """Its buffer fills up; the port is given up after a second, what waited is thrown away, and no time is burnt."""
    running.bus.order("d", Show("o1", "x" * (WRITE_WAITING_BYTES_MAX - 1), 0))
    cpu = time.process_time()
    running.seen.wait_for("the loss", lambda signals: any(isinstance(s, Health) and not s.up for s in signals))
    spent_s = time.process_time() - cpu

    assert Result.UNKNOWN is running.seen.answered("o1")
    assert running.bus.counters()["link-write-stalled"] == 1
    assert spent_s < 0.7, "the thread span while nothing could be written"


def test_what_waited_to_be_written_is_never_sent_when_the_port_is_back(tmp_path: Path) -> None:
    """Half of an order is still in our buffer when the cable is pulled: it must not reach the device later."""
    first, second = Terminal.new(), Terminal.new()
    path = tmp_path / "port"
    path.symlink_to(first.path)
    engine, seen = EchoingEngine(), Witness()
    bus = SerialBus("p", line(path), engine, ["d"], jitter=random.Random(1))
    bus.start(seen)
    try:
        seen.wait_for("the port open", lambda signals: Health("d", up=True) in signals)
        bus.order("d", Show("old", "x" * (WRITE_WAITING_BYTES_MAX - 1), 0))
        eventually("a part of it written", lambda: bus.counters().get("link-bytes-out", 0) > 0)
        path.unlink()
        path.symlink_to(second.path)
        since = len(seen.signals)
        first.close()
        seen.wait_for("the port back", lambda signals: Health("d", up=True) in signals, since)
        bus.order("d", Show("new", "y", 0))
        heard = os.read(second.master, 10)
    finally:
        bus.close()
        first.close()
        second.close()

    assert heard == b"y"
    assert seen.answered("old") is Result.UNKNOWN


def test_too_much_to_write_gives_the_port_up(running: Running) -> None:
    """An engine that writes more than the bound loses the port, not the memory."""
    running.bus.order("d", Show("o1", "x" * (WRITE_WAITING_BYTES_MAX + 1), 0))

    assert Result.UNKNOWN is running.seen.answered("o1")


def test_an_engine_that_raises_ends_the_port_and_starves_the_watchdog(terminal: Terminal, running: Running) -> None:
    """A bug is not swallowed: device lost, orders answered, `failed` kept, and the turns stand still."""
    running.bus.order("d", Show("o1", "x", 0))
    os.read(terminal.master, 10)
    running.engine.raises = True
    os.write(terminal.master, b"!")
    running.seen.wait_for("the loss", lambda signals: any(isinstance(s, Health) and not s.up for s in signals))
    eventually("the reason", lambda: "a bug in the engine" in running.bus.failed)
    running.bus.close()
    turns = running.bus.turns
    running.bus.order("d", Show("o2", "x", 0))

    assert Result.UNKNOWN is running.seen.answered("o1")
    assert Result.REFUSED is running.seen.answered("o2")
    assert turns == running.bus.turns


def test_an_idle_bus_turns_and_does_not_spin(running: Running) -> None:
    """The watchdog sees it alive; an engine that always wants to be woken at once does not burn a processor."""
    running.engine.wake_at_ms = 0
    before, cpu = running.bus.turns, time.process_time()
    eventually("turns", lambda: running.bus.turns > before + 100)

    assert time.process_time() - cpu < 1.0


def test_closing_twice_is_once_and_leaves_nothing(terminal: Terminal, running: Running) -> None:
    """No thread and no descriptor stay; closing a bus that was never started is fine."""
    never = SerialBus("never", line("/nowhere"), EchoingEngine(), ["d"])
    never.close()
    running.bus.close()
    running.bus.close()

    assert "port-p" not in [thread.name for thread in threading.enumerate()]


def test_the_tap_sees_every_chunk(terminal: Terminal) -> None:
    """A capture has both directions, in order."""
    chunks: list[tuple[str, bytes]] = []
    engine, seen = EchoingEngine(), Witness()
    bus = SerialBus("p", line(terminal.path), engine, ["d"], tap=lambda way, data, _: chunks.append((way, data)))
    bus.start(seen)
    seen.wait_for("the port open", lambda signals: Health("d", up=True) in signals)
    bus.order("d", Show("o1", "out", 0))
    os.read(terminal.master, 10)
    os.write(terminal.master, b"in")
    seen.answered("o1")
    bus.close()

    assert chunks == [("out", b"out"), ("in", b"in")]


class Parrot:
    """Says what it hears."""

    def __init__(self) -> None:
        self.heard = b""

    def received(self, data: bytes, now_ms: int) -> None:
        self.heard += data

    def poll(self, now_ms: int) -> tuple[bytes, int | None]:
        said, self.heard = self.heard, b""
        return said, None


def test_the_cables_faults_can_be_repeated(tmp_path: Path) -> None:
    """The same seed loses the same bytes."""

    def through(number: int) -> bytes:
        cable = Cable(one_byte_at_a_time=True, loss=0.3)
        with PtyPeer(Parrot(), tmp_path / f"port{number}", cable=cable, seed=7) as peer:
            descriptor = os.open(peer.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            os.write(descriptor, bytes(range(64)))
            heard = bytearray()

            def read_more() -> bool:
                with contextlib.suppress(BlockingIOError):
                    heard.extend(os.read(descriptor, 100))
                return len(heard) >= 20

            eventually("twenty bytes", read_more)
            os.close(descriptor)
            return bytes(heard[:20])

    assert through(1) == through(2)


def test_a_killed_hosts_exclusive_mark_does_not_keep_the_next_one_out(tmp_path: Path) -> None:
    """A daemon that dies by kill -9 leaves TIOCEXCL on the terminal; the peer clears it."""
    with PtyPeer(Parrot(), tmp_path / "port") as peer:
        descriptor = os.open(peer.path, os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(descriptor, termios.TIOCEXCL)
        os.close(descriptor)

        def opens() -> bool:
            try:
                os.close(os.open(peer.path, os.O_RDWR | os.O_NOCTTY))
            except OSError:
                return False
            return True

        eventually("a second open", opens)


def test_every_fault_of_a_line_is_named_at_once() -> None:
    """A technician corrects the site file in one go."""
    faults: list[OptionFault] = []
    read_line(PortSpec("rs485", "serial", {"baud": 9601, "parity": "evn", "stop_bits": 3, "stopbits": 1}), faults)

    assert [fault.where for fault in faults[:4]] == [
        "ports.rs485.path",
        "ports.rs485.baud",
        "ports.rs485.parity",
        "ports.rs485.stop_bits",
    ]
    assert faults[2].hint == "did you mean 'even'?"
    assert OptionFault("ports.rs485.stopbits", "is not an option", "did you mean 'stop_bits'?") == faults[4]
