"""A cashier's shift: what should be in the drawer is known to the cent, whoever asks."""

from site_stories import Story, site_plan

from gatectl.domain.business.shifts import expected_minor
from gatectl.domain.effects import Reply
from gatectl.domain.events import Asked, CashOffered
from gatectl.domain.ids import Boot, PaymentId, RequestId
from gatectl.domain.records.shifts import SHIFTS, ShiftClosed, ShiftCounted


def asked(story: Story, verb: str, **words: str | int) -> Reply:
    """What is answered to a verb."""
    story.tell(Asked(RequestId(verb), verb, "mia", tuple(words.items())))
    return [effect for effect in story.effects if isinstance(effect, Reply)][-1]


def a_shift() -> Story:
    story = Story(site_plan(), Boot("ab" * 8, "K7QF")).start()
    assert "" == asked(story, "shift-open", till="till-1", float_minor=15_000).code
    return story


def test_cash_of_the_till_belongs_to_its_shift() -> None:
    """The shift has what stayed in the drawer, 1 for each 20 minutes begun; another till's money is not its."""
    story = a_shift()
    for number, till in enumerate(("till-1", "till-2")):
        ticket = story.enter().ticket
        story.later(3_600_000)
        story.tell(CashOffered(RequestId(f"p{number}"), PaymentId(f"k{number}"), ticket, None, 2000, till, "mia"))
    (shift,) = story.site.books.tables.all(SHIFTS)

    assert [400] == [fact.amount_minor for fact in story.facts if isinstance(fact, ShiftCounted)]
    assert 15_400 == expected_minor(shift)


def test_a_difference_needs_a_reason_and_is_on_record() -> None:
    """Fifty cents are missing: the count is refused without a reason, taken with one, and the till is free for the next."""
    story = a_shift()

    assert "E-USE-01" == asked(story, "shift-close", till="till-1", counted_minor=14_950).code
    reply = asked(story, "shift-close", till="till-1", counted_minor=14_950, reason="a coin is missing")
    assert ("", -50) == (reply.code, reply.data["difference_minor"])
    assert [(14_950, 15_000)] == [
        (fact.counted_minor, fact.expected_minor) for fact in story.facts if isinstance(fact, ShiftClosed)
    ]
    assert "" == asked(story, "shift-open", till="till-1", float_minor=0).code


def test_a_till_has_one_shift_at_a_time() -> None:
    """Whose money is in the drawer must never be a question."""
    story = a_shift()

    assert "E-USE-01" == asked(story, "shift-open", till="till-1", float_minor=0).code
    assert "E-NOT-01" == asked(story, "shift-close", till="till-2", counted_minor=0).code
    assert "E-NOT-01" == asked(story, "shift-burn").code
