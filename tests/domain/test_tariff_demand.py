"""Prices by demand at a real site: shown at the station, fixed on the ticket, explained at the exit; and versions that stay."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from site_stories import AREA, IN, OFF, ON, OUT, Story, site_plan

from gatectl.domain import events
from gatectl.domain import facts as f
from gatectl.domain.effects import PrintTicket, ShowText
from gatectl.domain.ids import AreaId, Boot, LaneId, RequestId, SpotId
from gatectl.domain.lane import ArmingLoopChanged, ButtonPressed, PrinterChanged
from gatectl.domain.plan import SitePlan
from gatectl.domain.spots import Spot
from gatectl.domain.tariff_demand import Fixed
from gatectl.domain.tariffs import parse, to_body

HOUR_MS = 3_600_000
IN2 = LaneId("IN-2")
TARIFF: dict[str, Any] = {
    "id": "by-demand",
    "effective_from": datetime(2026, 1, 1, tzinfo=UTC),
    "kind": "bands",
    "lost_ticket_minor": 2000,
    "bands": [{"per_step_minor": 300}],
    "demand": {"levels": [{"from_percent": 0, "percent": 100}, {"from_percent": 50, "percent": 150}]},
}


def plan(spots: int = 2, **changed: Any) -> SitePlan:
    """Two entries and an exit; from half full on, prices are times one and a half."""
    made = site_plan(spots)
    other = replace(made.lanes[0], lane=IN2)
    return replace(made, lanes=(*made.lanes, other), tariffs=(parse({**TARIFF, **changed}),))


def started(made: SitePlan) -> Story:
    story = Story(made).start()
    return story.at(IN2, PrinterChanged(True, False, False, False, False))


def shown(story: Story, lane: LaneId) -> str:
    texts = [effect.text for effect in story.effects if isinstance(effect, ShowText) and effect.lane == lane]
    return texts[-1]


def issued(story: Story) -> f.TicketIssued:
    fact = story.last(f.TicketIssued)
    assert isinstance(fact, f.TicketIssued)
    return fact


def test_the_price_is_shown_before_the_ticket_is_pulled() -> None:
    """The first car finds an empty lot, the second one that is half full; each reads its price, and its ticket says it."""
    story = started(plan())
    story.at(IN, ArmingLoopChanged(ON))

    assert "EUR 3.00 1 h, EUR 72.00 24 h\nPlease press for a ticket" == shown(story, IN)

    story.at(IN, ArmingLoopChanged(OFF))
    story.enter()
    story.at(IN, ArmingLoopChanged(ON))

    assert "EUR 4.50 1 h, EUR 108.00 24 h\nPlease press for a ticket" == shown(story, IN)

    story.at(IN, ButtonPressed())

    printed = story.last(PrintTicket)
    assert isinstance(printed, PrintTicket)
    assert "EUR 4.50 1 h, EUR 108.00 24 h" == printed.tariff_text
    assert (150, 1, 2) == (issued(story).demand_percent, issued(story).demand_taken, issued(story).demand_spots)


def test_what_was_shown_holds_though_the_lot_fills_meanwhile() -> None:
    """A driver reads the price and searches for glasses; another car takes a spot; the price stays the one that was read."""
    story = started(plan(spots=3))
    story.enter()
    story.at(IN2, ArmingLoopChanged(ON))
    story.enter()
    story.at(IN2, ButtonPressed())

    assert (100, 1, 3) == (issued(story).demand_percent, issued(story).demand_taken, issued(story).demand_spots)


def test_the_next_vehicle_is_told_its_own_price() -> None:
    """Nobody inherits the price of the car before."""
    story = started(plan(spots=2))
    story.at(IN2, ArmingLoopChanged(ON), ArmingLoopChanged(OFF))
    story.enter()
    story.at(IN2, ArmingLoopChanged(ON), ButtonPressed())

    assert 150 == issued(story).demand_percent


def test_the_exit_explains_the_demand_of_the_entry() -> None:
    """The lot is empty again; the ticket keeps what it was given, and says why."""
    story = started(plan(spots=2))
    first = story.enter()
    second = story.enter()
    story.later(HOUR_MS - 60_000)

    data = quoted(story, second.code)

    assert Fixed(150, 1, 2) == story.site.books.stays[second.ticket].fixed
    assert 450 == data["due_minor"]
    assert ["Demand 150 %: 1 of 2 spots taken at entry", 0] in data["lines"]
    assert ["demand 150 %", 150] in data["lines"]
    assert 300 == quoted(story, first.code)["due_minor"]


def quoted(story: Story, code: str) -> dict[str, Any]:
    story.tell(events.StationAsked(RequestId("q"), "pay-1", "quote", code, 0))
    reply = story.effects[-1]
    return dict(reply.data)  # type: ignore[union-attr]  # a station's question is answered


def test_a_replaced_ticket_keeps_its_demand() -> None:
    """The paper is gone, the stay is found: its price is what it was."""
    story = started(plan(spots=2))
    story.enter()
    lost = story.enter()
    story.tell(events.LostTicketDeclared(RequestId("r"), OUT, lost.ticket, None, "mia", "lost"))

    assert Fixed(150, 1, 2) == story.site.books.stays[issued(story).ticket].fixed


def test_a_stay_of_nobody_knows_when_has_no_demand() -> None:
    """Who proves a longer stay entered at another time: how full it was then is not known."""
    story = started(plan(spots=2))
    story.enter()
    story.enter()
    story.tell(events.LostTicketDeclared(RequestId("r"), OUT, None, 90, "mia", "lost"))

    assert story.site.books.stays[issued(story).ticket].fixed is None


def test_where_nothing_is_counted_prices_are_as_written() -> None:
    """An area without spots of its own: no share of nothing."""
    made = replace(plan(), spots=())
    story = started(made)
    story.at(IN, ArmingLoopChanged(ON))

    assert "Welcome\nPlease press for a ticket" == shown(story, IN)

    story.at(IN, ButtonPressed())

    assert (100, None, None) == (issued(story).demand_percent, issued(story).demand_taken, issued(story).demand_spots)


@pytest.mark.parametrize(("measure", "percent", "spots"), [("area", 150, 2), ("site", 100, 8)])
def test_the_lanes_area_or_the_whole_site(measure: str, percent: int, spots: int) -> None:
    """One of two spots on the deck is taken, and none of six in the cellar."""
    made = plan(demand={**TARIFF["demand"], "measure": measure})
    cellar = AreaId("cellar")
    more = tuple(Spot(SpotId(f"C-{n}"), cellar, -1, "COMPACT") for n in range(6))
    story = started(replace(made, areas=(AREA, cellar), spots=(*made.spots, *more)))
    story.enter()
    story.at(IN, ArmingLoopChanged(ON), ButtonPressed())

    assert (percent, 1, spots) == (issued(story).demand_percent, issued(story).demand_taken, issued(story).demand_spots)


def test_the_spot_that_is_given_decides_the_tariff() -> None:
    """When the small spots are taken, a car gets a large one, and its price."""
    made = plan(spots=1)
    plainly = {key: value for key, value in TARIFF.items() if key != "demand"}
    large = parse({**plainly, "id": "large", "spot_types": ["LARGE"]})
    made = replace(made, spots=(*made.spots, Spot(SpotId("L-1"), AREA, 1, "LARGE")), tariffs=(*made.tariffs, large))
    story = started(made)

    tariffs = []
    for _ in range(2):
        story.enter()
        tariffs.append(issued(story).tariff)

    assert ["by-demand", "large"] == tariffs


# -- versions -------------------------------------------------------------------------------------------------------------


def changed_body(made: SitePlan) -> str:
    plain = json.loads(to_body(made.tariffs[0]))
    plain["bands"][0]["per_step_minor"] = 999
    return json.dumps(plain)


def test_the_office_cannot_change_a_version() -> None:
    """Other prices under a known id are refused by name; the same body in another spelling is nothing new."""
    made = plan()
    story = started(made)
    inside = story.enter()
    story.facts.clear()

    story.tell(events.TariffReceived("by-demand", json.dumps(json.loads(to_body(made.tariffs[0])), indent=1), "office"))
    assert [] == story.facts
    story.tell(events.TariffReceived("by-demand", changed_body(made), "office"))

    refused = f.CommandRefused("tariff by-demand", "office", "a version keeps its prices; give others another id")
    assert [refused] == story.facts
    story.later(HOUR_MS - 60_000)
    assert 300 == quoted(story, inside.code)["due_minor"]


def test_the_site_file_cannot_change_a_version() -> None:
    """Somebody edits a price and restarts: the cars inside pay what was shown to them, and the events say why."""
    made = plan()
    story = started(made)
    inside = story.enter()
    edited = replace(made, tariffs=(parse({**TARIFF, "bands": [{"per_step_minor": 999}]}),))
    again = Story(edited, Boot("11" * 8, "Z9QF"), story.site.books, story.now)
    again.start(story.now.wall_ms)

    assert "tariff by-demand" == getattr(again.last(f.CommandRefused), "command", None)
    again.later(HOUR_MS - 60_000)
    assert 300 == quoted(again, inside.code)["due_minor"]
    assert not any(isinstance(fact, f.TariffApplied) for fact in again.facts)
