"""`gatectl loop watch`: a lane's inputs as they change."""

import time

import click

from config.places import Places
from gatectl.cli.base import json_option, pass_places, utc_option
from gatectl.cli.client import Daemon
from gatectl.cli.show import clock, emit
from gatectl.domain.codes import Exit


@click.group()
def loop() -> None:
    """Watch a lane's inputs as they change."""


@loop.command()
@click.argument("lane")
@click.option("-C", "--count", type=click.IntRange(min=1), help="Stop after so many lines.")
@click.option(
    "-W", "--wait", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Stop after so long."
)
@json_option
@utc_option
@pass_places
@click.pass_context
def watch(
    ctx: click.Context, places: Places, lane: str, count: int | None, wait: float | None, as_json: bool, utc: bool
) -> None:
    """Each input as it is, then each change with the time since the change before.

    With -C and -W: exit 7 when the time was over first.
    """
    seen, until_s = 0, None if wait is None else time.monotonic() + wait
    for row in Daemon(places.socket).stream("lanes", lane, "inputs"):
        if row is not None:
            seen += 1
            state = ("on" if row["on"] else "off") if row["quality"] == "good" else str(row["quality"]).upper()
            at = clock(row["at_ms"], utc, millis=True)
            emit(row) if as_json else click.echo(f"{at}  {row['input']:<10} {state:<6} +{row['since_ms']} ms")
        if count is not None and seen >= count:
            return
        if until_s is not None and time.monotonic() >= until_s:
            ctx.exit(int(Exit.OK if count is None else Exit.NO_ANSWER))
