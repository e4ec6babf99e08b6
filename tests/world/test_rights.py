"""Rights in the simulated world: the office sells while the site is alone, and nobody who bought is turned away."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from gatectl.domain import view
from gatectl.domain.business import passes, registry
from gatectl.domain.facts import VehicleExited
from gatectl.domain.ids import SpotId
from gatectl.domain.spots import Spot
from gatectl.world.plans import AREA, site_plan
from gatectl.world.simulation import Options, Result, World

CUT_OFF, TOLD = (3, 6), (1, 2)
"""Seeds whose site hears nothing of the office's sales in the whole run, and seeds whose site hears of half of them."""


def small_site(seed: int) -> Any:
    """Thirty spots, eight of them the office's: full for walk-ins for most of the day."""
    plan = site_plan(seed, 4, 30)
    spots = tuple(Spot(SpotId(f"A-{n:04d}"), AREA, 0, "COMPACT") for n in range(30))
    return replace(plan, spots=spots, quotas={(AREA, "COMPACT"): 8})


def small(seed: int, overstays: float = 0, **options: Any) -> World:
    chosen: dict[str, Any] = {"days": 1.5, "lanes": 4, "oddity": 0, "faults_per_hour": 0, **options}
    world = World(Options(seed, demand="over-capacity", plan=small_site(seed), **chosen))
    world.rights.overstays = overstays
    return world


@cache
def run(seed: int) -> Result:
    return small(seed).run()


@pytest.mark.parametrize("seed", [*CUT_OFF, *TOLD])
def test_who_bought_gets_in_however_full_and_however_alone(seed: int) -> None:
    """A day and a half: walk-ins fill all that is theirs, the office sells out its quota, and every buyer who came was let in."""
    result = run(seed)

    assert "" == result.broken
    assert result.seen["drove-on"] > 20
    assert result.seen["reservation.used"] > 40
    assert 0 == sum(count for what, count in result.seen.items() if what.startswith("refused E-RSV"))
    assert (seed in CUT_OFF) == ("reservation.changed" not in result.seen)


def test_overstayers_excuse_the_site_and_nobody_else() -> None:
    """With buyers who stay on, and everything that breaks: still no walk-in is given a kept spot."""
    result = small(3, overstays=0.3, oddity=0.2, faults_per_hour=10, days=0.5).run()

    assert "" == result.broken
    assert result.seen["reservation.overstayed"] > 0


def caught(seeds: tuple[int, ...] = (3, 1), **options: Any) -> str:
    return next((found.broken for seed in seeds if not (found := small(seed, **options).run()).ok), "")


def test_a_quota_that_walk_ins_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """There was a free spot, so why not?"""
    monkeypatch.setattr(view, "kept_spots", lambda *_: 0)

    assert caught().startswith("no walk-in is given a kept spot")


def test_a_pass_that_is_never_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who counts cars per pass with `>` lets one too many in."""
    monkeypatch.setattr(passes, "_all_inside", lambda *_: False)
    runs = (World(Options(seed, days=0.5, oddity=0, faults_per_hour=0)).run() for seed in (2, 3))

    assert any(result.broken.startswith("a hard pass has no more cars than it allows") for result in runs)


def test_a_reservation_that_is_inside_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its vehicle has left and nobody says so: the place counts as filled, and the next one is given to a walk-in."""
    monkeypatch.setitem(registry._FOLLOW, VehicleExited, ())

    assert caught().startswith("a right that is inside has an open ticket")
