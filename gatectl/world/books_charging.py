"""The second bookkeeper of charging: sessions kept from durable facts alone, and what they cost worked out by other means."""

import re
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from gatectl.domain import facts as f
from gatectl.domain.books import Books
from gatectl.domain.ids import TicketNumber
from gatectl.domain.records import charging as c
from gatectl.world.holding import hold

_ENERGY_LINE: Final = re.compile(r"Charging \S+, (\d+\.\d{3}) kWh")
MINUTE_MS: Final = 60_000


@dataclass(slots=True)
class Session:
    """`readings` are the energies that were ever on record, in watt-hours."""

    charger: str
    ticket: TicketNumber | None
    kwh_minor: int
    connection_minor: int
    idle_minor: int
    grace_minutes: int
    readings: list[int] = field(default_factory=lambda: [0])
    over_ms: int | None = None
    """When its vehicle had enough, or it ended: the earlier."""
    freed_ms: int | None = None
    state: str = "charging"
    late_wh: int = 0

    def __copy__(self) -> "Session":
        made = Session(*(getattr(self, name) for name in self.__slots__))
        made.readings = list(self.readings)
        return made

    def costs(self, until_ms: int) -> int:
        """In minor units: nothing where nothing was delivered."""
        energy_wh = self.readings[-1]
        if energy_wh == 0:
            return 0
        due = Decimal(energy_wh) / 1000 * self.kwh_minor
        minutes = 0
        if self.over_ms is not None:
            kept_ms = (until_ms if self.freed_ms is None else self.freed_ms) - self.over_ms
            minutes = max(0, kept_ms // MINUTE_MS - self.grace_minutes)
        whole = int(due.quantize(Decimal(1), ROUND_HALF_UP))
        return whole + self.connection_minor + minutes * self.idle_minor


@dataclass(slots=True)
class ChargingBooks:
    """Every session that the journal has told of."""

    sessions: dict[str, Session] = field(default_factory=dict)
    open_at: dict[str, str] = field(default_factory=dict)
    """Charger to the session that charges there."""

    def __copy__(self) -> "ChargingBooks":
        return ChargingBooks({name: copy(held) for name, held in self.sessions.items()}, dict(self.open_at))

    def witness(self, fact: f.Fact) -> None:
        keep = _KEEP.get(type(fact))
        if keep is not None:
            keep(self, fact)

    def delivered_wh(self, charger: str) -> int:
        """What all its sessions took, billed or not."""
        mine = [session for session in self.sessions.values() if session.charger == charger]
        return sum(session.readings[-1] + session.late_wh for session in mine)

    def _of(self, ticket: TicketNumber) -> list[Session]:
        return [session for session in self.sessions.values() if session.ticket == ticket]

    def _read(self, name: str, energy_wh: int) -> Session:
        session = self.sessions[name]
        hold(
            energy_wh >= session.readings[-1], "energy never falls", f"{name}: {energy_wh} after {session.readings[-1]}"
        )
        hold(session.state not in ("settled", "closed"), "what a stay has paid for is final", name)
        session.readings.append(energy_wh)
        return session


def _started(books: ChargingBooks, fact: c.ChargingStarted) -> None:
    hold(fact.session not in books.sessions, "a session begins once", fact.session)
    hold(fact.charger not in books.open_at, "a connector has one session", f"{fact.session} at {fact.charger}")
    prices = (fact.kwh_minor, fact.connection_minor, fact.idle_minor, fact.idle_grace_minutes)
    books.sessions[fact.session] = Session(fact.charger, fact.ticket, *prices)
    books.open_at[fact.charger] = fact.session


def _claimed(books: ChargingBooks, fact: c.ChargingClaimed) -> None:
    books.sessions[fact.session].ticket = fact.ticket


def _metered(books: ChargingBooks, fact: c.ChargingMetered) -> None:
    hold(fact.energy_wh == fact.meter_wh - fact.from_wh, "energy is what the meter moved", fact.session)
    books._read(fact.session, fact.energy_wh)


def _paused(books: ChargingBooks, fact: c.ChargingPaused) -> None:
    books.sessions[fact.session].over_ms = fact.at_ms


def _resumed(books: ChargingBooks, fact: c.ChargingResumed) -> None:
    books.sessions[fact.session].over_ms = None


def _ended(books: ChargingBooks, fact: c.ChargingEnded) -> None:
    session = books._read(fact.session, fact.energy_wh)
    session.state = "ended"
    session.over_ms = fact.ended_ms if session.over_ms is None else min(session.over_ms, fact.ended_ms)
    if books.open_at.get(session.charger) == fact.session:
        del books.open_at[session.charger]


def _freed(books: ChargingBooks, fact: c.ChargingFreed) -> None:
    session = books.sessions[fact.session]
    hold(session.freed_ms is None, "idle time ends once", fact.session)
    session.freed_ms = fact.at_ms


def _settled(books: ChargingBooks, fact: c.ChargingSettled) -> None:
    session = books.sessions[fact.session]
    hold(session.state == "ended" and session.freed_ms is not None, "what settles has ended", fact.session)
    session.state = "settled"


def _told_late(books: ChargingBooks, fact: c.ChargingToldLate) -> None:
    session = books.sessions[fact.session]
    hold(session.state == "settled", "nobody pays later for what is settled", fact.session)
    session.late_wh = fact.unbilled_wh


def _closed(books: ChargingBooks, fact: c.ChargingClosed) -> None:
    books.sessions[fact.session].state = "closed"


def _paid(books: ChargingBooks, fact: f.PaymentTaken) -> None:
    """What was paid for energy was delivered once, and costs what the journal's prices say."""
    told = sorted(line.amount_minor for line in fact.lines if _ENERGY_LINE.fullmatch(line.text))
    mine = books._of(fact.ticket)
    known = {reading for session in mine for reading in session.readings}
    for line in fact.lines:
        found = _ENERGY_LINE.fullmatch(line.text)
        if found is not None:
            energy_wh = int(Decimal(found[1]) * 1000)
            hold(energy_wh in known, "energy that is paid was on record", f"{fact.payment}: {line.text}")
    hold(len(told) <= len(mine), "energy is billed once", f"{fact.payment}: {told} of {len(mine)} sessions")
    if (
        fact.method == "CASH" and fact.tariff
    ):  # priced in the same step; a terminal was asked a while ago, a debt earlier still
        lines = [line.amount_minor for line in fact.lines if line.text.startswith("Charging ")]
        due = sum(session.costs(fact.paid_ms) for session in mine)
        hold(sum(lines) == due, "charging costs what its sessions cost", f"{fact.payment}: {lines}, {due} counted")


_KEEP: Final[Mapping[type[f.Fact], Callable[[ChargingBooks, Any], None]]] = {
    c.ChargingStarted: _started,
    c.ChargingClaimed: _claimed,
    c.ChargingMetered: _metered,
    c.ChargingPaused: _paused,
    c.ChargingResumed: _resumed,
    c.ChargingEnded: _ended,
    c.ChargingFreed: _freed,
    c.ChargingSettled: _settled,
    c.ChargingToldLate: _told_late,
    c.ChargingClosed: _closed,
    f.PaymentTaken: _paid,
}


def sessions_are_the_same(charging: ChargingBooks, books: Books) -> None:
    """The core's rows and these, as far as the core still knows them."""
    told = {
        row["session"]: (row["ticket"], row["state"], row["energy_wh"], row["unbilled_wh"])
        for row in books.tables.all(c.SESSIONS)
    }
    kept = {
        name: (held.ticket, held.state, held.readings[-1], held.late_wh)
        for name, held in charging.sessions.items()
        if held.state != "closed"
    }
    hold(told == kept, "charging sessions are the same", f"{set(told.items()) ^ set(kept.items())}")
