"""Open, full, closed: what people say of the site, an area or a lane, when an area filled, and what the hours brought."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gatectl.domain.facts import Fact
from gatectl.domain.records.record import Records
from gatectl.domain.rows import FLAG, TEXT, WHOLE, Change, Drop, Put, Table, Value, columns


@dataclass(frozen=True, slots=True)
class StateSet(Fact):
    """A person says that a place is open, full or closed for a class of parkers, until somebody says otherwise.

    `scope`: "site", "area", "lane"; `place` is the area or lane, "" for the site. `state`: "open", "full", "closed".
    """

    kind: ClassVar[str] = "state.set"
    scope: str
    place: str
    parker: str  # transient, pass, reservation
    state: str
    by: str
    reason: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class StateCleared(Fact):
    """Nobody's word holds any more for a place and a class: hours and counts decide."""

    kind: ClassVar[str] = "state.cleared"
    scope: str
    place: str
    parker: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class AreaFilled(Fact):
    """An area is full for vehicles of a type until AreaReopened: `free` spots for it are left, kept as the margin."""

    kind: ClassVar[str] = "area.filled"
    area: str
    vehicle_type: str
    free: int
    filled_ms: int


@dataclass(frozen=True, slots=True)
class AreaReopened(Fact):
    """Enough spots for vehicles of the type are free again."""

    kind: ClassVar[str] = "area.reopened"
    area: str
    vehicle_type: str
    free: int


@dataclass(frozen=True, slots=True)
class HoursTurned(Fact):
    """By its opening hours a place is open, or closed, for a class of parkers from now on."""

    kind: ClassVar[str] = "hours.turned"
    scope: str
    place: str
    parker: str
    open: bool
    since_ms: int


STATES: Final = Table(
    "place_states",
    ("scope", "place", "parker"),
    columns(scope=TEXT, place=TEXT, parker=TEXT, state=TEXT, set_by=TEXT, reason=TEXT, since_ms=WHOLE),
)
AREAS_FULL: Final = Table(
    "areas_full", ("area", "vehicle_type"), columns(area=TEXT, vehicle_type=TEXT, free=WHOLE, filled_ms=WHOLE)
)
HOURS: Final = Table(
    "place_hours", ("scope", "place", "parker"), columns(scope=TEXT, place=TEXT, parker=TEXT, open=FLAG, since_ms=WHOLE)
)


def _set(fact: StateSet) -> Iterable[Change]:
    values: dict[str, Value] = {"scope": fact.scope, "place": fact.place, "parker": fact.parker, "state": fact.state}
    yield Put(STATES, {**values, "set_by": fact.by, "reason": fact.reason, "since_ms": fact.since_ms})


def _cleared(fact: StateCleared) -> Iterable[Change]:
    yield Drop(STATES, (fact.scope, fact.place, fact.parker))


def _filled(fact: AreaFilled) -> Iterable[Change]:
    values: dict[str, Value] = {"area": fact.area, "vehicle_type": fact.vehicle_type, "free": fact.free}
    yield Put(AREAS_FULL, {**values, "filled_ms": fact.filled_ms})


def _reopened(fact: AreaReopened) -> Iterable[Change]:
    yield Drop(AREAS_FULL, (fact.area, fact.vehicle_type))


def _turned(fact: HoursTurned) -> Iterable[Change]:
    values: dict[str, Value] = {"scope": fact.scope, "place": fact.place, "parker": fact.parker, "open": fact.open}
    yield Put(HOURS, {**values, "since_ms": fact.since_ms})


def _place(b: Mapping[str, Any]) -> str:
    return str(b["place"]) or "the site"


def _tell_turned(b: Mapping[str, Any]) -> str:
    return f"{_place(b)} is {'open' if b['open'] is True else 'closed'} for {b['parker']} by its hours"


RECORDS: Final = Records(
    "states",
    (STATES, AREAS_FULL, HOURS),
    {
        StateSet: _set,
        StateCleared: _cleared,
        AreaFilled: _filled,
        AreaReopened: _reopened,
        HoursTurned: _turned,
    },
    {
        StateSet: lambda b: f"{_place(b)} is {b['state']} for {b['parker']} by {b['by']}: {b['reason']}",
        StateCleared: lambda b: f"{_place(b)} is as hours and counts say for {b['parker']} by {b['by']}: {b['reason']}",
        AreaFilled: lambda b: f"{b['area']} is full for {b['vehicle_type']}, {b['free']} spots free",
        AreaReopened: lambda b: f"{b['area']} is open again for {b['vehicle_type']}, {b['free']} spots free",
        HoursTurned: _tell_turned,
    },
)
