"""A serial port with its thread: moves bytes between a port and an engine. What there is to decide, `serial_core` does.

Rule 1: the thread waits in one place (`poll(2)`, over the port and a self-pipe) and never longer than `TURN_MS_MAX`,
        so `turns` grows whenever the thread is alive, and bytes and orders are seen as fast as the kernel wakes us.
Rule 2: nothing blocks on a peer. Writes are non-blocking, in chunks.
Rule 3: no flow control by the kernel. With it, a write held by XOFF spins and a status request cannot get out
        (measured with pyserial 3.5); XON and XOFF are bytes for the engine's parser.
Rule 4: an engine that raises has a bug. The port is closed, its devices are reported lost, `failed` says why, and
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
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import serial  # type: ignore[import-untyped] # pyserial ships no types

from drivers.api import Clock, Order, SerialEngine, Signal, Sink
from drivers.links.monotonic import Monotonic
from drivers.links.orders import LinkGone
from drivers.links.serial_core import TURN_MS_MAX, SerialCore
from drivers.options import LineOptions

WAKE_MS_MIN: Final = 1
"""An engine that asks to be woken at once still leaves the processor to others."""
READ_BYTES_MAX: Final = 4096
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
        self._clock = clock or Monotonic()
        self._tap = tap
        spread = jitter or random.Random()  # noqa: S311 - spreads reconnects, guards nothing
        self._core = SerialCore(name, engine, devices, self._tell, spread)
        self._sink: Sink | None = None
        self._thread: threading.Thread | None = None
        self._close_lock = threading.Lock()
        self._wake_read, self._wake_write = -1, -1
        self._port: serial.Serial | None = None  # the port's thread only

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
        refusal = self._core.orders.put(device, order, self._wake)
        if refusal is not None:
            self._sink(refusal)

    def counters(self) -> Mapping[str, int]:
        """The engine's counters and, prefixed `link-`, the port's own."""
        return self._core.counters()

    def close(self) -> None:
        """Stop the thread and let go of the port. Twice is once. Waiting orders are answered before it returns."""
        with self._close_lock:
            with self._core.orders.lock:
                self._core.orders.shut = True
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

    def _tell(self, signal: Signal) -> None:
        assert self._sink is not None
        self._sink(signal)

    # -- the port's thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._core.orders.shut:
                self._turn()
            self._lose("the port is closed")
        except Exception as bug:  # noqa: BLE001 - rule 4: it ends this port, is kept in `failed`, and stops the watchdog
            self.failed = traceback.format_exc()
            self._give_up(f"driver failed: {type(bug).__name__}: {bug}")
        finally:
            self._let_go()

    def _turn(self) -> None:
        self.turns += 1
        now_ms = self._clock.monotonic_ms()
        if self._port is None and now_ms >= self._core.open_at_ms:
            self._open(now_ms)
        readable = self._wait()
        try:
            if readable:
                self._read()
            self._core.turn(self._clock.monotonic_ms())
            self._write()
        except LinkGone as gone:
            self._lose(str(gone))

    def _wait(self) -> bool:
        """Wait for bytes, orders or the engine's wake. True if the port has bytes, or is gone: a read tells which."""
        now_ms = self._clock.monotonic_ms()
        until_ms = now_ms + TURN_MS_MAX
        if self._port is None:
            until_ms = min(until_ms, self._core.open_at_ms)
        elif self._core.wake_at_ms is not None:
            until_ms = min(until_ms, self._core.wake_at_ms)
        poller = select.poll()
        poller.register(self._wake_read, select.POLLIN)
        if self._port is not None:
            poller.register(self._port.fileno(), select.POLLIN | (select.POLLOUT if self._core.chunk else 0))
        events = dict(poller.poll(max(until_ms - now_ms, WAKE_MS_MIN)))
        if self._wake_read in events:
            os.read(self._wake_read, READ_BYTES_MAX)
        return self._port is not None and bool(events.get(self._port.fileno(), 0) & ~select.POLLOUT)

    def _open(self, now_ms: int) -> None:
        try:
            self._port = open_port(self._line)
        except (OSError, termios.error, ValueError) as refused:  # SerialException is an OSError
            self._core.not_opened(_reason(refused), now_ms)
            return
        self._core.opened(now_ms)

    def _read(self) -> None:
        assert self._port is not None
        try:
            data = os.read(self._port.fileno(), READ_BYTES_MAX)
        except OSError as error:  # EAGAIN too: poll(2) had said that there is something
            raise LinkGone(_reason(error)) from error
        if not data:
            raise LinkGone("the port hung up")
        now_ms = self._clock.monotonic_ms()
        self._tap("in", data, now_ms)
        self._core.received(data, now_ms)

    def _write(self) -> None:
        """Write what the port takes now, and no more than one chunk."""
        chunk = self._core.chunk
        if self._port is None or not chunk:
            return
        now_ms = self._clock.monotonic_ms()
        try:
            written = os.write(self._port.fileno(), chunk)
        except BlockingIOError:
            written = 0
        except OSError as error:
            raise LinkGone(_reason(error)) from error
        if written:
            self._tap("out", chunk[:written], now_ms)
        self._core.wrote(written, now_ms)

    def _lose(self, why: str) -> None:
        self._close_port()
        self._core.lose(why, self._clock.monotonic_ms())

    def _give_up(self, why: str) -> None:
        with self._core.orders.lock:
            self._core.orders.shut = True
        # The sink itself may be what raised; `failed` is kept, and the watchdog starves, either way.
        with contextlib.suppress(Exception):
            self._core.give_up(why)

    def _let_go(self) -> None:
        self._close_port()
        self._core.let_go()

    def _close_port(self) -> None:
        if self._port is not None:
            close_port(self._port)
        self._port = None


def _reason(error: BaseException) -> str:
    """One line for a person, without Python's decoration."""
    return str(error.args[-1] if error.args else type(error).__name__)
