"""The tables themselves: total, honest about where they lead, and drawn as they are."""

from dataclasses import replace
from pathlib import Path

import pytest
from lane_world import dark_lane, entry, exit_, plan_of

from gatectl.domain import diagrams
from gatectl.domain.effects import CloseArm, OpenArm
from gatectl.domain.ids import VendId
from gatectl.domain.lane import ButtonPressed, DeadlinePassed, Lane, LaneKind, Phase
from gatectl.domain.table import INPUTS, Kind, Table, Turn, handles

DOCS = Path(__file__).parents[2] / "docs" / "lanes"
PAIRS = [
    pytest.param(table, phase, kind, id=f"{name}-{phase}-{kind.__name__}")
    for name, table in diagrams.TABLES.items()
    for phase in Phase
    for kind in INPUTS
]


@pytest.mark.parametrize(("table", "phase", "kind"), PAIRS)
def test_every_pair_is_decided_exactly_once(table: Table, phase: Phase, kind: Kind) -> None:
    """Whatever is sent, whenever: handled, ignored, or named impossible, and a phase the kind does not use has no rows."""
    pair = (phase, kind)
    decisions = [pair in table.transitions, pair in table.ignored, pair in table.impossible]

    assert (1 if phase in table.phases else 0) == sum(decisions)


@pytest.mark.parametrize("table", diagrams.TABLES.values(), ids=diagrams.TABLES)
def test_nothing_that_a_device_or_a_person_sends_is_called_impossible(table: Table) -> None:
    """Only the lane's own deadline can be, in phases that never set one."""
    assert {DeadlinePassed} == {kind for _, kind in table.impossible}


@pytest.mark.parametrize("table", diagrams.TABLES.values(), ids=diagrams.TABLES)
def test_a_row_stands_in_the_line_of_its_own_input(table: Table) -> None:
    """A handler under the wrong input would only be found when it is called."""
    assert [] == [pair for pair, handler in table.transitions.items() if pair[1] is not handler.kind]


@pytest.mark.parametrize("name", diagrams.TABLES)
def test_the_committed_picture_is_the_table(name: str) -> None:
    """After a change of a table: python -m gatectl.domain.diagrams docs/lanes."""
    assert diagrams.page(name, diagrams.TABLES[name]) == (DOCS / f"{name}.md").read_text(encoding="utf-8")


def test_the_pages_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    """The command that the page names makes the pages."""
    diagrams.main(tmp_path / "lanes")

    assert ["entry.md", "exit.md"] == sorted(path.name for path in (tmp_path / "lanes").iterdir())


def one_row(decide: object, lane: Lane) -> Table:
    return Table(frozenset(Phase), {(lane.phase, ButtonPressed): decide}, frozenset(), frozenset())  # type: ignore[dict-item]  # a bare function


def test_a_handler_that_goes_where_it_did_not_declare_is_stopped() -> None:
    """The picture would lie otherwise."""
    story = entry()

    @handles(ButtonPressed, Phase.PRESENT)
    def wanders(turn: Turn, happened: ButtonPressed) -> None:
        turn.go(Phase.CLOSING)

    with pytest.raises(AssertionError, match="undeclared"):
        one_row(wanders, story.lane).step(story.lane, ButtonPressed(), story.site)


def test_a_handler_that_opens_without_an_intent_is_stopped() -> None:
    """No arm moves before the reason for it is on record."""
    story = entry()

    @handles(ButtonPressed)
    def opens(turn: Turn, happened: ButtonPressed) -> None:
        turn.do(OpenArm(turn.lane.plan.lane, VendId("V1"), 0))

    with pytest.raises(AssertionError, match="without an intent"):
        one_row(opens, story.lane).step(story.lane, ButtonPressed(), story.site)


def test_a_handler_that_closes_over_an_occupied_loop_is_stopped() -> None:
    """The last line of defence in the software; the barrier's own safety is the first."""
    story = entry()
    story.b(True)

    @handles(ButtonPressed)
    def closes(turn: Turn, happened: ButtonPressed) -> None:
        turn.do(CloseArm(turn.lane.plan.lane, VendId("V1"), 0))

    with pytest.raises(AssertionError, match="not clear"):
        one_row(closes, story.lane).step(story.lane, ButtonPressed(), story.site)


def test_a_handler_that_moves_an_arm_while_starting_is_stopped() -> None:
    """A start moves nothing, whoever wrote the handler."""
    story = dark_lane(plan_of(LaneKind.EXIT))

    @handles(ButtonPressed)
    def closes(turn: Turn, happened: ButtonPressed) -> None:
        turn.do(CloseArm(turn.lane.plan.lane, VendId("V1"), 0))

    with pytest.raises(AssertionError, match="while starting"):
        one_row(closes, story.lane).step(story.lane, ButtonPressed(), story.site)


def test_a_deadline_that_comes_early_changes_nothing() -> None:
    """The state has moved on since the clock was set: the late alarm is not the new deadline."""
    story, ticket = exit_()
    story.arrive()
    story.read(ticket)
    before = story.lane

    story.happen(DeadlinePassed())

    assert before == story.lane


def test_a_pair_named_impossible_stops_the_lane_if_it_happens_all_the_same() -> None:
    """Then the table is wrong, and going on would be guessing."""
    story, _ = exit_()
    locked = replace(story.lane, phase=Phase.LOCKED, deadline_mono_ms=0)

    with pytest.raises(AssertionError, match="impossible"):
        diagrams.TABLES["exit"].step(locked, DeadlinePassed(), story.site)
