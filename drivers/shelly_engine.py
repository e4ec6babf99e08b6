"""The conversation with one Shelly Gen2+ device, by its RPC. Sans-IO.

Rule 1: only an answer of the device to our own question, in time, makes its state fresh. What it pushes changes values,
        not their quality; what the broker kept (retained) changes nothing.
Rule 2: nothing is ordered from a device that is not up: link there, `online` true, status answered within `fresh_ms`.
Rule 3: a pulse is preceded by a question to the same output, and sent only on its answer. A link that froze, on our
        side of the broker or the device's, swallows the question and not an "open" that would arrive when it heals.
Rule 4: the device times the pulse (`toggle_after`). CONFIRMED is its answer to that very call; without one before the
        deadline the result is UNKNOWN, and nothing is sent again.
Rule 5: outputs of a device exclude each other: the next pulse waits for the end of the last one, and `REST_MS` more.

What the device must be set to is in docs/protocols/mqtt.md (inputs detached from outputs, outputs off after power-up).
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from drivers.api import (
    ORDERS_WAITING_MAX,
    Health,
    Input,
    MqttTurn,
    Order,
    Outcome,
    Publish,
    Pulse,
    Quality,
    Result,
    Signal,
)
from drivers.codecs import shelly_rpc
from drivers.codecs.json_message import Malformed
from drivers.codecs.shelly_rpc import RPC_ID_MAX, Request, Response

PULSE_MS_MIN: Final = 100
PULSE_MS_MAX: Final = 3_000
REST_MS: Final = 200
"""Between the end of one pulse and the start of the next."""
PROBE_MS_MAX: Final = 1_500
"""The question before a pulse is answered within this, or the pulse is refused."""
SEND_MS_MAX: Final = 250
"""From that answer to the socket; a pulse that waits longer in the link is dropped there."""
ANSWER_MS_MAX: Final = 3_000
"""A pulse is answered within this, or before its deadline if that is earlier; else it is UNKNOWN."""
STATUS_MS_MAX: Final = 1_500
"""A status that took longer to come is not fresh."""
POLL_MS: Final = 2_000
FRESH_MS: Final = 6_000
GIVEN_UP_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class InputPlan:
    """`inverted`: the contact is closed at rest. "Off" is told once the contact was clear for `clear_after_ms`."""

    inverted: bool = False
    clear_after_ms: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One device as its options describe it. `src` is our name towards it: it answers on `<src>/rpc`."""

    topic: str
    src: str
    inputs: Mapping[int, InputPlan] = field(default_factory=dict)
    outputs: Mapping[int, int] = field(default_factory=dict)
    """By number, with the longest pulse that each may give."""
    poll_ms: int = POLL_MS
    fresh_ms: int = FRESH_MS


@dataclass(slots=True)
class _Job:
    """A pulse on its way. `asked` is the question's id, `called` the pulse's, 0 before it was sent."""

    order: Pulse
    output: int
    asked: int
    asked_at_ms: int
    until_ms: int
    called: int = 0


class ShellyEngine:
    """The conversation with one device. Implements `drivers.api.MqttEngine`; `first_id` spreads ids over restarts."""

    def __init__(self, device: str, plan: Plan, first_id: int) -> None:
        assert 0 < first_id <= RPC_ID_MAX
        self.counters: dict[str, int] = {}
        self._device = device
        self._plan = plan
        self._next_id = first_id
        self._linked: bool | None = None  # None: the link was neither up nor down yet
        self._online: bool | None = None
        self._read_at_ms: int | None = None
        self._since_ms = 0
        self._up: bool | None = None
        self._why = ""
        self._status_id, self._status_at_ms = 0, 0
        self._poll_at_ms = 0
        self._inputs: dict[int, bool | None] = {}
        self._clear_since_ms: dict[int, int] = {}
        self._told: dict[int, tuple[bool, Quality]] = {}
        self._waiting: deque[Pulse] = deque()
        self._job: _Job | None = None
        self._busy_until_ms = 0
        self._given_up: deque[int] = deque(maxlen=GIVEN_UP_MAX)
        self._publish: list[Publish] = []
        self._signals: list[Signal] = []

    @property
    def subscriptions(self) -> Sequence[str]:
        topic = self._plan.topic
        return (
            f"{topic}/online",
            f"{topic}/events/rpc",
            *(f"{topic}/status/input:{number}" for number in sorted(self._plan.inputs)),
            f"{self._plan.src}/rpc",
        )

    # -- what happens -------------------------------------------------------------------------------------------------

    def connected(self, now_ms: int) -> None:
        self._linked, self._online, self._read_at_ms = True, None, None
        self._since_ms, self._poll_at_ms = now_ms, now_ms
        self._status_id = 0

    def disconnected(self, now_ms: int, why: str) -> None:
        self._linked, self._online, self._read_at_ms = False, None, None
        self._status_id = 0
        if self._job is not None:
            self._finish(Result.UNKNOWN if self._job.called else Result.REFUSED, why, now_ms)
        while self._waiting:
            self._answer(self._waiting.popleft(), Result.REFUSED, why)
        self._judge(now_ms, why)

    def message(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> None:
        try:
            if topic == f"{self._plan.src}/rpc":
                self._on_reply(payload, retained, now_ms)
            elif topic == f"{self._plan.topic}/online":
                self._on_online(payload)
            elif retained:
                self._count("retained-state")
            elif topic == f"{self._plan.topic}/events/rpc":
                self._take(shelly_rpc.notified(payload) or {})
            elif topic.startswith(f"{self._plan.topic}/status/"):
                self._take(shelly_rpc.pushed(topic, payload))
            else:
                self._count("topics-unknown")
        except Malformed:
            self._count("messages-malformed")

    def order(self, device: str, order: Order, now_ms: int) -> None:
        refusal = ""
        if device != self._device or not isinstance(order, Pulse):
            refusal = f"a Shelly cannot {type(order).__name__}"
        elif self._output_of(order.point) is None:
            refusal = f"no output {order.point!r}"
        elif not PULSE_MS_MIN <= order.width_ms <= self._widest_ms(order.point):
            refusal = f"a pulse of {order.point} lasts {PULSE_MS_MIN} to {self._widest_ms(order.point)} ms"
        elif len(self._waiting) >= ORDERS_WAITING_MAX:
            refusal = "queue full"
        if refusal or not isinstance(order, Pulse):
            self._answer(order, Result.REFUSED, refusal)
        else:
            self._waiting.append(order)

    def poll(self, now_ms: int) -> MqttTurn:
        self._judge(now_ms)
        self._give_up_late(now_ms)
        self._start_next(now_ms)
        self._ask_status(now_ms)
        turn = MqttTurn(tuple(self._publish), tuple(self._signals), self._wake_at(now_ms))
        self._publish, self._signals = [], []
        return turn

    # -- messages -----------------------------------------------------------------------------------------------------

    def _on_online(self, payload: bytes) -> None:
        # Retained or not: it is the broker's word (the device's will), and never enough to be up.
        if payload not in (b"true", b"false"):
            raise Malformed("online is true or false")
        was, self._online = self._online, payload == b"true"
        if not self._online:
            self._read_at_ms = None
        elif not was:
            if self._status_id:
                self._given_up.append(self._status_id)  # asked before it was there
            self._status_id, self._poll_at_ms = 0, 0

    def _on_reply(self, payload: bytes, retained: bool, now_ms: int) -> None:
        if retained:
            self._count("retained-replies")
            return
        reply = Response.from_bytes(payload)
        job = self._job
        if reply.dst != self._plan.src:
            self._count("replies-foreign")
        elif reply.id == self._status_id:
            self._on_status(reply, now_ms)
        elif job is not None and reply.id == (job.called or job.asked):
            if job.called:
                self._on_called(reply, now_ms)
            else:
                self._on_asked(job, reply, now_ms)
        elif reply.id in self._given_up:
            self._count("replies-late")
        else:
            self._count("replies-unmatched")

    def _on_status(self, reply: Response, now_ms: int) -> None:
        self._status_id = 0
        self._poll_at_ms = self._status_at_ms + self._plan.poll_ms
        if reply.result is None:
            self._count("status-errors")
        elif now_ms - self._status_at_ms > STATUS_MS_MAX:
            self._count("status-late")
        elif not self._plan.inputs.keys() <= shelly_rpc.states(reply.result).inputs.keys():
            self._count("status-incomplete")
        else:
            self._take(reply.result)
            self._read_at_ms = now_ms

    def _on_asked(self, job: _Job, reply: Response, now_ms: int) -> None:
        output = reply.result.get("output") if reply.result is not None else None
        round_trip_ms = now_ms - job.asked_at_ms
        if now_ms >= job.until_ms:
            self._finish(Result.REFUSED, "the device answered too late", now_ms)
        elif reply.result is None:
            self._finish(Result.REFUSED, f"the device says {reply.code} {reply.message}".rstrip(), now_ms)
        elif output is not False:
            self._finish(Result.REFUSED, f"output {job.output} is not off", now_ms)
        elif now_ms + round_trip_ms > job.order.deadline_ms:
            self._finish(Result.REFUSED, "expired", now_ms)
        else:
            job.called = self._id()
            job.until_ms = min(job.order.deadline_ms, now_ms + ANSWER_MS_MAX)
            seconds = job.order.width_ms / 1000
            self._call(
                job.called,
                "Switch.Set",
                {"id": job.output, "on": True, "toggle_after": seconds},
                min(job.order.deadline_ms, now_ms + SEND_MS_MAX),
            )

    def _on_called(self, reply: Response, now_ms: int) -> None:
        if reply.result is None:
            self._finish(Result.REFUSED, f"the device says {reply.code} {reply.message}".rstrip(), now_ms)
        elif not isinstance(reply.result.get("was_on"), bool):
            raise Malformed("the result of Switch.Set has was_on")
        else:
            self._finish(Result.CONFIRMED, "", now_ms)

    def _take(self, components: Mapping[str, object]) -> None:
        for number, state in shelly_rpc.states(components).inputs.items():
            if number in self._plan.inputs:
                self._inputs[number] = state

    # -- orders -------------------------------------------------------------------------------------------------------

    def _output_of(self, point: str) -> int | None:
        return next((number for number in self._plan.outputs if point == f"do{number}"), None)

    def _widest_ms(self, point: str) -> int:
        output = self._output_of(point)
        return 0 if output is None else self._plan.outputs[output]

    def _give_up_late(self, now_ms: int) -> None:
        if self._job is not None and now_ms >= self._job.until_ms:
            if self._job.called:
                self._finish(Result.UNKNOWN, "no answer in time", now_ms)
            else:
                self._finish(Result.REFUSED, "no answer before the pulse was sent", now_ms)
        for order in [order for order in self._waiting if now_ms >= order.deadline_ms]:
            self._waiting.remove(order)
            self._answer(order, Result.REFUSED, "expired")

    def _start_next(self, now_ms: int) -> None:
        if not self._up:
            while self._waiting:
                self._answer(self._waiting.popleft(), Result.REFUSED, self._why or "the device was not read yet")
            return
        if self._job is not None or not self._waiting or now_ms < self._busy_until_ms:
            return
        order = self._waiting.popleft()
        output = self._output_of(order.point)
        assert output is not None
        until_ms = min(order.deadline_ms, now_ms + PROBE_MS_MAX)
        self._job = _Job(order, output, self._id(), now_ms, until_ms)
        self._call(self._job.asked, "Switch.GetStatus", {"id": output}, until_ms)

    def _finish(self, result: Result, detail: str, now_ms: int) -> None:
        job, self._job = self._job, None
        assert job is not None
        if result is not Result.CONFIRMED:
            self._given_up.append(job.called or job.asked)
        if result is not Result.REFUSED:
            self._busy_until_ms = now_ms + job.order.width_ms + REST_MS
        self._answer(job.order, result, detail)

    def _answer(self, order: Order, result: Result, detail: str) -> None:
        self._count(f"orders-{result.value}")
        self._signals.append(Outcome(self._device, order.order, result, detail))

    # -- state --------------------------------------------------------------------------------------------------------

    def _ask_status(self, now_ms: int) -> None:
        if not self._linked:
            return
        if self._status_id and now_ms - self._status_at_ms > STATUS_MS_MAX:
            self._count("status-timeouts")
            self._given_up.append(self._status_id)
            self._status_id, self._poll_at_ms = 0, self._status_at_ms + self._plan.poll_ms
        if not self._status_id and now_ms >= self._poll_at_ms:
            self._status_id, self._status_at_ms = self._id(), now_ms
            self._call(self._status_id, "Shelly.GetStatus", {}, now_ms + STATUS_MS_MAX)

    def _judge(self, now_ms: int, why: str = "") -> None:
        """Is the device up? Say so when it changes, and what its inputs are worth."""
        fresh_ms = self._plan.fresh_ms
        stale = self._read_at_ms is None or now_ms - self._read_at_ms > fresh_ms
        up = self._linked is True and self._online is True and not stale
        waited = self._linked is False or (self._linked is True and now_ms - self._since_ms > fresh_ms)
        undecided = self._up is None and not waited
        if not up and not undecided and self._up is not False:
            reasons = {"no connection to the broker": not self._linked, "the device is offline": self._online is False}
            reasons["the device never said that it is online"] = self._online is None
            self._why = why or next((text for text, true in reasons.items() if true), f"no status for {fresh_ms} ms")
        if (up or not undecided) and up is not self._up:
            self._up = up
            self._why = "" if up else self._why
            self._count("came-up" if up else "lost")
            self._signals.append(Health(self._device, up, self._why))
            if not up and self._job is not None and not self._job.called:
                self._finish(Result.REFUSED, self._why, now_ms)
        for number in sorted(self._plan.inputs):
            self._tell(number, up, now_ms)

    def _tell(self, number: int, up: bool, now_ms: int) -> None:
        if number not in self._inputs:
            return
        plan, state, before = self._plan.inputs[number], self._inputs[number], self._told.get(number)
        was_on = before is not None and before[0]
        if not up:
            self._clear_since_ms.pop(number, None)
            if before is None:
                return  # never told: there is nothing that could have become stale
            now = (was_on, Quality.STALE)
        elif state is None:
            now = (was_on, Quality.FAULT)
        else:
            on = state is not plan.inverted
            shown = self._dwelt(number, on, was_on, now_ms)
            # What is shown only because "off" has not lasted yet is no reading: after a doubt it stays one.
            doubt = before[1] if before is not None and shown is not on else Quality.GOOD
            now = (shown, doubt)
        if now != before:
            self._told[number] = now
            self._signals.append(Input(self._device, f"di{number}", *now))

    def _dwelt(self, number: int, on: bool, was_on: bool, now_ms: int) -> bool:
        """ "On" at once; "off" when it has been so for a while."""
        if on or not was_on:
            self._clear_since_ms.pop(number, None)
            return on
        since_ms = self._clear_since_ms.setdefault(number, now_ms)
        if now_ms - since_ms < self._plan.inputs[number].clear_after_ms:
            return True
        del self._clear_since_ms[number]
        return False

    def _wake_at(self, now_ms: int) -> int | None:
        wakes = [order.deadline_ms for order in self._waiting]
        wakes += [since + self._plan.inputs[number].clear_after_ms for number, since in self._clear_since_ms.items()]
        if self._job is not None:
            wakes.append(self._job.until_ms)
        elif self._waiting:
            wakes.append(self._busy_until_ms)
        if self._linked:
            wakes.append(self._status_at_ms + STATUS_MS_MAX + 1 if self._status_id else self._poll_at_ms)
            if self._read_at_ms is not None:
                wakes.append(self._read_at_ms + self._plan.fresh_ms + 1)
            elif self._up is None:
                wakes.append(self._since_ms + self._plan.fresh_ms + 1)
        return max(min(wakes), now_ms) if wakes else None

    def _call(self, number: int, method: str, params: Mapping[str, object], not_after_ms: int) -> None:
        request = Request(number, self._plan.src, method, params)
        self._publish.append(Publish(f"{self._plan.topic}/rpc", request.to_bytes(), not_after_ms=not_after_ms))

    def _id(self) -> int:
        number = self._next_id
        self._next_id = number % RPC_ID_MAX + 1
        return number

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1
