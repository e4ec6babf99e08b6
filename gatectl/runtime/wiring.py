"""Which device point plays which role in which lane: signals in, lane inputs out.

Runs on the core thread only, and keeps just what an edge needs to be seen: the last state of buttons and limit switches.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from drivers import api
from gatectl.domain import events, lane
from gatectl.domain.ids import JobId, LaneId, PaymentId, RequestId, VendId

STATION: Final = "station"
"""In place of a lane: an OrderName that answers a pay station; its verb is the device. No person's request begins so."""
CHARGER: Final = "/charger"
"""In place of a lane: an OrderName that steers a charger; its verb is the act. No lane has a slash in its id."""
ROLES_OF_ARMS: Final = ("arm_up", "arm_down")


@dataclass(frozen=True, slots=True)
class LaneWires:
    """One lane's roles: role to (device, point); the point is "" when the device as a whole is meant."""

    lane: LaneId
    roles: Mapping[str, tuple[str, str]]
    pulse_ms: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class OrderName:
    """What an order is for, carried in its id, so that an outcome needs no table to be understood."""

    lane: str
    verb: str
    about: str

    def __str__(self) -> str:
        return f"{self.lane}|{self.verb}|{self.about}"

    @classmethod
    def parse(cls, text: str) -> "OrderName":
        lane_id, _, rest = text.partition("|")
        verb, _, about = rest.partition("|")
        return cls(lane_id, verb, about)


@dataclass(slots=True)
class Wiring:
    """Translates every signal of a driver into what happened at a lane or the site."""

    lanes: tuple[LaneWires, ...]
    stations: Mapping[str, str] = field(default_factory=dict)
    """Device to pay station."""
    chargers: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Charger to its device and connector."""
    last_inputs: dict[tuple[str, str], api.Input] = field(default_factory=dict)
    """The newest reading of each input, for people; written on the core thread, read anywhere."""
    last_status: dict[str, api.Signal] = field(default_factory=dict)
    """The newest status of each printer."""
    _points: dict[tuple[str, str], list[tuple[LaneId, str]]] = field(default_factory=dict)
    _devices: dict[str, dict[LaneId, tuple[str, ...]]] = field(default_factory=dict)
    _limits: dict[LaneId, dict[str, api.Input]] = field(default_factory=dict)
    _pressed: dict[tuple[LaneId, str], bool | None] = field(default_factory=dict)
    """None: not known. Only a change from released to pressed, both seen, is a press: a reconnect is none."""

    def __post_init__(self) -> None:
        for wires in self.lanes:
            for role, (device, point) in wires.roles.items():
                self._points.setdefault((device, point), []).append((wires.lane, role))
                roles = self._devices.setdefault(device, {})
                roles[wires.lane] = (*roles.get(wires.lane, ()), role)

    def translate(self, signal: api.Signal) -> Sequence[events.Event]:
        """The events that a signal means; none for what no lane is wired to."""
        return tuple(_SIGNALS[type(signal)](self, signal))

    def _lane(self, lane_id: str, happened: lane.Input) -> events.LaneInput:
        return events.LaneInput(LaneId(lane_id), happened)

    def _whole(self, device: str, role: str) -> Iterator[LaneId]:
        for lane_id, found in self._points.get((device, ""), ()):
            if found == role:
                yield lane_id

    def _input(self, signal: api.Input) -> Iterator[events.Event]:
        self.last_inputs[signal.device, signal.point] = signal
        for lane_id, role in self._points.get((signal.device, signal.point), ()):
            happened = self._meaning(lane_id, role, signal)
            if happened is not None:
                yield self._lane(lane_id, happened)

    def _meaning(self, lane_id: LaneId, role: str, signal: api.Input) -> lane.Input | None:
        good = signal.quality is api.Quality.GOOD
        if role in _LOOPS:
            return _LOOPS[role](lane.Loop(signal.on, lane.Trust(signal.quality.value)))
        if role in ROLES_OF_ARMS:
            limits = self._limits.setdefault(lane_id, {})
            limits[role] = signal
            return lane.ArmMoved(_arm_of(limits))
        if role == "button":
            before = self._pressed.get((lane_id, role))
            self._pressed[lane_id, role] = signal.on if good else None
            return lane.ButtonPressed() if good and signal.on and before is False else None
        if role in _CONTACTS and good:
            return _CONTACTS[role](signal.on)
        return None

    def _printer(self, signal: api.PrinterStatus) -> Iterator[events.Event]:
        self.last_status[signal.device] = signal
        jam = (
            None if signal.cutter_error is None and signal.error is None else bool(signal.cutter_error or signal.error)
        )
        changed = lane.PrinterChanged(signal.online, signal.paper_low, signal.paper_out, jam, signal.in_mouth)
        for lane_id in self._whole(signal.device, "printer"):
            yield self._lane(lane_id, changed)

    def _paper(self, signal: api.Paper) -> Iterator[events.Event]:
        name = OrderName.parse(signal.order)
        if name.verb != "print":
            return
        job = JobId(name.about)
        what: lane.Input
        if signal.what == "presented":
            what = lane.TicketPresented(job)
        elif signal.what == "taken":
            what = lane.TicketPulled(job)
        else:
            what = lane.TicketRetracted(job)
        yield self._lane(name.lane, what)

    def _code(self, signal: api.Code) -> Iterator[events.Event]:
        for lane_id in self._whole(signal.device, "reader"):
            yield self._lane(lane_id, lane.CodeWasRead(signal.text))

    def _terminal(self, signal: api.TerminalReply) -> Iterator[events.Event]:
        answered = lane.TerminalAnswered(
            PaymentId(signal.payment),
            signal.outcome,
            signal.method or "CREDIT_CARD",
            signal.auth_code,
            signal.masked,
            signal.terminal_ref,
            signal.why,
            signal.offline,
        )
        for lane_id in self._whole(signal.device, "terminal"):
            yield self._lane(lane_id, answered)

    def _station(self, signal: api.StationRequest) -> Iterator[events.Event]:
        station = self.stations.get(signal.device)
        if station is not None:
            request = RequestId(str(OrderName(STATION, signal.device, signal.request)))
            yield events.StationAsked(request, station, signal.what, signal.code, signal.tendered_minor)

    def _charger(self, signal: api.ChargerReport) -> Iterator[events.Event]:
        request = RequestId(str(OrderName(STATION, signal.device, signal.request)))
        words: tuple[tuple[str, str | int | bool], ...] = signal.words
        if signal.connector is not None:
            words = (("connector", signal.connector), *words)
        yield events.Asked(request, f"charger-{signal.what}", signal.device, words)

    def _not_steered(self, name: OrderName, signal: api.Outcome) -> Iterator[events.Event]:
        """What a charger did, it tells itself; what it did not, nobody else would."""
        if signal.result is not api.Result.CONFIRMED:
            words = (("charger", name.about), ("act", name.verb), ("why", signal.detail or signal.result.value))
            yield events.Asked(RequestId(f"{CHARGER}|{name.about}"), "charger-steered", signal.device, words)

    def _health(self, signal: api.Health) -> Iterator[events.Event]:
        roles = self._devices.get(signal.device, {})
        yield events.DeviceWent(signal.device, signal.up, signal.why, tuple(roles.items()))
        for lane_id in self._whole(signal.device, "terminal"):
            yield self._lane(lane_id, lane.TerminalChanged(signal.up))

    def _outcome(self, signal: api.Outcome) -> Iterator[events.Event]:
        name = OrderName.parse(signal.order)
        result = signal.result
        if name.lane == CHARGER:
            yield from self._not_steered(name, signal)
        elif name.verb in ("open", "close", "stop"):
            answer = lane.ArmAnswered(VendId(name.about), name.verb, result.value, signal.detail)
            yield self._lane(name.lane, answer)
        elif name.verb == "print":
            job = JobId(name.about)
            if result is api.Result.CONFIRMED:
                yield self._lane(name.lane, lane.TicketPrinted(job))
            else:
                maybe = result is api.Result.UNKNOWN
                yield self._lane(name.lane, lane.PrintFailed(job, signal.detail, maybe))
        elif name.verb == "reverse":
            yield from self._reversed(PaymentId(name.about), signal)
        elif name.verb in ("charge", "query") and result is not api.Result.CONFIRMED:
            outcome = "cancelled" if name.verb == "charge" and result is api.Result.REFUSED else "unknown"
            failed = lane.TerminalAnswered(PaymentId(name.about), outcome, why=signal.detail)
            yield self._lane(name.lane, failed)

    def _reversed(self, payment: PaymentId, signal: api.Outcome) -> Iterator[events.Event]:
        """A terminal that cannot now, or was not reached, is asked again; one that will not is a refusal."""
        if signal.result is api.Result.CONFIRMED:
            yield events.PaymentReversed(payment, "reversed")
        elif signal.result is api.Result.REFUSED and signal.detail.endswith(_NEVER_REVERSED):
            yield events.PaymentReversed(payment, "refused", signal.detail)


_NEVER_REVERSED: Final = ("too-late", "never-seen", "malformed", "has no terminal", "cannot ReverseCharge")
"""How a terminal's "no" ends that will stay one."""


def _arm_of(limits: Mapping[str, api.Input]) -> lane.Arm:
    """Both limit switches as one position; a switch that is not known good makes it unknown, and so do both at once."""
    known = [limits.get(role) for role in ROLES_OF_ARMS]
    if any(switch is None or switch.quality is not api.Quality.GOOD for switch in known):
        return lane.Arm.UNKNOWN
    up, down = (bool(switch and switch.on) for switch in known)
    if up and down:
        return lane.Arm.UNKNOWN
    if up:
        return lane.Arm.UP
    return lane.Arm.DOWN if down else lane.Arm.BETWEEN


_LOOPS: Final[Mapping[str, Callable[[lane.Loop], lane.Input]]] = {
    "arming": lane.ArmingLoopChanged,
    "closing": lane.ClosingLoopChanged,
    "reset": lane.ResetLoopChanged,
}
_CONTACTS: Final[Mapping[str, Callable[[bool], lane.Input]]] = {
    "broken": lane.ArmBroke,
    "door": lane.DoorMoved,
    "fire": lane.FireChanged,
}
_SIGNALS: Final[Mapping[type, Callable[[Wiring, Any], Iterator[events.Event]]]] = {
    api.Input: Wiring._input,
    api.PrinterStatus: Wiring._printer,
    api.Paper: Wiring._paper,
    api.Code: Wiring._code,
    api.TerminalReply: Wiring._terminal,
    api.StationRequest: Wiring._station,
    api.ChargerReport: Wiring._charger,
    api.Health: Wiring._health,
    api.Outcome: Wiring._outcome,
}
