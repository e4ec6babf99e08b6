"""The exceptions desk: what a person decided about a ticket that the lanes could not serve, why, and what it cost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gatectl.domain.facts import Fact
from gatectl.domain.ids import AreaId, TicketNumber
from gatectl.domain.money import EXPONENTS, shown
from gatectl.domain.records.record import Records
from gatectl.domain.rows import FLAG, TEXT, WHOLE, Change, Put, Set, Table, Value, columns


@dataclass(frozen=True, slots=True)
class ExceptionNoted(Fact):
    """A person dealt with a ticket. `act`: a word of `Cause`, "priced", or "keyed": its number was typed for a reader.

    `other` is the number that the stay goes on under, of "keyed" the lane; "" if there is none.
    """

    kind: ClassVar[str] = "exception.noted"
    act: str
    ticket: TicketNumber
    other: str
    by: str
    why: str
    noted_ms: int


@dataclass(frozen=True, slots=True)
class PriceSet(Fact):
    """A named person says what a stay costs in all, whatever tariff, rights and coupons make of it."""

    kind: ClassVar[str] = "price.set"
    ticket: TicketNumber
    price_minor: int
    currency: str
    by: str
    why: str
    set_ms: int


@dataclass(frozen=True, slots=True)
class PriceEnded(Fact):
    """Its stay is over, or goes on under another number that has the price now."""

    kind: ClassVar[str] = "price.ended"
    ticket: TicketNumber


@dataclass(frozen=True, slots=True)
class StaleClosed(Fact):
    """A mass close of one area: `tickets` stays that began before `before_ms` were written off in the same batch.

    `counted`: so many vehicles fewer are inside by it; else the count was right already. `inside`: the count after it.
    """

    kind: ClassVar[str] = "exception.stale-closed"
    close: str
    area: AreaId
    before_ms: int
    tickets: int
    counted: bool
    inside: int
    by: str
    why: str
    closed_ms: int


def _never(row: Mapping[str, Value]) -> bool:
    return False


EXCEPTIONS: Final = Table(
    "exceptions",
    ("act", "ticket", "noted_ms"),
    columns(act=TEXT, ticket=TEXT, noted_ms=WHOLE, other=TEXT, noted_by=TEXT, why=TEXT),
    live=_never,
)
HAND_PRICES: Final = Table(
    "hand_prices",
    ("ticket",),
    columns(ticket=TEXT, price_minor=WHOLE, currency=TEXT, set_by=TEXT, why=TEXT, set_ms=WHOLE, ended=FLAG),
    live=lambda row: not row["ended"],
)
SOFT_CLOSES: Final = Table(
    "soft_closes",
    ("close_id", "area"),
    (
        *columns(close_id=TEXT, area=TEXT, before_ms=WHOLE, tickets=WHOLE, counted=FLAG, inside=WHOLE),
        *columns(closed_by=TEXT, closed_ms=WHOLE, why=TEXT),
    ),
    live=_never,
)


def _noted(fact: ExceptionNoted) -> Iterable[Change]:
    row: dict[str, Value] = {"act": fact.act, "ticket": fact.ticket, "noted_ms": fact.noted_ms, "other": fact.other}
    yield Put(EXCEPTIONS, row | {"noted_by": fact.by, "why": fact.why})


def _priced(fact: PriceSet) -> Iterable[Change]:
    row: dict[str, Value] = {"ticket": fact.ticket, "price_minor": fact.price_minor, "currency": fact.currency}
    yield Put(HAND_PRICES, row | {"set_by": fact.by, "why": fact.why, "set_ms": fact.set_ms, "ended": False})


def _ended(fact: PriceEnded) -> Iterable[Change]:
    yield Set(HAND_PRICES, (fact.ticket,), {"ended": True})


def _closed(fact: StaleClosed) -> Iterable[Change]:
    row: dict[str, Value] = {"close_id": fact.close, "area": fact.area, "before_ms": fact.before_ms}
    row |= {"tickets": fact.tickets, "counted": fact.counted, "inside": fact.inside}
    yield Put(SOFT_CLOSES, row | {"closed_by": fact.by, "closed_ms": fact.closed_ms, "why": fact.why})


_ACTS: Final = {
    "lost": "lost ticket",
    "damaged": "damaged ticket",
    "swapped": "swapped ticket",
    "foreign": "foreign ticket",
    "unreadable": "unreadable ticket",
    "special": "special ticket",
    "keyed": "number typed by hand",
}


def _tell_noted(b: Mapping[str, Any]) -> str:
    other = f", now {b['other']}" if b["other"] else ""
    if b["act"] == "keyed":
        other = f", at {b['other']}"
    return f"exceptions desk: {_ACTS.get(str(b['act']), b['act'])} {b['ticket']}{other}, by {b['by']}: {b['why']}"


def _tell_price(b: Mapping[str, Any]) -> str:
    minor, currency = b["price_minor"], b["currency"]
    known = isinstance(minor, int) and currency in EXPONENTS
    amount = shown(minor, currency) if known else f"{minor} {currency}"
    return f"price of {b['ticket']} set to {amount} by {b['by']}: {b['why']}"


def _tell_closed(b: Mapping[str, Any]) -> str:
    count = f"the count is {b['inside']} now" if b["counted"] is True else f"the count stays {b['inside']}"
    return f"{b['area']}: {b['tickets']} stale tickets closed, {count}, by {b['by']}: {b['why']}"


RECORDS: Final = Records(
    "exceptions",
    (EXCEPTIONS, HAND_PRICES, SOFT_CLOSES),
    {ExceptionNoted: _noted, PriceSet: _priced, PriceEnded: _ended, StaleClosed: _closed},
    {
        ExceptionNoted: _tell_noted,
        PriceSet: _tell_price,
        PriceEnded: lambda b: f"the price set for {b['ticket']} is over",
        StaleClosed: _tell_closed,
    },
)
