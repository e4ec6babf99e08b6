"""`gatectl debt`: what drivers owe who could not pay, and what machines owe drivers because they had no change."""

import os
from typing import Any

import click

from config.places import Places
from gatectl.cli import verbs
from gatectl.cli.base import ask_reason, json_option, pass_places, reason_options, utc_option
from gatectl.cli.show import clock, emit, money, table

_TILL = click.option("--till", default="cashier", show_default=True, help="Whose drawer it is.")


@click.group()
def debt() -> None:
    """Let a driver out who cannot pay; take, forgive, list what is owed."""


@debt.command()
@click.argument("ticket")
@click.option("--debtor", metavar="TEXT", help="Who owes it: a name, a plate, a telephone number.")
@reason_options
@json_option
@pass_places
def make(places: Places, ticket: str, debtor: str | None, reason: str | None, yes: bool, as_json: bool) -> None:
    """What is due for TICKET is owed from now on; its exit opens. Asks why."""
    why = ask_reason(f"Let ticket {ticket} out without money?", reason, yes)
    verbs.ask(places, "debt-make", as_json, ticket=ticket, debtor=debtor, reason=why)


@debt.command()
@click.argument("key", metavar="DEBT")
@click.option("--cash", metavar="AMOUNT", help="What the driver gives: 20, 20.50 or 20,50.")
@click.option("--amount", metavar="AMOUNT", help="A part of the debt. Without: all of it.")
@click.option("--method", default="CASH", show_default=True)
@click.option("--reference", metavar="TEXT", help="Not cash: the terminal's receipt, the account.")
@click.option("--payment", metavar="KEY", help="The payment's key, to ask again for one whose answer was lost.")
@_TILL
@json_option
@pass_places
def pay(
    places: Places,
    key: str,
    cash: str | None,
    amount: str | None,
    method: str,
    reference: str | None,
    payment: str | None,
    till: str,
    as_json: bool,
) -> None:
    """Take money for a debt."""
    words: dict[str, object] = {
        "debt": key,
        "key": payment or os.urandom(16).hex(),
        "till": till,
        "amount_minor": None if amount is None else verbs.amount(places, amount),
        "tendered_minor": None if cash is None else verbs.amount(places, cash),
        "method": method,
        "reference": reference,
    }
    answer = verbs.ask(places, "debt-pay", as_json, **words)
    if not as_json:
        change = money(answer["change_minor"], verbs.currency(places))
        click.echo(f"Change: {change}. Receipt {answer['series']}-{answer['receipt']}.")


@debt.command()
@click.argument("key", metavar="DEBT")
@reason_options
@json_option
@pass_places
def forgive(places: Places, key: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Give up what is left of a debt. Asks why."""
    why = ask_reason(f"Forgive {key}?", reason, yes)
    verbs.ask(places, "debt-forgive", as_json, debt=key, reason=why)


@debt.command("list")
@click.option("--all", "everything", is_flag=True, help="Paid and forgiven ones too.")
@utc_option
@json_option
@pass_places
def list_debts(places: Places, everything: bool, utc: bool, as_json: bool) -> None:
    """Debts that are open."""
    answer = verbs.rows(places, "debts")
    rows = [row for row in answer["rows"] if everything or row["closed_ms"] is None]
    if as_json:
        emit({**answer, "rows": rows})
    elif not rows:
        click.echo("Nobody owes anything.")
    else:
        click.echo(table(("DEBT", "OWED", "BY", "SINCE", "LET OUT BY", "WHY"), [_line(row, utc) for row in rows]))


def _line(row: dict[str, Any], utc: bool) -> tuple[str, ...]:
    left = row["amount_minor"] - row["paid_minor"] - row["forgiven_minor"]
    owed = money(left, row["currency"])
    return row["debt"], owed, row["debtor"] or "-", clock(row["made_ms"], utc), row["made_by"], row["reason"]


@debt.command()
@utc_option
@json_option
@pass_places
def kept(places: Places, utc: bool, as_json: bool) -> None:
    """What machines kept because they had no change, and nobody has given back."""
    answer = verbs.rows(places, "overpayments")
    rows = [row for row in answer["rows"] if row["returned_ms"] is None]
    if as_json:
        emit({**answer, "rows": rows})
    elif not rows:
        click.echo("No machine owes anything.")
    else:
        lines = [
            (row["payment"], row["ticket"], money(row["kept_minor"], row["currency"]), clock(row["kept_ms"], utc))
            for row in rows
        ]
        click.echo(table(("PAYMENT", "TICKET", "KEPT", "AT"), lines))


@debt.command("give-back")
@click.argument("payment")
@_TILL
@reason_options
@json_option
@pass_places
def give_back(places: Places, payment: str, till: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Give a driver what a machine had kept of PAYMENT. Asks why."""
    why = ask_reason(f"Give back what was kept of {payment}?", reason, yes)
    verbs.ask(places, "overpayment-return", as_json, payment=payment, till=till, reason=why)
