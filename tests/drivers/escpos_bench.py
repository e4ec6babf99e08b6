"""The printer driver and the simulated printer on one line, under simulated time. Shared by the tests of the driver."""

from drivers.api import (
    DeviceSpec,
    Health,
    Order,
    Outcome,
    Paper,
    PortSpec,
    Print,
    PrinterStatus,
    Qr,
    Result,
    Signal,
    Text,
)
from drivers.escpos import family
from drivers.sim.escpos import SimulatedPrinter

EPSON, CUSTOM = "epson-tm-t88", "custom-kpm216"
BAUD = 9_600
UP_MS = 1_500
"""By then a printer that answers is up and ready for its first job."""


class Bench:
    """An engine and a printer on a line of `BAUD`. Time jumps from event to event, so a missing wake shows."""

    def __init__(self, model: str, printer: SimulatedPrinter | None = None) -> None:
        port = PortSpec("line", "serial", {"path": "/dev/ttyS0", "baud": BAUD})
        self.engine = family.engine(port, [DeviceSpec("printer", "escpos", model, "line")])
        self.printer = printer or SimulatedPrinter(model)
        self.now_ms = 0
        self.signals: list[Signal] = []
        self.sent = bytearray()
        self.lost_bytes: set[int] = set()
        """Of what the printer says, counted from the first."""
        self.said = 0
        self._to_printer: list[tuple[int, bytes]] = []
        self._to_host: list[tuple[int, bytes]] = []
        self.engine.opened(0)

    def run(self, ms: int) -> "Bench":
        until_ms = self.now_ms + ms
        while True:
            next_ms = min(self._turn(), until_ms)
            if next_ms <= self.now_ms:
                return self
            self.now_ms = next_ms

    def _turn(self) -> int:
        for at_ms, data in [due for due in self._to_host if due[0] <= self.now_ms]:
            self._to_host.remove((at_ms, data))
            self.engine.received(data, self.now_ms)
        turn = self.engine.poll(self.now_ms)
        self.signals += turn.signals
        if turn.write:
            self.sent += turn.write
            self._to_printer.append((self.now_ms + len(turn.write) * 10_000 // BAUD + 1, turn.write))
        for at_ms, data in [due for due in self._to_printer if due[0] <= self.now_ms]:
            self._to_printer.remove((at_ms, data))
            self.printer.received(data, self.now_ms)
        data, printer_ms = self.printer.poll(self.now_ms)
        heard = bytes(byte for at, byte in enumerate(data, start=self.said) if at not in self.lost_bytes)
        self.said += len(data)
        if heard:
            self._to_host.append((self.now_ms + 2, heard))
        at = [due[0] for due in (*self._to_host, *self._to_printer)]
        return min([*at, *(wake for wake in (turn.wake_at_ms, printer_ms) if wake is not None)], default=10**9)

    def order(self, order: Order) -> "Bench":
        self.engine.order("printer", order, self.now_ms)
        return self

    def print(self, name: str, in_ms: int = 5_000) -> "Bench":
        return self.order(Print(name, (Text(name, big=True), Text("line"), Qr(f"CODE-{name}")), self.now_ms + in_ms))

    def outcomes(self, order: str) -> list[tuple[Result, str]]:
        return [(s.result, s.detail) for s in self.signals if isinstance(s, Outcome) and s.order == order]

    def statuses(self) -> list[PrinterStatus]:
        return [s for s in self.signals if isinstance(s, PrinterStatus)]

    def papers(self) -> list[tuple[str, str]]:
        return [(s.order, s.what) for s in self.signals if isinstance(s, Paper)]

    def healths(self) -> list[bool]:
        return [s.up for s in self.signals if isinstance(s, Health)]

    def codes(self) -> list[str]:
        return [code for document in self.printer.printed for code in document.codes]


def up(model: str = EPSON, printer: SimulatedPrinter | None = None) -> Bench:
    bench = Bench(model, printer).run(UP_MS)
    assert bench.healths() == [True], bench.signals
    return bench
