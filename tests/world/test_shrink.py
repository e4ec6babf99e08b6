"""A failure shrinks to what it takes, and the command line that is told runs exactly that again."""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from gatectl.cli.main import app
from gatectl.cli.simulate import DEMANDS
from gatectl.domain.books import Books
from gatectl.world import demand, shrink
from gatectl.world.chance import Chosen, numbers, told
from gatectl.world.simulation import Options, Result, World

BUSY = Options(1, days=0.2, lanes=4, oddity=0.3, faults_per_hour=20)


@pytest.fixture
def a_spot_released_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: a ticket that is spent at an exit gives its spot away, and again when it leaves."""
    fold = Books.fold

    def twice(self: Books, fact: Any) -> None:
        fold(self, fact)
        stay = self.stays.get(getattr(fact, "ticket", None)) if fact.kind == "ticket.spent" else None
        if stay is not None and stay.spot is not None:
            self.spots.release(stay.spot)

    monkeypatch.setattr(Books, "fold", twice)


@pytest.mark.usefixtures("a_spot_released_twice")
def test_a_planted_bug_shrinks_to_a_handful() -> None:
    """Of all that happened until it broke, one driver in and out and another one beside them are enough."""
    before = World(BUSY)
    broken = before.run()
    smallest = shrink.shrunk(BUSY, broken)
    faults, drivers = smallest.options.faults_chosen.keep, smallest.options.drivers_chosen.keep

    assert before.motorists.drawn > 10
    assert faults is not None
    assert drivers is not None
    assert 5 >= len(faults) + len(drivers)
    assert BUSY.days > smallest.options.days
    assert shrink.invariant(broken.broken) == shrink.invariant(smallest.result.broken)


@pytest.mark.usefixtures("a_spot_released_twice")
def test_the_command_that_is_told_breaks_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """The technician copies one line out of a failed run: it fails at the same thing, at the same moment."""

    def run(*words: str) -> tuple[dict[str, Any], str]:
        with pytest.raises(SystemExit) as ended:
            app.main(list(words))
        assert 1 == ended.value.code
        out, err = capsys.readouterr()
        return json.loads(out.splitlines()[-1]), err

    _, said = run(*shlex.split(shrink.command(BUSY))[1:], "--json")
    smallest = re.findall(r"^ +(gatectl simulate .*)$", said, flags=re.M)
    told_of_it = re.findall(r"^It says: +(.*)$", said, flags=re.M)
    again, said_again = run(*shlex.split(smallest[0])[1:], "--no-shrink", "--json")

    assert told_of_it == [again["broken"]]
    assert re.search(r"^Seed: +1, of (commit [0-9a-f]{12}|version )", said, flags=re.M)
    assert "Before that:" in said
    assert "Before that:" not in said_again


def test_shrinking_is_bounded() -> None:
    """What cannot be shrunk within its limits is told as it is."""
    still = Options(1, days=0.01, lanes=2, faults_per_hour=0)
    broken = Result(**{**{part.name: None for part in fields(Result)}, "broken": "the moon: is full"})
    none = shrink.shrunk(still, broken, runs_max=3)
    late = shrink.shrunk(still, broken, seconds_max=0.0)

    assert (still, 3) == (none.options, none.runs)
    assert (still, 0) == (late.options, late.runs)


@pytest.mark.parametrize("leave", [lambda n: Chosen(skip=frozenset({n})), lambda n: Chosen(frozenset({n}))])
def test_a_fault_that_is_left_out_leaves_the_others_as_they_were(leave: Callable[[int], Chosen]) -> None:
    """Fault 5 of a seed is of the same kind at the same moment in the same lane, whoever else takes part."""

    def begun(chosen: Chosen) -> dict[int, tuple[int, str, str]]:
        world = World(Options(3, days=0.1, lanes=4, faults_per_hour=20, faults_chosen=chosen))
        seen = {}
        world.weather.began = lambda n, name, lane: seen.update({n: (world.kernel.now_ms, name, lane)})
        world.run()
        return seen

    everything, without = begun(Chosen()), begun(leave(5))

    assert len(everything) > 20
    assert (5 in leave(5)) is (5 in without)
    assert {n: everything[n] for n in without if n in everything} == {n: without[n] for n in without if n in everything}


def test_every_option_of_a_run_can_be_said_on_the_command_line() -> None:
    """A failure of whatever options can be told; a real site's file is named by its own option."""
    assert {part.name for part in fields(Options)} - {"plan", "wired"} == set(shrink.WORDS)
    assert demand.KINDS == DEMANDS


@pytest.mark.parametrize("text", ["", "3", "3,7-9", "1-2,5,1000000"])
def test_numbers_are_told_as_they_are_read(text: str) -> None:
    assert text == told(numbers(text))


@pytest.mark.parametrize("text", ["x", "3-", "9-7", "1-99999999", "-1", "1.5"])
def test_what_are_no_numbers_is_refused(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with pytest.raises(SystemExit) as ended:
        app.main(["simulate", f"--keep-faults={text}"])

    assert 2 == ended.value.code
    assert "--keep-faults" in capsys.readouterr().err
