"""Charging sessions: what a reading means, which stay pays, how one begins and ends. Nothing here is asked of twice.

Rule 1: the energy of a session is the highest reading that was believed less its first. It is never negative and never falls.
Rule 2: a charger's clock settles nothing: idle time runs on the site's clock, from when the site heard that charging was over.
Rule 3: what is told again (a message that was sent twice, a transaction begun twice) makes no fact.
Rule 4: idle time is charged only while it is known that the connector is kept: a charger that is faulted or lost proves nothing.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from gatectl.domain import tickets
from gatectl.domain.business.rule import Context
from gatectl.domain.chargers import Charger
from gatectl.domain.facts import Fact
from gatectl.domain.ids import TicketNumber, TimeQuality
from gatectl.domain.records.charging import (
    CHARGERS,
    SESSIONS,
    ChargerAdded,
    ChargingClaimed,
    ChargingEnded,
    ChargingFreed,
    ChargingMetered,
    ChargingPaused,
    ChargingResumed,
    ChargingStarted,
    ChargingToldLate,
    ChargingUnclaimed,
)
from gatectl.domain.rows import Row, whole, words
from gatectl.domain.tickets import TicketState

ENERGY_WH_MAX: Final = 300_000
"""More in one session than the largest vehicle battery sold, twice: such a reading is a meter's fault."""
METERED_WH_MIN: Final = 500
"""Readings between beginning and end are put on record in steps of at least this."""


def charger_at(context: Context, device: str, connector: int) -> Charger | None:
    """The connector of a charge point."""
    return next((c for c in context.plan.chargers if c.device == device and c.connector == connector), None)


def charger_of(context: Context, name: str) -> Charger | None:
    return next((charger for charger in context.plan.chargers if charger.charger == name), None)


def known(context: Context, charger: str) -> Iterator[Fact]:
    """What must come before the first other fact about a charger."""
    if context.books.tables.get(CHARGERS, charger) is None:
        yield ChargerAdded(charger)


def open_session(context: Context, charger: str) -> Row | None:
    """The session that is charging at a connector; there is one at most."""
    rows = context.books.tables.where(SESSIONS, "charger", charger)
    return next((row for row in rows if row["state"] == "charging"), None)


def transaction_at(context: Context, device: str, transaction: str) -> Row | None:
    """The session that a charge point calls so: the newest, for a charge point may begin to count anew."""
    here = {charger.charger for charger in context.plan.chargers if charger.device == device}
    rows = [r for r in context.books.tables.where(SESSIONS, "transaction_id", transaction) if r["charger"] in here]
    return max(rows, key=lambda row: whole(row, "number"), default=None)


def stay_by(context: Context, token: str) -> TicketNumber | None:
    """The stay inside that a credential at a charger names: a ticket's number or its code."""
    number = tickets.parse_number(token)
    if number is None:
        read = tickets.verify(token, context.plan.keyring, context.plan.site)
        number = None if isinstance(read, tickets.CodeRefusal) else tickets.format_number(read.counter, read.tag)
    stay = context.books.stays.get(number) if number is not None else None
    return stay.ticket if stay is not None and stay.state is TicketState.INSIDE else None


def admitted(context: Context, charger: Charger, token: str) -> bool:
    """Whether a charger may deliver for a credential."""
    return charger.anyone or stay_by(context, token) is not None


def claimant(context: Context, charger: Charger, token: str) -> tuple[TicketNumber | None, str]:
    """Whose a session is: the credential's stay; else the stay that holds the spot; else nobody's."""
    by_credential = stay_by(context, token) if token else None
    if by_credential is not None:
        return by_credential, "credential"
    row = context.books.tables.get(CHARGERS, charger.charger)
    at_spot = None if row is None or row["ticket"] is None else TicketNumber(words(row, "ticket"))
    return (at_spot, "spot") if at_spot is not None and at_spot in context.books.stays else (None, "")


def began(
    context: Context, charger: Charger, transaction: str, token: str, meter_wh: int | None, told_ms: int | None
) -> tuple[int, tuple[Fact, ...]]:
    """A session's number, and its facts if it is a new one. `transaction` is empty when the number shall name it."""
    again = _told_before(context, charger, transaction, meter_wh, told_ms)
    if again is not None:
        return whole(again, "number"), ()
    facts = list(known(context, charger.charger))
    for before in context.books.tables.where(SESSIONS, "charger", charger.charger):
        if before["state"] == "charging":
            facts += ended(context, before, "superseded", None, None)
        if before["freed_ms"] is None and before["state"] in ("charging", "ended"):
            facts.append(ChargingFreed(words(before, "session"), "superseded", context.now.wall_ms))
    number = 1 + sum(whole(row, "sessions") for row in context.books.tables.all(CHARGERS))
    ticket, by = claimant(context, charger, token)
    session, prices = f"{charger.charger}-{number}-{context.boot.tag}", context.plan.charging
    started = ChargingStarted(
        session=session,
        charger=charger.charger,
        number=number,
        transaction=transaction or str(number),
        ticket=ticket,
        by=by,
        meter_wh=meter_wh,
        told_ms=told_ms,
        started_ms=context.now.wall_ms,
        kwh_minor=prices.kwh_minor,
        connection_minor=prices.connection_minor,
        idle_minor=prices.idle_minor,
        idle_grace_minutes=prices.idle_grace_minutes,
    )
    facts.append(started)
    if ticket is None:
        why = "its credential is no stay's that is inside, and no stay holds its spot"
        facts.append(ChargingUnclaimed(session, charger.charger, started.transaction, why))
    return number, tuple(facts)


def named_late(context: Context, session: Row, token: str) -> Iterator[Fact]:
    """A credential that is shown after the cable was plugged in says whose the session is."""
    if token and session["state"] == "charging" and session["claimed_by"] in (None, "spot"):
        ticket = stay_by(context, token)
        if ticket is not None:
            yield ChargingClaimed(words(session, "session"), ticket, "credential", "")


def _told_before(
    context: Context, charger: Charger, transaction: str, meter_wh: int | None, told_ms: int | None
) -> Row | None:
    """The session that this beginning has made already. One without a name is known by its moment and its meter."""
    for row in context.books.tables.where(SESSIONS, "charger", charger.charger):
        if transaction and row["transaction_id"] == transaction:
            return row
        unnamed = not transaction and told_ms is not None
        if unnamed and row["told_ms"] == told_ms and row["from_wh"] == meter_wh:
            return row
    return None


def _read(session: Row, meter_wh: int | None) -> tuple[int | None, int | None, str]:
    """Where the session began, what its meter shows now as far as it is believed, and why a reading was not."""
    first, last = session["from_wh"], session["meter_wh"]
    assert first is None or isinstance(first, int)
    assert last is None or isinstance(last, int)
    if meter_wh is None:
        return first, last, ""
    if first is None or last is None:
        return meter_wh, meter_wh, ""
    if meter_wh < last:
        return first, last, "meter-backwards"
    if meter_wh - first > ENERGY_WH_MAX:
        return first, last, "meter-jump"
    return first, meter_wh, ""


def metered(context: Context, session: Row, meter_wh: int, told_ms: int | None) -> Iterable[Fact]:
    """A reading while the session goes on."""
    first, last, _ = _read(session, meter_wh)
    if session["state"] != "charging" or first is None or last is None:
        return
    energy_wh = last - first
    if session["from_wh"] is None or energy_wh - whole(session, "energy_wh") >= METERED_WH_MIN:
        yield ChargingMetered(words(session, "session"), first, last, energy_wh, told_ms)


def ended(context: Context, session: Row, reason: str, meter_wh: int | None, told_ms: int | None) -> Iterator[Fact]:
    """The end of a session; told again, nothing; told after its stay has gone, what nobody pays."""
    first, last, doubt = _read(session, meter_wh)
    energy_wh = 0 if first is None or last is None else last - first
    name = words(session, "session")
    if session["state"] == "charging":
        if session["from_wh"] is None and first is not None and last is not None:
            yield ChargingMetered(name, first, last, 0, told_ms)
        yield ChargingEnded(name, reason, last, energy_wh, doubt, told_ms, context.now.wall_ms)
        if context.now.quality is TimeQuality.UNSET:
            yield ChargingFreed(name, "clock-unset", context.now.wall_ms)
    elif session["reason"] in ("left", "superseded") and first is not None and last is not None:
        yield from _told_at_last(context, session, reason, first, last, told_ms)


def _told_at_last(
    context: Context, session: Row, reason: str, first: int, last: int, told_ms: int | None
) -> Iterator[Fact]:
    """We gave a session up before its charger told of its end: the stay pays it if it is still here.

    What the meter showed when the next session began is that one's.
    """
    rows = context.books.tables.where(SESSIONS, "charger", session["charger"])
    behind = [row["from_wh"] for row in rows if whole(row, "number") > whole(session, "number")]
    last = min([last, *(began_wh for began_wh in behind if isinstance(began_wh, int))])
    name, energy_wh = words(session, "session"), last - first
    unbilled_wh = energy_wh - whole(session, "energy_wh")
    if unbilled_wh <= 0:
        return
    if session["state"] == "ended":
        yield ChargingEnded(name, reason, last, energy_wh, "", told_ms, whole(session, "ended_ms"))
    elif unbilled_wh != session["unbilled_wh"]:
        yield ChargingToldLate(name, energy_wh, unbilled_wh)


def paused(context: Context, charger: str, status: str) -> Iterator[Fact]:
    """What a connector's new status says of the session there."""
    now_ms = context.now.wall_ms
    for session in context.books.tables.where(SESSIONS, "charger", charger):
        name = words(session, "session")
        if session["state"] == "charging" and status == "paused" and session["paused_ms"] is None:
            yield ChargingPaused(name, now_ms)
        elif session["state"] == "charging" and status == "charging" and session["paused_ms"] is not None:
            yield ChargingResumed(name, now_ms)
        elif status in ("available", "faulted"):
            yield from freed(context, session, "unplugged" if status == "available" else "faulted")


def freed(context: Context, session: Row, why: str) -> Iterator[Fact]:
    """Idle time stops, if any runs: the session has ended, or its vehicle takes no more, and its connector was kept."""
    over = session["state"] == "ended" or session["paused_ms"] is not None
    if over and session["freed_ms"] is None and session["state"] != "settled":
        yield ChargingFreed(words(session, "session"), why, context.now.wall_ms)
