"""The rules of taking money that need nothing but the amounts and the key.

Rule 1: a payment's key is made by whoever asks, once, and kept for ever. The same key with the same request is a repeat
and gets the first answer; with another request it is refused.
Rule 2: money that changed hands is never negative, and change is given out of what was tendered alone.
Rule 3: no card number is here or anywhere; a terminal's answer brings a reference and at most four digits.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gatectl.domain.facts import PaymentTaken
from gatectl.domain.ids import PaymentId, TicketNumber
from gatectl.domain.money import AMOUNT_MINOR_MAX


class Method(StrEnum):
    """How money comes in; the words are the wire's."""

    CASH = "CASH"
    CREDIT_CARD = "CREDIT_CARD"
    DEBIT_CARD = "DEBIT_CARD"
    UPI = "UPI"
    WALLET = "WALLET"
    ACCOUNT = "ACCOUNT"  # charged to an account that pays later
    VALIDATION = "VALIDATION"  # a merchant or the house pays for the driver


METHODS: Final = tuple(Method)
BY_TERMINAL: Final = frozenset({Method.CREDIT_CARD, Method.DEBIT_CARD, Method.UPI, Method.WALLET})
"""What a payment terminal brings, and can take back."""


@dataclass(frozen=True, slots=True)
class PaymentRefusal:
    """`code` is an E-... code, `why` is for the person who asked."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Settled:
    """`amount_minor` is paid, `change_minor` goes back, `kept_minor` should and cannot; together they are what was tendered."""

    amount_minor: int
    tendered_minor: int
    change_minor: int
    kept_minor: int


@dataclass(frozen=True, slots=True)
class PaymentAsked:
    """A request to take money. `amount_minor` None: all that is due; `tendered_minor` None: exactly the amount.

    `reference`: the terminal's receipt, the account, the merchant; for everything but cash.
    """

    payment: PaymentId
    ticket: TicketNumber
    method: Method
    amount_minor: int | None
    tendered_minor: int | None = None
    reference: str = ""


def settle_cash(due_minor: int, tendered_minor: int, gives_change: bool = True) -> Settled | PaymentRefusal:
    """The change for cash that covers what is due; a till that cannot give any keeps it, on record.

    Refused with E-PAY-01 when nothing is due, E-PAY-03 when too little is tendered, E-USE-01 when the figure is beyond
    every till (a slip of the keyboard, which no record could hold).
    """
    if due_minor <= 0:
        return PaymentRefusal("E-PAY-01", "nothing is due")
    if tendered_minor > AMOUNT_MINOR_MAX:
        return PaymentRefusal("E-USE-01", f"more than {AMOUNT_MINOR_MAX} minor units tendered")
    if tendered_minor < due_minor:
        return PaymentRefusal("E-PAY-03", f"{tendered_minor} of {due_minor} minor units tendered")
    over = tendered_minor - due_minor
    return Settled(due_minor, tendered_minor, over if gives_change else 0, 0 if gives_change else over)


def same_request(taken: PaymentTaken, asked: PaymentAsked) -> PaymentRefusal | None:
    """Whether `asked`, which came under the key of `taken`, asks for it again: None if so, else E-PAY-02.

    It is judged on the recorded fact, so that it holds after a restart and at the office too. What a request leaves
    open ("all that is due", "exactly") means what it meant when the money was taken, not what is due by now.
    """
    assert taken.payment == asked.payment, f"{asked.payment} compared with {taken.payment}"
    amount_minor = taken.due_minor if asked.amount_minor is None else asked.amount_minor
    tendered_minor = amount_minor if asked.tendered_minor is None else asked.tendered_minor
    changed = [
        name
        for name, differs in (
            ("ticket", taken.ticket != asked.ticket),
            ("method", taken.method != asked.method),
            ("amount", taken.amount_minor != amount_minor),
            ("cash tendered", asked.method is Method.CASH and taken.tendered_minor != tendered_minor),
            ("reference", asked.method is not Method.CASH and taken.terminal_ref != asked.reference),
        )
        if differs
    ]
    if not changed:
        return None
    return PaymentRefusal("E-PAY-02", f"this key was used before with another {' and '.join(changed)}")
