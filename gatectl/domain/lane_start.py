"""After the dark: read everything, settle what is in doubt, move nothing.

Rule 1: no order leaves a starting lane. An arm that is found up stays up until a person, the barrier itself, or the next
vehicle's own business gives a fresh cause to let it down by the rule.
Rule 2: what the site was doing when it went dark is settled by evidence: a vehicle that still stands at the station has not
passed; one that is gone is taken to have passed, and its record says that nobody saw it.
Rule 3: a start ends when everything that matters has been read and is trusted, or when `start_ms` is over and it is said
what is missing.
"""

from gatectl.domain.facts import LaneFault, TicketReturned, TicketVoided, VendUnknown, VoidReason
from gatectl.domain.frozen import replace
from gatectl.domain.lane import (
    Arm,
    ArmBroke,
    ArmMoved,
    DeadlinePassed,
    DeviceAvailabilityChanged,
    DoorMoved,
    FireChanged,
    Lane,
    LaneKind,
    Phase,
    PrinterChanged,
    TerminalChanged,
)
from gatectl.domain.lane_common import (
    FIRE,
    HELD,
    RESTING,
    gone_stale,
    has_limits,
    loops_told,
    loops_trusted,
    record_arm,
    record_boom,
    record_device,
    record_door,
    record_loop,
    record_printer,
    record_terminal,
    settle,
)
from gatectl.domain.lane_hand import hand_while_starting, set_mode
from gatectl.domain.lane_moves import SEEN
from gatectl.domain.lane_records import end_vend, passed
from gatectl.domain.lane_shared import LoopEvent, on_loops
from gatectl.domain.passage import restarted
from gatectl.domain.table import Handler, Pair, Turn, everywhere, handles

P = Phase


def _known(lane: Lane) -> bool:
    return loops_trusted(lane) and (not has_limits(lane) or lane.arm in (Arm.UP, Arm.DOWN))


def _ready(turn: Turn) -> None:
    """Every reading may be the last one that was missing. A lane without a deadline gets one."""
    if _known(turn.lane):
        _begin(turn)
    elif turn.lane.deadline_mono_ms is None:
        turn.go(P.STARTING, turn.timing.start_ms)


def _begin(turn: Turn) -> None:
    lane = turn.lane
    turn.set_fault(LaneFault.LOOP_UNTRUSTED, not loops_trusted(lane), f"at start: {loops_told(lane)}")
    if has_limits(lane):
        turn.set_fault(LaneFault.ARM_UNKNOWN, lane.arm is Arm.UNKNOWN, "at start: limit switches not readable")
    if lane.fire and lane.mode != FIRE:
        set_mode(turn, FIRE, "fire input", "on at start")
    turn.lane = replace(turn.lane, track=restarted(turn.lane.track))
    _settle_doubt(turn)
    if has_limits(lane) and lane.arm is Arm.UP and turn.lane.mode not in (FIRE, HELD):
        turn.raise_fault(LaneFault.ARM_FORCED, "found up at start")
    settle(turn)


def _settle_doubt(turn: Turn) -> None:
    lane, doubt = turn.lane, turn.lane.doubt
    if doubt is None:
        return
    turn.record(VendUnknown(doubt.vend, lane.plan.lane, "dark"))
    turn.lane = replace(lane, doubt=None, vend=doubt.vend, ticket=doubt.ticket, fresh=True, answer=SEEN)
    down = has_limits(lane) and lane.arm is Arm.DOWN
    if doubt.ticket is None:
        turn.lane = replace(turn.lane, fresh=False)
    elif not lane.arming.occupied:
        passed(turn, verified=False)
        turn.lane = replace(turn.lane, last=None)
    elif down:
        _did_not_pass(turn)
    # A vehicle at the station under an arm that may be up keeps its ticket: the loops will tell.
    if down:
        end_vend(turn)
    elif not has_limits(lane):
        turn.raise_fault(LaneFault.ARM_UNKNOWN, "an opening was in doubt at start")


def _did_not_pass(turn: Turn) -> None:
    lane = turn.lane
    assert lane.ticket is not None
    if lane.plan.kind is LaneKind.ENTRY:
        turn.record(TicketVoided(lane.ticket, lane.plan.lane, VoidReason.DARK))
    else:
        turn.record(TicketReturned(lane.ticket, lane.plan.lane, "dark"))
    turn.lane = replace(turn.lane, ticket=None, fresh=False)


@on_loops(P.FIRE, *RESTING)
def starting_loops(turn: Turn, happened: LoopEvent) -> None:
    record_loop(turn, happened)
    _ready(turn)


@handles(ArmMoved, P.FIRE, *RESTING)
def starting_arm(turn: Turn, happened: ArmMoved) -> None:
    record_arm(turn, happened)
    _ready(turn)


@handles(DeadlinePassed, P.FIRE, *RESTING)
def starting_deadline(turn: Turn, happened: DeadlinePassed) -> None:
    _begin(turn)


@handles(ArmBroke)
def starting_boom(turn: Turn, happened: ArmBroke) -> None:
    record_boom(turn, happened)


@handles(DoorMoved)
def starting_door(turn: Turn, happened: DoorMoved) -> None:
    record_door(turn, happened)


@handles(PrinterChanged)
def starting_printer(turn: Turn, happened: PrinterChanged) -> None:
    record_printer(turn, happened)


@handles(TerminalChanged)
def starting_terminal(turn: Turn, happened: TerminalChanged) -> None:
    record_terminal(turn, happened)


@handles(DeviceAvailabilityChanged)
def starting_device(turn: Turn, happened: DeviceAvailabilityChanged) -> None:
    record_device(turn, happened)
    for gone in gone_stale(turn, happened):
        record_loop(turn, gone)


@handles(FireChanged)
def starting_fire(turn: Turn, happened: FireChanged) -> None:
    """Latched when the start is over. The wired input opens the barrier itself; a start moves nothing, not even for fire."""
    turn.lane = replace(turn.lane, fire=happened.on)


def starting_rows() -> dict[Pair, Handler]:
    return everywhere(
        frozenset({P.STARTING}),
        *starting_loops,
        starting_arm,
        starting_deadline,
        starting_boom,
        starting_door,
        starting_printer,
        starting_terminal,
        starting_device,
        starting_fire,
        hand_while_starting,
    )
