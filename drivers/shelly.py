"""Shelly Gen2+ relays and inputs over MQTT: inputs di0.., outputs do0.. that give pulses. The family.

Options of a device::

    id = "shellypro2-a1b2c3"             # the device's own MQTT topic prefix
    poll_ms = 2000                       # read its status so often
    fresh_ms = 6000                      # older than this, its inputs are stale and it takes no order
    inputs = { di0 = { polarity = "normally-closed", mode = "presence", fail_safe = true, shortest_ms = 200,
                       clear_after_ms = 200 } }
    outputs = { do0 = { width_ms_max = 3000 } }     # not given: every output of the model

An input is there if it is named. `fail_safe` says that a dead detector and a cut wire read "on"; if it is not given,
that is believed of a normally-closed contact only. Its quality is FAULT if the device has it set to "button".

What the device itself must be set to is in docs/protocols/mqtt.md.
"""

import secrets
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

from drivers import broker_options
from drivers.api import DeviceSpec, OptionFault, PortSpec
from drivers.broker_options import TOPIC_PREFIX, read_topic
from drivers.codecs.shelly_rpc import RPC_ID_MAX
from drivers.options import Options, nearest
from drivers.shelly_engine import (
    FRESH_MS,
    POLL_MS,
    PULSE_MS_MAX,
    PULSE_MS_MIN,
    STATUS_MS_MAX,
    InputPlan,
    Plan,
    ShellyEngine,
)

POLARITIES: Final = ("normally-open", "normally-closed")
MODES: Final = ("presence", "pulse")
SHORTEST_MS_MIN: Final = 50
"""The device pushes a change when it happens, so polling puts no bound on it; below this nobody makes a promise."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A model, from profiles/shelly.toml."""

    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class _Device:
    plan: Plan
    capabilities: Mapping[str, frozenset[str]]


@cache
def profiles() -> Mapping[str, Profile]:
    """The models that are known, by name."""
    tables = tomllib.loads(files("drivers").joinpath("profiles", "shelly.toml").read_text("utf-8"))
    return {name: Profile(**table) for name, table in tables.items()}


class Shelly:
    """`drivers.api.Family`. `first_id` draws where a run's message ids begin."""

    name = "shelly"
    link: Literal["serial", "mqtt"] = "mqtt"

    def __init__(self, first_id: Callable[[], int] = lambda: 1 + secrets.randbelow(RPC_ID_MAX)) -> None:
        self._first_id = first_id

    @property
    def models(self) -> Sequence[str]:
        return tuple(profiles())

    def check(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> list[OptionFault]:
        faults = broker_options.check(port)
        seen: dict[str, str] = {}
        for device in devices:
            read = _read(port, device, faults)
            topic = read.plan.topic if read is not None else ""
            if topic and topic in seen:
                faults.append(OptionFault(f"devices.{device.name}.id", f"{topic!r} is the id of {seen[topic]!r} too"))
            seen.setdefault(topic, device.name)
        return faults

    def capabilities(self, device: DeviceSpec) -> Mapping[str, frozenset[str]]:
        read = _read(PortSpec(device.port, "mqtt", {}), device, [])
        return read.capabilities if read is not None else {}

    def engine(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> ShellyEngine:
        """The engine of one device, which was checked before; `devices` holds just that one."""
        (device,) = devices
        faults: list[OptionFault] = []
        read = _read(port, device, faults)
        assert read is not None and not faults, faults  # noqa: PT018 - one says that the other was checked
        return ShellyEngine(device.name, read.plan, self._first_id())


def _read(port: PortSpec, device: DeviceSpec, faults: list[OptionFault]) -> _Device | None:
    where = f"devices.{device.name}"
    profile = profiles().get(device.model)
    if profile is None:
        hint = nearest(device.model, profiles())
        faults.append(OptionFault(f"{where}.model", f"{device.model!r} is not a model of shelly", hint))
        return None
    options = Options(where, device.options, faults)
    topic = read_topic(options, "id", None)
    poll_ms = options.integer("poll_ms", POLL_MS, 250, 60_000, "ms")
    least_ms = poll_ms + STATUS_MS_MAX
    fresh_ms = options.integer("fresh_ms", max(FRESH_MS, poll_ms + least_ms), 1_000, 300_000, "ms")
    if fresh_ms < least_ms:
        options.fault("fresh_ms", f"{fresh_ms} ms is shorter than a poll and its answer, {least_ms} ms")
    capabilities: dict[str, frozenset[str]] = {}
    inputs: dict[int, InputPlan] = {}
    for point, number, table in _points(options, "inputs", "di", profile.inputs):
        inputs[number], capabilities[point] = _read_input(Options(f"{where}.inputs.{point}", table, faults))
    outputs: dict[int, int] = {}
    for _, number, table in _points(options, "outputs", "do", profile.outputs):
        output = Options(f"{where}.outputs.do{number}", table, faults)
        outputs[number] = output.integer("width_ms_max", PULSE_MS_MAX, PULSE_MS_MIN, PULSE_MS_MAX, "ms")
        output.finish()
    if not options.has("outputs"):
        outputs = dict.fromkeys(range(profile.outputs), PULSE_MS_MAX)
    capabilities |= {f"do{number}": frozenset({"pulse"}) for number in outputs}
    options.finish()
    src = f"{port.options.get('topic_prefix', TOPIC_PREFIX)}/{device.name}"
    return _Device(Plan(topic, src, inputs, outputs, poll_ms, fresh_ms), capabilities)


def _points(options: Options, key: str, prefix: str, count: int) -> list[tuple[str, int, Mapping[str, Any]]]:
    """The named points of one kind, with the number and the table of each; those that do not exist are faults."""
    known = {f"{prefix}{number}": number for number in range(count)}
    found: list[tuple[str, int, Mapping[str, Any]]] = []
    for point, table in options.table(key).items():
        if point not in known:
            hint = nearest(str(point), known) if known else f"it has no {key}"
            options.fault(f"{key}.{point}", "is not a point of this model", hint)
        elif not isinstance(table, Mapping):
            options.fault(f"{key}.{point}", "is not a table")
        else:
            found.append((point, known[point], table))
    return found


def _read_input(options: Options) -> tuple[InputPlan, frozenset[str]]:
    """An input, and what can be made of it: a pulse is no presence, and no safety either."""
    pulse = options.one_of("mode", "presence", MODES) == "pulse"
    closed = options.one_of("polarity", "normally-open", POLARITIES) == "normally-closed"
    fail_safe = options.boolean("fail_safe", closed and not pulse)
    if pulse and fail_safe:
        options.fault(
            "fail_safe", "a pulse says nothing when its detector fails", 'mode = "presence", or fail_safe = false'
        )
    options.integer("shortest_ms", 200, SHORTEST_MS_MIN, 60_000, "ms")
    clear_after_ms = options.integer("clear_after_ms", 0 if pulse else 200, 0, 10_000, "ms")
    options.finish()
    can = {"pulse-input"} if pulse else {"presence"} | ({"safety"} if fail_safe else set())
    return InputPlan(closed, clear_after_ms), frozenset(can)


family = Shelly()
