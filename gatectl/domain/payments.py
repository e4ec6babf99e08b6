"""The rules of taking money that need nothing but the amounts and the key.

Rule 1: a payment's key is made by whoever asks, once, and kept for ever. The same key with the same request is a repeat
and gets the first answer; with another request it is refused.
Rule 2: money that changed hands is never negative, and change is given out of what was tendered alone.
Rule 3: no card number is here or anywhere; a terminal's answer brings a reference and at most four digits.
"""

from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class PaymentRefusal:
    """`code` is an E-... code, `why` is for the person who asked."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class CashSettled:
    """`amount_minor` stays in the till, `change_minor` goes back; together they are what was tendered."""

    amount_minor: int
    tendered_minor: int
    change_minor: int


@dataclass(frozen=True, slots=True)
class PaymentAsked:
    """A request to take money. `amount_minor` None: all that is due; `tendered_minor` None: exactly the amount."""

    payment: PaymentId
    ticket: TicketNumber
    method: Method
    amount_minor: int | None
    tendered_minor: int | None = None


def settle_cash(due_minor: int, tendered_minor: int) -> CashSettled | PaymentRefusal:
    """The change for cash that covers what is due.

    Refused with E-PAY-01 when nothing is due, E-PAY-03 when too little is tendered, E-USE-01 when the figure is beyond
    every till (a slip of the keyboard, which no record could hold).
    """
    if due_minor <= 0:
        return PaymentRefusal("E-PAY-01", "nothing is due")
    if tendered_minor > AMOUNT_MINOR_MAX:
        return PaymentRefusal("E-USE-01", f"more than {AMOUNT_MINOR_MAX} minor units tendered")
    if tendered_minor < due_minor:
        return PaymentRefusal("E-PAY-03", f"{tendered_minor} of {due_minor} minor units tendered")
    return CashSettled(due_minor, tendered_minor, tendered_minor - due_minor)


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
        )
        if differs
    ]
    if not changed:
        return None
    return PaymentRefusal("E-PAY-02", f"this key was used before with another {' and '.join(changed)}")
