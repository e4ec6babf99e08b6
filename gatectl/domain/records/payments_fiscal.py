"""The fiscal journal: for each series of receipts the entries that the law wants, chained by their signatures."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from gatectl.domain.facts import Fact
from gatectl.domain.records.record import Records
from gatectl.domain.rows import FLAG, TEXT, WHOLE, Change, Put, Set, Table, Value, columns, nullable


@dataclass(frozen=True, slots=True)
class FiscalSeriesOpened(Fact):
    """A device's first entry under a regime is about to be made. `name` is what the series is registered as."""

    kind: ClassVar[str] = "fiscal.opened"
    series: str
    regime: str
    name: str
    opened_ms: int


@dataclass(frozen=True, slots=True)
class FiscalEntered(Fact):
    """One entry of a series; it waits to be signed.

    `what`: start, sale, refund, training, month, collective. `amount_minor`: refunds have a minus. `turnover_minor`: of the
    series so far, with it. `receipt_series`, `receipt`: the receipt that it is for; "" and 0: none.
    """

    kind: ClassVar[str] = "fiscal.entered"
    series: str
    number: int
    what: str
    amount_minor: int
    currency: str
    turnover_minor: int
    receipt_series: str
    receipt: int
    entered_ms: int


@dataclass(frozen=True, slots=True)
class FiscalSigned(Fact):
    """`code`:
    the whole signed entry in the regime's form. `failed`: why it carries the words of a failed unit; "" if it is signed."""

    kind: ClassVar[str] = "fiscal.signed"
    series: str
    number: int
    code: str
    failed: str
    signed_ms: int


FISCAL_SERIES: Final = Table(
    "fiscal_series",
    ("series",),
    (
        *columns(series=TEXT, regime=TEXT, name=TEXT, opened_ms=WHOLE, number=WHOLE, turnover_minor=WHOLE),
        *columns(entered_ms=WHOLE, signed=WHOLE, last_code=TEXT, failing=FLAG),
    ),
)
"""`number`: the last that was entered; `signed`: the last that has its code, `last_code`."""

FISCAL_ENTRIES: Final = Table(
    "fiscal_entries",
    ("series", "number"),
    (
        *columns(series=TEXT, number=WHOLE, what=TEXT, amount_minor=WHOLE, currency=TEXT, turnover_minor=WHOLE),
        *columns(receipt_series=TEXT, receipt=WHOLE, entered_ms=WHOLE),
        *nullable(code=TEXT, failed=TEXT, signed_ms=WHOLE),
    ),
    live=lambda row: row["code"] is None,
)


def _opened(fact: FiscalSeriesOpened) -> Iterable[Change]:
    row: dict[str, Value] = {
        "series": fact.series,
        "regime": fact.regime,
        "name": fact.name,
        "opened_ms": fact.opened_ms,
    }
    none_yet: dict[str, Value] = {
        "number": 0,
        "turnover_minor": 0,
        "entered_ms": fact.opened_ms,
        "signed": 0,
        "last_code": "",
    }
    yield Put(FISCAL_SERIES, {**row, **none_yet, "failing": False})


def _entered(fact: FiscalEntered) -> Iterable[Change]:
    copied = ("series", "number", "what", "amount_minor", "currency", "turnover_minor", "receipt_series", "receipt")
    yield Put(FISCAL_ENTRIES, {name: getattr(fact, name) for name in (*copied, "entered_ms")})
    moved: dict[str, Value] = {
        "number": fact.number,
        "turnover_minor": fact.turnover_minor,
        "entered_ms": fact.entered_ms,
    }
    yield Set(FISCAL_SERIES, (fact.series,), moved)


def _signed(fact: FiscalSigned) -> Iterable[Change]:
    coded: dict[str, Value] = {"code": fact.code, "failed": fact.failed, "signed_ms": fact.signed_ms}
    yield Set(FISCAL_ENTRIES, (fact.series, fact.number), coded)
    moved: dict[str, Value] = {"signed": fact.number, "last_code": fact.code, "failing": bool(fact.failed)}
    yield Set(FISCAL_SERIES, (fact.series,), moved)


RECORDS: Final = Records(
    "payments-fiscal",
    (FISCAL_SERIES, FISCAL_ENTRIES),
    {FiscalSeriesOpened: _opened, FiscalEntered: _entered, FiscalSigned: _signed},
    {
        FiscalSeriesOpened: lambda b: f"fiscal series {b['series']} opened as {b['name']} ({b['regime']})",
        FiscalEntered: lambda b: (
            f"fiscal series {b['series']}: entry {b['number']} ({b['what']}), {b['amount_minor']} minor units"
        ),
        FiscalSigned: lambda b: (
            f"fiscal series {b['series']}: entry {b['number']} "
            + (f"marked as not signed: {b['failed']}" if b["failed"] else "signed")
        ),
    },
)
