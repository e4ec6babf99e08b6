"""What the core was told, on disk: whole segments, a bounded ring, and a core that never waits for either."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture
from site_stories import site_plan

from gatectl.domain import events
from gatectl.domain.books import Books
from gatectl.domain.ids import Boot, Moment
from gatectl.domain.site import Site
from gatectl.domain.spots import SpotIndex
from gatectl.domain.turns import Elapsed, Started, decided, parts_of, site_of
from gatectl.runtime import capture
from gatectl.runtime.capture import Capture, Ring, segments

BOOT = Boot("ab" * 8, "K7QF")


def new_site() -> Site:
    plan = site_plan()
    return Site(
        plan, Books(SpotIndex(plan.spots, plan.compatible), {lane.lane: lane.area for lane in plan.lanes}), BOOT
    )


class Told:
    """A site that is told things, and a capture whose thread is this test: `settle` is its turn."""

    def __init__(self, folder: Path) -> None:
        self.site = new_site()
        self.capture = Capture(folder)
        self.folder = folder
        self.made = self.turns = 0
        self.tell(Started(None, True))

    def tell(self, what: Any) -> None:
        self.turns += 1
        batch = decided(self.site, what, Moment(1_000 + self.turns, self.turns), self.capture, self.made)
        self.made += len(batch.facts)

    def count(self, times: int) -> None:
        for _ in range(times):
            self.tell(events.CountCorrected("r", "main", 1, "mia", "recount"))  # type: ignore[arg-type]  # NewTypes of str

    def settle(self) -> None:
        self.capture.write()

    def lines(self) -> list[list[dict[str, Any]]]:
        """Each segment's lines."""
        return [[json.loads(line) for line in path.read_text().splitlines()] for path in segments(self.folder)]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    told = Told(tmp_path / "captures")
    yield told
    told.capture.stop()


def turns_of(lines: list[dict[str, Any]]) -> list[int]:
    return [line["n"] for line in lines if "n" in line]


def state_of(lines: list[dict[str, Any]]) -> dict[str, Any]:
    return parts_of([line for line in lines if "n" not in line])


def test_a_segment_begins_with_the_state_and_goes_on_with_turns(told: Told) -> None:
    """A start, then what happened: facts as the journal has them, orders, lanes as they are then."""
    told.count(2)
    told.tell(Elapsed())
    told.settle()

    (lines,) = told.lines()

    assert [1, 2, 3, 4] == turns_of(lines)
    assert ["Started", {"dark_from_ms": None, "clean": True}] == lines[-4]["in"]
    assert [["IN-1", "starting"], ["OUT-1", "starting"]] == [then[:2] for then in lines[-4]["then"]]
    assert ["count.adjusted", 1, {"area": "main", "by": "mia", "delta": 1, "reason": "recount"}] == lines[-3]["facts"][
        0
    ]
    assert "Reply" == lines[-3]["fx"][0][0]
    site = site_of(state_of(lines), {1: b"x" * 32})
    assert (BOOT, {}, new_site().plan.lanes) == (site.boot, site.lanes, site.plan.lanes)


def test_what_raised_is_captured_before_it_stops_the_process(told: Told, mocker: MockerFixture) -> None:
    """The turn that one wants most, although nothing came of it and the capture's thread never ran."""
    mocker.patch.object(Site, "handle", side_effect=AssertionError("000001-K7QF is open already"))

    with pytest.raises(AssertionError):
        told.count(1)
    told.capture.stop()

    (lines,) = told.lines()
    assert ("CountCorrected", "AssertionError: 000001-K7QF is open already") == (
        lines[-1]["in"][0],
        lines[-1]["raised"],
    )


def test_a_core_that_outruns_the_disk_goes_on_and_the_capture_begins_anew(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left out is counted, and the next state says how many turns were told before it."""
    monkeypatch.setattr(capture, "TURNS_WAITING_MAX", 10)
    told.count(30)
    told.settle()
    told.count(3)
    told.settle()

    first, second = told.lines()

    assert 9 == len(turns_of(first))
    assert 22 == told.capture.left_out
    assert (31, [32, 33, 34]) == (second[0]["told"], turns_of(second))
    assert 30 == dict(state_of(second)["parts"]["books.counts"])["main"]["adjusted"]


def test_a_full_segment_is_followed_by_another(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a gap: the state that begins it is that after the last turn of the one before."""
    monkeypatch.setattr(capture, "SEGMENT_BYTES_MAX", 2_000)
    for _ in range(3):
        told.count(20)
        told.settle()

    found = told.lines()

    assert 3 == len(found)
    assert list(range(1, 62)) == [n for lines in found for n in turns_of(lines)]
    assert [0, 21, 41] == [lines[0]["told"] for lines in found]
    assert 0 == told.capture.left_out


def test_the_ring_is_bounded_by_files_and_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go, by their number: the clock may be wrong."""
    monkeypatch.setattr(capture, "SEGMENTS_MAX", 5)
    ring = Ring(tmp_path)
    for _ in range(9):
        ring.begin("ab", iter([b"x" * 100]))
        assert len(segments(tmp_path)) <= 5
    assert [f"{n:08d}-ab.jsonl" for n in range(5, 10)] == [path.name for path in segments(tmp_path)]

    monkeypatch.setattr(capture, "RING_BYTES_MAX", capture.SEGMENT_BYTES_MAX + 250)
    ring.begin("ab", iter([b"y"]))
    ring.close()

    assert 3 == len(segments(tmp_path))


def test_old_segments_go_but_not_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that jumps years ahead must not take the evidence with it."""
    ring = Ring(tmp_path)
    for _ in range(8):
        ring.begin("ab", iter([b"x"]))
    for path in segments(tmp_path):
        os.utime(path, (0, 0))

    ring.begin("cd", iter([b"x"]))
    ring.close()

    assert capture.KEPT_MIN + 1 == len(segments(tmp_path))
    assert segments(tmp_path)[-1].name.endswith("-cd.jsonl")


def test_a_disk_that_refuses_is_left_alone_for_a_while(told: Told, mocker: MockerFixture) -> None:
    """ENOSPC: the gate does not notice; after the rest the capture begins anew with the state."""
    now = mocker.patch.object(capture.time, "monotonic", return_value=0.0)
    opened = mocker.patch.object(capture.os, "open", side_effect=OSError(errno.ENOSPC, "No space left on device"))
    told.count(3)
    told.settle()
    mocker.stop(opened)
    told.count(3)
    told.settle()
    assert [] == segments(told.folder)

    now.return_value = capture.REST_S + 1
    told.settle()
    told.count(2)
    told.settle()

    (lines,) = told.lines()
    assert (7, [8, 9]) == (lines[0]["told"], turns_of(lines))
    assert 7 == told.capture.left_out


def test_the_last_of_the_disk_is_the_journals(told: Told, mocker: MockerFixture) -> None:
    """Nothing is captured onto a disk that is almost full."""
    room = os.statvfs_result((4096, 4096, 10_000, 1_000, 1_000, 1, 1, 1, 0, 255))
    mocker.patch.object(capture.os, "statvfs", return_value=room)

    told.settle()

    assert [] == segments(told.folder)


def test_a_value_that_is_not_of_its_type_costs_its_segment_only(told: Told) -> None:
    """Whatever a caller gets past the types: the capture says what is missing, and the thread lives."""
    told.tell(events.VoidAsked("r", "nowhere", object(), "why"))  # type: ignore[arg-type]  # the mistake is the point
    told.count(1)
    told.settle()
    told.count(2)
    told.settle()

    first, second = told.lines()

    assert [1] == turns_of(first)
    assert (3, [4, 5]) == (second[0]["told"], turns_of(second))


def test_a_stop_writes_what_waits(tmp_path: Path) -> None:
    """With its own thread; twice is once."""
    told = Told(tmp_path)
    told.capture.start()
    told.count(5)
    told.capture.stop()
    told.capture.stop()

    (lines,) = told.lines()

    assert [1, 2, 3, 4, 5, 6] == turns_of(lines)
