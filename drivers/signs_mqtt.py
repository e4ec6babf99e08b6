"""Retained topics for FULL signs, count signs and whoever wants to know what is free (docs/protocols/signs-mqtt.md). The family.

Options of a device::

    topic = "parking/centre"             # what every topic begins with; not given: <topic_prefix of the port>/<device>

Rule 1: every figure is retained, so that a sign that comes up shows the newest. Whether it may be believed says `<topic>/link`:
"live", or "stale", which the broker says for us when we are gone (our last will) and we ourselves never.
Rule 2: QoS 0, as everything we publish. What was lost with a connection is told again on the next by whoever gave it.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from drivers import broker_options
from drivers.api import (
    Announce,
    DeviceSpec,
    Health,
    MqttTurn,
    OptionFault,
    Order,
    Outcome,
    PortSpec,
    Publish,
    Result,
    Signal,
)
from drivers.broker_options import TOPIC_PREFIX, plain_topic
from drivers.options import Options, nearest

MODELS: Final = ("topics",)
BURST_MAX: Final = 32
"""Topics published in one turn: the link takes 64 that wait."""
BURST_MS: Final = 20
"""Until the next burst."""
WAITING_MAX: Final = 20_000
"""Topics of one site that wait to be published; one more is refused."""
LIVE, STALE = b"live", b"stale"


class SignsEngine:
    """Implements `drivers.api.MqttEngine`. `will` is for the link: what the broker says when we are gone."""

    def __init__(self, device: str, topic: str) -> None:
        self.counters: dict[str, int] = {}
        self.will = Publish(f"{topic}/link", STALE, retain=True)
        self._device, self._topic = device, topic
        self._waiting: deque[tuple[str, str]] = deque()
        self._signals: list[Signal] = []
        self._up: bool | None = None
        self._greet = False

    @property
    def subscriptions(self) -> Sequence[str]:
        return ()

    def connected(self, now_ms: int) -> None:
        self._greet = True
        self._went(True, "")

    def disconnected(self, now_ms: int, why: str) -> None:
        self._waiting.clear()
        self._greet = False
        self._went(False, why)

    def message(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> None:
        self._count("messages-unasked")

    def order(self, device: str, order: Order, now_ms: int) -> None:
        if device != self._device or not isinstance(order, Announce):
            self._answer(order, Result.REFUSED, "signs take announcements only")
            return
        wrong = next((name for name, _ in order.signs if not plain_topic(name)), None)
        if wrong is not None:
            self._answer(order, Result.REFUSED, f"{wrong!r} is no topic")
        elif now_ms > order.deadline_ms:
            self._answer(order, Result.REFUSED, "expired")
        elif len(self._waiting) + len(order.signs) > WAITING_MAX:
            self._answer(order, Result.REFUSED, f"more than {WAITING_MAX} topics wait")
        else:
            self._waiting.extend(order.signs)
            self._answer(order, Result.CONFIRMED, "")

    def poll(self, now_ms: int) -> MqttTurn:
        publish = [Publish(f"{self._topic}/link", LIVE, retain=True)] if self._greet else []
        self._greet = False
        while self._waiting and len(publish) < BURST_MAX:
            name, text = self._waiting.popleft()
            publish.append(Publish(f"{self._topic}/{name}", text.encode(), retain=True))
        self._count("published", len(publish))
        signals, self._signals = tuple(self._signals), []
        return MqttTurn(tuple(publish), signals, now_ms + BURST_MS if self._waiting else None)

    def _went(self, up: bool, why: str) -> None:
        if up is not self._up:
            self._up = up
            self._signals.append(Health(self._device, up, why))

    def _answer(self, order: Order, result: Result, detail: str) -> None:
        self._signals.append(Outcome(self._device, order.order, result, detail))

    def _count(self, name: str, by: int = 1) -> None:
        if by:
            self.counters[name] = self.counters.get(name, 0) + by


class SignsMqtt:
    """`drivers.api.Family`."""

    name = "signs-mqtt"
    link: Literal["serial", "mqtt"] = "mqtt"
    models: Sequence[str] = MODELS

    def check(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> list[OptionFault]:
        faults = broker_options.check(port)
        for device in devices:
            _topic_of(port, device, faults)
        for device in devices[1:]:
            what = f"a second one on the port {port.name!r}"
            faults.append(
                OptionFault(f"devices.{device.name}.port", what, "one last will is all that a connection has")
            )
        return faults

    def capabilities(self, device: DeviceSpec) -> Mapping[str, frozenset[str]]:
        return {"": frozenset({"announce"})}

    def engine(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> SignsEngine:
        """The engine of one device, which was checked before; `devices` holds just that one."""
        (device,) = devices
        faults: list[OptionFault] = []
        topic = _topic_of(port, device, faults)
        assert not faults, faults
        return SignsEngine(device.name, topic)


def _topic_of(port: PortSpec, device: DeviceSpec, faults: list[OptionFault]) -> str:
    where = f"devices.{device.name}"
    if device.model not in MODELS:
        hint = nearest(device.model, MODELS)
        faults.append(OptionFault(f"{where}.model", f"{device.model!r} is not a model of signs-mqtt", hint))
    options = Options(where, device.options, faults)
    usual = f"{port.options.get('topic_prefix', TOPIC_PREFIX)}/{device.name}"
    topic = broker_options.read_topic(options, "topic", usual)
    options.finish()
    return topic


family = SignsMqtt()
