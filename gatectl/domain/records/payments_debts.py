"""Money that could not be collected (the driver owes it), and money that could not be given back (the driver is owed it)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from gatectl.domain.facts import Fact, PaymentTaken
from gatectl.domain.ids import PaymentId, TicketNumber
from gatectl.domain.records.record import Records
from gatectl.domain.rows import TEXT, WHOLE, Add, Change, Put, Set, Table, Value, columns, nullable


@dataclass(frozen=True, slots=True)
class DebtMade(Fact):
    """What was due could not be collected: it is owed, and nothing of it is due at the exit any more.

    `debtor` is whatever the person said or showed; `by` the person who let the car out, or "policy". `lane`: where, if at one.
    """

    kind: ClassVar[str] = "debt.made"
    debt: str
    ticket: TicketNumber
    amount_minor: int
    currency: str
    debtor: str
    by: str
    why: str
    made_ms: int
    lane: str = ""


@dataclass(frozen=True, slots=True)
class DebtPaid(Fact):
    """A payment was for a debt. `left_minor` is still owed."""

    kind: ClassVar[str] = "debt.paid"
    debt: str
    payment: PaymentId
    amount_minor: int
    left_minor: int
    paid_ms: int


@dataclass(frozen=True, slots=True)
class DebtForgiven(Fact):
    """Nobody will collect the rest of a debt."""

    kind: ClassVar[str] = "debt.forgiven"
    debt: str
    amount_minor: int
    by: str
    why: str
    forgiven_ms: int


@dataclass(frozen=True, slots=True)
class OverpaymentReturned(Fact):
    """Cash that a machine had kept was given to the driver, out of `till`."""

    kind: ClassVar[str] = "overpayment.returned"
    payment: PaymentId
    amount_minor: int
    till: str
    by: str
    why: str
    returned_ms: int


DEBTS: Final = Table(
    "debts",
    ("debt",),
    (
        *columns(debt=TEXT, ticket=TEXT, amount_minor=WHOLE, currency=TEXT, debtor=TEXT, made_by=TEXT, reason=TEXT),
        *columns(made_ms=WHOLE, lane=TEXT, paid_minor=WHOLE, forgiven_minor=WHOLE),
        *nullable(closed_by=TEXT, closed_ms=WHOLE, closed_reason=TEXT),
    ),
    indexes=("ticket",),
    live=lambda row: row["closed_ms"] is None,
)
"""`closed_ms`: paid in full, or forgiven."""

OVERPAYMENTS: Final = Table(
    "overpayments",
    ("payment",),
    (
        *columns(payment=TEXT, ticket=TEXT, kept_minor=WHOLE, currency=TEXT, till=TEXT, kept_ms=WHOLE),
        *nullable(returned_till=TEXT, returned_by=TEXT, returned_ms=WHOLE, returned_reason=TEXT),
    ),
    live=lambda row: row["returned_ms"] is None,
)


def _made(fact: DebtMade) -> Iterable[Change]:
    row = {
        name: getattr(fact, name)
        for name in ("debt", "ticket", "amount_minor", "currency", "debtor", "made_ms", "lane")
    }
    yield Put(DEBTS, {**row, "made_by": fact.by, "reason": fact.why, "paid_minor": 0, "forgiven_minor": 0})


def _paid(fact: DebtPaid) -> Iterable[Change]:
    yield Add(DEBTS, (fact.debt,), "paid_minor", fact.amount_minor)
    if fact.left_minor == 0:
        yield Set(DEBTS, (fact.debt,), {"closed_ms": fact.paid_ms, "closed_by": "", "closed_reason": "paid"})


def _forgiven(fact: DebtForgiven) -> Iterable[Change]:
    yield Add(DEBTS, (fact.debt,), "forgiven_minor", fact.amount_minor)
    yield Set(DEBTS, (fact.debt,), {"closed_ms": fact.forgiven_ms, "closed_by": fact.by, "closed_reason": fact.why})


def _kept(fact: PaymentTaken) -> Iterable[Change]:
    if fact.kept_minor:
        row = {name: getattr(fact, name) for name in ("payment", "ticket", "kept_minor", "currency", "till")}
        yield Put(OVERPAYMENTS, {**row, "kept_ms": fact.paid_ms})


def _returned(fact: OverpaymentReturned) -> Iterable[Change]:
    ended: dict[str, Value] = {"returned_till": fact.till, "returned_by": fact.by, "returned_ms": fact.returned_ms}
    yield Set(OVERPAYMENTS, (fact.payment,), {**ended, "returned_reason": fact.why})


RECORDS: Final = Records(
    "payments-debts",
    (DEBTS, OVERPAYMENTS),
    {DebtMade: _made, DebtPaid: _paid, DebtForgiven: _forgiven, OverpaymentReturned: _returned},
    {
        DebtMade: lambda b: (
            f"not collected for {b['ticket']}: {b['amount_minor']} minor units of {b['currency']} owed as {b['debt']}"
            + (f" by {b['debtor']}" if b["debtor"] else "")
            + f", let out by {b['by']}: {b['why']}"
        ),
        DebtPaid: lambda b: f"debt {b['debt']}: {b['amount_minor']} minor units paid, {b['left_minor']} left",
        DebtForgiven: lambda b: f"debt {b['debt']}: {b['amount_minor']} minor units forgiven by {b['by']}: {b['why']}",
        OverpaymentReturned: lambda b: (
            f"overpayment of {b['payment']}: {b['amount_minor']} minor units returned at {b['till']} by {b['by']}: {b['why']}"
        ),
    },
    also={PaymentTaken: _kept},
)
