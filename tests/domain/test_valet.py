"""A valet's day: keys with tags, vehicles on spots, a queue, notes, and a guest who lost the claim check."""

from dataclasses import replace
from random import Random

import pytest
from site_stories import AREA, OUT, Story, site_plan
from test_coupons_at_exit import code_of

from gatectl.domain.business.claims import claim_of, typed
from gatectl.domain.business.valet import queue
from gatectl.domain.effects import Reply
from gatectl.domain.events import Asked, CashOffered, VoidAsked
from gatectl.domain.facts import VehicleEntered, VehicleExited, VehicleMoved
from gatectl.domain.ids import Boot, PaymentId, RequestId, SpotId, TicketNumber
from gatectl.domain.lane import ArmingLoopChanged, Loop, Trust
from gatectl.domain.pricing import stay_price
from gatectl.domain.records import valet as v
from gatectl.domain.records.valet import VALET
from gatectl.domain.valet_plan import ValetPlan

HOUR_MS = 3_600_000
OFF = Loop(False, Trust.GOOD)


def a_stand(spots: int = 4) -> Story:
    plan = replace(site_plan(spots), valet=ValetPlan(AREA, "CAR", 1_500, 1_000))
    return Story(plan, Boot("ab" * 8, "K7QF")).start()


def asked(story: Story, verb: str, **words: str | int | bool) -> Reply:
    story.tell(Asked(RequestId(f"{verb}-{len(story.effects)}"), f"valet-{verb}", "mia", tuple(words.items())))
    return [effect for effect in story.effects if isinstance(effect, Reply)][-1]


def take(story: Story, tag: str = "17", **more: str) -> str:
    """The claim check."""
    reply = asked(story, "in", vehicle="grey estate", tag=tag, **more)
    assert "" == reply.code, reply
    return str(reply.data["claim"])


def pay(story: Story, ticket: TicketNumber, key: str = "k") -> None:
    story.tell(CashOffered(RequestId(key), PaymentId(key), ticket, None, None, "till-1", "mia"))


def row(story: Story) -> dict[str, object]:
    (found,) = story.site.books.tables.all(VALET)
    return dict(found)


def test_a_whole_visit() -> None:
    """Handed over, parked on another spot than was thought, asked for, fetched, ready, paid with the fee, handed back."""
    story = a_stand()
    claim = take(story)
    ticket = TicketNumber(claim.rpartition("-")[0])
    assert (1, "A-000") == (story.site.books.count(AREA).inside, story.site.books.stays[ticket].spot)

    assert "" == asked(story, "park", claim=claim, spot="A-002").code
    assert "A-002" == story.site.books.stays[ticket].spot
    assert not story.site.books.spots.is_held(SpotId("A-000"))
    story.later(HOUR_MS)
    assert [""] * 3 == [asked(story, verb, claim=claim).code for verb in ("request", "fetch", "ready")]
    assert "E-VLT-06" == asked(story, "back", claim=claim).code
    assert 1_800 == stay_price(story.site._context(), story.site.books.stays[ticket]).due_minor
    pay(story, ticket)
    assert "" == asked(story, "back", claim=claim).code

    assert (0, 0) == (story.site.books.count(AREA).inside, story.site.books.tables.count(VALET))
    assert 1 == len([fact for fact in story.facts if isinstance(fact, VehicleExited)])
    assert not story.site.books.spots.is_held(SpotId("A-002"))
    assert "E-VLT-03" == asked(story, "request", claim=claim).code


def test_a_key_tag_hangs_on_one_key() -> None:
    story = a_stand()
    claim = take(story, "17")

    assert "E-VLT-02" == asked(story, "in", vehicle="other", tag=" 17 ").code
    assert "" == asked(story, "back", claim=claim, to_exit=True).code
    take(story, "17")


def test_a_guest_who_has_a_ticket_keeps_it() -> None:
    """Through the entry lane and on to the stand: one stay, one count; back in the driver's hands it leaves through the exit."""
    story = a_stand()
    ticket = story.enter().ticket
    claim = take(story, "4", ticket=ticket)
    assert 1 == len([fact for fact in story.facts if isinstance(fact, VehicleEntered)])
    assert "E-VLT-04" == asked(story, "in", vehicle="x", tag="5", ticket=ticket).code

    assert "" == asked(story, "back", claim=claim, to_exit=True).code
    assert 1_500 == stay_price(story.site._context(), story.site.books.stays[ticket]).due_minor
    pay(story, ticket)
    story.show_code(code_of(story, ticket))
    story.drive_over(OUT)
    assert ["to-exit"] == [fact.how for fact in story.facts if isinstance(fact, v.ValetReturned)]
    assert [str(ticket)] == [fact.visit for fact in story.facts if isinstance(fact, v.ValetClosed)]


def test_a_vehicle_that_drives_off_by_itself_is_noted_as_handed_back() -> None:
    story = a_stand()
    ticket = story.enter().ticket
    take(story, "4", ticket=ticket)
    pay(story, ticket)
    story.show_code(code_of(story, ticket))
    story.drive_over(OUT)

    assert ["vehicle.exited"] == [fact.how for fact in story.facts if isinstance(fact, v.ValetReturned)]
    assert 0 == story.site.books.tables.count(VALET)


def test_no_two_stays_on_one_spot() -> None:
    """Another's spot, a spot that is not there: refused, and nothing has moved."""
    story = a_stand()
    one, two = take(story, "1"), take(story, "2")

    assert "E-VLT-05" == asked(story, "park", claim=two, spot="A-000").code
    assert "E-NOT-01" == asked(story, "park", claim=two, spot="Z-999").code
    assert "" == asked(story, "park", claim=two).code
    assert "" == asked(story, "park", claim=one, spot="A-000").code
    assert not [fact for fact in story.facts if isinstance(fact, VehicleMoved)]


def test_a_full_lot_takes_no_more_keys() -> None:
    story = a_stand(spots=1)
    take(story, "1")

    assert "E-FULL-01" == asked(story, "in", vehicle="x", tag="2").code
    assert "E-VLT-01" == asked(Story(site_plan()).start(), "in", vehicle="x", tag="2").code


def test_the_queue_is_in_the_order_in_which_they_are_wanted() -> None:
    """Asked for later and wanted sooner comes first; how many are before it is told."""
    story = a_stand()
    one, two, three = (take(story, str(number)) for number in (1, 2, 3))
    assert 0 == asked(story, "request", claim=one, minutes=60).data["before"]
    assert 0 == asked(story, "request", claim=two).data["before"]
    assert 1 == asked(story.later(60_000), "request", claim=three, minutes=10).data["before"]

    assert [two, three, one] == [row["claim"] for row in queue(story.site._context())]
    asked(story, "ready", claim=two)
    asked(story, "park", claim=two)
    assert [three, one] == [row["claim"] for row in queue(story.site._context())]
    assert "E-VLT-04" == asked(story, "ready", claim=two).code


def test_a_lost_claim_check_is_replaced_by_a_named_person() -> None:
    """The key's tag finds the vehicle; the finder of the old check gets nothing; the fee is on the stay."""
    story = a_stand()
    claim = take(story)
    assert "E-VLT-03" == asked(story, "lost", tag="99", proof="passport").code
    other = str(asked(story, "lost", tag="17", proof="passport seen").data["claim"])

    assert claim != other
    assert ["E-VLT-03", ""] == [asked(story, "request", claim=one).code for one in (claim, other)]
    ticket = TicketNumber(str(row(story)["ticket"]))
    assert 2_500 == stay_price(story.site._context(), story.site.books.stays[ticket]).due_minor


def test_a_guessed_claim_check_fetches_nothing() -> None:
    """The number is on the ticket; the check is not. Typed in lower case, with an O for a zero, it is the same."""
    story = a_stand()
    claim = take(story)
    visit, _, check = claim.rpartition("-")

    assert "E-VLT-03" == asked(story, "request", claim=f"{visit}-AAAAA").code
    assert claim == typed(f" {visit.lower().replace('0', 'o', 1)}-{check.lower()} ")
    assert claim != claim_of(story.plan.keyring, story.plan.site, visit, 2)
    assert None is typed("nonsense")
    assert "" == asked(story, "request", claim=claim.lower()).code


def test_damage_is_noted_at_both_ends() -> None:
    story = a_stand()
    claim = take(story)
    asked(story, "note", claim=claim, text="scratch on the left door", photos="cam-2/8812")
    asked(story, "request", claim=claim)
    asked(story, "note", claim=claim, text="guest sees another scratch")

    noted = [(fact.number, fact.moment, fact.by) for fact in story.facts if isinstance(fact, v.ValetNoted)]
    assert [(1, "in", "mia"), (2, "out", "mia")] == noted


def test_a_lost_ticket_takes_the_visit_along() -> None:
    """The paper ticket is replaced; the claim check is good as before, and the fee is on the new number."""
    story = a_stand()
    ticket = story.enter().ticket
    claim = take(story, "4", ticket=ticket)
    story.tell(Asked(RequestId("d"), "ticket-damaged", "mia", (("ticket", ticket), ("reason", "washed"))))
    (replacement,) = story.site.books.stays

    assert replacement != ticket
    assert 1_500 == stay_price(story.site._context(), story.site.books.stays[replacement]).due_minor
    assert "" == asked(story, "request", claim=claim).code


def test_a_stay_that_is_written_off_frees_the_tag() -> None:
    story = a_stand()
    claim = take(story)
    story.tell(VoidAsked(RequestId("v"), TicketNumber(claim.rpartition("-")[0]), "mia", "gone"))

    assert 0 == story.site.books.tables.count(VALET)
    take(story, "17")


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_valets_do_tags_and_spots_are_one_each(seed: int) -> None:
    """Two hundred random acts; after each: a tag on one key, a spot under one stay, a row for each vehicle that is held."""
    rng = Random(f"valet {seed}")  # seeded
    story = a_stand(spots=6)
    claims: list[str] = []
    for number in range(200):
        verb = rng.choice(("in", "in", "park", "request", "fetch", "ready", "back", "exit", "lost", "pay", "leave"))
        claim = rng.choice(claims) if claims else "none"
        ticket = TicketNumber(claim.rpartition("-")[0])
        if verb == "in":
            reply = asked(story, "in", vehicle="x", tag=str(rng.randint(1, 5)))
            claims += [str(reply.data["claim"])] if reply.code == "" else []
        elif verb == "park":
            asked(story, "park", claim=claim, spot=f"A-{rng.randint(0, 6):03d}")
        elif verb == "exit":
            asked(story, "back", claim=claim, to_exit=True)
        elif verb == "lost":
            reply = asked(story, "lost", tag=str(rng.randint(1, 5)), proof="seen")
            claims += [str(reply.data["claim"])] if reply.code == "" else []
        elif verb == "pay" and ticket in story.site.books.stays:
            pay(story, ticket, f"k{number}")
        elif verb == "leave" and ticket in story.site.books.stays:
            story.show_code(code_of(story, ticket))
            story.at(OUT, ArmingLoopChanged(OFF))
        elif verb not in ("pay", "leave"):
            asked(story, verb, claim=claim)
        holds(story)


def holds(story: Story) -> None:
    books = story.site.books
    rows = list(books.tables.all(VALET))
    tags = [row["tag"] for row in rows if row["state"] != v.RETURNED]
    assert len(set(tags)) == len(tags)
    spots = [stay.spot for stay in books.stays.values() if stay.spot is not None]
    assert len(set(spots)) == len(spots)
    assert {row["ticket"] for row in rows} <= set(books.stays)
    assert books.count(AREA).inside == len(books.stays)
