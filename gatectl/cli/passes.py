"""`gatectl pass`: monthly and annual parkers, by hand: make one, look, suspend, set to neutral."""

from typing import Any

import click

from config.places import Places
from gatectl.cli import verbs
from gatectl.cli.base import ask_reason, json_option, pass_places, reason_options, utc_option
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import clock, emit, now_ms, table


@click.group("pass")
def pass_group() -> None:
    """Make, show, suspend passes; set them to neutral."""


@pass_group.command("add")
@click.argument("name", metavar="PASS")
@click.option("--holder", metavar="TEXT", help="An opaque name: a flat, a contract number. No person's name.")
@click.option("--contract", metavar="NAME", help="The group contract that limits it.")
@click.option("--from", "from_", metavar="TIME", help="Valid from, as 2026-12-01T00:00 local time. [now]")
@click.option("--until", metavar="TIME", help="Valid until. [until it is withdrawn]")
@click.option("--areas", metavar="NAMES", help="Areas with spaces between them. [all]")
@click.option("--hours", metavar="TEXT", help='As in "mon-fri 07:00-19:00; sat 08:00-14:00". [always]')
@click.option("--cars", type=click.IntRange(1), help="How many may be inside at once. [1]")
@click.option("--grace-days", type=click.IntRange(0), help="Let in for so long after its end. [0]")
@click.option("--grace", type=click.Choice(["free", "priced"]), help="What it costs then. [free]")
@click.option(
    "--antipassback", type=click.Choice(["hard", "soft", "timed"]), help="For a car that is inside already. [hard]"
)
@click.option("--reentry-minutes", type=click.IntRange(0), help="With timed: so long it is refused.")
@click.option("--cards", metavar="NUMBERS", help="Card numbers as a reader tells them; only their hashes are kept.")
@click.option("--pin", metavar="DIGITS", help="4 to 8 digits; only the hash is kept.")
@click.option("--plates", metavar="PLATES", help="Number plates with spaces between them, none inside.")
@json_option
@pass_places
def add(places: Places, /, name: str, from_: str | None, until: str | None, as_json: bool, **terms: Any) -> None:
    """Make PASS here, or change one that was made here: 1 to 11 digits and capitals but I, L, O, U. Prints its code."""
    times = {"from_ms": verbs.moment(from_), "until_ms": verbs.moment(until)}
    answer = verbs.ask(places, "pass-add", as_json, pass_id=name, **times, **terms)
    if not as_json:
        click.echo(f"Code for its QR: {answer['code']}")


@pass_group.command("show")
@click.argument("name", metavar="PASS")
@utc_option
@json_option
@pass_places
def show(places: Places, name: str, utc: bool, as_json: bool) -> None:
    """One pass: its terms, and which cars are inside by it."""
    found = verbs.rows(places, "passes", "pass_id", name)["rows"]
    if not found:
        raise CommandFailed("E-NOT-01", f"No pass {name} is known here.", action="gatectl pass list")
    (row,) = found
    stays = [stay for stay in verbs.rows(places, "pass_stays", "pass_id", name)["rows"] if stay["ended"] is None]
    if as_json:
        emit({"schema": "gatectl.pass/1", "pass": row, "inside": stays})
        return
    click.echo("\n".join(_lines(row, stays, utc)))


def _lines(row: dict[str, Any], stays: list[dict[str, Any]], utc: bool) -> list[str]:
    rules = f"{row['cars']} at once, anti-passback {row['antipassback']}"
    told = [
        f"Pass {row['pass_id']} ({row['holder'] or 'no holder named'}), {_state(row)}, by {row['source']}",
        f"Valid   {clock(row['from_ms'], utc)} to {clock(row['until_ms'], utc) if row['until_ms'] else 'further notice'}",
        f"Where   {row['areas'] or 'everywhere'}, {row['hours'] or 'at all hours'}",
        f"Cars    {rules}{', contract ' + row['contract'] if row['contract'] else ''}",
    ]
    if row["suspended_by"]:
        told.append(f"Held    by {row['suspended_by']}: {row['suspended_why']}")
    for stay in stays:
        counted = "" if stay["counted"] else ", not counted"
        told.append(f"Inside  {stay['ticket']} since {clock(stay['used_ms'], utc)}{counted}")
    return told


@pass_group.command("list")
@utc_option
@json_option
@pass_places
def list_passes(places: Places, utc: bool, as_json: bool) -> None:
    """Passes that are known here, of the office and of this site."""
    answer = verbs.rows(places, "passes")
    if as_json:
        emit(answer)
    elif not answer["rows"]:
        click.echo("No pass is known here. Make one with: gatectl pass add PASS")
    else:
        head = ("PASS", "HOLDER", "CONTRACT", "UNTIL", "CARS", "STATE", "BY")
        click.echo(table(head, [_line(row, utc) for row in answer["rows"]]))


def _line(row: dict[str, Any], utc: bool) -> tuple[str, ...]:
    until = clock(row["until_ms"], utc)
    return (row["pass_id"], row["holder"], row["contract"], until, str(row["cars"]), _state(row), row["source"])


def _state(row: dict[str, Any]) -> str:
    if row["withdrawn"]:
        return "withdrawn"
    if row["suspended_by"]:
        return "suspended"
    return "ended" if row["until_ms"] is not None and row["until_ms"] <= now_ms() else "good"


@pass_group.command("suspend")
@click.argument("name", metavar="PASS")
@reason_options
@json_option
@pass_places
def suspend(places: Places, name: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Let PASS in no more until it is resumed; its cars go out."""
    why = ask_reason(f"Suspend pass {name}?", reason, yes)
    verbs.ask(places, "pass-suspend", as_json, pass_id=name, reason=why)


@pass_group.command("resume")
@click.argument("name", metavar="PASS")
@json_option
@pass_places
def resume(places: Places, name: str, as_json: bool) -> None:
    """End the suspension of PASS."""
    verbs.ask(places, "pass-resume", as_json, pass_id=name)


@pass_group.command("withdraw")
@click.argument("name", metavar="PASS")
@json_option
@pass_places
def withdraw(places: Places, name: str, as_json: bool) -> None:
    """End PASS for good, if it was made here."""
    verbs.ask(places, "pass-withdraw", as_json, pass_id=name)


@pass_group.command("neutral")
@click.argument("name", metavar="[PASS]", required=False)
@click.option("--all", "every", is_flag=True, help="Every pass, after a time of free flow.")
@reason_options
@json_option
@pass_places
def neutral(places: Places, name: str | None, every: bool, reason: str | None, yes: bool, as_json: bool) -> None:
    """Count no car against PASS that may be outside again: an open lane, a repair."""
    if every == (name is not None):
        raise CommandFailed("E-USE-01", "One pass, or --all.", action="gatectl pass neutral PASS")
    why = ask_reason(f"Set {'every pass' if every else f'pass {name}'} to neutral?", reason, yes)
    if every:
        verbs.ask(places, "pass-neutral-all", as_json, reason=why)
    else:
        verbs.ask(places, "pass-neutral", as_json, pass_id=name, reason=why)
