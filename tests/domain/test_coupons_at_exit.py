"""A driver with a coupon at an exit that takes cards: what is due is asked for once, and what is not due is not taken."""

from dataclasses import replace
from random import Random

import pytest
from site_stories import OUT, Story
from validation_stories import a_site, apply, asked, inside, on, used

from gatectl.domain.effects import Authorise, CancelPayment, OpenArm, Reply, ShowText
from gatectl.domain.events import StationAsked
from gatectl.domain.facts import CodeRefused, PaymentTaken
from gatectl.domain.ids import LaneId, RequestId, TicketNumber
from gatectl.domain.lane import (
    Arm,
    ArmingLoopChanged,
    ArmMoved,
    ClosingLoopChanged,
    CodeWasRead,
    Loop,
    TerminalAnswered,
    Trust,
)
from gatectl.domain.records import validations as v
from gatectl.domain.tickets import sign

ON, OFF = Loop(True, Trust.GOOD), Loop(False, Trust.GOOD)
OUT_2 = LaneId("OUT-2")


def code_of(story: Story, ticket: TicketNumber) -> str:
    stay, (counter, tag) = story.site.books.stays[ticket], ticket.split("-")
    return sign(
        story.plan.keyring,
        story.plan.site,
        counter=int(counter),
        tag=tag,
        issued_s=stay.issued_ms // 1000,
        vehicle_type=stay.vehicle_type,
    )


def at_exit(story: Story, ticket: TicketNumber) -> Authorise:
    """The ticket is shown; what the terminal is asked for."""
    story.show_code(code_of(story, ticket))
    return asked_for(story)


def asked_for(story: Story) -> Authorise:
    found = story.last(Authorise)
    assert isinstance(found, Authorise)
    return found


def answered(story: Story, authorise: Authorise, outcome: str) -> None:
    story.at(OUT, TerminalAnswered(authorise.payment, outcome)).later(0)


def shown(story: Story) -> list[str]:
    return [effect.text for effect in story.effects if isinstance(effect, ShowText) and effect.lane == OUT]


def test_a_coupon_while_the_card_is_asked_for() -> None:
    """The terminal is asked for 6.00, called off, and asked for the half of it; the coupon is spent by what was paid."""
    story = a_site(terminal=True)
    ticket = inside(story)
    first = at_exit(story, ticket)
    assert 600 == first.amount_minor

    story.at(OUT, CodeWasRead("HALF"))
    assert CancelPayment(OUT, first.payment) in story.effects
    assert [] == on(story, ticket)
    answered(story, first, "cancelled")
    second = asked_for(story)
    assert (300, True) == (second.amount_minor, second.payment != first.payment)
    answered(story, second, "approved")

    assert [300] == [fact.amount_minor for fact in story.facts if isinstance(fact, PaymentTaken)]
    assert ["spent"] == [row["state"] for row in on(story, ticket)]
    assert isinstance(story.last(OpenArm), OpenArm)


def test_the_card_was_faster_than_the_coupon() -> None:
    """The terminal had taken 6.00 before it heard of the coupon: that counts, and the coupon is good for another time."""
    story = a_site(terminal=True)
    ticket = inside(story)
    first = at_exit(story, ticket)
    story.at(OUT, CodeWasRead("HALF"))

    answered(story, first, "approved")

    assert [600] == [fact.amount_minor for fact in story.facts if isinstance(fact, PaymentTaken)]
    assert (0, []) == (used(story, "HALF"), on(story, ticket))
    assert 1 == len([effect for effect in story.effects if isinstance(effect, OpenArm) and effect.lane == OUT])


def test_a_coupon_that_leaves_nothing_opens() -> None:
    """Two hours free for a stay of two hours."""
    story = a_site(terminal=True)
    asked(story, "coupon-add", coupon="TWO-HOURS", minutes=120)
    ticket = inside(story)
    first = at_exit(story, ticket)
    story.at(OUT, CodeWasRead("TWO-HOURS"))
    answered(story, first, "cancelled")

    assert "opening" == story.site.lanes[OUT].phase
    story.drive_over(OUT)
    assert [("spent", TicketNumber(ticket))] == [
        (fact.state, fact.ticket) for fact in story.facts if isinstance(fact, v.ValidationClosed)
    ]


def test_a_coupon_that_is_not_good_leaves_the_payment_alone() -> None:
    story = a_site(terminal=True)
    one, two = inside(story), inside(story)
    apply(story, one, "HALF")
    first = at_exit(story, two)
    story.at(OUT, CodeWasRead("HALF"))

    assert "Coupon not accepted" == shown(story)[-1]
    assert not [effect for effect in story.effects if isinstance(effect, CancelPayment)]
    assert "E-CPN-02" == next(fact.why for fact in reversed(story.facts) if isinstance(fact, CodeRefused))
    answered(story, first, "approved")
    assert isinstance(story.last(OpenArm), OpenArm)


def test_a_coupon_before_the_ticket_is_asked_to_wait() -> None:
    story = a_site(terminal=True)
    story.show_code("HALF")

    assert "Please present\nyour ticket first" == shown(story)[-1]
    assert 0 == used(story, "HALF")


def test_the_cashier_validates_while_the_card_is_asked_for() -> None:
    """What is due falls by telephone: the terminal is called off, and asked for what is left."""
    story = a_site(terminal=True)
    ticket = inside(story)
    first = at_exit(story, ticket)
    assert "" == apply(story, ticket, "TWO-OFF")

    assert CancelPayment(OUT, first.payment) in story.effects
    answered(story, first, "cancelled")
    assert 400 == asked_for(story).amount_minor


def test_without_a_terminal_the_coupon_is_taken_and_the_rest_is_the_cashiers() -> None:
    story = a_site()
    ticket = inside(story)
    story.show_code(code_of(story, ticket))
    story.at(OUT, CodeWasRead("HALF"))

    assert ["reserved"] == [row["state"] for row in on(story, ticket)]
    assert "Please pay\nat the cashier" == shown(story)[-1]


def test_a_driver_who_backs_out_of_the_exit_keeps_the_coupon_on_the_ticket() -> None:
    """It is on the ticket and not in the hand: the next exit asks for the lower price, and a person can take it off."""
    story = a_site(terminal=True)
    ticket = inside(story)
    first = at_exit(story, ticket)
    story.at(OUT, CodeWasRead("HALF"))
    answered(story, first, "cancelled")
    story.at(OUT, ArmingLoopChanged(OFF))
    answered(story, asked_for(story), "cancelled")

    assert ["reserved"] == [row["state"] for row in on(story, ticket)]
    assert 300 == at_exit(story, ticket).amount_minor
    answered(story, asked_for(story), "declined")
    assert "" == asked(story, "validation-void", validation=f"{ticket}-V1", reason="not his").code
    assert 0 == used(story, "HALF")


def test_a_coupon_at_a_pay_station() -> None:
    """Shown behind the ticket: quoted and paid at what is left; one that is not good takes nothing out of the driver's hand."""
    story = a_site()
    one, two = inside(story), inside(story, 1)
    story.tell(StationAsked(RequestId("s-1"), "PS-1", "quote", f"{code_of(story, one)} HALF", 0))
    quoted = story.last(Reply)
    story.tell(StationAsked(RequestId("s-2"), "PS-1", "pay-cash", f"{code_of(story, two)} HALF", 2_000))
    refused = story.last(Reply)
    story.tell(StationAsked(RequestId("s-3"), "PS-1", "pay-cash", code_of(story, one), 2_000))

    assert isinstance(quoted, Reply)
    assert isinstance(refused, Reply)
    assert (450, "PS-1") == (quoted.data["due_minor"], on(story, one)[0]["place"])
    assert "E-CPN-02" == refused.code
    assert [(one, 450)] == [(fact.ticket, fact.amount_minor) for fact in story.facts if isinstance(fact, PaymentTaken)]


# -- two lanes -----------------------------------------------------------------------------------------------------------


def two_exits() -> Story:
    story = a_site(terminal=True, spots=40)
    exit_1 = next(lane for lane in story.plan.lanes if lane.lane == OUT)
    plan = replace(story.plan, lanes=(*story.plan.lanes, replace(exit_1, lane=OUT_2)))
    story = Story(plan, story.boot).start()
    return story.at(OUT_2, ArmMoved(Arm.DOWN), ArmingLoopChanged(OFF), ClosingLoopChanged(OFF))


def test_two_lanes_in_the_same_second() -> None:
    """The same paper's photograph at two exits: one is let off the half, the other pays all."""
    story = two_exits()
    one, two = inside(story, 2), inside(story, 1)
    for lane, ticket in ((OUT, one), (OUT_2, two)):
        story.at(lane, ArmingLoopChanged(ON), CodeWasRead(code_of(story, ticket)), CodeWasRead("HALF"))
    authorised = [effect for effect in story.effects if isinstance(effect, Authorise)]
    for authorise in authorised:
        story.at(authorise.lane, TerminalAnswered(authorise.payment, "cancelled")).later(0)

    assert 1 == used(story, "HALF")
    assert [900, 300, 450, 300] == [effect.amount_minor for effect in story.effects if isinstance(effect, Authorise)]
    assert [1, 0] == [len(on(story, ticket)) for ticket in (one, two)]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_lanes_and_people_do_each_coupon_is_used_as_often_as_it_may(seed: int) -> None:
    """A hundred and fifty random acts at two exits, a desk and a merchant; after each of them the rows agree with each other."""
    rng = Random(f"coupons {seed}")  # seeded
    story = two_exits()
    tickets = [inside(story, 1) for _ in range(6)]
    codes = ["HALF", "TENTH", "TWO-OFF", "ALONE-HALF", "ALONE-FIVE"]
    for _ in range(150):
        act, ticket, lane = rng.randrange(8), rng.choice(tickets), rng.choice((OUT, OUT_2))
        if act == 0:
            story.later(rng.choice((1_000, 600_000)))
        elif act == 1:
            apply(story, ticket, rng.choice(codes))
        elif act == 2:
            asked(story, "validation-add", ticket=ticket, merchant="cafe", reason="guest", minutes=rng.randint(1, 120))
        elif act == 3:
            asked(story, "validation-void", validation=f"{ticket}-V{rng.randint(1, 3)}", reason="x")
        elif act == 4 and ticket in story.site.books.stays:
            story.at(lane, ArmingLoopChanged(ON), CodeWasRead(code_of(story, ticket)))
        elif act == 5:
            story.at(lane, CodeWasRead(rng.choice(codes)))
        elif act == 6:
            pending = [effect for effect in story.effects if isinstance(effect, Authorise) and effect.lane == lane]
            if pending:
                outcome = rng.choice(("approved", "cancelled", "declined"))
                story.at(lane, TerminalAnswered(pending[-1].payment, outcome)).later(0)
        else:
            story.at(lane, ArmingLoopChanged(OFF))
        holds(story)


def holds(story: Story) -> None:
    """What is counted as used was put on a ticket and not taken off; no code is on more than it may be; they go together."""
    open_rows = [row for row in story.site.books.tables.all(v.VALIDATIONS) if row["state"] != v.RELEASED]
    applied = {fact.validation: fact.coupon for fact in story.facts if isinstance(fact, v.ValidationApplied)}
    for fact in story.facts:
        if isinstance(fact, v.ValidationReleased):
            del applied[fact.validation]
    for coupon in story.plan.coupons:
        count = list(applied.values()).count(coupon.coupon)
        assert count == used(story, coupon.coupon)
        assert coupon.uses_max is None or count <= coupon.uses_max
    for ticket in story.site.books.stays:
        rows = [row for row in open_rows if row["ticket"] == ticket]
        assert len(rows) == 1 if any(row["exclusive"] for row in rows) else len(rows) <= 3
