"""I/O modules on Modbus RTU: inputs di0.. and outputs do0.. that give pulses. Models, options, capabilities.

Options of a device::

    address = 1                          # 1..247
    reply_ms = 100                       # how long an answer may take, beside its bytes
    poll_ms = 20                         # read the inputs at most this often
    dead_ms = 100                        # silence between two pulses of one module
    host_timed_watchdog_ms = 1000        # models that cannot end a pulse: the communication watchdog set in the module
    inputs = { di0 = { polarity = "normally-closed", mode = "presence", fail_safe = true, shortest_ms = 200,
                       clear_after_ms = 200 } }
    outputs = { do0 = { width_ms_max = 3000 } }     # not given: every output of the model

An input is there if it is named. `fail_safe` says that a dead detector and a cut wire read "on"; if it is not given,
that is believed of a normally-closed contact only. A pulse output of a detector is never fail-safe: Nortech's PD130
manual says so of its own, and its presence output is.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

from drivers.api import DeviceSpec, OptionFault, PortSpec
from drivers.codecs.modbus_rtu import ADDRESS_MAX, ADDRESS_MIN, gap_ms
from drivers.modbus_line import WIDTH_MS_MIN, ModbusLine
from drivers.modbus_module import InputOptions, ModuleOptions, OutputOptions, Profile
from drivers.options import LineOptions, Options, line_of, nearest, read_line

POLARITIES: Final = ("normally-open", "normally-closed")
MODES: Final = ("presence", "pulse")
WIDTH_MS_MAX: Final = 3_000
WATCHDOG_MS_MIN: Final = 500
WATCHDOG_MS_MAX: Final = 10_000
MODULES_MAX: Final = 32
"""RS-485 carries 32 unit loads."""
PULSE_FRAMES_BYTES: Final = 16


@cache
def profiles() -> Mapping[str, Profile]:
    """The models that are known, by name."""
    tables = tomllib.loads(files("drivers").joinpath("profiles", "modbus_io.toml").read_text("utf-8"))
    return {name: Profile(**table) for name, table in tables.items()}


def cycle_ms(line: LineOptions, modules: Sequence[ModuleOptions]) -> float:
    """The longest time between two readings of one input on a healthy line: every module once, and one pulse."""
    gaps_ms = 2 * gap_ms(line.baud)
    polls_ms = 0.0
    pulse_ms = 0.0
    for module in modules:
        request = module.read_inputs
        around_ms = gaps_ms + module.profile.turnaround_ms
        polls_ms += line.wire_ms(len(request.to_bytes()) + request.reply_bytes) + around_ms
        pulse_ms = max(pulse_ms, line.wire_ms(PULSE_FRAMES_BYTES) + around_ms)
    return max([polls_ms, *(float(module.poll_ms) for module in modules)]) + pulse_ms


def _read_input(point: str, number: int, options: Options) -> InputOptions:
    mode = options.one_of("mode", "presence", MODES)
    pulse = mode == "pulse"
    closed = options.one_of("polarity", "normally-open", POLARITIES) == "normally-closed"
    fail_safe = options.boolean("fail_safe", closed and not pulse)
    if pulse and fail_safe:
        options.fault(
            "fail_safe", "a pulse says nothing when its detector fails", 'mode = "presence", or fail_safe = false'
        )
    # FEIG VEK S4: outputs stay on for at least 200 ms by default. Pulses differ (Nortech PD160: from 50 ms), so say.
    shortest_ms = options.integer("shortest_ms", None if pulse else 200, 20, 60_000, "ms")
    clear_after_ms = options.integer("clear_after_ms", 0 if pulse else 200, 0, 10_000, "ms")
    options.finish()
    return InputOptions(point, number, closed, pulse, fail_safe, shortest_ms, clear_after_ms)


def _points(options: Options, key: str, prefix: str, count: int) -> list[tuple[str, int, Mapping[str, Any]]]:
    """The named points of one kind, with the number and the table of each; those that do not exist are faults."""
    known = {f"{prefix}{number}": number for number in range(count)}
    found: list[tuple[str, int, Mapping[str, Any]]] = []
    for point, table in options.table(key).items():
        if point not in known:
            options.fault(f"{key}.{point}", "is not a point of this model", nearest(str(point), known))
        elif not isinstance(table, Mapping):
            options.fault(f"{key}.{point}", "is not a table")
        else:
            found.append((point, known[point], table))
    return found


def _read_module(device: DeviceSpec, faults: list[OptionFault]) -> ModuleOptions | None:
    profile = profiles().get(device.model)
    where = f"devices.{device.name}"
    if profile is None:
        hint = nearest(device.model, profiles())
        faults.append(OptionFault(f"{where}.model", f"{device.model!r} is not a model of modbus-io", hint))
        return None
    options = Options(where, device.options, faults)
    inputs = tuple(
        _read_input(point, number, Options(f"{where}.inputs.{point}", table, faults))
        for point, number, table in _points(options, "inputs", "di", profile.inputs)
    )
    outputs: list[OutputOptions] = []
    for point, number, table in _points(options, "outputs", "do", profile.outputs):
        output = Options(f"{where}.outputs.{point}", table, faults)
        width = output.integer("width_ms_max", WIDTH_MS_MAX, WIDTH_MS_MIN, WIDTH_MS_MAX, "ms")
        outputs.append(OutputOptions(point, number, width))
        output.finish()
    if not options.has("outputs"):
        outputs = [OutputOptions(f"do{number}", number, WIDTH_MS_MAX) for number in range(profile.outputs)]
    module = ModuleOptions(
        name=device.name,
        address=options.integer("address", None, ADDRESS_MIN, ADDRESS_MAX),
        profile=profile,
        inputs=inputs,
        outputs=tuple(outputs),
        reply_ms=options.integer("reply_ms", 100, 20, 1_000, "ms"),
        poll_ms=options.integer("poll_ms", 20, 5, 1_000, "ms"),
        dead_ms=options.integer("dead_ms", 100, 50, 5_000, "ms"),
        watchdog_ms=_read_watchdog(options, profile),
    )
    options.finish()
    return module


def _read_watchdog(options: Options, profile: Profile) -> int | None:
    key = "host_timed_watchdog_ms"
    if profile.pulse == "module" and options.has(key):
        options.fault(key, "this model ends its pulses by itself", "leave it out")
    elif profile.pulse == "host" and options.has("outputs") and not options.has(key):
        what = "this model cannot end a pulse: if we die during one, the output stays on"
        options.fault(
            key, what, "set the module's communication watchdog and say its time here, or leave out `outputs`"
        )
    if not options.has(key):
        return None
    return options.integer(key, None, WATCHDOG_MS_MIN, WATCHDOG_MS_MAX, "ms")


class ModbusIo:
    """`drivers.api.Family`."""

    name = "modbus-io"
    link: Literal["serial", "mqtt"] = "serial"

    @property
    def models(self) -> Sequence[str]:
        return tuple(profiles())

    def check(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> list[OptionFault]:
        faults: list[OptionFault] = []
        line = read_line(port, faults)
        read = [_read_module(device, faults) for device in devices]
        modules = [module for module in read if module is not None]
        if len(devices) > MODULES_MAX:
            faults.append(OptionFault(f"ports.{port.name}", f"{len(devices)} modules, and {MODULES_MAX} fit on a line"))
        self._check_addresses(modules, faults)
        self._check_watchdogs(line, modules, faults)
        if not faults:
            self._check_cycle(line, modules, faults)
        return faults

    def capabilities(self, device: DeviceSpec) -> Mapping[str, frozenset[str]]:
        module = _read_module(device, [])
        if module is None:
            return {}
        points: dict[str, frozenset[str]] = {}
        for contact in module.inputs:
            safety = {"safety"} if contact.fail_safe and not contact.pulse else set()
            points[contact.point] = frozenset({"pulse-input"} if contact.pulse else {"presence"} | safety)
        if module.can_pulse:
            points |= {output.point: frozenset({"pulse"}) for output in module.outputs}
        return points

    def engine(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> ModbusLine:
        """The conversation with `devices`, which were checked before."""
        faults: list[OptionFault] = []
        modules = [_read_module(device, faults) for device in devices]
        assert not faults, faults
        return ModbusLine(line_of(port), [module for module in modules if module is not None])

    def _check_addresses(self, modules: Sequence[ModuleOptions], faults: list[OptionFault]) -> None:
        taken: dict[int, str] = {}
        for module in modules:
            if module.address in taken:
                what = f"{module.address} is the address of {taken[module.address]!r} too"
                faults.append(OptionFault(f"devices.{module.name}.address", what))
            taken.setdefault(module.address, module.name)

    def _check_watchdogs(self, line: LineOptions, modules: Sequence[ModuleOptions], faults: list[OptionFault]) -> None:
        """A watchdog must outlast one lost answer and the reading after it, or it ends pulses that are well."""
        for module in modules:
            if module.watchdog_ms is None:
                continue
            least_ms = round(2 * (cycle_ms(line, modules) + 2 * module.reply_ms))
            if module.watchdog_ms < least_ms:
                what = f"{module.watchdog_ms} ms is less than two rounds on this line with a lost answer, {least_ms} ms"
                faults.append(OptionFault(f"devices.{module.name}.host_timed_watchdog_ms", what))

    def _check_cycle(self, line: LineOptions, modules: Sequence[ModuleOptions], faults: list[OptionFault]) -> None:
        cycle = cycle_ms(line, modules)
        for module in modules:
            for contact in module.inputs:
                if cycle * 2 > contact.shortest_ms:
                    what = (
                        f"a signal of {contact.shortest_ms} ms can be missed: a poll cycle of {len(modules)} module(s) "
                        f"at {line.baud} baud takes {cycle:.0f} ms, more than half of it"
                    )
                    hint = "a higher baud rate, fewer modules on this port, or a longer signal (set it at the detector)"
                    faults.append(OptionFault(f"devices.{module.name}.inputs.{contact.point}.shortest_ms", what, hint))


family = ModbusIo()
