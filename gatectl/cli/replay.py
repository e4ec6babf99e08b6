"""`gatectl replay`: an incident through this version's core, up to the first thing that comes out otherwise."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatectl.cli.base import json_option
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import emit, table
from gatectl.domain.codes import Exit

if TYPE_CHECKING:
    from gatectl.runtime.replay import Divergence, Outcome, Told

_WHAT = {
    "facts": "other facts",
    "effects": "other orders to the devices",
    "lane": "a lane in another state",
    "failure": "it failed otherwise",
    "state": "another state at the beginning of a segment",
    "journal": "the journal does not hold what was decided",
    "chain": "the journal's chain is broken",
}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--until", type=click.IntRange(1), metavar="N", help="Only to turn N.")
@click.option("--show", metavar="LANE", help="Every turn of a lane, in words.")
@json_option
@click.pass_context
def replay(ctx: click.Context, file: Path, until: int | None, show: str | None, as_json: bool) -> None:
    """Run an exported incident through the same core. Exit 0: everything comes out as it was recorded; 1: something does not.

    \b
    gatectl replay gate.zst                     is there a divergence, and where?
    gatectl replay gate.zst --show OUT-1        what the lane was told, and what it did
    """
    from gatectl import __version__
    from gatectl.runtime.incident import IncidentRefused, read_incident
    from gatectl.runtime.replay import Replay

    try:
        incident = read_incident(file)
        head = incident.head
        outcome = Replay(incident, until, show or "").run()
    except IncidentRefused as refused:
        raise CommandFailed(refused.code, str(refused)) from None
    about = [f"it is about lane {head['lane']}: --show {head['lane']}"] if head.get("lane") and not show else []
    notes = [*map(str, head.get("notes", ())), *about, *outcome.notes]
    found = outcome.divergence
    if as_json:
        emit(
            {
                "schema": "gatectl.replay/1",
                "ok": found is None,
                "site": head.get("site"),
                "wanted": head.get("wanted"),
                "exported_by": head.get("software"),
                "recorded_by": outcome.software,
                "software": __version__,
                "segments": outcome.segments,
                "turns": outcome.turns,
                "facts": outcome.facts,
                "effects": outcome.effects,
                "durable": outcome.durable,
                "notes": notes,
                "divergence": found.plain() if found else None,
                "shown": [told.plain() for told in outcome.shown],
            }
        )
    else:
        _tell(outcome, notes, __version__)
    ctx.exit(int(Exit.OK if found is None else Exit.FAILED))


def _tell(outcome: "Outcome", notes: Sequence[str], here: str) -> None:
    for version in outcome.software:
        if version != here:
            click.echo(f"Recorded by version {version}, replayed by {here}.")
    for note in notes:
        click.echo(f"note: {note}")
    if outcome.shown:
        click.echo(_timeline(outcome.shown))
    counts = f"{outcome.turns} turns, {outcome.facts} facts, {outcome.effects} effects"
    if outcome.divergence is None:
        click.echo(f"{counts}: no divergence. {outcome.durable} of the facts are in the journal as they were decided.")
        return
    _tell_divergence(outcome.divergence, counts)


def _tell_divergence(found: "Divergence", counts: str) -> None:
    at = found.at
    lanes = ", ".join(f"lane {lane} was {before}" for lane, (before, _) in at.lanes.items())
    where = f"at turn {at.number}" if at.number else at.happened
    click.echo(f"Divergence {where}, {_clock(at)}{', ' if lanes else ''}{lanes}: {_WHAT[found.what]}.\n")
    click.echo(_timeline([*found.before, at]))
    click.echo()
    for title, lines in (("recorded", found.recorded), ("here", found.here), ("differs", found.differs)):
        for line in lines or ("nothing",):
            click.echo(f"{title:>9}: {line}")
    click.echo(f"\n{counts} until then.")


def _timeline(turns: Sequence["Told"]) -> str:
    """A line for a turn, and below it what came of it."""
    rows = [(str(told.number), _clock(told), _lanes(told), told.happened) for told in turns]
    head, *lines = table(("TURN", "UTC", "LANE", "TOLD"), rows).splitlines()
    told_lines = [head]
    for told, line in zip(turns, lines, strict=True):
        told_lines += [line, *(f"{'':10}-> {came}" for came in (*told.facts, *told.effects))]
    return "\n".join(told_lines)


def _lanes(told: "Told") -> str:
    return ", ".join(f"{lane} {_moved(*phases)}" for lane, phases in told.lanes.items())


def _moved(before: str, after: str) -> str:
    return before if before == after else f"{before} > {after}"


def _clock(told: "Told") -> str:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=told.at.wall_ms)
    return f"{at:%Y-%m-%d %H:%M:%S}.{told.at.wall_ms % 1000:03d}"
