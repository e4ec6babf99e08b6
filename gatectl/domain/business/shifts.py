"""Shifts: one at a time on a till; what should be in it is the float and the cash taken, less the cash given back."""

from collections.abc import Iterable
from typing import Final

from gatectl.domain.business.rule import Context, Done, No, Param, Rules, Verb, Words
from gatectl.domain.facts import Fact, PaymentRefunded, PaymentTaken
from gatectl.domain.money import AMOUNT_MINOR_MAX
from gatectl.domain.payments import Method
from gatectl.domain.records.shifts import SHIFTS, ShiftClosed, ShiftCounted, ShiftOpened
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
    till, counted = str(given["till"]), int(given["counted_minor"])
    found = open_shift(context, till)
    if found is None:
        return No("E-NOT-01", f"no shift is open on {till}")
    expected, why = expected_minor(found), str(given.get("reason", ""))
    if counted != expected and not why:
        return No("E-USE-01", f"{counted} counted, {expected} expected: a reason for the difference is needed")
    fact = ShiftClosed(str(found["shift"]), who, counted, expected, context.now.wall_ms, why)
    data = {"shift": found["shift"], "expected_minor": expected, "difference_minor": counted - expected}
    return Done(f"shift {found['shift']} is closed", (fact,), data)


def _cash_taken(context: Context, fact: PaymentTaken) -> Iterable[Fact]:
    """Cash of a till with an open shift belongs to the shift."""
    shift = open_shift(context, fact.till)
    if shift is not None and fact.method == Method.CASH:
        yield ShiftCounted(words(shift, "shift"), fact.amount_minor)


def _cash_back(context: Context, fact: PaymentRefunded) -> Iterable[Fact]:
    shift = open_shift(context, fact.series)
    if shift is not None:
        yield ShiftCounted(words(shift, "shift"), -fact.amount_minor)


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
    ),
    follow={PaymentTaken: _cash_taken, PaymentRefunded: _cash_back},
)
