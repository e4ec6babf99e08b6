"""What people and fire may ask of a lane. A person is named and gives a reason; both are recorded before anything moves.

Rule 1: nobody can make an arm come down: CLOSE, RELEASE and RESET only end what held it up, and then it closes by the rule.
Rule 2: fire opens, latches, stops ticketing, and ends by a named person after the wired input is off.
Rule 3: while starting nothing moves, not even by hand; the answer says so.
"""

from typing import Final

from gatectl.domain.effects import CancelPayment, Reply, RetractTicket
from gatectl.domain.facts import (
    LaneFault,
    LaneModeChanged,
    OpenedByHand,
    TicketSpent,
    TicketVoided,
    VoidReason,
)
from gatectl.domain.frozen import replace
from gatectl.domain.lane import Arm, FireChanged, Hand, HandCommanded, LaneKind, Phase
from gatectl.domain.lane_common import FIRE, HELD, LOCKED, NORMAL, RESTING, has_limits, settle, show
from gatectl.domain.lane_moves import pulse_open, start_closing, vend
from gatectl.domain.lane_records import withdrawn
from gatectl.domain.passage import restarted
from gatectl.domain.records.payments_terminals import ReversalStarted
from gatectl.domain.table import Turn, handles, way_is_clear

P = Phase

_UNDER_WAY: Final = frozenset({P.OPENING, P.OPEN, P.PASSING})
_MENDED_BY_RESET: Final = (
    LaneFault.ARM_BROKEN,
    LaneFault.FAILS_TO_OPEN,
    LaneFault.FAILS_TO_CLOSE,
    LaneFault.ARM_FORCED,
    LaneFault.ARM_UNKNOWN,
    LaneFault.LOOP_DEAD,
)


def _answer(turn: Turn, command: HandCommanded, code: str, message: str) -> None:
    turn.do(Reply(command.request, code, message))


def set_mode(turn: Turn, mode: str, who: str, why: str) -> None:
    turn.lane = replace(turn.lane, mode=mode)
    turn.record(LaneModeChanged(turn.lane.plan.lane, mode, who, why))


def stop_ticketing(turn: Turn, reason: VoidReason, why: str) -> None:
    """End what is under way at the station: a ticket that is being printed or waits to be taken, a payment."""
    lane = turn.lane
    if lane.phase in (P.PRINTING, P.PRESENTED):
        assert lane.ticket is not None
        assert lane.job is not None
        turn.record(TicketVoided(lane.ticket, lane.plan.lane, reason, why=why))
        turn.do(RetractTicket(lane.plan.lane, lane.job))
        turn.lane = replace(turn.lane, ticket=None, job=None)
    elif lane.phase is P.PAYING and lane.payment is not None:
        turn.do(CancelPayment(lane.plan.lane, lane.payment))
        turn.lane = replace(turn.lane, payment=None)


# -- fire -------------------------------------------------------------------------------------------------------------


@handles(FireChanged, P.FIRE)
def fire(turn: Turn, happened: FireChanged) -> None:
    """Open and latch. The input going off ends nothing; coming on again opens again."""
    rose = happened.on and not turn.lane.fire
    turn.lane = replace(turn.lane, fire=happened.on)
    if not rose:
        return
    stop_ticketing(turn, VoidReason.NOT_TAKEN, "fire")
    set_mode(turn, FIRE, "fire input", "fire")
    lane = turn.lane
    covered = lane.ticket if lane.fresh or lane.plan.kind is LaneKind.ENTRY else None
    pulse_open(turn, "fire", covered)
    if not (lane.fresh or covered):
        turn.lane = replace(turn.lane, ticket=None, track=restarted(lane.track))
    turn.lane = replace(turn.lane, last=None, asked=None, price=None)
    turn.go(P.FIRE)
    show(turn, "Leave now")


# -- people -----------------------------------------------------------------------------------------------------------


@handles(HandCommanded)
def hand_while_starting(turn: Turn, happened: HandCommanded) -> None:
    _answer(turn, happened, "E-LANE-01", "the lane is starting: nothing moves until its inputs are known")


@handles(HandCommanded, P.OPENING, P.PASSING, *RESTING)
def hand(turn: Turn, happened: HandCommanded) -> None:
    if not happened.who.strip() or not happened.why.strip():
        _answer(turn, happened, "E-USE-01", "a name and a reason are needed")
        return
    refusal = _refusal(turn, happened.hand)
    if refusal:
        _answer(turn, happened, *refusal)
    elif happened.hand is Hand.OPEN:
        _open(turn, happened)
    elif happened.hand is Hand.HOLD:
        _hold(turn, happened)
    elif happened.hand in (Hand.LOCK, Hand.UNLOCK):
        _lock(turn, happened)
    elif happened.hand is Hand.RESET:
        _reset(turn, happened)
    elif happened.hand is Hand.VOID_PAYMENT:
        _void_payment(turn, happened)
    else:
        _let_down(turn, happened)


def _refusal(turn: Turn, asked: Hand) -> tuple[str, str] | None:
    lane = turn.lane
    if lane.phase is P.FIRE and asked not in (Hand.OPEN, Hand.RESET):
        return "E-LANE-02", "fire: open it, or reset it when the fire is over"
    if asked is Hand.VOID_PAYMENT:
        return _not_voidable(turn)
    if asked is Hand.RESET and lane.fire:
        return "E-LANE-02", "the fire input is still on"
    if asked is Hand.RESET and lane.boom_broken:
        return "E-LANE-02", "the boom is still reported broken"
    if asked in (Hand.OPEN, Hand.HOLD) and LaneFault.ARM_BROKEN in lane.faults:
        return "E-LANE-02", "the boom is broken"
    if asked is Hand.CLOSE and lane.phase in _UNDER_WAY:
        return "E-LANE-02", "an opening is under way; the lane closes behind the vehicle"
    if asked is Hand.CLOSE and lane.phase is P.HELD_OPEN and not way_is_clear(lane):
        return "E-LANE-01", "the way under the arm is not known to be clear"
    return None


def _open(turn: Turn, command: HandCommanded) -> None:
    lane = turn.lane
    if lane.phase in _UNDER_WAY or (lane.phase is P.HELD_OPEN and has_limits(lane) and lane.arm is Arm.UP):
        _answer(turn, command, "", "open already")
        return
    _open_for(turn, command, "by-hand", hold=False)
    _answer(turn, command, "", "opening")


def _hold(turn: Turn, command: HandCommanded) -> None:
    lane = turn.lane
    if lane.mode == HELD:
        _answer(turn, command, "", "held open already")
        return
    set_mode(turn, HELD, command.who, command.why)
    if lane.phase in _UNDER_WAY and lane.vend is not None:
        turn.record(OpenedByHand(lane.plan.lane, lane.vend, command.who, command.why, hold=True))
        if lane.phase is not P.OPENING:
            settle(turn)
    else:
        _open_for(turn, command, "hold", hold=True)
    _answer(turn, command, "", "held open")


def _open_for(turn: Turn, command: HandCommanded, cause: str, hold: bool) -> None:
    """Open by hand. The ticket that the lane knows goes with it; a vehicle without one becomes an exception when it passes."""
    stop_ticketing(turn, VoidReason.BY_HAND, f"{command.who}: {command.why}")
    lane = turn.lane
    ticket = lane.ticket
    if ticket is not None and lane.plan.kind is not LaneKind.ENTRY and not lane.fresh and not turn.view.inside(ticket):
        ticket = None
    if lane.phase is P.FIRE:
        made = pulse_open(turn, cause, ticket if lane.fresh else None)
        turn.record(OpenedByHand(lane.plan.lane, made, command.who, command.why, hold))
        return
    made = vend(turn, cause, ticket)
    turn.record(OpenedByHand(lane.plan.lane, made, command.who, command.why, hold))
    if ticket is not None and lane.plan.kind is not LaneKind.ENTRY and not lane.fresh:
        turn.record(TicketSpent(ticket, lane.plan.lane, made))


def _lock(turn: Turn, command: HandCommanded) -> None:
    lane = turn.lane
    wanted = LOCKED if command.hand is Hand.LOCK else NORMAL
    if (lane.mode == LOCKED) == (wanted == LOCKED):
        _answer(turn, command, "", "locked already" if wanted == LOCKED else "not locked")
        return
    held = lane.mode == HELD
    if wanted == LOCKED:
        stop_ticketing(turn, VoidReason.BY_HAND, f"{command.who}: {command.why}")
    set_mode(turn, wanted, command.who, command.why)
    if lane.phase is P.HELD_OPEN and held:
        start_closing(turn)
    elif lane.phase not in {*_UNDER_WAY, P.CLOSING, P.HELD_OPEN}:
        settle(turn)
    _answer(turn, command, "", "locked" if wanted == LOCKED else "unlocked")


def _let_down(turn: Turn, command: HandCommanded) -> None:
    """CLOSE and RELEASE: end what holds the arm up, and let it down by the rule."""
    lane = turn.lane
    if lane.phase is not P.HELD_OPEN:
        if lane.mode == HELD:
            set_mode(turn, NORMAL, command.who, command.why)
        _answer(turn, command, "", "not held open")
        return
    set_mode(turn, NORMAL if lane.mode == HELD else lane.mode, command.who, command.why)
    for fault in (LaneFault.FAILS_TO_CLOSE, LaneFault.ARM_FORCED):
        turn.clear_fault(fault, command.who)
    start_closing(turn)
    _answer(turn, command, "", "closes when the way is clear")


def _not_voidable(turn: Turn) -> tuple[str, str] | None:
    """A payment is taken back at the terminal while its vehicle still stands on the arming loop, and no longer."""
    lane = turn.lane
    if lane.plan.kind is not LaneKind.EXIT or lane.ticket is None or not lane.arming.occupied:
        return "E-LANE-04", "no vehicle stands here whose payment could be taken back"
    if lane.phase not in (P.PRESENT, P.OPEN, *RESTING) or not way_is_clear(lane):
        return "E-LANE-02", "the arm is moving, or the vehicle drives out already"
    if turn.view.taken_here(lane.ticket) is None:
        return "E-PAY-08", f"this terminal took nothing for {lane.ticket}"
    return None


def _void_payment(turn: Turn, command: HandCommanded) -> None:
    """The ticket is not paid any more; an arm that was opened for it comes down by the rule."""
    lane = turn.lane
    assert lane.ticket is not None
    taken = turn.view.taken_here(lane.ticket)
    assert taken is not None
    payment, amount = taken
    currency = turn.view.price(lane.ticket).currency
    who, now_ms = command.who, turn.view.now.wall_ms
    turn.record(
        ReversalStarted(
            payment, lane.ticket, lane.plan.lane, amount, currency, who, command.why, counted=True, started_ms=now_ms
        )
    )
    if lane.phase is P.OPEN:
        withdrawn(turn, "payment void")
        start_closing(turn)
    _answer(turn, command, "", f"the terminal is told to take back {payment}")


def _reset(turn: Turn, command: HandCommanded) -> None:
    """A named person says that the fire is over, the boom is mended, the arm moves again."""
    lane = turn.lane
    for fault in _MENDED_BY_RESET:
        turn.clear_fault(fault, command.who)
    if lane.phase is P.FIRE:
        set_mode(turn, NORMAL, command.who, command.why)
    if lane.phase is P.FIRE or (lane.phase is P.HELD_OPEN and lane.mode != HELD):
        start_closing(turn)
    elif lane.phase in RESTING:
        settle(turn)
    _answer(turn, command, "", "reset")
