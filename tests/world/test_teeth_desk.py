"""The exceptions desk has teeth: bugs that are planted in it are found by the second bookkeeper, and named."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gatectl.domain import replacing
from gatectl.domain.bill import Stage
from gatectl.domain.business import exceptions, registry
from gatectl.domain.business.rule import Reissue
from gatectl.domain.facts import Fact, Line, TicketLostDeclared
from gatectl.world.simulation import Options, Result, World


def a_day(seed: int = 5) -> Result:
    """Many odd drivers, and nothing that breaks."""
    return World(Options(seed, days=0.4, lanes=3, oddity=0.9, faults_per_hour=0)).run()


def test_a_plain_run_finds_nothing_and_sees_it_all() -> None:
    """Replaced without a stay, with one, and read by a person; a price that somebody said, and a number that somebody typed."""
    result = a_day()

    assert "" == result.broken
    wanted = {"replaced lost", "replaced damaged", "price.set", "price.ended", "exception.noted"}
    assert set() == wanted - result.seen.keys()


def test_a_replacement_without_its_spot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The spot is free again, though the car stands on it."""
    numbered = replacing.numbered

    def forgetful(view: Any, reissue: Reissue) -> tuple[Any, tuple[Fact, ...]]:
        offer, (issued, moved, *rest) = numbered(view, reissue)
        assert isinstance(moved, TicketLostDeclared)
        return offer, (issued, replace(moved, spot=None, spot_type=None), *rest)

    monkeypatch.setattr(replacing, "numbered", forgetful)

    assert a_day().broken.startswith("a replacement stands where its stay stood")


def test_a_price_that_is_only_a_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tariff charges what it charges."""

    def deaf(context: Any, bill: Any) -> Iterator[Line]:
        yield from ()

    adjusts = tuple(deaf if adjust is exceptions.RULES.adjust[Stage.HAND] else adjust for adjust in registry._ADJUSTS)
    monkeypatch.setattr(registry, "_ADJUSTS", adjusts)

    assert a_day().broken.startswith("nobody is asked for more than was said")
