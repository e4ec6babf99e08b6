"""The other end of a serial cable: a simulated device behind a pseudo-terminal, and a cable that can go wrong.

`PtyPeer` runs any `SimulatedSerialDevice` in a thread of its own and offers it under a path that stays the same while
the terminal behind it comes and goes, as /dev/serial/by-id does. The device knows neither threads nor terminals: what
it sends is asked of it, and whoever changes it from outside does so inside `changing()`.

Unlike a real port, a pseudo-terminal that nobody reads fills up. What does not fit is dropped and counted, as a line
drops what nobody listens to.
"""

import contextlib
import fcntl
import os
import random
import select
import termios
import threading
import tty
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, Self

from drivers.api import Clock
from drivers.links.monotonic import Monotonic

TURN_MS_MAX: Final = 100
READ_BYTES_MAX: Final = 4096
CHUNKS_ON_CABLE_MAX: Final = 16_384
"""Pieces that a slow cable holds in one direction; what comes on top is dropped and counted."""
CLOSE_MS_MAX: Final = 5_000
BYTE_GAP_MS: Final = 1
GARBAGE_BYTES_MAX: Final = 8


class SimulatedSerialDevice(Protocol):
    """The far end of a serial line, without I/O: time is an argument and never goes back."""

    def received(self, data: bytes, now_ms: int) -> None: ...

    def poll(self, now_ms: int) -> tuple[bytes, int | None]:
        """What it sends now, and when to ask again even if nothing happens (None: only when something does)."""


@dataclass(frozen=True, slots=True)
class Cable:
    """What one cable does to the bytes of both directions. The faults add up; none: a perfect cable."""

    one_byte_at_a_time: bool = False
    loss: float = 0.0
    """Share of the bytes that vanish, 0..1."""
    garbage: float = 0.0
    """Chance, before each piece that a side sent at once, that up to `GARBAGE_BYTES_MAX` random bytes are heard."""
    delay_ms: int = 0


PERFECT: Final = Cable()


@dataclass(slots=True)
class _Direction:
    """One direction of the cable: pieces of bytes, each with the moment at which it comes out."""

    random: random.Random
    pieces: deque[tuple[int, bytes]] = field(default_factory=deque)
    dropped: int = 0

    def put(self, data: bytes, cable: Cable, now_ms: int) -> None:
        if not data:
            return
        if cable.garbage and self.random.random() < cable.garbage:
            data = self.random.randbytes(self.random.randint(1, GARBAGE_BYTES_MAX)) + data
        if cable.loss:
            data = bytes(byte for byte in data if self.random.random() >= cable.loss)
        at_ms = now_ms + cable.delay_ms
        if self.pieces:
            at_ms = max(at_ms, self.pieces[-1][0])  # bytes never overtake each other
        pieces = [data[i : i + 1] for i in range(len(data))] if cable.one_byte_at_a_time else [data]
        for number, piece in enumerate(pieces):
            if len(self.pieces) >= CHUNKS_ON_CABLE_MAX:
                self.dropped += len(piece)
            else:
                self.pieces.append((at_ms + number * BYTE_GAP_MS, piece))

    def take(self, now_ms: int) -> Iterator[bytes]:
        while self.pieces and self.pieces[0][0] <= now_ms:
            yield self.pieces.popleft()[1]

    @property
    def next_at_ms(self) -> int | None:
        return self.pieces[0][0] if self.pieces else None


class PtyPeer:
    """Runs `device` behind a pseudo-terminal that is reached under `path`, a symbolic link. Starts plugged in.

    `cable` may be exchanged at any time. What a bug in the device raises is kept in `failed` and raised by `close()`.
    """

    def __init__(
        self,
        device: SimulatedSerialDevice,
        path: Path,
        *,
        cable: Cable = PERFECT,
        seed: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.device = device
        self.path = path
        self.cable = cable
        self.failed: Exception | None = None
        self._clock = clock or Monotonic()
        self._seed = seed
        self._lock = threading.RLock()
        self._closing = False
        self._master, self._slave = -1, -1
        self._to_device = _Direction(random.Random(seed))  # noqa: S311 - faults must be repeatable, not secret
        self._to_host = _Direction(random.Random(seed + 1))  # noqa: S311 - likewise
        self._dropped = 0
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.plug_in()
        self._thread = threading.Thread(target=self._run, name=f"pty-{path.name}", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Bytes that nobody read in time."""
        return self._dropped + self._to_device.dropped + self._to_host.dropped

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the device still while it is changed or looked at from another thread; then let it react."""
        with self._lock:
            yield
        self._wake()

    def unplug(self) -> None:
        """Pull the cable: the port hangs up and its path is gone. Twice is once."""
        with self._lock:
            if self._master < 0:
                return
            self.path.unlink(missing_ok=True)
            os.close(self._master)
            os.close(self._slave)
            self._master, self._slave = -1, -1
            self._to_device.pieces.clear()
            self._to_host.pieces.clear()
        self._wake()

    def plug_in(self) -> None:
        """Offer the device under `path` (again). Twice is once."""
        with self._lock:
            if self._master >= 0 or self._closing:
                return
            self._master, self._slave = os.openpty()
            tty.setraw(self._slave)  # until a host configures it, nothing is echoed back to the device
            os.set_blocking(self._master, False)
            fresh = self.path.with_name(f".{self.path.name}.new")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(os.ttyname(self._slave))
            fresh.replace(self.path)
        self._wake()

    def close(self) -> None:
        """Unplug for good and stop the thread. Twice is once."""
        self.unplug()
        with self._lock:
            already, self._closing = self._closing, True
        if already:
            return
        self._wake()
        self._thread.join(CLOSE_MS_MAX / 1000)
        assert not self._thread.is_alive(), f"the peer at {self.path} did not stop within {CLOSE_MS_MAX} ms"
        with self._lock:
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_write = -1
        if self.failed is not None:
            raise self.failed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wake(self) -> None:
        # A full pipe has woken the thread already.
        with self._lock, contextlib.suppress(BlockingIOError):
            if self._wake_write >= 0:
                os.write(self._wake_write, b"!")

    def _run(self) -> None:
        wait_ms: int = TURN_MS_MAX
        while not self._closing:
            self._wait(wait_ms)
            with self._lock:
                try:
                    wait_ms = self._turn()
                except Exception as bug:  # noqa: BLE001 - raised again by close(), in a thread that somebody watches
                    self.failed = bug
                    return

    def _wait(self, wait_ms: int) -> None:
        poller = select.poll()
        poller.register(self._wake_read, select.POLLIN)
        with self._lock:
            if self._master >= 0:
                poller.register(self._master, select.POLLIN)
        if any(fd == self._wake_read for fd, _ in poller.poll(wait_ms)):
            os.read(self._wake_read, READ_BYTES_MAX)

    def _turn(self) -> int:
        """Move what is due across the cable in both directions; returns how long nothing else is due."""
        now_ms = self._clock.monotonic_ms()
        self._to_device.put(self._hear(), self.cable, now_ms)
        for piece in self._to_device.take(now_ms):
            self.device.received(piece, now_ms)
        data, wake_at_ms = self.device.poll(now_ms)
        self._to_host.put(data, self.cable, now_ms)
        for piece in self._to_host.take(now_ms):
            self._say(piece)
        due_ms = [at for at in (wake_at_ms, self._to_device.next_at_ms, self._to_host.next_at_ms) if at is not None]
        return max(1, min([TURN_MS_MAX, *(at - now_ms for at in due_ms)]))

    def _hear(self) -> bytes:
        if self._master < 0:
            return b""
        # We hold the slave end too, so the mark of exclusive use would outlive a host that was killed.
        with contextlib.suppress(OSError, termios.error):
            fcntl.ioctl(self._slave, termios.TIOCNXCL)
        try:
            return os.read(self._master, READ_BYTES_MAX)
        except BlockingIOError:
            return b""

    def _say(self, piece: bytes) -> None:
        written = 0
        if self._master >= 0:
            with contextlib.suppress(BlockingIOError):
                written = os.write(self._master, piece)
        self._dropped += len(piece) - written
