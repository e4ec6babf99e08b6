"""Money that went back: each refund with the drawer or terminal that gave it, and its own receipt."""

from collections.abc import Iterable
from typing import Final

from gatectl.domain.facts import PaymentRefunded
from gatectl.domain.records.record import Records
from gatectl.domain.rows import TEXT, WHOLE, Change, Put, Table, columns, never

REFUNDS: Final = Table(
    "refunds",
    ("refund",),
    (
        *columns(refund=TEXT, payment=TEXT, ticket=TEXT, amount_minor=WHOLE, currency=TEXT, method=TEXT, till=TEXT),
        *columns(refunded_by=TEXT, reason=TEXT, series=TEXT, receipt=WHOLE, refunded_ms=WHOLE, terminal_ref=TEXT),
    ),
    live=never,
)


def _refunded(fact: PaymentRefunded) -> Iterable[Change]:
    copied = ("refund", "payment", "ticket", "amount_minor", "currency", "method", "till", "series", "receipt")
    row = {name: getattr(fact, name) for name in (*copied, "refunded_ms", "terminal_ref")}
    yield Put(REFUNDS, {**row, "refunded_by": fact.by, "reason": fact.why})


RECORDS: Final = Records("payments-refunds", (REFUNDS,), {}, {}, also={PaymentRefunded: _refunded})
