"""The entry lane: a vehicle arrives, presses and takes a ticket, or shows a pass or a reservation, and drives in.

Rule 1: everything that decides what an entry lane does next is in this table; the opening itself is shared with exits.
Rule 2: a ticket is made only for a vehicle that is seen, with the arm seen down and nothing in the way of a good opening.
Rule 3: taking the ticket is the grant. The number is used up before anything prints, and burnt if the paper is not taken.
Rule 4: a right that is read (pass, reservation) gives a virtual ticket: a number without paper, granted as it is issued.
Rule 5: a vehicle that was granted and could not pass keeps its grant while it stands there; a new press is a new vend.
"""

from typing import Final

from gatectl.domain.effects import PrintTicket, RetractTicket
from gatectl.domain.facts import LaneFault, TicketTaken, TicketVoided, VoidReason
from gatectl.domain.frozen import replace
from gatectl.domain.ids import JobId, TicketNumber
from gatectl.domain.lane import (
    ButtonPressed,
    CodeWasRead,
    DeadlinePassed,
    Input,
    Lane,
    PaidElsewhere,
    Phase,
    PrintFailed,
    Refusal,
    Step,
    TerminalAnswered,
    TicketPresented,
    TicketPrinted,
    TicketPulled,
    TicketRetracted,
    View,
)
from gatectl.domain.lane_codes import (
    read_early,
    read_out_of_service,
    read_without_vehicle,
    refused,
    too_many_pins,
)
from gatectl.domain.lane_common import STATION_FAILED, arm_is_down, arming_usable, loops_trusted, settle, show
from gatectl.domain.lane_hand import stop_ticketing
from gatectl.domain.lane_moves import intend, may_close_for_next, start_closing, vend
from gatectl.domain.lane_records import issued
from gatectl.domain.lane_shared import LoopEvent, answers_ignored, log_implausible, on_loops, shared_rows
from gatectl.domain.lane_start import starting_rows
from gatectl.domain.passage import restarted
from gatectl.domain.table import Handler, Pair, Table, Turn, everywhere, handles, pairs

P = Phase

PHASES: Final = frozenset(P) - {P.PAYING}

_NO_TICKETS: Final = {
    LaneFault.PRINTER_OFFLINE: "No ticket printer\nPlease call",
    LaneFault.PRINTER_OUT: "Out of tickets\nPlease call",
    LaneFault.PRINTER_JAM: "Ticket jam\nPlease call",
}


# -- the press ------------------------------------------------------------------------------------------------------


@handles(ButtonPressed, P.PRINTING, P.OPENING)
def press(turn: Turn, happened: ButtonPressed) -> None:
    """A vehicle is there and asks: print, open again for what it was granted, or say why not."""
    _serve(turn)


def _serve(turn: Turn) -> None:
    lane = turn.lane
    refusal = _refusal(lane)
    if refusal:
        show(turn, refusal)
        return
    if lane.ticket is not None:
        vend(turn, "retry", lane.ticket)
        return
    _print(turn)


def _print(turn: Turn) -> None:
    lane = turn.lane
    offer = turn.view.offer(lane.quote)
    if isinstance(offer, Refusal):
        show(turn, offer.text)
        return
    turn.record(issued(turn, offer))
    turn.lane = replace(turn.lane, ticket=offer.ticket)
    if not lane.plan.has_printer:
        _grant(turn)
        return
    job = JobId(offer.ticket)
    deadline = turn.now_mono_ms + turn.timing.print_ms
    turn.do(
        PrintTicket(
            lane.plan.lane,
            job,
            offer.ticket,
            offer.code,
            turn.view.now.wall_ms,
            offer.spot or "",
            offer.tariff_text,
            deadline,
        )
    )
    turn.lane = replace(turn.lane, job=job)
    turn.go(P.PRINTING, turn.timing.print_ms)


def _refusal(lane: Lane, paper: bool = True) -> str:
    """Why no ticket can be had now, for the driver; empty when one can."""
    if not arming_usable(lane) or not lane.arming.occupied:
        return "Vehicle not seen\nPlease call"
    if not arm_is_down(lane) or not loops_trusted(lane):
        return "Please wait"
    if paper and lane.plan.has_printer and lane.ticket is None:
        return next((text for fault, text in _NO_TICKETS.items() if fault in lane.faults), "")
    return ""


@handles(ButtonPressed)
def press_without_vehicle(turn: Turn, happened: ButtonPressed) -> None:
    show(turn, "Please drive up")


@handles(ButtonPressed)
def press_early(turn: Turn, happened: ButtonPressed) -> None:
    """The next vehicle asks while the arm is still up behind the last one: served when it is down."""
    if turn.lane.arming.occupied and not turn.lane.fresh:
        turn.lane = replace(turn.lane, asked="")
        show(turn, "Please wait")


@handles(ButtonPressed, P.PASSING)
def press_at_open_arm(turn: Turn, happened: ButtonPressed) -> None:
    """An arm that our own vend left up in the dark comes down by the rule before a ticket is made; any other stays."""
    if turn.lane.arming.occupied and may_close_for_next(turn.lane):
        turn.lane = replace(turn.lane, asked="")
        show(turn, "Please wait")
        start_closing(turn)
    else:
        show(turn, "Drive on")


@handles(DeadlinePassed, P.PRINTING, P.OPENING)
def present_deadline(turn: Turn, happened: DeadlinePassed) -> None:
    """A press or a credential that waited for the arm is served; a vehicle that stands here for too long is a stuck loop."""
    text = turn.lane.asked
    if text is not None:
        turn.lane = replace(turn.lane, asked=None)
        turn.go(P.PRESENT, turn.timing.stuck_ms)
        if text:
            _recognise(turn, text)
        else:
            _serve(turn)
        return
    turn.raise_fault(LaneFault.ARMING_LOOP_STUCK, f"occupied for {turn.timing.stuck_ms} ms with the arm down")
    settle(turn)


# -- the right ------------------------------------------------------------------------------------------------------


@handles(CodeWasRead, P.OPENING)
def read(turn: Turn, happened: CodeWasRead) -> None:
    """A pass or a reservation: a virtual ticket is issued and granted, and the arm opens."""
    _recognise(turn, happened.text)


def _recognise(turn: Turn, text: str) -> None:
    lane = turn.lane
    refusal = _refusal(lane, paper=False)
    if refusal:
        show(turn, refusal)
    elif lane.ticket is not None:
        vend(turn, "retry", lane.ticket)
    else:
        ticket = _entitled(turn, text)
        if ticket is not None:
            vend(turn, "entitled", ticket)


def _entitled(turn: Turn, text: str) -> TicketNumber | None:
    """Issue the virtual ticket of a right and use the right; None if it was refused."""
    if too_many_pins(turn, text):
        return None
    right = turn.view.entitle(text)
    if isinstance(right, Refusal):
        refused(turn, text, right)
        return None
    turn.record(issued(turn, right.offer), *right.facts, TicketTaken(right.offer.ticket, turn.lane.plan.lane))
    show(turn, right.text)
    return right.offer.ticket


@handles(CodeWasRead, P.PASSING)
def read_at_open_arm(turn: Turn, happened: CodeWasRead) -> None:
    """Free flow: the lane stands open, and by whose right a vehicle goes in is put on record.

    An arm that our own vend left up in the dark comes down by the rule first, and then the right is looked at as usual.
    """
    lane = turn.lane
    if lane.arming.clear or lane.fresh or lane.ticket is not None:
        return
    if may_close_for_next(lane):
        turn.lane = replace(lane, asked=happened.text)
        show(turn, "Please wait")
        start_closing(turn)
        return
    ticket = _entitled(turn, happened.text)
    if ticket is not None:
        intend(turn, "free-flow", ticket)
        turn.lane = replace(turn.lane, ticket=ticket, fresh=True, last=None, track=restarted(turn.lane.track))


# -- the ticket -----------------------------------------------------------------------------------------------------


def _grant(turn: Turn) -> None:
    """The driver has the ticket: taken, intended and ordered in one step."""
    lane = turn.lane
    assert lane.ticket is not None
    turn.record(TicketTaken(lane.ticket, lane.plan.lane))
    vend(turn, "ticket", lane.ticket)


def _no_ticket(turn: Turn, reason: VoidReason, text: str, why: str = "") -> None:
    """The number is burnt; the vehicle may ask again."""
    lane = turn.lane
    assert lane.ticket is not None
    turn.record(TicketVoided(lane.ticket, lane.plan.lane, reason, why=why))
    turn.lane = replace(lane, ticket=None, job=None)
    show(turn, text)
    settle(turn)


def _retract(turn: Turn, job: JobId) -> None:
    turn.do(RetractTicket(turn.lane.plan.lane, job))


@on_loops(P.IDLE, *STATION_FAILED)
def station_loops(turn: Turn, happened: LoopEvent) -> None:
    """The vehicle leaves before it has taken its ticket: the ticket is void, the arm never moved."""
    log_implausible(turn, happened)
    if turn.lane.arming.clear:
        stop_ticketing(turn, VoidReason.NOT_TAKEN, "left before taking it")
        settle(turn)


@handles(TicketPrinted, P.OPENING)
def printed(turn: Turn, happened: TicketPrinted) -> None:
    """Without a mouth nobody sees the driver take it: printed counts as taken."""
    if happened.job == turn.lane.job and not turn.lane.plan.has_mouth:
        _grant(turn)


@handles(TicketPresented, P.PRESENTED)
def presented(turn: Turn, happened: TicketPresented) -> None:
    if happened.job != turn.lane.job:
        _retract(turn, happened.job)
        return
    show(turn, "Please take\nyour ticket")
    turn.go(P.PRESENTED, turn.timing.take_ms)


@handles(TicketPresented)
def presented_again(turn: Turn, happened: TicketPresented) -> None:
    if happened.job != turn.lane.job:
        _retract(turn, happened.job)


@handles(TicketPresented)
def stray_ticket(turn: Turn, happened: TicketPresented) -> None:
    """A ticket that nobody waits for any more comes out: its number is burnt already."""
    _retract(turn, happened.job)


@handles(TicketPulled, P.OPENING)
def pulled(turn: Turn, happened: TicketPulled) -> None:
    if happened.job == turn.lane.job:
        _grant(turn)


@handles(TicketRetracted, P.PRESENT, *STATION_FAILED)
def retracted(turn: Turn, happened: TicketRetracted) -> None:
    if happened.job == turn.lane.job:
        _no_ticket(turn, VoidReason.NOT_TAKEN, "Ticket not taken\nPlease press again")


@handles(PrintFailed, P.PRESENT, *STATION_FAILED)
def print_failed(turn: Turn, happened: PrintFailed) -> None:
    """A number whose paper may be out is burnt like one whose paper is not: both are refused at the exit."""
    if happened.job != turn.lane.job:
        return
    if happened.maybe:
        _retract(turn, happened.job)
    reason = VoidReason.MAYBE_PRINTED if happened.maybe else VoidReason.PRINT_FAILED
    _no_ticket(turn, reason, "No ticket printed\nPlease press again", happened.why)


@handles(DeadlinePassed, P.PRESENT, *STATION_FAILED)
def print_deadline(turn: Turn, happened: DeadlinePassed) -> None:
    """The printer said nothing in time: paper may be out, or may come yet."""
    assert turn.lane.job is not None
    _retract(turn, turn.lane.job)
    _no_ticket(turn, VoidReason.MAYBE_PRINTED, "No ticket printed\nPlease press again", "no answer in time")


@handles(DeadlinePassed, P.PRESENT, *STATION_FAILED)
def take_deadline(turn: Turn, happened: DeadlinePassed) -> None:
    assert turn.lane.job is not None
    _retract(turn, turn.lane.job)
    _no_ticket(turn, VoidReason.NOT_TAKEN, "Ticket not taken\nPlease press again")


# -- the table ------------------------------------------------------------------------------------------------------

_STATION: Final = frozenset({P.PRINTING, P.PRESENTED})

TRANSITIONS: Final[dict[Pair, Handler]] = {
    **starting_rows(),
    **shared_rows(PHASES),
    (P.IDLE, ButtonPressed): press_without_vehicle,
    (P.PRESENT, ButtonPressed): press,
    (P.PASSING, ButtonPressed): press_early,
    (P.CLOSING, ButtonPressed): press_early,
    (P.HELD_OPEN, ButtonPressed): press_at_open_arm,
    (P.IDLE, CodeWasRead): read_without_vehicle,
    (P.PRESENT, CodeWasRead): read,
    (P.PASSING, CodeWasRead): read_early,
    (P.CLOSING, CodeWasRead): read_early,
    (P.HELD_OPEN, CodeWasRead): read_at_open_arm,
    (P.LOCKED, CodeWasRead): read_out_of_service,
    (P.OUT_OF_SERVICE, CodeWasRead): read_out_of_service,
    (P.PRESENT, DeadlinePassed): present_deadline,
    **everywhere(_STATION, *station_loops, pulled, retracted, print_failed),
    (P.PRINTING, TicketPrinted): printed,
    (P.PRINTING, DeadlinePassed): print_deadline,
    **everywhere(PHASES - _STATION, stray_ticket),
    (P.PRINTING, TicketPresented): presented,
    (P.PRESENTED, TicketPresented): presented_again,
    (P.PRESENTED, DeadlinePassed): take_deadline,
}

IGNORED: Final[frozenset[Pair]] = (
    answers_ignored(PHASES)
    # Nothing is paid at an entry.
    | pairs(PHASES, TerminalAnswered, PaidElsewhere)
    # A credential while a ticket or an opening is under way, before the lane knows where it is, and in a fire.
    | pairs(frozenset({P.STARTING, P.FIRE, P.OPENING, P.OPEN}) | _STATION, CodeWasRead)
    # A press while something is under way for the same vehicle, or where none can be served.
    | pairs(frozenset({P.STARTING, P.LOCKED, P.FIRE, P.OUT_OF_SERVICE, P.OPENING, P.OPEN}) | _STATION, ButtonPressed)
    # What a printer says of a job that is settled.
    | pairs(PHASES - _STATION, TicketPulled, TicketRetracted, PrintFailed)
    | pairs(PHASES - {P.PRINTING}, TicketPrinted)
)

IMPOSSIBLE: Final[frozenset[Pair]] = pairs(frozenset({P.LOCKED, P.OUT_OF_SERVICE}), DeadlinePassed)
"""These phases never have a deadline, and `Table.step` lets only a due one through."""

TABLE: Final = Table(PHASES, TRANSITIONS, IGNORED, IMPOSSIBLE)


def step(lane: Lane, happened: Input, view: View) -> Step:
    """Decide one input of an entry lane. Pure."""
    return TABLE.step(lane, happened, view)
