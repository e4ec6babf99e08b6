"""`gatectl reservation`: places that are promised for some hours."""

from typing import Any

import click

from config.places import Places
from gatectl.cli import verbs
from gatectl.cli.base import ask_reason, json_option, pass_places, reason_options, utc_option
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import clock, emit, money, table


@click.group()
def reservation() -> None:
    """Make, show, extend, cancel reservations."""


@reservation.command("add")
@click.argument("area", metavar="AREA")
@click.argument("spot_type", metavar="TYPE")
@click.option("--from", "from_", metavar="TIME", required=True, help="As 2026-12-24T18:00, local time.")
@click.option("--until", metavar="TIME", required=True, help="Its end.")
@click.option("--name", "name", metavar="TEXT", help="1 to 11 digits and capitals but I, L, O, U. [made up]")
@click.option("--holder", metavar="TEXT", help="An opaque name. No person's name.")
@click.option("--pin", metavar="DIGITS", help="4 to 8 digits that open as its code does.")
@click.option("--plate", metavar="PLATE", help="A number plate that opens as its code does.")
@click.option("--early-minutes", type=click.IntRange(0, 255), help="How early the driver may come. [15]")
@click.option("--late-minutes", type=click.IntRange(0), help="How long after its start the place is kept. [to its end]")
@click.option("--prepaid", metavar="AMOUNT", help="What was paid already; without it the stay is priced by the tariff.")
@json_option
@pass_places
def add(
    places: Places,
    /,
    area: str,
    spot_type: str,
    from_: str,
    until: str,
    name: str | None,
    prepaid: str | None,
    as_json: bool,
    **terms: Any,
) -> None:
    """Promise a spot of TYPE in AREA. Prints the code for its QR."""
    answer = verbs.ask(
        places,
        "reservation-add",
        as_json,
        area=area,
        spot_type=spot_type,
        from_ms=verbs.moment(from_),
        until_ms=verbs.moment(until),
        reservation=name,
        prepaid_minor=None if prepaid is None else verbs.amount(places, prepaid),
        **terms,
    )
    if not as_json:
        click.echo(f"Code for its QR: {answer['code']}")


@reservation.command("show")
@click.argument("name", metavar="RESERVATION")
@utc_option
@json_option
@pass_places
def show(places: Places, name: str, utc: bool, as_json: bool) -> None:
    """One reservation: its terms, and what became of it."""
    found = verbs.rows(places, "reservations", "reservation", name)["rows"]
    if not found:
        raise CommandFailed("E-NOT-01", f"No reservation {name} is known here.", action="gatectl reservation list")
    (row,) = found
    if as_json:
        emit({"schema": "gatectl.reservation/1", "reservation": row})
        return
    prepaid = "the tariff" if row["prepaid_minor"] is None else money(row["prepaid_minor"], verbs.currency(places))
    click.echo(f"Reservation {name} ({row['holder'] or 'no holder named'}), {_state(row)}, by {row['source']}")
    click.echo(
        f"When    {clock(row['from_ms'], utc)} to {clock(row['until_ms'], utc)}, {row['early_minutes']} min early"
    )
    click.echo(f"What    {row['spot_type']} in {row['area']}, kept for {row['late_minutes']} min")
    click.echo(f"Paid    {prepaid}")
    if row["ticket"]:
        click.echo(f"Used    {clock(row['used_ms'], utc)}, ticket {row['ticket']}")


@reservation.command("list")
@click.option("--all", "every", is_flag=True, help="Those that are over too.")
@utc_option
@json_option
@pass_places
def list_reservations(places: Places, every: bool, utc: bool, as_json: bool) -> None:
    """Reservations that are known here and not over."""
    answer = verbs.rows(places, "reservations")
    rows = [row for row in answer["rows"] if every or row["closed_ms"] is None]
    if as_json:
        emit({**answer, "rows": rows})
    elif not rows:
        click.echo("No reservation is known here. Those of the office may also come with their drivers, as a code.")
    else:
        head = ("RESERVATION", "FROM", "UNTIL", "PLACE", "STATE", "TICKET", "BY")
        click.echo(table(head, [_line(row, utc) for row in rows]))


def _line(row: dict[str, Any], utc: bool) -> tuple[str, ...]:
    times = (clock(row["from_ms"], utc), clock(row["until_ms"], utc))
    where = f"{row['area']}/{row['spot_type']}"
    return (row["reservation"], *times, where, _state(row), row["ticket"] or "-", row["source"])


def _state(row: dict[str, Any]) -> str:
    over = row["closed_ms"] is not None and row["state"] in ("booked", "held", "released")
    return "not used" if over else str(row["state"])


@reservation.command("extend")
@click.argument("name", metavar="RESERVATION")
@click.argument("until", metavar="TIME")
@json_option
@pass_places
def extend(places: Places, name: str, until: str, as_json: bool) -> None:
    """Let RESERVATION end later, at TIME, as 2026-12-24T22:00."""
    verbs.ask(places, "reservation-extend", as_json, reservation=name, until_ms=verbs.moment(until))


@reservation.command("cancel")
@click.argument("name", metavar="RESERVATION")
@reason_options
@json_option
@pass_places
def cancel(places: Places, name: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Give back RESERVATION, which nobody has used."""
    why = ask_reason(f"Cancel reservation {name}?", reason, yes)
    verbs.ask(places, "reservation-cancel", as_json, reservation=name, reason=why)
