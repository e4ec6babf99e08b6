"""Charging: what chargers said, which stay a session belongs to, the energy it took, how long the connector was kept.

Times are the site's own, of the moment when it heard; `told_ms` is what the charger's clock said and settles nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gatectl.domain.facts import Fact
from gatectl.domain.ids import TicketNumber
from gatectl.domain.records.record import Records, no_rows
from gatectl.domain.rows import FLAG, TEXT, WHOLE, Add, Change, Put, Set, Table, Value, columns, nullable


@dataclass(frozen=True, slots=True)
class ChargerAdded(Fact):
    """A connector of the site file is known from now on."""

    kind: ClassVar[str] = "charger.added"
    charger: str


@dataclass(frozen=True, slots=True)
class ChargerBooted(Fact):
    """Its charge point has registered: `protocol` is ocpp1.6 or ocpp2.0.1."""

    kind: ClassVar[str] = "charger.booted"
    charger: str
    protocol: str
    vendor: str
    model: str
    firmware: str


@dataclass(frozen=True, slots=True)
class ChargerStatusChanged(Fact):
    """`status`: available, occupied, charging, paused, finishing, reserved, unavailable or faulted."""

    kind: ClassVar[str] = "charger.status"
    charger: str
    status: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ChargerFaulted(Fact):
    kind: ClassVar[str] = "charger.faulted"
    charger: str
    error: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ChargerCleared(Fact):
    kind: ClassVar[str] = "charger.cleared"
    charger: str
    error: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ChargerSpotTaken(Fact):
    """The stay that holds the charger's spot is inside."""

    kind: ClassVar[str] = "charger.spot-taken"
    charger: str
    ticket: TicketNumber
    at_ms: int


@dataclass(frozen=True, slots=True)
class ChargerSpotLeft(Fact):
    kind: ClassVar[str] = "charger.spot-left"
    charger: str
    ticket: TicketNumber
    at_ms: int


@dataclass(frozen=True, slots=True)
class ChargerSpotBlocked(Fact):
    """The stay at the charger's spot has not charged for a while."""

    kind: ClassVar[str] = "charger.spot-blocked"
    charger: str
    ticket: TicketNumber
    at_ms: int


@dataclass(frozen=True, slots=True)
class ChargingAsked(Fact):
    """A person asked a charger to "start" (for a ticket) or "stop" (a session)."""

    kind: ClassVar[str] = "charging.asked"
    charger: str
    act: str
    about: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class ChargingNotDone(Fact):
    """What a person asked of a charger was refused by it, or never answered."""

    kind: ClassVar[str] = "charging.not-done"
    charger: str
    act: str
    why: str


@dataclass(frozen=True, slots=True)
class ChargingStarted(Fact):
    """A session began. `number` counts the site's sessions, `transaction` is its name on the wire.

    `by`: how its stay was found: "credential", "spot", or "" with no ticket. `meter_wh` None: the charger has not said yet.
    """

    kind: ClassVar[str] = "charging.started"
    session: str
    charger: str
    number: int
    transaction: str
    ticket: TicketNumber | None
    by: str
    meter_wh: int | None
    told_ms: int | None
    started_ms: int
    kwh_minor: int
    connection_minor: int
    idle_minor: int
    idle_grace_minutes: int


@dataclass(frozen=True, slots=True)
class ChargingUnclaimed(Fact):
    """Energy that nobody's ticket explains. `session` is empty when its beginning was never heard of."""

    kind: ClassVar[str] = "charging.unclaimed"
    session: str
    charger: str
    transaction: str
    why: str


@dataclass(frozen=True, slots=True)
class ChargingClaimed(Fact):
    """The session belongs to this stay from now on: a person said so, or the ticket was replaced."""

    kind: ClassVar[str] = "charging.claimed"
    session: str
    ticket: TicketNumber
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class ChargingMetered(Fact):
    """The meter has moved: `energy_wh` is `meter_wh` less `from_wh`, where the session began."""

    kind: ClassVar[str] = "charging.metered"
    session: str
    from_wh: int
    meter_wh: int
    energy_wh: int
    told_ms: int | None


@dataclass(frozen=True, slots=True)
class ChargingPaused(Fact):
    """The vehicle takes no more energy; its connector is kept."""

    kind: ClassVar[str] = "charging.paused"
    session: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ChargingResumed(Fact):
    kind: ClassVar[str] = "charging.resumed"
    session: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ChargingEnded(Fact):
    """`reason`: the charger's word, "left" when the stay went first, "superseded" when another session began.

    `doubt`: why a reading was not believed: "meter-backwards", "meter-jump", or empty.
    """

    kind: ClassVar[str] = "charging.ended"
    session: str
    reason: str
    meter_wh: int | None
    energy_wh: int
    doubt: str
    told_ms: int | None
    ended_ms: int


@dataclass(frozen=True, slots=True)
class ChargingFreed(Fact):
    """The connector is free again, or it is not known any more that a vehicle keeps it: no idle time from now on."""

    kind: ClassVar[str] = "charging.freed"
    session: str
    why: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ChargingSettled(Fact):
    """Its stay has gone: what the session costs is final."""

    kind: ClassVar[str] = "charging.settled"
    session: str


@dataclass(frozen=True, slots=True)
class ChargingToldLate(Fact):
    """The charger told of the end after the stay had left: so much was delivered, so much of it nobody pays."""

    kind: ClassVar[str] = "charging.told-late"
    session: str
    energy_wh: int
    unbilled_wh: int


@dataclass(frozen=True, slots=True)
class ChargingClosed(Fact):
    """Nothing that is still told of it changes anything."""

    kind: ClassVar[str] = "charging.closed"
    session: str


CHARGERS: Final = Table(
    "chargers",
    ("charger",),
    (
        *columns(charger=TEXT, status=TEXT, sessions=WHOLE, blocked=FLAG),
        *nullable(fault=TEXT, ticket=TEXT, taken_ms=WHOLE, status_ms=WHOLE),
        *nullable(protocol=TEXT, vendor=TEXT, model=TEXT, firmware=TEXT),
    ),
    indexes=("ticket",),
)
SESSIONS: Final = Table(
    "charging_sessions",
    ("session",),
    (
        *columns(session=TEXT, charger=TEXT, number=WHOLE, transaction_id=TEXT, state=TEXT, started_ms=WHOLE),
        *columns(energy_wh=WHOLE, unbilled_wh=WHOLE),
        *columns(kwh_minor=WHOLE, connection_minor=WHOLE, idle_minor=WHOLE, idle_grace_minutes=WHOLE),
        *nullable(ticket=TEXT, claimed_by=TEXT, told_ms=WHOLE, from_wh=WHOLE, meter_wh=WHOLE, paused_ms=WHOLE),
        *nullable(ended_ms=WHOLE, reason=TEXT, doubt=TEXT, freed_ms=WHOLE),
    ),
    indexes=("charger", "ticket", "transaction_id"),
    live=lambda row: row["state"] != "closed",
)
"""`state`: charging, ended (its connector may still be kept), settled (its stay has gone), closed."""


def _added(fact: ChargerAdded) -> Iterable[Change]:
    yield Put(CHARGERS, {"charger": fact.charger, "status": "unknown", "sessions": 0, "blocked": False})


def _booted(fact: ChargerBooted) -> Iterable[Change]:
    told: dict[str, Value] = {"protocol": fact.protocol, "vendor": fact.vendor, "model": fact.model}
    yield Set(CHARGERS, (fact.charger,), told | {"firmware": fact.firmware})


def _status(fact: ChargerStatusChanged) -> Iterable[Change]:
    yield Set(CHARGERS, (fact.charger,), {"status": fact.status, "status_ms": fact.at_ms})


def _faulted(fact: ChargerFaulted) -> Iterable[Change]:
    yield Set(CHARGERS, (fact.charger,), {"fault": fact.error})


def _cleared(fact: ChargerCleared) -> Iterable[Change]:
    yield Set(CHARGERS, (fact.charger,), {"fault": None})


def _spot_taken(fact: ChargerSpotTaken) -> Iterable[Change]:
    yield Set(CHARGERS, (fact.charger,), {"ticket": fact.ticket, "taken_ms": fact.at_ms, "blocked": False})


def _spot_left(fact: ChargerSpotLeft) -> Iterable[Change]:
    yield Set(CHARGERS, (fact.charger,), {"ticket": None, "taken_ms": None, "blocked": False})


def _spot_blocked(fact: ChargerSpotBlocked) -> Iterable[Change]:
    yield Set(CHARGERS, (fact.charger,), {"blocked": True})


def _started(fact: ChargingStarted) -> Iterable[Change]:
    row: dict[str, Value] = {"session": fact.session, "charger": fact.charger, "number": fact.number}
    row |= {"transaction_id": fact.transaction, "state": "charging", "started_ms": fact.started_ms}
    row |= {"energy_wh": 0, "unbilled_wh": 0, "kwh_minor": fact.kwh_minor, "connection_minor": fact.connection_minor}
    row |= {"idle_minor": fact.idle_minor, "idle_grace_minutes": fact.idle_grace_minutes}
    row |= {"ticket": fact.ticket, "claimed_by": fact.by or None, "told_ms": fact.told_ms}
    yield Put(SESSIONS, row | {"from_wh": fact.meter_wh, "meter_wh": fact.meter_wh})
    yield Add(CHARGERS, (fact.charger,), "sessions", 1)
    yield Set(CHARGERS, (fact.charger,), {"blocked": False})


def _claimed(fact: ChargingClaimed) -> Iterable[Change]:
    yield Set(SESSIONS, (fact.session,), {"ticket": fact.ticket, "claimed_by": fact.by})


def _metered(fact: ChargingMetered) -> Iterable[Change]:
    read: dict[str, Value] = {"from_wh": fact.from_wh, "meter_wh": fact.meter_wh, "energy_wh": fact.energy_wh}
    yield Set(SESSIONS, (fact.session,), read)


def _paused(fact: ChargingPaused) -> Iterable[Change]:
    yield Set(SESSIONS, (fact.session,), {"paused_ms": fact.at_ms})


def _resumed(fact: ChargingResumed) -> Iterable[Change]:
    yield Set(SESSIONS, (fact.session,), {"paused_ms": None})


def _ended(fact: ChargingEnded) -> Iterable[Change]:
    ended: dict[str, Value] = {"state": "ended", "reason": fact.reason, "doubt": fact.doubt or None}
    yield Set(SESSIONS, (fact.session,), ended | {"ended_ms": fact.ended_ms, "energy_wh": fact.energy_wh})
    if fact.meter_wh is not None:
        yield Set(SESSIONS, (fact.session,), {"meter_wh": fact.meter_wh})


def _freed(fact: ChargingFreed) -> Iterable[Change]:
    yield Set(SESSIONS, (fact.session,), {"freed_ms": fact.at_ms})


def _settled(fact: ChargingSettled) -> Iterable[Change]:
    yield Set(SESSIONS, (fact.session,), {"state": "settled"})


def _told_late(fact: ChargingToldLate) -> Iterable[Change]:
    yield Set(SESSIONS, (fact.session,), {"unbilled_wh": fact.unbilled_wh})


def _closed(fact: ChargingClosed) -> Iterable[Change]:
    yield Set(SESSIONS, (fact.session,), {"state": "closed"})


def _tell_started(b: Mapping[str, Any]) -> str:
    whose = f"ticket {b['ticket']} by its {b['by']}" if b["ticket"] is not None else "nobody's ticket"
    return f"{b['charger']} charges, session {b['number']}, for {whose}"


def _tell_ended(b: Mapping[str, Any]) -> str:
    doubt = f" ({b['doubt']})" if b["doubt"] else ""
    return f"charging {b['session']} ended: {b['reason']}, {b['energy_wh']} Wh{doubt}"


RECORDS: Final = Records(
    "charging",
    (CHARGERS, SESSIONS),
    {
        ChargerAdded: _added,
        ChargerBooted: _booted,
        ChargerStatusChanged: _status,
        ChargerFaulted: _faulted,
        ChargerCleared: _cleared,
        ChargerSpotTaken: _spot_taken,
        ChargerSpotLeft: _spot_left,
        ChargerSpotBlocked: _spot_blocked,
        ChargingAsked: no_rows,
        ChargingNotDone: no_rows,
        ChargingStarted: _started,
        ChargingUnclaimed: no_rows,
        ChargingClaimed: _claimed,
        ChargingMetered: _metered,
        ChargingPaused: _paused,
        ChargingResumed: _resumed,
        ChargingEnded: _ended,
        ChargingFreed: _freed,
        ChargingSettled: _settled,
        ChargingToldLate: _told_late,
        ChargingClosed: _closed,
    },
    {
        ChargerAdded: lambda b: f"charger {b['charger']} is one of the site's",
        ChargerBooted: lambda b: f"{b['charger']} registered: {b['vendor']} {b['model']} by {b['protocol']}",
        ChargerStatusChanged: lambda b: f"{b['charger']} is {b['status']}",
        ChargerFaulted: lambda b: f"{b['charger']} is faulted: {b['error']}",
        ChargerCleared: lambda b: f"{b['charger']} is well again: {b['error']} is over",
        ChargerSpotTaken: lambda b: f"ticket {b['ticket']} stands at {b['charger']}",
        ChargerSpotLeft: lambda b: f"ticket {b['ticket']} stands at {b['charger']} no more",
        ChargerSpotBlocked: lambda b: f"ticket {b['ticket']} stands at {b['charger']} and does not charge",
        ChargingAsked: lambda b: f"{b['by']} asked {b['charger']} to {b['act']} {b['about']}",
        ChargingNotDone: lambda b: f"{b['charger']} did not {b['act']}: {b['why']}",
        ChargingStarted: _tell_started,
        ChargingUnclaimed: lambda b: f"{b['charger']}: transaction {b['transaction']} is nobody's: {b['why']}",
        ChargingClaimed: lambda b: f"charging {b['session']} belongs to ticket {b['ticket']}, by {b['by']}",
        ChargingMetered: lambda b: f"charging {b['session']}: {b['energy_wh']} Wh",
        ChargingPaused: lambda b: f"charging {b['session']}: the vehicle takes no more",
        ChargingResumed: lambda b: f"charging {b['session']} goes on",
        ChargingEnded: _tell_ended,
        ChargingFreed: lambda b: f"charging {b['session']}: no idle time from now on ({b['why']})",
        ChargingSettled: lambda b: f"charging {b['session']}: its stay has gone",
        ChargingToldLate: lambda b: f"charging {b['session']}: {b['unbilled_wh']} Wh were told too late to be paid",
        ChargingClosed: lambda b: f"charging {b['session']} is closed",
    },
)
