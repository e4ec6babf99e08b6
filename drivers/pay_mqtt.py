"""Payment terminals and pay stations that speak our JSON protocol over MQTT (docs/protocols/pay-mqtt.md). The family.

Options of a device::

    role = "terminal"                    # or "station"; not given: what the model is called
    fresh_ms = 6000                      # a device that sent no heartbeat for so long is gone

Its topics are `<topic_prefix of the port>/<name of the device>/request`, `/reply` and `/status`.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from drivers import broker_options
from drivers.api import DeviceSpec, MqttEngine, OptionFault, PortSpec
from drivers.broker_options import TOPIC_PREFIX, plain_topic
from drivers.options import Options, nearest
from drivers.pay_station import StationEngine
from drivers.pay_terminal import TerminalEngine

ROLES: Final[Mapping[str, str]] = {"terminal": "charge", "station": "station"}
FRESH_MS: Final = 6_000
"""Three heartbeats."""


@dataclass(frozen=True, slots=True)
class _Device:
    role: str
    topic: str
    fresh_ms: int


class PayMqtt:
    """`drivers.api.Family`. `run` draws what makes the ids of one run differ from those of another."""

    name = "pay-mqtt"
    link: Literal["serial", "mqtt"] = "mqtt"
    models: Sequence[str] = tuple(ROLES)

    def __init__(self, run: Callable[[], str] = lambda: secrets.token_hex(4)) -> None:
        self._run = run

    def check(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> list[OptionFault]:
        faults = broker_options.check(port)
        for device in devices:
            _read(port, device, faults)
        return faults

    def capabilities(self, device: DeviceSpec) -> Mapping[str, frozenset[str]]:
        return {"": frozenset({ROLES[_read(PortSpec(device.port, "mqtt", {}), device, []).role]})}

    def engine(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> MqttEngine:
        """The engine of one device, which was checked before; `devices` holds just that one."""
        (device,) = devices
        faults: list[OptionFault] = []
        read = _read(port, device, faults)
        assert not faults, faults
        if read.role == "station":
            return StationEngine(device.name, read.topic, read.fresh_ms)
        return TerminalEngine(device.name, read.topic, read.fresh_ms, self._run())


def _read(port: PortSpec, device: DeviceSpec, faults: list[OptionFault]) -> _Device:
    where = f"devices.{device.name}"
    if device.model not in ROLES:
        hint = nearest(device.model, ROLES)
        faults.append(OptionFault(f"{where}.model", f"{device.model!r} is not a model of pay-mqtt", hint))
    options = Options(where, device.options, faults)
    role = options.one_of("role", device.model if device.model in ROLES else "terminal", tuple(ROLES))
    if device.model in ROLES and role != device.model:
        options.fault("role", f"{role!r} is not what a {device.model} does")
    topic = f"{port.options.get('topic_prefix', TOPIC_PREFIX)}/{device.name}"
    if not plain_topic(topic):
        faults.append(OptionFault(where, f"{topic!r} is not a topic", "a device name of letters, digits and _.:-"))
    fresh_ms = options.integer("fresh_ms", FRESH_MS, 1_000, 300_000, "ms")
    options.finish()
    return _Device(role, topic, fresh_ms)


family = PayMqtt()
