"""What is free, for whom, and how far to trust it: for signs, subscribers, the screen and the office.

Rule 1: every figure goes with its quality. "live": every vehicle since the last count was seen; "estimated": something may have
passed unseen (`COUNT_DOUBTS` says what, since when), until a person counts. "stale" is said by those who carry a figure, of one
whose site they cannot hear.
Rule 2: the words of a place's status are DATEX II's: open, full, fullAtEntrance (spots are free, walk-ins are turned away),
closed, closedAbnormal (no lane into it can serve: fire, fault).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from gatectl.domain.business.reservations import kept_spots
from gatectl.domain.business.rule import Context
from gatectl.domain.business.states import AREA, CLOSED, FULL, LANE, SITE, Place, Said, is_full, said_of, vehicle_types
from gatectl.domain.facts import LaneFault
from gatectl.domain.ids import AreaId, LaneId
from gatectl.domain.lane import LaneKind, LanePlan
from gatectl.domain.opening import Parker
from gatectl.domain.records.spots import COUNT_DOUBTS
from gatectl.domain.rows import whole
from gatectl.domain.spots import Group

LIVE, ESTIMATED, STALE = "live", "estimated", "stale"
_CANNOT_SERVE: Final = frozenset(
    {LaneFault.ARM_BROKEN, LaneFault.FAILS_TO_OPEN, LaneFault.CLOSING_LOOP_STUCK, LaneFault.LOOP_UNTRUSTED}
)
"""Faults with which an entry takes nobody in."""


@dataclass(frozen=True, slots=True)
class AreaAvailability:
    """`free` by group; `fits`: by vehicle type, the spots that a walk-in could be given. `doubt`: why it is estimated, else "".

    `since_ms`: from when it is estimated. `states`: by class "open", "full" or "closed".
    """

    area: AreaId
    groups: tuple[Group, ...]
    inside: int
    fits: tuple[tuple[str, int], ...]
    states: tuple[tuple[str, str], ...]
    status: str
    quality: str
    doubt: str
    since_ms: int | None

    @property
    def free(self) -> int:
        return sum(group.free for group in self.groups)

    @property
    def usable(self) -> int:
        return sum(group.usable for group in self.groups)

    def by_type(self) -> Mapping[str, tuple[int, int]]:
        """Spot type to free and usable."""
        sums: dict[str, tuple[int, int]] = {}
        for group in self.groups:
            free, usable = sums.get(group.spot_type, (0, 0))
            sums[group.spot_type] = (free + group.free, usable + group.usable)
        return sums


@dataclass(frozen=True, slots=True)
class LaneAvailability:
    """How a lane that takes vehicles in is, by class; `status` as an area's."""

    lane: LaneId
    states: tuple[tuple[str, str], ...]
    status: str


def of_area(context: Context, area: AreaId) -> AreaAvailability:
    groups = tuple(context.books.spots.groups(area))
    doubt = context.books.tables.get(COUNT_DOUBTS, area)
    fits = tuple((vehicle, _for_walk_in(context, area, vehicle)) for vehicle in vehicle_types(context, area))
    said = _said(context, ((AREA, str(area)), (SITE, "")))
    states = _with_spots(context, said, area, fits)
    into = [plan for plan in context.plan.lanes if _leads_into(plan, area)]
    free = sum(group.free for group in groups)
    return AreaAvailability(
        area,
        groups,
        context.books.count(area).inside,
        fits,
        tuple((parker.value, state) for parker, state in states.items()),
        _status(states, free, bool(groups), bool(into) and all(not _serves(context, plan) for plan in into)),
        LIVE if doubt is None else ESTIMATED,
        "" if doubt is None else str(doubt["why"]),
        None if doubt is None else whole(doubt, "since_ms"),
    )


def of_lane(context: Context, plan: LanePlan) -> LaneAvailability:
    area = plan.into or plan.area
    said = _said(context, ((LANE, str(plan.lane)), (AREA, str(area)), (SITE, "")))
    fits = ((plan.vehicle_type, _for_walk_in(context, area, plan.vehicle_type)),)
    states = _with_spots(context, said, area, fits)
    free, total = context.books.spots.free(area), context.books.spots.total(area)
    status = _status(states, sum(free.values()), bool(total), not _serves(context, plan))
    return LaneAvailability(plan.lane, tuple((parker.value, state) for parker, state in states.items()), status)


def areas(context: Context) -> Iterator[AreaAvailability]:
    for area in context.plan.areas:
        yield of_area(context, area)


def lanes(context: Context) -> Iterator[LaneAvailability]:
    for plan in context.plan.lanes:
        if plan.kind is LaneKind.ENTRY or (plan.kind is LaneKind.PASSAGE and not plan.outward):
            yield of_lane(context, plan)


def _leads_into(plan: LanePlan, area: AreaId) -> bool:
    return plan.into == area or (plan.kind is LaneKind.ENTRY and plan.area == area)


def _serves(context: Context, plan: LanePlan) -> bool:
    mode = context.books.modes.get(plan.lane)
    faults = {fault for lane, fault in context.books.faults if lane == plan.lane}
    return not (mode is not None and mode.mode == "fire") and not faults & _CANNOT_SERVE


def _for_walk_in(context: Context, area: AreaId, vehicle_type: str) -> int:
    """Free spots for a vehicle without a right, less what is kept for reservations."""
    return context.books.spots.available(area, vehicle_type, partial(kept_spots, context, area))


def _said(context: Context, places: tuple[Place, ...]) -> dict[Parker, Said]:
    return {parker: said_of(context, places, parker) for parker in Parker}


def _with_spots(
    context: Context, said: Mapping[Parker, Said], area: AreaId, fits: tuple[tuple[str, int], ...]
) -> dict[Parker, str]:
    """What people and hours say, and for walk-ins whether the counts leave anything to any of the area's vehicles."""
    states = {parker: each.state for parker, each in said.items()}
    counted = said[Parker.TRANSIENT]
    if counted.state not in (FULL, CLOSED) and fits and context.books.spots.total(area):
        margin = counted.why != "person"
        if all(free == 0 or (margin and is_full(context, area, vehicle)) for vehicle, free in fits):
            states[Parker.TRANSIENT] = FULL
    return states


def _status(states: Mapping[Parker, str], free: int, has_spots: bool, abnormal: bool) -> str:
    if abnormal:
        return "closedAbnormal"
    if all(state == CLOSED for state in states.values()):
        return "closed"
    if states[Parker.TRANSIENT] == FULL:
        return "fullAtEntrance" if free or not has_spots else "full"
    return "closed" if states[Parker.TRANSIENT] == CLOSED else "open"
