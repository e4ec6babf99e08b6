"""The exceptions desk: tickets that no lane can serve, and what a named person makes of them."""

import pytest
from site_stories import AREA, IN, OFF, ON, OUT, Story

from gatectl.domain.effects import OpenArm, Reply
from gatectl.domain.events import Asked, CashOffered, LostTicketDeclared
from gatectl.domain.facts import (
    CodeRefused,
    TicketLostDeclared,
    TicketSpent,
    TicketWrittenOff,
    VehicleExited,
)
from gatectl.domain.ids import PaymentId, RequestId, TicketNumber
from gatectl.domain.lane import ArmingLoopChanged, CodeWasRead
from gatectl.domain.records.exceptions import HAND_PRICES, ExceptionNoted, PriceSet, StaleClosed
from gatectl.domain.tickets import TicketState

HOUR_MS = 3_600_000


def asked(story: Story, verb: str, **words: str | int | bool) -> Reply:
    story.tell(Asked(RequestId(verb), verb, "mia", tuple({"reason": "as it is", **words}.items())))
    return [effect for effect in story.effects if isinstance(effect, Reply)][-1]


def pay(story: Story, ticket: object) -> None:
    key = PaymentId(f"key-{ticket}")
    story.tell(CashOffered(RequestId(f"pay-{ticket}"), key, TicketNumber(str(ticket)), None, 50_000, "till-1", "mia"))


@pytest.fixture
def story() -> Story:
    return Story().start()


def test_a_damaged_ticket_goes_on_under_another_number(story: Story) -> None:
    """Washed with the trousers: the number is still there. Time, spot and price stay, the old paper opens nothing."""
    printed = story.enter()
    spot = story.site.books.stays[printed.ticket].spot
    story.later(HOUR_MS)
    reply = asked(story, "ticket-damaged", ticket=printed.ticket.lower().replace("-", " "))
    new = TicketNumber(str(reply.data["ticket"]))

    assert ("", 400) == (reply.code, reply.data["due_minor"])
    assert f"{new} replaces the damaged ticket {printed.ticket}" == reply.message
    assert spot == story.site.books.stays[new].spot
    assert 2 == sum(story.site.books.spots.free(AREA).values())
    assert [("damaged", printed.ticket, new, "mia", "as it is")] == [
        (fact.act, fact.ticket, fact.other, fact.by, fact.why)
        for fact in story.facts
        if isinstance(fact, ExceptionNoted)
    ]
    story.show_code(printed.code)
    assert ["E-TKT-05"] == [fact.why for fact in story.facts if isinstance(fact, CodeRefused)]
    pay(story, new)
    story.at(OUT, CodeWasRead(str(reply.data["code"])))
    story.drive_over(OUT)
    assert [new] == [fact.ticket for fact in story.facts if isinstance(fact, VehicleExited)]
    assert 3 == sum(story.site.books.spots.free(AREA).values())


def test_a_lost_ticket_whose_stay_is_found_keeps_its_spot(story: Story) -> None:
    """The replacement holds the spot where the car stands; nobody else is sent there."""
    spot = story.site.books.stays[story.enter().ticket].spot
    story.tell(LostTicketDeclared(RequestId("1"), OUT, TicketNumber("000001-K7QF"), None, "mia", "lost"))

    assert spot == story.site.books.stays[TicketNumber("000002-K7QF")].spot
    others = {story.site.books.stays[story.enter().ticket].spot for _ in range(2)}
    assert spot not in others


def test_two_drivers_get_their_own_stays_back(story: Story) -> None:
    """Long and short have each other's tickets: both papers end, each stay goes on with its own time."""
    long = story.enter().ticket
    story.later(2 * HOUR_MS)
    short = story.enter().ticket
    story.later(HOUR_MS)
    reply = asked(story, "ticket-swap", ticket=long, other=short)

    made = reply.data["tickets"]
    assert isinstance(made, list)
    assert [(long, 1_000), (short, 400)] == [(new["replaces"], new["due_minor"]) for new in made]
    assert {long: TicketState.LOST, short: TicketState.LOST} == dict(story.site.books.closed)
    assert ["swapped", "swapped"] == [fact.cause for fact in story.facts if isinstance(fact, TicketLostDeclared)]


def test_what_was_paid_for_is_not_swapped(story: Story) -> None:
    """Money is on a number: whose it is after a swap, a person must say with a price."""
    first, second = story.enter().ticket, story.enter().ticket
    story.later(HOUR_MS)
    pay(story, second)

    assert "E-PAY-04" == asked(story, "ticket-swap", ticket=first, other=second).code
    assert "E-USE-01" == asked(story, "ticket-swap", ticket=first, other=first).code
    assert not story.has(TicketLostDeclared)


def test_a_foreign_ticket_and_a_price_by_a_person(story: Story) -> None:
    """The station garage's ticket opens nothing here. A special ticket costs what the cashier says, coupons or not."""
    story.enter()
    story.later(HOUR_MS)
    reply = asked(story, "ticket-special", cause="foreign", price_minor=1_200, lane=str(OUT))
    new = str(reply.data["ticket"])

    assert ("", 1_200, f"{new} is a special ticket") == (reply.code, reply.data["due_minor"], reply.message)
    assert [(new, 1_200, "mia")] == [
        (fact.ticket, fact.price_minor, fact.by) for fact in story.facts if isinstance(fact, PriceSet)
    ]
    story.later(10 * HOUR_MS)
    assert "" == asked(story, "ticket-price", ticket=new, price_minor=1_000, reason="half the wait was ours").code
    story.at(OUT, ArmingLoopChanged(ON))
    pay(story, new)
    assert "" == asked(story, "ticket-present", ticket=new, lane=str(OUT)).code
    story.drive_over(OUT)

    assert [new] == [fact.ticket for fact in story.facts if isinstance(fact, VehicleExited)]
    assert [] == list(story.site.books.tables.all(HAND_PRICES))


def test_minutes_that_are_proven_are_priced_by_the_tariff(story: Story) -> None:
    """Two hours by the restaurant's bill: six steps of twenty minutes; without proof it is the lost-ticket price."""
    assert 600 == asked(story, "ticket-special", cause="unreadable", minutes=120).data["due_minor"]
    assert 2_000 == asked(story, "ticket-special", cause="special").data["due_minor"]
    assert "E-USE-01" == asked(story, "ticket-special", cause="nice").code
    assert "E-USE-01" == asked(story, "ticket-special", cause="special", minutes=600_000).code
    assert "E-USE-01" == asked(story, "ticket-special", cause="special", price_minor=10**15).code


def test_a_number_that_a_person_types_opens_the_exit_when_it_is_paid(story: Story) -> None:
    """The reader is dirty: over the intercom the driver reads the number. Unpaid is refused, paid is let out, each on record."""
    ticket = story.enter().ticket
    story.later(HOUR_MS)

    assert "E-LANE-02" == asked(story, "ticket-present", ticket=ticket, lane=str(OUT)).code
    story.at(OUT, ArmingLoopChanged(ON))
    assert "E-LANE-02" == asked(story, "ticket-present", ticket=ticket, lane=str(IN)).code
    assert "E-LANE-02" == asked(story, "ticket-present", ticket=ticket, lane="OUT-9").code
    assert "E-TKT-06" == asked(story, "ticket-present", ticket=ticket, lane=str(OUT)).code
    pay(story, ticket)  # the lane hears of it: its vehicle waits for nothing else

    assert [ticket] == [fact.ticket for fact in story.facts if isinstance(fact, TicketSpent)]
    assert story.has(OpenArm)
    assert [("keyed", ticket, "OUT-1")] == [
        (fact.act, fact.ticket, fact.other) for fact in story.facts if isinstance(fact, ExceptionNoted)
    ]


def test_a_price_by_a_person_is_the_last_word(story: Story) -> None:
    """More or less than the tariff says; a lane where the driver waits hears of it; it goes on with a replaced ticket."""
    ticket = story.enter().ticket
    story.later(HOUR_MS)
    story.at(OUT, ArmingLoopChanged(ON))
    asked(story, "ticket-present", ticket=ticket, lane=str(OUT))
    moved = str(asked(story, "ticket-damaged", ticket=ticket).data["ticket"])
    assert "E-TKT-08" == asked(story, "ticket-price", ticket=ticket, price_minor=0).code
    assert 5_000 == asked(story, "ticket-price", ticket=moved, price_minor=5_000).data["due_minor"]
    again = asked(story, "ticket-damaged", ticket=moved)
    assert 5_000 == again.data["due_minor"]
    assert "E-TKT-06" == asked(story, "ticket-present", ticket=str(again.data["ticket"]), lane=str(OUT)).code
    assert "" == asked(story, "ticket-price", ticket=str(again.data["ticket"]), price_minor=0).code

    assert [again.data["ticket"]] == [fact.ticket for fact in story.facts if isinstance(fact, TicketSpent)]
    assert 1 == len(list(story.site.books.tables.all(HAND_PRICES)))


@pytest.mark.parametrize("keep", [False, True])
def test_stale_tickets_are_closed_as_they_were_listed(story: Story, keep: bool) -> None:
    """Two of three are older than the list's time. If one more has aged since, nothing is closed."""
    old = [story.enter().ticket, story.enter().ticket]
    before_ms = story.now.wall_ms + 1
    story.later(HOUR_MS)
    young = story.enter().ticket
    words = {"before_ms": before_ms, "keep_count": keep}

    assert "E-USE-01" == asked(story, "tickets-close", **words, expected=3).code
    assert "E-USE-01" == asked(story, "tickets-close", before_ms=2**52, keep_count=keep, expected=2).code
    assert "E-NOT-01" == asked(story, "tickets-close", **words, expected=2, area="roof").code
    reply = asked(story, "tickets-close", **words, expected=2, area=str(AREA), reason="free flow on Sunday")
    assert ("", [{"area": AREA, "closed": 2, "inside": 3 if keep else 1}]) == (reply.code, reply.data["areas"])
    assert "E-NOT-01" == asked(story, "tickets-close", **words, expected=0).code

    assert (3 if keep else 1) == story.site.books.count(AREA).inside
    assert [young] == list(story.site.books.stays)
    assert [(ticket, not keep) for ticket in old] == [
        (fact.ticket, fact.counted) for fact in story.facts if isinstance(fact, TicketWrittenOff)
    ]
    assert [(2, not keep, "mia", "free flow on Sunday")] == [
        (fact.tickets, fact.counted, fact.by, fact.why) for fact in story.facts if isinstance(fact, StaleClosed)
    ]
    assert 2 == sum(story.site.books.spots.free(AREA).values())


def test_the_desk_knows_no_strangers(story: Story) -> None:
    """Numbers that are none, or of nobody inside."""
    assert "E-NOT-01" == asked(story, "ticket-damaged", ticket="hello").code
    assert "E-TKT-08" == asked(story, "ticket-damaged", ticket="000099-ZZZZ").code
    assert "E-NOT-01" == asked(story, "ticket-present", ticket="hello", lane="OUT-1").code
    ticket = story.enter().ticket
    story.later(HOUR_MS)
    story.at(OUT, ArmingLoopChanged(ON))
    asked(story, "ticket-present", ticket=ticket, lane=str(OUT))
    story.at(OUT, ArmingLoopChanged(OFF))
    assert "" == asked(story, "ticket-damaged", ticket=ticket).code
