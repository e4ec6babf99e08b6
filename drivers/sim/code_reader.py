"""A simulated code reader: says what is shown to it, and nothing else."""

from dataclasses import dataclass, field
from typing import Final

SAY_BYTES_MAX: Final = 65_536


@dataclass(slots=True)
class SimulatedReader:
    """Implements `drivers.sim.pty.SimulatedSerialDevice`; a `PtyPeer` offers `changing()` for other threads."""

    end: bytes = b"\r"
    blind: bool = False
    """Reads nothing of what is shown to it."""
    shown: int = 0
    heard: bytearray = field(default_factory=bytearray)
    """The last bytes that a host said to it; there should be none."""
    _out: bytearray = field(default_factory=bytearray)

    def show(self, code: str) -> None:
        """A driver holds a code before the reader."""
        self.shown += 1
        if not self.blind:
            self.say(code.encode("utf-8") + self.end)

    def say(self, data: bytes) -> None:
        """Bytes as they are: noise, half a line, too long a line."""
        self._out += data[: SAY_BYTES_MAX - len(self._out)]

    def received(self, data: bytes, now_ms: int) -> None:
        self.heard = (self.heard + data)[-SAY_BYTES_MAX:]

    def poll(self, now_ms: int) -> tuple[bytes, int | None]:
        data = bytes(self._out)
        self._out.clear()
        return data, None
