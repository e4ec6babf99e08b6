"""What a vehicle costs in lots of 100 to 100,000 spots: `python bench/spots.py`.

For each strategy: one vehicle in and one out of a half-full lot (allocate, hold, release), in microseconds, the best of rounds;
and as a ratio to the smallest lot. The floor is the same loop over a set of names, which knows nothing of levels and types.
Exits with 1 when a ratio is over RATIO_MAX: the cost would depend on the size of the lot.
"""

import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Final

from gatectl.domain.ids import AreaId, SpotId
from gatectl.domain.spot_rules import AreaRules, Reserve, Strategy
from gatectl.domain.spots import COMPATIBLE, Spot, SpotIndex

SIZES: Final = (100, 1_000, 10_000, 100_000)
LEVELS: Final = 10
VEHICLES: Final = 2_000
ROUNDS: Final = 7
RATIO_MAX: Final = 3.0
"""A heap of 100,000 is log2 1000 = 10 steps higher than one of 100, and cold; a scan would be 1,000 times."""
AREA: Final = AreaId("main")
NEAR: Final = tuple(reversed(range(LEVELS)))


def garage(count: int) -> list[Spot]:
    kinds = ("COMPACT", "COMPACT", "COMPACT", "LARGE", "ELECTRIC")
    return [Spot(SpotId(f"{n:06d}"), AREA, n % LEVELS, kinds[n // LEVELS % len(kinds)]) for n in range(count)]


def index_of(count: int, strategy: Strategy) -> SpotIndex:
    rules = AreaRules(strategy, (Reserve("ELECTRIC", ("ELECTRIC_CAR",), until_free=5),))
    index = SpotIndex(garage(count), {**COMPATIBLE, "CAR": ("COMPACT", "ELECTRIC", "LARGE")}, {AREA: rules})
    for spot in garage(count)[::2]:
        index.hold(spot.spot)
    return index


def driven(count: int, strategy: Strategy) -> Callable[[], None]:
    index = index_of(count, strategy)
    inside: list[SpotId] = []

    def drive() -> None:
        for _ in range(VEHICLES):
            spot = index.allocate(AREA, "CAR", near=NEAR)
            assert spot is not None
            index.hold(spot.spot)
            inside.append(spot.spot)
            if len(inside) > 10:
                index.release(inside.pop(0))

    return drive


def floor(count: int) -> Callable[[], None]:
    """A set that gives any name and takes it back."""
    free = {spot.spot for spot in garage(count)[1::2]}
    inside: list[SpotId] = []

    def drive() -> None:
        for _ in range(VEHICLES):
            inside.append(free.pop())
            if len(inside) > 10:
                free.add(inside.pop(0))

    return drive


def best_us(act: Callable[[], None]) -> float:
    """Microseconds a vehicle in the best of ROUNDS."""
    times = []
    for _ in range(ROUNDS):
        began = perf_counter_ns()
        act()
        times.append(perf_counter_ns() - began)
    return min(times) / VEHICLES / 1_000


def main() -> int:
    lowest = best_us(floor(SIZES[0]))
    print(f"floor: {lowest:.2f} us a vehicle\n{'strategy':16}{'spots':>9}{'us':>8}{'x floor':>9}{'x smallest':>12}")
    worst = 0.0
    for strategy in Strategy:
        smallest = None
        for size in SIZES:
            took = best_us(driven(size, strategy))
            smallest = smallest or took
            worst = max(worst, took / smallest)
            print(f"{strategy:16}{size:9,}{took:8.2f}{took / lowest:9.1f}{took / smallest:12.2f}")
    print(f"worst ratio {worst:.2f}, allowed {RATIO_MAX}")
    return int(worst > RATIO_MAX)


if __name__ == "__main__":
    sys.exit(main())
