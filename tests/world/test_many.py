"""`make simulate`: what it draws, what it counts, and the file that it leaves."""

import json
import subprocess
import sys
from pathlib import Path

import many
import pytest

from gatectl.world.coverage import ROWS
from gatectl.world.faults import FAULTS
from gatectl.world.simulation import World

SCRIPT = Path(many.__file__)


def cheap(seed: int) -> bool:
    drawn = many.options(seed)
    return (drawn.days, drawn.lanes, drawn.disk) == (0.1, 2, "memory")


def test_a_few_seeds_leave_a_result_file(tmp_path: Path) -> None:
    """The line and the file say the same; the same seeds have the same heads, on however many cores."""
    first = next(n for n in range(1, 1_000) if all(cheap(seed) for seed in (n, n + 1)))
    told = []
    for jobs in ("1", "2"):
        out = tmp_path / f"{jobs}.json"
        done = subprocess.run(
            [sys.executable, str(SCRIPT), "--seeds", "2", "--first", str(first), "--jobs", jobs, "--out", str(out)],
            check=True,
            capture_output=True,
            text=True,
            timeout=100,
        )
        told.append(json.loads(done.stdout))
        assert told[-1] == json.loads(out.read_text())
        assert "2/2 seeds" in done.stderr

    assert told[0]["heads_sha256"] == told[1]["heads_sha256"]
    assert {"first": first, "count": 2} == told[0]["seeds"]
    assert set(ROWS) == set(told[0]["coverage"]["exceptions"])
    assert 2 == sum(told[0]["options"]["demand"].values())


def test_something_breaks_in_nearly_all_seeds_and_nothing_in_some() -> None:
    """Ten thousand seeds draw every fault, both disks and quiet worlds; in nine of ten, something breaks every twenty minutes."""
    drawn = [many.options(seed) for seed in range(1, 10_001)]
    quiet = sum(each.faults_per_hour < 3 for each in drawn)

    assert 800 < quiet < 1_200
    assert {"memory", "store"} == {each.disk for each in drawn}
    assert set(FAULTS) == {kind for each in drawn for kind in each.kinds if len(each.kinds) == 3}


def test_a_seed_that_breaks_is_named_and_made_smaller(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says which seeds, what and how to see it again; the smallest run is told for people."""

    def breaks(self: World) -> None:
        raise KeyError("000001-K7QF")

    monkeypatch.setattr(World, "_live", breaks)
    tally = many.Tally()
    result, cpu_s = many.run(7)
    tally.add(result, cpu_s)
    many.tell_failure(result, smaller=True)
    end = tally.plain(7, 1.0, 1)

    assert not end["ok"]
    assert [7] == [each["seed"] for each in end["broken"]]
    assert end["broken"][0]["again"].startswith("gatectl simulate --seed 7 ")
    assert "smallest of" in capsys.readouterr().err
