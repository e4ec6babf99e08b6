"""Money at a real site in memory: parts, refunds, debts, what machines keep, what terminals dare and take back."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from site_stories import IN, OUT, Story, site_plan

from gatectl.domain import facts as f
from gatectl.domain.effects import Authorise, CloseArm, OpenArm, Reply, ReversePayment
from gatectl.domain.events import Asked, CashOffered, HandAsked, PaymentReversed
from gatectl.domain.ids import Boot, PaymentId, RequestId, TicketNumber
from gatectl.domain.lane import Arm, ArmAnswered, ArmMoved, Hand, TerminalAnswered, TerminalChanged
from gatectl.domain.money_rules import LET_OUT, MoneyRules
from gatectl.domain.pricing import stay_price
from gatectl.domain.records.payments_debts import DEBTS, OVERPAYMENTS, DebtMade
from gatectl.domain.records.payments_terminals import OFFLINE_DAYS, REVERSALS
from gatectl.domain.records.shifts import SHIFTS, ShiftCounted, ShiftEntry

LONG_MS = 160 * 60_000
"""Eight steps of twenty minutes, and the ninth begun: 900."""


def a_story(**rules: Any) -> Story:
    plan = site_plan()
    lanes = tuple(replace(lane, has_terminal=lane.lane == OUT, has_printer=True) for lane in plan.lanes)
    return Story(replace(plan, lanes=lanes, money=MoneyRules(**rules)), Boot("ab" * 8, "K7QF")).start()


def asked(story: Story, verb: str, **words: str | int) -> Reply:
    story.tell(Asked(RequestId(verb), verb, "mia", tuple(words.items())))
    return answers(story)[-1]


def answers(story: Story) -> list[Reply]:
    return [effect for effect in story.effects if isinstance(effect, Reply)]


def inside(story: Story) -> TicketNumber:
    """A vehicle that has been inside for so long that 900 are due."""
    ticket = story.enter().ticket
    story.later(LONG_MS)
    return ticket


def pays(story: Story, ticket: TicketNumber, key: str, amount: int | None = None, **more: Any) -> Reply:
    till = more.pop("till", "till-1")
    tendered = more.pop("tendered", None)
    story.tell(CashOffered(RequestId(key), PaymentId(key), ticket, amount, tendered, till, "mia", **more))
    return answers(story)[-1]


def due(story: Story, ticket: TicketNumber) -> int:
    assert story.books is not None
    return stay_price(story.site._context(), story.books.stays[ticket]).due_minor


def taken(story: Story) -> list[f.PaymentTaken]:
    return [fact for fact in story.facts if isinstance(fact, f.PaymentTaken)]


# -- parts and methods ----------------------------------------------------------------------------------------------------


def test_one_stay_is_paid_in_parts_of_any_method() -> None:
    """A merchant pays for some of it, coins for some, a telephone for the rest; each has its receipt, and nothing more is due."""
    story = a_story()
    ticket = inside(story)
    whole = due(story, ticket)

    assert "" == pays(story, ticket, "a", 200, method="VALIDATION", reference="Bakery").code
    assert "" == pays(story, ticket, "b", 300, tendered=500).code
    assert "" == pays(story, ticket, "c", method="WALLET", reference="T-77").code
    assert 0 == due(story, ticket)
    assert [(200, "VALIDATION", 1), (300, "CASH", 2), (whole - 500, "WALLET", 3)] == [
        (fact.amount_minor, fact.method, fact.receipt) for fact in taken(story)
    ]
    assert 200 == taken(story)[1].change_minor


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"method": "CREDIT_CARD", "reference": "T-1", "tendered": 5_000}, "E-PAY-05"),
        ({"method": "CREDIT_CARD", "reference": "T-1", "amount": 5_000}, "E-PAY-05"),
        ({"method": "ACCOUNT"}, "E-USE-01"),
        ({"method": "SHELLS"}, "E-USE-01"),
        ({"amount": 5_000}, "E-PAY-05"),
    ],
)
def test_a_card_is_never_charged_more_and_nothing_without_its_word(more: dict[str, Any], code: str) -> None:
    story = a_story()

    assert code == pays(story, inside(story), "k", **more).code
    assert [] == taken(story)


def test_the_same_key_with_another_reference_is_another_request() -> None:
    story = a_story()
    ticket = inside(story)

    assert "" == pays(story, ticket, "k", method="UPI", reference="U-1").code
    assert "" == pays(story, ticket, "k", method="UPI", reference="U-1").code
    assert "E-PAY-02" == pays(story, ticket, "k", method="UPI", reference="U-2").code
    assert 1 == len(taken(story))


def test_a_machine_without_change_keeps_it_and_a_person_gives_it_back() -> None:
    """It is no payment: what was paid was due; the rest is the driver's, on record until it is given back, out of a drawer."""
    story = a_story(no_change=frozenset({"PS-1"}))
    asked(story, "shift-open", till="till-1", float_minor=1_000)
    ticket = inside(story)
    pays(story, ticket, "k", tendered=2_000, till="PS-1")
    paid = taken(story)[0]
    assert story.books is not None
    (kept,) = story.books.tables.all(OVERPAYMENTS)

    assert (900, 0, 1_100) == (paid.amount_minor, paid.change_minor, paid.kept_minor)
    assert 1_100 == kept["kept_minor"]
    assert "" == asked(story, "overpayment-return", payment="k", till="till-1", reason="no coins").code
    assert "E-NOT-01" == asked(story, "overpayment-return", payment="k", till="till-1", reason="again").code
    assert [-1_100] == [fact.amount_minor for fact in story.facts if isinstance(fact, ShiftCounted)]


# -- refunds --------------------------------------------------------------------------------------------------------------


def test_a_payment_goes_back_in_parts_and_never_beyond() -> None:
    """It stays COMPLETED until all of it is back; each part has a receipt; what was given back is due again."""
    story = a_story()
    ticket = inside(story)
    pays(story, ticket, "k")
    assert story.books is not None

    part = asked(story, "pay-refund", payment="k", amount_minor=400, reason="too long", key="r1")
    assert ("", "till-1", 2) == (part.code, part.data["series"], part.data["receipt"])
    assert ("COMPLETED", 400, 400) == (
        story.books.payments[PaymentId("k")].state,
        story.books.payments[PaymentId("k")].refunded_minor,
        due(story, ticket),
    )
    assert "E-PAY-08" == asked(story, "pay-refund", payment="k", amount_minor=501, reason="more").code
    assert "" == asked(story, "pay-refund", payment="k", reason="the rest", key="r2").code
    assert "REFUNDED" == story.books.payments[PaymentId("k")].state
    assert "E-PAY-08" == asked(story, "pay-refund", payment="k", reason="once more").code


def test_a_refund_that_is_repeated_is_given_once() -> None:
    story = a_story()
    pays(story, inside(story), "k")
    first = asked(story, "pay-refund", payment="k", amount_minor=100, reason="x", key="r")

    assert first.data == asked(story, "pay-refund", payment="k", amount_minor=100, reason="x", key="r").data
    assert "E-PAY-02" == asked(story, "pay-refund", payment="k", amount_minor=200, reason="x", key="r").code
    assert 1 == sum(isinstance(fact, f.PaymentRefunded) for fact in story.facts)


def test_it_goes_back_the_way_it_came() -> None:
    """Cash out of the drawer that gives it; a card by its terminal, whose word for it is wanted, and no drawer."""
    story = a_story()
    asked(story, "shift-open", till="till-2", float_minor=5_000)
    first, second = inside(story), inside(story)
    pays(story, first, "cash")
    pays(story, second, "card", method="CREDIT_CARD", reference="T-1")

    assert "" == asked(story, "pay-refund", payment="cash", reason="x", till="till-2", amount_minor=300).code
    assert "E-USE-01" == asked(story, "pay-refund", payment="card", reason="x").code
    assert "" == asked(story, "pay-refund", payment="card", reason="x", reference="T-2", till="till-2").code
    assert [-300] == [fact.amount_minor for fact in story.facts if isinstance(fact, ShiftCounted)]
    assert ["CASH", "CREDIT_CARD"] == [fact.method for fact in story.facts if isinstance(fact, ShiftEntry)]


# -- tills ----------------------------------------------------------------------------------------------------------------


def test_a_till_that_needs_a_shift_takes_and_gives_nothing_without() -> None:
    story = a_story(shift_tills=frozenset({"till-1"}))
    ticket = inside(story)

    assert "E-PAY-07" == pays(story, ticket, "k").code
    asked(story, "shift-open", till="till-1", float_minor=0)
    assert "" == pays(story, ticket, "k").code
    asked(story, "shift-close", till="till-1", counted_minor=900)
    assert "E-PAY-07" == asked(story, "pay-refund", payment="k", reason="x").code


def test_relief_leaves_no_moment_without_a_shift() -> None:
    story = a_story()
    asked(story, "shift-open", till="till-1", float_minor=1_000)
    reply = asked(story, "shift-relieve", till="till-1", counted_minor=990, relief="ben", reason="a coin is missing")
    assert story.books is not None
    (shift,) = story.books.tables.all(SHIFTS)

    assert ("", -10) == (reply.code, reply.data["difference_minor"])
    assert ("ben", 990, reply.data["relief"]) == (shift["opened_by"], shift["float_minor"], shift["shift"])


# -- debts ----------------------------------------------------------------------------------------------------------------


def test_who_cannot_pay_leaves_and_owes() -> None:
    """A person lets the driver out; the exit opens for the ticket; the debt is paid later by its key, in two parts."""
    story = a_story()
    ticket = inside(story)
    made = asked(story, "debt-make", ticket=ticket, debtor="M. Muster", reason="card reader broken")
    debt = str(made.data["debt"])
    assert story.books is not None

    assert ("", 900, 0) == (made.code, made.data["amount_minor"], due(story, ticket))
    assert "E-PAY-01" == asked(story, "debt-make", ticket=ticket, reason="again").code
    assert "E-PAY-04" == asked(story, "debt-forgive", debt=debt, reason="still here").code
    assert 300 == asked(story, "debt-pay", debt=debt, key="d1", till="till-1", amount_minor=600).data["left_minor"]
    assert 0 == due(story, ticket)
    last = asked(story, "debt-pay", debt=debt, key="d2", till="till-1", tendered_minor=500)
    assert (0, 200) == (last.data["left_minor"], last.data["change_minor"])
    assert [] == list(story.books.tables.all(DEBTS))
    assert (0, 900) == (due(story, ticket), story.books.stays[ticket].paid_minor)
    assert "" == asked(story, "debt-pay", debt=debt, key="d2", till="till-1", tendered_minor=500).code
    assert "E-PAY-02" == asked(story, "debt-pay", debt=debt, key="d2", till="till-1", tendered_minor=600).code
    assert 2 == len(taken(story))


@pytest.mark.parametrize("policy", ["call", LET_OUT])
def test_an_exit_whose_terminal_cannot_be_reached(policy: str) -> None:
    """By the site's rule it sends the driver to a person, or opens with the debt on record, and nobody is trapped."""
    story = a_story(uncollectable=policy)
    printed = story.enter()
    story.later(LONG_MS).at(OUT, TerminalChanged(online=False))
    story.show_code(printed.code)
    debts = [fact for fact in story.facts if isinstance(fact, DebtMade)]

    assert ([] if policy == "call" else [(900, "policy", OUT)]) == [
        (debt.amount_minor, debt.by, debt.lane) for debt in debts
    ]
    opened = [effect for effect in story.effects if isinstance(effect, OpenArm) and effect.lane == OUT]
    assert (policy == LET_OUT) == bool(opened)


# -- terminals ------------------------------------------------------------------------------------------------------------


def at_terminal(story: Story) -> tuple[TicketNumber, Authorise]:
    printed = story.enter()
    story.later(LONG_MS)
    story.show_code(printed.code)
    order = story.last(Authorise)
    assert isinstance(order, Authorise)
    return printed.ticket, order


def test_a_terminal_may_approve_alone_up_to_the_sites_limit() -> None:
    """It is told how far it may go; what it did is on the payment, and counts against the day."""
    story = a_story(offline_payment_minor=1_000, offline_day_minor=1_500)
    _, first = at_terminal(story)
    story.at(OUT, TerminalAnswered(first.payment, "approved", offline=True))
    story.drive_over(OUT)
    _, second = at_terminal(story)
    assert story.books is not None
    (day,) = story.books.tables.all(OFFLINE_DAYS)

    assert (1_000, 600) == (first.offline_max_minor, second.offline_max_minor)
    assert ([True], 900) == ([fact.offline for fact in taken(story)], day["amount_minor"])


def test_beyond_the_limit_nothing_is_paid_and_the_terminal_takes_it_back() -> None:
    story = a_story(offline_payment_minor=1_000, offline_day_minor=500)
    ticket, order = at_terminal(story)
    story.at(OUT, TerminalAnswered(order.payment, "approved", offline=True))
    assert story.books is not None

    assert [] == taken(story)
    assert ReversePayment(OUT, order.payment) == story.last(ReversePayment)
    assert not any(isinstance(effect, OpenArm) and effect.lane == OUT for effect in story.effects)
    assert 900 == due(story, ticket)
    story.tell(PaymentReversed(order.payment, "reversed"))
    assert [] == list(story.books.tables.all(REVERSALS))
    assert not story.has(f.PaymentRefunded)


def voided(story: Story) -> tuple[TicketNumber, PaymentId]:
    """Paid at the terminal, the arm up, the vehicle still before it; then a person takes the payment back."""
    ticket, order = at_terminal(story)
    story.at(OUT, TerminalAnswered(order.payment, "approved"))
    opened = story.last(OpenArm)
    assert isinstance(opened, OpenArm)
    story.at(OUT, ArmAnswered(opened.vend, "open", "confirmed", ""), ArmMoved(Arm.BETWEEN), ArmMoved(Arm.UP))
    story.tell(HandAsked(OUT, Hand.VOID_PAYMENT, "mia", "wrong ticket", RequestId("v")))
    return ticket, order.payment


def test_a_payment_is_void_while_the_vehicle_stands_before_the_arm() -> None:
    """The arm comes down, the ticket is good again, and its price due; the money's way back has its receipt."""
    story = a_story()
    ticket, payment = voided(story)
    assert story.books is not None

    assert ("", 900) == (answers(story)[-1].code, due(story, ticket))
    story.later(5_000)
    assert story.has(CloseArm)
    story.tell(PaymentReversed(payment, "reversed"))
    refund = story.last(f.PaymentRefunded)
    assert isinstance(refund, f.PaymentRefunded)
    assert (900, "CREDIT_CARD", "OUT-1", 2) == (refund.amount_minor, refund.method, refund.series, refund.receipt)
    assert ("REFUNDED", 900) == (story.books.payments[payment].state, due(story, ticket))
    story.tell(PaymentReversed(payment, "reversed"))
    assert 1 == sum(isinstance(fact, f.PaymentRefunded) for fact in story.facts)


def test_a_terminal_that_does_not_take_it_back_leaves_it_paid() -> None:
    """Then a person gives it back as a refund."""
    story = a_story()
    ticket, payment = voided(story)
    story.tell(PaymentReversed(payment, "refused", "too-late"))

    assert 0 == due(story, ticket)
    assert "" == asked(story, "pay-refund", payment=payment, reason="wrong ticket", reference="T-2").code


def test_a_reversal_without_answer_is_asked_for_again() -> None:
    """After half a minute, and after a restart from the same books."""
    story = a_story()
    _, payment = voided(story)
    before = sum(isinstance(effect, ReversePayment) for effect in story.effects)
    story.later(31_000)
    again = Story(story.plan, Boot("cd" * 8, "0000"), story.books, story.now)
    again.start(dark_from_ms=story.now.wall_ms)

    assert (1, 2) == (before, sum(isinstance(effect, ReversePayment) for effect in story.effects))
    assert [ReversePayment(OUT, payment)] == [e for e in again.effects if isinstance(e, ReversePayment)]


def test_no_payment_is_void_once_the_vehicle_has_gone() -> None:
    story = a_story()
    _, order = at_terminal(story)
    story.at(OUT, TerminalAnswered(order.payment, "approved"))
    story.drive_over(OUT)
    story.tell(HandAsked(OUT, Hand.VOID_PAYMENT, "mia", "too late", RequestId("v")))
    story.tell(HandAsked(IN, Hand.VOID_PAYMENT, "mia", "not an exit", RequestId("w")))

    assert ["E-LANE-04", "E-LANE-04"] == [reply.code for reply in answers(story)[-2:]]


# -- every way at once ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_asked_the_money_adds_up(seed: int) -> None:
    """Receipts less refunds are what the payments say; nothing goes back beyond what was paid; each series has no gap."""
    rng, story = Random(f"money {seed}"), a_story(no_change=frozenset({"PS-1"}))
    tickets: list[TicketNumber] = []
    for number in range(80):
        act = rng.random()
        if (act < 0.2 and len(tickets) < 3) or not tickets:
            tickets.append(inside(story))
        elif act < 0.5:
            method = rng.choice(["CASH", "WALLET", "ACCOUNT"])
            amount = rng.choice([None, rng.randint(1, 600)])
            more = {"reference": "R"} if method != "CASH" else {"tendered": rng.choice([None, 3_000])}
            till = rng.choice(["till-1", "PS-1"])
            pays(story, rng.choice(tickets), f"k{rng.randint(0, number)}", amount, method=method, till=till, **more)
        elif act < 0.8 and taken(story):
            words: dict[str, str | int] = {"payment": rng.choice(taken(story)).payment, "reason": "x", "reference": "R"}
            if rng.random() < 0.7:
                words["amount_minor"] = rng.randint(0, 700)
            if rng.random() < 0.5:
                words["key"] = f"r{rng.randint(0, number)}"
            asked(story, "pay-refund", **words)
        elif act < 0.9:
            asked(story, "debt-make", ticket=rng.choice(tickets), reason="x")
        else:
            story.later(rng.randint(1_000, LONG_MS))
    check(story)


def check(story: Story) -> None:
    assert story.books is not None
    refunds = [fact for fact in story.facts if isinstance(fact, f.PaymentRefunded)]
    receipts: dict[str, list[int]] = {}
    for fact in story.facts:
        if isinstance(fact, f.PaymentTaken | f.PaymentRefunded):
            receipts.setdefault(fact.series, []).append(fact.receipt)
    for payment in taken(story):
        back = sum(refund.amount_minor for refund in refunds if refund.payment == payment.payment)
        assert back == story.books.payments[payment.payment].refunded_minor <= payment.amount_minor
        assert payment.tendered_minor == payment.amount_minor + payment.change_minor + payment.kept_minor
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in receipts.values())
    assert len(refunds) == len({refund.refund for refund in refunds})
    for stay in story.books.stays.values():
        paid = sum(payment.amount_minor for payment in taken(story) if payment.ticket == stay.ticket)
        back = sum(refund.amount_minor for refund in refunds if refund.ticket == stay.ticket)
        assert paid - back == stay.paid_minor
