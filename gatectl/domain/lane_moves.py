"""One opening, from the intent to the arm down again. The same for entry and exit lanes.

Rule 1: `vend` is the only place that asks for an opening, and it records the intent in the same step. Every pulse is its own
vend, a second try too: an OpenArm never shares its id with an earlier one.
Rule 2: `_close` is the only place that asks for a closing, and it asserts that the way is known clear and has been for a while.
Rule 3: an order that may have acted is never repeated: the limit switches are read back, or the outcome is unknown.
"""

from gatectl.domain.effects import CloseArm, OpenArm
from gatectl.domain.facts import (
    Irregularity,
    LaneFault,
    LaneModeChanged,
    TicketSpent,
    VendConfirmed,
    VendFailed,
    VendIntended,
    VendUnknown,
)
from gatectl.domain.frozen import replace
from gatectl.domain.ids import TicketNumber, VendId
from gatectl.domain.lane import Arm, Lane, LaneKind, Phase, Trust
from gatectl.domain.lane_common import (
    HELD,
    NORMAL,
    arming_usable,
    closing_usable,
    has_limits,
    needs_reset_loop,
    settle,
    show,
)
from gatectl.domain.lane_records import end_vend, observed, passed_unseen, vend_without_passage, withdrawn
from gatectl.domain.passage import restarted
from gatectl.domain.table import Turn, way_is_clear

P = Phase

BLIND_VENDS_MAX = 3
"""So many vehicles in a row that left the arming loop and never reached the closing loop: the closing loop is dead."""
SEEN = "seen"
"""`lane.answer` once the movement was confirmed by what was seen."""
STAYS_UP = frozenset({LaneFault.FAILS_TO_CLOSE, LaneFault.ARM_FORCED, LaneFault.ARM_BROKEN, LaneFault.ARM_UNKNOWN})
"""Faults with which a lane that stands open does not close by itself when its loops are clear."""
OPENED = frozenset({P.OPEN, P.PASSING, P.HELD_OPEN})
"""Where an arm that is up leads."""
GIVEN_UP = frozenset({P.OUT_OF_SERVICE, P.HELD_OPEN, P.LOCKED})
"""Where an arm that does not open leads."""


# -- opening --------------------------------------------------------------------------------------------------------


def intend(turn: Turn, cause: str, ticket: TicketNumber | None) -> VendId:
    """Record the intent of one movement; an earlier one is over by it."""
    end_vend(turn)
    vend = turn.view.next_vend()
    turn.record(VendIntended(vend, turn.lane.plan.lane, cause, ticket))
    turn.lane = replace(turn.lane, vend=vend, answer="")
    return vend


def pulse_open(turn: Turn, cause: str, ticket: TicketNumber | None) -> VendId:
    vend = intend(turn, cause, ticket)
    turn.do(OpenArm(turn.lane.plan.lane, vend, turn.now_mono_ms + turn.timing.arm_ms))
    return vend


def vend(turn: Turn, cause: str, ticket: TicketNumber | None, tries: int = 1) -> VendId:
    """Open for one vehicle: intent and order in one step, then wait for the arm."""
    made = pulse_open(turn, cause, ticket)
    turn.lane = replace(
        turn.lane,
        ticket=ticket,
        fresh=True,
        last=None,
        asked=None,
        tries=tries,
        reversals=0,
        job=None,
        price=None,
        track=restarted(turn.lane.track),
    )
    turn.go(P.OPENING, turn.timing.arm_ms)
    return made


def confirm(turn: Turn) -> None:
    assert turn.lane.vend is not None
    turn.record(VendConfirmed(turn.lane.vend, turn.lane.plan.lane))
    turn.lane = replace(turn.lane, answer=SEEN)
    turn.clear_fault(LaneFault.FAILS_TO_OPEN)
    if not has_limits(turn.lane):
        turn.clear_fault(LaneFault.ARM_UNKNOWN)


def opened(turn: Turn) -> None:
    """The arm is up (or its output was read back): wait for the vehicle, or go on with the one that is under way."""
    confirm(turn)
    go_on_open(turn)


def go_on_open(turn: Turn) -> None:
    turn.lane = replace(turn.lane, tries=0)
    if turn.lane.mode == HELD:
        settle(turn)
    elif turn.lane.closing.clear and turn.lane.fresh:
        show(turn, "Drive on")
        await_vehicle(turn)
    else:
        await_clear(turn)


def not_opened(turn: Turn, why: str) -> None:
    """The arm is known not to have moved: try again, and then give up."""
    lane = turn.lane
    assert lane.vend is not None
    turn.record(VendFailed(lane.vend, lane.plan.lane, why))
    turn.lane = replace(turn.lane, vend=None)
    if lane.tries < turn.timing.open_tries:
        vend(turn, "retry", lane.ticket, tries=lane.tries + 1)
    else:
        give_up_opening(turn, why)


def give_up_opening(turn: Turn, why: str) -> None:
    """Out of service until a person or the arm itself shows that it moves. What was granted or paid stays so."""
    turn.raise_fault(LaneFault.FAILS_TO_OPEN, why)
    end_vend(turn)
    vend_without_passage(turn, "failed to open")
    settle(turn)


def maybe_opened(turn: Turn, why: str) -> None:
    """Nobody can say whether the arm moved, and the order is not repeated."""
    lane = turn.lane
    assert lane.vend is not None
    turn.record(VendUnknown(lane.vend, lane.plan.lane, why))
    if has_limits(lane):
        give_up_opening(turn, why)
    else:
        turn.raise_fault(LaneFault.ARM_UNKNOWN, why)
        go_on_open(turn)


def opened_late(turn: Turn) -> None:
    """The arm was given up and is seen up after all: what was granted or read goes through, under a vend of its own."""
    lane = turn.lane
    ticket = lane.ticket
    if lane.plan.kind is not LaneKind.ENTRY and ticket is not None and not turn.view.inside(ticket):
        ticket = None
    made = intend(turn, "recovery", ticket)
    if lane.plan.kind is not LaneKind.ENTRY and ticket is not None:
        turn.record(TicketSpent(ticket, lane.plan.lane, made))
    turn.lane = replace(turn.lane, ticket=ticket, fresh=True)
    opened(turn)


# -- open -------------------------------------------------------------------------------------------------------------


def backing_ms(lane: Lane) -> int:
    """How long the arming loop must be clear, with the closing loop never reached, before a vehicle has backed out."""
    return max(lane.plan.timing.clear_ms, lane.plan.timing.long_gap_ms)


def await_vehicle(turn: Turn) -> None:
    """Arm up, closing loop clear: the vehicle comes, backs out, or cannot be seen."""
    lane = turn.lane
    gone = lane.arming.clear and lane.track.a_seen and closing_usable(lane)
    turn.go(P.OPEN, backing_ms(lane) if gone else turn.timing.pass_ms)


def unverified(turn: Turn) -> None:
    """The vend's vehicle is taken to have passed, though the loops did not prove it."""
    if turn.lane.fresh:
        passed_unseen(turn)


def lost_sight(turn: Turn) -> None:
    """The time to pass is over and the closing loop saw nothing."""
    lane = turn.lane
    if not arming_usable(lane) or not closing_usable(lane):
        unverified(turn)
        await_clear(turn)
    elif lane.arming.occupied:
        _still_at_station(turn)
    elif not lane.track.a_seen:
        # Opened for a vehicle that never came.
        withdrawn(turn, "nobody came")
        await_clear(turn)
    else:
        backed_out(turn)
        await_clear(turn)


def backed_out(turn: Turn) -> None:
    """Off the arming loop without ever reaching the closing loop; too many in a row, and it is that loop which is dead."""
    if not turn.lane.track.b_seen and turn.lane.ticket is not None:
        turn.lane = replace(turn.lane, blind=turn.lane.blind + 1)
        if turn.lane.blind >= BLIND_VENDS_MAX:
            turn.raise_fault(LaneFault.LOOP_DEAD, f"closing loop: nothing in {BLIND_VENDS_MAX} vends")
    if LaneFault.LOOP_DEAD in turn.lane.faults and not turn.lane.track.b_seen:
        unverified(turn)
    else:
        withdrawn(turn, "backed out")


def _still_at_station(turn: Turn) -> None:
    waited_ms = turn.now_mono_ms - turn.lane.phase_since_mono_ms
    if waited_ms < turn.timing.stuck_ms:
        turn.go(P.OPEN, turn.timing.pass_ms)
        return
    turn.raise_fault(LaneFault.ARMING_LOOP_STUCK, f"occupied for {waited_ms} ms")
    unverified(turn)
    await_clear(turn)


# -- passing and closing ------------------------------------------------------------------------------------------------


def await_clear(turn: Turn) -> None:
    """Arm up: wait until the way has been clear long enough, or has been blocked too long."""
    lane, timing = turn.lane, turn.timing
    if way_is_clear(lane):
        wait_ms = timing.clear_ms if lane.track.on_line == 0 else timing.pass_ms
    elif lane.closing.trust is Trust.GOOD and (not needs_reset_loop(lane) or lane.reset.trust is Trust.GOOD):
        wait_ms = timing.stuck_ms
    else:
        wait_ms = timing.pass_ms
    turn.go(P.PASSING, lane.way_since_mono_ms + wait_ms - turn.now_mono_ms)


def waited_for_clear(turn: Turn) -> None:
    """The wait of `await_clear` is over."""
    lane = turn.lane
    if not way_is_clear(lane):
        _never_clear(turn)
        return
    if lane.track.on_line > 0:
        turn.raise_fault(LaneFault.LOOP_DEAD, "reset loop")
        passed_unseen(turn)
    lane = turn.lane
    if lane.mode == HELD:
        settle(turn)
    elif has_limits(lane) and lane.arm is Arm.DOWN:
        came_down_alone(turn)
    elif lane.fresh and not arming_usable(lane):
        unverified(turn)
        _close(turn)
    elif lane.fresh and lane.arming.occupied:
        await_vehicle(turn)
    else:
        if lane.fresh:
            withdrawn(turn, "backed out")
        _close(turn)


def _never_clear(turn: Turn) -> None:
    """Safety wins: the arm stays up until the loops are known clear again."""
    lane = turn.lane
    if not lane.closing.occupied and not lane.reset.occupied:
        turn.raise_fault(LaneFault.LOOP_UNTRUSTED, "the way cannot be seen")
    else:
        turn.raise_fault(LaneFault.CLOSING_LOOP_STUCK, f"occupied for {turn.timing.stuck_ms} ms")
    if lane.track.on_line > 0 or lane.arming.clear:
        unverified(turn)
    turn.go(P.HELD_OPEN)
    show(turn, "Drive on")


def _close(turn: Turn) -> None:
    lane, now = turn.lane, turn.now_mono_ms
    assert way_is_clear(lane), "nothing closes over a way that is not known clear"
    assert now - lane.way_since_mono_ms >= turn.timing.clear_ms, "clear, but not for long enough"
    assert lane.mode != HELD, "held open"
    if not lane.plan.has_close:
        turn.go(P.CLOSING, turn.timing.pass_ms if has_limits(lane) else turn.timing.arm_ms)
        return
    vend_ = lane.vend if lane.vend is not None else intend(turn, "recovery", None)
    turn.lane = replace(turn.lane, tries=lane.tries + 1, answer="")
    turn.do(CloseArm(lane.plan.lane, vend_, now + turn.timing.arm_ms))
    turn.go(P.CLOSING, turn.timing.arm_ms)


def start_closing(turn: Turn) -> None:
    """Let the arm down by the rule, as soon as it may be."""
    turn.lane = replace(turn.lane, tries=0)
    await_clear(turn)


def may_close_for_next(lane: Lane) -> bool:
    """Whether the arm was left up by this lane's own vend when the site went dark, and nothing else holds it up.

    It is not let down because of the restart, but the next vehicle's business is a fresh cause to end that vend.
    """
    others = lane.faults & (STAYS_UP - {LaneFault.ARM_FORCED, LaneFault.ARM_UNKNOWN})
    return lane.vend is not None and lane.mode != HELD and not others and way_is_clear(lane)


def closing_late(turn: Turn) -> None:
    """No DOWN in time. Without limit switches that is how a closing ends."""
    lane = turn.lane
    if not has_limits(lane) and (not lane.plan.has_close or lane.answer == "confirmed"):
        turn.clear_fault(LaneFault.ARM_UNKNOWN)
        finish(turn)
    elif _known_not_closed(lane) and lane.tries < turn.timing.close_tries and way_is_clear(lane):
        await_clear(turn)
    else:
        _give_up_closing(turn)


def _known_not_closed(lane: Lane) -> bool:
    """Refused, or done and seen to have had no effect; an unknown outcome is not repeated."""
    return lane.plan.has_close and lane.answer in ("refused", "confirmed")


def _give_up_closing(turn: Turn) -> None:
    lane = turn.lane
    if lane.plan.has_close and lane.answer in ("", "unknown") and lane.vend is not None:
        turn.record(VendUnknown(lane.vend, lane.plan.lane, "close not answered"))
    turn.raise_fault(LaneFault.FAILS_TO_CLOSE, f"not down after {lane.tries} tries")
    end_vend(turn)
    settle(turn)


def reopen(turn: Turn, why: str) -> None:
    """Something is under an arm that may be coming down."""
    lane = turn.lane
    observed(turn, Irregularity.REOPENED_ON_PRESENCE, lane.ticket)
    pulse_open(turn, "presence", None)
    turn.lane = replace(turn.lane, reversals=lane.reversals + 1, tries=0)
    if turn.lane.reversals > turn.timing.reversals:
        turn.raise_fault(LaneFault.FAILS_TO_CLOSE, f"{turn.lane.reversals} times {why}")
        turn.go(P.HELD_OPEN)
    else:
        await_clear(turn)


def finish(turn: Turn) -> None:
    """The arm is down, or taken to be: the opening is over."""
    end_vend(turn)
    turn.lane = replace(turn.lane, tries=0, answer="", last=None)
    settle(turn)


def came_down_alone(turn: Turn) -> None:
    """The barrier closed itself while the lane was still waiting for a vehicle."""
    lane = turn.lane
    if lane.fresh and not arming_usable(lane):
        unverified(turn)
    elif lane.fresh and lane.arming.occupied:
        vend_without_passage(turn, "the barrier closed by itself")
    elif lane.fresh:
        backed_out(turn)
    finish(turn)


def hold_is_over(turn: Turn) -> None:
    """A held arm was seen down: a person closed it at the barrier, or the barrier did so by itself."""
    if turn.lane.mode == HELD:
        turn.lane = replace(turn.lane, mode=NORMAL)
        turn.record(LaneModeChanged(turn.lane.plan.lane, NORMAL, "barrier", "the arm was seen down"))
    if turn.lane.fresh:
        vend_without_passage(turn, "the arm was seen down")
    finish(turn)
