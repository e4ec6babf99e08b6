"""The conversation with one payment terminal (docs/protocols/pay-mqtt.md). Sans-IO.

Rule 1: a request is sent once. The terminal's "accepted" makes it CONFIRMED, its "refused" REFUSED; neither within
        `ANSWER_MS_MAX` makes it UNKNOWN. What became of the money is a TerminalReply, and comes later.
Rule 2: an accepted payment has a TerminalReply by its deadline: the terminal's, or "unknown". A later one is passed on.
Rule 3: a request names the heartbeat it was made on and how long after it the terminal may act, by the terminal's own
        clock. A request that a frozen link delivers late is refused by the terminal: nobody pays for a car that left.
Rule 4: what was approved is what was asked, to the last unit and the currency, or the outcome is "unknown" and says why.
Rule 5: a message that may hold a card number is dropped whole; only that it came is counted.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from drivers.api import (
    ORDERS_WAITING_MAX,
    CancelCharge,
    Charge,
    MqttTurn,
    Order,
    Outcome,
    Publish,
    QueryCharge,
    Result,
    ReverseCharge,
    Signal,
    TerminalReply,
)
from drivers.codecs import pay_json
from drivers.codecs.json_message import Malformed
from drivers.codecs.pay_json import FINAL, Ask, CardNumber, Oversized, Taken, Told
from drivers.pay_presence import Presence

ANSWER_MS_MAX: Final = 5_000
MARGIN_MS_MAX: Final = 2_000
"""The terminal is told to give up so long before our deadline, or a quarter of the time if that is less."""
SEND_MS_MAX: Final = 1_000
PAYMENTS_MAX: Final = 256
"""Payments remembered, so that late and repeated answers are known as such. The oldest is forgotten."""
ASKED_MAX: Final = 8
"""Requests remembered for each payment."""
FINISHED_MAX: Final = 64

_Order = Charge | CancelCharge | ReverseCharge | QueryCharge
_ORDERS: Final = (Charge, CancelCharge, ReverseCharge, QueryCharge)


@dataclass(slots=True)
class _Payment:
    """What was asked under a key. `amount_minor` 0: only queried, so the amount is not ours to check."""

    amount_minor: int = 0
    currency: str = ""
    until_ms: int | None = None
    ids: deque[str] = field(default_factory=lambda: deque(maxlen=ASKED_MAX))
    told: TerminalReply | None = None
    lost: bool = False
    """Was under way when the terminal was lost: ask for it when it is back."""


@dataclass(frozen=True, slots=True)
class _Asked:
    order: _Order | None
    what: str
    payment: str
    until_ms: int


class TerminalEngine:
    """Implements `drivers.api.MqttEngine`. `topic` is `<prefix>/<device>`, `run` makes ids differ between restarts."""

    def __init__(self, device: str, topic: str, fresh_ms: int, run: str) -> None:
        self.counters: dict[str, int] = {}
        self._device, self._topic, self._run = device, topic, run
        self._presence = Presence(device, fresh_ms)
        self._payments: OrderedDict[str, _Payment] = OrderedDict()
        self._asked: dict[str, _Asked] = {}
        self._finished: deque[str] = deque(maxlen=FINISHED_MAX)
        self._made = 0
        self._publish: list[Publish] = []
        self._signals: list[Signal] = []

    @property
    def subscriptions(self) -> Sequence[str]:
        return (f"{self._topic}/reply", f"{self._topic}/status")

    # -- what happens -------------------------------------------------------------------------------------------------

    def connected(self, now_ms: int) -> None:
        self._presence.connected(now_ms)

    def disconnected(self, now_ms: int, why: str) -> None:
        self._presence.disconnected(why)
        self._publish.clear()
        for number in list(self._asked):
            self._finish(number, Result.UNKNOWN, why)
        self._judge(now_ms)

    def message(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> None:
        status = topic == f"{self._topic}/status"
        if retained and not status:
            self._count("replies-retained")
            return
        try:
            if status:
                if not self._presence.heard(pay_json.read_status(payload), retained, now_ms):
                    self._count("status-retained")
            else:
                self._answered(pay_json.read_answer(payload, self._ours()))
        except CardNumber:
            self._count("replies-card-number")
        except Oversized:
            self._count("replies-oversized")
        except Malformed:
            self._count("status-malformed" if status else "replies-malformed")

    def order(self, device: str, order: Order, now_ms: int) -> None:
        if device != self._device or not isinstance(order, _ORDERS):
            self._answer(order, Result.REFUSED, f"a terminal cannot {type(order).__name__}")
            return
        self._judge(now_ms)
        refusal = self._refusal(order, now_ms)
        if refusal:
            self._answer(order, Result.REFUSED, refusal)
        else:
            self._ask(order, order.payment, order.deadline_ms, now_ms)

    def poll(self, now_ms: int) -> MqttTurn:
        self._judge(now_ms)
        for number in [number for number, asked in self._asked.items() if now_ms >= asked.until_ms]:
            self._finish(number, Result.UNKNOWN, f"the terminal did not answer within {ANSWER_MS_MAX} ms")
        for key, payment in self._payments.items():
            if payment.until_ms is not None and now_ms >= payment.until_ms:
                payment.until_ms = None
                self._tell(key, payment, TerminalReply(self._device, key, "unknown", why="no answer in time"))
            elif payment.lost and payment.until_ms is not None and self._presence.up:
                self._ask(None, key, payment.until_ms, now_ms)
            payment.lost = payment.lost and not self._presence.up and payment.until_ms is not None
        wakes = [asked.until_ms for asked in self._asked.values()]
        wakes += [payment.until_ms for payment in self._payments.values() if payment.until_ms is not None]
        wake_at_ms = self._presence.wake_at_ms()
        wakes += [wake_at_ms] if wake_at_ms is not None else []
        turn = MqttTurn(tuple(self._publish), tuple(self._signals), max(min(wakes), now_ms) if wakes else None)
        self._publish, self._signals = [], []
        return turn

    # -- requests -----------------------------------------------------------------------------------------------------

    def _refusal(self, order: _Order, now_ms: int) -> str:
        """Why nothing is sent, or empty."""
        if not self._presence.up:
            return self._presence.why or "the terminal was not heard yet"
        if now_ms >= order.deadline_ms:
            return "expired"
        if len(self._asked) >= ORDERS_WAITING_MAX:
            return "queue full"
        if isinstance(order, Charge):
            known = self._payments.get(order.payment)
            same = known is None or (known.amount_minor, known.currency) in (
                (0, ""),
                (order.amount_minor, order.currency),
            )
            if not same:
                return "this payment was asked for another amount before"
        try:
            pay_json.read_ask(pay_json.write_ask(self._made_ask("check", order, order.payment, 1)))
        except Malformed as wrong:
            return str(wrong)
        return ""

    def _ask(self, order: _Order | None, key: str, deadline_ms: int, now_ms: int) -> None:
        """Send one request. `order` None: a query of our own, that nobody waits for."""
        self._made += 1
        number = f"{self._run}-{self._made}"
        rest_ms = deadline_ms - now_ms
        ends_ms = deadline_ms - min(MARGIN_MS_MAX, rest_ms // 4)
        # The heartbeat was sent before it was heard: counted from its sending, this ends no later than we think.
        expires_in_ms = min(max(ends_ms - self._presence.beat_at_ms, 1), pay_json.EXPIRES_MS_MAX)
        ask = self._made_ask(number, order, key, expires_in_ms)
        payment = self._payments.setdefault(key, _Payment())
        payment.ids.append(number)
        if isinstance(order, Charge):
            payment.amount_minor, payment.currency = order.amount_minor, order.currency
        self._payments.move_to_end(key)
        if len(self._payments) > PAYMENTS_MAX:
            self._payments.popitem(last=False)
            self._count("payments-forgotten")
        until_ms = min(deadline_ms, now_ms + ANSWER_MS_MAX)
        self._asked[number] = _Asked(order, ask.what, key, until_ms)
        not_after_ms = min(deadline_ms, now_ms + SEND_MS_MAX)
        message = Publish(f"{self._topic}/request", pay_json.write_ask(ask), not_after_ms=not_after_ms)
        self._publish.append(message)

    def _made_ask(self, number: str, order: _Order | None, key: str, expires_in_ms: int) -> Ask:
        beat = self._presence.beat
        if isinstance(order, Charge):
            money = (order.amount_minor, order.currency, order.reference)
            return Ask(number, "authorise", key, *money, beat, expires_in_ms, order.offline_max_minor)
        if isinstance(order, CancelCharge | ReverseCharge):
            what = "cancel" if isinstance(order, CancelCharge) else "reverse"
            return Ask(number, what, key, beat=beat, expires_in_ms=expires_in_ms)
        return Ask(number, "query", key)

    def _finish(self, number: str, result: Result, detail: str = "") -> None:
        asked = self._asked.pop(number)
        self._finished.append(number)
        if asked.order is not None:
            self._answer(asked.order, result, detail)

    def _answer(self, order: Order, result: Result, detail: str) -> None:
        self._count(f"orders-{result.value}")
        self._signals.append(Outcome(self._device, order.order, result, detail))

    # -- answers ------------------------------------------------------------------------------------------------------

    def _ours(self) -> set[str]:
        """What we made ourselves and the terminal may echo."""
        return {*self._payments, *(number for payment in self._payments.values() for number in payment.ids)}

    def _answered(self, answer: Taken | Told) -> None:
        payment = self._payments.get(answer.payment)
        if payment is None:
            self._count("replies-unknown-payment")
        elif answer.re not in payment.ids:
            self._count("replies-unmatched")
        elif isinstance(answer, Told):
            self._told(answer, payment)
        elif answer.re not in self._asked:
            self._count("replies-late" if answer.re in self._finished else "replies-unmatched")
        else:
            self._taken(answer, payment)

    def _taken(self, answer: Taken, payment: _Payment) -> None:
        order = self._asked[answer.re].order
        if answer.why:
            # Another body under an old key: the old one may have been paid, so this is no plain "no".
            result = Result.UNKNOWN if answer.why == "key-reused" else Result.REFUSED
            self._finish(answer.re, result, f"the terminal says {answer.why}")
            return
        if isinstance(order, Charge):
            payment.until_ms, payment.told = order.deadline_ms, None
        self._finish(answer.re, Result.CONFIRMED)

    def _told(self, answer: Told, payment: _Payment) -> None:
        asked = self._asked.get(answer.re)
        if asked is not None:
            self._finish(answer.re, Result.CONFIRMED)
        awaited = asked is not None and isinstance(asked.order, Charge | QueryCharge)
        if answer.outcome == "pending":
            return
        reply, told = self._reply(answer, payment), payment.told
        if reply == told and not awaited:
            self._count("replies-repeated")
        elif told is not None and told.outcome in FINAL and reply != told:
            self._count("replies-contradicting")  # the first answer stands
            if awaited:
                why = "the terminal contradicts itself"
                self._signals.append(TerminalReply(self._device, answer.payment, "unknown", why=why))
        elif answer.outcome in FINAL or awaited:
            payment.until_ms = None if answer.outcome in FINAL else payment.until_ms
            self._tell(answer.payment, payment, reply)

    def _reply(self, answer: Told, payment: _Payment) -> TerminalReply:
        if answer.outcome == "never-seen":
            return TerminalReply(self._device, answer.payment, "unknown", why="the terminal never saw it")
        asked, echoed = (payment.amount_minor, payment.currency), (answer.amount_minor, answer.currency)
        if payment.amount_minor and asked != echoed:
            self._count("replies-wrong-amount")
            why = f"{answer.outcome}: {echoed[0]} {echoed[1]} where {asked[0]} {asked[1]} was asked"
            return TerminalReply(self._device, answer.payment, "unknown", *echoed, why=why)
        return TerminalReply(
            self._device,
            answer.payment,
            answer.outcome,
            *echoed,
            answer.method,
            answer.auth_code,
            answer.masked.strip(),
            answer.terminal_ref,
            answer.why,
            answer.offline,
        )

    def _tell(self, key: str, payment: _Payment, reply: TerminalReply) -> None:
        assert key == reply.payment
        payment.told = reply
        self._count(f"payments-{reply.outcome}")
        self._signals.append(reply)

    def _judge(self, now_ms: int) -> None:
        change = self._presence.judge(now_ms)
        if change is not None:
            self._count("came-up" if change.up else "lost")
            self._signals.append(change)
            for payment in self._payments.values() if not change.up else ():
                payment.lost = payment.until_ms is not None

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1
