"""A wired site: which device of which make is on which cable, the buses of one run of the daemon, and the simulated far ends.

Rule 1: options go through the drivers' own checks, and engines come out of the drivers' own families, as in the daemon.
Rule 2: the far ends outlive the daemon: what a cable and a device hold when the power goes, they hold when it is back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final

from drivers import api
from drivers.code_reader import CodeReaderFamily
from drivers.codecs.pay_json import StationReply
from drivers.codecs.shelly_rpc import RPC_ID_MAX
from drivers.escpos import EscposFamily
from drivers.modbus_io import ModbusIo, profiles
from drivers.options import line_of
from drivers.pay_mqtt import PayMqtt
from drivers.shelly import Shelly
from drivers.sim.code_reader import SimulatedReader
from drivers.sim.escpos import SimulatedPrinter
from drivers.sim.modbus_io import SimulatedLine, SimulatedModule
from drivers.sim.mqtt_device import Twin
from drivers.sim.pay_mqtt import StationTwin, TerminalTwin
from drivers.sim.shelly import Act, ShellyTwin
from gatectl.domain.ids import LaneId
from gatectl.domain.lane import LaneKind, LanePlan, Layout
from gatectl.runtime.wiring import LaneWires
from gatectl.world.cables import Cable, DeviceEnd, Host, SerialEnd
from gatectl.world.cables_lane import CabledLane, ModuleIo, PrinterPost, ReaderPost, ShellyIo
from gatectl.world.cables_mqtt import Broker, MqttEnd, takes_no_orders
from gatectl.world.cables_watch import CableWatch, Watched
from gatectl.world.chance import stream
from gatectl.world.kernel import Kernel

INPUTS: Final = 8
SHELLY_INPUTS: Final = 4
"""Of the first device; what does not fit is on a second one."""
POLL_MS: Final = 100
SHORTEST_MS: Final = 260
"""What a poll each 100 ms is sure to see."""
WATCHDOG_MS: Final = 1_000
PULSE_MS: Final = {"open": 500, "close": 500, "stop": 500}
BROKER: Final = api.PortSpec("broker", "mqtt", {"host": "127.0.0.1"})
STATION: Final = "station-1"
OUTPUTS: Final = ("open", "close", "stop")
BAUD: Final = {"rs485": 38_400, "printer": 115_200, "reader": 9_600}


@dataclass(slots=True)
class Port:
    """A serial port of the controller, the devices on it and the cable that leads to them."""

    spec: api.PortSpec
    family: api.Family
    devices: list[api.DeviceSpec]
    cable: Cable


def input_roles(plan: LanePlan) -> list[str]:
    """The contacts that a lane has, the important ones first; more than fit are not wired."""
    roles = ["arming", "closing"]
    roles += ["reset"] if plan.layout is Layout.THREE_LOOP else []
    roles += ["arm_up", "arm_down"] if plan.layout is not Layout.NO_LIMITS else []
    roles += ["button"] if plan.kind is LaneKind.ENTRY else []
    return [*roles, "fire", "broken", "door"][:INPUTS]


def output_roles(plan: LanePlan) -> list[str]:
    return [role for role in OUTPUTS if role != "close" or plan.has_close]


def _input_options(role: str) -> dict[str, Any]:
    if role == "button":
        return {"mode": "pulse", "shortest_ms": SHORTEST_MS}
    if role in ("arming", "closing", "reset"):
        return {"polarity": "normally-closed", "shortest_ms": SHORTEST_MS}
    return {"shortest_ms": SHORTEST_MS}


@dataclass(slots=True)
class CableSite:
    """Everything between the daemon's buses and the truth of the lanes. `rng` gives each part a stream of its own."""

    kernel: Kernel
    seed: int
    host: Host
    watch: CableWatch
    broker: Broker
    on_reply: Callable[[StationReply], None]
    till: Callable[[LaneId], None]
    """Called whenever a lane's terminal may have done something."""
    ports: dict[str, Port] = field(default_factory=dict)
    wires: dict[LaneId, LaneWires] = field(default_factory=dict)
    far: dict[str, MqttEnd] = field(default_factory=dict)
    """The devices' own links to the broker, by device."""
    modules: dict[str, list[SimulatedModule]] = field(default_factory=dict)
    terminals: dict[LaneId, TerminalTwin] = field(default_factory=dict)
    station: StationTwin = field(init=False)
    buses: dict[str, Watched] = field(default_factory=dict)
    """Device to its bus, while the daemon is up."""
    link: MqttEnd | None = None
    """The daemon's own link to the broker."""
    _mqtt: dict[str, api.DeviceSpec] = field(default_factory=dict)
    _boots: int = 0

    def __post_init__(self) -> None:
        self.station = StationTwin(f"gatectl/{STATION}", self.on_reply)
        self._far_end(STATION, self.station)
        self._mqtt[STATION] = api.DeviceSpec(STATION, "pay-mqtt", "station", BROKER.name)

    def rng(self, name: str) -> Random:
        return stream(name, self.seed)

    def forged(self) -> int:
        return sum(port.cable.forged for port in self.ports.values())

    # -- building ----------------------------------------------------------------------------------------------------

    def roles_of(self, plan: LanePlan, pair: int) -> dict[str, str]:
        """Role to device."""
        inputs = input_roles(plan)
        first = f"io-{plan.lane}"
        found = dict.fromkeys([*inputs, *output_roles(plan)], first)
        if self.on_mqtt(pair):
            found |= dict.fromkeys(inputs[SHELLY_INPUTS:], f"io2-{plan.lane}")
        whole = {"printer": plan.has_printer, "reader": plan.has_reader, "terminal": plan.has_terminal}
        return found | {role: f"{role}-{plan.lane}" for role, there in whole.items() if there}

    def on_mqtt(self, pair: int) -> bool:
        """Pairs of lanes are on a Modbus line and on Shellys by turns."""
        return (pair + self.seed) % 2 == 1

    def build(self, lane: CabledLane, pair: int) -> None:
        """The devices of one lane and what they are connected with."""
        plan = lane.plan
        points = self._shellys(lane) if self.on_mqtt(pair) else self._module(lane, pair)
        for role in ("printer", "reader", "terminal"):
            device = lane.device_of.get(role)
            if device is not None:
                points[role] = (device, "")
                _BUILD[role](self, lane, device)
        assert lane.io is not None
        for name in input_roles(plan):
            lane.io.set(name, False)
        lane.cables.broker = self.broker
        self.wires[plan.lane] = LaneWires(plan.lane, points, PULSE_MS)

    def _port(self, name: str, family: api.Family, device: api.DeviceSpec) -> Port:
        """The port that a new device is on."""
        port = self.ports.get(name)
        if port is None:
            options = {"path": f"/dev/{name}", "baud": BAUD[name.partition("-")[0]]}
            spec = api.PortSpec(name, "serial", options)
            cable = Cable(self.kernel, self.rng(f"cable {name}"), line_of(spec).wire_ms)
            port = self.ports[name] = Port(spec, family, [], cable)
        port.devices.append(device)
        faults = family.check(port.spec, port.devices)
        assert not faults, faults
        return port

    def _module(self, lane: CabledLane, pair: int) -> dict[str, tuple[str, str]]:
        plan, device, name = lane.plan, f"io-{lane.lane}", f"rs485-{pair + 1}"
        places = {role: number for number, role in enumerate(input_roles(plan))}
        model = self.rng(f"model {pair}").choice(list(profiles()))
        address = 1 + len(self.modules.get(name, []))
        options: dict[str, Any] = {
            "address": address,
            "poll_ms": POLL_MS,
            "inputs": {f"di{place}": _input_options(role) for role, place in places.items()},
            "outputs": {f"do{number}": {} for number in range(len(OUTPUTS))},
        }
        timed = profiles()[model].pulse == "host"
        if timed:
            options["host_timed_watchdog_ms"] = WATCHDOG_MS
        port = self._port(name, ModbusIo(), api.DeviceSpec(device, "modbus-io", model, name, options))
        module = SimulatedModule(
            profiles()[model], address, partial(_switched, lane), watchdog_ms=WATCHDOG_MS if timed else None
        )
        self.modules.setdefault(name, []).append(module)
        DeviceEnd(self.kernel, port.cable, SimulatedLine(self.modules[name], self.seed))
        self.watch.modules[lane.lane] = (module, port.cable)
        lane.io = ModuleIo(self.kernel, device, module, places, self.watch)
        lane.cables.serial[device] = port.cable
        points = {role: (device, f"di{place}") for role, place in places.items()}
        return points | {role: (device, f"do{OUTPUTS.index(role)}") for role in output_roles(plan)}

    def _shellys(self, lane: CabledLane) -> dict[str, tuple[str, str]]:
        plan, roles = lane.plan, input_roles(lane.plan)
        first, second = f"io-{plan.lane}", f"io2-{plan.lane}"
        places = {role: (first if n < SHELLY_INPUTS else second, n % SHELLY_INPUTS) for n, role in enumerate(roles)}
        twins: dict[str, ShellyTwin] = {}
        for device, model in ((first, "pro-4pm"), (second, "plus-i4")):
            mine = {f"di{number}": _input_options(role) for role, (at, number) in places.items() if at == device}
            if not mine:
                continue
            topic = f"shelly-{device}"
            self._mqtt[device] = api.DeviceSpec(device, "shelly", model, BROKER.name, {"id": topic, "inputs": mine})
            twins[device] = ShellyTwin(topic, SHELLY_INPUTS, SHELLY_INPUTS if device == first else 0)
            twins[device]._on_act = partial(_acted, lane)
            self._far_end(device, twins[device])
        ends = {device: self.far[device] for device in twins}
        lane.io = ShellyIo(self.kernel, twins, ends, places, self.watch)
        lane.cables.links |= ends
        points = {role: (device, f"di{number}") for role, (device, number) in places.items()}
        return points | {role: (first, f"do{OUTPUTS.index(role)}") for role in output_roles(plan)}

    def _far_end(self, device: str, twin: Twin, acted: Callable[[], None] = lambda: None) -> None:
        host = Host(self.kernel, lambda: self.kernel.now_ms)
        rng = self.rng(f"link {device}")
        end = MqttEnd(device, host, self.broker, {device: twin}, takes_no_orders, rng, twin.will, acted)
        end.start(takes_no_orders)
        self.far[device] = end

    def printer(self, lane: CabledLane, device: str) -> None:
        model = "custom-kpm216" if lane.plan.has_mouth else "epson-tm-t88"
        name = f"printer-{lane.lane}"
        port = self._port(name, EscposFamily(), api.DeviceSpec(device, "escpos", model, name))
        sim = SimulatedPrinter(model, line_ms=20, cut_ms=200, present_ms=300)
        end = DeviceEnd(self.kernel, port.cable, sim, lane.paper_moved)
        lane.printer_post = PrinterPost(sim, port.cable, end)
        lane.cables.serial[device] = port.cable

    def reader(self, lane: CabledLane, device: str) -> None:
        name = f"reader-{lane.lane}"
        port = self._port(name, CodeReaderFamily(), api.DeviceSpec(device, "code-reader", "generic-line", name))
        sim = SimulatedReader()
        lane.reader_post = ReaderPost(sim, port.cable, DeviceEnd(self.kernel, port.cable, sim))
        lane.cables.serial[device] = port.cable

    def terminal(self, lane: CabledLane, device: str) -> None:
        twin = self.terminals[lane.lane] = TerminalTwin(f"gatectl/{device}")
        self._far_end(device, twin, lambda: self.till(lane.lane))
        lane.cables.links[device] = self.far[device]
        self._mqtt[device] = api.DeviceSpec(device, "pay-mqtt", "terminal", BROKER.name)

    # -- the daemon's side -------------------------------------------------------------------------------------------

    def boot(self, sink: api.Sink) -> None:
        """A run of the daemon opens its ports: new engines, new links, old cables."""
        self.close()
        self._boots += 1
        for name, port in self.ports.items():
            engine: Any = port.family.engine(port.spec, port.devices)
            names = [device.name for device in port.devices]
            rng = self.rng(f"port {name} {self._boots}")
            bus = SerialEnd(name, self.host, port.cable, engine, names, sink, rng)
            bus.start(sink)
            self.buses |= dict.fromkeys(names, Watched(bus, self.watch, port.cable))
        self.link = MqttEnd(
            BROKER.name, self.host, self.broker, self._engines(), sink, self.rng(f"port broker {self._boots}")
        )
        self.link.start(sink)
        self.buses |= dict.fromkeys(self._mqtt, Watched(self.link, self.watch, None))

    def _engines(self) -> dict[str, api.MqttEngine]:
        rng = self.rng(f"ids {self._boots}")
        families: Mapping[str, api.Family] = {
            "shelly": Shelly(lambda: rng.randint(1, RPC_ID_MAX)),
            "pay-mqtt": PayMqtt(lambda: f"{rng.getrandbits(32):08x}"),
        }
        made: dict[str, Any] = {}
        for name, device in self._mqtt.items():
            faults = families[device.driver].check(BROKER, [device])
            assert not faults, faults
            made[name] = families[device.driver].engine(BROKER, [device])
        return made

    def close(self) -> None:
        """The daemon's power is gone, or its process."""
        for bus in self.buses.values():
            bus.close()
        self.buses.clear()
        self.watch.forget_orders()
        self.link = None

    def mend(self) -> None:
        """Every cable and link is good."""
        for port in self.ports.values():
            port.cable.mend()


def _switched(lane: CabledLane, output: int, on: bool, _now_ms: int) -> None:
    if on and output < len(OUTPUTS):
        lane.output(OUTPUTS[output])


def _acted(lane: CabledLane, act: Act) -> None:
    _switched(lane, act.output, act.on, act.at_ms)


_BUILD: Final[Mapping[str, Callable[[CableSite, CabledLane, str], None]]] = {
    "printer": CableSite.printer,
    "reader": CableSite.reader,
    "terminal": CableSite.terminal,
}
