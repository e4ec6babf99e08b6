"""The exit lane: a vehicle arrives, presents its ticket, pays what is due, drives out. A table, and the reading of codes.

Rule 1: everything that decides what an exit lane does next is in this table; the opening itself is shared with entries.
Rule 2: a ticket is spent in the step that intends the vend, and good again if the vehicle backs out or the arm fails.
Rule 3: an exit does not trap: what it cannot see (a loop, an arm that stays up) makes a record unverified, not a driver wait.
"""

from typing import Final

from gatectl.domain.facts import LaneFault, TicketSpent
from gatectl.domain.frozen import replace
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
from gatectl.domain.lane_common import settle, show
from gatectl.domain.lane_moves import intend, may_close_for_next, start_closing
from gatectl.domain.lane_pay import (
    answer,
    answer_at_station,
    coupon,
    coupon_while_paying,
    late_answer,
    paid_elsewhere,
    pay_deadline,
    paying_loops,
    price_again,
    settle_price,
)
from gatectl.domain.lane_shared import answers_ignored, shared_rows
from gatectl.domain.lane_start import starting_rows
from gatectl.domain.passage import restarted
from gatectl.domain.table import Handler, Pair, Table, Turn, everywhere, handles, pairs

P = Phase

PHASES: Final = frozenset(P) - {P.PRINTING, P.PRESENTED}


# -- codes ------------------------------------------------------------------------------------------------------------


@handles(CodeWasRead, P.PAYING, P.OPENING)
def read(turn: Turn, happened: CodeWasRead) -> None:
    _serve(turn, happened.text)


def _serve(turn: Turn, text: str) -> None:
    if too_many_pins(turn, text):
        return
    if turn.view.is_coupon(text):
        coupon(turn, text)
        return
    price = turn.view.admit(text)
    if isinstance(price, Refusal):
        refused(turn, text, price)
    else:
        settle_price(turn, price)


@handles(CodeWasRead, P.PASSING)
def read_at_open_arm(turn: Turn, happened: CodeWasRead) -> None:
    """Free flow: the lane stands open, and whose ticket goes through is put on record. Nothing is charged.

    An arm that our own vend left up in the dark comes down by the rule first, and then the ticket is served as usual.
    """
    lane = turn.lane
    if lane.arming.clear or lane.fresh:
        return
    if LaneFault.ARM_FORCED in lane.faults and may_close_for_next(lane):
        turn.lane = replace(lane, asked=happened.text)
        show(turn, "Please wait")
        start_closing(turn)
        return
    if too_many_pins(turn, happened.text):
        return
    price = turn.view.admit(happened.text)
    if isinstance(price, Refusal):
        refused(turn, happened.text, price)
        return
    made = intend(turn, "free-flow", price.ticket)
    turn.record(TicketSpent(price.ticket, lane.plan.lane, made))
    turn.lane = replace(turn.lane, ticket=price.ticket, fresh=True, last=None, track=restarted(turn.lane.track))
    show(turn, "Drive on")


@handles(DeadlinePassed, P.PAYING, P.OPENING)
def present_deadline(turn: Turn, happened: DeadlinePassed) -> None:
    """A code that waited for the arm is served. Occupied for too long may be a stuck loop; codes are served all the same."""
    text = turn.lane.asked
    if text is not None:
        turn.lane = replace(turn.lane, asked=None)
        turn.go(P.PRESENT, turn.timing.stuck_ms if turn.lane.arming.occupied else None)
        if text:
            _serve(turn, text)
        else:
            price_again(turn)
        return
    turn.raise_fault(LaneFault.ARMING_LOOP_STUCK, f"occupied for {turn.timing.stuck_ms} ms with the arm down")
    settle(turn)


# -- the table ------------------------------------------------------------------------------------------------------

TRANSITIONS: Final[dict[Pair, Handler]] = {
    **starting_rows(),
    **shared_rows(PHASES),
    (P.IDLE, CodeWasRead): read_without_vehicle,
    (P.PRESENT, CodeWasRead): read,
    (P.PASSING, CodeWasRead): read_early,
    (P.CLOSING, CodeWasRead): read_early,
    (P.HELD_OPEN, CodeWasRead): read_at_open_arm,
    (P.LOCKED, CodeWasRead): read_out_of_service,
    (P.OUT_OF_SERVICE, CodeWasRead): read_out_of_service,
    (P.PRESENT, DeadlinePassed): present_deadline,
    **everywhere(PHASES, late_answer),
    (P.PRESENT, TerminalAnswered): answer_at_station,
    (P.PAYING, TerminalAnswered): answer,
    (P.PRESENT, PaidElsewhere): paid_elsewhere,
    (P.PAYING, PaidElsewhere): paid_elsewhere,
    (P.PAYING, DeadlinePassed): pay_deadline,
    (P.PAYING, CodeWasRead): coupon_while_paying,
    **everywhere(frozenset({P.PAYING}), *paying_loops),
}

IGNORED: Final[frozenset[Pair]] = (
    answers_ignored(PHASES)
    # A code while something is under way for the same vehicle, before the lane knows where it is, and in a fire.
    | pairs(frozenset({P.STARTING, P.OPENING, P.OPEN, P.FIRE}), CodeWasRead)
    # Nobody waits here for the ticket that was paid.
    | pairs(PHASES - {P.PRESENT, P.PAYING}, PaidElsewhere)
    # An exit's button calls a person, and its printer prints receipts: nothing at the lane waits for either.
    | pairs(PHASES, ButtonPressed, TicketPrinted, TicketPresented, TicketPulled, TicketRetracted, PrintFailed)
)

IMPOSSIBLE: Final[frozenset[Pair]] = pairs(frozenset({P.LOCKED, P.OUT_OF_SERVICE}), DeadlinePassed)
"""These phases never have a deadline, and `Table.step` lets only a due one through."""

TABLE: Final = Table(PHASES, TRANSITIONS, IGNORED, IMPOSSIBLE)


def step(lane: Lane, happened: Input, view: View) -> Step:
    """Decide one input of an exit lane. Pure."""
    return TABLE.step(lane, happened, view)
