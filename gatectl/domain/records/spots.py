"""What a site is made of, on record: spots out of service, counts by people, and a site file that differs from the one before."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gatectl.domain.facts import Fact
from gatectl.domain.records.record import Records
from gatectl.domain.rows import TEXT, WHOLE, Change, Drop, Put, Table, Value, columns, nullable


@dataclass(frozen=True, slots=True)
class SpotClosed(Fact):
    """Nobody is sent to the spot from now on; a vehicle that stands there stays."""

    kind: ClassVar[str] = "spot.closed"
    spot: str
    area: str
    level: int
    spot_type: str
    by: str
    reason: str
    closed_ms: int


@dataclass(frozen=True, slots=True)
class SpotOpened(Fact):
    """The spot is in service again."""

    kind: ClassVar[str] = "spot.opened"
    spot: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class AreaRecounted(Fact):
    """A person counted the vehicles of an area, or those on its spots of one type (`spot_type` "": all).

    `expected` is what the books said. `unseen`: vehicles on spots of the type that no ticket explains; 0 for all types.
    The count itself moves by the CountAdjusted beside it.
    """

    kind: ClassVar[str] = "area.recounted"
    area: str
    spot_type: str
    counted: int
    expected: int
    unseen: int
    by: str
    reason: str
    counted_ms: int


@dataclass(frozen=True, slots=True)
class SpotsChanged(Fact):
    """The site file gives an area other spots than the one before it did. `spots_before` 0: the area is new; `spots` 0: gone.

    `layout` is "LEVEL:TYPE=COUNT ..." in order; `digest` is SHA-256, in hex, over every spot's name, level and type.
    """

    kind: ClassVar[str] = "spots.changed"
    area: str
    spots: int
    spots_before: int
    layout: str
    layout_before: str
    digest: str


@dataclass(frozen=True, slots=True)
class HeldSpotChanged(Fact):
    """What a site file made of a spot on which a ticket stands. `change`: "removed", "moved" (to another area), "retyped".

    The ticket stays open, and its spot is given to nobody else. `area` and the rest say what the spot is now.
    """

    kind: ClassVar[str] = "spot.changed"
    spot: str
    ticket: str
    change: str
    area: str
    level: int | None
    spot_type: str


@dataclass(frozen=True, slots=True)
class SegmentEnded(Fact):
    """A stay left a place and goes on in another: one part of it is over. The part that goes on is the stay's own row."""

    kind: ClassVar[str] = "segment.ended"
    ticket: str
    segment: int
    area: str
    spot: str | None
    began_ms: int
    ended_ms: int


SPOTS_CLOSED: Final = Table(
    "spots_closed",
    ("spot",),
    columns(spot=TEXT, area=TEXT, level=WHOLE, spot_type=TEXT, closed_by=TEXT, reason=TEXT, closed_ms=WHOLE),
    indexes=("area",),
)
RECOUNTS: Final = Table(
    "recounts",
    ("area", "spot_type"),
    columns(
        area=TEXT,
        spot_type=TEXT,
        counted=WHOLE,
        expected=WHOLE,
        unseen=WHOLE,
        counted_by=TEXT,
        reason=TEXT,
        counted_ms=WHOLE,
    ),
)
AREA_SPOTS: Final = Table("area_spots", ("area",), columns(area=TEXT, spots=WHOLE, layout=TEXT, digest=TEXT))
SPOTS_HELD: Final = Table(
    "spots_held",
    ("spot",),
    (*columns(spot=TEXT, ticket=TEXT, change=TEXT, area=TEXT), *nullable(level=WHOLE), *columns(spot_type=TEXT)),
)
"""Spots that a site file changed under a vehicle, by the last such change."""
SEGMENTS: Final = Table(
    "segments",
    ("ticket", "segment"),
    (*columns(ticket=TEXT, segment=WHOLE, area=TEXT), *nullable(spot=TEXT), *columns(began_ms=WHOLE, ended_ms=WHOLE)),
    indexes=("ticket",),
)
"""Parts of stays that are over, of a ticket in order: 1, 2, 3."""
COUNT_DOUBTS: Final = Table("count_doubts", ("area",), columns(area=TEXT, why=TEXT, since_ms=WHOLE))
"""Areas whose count is estimated: why, since when, until a person counts."""


@dataclass(frozen=True, slots=True)
class CountDoubted(Fact):
    """From now on the count of an area is estimated. `why`: "free-flow", "fire", "dark", "unverified", or a lane's fault."""

    kind: ClassVar[str] = "count.doubted"
    area: str
    why: str
    since_ms: int


def _closed(fact: SpotClosed) -> Iterable[Change]:
    values: dict[str, Value] = {"spot": fact.spot, "area": fact.area, "level": fact.level, "spot_type": fact.spot_type}
    yield Put(SPOTS_CLOSED, {**values, "closed_by": fact.by, "reason": fact.reason, "closed_ms": fact.closed_ms})


def _opened(fact: SpotOpened) -> Iterable[Change]:
    yield Drop(SPOTS_CLOSED, (fact.spot,))


def _recounted(fact: AreaRecounted) -> Iterable[Change]:
    values: dict[str, Value] = {
        "area": fact.area,
        "spot_type": fact.spot_type,
        "counted": fact.counted,
        "expected": fact.expected,
    }
    said: dict[str, Value] = {"counted_by": fact.by, "reason": fact.reason, "counted_ms": fact.counted_ms}
    yield Put(RECOUNTS, {**values, "unseen": fact.unseen, **said})
    if not fact.spot_type:
        yield Drop(COUNT_DOUBTS, (fact.area,))


def _spots_changed(fact: SpotsChanged) -> Iterable[Change]:
    if fact.spots == 0 and not fact.layout:
        yield Drop(AREA_SPOTS, (fact.area,))
    else:
        yield Put(AREA_SPOTS, {"area": fact.area, "spots": fact.spots, "layout": fact.layout, "digest": fact.digest})


def _held_changed(fact: HeldSpotChanged) -> Iterable[Change]:
    values: dict[str, Value] = {"spot": fact.spot, "ticket": fact.ticket, "change": fact.change, "area": fact.area}
    yield Put(SPOTS_HELD, {**values, "level": fact.level, "spot_type": fact.spot_type})


def _ended(fact: SegmentEnded) -> Iterable[Change]:
    values: dict[str, Value] = {"ticket": fact.ticket, "segment": fact.segment, "area": fact.area, "spot": fact.spot}
    yield Put(SEGMENTS, {**values, "began_ms": fact.began_ms, "ended_ms": fact.ended_ms})


def _doubted(fact: CountDoubted) -> Iterable[Change]:
    yield Put(COUNT_DOUBTS, {"area": fact.area, "why": fact.why, "since_ms": fact.since_ms})


def _tell_recounted(b: Mapping[str, Any]) -> str:
    what = f"{b['area']} {b['spot_type']}".strip()
    return f"{what} counted by {b['by']}: {b['counted']}, the books said {b['expected']} ({b['reason']})"


RECORDS: Final = Records(
    "spots",
    (SPOTS_CLOSED, RECOUNTS, AREA_SPOTS, SPOTS_HELD, COUNT_DOUBTS, SEGMENTS),
    {
        SpotClosed: _closed,
        SpotOpened: _opened,
        AreaRecounted: _recounted,
        SpotsChanged: _spots_changed,
        HeldSpotChanged: _held_changed,
        CountDoubted: _doubted,
        SegmentEnded: _ended,
    },
    {
        SpotClosed: lambda b: f"spot {b['spot']} out of service by {b['by']}: {b['reason']}",
        SpotOpened: lambda b: f"spot {b['spot']} in service again by {b['by']}: {b['reason']}",
        AreaRecounted: _tell_recounted,
        SpotsChanged: lambda b: (
            f"{b['area']}: the site file has {b['spots']} spots, before it were {b['spots_before']}"
        ),
        HeldSpotChanged: lambda b: f"spot {b['spot']} was {b['change']} by the site file; {b['ticket']} stands there",
        SegmentEnded: lambda b: f"{b['ticket']} was in {b['area']} until now, part {b['segment']} of its stay",
        CountDoubted: lambda b: f"{b['area']}: the count is estimated from now on ({b['why']})",
    },
)
