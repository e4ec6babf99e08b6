"""The fiscal journal: what becomes an entry, in which order entries are signed, and what is done while the unit cannot sign.

Rule 1: an entry is recorded with the money that it is for, in the same batch; it is signed behind that commit, by whoever holds
the keys, and the signature comes back as an event: the rules hold no key, and a slow unit keeps no lane waiting.
Rule 2: of a series one entry is with the unit at a time, the oldest unsigned one: its text chains to the code before it. It is
asked for again after a start and every TURN_MS; only the first answer that fits counts.
Rule 3 (RKSV): a unit that fails leaves its mark on the entry, and on those behind it, until it signs a zero receipt.
Rule 4 (PT): an entry that cannot be signed waits; its paper is not printed without.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from typing import Final

from gatectl.domain import fiscal_pt, fiscal_rksv
from gatectl.domain.business.rule import Context, Done, No, Param, Rules, Verb, Words
from gatectl.domain.effects import Effect, SignEntry
from gatectl.domain.events import EntrySigned
from gatectl.domain.facts import Fact, PaymentRefunded, PaymentTaken
from gatectl.domain.fiscal import PT, RKSV, FiscalPlan
from gatectl.domain.money import AMOUNT_MINOR_MAX
from gatectl.domain.payments import Method
from gatectl.domain.records.payments_fiscal import (
    FISCAL_ENTRIES,
    FISCAL_SERIES,
    FiscalEntered,
    FiscalSeriesOpened,
    FiscalSigned,
)
from gatectl.domain.rows import Row, whole, words

CODE_CHARS_MAX: Final = 4_000
_NO_TURNOVER: Final = frozenset({Method.ACCOUNT.value, Method.VALIDATION.value})
"""Nobody paid: they are invoiced elsewhere."""


# -- entering -----------------------------------------------------------------------------------------------------------


def _sold(context: Context, fact: PaymentTaken) -> Iterable[Fact]:
    yield from _of_receipt(context, fiscal_rksv.SALE, fact.method, fact.amount_minor, fact.series, fact.receipt)


def _took_back(context: Context, fact: PaymentRefunded) -> Iterable[Fact]:
    yield from _of_receipt(context, fiscal_rksv.REFUND, fact.method, -fact.amount_minor, fact.series, fact.receipt)


def _of_receipt(
    context: Context, what: str, method: str, amount_minor: int, receipt_series: str, receipt: int
) -> Iterable[Fact]:
    plan = context.plan.money.fiscal
    if plan is None or method in _NO_TURNOVER:
        return
    series = receipt_series if plan.regime == RKSV else f"{fiscal_pt.TYPES[what]} {receipt_series}"
    number, turnover = 0, 0
    row = context.books.tables.get(FISCAL_SERIES, series)
    if row is None:
        yield from _opening(context, plan, series)
        number = 1 if plan.regime == RKSV else 0
    else:
        number, turnover = whole(row, "number"), whole(row, "turnover_minor")
    yield _entry(context, series, number + 1, what, amount_minor, turnover, receipt_series, receipt)


def _opening(context: Context, plan: FiscalPlan, series: str) -> Iterable[Fact]:
    name = f"{plan.cashbox}-{series}" if plan.regime == RKSV else series
    yield FiscalSeriesOpened(series, plan.regime, name, context.now.wall_ms)
    if plan.regime == RKSV:
        yield _entry(context, series, 1, fiscal_rksv.START, 0, 0)


def _entry(
    context: Context,
    series: str,
    number: int,
    what: str,
    amount_minor: int,
    turnover_minor: int,
    receipt_series: str = "",
    receipt: int = 0,
) -> FiscalEntered:
    after = turnover_minor if what == fiscal_rksv.TRAINING else turnover_minor + amount_minor
    currency, now_ms = context.plan.currency, context.now.wall_ms
    return FiscalEntered(series, number, what, amount_minor, currency, after, receipt_series, receipt, now_ms)


def _next(context: Context, row: Row, what: str, amount_minor: int = 0) -> FiscalEntered:
    turnover = whole(row, "turnover_minor")
    return _entry(context, words(row, "series"), whole(row, "number") + 1, what, amount_minor, turnover)


def _turn(context: Context) -> Iterable[Fact]:
    """RKSV: a zero receipt for each till in each month."""
    for row in _all_series(context):
        if row["regime"] == RKSV and _month(whole(row, "entered_ms"), context) < _month(context.now.wall_ms, context):
            yield _next(context, row, fiscal_rksv.MONTH)


def _all_series(context: Context) -> list[Row]:
    """By their names: rows that were loaded are in no order, and what is done must not depend on one."""
    return sorted(context.books.tables.all(FISCAL_SERIES), key=lambda row: words(row, "series"))


def _month(at_ms: int, context: Context) -> str:
    zone: tzinfo = context.plan.zone
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone):%Y-%m}"


def _training(context: Context, who: str, given: Words) -> Done | No:
    row = context.books.tables.get(FISCAL_SERIES, str(given["series"]))
    if row is None or row["regime"] != RKSV:
        return No("E-NOT-01", f"no series {given['series']} that knows training")
    amount = int(given["amount_minor"])
    if amount > AMOUNT_MINOR_MAX:
        return No("E-USE-01", f"more than {AMOUNT_MINOR_MAX} minor units")
    fact = _next(context, row, fiscal_rksv.TRAINING, amount)
    return Done(f"training receipt {fact.number} of {fact.series}", (fact,), {"number": fact.number})


def _null(context: Context, who: str, given: Words) -> Done | No:
    row = context.books.tables.get(FISCAL_SERIES, str(given["series"]))
    if row is None or row["regime"] != RKSV:
        return No("E-NOT-01", f"no series {given['series']} that knows zero receipts")
    fact = _next(context, row, fiscal_rksv.MONTH)
    return Done(f"zero receipt {fact.number} of {fact.series}", (fact,), {"number": fact.number})


# -- signing ------------------------------------------------------------------------------------------------------------


def _ask(context: Context, row: Row) -> Iterable[Effect]:
    """Hand the oldest unsigned entry of a series to the unit; when it fails and nothing waits, ask whether it signs again."""
    plan = context.plan.money.fiscal
    if plan is None or plan.regime != row["regime"]:
        return
    series, number = words(row, "series"), whole(row, "signed") + 1
    entry = context.books.tables.get(FISCAL_ENTRIES, series, number)
    failing = bool(row["failing"])
    if entry is not None:
        yield _order(context, plan, row, entry, mark=failing and entry["what"] != fiscal_rksv.COLLECTIVE)


def _order(context: Context, plan: FiscalPlan, row: Row, entry: Row, *, mark: bool) -> SignEntry:
    number, before = whole(entry, "number"), words(row, "last_code")
    at_ms, amount = whole(entry, "entered_ms"), whole(entry, "amount_minor")
    series, zone = words(row, "series"), context.plan.zone
    if plan.regime == PT:
        return SignEntry(series, number, PT, fiscal_pt.message(series, number, at_ms, zone, abs(amount), before))
    cashbox = words(row, "name")
    what = words(entry, "what")
    text = fiscal_rksv.data(cashbox, number, what, at_ms, zone, amount, plan.certificate, before or cashbox)
    return SignEntry(series, number, RKSV, text, cashbox, whole(entry, "turnover_minor"), mark)


def _entered(context: Context, fact: FiscalEntered) -> Iterable[Effect]:
    row = context.books.tables.get(FISCAL_SERIES, fact.series)
    if row is not None and row["signed"] == fact.number - 1:
        yield from _ask(context, row)


def _signed(context: Context, fact: FiscalSigned) -> Iterable[Effect]:
    row = context.books.tables.get(FISCAL_SERIES, fact.series)
    assert row is not None
    yield from _ask(context, row)


def _remind(context: Context) -> Iterable[Effect]:
    for row in _all_series(context):
        probe = _probe(context, row)
        yield from ((probe,) if probe is not None else _ask(context, row))


def _probe(context: Context, row: Row) -> SignEntry | None:
    """The zero receipt that a unit which failed would have to sign first, if nothing waits before it."""
    plan = context.plan.money.fiscal
    if plan is None or plan.regime != RKSV or not row["failing"] or row["signed"] != row["number"]:
        return None
    fact = _next(context, row, fiscal_rksv.COLLECTIVE)
    return _order(context, plan, row, {name: getattr(fact, name) for name in _PROBED}, mark=False)


_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")
_PROBED: Final = ("series", "number", "what", "amount_minor", "turnover_minor", "entered_ms")


def signed(context: Context, event: EntrySigned) -> tuple[Fact, ...]:
    """What the unit's answer makes true; nothing if it is late, or does not fit what was asked."""
    row = context.books.tables.get(FISCAL_SERIES, event.series)
    if row is None or event.number != whole(row, "signed") + 1 or len(event.text) > CODE_CHARS_MAX:
        return ()
    entry = context.books.tables.get(FISCAL_ENTRIES, event.series, event.number)
    now_ms = context.now.wall_ms
    if row["regime"] == PT:
        done = entry is not None and event.signature and not event.why
        return (FiscalSigned(event.series, event.number, event.signature, "", now_ms),) if done else ()
    if not _fits(context, row, entry, event):
        return ()
    facts: tuple[Fact, ...] = ()
    if entry is None:
        if event.why or not row["failing"] or event.number != whole(row, "number") + 1:
            return ()
        facts = (_probed(context, row, event),)
    signature = fiscal_rksv.FAILED_WORDS if event.why else bytes.fromhex(event.signature)
    code = fiscal_rksv.jws(event.text, signature)
    return (*facts, FiscalSigned(event.series, event.number, code, event.why[:200], now_ms))


def _probed(context: Context, row: Row, event: EntrySigned) -> FiscalEntered:
    """The zero receipt as it was signed: with the time that stands in it."""
    local = datetime.fromisoformat(event.text.split("_")[4]).replace(tzinfo=context.plan.zone)
    series, turnover = words(row, "series"), whole(row, "turnover_minor")
    at_ms = int(local.timestamp()) * 1000
    return FiscalEntered(series, event.number, fiscal_rksv.COLLECTIVE, 0, context.plan.currency, turnover, "", 0, at_ms)


def _fits(context: Context, row: Row, entry: Row | None, event: EntrySigned) -> bool:
    """Whether the signed text is the entry's: all of it but the turnover, which only who holds the key can read."""
    plan, cashbox = context.plan.money.fiscal, words(row, "name")
    parts = event.text.split("_")
    signed_as = _SIGNATURE.fullmatch(event.signature) is not None
    if plan is None or len(parts) != 13 or signed_as == bool(event.why):
        return False
    before = words(row, "last_code") or cashbox
    if entry is None:
        zero = ["0,00"] * 5
        return (
            parts[2:4] == [cashbox, str(event.number)]
            and parts[5:10] == zero
            and parts[12] == fiscal_rksv.chain_value(before)
        )
    at_ms, amount = whole(entry, "entered_ms"), whole(entry, "amount_minor")
    what, zone = words(entry, "what"), context.plan.zone
    asked = fiscal_rksv.data(cashbox, event.number, what, at_ms, zone, amount, parts[11], before).split("_")
    if asked[10] == fiscal_rksv.COUNTER:
        asked[10] = parts[10]
    return asked == parts


RULES: Final = Rules(
    "payments-fiscal",
    (
        Verb(
            "fiscal-training",
            "make a receipt for training, marked as such (RKSV)",
            (Param("series", str), Param("amount_minor", int)),
            _training,
        ),
        Verb("fiscal-null", "make a zero receipt of a series, signed (RKSV)", (Param("series", str),), _null),
    ),
    follow={PaymentTaken: _sold, PaymentRefunded: _took_back},
    turn=_turn,
    behind={FiscalEntered: _entered, FiscalSigned: _signed},
    remind=_remind,
)
