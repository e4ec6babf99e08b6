"""How a site wants its spots given out, as data: a strategy for the level, types that are reserved, when an area is full.

Rule 1: the type is chosen first, by the compatibility table and the reserves; the strategy chooses the level; within a level the
first name that is free is taken.
Rule 2: a strategy sees one figure a level, never a spot: what it costs does not depend on how large the lot is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol


class Strategy(StrEnum):
    LEVEL_BY_LEVEL = "level-by-level"  # the lowest level first
    NEAREST = "nearest"  # the levels in the order in which the lane reaches them
    SPREAD = "spread"  # the level of which the largest part is free


@dataclass(frozen=True, slots=True)
class Reserve:
    """Spots of a type that are for some vehicles until the area is tight.

    Others that fit there get none while more than `until_free` spots of the types without a reserve are free, and never the
    last `keep`. Vehicles named in `vehicles`, and whoever claims the type (a permit), are not held back.
    """

    spot_type: str
    vehicles: tuple[str, ...]
    until_free: int = 0
    keep: int = 0


@dataclass(frozen=True, slots=True)
class AreaRules:
    """`full_at`: free spots for a vehicle type at which the area is full for it; it is open again at `open_at`."""

    strategy: Strategy = Strategy.LEVEL_BY_LEVEL
    reserves: tuple[Reserve, ...] = ()
    full_at: int = 0
    open_at: int = 1

    @property
    def has_margin(self) -> bool:
        """Whether "full" says more than that no spot is left."""
        return (self.full_at, self.open_at) != (0, 1)


PLAIN: Final = AreaRules()
"""The rules of an area that says nothing."""


class Storey(Protocol):
    """The spots of one type on one level of an area. `usable`: in service; `free` of them hold no ticket."""

    @property
    def level(self) -> int: ...
    @property
    def free(self) -> int: ...
    @property
    def usable(self) -> int: ...


Choice = Callable[[Sequence[Storey], Sequence[int]], Storey | None]
"""Of storeys, lowest first, the one to send the next vehicle to; None: none has a free spot. Second: levels, nearest first."""


def _lowest(storeys: Sequence[Storey], near: Sequence[int]) -> Storey | None:
    return next((storey for storey in storeys if storey.free), None)


def _nearest(storeys: Sequence[Storey], near: Sequence[int]) -> Storey | None:
    """Levels that the lane does not name come last, lowest first."""
    turn = {level: place for place, level in enumerate(near)}
    free = [storey for storey in storeys if storey.free]
    return min(free, key=lambda storey: turn.get(storey.level, len(turn)), default=None)


def _emptiest(storeys: Sequence[Storey], near: Sequence[int]) -> Storey | None:
    """Shares are compared without a division; of equals the lowest."""
    best: Storey | None = None
    for storey in storeys:
        if storey.free and (best is None or storey.free * best.usable > best.free * storey.usable):
            best = storey
    return best


CHOICES: Final[Mapping[Strategy, Choice]] = {
    Strategy.LEVEL_BY_LEVEL: _lowest,
    Strategy.NEAREST: _nearest,
    Strategy.SPREAD: _emptiest,
}
