"""A line of simulated Modbus modules under simulated time, for the tests of the family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from drivers.api import DeviceSpec, Input, Outcome, PortSpec, Pulse, Quality, Result, Signal
from drivers.codecs.modbus_rtu import WriteCoil
from drivers.modbus_io import family, profiles
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
        self.engine = family.engine(PORT, self.devices)
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


def adam() -> World:
    return World([device(model=ADAM, **ADAM_TIMED)])
