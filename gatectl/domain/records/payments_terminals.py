"""What terminals did beside taking money: approvals without their issuer, and payments that are being taken back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from gatectl.domain.facts import Fact
from gatectl.domain.ids import LaneId, PaymentId, TicketNumber
from gatectl.domain.records.record import Records
from gatectl.domain.rows import TEXT, WHOLE, Change, Drop, Put, Table, columns


@dataclass(frozen=True, slots=True)
class OfflineApproved(Fact):
    """A terminal approved without asking the issuer:
    the site carries the risk. `day_minor`: of the site's day so far, with it."""

    kind: ClassVar[str] = "offline.approved"
    payment: PaymentId
    amount_minor: int
    day: str  # the site's civil day, YYYY-MM-DD
    day_minor: int


@dataclass(frozen=True, slots=True)
class ReversalStarted(Fact):
    """A terminal is about to be told to take a payment back. Durable first, so that a lost answer is asked for again.

    `counted`: the payment is on record as taken; else it was refused here although the terminal had approved it.
    """

    kind: ClassVar[str] = "reversal.started"
    payment: PaymentId
    ticket: TicketNumber
    lane: LaneId
    amount_minor: int
    currency: str
    by: str
    why: str
    counted: bool
    started_ms: int


@dataclass(frozen=True, slots=True)
class ReversalEnded(Fact):
    """`outcome`: "reversed", "refused" (the driver keeps being charged: a refund is due), "left" (the vehicle went first)."""

    kind: ClassVar[str] = "reversal.ended"
    payment: PaymentId
    outcome: str
    why: str


OFFLINE_DAYS: Final = Table("offline_days", ("day",), columns(day=TEXT, amount_minor=WHOLE))
"""What terminals approved offline, day by day."""

REVERSALS: Final = Table(
    "reversals",
    ("payment",),
    (
        *columns(payment=TEXT, ticket=TEXT, lane=TEXT, amount_minor=WHOLE, currency=TEXT, asked_by=TEXT, reason=TEXT),
        *columns(counted=bool, started_ms=WHOLE),
    ),
    indexes=("ticket",),
)
"""Those that are under way."""


def _approved(fact: OfflineApproved) -> Iterable[Change]:
    yield Put(OFFLINE_DAYS, {"day": fact.day, "amount_minor": fact.day_minor})


def _started(fact: ReversalStarted) -> Iterable[Change]:
    copied = ("payment", "ticket", "lane", "amount_minor", "currency", "counted", "started_ms")
    row = {name: getattr(fact, name) for name in copied}
    yield Put(REVERSALS, {**row, "asked_by": fact.by, "reason": fact.why})


def _ended(fact: ReversalEnded) -> Iterable[Change]:
    yield Drop(REVERSALS, (fact.payment,))


RECORDS: Final = Records(
    "payments-terminals",
    (OFFLINE_DAYS, REVERSALS),
    {OfflineApproved: _approved, ReversalStarted: _started, ReversalEnded: _ended},
    {
        OfflineApproved: lambda b: (
            f"payment {b['payment']}: {b['amount_minor']} minor units approved offline, {b['day_minor']} on {b['day']}"
        ),
        ReversalStarted: lambda b: f"{b['lane']}: taking payment {b['payment']} back, asked by {b['by']}: {b['why']}",
        ReversalEnded: lambda b: (
            f"payment {b['payment']}: reversal {b['outcome']}" + (f": {b['why']}" if b["why"] else "")
        ),
    },
)
