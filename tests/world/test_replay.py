"""Simulated runs captured by the code that captures a real site, and replayed: the same, unless something is planted."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from gatectl.domain import entry_lane
from gatectl.domain import facts as f
from gatectl.domain import site as site_module
from gatectl.domain.books import Books
from gatectl.domain.effects import CloseArm
from gatectl.domain.lane import Lane, LaneKind, Step
from gatectl.domain.tickets import Keyring, VerifiedCode, verify
from gatectl.runtime.incident import read_incident
from gatectl.runtime.replay import Outcome, Replay
from gatectl.world.faults import FAULTS
from gatectl.world.recording import Recording
from gatectl.world.simulation import Options, World


def recorded(seed: int, folder: Path, days: float = 0.1) -> Path:
    """A run with everything that breaks, as an incident file."""
    kinds = tuple(name for name in FAULTS if name != "bit-flip")  # what a repair sets aside the journal has no more
    world = World(Options(seed, days=days, lanes=4, oddity=0.3, faults_per_hour=20, kinds=kinds))
    world.daemon.recorder = recording = Recording(turns_a_segment=1_500)
    assert "" == world.run().broken
    file = folder / f"{seed}.zst"
    recording.write(file, world.plan, world.disk, f"seed {seed}")
    return file


def replayed(file: Path, **options: Any) -> Outcome:
    return Replay(read_incident(file), **options).run()


@pytest.mark.parametrize("seed", [1, 3, 4, 6])
def test_a_run_comes_out_as_it_was(seed: int, tmp_path: Path) -> None:
    """Half a morning in which something breaks every three minutes: power cuts, clocks that jump, disks restored."""
    outcome = replayed(recorded(seed, tmp_path))

    assert None is outcome.divergence, outcome.divergence
    assert outcome.turns > 1_000
    assert outcome.segments > 1
    assert outcome.durable > 500


def test_the_first_thing_that_comes_out_otherwise_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that presses the close twice as soon: the turn, the lane, its phase and the field are told."""
    file = recorded(1, tmp_path)
    step = entry_lane.step

    def hasty(lane: Lane, happened: Any, view: Any) -> Step:
        made = step(lane, happened, view)
        hastier = tuple(
            dataclasses.replace(effect, deadline_mono_ms=effect.deadline_mono_ms - 7)
            if isinstance(effect, CloseArm)
            else effect
            for effect in made.effects
        )
        return dataclasses.replace(made, effects=hastier)

    monkeypatch.setitem(site_module._STEP, LaneKind.ENTRY, hasty)  # type: ignore[index]  # planted

    found = replayed(file).divergence

    assert found is not None
    assert "effects" == found.what
    ((lane, (phase, _)),) = found.at.lanes.items()
    assert (True, True) == (lane.startswith("IN-"), phase in ("passing", "open", "held-open"))
    assert any("deadline_mono_ms: recorded" in line for line in found.differs)
    assert any("CloseArm" in line for line in found.recorded)
    assert any(lane in told.lanes for told in found.before)
    assert found.at.number > 10


def test_a_lane_in_another_state_is_seen_before_it_does_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deadline a second off comes out in no fact and no order for a while: the lane's own state is compared too."""
    file = recorded(2, tmp_path)
    step = entry_lane.step

    def late(lane: Lane, happened: Any, view: Any) -> Step:
        made = step(lane, happened, view)
        at_ms = made.lane.deadline_mono_ms
        same = at_ms is None or made.lane.phase.value != "opening"
        return (
            made if same else dataclasses.replace(made, lane=dataclasses.replace(made.lane, deadline_mono_ms=at_ms + 1))
        )

    monkeypatch.setitem(site_module._STEP, LaneKind.ENTRY, late)  # type: ignore[index]  # planted

    found = replayed(file).divergence

    assert found is not None
    assert "lane" == found.what


def test_books_that_drift_are_seen_where_a_segment_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count that is wrong in memory and never told: the next state does not agree."""
    file = recorded(3, tmp_path)
    fold = Books.fold

    def drifting(books: Books, fact: Any) -> None:
        fold(books, fact)
        if isinstance(fact, f.LaneModeChanged):
            books.modes[fact.lane] = dataclasses.replace(fact, why="planted")

    monkeypatch.setattr(Books, "fold", drifting)

    found = replayed(file).divergence

    assert found is not None
    assert "state" == found.what
    assert any("planted" in line for line in found.differs)


def test_no_code_in_a_file_opens_a_gate(tmp_path: Path) -> None:
    """Nothing that the file holds verifies under the site's keys, yet its own codes do under its own."""
    world = World(Options(4, days=0.1, lanes=2, oddity=0.3, faults_per_hour=0))
    world.daemon.recorder = recording = Recording()
    world.run()
    file = tmp_path / "open.jsonl"
    recording.write(file, world.plan, world.disk, "seed 4")
    keyring, text = world.plan.keyring, file.read_text()
    own = Keyring(keyring.current, read_incident(file).keys)
    codes = [
        text[n : n + 56]
        for found in re.finditer(r"[A-Z2-7]{56,}", text)
        for n in range(found.start(), found.end() - 55)
    ]

    assert [] == [code for code in codes if isinstance(verify(code, keyring, world.plan.site), VerifiedCode)]
    assert len({code for code in codes if isinstance(verify(code, own, world.plan.site), VerifiedCode)}) > 20
    assert [] == [key for key in keyring.keys.values() if key.hex() in text]
