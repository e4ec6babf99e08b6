"""Reservations: an hourly promise of a place, kept while the site is alone.

Rule 1: what the office may sell of a class is a quota that no walk-in is given, so that the office sells within it without asking
and the site needs no word from it: a signed code alone lets its driver in.
Rule 2: a reservation that was sold here is kept a spot beside the quota, from HOLD_AHEAD_MS before the driver may come.
Rule 3: a used reservation fills the quota until its time is over; who overstays does not, so that the next one's place is kept.
Rule 4: every reservation is used once; backing out gives it back, leaving does not.
"""

from collections.abc import Iterable
from typing import Any, Final

from gatectl.domain import facts as f
from gatectl.domain.bill import Bill, Stage
from gatectl.domain.business.credentials import key_of, signed
from gatectl.domain.business.reservation_desk import FEEDS, VERBS, closing
from gatectl.domain.business.rule import Context, Grant, No, Rules
from gatectl.domain.facts import Fact, Line
from gatectl.domain.ids import AreaId, TicketNumber, TimeQuality
from gatectl.domain.lane import LanePlan
from gatectl.domain.opening import Parker
from gatectl.domain.records import reservations as r
from gatectl.domain.records.reservations import QUOTAS, RESERVATION_CREDENTIALS, RESERVATIONS
from gatectl.domain.right_codes import RightCode, RightKind, place_hash
from gatectl.domain.rows import Row, whole, words
from gatectl.domain.tariff_calendar import wall_at

MINUTE_MS: Final = 60_000
HOLD_AHEAD_MS: Final = 60 * MINUTE_MS
"""So long before its driver may come, the place of a reservation that was sold here is kept: walk-ins leave meanwhile."""
BY_CODE: Final = "code"
OFFICE: Final = frozenset({"office", BY_CODE})
"""Sources whose reservations are within the office's quota."""
_WAITING: Final = frozenset({"booked", "held", "released"})


def place(area: str, spot_type: str) -> str:
    """A class as the rows name it."""
    return f"{area}/{spot_type}"


def kept_spots(context: Context, area: AreaId, spot_type: str) -> int:
    """How many free spots of a class are not for walk-ins: the quota that is not filled, and what is kept for those sold here."""
    tables = context.books.tables
    row = tables.get(QUOTAS, area, spot_type)
    quota = context.plan.quotas.get((area, spot_type), 0) if row is None else whole(row, "spots")
    where = place(area, spot_type)
    return max(0, quota - tables.counted(RESERVATIONS, "sold", where)) + tables.counted(RESERVATIONS, "kept", where)


# -- at the lanes ---------------------------------------------------------------------------------------------------


def _entitle(context: Context, plan: LanePlan, text: str) -> Grant | No | None:
    code = signed(context, text, RightKind.RESERVATION)
    row = _row_of(context, text, code)
    if row is None and code is None:
        return None
    if context.now.quality is TimeQuality.UNSET:
        return No("E-TIME-01", "Please call.")
    first: tuple[Fact, ...] = ()
    if row is None:
        assert code is not None
        made = _made_by_code(context, code)
        if isinstance(made, No):
            return made
        row, first = _row_made(made), (made,)
    refusal = _refusal(context, plan, row)
    if refusal is not None:
        return refusal
    name, area, spot_type = (words(row, column) for column in ("reservation", "area", "spot_type"))
    fills = place(area, spot_type) if row["source"] in OFFICE else ""
    at_ms = context.now.wall_ms

    def facts(ticket: TicketNumber) -> tuple[Fact, ...]:
        return (*first, r.ReservationUsed(name, ticket, plan.lane, at_ms, fills))

    return Grant(facts, "Reservation\nWelcome", None if row["state"] == "released" else spot_type, Parker.RESERVATION)


def _row_of(context: Context, text: str, code: RightCode | None) -> Row | None:
    """What the site knows of the reservation that was shown."""
    tables = context.books.tables
    if code is not None:
        return tables.get(RESERVATIONS, code.reference)
    key = key_of(context, text)
    found = tables.get(RESERVATION_CREDENTIALS, key) if key is not None else None
    return tables.get(RESERVATIONS, found["reservation"]) if found is not None else None


def _made_by_code(context: Context, code: RightCode) -> r.ReservationMade | No:
    """The reservation that a signed code says, of which nothing else is known here."""
    there = _class_of(context, code.place)
    if there is None:
        return No("E-RSV-01", "Reservation unknown\nPlease call")
    until_ms = code.from_ms + code.minutes * MINUTE_MS
    return r.ReservationMade(
        code.reference,
        "",
        there[0],
        there[1],
        code.from_ms,
        until_ms,
        code.early_minutes,
        code.minutes,
        code.prepaid_minor,
        (),
        BY_CODE,
    )


def _row_made(made: r.ReservationMade) -> Row:
    """The row that the fact makes."""
    (put, *_) = r.RECORDS.changes[r.ReservationMade](made)
    row: Row = RESERVATIONS.row(put.values)  # type: ignore[union-attr]  # the first change is the row's Put
    return row


def _class_of(context: Context, hashed: bytes) -> tuple[str, str] | None:
    """The class of the site that a code names."""
    for area in context.plan.areas:
        for spot_type in context.books.spots.total(area):
            if place_hash(area, spot_type) == hashed:
                return area, spot_type
    return None


def _refusal(context: Context, plan: LanePlan, row: Row) -> No | None:
    now_ms = context.now.wall_ms
    if row["state"] == "cancelled":
        return No("E-RSV-03", "Reservation cancelled\nPlease call")
    if row["state"] not in _WAITING:
        return No("E-RSV-02", "Reservation already used\nPlease call")
    if now_ms < whole(row, "from_ms") - whole(row, "early_minutes") * MINUTE_MS:
        return No("E-RSV-04", f"Too early\nReserved from {_clock(context, whole(row, 'from_ms'))}")
    if now_ms >= whole(row, "until_ms"):
        return No("E-RSV-05", "Reservation is over\nPlease press for a ticket")
    if row["area"] != plan.area:
        return No("E-RSV-06", "Reserved elsewhere\nPlease call")
    return None


def _clock(context: Context, at_ms: int) -> str:
    return wall_at(at_ms, context.plan.zone).strftime("%d.%m. %H:%M")


def _stay_of(context: Context, text: str) -> TicketNumber | No | None:
    code = signed(context, text, RightKind.RESERVATION)
    row = _row_of(context, text, code)
    if row is None:
        return None if code is None else No("E-RSV-01", "Reservation unknown\nPlease call")
    ticket = row["ticket"]
    if row["state"] not in ("used", "overstayed") or ticket not in context.books.stays:
        return No("E-RSV-07", "Not inside by this reservation\nPlease call")
    return TicketNumber(words(row, "ticket"))


# -- the price --------------------------------------------------------------------------------------------------------


def _leaves_due(context: Context, bill: Bill) -> Iterable[Line]:
    """What was prepaid covers the stay until the reservation's end; what comes after costs what a stay from then on would.

    Never more than without the reservation.
    """
    row = _of_ticket(context, bill.stay.ticket)
    if row is None or row["prepaid_minor"] is None or bill.stay.lost:
        return
    until_ms = whole(row, "until_ms")
    after = bill.charged(until_ms, bill.until_ms).total_minor if bill.until_ms > until_ms else 0
    covered = bill.parking_minor - min(bill.parking_minor, after)
    yield Line(f"Reservation {row['reservation']}, paid until {_clock(context, until_ms)}", -covered)


def _of_ticket(context: Context, ticket: TicketNumber | None) -> Row | None:
    return next(context.books.tables.where(RESERVATIONS, "ticket", ticket), None) if ticket is not None else None


# -- behind other facts -------------------------------------------------------------------------------------------------


def _not_in(context: Context, fact: f.TicketVoided | f.EntryReversed) -> Iterable[Fact]:
    row = _of_ticket(context, fact.ticket)
    if row is not None:
        yield r.ReservationReturned(words(row, "reservation"), fact.ticket, fact.kind)


def _left(context: Context, fact: f.VehicleExited | f.TicketWrittenOff) -> Iterable[Fact]:
    row = _of_ticket(context, fact.ticket)
    if row is not None and fact.ticket is not None and row["state"] in ("used", "overstayed"):
        yield r.ReservationLeft(words(row, "reservation"), fact.ticket)


def _moved(context: Context, fact: f.TicketLostDeclared) -> Iterable[Fact]:
    row = _of_ticket(context, fact.ticket)
    if row is not None and fact.ticket is not None:
        yield r.ReservationMoved(words(row, "reservation"), fact.ticket, fact.replacement)


# -- the clock ----------------------------------------------------------------------------------------------------------


def _turn(context: Context) -> Iterable[Fact]:
    """Places are kept and released, overstays noted, and what is over is closed."""
    if context.now.quality is TimeQuality.UNSET:
        return
    for row in list(context.books.tables.all(RESERVATIONS)):
        yield from _moved_on(context.now.wall_ms, row)


def _moved_on(now_ms: int, row: Row) -> Iterable[Fact]:
    name, state = words(row, "reservation"), row["state"]
    from_ms, until_ms = whole(row, "from_ms"), whole(row, "until_ms")
    if now_ms >= until_ms:
        if state == "used":
            yield r.ReservationOverstayed(name, TicketNumber(words(row, "ticket")))
        elif state != "overstayed":
            yield closing(row, now_ms)
    elif state in ("booked", "held") and now_ms >= from_ms + whole(row, "late_minutes") * MINUTE_MS:
        yield r.ReservationReleased(name)
    elif state == "booked" and row["source"] not in OFFICE and now_ms >= _held_from_ms(row):
        yield r.ReservationHeld(name, place(words(row, "area"), words(row, "spot_type")))


def _held_from_ms(row: Row) -> int:
    return whole(row, "from_ms") - whole(row, "early_minutes") * MINUTE_MS - HOLD_AHEAD_MS


_FOLLOW: Final[dict[type[Fact], Any]] = {
    f.TicketVoided: _not_in,
    f.EntryReversed: _not_in,
    f.VehicleExited: _left,
    f.TicketWrittenOff: _left,
    f.TicketLostDeclared: _moved,
}

RULES: Final = Rules(
    "reservations",
    VERBS,
    follow=_FOLLOW,
    turn=_turn,
    adjust={Stage.RIGHT: _leaves_due},
    feeds=FEEDS,
    entitle=_entitle,
    stay_of=_stay_of,
)
