"""`gatectl refund`: give back a payment, or a part of it."""

import click

from config.places import Places
from gatectl.cli import verbs
from gatectl.cli.base import ask_reason, json_option, pass_places, reason_options
from gatectl.cli.client import Daemon
from gatectl.cli.show import money


@click.command()
@click.argument("payment")
@click.option("--amount", metavar="AMOUNT", help="A part of it: 2 or 2.50. Without: all that is left.")
@click.option("--till", help="Whose drawer gives it; without: the one that took it.")
@click.option("--reference", metavar="TEXT", help="Not cash: the number on the terminal's own refund receipt.")
@click.option("--key", help="The refund's key, to ask again for one whose answer was lost.")
@reason_options
@json_option
@pass_places
def refund(
    places: Places,
    payment: str,
    amount: str | None,
    till: str | None,
    reference: str | None,
    key: str | None,
    reason: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Give back PAYMENT (its key, as `gatectl ticket show --json` tells it), with a receipt of its own. Asks why."""
    minor = None if amount is None else verbs.amount(places, amount)
    Daemon(places.socket).get("status")  # that nobody answers is said before a reason is asked
    why = ask_reason(f"Give back {amount or 'all that is left'} of payment {payment}?", reason, yes)
    words = {"payment": payment, "amount_minor": minor, "till": till, "reference": reference, "key": key}
    answer = verbs.ask(places, "pay-refund", as_json, **words, reason=why)
    if not as_json:
        told = f"{money(answer['amount_minor'], answer['currency'])} {answer['method']} out of {answer['till']}"
        click.echo(f"Give back {told}. Receipt {answer['series']}-{answer['receipt']}.")
