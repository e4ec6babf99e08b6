"""The world has teeth: each of these is planted in the product, and a run finds it and names the promise that it broke."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from gatectl.domain import lane_common, table
from gatectl.domain.books import Books
from gatectl.domain.ids import Moment, SpotId
from gatectl.domain.lane import Loop, Trust
from gatectl.domain.site import Batch, Site
from gatectl.domain.spots import SpotIndex
from gatectl.world.daemon import Daemon
from gatectl.world.office import Office
from gatectl.world.simulation import Options, World
from sync.ports import Position, Request
from sync.records import Ack
from sync.upload import Send, UploaderMachine, Wait, _Batch
from sync.uploader import Driving, News


def caught(seeds: Iterable[int] = range(1, 31), **options: Any) -> str:
    """What the first run that finds something says of it; empty when none does."""
    chosen = {"days": 0.2, "lanes": 4, "oddity": 0.3, "faults_per_hour": 20, **options}
    return next((result.broken for seed in seeds if not (result := World(Options(seed, **chosen)).run()).ok), "")


def test_an_effect_performed_before_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fastest way to open an arm is not to wait for the disk."""
    submit = Daemon._submit

    def hasty(self: Daemon, batch: Batch, now: Moment) -> None:
        for effect in batch.effects:
            self.watch.performing(self, effect)
            self.perform(effect)
        submit(self, Batch(batch.facts), now)

    monkeypatch.setattr(Daemon, "_submit", hasty)

    assert caught().startswith("an arm moves only for a durable intent")


def test_a_close_that_ignores_a_stale_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last reading said clear, and that is good enough, isn't it?"""
    monkeypatch.setattr(Loop, "clear", property(lambda loop: not loop.on))

    assert caught(faults_per_hour=60).startswith("nothing closes over a way not known clear")


def test_a_spot_released_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ticket that is returned from an exit gives its spot away, and then again when it leaves."""
    spent = Books.fold

    def twice(self: Books, fact: Any) -> None:
        spent(self, fact)
        stay = self.stays.get(getattr(fact, "ticket", None)) if fact.kind == "ticket.spent" else None
        if stay is not None and stay.spot is not None:
            self.spots.release(stay.spot)

    monkeypatch.setattr(Books, "fold", twice)

    told = caught()
    assert "is free already" in told or told.startswith("no spot holds two tickets")


def test_a_spot_released_twice_and_nobody_minds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the index's own objection: the second bookkeeper finds two tickets on one spot."""
    spent, release = Books.fold, SpotIndex.release

    def twice(self: Books, fact: Any) -> None:
        spent(self, fact)
        stay = self.stays.get(getattr(fact, "ticket", None)) if fact.kind == "ticket.spent" else None
        if stay is not None and stay.spot is not None:
            self.spots.release(stay.spot)

    def tolerant(self: SpotIndex, spot: SpotId) -> None:
        if self.is_held(spot):
            release(self, spot)

    monkeypatch.setattr(Books, "fold", twice)
    monkeypatch.setattr(SpotIndex, "release", tolerant)

    assert caught(range(2, 8)).startswith("no spot holds two tickets")


def test_a_start_that_forgets_what_it_was_doing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vend that was open when the power went is nobody's business any more."""
    monkeypatch.setattr(Site, "_doubts", lambda self: {})

    assert caught().startswith(("no vend is lost sight of", "everything is bounded: vends"))


def test_an_acknowledgement_believed_without_its_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 200 and a number: what more does one want? The office was asked by somebody else's replay."""

    def gullible(self: UploaderMachine, said: Ack, batch: _Batch) -> Position | None:
        return Position(self._cursor.generation, batch.last, batch.head)

    journal = Office._journal

    def forgetful(self: Office, generation: int, request: Request) -> Ack:
        held = self.backup()
        ack = journal(self, generation, request)
        if self.batches % 5 == 0:
            self.restore(held)
            self.restores -= 1  # nobody did that
            return replace(ack, ack=self.seq, head=self.head.hex())
        return ack

    monkeypatch.setattr(Office, "_journal", forgetful)
    assert "" == caught(range(1, 3))

    monkeypatch.setattr(UploaderMachine, "_believed", gullible)
    assert caught(range(1, 3)).startswith("what is acknowledged, the office holds")


def test_a_lost_wake_up_in_the_uploader(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flag is cleared after the journal was asked: a commit in between waits for the next one, or for the greeting."""

    def late(machine: UploaderMachine, news: News, now_ms: Callable[[], int]) -> Driving:
        while True:
            step = machine.step(now_ms())
            yield None
            news.clear()
            said = yield step
            if isinstance(step, Send):
                assert said is not None
                machine.answered(said, now_ms())
            elif not isinstance(step, Wait):
                machine.stored()

    monkeypatch.setattr("gatectl.world.uplink.drive", late)

    assert caught().startswith("no record waits while the office is there")


def test_a_deadline_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timers that run on a clock which people set. While it is right nobody notices; then a lane closes early, or never."""
    shown_at_boot: dict[str, int] = {}

    def by_the_wall(self: Any) -> int:
        now: Moment = self.view.now
        return now.wall_ms - shown_at_boot.setdefault(self.view.boot.boot_id, now.wall_ms - now.mono_ms)

    monkeypatch.setattr(table.Turn, "now_mono_ms", property(by_the_wall))

    assert "" == caught(range(1, 3), kinds=("loop", "device"), days=0.05)
    assert "clear, but not for long enough" in caught(range(1, 3), kinds=("clock",))


def test_a_payment_that_is_forgotten_at_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal took the money, the answer came after the power cut, and nobody remembers the question."""
    monkeypatch.setattr(Site, "_pending_at", lambda self, *_: ())

    assert caught(kinds=("power", "terminal"), faults_per_hour=40).startswith("all money is on record")


def test_a_tailgater_who_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where nothing breaks: one vehicle in without a record, and the count is no longer the truth."""
    follow: Callable[..., None] = lane_common.follow_moves

    def blind(turn: Any, move: Any) -> None:
        if turn.lane.fresh:
            follow(turn, move)

    for module in ("lane_shared", "lane_common"):
        monkeypatch.setattr(f"gatectl.domain.{module}.follow_moves", blind)

    assert caught(faults_per_hour=0, oddity=0.5).startswith("the count is the truth")


def test_loops_are_what_the_teeth_are_made_of() -> None:
    """The planted property above is the product's own when it is not planted: stale is not clear."""
    assert not Loop(False, Trust.STALE).clear
