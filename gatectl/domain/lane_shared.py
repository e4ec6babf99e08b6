"""The handlers that both kinds of lane share: devices' words, loops and arm, the opening, fire, and people's commands.

A kind's table is `shared_rows()` and its own rows; a pair that the kind decides itself replaces the shared one.
"""

from collections.abc import Callable
from typing import Final, cast, get_args

from gatectl.domain.effects import QueryPayment
from gatectl.domain.facts import Irregularity, LaneFault, VendFailed, VendUnknown
from gatectl.domain.frozen import replace
from gatectl.domain.lane import (
    Arm,
    ArmAnswered,
    ArmBroke,
    ArmingLoopChanged,
    ArmMoved,
    ClosingLoopChanged,
    DeadlinePassed,
    DeviceAvailabilityChanged,
    DoorMoved,
    Input,
    Lane,
    Phase,
    PrinterChanged,
    ResetLoopChanged,
    TerminalChanged,
)
from gatectl.domain.lane_common import (
    ARM_IS_DOWN,
    HELD,
    RESTING,
    closing_usable,
    follow_moves,
    gone_stale,
    has_limits,
    record_arm,
    record_boom,
    record_device,
    record_door,
    record_loop,
    record_printer,
    record_terminal,
    settle,
)
from gatectl.domain.lane_hand import fire, hand
from gatectl.domain.lane_moves import (
    GIVEN_UP,
    OPENED,
    SEEN,
    STAYS_UP,
    await_clear,
    await_vehicle,
    backing_ms,
    came_down_alone,
    closing_late,
    confirm,
    finish,
    hold_is_over,
    lost_sight,
    may_close_for_next,
    maybe_opened,
    not_opened,
    opened,
    opened_late,
    reopen,
    start_closing,
    waited_for_clear,
)
from gatectl.domain.lane_records import left_the_station, observed, passed_unseen, withdrawn
from gatectl.domain.passage import Move
from gatectl.domain.table import Handler, Pair, Turn, everywhere, handles, pairs, way_is_clear

P = Phase

LoopEvent = ArmingLoopChanged | ClosingLoopChanged | ResetLoopChanged
AT_REST: Final = frozenset({P.IDLE, P.PRESENT, P.LOCKED, P.OUT_OF_SERVICE})
"""Resting with the arm down, or with nothing to expect of it."""


def on_loops(*leads_to: Phase) -> Callable[[Callable[[Turn, LoopEvent], None]], tuple[Handler, ...]]:
    """Make one decision the handler of the three loops."""

    def made(decide: Callable[[Turn, LoopEvent], None]) -> tuple[Handler, ...]:
        any_input = cast("Callable[[Turn, Input], None]", decide)  # as in `handles`
        return tuple(Handler(decide.__name__, kind, frozenset(leads_to), any_input) for kind in get_args(LoopEvent))

    return made


# -- loops ----------------------------------------------------------------------------------------------------------


def _barred(lane: Lane) -> bool:
    """Whether the arm is down, so that nothing can pass; a granted ticket and a broken boom leave room for doubt."""
    if lane.phase in ARM_IS_DOWN:
        return True
    doubtful = lane.ticket is not None or LaneFault.ARM_BROKEN in lane.faults
    return has_limits(lane) and lane.arm is Arm.DOWN and not doubtful


def log_implausible(turn: Turn, happened: LoopEvent) -> None:
    """Arm down: whatever crosses the closing loop is logged, and no passage is inferred from it."""
    rose = not turn.lane.track.b
    record_loop(turn, happened)
    if rose and turn.lane.track.b:
        observed(turn, Irregularity.IMPLAUSIBLE_ORDER, turn.lane.ticket)


@on_loops(P.IDLE, P.PRESENT, P.OUT_OF_SERVICE)
def rest_loops(turn: Turn, happened: LoopEvent) -> None:
    """At rest: a vehicle arrives, leaves, or passes a lane that is out of service."""
    _at_rest(turn, happened)


@on_loops()
def locked_loops(turn: Turn, happened: LoopEvent) -> None:
    """Locked: vehicles come and go, and nothing is offered to them."""
    _at_rest(turn, happened)


def _at_rest(turn: Turn, happened: LoopEvent) -> None:
    if _barred(turn.lane):
        log_implausible(turn, happened)
    else:
        follow_moves(turn, record_loop(turn, happened))
    lane = turn.lane
    if lane.arming.clear and way_is_clear(lane) and lane.track.on_line == 0:
        left_the_station(turn)
    settle(turn)


@on_loops(P.PASSING)
def opening_loops(turn: Turn, happened: LoopEvent) -> None:
    """Arm on its way up: a vehicle that passes already proves that it is open."""
    move = record_loop(turn, happened)
    follow_moves(turn, move)
    if move is Move.FORWARD:
        start_closing(turn)


@on_loops(P.PASSING)
def open_loops(turn: Turn, happened: LoopEvent) -> None:
    """Arm up: the vehicle reaches the closing loop, backs off, or comes again."""
    follow_moves(turn, record_loop(turn, happened))
    if turn.lane.closing.clear or not closing_usable(turn.lane):
        await_vehicle(turn)
    else:
        await_clear(turn)


@on_loops()
def passing_loops(turn: Turn, happened: LoopEvent) -> None:
    follow_moves(turn, record_loop(turn, happened))
    await_clear(turn)


@on_loops(P.PASSING, P.HELD_OPEN)
def closing_loops(turn: Turn, happened: LoopEvent) -> None:
    """Arm on its way down: a closing loop that is not known clear any more raises it at once."""
    follow_moves(turn, record_loop(turn, happened))
    if not turn.lane.closing.clear:
        _way_lost(turn)


def _way_lost(turn: Turn) -> None:
    lane = turn.lane
    if not lane.plan.has_close and has_limits(lane) and lane.arm is Arm.UP:
        await_clear(turn)
    else:
        reopen(turn, "presence while closing")


@on_loops(P.PASSING)
def held_loops(turn: Turn, happened: LoopEvent) -> None:
    """The lane stands open: every passage is recorded, and the arm comes down once only the loops were holding it."""
    move = _record_standing(turn, happened)
    if _may_come_down(turn, move):
        start_closing(turn)
    else:
        _watch_station(turn)


@on_loops()
def fire_loops(turn: Turn, happened: LoopEvent) -> None:
    """Every passage is recorded, none is certain, and nothing closes."""
    _record_standing(turn, happened)
    _watch_station(turn)


def _record_standing(turn: Turn, happened: LoopEvent) -> Move:
    was_on = turn.lane.track.a
    move = record_loop(turn, happened)
    if was_on and not turn.lane.track.a and not closing_usable(turn.lane):
        passed_unseen(turn, held=True)
    else:
        follow_moves(turn, move)
    return move


def _watch_station(turn: Turn) -> None:
    """A vehicle that has a ticket and is off the loops without having passed is backing out."""
    lane = turn.lane
    waits = lane.ticket is not None and lane.arming.clear and lane.closing.clear and lane.track.on_line == 0
    turn.go(lane.phase, backing_ms(lane) if waits else None)


def _may_come_down(turn: Turn, move: Move) -> bool:
    lane = turn.lane
    if lane.mode == HELD or not way_is_clear(lane):
        return False
    if not lane.faults & STAYS_UP:
        return True
    return move is Move.FORWARD and may_close_for_next(lane)


# -- the arm ----------------------------------------------------------------------------------------------------------


@handles(ArmMoved, P.HELD_OPEN, P.OUT_OF_SERVICE)
def rest_arm(turn: Turn, happened: ArmMoved) -> None:
    """At rest nothing here moves the arm: what moves it is a person at the barrier, or a vend that was given up as unknown."""
    record_arm(turn, happened)
    _seen_up_unasked(turn)
    settle(turn)


@handles(ArmMoved, P.HELD_OPEN)
def locked_arm(turn: Turn, happened: ArmMoved) -> None:
    record_arm(turn, happened)
    _seen_up_unasked(turn)
    settle(turn)


@handles(ArmMoved, P.IDLE, P.PRESENT, P.LOCKED, *OPENED)
def out_of_service_arm(turn: Turn, happened: ArmMoved) -> None:
    """An arm that was given up and is seen up after all lets its vehicle through."""
    given_up = LaneFault.FAILS_TO_OPEN in turn.lane.faults and turn.lane.ticket is not None
    record_arm(turn, happened)
    if turn.lane.arm is Arm.UP and given_up:
        opened_late(turn)
        return
    _seen_up_unasked(turn)
    settle(turn)


@handles(ArmMoved)
def busy_arm(turn: Turn, happened: ArmMoved) -> None:
    """At the station the ticket's business goes on; where the arm is, is on record."""
    record_arm(turn, happened)
    _seen_up_unasked(turn)


def _seen_up_unasked(turn: Turn) -> None:
    if turn.lane.arm is Arm.UP:
        turn.raise_fault(LaneFault.ARM_FORCED, "up without a vend")


@handles(ArmMoved, *OPENED)
def opening_arm(turn: Turn, happened: ArmMoved) -> None:
    record_arm(turn, happened)
    if turn.lane.arm is Arm.UP:
        opened(turn)


@handles(ArmMoved, *RESTING)
def open_arm(turn: Turn, happened: ArmMoved) -> None:
    record_arm(turn, happened)
    if turn.lane.arm is Arm.DOWN:
        came_down_alone(turn)


@handles(ArmMoved, *RESTING)
def passing_arm(turn: Turn, happened: ArmMoved) -> None:
    """Seen down with the way clear, the opening is over; down over an occupied loop it is not believed."""
    record_arm(turn, happened)
    lane = turn.lane
    if lane.arm is Arm.UP and lane.vend is not None and lane.answer != SEEN:
        confirm(turn)
    if lane.arm is Arm.DOWN and way_is_clear(lane):
        if lane.track.on_line > 0:
            passed_unseen(turn)
        came_down_alone(turn)


@handles(ArmMoved, P.PASSING, *RESTING)
def closing_arm(turn: Turn, happened: ArmMoved) -> None:
    """Down: over. Up again: the barrier's own safety raised it."""
    before = turn.lane.arm
    record_arm(turn, happened)
    lane = turn.lane
    if lane.arm is Arm.DOWN:
        finish(turn)
    elif lane.arm is Arm.UP and before is not Arm.UP:
        turn.lane = replace(lane, reversals=lane.reversals + 1, answer=SEEN)
        if turn.lane.reversals > turn.timing.reversals:
            turn.raise_fault(LaneFault.FAILS_TO_CLOSE, f"raised itself {turn.lane.reversals} times")
            settle(turn)
        else:
            await_clear(turn)


@handles(ArmMoved, P.IDLE, P.PRESENT, P.LOCKED, P.OUT_OF_SERVICE)
def held_arm(turn: Turn, happened: ArmMoved) -> None:
    record_arm(turn, happened)
    if turn.lane.arm is Arm.UP and turn.lane.vend is not None and turn.lane.answer != SEEN:
        confirm(turn)
    if turn.lane.arm is Arm.DOWN:
        hold_is_over(turn)


@handles(ArmMoved)
def fire_arm(turn: Turn, happened: ArmMoved) -> None:
    """In a fire an arm that is down is a fault for a person to see to; the wired input is what holds it open."""
    record_arm(turn, happened)
    if turn.lane.arm is Arm.UP and turn.lane.vend is not None and turn.lane.answer != SEEN:
        confirm(turn)
    if turn.lane.arm is Arm.DOWN:
        turn.raise_fault(LaneFault.FAILS_TO_OPEN, "down in a fire")


# -- answers -----------------------------------------------------------------------------------------------------------


@handles(ArmAnswered, *OPENED, *GIVEN_UP)
def opening_answer(turn: Turn, happened: ArmAnswered) -> None:
    """Confirmed means that the output was read back; where there are limit switches, only they say that the arm is up."""
    lane = turn.lane
    if happened.vend != lane.vend or happened.order != "open":
        return
    turn.lane = replace(lane, answer=happened.result)
    if happened.result == "refused":
        not_opened(turn, happened.detail)
    elif happened.result == "confirmed" and (not has_limits(lane) or lane.arm is Arm.UP):
        opened(turn)
    elif happened.result == "unknown" and not has_limits(lane):
        maybe_opened(turn, happened.detail)


@handles(ArmAnswered)
def closing_answer(turn: Turn, happened: ArmAnswered) -> None:
    """Without limit switches the time for the arm to come down runs from the confirmed pulse."""
    lane = turn.lane
    if happened.vend != lane.vend or happened.order != "close":
        return
    turn.lane = replace(lane, answer=happened.result)
    if happened.result == "confirmed" and not has_limits(lane):
        turn.go(P.CLOSING, turn.timing.arm_ms)


@handles(ArmAnswered)
def standing_answer(turn: Turn, happened: ArmAnswered) -> None:
    """The answer to an opening for presence, for a hold or for a fire. Nothing is repeated; what failed is shown."""
    lane = turn.lane
    if happened.vend != lane.vend or happened.order != "open" or lane.answer == SEEN:
        return
    if happened.result == "confirmed" and (not has_limits(lane) or lane.arm is Arm.UP):
        confirm(turn)
        return
    turn.lane = replace(lane, answer=happened.result)
    if happened.result == "unknown":
        turn.record(VendUnknown(happened.vend, lane.plan.lane, happened.detail))
    elif happened.result == "refused":
        turn.record(VendFailed(happened.vend, lane.plan.lane, happened.detail))
        turn.lane = replace(turn.lane, vend=None)
        turn.raise_fault(LaneFault.FAILS_TO_OPEN, happened.detail)


# -- deadlines ---------------------------------------------------------------------------------------------------------


@handles(DeadlinePassed, P.OUT_OF_SERVICE)
def idle_deadline(turn: Turn, happened: DeadlinePassed) -> None:
    """The closing loop has been occupied with the arm down for too long."""
    turn.raise_fault(LaneFault.CLOSING_LOOP_STUCK, f"occupied for {turn.timing.stuck_ms} ms with the arm down")
    settle(turn)


@handles(DeadlinePassed, *OPENED, *GIVEN_UP)
def opening_deadline(turn: Turn, happened: DeadlinePassed) -> None:
    """The limit switch did not say "up" in time: read back what is known, and repeat only what is known not to have acted."""
    lane = turn.lane
    if lane.arm is Arm.UP and has_limits(lane):
        opened(turn)
    elif not lane.closing.clear and lane.track.b_seen:
        turn.raise_fault(LaneFault.ARM_UNKNOWN, "a vehicle is under an arm that was not seen up")
        start_closing(turn)
    elif lane.answer == "confirmed":
        not_opened(turn, f"not up after {turn.timing.arm_ms} ms")
    else:
        maybe_opened(turn, "no answer")


@handles(DeadlinePassed, P.PASSING)
def open_deadline(turn: Turn, happened: DeadlinePassed) -> None:
    lost_sight(turn)


@handles(DeadlinePassed, P.OPEN, P.CLOSING, *RESTING)
def passing_deadline(turn: Turn, happened: DeadlinePassed) -> None:
    waited_for_clear(turn)


@handles(DeadlinePassed, P.PASSING, *RESTING)
def closing_deadline(turn: Turn, happened: DeadlinePassed) -> None:
    closing_late(turn)


@handles(DeadlinePassed)
def standing_deadline(turn: Turn, happened: DeadlinePassed) -> None:
    """The vend's vehicle has left the arming loop of a lane that stands open, and not through it."""
    if turn.lane.fresh:
        withdrawn(turn, "backed out")
    else:
        left_the_station(turn)


# -- devices and contacts ----------------------------------------------------------------------------------------------


@handles(ArmBroke, P.HELD_OPEN, P.OUT_OF_SERVICE)
def boom(turn: Turn, happened: ArmBroke) -> None:
    record_boom(turn, happened)
    if turn.lane.phase in AT_REST:
        settle(turn)


@handles(DoorMoved)
def door(turn: Turn, happened: DoorMoved) -> None:
    record_door(turn, happened)


@handles(PrinterChanged)
def printer(turn: Turn, happened: PrinterChanged) -> None:
    record_printer(turn, happened)


@handles(TerminalChanged)
def terminal(turn: Turn, happened: TerminalChanged) -> None:
    """Back again, it is asked for every payment whose end is not known."""
    record_terminal(turn, happened)
    if happened.online:
        turn.do(*(QueryPayment(turn.lane.plan.lane, payment) for payment, _ in turn.lane.pending))


@handles(DeviceAvailabilityChanged, P.IDLE, P.PRESENT, P.PASSING, P.HELD_OPEN, P.OUT_OF_SERVICE)
def device(turn: Turn, happened: DeviceAvailabilityChanged) -> None:
    """Like the readings that it takes with it: an arm that is coming down over an unseen loop goes up again."""
    record_device(turn, happened)
    for gone in gone_stale(turn, happened):
        follow_moves(turn, record_loop(turn, gone))
    lane = turn.lane
    if lane.phase in AT_REST:
        settle(turn)
    elif lane.phase is P.OPEN:
        await_vehicle(turn)
    elif lane.phase is P.PASSING:
        await_clear(turn)
    elif lane.phase is P.CLOSING and not lane.closing.clear:
        _way_lost(turn)


# -- the rows that both kinds share --------------------------------------------------------------------------------------


def shared_rows(phases: frozenset[Phase]) -> dict[Pair, Handler]:
    """The rows of every phase but STARTING; a kind adds what happens at its station."""
    station = phases & {P.PRINTING, P.PRESENTED, P.PAYING}
    stands, late = frozenset({P.HELD_OPEN, P.FIRE}), frozenset({P.PASSING, P.HELD_OPEN, P.FIRE})
    return {
        **everywhere(phases - {P.STARTING}, boom, door, printer, terminal, device, hand, fire),
        **everywhere(AT_REST, *rest_loops, rest_arm),
        **everywhere(station, busy_arm),
        (P.LOCKED, ArmMoved): locked_arm,
        **everywhere(frozenset({P.LOCKED}), *locked_loops),
        **everywhere(frozenset({P.HELD_OPEN}), *held_loops),
        **everywhere(frozenset({P.FIRE}), *fire_loops),
        **everywhere(stands, standing_deadline),
        **everywhere(late, standing_answer),
        (P.OUT_OF_SERVICE, ArmMoved): out_of_service_arm,
        (P.HELD_OPEN, ArmMoved): held_arm,
        (P.FIRE, ArmMoved): fire_arm,
        (P.IDLE, DeadlinePassed): idle_deadline,
        **everywhere(frozenset({P.OPENING}), *opening_loops, opening_arm, opening_answer, opening_deadline),
        **everywhere(frozenset({P.OPEN}), *open_loops, open_arm, open_deadline),
        **everywhere(frozenset({P.PASSING}), *passing_loops, passing_arm, passing_deadline),
        **everywhere(frozenset({P.CLOSING}), *closing_loops, closing_arm, closing_answer, closing_deadline),
    }


def answers_ignored(phases: frozenset[Phase]) -> frozenset[Pair]:
    """Where an answer about the arm changes nothing: the limit switches and the loops say more."""
    return pairs(phases - {P.OPENING, P.CLOSING, P.PASSING, P.HELD_OPEN, P.FIRE}, ArmAnswered)
