"""What a broker link's thread decides, without the broker and without the thread: time is an argument, messages come and go.

`MqttBus` runs it over paho, the simulated world over a simulated broker, each with a clock of its own.

Rule 1: nothing published survives the connection it was published on, and what is late is dropped, not sent.
Rule 2: an order for a link that is not up, or for a device that the broker keeps from us, is refused here.
Rule 3: a link that was lost is dialled again after a wait that doubles; one that held for long starts afresh.
"""

import random
from collections import deque
from collections.abc import Mapping
from typing import Final

from drivers.api import Health, MqttEngine, Outcome, Publish, Result, Signal, Sink
from drivers.links.orders import RETRY_MS_FIRST, RETRY_MS_MAX, LinkGone, OrderBook

MESSAGE_BYTES_MAX: Final = 16 * 1024
"""A longer payload is refused and counted; the largest expected is a Shelly's whole status, about 4 KiB."""
PUBLISH_WAITING_MAX: Final = 64
"""Messages that wait for the socket to take them; one more ends the connection."""
WRITE_STALL_MS_MAX: Final = 2_000


def matches(topic_filter: str, topic: str) -> bool:
    """MQTT 3.1.1, 4.7: `+` is one level, `#` the rest."""
    wanted, given = topic_filter.split("/"), topic.split("/")
    for n, level in enumerate(wanted):
        if level == "#":
            return True
        if n >= len(given) or level not in ("+", given[n]):
            return False
    return len(wanted) == len(given)


class MqttCore:
    """One broker link and the engines of its devices, by their names. `sink` hears every signal."""

    def __init__(self, name: str, engines: Mapping[str, MqttEngine], sink: Sink, jitter: random.Random) -> None:
        self.orders = OrderBook(name, engines, one_engine=False)
        self.is_up = False
        self.dial_at_ms = 0
        """While there is no connection: when to try next."""
        self.filters = tuple((topic, device) for device, engine in engines.items() for topic in engine.subscriptions)
        """Every subscription with the device that it is for."""
        self._name = name
        self._engines = dict(engines)
        self._sink = sink
        self._jitter = jitter
        self._known_lost = False
        self._up_since_ms = 0
        self._dial_wait_ms = RETRY_MS_FIRST
        self._deaf: dict[str, str] = {}  # device -> the subscription that the broker refuses
        self._out: deque[Publish] = deque()
        self._out_moved_at_ms = 0
        self._touched = set(engines)
        self._wake_at_ms: dict[str, int] = {}
        self._exact: dict[str, list[str]] = {}
        for topic, device in self.filters:
            if not {"+", "#"} & set(topic):
                self._exact.setdefault(topic, []).append(device)
        self._wild = tuple((topic, device) for topic, device in self.filters if {"+", "#"} & set(topic))

    def counters(self) -> Mapping[str, int]:
        """The link's own, prefixed `link-`, and each engine's, prefixed with its device."""
        mine = {f"link-{name}": count for name, count in self.orders.counters.copy().items()}
        engines = self._engines.items()
        return mine | {f"{device}.{name}": count for device, e in engines for name, count in e.counters.copy().items()}

    @property
    def wake_at_ms(self) -> int | None:
        """When some engine wants its turn, even if nothing happens."""
        return min(self._wake_at_ms.values(), default=None)

    @property
    def busy(self) -> bool:
        """Whether something happened that an engine has not had its turn for."""
        return bool(self._touched)

    def connected(self, refused: Mapping[str, str], now_ms: int) -> None:
        """The broker has answered our subscriptions; `refused`: topic by device."""
        self.orders.count("connected")
        self.is_up, self._known_lost, self._up_since_ms = True, False, now_ms
        self._deaf = {device: f"the broker refuses us {topic}" for device, topic in refused.items()}
        for device, engine in self._engines.items():
            self._touched.add(device)
            if device in self._deaf:
                engine.disconnected(now_ms, self._deaf[device])
            else:
                engine.connected(now_ms)

    def arrived(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> None:
        """Hand a message to the engines that asked for it."""
        self.orders.count("messages-in")
        if len(payload) > MESSAGE_BYTES_MAX:
            self.orders.count("messages-oversized")
            return
        devices = self._exact.get(topic, [])
        devices = devices + [device for wanted, device in self._wild if matches(wanted, topic)]
        if not devices:
            self.orders.count("messages-unrouted")
        for device in devices:
            self._engines[device].message(topic, payload, retained, now_ms)
            self._touched.add(device)

    def turn(self, now_ms: int, *, all_engines: bool = False) -> None:
        """Hand over orders, and let the engines speak that something happened to, or whose time has come."""
        self._take_orders(now_ms)
        due = {device for device, at_ms in self._wake_at_ms.items() if at_ms <= now_ms}
        for device in sorted(self._engines if all_engines else self._touched | due):
            self._touched.discard(device)
            self._poll(device, now_ms)

    def next_message(self, now_ms: int) -> Publish | None:
        """What is to be sent next, if it is not too late for it by now."""
        while self._out:
            message = self._out.popleft()
            self._out_moved_at_ms = now_ms
            if message.not_after_ms is None or now_ms <= message.not_after_ms:
                self.orders.count("messages-out")
                return message
            self.orders.count("publish-late")
        return None

    def check_stall(self, now_ms: int) -> None:
        """Raises LinkGone when too much waits to be sent, or for too long."""
        if self._out and now_ms - self._out_moved_at_ms > WRITE_STALL_MS_MAX:
            raise LinkGone(f"the broker took no byte for {WRITE_STALL_MS_MAX} ms")
        if len(self._out) > PUBLISH_WAITING_MAX:
            raise LinkGone(f"more than {PUBLISH_WAITING_MAX} messages wait to be sent")

    def lose(self, why: str, now_ms: int) -> None:
        """The connection is gone, or could not be made: tell the engines once, and plan when to try again."""
        if self.is_up and now_ms - self._up_since_ms >= RETRY_MS_MAX:
            self._dial_wait_ms = RETRY_MS_FIRST
        self.let_go()
        if not self._known_lost:
            self._known_lost = True
            self.orders.count("lost")
            for device, engine in self._engines.items():
                engine.disconnected(now_ms, why)
                self._poll(device, now_ms)
        self._answer_rest(why)
        self.dial_at_ms = now_ms + round(self._dial_wait_ms * self._jitter.uniform(0.5, 1.0))
        self._dial_wait_ms = min(self._dial_wait_ms * 2, RETRY_MS_MAX)

    def let_go(self) -> None:
        """Forget what was to be sent."""
        self.is_up, self._deaf = False, {}
        self._out.clear()

    def give_up(self, why: str) -> None:
        """An engine or the sink has a bug: say so for every device, without asking the engines again."""
        self._answer_rest(why)
        for device in self._engines:
            self._emit(Health(device, up=False, why=why))

    def _take_orders(self, now_ms: int) -> None:
        while (taken := self.orders.take(self._why_not)) is not None:
            device, order, why = taken
            if why:
                self._emit(Outcome(device, order.order, Result.REFUSED, why))
            else:
                self._touched.add(device)
                self._engines[device].order(device, order, now_ms)

    def _why_not(self, device: str) -> str:
        return self._deaf.get(device, "" if self.is_up else f"no connection to the broker of port {self._name!r}")

    def _poll(self, device: str, now_ms: int) -> None:
        turn = self._engines[device].poll(now_ms)
        self._wake_at_ms.pop(device, None)
        if turn.wake_at_ms is not None:
            self._wake_at_ms[device] = turn.wake_at_ms
        for signal in turn.signals:
            self._emit(signal)
        if turn.publish and not self.is_up:
            self.orders.count("publish-dropped", len(turn.publish))
        elif turn.publish:
            if not self._out:
                self._out_moved_at_ms = now_ms
            self._out.extend(turn.publish)

    def _answer_rest(self, why: str) -> None:
        for answer in self.orders.left_open(why):
            self._emit(answer)

    def _emit(self, signal: Signal) -> None:
        if not isinstance(signal, Outcome) or self.orders.strike(signal):
            self._sink(signal)
