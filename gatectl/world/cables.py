"""Serial cables under virtual time: bytes take their time, and a bad cable harms them; the production link is at one end.

Rule 1: a cable knows nothing of frames. What it did to them it counts, so that a run can tell harm from invention.
Rule 2: bytes of one direction never overtake each other.
Rule 3: the host's end is `drivers.links.serial_core`, as in the daemon; what is simulated is the port and the waiting.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import Final

from drivers.api import Order, SerialEngine, Sink
from drivers.codecs.modbus_rtu import crc16
from drivers.links.orders import LinkGone
from drivers.links.serial_core import TURN_MS_MAX, SerialCore
from drivers.sim.pty import SimulatedSerialDevice
from gatectl.world.kernel import Kernel

TORN: Final = 0.1
"""The share of pieces that an adapter hands over in two, on a good cable too."""
TORN_MS: Final = (1, 12)
GARBAGE_BYTES_MAX: Final = 12
FLIPS_MAX: Final = 4


@dataclass(slots=True)
class Trouble:
    """What a cable does to what is sent over it. Shares are of the pieces; all 0 and False: a good cable."""

    flip: float = 0.0
    skew: int = 0
    """The bit of this number, from the last one, is turned in everything that the device says and that has so many."""
    lose: float = 0.0
    """Single bytes vanish."""
    garbage: float = 0.0
    double: float = 0.0
    cut: float = 0.0
    """A piece ends in its middle."""
    late_ms: int = 0
    """The device's words come so much later, at most."""
    echo: bool = False
    deaf: bool = False
    """Nothing gets to the device."""
    mute: bool = False
    """Nothing gets to the host."""
    wedged: bool = False
    """The port takes no byte."""
    unplugged: bool = False


class Timer:
    """Calls `ring` at a moment that may be moved; keeps few events in the heap however often it is."""

    def __init__(self, kernel: Kernel, ring: Callable[[], None]) -> None:
        self._kernel, self._ring = kernel, ring
        self._wanted_ms: int | None = None
        self._set_ms: int | None = None

    def at(self, when_ms: int | None) -> None:
        """None: not at all."""
        self._wanted_ms = when_ms
        if when_ms is not None and (self._set_ms is None or when_ms < self._set_ms):
            self._set_ms = when_ms
            self._kernel.at(when_ms, lambda: self._due(when_ms))

    def _due(self, when_ms: int) -> None:
        if when_ms != self._set_ms:
            return
        self._set_ms = None
        wanted_ms, self._wanted_ms = self._wanted_ms, None
        if wanted_ms is not None and wanted_ms > self._kernel.now_ms:
            self.at(wanted_ms)
        elif wanted_ms is not None:
            self._ring()


class Cable:
    """`wire_ms(n)` is how long n bytes take. Each end is called with the pieces that come out at it."""

    def __init__(self, kernel: Kernel, rng: Random, wire_ms: Callable[[int], float]) -> None:
        self.trouble = Trouble()
        self.counts: dict[str, int] = {}
        self.harmed_ms = -1
        """When something was last done to bytes on their way to the device."""
        self.forged = 0
        """Pieces that were harmed, and still carry a right CRC."""
        self.at_device: Callable[[bytes], None] = lambda _: None
        self.at_host: Callable[[bytes], None] | None = None
        """None: nobody has the port open."""
        self.pulled: Callable[[str], None] = lambda _: None
        """Tells the host that its port has vanished."""
        self._kernel, self._rng, self._wire_ms = kernel, rng, wire_ms
        self._free_ms = {"device": 0.0, "host": 0.0}

    def mend(self) -> None:
        self.trouble = Trouble()

    def unplug(self) -> None:
        self.trouble.unplugged = True
        self.pulled("Input/output error")

    def to_device(self, data: bytes) -> None:
        if self.trouble.echo:
            self._carry("host", data, self._hear_host)
        if self.trouble.deaf:
            self._count("deaf")
            return
        harmed = self._harmed(data)
        if harmed != data:
            self.harmed_ms = self._kernel.now_ms
        self._carry("device", harmed, self._hear_device)

    def to_host(self, data: bytes) -> None:
        if self.trouble.mute:
            self._count("mute")
            return
        skew = self.trouble.skew
        if 0 < skew <= 8 * len(data):
            data = (int.from_bytes(data, "big") ^ 1 << skew - 1).to_bytes(len(data), "big")
            self._count("skewed")
        late_ms = self._rng.randint(0, self.trouble.late_ms) if self.trouble.late_ms else 0
        self._carry("host", self._harmed(data), self._hear_host, late_ms)

    def _carry(self, end: str, data: bytes, hear: Callable[[bytes], None], late_ms: int = 0) -> None:
        if not data:
            return
        out_ms = max(self._free_ms[end], self._kernel.now_ms + late_ms) + self._wire_ms(len(data))
        self._free_ms[end] = out_ms
        pieces = [data]
        if len(data) > 1 and self._rng.random() < TORN:
            at = self._rng.randrange(1, len(data))
            pieces = [data[:at], data[at:]]
        for number, piece in enumerate(pieces):
            at_ms = ceil(out_ms) + (self._rng.randint(*TORN_MS) if number else 0)
            self._free_ms[end] = max(self._free_ms[end], at_ms)
            self._kernel.at(at_ms, lambda piece=piece: hear(piece))  # type: ignore[misc]  # binds the loop's value

    def _hear_device(self, piece: bytes) -> None:
        if not self.trouble.unplugged:
            self.at_device(piece)

    def _hear_host(self, piece: bytes) -> None:
        if self.at_host is not None and not self.trouble.unplugged:
            self.at_host(piece)

    def _harmed(self, data: bytes) -> bytes:
        trouble, rng, good = self.trouble, self._rng, data
        if trouble.flip and rng.random() < trouble.flip:
            bits = int.from_bytes(data, "big")
            for _ in range(rng.randint(1, FLIPS_MAX)):
                bits ^= 1 << rng.randrange(8 * len(data))
            data = bits.to_bytes(len(data), "big")
            self._count("flipped")
        if trouble.lose and rng.random() < trouble.lose:
            at = rng.randrange(len(data))
            data = data[:at] + data[at + 1 :]
            self._count("lost")
        if trouble.cut and rng.random() < trouble.cut:
            data = data[: rng.randrange(len(data) + 1)]
            self._count("cut")
        if trouble.double and rng.random() < trouble.double:
            data += data
            self._count("doubled")
        if trouble.garbage and rng.random() < trouble.garbage:
            noise = rng.randbytes(rng.randint(1, GARBAGE_BYTES_MAX))
            data = noise + data if rng.random() < 0.5 else data + noise
            self._count("garbage")
        if data != good and len(data) > 3 and crc16(data[:-2]) == int.from_bytes(data[-2:], "little"):
            self.forged += 1
        return data

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


@dataclass(frozen=True, slots=True)
class Host:
    """The controller's machine while one run of the daemon lasts: `mono_ms` began at its start."""

    kernel: Kernel
    mono_ms: Callable[[], int]

    def kernel_ms(self, mono_ms: int) -> int:
        return self.kernel.now_ms + max(1, mono_ms - self.mono_ms())


class SerialEnd:
    """`drivers.api.Bus` at the host's end of a cable, for one run of the daemon."""

    def __init__(
        self, name: str, host: Host, cable: Cable, engine: SerialEngine, devices: Sequence[str], sink: Sink, rng: Random
    ) -> None:
        self.name = name
        self.turns = 0
        self.failed = ""
        self._host, self._cable, self._sink = host, cable, sink
        self._core = SerialCore(name, engine, devices, sink, rng)
        self._timer = Timer(host.kernel, self._turn)
        self._over = False

    def start(self, sink: Sink) -> None:
        self._sink = sink
        self._cable.pulled = self._lose
        self._timer.at(self._host.kernel.now_ms)

    def order(self, device: str, order: Order) -> None:
        refusal = self._core.orders.put(device, order, lambda: self._timer.at(self._host.kernel.now_ms))
        if refusal is not None:
            self._sink(refusal)

    def counters(self) -> Mapping[str, int]:
        return self._core.counters()

    def close(self) -> None:
        """The power is gone: nobody is told."""
        self._over = True
        self._timer.at(None)
        self._cable.at_host, self._cable.pulled = None, lambda _: None

    def _turn(self) -> None:
        if self._over:
            return
        self.turns += 1
        now_ms = self._host.mono_ms()
        if not self._core.is_open and now_ms >= self._core.open_at_ms:
            self._open(now_ms)
        try:
            self._core.turn(now_ms)
            self._write(now_ms)
        except LinkGone as gone:
            self._lose(str(gone))
        wanted_ms = self._core.wake_at_ms if self._core.is_open else self._core.open_at_ms
        if self._core.chunk:
            wanted_ms = min(now_ms + TURN_MS_MAX, now_ms + TURN_MS_MAX if wanted_ms is None else wanted_ms)
        self._timer.at(None if wanted_ms is None else self._host.kernel_ms(wanted_ms))

    def _open(self, now_ms: int) -> None:
        if self._cable.trouble.unplugged:
            self._core.not_opened("No such file or directory", now_ms)
        else:
            self._cable.at_host = self._hear
            self._core.opened(now_ms)

    def _write(self, now_ms: int) -> None:
        while chunk := self._core.chunk:
            if self._cable.trouble.wedged:
                self._core.wrote(0, now_ms)
                return
            self._core.wrote(len(chunk), now_ms)
            self._cable.to_device(chunk)

    def _hear(self, piece: bytes) -> None:
        self._core.received(piece, self._host.mono_ms())
        self._turn()

    def _lose(self, why: str) -> None:
        self._cable.at_host = None
        if self._core.is_open:
            self._core.lose(why, self._host.mono_ms())
            self._timer.at(self._host.kernel_ms(self._core.open_at_ms))


class DeviceEnd:
    """A simulated device at the far end. `acted` is called whenever it may have changed."""

    def __init__(
        self, kernel: Kernel, cable: Cable, device: SimulatedSerialDevice, acted: Callable[[], None] = lambda: None
    ) -> None:
        self.on = True
        self._kernel, self._cable, self._device, self._acted = kernel, cable, device, acted
        self._timer = Timer(kernel, self.turn)
        cable.at_device = self._hear

    def turn(self) -> None:
        """Let it say what it has to say."""
        data, wake_ms = self._device.poll(self._kernel.now_ms)
        if data and self.on:
            self._cable.to_host(data)
        self._timer.at(None if wake_ms is None else max(wake_ms, self._kernel.now_ms + 1))
        self._acted()

    def _hear(self, piece: bytes) -> None:
        if self.on:
            self._device.received(piece, self._kernel.now_ms)
            self.turn()
