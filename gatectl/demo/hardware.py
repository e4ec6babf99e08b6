"""The demo's plant: simulated devices on real pseudo-terminals and a real broker, and the site file that describes them.

Three entry lanes and two exit lanes. IN-1 and IN-2 are Modbus I/O modules with kiosk printers, IN-3 is built from Shelly
relays with a desk printer, OUT-1 and OUT-2 share one RS-485 line and have readers and payment terminals; OUT-2 has a third loop.
"""

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drivers.modbus_io import profiles
from drivers.sim.broker import Broker
from drivers.sim.code_reader import SimulatedReader
from drivers.sim.escpos import Printed, SimulatedPrinter
from drivers.sim.modbus_io import SimulatedLine, SimulatedModule
from drivers.sim.pay_mqtt import SimulatedTerminal, TerminalTwin
from drivers.sim.pty import PtyPeer
from drivers.sim.shelly import Act, ShellyTwin, SimulatedShelly

INPUTS: Final = ("arming", "closing", "button", "arm_up", "arm_down", "reset")
"""Role to input number on a Modbus module: its place here."""
SHELLY_INPUTS: Final = {
    "arming": ("i4", 0),
    "closing": ("i4", 1),
    "button": ("i4", 2),
    "arm_up": ("relay", 0),
    "arm_down": ("relay", 1),
}
NORMALLY_CLOSED: Final = frozenset({"closing", "reset"})
"""Wired so that a broken wire reads as a vehicle under the arm."""
OUTPUTS: Final = ("open", "close")
SENSE_MS: Final = 60
"""Real ms that a contact must last for every simulated device to pass it on."""
_NUMBER: Final = re.compile(r"\d{6,}-[0-9A-Z]{4}")

Pulsed = Callable[[str, str], None]
"""(lane, verb): an output of the controller closed. Called from the device's thread."""
Presented = Callable[[str, bool], None]
"""(lane, holds): a ticket can be pulled, or no longer. Called from the printer's thread."""


class WatchedPrinter:
    """A simulated printer that says when a ticket can be pulled."""

    def __init__(self, printer: SimulatedPrinter, changed: Callable[[bool], None]) -> None:
        self.printer = printer
        self._changed = changed
        self._holds = False
        self._printed = 0
        self._waiting: Printed | None = None

    def received(self, data: bytes, now_ms: int) -> None:
        self.printer.received(data, now_ms)
        self._look()

    def poll(self, now_ms: int) -> tuple[bytes, int | None]:
        turn = self.printer.poll(now_ms)
        self._look()
        return turn

    def take(self) -> Printed | None:
        """Pull the newest ticket, from the mouth or off the cutter."""
        if self.printer.custom:
            taken = self.printer.take()
        else:
            taken, self._waiting = self._waiting, None
        self._look()
        return taken

    def _look(self) -> None:
        if not self.printer.custom and len(self.printer.printed) != self._printed:
            self._printed = len(self.printer.printed)
            self._waiting = self.printer.printed[-1]
        holds = (self.printer.mouth if self.printer.custom else self._waiting) is not None
        if holds != self._holds:
            self._holds = holds
            self._changed(holds)


@dataclass(slots=True)
class Plant:
    """Satisfies gatectl.world.lanes.Hardware. Everything is closed with `close`."""

    folder: Path
    pulsed: Pulsed
    presented: Presented
    numbers: dict[str, str] = field(default_factory=dict)
    """Ticket code to the number printed beside it."""
    broker: Broker = field(init=False)
    _modules: dict[str, tuple[PtyPeer, SimulatedModule]] = field(default_factory=dict)
    _printers: dict[str, tuple[PtyPeer, WatchedPrinter]] = field(default_factory=dict)
    _readers: dict[str, tuple[PtyPeer, SimulatedReader]] = field(default_factory=dict)
    _shellies: dict[tuple[str, str], SimulatedShelly] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.broker = self._stack.enter_context(Broker(self.folder / "broker"))
        self._line("rs485-in1", {"IN-1": 1})
        self._line("rs485-in2", {"IN-2": 1})
        self._line("rs485-out", {"OUT-1": 1, "OUT-2": 2})
        self._printer("IN-1", "custom-kpm216")
        self._printer("IN-2", "custom-kpm216")
        self._printer("IN-3", "epson-tm-t88")
        for lane in ("OUT-1", "OUT-2"):
            reader = SimulatedReader()
            self._readers[lane] = (self._pty(f"reader-{lane}", reader), reader)
            twin = TerminalTwin(f"gatectl/term-{lane}")
            terminal = SimulatedTerminal(f"sim-term-{lane}", twin, self.broker.options)
            terminal.power_on()
            self._stack.callback(terminal.power_off)
        self._shelly("IN-3", "i4", 4, 0)
        self._shelly("IN-3", "relay", 2, 2)

    def close(self) -> None:
        self._stack.close()

    # -- building --------------------------------------------------------------------------------------------------

    def _pty(self, name: str, device: object) -> PtyPeer:
        return self._stack.enter_context(PtyPeer(device, self.folder / name))  # type: ignore[arg-type]  # each is one

    def _line(self, name: str, lanes: dict[str, int]) -> None:
        profile = profiles()["waveshare-io-8ch"]
        modules = {}
        for lane, address in lanes.items():
            modules[lane] = SimulatedModule(profile, address, self._on_output(lane))
        peer = self._pty(name, SimulatedLine(list(modules.values())))
        self._modules.update({lane: (peer, module) for lane, module in modules.items()})

    def _on_output(self, lane: str) -> Callable[[int, bool, int], None]:
        def changed(output: int, on: bool, now_ms: int) -> None:
            if on:
                self.pulsed(lane, OUTPUTS[output])

        return changed

    def _printer(self, lane: str, model: str) -> None:
        printer = SimulatedPrinter(model=model, line_ms=1, cut_ms=10, present_ms=20)
        watched = WatchedPrinter(printer, lambda holds: self.presented(lane, holds))
        self._printers[lane] = (self._pty(f"printer-{lane}", watched), watched)

    def _shelly(self, lane: str, part: str, inputs: int, outputs: int) -> None:
        def acted(act: Act) -> None:
            if act.on:
                self.pulsed(lane, OUTPUTS[act.output])

        shelly = SimulatedShelly(ShellyTwin(f"shelly-{part}", inputs, outputs, acted), self.broker.options)
        shelly.power_on()
        self._stack.callback(shelly.power_off)
        self._shellies[lane, part] = shelly

    # -- what the street does ---------------------------------------------------------------------------------------

    def contact(self, lane: str, role: str, on: bool) -> None:
        closed = on != (role in NORMALLY_CLOSED)
        if lane in self._modules:
            peer, module = self._modules[lane]
            with peer.changing():
                module.inputs[INPUTS.index(role)] = closed
        elif role in SHELLY_INPUTS:
            part, number = SHELLY_INPUTS[role]
            self._shellies[lane, part].set_input(number, closed)

    def take_ticket(self, lane: str) -> str | None:
        peer, printer = self._printers[lane]
        with peer.changing():
            paper = printer.take()
        if paper is None or not paper.codes:
            return None
        found = _NUMBER.search(paper.text)
        if found:
            self.numbers[paper.codes[0]] = found.group()
        return paper.codes[0]

    def read_code(self, lane: str, code: str) -> None:
        peer, reader = self._readers[lane]
        with peer.changing():
            reader.show(code)

    # -- the site file ----------------------------------------------------------------------------------------------

    def site_file(self, office: str, spots: int) -> str:
        """The configuration of this plant, for a site that reports to `office`."""
        lines = [_HEAD.format(office=office, compact=spots, port=self.broker.port)]
        lines += [_serial(name, self.folder / name, baud) for name, baud in _PORTS.items()]
        lines += [_module(lane, port, address, lane == "OUT-2") for lane, (port, address) in _MODULES.items()]
        lines += [_SHELLIES]
        for lane in ("IN-1", "IN-2", "IN-3"):
            model = "epson-tm-t88" if lane == "IN-3" else "custom-kpm216"
            lines.append(_device(f"printer-{lane}", "escpos", model, f"printer-{lane}"))
        for lane in ("OUT-1", "OUT-2"):
            lines.append(
                _device(f"reader-{lane}", "code-reader", "generic-line", f"reader-{lane}", "repeat_ms = 200\n")
            )
            lines.append(_device(f"term-{lane}", "pay-mqtt", "terminal", "broker"))
        lines += [_lane("IN-1", "entry", "two-loop"), _lane("IN-2", "entry", "two-loop"), _SHELLY_LANE + _TIMING]
        lines += [_lane("OUT-1", "exit", "two-loop"), _lane("OUT-2", "exit", "three-loop")]
        return "\n".join(lines)


_PORTS: Final = {
    "rs485-in1": 115_200,
    "rs485-in2": 115_200,
    "rs485-out": 115_200,
    "printer-IN-1": 115_200,
    "printer-IN-2": 115_200,
    "printer-IN-3": 115_200,
    "reader-OUT-1": 9_600,
    "reader-OUT-2": 9_600,
}
_MODULES: Final = {
    "IN-1": ("rs485-in1", 1),
    "IN-2": ("rs485-in2", 1),
    "OUT-1": ("rs485-out", 1),
    "OUT-2": ("rs485-out", 2),
}
_HEAD: Final = """\
[site]
id = "demo-01"
name = "Demo Garage"
timezone = "Europe/London"
currency = "GBP"

[office]
url = "{office}"

[[areas]]
id = "main"
name = "Main"
levels = [
  {{ level = 0, spots = [{{ type = "COMPACT", count = {compact} }}, {{ type = "HANDICAPPED", count = 6 }}] }},
  {{ level = 1, spots = [{{ type = "LARGE", count = {compact} }}, {{ type = "ELECTRIC", count = 8 }}] }},
]

[[tariffs]]
id = "demo-2026"
effective_from = 2026-01-01T00:00:00Z
kind = "hourly"
base_minor = 50
per_hour_minor = 600
step_minutes = 5
daily_cap_minor = 2400
entry_grace_minutes = 2
exit_grace_minutes = 10
lost_ticket_minor = 2400

[ports.broker]
kind = "mqtt"
host = "127.0.0.1"
port = {port}
topic_prefix = "gatectl"
"""
_SHELLIES: Final = """\
[devices.shelly-i4]
driver = "shelly"
model = "plus-i4"
port = "broker"
id = "shelly-i4"
[devices.shelly-i4.inputs]
di0 = { shortest_ms = 60, clear_after_ms = 30 }
di1 = { shortest_ms = 60, clear_after_ms = 30, polarity = "normally-closed", fail_safe = true }
di2 = { shortest_ms = 60, mode = "pulse" }

[devices.shelly-relay]
driver = "shelly"
model = "plus-2pm"
port = "broker"
id = "shelly-relay"
inputs = { di0 = { shortest_ms = 60, clear_after_ms = 30 }, di1 = { shortest_ms = 60, clear_after_ms = 30 } }
"""
_SHELLY_LANE: Final = """\
[[lanes]]
id = "IN-3"
kind = "entry"
layout = "two-loop"
area = "main"
[lanes.wiring]
arming = "shelly-i4/di0"
closing = "shelly-i4/di1"
button = "shelly-i4/di2"
arm_up = "shelly-relay/di0"
arm_down = "shelly-relay/di1"
open = "shelly-relay/do0"
close = "shelly-relay/do1"
printer = "printer-IN-3"
"""


_TIMING: Final = """\
[lanes.pulses]
open_ms = 100
close_ms = 100
[lanes.timing]
print_ms = 60000
arm_ms = 40000
pass_ms = 60000
start_ms = 60000
"""
"""Printers and buses take their real time, however fast the lanes' time runs: their share of a wait must stay small."""


def _serial(name: str, path: Path, baud: int) -> str:
    return f'[ports.{name}]\nkind = "serial"\npath = "{path}"\nbaud = {baud}\n'


def _device(name: str, driver: str, model: str, port: str, more: str = "") -> str:
    return f'[devices.{name}]\ndriver = "{driver}"\nmodel = "{model}"\nport = "{port}"\n{more}'


def _module(lane: str, port: str, address: int, third_loop: bool) -> str:
    safe = ', polarity = "normally-closed", fail_safe = true'
    inputs = [
        f"di{number} = {{ shortest_ms = 60, clear_after_ms = 30{safe if number in (1, 5) else ''} }}"
        for number in (0, 1, 3, 4, *((5,) if third_loop else ()))
    ]
    inputs.append('di2 = { shortest_ms = 60, mode = "pulse" }')
    more = f"address = {address}\n[devices.io-{lane}.inputs]\n" + "\n".join(inputs) + "\n"
    return _device(f"io-{lane}", "modbus-io", "waveshare-io-8ch", port, more)


def _lane(lane: str, kind: str, layout: str) -> str:
    wires = {role: f"io-{lane}/di{number}" for number, role in enumerate(INPUTS)}
    if layout != "three-loop":
        del wires["reset"]
    wires |= {verb: f"io-{lane}/do{number}" for number, verb in enumerate(OUTPUTS)}
    if kind == "entry":
        wires["printer"] = f"printer-{lane}"
    else:
        del wires["button"]
        wires |= {"reader": f"reader-{lane}", "terminal": f"term-{lane}"}
    wiring = "\n".join(f'{role} = "{where}"' for role, where in wires.items())
    return f'[[lanes]]\nid = "{lane}"\nkind = "{kind}"\nlayout = "{layout}"\narea = "main"\n[lanes.wiring]\n{wiring}\n{_TIMING}'
