"""`gatectl pay`: a cashier takes money for a ticket."""

import os
from typing import Any

import click

from config.places import Places
from gatectl.cli import verbs
from gatectl.cli.base import ask_yes, json_option, pass_places, prompted
from gatectl.cli.client import Daemon
from gatectl.cli.errors import CommandFailed, cancelled
from gatectl.cli.show import emit, money
from gatectl.cli.ticket import price_text
from gatectl.domain.money import BadAmount, UnknownCurrency, parse_amount


@click.command()
@click.argument("ticket")
@click.option("--cash", metavar="AMOUNT", help="What the driver gives: 20, 20.50 or 20,50.")
@click.option("--amount", metavar="AMOUNT", help="A part of what is due. Without: all of it.")
@click.option(
    "--method",
    default="CASH",
    show_default=True,
    help="CASH, CREDIT_CARD, DEBIT_CARD, UPI, WALLET, ACCOUNT, VALIDATION.",
)
@click.option(
    "--reference", metavar="TEXT", help="Not cash: the terminal's receipt, the account, who pays for the driver."
)
@click.option("--key", help="The payment's key, to ask again for one whose answer was lost.")
@click.option("--till", default="cashier", show_default=True, help="Whose drawer it goes into.")
@click.option("--yes", is_flag=True, help="Do not ask; for scripts. Without --cash: exactly what is due.")
@json_option
@pass_places
def pay(
    places: Places,
    ticket: str,
    cash: str | None,
    amount: str | None,
    method: str,
    reference: str | None,
    key: str | None,
    till: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Show what is due line by line, take money, say the change."""
    daemon = Daemon(places.socket)
    found = daemon.get("tickets", ticket)
    price = found["price"]
    if price is None and key is None:
        raise CommandFailed("E-PAY-04", f"ticket {ticket} is {found['state']}: nothing can be paid on it")
    if key is None and price["due_minor"] == 0:
        raise CommandFailed("E-PAY-01", f"nothing is due for ticket {ticket}")
    if price is not None and not as_json:
        click.echo(price_text(price), err=True)
    part = None if amount is None else verbs.amount(places, amount)
    if price is not None and part is not None:
        price = {**price, "due_minor": min(part, price["due_minor"])}
    tendered = _tendered(cash, price, yes) if method == "CASH" else None
    payment_key = key or os.urandom(16).hex()
    body: dict[str, object] = {"ticket": found["ticket"], "method": method, "tendered_minor": tendered}
    body |= {"amount_minor": part, "reference": reference}
    try:
        answer = daemon.post("payments", **body, key=payment_key, till=till)
    except CommandFailed as failed:
        if failed.code in ("E-CON-01", "E-CON-03", "E-LANE-03", "E-BUSY-01"):
            again = f"gatectl pay {ticket} --key {payment_key}" + (f" --cash {cash}" if cash else "")
            again += f" --method {method} --reference '{reference}'" if method != "CASH" else ""
            again += f" --amount {amount}" if amount else ""
            failed.action = f"It may have been recorded. Ask again with its key, which takes no money twice: {again}"
            failed.data["key"] = payment_key
        raise
    emit(answer) if as_json else click.echo(_receipt(answer))


def _tendered(cash: str | None, price: dict[str, Any] | None, yes: bool) -> int | None:
    """Minor units in the driver's hand; None means exactly what is due. Asks when it was not said."""
    if price is None:
        return None
    currency, due = str(price["currency"]), int(price["due_minor"])
    if cash is None and yes:
        return None
    text = cash if cash is not None else prompted(f"Cash from the driver (Enter: {money(due, currency)} exactly)")
    try:
        tendered = parse_amount(text, currency) if text else due
    except (BadAmount, UnknownCurrency) as error:
        raise CommandFailed("E-USE-01", str(error), action="Write it as 20, 20.50 or 20,50.") from None
    if tendered < due:
        short = money(due - tendered, currency)
        raise CommandFailed("E-PAY-03", f"{money(tendered, currency)} is too little: {short} is missing")
    question = f"Take {money(tendered, currency)}, give back {money(tendered - due, currency)}?"
    if not yes and not ask_yes(question):
        raise cancelled()
    return tendered


def _receipt(answer: dict[str, Any]) -> str:
    currency = answer["currency"]
    return (
        f"Paid {money(answer['amount_minor'], currency)} for ticket {answer['ticket']}."
        f" Change: {money(answer['change_minor'], currency)}. Receipt {answer['series']}-{answer['receipt']}."
    )
