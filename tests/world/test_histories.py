"""Both ends' pasts come back: restores, clones, offices of other versions, and every trouble of the road in between."""

from collections import Counter
from typing import Any

import pytest

from gatectl.world.faults import PASTS
from gatectl.world.office import Office
from gatectl.world.road import TROUBLES
from gatectl.world.simulation import Options, Result, World
from sync.ports import Position
from sync.records import Generation, NewGeneration
from sync.upload import Acknowledge, UploaderMachine

KINDS = (*sorted(PASTS), "office", "power")
SEEDS = range(1, 10)
MORE_SEEDS = range(1, 25)
"""What is planted may take a few more days to show."""


def lived(seed: int, **options: Any) -> tuple[World, Result]:
    chosen = {"days": 0.2, "lanes": 2, "oddity": 0.2, "faults_per_hour": 8, "kinds": KINDS, **options}
    world = World(Options(seed, **chosen))
    return world, world.run()


def caught() -> str:
    return next((result.broken for seed in MORE_SEEDS if not (result := lived(seed)[1]).ok), "")


def test_whatever_comes_back_every_fact_is_at_the_office_once() -> None:
    """A few days' worth of restores in a morning, of either end and of both; and all that can happen is among them."""
    happened, met, fates = Counter[str](), Counter[str](), Counter[str]()
    for seed in SEEDS:
        world, result = lived(seed)

        assert "" == result.broken, f"seed {seed}"
        happened += world.histories.happened
        met += Counter(world.uplink.road.met)
        fates += world.office.fates
    pasts = {"site restored", "both restored", "office restored", "site cloned", "enrolled again"}

    assert pasts | {"office older", "office newer", "office too-new"} <= set(happened)
    assert set(TROUBLES) <= set(met)
    assert fates["projected"] > 1_000


@pytest.mark.parametrize("seed", [2, 7])
def test_on_the_production_store_too(seed: int) -> None:
    """The same pasts, with the site's journal in SQLite on a platter that is copied and put back."""
    world, result = lived(seed, days=0.1, disk="store")

    assert "" == result.broken
    assert world.histories.happened


def test_vehicles_whose_tickets_a_restored_site_forgot_get_out() -> None:
    """The driver has the paper, the code is genuine: the ticket is learned, priced and spent once."""
    _, result = lived(3, kinds=("restore-site",), faults_per_hour=2)

    assert "" == result.broken
    assert result.seen["ticket.learned"] > 0


def test_a_restored_office_that_nobody_hears_of_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the site sends again what the office lost, and says nothing."""

    def silently(self: UploaderMachine, common: Position) -> None:
        if common != self._journal.acked():
            self._owed = Acknowledge(common)

    monkeypatch.setattr(UploaderMachine, "_agreed", silently)

    assert "restored: rewind" in caught()


def test_a_restored_site_that_nobody_hears_of_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the office opens a new generation, and raises no alarm."""
    begin = Office._begin

    def silently(self: Office, said: NewGeneration) -> Generation:
        told = self.alarms["new-generation"]
        answer = begin(self, said)
        self.alarms["new-generation"] = told
        return answer

    monkeypatch.setattr(Office, "_begin", silently)

    assert caught().startswith("what parted was told: ")


def test_an_office_that_takes_any_record_for_new_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: place alone is the key, as in a table that numbers rows; what is sent again under a new place counts twice."""
    fate = Office._fate

    def by_place(self: Office, record: Any) -> str:
        return "projected" if (judged := fate(self, record)) == "again" else judged

    monkeypatch.setattr(Office, "_fate", by_place)
    told = ""
    for seed in range(1, 40):
        _, result = lived(seed, kinds=("clone-site", "restore-site", "office"), faults_per_hour=10)
        told = told or result.broken
        if told:
            break

    assert told.startswith("a fact counts once at the office")
