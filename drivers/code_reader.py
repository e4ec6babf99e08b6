"""Readers of QR and bar codes on a serial port that say a code as one line of text. One reader a port.

A reader is silent by nature: whether it is there, only its port can say. What it says is judged line by line: at most
`LINE_CHARS_MAX` printable ASCII characters; a line with anything else, or a longer one, is counted and skipped whole,
as half a code may look like another code.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from drivers.api import (
    Code,
    DeviceSpec,
    Health,
    OptionFault,
    Order,
    Outcome,
    PortSpec,
    Result,
    SerialEngine,
    SerialTurn,
)
from drivers.api import Signal as Heard
from drivers.options import Options, nearest, read_line

LINE_CHARS_MAX: Final = 128
IDLE_MS: Final = 500
"""A line that is not finished so long after its last byte is forgotten: its end was lost, or it was noise."""
REPEAT_MS: Final = 1_500
"""A code that is seen again before it was gone for so long is one read."""
REPEAT_MS_MAX: Final = 60_000
SIGNALS_MAX: Final = 64
"""Codes in one piece of input; a reader that says more at once is broken."""
ENDS: Final = {"cr": b"\r", "crlf": b"\r\n", "lf": b"\n"}
MODELS: Final = ("generic-line",)


class CodeReaderEngine:
    """`drivers.api.SerialEngine` for one reader."""

    def __init__(self, device: str, end: bytes, repeat_ms: int) -> None:
        self.counters: dict[str, int] = {}
        self._device = device
        self._end = end
        self._repeat_ms = repeat_ms
        self._line = bytearray()
        self._skipping = ""  # what to count when the end of a bad line comes
        self._heard_ms = 0
        self._last: tuple[str, int] | None = None  # the code read before, and when it was last seen
        self._up: bool | None = None
        self._signals: list[Heard] = []

    def opened(self, now_ms: int) -> None:
        self._forget()
        self._last = None
        if self._up is not True:
            self._up = True
            self._signals.append(Health(self._device, up=True))

    def lost(self, now_ms: int, why: str) -> None:
        self._forget()
        if self._up is not False:
            self._up = False
            self._signals.append(Health(self._device, up=False, why=why))

    def received(self, data: bytes, now_ms: int) -> None:
        self._forget_stale(now_ms)
        self._heard_ms = now_ms
        for byte in data:
            if byte in b"\r\n" and not self._pending():
                continue  # an empty line, or the second half of a longer end than was configured
            self._line.append(byte)
            if self._line.endswith(self._end):
                self._finish(bytes(self._line[: -len(self._end)]), now_ms)
            elif len(self._line) >= LINE_CHARS_MAX + len(self._end):
                self._skip("lines-too-long")
            elif not (0x20 <= byte <= 0x7E or byte in self._end):
                self._skip("lines-dirty")

    def order(self, device: str, order: Order, now_ms: int) -> None:
        why = f"a code reader cannot {type(order).__name__.lower()}"
        self._signals.append(Outcome(device, order.order, Result.REFUSED, why))

    def poll(self, now_ms: int) -> SerialTurn:
        self._forget_stale(now_ms)
        turn = SerialTurn(
            signals=tuple(self._signals), wake_at_ms=self._heard_ms + IDLE_MS if self._pending() else None
        )
        self._signals.clear()
        return turn

    def _pending(self) -> bool:
        return bool(self._line or self._skipping)

    def _finish(self, line: bytes, now_ms: int) -> None:
        skipped = self._skipping
        self._line.clear()
        self._skipping = ""
        if not skipped and any(byte in self._end for byte in line):
            skipped = "lines-dirty"  # a piece of the line's end in its middle
        if skipped:
            self._count(skipped)
        else:
            self._read(line.decode("ascii"), now_ms)

    def _read(self, text: str, now_ms: int) -> None:
        again = self._last is not None and self._last[0] == text and now_ms - self._last[1] < self._repeat_ms
        self._last = (text, now_ms)
        if again:
            self._count("codes-repeated")
        elif len(self._signals) >= SIGNALS_MAX:
            self._count("codes-dropped")
        else:
            self._count("codes")
            self._signals.append(Code(self._device, text))

    def _skip(self, why: str) -> None:
        """Go on to the end of the line; of what is skipped only enough is kept to see that end."""
        self._skipping = self._skipping or why
        del self._line[: -len(self._end)]

    def _forget_stale(self, now_ms: int) -> None:
        if self._pending() and now_ms - self._heard_ms >= IDLE_MS:
            self._count("lines-unfinished")
            self._forget()

    def _forget(self) -> None:
        self._line.clear()
        self._skipping = ""

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1


class CodeReaderFamily:
    """`drivers.api.Family`. Options of a device: `end` of a line ("cr", "crlf", "lf"), `repeat_ms`."""

    name = "code-reader"
    link: Literal["serial", "mqtt"] = "serial"
    models: Sequence[str] = MODELS

    def check(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> list[OptionFault]:
        faults: list[OptionFault] = []
        read_line(port, faults)
        faults += [OptionFault(f"devices.{d.name}.port", f"{port.name!r} has a reader already") for d in devices[1:]]
        for device in devices:
            if device.model not in MODELS:
                hint = nearest(device.model, MODELS)
                faults.append(OptionFault(f"devices.{device.name}.model", f"{device.model!r} is no model", hint))
            self._options(device, faults)
        return faults

    def capabilities(self, device: DeviceSpec) -> Mapping[str, frozenset[str]]:
        return {"": frozenset({"code"})}

    def engine(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> SerialEngine:
        (device,) = devices
        faults: list[OptionFault] = []
        engine = CodeReaderEngine(device.name, *self._options(device, faults))
        assert not faults, faults
        return engine

    def _options(self, device: DeviceSpec, faults: list[OptionFault]) -> tuple[bytes, int]:
        options = Options(f"devices.{device.name}", device.options, faults)
        end = ENDS[options.one_of("end", "cr", ENDS)]
        repeat_ms = options.integer("repeat_ms", REPEAT_MS, 0, REPEAT_MS_MAX, "ms")
        options.finish()
        return end, repeat_ms


family = CodeReaderFamily()
