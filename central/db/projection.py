"""Facts into the office's rows: load what a batch touches, fold the facts over it in order, write what changed.

Rule 1: the rules are those of the site's mirror: a ticket's state is what the last fact said of it.
Rule 2: what cannot be digested is parked, and the later facts of the same ticket behind it; it is never dropped.
Rule 3: no clock and no order but the journal's: `rebuild` makes the same rows again, whatever the batches were.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain as joined
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select, text, update
from sqlalchemy.exc import DataError, IntegrityError

from central.db import alarms, bulk
from central.db import rows as business_rows
from central.db import schema as s
from central.db.chains import record_of
from central.db.page import Page, Park, Row, Rows
from gatectl.domain import codec
from gatectl.domain import facts as f
from gatectl.domain.kinds import KINDS
from gatectl.domain.records import registry
from sync.records import Record

TICKET_STATES: Final[Mapping[type[f.Fact], str]] = {
    f.TicketIssued: "issued",
    f.TicketLearned: "inside",
    f.VehicleEntered: "inside",
    f.TicketSpent: "spent",
    f.TicketReturned: "inside",
    f.VehicleExited: "exited",
    f.VehicleMoved: "inside",
    f.TicketVoided: "void",
    f.EntryReversed: "void",
    f.TicketLostDeclared: "lost",
    f.TicketWrittenOff: "written-off",
}
"""The state a ticket has after a fact about it. Money facts leave it as it is."""
_MONEY: Final = (f.PaymentStarted, f.PaymentTaken, f.PaymentFailed, f.PaymentRefunded)
_ABOUT_TICKETS: Final = (*TICKET_STATES, *_MONEY)
_VENDS: Final = (f.VendIntended, f.VendConfirmed, f.VendUnknown, f.VendFailed, f.VendClosed)
_ALARMING: Final = (f.LaneFaulted, f.LaneCleared, f.DeviceLost, f.DeviceBack)
COMMAND_STATES: Final[Mapping[type[f.Fact], str]] = {f.CommandDone: "done", f.CommandRefused: "refused"}
FACT_ALARMS: Final = ("lane", "device")
"""Sources of alarms that facts open and close; the office's own are not touched here."""
REBUILD_RECORDS: Final = 1_000
_DETAIL_CHARS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Item:
    """A record to project, and the generation in which it came."""

    generation: int
    record: Record


@dataclass(frozen=True, slots=True)
class Undigested:
    """Why a record is parked.

    `why`: unknown-kind, bad-body, unknown-ticket, unknown-payment, clash, unstorable, behind; conflict is ingest's.
    """

    why: str
    detail: str
    tickets: tuple[str, ...] = ()


# -- one batch --------------------------------------------------------------------------------------------------------


def project(connection: Connection, site: str, items: Sequence[Item]) -> int:
    """Project records in order; returns how many were parked. Never raises for what a record says.

    A set that the database refuses is halved until the offender stands alone, and that is parked.
    """
    if not items:
        return 0
    try:
        with connection.begin_nested():
            return _project_set(connection, site, items)
    except (IntegrityError, DataError, ValueError) as error:
        if len(items) > 1:
            middle = len(items) // 2
            return project(connection, site, items[:middle]) + project(connection, site, items[middle:])
        why = Undigested("unstorable", str(getattr(error, "orig", error)), _tickets_in(items[0].record.body))
        bulk.upsert(connection, s.parked, parked_rows(site, items[0], why))
        return 1


def rebuild(connection: Connection, site: str) -> int:
    """Make a site's projections again from its journal, in the caller's transaction. Returns the facts read."""
    for table in (s.tickets, s.payments, s.vends, s.lanes, s.occupancy, *s.business.values()):
        connection.execute(delete(table).where(table.c.site_id == site))
    connection.execute(delete(s.parked).where(s.parked.c.site_id == site, s.parked.c.why != "conflict"))
    connection.execute(delete(s.alarms).where(s.alarms.c.site_id == site, s.alarms.c.source.in_(FACT_ALARMS)))
    read, last = 0, (0, 0)
    while items := _journal_page(connection, site, *last):
        project(connection, site, items)
        read, last = read + len(items), (items[-1].generation, items[-1].record.seq)
    waiting = connection.execute(
        select(func.count()).select_from(s.parked).where(s.parked.c.site_id == site)
    ).scalar_one()
    if waiting == 0:
        alarms.settle_sync(connection, site, "parked")
    return read


def parked_rows(site: str, item: Item, why: Undigested) -> list[Row]:
    """The rows of a parked record: one for each ticket that it holds up, or one without a ticket."""
    record = item.record
    row: Row = {"site_id": site, "generation": item.generation, "seq": record.seq, "fact_id": record.fact_id}
    row |= {"kind": record.kind, "version": record.version, "why": why.why, "detail": _storable(why.detail)}
    return [row | {"ticket": number} for number in dict.fromkeys(map(_storable, why.tickets)) or ("",)]


def _journal_page(connection: Connection, site: str, generation: int, seq: int) -> list[Item]:
    rows = connection.execute(
        text(
            "SELECT generation, seq, fact_id, wall_ms, quality, boot_id, mono_ms, kind, version, body FROM journal"
            " WHERE site_id = :site AND (generation, seq) > (:generation, :seq) ORDER BY generation, seq LIMIT :limit"
        ),
        {"site": site, "generation": generation, "seq": seq, "limit": REBUILD_RECORDS},
    )
    return [Item(row.generation, record_of(row)) for row in rows]


def _project_set(connection: Connection, site: str, items: Sequence[Item]) -> int:
    read = [(item, _read(item.record)) for item in items]
    page = _load(connection, site, [what for _, what in read])
    for item, what in read:
        undigested = what if isinstance(what, Undigested) else _fold(page, what, item)
        if undigested is not None:
            page.parked += parked_rows(site, item, undigested)
            for number in undigested.tickets:
                page.blocked.setdefault(number, f"{item.generation}/{item.record.seq}")
    _write(connection, page)
    return len({(row["generation"], row["seq"]) for row in page.parked})


def _read(record: Record) -> f.Fact | Undigested | None:
    """The fact in a record; None if it changes no row here."""
    known = KINDS.get(record.kind)
    if known in NO_ROWS and known.version == record.version:
        return None
    if known is not None and known not in _FOLDS and known not in registry.FACTS:
        return Undigested("unknown-kind", f"{record.kind}/{record.version} has no place here", _tickets_in(record.body))
    try:
        return codec.decode(record.kind, record.version, record.body)
    except codec.UnknownKind as error:
        return Undigested("unknown-kind", str(error), _tickets_in(record.body))
    except (codec.BadBody, ValueError, RecursionError) as error:
        return Undigested("bad-body", str(error), _tickets_in(record.body))


def _fold(page: Page, fact: f.Fact | None, item: Item) -> Undigested | None:
    if fact is None:
        return None
    numbers = _tickets_of(fact)
    behind = next((page.blocked[number] for number in numbers if number in page.blocked), None)
    if behind is not None:
        return Undigested("behind", f"waits behind {behind}", numbers)
    if type(fact) in _FOLDS:
        try:
            _FOLDS[type(fact)](page, fact, item.record.wall_ms)
        except Park as park:
            return Undigested(park.why, park.detail, numbers)
    page.business += registry.changes(fact)
    return None


def _tickets_of(fact: f.Fact) -> tuple[str, ...]:
    if not isinstance(fact, _ABOUT_TICKETS):
        return ()
    named = (getattr(fact, name, None) for name in ("ticket", "replacement"))
    return tuple(number for number in named if number is not None)


def _tickets_in(body: bytes) -> tuple[str, ...]:
    """The tickets that a body names, for one that we cannot read otherwise."""
    content = json.loads(body)
    return tuple(content[name] for name in ("ticket", "replacement") if isinstance(content.get(name), str))


def _storable(said: str) -> str:
    return said.encode(errors="replace").decode().replace("\0", "?")[:_DETAIL_CHARS_MAX]


def _load(connection: Connection, site: str, facts: Iterable[f.Fact | Undigested | None]) -> Page:
    read = [fact for fact in facts if isinstance(fact, f.Fact)]
    numbers = set(joined.from_iterable(_tickets_of(fact) for fact in read))

    def rows(table: Any, column: str, keys: Iterable[str]) -> Rows:
        return Rows({row[column]: row for row in bulk.select_by(connection, table, site, column, keys)})

    held = bulk.select_by(connection, s.parked, site, "ticket", numbers)
    held.sort(key=lambda row: (row["generation"], row["seq"]), reverse=True)  # the first parked one is named
    areas = connection.execute(select(s.occupancy).where(s.occupancy.c.site_id == site)).mappings()
    page = Page(
        site=site,
        tickets=rows(s.tickets, "ticket", numbers),
        payments=rows(s.payments, "payment", (fact.payment for fact in read if isinstance(fact, _MONEY))),
        vends=rows(s.vends, "vend", (fact.vend for fact in read if isinstance(fact, _VENDS))),
        lanes=Rows({}),
        areas=Rows({row["area"]: dict(row) for row in areas}),
        alarms=Rows({}),
        blocked={row["ticket"]: f"{row['generation']}/{row['seq']}" for row in held},
    )
    if any(isinstance(fact, _ALARMING) for fact in read):
        mine = (s.alarms.c.site_id == site) & s.alarms.c.source.in_(FACT_ALARMS)
        for row in connection.execute(select(s.alarms).where(mine)).mappings():
            page.alarms.known[f"{row['source']}\n{row['subject']}\n{row['code']}"] = dict(row)
    return page


def _write(connection: Connection, page: Page) -> None:
    for table, rows in (
        (s.tickets, page.tickets),
        (s.payments, page.payments),
        (s.vends, page.vends),
        (s.lanes, page.lanes),
        (s.occupancy, page.areas),
        (s.alarms, page.alarms),
    ):
        bulk.upsert(connection, table, rows.changed.values())
    bulk.upsert(connection, s.parked, page.parked)
    business_rows.apply(connection, page.site, page.business)
    for answer in page.commands:
        mine = (s.commands.c.site_id == page.site) & (s.commands.c.command == answer["command"])
        still_open = s.commands.c.state.not_in(COMMAND_STATES.values())
        changed = {"state": answer["state"], "answer": answer["answer"], "closed_at": func.now()}
        connection.execute(update(s.commands).where(mine, still_open).values(**changed))


# -- what each fact changes -------------------------------------------------------------------------------------------


def _issued(page: Page, fact: f.TicketIssued, _wall_ms: int) -> None:
    if fact.ticket in page.tickets.known:
        raise Park("clash", f"ticket {fact.ticket} was issued before")
    row = _new_ticket(page, fact)
    row |= {"spot": fact.spot, "spot_type": fact.spot_type, "demand_percent": fact.demand_percent}
    page.tickets.put(fact.ticket, row | {"demand_taken": fact.demand_taken, "demand_spots": fact.demand_spots})


def _learned(page: Page, fact: f.TicketLearned, _wall_ms: int) -> None:
    """A site that lost its disk admits a ticket on its code; the office mostly knows the ticket already."""
    row = page.tickets.known.get(fact.ticket) or _new_ticket(page, fact)
    page.tickets.put(fact.ticket, row | {"state": _state(fact), "entered_ms": fact.issued_ms, "verified": False})


def _new_ticket(page: Page, fact: f.TicketIssued | f.TicketLearned) -> Row:
    row: Row = {column.name: None for column in s.tickets.c}
    row |= {"site_id": page.site, "state": _state(fact), "verified": True, "exception": False, "paid_minor": 0}
    row["demand_percent"] = 100
    copied = ("ticket", "counter", "lane", "area", "vehicle_type", "tariff", "issued_ms")
    return row | {name: getattr(fact, name) for name in copied}


def _state(fact: f.Fact) -> str:
    return TICKET_STATES[type(fact)]


def _voided(page: Page, fact: f.TicketVoided, _wall_ms: int) -> None:
    page.ticket(fact.ticket).update(state=_state(fact), void_reason=fact.reason.value)


def _entered(page: Page, fact: f.VehicleEntered, _wall_ms: int) -> None:
    row = page.ticket(fact.ticket)
    row.update(state=_state(fact), entered_ms=fact.entered_ms, verified=fact.verified, exception=fact.exception)
    page.count(row["area"], entered=1)


def _reversed(page: Page, fact: f.EntryReversed, _wall_ms: int) -> None:
    row = page.ticket(fact.ticket)
    row.update(state=_state(fact), void_reason="reversed")
    page.count(row["area"], entered=-1)


def _spent(page: Page, fact: f.TicketSpent, _wall_ms: int) -> None:
    page.ticket(fact.ticket).update(state=_state(fact), exit_lane=fact.lane)


def _returned(page: Page, fact: f.TicketReturned, _wall_ms: int) -> None:
    page.ticket(fact.ticket).update(state=_state(fact), exit_lane=None)


def _exited(page: Page, fact: f.VehicleExited, _wall_ms: int) -> None:
    if fact.ticket is None:
        page.count(fact.area, exited=1)
        return
    row = page.ticket(fact.ticket)
    verified = row["verified"] and fact.verified
    row.update(state=_state(fact), exited_ms=fact.exited_ms, exit_lane=fact.lane, verified=verified)
    page.count(row["area"], exited=1)


def _moved(page: Page, fact: f.VehicleMoved, _wall_ms: int) -> None:
    if fact.ticket is not None:
        row = page.ticket(fact.ticket)
        verified = row["verified"] and fact.verified
        row.update(state=_state(fact), exit_lane=None, area=fact.area, spot=fact.spot, verified=verified)
        row["spot_type"] = fact.spot_type
    if fact.from_area != fact.area:
        page.count(fact.from_area, exited=1)
        page.count(fact.area, entered=1)


_CARRIED_TO_A_REPLACEMENT: Final = (
    *("issued_ms", "entered_ms", "tariff", "paid_minor", "currency"),
    *("demand_percent", "demand_taken", "demand_spots"),
)


def _lost(page: Page, fact: f.TicketLostDeclared, _wall_ms: int) -> None:
    """The replacement goes on with what was paid on the stay that was found; that one ends."""
    replacement = page.ticket(fact.replacement)
    found = None if fact.ticket is None else page.ticket(fact.ticket)
    replacement.update(state=TICKET_STATES[f.VehicleEntered], entered_ms=replacement["issued_ms"])
    if found is not None:
        replacement.update({name: found[name] for name in _CARRIED_TO_A_REPLACEMENT})
        found["state"] = _state(fact)
    if fact.spot is not None:
        replacement.update(spot=fact.spot, spot_type=fact.spot_type)


def _written_off(page: Page, fact: f.TicketWrittenOff, _wall_ms: int) -> None:
    row = page.ticket(fact.ticket)
    if fact.counted and row["state"] != TICKET_STATES[f.TicketIssued]:
        page.count(row["area"], adjusted=-1)
    row["state"] = _state(fact)


def _adjusted(page: Page, fact: f.CountAdjusted, _wall_ms: int) -> None:
    page.count(fact.area, adjusted=fact.delta)


def _payment_started(page: Page, fact: f.PaymentStarted, _wall_ms: int) -> None:
    page.ticket(fact.ticket)
    if fact.payment in page.payments.known:
        raise Park("clash", f"payment {fact.payment} was started or taken before")
    page.payments.put(fact.payment, _new_payment(page, fact) | {"state": "PENDING"})


def _payment_taken(page: Page, fact: f.PaymentTaken, _wall_ms: int) -> None:
    before = page.payments.known.get(fact.payment)
    if before is not None and before["state"] != "PENDING":
        raise Park("clash", f"payment {fact.payment} is {before['state']} already")
    ticket = page.ticket(fact.ticket)
    row = _new_payment(page, fact) | {"state": "COMPLETED", "paid_by": fact.by}
    row |= {"lines": [{"text": line.text, "amount_minor": line.amount_minor} for line in fact.lines]}
    copied = ("tendered_minor", "change_minor", "kept_minor", "due_minor", "tariff", "series", "receipt", "paid_ms")
    row |= {name: getattr(fact, name) for name in (*copied, "auth_code", "masked", "terminal_ref", "offline")}
    page.payments.put(fact.payment, row)
    ticket.update(paid_minor=ticket["paid_minor"] + fact.amount_minor, currency=fact.currency)


def _payment_failed(page: Page, fact: f.PaymentFailed, _wall_ms: int) -> None:
    row = _payment(page, fact.payment)
    if row["state"] == "PENDING":
        row.update(state="FAILED", outcome=f"{fact.outcome}: {fact.why}".rstrip(": "))


def _payment_refunded(page: Page, fact: f.PaymentRefunded, _wall_ms: int) -> None:
    ticket = page.ticket(fact.ticket)
    row = _payment(page, fact.payment)
    refunded = row["refunded_minor"] + fact.amount_minor
    row.update(refunded_minor=refunded)
    if refunded == row["amount_minor"]:
        row.update(state="REFUNDED")
    ticket["paid_minor"] -= fact.amount_minor


def _payment(page: Page, payment: str) -> Row:
    if payment not in page.payments.known:
        raise Park("unknown-payment", f"no payment {payment} was ever started or taken")
    return page.payments.edit(payment)


def _new_payment(page: Page, fact: f.PaymentStarted | f.PaymentTaken) -> Row:
    row: Row = {column.name: "" for column in s.payments.c}
    row |= dict.fromkeys(("series", "receipt", "paid_ms"))
    row |= dict.fromkeys(("refunded_minor", "tendered_minor", "change_minor", "due_minor", "kept_minor"), 0)
    row |= {"site_id": page.site, "lines": [], "offline": False}
    copied = ("payment", "ticket", "method", "amount_minor", "currency", "till")
    return row | {name: getattr(fact, name) for name in copied}


def _vend_intended(page: Page, fact: f.VendIntended, wall_ms: int) -> None:
    if fact.vend in page.vends.known:
        raise Park("clash", f"vend {fact.vend} was intended before")
    row = {"site_id": page.site, "vend": fact.vend, "lane": fact.lane, "cause": fact.cause, "ticket": fact.ticket}
    page.vends.put(fact.vend, row | {"state": "intended", "at_ms": wall_ms})


def _vend(state: str) -> Callable[[Page, Any, int], None]:
    def change(page: Page, fact: Any, _wall_ms: int) -> None:
        row = page.vends.known.get(fact.vend)
        if row is not None and row["state"] not in ("failed", "closed"):
            page.vends.edit(fact.vend)["state"] = state

    return change


def _mode(page: Page, fact: f.LaneModeChanged, wall_ms: int) -> None:
    row = {"site_id": page.site, "lane": fact.lane, "mode": fact.mode, "who": fact.who, "why": fact.why}
    page.lanes.put(fact.lane, row | {"since_ms": wall_ms})


def _faulted(page: Page, fact: f.LaneFaulted, wall_ms: int) -> None:
    page.alarm("lane", fact.lane, fact.fault.value, detail=fact.detail, at_ms=wall_ms)


def _cleared(page: Page, fact: f.LaneCleared, wall_ms: int) -> None:
    page.alarm("lane", fact.lane, fact.fault.value, detail=None, at_ms=wall_ms)


def _device_lost(page: Page, fact: f.DeviceLost, wall_ms: int) -> None:
    page.alarm("device", fact.device, f.LaneFault.DEVICE_LOST.value, detail=fact.why, at_ms=wall_ms)


def _device_back(page: Page, fact: f.DeviceBack, wall_ms: int) -> None:
    page.alarm("device", fact.device, f.LaneFault.DEVICE_LOST.value, detail=None, at_ms=wall_ms)


def _command_done(page: Page, fact: f.CommandDone, _wall_ms: int) -> None:
    page.commands.append({"command": fact.command, "state": COMMAND_STATES[type(fact)], "answer": fact.reason})


def _command_refused(page: Page, fact: f.CommandRefused, _wall_ms: int) -> None:
    page.commands.append({"command": fact.command, "state": COMMAND_STATES[type(fact)], "answer": fact.why})


_FOLDS: Final[Mapping[type[f.Fact], Callable[[Page, Any, int], None]]] = {
    f.TicketIssued: _issued,
    f.TicketLearned: _learned,
    f.TicketVoided: _voided,
    f.VehicleEntered: _entered,
    f.EntryReversed: _reversed,
    f.TicketSpent: _spent,
    f.TicketReturned: _returned,
    f.VehicleExited: _exited,
    f.VehicleMoved: _moved,
    f.TicketLostDeclared: _lost,
    f.TicketWrittenOff: _written_off,
    f.CountAdjusted: _adjusted,
    f.PaymentStarted: _payment_started,
    f.PaymentTaken: _payment_taken,
    f.PaymentFailed: _payment_failed,
    f.PaymentRefunded: _payment_refunded,
    f.VendIntended: _vend_intended,
    f.VendConfirmed: _vend("confirmed"),
    f.VendUnknown: _vend("unknown"),
    f.VendFailed: _vend("failed"),
    f.VendClosed: _vend("closed"),
    f.LaneModeChanged: _mode,
    f.LaneFaulted: _faulted,
    f.LaneCleared: _cleared,
    f.DeviceLost: _device_lost,
    f.DeviceBack: _device_back,
    f.CommandDone: _command_done,
    f.CommandRefused: _command_refused,
}
NO_ROWS: Final = frozenset(
    {
        f.SiteStarted,
        f.SiteStopped,
        f.ClockStepped,
        f.TariffApplied,
        f.OfficeLost,
        f.OfficeBack,
        f.TicketTaken,
        f.CodeRefused,
        f.PassageObserved,
        f.OpenedByHand,
    }
)
"""Facts that the journal keeps and no row shows."""
