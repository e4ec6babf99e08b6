"""A slice of seeds with everything that breaks; `tests/world/many.py` runs the thousands."""

from functools import cache

import pytest

from gatectl.world.coverage import missed
from gatectl.world.inspector import phases_of
from gatectl.world.simulation import Options, Result, World

SEEDS = range(1, 12)
MISSED_MAX = 8
"""A slice is small; the thousands must come to everything (`many.py`)."""


@cache
def run(seed: int) -> Result:
    return World(Options(seed, days=0.2, lanes=4, oddity=0.3, faults_per_hour=20)).run()


@pytest.mark.parametrize("seed", SEEDS)
def test_every_invariant_holds(seed: int) -> None:
    """Half a working day in which something breaks every three minutes, and then everything serves again."""
    result = run(seed)

    assert "" == result.broken, f"gatectl simulate --seed {seed} --days 0.2 --lanes 4 --oddity 0.3 --faults 20"
    assert result.faults > 20


def test_the_slice_comes_to_almost_everything() -> None:
    """A slice has been in every phase of every lane, and has met all but a few of the exceptions."""
    results = [run(seed) for seed in SEEDS]
    visited = {place for result in results for place in result.visited}

    assert {(kind, phase) for kind in ("entry", "exit") for phase in phases_of(kind)} == visited
    assert len(missed(results)) <= MISSED_MAX, missed(results)


def test_what_nothing_came_to_is_named() -> None:
    """The check on the check: a day on which nothing breaks has missed the fire."""
    result = World(Options(1, days=0.1, lanes=2, oddity=0, faults_per_hour=0)).run()

    assert {"mode fire", "entry fire", "power"} <= set(missed([result]))
