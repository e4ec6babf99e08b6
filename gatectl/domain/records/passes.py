"""Passes and the contracts they are under: who may come and go without a ticket, when, where, and with how many cars."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from gatectl.domain.facts import Fact
from gatectl.domain.ids import LaneId, TicketNumber
from gatectl.domain.records.record import Records
from gatectl.domain.rows import FLAG, TEXT, WHOLE, Change, Drop, Put, Set, Table, Value, columns, nullable


@dataclass(frozen=True, slots=True)
class PassGranted(Fact):
    """A pass is known here. Nothing personal: `holder` is an opaque name, `credentials` are keys.

    Good from `from_ms` to `until_ms` (None: until it is withdrawn) in `areas` (none: everywhere) at `hours` (as
    "mon,tue 07:00-19:00; sat 08:00-14:00", "": always) for `cars` at once. After its end it is let in for `grace_days`:
    `grace` "free" with a warning, "priced" by the tariff. `antipassback` is "hard", "soft" or "timed" (by `reentry_minutes`).
    """

    kind: ClassVar[str] = "pass.granted"
    pass_id: str
    holder: str
    contract: str
    from_ms: int
    until_ms: int | None
    areas: tuple[str, ...]
    hours: str
    cars: int
    grace_days: int
    grace: str
    antipassback: str
    reentry_minutes: int
    credentials: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class PassChanged(Fact):
    """Its terms are others now; what happened to it here stays. `dropped`: keys that open nothing any more."""

    kind: ClassVar[str] = "pass.changed"
    pass_id: str
    holder: str
    contract: str
    from_ms: int
    until_ms: int | None
    areas: tuple[str, ...]
    hours: str
    cars: int
    grace_days: int
    grace: str
    antipassback: str
    reentry_minutes: int
    credentials: tuple[str, ...]
    source: str
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PassWithdrawn(Fact):
    """It lets nobody in any more; who is inside by it goes out by it. What it covers ends at `until_ms`."""

    kind: ClassVar[str] = "pass.withdrawn"
    pass_id: str
    until_ms: int
    by: str


@dataclass(frozen=True, slots=True)
class PassSuspended(Fact):
    kind: ClassVar[str] = "pass.suspended"
    pass_id: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class PassResumed(Fact):
    kind: ClassVar[str] = "pass.resumed"
    pass_id: str
    by: str


@dataclass(frozen=True, slots=True)
class PassUsed(Fact):
    """A vehicle was let in by it, on a virtual ticket. `excess`: beyond what its contract allows, it pays like anybody.

    `passback`: it was inside already as far as is known, and its anti-passback only reports.
    """

    kind: ClassVar[str] = "pass.used"
    pass_id: str
    contract: str
    ticket: TicketNumber
    credential: str
    lane: LaneId
    used_ms: int
    excess: bool
    passback: bool


@dataclass(frozen=True, slots=True)
class PassMoved(Fact):
    """Its stay goes on under another number."""

    kind: ClassVar[str] = "pass.moved"
    pass_id: str
    contract: str
    ticket: TicketNumber
    replacement: TicketNumber
    credential: str
    used_ms: int
    excess: bool
    counted: bool


@dataclass(frozen=True, slots=True)
class PassFreed(Fact):
    """Its vehicle is out again, or never came in. `why` is the kind of fact behind it."""

    kind: ClassVar[str] = "pass.freed"
    pass_id: str
    ticket: TicketNumber
    why: str


@dataclass(frozen=True, slots=True)
class PassNeutral(Fact):
    """Where its cars are is not known (an open lane, a repair): none of `tickets` is counted against it any more."""

    kind: ClassVar[str] = "pass.neutral"
    pass_id: str
    tickets: tuple[TicketNumber, ...]
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class ContractSet(Fact):
    """Over all passes of a contract `cars` may be inside at once; one more is refused or pays (`excess`: refuse, transient)."""

    kind: ClassVar[str] = "contract.set"
    contract: str
    name: str
    cars: int
    excess: str
    source: str


@dataclass(frozen=True, slots=True)
class ContractEnded(Fact):
    kind: ClassVar[str] = "contract.ended"
    contract: str
    by: str


PASSES: Final = Table(
    "passes",
    ("pass_id",),
    (
        *columns(pass_id=TEXT, holder=TEXT, contract=TEXT, from_ms=WHOLE, areas=TEXT, hours=TEXT, cars=WHOLE),
        *columns(grace_days=WHOLE, grace=TEXT, antipassback=TEXT, reentry_minutes=WHOLE, credentials=TEXT),
        *columns(source=TEXT, withdrawn=FLAG),
        *nullable(until_ms=WHOLE, suspended_by=TEXT, suspended_why=TEXT, used_ms=WHOLE),
    ),
    indexes=("contract",),
)
PASS_CREDENTIALS: Final = Table("pass_credentials", ("credential",), columns(credential=TEXT, pass_id=TEXT))
PASS_STAYS: Final = Table(
    "pass_stays",
    ("ticket",),
    (
        *columns(ticket=TEXT, pass_id=TEXT, contract=TEXT, credential=TEXT, used_ms=WHOLE, excess=FLAG, counted=FLAG),
        *nullable(ended=TEXT),
    ),
    indexes=("pass_id", "contract"),
    live=lambda row: row["ended"] is None,
)
"""Stays on a pass; `counted`: against the number of cars of the pass and of its contract."""
CONTRACTS: Final = Table(
    "contracts", ("contract",), columns(contract=TEXT, name=TEXT, cars=WHOLE, excess=TEXT, source=TEXT)
)


def _terms(fact: PassGranted | PassChanged) -> dict[str, Value]:
    return {
        "holder": fact.holder,
        "contract": fact.contract,
        "from_ms": fact.from_ms,
        "until_ms": fact.until_ms,
        "areas": " ".join(fact.areas),
        "hours": fact.hours,
        "cars": fact.cars,
        "grace_days": fact.grace_days,
        "grace": fact.grace,
        "antipassback": fact.antipassback,
        "reentry_minutes": fact.reentry_minutes,
        "credentials": " ".join(fact.credentials),
        "source": fact.source,
        "withdrawn": False,
    }


def _granted(fact: PassGranted) -> Iterable[Change]:
    yield Put(PASSES, {"pass_id": fact.pass_id, **_terms(fact)})
    for credential in fact.credentials:
        yield Put(PASS_CREDENTIALS, {"credential": credential, "pass_id": fact.pass_id})


def _changed(fact: PassChanged) -> Iterable[Change]:
    yield Set(PASSES, (fact.pass_id,), _terms(fact))
    for credential in fact.dropped:
        yield Drop(PASS_CREDENTIALS, (credential,))
    for credential in fact.credentials:
        yield Put(PASS_CREDENTIALS, {"credential": credential, "pass_id": fact.pass_id})


def _stay(fact: PassUsed | PassMoved, ticket: TicketNumber, counted: bool) -> Change:
    row: dict[str, Value] = {"ticket": ticket, "pass_id": fact.pass_id, "contract": fact.contract}
    row |= {"credential": fact.credential, "used_ms": fact.used_ms, "excess": fact.excess, "counted": counted}
    return Put(PASS_STAYS, row)


def _used(fact: PassUsed) -> Iterable[Change]:
    yield _stay(fact, fact.ticket, counted=not fact.excess)
    yield Set(PASSES, (fact.pass_id,), {"used_ms": fact.used_ms})


def _moved(fact: PassMoved) -> Iterable[Change]:
    yield Set(PASS_STAYS, (fact.ticket,), {"ended": "moved"})
    yield _stay(fact, fact.replacement, fact.counted)


def _neutral(fact: PassNeutral) -> Iterable[Change]:
    for ticket in fact.tickets:
        yield Set(PASS_STAYS, (ticket,), {"counted": False})


def _contract(fact: ContractSet) -> Iterable[Change]:
    row: dict[str, Value] = {"contract": fact.contract, "name": fact.name, "cars": fact.cars}
    yield Put(CONTRACTS, row | {"excess": fact.excess, "source": fact.source})


def _set(pass_id: str, **values: Value) -> tuple[Change, ...]:
    return (Set(PASSES, (pass_id,), values),)


RECORDS: Final = Records(
    "passes",
    (PASSES, PASS_CREDENTIALS, PASS_STAYS, CONTRACTS),
    {
        PassGranted: _granted,
        PassChanged: _changed,
        PassWithdrawn: lambda fact: _set(fact.pass_id, withdrawn=True, until_ms=fact.until_ms),
        PassSuspended: lambda fact: _set(fact.pass_id, suspended_by=fact.by, suspended_why=fact.why),
        PassResumed: lambda fact: _set(fact.pass_id, suspended_by=None, suspended_why=None),
        PassUsed: _used,
        PassMoved: _moved,
        PassFreed: lambda fact: (Set(PASS_STAYS, (fact.ticket,), {"ended": fact.why}),),
        PassNeutral: _neutral,
        ContractSet: _contract,
        ContractEnded: lambda fact: (Drop(CONTRACTS, (fact.contract,)),),
    },
    {
        PassGranted: lambda b: f"pass {b['pass_id']} granted for {b['cars']} at once, by {b['source']}",
        PassChanged: lambda b: f"pass {b['pass_id']} changed by {b['source']}",
        PassWithdrawn: lambda b: f"pass {b['pass_id']} withdrawn by {b['by']}",
        PassSuspended: lambda b: f"pass {b['pass_id']} suspended by {b['by']}: {b['why']}",
        PassResumed: lambda b: f"pass {b['pass_id']} resumed by {b['by']}",
        PassUsed: lambda b: f"pass {b['pass_id']} used at {b['lane']}, ticket {b['ticket']}",
        PassMoved: lambda b: f"pass {b['pass_id']}: {b['replacement']} instead of {b['ticket']}",
        PassFreed: lambda b: f"pass {b['pass_id']}: {b['ticket']} is over ({b['why']})",
        PassNeutral: lambda b: f"pass {b['pass_id']} set to neutral by {b['by']}: {b['why']}",
        ContractSet: lambda b: f"contract {b['contract']}: {b['cars']} cars at once, then {b['excess']}",
        ContractEnded: lambda b: f"contract {b['contract']} ended by {b['by']}",
    },
)
