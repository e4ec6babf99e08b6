"""EV charging: what chargers tell and ask, what a stay's sessions cost, and what a person can ask of a charger.

Rule 1: a session's price is its connection fee, its energy and its idle time, each a line on the stay; one that delivered
nothing costs nothing. Energy: watt-hours times the price of a kilowatt-hour, to the nearest minor unit, a half upwards.
Rule 2: a stay goes on after charging has ended; a session ends with its stay at the latest ("left").
Rule 3: what a session costs is final once its stay has gone. Energy that is told of later is on record, and nobody's debt.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from gatectl.domain import facts as f
from gatectl.domain.bill import Bill, Stage
from gatectl.domain.business import charging_sessions as sessions
from gatectl.domain.business.charging_desk import VERBS
from gatectl.domain.business.rule import Context, Rules
from gatectl.domain.facts import Fact, Line
from gatectl.domain.ids import TicketNumber
from gatectl.domain.records.charging import (
    CHARGERS,
    SESSIONS,
    ChargerSpotBlocked,
    ChargerSpotLeft,
    ChargerSpotTaken,
    ChargingClaimed,
    ChargingClosed,
    ChargingFreed,
    ChargingSettled,
)
from gatectl.domain.rows import Row, whole, words

MINUTE_MS: Final = 60_000
BLOCKED_MS: Final = 15 * MINUTE_MS
"""A stay at a charger's spot that has not charged for so long is shown."""
LATE_MS: Final = 7 * 24 * 60 * MINUTE_MS
"""So long what is still told of a session whose stay has gone is understood."""


# -- what it costs ------------------------------------------------------------------------------------------------------


def energy_minor(energy_wh: int, kwh_minor: int) -> int:
    """To the nearest minor unit, a half upwards."""
    return (energy_wh * kwh_minor + 500) // 1000


def idle_minutes(session: Row, until_ms: int) -> int:
    """Whole minutes for which the connector was kept after charging, beyond the grace."""
    over = [ms for ms in (session["paused_ms"], session["ended_ms"]) if isinstance(ms, int)]
    if not over:
        return 0
    freed = session["freed_ms"]
    kept_ms = (freed if isinstance(freed, int) else until_ms) - min(over)
    return max(0, kept_ms // MINUTE_MS - whole(session, "idle_grace_minutes"))


def lines_of(session: Row, until_ms: int) -> Iterator[Line]:
    """What one session costs."""
    energy_wh, charger = whole(session, "energy_wh"), words(session, "charger")
    if energy_wh == 0:
        return
    if whole(session, "connection_minor"):
        yield Line(f"Charging {charger}, connection", whole(session, "connection_minor"))
    if whole(session, "kwh_minor"):
        amount = energy_minor(energy_wh, whole(session, "kwh_minor"))
        yield Line(f"Charging {charger}, {energy_wh // 1000}.{energy_wh % 1000:03d} kWh", amount)
    minutes = idle_minutes(session, until_ms)
    if minutes and whole(session, "idle_minor"):
        yield Line(f"Charging {charger}, {minutes} min idle", minutes * whole(session, "idle_minor"))


def _surcharge(context: Context, bill: Bill) -> Iterator[Line]:
    for session in context.books.tables.where(SESSIONS, "ticket", bill.stay.ticket):
        yield from lines_of(session, bill.until_ms)


# -- the stay and its spot ------------------------------------------------------------------------------------------------


def _entered(context: Context, fact: f.VehicleEntered) -> Iterator[Fact]:
    """The stay that was given a charger's spot is inside."""
    yield from _stands(context, fact.ticket)


def _moved(context: Context, fact: f.VehicleMoved) -> Iterator[Fact]:
    """From one area into another, where it has another spot."""
    if fact.ticket is not None:
        yield from _spot_left(context, fact.ticket)
        yield from _stands(context, fact.ticket)


def _stands(context: Context, ticket: TicketNumber) -> Iterator[Fact]:
    if not context.plan.chargers:
        return
    spot = context.books.stays[ticket].spot
    for charger in context.plan.chargers:
        if spot is not None and charger.spot == spot:
            yield from sessions.known(context, charger.charger)
            yield ChargerSpotTaken(charger.charger, ticket, context.now.wall_ms)


def _spot_left(context: Context, ticket: TicketNumber) -> Iterator[Fact]:
    for row in list(context.books.tables.where(CHARGERS, "ticket", ticket)):
        yield ChargerSpotLeft(words(row, "charger"), ticket, context.now.wall_ms)


def _left(context: Context, ticket: TicketNumber) -> Iterator[Fact]:
    """A stay has gone: its sessions end with what the meter showed last, and what they cost is final."""
    for session in list(context.books.tables.where(SESSIONS, "ticket", ticket)):
        name = words(session, "session")
        if session["state"] == "charging":
            yield from sessions.ended(context, session, "left", None, None)
        if session["freed_ms"] is None and session["state"] != "settled":
            yield ChargingFreed(name, "left", context.now.wall_ms)
        if session["state"] != "settled":
            yield ChargingSettled(name)
    yield from _spot_left(context, ticket)


def _exited(context: Context, fact: f.VehicleExited) -> Iterable[Fact]:
    return () if fact.ticket is None else _left(context, fact.ticket)


def _gone(context: Context, fact: f.EntryReversed | f.TicketWrittenOff) -> Iterable[Fact]:
    return _left(context, fact.ticket)


def _replaced(context: Context, fact: f.TicketLostDeclared) -> Iterator[Fact]:
    """The stay goes on under another number, and so does what it owes for charging."""
    if fact.ticket is None:
        return
    for session in list(context.books.tables.where(SESSIONS, "ticket", fact.ticket)):
        yield ChargingClaimed(words(session, "session"), fact.replacement, "replacement", fact.why)
    for row in list(context.books.tables.where(CHARGERS, "ticket", fact.ticket)):
        yield ChargerSpotTaken(words(row, "charger"), fact.replacement, whole(row, "taken_ms"))


def _charger_lost(context: Context, fact: f.DeviceLost) -> Iterator[Fact]:
    """A charger that is not heard of proves nothing: no idle time from now on."""
    for charger in context.plan.chargers:
        if charger.device == fact.device:
            for session in list(context.books.tables.where(SESSIONS, "charger", charger.charger)):
                yield from sessions.freed(context, session, "lost")


# -- the clock ------------------------------------------------------------------------------------------------------------


def _turn(context: Context) -> Iterator[Fact]:
    now_ms, tables = context.now.wall_ms, context.books.tables
    for charger in context.plan.chargers:
        yield from sessions.known(context, charger.charger)
        row = tables.get(CHARGERS, charger.charger)
        if row is not None and _blocked(context, row):
            yield ChargerSpotBlocked(charger.charger, TicketNumber(words(row, "ticket")), now_ms)
    for session in list(tables.all(SESSIONS)):
        unpaid = session["state"] == "ended" and session["ticket"] is None
        if (session["state"] == "settled" or unpaid) and now_ms - whole(session, "ended_ms") > LATE_MS:
            yield ChargingClosed(words(session, "session"))


def _blocked(context: Context, charger: Row) -> bool:
    """Whether a stay has stood at a charger for long and has no session there since it came."""
    if charger["ticket"] is None or charger["blocked"]:
        return False
    since_ms = whole(charger, "taken_ms")
    for session in context.books.tables.where(SESSIONS, "charger", charger["charger"]):
        if session["ended_ms"] is None or whole(session, "ended_ms") >= since_ms:
            return False
    return context.now.wall_ms - since_ms > BLOCKED_MS


RULES: Final = Rules(
    "charging",
    VERBS,
    follow={
        f.VehicleEntered: _entered,
        f.VehicleMoved: _moved,
        f.VehicleExited: _exited,
        f.EntryReversed: _gone,
        f.TicketWrittenOff: _gone,
        f.TicketLostDeclared: _replaced,
        f.DeviceLost: _charger_lost,
    },
    turn=_turn,
    adjust={Stage.SURCHARGE: _surcharge},
)
