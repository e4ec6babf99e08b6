"""`gatectl ticket`: what became of a ticket; voiding; a lost one."""

from typing import TYPE_CHECKING, Any

import click

from config.places import Places
from gatectl.cli import offline
from gatectl.cli.base import ask_reason, json_option, pass_places, reason_options, request_id, utc_option
from gatectl.cli.client import Daemon
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import clock, emit, event_line, money, sentence, since, table

if TYPE_CHECKING:
    from gatectl.store.reading import Mirror

STATES = ("issued", "inside", "spent", "exited", "void", "lost", "written-off")
"""gatectl.domain.tickets.TicketState, whose module a command need not load; a test compares."""


@click.group()
def ticket() -> None:
    """Find, show, void tickets; replace lost, damaged and swapped ones; close stale ones."""


@ticket.command()
@click.argument("text", default="")
@click.option("--state", type=click.Choice(STATES), help="Only tickets in this state.")
@click.option("--since", "since_text", metavar="TIME", help="Issued since: 30m, 2h, 1d, or a date.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
@utc_option
@pass_places
@click.pass_context
def find(
    ctx: click.Context,
    places: Places,
    text: str,
    state: str | None,
    since_text: str | None,
    limit: int,
    as_json: bool,
    utc: bool,
) -> None:
    """Tickets whose number or spot holds TEXT, newest first. Exit 4 when there is none."""
    since_ms = since(since_text)
    answer = offline.ask(
        places,
        lambda daemon: daemon.get("tickets", state=state, since_ms=since_ms, limit=limit, q=text),
        lambda mirror: mirror.tickets(state, since_ms, limit, text[:64]),
    )
    rows = answer["tickets"]
    if as_json:
        emit(answer)
    elif rows:
        click.echo(table(("TICKET", "STATE", "ISSUED", "LANE", "SPOT", "LEFT"), [_row(row, utc) for row in rows]))
    else:
        click.echo("No such ticket.", err=True)
    ctx.exit(0 if rows else 4)


def _row(row: dict[str, Any], utc: bool) -> tuple[str, ...]:
    left = f"{clock(row['exited_ms'], utc)} {row['exit_lane'] or ''}".strip() if row["exited_ms"] else "-"
    return (
        str(row["ticket"]),
        str(row["state"]),
        clock(row["issued_ms"], utc),
        str(row["lane"]),
        row["spot"] or "-",
        left,
    )


@ticket.command()
@click.argument("number")
@json_option
@utc_option
@pass_places
def show(places: Places, number: str, as_json: bool, utc: bool) -> None:
    """One ticket: its stay, what is due, payments, everything that happened to it."""

    def from_mirror(mirror: "Mirror") -> dict[str, Any]:
        found = mirror.ticket(number.upper())
        if found is None:
            raise CommandFailed("E-NOT-01", f"there is no ticket {number}")
        return found

    answer = offline.ask(places, lambda daemon: daemon.get("tickets", number), from_mirror)
    emit(answer) if as_json else click.echo(ticket_screen(answer, utc))


def ticket_screen(answer: dict[str, Any], utc: bool) -> str:
    """One ticket in full."""
    void = f" ({answer['void_reason']})" if answer["void_reason"] else ""
    parts = [
        f"{answer['ticket']}   {answer['state']}{void}   {answer['vehicle_type']}   spot {answer['spot'] or '-'}",
        f"issued {clock(answer['issued_ms'], utc)} at {answer['lane']}, tariff {answer['tariff']}",
        f"entered {clock(answer['entered_ms'], utc)}",
    ]
    if answer["exited_ms"]:
        parts.append(f"left {clock(answer['exited_ms'], utc)} at {answer['exit_lane']}")
    if answer["price"]:
        parts.append("\n" + price_text(answer["price"]))
    paid = [row for row in answer["payments"] if row["state"] != "PENDING"]
    if paid:
        lines = [
            (
                str(row["state"]).lower(),
                str(row["method"]),
                money(row["amount_minor"], row["currency"]),
                money(row["refunded_minor"], row["currency"]) if row["refunded_minor"] else "-",
                f"{row['series']}-{row['receipt']}" if row["receipt"] else "-",
                clock(row["paid_ms"], utc),
            )
            for row in paid
        ]
        parts.append("\n" + table(("PAYMENT", "METHOD", "AMOUNT", "REFUNDED", "RECEIPT", "AT"), lines))
    parts.append("\n" + "\n".join(event_line(event, utc) for event in answer["events"]))
    return "\n".join(parts)


def price_text(price: dict[str, Any]) -> str:
    """A price line by line, then what is still due."""
    currency = price["currency"]
    rows = [(str(text), money(minor, currency)) for text, minor in price["lines"]]
    rows.append(("total", money(price["total_minor"], currency)))
    if price["paid_minor"]:
        rows.append(("paid before", money(-price["paid_minor"], currency)))
    rows.append(("DUE", money(price["due_minor"], currency)))
    left = max(len(text) for text, _ in rows)
    right = max(len(amount) for _, amount in rows)
    return "\n".join(f"{text:<{left}}  {amount:>{right}}" for text, amount in rows)


@ticket.command()
@click.argument("number")
@reason_options
@json_option
@pass_places
def void(places: Places, number: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Make a ticket worthless. Asks why."""
    daemon = Daemon(places.socket)
    found = daemon.get("tickets", number)
    why = ask_reason(f"Void ticket {found['ticket']} ({found['state']})? It opens no exit any more.", reason, yes)
    answer = daemon.post("tickets", number, "void", reason=why, request=request_id())
    emit(answer) if as_json else click.echo(f"{sentence(answer['done'])} Recorded as event {answer['position']}.")


@ticket.command()
@click.argument("number", required=False)
@click.option("--minutes", type=click.IntRange(0, 525_600), help="How long the driver proves to have been inside.")
@click.option("--lane", help="The lane where the driver stands.")
@reason_options
@json_option
@pass_places
def lost(
    places: Places,
    number: str | None,
    minutes: int | None,
    lane: str | None,
    reason: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Replace a lost ticket. NUMBER is the stay that was found for the driver (gatectl ticket find), if any."""
    stay = f"the stay of {number}" if number else "a stay that was not found"
    why = ask_reason(f"Replace the ticket of {stay}?", reason, yes)
    body = {"ticket": number, "minutes": minutes, "lane": lane, "reason": why, "request": request_id()}
    answer = Daemon(places.socket).post("tickets", "lost", **body)
    if as_json:
        emit(answer)
        return
    replacement = answer.get("ticket") or answer.get("replacement")
    follow = f" Take the money with: gatectl pay {replacement}" if replacement else ""
    click.echo(f"{sentence(answer['done'])}{follow}")
