"""Change is right to the cent, and a payment asked for twice is taken once."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.domain.facts import Line, PaymentTaken
from gatectl.domain.ids import PaymentId, TicketNumber
from gatectl.domain.money import AMOUNT_MINOR_MAX
from gatectl.domain.payments import Method, PaymentAsked, PaymentRefusal, Settled, same_request, settle_cash

TAKEN = PaymentTaken(
    payment=PaymentId("till-1-77"),
    ticket=TicketNumber("000123-K7QF"),
    method="CASH",
    amount_minor=350,
    currency="EUR",
    tendered_minor=1000,
    change_minor=650,
    due_minor=350,
    tariff="day-2026",
    lines=(Line("1 x 60 min", 350),),
    till="till-1",
    by="anna",
    series="till-1",
    receipt=9,
    paid_ms=0,
)
ASKED = PaymentAsked(TAKEN.payment, TAKEN.ticket, Method.CASH, 350, 1000)


def test_change_goes_back() -> None:
    """Ten euros for three fifty; and the exact amount."""
    assert Settled(350, 1000, 650, 0) == settle_cash(350, 1000)
    assert Settled(350, 350, 0, 0) == settle_cash(350, 350)


@pytest.mark.parametrize(
    ("due_minor", "tendered_minor", "code"),
    [
        (350, 349, "E-PAY-03"),
        (350, 0, "E-PAY-03"),
        (350, -1000, "E-PAY-03"),
        (0, 0, "E-PAY-01"),
        (0, 1000, "E-PAY-01"),
        (-1, 1000, "E-PAY-01"),
        (350, AMOUNT_MINOR_MAX + 1, "E-USE-01"),
        (350, 10**30, "E-USE-01"),
    ],
)
def test_cash_that_cannot_be_taken_is_refused(due_minor: int, tendered_minor: int, code: str) -> None:
    """Too little, nothing to pay, and a figure that no till and no database column holds."""
    refusal = settle_cash(due_minor, tendered_minor)

    assert isinstance(refusal, PaymentRefusal)
    assert code == refusal.code


@given(st.integers(-10, 10**13), st.integers(-10, 10**13))
def test_no_money_is_made_or_lost(due_minor: int, tendered_minor: int) -> None:
    """Whatever is tendered: the till keeps what was due, the rest goes back, neither is negative."""
    settled = settle_cash(due_minor, tendered_minor)

    if isinstance(settled, Settled):
        assert due_minor == settled.amount_minor > 0
        assert tendered_minor == settled.amount_minor + settled.change_minor
        assert settled.change_minor >= 0
    else:
        assert due_minor <= 0 or tendered_minor < due_minor or tendered_minor > AMOUNT_MINOR_MAX


@pytest.mark.parametrize(
    "asked",
    [ASKED, replace(ASKED, amount_minor=None)],
    ids=["as-first-asked", "all-that-was-due"],
)
def test_the_same_request_again_is_a_repeat(asked: PaymentAsked) -> None:
    """The answer was lost and the cashier presses again, perhaps when more is due by now."""
    assert same_request(TAKEN, asked) is None


def test_exact_cash_asked_for_again_is_a_repeat() -> None:
    """Neither amount nor tendered was said: exactly what was due was given."""
    exact = replace(TAKEN, tendered_minor=350, change_minor=0)

    assert same_request(exact, replace(ASKED, amount_minor=None, tendered_minor=None)) is None


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (replace(ASKED, ticket=TicketNumber("000124-K7QF")), "ticket"),
        (replace(ASKED, method=Method.UPI), "method"),
        (replace(ASKED, amount_minor=300), "amount"),
        (replace(ASKED, tendered_minor=2000), "cash tendered"),
        (replace(ASKED, tendered_minor=None), "cash tendered"),
        (replace(ASKED, ticket=TicketNumber("000124-K7QF"), amount_minor=300), "ticket and amount"),
    ],
)
def test_another_request_under_the_same_key_is_a_conflict(asked: PaymentAsked, what: str) -> None:
    """A key that is used again for something else is a mistake that must not look like a success."""
    assert PaymentRefusal("E-PAY-02", f"this key was used before with another {what}") == same_request(TAKEN, asked)


def test_a_part_payment_is_not_all_that_was_due() -> None:
    """Three euros of three fifty were asked for; "all that is due" was another request."""
    part = replace(TAKEN, amount_minor=300, tendered_minor=300, change_minor=0)

    assert same_request(part, replace(ASKED, amount_minor=300, tendered_minor=300)) is None
    assert same_request(part, replace(ASKED, amount_minor=None, tendered_minor=300)) is not None


def test_a_card_has_no_tendered_amount() -> None:
    """What a terminal's payment records as tendered is nobody's request."""
    card = replace(TAKEN, method="CREDIT_CARD", tendered_minor=0, change_minor=0)

    assert same_request(card, replace(ASKED, method=Method.CREDIT_CARD, tendered_minor=None)) is None


def test_keys_are_compared_by_whoever_found_the_payment() -> None:
    """Comparing two payments of different keys is a defect."""
    with pytest.raises(AssertionError, match="compared with"):
        same_request(TAKEN, replace(ASKED, payment=PaymentId("other")))
