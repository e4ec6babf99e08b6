"""Cashiers' shifts: opened with a float, closed with a count, and the difference on record."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gatectl.domain.facts import Fact
from gatectl.domain.records.record import Records
from gatectl.domain.rows import TEXT, WHOLE, Add, Change, Put, Set, Table, Value, columns, never, nullable


@dataclass(frozen=True, slots=True)
class ShiftOpened(Fact):
    """A till is open from now on; `float_minor` is the change that was counted into it."""

    kind: ClassVar[str] = "shift.opened"
    shift: str
    till: str
    by: str
    currency: str
    float_minor: int
    opened_ms: int


@dataclass(frozen=True, slots=True)
class ShiftCounted(Fact):
    """Cash went into or out of a shift's till: a payment's amount, a refund's with a minus."""

    kind: ClassVar[str] = "shift.counted"
    shift: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class ShiftEntry(Fact):
    """A payment or a refund at a till with an open shift, of any method; its cash is counted by ShiftCounted.

    `what`: "payment", "refund", "overpayment" (one that was given back); `key` is the payment's, the refund's.
    """

    kind: ClassVar[str] = "shift.entry"
    shift: str
    key: str
    what: str
    method: str
    amount_minor: int
    entered_ms: int


@dataclass(frozen=True, slots=True)
class ShiftClosed(Fact):
    """`expected_minor` is float and cash taken less refunds; the difference is counted less expected."""

    kind: ClassVar[str] = "shift.closed"
    shift: str
    by: str
    counted_minor: int
    expected_minor: int
    closed_ms: int
    why: str = ""


SHIFTS: Final = Table(
    "shifts",
    ("shift",),
    (
        *columns(shift=TEXT, till=TEXT, opened_by=TEXT, currency=TEXT, float_minor=WHOLE, opened_ms=WHOLE),
        *columns(cash_minor=WHOLE, payments=WHOLE),
        *nullable(closed_by=TEXT, closed_ms=WHOLE, counted_minor=WHOLE, expected_minor=WHOLE),
    ),
    indexes=("till",),
    live=lambda row: row["closed_ms"] is None,
)


SHIFT_ENTRIES: Final = Table(
    "shift_entries",
    ("shift", "key"),
    columns(shift=TEXT, key=TEXT, what=TEXT, method=TEXT, amount_minor=WHOLE, entered_ms=WHOLE),
    live=never,
)


def _opened(fact: ShiftOpened) -> Iterable[Change]:
    row: dict[str, Value] = {"shift": fact.shift, "till": fact.till, "opened_by": fact.by, "currency": fact.currency}
    row |= {"float_minor": fact.float_minor, "opened_ms": fact.opened_ms, "cash_minor": 0, "payments": 0}
    yield Put(SHIFTS, row)


def _counted(fact: ShiftCounted) -> Iterable[Change]:
    yield Add(SHIFTS, (fact.shift,), "cash_minor", fact.amount_minor)
    yield Add(SHIFTS, (fact.shift,), "payments", 1)


def _listed(fact: ShiftEntry) -> Iterable[Change]:
    copied = ("shift", "key", "what", "method", "amount_minor", "entered_ms")
    yield Put(SHIFT_ENTRIES, {name: getattr(fact, name) for name in copied})


def _closed(fact: ShiftClosed) -> Iterable[Change]:
    ended: dict[str, Value] = {"closed_by": fact.by, "closed_ms": fact.closed_ms}
    yield Set(
        SHIFTS, (fact.shift,), ended | {"counted_minor": fact.counted_minor, "expected_minor": fact.expected_minor}
    )


def _tell_closed(b: Mapping[str, Any]) -> str:
    counted, expected = b["counted_minor"], b["expected_minor"]
    known = isinstance(counted, int) and isinstance(expected, int)
    difference = f"{counted - expected:+d}" if known else "?"
    return f"shift {b['shift']} closed by {b['by']}: counted {counted}, expected {expected}, difference {difference}"


RECORDS: Final = Records(
    "shifts",
    (SHIFTS, SHIFT_ENTRIES),
    {ShiftOpened: _opened, ShiftCounted: _counted, ShiftEntry: _listed, ShiftClosed: _closed},
    {
        ShiftOpened: lambda b: f"shift {b['shift']} opened at {b['till']} by {b['by']}, float {b['float_minor']}",
        ShiftCounted: lambda b: f"shift {b['shift']}: {b['amount_minor']} minor units of cash",
        ShiftEntry: lambda b: (
            f"shift {b['shift']}: {b['what']} {b['key']}, {b['amount_minor']} minor units {b['method']}"
        ),
        ShiftClosed: _tell_closed,
    },
)
