"""Vehicles in a valet's hands: handed over, parked, asked for, fetched, handed back, and what was noted of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from gatectl.domain.facts import Fact
from gatectl.domain.ids import SpotId, TicketNumber
from gatectl.domain.records.record import Records
from gatectl.domain.rows import FLAG, TEXT, WHOLE, Change, Put, Set, Table, Value, columns, never, nullable


@dataclass(frozen=True, slots=True)
class ValetReceived(Fact):
    """A vehicle was handed over. `visit` names it for ever (the ticket's number of then); `vehicle` is a plate or a note.

    `claim` is the claim check, `tag` the key's; `fee_minor` is due for it beside the parking.
    """

    kind: ClassVar[str] = "valet.received"
    visit: str
    ticket: TicketNumber
    claim: str
    tag: str
    vehicle: str
    stand: str
    by: str
    currency: str
    fee_minor: int
    received_ms: int


@dataclass(frozen=True, slots=True)
class ValetParked(Fact):
    """It stands at a spot (None: nobody noted where). Whoever had asked for it has not taken it."""

    kind: ClassVar[str] = "valet.parked"
    visit: str
    spot: SpotId | None
    by: str
    parked_ms: int


@dataclass(frozen=True, slots=True)
class ValetRequested(Fact):
    """Its driver wants it back at `wanted_ms`."""

    kind: ClassVar[str] = "valet.requested"
    visit: str
    by: str
    requested_ms: int
    wanted_ms: int


@dataclass(frozen=True, slots=True)
class ValetFetched(Fact):
    """Somebody has taken the key and goes for it."""

    kind: ClassVar[str] = "valet.fetched"
    visit: str
    by: str
    fetched_ms: int


@dataclass(frozen=True, slots=True)
class ValetReady(Fact):
    """It stands at the stand and waits for its driver."""

    kind: ClassVar[str] = "valet.ready"
    visit: str
    by: str
    ready_ms: int


@dataclass(frozen=True, slots=True)
class ValetReturned(Fact):
    """Handed back; the key's tag is free. `how`: "by-hand", "to-exit" (an exit lane ends the stay), or the fact that told it."""

    kind: ClassVar[str] = "valet.returned"
    visit: str
    by: str
    how: str
    returned_ms: int


@dataclass(frozen=True, slots=True)
class ValetClosed(Fact):
    """The stay is over."""

    kind: ClassVar[str] = "valet.closed"
    visit: str


@dataclass(frozen=True, slots=True)
class ValetReclaimed(Fact):
    """The claim check was lost: another one, `proof` says why its holder may have the vehicle. The old one opens nothing."""

    kind: ClassVar[str] = "valet.reclaimed"
    visit: str
    claim: str
    issue: int
    proof: str
    by: str
    fee_minor: int
    reclaimed_ms: int


@dataclass(frozen=True, slots=True)
class ValetNoted(Fact):
    """What was seen on the vehicle. `moment`: "in" or "out"; `photos` are references, the pictures are elsewhere."""

    kind: ClassVar[str] = "valet.noted"
    visit: str
    number: int
    moment: str
    text: str
    photos: str
    by: str
    noted_ms: int


@dataclass(frozen=True, slots=True)
class ValetRenumbered(Fact):
    """Its stay goes on under another number."""

    kind: ClassVar[str] = "valet.renumbered"
    visit: str
    ticket: TicketNumber


RECEIVED: Final = "received"
PARKED: Final = "parked"
REQUESTED: Final = "requested"
FETCHED: Final = "fetched"
READY: Final = "ready"
RETURNED: Final = "returned"

VALET: Final = Table(
    "valet",
    ("visit",),
    (
        *columns(visit=TEXT, ticket=TEXT, claim=TEXT, issue=WHOLE, tag=TEXT, vehicle=TEXT, stand=TEXT, state=TEXT),
        *columns(currency=TEXT, fee_minor=WHOLE, claim_fee_minor=WHOLE, notes=WHOLE, received_by=TEXT),
        *columns(received_ms=WHOLE),
        *nullable(spot=TEXT, parked_by=TEXT, parked_ms=WHOLE, requested_by=TEXT, requested_ms=WHOLE),
        *nullable(wanted_ms=WHOLE, fetched_by=TEXT, fetched_ms=WHOLE, ready_by=TEXT, ready_ms=WHOLE),
        *nullable(returned_by=TEXT, returned_ms=WHOLE, returned_how=TEXT),
        *columns(open=FLAG),
    ),
    indexes=("ticket", "claim", "tag"),
    live=lambda row: bool(row["open"]),
)
"""`tag` is "" once the vehicle was handed back; `open` as long as the stay is."""
VALET_NOTES: Final = Table(
    "valet_notes",
    ("visit", "number"),
    columns(visit=TEXT, number=WHOLE, moment=TEXT, note=TEXT, photos=TEXT, noted_by=TEXT, noted_ms=WHOLE),
    live=never,
)
VALET_CLAIMS: Final = Table(
    "valet_claims",
    ("visit", "issue"),
    columns(visit=TEXT, issue=WHOLE, claim=TEXT, proof=TEXT, issued_by=TEXT, issued_ms=WHOLE),
    live=never,
)
"""Claim checks that replaced lost ones."""


def _received(fact: ValetReceived) -> Iterable[Change]:
    row: dict[str, Value] = {
        "visit": fact.visit,
        "ticket": fact.ticket,
        "claim": fact.claim,
        "issue": 1,
        "tag": fact.tag,
    }
    row |= {"vehicle": fact.vehicle, "stand": fact.stand, "state": RECEIVED, "currency": fact.currency, "notes": 0}
    row |= {"fee_minor": fact.fee_minor, "claim_fee_minor": 0, "received_by": fact.by, "open": True}
    yield Put(VALET, {**row, "received_ms": fact.received_ms})


def _parked(fact: ValetParked) -> Iterable[Change]:
    asked: dict[str, Value] = {"requested_by": None, "requested_ms": None, "wanted_ms": None, "fetched_by": None}
    asked |= {"fetched_ms": None, "ready_by": None, "ready_ms": None}
    parked: dict[str, Value] = {"spot": fact.spot, "parked_by": fact.by, "parked_ms": fact.parked_ms}
    yield from _set(fact.visit, state=PARKED, **asked, **parked)


def _reclaimed(fact: ValetReclaimed) -> Iterable[Change]:
    yield from _set(fact.visit, claim=fact.claim, issue=fact.issue, claim_fee_minor=fact.fee_minor)
    row: dict[str, Value] = {"visit": fact.visit, "issue": fact.issue, "claim": fact.claim, "proof": fact.proof}
    yield Put(VALET_CLAIMS, {**row, "issued_by": fact.by, "issued_ms": fact.reclaimed_ms})


def _noted(fact: ValetNoted) -> Iterable[Change]:
    row: dict[str, Value] = {"visit": fact.visit, "number": fact.number, "moment": fact.moment, "note": fact.text}
    yield Put(VALET_NOTES, {**row, "photos": fact.photos, "noted_by": fact.by, "noted_ms": fact.noted_ms})
    yield from _set(fact.visit, notes=fact.number)


def _set(visit: str, **values: Value) -> tuple[Change, ...]:
    return (Set(VALET, (visit,), values),)


RECORDS: Final = Records(
    "valet",
    (VALET, VALET_NOTES, VALET_CLAIMS),
    {
        ValetReceived: _received,
        ValetParked: _parked,
        ValetRequested: lambda fact: _set(
            fact.visit,
            state=REQUESTED,
            requested_by=fact.by,
            requested_ms=fact.requested_ms,
            wanted_ms=fact.wanted_ms,
        ),
        ValetFetched: lambda fact: _set(fact.visit, state=FETCHED, fetched_by=fact.by, fetched_ms=fact.fetched_ms),
        ValetReady: lambda fact: _set(fact.visit, state=READY, ready_by=fact.by, ready_ms=fact.ready_ms),
        ValetReturned: lambda fact: _set(
            fact.visit,
            state=RETURNED,
            tag="",
            returned_by=fact.by,
            returned_ms=fact.returned_ms,
            returned_how=fact.how,
        ),
        ValetClosed: lambda fact: _set(fact.visit, open=False),
        ValetReclaimed: _reclaimed,
        ValetNoted: _noted,
        ValetRenumbered: lambda fact: _set(fact.visit, ticket=fact.ticket),
    },
    {
        ValetReceived: lambda b: f"{b['ticket']} handed over at {b['stand']} to {b['by']}, key tag {b['tag']}",
        ValetParked: lambda b: f"{b['visit']} parked by {b['by']} at {b['spot'] or 'a place not noted'}",
        ValetRequested: lambda b: f"{b['visit']} asked for, by {b['by']}",
        ValetFetched: lambda b: f"{b['visit']} is fetched by {b['by']}",
        ValetReady: lambda b: f"{b['visit']} is ready, by {b['by']}",
        ValetReturned: lambda b: f"{b['visit']} handed back by {b['by']} ({b['how']})",
        ValetClosed: lambda b: f"{b['visit']}: the valet's stay is over",
        ValetReclaimed: lambda b: f"{b['visit']} has another claim check, by {b['by']}: {b['proof']}",
        ValetNoted: lambda b: f"{b['visit']}, {b['moment']}: {b['text']} (noted by {b['by']})",
        ValetRenumbered: lambda b: f"{b['visit']} goes on as {b['ticket']}",
    },
)
