"""The reserve on the disk: laid while there is room, given up when there is none, and said so."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from store_bench import Bench, commit, issued

from gatectl.store import ballast

SMALL = 256 * 1024


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A disk with as much room as a test says."""
    told = SimpleNamespace(f_bavail=1_000_000, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: told)
    monkeypatch.setattr(ballast, "BALLAST_BYTES", SMALL)
    return told


def test_it_is_laid_once_and_given_up_when_the_disk_is_full(tmp_path: Path, room: SimpleNamespace) -> None:
    """A start with room lays it; a start on a full disk frees it and says so; it comes back with the room."""
    file = tmp_path / ballast.NAME

    assert "" == ballast.keep_room(tmp_path)
    assert SMALL == file.stat().st_size
    assert file.stat().st_blocks * 512 >= SMALL
    assert "" == ballast.keep_room(tmp_path)

    room.f_bavail = 100
    assert "400 KiB free, no reserve" == ballast.keep_room(tmp_path)
    assert not file.exists()
    assert "400 KiB free, no reserve" == ballast.keep_room(tmp_path)

    room.f_bavail = 1_000_000
    assert "" == ballast.keep_room(tmp_path)
    assert file.exists()


def test_a_disk_that_has_no_room_for_it_is_told_of(
    tmp_path: Path, room: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing half-made is left behind."""

    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)

    assert ballast.keep_room(tmp_path).endswith("no reserve")
    assert [] == list(tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 48 MiB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"may not mount: {mounted.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_on_a_disk_that_somebody_fills_the_journal_goes_on_with_the_reserve(small_disk: Path) -> None:
    """Logs fill the disk: the commit fails and nothing of it is there; the next start has the reserve's room, and goes on."""
    assert "" == ballast.keep_room(small_disk)
    first = Bench(small_disk / "gatectl.db")
    first.writer.start()
    first.writer.submit(commit(issued(1)))
    first.wait_released(1)
    with (small_disk / "somebody.log").open("wb") as log, contextlib.suppress(OSError):
        while log.write(bytes(65_536)):
            log.flush()
    number = 1
    while not first.died.is_set():  # until the room inside SQLite's own files is used up
        number += 1
        first.writer.submit(commit(*[issued(number * 100 + n) for n in range(100)], first=number * 100))
        first.died.wait(0.02)
    first.close()
    assert "full" in first.deaths[0]

    assert "KiB free, no reserve" in ballast.keep_room(small_disk)
    second = Bench(small_disk / "gatectl.db")
    kept = second.rows("SELECT count(*) FROM journal")[0][0]
    second.writer.start()
    second.writer.submit(commit(issued(9_000_000)))
    second.wait_released(1)
    assert kept + 1 == second.rows("SELECT count(*) FROM journal")[0][0]
    assert kept == sum(len(done.facts) for done in first.released)
    second.close()
