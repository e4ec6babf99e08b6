"""A broker in simulated time, for engines of both ends: retained messages, wills, links that delay, freeze and break.

It is stricter than a real broker where that finds bugs: what a frozen link holds is all delivered when the link heals,
however late that is, as a TCP connection may do.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.api import MqttEngine, Order, Publish, Signal
from drivers.links.mqtt_core import matches

STEPS_MAX = 1_000_000


@dataclass
class _Link:
    engine: MqttEngine
    will: Publish | None
    up: bool = False
    frozen: bool = False
    latency_ms: int = 5
    held: list[Callable[[], None]] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    sent: list[Publish] = field(default_factory=list)


class SimulatedBroker:
    """Clients by name; time moves only in `run`. Signals of each client are in `signals(name)`, in order."""

    def __init__(self, now_ms: int = 1_000_000) -> None:
        self.now_ms = now_ms
        self.retained: dict[str, bytes] = {}
        self._links: dict[str, _Link] = {}
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def add(self, name: str, engine: MqttEngine, will: Publish | None = None) -> None:
        self._links[name] = _Link(engine, will)

    def signals(self, name: str) -> list[Signal]:
        return self._links[name].signals

    def sent(self, name: str) -> list[Publish]:
        """What a client has published, as it was handed to the link."""
        return self._links[name].sent

    def connect(self, *names: str) -> None:
        for name in names:
            link = self._links[name]
            link.up, link.frozen = True, False
            link.engine.connected(self.now_ms)
            for topic, payload in sorted(self.retained.items()):
                if any(matches(wanted, topic) for wanted in link.engine.subscriptions):
                    self._carry(link, topic, payload, retained=True)
            self.poll(name)

    def cut(self, name: str, why: str = "connection lost") -> None:
        """Both ends notice; the broker publishes the client's will. What was under way on this link is gone."""
        link = self._links[name]
        link.up, link.frozen, link.held = False, False, []
        link.engine.disconnected(self.now_ms, why)
        if link.will is not None:
            self.publish(link.will)
        self.poll(name)

    def freeze(self, name: str) -> None:
        """Nobody notices yet; nothing passes."""
        self._links[name].frozen = True

    def heal(self, name: str) -> None:
        """All that was held comes through now."""
        link = self._links[name]
        link.frozen = False
        held, link.held = link.held, []
        for item in held:
            self._later(link.latency_ms, item)

    def slow(self, name: str, latency_ms: int) -> None:
        self._links[name].latency_ms = latency_ms

    def order(self, name: str, device: str, order: Order) -> None:
        self._links[name].engine.order(device, order, self.now_ms)
        self.poll(name)

    def publish(self, message: Publish) -> None:
        """As if some client had published it."""
        if message.retain:
            self.retained[message.topic] = message.payload
        for link in self._links.values():
            if link.up and any(matches(wanted, message.topic) for wanted in link.engine.subscriptions):
                self._carry(link, message.topic, message.payload, retained=False)

    def poll(self, name: str) -> None:
        link = self._links[name]
        turn = link.engine.poll(self.now_ms)
        link.signals.extend(turn.signals)
        for message in turn.publish:
            link.sent.append(message)
            if link.up:
                self._pass(link, lambda message=message: self.publish(message))  # type: ignore[misc]  # binds now
        if turn.wake_at_ms is not None:
            self._at(max(turn.wake_at_ms, self.now_ms + 1), lambda: self.poll(name))

    def run(self, for_ms: int) -> None:
        """Let time pass, and everything happen that is due."""
        until_ms = self.now_ms + for_ms
        for _ in range(STEPS_MAX):
            if not self._agenda or self._agenda[0][0] > until_ms:
                self.now_ms = until_ms
                return
            at_ms, _, happen = heapq.heappop(self._agenda)
            self.now_ms = max(self.now_ms, at_ms)
            happen()
        raise AssertionError(f"more than {STEPS_MAX} steps in {for_ms} ms")

    def _carry(self, link: _Link, topic: str, payload: bytes, *, retained: bool) -> None:
        def arrive() -> None:
            if link.up:
                link.engine.message(topic, payload, retained, self.now_ms)
                self.poll(next(name for name, other in self._links.items() if other is link))

        self._pass(link, arrive)

    def _pass(self, link: _Link, happen: Callable[[], None]) -> None:
        """Through a link, one way, after its latency; held if it is frozen then."""

        def through() -> None:
            if link.frozen:
                link.held.append(happen)
            else:
                happen()

        self._later(link.latency_ms, through)

    def _later(self, in_ms: int, happen: Callable[[], None]) -> None:
        self._at(self.now_ms + in_ms, happen)

    def _at(self, at_ms: int, happen: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (at_ms, self._count, happen))
