"""What both kinds of lane know and do in every phase: record what is read, and find the phase in which a lane rests.

Rule 1: whatever a device says is recorded in every phase, also where nothing follows from it.
Rule 2: where a lane rests follows from its state alone (`resting`), never from how it got there.
Rule 3: fire is a latch, and outranks everything; a hold by a person outranks the lane's own business; an arm that may be up
outranks a lock, because what it lets through must be recorded and it must come down by the rule.
"""

from typing import Final

from gatectl.domain.effects import ShowText
from gatectl.domain.facts import Irregularity, LaneFault
from gatectl.domain.frozen import replace
from gatectl.domain.lane import (
    Arm,
    ArmBroke,
    ArmingLoopChanged,
    ArmMoved,
    ClosingLoopChanged,
    DeviceAvailabilityChanged,
    DoorMoved,
    Lane,
    LaneKind,
    Layout,
    Loop,
    Phase,
    PrinterChanged,
    ResetLoopChanged,
    TerminalChanged,
    Trust,
)
from gatectl.domain.lane_records import came_back, end_vend, left_the_station, observed, passed, vend_without_passage
from gatectl.domain.passage import Move, observe
from gatectl.domain.table import Turn, way_is_clear

P = Phase

NORMAL: Final = "normal"
HELD: Final = "held-open"
LOCKED: Final = "locked"
FIRE: Final = "fire"

RESTING: Final = frozenset({P.IDLE, P.PRESENT, P.HELD_OPEN, P.LOCKED, P.OUT_OF_SERVICE})
"""Where a lane can be when nothing is under way. Fire is entered by fire alone, and at start if it is still on."""
STATION_FAILED: Final = frozenset({P.HELD_OPEN, P.OUT_OF_SERVICE})
"""Where the end of the business at the station leads if arm, loops or devices failed meanwhile."""
ARM_IS_DOWN: Final = frozenset({P.IDLE, P.PRESENT, P.PRINTING, P.PRESENTED, P.PAYING})
"""Phases in which the arm is down, or taken to be."""
STANDS_OPEN: Final = frozenset({P.HELD_OPEN, P.FIRE})

MOVING_ROLES: Final = frozenset({"open", "close", "stop", "arming", "closing", "reset", "arm_up", "arm_down"})
"""Roles without which a lane cannot open and close under its rules; the others are missed but not essential."""
WAITS_FOR_CLEAR: Final = frozenset({LaneFault.CLOSING_LOOP_STUCK, LaneFault.LOOP_UNTRUSTED})
"""Faults that hold the arm up, and let it down again by the rule once the loops are known clear."""

Event = ArmingLoopChanged | ClosingLoopChanged | ResetLoopChanged


def show(turn: Turn, text: str) -> None:
    turn.do(ShowText(turn.lane.plan.lane, text))


def has_limits(lane: Lane) -> bool:
    return lane.plan.layout is not Layout.NO_LIMITS


def needs_reset_loop(lane: Lane) -> bool:
    return lane.plan.layout is Layout.THREE_LOOP


def arming_usable(lane: Lane) -> bool:
    """Whether the arming loop can tell a vehicle that is there from one that is not."""
    return lane.arming.trust is Trust.GOOD and LaneFault.ARMING_LOOP_STUCK not in lane.faults


def closing_usable(lane: Lane) -> bool:
    return lane.closing.trust is Trust.GOOD and LaneFault.CLOSING_LOOP_STUCK not in lane.faults


def arm_is_down(lane: Lane) -> bool:
    """Seen down; without limit switches: a lane at rest is taken to be down."""
    return lane.arm is Arm.DOWN if has_limits(lane) else lane.phase in ARM_IS_DOWN


def loops_trusted(lane: Lane) -> bool:
    good = lane.arming.trust is Trust.GOOD and lane.closing.trust is Trust.GOOD
    return good and (lane.reset.trust is Trust.GOOD or not needs_reset_loop(lane))


# -- recording ----------------------------------------------------------------------------------------------------


def record_loop(turn: Turn, happened: Event) -> Move:
    """Take a loop's reading over, follow the vehicles by it, and keep the loop faults true."""
    was_clear = way_is_clear(turn.lane)
    lane = turn.lane
    if isinstance(happened, ArmingLoopChanged):
        lane = replace(lane, arming=happened.loop)
    elif isinstance(happened, ClosingLoopChanged):
        lane = replace(lane, closing=happened.loop)
    else:
        lane = replace(lane, reset=happened.loop)
    if way_is_clear(lane) != was_clear:
        lane = replace(lane, way_since_mono_ms=turn.now_mono_ms)
    turn.lane = replace(lane, asked=None) if lane.asked is not None and lane.arming.clear else lane
    _keep_loop_faults(turn)
    return _follow(turn)


def _keep_loop_faults(turn: Turn) -> None:
    lane = turn.lane
    if lane.phase is not P.STARTING:
        trusted = loops_trusted(lane)
        turn.set_fault(LaneFault.LOOP_UNTRUSTED, not trusted, "" if trusted else loops_told(lane))
    if lane.arming.clear:
        turn.clear_fault(LaneFault.ARMING_LOOP_STUCK)
    if way_is_clear(lane):
        turn.clear_fault(LaneFault.CLOSING_LOOP_STUCK)


def loops_told(lane: Lane) -> str:
    named = {"arming": lane.arming, "closing": lane.closing}
    if needs_reset_loop(lane):
        named["reset"] = lane.reset
    return ", ".join(f"{name} {loop.trust}" for name, loop in named.items() if loop.trust is not Trust.GOOD)


def _follow(turn: Turn) -> Move:
    lane = turn.lane
    needs_c = needs_reset_loop(lane) and LaneFault.LOOP_DEAD not in lane.faults
    before = lane.track
    track, move = observe(
        before,
        lane.arming.on if arming_usable(lane) else None,
        lane.closing.on if lane.closing.trust is Trust.GOOD else None,
        lane.reset.on if needs_reset_loop(lane) and lane.reset.trust is Trust.GOOD else None,
        turn.now_mono_ms,
        lane.plan.timing.long_gap_ms,
        needs_c,
    )
    turn.lane = replace(lane, track=track, blind=0 if track.b and not before.b else lane.blind)
    if (track.c and not before.c) or (track.b and not before.b and not needs_reset_loop(lane)):
        turn.clear_fault(LaneFault.LOOP_DEAD)
    if track.long and not before.long and lane.phase not in ARM_IS_DOWN:
        observed(turn, Irregularity.LONG_VEHICLE, lane.ticket or lane.last)
    return move


def follow_moves(turn: Turn, move: Move) -> None:
    """Commit what a move proves in a lane whose arm may be up."""
    if move is Move.NONE:
        return
    lane = turn.lane
    sure = not lane.track.blind and lane.phase is not P.FIRE and not lane.faults & _UNSURE
    if move is Move.FORWARD:
        passed(turn, verified=sure, held=lane.phase in STANDS_OPEN or lane.phase is P.OUT_OF_SERVICE)
    else:
        came_back(turn, verified=sure)
    if turn.lane.track.blind:
        turn.lane = replace(turn.lane, track=replace(turn.lane.track, blind=False))


_UNSURE: Final = frozenset({LaneFault.ARM_BROKEN, LaneFault.FAILS_TO_CLOSE, LaneFault.CLOSING_LOOP_STUCK})


def record_arm(turn: Turn, happened: ArmMoved) -> None:
    """Take the limit switches over. In a lane without them the arm's position stays unknown, whatever is posted."""
    if not has_limits(turn.lane):
        return
    turn.lane = replace(turn.lane, arm=happened.arm)
    if turn.lane.phase is not P.STARTING:
        turn.set_fault(LaneFault.ARM_UNKNOWN, happened.arm is Arm.UNKNOWN, "limit switches not readable")
    if happened.arm is Arm.DOWN:
        turn.clear_fault(LaneFault.ARM_FORCED)
        turn.clear_fault(LaneFault.FAILS_TO_CLOSE)
    if happened.arm is Arm.UP:
        turn.clear_fault(LaneFault.FAILS_TO_OPEN)


def record_boom(turn: Turn, happened: ArmBroke) -> None:
    """A broken boom is a fault until a named person says that it is mended."""
    turn.lane = replace(turn.lane, boom_broken=happened.broken)
    if happened.broken:
        turn.raise_fault(LaneFault.ARM_BROKEN, "breakaway contact")


def record_door(turn: Turn, happened: DoorMoved) -> None:
    turn.set_fault(LaneFault.DOOR_OPEN, happened.open, "cabinet")


def record_printer(turn: Turn, happened: PrinterChanged) -> None:
    """None means that the printer cannot say: the fault stays as it was."""
    turn.set_fault(LaneFault.PRINTER_OFFLINE, not happened.online)
    for fault, said in (
        (LaneFault.PRINTER_LOW, happened.low),
        (LaneFault.PRINTER_OUT, happened.out),
        (LaneFault.PRINTER_JAM, happened.jam),
    ):
        if said is not None:
            turn.set_fault(fault, said)


def record_terminal(turn: Turn, happened: TerminalChanged) -> None:
    turn.set_fault(LaneFault.TERMINAL_OFFLINE, not happened.online)


def record_device(turn: Turn, happened: DeviceAvailabilityChanged) -> None:
    """A device that is away can vouch for nothing: its loops are stale and its limits unknown until read again."""
    roles = frozenset(happened.roles)
    missing = turn.lane.missing - roles if happened.up else turn.lane.missing | roles
    turn.lane = replace(turn.lane, missing=missing)
    if "printer" in roles:
        turn.set_fault(LaneFault.PRINTER_OFFLINE, not happened.up)
    if "terminal" in roles:
        turn.set_fault(LaneFault.TERMINAL_OFFLINE, not happened.up)
    if not happened.up and roles & {"arm_up", "arm_down"}:
        record_arm(turn, ArmMoved(Arm.UNKNOWN))
    turn.set_fault(LaneFault.DEVICE_LOST, bool(missing), ", ".join(sorted(missing)))


def gone_stale(turn: Turn, happened: DeviceAvailabilityChanged) -> tuple[Event, ...]:
    """The loop readings that a lost device takes with it."""
    if happened.up:
        return ()
    lane = turn.lane
    gone: tuple[Event, ...] = ()
    if "arming" in happened.roles:
        gone += (ArmingLoopChanged(Loop(lane.arming.on, Trust.STALE)),)
    if "closing" in happened.roles:
        gone += (ClosingLoopChanged(Loop(lane.closing.on, Trust.STALE)),)
    if "reset" in happened.roles:
        gone += (ResetLoopChanged(Loop(lane.reset.on, Trust.STALE)),)
    return gone


# -- resting --------------------------------------------------------------------------------------------------------


def resting(lane: Lane) -> Phase:
    """The phase in which a lane with nothing under way belongs."""
    if lane.mode in _MODE_PHASE:
        return _MODE_PHASE[lane.mode]
    if _maybe_up(lane):
        return P.HELD_OPEN
    if lane.mode == LOCKED:
        return P.LOCKED
    entry = lane.plan.kind is LaneKind.ENTRY
    if LaneFault.ARM_BROKEN in lane.faults:
        return P.OUT_OF_SERVICE if entry else P.HELD_OPEN
    if lane.faults & {LaneFault.FAILS_TO_OPEN, LaneFault.ARM_UNKNOWN} or lane.missing & MOVING_ROLES:
        return P.OUT_OF_SERVICE
    if entry and not (loops_trusted(lane) and LaneFault.CLOSING_LOOP_STUCK not in lane.faults):
        return P.OUT_OF_SERVICE
    vehicle = lane.arming.occupied if entry else not lane.arming.clear
    return P.PRESENT if vehicle else P.IDLE


_MODE_PHASE: Final = {FIRE: P.FIRE, HELD: P.HELD_OPEN}


def _maybe_up(lane: Lane) -> bool:
    """Up, or not known to be down in a lane that can never see it."""
    if lane.faults & {LaneFault.FAILS_TO_CLOSE, LaneFault.ARM_FORCED}:
        return True
    return lane.arm is Arm.UP if has_limits(lane) else LaneFault.ARM_UNKNOWN in lane.faults


_PRESS: Final = "Please press for a ticket"
_WELCOME: Final = {
    LaneKind.ENTRY: f"Welcome\n{_PRESS}",
    LaneKind.EXIT: "Please present\nyour ticket",
    LaneKind.PASSAGE: "Please present\nyour ticket",
}
_SIGN: Final = {
    P.LOCKED: "Lane closed",
    P.OUT_OF_SERVICE: "Out of service\nPlease call",
    P.FIRE: "Leave now",
    P.HELD_OPEN: "Drive on",
}


def settle(turn: Turn) -> None:
    """Go where the lane rests. From there a request that waited for the arm is served through an immediate deadline."""
    lane = turn.lane
    phase = resting(lane)
    if phase in (P.IDLE, P.PRESENT):
        _settle_down(turn, phase)
    else:
        keeps = phase in STANDS_OPEN and lane.phase is phase and lane.deadline_mono_ms is not None
        turn.go(phase, (lane.deadline_mono_ms or 0) - turn.now_mono_ms if keeps else None)
    if phase is not lane.phase and phase in _SIGN:
        show(turn, _SIGN[phase])


def _settle_down(turn: Turn, phase: Phase) -> None:
    """The arm is down: no opening outlives that."""
    vend_without_passage(turn, "the arm is down")
    end_vend(turn)
    turn.lane = replace(turn.lane, last=None, reversals=0)
    if phase is P.IDLE:
        left_the_station(turn)
        _settle_idle(turn)
    else:
        _settle_present(turn)


def _settle_idle(turn: Turn) -> None:
    stuck = turn.lane.closing.occupied and LaneFault.CLOSING_LOOP_STUCK not in turn.lane.faults
    stuck_in_ms = turn.lane.way_since_mono_ms + turn.timing.stuck_ms - turn.now_mono_ms
    turn.go(P.IDLE, stuck_in_ms if stuck else None)


def _settle_present(turn: Turn) -> None:
    lane = turn.lane
    arrived = lane.phase is not P.PRESENT
    if lane.asked is not None:
        turn.go(P.PRESENT, 0)
    elif LaneFault.ARMING_LOOP_STUCK in lane.faults or not lane.arming.occupied:
        turn.go(P.PRESENT)
    elif arrived:
        turn.go(P.PRESENT, turn.timing.stuck_ms)
    else:
        turn.go(P.PRESENT, lane.phase_since_mono_ms + turn.timing.stuck_ms - turn.now_mono_ms)
    if arrived:
        turn.lane = replace(turn.lane, quote=turn.view.quote() if lane.plan.kind is LaneKind.ENTRY else None)
    if arrived and lane.asked is None:
        quote = turn.lane.quote
        show(turn, _WELCOME[lane.plan.kind] if quote is None else f"{quote.text}\n{_PRESS}")
