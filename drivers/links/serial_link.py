"""A serial port with its thread: moves bytes between a port and an engine, and decides nothing.

Rule 1: the thread waits in one place (`poll(2)`, over the port and a self-pipe) and never longer than `TURN_MS_MAX`,
        so `turns` grows whenever the thread is alive, and bytes and orders are seen as fast as the kernel wakes us.
Rule 2: nothing blocks on a peer. Writes are non-blocking, in chunks, out of a bounded buffer. A port that takes no byte
        for `WRITE_STALL_MS_MAX` is closed and what waited is thrown away: an old order must not reach a device late.
Rule 3: every order is answered by exactly one Outcome. The bus enforces it: what the engine leaves unanswered when the
        port is lost becomes UNKNOWN, a second answer is dropped and counted.
Rule 4: an order for a port that is away is refused here; the engine never sees it.
Rule 5: no flow control by the kernel. With it, a write held by XOFF spins and a status request cannot get out
        (measured with pyserial 3.5); XON and XOFF are bytes for the engine's parser.
Rule 6: an engine that raises has a bug. The port is closed, its devices are reported lost, `failed` says why, and
        `turns` stands still, so that the watchdog hears of it.
"""

import contextlib
import fcntl
import os
import random
import select
import termios
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import serial  # type: ignore[import-untyped] # pyserial ships no types

from drivers.api import (
    ORDERS_WAITING_MAX,
    Clock,
    Health,
    Order,
    Outcome,
    Result,
    SerialEngine,
    Signal,
    Sink,
)
from drivers.links.monotonic import Monotonic
from drivers.options import LineOptions

TURN_MS_MAX: Final = 250
"""The thread turns at least this often, idle or not."""
WAKE_MS_MIN: Final = 1
"""An engine that asks to be woken at once still leaves the processor to others."""
READ_BYTES_MAX: Final = 4096
WRITE_CHUNK_BYTES: Final = 512
WRITE_WAITING_BYTES_MAX: Final = 65_536
WRITE_STALL_MS_MAX: Final = 1_000
REOPEN_MS_FIRST: Final = 100
REOPEN_MS_MAX: Final = 10_000
CLOSE_MS_MAX: Final = 5_000

Tap = Callable[[Literal["in", "out"], bytes, int], None]
"""Sees every chunk: direction, bytes, monotonic milliseconds."""

_PARITY: Final = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}


def _no_tap(_direction: Literal["in", "out"], _data: bytes, _at_ms: int) -> None:
    pass


def open_port(line: LineOptions) -> serial.Serial:
    """Open `line` for us alone. Raises `serial.SerialException` or `OSError`, both with the reason in their text.

    `exclusive=True` is an advisory lock that only other careful programs respect; TIOCEXCL makes the kernel refuse
    anyone else who is not root. Modem lines that a port does not have (ENOTTY on a pty) are tolerated by pyserial.
    """
    port = serial.Serial(
        port=line.path,
        baudrate=line.baud,
        parity=_PARITY[line.parity],
        stopbits=line.stop_bits,
        timeout=0,
        write_timeout=0,
        xonxoff=False,
        rtscts=False,
        dsrdtr=False,
        exclusive=True,
    )
    try:
        fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
    except OSError:
        port.close()
        raise
    return port


def close_port(port: serial.Serial) -> None:
    """Let go of a port, at once: what was not sent is thrown away, or close(2) could wait for it to drain."""
    with contextlib.suppress(OSError, termios.error):
        termios.tcflush(port.fileno(), termios.TCIOFLUSH)
    with contextlib.suppress(OSError, termios.error):
        fcntl.ioctl(port.fileno(), termios.TIOCNXCL)
    with contextlib.suppress(OSError):
        port.close()


class _PortGoneError(Exception):
    """The port cannot be used any more; the text says why."""


class SerialBus:
    """`drivers.api.Bus` for one serial port and the engine that speaks on it.

    The sink is called from the port's thread, and from the caller's when an order is refused at once. It never blocks.
    `failed` holds the traceback of a bug that ended the thread, else it is empty.
    """

    def __init__(
        self,
        name: str,
        line: LineOptions,
        engine: SerialEngine,
        devices: Sequence[str],
        *,
        clock: Clock | None = None,
        tap: Tap = _no_tap,
        jitter: random.Random | None = None,
    ) -> None:
        self.name = name
        self.turns = 0
        self.failed = ""
        self._line = line
        self._engine = engine
        self._devices = tuple(devices)
        self._clock = clock or Monotonic()
        self._tap = tap
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads reconnects, guards nothing
        self._counters: dict[str, int] = {}
        self._sink: Sink | None = None
        self._thread: threading.Thread | None = None
        self._close_lock = threading.Lock()
        # Shared with callers of `order` and `close`, under the lock:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, Order]] = deque()
        self._unanswered: dict[tuple[str, str], bool] = {}  # (device, order) -> was it handed to the engine
        self._shut = False
        self._wake_read, self._wake_write = -1, -1
        # The port's thread only:
        self._port: serial.Serial | None = None
        self._known_lost = False
        self._opened_at_ms = 0
        self._reopen_at_ms = 0
        self._reopen_wait_ms = REOPEN_MS_FIRST
        self._out = bytearray()
        self._out_moved_at_ms = 0
        self._wake_at_ms: int | None = None

    # -- anyone's thread ----------------------------------------------------------------------------------------------

    def start(self, sink: Sink) -> None:
        assert self._thread is None, "a bus starts once"
        self._sink = sink
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name=f"port-{self.name}", daemon=True)
        self._thread.start()

    def order(self, device: str, order: Order) -> None:
        """Hand over an order. Answered by one Outcome; an id that is waiting already is the same order."""
        assert self._sink is not None, "order before start"
        key = (device, order.order)
        refusal = ""
        with self._lock:
            if self._shut:
                refusal = "the port is closed"
            elif device not in self._devices:
                refusal = f"no device {device!r} on port {self.name!r}"
            elif key in self._unanswered:
                self._count("orders-repeated")
            elif len(self._unanswered) >= ORDERS_WAITING_MAX:
                refusal = "queue full"
            else:
                self._unanswered[key] = False
                self._waiting.append((device, order))
                self._wake()
        if refusal:
            self._count("orders-refused")
            self._sink(Outcome(device, order.order, Result.REFUSED, refusal))

    def counters(self) -> Mapping[str, int]:
        """The engine's counters and, prefixed `link-`, the port's own."""
        return {**self._engine.counters, **{f"link-{name}": count for name, count in self._counters.items()}}

    def close(self) -> None:
        """Stop the thread and let go of the port. Twice is once. Waiting orders are answered before it returns."""
        with self._close_lock:
            with self._lock:
                self._shut = True
                if self._thread is None:
                    return
                self._wake()
            assert threading.current_thread() is not self._thread, "a sink must not close its own bus"
            self._thread.join(CLOSE_MS_MAX / 1000)
            assert not self._thread.is_alive(), f"port {self.name!r} did not stop within {CLOSE_MS_MAX} ms"
            self._thread = None
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _wake(self) -> None:
        # A full pipe has woken the thread already.
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"!")

    def _count(self, name: str, by: int = 1) -> None:
        self._counters[name] = self._counters.get(name, 0) + by

    # -- the port's thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._shut:
                self._turn()
            self._lose("the port is closed")
        except Exception as bug:  # noqa: BLE001 - rule 6: it ends this port, is kept in `failed`, and stops the watchdog
            self.failed = traceback.format_exc()
            self._give_up(f"{type(bug).__name__}: {bug}")
        finally:
            self._let_go()

    def _turn(self) -> None:
        self.turns += 1
        now_ms = self._clock.monotonic_ms()
        if self._port is None and now_ms >= self._reopen_at_ms:
            self._open(now_ms)
        readable = self._wait()
        try:
            if readable:
                self._read()
            self._take_orders()
            if self._port is not None:
                self._take_turn(self._clock.monotonic_ms())
                self._write()
        except _PortGoneError as gone:
            self._lose(str(gone))

    def _wait(self) -> bool:
        """Wait for bytes, orders or the engine's wake. True if the port has bytes, or is gone: a read tells which."""
        now_ms = self._clock.monotonic_ms()
        until_ms = now_ms + TURN_MS_MAX
        if self._port is None:
            until_ms = min(until_ms, self._reopen_at_ms)
        elif self._wake_at_ms is not None:
            until_ms = min(until_ms, self._wake_at_ms)
        poller = select.poll()
        poller.register(self._wake_read, select.POLLIN)
        if self._port is not None:
            poller.register(self._port.fileno(), select.POLLIN | (select.POLLOUT if self._out else 0))
        events = dict(poller.poll(max(until_ms - now_ms, WAKE_MS_MIN)))
        if self._wake_read in events:
            os.read(self._wake_read, READ_BYTES_MAX)
        return self._port is not None and bool(events.get(self._port.fileno(), 0) & ~select.POLLOUT)

    def _open(self, now_ms: int) -> None:
        try:
            self._port = open_port(self._line)
        except (OSError, termios.error, ValueError) as refused:  # SerialException is an OSError
            self._count("open-failed")
            self._lose(_reason(refused))
            return
        self._count("opened")
        self._known_lost = False
        self._opened_at_ms = now_ms
        self._engine.opened(now_ms)

    def _read(self) -> None:
        assert self._port is not None
        try:
            data = os.read(self._port.fileno(), READ_BYTES_MAX)
        except OSError as error:  # EAGAIN too: poll(2) had said that there is something
            raise _PortGoneError(_reason(error)) from error
        if not data:
            raise _PortGoneError("the port hung up")
        self._count("bytes-in", len(data))
        now_ms = self._clock.monotonic_ms()
        self._tap("in", data, now_ms)
        self._engine.received(data, now_ms)

    def _take_orders(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                device, order = self._waiting.popleft()
                handed = self._port is not None
                self._unanswered[device, order.order] = handed
            if handed:
                self._engine.order(device, order, self._clock.monotonic_ms())
            else:
                self._emit(Outcome(device, order.order, Result.REFUSED, f"port {self.name!r} is away"))

    def _take_turn(self, now_ms: int) -> None:
        turn = self._engine.poll(now_ms)
        self._wake_at_ms = turn.wake_at_ms
        for signal in turn.signals:
            self._emit(signal)
        if not turn.write:
            return
        if len(self._out) + len(turn.write) > WRITE_WAITING_BYTES_MAX:
            raise _PortGoneError(f"{WRITE_WAITING_BYTES_MAX} bytes wait to be written")
        if not self._out:
            self._out_moved_at_ms = now_ms
        self._out += turn.write

    def _write(self) -> None:
        """Write what the port takes now, and no more than one chunk."""
        if self._port is None or not self._out:
            return
        now_ms = self._clock.monotonic_ms()
        try:
            written = os.write(self._port.fileno(), self._out[:WRITE_CHUNK_BYTES])
        except BlockingIOError:
            written = 0
        except OSError as error:
            raise _PortGoneError(_reason(error)) from error
        if written:
            self._tap("out", bytes(self._out[:written]), now_ms)
            del self._out[:written]
            self._out_moved_at_ms = now_ms
            self._count("bytes-out", written)
        elif now_ms - self._out_moved_at_ms > WRITE_STALL_MS_MAX:
            self._count("write-stalled")
            raise _PortGoneError(f"the port took no byte for {WRITE_STALL_MS_MAX} ms")

    def _emit(self, signal: Signal) -> None:
        assert self._sink is not None
        if isinstance(signal, Outcome):
            with self._lock:
                asked = self._unanswered.pop((signal.device, signal.order), None) is not None
            if not asked:
                self._count("outcomes-unasked")
                return
        self._sink(signal)

    def _lose(self, why: str) -> None:
        """Close the port, tell the engine once, and plan when to try again."""
        now_ms = self._clock.monotonic_ms()
        # A port that opens and dies at once is not reopened in a tight loop; one that held for long starts afresh.
        if self._port is not None and now_ms - self._opened_at_ms >= REOPEN_MS_MAX:
            self._reopen_wait_ms = REOPEN_MS_FIRST
        self._let_go()
        if not self._known_lost:
            self._known_lost = True
            self._count("lost")
            self._engine.lost(now_ms, why)
            for signal in self._engine.poll(now_ms).signals:
                self._emit(signal)
        self._answer_rest(why)
        self._reopen_at_ms = now_ms + round(self._reopen_wait_ms * self._jitter.uniform(0.75, 1.0))
        self._reopen_wait_ms = min(self._reopen_wait_ms * 2, REOPEN_MS_MAX)

    def _answer_rest(self, why: str) -> None:
        """Answer what the engine left open. What it was given may have acted; what still waits here has not."""
        with self._lock:
            handed = [key for key, given in self._unanswered.items() if given]
            waiting = [(device, order.order) for device, order in self._waiting] if self._shut else []
            if waiting:
                self._waiting.clear()  # nothing is added any more
        for device, order in handed:
            self._count("orders-left-open")
            self._emit(Outcome(device, order, Result.UNKNOWN, why))
        for device, order in waiting:
            self._emit(Outcome(device, order, Result.REFUSED, why))

    def _give_up(self, why: str) -> None:
        """The engine or the sink has a bug: say so for every device, without asking the engine again."""
        with self._lock:
            self._shut = True
        # The sink itself may be what raised; `failed` is kept, and the watchdog starves, either way.
        with contextlib.suppress(Exception):
            self._answer_rest(f"driver failed: {why}")
            for device in self._devices:
                self._emit(Health(device, up=False, why=f"driver failed: {why}"))

    def _let_go(self) -> None:
        if self._port is not None:
            close_port(self._port)
        self._port = None
        self._out.clear()
        self._wake_at_ms = None


def _reason(error: BaseException) -> str:
    """One line for a person, without Python's decoration."""
    return str(error.args[-1] if error.args else type(error).__name__)
