"""Two disks, one meaning: the list in memory and the production store on a platter that loses what was not synced."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gatectl.domain import facts as f
from gatectl.domain.ids import AreaId, Boot, LaneId, Moment, SpotId, TicketNumber, TimeQuality
from gatectl.store.repairing import Repairer
from gatectl.world.disk import TROUBLES, Disk, DiskFailed, SiteDisk, Stamped
from gatectl.world.inspector import same
from gatectl.world.plans import AREA, site_plan
from gatectl.world.platter import FULL, IOERR_FSYNC, IOERR_READ, IOERR_WRITE, File, Platter, Refused
from gatectl.world.simulation import Options, World
from gatectl.world.store_disk import StoreDisk
from sync.ports import Position

PLAN = site_plan(1, 2, spots=500)
Make = Callable[[list[f.Fact], int], SiteDisk]


def in_memory(witnessed: list[f.Fact], seed: int) -> Disk:
    return Disk(PLAN, witnessed.append)


def on_store(witnessed: list[f.Fact], seed: int) -> StoreDisk:
    return StoreDisk(PLAN, witnessed.append, Random(seed))


@pytest.fixture
def made() -> Iterator[Callable[[Make, int], tuple[SiteDisk, list[f.Fact]]]]:
    """Makes disks that are closed at the end, each with the list of what it said is durable."""
    disks: list[SiteDisk] = []

    def make(kind: Make, seed: int = 1) -> tuple[SiteDisk, list[f.Fact]]:
        witnessed: list[f.Fact] = []
        disks.append(kind(witnessed, seed))
        return disks[-1], witnessed

    yield make
    for disk in disks:
        disk.close()


def batch(first: int, many: int = 2) -> list[Stamped]:
    """Tickets `first` and the following."""
    return [
        Stamped(
            f"{number:024x}",
            "b" * 16,
            Moment(1_780_290_000_000 + number, number),
            f.TicketIssued(
                ticket=TicketNumber(f"{number:06d}-K7QF"),
                counter=number,
                lane=LaneId("IN-1"),
                area=AreaId(AREA),
                spot=SpotId(f"A-{number:04d}"),
                vehicle_type="CAR",
                spot_type="COMPACT",
                tariff="sim-2026",
                issued_ms=1_780_290_000_000,
                time_quality=TimeQuality.SYNCED,
            ),
        )
        for number in range(first, first + many)
    ]


def lived(disk: SiteDisk, rng: Random) -> list[object]:
    """A life of commits, cuts, troubles, acknowledgements and generations, drawn by `rng`; what could be seen of it."""
    seen: list[object] = []
    number, up = 1, False
    for _ in range(120):
        what = rng.choice(["commit"] * 6 + ["cut", "torn", "trouble", "mended", "acknowledge", "generation", "restore"])
        facts = batch(number, rng.randint(1, 3))
        try:
            if not up:
                disk.load()
                up = True
            if what == "commit":
                disk.append(facts)
            elif what in ("cut", "torn"):
                disk.cut(facts, torn=what == "torn")
                up = False
            elif what == "trouble":
                disk.trouble = rng.choice(TROUBLES)
            elif what == "mended":
                disk.trouble = ""
            elif what == "acknowledge":
                tip = disk.position()
                disk.acknowledge(tip.generation, tip.seq, tip.head)
            elif what == "generation":
                disk.begin_generation(disk.position().generation + 1, "forked")
        except DiskFailed:
            disk.stop()
            up = False
            seen.append("failed")
        number = disk.mirror().counter + 1
        seen.append((disk.position(), disk.acked(), disk.unacknowledged, disk.last_wall_ms, number))
    return seen


@pytest.mark.parametrize("seed", range(8))
def test_either_disk_lives_the_same_life(made: Any, seed: int) -> None:
    """Power cuts torn or not, disks that are full, broken, read-only: what is durable afterwards does not depend on the disk."""
    (memory, told), (store, also_told) = made(in_memory), made(on_store, seed)

    assert lived(memory, Random(seed)) == lived(store, Random(seed))
    assert told == also_told
    assert "" == same(memory.mirror(), store.mirror(), PLAN)


@pytest.mark.parametrize("code", [IOERR_WRITE, IOERR_READ, IOERR_FSYNC, FULL])
def test_whichever_operation_fails_a_commit_is_whole_or_not_there(made: Any, code: int, monkeypatch: Any) -> None:
    """One operation of the disk after the other fails, once: after a power cut everything that was said yes to is there,
    and of what was said no to all or nothing."""
    disk, told = made(on_store)
    operate = Platter.operate
    left = [0]

    def fails(self: Platter, what: str, file: File | None = None) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Refused(code)
        operate(self, what, file)

    monkeypatch.setattr(Platter, "operate", fails)
    number = failures = 0
    for at in range(1, 60):
        left[0] = at
        promised = number
        with suppress(DiskFailed):
            disk.load()
            for _ in range(2):
                disk.append(batch(promised + 1))
                promised += 2
        failures += left[0] <= 0
        left[0] = 0
        disk.cut([], torn=False)
        number = disk.mirror().counter

        assert number - promised in (0, 2)
        assert number == len(told) == disk.position().seq
    assert failures > 20


def test_a_disk_without_sync_loses_what_it_promised(made: Any, monkeypatch: Any) -> None:
    """The check on the check: where the disk lies about syncing, the power cut is caught losing acknowledged tickets."""
    disk, _ = made(on_store)
    disk.load()
    monkeypatch.setattr(Platter, "sync", lambda self, file: self.operate("sync", file))
    disk.append(batch(1))
    disk.append(batch(3))

    with pytest.raises(AssertionError, match="a commit is whole or not there"):
        disk.cut([], torn=False)


@pytest.mark.parametrize("kind", [in_memory, on_store])
def test_the_newest_record_is_set_aside_and_life_goes_on(made: Any, kind: Make) -> None:
    """Nobody else has it: the repair is on record behind it, is witnessed, and what is committed then is whole after a cut."""
    disk, told = made(kind)
    disk.load()
    disk.append(batch(1, 3))
    disk.cut([], torn=False)
    assert disk.flip(0, 77) is not None
    repairer = Repairer(PLAN.site, lambda *_: pytest.fail("nobody has it"), "tom", Boot("cd" * 8, "0000"), Moment(1, 0))
    done = disk.repair(repairer, disk.check())
    disk.load()
    disk.append(batch(4))
    disk.cut(batch(6), torn=False)
    disk.mirror()

    assert (1, []) == (len(done.lost), done.fetched)
    assert ["ticket.issued"] * 3 + ["journal.repaired"] + ["ticket.issued"] * 4 == [fact.kind for fact in told]
    assert 7 == disk.position().seq
    assert disk.check().ok


KINDS = (
    "power",
    "disk",
    "disk-full",
    "disk-error",
    "disk-read-only",
    "terminal",
    "printer",
    "hands",
    "office",
    "clock",
)


@pytest.mark.parametrize("seed", range(1, 7))
def test_the_same_seed_ends_with_the_same_head_on_either_disk(seed: int) -> None:
    """Hours in which the disk breaks again and again: every invariant holds on the production store too, and it has written
    the very journal that the list in memory has."""
    options = Options(seed, days=0.08, lanes=4, oddity=0.3, faults_per_hour=30, kinds=KINDS)
    memory, store = World(options), World(replace(options, disk="store"))
    one, other = memory.run(), store.run()

    assert ("", "") == (one.broken, other.broken)
    assert one.head == other.head
    assert store.daemon.stops == memory.daemon.stops


@pytest.mark.parametrize("seed", [1, 5])
def test_backups_and_clones_are_the_same_on_either_disk(seed: int) -> None:
    """With every fault there is. In these two a disk is restored while it is full: it is still full then."""
    options = Options(seed, days=0.1, lanes=4, oddity=0.3, faults_per_hour=20)
    one, other = World(options).run(), World(replace(options, disk="store")).run()

    assert ("", "") == (one.broken, other.broken)
    assert one.head == other.head


def test_a_start_that_finds_less_than_was_performed_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check on the check: a disk that takes a commit back at a power cut, after its effects were performed."""
    cut = Disk.cut

    def forgets(self: Disk, facts: Any, *, torn: bool) -> None:
        cut(self, facts, torn=torn)
        if len(self._rows) > 1 and self._folded < len(self._rows):
            lost, kept = self._rows.pop(), self._rows[-1]
            self._tip = Position(kept.generation, lost.record.seq - 1, kept.head)

    monkeypatch.setattr(Disk, "cut", forgets)
    broken = [
        World(Options(seed, days=0.1, lanes=4, faults_per_hour=40, kinds=("power",))).run().broken
        for seed in range(1, 4)
    ]

    assert any(broken), broken


def test_a_disk_that_refuses_stops_the_process_until_it_is_mended() -> None:
    """Nothing is performed whose record the disk refused; systemd starts the process until a start can write."""
    world = World(
        Options(3, days=0.1, lanes=2, faults_per_hour=40, kinds=("disk-full", "disk-error", "disk-read-only"))
    )
    result = world.run()

    assert "" == result.broken
    assert 50 < world.daemon.stops
    assert {"disk-full", "disk-error", "disk-read-only"} <= set(result.seen)


def test_an_effect_before_a_commit_that_fails_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check on the check: a daemon that goes on although the disk said no is found out."""

    def deaf(self: Disk, facts: Any) -> None:
        with suppress(DiskFailed):
            append(self, facts)

    append = Disk.append
    monkeypatch.setattr(Disk, "append", deaf)
    broken = [
        World(Options(seed, days=0.1, lanes=4, faults_per_hour=40, kinds=("disk-full",))).run().broken
        for seed in range(1, 5)
    ]

    assert any(told.startswith("an arm moves only for a durable intent") for told in broken), broken
