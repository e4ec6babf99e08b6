"""Why a lane is where it is: the phase, what holds it there, what it waits for and until when, what would change it.

The order of the reasons is that of `lane_common.resting`, which decides where a lane rests; a test holds them together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gatectl.domain.codes import FAULT_CODES, code_of
from gatectl.domain.facts import LaneFault
from gatectl.domain.lane import Arm, Lane, LaneKind, Layout, Loop, Phase, Trust
from gatectl.domain.lane_common import FIRE, HELD, LOCKED, MOVING_ROLES, has_limits, loops_trusted, needs_reset_loop
from gatectl.domain.why.words import Next, Reason, Step, Why, amount, at, said, span

P = Phase

_WORDS: Final = {
    P.STARTING: "is starting: nothing moves until its inputs are known",
    P.IDLE: "serves: it waits for a vehicle",
    P.PRESENT: "serves: a vehicle stands at the station",
    P.PRINTING: "prints a ticket",
    P.PRESENTED: "waits for its ticket to be taken",
    P.PAYING: "waits for the terminal",
    P.OPENING: "is opening",
    P.OPEN: "is open for one vehicle",
    P.PASSING: "waits until the way under the arm is clear",
    P.CLOSING: "is closing",
    P.HELD_OPEN: "stands open",
    P.LOCKED: "is locked",
    P.FIRE: "stands open for fire",
    P.OUT_OF_SERVICE: "is out of service",
}
_THEN: Final = {
    P.STARTING: "it begins with what is known, and says what is missing",
    P.IDLE: "the closing loop counts as stuck (E-LOOP-02)",
    P.PRESENT: "the arming loop counts as stuck (E-LOOP-01); codes and presses are served all the same",
    P.PRINTING: "the number is burnt, and the driver may press again",
    P.PRESENTED: "the ticket is taken back, its number is burnt",
    P.PAYING: "the terminal is asked again; after three waits the driver is sent to a person",
    P.OPENING: "the arm is given another try, and at last the lane goes out of service (E-BAR-02)",
    P.OPEN: "the vehicle counts as not coming: its ticket is void or good again, and the arm comes down by the rule",
    P.PASSING: "the arm comes down if the way is clear, else it stays up (E-LOOP-02 or E-LOOP-04)",
    P.CLOSING: "the arm is told once more, and at last stays up (E-BAR-01)",
    P.HELD_OPEN: "it is looked whether the arm may come down",
}
_NO_TICKETS: Final = (LaneFault.PRINTER_OFFLINE, LaneFault.PRINTER_OUT, LaneFault.PRINTER_JAM)
_HOLDS_NOTHING: Final = (
    LaneFault.PRINTER_LOW,
    LaneFault.DOOR_OPEN,
    LaneFault.ARMING_LOOP_STUCK,
    LaneFault.LOOP_DEAD,
)


@dataclass(frozen=True, slots=True)
class Around:
    """What the lane itself does not know. `now_mono_ms`: of its boot; None if the lane is not running.

    `mode`: who set it, why and when. `since`: fault to when it was raised and its detail. `lost`: devices that are away.
    `refuses`: what the site would say to a walk-in here now (code, text). `events`: the newest of the lane, oldest first.
    """

    now_ms: int
    now_mono_ms: int | None
    mode: Mapping[str, Any]
    since: Mapping[str, tuple[int, str]]
    lost: Mapping[str, str]
    events: Sequence[Mapping[str, Any]]
    refuses: tuple[str, str] | None = None
    running: bool = True
    sources: tuple[str, ...] = ("the running core", "the journal")


def why_lane(lane: Lane, around: Around) -> Why:
    name = str(lane.plan.lane)
    since = ""
    if around.now_mono_ms is not None and lane.phase_since_mono_ms:
        since = f", since {span(around.now_mono_ms - lane.phase_since_mono_ms)}"
    words = (
        _WORDS[lane.phase] if around.running else f"does nothing: the daemon is not running (last: {lane.phase.value})"
    )
    reasons = [*_down(around), *_holding(lane, around), *_at_station(lane, around), *_waiting(lane, around)]
    reasons += _besides(lane, around)
    return Why(
        "lane",
        name,
        f"{lane.plan.kind.value} lane {words}{since}",
        tuple(reasons),
        _seen(lane),
        tuple(_step(event) for event in around.events),
        tuple(_nexts(lane, around)),
        around.sources,
    )


def _down(around: Around) -> Iterator[Reason]:
    if not around.running:
        yield Reason(
            "The daemon is not running",
            "no lane opens, closes or prints without it; what follows is what it last knew",
            "start it",
            "systemctl status gatectl",
        )


# -- what holds it ----------------------------------------------------------------------------------------------------


def _holding(lane: Lane, around: Around) -> Iterator[Reason]:
    """The first of these that holds decides where the lane rests; the later ones wait behind it."""
    name, mode = lane.plan.lane, lane.mode
    by = f"{said(around.mode, 'who')}, {at(around.mode.get('at_ms'))}" if around.mode else ""
    if mode == FIRE:
        yield Reason(
            f"Fire{by}",
            "fire outranks everything: arm up, no tickets, until a named person says it is over",
            "the fire input goes off" if lane.fire else "a person ends it; the input is off",
            f"gatectl lane reset {name}",
        )
    if mode == HELD:
        yield Reason(
            f"Held open{by}",
            "a person's hold outranks the lane's own business",
            "end it",
            f"gatectl lane release {name}",
        )
    for fault in (LaneFault.FAILS_TO_CLOSE, LaneFault.ARM_FORCED):
        if fault in lane.faults:
            yield _fault(
                lane,
                fault,
                around,
                "an arm that may be up is neither locked nor closed over a vehicle: the lane stands open",
            )
    if lane.phase is P.HELD_OPEN and mode not in (FIRE, HELD):
        yield from _arm_up(lane)
    if mode == LOCKED:
        yield Reason(f"Locked{by}", "a locked lane serves nobody", "unlock it", f"gatectl lane unlock {name}")
    yield from _broken(lane, around)


def _arm_up(lane: Lane) -> Iterator[Reason]:
    if has_limits(lane) and lane.arm is Arm.UP:
        yield Reason("The arm is seen up", "nothing closes while the way is not known clear", *_until_clear(lane))
    elif LaneFault.ARM_UNKNOWN in lane.faults:
        yield Reason(
            "Nobody can see whether the arm is up",
            "a lane without limit switches stands open after an opening in doubt",
            "look at the arm, then say that all is well",
            f"gatectl lane reset {lane.plan.lane}",
        )


def _until_clear(lane: Lane) -> tuple[str, str]:
    watch = f"gatectl loop watch {lane.plan.lane}"
    named = [("closing", lane.closing)]
    if needs_reset_loop(lane):
        named.append(("reset", lane.reset))
    for name, loop in named:
        if loop.trust is not Trust.GOOD:
            return f"the {name} loop can be trusted again: its module, cable and power", watch
        if loop.on:
            return f"the {name} loop clears: a vehicle or metal under the arm, or a detector to reset", watch
    return "the way is clear: it comes down with the next vehicle, or by hand", f"gatectl lane close {lane.plan.lane}"


def _broken(lane: Lane, around: Around) -> Iterator[Reason]:
    entry, name = lane.plan.kind is LaneKind.ENTRY, lane.plan.lane
    if LaneFault.ARM_BROKEN in lane.faults:
        where = "an entry is out of service" if entry else "an exit stands open: it keeps nobody in"
        yield _fault(lane, LaneFault.ARM_BROKEN, around, f"without a boom {where}")
    away = sorted(lane.missing & MOVING_ROLES)
    if away:
        yield Reason(
            f"Devices are away{_lost(around)}: nothing is known of {', '.join(away)}",
            "a lane moves nothing that it cannot order or see",
            "power, cable, address: they come back by themselves",
            "gatectl status",
        )
    doubted = {LaneFault.ARM_UNKNOWN} if away else set()
    for fault in (LaneFault.FAILS_TO_OPEN, LaneFault.ARM_UNKNOWN):
        if fault in lane.faults - doubted:
            yield _fault(lane, fault, around, "an arm that does not obey, or is not seen, is not ordered about")
    if entry and LaneFault.CLOSING_LOOP_STUCK in lane.faults:
        yield _fault(lane, LaneFault.CLOSING_LOOP_STUCK, around, "an entry lets nobody in over a way that is not clear")
    untrusted = not (loops_trusted(lane) or away or lane.phase is P.STARTING)
    if untrusted and (entry or LaneFault.LOOP_UNTRUSTED in lane.faults):
        rule = (
            "an entry without trusted loops is out of service: it could close on a car"
            if entry
            else "an exit goes on without them, unverified: it traps nobody"
        )
        told = ", ".join(f"{each} loop {_loop(loop)}" for each, loop in _loops(lane) if loop.trust is not Trust.GOOD)
        change = "the loop's module answers in time and without fault"
        yield Reason(f"Loops not to be trusted: {told}", rule, change, f"gatectl loop watch {name}")


def _lost(around: Around) -> str:
    return f" ({'; '.join(f'{device}: {why}' for device, why in sorted(around.lost.items()))})" if around.lost else ""


def _fault(lane: Lane, fault: LaneFault, around: Around, rule: str) -> Reason:
    row = code_of(FAULT_CODES[fault.value])
    at_ms, detail = around.since.get(fault.value, (None, ""))
    more = f" ({detail})" if detail else ""
    when = f" since {at(at_ms)}" if at_ms is not None else ""
    told = f"{rule}. It can be: {row.cause[0].lower()}{row.cause[1:]}"
    return Reason(
        f"{row.code}: {row.sentence[:-1]}{more}{when}",
        told,
        row.action.replace("LANE", lane.plan.lane),
        f"gatectl help {row.code}",
    )


# -- who stands there ----------------------------------------------------------------------------------------------


def _at_station(lane: Lane, around: Around) -> Iterator[Reason]:
    """A vehicle stands at the station, and the lane has not let it through."""
    if lane.phase is not P.PRESENT or around.now_mono_ms is None:
        return
    came_ms = around.now_ms - (around.now_mono_ms - lane.phase_since_mono_ms)
    refused = [each for each in around.events if each["kind"] == "code.refused" and each["at_ms"] >= came_ms]
    if refused:
        yield _last_refused(refused[-1])
    elif not lane.arming.occupied:
        yield Reason(
            "The arming loop does not say that a vehicle is there", "an exit without a trusted loop serves all the same"
        )
    elif lane.plan.kind is LaneKind.ENTRY:
        yield Reason(
            "The driver has not pressed, and shown nothing", "an entry asks for a press, a pass or a reservation"
        )
    else:
        yield Reason(
            "Nothing was read since the vehicle came", "an exit opens for a code, a number typed by a person, or a hand"
        )


def _last_refused(event: Mapping[str, Any]) -> Reason:
    body = event["body"]
    row, ticket = code_of(str(body.get("why"))), body.get("ticket")
    what = f"{ticket or 'What was read'} was refused {at(event['at_ms'])}: {row.code}"
    told = f"{row.sentence} {row.cause}"
    return Reason(what, told, row.action, f"gatectl why {ticket}" if ticket else f"gatectl help {row.code}")


# -- what it waits for ------------------------------------------------------------------------------------------------


def _waiting(lane: Lane, around: Around) -> Iterator[Reason]:
    waits = _WAITS.get(lane.phase, "")
    until = ""
    if lane.deadline_mono_ms is not None and around.now_mono_ms is not None:
        left_ms = max(0, lane.deadline_mono_ms - around.now_mono_ms)
        until = f"in {span(left_ms)} ({at(around.now_ms + left_ms)}): {_THEN.get(lane.phase, 'it decides anew')}"
    ticket = f" for {lane.ticket}" if lane.ticket else ""
    if lane.phase is P.STARTING:
        waits = f"It has not read all of its inputs{_unread(lane)}"
    elif lane.phase is P.PAYING and lane.price is not None:
        waits = f"{amount(lane.price.due_minor, lane.price.currency)}{ticket} asked of the terminal (payment {lane.payment})"
    elif lane.phase is P.PRESENT and lane.asked is not None:
        waits = "A request waits for the arm to be down"
    elif lane.phase in (P.PRINTING, P.PRESENTED, P.OPENING, P.OPEN) and waits:
        waits = f"{waits}{ticket}"
    if waits or until:
        yield Reason(waits or "If nothing else happens", f"{'otherwise, ' if waits else ''}{until}", *_moves_on(lane))


_WAITS: Final = {
    P.PRINTING: "The printer has not said that the ticket is out",
    P.PRESENTED: "The driver has not taken the ticket",
    P.OPENING: "The arm has not been seen up",
    P.OPEN: "The vehicle has not reached the closing loop",
    P.PASSING: "The way under the arm has not been clear for long enough",
    P.CLOSING: "The arm has not been seen down",
}


def _unread(lane: Lane) -> str:
    missing = [f"{name} loop {_loop(loop)}" for name, loop in _loops(lane) if loop.trust is not Trust.GOOD]
    if has_limits(lane) and lane.arm not in (Arm.UP, Arm.DOWN):
        missing.append(f"arm {lane.arm.value}")
    return f": {', '.join(missing)}" if missing else ""


def _moves_on(lane: Lane) -> tuple[str, str]:
    name = lane.plan.lane
    if lane.phase is P.PASSING:
        return _until_clear(lane) if not lane.closing.clear else ("it closes by itself", f"gatectl loop watch {name}")
    if lane.phase in (P.OPENING, P.CLOSING):
        order = {"": "the device has not answered", "confirmed": "the device confirmed the order"}
        return (
            f"{order.get(lane.answer, f'the device said {lane.answer}')}; look at the arm",
            f"gatectl loop watch {name}",
        )
    if lane.phase in (P.PRINTING, P.PRESENTED):
        return "look at the printer's mouth", "gatectl printer status"
    if lane.phase is P.STARTING:
        return "the missing inputs are read", f"gatectl loop watch {name}"
    return "", ""


# -- what else a driver there would meet ------------------------------------------------------------------------------


def _besides(lane: Lane, around: Around) -> Iterator[Reason]:
    if around.refuses is not None and lane.plan.kind is LaneKind.ENTRY:
        code, text = around.refuses
        row = code_of(code)
        shown = text.replace("\n", ", ")
        rule = f"{row.sentence} {row.cause}"
        yield Reason(f"A walk-in would be refused now: {code} ({shown})", rule, row.action, f"gatectl help {code}")
    told: dict[LaneFault, str] = {
        LaneFault.TERMINAL_OFFLINE: "what is due is paid at a cashier: the exit asks no terminal",
        **dict.fromkeys(_NO_TICKETS, "no ticket can be had; passes and reservations are served"),
        **dict.fromkeys(_HOLDS_NOTHING, "it holds nothing up"),
    }
    for fault, means in told.items():
        if fault in lane.faults:
            yield _fault(lane, fault, around, means)
    if lane.pending:
        asked = ", ".join(payment for payment, _ in lane.pending)
        yield Reason(
            f"Payments without an answer: {asked}", "they stay pending and are asked for again; none counts twice"
        )


def _loops(lane: Lane) -> list[tuple[str, Loop]]:
    named = [("arming", lane.arming), ("closing", lane.closing)]
    return [*named, ("reset", lane.reset)] if lane.plan.layout is Layout.THREE_LOOP else named


def _loop(loop: Loop) -> str:
    if loop.trust is not Trust.GOOD:
        return loop.trust.value
    return "occupied" if loop.on else "clear"


def _seen(lane: Lane) -> tuple[tuple[str, str], ...]:
    seen = [(f"{name} loop", _loop(loop)) for name, loop in _loops(lane)]
    seen.append(("arm", lane.arm.value if has_limits(lane) else "has no limit switches"))
    seen += [("phase", lane.phase.value), ("mode", lane.mode)]
    if lane.ticket:
        seen.append(("ticket", str(lane.ticket)))
    if lane.missing:
        seen.append(("away", ", ".join(sorted(lane.missing))))
    return tuple(seen)


def _step(event: Mapping[str, Any]) -> Step:
    body, because = event["body"], []
    if event["kind"] == "code.refused":
        row = code_of(str(body.get("why")))
        because = [f"{row.sentence} {row.cause}"]
        if body.get("ticket"):
            because.append(f"its story: gatectl why {body['ticket']}")
    elif event["kind"] == "lane.faulted":
        because = [code_of(FAULT_CODES.get(str(body.get("fault")), "")).cause]
    return Step(event["at_ms"], event["position"], str(event["text"]), tuple(because))


def _nexts(lane: Lane, around: Around) -> Iterator[Next]:
    name, exit_ = lane.plan.lane, lane.plan.kind is LaneKind.EXIT
    if not around.running:
        yield Next("see why it does not run", "journalctl -u gatectl -n 50")
        return
    if lane.phase is P.PRESENT and exit_:
        yield Next("the driver reads the number to you", f"gatectl ticket present NUMBER {name}")
    moves = LaneFault.ARM_BROKEN not in lane.faults and "open" not in lane.missing
    if moves and lane.phase in (P.PRESENT, P.IDLE, P.OUT_OF_SERVICE, P.LOCKED):
        yield Next("let one vehicle through now", f"gatectl lane open {name}")
    yield Next("see each input as it changes", f"gatectl loop watch {name}")
    yield Next("keep what happened for a specialist", f"gatectl incident export {name}.zst --last 30m --lane {name}")
