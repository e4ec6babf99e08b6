"""`gatectl valet`: vehicles that are handed over, parked, asked for, handed back."""

from typing import Any

import click

from config.places import Places
from gatectl.cli import verbs
from gatectl.cli.base import json_option, pass_places, utc_option
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import clock, emit, money, now_ms, table

WAITING = ("requested", "fetched", "ready")


@click.group()
def valet() -> None:
    """Take vehicles over, park them, keep the queue, hand them back."""


@valet.command("in")
@click.argument("vehicle", metavar="PLATE_OR_NOTE")
@click.option("--key-tag", "tag", metavar="TAG", required=True, help="The tag on the key; on one key at a time.")
@click.option("--ticket", metavar="NUMBER", help="The ticket it came in with. [a new stay begins]")
@click.option("--stand", metavar="NAME", help="Where it was handed over. [valet]")
@json_option
@pass_places
def take(places: Places, /, as_json: bool, **words: str | None) -> None:
    """Take a vehicle over. Prints the claim check for its driver."""
    answer = verbs.ask(places, "valet-in", as_json, **words)
    if not as_json and answer["fee_minor"]:
        click.echo(f"Fee beside the parking: {money(answer['fee_minor'], answer['currency'])}")


@valet.command("park")
@click.argument("claim", metavar="CLAIM")
@click.argument("spot", metavar="SPOT", required=False)
@json_option
@pass_places
def park(places: Places, claim: str, spot: str | None, as_json: bool) -> None:
    """Say that it is parked: on SPOT, or on the one that is held for it."""
    verbs.ask(places, "valet-park", as_json, claim=claim, spot=spot)


@valet.command("request")
@click.argument("claim", metavar="CLAIM")
@click.option("--in", "minutes", type=click.IntRange(0), help="Wanted in so many minutes. [now]")
@json_option
@pass_places
def request(places: Places, claim: str, minutes: int | None, as_json: bool) -> None:
    """Its driver wants it back."""
    verbs.ask(places, "valet-request", as_json, claim=claim, minutes=minutes)


@valet.command("fetch")
@click.argument("claim", metavar="CLAIM")
@json_option
@pass_places
def fetch(places: Places, claim: str, as_json: bool) -> None:
    """Go for it: says the spot and the key's tag."""
    verbs.ask(places, "valet-fetch", as_json, claim=claim)


@valet.command("ready")
@click.argument("claim", metavar="CLAIM")
@json_option
@pass_places
def ready(places: Places, claim: str, as_json: bool) -> None:
    """It stands at the stand and waits for its driver."""
    verbs.ask(places, "valet-ready", as_json, claim=claim)


@valet.command("back")
@click.argument("claim", metavar="CLAIM")
@click.option("--to-exit", is_flag=True, help="Its driver leaves through an exit lane and pays there.")
@json_option
@pass_places
def back(places: Places, claim: str, to_exit: bool, as_json: bool) -> None:
    """Hand it back. That ends a stay that is paid."""
    verbs.ask(places, "valet-back", as_json, claim=claim, to_exit=to_exit or None)


@valet.command("note")
@click.argument("claim", metavar="CLAIM")
@click.argument("text", metavar="TEXT")
@click.option("--photos", metavar="NAMES", help="Where the pictures are; they are not kept here.")
@json_option
@pass_places
def note(places: Places, claim: str, text: str, photos: str | None, as_json: bool) -> None:
    """Note a damage, as seen when it was handed over or when it is handed back."""
    verbs.ask(places, "valet-note", as_json, claim=claim, text=text, photos=photos)


@valet.command("lost")
@click.argument("tag", metavar="TAG")
@click.option("--proof", metavar="TEXT", required=True, help="What its driver showed instead. No number of a document.")
@json_option
@pass_places
def lost(places: Places, tag: str, proof: str, as_json: bool) -> None:
    """The claim check is lost: another one for the key with TAG. The old one opens nothing."""
    verbs.ask(places, "valet-lost", as_json, tag=tag, proof=proof)


@valet.command("queue")
@utc_option
@json_option
@pass_places
def queue(places: Places, utc: bool, as_json: bool) -> None:
    """What is asked for, in the order in which it is wanted, and how long its driver has waited."""
    answer = verbs.rows(places, "valet")
    rows = [row for row in answer["rows"] if row["open"] and row["state"] in WAITING]
    rows.sort(key=lambda row: (row["wanted_ms"], row["requested_ms"], row["visit"]))
    if as_json:
        emit({**answer, "rows": rows})
    elif not rows:
        click.echo("Nobody waits.")
    else:
        head = ("", "CLAIM", "TAG", "VEHICLE", "SPOT", "WANTED", "WAITED", "STATE", "BY")
        click.echo(table(head, [_waiting(number, row, utc) for number, row in enumerate(rows, 1)]))


def _waiting(number: int, row: dict[str, Any], utc: bool) -> tuple[str, ...]:
    """Waited: from when it was wanted, at the earliest when it was asked for, until it was ready."""
    waited_ms = max(0, (row["ready_ms"] or now_ms()) - max(row["wanted_ms"], row["requested_ms"]))
    by = row["ready_by"] if row["state"] == "ready" else row["fetched_by"] if row["state"] == "fetched" else ""
    where = (row["spot"] or "-", clock(row["wanted_ms"], utc), f"{waited_ms // 60_000} min")
    return (str(number), row["claim"], row["tag"], row["vehicle"], *where, row["state"], by or "-")


@valet.command("list")
@utc_option
@json_option
@pass_places
def list_valet(places: Places, utc: bool, as_json: bool) -> None:
    """Vehicles in the valet's hands."""
    answer = verbs.rows(places, "valet")
    rows = [row for row in answer["rows"] if row["open"]]
    if as_json:
        emit(answer)
    elif not rows:
        click.echo("No vehicle is here.")
    else:
        head = ("CLAIM", "TAG", "VEHICLE", "SPOT", "SINCE", "STATE", "NOTES")
        click.echo(table(head, [_line(row, utc) for row in rows]))


def _line(row: dict[str, Any], utc: bool) -> tuple[str, ...]:
    where = (row["spot"] or "-", clock(row["received_ms"], utc))
    return (row["claim"], row["tag"] or "-", row["vehicle"], *where, row["state"], str(row["notes"]))


@valet.command("show")
@click.argument("visit", metavar="VISIT")
@utc_option
@json_option
@pass_places
def show(places: Places, visit: str, utc: bool, as_json: bool) -> None:
    """One visit, by the ticket's number in its claim check: who had it when, and what was noted."""
    name = visit.upper()
    found = verbs.rows(places, "valet", "visit", name)["rows"]
    if not found:
        raise CommandFailed("E-VLT-03", f"No visit {name} is known here.", action="gatectl valet list")
    (row,) = found
    notes = verbs.rows(places, "valet_notes", "visit", name)["rows"]
    claims = verbs.rows(places, "valet_claims", "visit", name)["rows"]
    if as_json:
        emit({"schema": "gatectl.valet/1", "visit": row, "notes": notes, "claims": claims})
        return
    lines = [f"Visit {row['visit']}, {row['state']}, ticket {row['ticket']}, tag {row['tag'] or '-'}: {row['vehicle']}"]
    for step in ("received", "parked", "requested", "fetched", "ready", "returned"):
        if row[f"{step}_ms"]:
            spot = f" on {row['spot']}" if step == "parked" and row["spot"] else ""
            lines.append(f"{step.capitalize():<10}{clock(row[f'{step}_ms'], utc)} by {row[f'{step}_by']}{spot}")
    lines += [f"Noted {one['moment']:<4}{one['note']} ({one['noted_by']})" for one in notes]
    lines += [f"Claim check {one['issue']} by {one['issued_by']}: {one['proof']}" for one in claims]
    click.echo("\n".join(lines))
