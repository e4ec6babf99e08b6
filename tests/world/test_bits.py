"""Bits that flip on the site's disk: found, told by name, never sent, and mended with what a site has."""

from collections import Counter
from typing import Any

import pytest

from gatectl.world.simulation import Options, World
from sync.chain import link
from sync.records import BATCH_BYTES_MAX
from sync.upload import UploaderMachine, _Batch

KINDS = ("bit-flip", "power", "office", "terminal", "disk-full")


def options(seed: int, **other: Any) -> Options:
    return Options(seed, **{"days": 0.06, "lanes": 4, "oddity": 0.3, "faults_per_hour": 30, "kinds": KINDS, **other})


def test_records_come_back_or_are_set_aside_and_either_disk_ends_the_same() -> None:
    """Five sites whose cards flip bits: what the office has comes back, what it lacks is set aside and on record; all serve."""
    happened: Counter[str] = Counter()
    for seed in range(1, 6):
        memory, store = World(options(seed)), World(options(seed, disk="store"))
        one, other = memory.run(), store.run()

        assert ("", "") == (one.broken, other.broken)
        assert one.head == other.head
        assert memory.histories.happened == store.histories.happened
        happened.update(store.histories.happened)

    assert {"flip told by a start", "flip told by the uploader", "record fetched back", "record set aside"} <= set(
        happened
    )


def broken(seeds: range, **other: Any) -> str:
    runs = (World(options(seed, **other)).run() for seed in seeds)
    return next((result.broken for result in runs if not result.ok), "")


@pytest.mark.parametrize("disk", ["memory", "store"])
def test_a_start_that_does_not_check_the_chain(disk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check on the check: the books are the mirror's anyway, so why read the journal?"""
    monkeypatch.setattr("gatectl.store.starting.check_newest", lambda *_: [])
    monkeypatch.setattr("gatectl.store.starting.mirror_differs", lambda *_: [])
    monkeypatch.setattr("gatectl.world.disk.told", lambda *_: "")

    assert broken(range(1, 6), disk=disk).startswith("what is damaged is told by a start")


def test_an_uploader_that_sends_what_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check on the check: what was read is what was written, and its head can be calculated."""

    def gullible(self: UploaderMachine, now_ms: int) -> _Batch | None:
        at = self._cursor
        records = self._journal.read(at.generation, at.seq, self._limit, BATCH_BYTES_MAX)
        head = at.head
        for record in records:
            head = link(head, record.header(), record.body)
        lines = b"".join(record.to_line() + b"\n" for record in records)
        return _Batch(at.seq + 1, at.seq + len(records), at.head, head, lines) if records else None

    monkeypatch.setattr(UploaderMachine, "_next_batch", gullible)

    told = broken(range(1, 8))
    assert "an acknowledgement of another journal" in told or told.startswith("what is damaged is not sent")


def test_a_generation_that_gives_a_damaged_record_a_new_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check on the check: as it was, until the world flipped bits: a new place, a new head, and nobody can tell any more."""

    class Fits:
        def __ne__(self, other: object) -> bool:
            return False

    monkeypatch.setattr("gatectl.store.journal._linked", lambda *_: Fits())
    kinds = ("bit-flip", "restore-site", "power", "office-rollback")
    told = broken(range(2, 3), days=0.12, lanes=2, oddity=0, faults_per_hour=60, kinds=kinds, disk="store")

    assert told.startswith(("what is damaged is", "nothing stops the daemon: BadBody"))
