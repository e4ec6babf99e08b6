"""The second bookkeeper's page on rights: what is kept for reservations, and who is inside by a pass or by one. From facts alone.

Promises: no walk-in is given a spot that is kept; a reservation lets one vehicle in, once; a hard pass never counts more cars
than it allows; nobody whose reservation is good is told that it is full, unless somebody stands there who should not.
"""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any, Final

from gatectl.domain import facts as f
from gatectl.domain.books import Books
from gatectl.domain.ids import TicketNumber
from gatectl.domain.opening import Parker
from gatectl.domain.plan import SitePlan
from gatectl.domain.records import passes as p
from gatectl.domain.records import reservations as r
from gatectl.domain.records.spots import AreaRecounted, SpotClosed, SpotOpened
from gatectl.domain.records.states import StateCleared, StateSet
from gatectl.world.holding import hold


@dataclass(slots=True)
class RightsBook:
    """`standing`: tickets that hold a spot: the spot, and its class."""

    spots: dict[str, int] = field(default_factory=dict)
    quota: dict[str, int] = field(default_factory=dict)
    standing: dict[TicketNumber, tuple[str, str]] = field(default_factory=dict)
    tight: dict[TicketNumber, str] = field(default_factory=dict)
    """Tickets that took a kept spot, and are not known yet to have had the right."""
    used: dict[str, tuple[TicketNumber, str]] = field(default_factory=dict)
    """Reservations whose vehicle is inside in time: its ticket, and the class of the quota it fills."""
    over: dict[str, TicketNumber] = field(default_factory=dict)
    spent: set[str] = field(default_factory=set)
    """Reservations that let a vehicle in, until they are closed."""
    kept: dict[str, str] = field(default_factory=dict)
    passes: dict[TicketNumber, str] = field(default_factory=dict)
    hard: dict[str, int] = field(default_factory=dict)
    uncounted: set[TicketNumber] = field(default_factory=set)
    closed: dict[str, str] = field(default_factory=dict)
    """Spots out of service, with their class: a promise of so many places was made of more."""
    unseen: dict[str, int] = field(default_factory=dict)
    """Vehicles that a person counted and no ticket explains, by class."""
    said: set[tuple[str, str]] = field(default_factory=set)
    """Where a person turned those with reservations away."""
    strangers: set[TicketNumber] = field(default_factory=set)
    """Who came in unseen, by hand or behind another, and stands where nobody asked."""

    def copy(self) -> "RightsBook":
        """As it is now, to go back to."""
        return RightsBook(**{part.name: copy(getattr(self, part.name)) for part in fields(self)})

    def begin(self, plan: SitePlan) -> None:
        for spot in plan.spots:
            place = f"{spot.area}/{spot.spot_type}"
            self.spots[place] = self.spots.get(place, 0) + 1
        self.quota = {f"{area}/{spot_type}": spots for (area, spot_type), spots in plan.quotas.items()}

    def witness(self, fact: f.Fact) -> None:
        keep = _KEEP.get(type(fact))
        if keep is not None:
            keep(self, fact)

    def turned_away(self, reservation: str, why: str) -> None:
        """The driver of a good reservation was told `why`."""
        excused = self.over or self.strangers or self.closed or self.unseen or self.said
        full = why in ("E-FULL-01", "E-FULL-02")
        hold(not full or bool(excused), "nobody with a reservation is turned away", f"{reservation}: {why}")

    def inside(self) -> set[TicketNumber]:
        """Tickets that are inside by a right."""
        return {ticket for ticket, _ in self.used.values()} | set(self.over.values()) | self.passes.keys()

    def free(self, place: str) -> int:
        taken = {spot for spot, held in self.standing.values() if held == place}
        taken |= {spot for spot, closed in self.closed.items() if closed == place}
        return self.spots.get(place, 0) - len(taken)

    def owed(self, place: str) -> int:
        """Spots that no walk-in may have."""
        sold = sum(1 for _, filled in self.used.values() if filled == place)
        return max(0, self.quota.get(place, 0) - sold) + sum(1 for kept in self.kept.values() if kept == place)


def _issued(book: RightsBook, fact: f.TicketIssued) -> None:
    if fact.spot is None or fact.spot_type is None:
        return
    place = f"{fact.area}/{fact.spot_type}"
    book.standing[fact.ticket] = (fact.spot, place)
    if book.free(place) < book.owed(place):
        book.tight[fact.ticket] = f"{place}: {book.free(place)} free, {book.owed(place)} kept"


def _taken(book: RightsBook, fact: f.TicketTaken) -> None:
    hold(
        fact.ticket not in book.tight,
        "no walk-in is given a kept spot",
        (fact.ticket, book.tight.get(fact.ticket)),
    )


def _entered(book: RightsBook, fact: f.VehicleEntered) -> None:
    book.tight.pop(fact.ticket, None)
    if fact.exception:
        book.strangers.add(fact.ticket)


def _gone(book: RightsBook, fact: f.TicketVoided | f.EntryReversed | f.VehicleExited | f.TicketWrittenOff) -> None:
    if fact.ticket is not None:
        book.standing.pop(fact.ticket, None)
        book.tight.pop(fact.ticket, None)
        book.strangers.discard(fact.ticket)


def _lost(book: RightsBook, fact: f.TicketLostDeclared) -> None:
    held = book.standing.pop(fact.ticket, None) if fact.ticket is not None else None
    if held is not None and fact.spot is not None:
        book.standing[fact.replacement] = held


def _went_on(book: RightsBook, fact: f.VehicleMoved) -> None:
    if fact.ticket is not None:
        book.standing.pop(fact.ticket, None)
        if fact.spot is not None:
            book.standing[fact.ticket] = (fact.spot, f"{fact.area}/{fact.spot_type}")


def _out_of_service(book: RightsBook, fact: SpotClosed) -> None:
    book.closed[fact.spot] = f"{fact.area}/{fact.spot_type}"


def _in_service(book: RightsBook, fact: SpotOpened) -> None:
    book.closed.pop(fact.spot, None)


def _recounted(book: RightsBook, fact: AreaRecounted) -> None:
    if fact.spot_type:
        book.unseen.pop(f"{fact.area}/{fact.spot_type}", None)
        if fact.unseen:
            book.unseen[f"{fact.area}/{fact.spot_type}"] = fact.unseen


def _said(book: RightsBook, fact: StateSet) -> None:
    if fact.parker == Parker.RESERVATION:
        book.said.add((fact.scope, fact.place))


def _unsaid(book: RightsBook, fact: StateCleared) -> None:
    if fact.parker == Parker.RESERVATION:
        book.said.discard((fact.scope, fact.place))


def _reserved(book: RightsBook, fact: r.ReservationUsed) -> None:
    hold(fact.reservation not in book.spent, "a reservation is used once", fact.reservation)
    book.spent.add(fact.reservation)
    book.tight.pop(fact.ticket, None)
    book.kept.pop(fact.reservation, None)
    book.used[fact.reservation] = (fact.ticket, fact.place)


def _returned(book: RightsBook, fact: r.ReservationReturned) -> None:
    book.spent.discard(fact.reservation)
    book.used.pop(fact.reservation, None)
    book.over.pop(fact.reservation, None)


def _overstayed(book: RightsBook, fact: r.ReservationOverstayed) -> None:
    book.used.pop(fact.reservation, None)
    book.over[fact.reservation] = fact.ticket


def _left(book: RightsBook, fact: r.ReservationLeft) -> None:
    book.used.pop(fact.reservation, None)
    book.over.pop(fact.reservation, None)


def _moved(book: RightsBook, fact: r.ReservationMoved) -> None:
    if fact.reservation in book.used:
        book.used[fact.reservation] = (fact.replacement, book.used[fact.reservation][1])
    else:
        book.over[fact.reservation] = fact.replacement


def _kept(book: RightsBook, fact: r.ReservationHeld) -> None:
    book.kept[fact.reservation] = fact.place


def _not_kept(book: RightsBook, fact: r.ReservationReleased | r.ReservationCancelled) -> None:
    book.kept.pop(fact.reservation, None)


def _closed(book: RightsBook, fact: r.ReservationClosed) -> None:
    book.kept.pop(fact.reservation, None)
    book.spent.discard(fact.reservation)


def _quota(book: RightsBook, fact: r.QuotaSet) -> None:
    book.quota[f"{fact.area}/{fact.spot_type}"] = fact.spots


def _granted(book: RightsBook, fact: p.PassGranted | p.PassChanged) -> None:
    book.hard.pop(fact.pass_id, None)
    if fact.antipassback == "hard":
        book.hard[fact.pass_id] = fact.cars


def _pass_used(book: RightsBook, fact: p.PassUsed) -> None:
    book.passes[fact.ticket] = fact.pass_id
    if fact.excess:
        book.uncounted.add(fact.ticket)
    counted = sum(1 for ticket, one in book.passes.items() if one == fact.pass_id and ticket not in book.uncounted)
    limit = book.hard.get(fact.pass_id, counted)
    hold(counted <= limit, "a hard pass has no more cars than it allows", f"{fact.pass_id}: {counted} of {limit}")


def _pass_freed(book: RightsBook, fact: p.PassFreed) -> None:
    hold(book.passes.pop(fact.ticket, None) == fact.pass_id, "who is freed was inside by a pass", fact.ticket)
    book.uncounted.discard(fact.ticket)


def _pass_moved(book: RightsBook, fact: p.PassMoved) -> None:
    book.passes.pop(fact.ticket, None)
    book.uncounted.discard(fact.ticket)
    book.passes[fact.replacement] = fact.pass_id
    if not fact.counted:
        book.uncounted.add(fact.replacement)


def _neutral(book: RightsBook, fact: p.PassNeutral) -> None:
    book.uncounted |= set(fact.tickets)


_KEEP: Final[Mapping[type[f.Fact], Callable[[RightsBook, Any], None]]] = {
    f.TicketIssued: _issued,
    f.TicketTaken: _taken,
    f.VehicleEntered: _entered,
    f.TicketVoided: _gone,
    f.EntryReversed: _gone,
    f.VehicleExited: _gone,
    f.TicketWrittenOff: _gone,
    f.TicketLostDeclared: _lost,
    f.VehicleMoved: _went_on,
    SpotClosed: _out_of_service,
    SpotOpened: _in_service,
    AreaRecounted: _recounted,
    StateSet: _said,
    StateCleared: _unsaid,
    r.ReservationUsed: _reserved,
    r.ReservationReturned: _returned,
    r.ReservationOverstayed: _overstayed,
    r.ReservationLeft: _left,
    r.ReservationMoved: _moved,
    r.ReservationHeld: _kept,
    r.ReservationReleased: _not_kept,
    r.ReservationCancelled: _not_kept,
    r.ReservationClosed: _closed,
    r.QuotaSet: _quota,
    p.PassGranted: _granted,
    p.PassChanged: _granted,
    p.PassUsed: _pass_used,
    p.PassFreed: _pass_freed,
    p.PassMoved: _pass_moved,
    p.PassNeutral: _neutral,
}


def differing(book: RightsBook, books: Books) -> str:
    """Where the rows say another thing than this page; empty: they agree."""
    tables = books.tables
    told = {
        row["reservation"]: row["ticket"]
        for row in tables.all(r.RESERVATIONS)
        if row["state"] in ("used", "overstayed") and row["closed_ms"] is None
    }
    kept: dict[Any, Any] = {name: ticket for name, (ticket, _) in book.used.items()} | book.over
    if told != kept:
        return f"reservations inside: {set(told.items()) ^ set(kept.items())}"
    inside = {row["ticket"]: row["pass_id"] for row in tables.all(p.PASS_STAYS)}
    seen: dict[Any, Any] = dict(book.passes)
    return "" if inside == seen else f"passes inside: {set(inside.items()) ^ set(seen.items())}"
