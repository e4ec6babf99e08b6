"""Shifts: one at a time on a till; what should be in it is the float and the cash taken, less the cash given back."""

from collections.abc import Iterable
from typing import Final

from gatectl.domain.business.rule import Context, Done, No, Param, Rules, Verb, Words
from gatectl.domain.facts import Fact, PaymentRefunded, PaymentTaken
from gatectl.domain.money import AMOUNT_MINOR_MAX
from gatectl.domain.payments import Method
from gatectl.domain.records.payments_debts import OverpaymentReturned
from gatectl.domain.records.shifts import SHIFTS, ShiftClosed, ShiftCounted, ShiftEntry, ShiftOpened
from gatectl.domain.rows import Row, whole, words


def open_shift(context: Context, till: str) -> Row | None:
    """The shift that is open on a till."""
    return next(context.books.tables.where(SHIFTS, "till", till), None)


def expected_minor(shift: Row) -> int:
    """What should lie in the till."""
    return whole(shift, "float_minor") + whole(shift, "cash_minor")


def _open(context: Context, who: str, given: Words) -> Done | No:
    till, floated = str(given["till"]), int(given["float_minor"])
    found = open_shift(context, till)
    if found is not None:
        return No("E-USE-01", f"{found['opened_by']} has shift {found['shift']} open on {till}; close it first")
    if floated > AMOUNT_MINOR_MAX:
        return No("E-USE-01", f"more than {AMOUNT_MINOR_MAX} minor units of float")
    shift = f"{till}-{context.boot.tag}-{context.now.wall_ms}"
    fact = ShiftOpened(shift, till, who, context.plan.currency, floated, context.now.wall_ms)
    return Done(f"shift {shift} is open", (fact,), {"shift": shift})


def _close(context: Context, who: str, given: Words) -> Done | No:
    closed = _closed(context, who, given)
    if isinstance(closed, No):
        return closed
    return Done(f"shift {closed.shift} is closed", (closed,), _told(closed))


def _closed(context: Context, who: str, given: Words) -> ShiftClosed | No:
    till, counted = str(given["till"]), int(given["counted_minor"])
    found = open_shift(context, till)
    if found is None:
        return No("E-NOT-01", f"no shift is open on {till}")
    expected, why = expected_minor(found), str(given.get("reason", ""))
    if counted != expected and not why:
        return No("E-USE-01", f"{counted} counted, {expected} expected: a reason for the difference is needed")
    return ShiftClosed(str(found["shift"]), who, counted, expected, context.now.wall_ms, why)


def _told(closed: ShiftClosed) -> dict[str, object]:
    difference = closed.counted_minor - closed.expected_minor
    return {"shift": closed.shift, "expected_minor": closed.expected_minor, "difference_minor": difference}


def _relieve(context: Context, who: str, given: Words) -> Done | No:
    """One counts and goes, the next takes over what was counted: no moment between them in which the till has no shift."""
    closed = _closed(context, who, given)
    if isinstance(closed, No):
        return closed
    till, relief = str(given["till"]), str(given["relief"])
    shift = f"{till}-{context.boot.tag}-{context.now.wall_ms}r"
    opened = ShiftOpened(shift, till, relief, context.plan.currency, closed.counted_minor, context.now.wall_ms)
    data = {**_told(closed), "relief": shift}
    return Done(f"shift {closed.shift} is closed, {relief} has shift {shift}", (closed, opened), data)


def _taken(context: Context, fact: PaymentTaken) -> Iterable[Fact]:
    """What is paid at a till with an open shift belongs to the shift;
    its cash lies in the drawer, with what could not be given back."""
    shift = open_shift(context, fact.till)
    if shift is not None:
        key = words(shift, "shift")
        yield ShiftEntry(key, fact.payment, "payment", fact.method, fact.amount_minor, fact.paid_ms)
        if fact.method == Method.CASH:
            yield ShiftCounted(key, fact.amount_minor + fact.kept_minor)


def _given_back(context: Context, fact: PaymentRefunded) -> Iterable[Fact]:
    """Cash goes out of the drawer that gives it, whichever took it."""
    shift = open_shift(context, fact.till or fact.series)
    if shift is not None:
        key, method = words(shift, "shift"), fact.method or Method.CASH.value
        yield ShiftEntry(key, fact.refund, "refund", method, -fact.amount_minor, fact.refunded_ms)
        if method == Method.CASH:
            yield ShiftCounted(key, -fact.amount_minor)


def _returned(context: Context, fact: OverpaymentReturned) -> Iterable[Fact]:
    shift = open_shift(context, fact.till)
    if shift is not None:
        key, payment = words(shift, "shift"), f"{fact.payment}-over"
        yield ShiftEntry(key, payment, "overpayment", Method.CASH.value, -fact.amount_minor, fact.returned_ms)
        yield ShiftCounted(key, -fact.amount_minor)


RULES: Final = Rules(
    "shifts",
    (
        Verb("shift-open", "begin a shift on a till", (Param("till", str), Param("float_minor", int)), _open),
        Verb(
            "shift-close",
            "count a till and end its shift",
            (Param("till", str), Param("counted_minor", int), Param("reason", str, needed=False)),
            _close,
        ),
        Verb(
            "shift-relieve",
            "count a till, end its shift, and hand it to the next",
            (
                Param("till", str),
                Param("counted_minor", int),
                Param("relief", str),
                Param("reason", str, needed=False),
            ),
            _relieve,
        ),
    ),
    follow={PaymentTaken: _taken, PaymentRefunded: _given_back, OverpaymentReturned: _returned},
)
