"""The price of a stay: the tariff's charge, adjusted by the subjects in their order."""

from collections.abc import Iterable
from dataclasses import replace

from site_stories import Story

from gatectl.domain import facts as f
from gatectl.domain.bill import Bill
from gatectl.domain.business.rule import Adjust, Context
from gatectl.domain.facts import Line
from gatectl.domain.lane import Price
from gatectl.domain.pricing import stay_price

HOUR_MS = 3_600_000


def priced(story: Story, *adjusts: Adjust) -> Price:
    (stay,) = story.site.books.stays.values()
    return stay_price(Context(story.plan, story.site.books, story.boot, story.now, adjusts), stay)


def inside(hours: int) -> Story:
    story = Story().start()
    story.enter()
    (stay,) = story.site.books.stays.values()
    return story.later(stay.issued_ms + hours * HOUR_MS - story.now.wall_ms)


def fee(context: Context, bill: Bill) -> Iterable[Line]:
    yield Line("Energy", 700)


def half(context: Context, bill: Bill) -> Iterable[Line]:
    yield Line("Half of it", -bill.total_minor // 2)


def too_much(context: Context, bill: Bill) -> Iterable[Line]:
    yield Line("Voucher", -5_000)


def first_hour_free(context: Context, bill: Bill) -> Iterable[Line]:
    yield Line("One hour", bill.charged(bill.entered_ms + HOUR_MS, bill.until_ms).total_minor - bill.parking_minor)


def test_a_price_is_adjusted_in_the_order_of_its_hooks() -> None:
    """Two hours at 3.00 and 7.00 of energy; half of all of it, or half of the parking alone."""
    story = inside(2)

    assert 650 == priced(story, fee, half).total_minor
    assert 1_000 == priced(story, half, fee).total_minor
    assert ("Energy", 700) == (priced(story, fee).lines[-1].text, priced(story, fee).lines[-1].amount_minor)


def test_what_is_taken_off_is_never_more_than_there_is() -> None:
    """A voucher of 50.00 on a stay of 6.00 takes 6.00, and the lines still sum to the price."""
    price = priced(inside(2), too_much)

    assert (0, 0) == (price.due_minor, price.total_minor)
    assert Line("Voucher", -600) == price.lines[-1]
    assert price.total_minor == sum(line.amount_minor for line in price.lines)


def test_an_adjustment_can_price_a_part_of_the_stay() -> None:
    assert 300 == priced(inside(2), first_hour_free).total_minor


def test_the_exit_grace_is_judged_on_the_whole_adjusted_price() -> None:
    """What was due in all when the driver paid settles the stay until the grace is over, energy included."""
    story = inside(2)
    (stay,) = story.site.books.stays.values()
    paid = replace(stay, paid_minor=600, last_paid_ms=story.now.wall_ms)
    story.site.books.stays[stay.ticket] = paid
    story.later(14 * 60_000)

    assert 0 == priced(story).due_minor
    assert 800 == priced(story, fee).due_minor
    story.later(2 * 60_000)
    assert 100 == priced(story).due_minor


def test_a_special_price_is_adjusted_too() -> None:
    """A lost ticket's price, and a voucher for half of it."""
    story = inside(2)
    (stay,) = story.site.books.stays.values()
    story.site.books.stays[stay.ticket] = replace(stay, lost=True)

    assert (1_000, 1_000) == (priced(story, half).total_minor, priced(story, half).due_minor)
    assert not story.has(f.PaymentTaken)
