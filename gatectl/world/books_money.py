"""The second bookkeeper's page on money: what was paid and went back, drawers, debts, offline approvals, the fiscal chain.

Promises: nothing goes back beyond what was paid; a drawer holds what its shift took; offline approvals keep to the site's limits;
every receipt that the law wants has its entry, and each till's chain verifies from its start, kill after kill. From facts alone.
"""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final

from gatectl.domain import facts as f
from gatectl.domain import fiscal_pt, fiscal_rksv, rows
from gatectl.domain.books import Books
from gatectl.domain.fiscal import RKSV
from gatectl.domain.ids import PaymentId
from gatectl.domain.plan import SitePlan
from gatectl.domain.records import payments_debts as d
from gatectl.domain.records import payments_fiscal as n
from gatectl.domain.records import payments_terminals as t
from gatectl.domain.records import shifts as s
from gatectl.world.holding import hold
from gatectl.world.signer import turnover_of, verify_pt, verify_rksv

NOT_SOLD: Final = frozenset({"ACCOUNT", "VALIDATION"})


@dataclass(frozen=True, slots=True)
class Till:
    """One series of the fiscal journal so far: sums by our own arithmetic."""

    regime: str
    entered: int = 0
    signed: int = 0
    turnover_minor: int = 0
    code: str = ""
    failed: bool = False


@dataclass(slots=True)
class MoneyBook:
    """`plan`: whose limits hold."""

    plan: SitePlan | None = None
    paid: dict[PaymentId, int] = field(default_factory=dict)
    back: dict[PaymentId, int] = field(default_factory=dict)
    drawers: dict[str, int] = field(default_factory=dict)
    """Open shift to what lies in its drawer, float and all."""
    shift_of: dict[str, str] = field(default_factory=dict)
    """Till to its open shift."""
    owed: dict[str, int] = field(default_factory=dict)
    kept: dict[PaymentId, int] = field(default_factory=dict)
    offline: dict[str, int] = field(default_factory=dict)
    reversals: frozenset[PaymentId] = frozenset()
    tills: dict[str, Till] = field(default_factory=dict)
    waiting: dict[tuple[str, int], n.FiscalEntered] = field(default_factory=dict)
    wanted: tuple[tuple[str, int, int], ...] = ()
    """Receipts that must make an entry: series, number, amount. Each does in its own batch."""

    def copy(self) -> "MoneyBook":
        """As it is now, to go back to."""
        return MoneyBook(**{part.name: copy(getattr(self, part.name)) for part in fields(self)})

    def witness(self, fact: f.Fact) -> None:
        keep = _KEEP.get(type(fact))
        if keep is not None:
            keep(self, fact)

    def drawer(self, till: str, by: int) -> None:
        shift = self.shift_of.get(till)
        if shift is not None:
            self.drawers[shift] += by

    def law(self) -> str:
        plan = self.plan.money.fiscal if self.plan is not None else None
        return plan.regime if plan is not None else ""


def _taken(book: MoneyBook, fact: f.PaymentTaken) -> None:
    assert book.plan is not None
    book.paid[fact.payment] = fact.amount_minor
    if fact.method == "CASH":
        book.drawer(fact.till, fact.amount_minor + fact.kept_minor)
    else:
        hold(fact.change_minor == fact.kept_minor == 0, "only cash has change", fact.payment)
    if fact.kept_minor:
        book.kept[fact.payment] = fact.kept_minor
    if fact.offline:
        rules, moment = book.plan.money, datetime.fromtimestamp(fact.paid_ms // 1000, UTC)
        day = moment.astimezone(book.plan.zone).date().isoformat()
        book.offline[day] = book.offline.get(day, 0) + fact.amount_minor
        within = fact.amount_minor <= rules.offline_payment_minor and book.offline[day] <= rules.offline_day_minor
        hold(within, "offline approvals keep to the limit", f"{fact.payment}: {fact.amount_minor}, {book.offline[day]}")
    _expect(book, fact.method, fact.series, fact.receipt, fact.amount_minor)


def _refunded(book: MoneyBook, fact: f.PaymentRefunded) -> None:
    back = book.back.get(fact.payment, 0) + fact.amount_minor
    whole = book.paid.get(fact.payment, 0)
    hold(
        fact.amount_minor > 0 and back <= whole,
        "nothing goes back beyond what was paid",
        f"{fact.payment}: {back} of {whole}",
    )
    book.back[fact.payment] = back
    if fact.method == "CASH":
        book.drawer(fact.till, -fact.amount_minor)
    _expect(book, fact.method, fact.series, fact.receipt, -fact.amount_minor)


def _expect(book: MoneyBook, method: str, series: str, receipt: int, amount: int) -> None:
    hold(not book.wanted, "each receipt has its fiscal entry", book.wanted)
    if book.law() and method not in NOT_SOLD:
        book.wanted = ((series, receipt, amount),)


def _opened(book: MoneyBook, fact: s.ShiftOpened) -> None:
    hold(fact.till not in book.shift_of, "a till has one shift", fact.till)
    book.shift_of[fact.till] = fact.shift
    book.drawers[fact.shift] = fact.float_minor


def _closed(book: MoneyBook, fact: s.ShiftClosed) -> None:
    lies = book.drawers.pop(fact.shift)
    hold(
        fact.expected_minor == lies,
        "a drawer holds what its shift took",
        f"{fact.shift}: {fact.expected_minor}, {lies}",
    )
    book.shift_of = {till: shift for till, shift in book.shift_of.items() if shift != fact.shift}


def _owed(book: MoneyBook, fact: d.DebtMade) -> None:
    hold(fact.amount_minor > 0 and fact.debt not in book.owed, "a debt is made once", fact.debt)
    book.owed[fact.debt] = fact.amount_minor


def _paid_back(book: MoneyBook, fact: d.DebtPaid | d.DebtForgiven) -> None:
    left = book.owed[fact.debt] - fact.amount_minor
    hold(left >= 0, "nobody pays more than is owed", fact.debt)
    book.owed[fact.debt] = left
    if left == 0:
        del book.owed[fact.debt]


def _returned(book: MoneyBook, fact: d.OverpaymentReturned) -> None:
    hold(book.kept.pop(fact.payment, 0) == fact.amount_minor, "what was kept is given back once", fact.payment)
    book.drawer(fact.till, -fact.amount_minor)


def _reversing(book: MoneyBook, fact: t.ReversalStarted) -> None:
    book.reversals |= {fact.payment}


def _reversed(book: MoneyBook, fact: t.ReversalEnded) -> None:
    hold(fact.payment in book.reversals, "what ends was begun", fact.payment)
    book.reversals -= {fact.payment}


# -- the fiscal chain -----------------------------------------------------------------------------------------------------


def _series(book: MoneyBook, fact: n.FiscalSeriesOpened) -> None:
    hold(fact.series not in book.tills, "a fiscal series begins once", fact.series)
    book.tills[fact.series] = Till(fact.regime)


def _entered(book: MoneyBook, fact: n.FiscalEntered) -> None:
    till = book.tills[fact.series]
    hold(fact.number == till.entered + 1, "a fiscal series has no gap", f"{fact.series}/{fact.number}")
    turnover = till.turnover_minor + (0 if fact.what == "training" else fact.amount_minor)
    hold(fact.turnover_minor == turnover, "the turnover is the sum of the receipts", f"{fact.series}/{fact.number}")
    book.tills[fact.series] = Till(till.regime, fact.number, till.signed, turnover, till.code, till.failed)
    book.waiting[fact.series, fact.number] = fact
    if fact.receipt:
        told = (fact.receipt_series, fact.receipt, fact.amount_minor)
        hold(told in book.wanted, "each fiscal entry has its receipt", told)
        book.wanted = ()


def _signed(book: MoneyBook, fact: n.FiscalSigned) -> None:
    till, entry = book.tills[fact.series], book.waiting.pop((fact.series, fact.number))
    hold(fact.number == till.signed + 1, "entries are signed in order", f"{fact.series}/{fact.number}")
    wrong = _rksv(book, till, entry, fact) if till.regime == RKSV else _pt(book, till, entry, fact)
    hold(not wrong, "the fiscal chain verifies from its start", f"{fact.series}/{fact.number}: {wrong}")
    book.tills[fact.series] = Till(
        till.regime, till.entered, fact.number, till.turnover_minor, fact.code, bool(fact.failed)
    )


def _rksv(book: MoneyBook, till: Till, entry: n.FiscalEntered, fact: n.FiscalSigned) -> str:
    assert book.plan is not None
    assert book.plan.money.fiscal is not None
    cashbox = f"{book.plan.money.fiscal.cashbox}-{fact.series}"
    parts = fiscal_rksv.data_of(fact.code).split("_")
    if parts[2:4] != [cashbox, str(fact.number)] or parts[12] != fiscal_rksv.chain_value(till.code or cashbox):
        return "not chained to the one before"
    if entry.what in ("sale", "start", "month", "collective"):
        told = turnover_of(cashbox, fact.number, parts[10])
        if told != entry.turnover_minor:
            return f"turnover {told}, not {entry.turnover_minor}"
    if fact.failed:
        return "" if fiscal_rksv.is_failed(fact.code) else "failed, and not marked"
    if till.failed and entry.amount_minor:
        return "signing began again without a zero receipt"
    return "" if fiscal_rksv.is_signed(fact.code, verify_rksv) else "not signed"


def _pt(book: MoneyBook, till: Till, entry: n.FiscalEntered, fact: n.FiscalSigned) -> str:
    assert book.plan is not None
    gross = abs(entry.amount_minor)
    text = fiscal_pt.message(fact.series, fact.number, entry.entered_ms, book.plan.zone, gross, till.code)
    return "" if verify_pt(text.encode(), fact.code) else "not signed"


_KEEP: Final[Mapping[type[f.Fact], Callable[[MoneyBook, Any], None]]] = {
    f.PaymentTaken: _taken,
    f.PaymentRefunded: _refunded,
    s.ShiftOpened: _opened,
    s.ShiftClosed: _closed,
    d.DebtMade: _owed,
    d.DebtPaid: _paid_back,
    d.DebtForgiven: _paid_back,
    d.OverpaymentReturned: _returned,
    t.ReversalStarted: _reversing,
    t.ReversalEnded: _reversed,
    n.FiscalSeriesOpened: _series,
    n.FiscalEntered: _entered,
    n.FiscalSigned: _signed,
}


def differing(book: MoneyBook, books: Books) -> str:
    """What the site believes of its money that is not so, in words; empty if nothing is."""
    tables = books.tables
    for payment in books.payments.values():
        if payment.taken is not None and payment.refunded_minor != book.back.get(payment.payment, 0):
            return f"{payment.payment}: {payment.refunded_minor} refunded, {book.back.get(payment.payment, 0)} counted"
    told = {
        "drawers": {
            r["shift"]: rows.whole(r, "float_minor") + rows.whole(r, "cash_minor") for r in tables.all(s.SHIFTS)
        },
        "debts": {r["debt"]: rows.whole(r, "amount_minor") - rows.whole(r, "paid_minor") for r in tables.all(d.DEBTS)},
        "kept": {r["payment"]: r["kept_minor"] for r in tables.all(d.OVERPAYMENTS)},
        "offline": {r["day"]: r["amount_minor"] for r in tables.all(t.OFFLINE_DAYS)},
        "reversals": {r["payment"] for r in tables.all(t.REVERSALS)},
        "fiscal": {r["series"]: (r["number"], r["signed"], r["turnover_minor"]) for r in tables.all(n.FISCAL_SERIES)},
    }
    mine = {
        "drawers": book.drawers,
        "debts": book.owed,
        "kept": book.kept,
        "offline": book.offline,
        "reversals": set(book.reversals),
        "fiscal": {name: (till.entered, till.signed, till.turnover_minor) for name, till in book.tills.items()},
    }
    return next((f"{name}: {told[name]} told, {mine[name]} counted" for name in told if told[name] != mine[name]), "")
