"""The world has teeth for places: each of these is planted in the product, and a run with a steward finds it and names it."""

from collections.abc import Iterator

import pytest

from gatectl.domain import signs
from gatectl.domain.business.rule import Context
from gatectl.domain.effects import Announce
from gatectl.domain.ids import SpotId
from gatectl.domain.spots import SpotIndex
from gatectl.world.plans import site_plan
from gatectl.world.simulation import Options, World

WITH_A_STEWARD = range(3, 16, 3)


def caught() -> str:
    """What the first run that finds something says of it; empty when none does."""
    small = (Options(seed, days=0.2, lanes=2, faults_per_hour=0, plan=site_plan(seed, 2, 8)) for seed in WITH_A_STEWARD)
    return next((result.broken for options in small if not (result := World(options).run()).ok), "")


def test_a_spot_out_of_service_that_is_given_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record says closed, the index has not heard of it."""

    def deaf(self: SpotIndex, spot: SpotId) -> None:
        pass

    monkeypatch.setattr(SpotIndex, "close", deaf)

    assert caught().startswith("nobody is sent to a spot out of service")


def test_a_sign_that_is_told_once_and_never_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is published at the start; the changes are forgotten."""
    announced = signs.announced

    def lazy(context: Context, told: dict[str, str]) -> Iterator[Announce]:
        yield from announced(context, told) if not told else ()

    monkeypatch.setattr(signs, "announced", lazy)

    assert caught().startswith("signs show what is free")
