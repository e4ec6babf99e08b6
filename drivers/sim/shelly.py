"""A Shelly Gen2+ device: the other end of `drivers.shelly`. It is an engine too, so it runs on the same link, or in
simulated time, and carries out orders as the device does: whatever reaches it, retained or late.

Faults are switches that may be set from any thread; `SimulatedShelly.nudge` makes them felt at once.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drivers.api import MqttTurn, Order, Publish
from drivers.codecs.json_message import Malformed, write
from drivers.codecs.shelly_rpc import Request, Response
from drivers.sim.mqtt_device import SimulatedMqttDevice

BAD_REQUEST: Final = -103
"""Shelly API documentation, "Common Errors": invalid argument."""
NO_HANDLER: Final = 404
CHANGES_MAX: Final = 1_000
ACTS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Act:
    """An output changed: `by` is "rpc" or "timer"."""

    at_ms: int
    output: int
    on: bool
    by: str


def _nobody(_act: Act) -> None:
    pass


class ShellyTwin:
    """The device. `acts` is what its outputs did; `on_act` hears of each at once, in the link's thread."""

    def __init__(self, topic: str, inputs: int, outputs: int, on_act: Callable[[Act], None] = _nobody) -> None:
        self.counters: dict[str, int] = {}
        self.topic = topic
        self.inputs: dict[int, bool | None] = dict.fromkeys(range(inputs), False)
        self.outputs = dict.fromkeys(range(outputs), False)
        self.acts: deque[Act] = deque(maxlen=ACTS_MAX)
        self.mute = False
        """Acts, notifies, but answers no call at all."""
        self.swallow_set_replies = False
        """Acts on Switch.Set and does not say so."""
        self.late_ms = 0
        """Every answer comes so much later."""
        self.retain_states = False
        """Publishes its states retained, as some firmware scripts do."""
        self._on_act = on_act
        self._changes: deque[tuple[int, bool | None]] = deque(maxlen=CHANGES_MAX)
        self._off_at_ms: dict[int, int] = {}
        self._replies: deque[tuple[int, Publish]] = deque()
        self._publish: list[Publish] = []

    @property
    def will(self) -> Publish:
        return Publish(f"{self.topic}/online", b"false", retain=True)

    @property
    def subscriptions(self) -> Sequence[str]:
        return (f"{self.topic}/rpc",)

    def set_input(self, number: int, state: bool | None) -> None:
        """From any thread; it changes when the link next turns."""
        self._changes.append((number, state))

    def connected(self, now_ms: int) -> None:
        self._publish.append(Publish(f"{self.topic}/online", b"true", retain=True))
        for number in self.inputs:
            self._push(f"input:{number}")

    def disconnected(self, now_ms: int, why: str) -> None:
        self._publish.clear()
        self._replies.clear()

    def message(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> None:
        try:
            request = Request.from_bytes(payload)
        except Malformed:
            self._count("requests-malformed")
            return
        self._count(request.method)
        reply = self._called(request, now_ms)
        silent = self.mute or (self.swallow_set_replies and request.method == "Switch.Set")
        if not silent:
            answer = Publish(f"{request.src}/rpc", reply.to_bytes())
            self._replies.append((now_ms + self.late_ms, answer))

    def order(self, device: str, order: Order, now_ms: int) -> None:
        raise AssertionError(f"{device} is simulated and takes no orders; at {now_ms}: {order}")

    def poll(self, now_ms: int) -> MqttTurn:
        while self._changes:
            number, state = self._changes.popleft()
            self.inputs[number] = state
            self._push(f"input:{number}")
        for number in [number for number, at_ms in self._off_at_ms.items() if now_ms >= at_ms]:
            self._switch(number, on=False, by="timer", now_ms=now_ms)
        while self._replies and self._replies[0][0] <= now_ms:
            self._publish.append(self._replies.popleft()[1])
        wakes = [*self._off_at_ms.values(), *(at_ms for at_ms, _ in self._replies)]
        turn = MqttTurn(tuple(self._publish), (), min(wakes) if wakes else None)
        self._publish = []
        return turn

    def _called(self, request: Request, now_ms: int) -> Response:
        number = request.params.get("id")
        if request.method == "Shelly.GetStatus":
            names = [f"input:{n}" for n in self.inputs] + [f"switch:{n}" for n in self.outputs]
            return self._result(request, {name: self._component(name) for name in names})
        if request.method not in ("Switch.Set", "Switch.GetStatus"):
            return self._error(request, NO_HANDLER, f"No handler for {request.method}")
        if number not in self.outputs or not isinstance(number, int):
            return self._error(request, BAD_REQUEST, "Invalid argument 'id'")
        if request.method == "Switch.GetStatus":
            return self._result(request, self._component(f"switch:{number}"))
        on, seconds = request.params.get("on"), request.params.get("toggle_after", 0)
        if not isinstance(on, bool) or not isinstance(seconds, int | float):
            return self._error(request, BAD_REQUEST, "Invalid argument")
        was_on = self.outputs[number]
        self._switch(number, on=on, by="rpc", now_ms=now_ms)
        if seconds > 0:
            self._off_at_ms[number] = now_ms + round(seconds * 1000)
        return self._result(request, {"was_on": was_on})

    def _switch(self, number: int, *, on: bool, by: str, now_ms: int) -> None:
        self._off_at_ms.pop(number, None)
        if self.outputs[number] != on:
            self.outputs[number] = on
            act = Act(now_ms, number, on, by)
            self.acts.append(act)
            self._on_act(act)
            self._push(f"switch:{number}")

    def _component(self, name: str) -> dict[str, object]:
        kind, _, index = name.partition(":")
        if kind == "input":
            return {"id": int(index), "state": self.inputs[int(index)]}
        return {"id": int(index), "source": "MQTT", "output": self.outputs[int(index)], "temperature": {"tC": 41.5}}

    def _push(self, name: str) -> None:
        body = self._component(name)
        notice = {"src": self.topic, "dst": f"{self.topic}/events", "method": "NotifyStatus", "params": {name: body}}
        self._publish.append(Publish(f"{self.topic}/events/rpc", write(notice)))
        self._publish.append(Publish(f"{self.topic}/status/{name}", write(body), retain=self.retain_states))

    def _result(self, request: Request, result: Mapping[str, object]) -> Response:
        return Response(request.id, self.topic, request.src, result)

    def _error(self, request: Request, code: int, message: str) -> Response:
        return Response(request.id, self.topic, request.src, None, code, message)

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1


class SimulatedShelly(SimulatedMqttDevice):
    """A twin on a real broker."""

    def __init__(self, twin: ShellyTwin, options: Mapping[str, object]) -> None:
        super().__init__(twin.topic, twin, options)
        self.twin = twin

    def set_input(self, number: int, state: bool | None) -> None:
        self.twin.set_input(number, state)
        self.nudge()
