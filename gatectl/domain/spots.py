"""Spots: which are free, and which one a vehicle gets.

Rule 1: asking changes nothing. `allocate` names a spot; it is taken when the fact that says so is folded (`hold`).
Rule 2: same books, same answer: the first type that fits and has one free, then the level that the area's strategy names
(gatectl.domain.spot_rules), then the first name.
Rule 3: no answer looks at every spot. Free spots of an (area, type, level) are a heap; a spot that is taken or out of service
stays in it until it comes to the top and is dropped there, and each spot is in its heap at most once, so that no heap outgrows
the lot.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from types import MappingProxyType

from gatectl.domain.ids import AreaId, SpotId
from gatectl.domain.spot_rules import CHOICES, PLAIN, AreaRules, Reserve

COMPATIBLE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "MOTORCYCLE": ("MOTORCYCLE", "COMPACT", "LARGE"),
        "CAR": ("COMPACT", "LARGE"),
        "VAN": ("LARGE",),
        "TRUCK": ("LARGE",),
        "ELECTRIC_CAR": ("ELECTRIC", "COMPACT", "LARGE"),
    }
)
"""Vehicle type -> spot types it may stand on, best first. HANDICAPPED is nobody's by default: a permit is not seen at
the entry. A site extends it with `COMPATIBLE | {...}`."""
SPOT_TYPES = ("COMPACT", "LARGE", "HANDICAPPED", "MOTORCYCLE", "ELECTRIC")


@dataclass(frozen=True, slots=True)
class Spot:
    """One place to stand. `level` is the storey, lowest first."""

    spot: SpotId
    area: AreaId
    level: int
    spot_type: str


@dataclass(slots=True)
class _Level:
    """The spots of one (area, type, level). The top of `heap` is always free, so that looking at it is enough."""

    level: int
    heap: list[SpotId] = field(default_factory=list)
    queued: set[SpotId] = field(default_factory=set)
    away: dict[SpotId, int] = field(default_factory=dict)
    """Spots that cannot be given: 1 held, 2 out of service, 3 both."""
    held: int = 0
    closed: int = 0
    total: int = 0

    @property
    def free(self) -> int:
        return self.total - len(self.away)

    @property
    def usable(self) -> int:
        return self.total - self.closed

    def take(self, spot: SpotId, why: int) -> None:
        self.away[spot] = self.away.get(spot, 0) | why
        while self.heap and self.heap[0] in self.away:
            self.queued.discard(heappop(self.heap))

    def give(self, spot: SpotId, why: int) -> None:
        left = self.away[spot] & ~why
        if left:
            self.away[spot] = left
            return
        del self.away[spot]
        if spot not in self.queued:
            self.queued.add(spot)
            heappush(self.heap, spot)


_HELD, _CLOSED = 1, 2


@dataclass(slots=True)
class _Bucket:
    """The spots of one (area, type). `unseen`: vehicles on them that no ticket explains, by the last count of this type."""

    levels: list[_Level] = field(default_factory=list)
    unseen: int = 0

    @property
    def free(self) -> int:
        return max(0, sum(level.free for level in self.levels) - self.unseen)

    @property
    def usable(self) -> int:
        return sum(level.usable for level in self.levels)


@dataclass(frozen=True, slots=True)
class Group:
    """The spots of one type on one level. `usable` are in service, `free` of them hold no ticket."""

    level: int
    spot_type: str
    free: int
    usable: int


class SpotIndex:
    """The spots of a site, which of them are held and which out of service. Owned by the core thread.

    `hold` and `close` cost O(log spots) a call on average over a run, `release` and `open` O(log spots), and `allocate`
    O(types that fit x levels of the area).
    """

    __slots__ = ("_compatible", "_places", "_reserves", "_rules", "_spots", "_types")

    def __init__(
        self,
        spots: Iterable[Spot],
        compatible: Mapping[str, tuple[str, ...]] = COMPATIBLE,
        rules: Mapping[AreaId, AreaRules] = MappingProxyType({}),
    ) -> None:
        """All spots free. Raises ValueError when two share a name."""
        self._compatible = compatible
        self._rules = rules
        self._reserves = {area: {each.spot_type: each for each in of.reserves} for area, of in rules.items()}
        self._spots: dict[SpotId, Spot] = {}
        self._types: dict[AreaId, dict[str, _Bucket]] = {}
        self._places: dict[tuple[AreaId, str, int], _Level] = {}
        for spot in spots:
            if spot.spot in self._spots:
                raise ValueError(f"two spots are named {spot.spot}")
            self._spots[spot.spot] = spot
            place = (spot.area, spot.spot_type, spot.level)
            level = self._places.get(place)
            if level is None:
                level = self._places[place] = _Level(spot.level)
                self._types.setdefault(spot.area, {}).setdefault(spot.spot_type, _Bucket()).levels.append(level)
            level.heap.append(spot.spot)
            level.queued.add(spot.spot)
            level.total += 1
        for level in self._places.values():
            heapify(level.heap)
        for types in self._types.values():
            for bucket in types.values():
                bucket.levels.sort(key=lambda level: level.level)

    def __contains__(self, spot: object) -> bool:
        return spot in self._spots

    def spot(self, spot: SpotId) -> Spot:
        """The spot of a name; KeyError if the site has none."""
        return self._spots[spot]

    def rules(self, area: AreaId) -> AreaRules:
        return self._rules.get(area, PLAIN)

    # -- what changes it ---------------------------------------------------------------------------------------------

    def is_held(self, spot: SpotId) -> bool:
        return bool(self._level(spot).away.get(spot, 0) & _HELD)

    def is_closed(self, spot: SpotId) -> bool:
        return bool(self._level(spot).away.get(spot, 0) & _CLOSED)

    def hold(self, spot: SpotId) -> None:
        """Take a free spot. Holding a held or unknown one is a defect: the core must not have decided it.

        One that is out of service may be held: the vehicle stood there before, or a person put it there.
        """
        assert not self.is_held(spot), f"spot {spot} is held already"
        level = self._level(spot)
        level.held += 1
        level.take(spot, _HELD)

    def release(self, spot: SpotId) -> None:
        """Give a held spot back. Releasing a free or unknown one is a defect."""
        assert self.is_held(spot), f"spot {spot} is free already"
        level = self._level(spot)
        level.held -= 1
        level.give(spot, _HELD)

    def close(self, spot: SpotId) -> None:
        """Out of service: nobody is sent there. Whoever stands there, stays. Twice is once."""
        level = self._level(spot)
        if not self.is_closed(spot):
            level.closed += 1
            level.take(spot, _CLOSED)

    def open(self, spot: SpotId) -> None:
        """In service again. Twice is once."""
        level = self._level(spot)
        if self.is_closed(spot):
            level.closed -= 1
            level.give(spot, _CLOSED)

    def counted(self, area: AreaId, spot_type: str, unseen: int) -> None:
        """So many vehicles stand on spots of a type that no ticket explains; fewer than none count as none."""
        bucket = self._types.get(area, {}).get(spot_type)
        if bucket is not None:
            bucket.unseen = max(0, unseen)

    # -- what can be asked -------------------------------------------------------------------------------------------

    def allocate(
        self,
        area: AreaId,
        vehicle_type: str,
        preferred: str | None = None,
        kept: Callable[[str], int] = lambda _: 0,
        near: tuple[int, ...] = (),
    ) -> Spot | None:
        """The spot that the next vehicle would get, or None: nothing that fits is free, or is known to fit.

        `preferred` is a spot type to try before the table's, such as HANDICAPPED for a permit; whoever gives it answers
        for the vehicle's fitting there. `kept`: so many free spots of a type are not for this vehicle; of `preferred` all are.
        `near`: the levels in the order in which the vehicle reaches them, for the strategy that asks.
        """
        types = self._types.get(area, {})
        choose = CHOICES[self.rules(area).strategy]
        fitting = self._compatible.get(vehicle_type, ())
        for spot_type in fitting if preferred is None else (preferred, *fitting):
            bucket = types.get(spot_type)
            if bucket is None:
                continue
            free = bucket.free
            held_back = 0 if spot_type == preferred else kept(spot_type) + self._reserved(area, spot_type, vehicle_type)
            if free > held_back:
                found = choose(bucket.levels, near)
                assert isinstance(found, _Level), f"{free} free in {area} and no level has one"
                return self._spots[found.heap[0]]
        return None

    def _reserved(self, area: AreaId, spot_type: str, vehicle_type: str) -> int:
        """How many free spots of a type its reserve keeps from a vehicle: all of them while the area is not tight."""
        reserve = self._reserves.get(area, {}).get(spot_type)
        if reserve is None or vehicle_type in reserve.vehicles:
            return 0
        return reserve.keep if self._is_tight(area, reserve) else len(self._spots)

    def _is_tight(self, area: AreaId, reserve: Reserve) -> bool:
        reserved = self._reserves[area]
        return sum(b.free for kind, b in self._types[area].items() if kind not in reserved) <= reserve.until_free

    def available(self, area: AreaId, vehicle_type: str, kept: Callable[[str], int] = lambda _: 0) -> int:
        """Free spots that a vehicle could be given now, of whatever type, by the table, the reserves and what is `kept`."""
        types = self._types.get(area, {})
        fitting = [(kind, types[kind].free) for kind in self._compatible.get(vehicle_type, ()) if kind in types]
        return sum(max(0, free - kept(kind) - self._reserved(area, kind, vehicle_type)) for kind, free in fitting)

    def free(self, area: AreaId) -> dict[str, int]:
        """Free spots by spot type; empty for an area that has no spots of its own."""
        return {spot_type: bucket.free for spot_type, bucket in self._types.get(area, {}).items()}

    def total(self, area: AreaId) -> dict[str, int]:
        """Spots in service by spot type; empty for an area that has no spots of its own."""
        return {spot_type: bucket.usable for spot_type, bucket in self._types.get(area, {}).items()}

    def held(self, area: AreaId, spot_type: str) -> int:
        """Spots of a type that a ticket holds."""
        bucket = self._types.get(area, {}).get(spot_type)
        return 0 if bucket is None else sum(level.held for level in bucket.levels)

    def groups(self, area: AreaId) -> Iterator[Group]:
        """Every (type, level) of an area; what a recount found unseen is taken from the lowest levels with free spots."""
        for spot_type, bucket in self._types.get(area, {}).items():
            unseen = bucket.unseen
            for level in bucket.levels:
                lost = min(unseen, level.free)
                unseen -= lost
                yield Group(level.level, spot_type, level.free - lost, level.usable)

    def _level(self, spot: SpotId) -> _Level:
        known = self._spots.get(spot)
        assert known is not None, f"spot {spot} is not known"
        return self._places[known.area, known.spot_type, known.level]
