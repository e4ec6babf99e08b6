"""A run of a made-up site for `gatectl simulate`: what it came to, and if it broke, the smallest run that breaks the same."""

import json
from importlib.metadata import version
from pathlib import Path

import click

from gatectl.cli.errors import CommandFailed
from gatectl.domain.codes import Exit
from gatectl.world import shrink
from gatectl.world.chance import Chosen, numbers
from gatectl.world.faults import FAULTS
from gatectl.world.simulation import Options, World


def chosen(keep: str | None, skip: str | None, option: str) -> Chosen:
    """From `--keep-...` and `--skip-...`. Raises CommandFailed for what are no numbers."""
    try:
        return Chosen(numbers(keep) if keep is not None else None, numbers(skip or ""))
    except ValueError as error:
        raise CommandFailed("E-USE-01", f"--{option}: {error}", action="Name numbers like 3,7-9") from None


def kinds(only: tuple[str, ...]) -> tuple[str, ...]:
    """Kinds of faults by their names; all when none is named. Raises CommandFailed for one that nobody knows."""
    unknown = sorted(set(only) - set(FAULTS))
    if unknown:
        raise CommandFailed("E-USE-01", f"no fault is named {unknown[0]}", action=f"Name some of: {', '.join(FAULTS)}")
    return only or tuple(FAULTS)


def run(options: Options, *, as_json: bool, shrinks: bool) -> Exit:
    """Run once; the result is the last line of the output. What helps to find a failure goes to the error output."""
    result = World(options).run()
    if not as_json:
        _tell(result.seen, result.broken)
    if result.broken:
        _help(options, result.broken)
    if result.broken and shrinks:
        _shrink(options, shrink.shrunk(options, result))
    click.echo(json.dumps(result.plain()))
    return Exit.OK if result.ok else Exit.FAILED


def _tell(seen: dict[str, int], broken: str) -> None:
    """What was met, most often first; what broke, if anything."""
    for what, times in sorted(seen.items(), key=lambda pair: (-pair[1], pair[0])):
        click.echo(f"{times:8d}  {what}")
    click.echo(f"BROKEN: {broken}" if broken else "Every invariant held.")


def _help(options: Options, broken: str) -> None:
    click.echo(f"Broken:      {broken}", err=True)
    click.echo(f"Seed:        {options.seed}, of {built()}", err=True)
    click.echo(f"Again:       {shrink.command(options)}", err=True)


def _shrink(options: Options, smallest: shrink.Shrunk) -> None:
    faults, drivers = smallest.options.faults_chosen.keep, smallest.options.drivers_chosen.keep
    if smallest.options == options:
        click.echo(f"Smallest:    as it is, after {smallest.runs} runs", err=True)
    else:
        of = ", ".join(
            f"{len(kept)} {what}" for kept, what in ((faults, "faults"), (drivers, "drivers")) if kept is not None
        )
        click.echo(f"Smallest:    {of or 'shorter'}, after {smallest.runs} runs", err=True)
        click.echo(f"             {shrink.command(smallest.options)}", err=True)
    click.echo(f"It says:     {smallest.result.broken}", err=True)
    click.echo("Before that:", err=True)
    for line in smallest.trace:
        click.echo(f"  {line}", err=True)


def built() -> str:
    """The commit of the sources that run, where they are a repository; else the version."""
    commit = _commit(Path(__file__).parents[2] / ".git")
    return f"commit {commit[:12]}" if commit else f"version {version('gatectl')}"


def _commit(repository: Path) -> str:
    """HEAD of a repository, by its files alone; empty when there is none."""
    try:
        head = (repository / "HEAD").read_text().strip()
        return (repository / head.removeprefix("ref: ")).read_text().strip() if head.startswith("ref: ") else head
    except OSError:
        return ""
