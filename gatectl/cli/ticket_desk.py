"""`gatectl ticket`, the exceptions desk: damaged, swapped, foreign and stale tickets, typed numbers, a price by a person."""

from typing import Any

import click

from config.places import Places
from gatectl.cli import offline, verbs
from gatectl.cli.base import ask_reason, json_option, pass_places, reason_options, request_id, utc_option
from gatectl.cli.client import Daemon
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import clock, emit, money, now_ms, sentence, since, span, table
from gatectl.cli.ticket import ticket

__all__ = ("ticket",)  # the group, with the commands of this file in it

CLOSE_MAX = 1_000
"""gatectl.domain.business.exceptions.CLOSE_MAX, whose module a command need not load; a test compares."""
DAY_MS = 86_400_000
CAUSES = ("foreign", "unreadable", "special")


def _asked(places: Places, verb: str, as_json: bool, **words: object) -> None:
    """Ask the desk; say the new numbers, what is due on each and how to go on."""
    given = {name: word for name, word in words.items() if word is not None}
    answer = Daemon(places.socket).post("do", verb, words=given, request=request_id())
    if as_json:
        emit(answer)
        return
    click.echo(f"{sentence(answer['done'])} Recorded as event {answer['position']}.")
    for new in answer.get("tickets", ()):
        click.echo(f"{new['ticket']}: due {money(new['due_minor'], new['currency'])}. {_next(new)}")


def _next(new: dict[str, Any]) -> str:
    if new["due_minor"]:
        return f"Take the money: gatectl pay {new['ticket']}"
    return f"Let it out: gatectl ticket present {new['ticket']} LANE"


@ticket.command()
@click.argument("number")
@reason_options
@json_option
@pass_places
def damaged(places: Places, number: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Replace a ticket that no reader reads: type the NUMBER that is printed on it."""
    why = ask_reason(f"Replace {number}? Its paper opens nothing any more.", reason, yes)
    _asked(places, "ticket-damaged", as_json, ticket=number, reason=why)


@ticket.command()
@click.argument("number")
@click.argument("other")
@reason_options
@json_option
@pass_places
def swap(places: Places, number: str, other: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Two drivers hold each other's tickets: both are replaced.

    Who holds NUMBER takes the ticket that replaces OTHER, and the other way round.
    """
    why = ask_reason(f"Replace {number} and {other}? Neither paper opens anything any more.", reason, yes)
    _asked(places, "ticket-swap", as_json, ticket=number, other=other, reason=why)


@ticket.command()
@click.argument("cause", type=click.Choice(CAUSES))
@click.option("--minutes", type=click.IntRange(0, 525_600), help="How long the driver proves to have been inside.")
@click.option("--price", metavar="AMOUNT", help="What it costs, whatever the tariff says.")
@click.option("--lane", help="The lane where the driver stands.")
@reason_options
@json_option
@pass_places
def special(
    places: Places,
    cause: str,
    minutes: int | None,
    price: str | None,
    lane: str | None,
    reason: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """A ticket for a vehicle that is inside without one of this site.

    Its driver holds another operator's ticket (foreign), one of which not even the number can be read (unreadable), or has a
    story of its own (special). Without --minutes and --price it costs what a lost ticket costs.
    """
    minor = None if price is None else verbs.amount(places, price)
    why = ask_reason("Make a special ticket?", reason, yes)
    _asked(places, "ticket-special", as_json, cause=cause, minutes=minutes, price_minor=minor, lane=lane, reason=why)


@ticket.command("price")
@click.argument("number")
@click.argument("amount")
@reason_options
@json_option
@pass_places
def set_price(places: Places, number: str, amount: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Say what a stay costs in all, as in 12 or 12.50; the last word over tariff, rights and coupons."""
    minor = verbs.amount(places, amount)
    shown = money(minor, verbs.currency(places))
    why = ask_reason(f"Set the price of {number} to {shown}? It is recorded with your name.", reason, yes)
    _asked(places, "ticket-price", as_json, ticket=number, price_minor=minor, reason=why)


@ticket.command()
@click.argument("number")
@click.argument("lane")
@reason_options
@json_option
@pass_places
def present(places: Places, number: str, lane: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Show a ticket at an exit LANE by its NUMBER, for a driver whose paper is not read.

    The lane treats it as if its reader had read it: it asks for what is due, or opens. A vehicle must stand there.
    """
    why = ask_reason(
        f"Show {number} at {lane}? It opens for the vehicle that stands there if nothing is due.", reason, yes
    )
    _asked(places, "ticket-present", as_json, ticket=number, lane=lane, reason=why)


# -- stale tickets --------------------------------------------------------------------------------------------------


def _before(days: int, before: str | None) -> int:
    at_ms = since(before) if before is not None else now_ms() - days * DAY_MS
    assert at_ms is not None
    return at_ms


def _stale(places: Places, before_ms: int, area: str | None) -> dict[str, Any]:
    """gatectl.stale/1: the tickets, oldest first, and the count of each area before and after they are closed."""
    found = offline.ask(
        places,
        lambda daemon: daemon.get("tickets", state="inside", before_ms=before_ms, limit=CLOSE_MAX),
        lambda mirror: mirror.tickets("inside", None, CLOSE_MAX, before_ms=before_ms),
    )["tickets"]
    rows = [row for row in reversed(found) if area in (None, row["area"])]
    counts = {row["area"]: row["inside"] for row in _areas(places)}
    closed: dict[str, int] = {}
    for row in rows:
        closed[row["area"]] = closed.get(row["area"], 0) + 1
    areas = [
        {"area": name, "closed": many, "inside": counts.get(name, 0), "after": counts.get(name, 0) - many}
        for name, many in sorted(closed.items())
    ]
    return {"schema": "gatectl.stale/1", "before_ms": before_ms, "tickets": rows, "areas": areas}


def _areas(places: Places) -> list[dict[str, Any]]:
    try:
        answer = Daemon(places.socket).get("status")
    except CommandFailed:
        answer = offline.status(places)
    rows: list[dict[str, Any]] = answer["areas"]
    return rows


@ticket.command("stale")
@click.option("--days", type=click.IntRange(0, 3650), default=7, show_default=True, help="Open for longer than this.")
@click.option("--before", metavar="TIME", help="Issued before this instead: 12h, or 2026-11-22T14:00.")
@click.option("--area", help="Only of this area.")
@json_option
@utc_option
@pass_places
def list_stale(places: Places, days: int, before: str | None, area: str | None, as_json: bool, utc: bool) -> None:
    """Tickets whose vehicles have been inside for too long, oldest first, and what closing them makes of the counts."""
    answer = _stale(places, _before(days, before), area)
    emit(answer) if as_json else click.echo(_stale_text(answer, utc))


def _stale_text(answer: dict[str, Any], utc: bool) -> str:
    rows, before_ms = answer["tickets"], answer["before_ms"]
    if not rows:
        return f"No ticket is older than {clock(before_ms, utc)}."
    lines = [
        (
            row["ticket"],
            clock(row["issued_ms"], utc),
            span(now_ms() - row["issued_ms"]),
            row["area"],
            row["spot"] or "-",
        )
        for row in rows
    ]
    counts = [
        (row["area"], str(row["closed"]), str(row["inside"]), str(row["after"]), str(row["inside"]))
        for row in answer["areas"]
    ]
    more = f"\nThese are {CLOSE_MAX}, and there may be more.\n" if len(rows) >= CLOSE_MAX else "\n"
    return (
        table(("TICKET", "ISSUED", "OPEN FOR", "AREA", "SPOT"), lines)
        + "\n"
        + more
        + table(("AREA", "STALE", "COUNTED INSIDE", "AFTER --count adjust", "AFTER --count keep"), counts)
        + "\n\nadjust: nobody saw these vehicles leave. keep: they were counted out, without their tickets.\n"
        + f"Close them with: gatectl ticket close-stale --before-ms {before_ms} --expected {len(rows)} --count ..."
    )


@ticket.command("close-stale")
@click.option("--before-ms", type=int, required=True, help="As the list said.")
@click.option("--expected", type=click.IntRange(1, CLOSE_MAX), required=True, help="How many were listed.")
@click.option(
    "--count", type=click.Choice(["adjust", "keep"]), required=True, help="So many fewer inside, or as it is."
)
@click.option("--area", help="Only of this area, as the list was.")
@reason_options
@json_option
@pass_places
def close_stale(
    places: Places,
    before_ms: int,
    expected: int,
    count: str,
    area: str | None,
    reason: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Close the tickets that `gatectl ticket stale` listed, in one go. Refused if they are others by now."""
    why = ask_reason(f"Close {expected} tickets? They open no exit any more.", reason, yes)
    words = {"before_ms": before_ms, "expected": expected, "keep_count": count == "keep", "area": area, "reason": why}
    given = {name: word for name, word in words.items() if word is not None}
    answer = Daemon(places.socket).post("do", "tickets-close", words=given, request=request_id())
    if as_json:
        emit(answer)
        return
    click.echo(f"{sentence(answer['done'])} Recorded as event {answer['position']}.")
    for row in answer["areas"]:
        click.echo(f"{row['area']}: {row['closed']} closed, {row['inside']} counted inside now.")


# -- the register -------------------------------------------------------------------------------------------------------


@ticket.command("exceptions")
@json_option
@utc_option
@pass_places
def list_exceptions(places: Places, as_json: bool, utc: bool) -> None:
    """What the desk has decided, newest first: each with the person and the reason."""
    answer = verbs.rows(places, "exceptions")
    rows = sorted(answer["rows"], key=lambda row: (-row["noted_ms"], row["ticket"]))
    if as_json:
        emit({**answer, "rows": rows})
    elif rows:
        head = ("WHEN", "ACT", "TICKET", "NOW", "BY", "REASON")
        lines = [
            (clock(row["noted_ms"], utc), row["act"], row["ticket"], row["other"] or "-", row["noted_by"], row["why"])
            for row in rows
        ]
        click.echo(table(head, lines))
    else:
        click.echo("The desk has decided nothing yet.")
