"""A payment terminal and a pay station: the other end of `drivers.pay_mqtt`, with customers and faults.

Engines too, so they run on the same link or in simulated time. Switches may be set from any thread.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drivers.api import MqttTurn, Order, Publish
from drivers.codecs import json_message, pay_json
from drivers.codecs.json_message import Malformed
from drivers.codecs.pay_json import FINAL, Ask, StationAsk, StationReply, Status, Taken, Told
from drivers.sim.mqtt_device import SimulatedMqttDevice

BEAT_MS: Final = 2_000
BEATS_KEPT: Final = 32
PAYMENTS_KEPT: Final = 10_000
HISTORY_MAX: Final = 10_000
TEST_CARD: Final = "4111111111111111"
"""The card number that every scheme publishes for tests; it belongs to nobody."""


class Heart:
    """The heartbeats of a device: when which one was sent."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._sent: OrderedDict[str, int] = OrderedDict()
        self._made = 0
        self._next_ms = 0

    @property
    def will(self) -> Publish:
        return Publish(f"{self.topic}/status", pay_json.write_status(Status(online=False)), retain=True)

    @property
    def next_ms(self) -> int:
        return self._next_ms

    def restart(self) -> None:
        self._next_ms = 0

    def beat(self, now_ms: int) -> list[Publish]:
        """The heartbeat that is due, if one is."""
        if now_ms < self._next_ms:
            return []
        self._made += 1
        name = f"b{self._made}"
        self._sent[name] = now_ms
        if len(self._sent) > BEATS_KEPT:
            self._sent.popitem(last=False)
        self._next_ms = now_ms + BEAT_MS
        return [Publish(f"{self.topic}/status", pay_json.write_status(Status(online=True, beat=name)))]

    def sent_at_ms(self, beat: str) -> int | None:
        return self._sent.get(beat)


@dataclass(slots=True)
class _Payment:
    ask: Ask
    until_ms: int
    due_ms: int
    told: Told


class TerminalTwin:
    """A terminal with a customer before it. `charged` is the money that was really taken, key by key."""

    def __init__(self, topic: str) -> None:
        self.counters: dict[str, int] = {}
        self.verdict = "approved"
        """What becomes of the next payment: approved, declined or cancelled."""
        self.after_ms = 300
        """How long customer and bank take."""
        self.silent = False
        """Beats its heart and answers nothing."""
        self.lose_outcomes = False
        """Charges, and the message that says so is lost; a query is answered."""
        self.echo_off_by = 0
        """Claims another amount than it was asked for."""
        self.offline = False
        """Does not reach the issuer: approves on its own, and says so."""
        self.reverses = True
        """Can take a payment back."""
        self.reversed: set[str] = set()
        self.leak_card = False
        """Puts a card number where the masked one belongs."""
        self.charged: deque[tuple[str, int, str]] = deque(maxlen=HISTORY_MAX)
        self._heart = Heart(topic)
        self._topic = topic
        self._payments: OrderedDict[str, _Payment] = OrderedDict()
        self._publish: list[Publish] = []

    @property
    def will(self) -> Publish:
        return self._heart.will

    @property
    def subscriptions(self) -> Sequence[str]:
        return (f"{self._topic}/request",)

    def connected(self, now_ms: int) -> None:
        self._heart.restart()

    def disconnected(self, now_ms: int, why: str) -> None:
        self._publish.clear()

    def message(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> None:
        if self.silent:
            return
        try:
            if retained:
                raise Malformed("kept by the broker")
            ask = pay_json.read_ask(payload)
        except Malformed:
            self._count("requests-refused")
            return
        self._count(ask.what)
        if ask.what == "authorise":
            self._authorise(ask, now_ms)
        elif ask.what == "cancel":
            self._cancel(ask, now_ms)
        elif ask.what == "reverse":
            self._reverse(ask, now_ms)
        else:
            known = self._payments.get(ask.payment)
            self._say(self._as_answer(known, ask.id) if known else Told(ask.id, ask.payment, "never-seen"))

    def order(self, device: str, order: Order, now_ms: int) -> None:
        raise AssertionError(f"{device} is simulated and takes no orders; at {now_ms}: {order}")

    def poll(self, now_ms: int) -> MqttTurn:
        for payment in self._payments.values():
            if payment.told.outcome != "pending":
                continue
            if now_ms >= payment.until_ms:
                self._end(payment, "timed-out")
            elif now_ms >= payment.due_ms:
                self._end(payment, self.verdict)
        wakes = [min(p.until_ms, p.due_ms) for p in self._payments.values() if p.told.outcome == "pending"]
        turn = MqttTurn((*self._heart.beat(now_ms), *self._publish), (), min([self._heart.next_ms, *wakes]))
        self._publish = []
        return turn

    def _deadline_ms(self, ask: Ask, now_ms: int) -> int | None:
        """Until when the request is good, or None if it is no more."""
        sent_at_ms = self._heart.sent_at_ms(ask.beat)
        until_ms = 0 if sent_at_ms is None else sent_at_ms + ask.expires_in_ms
        return until_ms if now_ms < until_ms else None

    def _authorise(self, ask: Ask, now_ms: int) -> None:
        known = self._payments.get(ask.payment)
        until_ms = self._deadline_ms(ask, now_ms)
        if known is not None and (known.ask.amount_minor, known.ask.currency) != (ask.amount_minor, ask.currency):
            self._say(Taken(ask.id, ask.payment, "key-reused"))
        elif known is not None:
            self._say(Taken(ask.id, ask.payment))
            if known.told.outcome in FINAL:
                self._say(self._as_answer(known, ask.id))
        elif until_ms is None:
            self._say(Taken(ask.id, ask.payment, "expired"))
        elif any(payment.told.outcome == "pending" for payment in self._payments.values()):
            self._say(Taken(ask.id, ask.payment, "busy"))
        else:
            pending = Told(ask.id, ask.payment, "pending")
            self._payments[ask.payment] = _Payment(ask, until_ms, now_ms + self.after_ms, pending)
            if len(self._payments) > PAYMENTS_KEPT:
                self._payments.popitem(last=False)
            self._say(Taken(ask.id, ask.payment))

    def _cancel(self, ask: Ask, now_ms: int) -> None:
        known = self._payments.get(ask.payment)
        if known is None:
            self._say(Taken(ask.id, ask.payment, "never-seen"))
        elif self._deadline_ms(ask, now_ms) is None:
            self._say(Taken(ask.id, ask.payment, "expired"))
        elif known.told.outcome != "pending":
            self._say(Taken(ask.id, ask.payment, "too-late"))
        else:
            self._say(Taken(ask.id, ask.payment))
            self._end(known, "cancelled")

    def _reverse(self, ask: Ask, now_ms: int) -> None:
        known = self._payments.get(ask.payment)
        if known is None:
            self._say(Taken(ask.id, ask.payment, "never-seen"))
        elif self._deadline_ms(ask, now_ms) is None:
            self._say(Taken(ask.id, ask.payment, "expired"))
        elif not self.reverses or known.told.outcome != "approved":
            self._say(Taken(ask.id, ask.payment, "too-late"))
        else:
            self.reversed.add(ask.payment)
            self._say(Taken(ask.id, ask.payment))

    def _end(self, payment: _Payment, outcome: str) -> None:
        ask = payment.ask
        approved = outcome == "approved"
        if approved:
            self.charged.append((ask.payment, ask.amount_minor, ask.currency))
        payment.told = Told(
            ask.id,
            ask.payment,
            outcome,
            ask.amount_minor + self.echo_off_by,
            ask.currency,
            "DEBIT_CARD" if approved else "",
            f"A{len(self.charged):05d}" if approved else "",
            "************4242" if approved else "",
            f"T-{len(self.charged)}" if approved else "",
            "" if approved else outcome,
            approved and self.offline,
        )
        if not self.lose_outcomes:
            self._say(payment.told)

    def _as_answer(self, payment: _Payment, re: str) -> Told:
        told = payment.told
        extras = (told.method, told.auth_code, told.masked, told.terminal_ref, told.why, told.offline)
        return Told(re, told.payment, told.outcome, told.amount_minor, told.currency, *extras)

    def _say(self, answer: Taken | Told) -> None:
        payload = pay_json.write_answer(answer)
        if self.leak_card and isinstance(answer, Told):
            payload = json_message.write({**json_message.read(payload), "masked": TEST_CARD})
        self._publish.append(Publish(f"{self._topic}/reply", payload))

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1


def _nobody(_reply: StationReply) -> None:
    pass


class StationTwin:
    """A pay station. `ask` from any thread; `on_reply` hears each answer in the link's thread, `replies` keeps them."""

    def __init__(self, topic: str, on_reply: Callable[[StationReply], None] = _nobody) -> None:
        self.counters: dict[str, int] = {}
        self.replies: dict[str, StationReply] = {}
        self.never_confirms = False
        """Takes answers and does not say that it received them."""
        self._on_reply = on_reply
        self._topic = topic
        self._heart = Heart(topic)
        self._asks: deque[StationAsk] = deque(maxlen=HISTORY_MAX)

    @property
    def will(self) -> Publish:
        return self._heart.will

    @property
    def subscriptions(self) -> Sequence[str]:
        return (f"{self._topic}/reply",)

    def ask(self, ask: StationAsk) -> None:
        """Send a request when the link next turns; again under the same id is what it does when it hears nothing."""
        self._asks.append(ask)

    def connected(self, now_ms: int) -> None:
        self._heart.restart()

    def disconnected(self, now_ms: int, why: str) -> None:
        pass

    def message(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> None:
        try:
            if retained:
                raise Malformed("kept by the broker")
            reply = pay_json.read_station_reply(payload)
        except Malformed:
            self.counters["replies-refused"] = self.counters.get("replies-refused", 0) + 1
            return
        self.replies[reply.re] = reply
        if not self.never_confirms:
            self.ask(StationAsk(reply.re, "received"))
        self._on_reply(reply)

    def order(self, device: str, order: Order, now_ms: int) -> None:
        raise AssertionError(f"{device} is simulated and takes no orders; at {now_ms}: {order}")

    def poll(self, now_ms: int) -> MqttTurn:
        publish = self._heart.beat(now_ms)
        while self._asks:
            payload = pay_json.write_station_ask(self._asks.popleft())
            publish.append(Publish(f"{self._topic}/request", payload))
        return MqttTurn(tuple(publish), (), self._heart.next_ms)


class SimulatedTerminal(SimulatedMqttDevice):
    """A terminal on a real broker."""

    def __init__(self, name: str, twin: TerminalTwin, options: Mapping[str, object]) -> None:
        super().__init__(name, twin, options)
        self.twin = twin


class SimulatedStation(SimulatedMqttDevice):
    """A pay station on a real broker."""

    def __init__(self, name: str, twin: StationTwin, options: Mapping[str, object]) -> None:
        super().__init__(name, twin, options)
        self.twin = twin

    def ask(self, ask: StationAsk) -> None:
        self.twin.ask(ask)
        self.nudge()
