"""Reservations: sold at the office or here, kept a place, used, left, given back; and how much of each class is for them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gatectl.domain.facts import Fact
from gatectl.domain.ids import LaneId, TicketNumber
from gatectl.domain.records.record import Records
from gatectl.domain.rows import TEXT, WHOLE, Change, Drop, Put, Set, Table, Value, columns, nullable


@dataclass(frozen=True, slots=True)
class ReservationMade(Fact):
    """A place of a class is promised from `from_ms` to `until_ms`.

    The driver may come `early_minutes` before, and the place is kept until `late_minutes` after the start. `prepaid_minor`
    was paid when it was sold (None: the stay is paid here, by its tariff). `credentials` are keys, without what they hash.
    `source`: "office" (its feed), "code" (known only by the signed code that its driver brought), or the person who made it.
    """

    kind: ClassVar[str] = "reservation.made"
    reservation: str
    holder: str
    area: str
    spot_type: str
    from_ms: int
    until_ms: int
    early_minutes: int
    late_minutes: int
    prepaid_minor: int | None
    credentials: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class ReservationChanged(Fact):
    """The office's row of a reservation is another one; what happened to it at the site stays. `dropped`: keys it has no more."""

    kind: ClassVar[str] = "reservation.changed"
    reservation: str
    holder: str
    area: str
    spot_type: str
    from_ms: int
    until_ms: int
    early_minutes: int
    late_minutes: int
    prepaid_minor: int | None
    credentials: tuple[str, ...]
    source: str
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReservationHeld(Fact):
    """Its time has come near: from now on a free spot of its class (`place`) is kept for it."""

    kind: ClassVar[str] = "reservation.held"
    reservation: str
    place: str


@dataclass(frozen=True, slots=True)
class ReservationUsed(Fact):
    """A vehicle was let in by it, on a virtual ticket. `place`: the class of the office's quota that it fills, if it does."""

    kind: ClassVar[str] = "reservation.used"
    reservation: str
    ticket: TicketNumber
    lane: LaneId
    used_ms: int
    place: str


@dataclass(frozen=True, slots=True)
class ReservationReturned(Fact):
    """The vehicle did not come in after all: the reservation is good again."""

    kind: ClassVar[str] = "reservation.returned"
    reservation: str
    ticket: TicketNumber
    why: str


@dataclass(frozen=True, slots=True)
class ReservationMoved(Fact):
    """Its stay goes on under another number."""

    kind: ClassVar[str] = "reservation.moved"
    reservation: str
    ticket: TicketNumber
    replacement: TicketNumber


@dataclass(frozen=True, slots=True)
class ReservationOverstayed(Fact):
    """Its time is over and the vehicle is still inside: it fills no quota any more, and pays for what comes."""

    kind: ClassVar[str] = "reservation.overstayed"
    reservation: str
    ticket: TicketNumber


@dataclass(frozen=True, slots=True)
class ReservationLeft(Fact):
    kind: ClassVar[str] = "reservation.left"
    reservation: str
    ticket: TicketNumber


@dataclass(frozen=True, slots=True)
class ReservationReleased(Fact):
    """Nobody came in time: the place is not kept any more. Until its end the driver still gets what a walk-in would find."""

    kind: ClassVar[str] = "reservation.released"
    reservation: str


@dataclass(frozen=True, slots=True)
class ReservationExtended(Fact):
    kind: ClassVar[str] = "reservation.extended"
    reservation: str
    until_ms: int
    by: str


@dataclass(frozen=True, slots=True)
class ReservationCancelled(Fact):
    kind: ClassVar[str] = "reservation.cancelled"
    reservation: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class ReservationClosed(Fact):
    """Its time is over and nothing can happen to it any more. `credentials` are free for others."""

    kind: ClassVar[str] = "reservation.closed"
    reservation: str
    closed_ms: int
    credentials: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuotaSet(Fact):
    """So many spots of a class are the office's to sell: the site keeps them free of walk-ins. `source`: who says so."""

    kind: ClassVar[str] = "quota.set"
    area: str
    spot_type: str
    spots: int
    source: str


RESERVATIONS: Final = Table(
    "reservations",
    ("reservation",),
    (
        *columns(reservation=TEXT, holder=TEXT, area=TEXT, spot_type=TEXT, from_ms=WHOLE, until_ms=WHOLE),
        *columns(early_minutes=WHOLE, late_minutes=WHOLE, credentials=TEXT, source=TEXT, state=TEXT),
        *columns(kept=TEXT, sold=TEXT),
        *nullable(prepaid_minor=WHOLE, ticket=TEXT, used_ms=WHOLE, closed_ms=WHOLE),
    ),
    indexes=("state", "ticket", "kept", "sold"),
    live=lambda row: row["closed_ms"] is None,
)
"""`kept`: the class of which a spot is kept for it now; `sold`: the class of the office's quota that its vehicle fills."""

RESERVATION_CREDENTIALS: Final = Table(
    "reservation_credentials", ("credential",), columns(credential=TEXT, reservation=TEXT)
)

QUOTAS: Final = Table("quotas", ("area", "spot_type"), columns(area=TEXT, spot_type=TEXT, spots=WHOLE, source=TEXT))


def _terms(fact: ReservationMade | ReservationChanged) -> dict[str, Value]:
    return {
        "holder": fact.holder,
        "area": fact.area,
        "spot_type": fact.spot_type,
        "from_ms": fact.from_ms,
        "until_ms": fact.until_ms,
        "early_minutes": fact.early_minutes,
        "late_minutes": fact.late_minutes,
        "prepaid_minor": fact.prepaid_minor,
        "credentials": " ".join(fact.credentials),
        "source": fact.source,
    }


def _known_by(fact: ReservationMade | ReservationChanged) -> Iterable[Change]:
    for credential in fact.credentials:
        yield Put(RESERVATION_CREDENTIALS, {"credential": credential, "reservation": fact.reservation})


def _made(fact: ReservationMade) -> Iterable[Change]:
    new: dict[str, Value] = {"reservation": fact.reservation, "state": "booked", "kept": "", "sold": ""}
    yield Put(RESERVATIONS, _terms(fact) | new)
    yield from _known_by(fact)


def _changed(fact: ReservationChanged) -> Iterable[Change]:
    yield Set(RESERVATIONS, (fact.reservation,), _terms(fact))
    for credential in fact.dropped:
        yield Drop(RESERVATION_CREDENTIALS, (credential,))
    yield from _known_by(fact)


def _set(reservation: str, **values: Value) -> tuple[Change, ...]:
    return (Set(RESERVATIONS, (reservation,), values),)


def _closed(fact: ReservationClosed) -> Iterable[Change]:
    yield from _set(fact.reservation, closed_ms=fact.closed_ms, kept="", sold="")
    for credential in fact.credentials:
        yield Drop(RESERVATION_CREDENTIALS, (credential,))


def _quota(fact: QuotaSet) -> Iterable[Change]:
    yield Put(QUOTAS, {"area": fact.area, "spot_type": fact.spot_type, "spots": fact.spots, "source": fact.source})


def _tell_extended(b: Mapping[str, Any]) -> str:
    return f"reservation {b['reservation']} extended by {b['by']}"


RECORDS: Final = Records(
    "reservations",
    (RESERVATIONS, RESERVATION_CREDENTIALS, QUOTAS),
    {
        ReservationMade: _made,
        ReservationChanged: _changed,
        ReservationHeld: lambda fact: _set(fact.reservation, state="held", kept=fact.place),
        ReservationUsed: lambda fact: _set(
            fact.reservation, state="used", ticket=fact.ticket, used_ms=fact.used_ms, kept="", sold=fact.place
        ),
        ReservationReturned: lambda fact: _set(
            fact.reservation, state="booked", ticket=None, used_ms=None, kept="", sold=""
        ),
        ReservationMoved: lambda fact: _set(fact.reservation, ticket=fact.replacement),
        ReservationOverstayed: lambda fact: _set(fact.reservation, state="overstayed", sold=""),
        ReservationLeft: lambda fact: _set(fact.reservation, state="left", kept="", sold=""),
        ReservationReleased: lambda fact: _set(fact.reservation, state="released", kept=""),
        ReservationExtended: lambda fact: _set(fact.reservation, until_ms=fact.until_ms),
        ReservationCancelled: lambda fact: _set(fact.reservation, state="cancelled", kept=""),
        ReservationClosed: _closed,
        QuotaSet: _quota,
    },
    {
        ReservationMade: lambda b: f"reservation {b['reservation']} for {b['area']} {b['spot_type']}, by {b['source']}",
        ReservationChanged: lambda b: f"reservation {b['reservation']} changed by {b['source']}",
        ReservationHeld: lambda b: f"reservation {b['reservation']}: a spot of {b['place']} is kept",
        ReservationUsed: lambda b: f"reservation {b['reservation']} used at {b['lane']}, ticket {b['ticket']}",
        ReservationReturned: lambda b: f"reservation {b['reservation']} good again: {b['why']}",
        ReservationMoved: lambda b: f"reservation {b['reservation']}: {b['replacement']} instead of {b['ticket']}",
        ReservationOverstayed: lambda b: f"reservation {b['reservation']} is over, {b['ticket']} is still inside",
        ReservationLeft: lambda b: f"reservation {b['reservation']}: {b['ticket']} has left",
        ReservationReleased: lambda b: f"reservation {b['reservation']}: nobody came, the place is released",
        ReservationExtended: _tell_extended,
        ReservationCancelled: lambda b: f"reservation {b['reservation']} cancelled by {b['by']}: {b['why']}",
        ReservationClosed: lambda b: f"reservation {b['reservation']} closed",
        QuotaSet: lambda b: (
            f"{b['spots']} spots of {b['area']} {b['spot_type']} are the office's to sell ({b['source']})"
        ),
    },
)
