"""A simulated device on a real broker: its engine on the same link that the drivers use, with a power switch."""

from collections.abc import Mapping
from typing import Protocol

from drivers.api import MqttEngine, Outcome, PortSpec, Publish, Signal
from drivers.links.mqtt_link import MqttBus


class Twin(MqttEngine, Protocol):
    """The device's side of a conversation. `will` is what the broker says when the device is gone."""

    @property
    def will(self) -> Publish: ...


class SimulatedMqttDevice:
    """`options` are those of an MQTT port; the client id is the device's name unless they say another."""

    def __init__(self, name: str, twin: Twin, options: Mapping[str, object]) -> None:
        self.name = name
        self._twin = twin
        self._port = PortSpec(name, "mqtt", {"client_id": name, **options})
        self._bus: MqttBus | None = None

    def power_on(self) -> None:
        assert self._bus is None, "it is on"
        self._bus = MqttBus(self._port, {self.name: self._twin}, will=self._twin.will)
        self._bus.start(_ignore)

    def power_off(self) -> None:
        """As pulling the plug: the broker publishes the will. Twice is once."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.close()
            assert not bus.failed, bus.failed

    def nudge(self) -> None:
        """What was changed in the twin is felt now."""
        if self._bus is not None:
            self._bus.nudge()


def _ignore(signal: Signal) -> None:
    assert not isinstance(signal, Outcome), "a simulated device takes no orders"
