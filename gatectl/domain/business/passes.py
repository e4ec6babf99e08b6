"""Passes: come and go without a ticket, within their terms; what is beyond the terms is refused, or paid.

Rule 1: a pass is asked for nothing but its rows: no word from the office is needed, and a suspension works at once here.
Rule 2: a car that is inside by a pass is a stay like any other (a virtual ticket); it goes out by any credential of its pass.
Rule 3: anti-passback counts cars inside. hard: one more than the pass allows is refused. soft: let in and reported. timed:
refused until `reentry_minutes` after it was last let in, then let in and reported.
Rule 4: a named person sets a pass to neutral, with a reason: its cars are then where they are, and count no more.
"""

from collections.abc import Iterable
from typing import Any, Final

from gatectl.domain import facts as f
from gatectl.domain.bill import Bill, Stage
from gatectl.domain.business.credentials import key_of, signed
from gatectl.domain.business.pass_desk import FEEDS, VERBS
from gatectl.domain.business.pass_hours import covered, parsed, uncovered
from gatectl.domain.business.rule import Context, Grant, No, Rules
from gatectl.domain.facts import Fact, Line
from gatectl.domain.ids import TicketNumber, TimeQuality
from gatectl.domain.lane import LanePlan
from gatectl.domain.records import passes as p
from gatectl.domain.records.passes import CONTRACTS, PASS_CREDENTIALS, PASS_STAYS, PASSES
from gatectl.domain.right_codes import RightKind
from gatectl.domain.rows import Row, whole, words
from gatectl.domain.tariff_calendar import wall_at

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000

_CALL: Final = "Please call"


# -- at the lanes ---------------------------------------------------------------------------------------------------


def _shown(context: Context, text: str) -> tuple[Row, str] | No | None:
    """The pass whose credential was shown, and the credential's key."""
    code = signed(context, text, RightKind.PASS)
    key = f"code:{code.reference}" if code is not None else key_of(context, text)
    found = context.books.tables.get(PASS_CREDENTIALS, key) if key is not None else None
    row = context.books.tables.get(PASSES, found["pass_id"]) if found is not None else None
    if row is None or key is None:
        return None if code is None else No("E-PASS-01", f"Pass unknown\n{_CALL}")
    return row, key


def _entitle(context: Context, plan: LanePlan, text: str) -> Grant | No | None:
    shown = _shown(context, text)
    if shown is None or isinstance(shown, No):
        return shown
    row, key = shown
    refusal = _refusal(context, plan, row)
    if refusal is not None:
        return refusal
    excess = _contract_full(context, row)
    contract = context.books.tables.get(CONTRACTS, row["contract"])
    if excess and (contract is None or contract["excess"] == "refuse"):
        return No("E-PASS-05", f"Contract full\n{_CALL}")
    passback = _all_inside(context, row)
    if passback and row["antipassback"] == "hard":
        return No("E-PASS-06", f"Pass is inside already\n{_CALL}")
    used_ms = row["used_ms"]
    waits = isinstance(used_ms, int) and context.now.wall_ms - used_ms < whole(row, "reentry_minutes") * MINUTE_MS
    if passback and row["antipassback"] == "timed" and waits:
        return No("E-PASS-06", f"Pass was just used\n{_CALL}")
    pass_id, at_ms = words(row, "pass_id"), context.now.wall_ms

    def facts(ticket: TicketNumber) -> tuple[Fact, ...]:
        return (p.PassUsed(pass_id, words(row, "contract"), ticket, key, plan.lane, at_ms, excess, passback),)

    return Grant(facts, _welcome(context, row, excess))


def _refusal(context: Context, plan: LanePlan, row: Row) -> No | None:
    now_ms = context.now.wall_ms
    if row["suspended_by"] is not None:
        return No("E-PASS-02", f"Pass suspended\n{_CALL}")
    if context.now.quality is TimeQuality.UNSET:
        return No("E-TIME-01", "Please call.")
    if row["withdrawn"] or now_ms < whole(row, "from_ms") or _ends_ms(row, grace=True) <= now_ms:
        return No("E-PASS-03", f"Pass not valid\n{_CALL}")
    areas = words(row, "areas").split()
    if areas and plan.area not in areas:
        return No("E-PASS-04", "Pass not valid here\nPlease press for a ticket")
    if not covered(parsed(words(row, "hours")), now_ms, now_ms + 1, context.plan.zone):
        return No("E-PASS-04", "Pass not valid now\nPlease press for a ticket")
    return None


def _ends_ms(row: Row, grace: bool) -> int:
    """When the pass ends, with its days of grace or without; a pass without an end ends never."""
    until_ms = row["until_ms"]
    if not isinstance(until_ms, int):
        return 2**62
    return until_ms + (whole(row, "grace_days") * DAY_MS if grace and not row["withdrawn"] else 0)


def _counted(context: Context, column: str, value: object) -> int:
    assert isinstance(value, str), value
    return sum(1 for stay in context.books.tables.where(PASS_STAYS, column, value) if stay["counted"])


def _all_inside(context: Context, row: Row) -> bool:
    return _counted(context, "pass_id", row["pass_id"]) >= whole(row, "cars")


def _contract_full(context: Context, row: Row) -> bool:
    contract = context.books.tables.get(CONTRACTS, row["contract"])
    if contract is None:
        return False
    return _counted(context, "contract", row["contract"]) >= whole(contract, "cars")


def _welcome(context: Context, row: Row, excess: bool) -> str:
    if excess:
        return "Contract full\nYou will pay"
    if context.now.wall_ms >= _ends_ms(row, grace=False):
        ended = wall_at(whole(row, "until_ms"), context.plan.zone).strftime("%d.%m.%Y")
        return f"Pass ended {ended}\n{'You will pay' if row['grace'] == 'priced' else 'Please renew'}"
    return "Welcome"


def _stay_of(context: Context, text: str) -> TicketNumber | No | None:
    """Of several cars on a pass the one that came in by this credential, and of these the first."""
    shown = _shown(context, text)
    if shown is None or isinstance(shown, No):
        return shown
    row, key = shown
    stays = [
        stay
        for stay in context.books.tables.where(PASS_STAYS, "pass_id", row["pass_id"])
        if stay["ticket"] in context.books.stays
    ]
    if not stays:
        return No("E-PASS-07", f"Pass is not inside\n{_CALL}")
    first = min(stays, key=lambda stay: (stay["credential"] != key, whole(stay, "used_ms"), words(stay, "ticket")))
    return TicketNumber(words(first, "ticket"))


# -- the price --------------------------------------------------------------------------------------------------------


def _leaves_due(context: Context, bill: Bill) -> Iterable[Line]:
    """The pass covers its hours; a part of the stay beside them costs what a stay of its own would. Never more than without."""
    stay = context.books.tables.get(PASS_STAYS, bill.stay.ticket)
    row = context.books.tables.get(PASSES, stay["pass_id"]) if stay is not None else None
    if stay is None or row is None or bill.stay.lost:
        return
    if stay["excess"]:
        yield Line(f"Pass {row['pass_id']}: over its contract's limit", 0)
        return
    ends_ms = _ends_ms(row, grace=row["grace"] == "free")
    begins_ms = max(bill.entered_ms, whole(row, "from_ms"))
    parts = covered(parsed(words(row, "hours")), begins_ms, min(bill.until_ms, ends_ms), context.plan.zone)
    left = uncovered(parts, bill.entered_ms, bill.until_ms)
    due = sum(bill.charged(begin, end).total_minor for begin, end in left)
    yield Line(f"Pass {row['pass_id']}", min(due, bill.parking_minor) - bill.parking_minor)


# -- behind other facts -------------------------------------------------------------------------------------------------


def _freed(
    context: Context, fact: f.TicketVoided | f.EntryReversed | f.VehicleExited | f.TicketWrittenOff
) -> Iterable[Fact]:
    stay = context.books.tables.get(PASS_STAYS, fact.ticket)
    if stay is not None and fact.ticket is not None:
        yield p.PassFreed(words(stay, "pass_id"), fact.ticket, fact.kind)


def _moved(context: Context, fact: f.TicketLostDeclared) -> Iterable[Fact]:
    stay = context.books.tables.get(PASS_STAYS, fact.ticket)
    if stay is not None and fact.ticket is not None:
        yield p.PassMoved(
            words(stay, "pass_id"),
            words(stay, "contract"),
            fact.ticket,
            fact.replacement,
            words(stay, "credential"),
            whole(stay, "used_ms"),
            bool(stay["excess"]),
            bool(stay["counted"]),
        )


_FOLLOW: Final[dict[type[Fact], Any]] = {
    f.TicketVoided: _freed,
    f.EntryReversed: _freed,
    f.VehicleExited: _freed,
    f.TicketWrittenOff: _freed,
    f.TicketLostDeclared: _moved,
}

RULES: Final = Rules(
    "passes",
    VERBS,
    follow=_FOLLOW,
    adjust={Stage.RIGHT: _leaves_due},
    feeds=FEEDS,
    entitle=_entitle,
    stay_of=_stay_of,
)
