"""Open, full, closed: for the site, an area or a lane, and for each class of parkers.

Rule 1: the nearest word of a person holds: of the lane, then of its area, then of the site. Without one, the opening hours of
the three must all hold; a clock that is not set closes nothing.
Rule 2: "full" turns only walk-ins away unless a person says it of another class; "open" by a person makes no spot.
Rule 3: with a margin an area is full at `full_at` free spots for a vehicle type and open again at `open_at`, not between.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gatectl.domain import facts as f
from gatectl.domain.business.rule import Context, Done, No, Param, Rules, Verb, Words
from gatectl.domain.facts import Fact
from gatectl.domain.ids import AreaId, TimeQuality
from gatectl.domain.lane import LaneKind, LanePlan
from gatectl.domain.opening import Parker, open_by_hours
from gatectl.domain.records.spots import AreaRecounted, SpotClosed, SpotOpened
from gatectl.domain.records.states import (
    AREAS_FULL,
    HOURS,
    STATES,
    AreaFilled,
    AreaReopened,
    HoursTurned,
    StateCleared,
    StateSet,
)

OPEN, FULL, CLOSED = "open", "full", "closed"
AUTO: Final = "auto"
"""Takes a person's word back: hours and counts decide."""
WORDS: Final = (OPEN, FULL, CLOSED, AUTO)
ALL: Final = "all"
SITE, AREA, LANE = "site", "area", "lane"
Place = tuple[str, str]
"""Scope and name; the site has the name ""."""


@dataclass(frozen=True, slots=True)
class Said:
    """How a place is for a class. `why`: "person", "hours", "count", or "" when it is simply open."""

    state: str
    why: str = ""
    reason: str = ""


def said_of(context: Context, places: Iterable[Place], parker: Parker) -> Said:
    """By people and by hours; the places from the nearest to the widest. What is free is not looked at."""
    tried = list(places)
    for scope, place in tried:
        row = context.books.tables.get(STATES, scope, place, parker.value)
        if row is not None:
            return Said(str(row["state"]), "person", str(row["reason"]))
    if context.now.quality is not TimeQuality.UNSET and not all(_in_hours(context, each, parker) for each in tried):
        return Said(CLOSED, "hours")
    return Said(OPEN)


def _in_hours(context: Context, place: Place, parker: Parker) -> bool:
    """A place without hours is always open by them."""
    hours = [each for each in context.plan.hours if (each.scope, each.place) == place]
    return open_by_hours(hours, parker, context.now.wall_ms, context.plan.zone) is not False


def around(plan: LanePlan) -> tuple[Place, ...]:
    """A lane, the area that it leads to, the site."""
    return ((LANE, str(plan.lane)), (AREA, str(plan.into or plan.area)), (SITE, ""))


def is_full(context: Context, area: AreaId, vehicle_type: str) -> bool:
    """Whether an area with a margin is between "full" and "open again"."""
    return context.books.tables.get(AREAS_FULL, area, vehicle_type) is not None


def gate(context: Context, plan: LanePlan, parker: Parker) -> No | None:
    """Whether a class is turned away at a lane, before anything is looked at."""
    said = said_of(context, around(plan), parker)
    vehicle = _spoken(plan.vehicle_type)
    if said.state == CLOSED:
        why = "Outside opening hours" if said.why == "hours" else "Please call"
        return No("E-CLOSED-01", f"Closed for {_CALLED[parker]}\n{why}")
    if said.state == FULL:
        return No("E-FULL-01", f"Full for {_CALLED[parker]}")
    if (
        said.why != "person"
        and parker is Parker.TRANSIENT
        and is_full(context, plan.into or plan.area, plan.vehicle_type)
    ):
        return No("E-FULL-01", f"Full for {vehicle}")
    return None


_CALLED: Final = {Parker.TRANSIENT: "visitors", Parker.PASS: "passes", Parker.RESERVATION: "reservations"}


def _spoken(vehicle_type: str) -> str:
    return vehicle_type.replace("_", " ").lower()


# -- what people say --------------------------------------------------------------------------------------------------


def _set(context: Context, who: str, given: Words) -> Done | No:
    place = _place(context, str(given["place"]))
    state, classes = str(given["state"]), _classes(str(given.get("parker", ALL)))
    if isinstance(place, No):
        return place
    if state not in WORDS:
        return No("E-USE-01", f"{state}: one of {', '.join(WORDS)} is needed")
    if classes is None:
        return No("E-USE-01", f"{given['parker']}: one of {', '.join((*Parker, ALL))} is needed")
    reason, facts = str(given["reason"]), list[Fact]()
    for parker in classes:
        row = context.books.tables.get(STATES, *place, parker.value)
        if state != AUTO:
            facts.append(StateSet(*place, parker.value, state, who, reason, context.now.wall_ms))
        elif row is not None:
            facts.append(StateCleared(*place, parker.value, who, reason))
    if not facts:
        return No("E-USE-01", "nobody has said anything else of it")
    shown = "as hours and counts say" if state == AUTO else state
    return Done(f"{place[1] or 'the site'} is {shown} for {', '.join(each.value for each in classes)}", tuple(facts))


def _place(context: Context, name: str) -> Place | No:
    if name == SITE:
        return SITE, ""
    known: dict[str, Place] = {str(plan.lane): (LANE, str(plan.lane)) for plan in context.plan.lanes}
    known |= {str(area): (AREA, str(area)) for area in context.plan.areas}
    return known.get(name) or No("E-NOT-01", f"no area or lane {name}; there are {', '.join(known)}, {SITE}")


def _classes(word: str) -> tuple[Parker, ...] | None:
    if word == ALL:
        return tuple(Parker)
    return (Parker(word),) if word in set(Parker) else None


# -- full and open again ------------------------------------------------------------------------------------------------


def vehicle_types(context: Context, area: AreaId) -> tuple[str, ...]:
    """Those that the lanes into an area serve, each once, in the lanes' order."""
    lanes = context.plan.lanes
    into = [plan for plan in lanes if plan.into == area or (plan.kind is LaneKind.ENTRY and plan.area == area)]
    return tuple(dict.fromkeys(plan.vehicle_type for plan in into))


def _filled(context: Context, fact: Fact) -> Iterable[Fact]:
    """Behind every fact that gives or takes a spot; asked only of areas with a margin."""
    spots = context.books.spots
    for area, rules in context.plan.rules.items():
        if not rules.has_margin:
            continue
        for vehicle in vehicle_types(context, area):
            free = spots.available(area, vehicle)
            full = is_full(context, area, vehicle)
            if not full and free <= rules.full_at:
                yield AreaFilled(area, vehicle, free, context.now.wall_ms)
            elif full and free >= rules.open_at:
                yield AreaReopened(area, vehicle, free)


def _turn(context: Context) -> Iterator[Fact]:
    """What the opening hours have brought: for the record, and for whoever watches."""
    if context.now.quality is TimeQuality.UNSET:
        return
    asked = dict.fromkeys(((each.scope, each.place), parker) for each in context.plan.hours for parker in each.parkers)
    for place, parker in asked:
        now_open = _in_hours(context, place, parker)
        row = context.books.tables.get(HOURS, *place, parker.value)
        if row is None or row["open"] is not now_open:
            yield HoursTurned(*place, parker.value, now_open, context.now.wall_ms)


_MOVES_SPOTS: Final[tuple[type[Fact], ...]] = (
    f.SiteStarted,
    f.TicketIssued,
    f.TicketVoided,
    f.EntryReversed,
    f.VehicleExited,
    f.VehicleMoved,
    f.TicketLostDeclared,
    f.TicketWrittenOff,
    SpotClosed,
    SpotOpened,
    AreaRecounted,
)

RULES: Final = Rules(
    "states",
    (
        Verb(
            "state-set",
            "say that the site, an area or a lane is open, full or closed for a class of parkers; auto takes it back",
            (
                Param("place", str),
                Param("state", str),
                Param("reason", str),
                Param("parker", str, needed=False),
            ),
            _set,
        ),
    ),
    follow=dict.fromkeys(_MOVES_SPOTS, _filled),
    turn=_turn,
    gate=gate,
)
