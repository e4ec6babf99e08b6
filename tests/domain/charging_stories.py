"""A small site with chargers, and what its charge points tell. Shared by the tests of charging."""

from dataclasses import replace

from site_stories import AREA, IN, Story, site_plan

from gatectl.domain.chargers import Charger, ChargingPrices
from gatectl.domain.effects import Reply
from gatectl.domain.events import Asked
from gatectl.domain.ids import Boot, RequestId, SpotId, TicketNumber
from gatectl.domain.plan import SitePlan
from gatectl.domain.pricing import stay_price
from gatectl.domain.records.charging import SESSIONS
from gatectl.domain.rows import Row
from gatectl.domain.spots import Spot

MINUTE_MS = 60_000
PRICES = ChargingPrices(kwh_minor=59, connection_minor=100, idle_minor=10, idle_grace_minutes=30)
EV_1 = Charger("EV-1", "wallbox-1", 1, SpotId("E-001"))
EV_2 = Charger("EV-2", "wallbox-1", 2, SpotId("E-002"))
OPEN = Charger("EV-3", "wallbox-2", 1, None, anyone=True)


def ev_plan() -> SitePlan:
    """An entry for electric cars, two spots with a charger, and one charger that stands anywhere."""
    plan = site_plan(spots=2)
    lanes = tuple(replace(lane, vehicle_type="ELECTRIC_CAR") if lane.lane == IN else lane for lane in plan.lanes)
    spots = tuple(Spot(charger.spot, AREA, 0, "ELECTRIC") for charger in (EV_1, EV_2) if charger.spot is not None)
    return replace(plan, lanes=lanes, spots=(*spots, *plan.spots), chargers=(EV_1, EV_2, OPEN), charging=PRICES)


def ev_story() -> Story:
    return Story(ev_plan(), Boot("ab" * 8, "K7QF")).start()


def tell(story: Story, verb: str, who: str = "wallbox-1", **words: str | int) -> Reply:
    """What is answered to a verb; by default a charge point's."""
    story.tell(Asked(RequestId(f"r{len(story.batches)}"), verb, who, tuple(words.items())))
    return [effect for effect in story.effects if isinstance(effect, Reply)][-1]


def begin(story: Story, meter_wh: int = 1_000, **words: str | int) -> Row:
    """A session at EV-1, without a credential unless one is given."""
    tell(story, "charger-begin", connector=1, meter_wh=meter_wh, told_ms=story.now.wall_ms, **words)
    return max(story.site.books.tables.all(SESSIONS), key=lambda row: int(str(row["number"])))


def end(story: Story, session: Row, meter_wh: int) -> None:
    tell(story, "charger-end", transaction=str(session["transaction_id"]), meter_wh=meter_wh, reason="EVDisconnected")


def status(story: Story, name: str, connector: int = 1, **words: str) -> None:
    tell(story, "charger-status", connector=connector, status=name, **words)


def extras(story: Story, ticket: TicketNumber) -> list[tuple[str, int]]:
    """The lines on a stay that charging made."""
    price = stay_price(story.site._context(), story.site.books.stays[ticket])
    assert price.total_minor == sum(line.amount_minor for line in price.lines)
    return [(line.text, line.amount_minor) for line in price.lines if line.text.startswith("Charging")]
