"""A site with a café that validates and coupons of every kind, for the stories of both."""

from dataclasses import replace

from site_stories import OUT, Story, site_plan

from gatectl.domain.effects import Reply
from gatectl.domain.events import Asked
from gatectl.domain.ids import Boot, RequestId, TicketNumber
from gatectl.domain.lane import Price
from gatectl.domain.offers import Coupon, Merchant
from gatectl.domain.pricing import stay_price
from gatectl.domain.records.validations import COUPON_USES, VALIDATIONS
from gatectl.domain.rows import Row

HOUR_MS = 3_600_000
CAFE = Merchant("cafe", "Cafe Roma", minutes_max=120, day_max=3, month_max=4, reasons=("purchase", "guest"))
HOTEL = Merchant("hotel", "Hotel", amount_minor_max=2_000, whole=True)
COUPONS = (
    Coupon("HALF", "percent", 50),
    Coupon("TENTH", "percent", 10, uses_max=None, day_max=2),
    Coupon("TWO-OFF", "amount", 200, uses_max=None),
    Coupon("HOUR", "minutes", 60, uses_max=None),
    Coupon("FOUR", "flat", 400, uses_max=None),
    Coupon("ALONE-HALF", "percent", 50, uses_max=None, exclusive=True),
    Coupon("ALONE-FIVE", "amount", 500, uses_max=None, exclusive=True),
)


def a_site(terminal: bool = False, spots: int = 9) -> Story:
    plan = site_plan(spots)
    if terminal:
        lanes = tuple(replace(lane, has_terminal=lane.lane == OUT) for lane in plan.lanes)
        plan = replace(plan, lanes=lanes)
    return Story(replace(plan, merchants=(CAFE, HOTEL), coupons=COUPONS), Boot("ab" * 8, "K7QF")).start()


def inside(story: Story, hours: int = 2) -> TicketNumber:
    """One more vehicle, that stays so long."""
    ticket = story.enter().ticket
    story.later(story.site.books.stays[ticket].issued_ms + hours * HOUR_MS - story.now.wall_ms)
    return ticket


def asked(story: Story, verb: str, **words: str | int | bool) -> Reply:
    """What is answered to a verb."""
    story.tell(Asked(RequestId(f"{verb}-{len(story.facts)}"), verb, "mia", tuple(words.items())))
    return [effect for effect in story.effects if isinstance(effect, Reply)][-1]


def apply(story: Story, ticket: TicketNumber, coupon: str) -> str:
    """The code of the answer: empty when it is on the ticket."""
    return asked(story, "coupon-apply", coupon=coupon, ticket=ticket).code


def validate(story: Story, ticket: TicketNumber, **words: str | int | bool) -> Reply:
    return asked(story, "validation-add", ticket=ticket, **{"merchant": "cafe", "reason": "purchase", **words})


def signed(story: Story, **words: int) -> list[tuple[str, str]]:
    """Names and codes of coupons for two days."""
    made = asked(story, "coupon-sign", days=2, **words).data["coupons"]
    assert isinstance(made, list)
    return [(name, code) for name, code in made]


def priced(story: Story, ticket: TicketNumber) -> Price:
    return stay_price(story.site._context(), story.site.books.stays[ticket])


def used(story: Story, coupon: str) -> int:
    row = story.site.books.tables.get(COUPON_USES, coupon)
    return 0 if row is None else int(str(row["used"]))


def on(story: Story, ticket: TicketNumber) -> list[Row]:
    return list(story.site.books.tables.where(VALIDATIONS, "ticket", ticket))
