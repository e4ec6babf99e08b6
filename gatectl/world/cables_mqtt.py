"""A broker under virtual time, with links that break, freeze, delay and repeat, and a stranger who publishes rubbish.

Rule 1: both ends of every conversation run `drivers.links.mqtt_core`: the controller's link, and each simulated device's.
Rule 2: what is not acknowledged within `UNACKED_MS_MAX` ends a connection, as TCP_USER_TIMEOUT does, and is not sent later.
Rule 3: a link that only froze, and is well again before that, hands over everything that it held.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from drivers.api import MqttEngine, Order, Outcome, Publish, Signal, Sink
from drivers.codecs import json_message
from drivers.links.mqtt_core import WRITE_STALL_MS_MAX, MqttCore, matches
from drivers.links.orders import LinkGone
from gatectl.world.cables import Host, Timer
from gatectl.world.kernel import Kernel

UNACKED_MS_MAX: Final = WRITE_STALL_MS_MAX
CONNECT_MS_MAX: Final = 3_000
PING_MS: Final = 10_000
"""A link on which nothing is said is tried so often: the keepalive."""
HOP_MS: Final = (2, 8)
DIAL_MS: Final = (5, 60)
HELD_MAX: Final = 1_000


@dataclass(slots=True)
class Weak:
    """What is wrong with one end's link to the broker."""

    down: bool = False
    """It cannot connect."""
    frozen: bool = False
    slow_ms: int = 0
    """Messages come so much later, at most, in order."""
    double: float = 0.0
    """The share of messages from devices that come twice. Commands do not: at QoS 0 no broker repeats one, and a relay that is
    told twice moves twice, whoever told it."""


class Broker:
    """Routes messages between ends that are connected, and keeps what was published to be kept."""

    def __init__(self, kernel: Kernel, rng: Random) -> None:
        self.kernel, self.rng = kernel, rng
        self.retained: dict[str, bytes] = {}
        self.last: dict[str, bytes] = {}
        """The newest payload of each topic: what a stranger could have recorded."""
        self.ends: list[MqttEnd] = []

    def publish(self, message: Publish) -> None:
        self.last[message.topic] = message.payload
        if message.retain:
            self.retained[message.topic] = message.payload
        for end in self.ends:
            end.deliver(message.topic, message.payload, retained=False)

    def greet(self, end: "MqttEnd") -> None:
        for topic, payload in sorted(self.retained.items()):
            end.deliver(topic, payload, retained=True)

    def rubbish(self, topic: str) -> None:
        """A stranger publishes something on a topic: noise, half a message, values of another type or size."""
        known = self.last.get(topic, b"{}")
        made = self.rng.randrange(6)
        payload = known[: self.rng.randrange(len(known) + 1)]
        if made == 1:
            payload = self.rng.randbytes(self.rng.randint(0, 40))
        elif made == 2:
            payload = b'{"id":' + b"9" * 400 + b"}"
        elif made == 3:
            payload = b"[" * 2_000
        elif made == 4:
            payload = _mistyped(known, self.rng)
        elif made == 5:
            payload = b" " * 20_000
        for end in self.ends:
            if payload != known:
                end.deliver(topic, payload, retained=False)


def _mistyped(payload: bytes, rng: Random) -> bytes:
    """The same members with values of other types."""
    try:
        members = json_message.read(payload)
    except json_message.Malformed:
        return b"null"
    odd: list[object] = [None, "maybe", -1, 1e300, [], {}, {"state": {"on": 1}}]
    return json_message.write({name: rng.choice(odd) for name in members})


class MqttEnd:
    """`drivers.api.Bus` at one end of the broker: the daemon's for one run, or a simulated device's. `will` is a device's."""

    def __init__(
        self,
        name: str,
        host: Host,
        broker: Broker,
        engines: Mapping[str, MqttEngine],
        sink: Sink,
        rng: Random,
        will: Publish | None = None,
        acted: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.turns = 0
        self.failed = ""
        self.weak = Weak()
        self._host, self._broker, self._sink, self._rng = host, broker, sink, rng
        self._core = MqttCore(name, engines, sink, rng)
        self._will, self._acted = will, acted
        self._timer = Timer(host.kernel, self.turn)
        self._connection = 0
        """Counts connections: what is on its way on an older one is lost."""
        self._connected = False
        self._dialling = False
        self._held: list[Callable[[], None]] = []
        self._free_ms = {"in": 0, "out": 0}
        self._on = False
        self._wants: dict[str, bool] = {}  # by topic; the topics of a site are few

    # -- power -------------------------------------------------------------------------------------------------------

    def start(self, sink: Sink) -> None:
        self._sink = sink
        self._on = True
        self._broker.ends.append(self)
        self._timer.at(self._host.kernel.now_ms)

    def close(self) -> None:
        """The power is gone: the broker notices, and speaks the will."""
        self._on = False
        self._timer.at(None)
        self._drop()
        if self in self._broker.ends:
            self._broker.ends.remove(self)

    def again(self) -> None:
        """A device that was without power is back."""
        if not self._on:
            self._core.lose("no power", self._host.mono_ms())
            self.start(self._sink)

    def counters(self) -> Mapping[str, int]:
        return self._core.counters()

    def order(self, device: str, order: Order) -> None:
        refusal = self._core.orders.put(device, order, lambda: self._timer.at(self._host.kernel.now_ms))
        if refusal is not None:
            self._sink(refusal)

    # -- trouble -----------------------------------------------------------------------------------------------------

    def cut(self, why: str) -> None:
        """The connection breaks, and both ends notice."""
        if not self._connected:
            return
        self._drop()
        if self._on:
            self._core.lose(why, self._host.mono_ms())
            self._arm()

    def freeze(self) -> None:
        self.weak.frozen = True
        self._watch_ping(self._connection)

    def _watch_ping(self, connection: int) -> None:
        def ping() -> None:
            if connection == self._connection and self.weak.frozen and self._on:
                self.cut("keepalive timeout")

        self._host.kernel.after(self._rng.randint(0, PING_MS) + UNACKED_MS_MAX, ping)

    def thaw(self) -> None:
        self.weak.frozen = False
        held, self._held = self._held, []
        for passes in held:
            passes()

    def _drop(self) -> None:
        self._connection += 1
        was, self._connected, self._held = self._connected, False, []
        if was and self._will is not None:
            self._broker.publish(self._will)

    # -- turning -----------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        if not self._on:
            return
        self.turns += 1
        now_ms = self._host.mono_ms()
        if not self._connected and not self._dialling and now_ms >= self._core.dial_at_ms:
            self._dial()
        try:
            self._core.turn(now_ms, all_engines=self._will is not None)
            while self._core.is_up and (message := self._core.next_message(now_ms)) is not None:
                self._send(message)
            self._core.check_stall(now_ms)
        except LinkGone as gone:
            self.cut(str(gone))
        self._arm()
        self._acted()

    def _arm(self) -> None:
        wanted_ms = self._core.wake_at_ms
        if not self._connected and not self._dialling:
            wanted_ms = min(self._core.dial_at_ms, self._core.dial_at_ms if wanted_ms is None else wanted_ms)
        self._timer.at(None if wanted_ms is None else self._host.kernel_ms(wanted_ms))

    def _dial(self) -> None:
        self._dialling = True
        fails = self.weak.down or self.weak.frozen
        delay_ms = CONNECT_MS_MAX if self.weak.frozen else self._rng.randint(*DIAL_MS)
        self._host.kernel.after(delay_ms, lambda: self._dialled(fails))

    def _dialled(self, fails: bool) -> None:
        self._dialling = False
        if not self._on:
            return
        now_ms = self._host.mono_ms()
        if fails:
            self._core.lose("connection refused", now_ms)
            self._arm()
            return
        self._connection += 1
        self._connected = True
        self._free_ms = {"in": 0, "out": 0}
        self._core.connected({}, now_ms)
        self._broker.greet(self)
        self.turn()

    # -- messages ----------------------------------------------------------------------------------------------------

    def _send(self, message: Publish) -> None:
        if self.weak.frozen:
            connection = self._connection
            self._host.kernel.after(UNACKED_MS_MAX, lambda: self._unacked(connection))
        for _ in range(self._times(from_device=self._will is not None)):
            self._pass("out", lambda: self._broker.publish(message))

    def _unacked(self, connection: int) -> None:
        if connection == self._connection and self.weak.frozen:
            self.cut("connection timed out")

    def deliver(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """From the broker, if this end is connected and has asked for it."""
        if not self._connected or not self.asked_for(topic):
            return

        def arrive() -> None:
            self._core.arrived(topic, payload, retained, self._host.mono_ms())
            self.turn()

        for _ in range(self._times(from_device=self._will is None)):
            self._pass("in", arrive)

    def _times(self, *, from_device: bool) -> int:
        return 1 + (from_device and self._rng.random() < self.weak.double)

    def asked_for(self, topic: str) -> bool:
        """Whether this end subscribes to a topic."""
        if topic not in self._wants:
            self._wants[topic] = any(matches(wanted, topic) for wanted, _ in self._core.filters)
        return self._wants[topic]

    def _pass(self, way: str, happen: Callable[[], None]) -> None:
        connection = self._connection

        def through() -> None:
            if connection != self._connection or not self._on:
                return
            if self.weak.frozen and len(self._held) < HELD_MAX:
                self._held.append(through)
            elif not self.weak.frozen:
                happen()

        slow_ms = self._rng.randint(0, self.weak.slow_ms) if self.weak.slow_ms else 0
        at_ms = max(self._free_ms[way], self._host.kernel.now_ms + self._rng.randint(*HOP_MS) + slow_ms)
        self._free_ms[way] = at_ms
        self._host.kernel.at(at_ms, through)


def takes_no_orders(signal: Signal) -> None:
    """The sink of a simulated device."""
    assert not isinstance(signal, Outcome), "a simulated device takes no orders"
