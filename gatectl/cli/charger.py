"""`gatectl charger`: the chargers and their sessions; ask one to start or stop; say whose a session is."""

from typing import Any

import click

from config.places import Places
from gatectl.cli import verbs
from gatectl.cli.base import ask_reason, json_option, pass_places, reason_options, utc_option
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import clock, emit, table

SESSIONS_SHOWN_MAX = 20


@click.group()
def charger() -> None:
    """Show chargers and their sessions; start and stop them."""


@charger.command("list")
@utc_option
@json_option
@pass_places
def list_chargers(places: Places, utc: bool, as_json: bool) -> None:
    """Chargers: what each says, and which ticket stands there."""
    answer = verbs.rows(places, "chargers")
    if as_json:
        emit(answer)
    elif not answer["rows"]:
        click.echo("No charger is known here. A site file names them under [[chargers]].")
    else:
        head = ("CHARGER", "STATUS", "SINCE", "FAULT", "TICKET", "SESSIONS")
        click.echo(table(head, [_line(row, utc) for row in answer["rows"]]))


def _line(row: dict[str, Any], utc: bool) -> tuple[str, ...]:
    ticket = row["ticket"] or "-"
    standing = f"{ticket} (does not charge)" if row["blocked"] else ticket
    since = clock(row["status_ms"], utc)
    return (row["charger"], row["status"], since, row["fault"] or "-", standing, str(row["sessions"]))


@charger.command("show")
@click.argument("name", metavar="CHARGER")
@utc_option
@json_option
@pass_places
def show(places: Places, name: str, utc: bool, as_json: bool) -> None:
    """One charger, and its newest sessions."""
    found = verbs.rows(places, "chargers", "charger", name)["rows"]
    if not found:
        raise CommandFailed("E-NOT-01", f"No charger {name} is known here.", action="gatectl charger list")
    sessions = verbs.rows(places, "charging_sessions", "charger", name)["rows"]
    newest = sorted(sessions, key=lambda row: row["number"], reverse=True)[:SESSIONS_SHOWN_MAX]
    if as_json:
        emit({"schema": "gatectl.charger/1", "charger": found[0], "sessions": newest})
        return
    (row,) = found
    made = " ".join(row[name] for name in ("vendor", "model", "firmware") if row[name]) or "never heard of"
    click.echo(
        f"Charger {row['charger']}: {row['status']}, {made}{' by ' + row['protocol'] if row['protocol'] else ''}"
    )
    if row["fault"]:
        click.echo(f"Faulted: {row['fault']}")
    head = ("SESSION", "TICKET", "STARTED", "ENDED", "ENERGY", "REASON")
    click.echo(table(head, [_session(session, utc) for session in newest]) if newest else "It has no session yet.")


def _session(row: dict[str, Any], utc: bool) -> tuple[str, ...]:
    energy = f"{row['energy_wh'] // 1000}.{row['energy_wh'] % 1000:03d} kWh"
    doubt = f" ({row['doubt']})" if row["doubt"] else ""
    times = (clock(row["started_ms"], utc), clock(row["ended_ms"], utc))
    return (row["session"], row["ticket"] or "nobody's", *times, energy, f"{row['reason'] or row['state']}{doubt}")


@charger.command("start")
@click.argument("name", metavar="CHARGER")
@click.argument("ticket")
@json_option
@pass_places
def start(places: Places, name: str, ticket: str, as_json: bool) -> None:
    """Ask CHARGER to begin a session for TICKET, whose cable is in."""
    verbs.ask(places, "charging-start", as_json, charger=name, ticket=ticket)


@charger.command("stop")
@click.argument("name", metavar="CHARGER")
@reason_options
@json_option
@pass_places
def stop(places: Places, name: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Ask CHARGER to end its session. The stay goes on."""
    why = ask_reason(f"Stop charging at {name}?", reason, yes)
    verbs.ask(places, "charging-stop", as_json, charger=name, reason=why)


@charger.command("claim")
@click.argument("session")
@click.argument("ticket")
@reason_options
@json_option
@pass_places
def claim(places: Places, session: str, ticket: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Put SESSION, which is nobody's or another's, on TICKET."""
    why = ask_reason(f"Put {session} on ticket {ticket}?", reason, yes)
    verbs.ask(places, "charging-claim", as_json, session=session, ticket=ticket, reason=why)
