"""Paying in the exit lane: asked for once, counted once, never lost."""

import pytest
from lane_world import exit_, inside

from gatectl.domain import facts as f
from gatectl.domain.effects import Authorise, CancelPayment, PrintReceipt, QueryPayment
from gatectl.domain.lane import (
    Layout,
    PaidElsewhere,
    Phase,
    TerminalChanged,
)
from gatectl.domain.lane_pay import PAY_TRIES_MAX, PAY_WAITS_MAX, PENDING_MAX

LAYOUTS = pytest.mark.parametrize("layout", list(Layout))
PAY_MS = 60_000


# -- money --------------------------------------------------------------------------------------------------------------


def test_paying_in_the_lane() -> None:
    """Asked for what is due, approved: taken, spent, intended and opened in one step, with a receipt."""
    story, ticket = exit_(due_minor=350)
    story.arrive()
    story.read(ticket)
    started, asked = story.only(f.PaymentStarted), story.done(Authorise)[0]
    assert (350, asked.payment, asked.amount_minor) == (started.amount_minor, started.payment, started.amount_minor)
    story.approve()

    assert story.last is not None
    assert [f.PaymentTaken, f.TicketSpent, f.VendIntended] == [type(fact) for fact in story.last.facts]
    taken = story.only(f.PaymentTaken)
    assert (350, 350, 1, "T1", 1) == (
        taken.amount_minor,
        taken.due_minor,
        taken.receipt,
        taken.tariff,
        len(taken.lines),
    )
    assert (1, 1, Phase.OPENING) == (len(story.done(PrintReceipt)), story.opens(), story.phase)


@pytest.mark.parametrize("outcome", ["declined", "cancelled", "timed-out"])
def test_a_declined_card_may_be_tried_again(outcome: str) -> None:
    """Not accepted: said and recorded; presenting the ticket again asks again under a new key."""
    story, ticket = exit_(due_minor=350)
    story.arrive()
    story.read(ticket)
    story.approve(outcome)
    assert (outcome, Phase.PRESENT) == (story.only(f.PaymentFailed).outcome, story.phase)
    story.read(ticket)
    story.approve()

    assert (2, 1, 1) == (
        len({s.payment for s in story.of(f.PaymentStarted)}),
        len(story.of(f.PaymentTaken)),
        story.opens(),
    )


def test_tries_at_the_terminal_are_limited() -> None:
    """A stolen card deck: then a person."""
    story, ticket = exit_(due_minor=350)
    story.arrive()
    for _ in range(PAY_TRIES_MAX):
        story.read(ticket)
        story.approve("declined")
    story.read(ticket)

    assert (PAY_TRIES_MAX, "E-PAY-06") == (len(story.of(f.PaymentStarted)), story.only(f.CodeRefused).why)


def test_the_next_vehicle_has_its_own_tries() -> None:
    """The driver before gave up and left."""
    story, ticket = exit_(due_minor=350)
    story.arrive()
    for _ in range(PAY_TRIES_MAX):
        story.read(ticket)
        story.approve("declined")
    story.a(False)
    story.arrive()
    story.read(inside(story, "T-2"))

    assert Phase.PAYING is story.phase


@pytest.mark.parametrize("options", [{"has_terminal": False}, {}], ids=["none", "offline"])
def test_without_a_terminal_the_driver_goes_to_the_cashier(options: dict[str, object]) -> None:
    """No terminal, or one that is away: refused with words; paid there, the arm opens without another reading."""
    story, ticket = exit_(due_minor=350, **options)
    story.happen(TerminalChanged(False))
    story.arrive()
    story.read(ticket)
    assert ("E-TKT-06", Phase.PRESENT) == (story.only(f.CodeRefused).why, story.phase)
    story.site.paid.add(ticket)
    story.happen(PaidElsewhere(ticket))

    assert (Phase.OPENING, "spent") == (story.phase, story.site.tickets[ticket])


def test_paid_elsewhere_while_paying_here() -> None:
    """The passenger pays at the cashier: the terminal is called off, the arm opens; an approval that crosses still counts."""
    story, ticket = exit_(due_minor=350)
    story.arrive()
    story.read(ticket)
    payment = story.lane.payment
    story.site.paid.add(ticket)
    story.happen(PaidElsewhere(ticket))
    assert (Phase.OPENING, 1) == (story.phase, len(story.done(CancelPayment)))
    story.approve(payment=payment)

    assert (1, 1) == (len(story.of(f.PaymentTaken)), story.opens())


def test_paid_elsewhere_in_part_opens_nothing() -> None:
    """Something is still due."""
    story, ticket = exit_(due_minor=350)
    story.arrive()
    story.read(ticket)
    story.happen(PaidElsewhere(ticket))

    assert (Phase.PAYING, 0) == (story.phase, story.opens())


def test_back_out_while_paying() -> None:
    """The payment is called off. It went through all the same: the money is recorded, the stay is inside and paid."""
    story, ticket = exit_(due_minor=350)
    story.arrive()
    story.read(ticket)
    payment = story.lane.payment
    story.a(False)
    assert (Phase.IDLE, 1) == (story.phase, len(story.done(CancelPayment)))
    story.approve(payment=payment)
    assert (1, 0, "inside") == (len(story.of(f.PaymentTaken)), story.opens(), story.site.tickets[ticket])
    story.arrive()
    story.read(ticket)

    assert (Phase.OPENING, 1) == (story.phase, len(story.of(f.PaymentStarted)))


def test_an_approval_counts_once() -> None:
    """The terminal says it twice."""
    story, ticket = exit_(due_minor=350)
    story.arrive()
    story.read(ticket)
    payment = story.lane.payment
    story.approve()
    story.approve(payment=payment)

    assert (1, 1) == (len(story.of(f.PaymentTaken)), story.opens())


def test_a_terminal_that_does_not_answer_is_asked_again() -> None:
    """By its key, never charged anew; at last the driver is sent to a person, and the payment stays pending, not failed."""
    story, ticket = exit_(due_minor=350)
    story.arrive()
    story.read(ticket)
    story.wait(PAY_WAITS_MAX * PAY_MS)

    assert (Phase.PRESENT, PAY_WAITS_MAX) == (story.phase, len(story.done(QueryPayment)))
    assert (1, [], 1) == (len(story.of(f.PaymentStarted)), story.of(f.PaymentFailed), len(story.lane.pending))


def test_a_late_approval_opens_for_the_vehicle_that_is_still_here() -> None:
    """The lane had given up waiting; the answer comes while the driver looks for help."""
    story, ticket = exit_(due_minor=350)
    story.arrive()
    story.read(ticket)
    payment = story.lane.payment
    story.wait(PAY_WAITS_MAX * PAY_MS)
    story.approve(payment=payment)

    assert (Phase.OPENING, 1, "spent") == (story.phase, len(story.of(f.PaymentTaken)), story.site.tickets[ticket])


def test_an_unknown_answer_is_asked_after() -> None:
    """Nobody knows whether the charge order arrived: ask by the key at once."""
    story, ticket = exit_(due_minor=350)
    story.arrive()
    story.read(ticket)
    story.approve("unknown")
    story.approve("unknown")
    assert (Phase.PAYING, 1) == (story.phase, len(story.done(QueryPayment)))
    story.approve()

    assert Phase.OPENING is story.phase


def test_a_terminal_that_comes_back_is_asked_for_what_is_pending() -> None:
    """It was away when the answer should have come."""
    story, ticket = exit_(due_minor=350)
    story.arrive()
    story.read(ticket)
    payment = story.lane.payment
    story.a(False)
    story.happen(TerminalChanged(False))
    story.happen(TerminalChanged(True))

    assert [payment] == [query.payment for query in story.done(QueryPayment)]


def test_pending_payments_are_bounded() -> None:
    """A terminal that never answers: the oldest is at last recorded as failed, outcome unknown, for a person to clear up."""
    story, _ = exit_(due_minor=350)
    for n in range(PENDING_MAX + 1):
        story.arrive()
        story.read(inside(story, f"T-1{n}"))
        story.a(False)

    assert (PENDING_MAX, "unknown") == (len(story.lane.pending), story.only(f.PaymentFailed).outcome)


def test_a_ticket_spent_elsewhere_while_it_was_being_paid_here() -> None:
    """A copy left through another exit meanwhile: the money is recorded, the arm stays down, a person is called."""
    story, ticket = exit_(due_minor=350)
    story.arrive()
    story.read(ticket)
    story.site.tickets[ticket] = "exited"
    story.approve()

    assert (1, 0, "E-TKT-04") == (len(story.of(f.PaymentTaken)), story.opens(), story.only(f.CodeRefused).why)
