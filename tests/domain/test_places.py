"""Open, full and closed by class; spots and counts; a nested area; a lot that is rebuilt around the vehicles in it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pytest
from right_stories import asked
from site_stories import AREA, IN, OFF, ON, OUT, START_MS, TARIFF, Story, site_plan

from gatectl.domain import facts as f
from gatectl.domain.books import Books
from gatectl.domain.business import availability
from gatectl.domain.business import registry as business
from gatectl.domain.business.availability import AreaAvailability
from gatectl.domain.business.spots import layout_of
from gatectl.domain.effects import Announce, OpenArm, ShowText
from gatectl.domain.events import WallClockMoved
from gatectl.domain.ids import AreaId, Boot, LaneId, Moment, SpotId, TicketNumber, TimeQuality
from gatectl.domain.lane import (
    Arm,
    ArmingLoopChanged,
    ArmMoved,
    ButtonPressed,
    CodeWasRead,
    FireChanged,
    LaneKind,
    LanePlan,
    Layout,
)
from gatectl.domain.opening import Hours, Parker, open_by_hours
from gatectl.domain.plan import SitePlan
from gatectl.domain.records.spots import AreaRecounted, CountDoubted, HeldSpotChanged, SegmentEnded, SpotsChanged
from gatectl.domain.records.states import AreaFilled, AreaReopened, HoursTurned
from gatectl.domain.spot_rules import AreaRules
from gatectl.domain.spots import Spot, SpotIndex
from gatectl.domain.tariffs import parse

INNER = AreaId("inner")
DOWN, UP = LaneId("DOWN-1"), LaneId("UP-1")
ALL_DAYS = tuple(range(7))


def known(story: Story, area: AreaId = AREA) -> AreaAvailability:
    return availability.of_area(business.context(story.plan, story.site.books, story.boot, story.now), area)


def pressed(story: Story) -> str:
    """A vehicle drives up and presses: what it is told, or "ticket". It backs away again."""
    before = len(story.effects)
    story.at(IN, ArmingLoopChanged(ON), ButtonPressed())
    told = [effect for effect in story.effects[before:] if isinstance(effect, ShowText)]
    issued = any(isinstance(fact, f.TicketIssued) for fact in story.batches[-1].facts)
    story.at(IN, ArmingLoopChanged(OFF)).later(3_000)
    return "ticket" if issued else told[-1].text


# -- what people say ------------------------------------------------------------------------------------------------


def test_an_area_is_closed_for_visitors_and_open_for_passes() -> None:
    """A person's word turns one class away, is on record, and is taken back."""
    story = Story().start()
    told = asked(story, "state-set", place="main", state="closed", parker="transient", reason="snow")
    assert "" == told.code
    assert "Closed for visitors\nPlease call" == pressed(story)
    assert {"transient": "closed", "pass": "open", "reservation": "open"} == dict(known(story).states)
    asked(story, "state-set", place="main", state="auto", parker="transient", reason="cleared")
    assert "ticket" == pressed(story)


def test_the_nearest_word_holds() -> None:
    """The site is closed, the area full, the lane open: the lane's word."""
    story = Story().start()
    asked(story, "state-set", place="site", state="closed", reason="night")
    asked(story, "state-set", place="main", state="full", reason="a party")
    assert "Full for visitors" == pressed(story)
    asked(story, "state-set", place="IN-1", state="open", reason="for the guests")
    assert "ticket" == pressed(story)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"place": "mian", "state": "full"}, "E-NOT-01"),
        ({"place": "main", "state": "shut"}, "E-USE-01"),
        ({"place": "main", "state": "full", "parker": "nobody"}, "E-USE-01"),
        ({"place": "main", "state": "auto"}, "E-USE-01"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(words: dict[str, str], code: str) -> None:
    story = Story().start()

    assert code == asked(story, "state-set", reason="x", **words).code


# -- hours ------------------------------------------------------------------------------------------------------------


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_hours_past_midnight_belong_to_the_day_on_which_they_begin() -> None:
    """Friday 22:00 to 02:00 is open early on Saturday, and not early on Friday."""
    friday = Hours("site", "", (Parker.TRANSIENT,), (4,), 22 * 60, 2 * 60)
    told = [
        open_by_hours([friday], Parker.TRANSIENT, at(text), UTC)
        for text in ("2026-11-20T21:59", "2026-11-20T22:00", "2026-11-21T01:59", "2026-11-21T02:00", "2026-11-20T01:00")
    ]

    assert [False, True, True, False, False] == told
    assert open_by_hours([friday], Parker.PASS, at("2026-11-20T12:00"), UTC) is None


def test_outside_its_hours_a_site_turns_visitors_away_and_says_so_once() -> None:
    """The clock brings the fact; a person may still open; a clock that is not set closes nothing."""
    begins = (START_MS // 60_000 + 120) % 1440  # somewhere within two hours, in UTC
    hours = Hours("area", "main", (Parker.TRANSIENT,), ALL_DAYS, (begins + 120) % 1440, (begins + 180) % 1440)
    story = Story(plan=replace(site_plan(), zone=UTC, hours=(hours,))).start()
    assert "Closed for visitors\nOutside opening hours" == pressed(story)
    story.later(30_000).later(30_000).later(30_000)
    turned = [fact for fact in story.facts if isinstance(fact, HoursTurned)]
    assert [("area", "main", "transient", False)] == [(t.scope, t.place, t.parker, t.open) for t in turned]
    assert "closed" == known(story).status
    asked(story, "state-set", place="main", state="open", reason="a late party")
    assert "ticket" == pressed(story)
    asked(story, "state-set", place="main", state="auto", reason="gone")
    story.now = replace(story.now, quality=TimeQuality.UNSET)
    story.tell(WallClockMoved(0))
    assert "ticket" == pressed(story)


# -- full and open again ------------------------------------------------------------------------------------------------


def test_full_has_a_margin_on_the_way_in_and_another_on_the_way_out() -> None:
    """Five spots: full with one left, open again with three; between the two it stays as it was."""
    plan = replace(site_plan(5), rules={AREA: AreaRules(full_at=1, open_at=3)})
    story = Story(plan=plan).start()
    codes = [story.enter().code for _ in range(4)]
    assert (AREA, "CAR", 1) == next((x.area, x.vehicle_type, x.free) for x in story.facts if isinstance(x, AreaFilled))
    assert ("Full for car", "fullAtEntrance") == (pressed(story), known(story).status)
    leave(story, codes[0])
    assert "Full for car" == pressed(story)
    leave(story, codes[1])
    assert isinstance(story.last(AreaReopened), AreaReopened)
    assert ("ticket", "open") == (pressed(story), known(story).status)


def leave(story: Story, code: str) -> None:
    """Within the entry's grace nothing is due."""
    story.show_code(code)
    assert isinstance(story.effects[-1], OpenArm), story.effects[-1]
    story.drive_over(OUT)


# -- spots and counts ---------------------------------------------------------------------------------------------------


def test_a_spot_out_of_service_is_given_to_nobody_and_survives_a_start() -> None:
    """Two of three are closed by a person; the books that a start loads say the same."""
    story = Story().start()
    for name in ("A-000", "A-001"):
        asked(story, "spot-close", spot=name, reason="oil")
    assert "A-002" == story.enter().spot
    assert "Full for car" == pressed(story)
    assert "E-USE-01" == asked(story, "spot-close", spot="A-000", reason="oil").code
    assert "E-NOT-01" == asked(story, "spot-close", spot="A-999", reason="oil").code
    again = reloaded(story)
    assert (0, 1) == (known_of(again, story).free, known_of(again, story).usable)
    asked(story, "spot-open", spot="A-000", reason="cleaned")
    assert "ticket" == pressed(story)


def reloaded(story: Story) -> Books:
    """Books as a start makes them: the rows, and a new index."""
    books = story.site.books
    fresh = replace(books, spots=SpotIndex(story.plan.spots, story.plan.compatible, story.plan.rules))
    fresh.place_all()
    return fresh


def known_of(books: Books, story: Story) -> AreaAvailability:
    return availability.of_area(business.context(story.plan, books, story.boot, story.now), AREA)


def test_a_recount_corrects_the_books_and_ends_the_doubt() -> None:
    """Fire: vehicles leave unseen. The count is estimated, over a start too, until somebody has counted."""
    story = Story().start()
    story.enter()
    story.at(OUT, FireChanged(True))
    assert ("estimated", "fire") == (known(story).quality, known(story).doubt)
    assert "estimated" == known_of(reloaded(story), story).quality
    asked(story, "count-set", area="main", count=0, reason="walked the deck")
    assert ("live", 0) == (known(story).quality, known(story).inside)
    recounted = story.last(AreaRecounted)
    assert isinstance(recounted, AreaRecounted)
    assert ("mia", 1, 0) == (recounted.by, recounted.expected, recounted.counted)


def test_vehicles_that_no_ticket_explains_take_spots_away() -> None:
    """Three compact spots, one ticket, three counted: nothing is free, until two have gone."""
    story = Story().start()
    story.enter()
    told = asked(story, "count-set", area="main", count=3, spot_type="COMPACT", reason="walked")
    assert {"difference": 2, "unseen": 2} == dict(told.data)
    assert ("Full for car", 0) == (pressed(story), known(story).free)
    asked(story, "count-set", area="main", count=1, spot_type="COMPACT", reason="walked")
    assert ("ticket", 2) == (pressed(story), known(story).free)


def test_a_dark_site_doubts_its_counts_and_a_restart_does_not() -> None:
    """A clean stop of some seconds is a restart; a cut, or minutes, is the dark."""
    clean = Story()
    clean.keep(clean.site.start(clean.now, START_MS - 5_000, clean=True))
    dark = Story()
    dark.keep(dark.site.start(dark.now, START_MS - 5_000, clean=False))
    long = Story()
    long.keep(long.site.start(long.now, START_MS - 90_000, clean=True))

    assert [False, True, True] == [each.has(CountDoubted) for each in (clean, dark, long)]


def test_everybody_who_watches_is_told_of_every_change_once() -> None:
    """Signs: all at the start, then what has changed; a plain figure, a lamp, and texts with quality and time."""
    story = Story(plan=replace(site_plan(1), announces=True)).start()
    shown: dict[str, str] = {}
    for effect in story.effects:
        if isinstance(effect, Announce):
            shown.update(effect.signs)
    assert ("1", "0") == (shown["area/main/free"], shown["area/main/full"])
    before = len(story.effects)
    story.enter()
    news = [dict(effect.signs) for effect in story.effects[before:] if isinstance(effect, Announce)]
    merged = {name: text for part in news for name, text in part.items()}
    assert ("0", "1") == (merged["area/main/free"], merged["area/main/full"])
    told = json.loads(merged["area/main"])
    assert ("full", "live", 1) == (told["status"], told["quality"], told["inside"])
    assert {"transient": "full", "pass": "open", "reservation": "open"} == told["states"]
    assert START_MS <= told["at_ms"] <= story.now.wall_ms
    assert sum("area/main/free" in part for part in news) == 1


# -- an area inside an area ---------------------------------------------------------------------------------------------


def nested_plan() -> SitePlan:
    """Two spots outside, one in the inner area behind a lane of its own each way."""
    plain = site_plan(2)
    return replace(
        plain,
        areas=(AREA, INNER),
        spots=(*plain.spots, Spot(SpotId("I-001"), INNER, 0, "COMPACT")),
        lanes=(
            *plain.lanes,
            LanePlan(DOWN, LaneKind.PASSAGE, Layout.TWO_LOOP, AREA, False, has_reader=True, into=INNER),
            LanePlan(UP, LaneKind.PASSAGE, Layout.TWO_LOOP, INNER, False, has_reader=True, into=AREA, outward=True),
        ),
    )


def through(story: Story, lane: LaneId, code: str) -> str:
    """A vehicle shows its ticket at a passage and drives through; or what it is told."""
    before = len(story.effects)
    story.at(lane, ArmingLoopChanged(ON), CodeWasRead(code))
    if not any(isinstance(effect, OpenArm) for effect in story.effects[before:]):
        told = [effect.text for effect in story.effects[before:] if isinstance(effect, ShowText)]
        story.at(lane, ArmingLoopChanged(OFF)).later(3_000)
        return told[-1]
    story.drive_over(lane)
    return "through"


def counts(story: Story) -> tuple[int, int]:
    return story.site.books.count(AREA).inside, story.site.books.count(INNER).inside


def test_a_stay_goes_on_in_the_inner_area_and_comes_back() -> None:
    """Counts and spots move with the vehicle; nothing is charged; a full inner area says so; the way out is never full."""
    story = Story(plan=nested_plan()).start()
    first, second = story.enter(), story.enter()
    assert (2, 0) == counts(story)
    assert "through" == through(story, DOWN, first.code)
    stay = story.site.books.stays[first.ticket]
    assert ((1, 1), INNER, "I-001") == (counts(story), stay.area, stay.spot)
    assert {"COMPACT": 1} == story.site.books.spots.free(AREA)
    assert "Full for car" == through(story, DOWN, second.code)
    assert "Ticket is used\nin there" == through(story, DOWN, first.code)
    assert "through" == through(story, UP, first.code)
    assert ((2, 0), AREA) == (counts(story), story.site.books.stays[first.ticket].area)
    assert "through" == through(story, DOWN, second.code)
    parts = [x for x in story.facts if isinstance(x, SegmentEnded) and x.ticket == first.ticket]
    assert [(1, AREA, "A-000"), (2, INNER, "I-001")] == [(x.segment, x.area, x.spot) for x in parts]
    assert stay.entered_ms == parts[0].began_ms
    assert parts[0].ended_ms == parts[1].began_ms < parts[1].ended_ms


def test_a_vehicle_that_backs_out_of_a_passage_has_not_moved() -> None:
    """The ticket is good again where it was."""
    story = Story(plan=nested_plan()).start()
    ticket = story.enter()
    story.at(DOWN, ArmingLoopChanged(ON), CodeWasRead(ticket.code))
    opened = story.last(OpenArm)
    assert isinstance(opened, OpenArm)
    story.at(DOWN, ArmMoved(Arm.UP)).later(1_000).at(DOWN, ArmingLoopChanged(OFF)).later(5_000)

    assert (1, 0) == counts(story)
    assert "inside" == story.site.books.stays[ticket.ticket].state.value


# -- a lot that is rebuilt ----------------------------------------------------------------------------------------------


def rebuilt(plan: SitePlan, rng: Random) -> SitePlan:
    """The site file at the next start: spots gone, new, of another type, on another level or in another area."""
    kept = [spot for spot in plan.spots if rng.random() < 0.75]
    changed = [
        replace(
            spot,
            spot_type=rng.choice(["COMPACT", "LARGE"]) if rng.random() < 0.3 else spot.spot_type,
            level=rng.randint(-1, 1) if rng.random() < 0.3 else spot.level,
            area=rng.choice([AREA, INNER]) if rng.random() < 0.2 else spot.area,
        )
        for spot in kept
    ]
    new = [Spot(SpotId(f"N-{rng.randint(0, 999):03d}"), AREA, 0, "COMPACT") for _ in range(rng.randint(0, 3))]
    names = {spot.spot: spot for spot in (*changed, *new)}
    return replace(plan, areas=(AREA, INNER), spots=tuple(names.values()))


@pytest.mark.parametrize("seed", range(25))
def test_no_rebuilding_breaks_a_ticket_and_each_change_is_recorded_once(seed: int) -> None:
    """Cars come, the lot is rebuilt around them, again and again: every ticket stays open, and no spot has two."""
    rng = Random(f"rebuilt {seed}")
    free = replace(site_plan(6), tariffs=(parse({**TARIFF, "effective_from": datetime(2026, 1, 1, tzinfo=UTC)}),))
    story = Story(plan=replace(free, areas=(AREA, INNER))).start()
    tickets: dict[TicketNumber, str] = {}
    for turn in range(6):
        for _ in range(rng.randint(0, 2)):
            if known(story).free:
                printed = story.enter()
                tickets[printed.ticket] = printed.code
        if tickets and rng.random() < 0.5:
            gone = rng.choice(sorted(tickets))
            leave(story, tickets.pop(gone))
        story = restarted(story, rebuilt(story.plan, rng), turn)
        books = story.site.books
        assert set(tickets) == set(books.stays)
        held = [stay.spot for stay in books.stays.values() if stay.spot is not None]
        assert len(held) == len(set(held))
        assert sorted(spot for spot in held if spot in books.spots) == sorted(
            spot.spot for spot in story.plan.spots if books.spots.is_held(spot.spot)
        )
        before = len(story.facts)
        again = restarted(story, story.plan, turn)
        assert not [x for x in again.facts[before:] if isinstance(x, SpotsChanged | HeldSpotChanged)]
    for code in tickets.values():
        leave(story, code)
    assert {} == story.site.books.stays


def restarted(story: Story, plan: SitePlan, turn: int) -> Story:
    """The same books under another site file."""
    spots = SpotIndex(plan.spots, plan.compatible, plan.rules)
    books = replace(story.site.books, spots=spots, lane_areas={lane.lane: lane.area for lane in plan.lanes})
    books.place_all()
    now = Moment(story.now.wall_ms + 5_000, 1_000)
    again = Story(plan=plan, books=books, now=now, boot=Boot(f"{turn:016x}", f"K7{turn}F"), facts=list(story.facts))
    again.start(story.now.wall_ms)
    return again


def test_what_became_of_a_held_spot_is_said_by_name() -> None:
    """Retyped, moved, removed: each in its own words, and the layout of the area beside it."""
    story = Story(plan=replace(site_plan(3), areas=(AREA, INNER))).start()
    tickets = [story.enter().ticket for _ in range(3)]
    first, second, _ = story.plan.spots
    plan = replace(story.plan, spots=(replace(first, spot_type="LARGE"), replace(second, area=INNER)))
    again = restarted(story, plan, 1)

    changed = [(x.ticket, x.change, x.spot) for x in again.facts if isinstance(x, HeldSpotChanged)]
    names = ["A-000", "A-001", "A-002"]
    assert [*zip(tickets, ["retyped", "moved", "removed"], names, strict=True)] == changed
    whole = [x for x in again.facts if isinstance(x, SpotsChanged)]
    assert ("0:COMPACT=3", "0:LARGE=1") == (whole[-2].layout_before, whole[-2].layout)
    assert (layout_of(plan.spots[1:])[0], 1) == (whole[-1].layout, whole[-1].spots)
