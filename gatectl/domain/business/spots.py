"""Spots and counts: out of service and back, recounts by people, what a new site file did to the lot, when a count is in doubt.

Rule 1: a structure that changed under a vehicle breaks no ticket. The change is put on record; the stay goes on.
Rule 2: a count that something unseen may have moved is estimated from then on, over restarts, until a person has counted.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

from gatectl.domain import facts as f
from gatectl.domain.business.rule import Context, Done, No, Param, Rules, Verb, Words
from gatectl.domain.facts import Fact, LaneFault
from gatectl.domain.ids import AreaId, LaneId, SpotId
from gatectl.domain.records.spots import (
    AREA_SPOTS,
    COUNT_DOUBTS,
    RECOUNTS,
    SEGMENTS,
    SPOTS_HELD,
    AreaRecounted,
    CountDoubted,
    HeldSpotChanged,
    SegmentEnded,
    SpotClosed,
    SpotOpened,
    SpotsChanged,
)
from gatectl.domain.rows import whole
from gatectl.domain.spots import Spot

VEHICLES_MAX: Final = 1_000_000
"""More vehicles than this are no count but a slip of the keyboard."""
DARK_MS_MAX: Final = 60_000
"""A clean stop that is over sooner is a restart: no vehicle is expected to have passed meanwhile."""
DOUBTFUL: Final = frozenset(
    {
        LaneFault.LOOP_DEAD,
        LaneFault.ARMING_LOOP_STUCK,
        LaneFault.CLOSING_LOOP_STUCK,
        LaneFault.LOOP_UNTRUSTED,
        LaneFault.ARM_BROKEN,
        LaneFault.FAILS_TO_CLOSE,
    }
)
"""Faults with which vehicles may pass a lane unseen."""


# -- what people do ---------------------------------------------------------------------------------------------------


def _known(context: Context, given: Words) -> Spot | No:
    name = SpotId(str(given["spot"]))
    if name not in context.books.spots:
        return No("E-NOT-01", f"no spot {name}")
    return context.books.spots.spot(name)


def _close(context: Context, who: str, given: Words) -> Done | No:
    spot = _known(context, given)
    if isinstance(spot, No):
        return spot
    if context.books.spots.is_closed(spot.spot):
        return No("E-USE-01", f"{spot.spot} is out of service already")
    reason, now_ms = str(given["reason"]), context.now.wall_ms
    fact = SpotClosed(spot.spot, spot.area, spot.level, spot.spot_type, who, reason, now_ms)
    held = context.books.spots.is_held(spot.spot)
    return Done(f"{spot.spot} is out of service" + (", once its vehicle has left" if held else ""), (fact,))


def _open(context: Context, who: str, given: Words) -> Done | No:
    spot = _known(context, given)
    if isinstance(spot, No):
        return spot
    if not context.books.spots.is_closed(spot.spot):
        return No("E-USE-01", f"{spot.spot} is in service")
    return Done(f"{spot.spot} is in service again", (SpotOpened(spot.spot, who, str(given["reason"])),))


def _count(context: Context, who: str, given: Words) -> Done | No:
    area, counted, reason = AreaId(str(given["area"])), int(given["count"]), str(given["reason"])
    if area not in context.plan.areas:
        return No("E-NOT-01", f"no area {area}; there are {', '.join(context.plan.areas)}")
    if counted > VEHICLES_MAX:
        return No("E-USE-01", f"at most {VEHICLES_MAX} vehicles")
    if "spot_type" in given:
        return _count_type(context, who, area, str(given["spot_type"]), counted, reason)
    expected = context.books.count(area).inside
    facts: tuple[Fact, ...] = (AreaRecounted(area, "", counted, expected, 0, who, reason, context.now.wall_ms),)
    if counted != expected:
        facts = (f.CountAdjusted(area, counted - expected, who, reason), *facts)
    return Done(f"{area} holds {counted}, the books said {expected}", facts, {"difference": counted - expected})


def _count_type(context: Context, who: str, area: AreaId, spot_type: str, counted: int, reason: str) -> Done | No:
    """Vehicles that no ticket explains take free spots away; those that should be there and are not, keep theirs."""
    spots = context.books.spots
    if spot_type not in spots.total(area):
        return No("E-NOT-01", f"{area} has no {spot_type} spots; it has {', '.join(spots.total(area)) or 'none'}")
    held = spots.held(area, spot_type)
    row = context.books.tables.get(RECOUNTS, area, spot_type)
    expected = held + (whole(row, "unseen") if row is not None else 0)
    unseen = max(0, counted - held)
    fact = AreaRecounted(area, spot_type, counted, expected, unseen, who, reason, context.now.wall_ms)
    text = f"{area} has {counted} on {spot_type} spots, the books said {expected}"
    return Done(text, (fact,), {"difference": counted - expected, "unseen": unseen})


# -- doubt --------------------------------------------------------------------------------------------------------------


def doubted(context: Context, area: AreaId, why: str) -> Iterable[Fact]:
    """One fact until the next recount, whatever comes on top."""
    if context.books.tables.get(COUNT_DOUBTS, area) is None:
        yield CountDoubted(area, why, context.now.wall_ms)


def _areas_at(context: Context, lane: LaneId) -> Sequence[AreaId]:
    plan = next((plan for plan in context.plan.lanes if plan.lane == lane), None)
    if plan is None:
        return ()
    return (plan.area,) if plan.into is None else (plan.area, plan.into)


def _at_lane(context: Context, lane: LaneId, why: str) -> Iterable[Fact]:
    for area in _areas_at(context, lane):
        yield from doubted(context, area, why)


def _passed(context: Context, fact: f.VehicleEntered | f.VehicleExited | f.VehicleMoved) -> Iterable[Fact]:
    if not fact.verified:
        yield from _at_lane(context, fact.lane, "unverified")


def _moved(context: Context, fact: f.VehicleMoved) -> Iterable[Fact]:
    """The part of the stay that is over; it began when the one before it ended, or with the stay."""
    yield from _passed(context, fact)
    stay = context.books.stays.get(fact.ticket) if fact.ticket is not None else None
    if stay is None:
        return
    before = list(context.books.tables.where(SEGMENTS, "ticket", stay.ticket))
    began_ms = max((whole(row, "ended_ms") for row in before), default=stay.entered_ms or stay.issued_ms)
    yield SegmentEnded(stay.ticket, len(before) + 1, fact.from_area, fact.from_spot, began_ms, fact.moved_ms)


def _moded(context: Context, fact: f.LaneModeChanged) -> Iterable[Fact]:
    why = {"held-open": "free-flow", "fire": "fire"}.get(fact.mode)
    if why is not None:
        yield from _at_lane(context, fact.lane, why)


def _faulted(context: Context, fact: f.LaneFaulted) -> Iterable[Fact]:
    if fact.fault in DOUBTFUL:
        yield from _at_lane(context, fact.lane, fact.fault.value)


# -- a start ------------------------------------------------------------------------------------------------------------


def _started(context: Context, fact: f.SiteStarted) -> Iterable[Fact]:
    if fact.dark_from_ms is not None and (not fact.clean or fact.dark_to_ms - fact.dark_from_ms > DARK_MS_MAX):
        for area in context.plan.areas:
            yield from doubted(context, area, "dark")
    yield from _built(context)
    yield from _under_vehicles(context)


def _built(context: Context) -> Iterable[Fact]:
    """What the site file gives each area, if that is not what the one before gave it."""
    tables = context.books.tables
    spots: dict[str, list[Spot]] = {str(area): [] for area in context.plan.areas}
    for spot in context.plan.spots:
        spots[spot.area].append(spot)
    gone = [str(row["area"]) for row in tables.all(AREA_SPOTS) if row["area"] not in spots]
    for area in [*spots, *sorted(gone)]:
        row = tables.get(AREA_SPOTS, area)
        layout, digest = layout_of(spots.get(area, []))
        if row is None and not layout:
            continue
        if row is None or row["digest"] != digest:
            before = (0, "") if row is None else (whole(row, "spots"), str(row["layout"]))
            yield SpotsChanged(area, len(spots.get(area, [])), before[0], layout, before[1], digest)


def layout_of(spots: Sequence[Spot]) -> tuple[str, str]:
    """ "LEVEL:TYPE=COUNT ..." and a digest of every name, level and type; empty texts for no spots."""
    if not spots:
        return "", ""
    placed = sorted((spot.level, spot.spot_type, spot.spot) for spot in spots)
    counts = ((key, sum(1 for _ in same)) for key, same in groupby(placed, key=lambda each: each[:2]))
    layout = " ".join(f"{level}:{kind}={count}" for (level, kind), count in counts)
    whole_text = "\n".join(f"{level} {kind} {name}" for level, kind, name in placed)
    return layout, hashlib.sha256(whole_text.encode()).hexdigest()


def _under_vehicles(context: Context) -> Iterable[Fact]:
    """Spots that are not what they were when they were given, each change once."""
    books = context.books
    for number in sorted(books.stays):
        stay = books.stays[number]
        if stay.spot is None:
            continue
        now = books.spots.spot(stay.spot) if stay.spot in books.spots else None
        if now is None:
            found: tuple[str, str, int | None, str] = ("removed", stay.area, None, "")
        elif now.area != stay.area:
            found = ("moved", now.area, now.level, now.spot_type)
        elif stay.spot_type is not None and now.spot_type != stay.spot_type:
            found = ("retyped", now.area, now.level, now.spot_type)
        else:
            continue
        known = books.tables.get(SPOTS_HELD, stay.spot)
        if known is None or _said(known) != (number, *found):
            yield HeldSpotChanged(stay.spot, number, *found)


def _said(row: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(row[name] for name in ("ticket", "change", "area", "level", "spot_type"))


_SPOT: Final = (Param("spot", str), Param("reason", str))

RULES: Final = Rules(
    "spots",
    (
        Verb("spot-close", "take a spot out of service", _SPOT, _close),
        Verb("spot-open", "put a spot into service again", _SPOT, _open),
        Verb(
            "count-set",
            "say how many vehicles were counted in an area, or on its spots of a type",
            (Param("area", str), Param("count", int), Param("reason", str), Param("spot_type", str, needed=False)),
            _count,
        ),
    ),
    follow={
        f.SiteStarted: _started,
        f.VehicleEntered: _passed,
        f.VehicleExited: _passed,
        f.VehicleMoved: _moved,
        f.LaneModeChanged: _moded,
        f.LaneFaulted: _faulted,
    },
)
