"""Spots: which are free, and which one a vehicle gets.

Rule 1: asking changes nothing. `allocate` names a spot; it is taken when the fact that says so is folded (`hold`).
Rule 2: same books, same answer: the first type that fits and has one free, then the lowest level, then the first name.
Rule 3: no answer looks at every spot. Free spots of an (area, type) are a heap; a held spot stays in it until it comes
to the top and is dropped there, and each spot is in its heap at most once, so that no heap outgrows the lot.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from types import MappingProxyType

from gatectl.domain.ids import AreaId, SpotId

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


@dataclass(frozen=True, slots=True)
class Spot:
    """One place to stand. `level` is the storey, lowest first."""

    spot: SpotId
    area: AreaId
    level: int
    spot_type: str


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """A spot's turn in its heap: lowest level first, then name."""

    level: int
    spot: SpotId


@dataclass(slots=True)
class _Bucket:
    """The spots of one (area, type). The top of `heap` is always free, so that looking at it is enough."""

    heap: list[_Place] = field(default_factory=list)
    queued: set[SpotId] = field(default_factory=set)
    held: set[SpotId] = field(default_factory=set)
    total: int = 0

    @property
    def free(self) -> int:
        return self.total - len(self.held)

    def hold(self, spot: SpotId) -> None:
        self.held.add(spot)
        while self.heap and self.heap[0].spot in self.held:
            self.queued.discard(heappop(self.heap).spot)

    def release(self, place: _Place) -> None:
        self.held.discard(place.spot)
        if place.spot not in self.queued:
            self.queued.add(place.spot)
            heappush(self.heap, place)


class SpotIndex:
    """The spots of a site and which of them are held. Owned by the core thread.

    `hold` costs O(log spots) a call on average over a run, `release` O(log spots) and `allocate` O(types that fit).
    """

    __slots__ = ("_compatible", "_spots", "_types")

    def __init__(self, spots: Iterable[Spot], compatible: Mapping[str, tuple[str, ...]] = COMPATIBLE) -> None:
        """All spots free. Raises ValueError when two share a name."""
        self._compatible = compatible
        self._spots: dict[SpotId, Spot] = {}
        self._types: dict[AreaId, dict[str, _Bucket]] = {}
        for spot in spots:
            if spot.spot in self._spots:
                raise ValueError(f"two spots are named {spot.spot}")
            self._spots[spot.spot] = spot
            bucket = self._types.setdefault(spot.area, {}).setdefault(spot.spot_type, _Bucket())
            bucket.heap.append(_Place(spot.level, spot.spot))
            bucket.queued.add(spot.spot)
            bucket.total += 1
        for types in self._types.values():
            for bucket in types.values():
                heapify(bucket.heap)

    def __contains__(self, spot: object) -> bool:
        return spot in self._spots

    def spot(self, spot: SpotId) -> Spot:
        """The spot of a name; KeyError if the site has none."""
        return self._spots[spot]

    def hold(self, spot: SpotId) -> None:
        """Take a free spot. Holding a held or unknown one is a defect: the core must not have decided it."""
        bucket = self._bucket(spot)
        assert spot not in bucket.held, f"spot {spot} is held already"
        bucket.hold(spot)

    def release(self, spot: SpotId) -> None:
        """Give a held spot back. Releasing a free or unknown one is a defect."""
        bucket = self._bucket(spot)
        assert spot in bucket.held, f"spot {spot} is free already"
        bucket.release(_Place(self._spots[spot].level, spot))

    def allocate(self, area: AreaId, vehicle_type: str, preferred: str | None = None) -> Spot | None:
        """The spot that the next vehicle would get, or None: nothing that fits is free, or is known to fit.

        `preferred` is a spot type to try before the table's, such as HANDICAPPED for a permit; whoever gives it answers
        for the vehicle's fitting there.
        """
        types = self._types.get(area, {})
        fitting = self._compatible.get(vehicle_type, ())
        for spot_type in fitting if preferred is None else (preferred, *fitting):
            bucket = types.get(spot_type)
            if bucket is not None and bucket.heap:
                return self._spots[bucket.heap[0].spot]
        return None

    def free(self, area: AreaId) -> dict[str, int]:
        """Free spots by spot type; empty for an area that has no spots of its own."""
        return {spot_type: bucket.free for spot_type, bucket in self._types.get(area, {}).items()}

    def total(self, area: AreaId) -> dict[str, int]:
        """All spots by spot type; empty for an area that has no spots of its own."""
        return {spot_type: bucket.total for spot_type, bucket in self._types.get(area, {}).items()}

    def _bucket(self, spot: SpotId) -> _Bucket:
        known = self._spots.get(spot)
        assert known is not None, f"spot {spot} is not known"
        return self._types[known.area][known.spot_type]
