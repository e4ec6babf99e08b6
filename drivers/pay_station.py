"""The conversation with one pay station (docs/protocols/pay-mqtt.md). Sans-IO.

Rule 1: the station asks, under an id that it never uses again; the same id again is the same request. While it is being
        answered it is dropped, afterwards it gets the same answer: a customer's cash is not taken twice.
Rule 2: an answer is CONFIRMED when the station says that it received it, and UNKNOWN if it does not in time.
Rule 3: a request that the broker kept (retained) was made at another time, and is refused.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drivers.api import MqttTurn, Order, Outcome, Publish, Result, Signal, StationAnswer, StationRequest
from drivers.codecs import pay_json
from drivers.codecs.json_message import Malformed
from drivers.codecs.pay_json import MESSAGE_BYTES_MAX, CardNumber, Oversized, StationAsk, StationReply
from drivers.pay_presence import Presence

OPEN_MAX: Final = 16
"""Requests of one station that wait for an answer; one more is refused."""
OPEN_MS_MAX: Final = 60_000
"""Then nobody will answer it any more; the same id is a new request."""
ANSWERED_MAX: Final = 64
"""Answers kept, to be given again."""
RECEIVED_MS_MAX: Final = 5_000


@dataclass(frozen=True, slots=True)
class _Sent:
    order: StationAnswer
    until_ms: int


class StationEngine:
    """Implements `drivers.api.MqttEngine`. `topic` is `<prefix>/<device>`."""

    def __init__(self, device: str, topic: str, fresh_ms: int) -> None:
        self.counters: dict[str, int] = {}
        self._device, self._topic = device, topic
        self._presence = Presence(device, fresh_ms)
        self._open: dict[str, tuple[StationAsk, int]] = {}  # until when it is open
        self._answers: OrderedDict[str, tuple[StationAsk, bytes]] = OrderedDict()
        self._sent: dict[str, _Sent] = {}
        self._publish: list[Publish] = []
        self._signals: list[Signal] = []

    @property
    def subscriptions(self) -> Sequence[str]:
        return (f"{self._topic}/request", f"{self._topic}/status")

    def connected(self, now_ms: int) -> None:
        self._presence.connected(now_ms)

    def disconnected(self, now_ms: int, why: str) -> None:
        self._presence.disconnected(why)
        self._publish.clear()
        for request in list(self._sent):
            self._finish(request, Result.UNKNOWN, why)

    def message(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> None:
        status = topic == f"{self._topic}/status"
        if retained and not status:
            self._count("requests-retained")
            return
        try:
            if status:
                if not self._presence.heard(pay_json.read_status(payload), retained, now_ms):
                    self._count("status-retained")
            else:
                self._asked(pay_json.read_station_ask(payload), now_ms)
        except CardNumber:
            self._count("requests-card-number")
        except Oversized:
            self._count("requests-oversized")
        except Malformed:
            self._count("status-malformed" if status else "requests-malformed")

    def order(self, device: str, order: Order, now_ms: int) -> None:
        if device != self._device or not isinstance(order, StationAnswer):
            self._answer(order, Result.REFUSED, f"a pay station cannot {type(order).__name__}")
            return
        waiting = self._open.get(order.request)
        if waiting is None:
            self._answer(order, Result.REFUSED, "no such request waits for an answer")
            return
        try:
            payload = pay_json.write_station_reply(StationReply(order.request, order.ok, order.data))
        except (TypeError, ValueError):
            payload = b""
        if not 0 < len(payload) <= MESSAGE_BYTES_MAX:
            self._answer(order, Result.REFUSED, f"the answer is not JSON of at most {MESSAGE_BYTES_MAX} bytes")
            return
        # Decided is decided: the answer is kept even if it cannot be sent now, and the station may ask for it again.
        del self._open[order.request]
        self._answers[order.request] = (waiting[0], payload)
        if len(self._answers) > ANSWERED_MAX:
            self._answers.popitem(last=False)
        if now_ms >= order.deadline_ms:
            self._answer(order, Result.REFUSED, "expired")
            return
        self._sent[order.request] = _Sent(order, min(order.deadline_ms, now_ms + RECEIVED_MS_MAX))
        self._publish.append(Publish(f"{self._topic}/reply", payload, not_after_ms=order.deadline_ms))

    def poll(self, now_ms: int) -> MqttTurn:
        change = self._presence.judge(now_ms)
        if change is not None:
            self._count("came-up" if change.up else "lost")
            self._signals.append(change)
        for request in [request for request, sent in self._sent.items() if now_ms >= sent.until_ms]:
            self._finish(request, Result.UNKNOWN, "the station did not say that it received it")
        for request in [request for request, (_, until_ms) in self._open.items() if now_ms >= until_ms]:
            del self._open[request]
            self._count("requests-unanswered")
        wakes = [sent.until_ms for sent in self._sent.values()] + [until_ms for _, until_ms in self._open.values()]
        wake_at_ms = self._presence.wake_at_ms()
        wakes += [wake_at_ms] if wake_at_ms is not None else []
        turn = MqttTurn(tuple(self._publish), tuple(self._signals), max(min(wakes), now_ms) if wakes else None)
        self._publish, self._signals = [], []
        return turn

    def _asked(self, ask: StationAsk, now_ms: int) -> None:
        if ask.what == "received":
            if ask.id in self._sent:
                self._finish(ask.id, Result.CONFIRMED, "")
            else:
                self._count("received-unmatched")
            return
        answered = self._answers.get(ask.id)
        waiting = answered or self._open.get(ask.id)
        if waiting is not None and waiting[0] != ask:
            self._count("requests-id-reused")
            self._refuse(ask, "E-REQ-01", "this id was used for another request")
        elif answered is not None:
            self._count("requests-repeated")
            self._publish.append(Publish(f"{self._topic}/reply", answered[1]))
        elif waiting is not None:
            self._count("requests-repeated")
        elif len(self._open) >= OPEN_MAX:
            self._count("requests-too-many")
            self._refuse(ask, "E-REQ-02", "too many requests wait for an answer")
        else:
            self._open[ask.id] = (ask, now_ms + OPEN_MS_MAX)
            self._count(f"requests-{ask.what}")
            self._signals.append(StationRequest(self._device, ask.id, ask.what, ask.code, ask.tendered_minor))

    def _refuse(self, ask: StationAsk, code: str, message: str) -> None:
        reply = StationReply(ask.id, False, {"code": code, "message": message})
        self._publish.append(Publish(f"{self._topic}/reply", pay_json.write_station_reply(reply)))

    def _finish(self, request: str, result: Result, detail: str) -> None:
        self._answer(self._sent.pop(request).order, result, detail)

    def _answer(self, order: Order, result: Result, detail: str) -> None:
        self._count(f"orders-{result.value}")
        self._signals.append(Outcome(self._device, order.order, result, detail))

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1
