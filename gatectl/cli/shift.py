"""`gatectl shift`: a cashier's shift on a till, from the float to the count."""

from typing import Any

import click

from config.places import Places
from gatectl.cli import verbs
from gatectl.cli.base import json_option, pass_places, utc_option
from gatectl.cli.show import clock, emit, money, table


@click.group()
def shift() -> None:
    """Open, look at, hand over and close a cashier's shift."""


@shift.command("open")
@click.argument("float_amount", metavar="FLOAT")
@click.option("--till", default="cashier", show_default=True, help="Whose drawer it is.")
@json_option
@pass_places
def open_shift(places: Places, float_amount: str, till: str, as_json: bool) -> None:
    """Begin a shift with FLOAT counted into the drawer, as in 150 or 150.00."""
    verbs.ask(places, "shift-open", as_json, till=till, float_minor=verbs.amount(places, float_amount))


@shift.command("close")
@click.argument("counted", metavar="COUNTED")
@click.option("--till", default="cashier", show_default=True, help="Whose drawer it is.")
@click.option("--reason", metavar="TEXT", help="Needed when the count is not what is expected.")
@json_option
@pass_places
def close_shift(places: Places, counted: str, till: str, reason: str | None, as_json: bool) -> None:
    """End a shift with COUNTED in the drawer; says the difference."""
    minor = verbs.amount(places, counted)
    answer = verbs.ask(places, "shift-close", as_json, till=till, counted_minor=minor, reason=reason)
    if not as_json:
        currency = verbs.currency(places)
        difference, expected = answer["difference_minor"], answer["expected_minor"]
        click.echo(f"Expected {money(expected, currency)}, difference {money(difference, currency)}.")


@shift.command()
@click.argument("counted", metavar="COUNTED")
@click.argument("relief", metavar="NAME")
@click.option("--till", default="cashier", show_default=True, help="Whose drawer it is.")
@click.option("--reason", metavar="TEXT", help="Needed when the count is not what is expected.")
@json_option
@pass_places
def relieve(places: Places, counted: str, relief: str, till: str, reason: str | None, as_json: bool) -> None:
    """End a shift with COUNTED in the drawer and hand it to NAME, whose float that is."""
    minor = verbs.amount(places, counted)
    answer = verbs.ask(places, "shift-relieve", as_json, till=till, counted_minor=minor, relief=relief, reason=reason)
    if not as_json:
        currency = verbs.currency(places)
        difference, expected = answer["difference_minor"], answer["expected_minor"]
        click.echo(f"Expected {money(expected, currency)}, difference {money(difference, currency)}.")


@shift.command()
@click.argument("key", metavar="SHIFT")
@utc_option
@json_option
@pass_places
def payments(places: Places, key: str, utc: bool, as_json: bool) -> None:
    """What was taken and given back in a shift, of every method."""
    answer = verbs.rows(places, "shift_entries", "shift", key)
    if as_json:
        emit(answer)
    elif not answer["rows"]:
        click.echo(f"Nothing was taken in shift {key}.")
    else:
        currency = verbs.currency(places)
        lines = [
            (
                row["what"],
                row["method"],
                money(row["amount_minor"], currency),
                clock(row["entered_ms"], utc),
                row["key"],
            )
            for row in sorted(answer["rows"], key=lambda row: int(row["entered_ms"]))
        ]
        click.echo(table(("WHAT", "METHOD", "AMOUNT", "AT", "KEY"), lines))


@shift.command("list")
@utc_option
@json_option
@pass_places
def list_shifts(places: Places, utc: bool, as_json: bool) -> None:
    """Shifts, open and closed."""
    answer = verbs.rows(places, "shifts")
    emit(answer) if as_json else click.echo(_lines(answer["rows"], utc))


def _lines(rows: list[dict[str, Any]], utc: bool) -> str:
    if not rows:
        return "No shift was ever opened. Open one with: gatectl shift open FLOAT"
    head = ("SHIFT", "TILL", "OPENED", "BY", "FLOAT", "CASH", "CLOSED", "DIFFERENCE")
    return table(head, [_line(row, utc) for row in rows])


def _line(row: dict[str, Any], utc: bool) -> tuple[str, ...]:
    currency = row["currency"]
    difference = None if row["counted_minor"] is None else row["counted_minor"] - row["expected_minor"]
    return (
        row["shift"],
        row["till"],
        clock(row["opened_ms"], utc),
        row["opened_by"],
        money(row["float_minor"], currency),
        money(row["cash_minor"], currency),
        clock(row["closed_ms"], utc),
        "-" if difference is None else money(difference, currency),
    )
