"""Coupons, merchants and validations: who may take what off a price, and what was taken off which stay."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gatectl.domain.facts import Fact
from gatectl.domain.ids import TicketNumber
from gatectl.domain.records.record import Records
from gatectl.domain.rows import FLAG, TEXT, WHOLE, Change, Put, Row, Set, Table, Value, columns, nullable


@dataclass(frozen=True, slots=True)
class CouponDefined(Fact):
    """A code that takes something off, from now on in these terms. What it was used for before still counts.

    `gives`: "minutes", "flat", "percent", "amount" with `value` in minutes, minor units, percent, minor units. `uses_max` None:
    no limit. `hours` as a pass's ("mon-fri 18:00-02:00", "" for any); `tariffs` and `vehicle_types` are words, none for all.
    """

    kind: ClassVar[str] = "coupon.defined"
    coupon: str
    gives: str
    value: int
    from_ms: int | None
    until_ms: int | None
    hours: str
    uses_max: int | None
    day_max: int | None
    exclusive: bool
    tariffs: str
    vehicle_types: str
    merchant: str | None
    source: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class CouponRemoved(Fact):
    """Nobody can use the code any more; on tickets that have it, it stays."""

    kind: ClassVar[str] = "coupon.removed"
    coupon: str
    source: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class CouponsSigned(Fact):
    """Coupons for paper were made: `signed` of this series by now, numbered from 1. Each is good for one stay."""

    kind: ClassVar[str] = "coupons.signed"
    series: str
    signed: int
    count: int
    gives: str
    value: int
    from_ms: int
    until_ms: int
    exclusive: bool
    by: str


@dataclass(frozen=True, slots=True)
class CouponCounted(Fact):
    """How often a coupon is used by now, in all and on a day of the site's calendar. `until_day`: from then on it is over."""

    kind: ClassVar[str] = "coupon.counted"
    coupon: str
    used: int
    day: str
    day_used: int
    until_day: str


@dataclass(frozen=True, slots=True)
class CouponExpired(Fact):
    """A coupon that was signed is over; how often it was used need not be known any more."""

    kind: ClassVar[str] = "coupon.expired"
    coupon: str


@dataclass(frozen=True, slots=True)
class MerchantDefined(Fact):
    """Who may validate, and how much: at most `minutes_max` or `amount_minor_max` a time, or the `whole` stay.

    `day_max`, `month_max`: validations a day and a month (None: no limit). `reasons`: those allowed, one a line ("": any).
    """

    kind: ClassVar[str] = "merchant.defined"
    merchant: str
    name: str
    minutes_max: int
    amount_minor_max: int
    whole: bool
    day_max: int | None
    month_max: int | None
    reasons: str
    source: str


@dataclass(frozen=True, slots=True)
class MerchantRemoved(Fact):
    kind: ClassVar[str] = "merchant.removed"
    merchant: str
    source: str


@dataclass(frozen=True, slots=True)
class MerchantCounted(Fact):
    """How many validations a merchant has given on a day and in a month of the site's calendar."""

    kind: ClassVar[str] = "merchant.counted"
    merchant: str
    day: str
    day_used: int
    month: str
    month_used: int


@dataclass(frozen=True, slots=True)
class ValidationApplied(Fact):
    """Something is taken off a stay's price: by a `coupon`, or by a `merchant` (gives "whole": all of the parking).

    It is reserved until the ticket is paid or the vehicle leaves. `place`: the lane, station or till; `key`: the asker's name for
    it; `until_day`: from which day of the epoch (UTC) its signed coupon is over.
    """

    kind: ClassVar[str] = "validation.applied"
    validation: str
    ticket: TicketNumber
    label: str
    gives: str
    value: int
    exclusive: bool
    coupon: str | None
    merchant: str | None
    reason: str
    by: str
    place: str
    key: str
    applied_ms: int
    until_day: str


@dataclass(frozen=True, slots=True)
class ValidationSpent(Fact):
    """A payment was made at the price that it had lowered: it cannot be taken off any more."""

    kind: ClassVar[str] = "validation.spent"
    validation: str
    ticket: TicketNumber


@dataclass(frozen=True, slots=True)
class ValidationReleased(Fact):
    """Taken off the ticket before it was spent; its coupon is good for another."""

    kind: ClassVar[str] = "validation.released"
    validation: str
    ticket: TicketNumber
    by: str
    why: str
    released_ms: int


@dataclass(frozen=True, slots=True)
class ValidationMoved(Fact):
    """Its stay goes on under another number."""

    kind: ClassVar[str] = "validation.moved"
    validation: str
    ticket: TicketNumber
    replacement: TicketNumber


@dataclass(frozen=True, slots=True)
class ValidationClosed(Fact):
    """Its stay is over. `state`: "spent" or "released", for good."""

    kind: ClassVar[str] = "validation.closed"
    validation: str
    ticket: TicketNumber
    state: str


COUPONS: Final = Table(
    "coupons",
    ("coupon",),
    (
        *columns(coupon=TEXT, gives=TEXT, value=WHOLE),
        *nullable(from_ms=WHOLE, until_ms=WHOLE),
        *columns(hours=TEXT),
        *nullable(uses_max=WHOLE, day_max=WHOLE),
        *columns(exclusive=FLAG, tariffs=TEXT, vehicle_types=TEXT),
        *nullable(merchant=TEXT),
        *columns(source=TEXT, removed=FLAG),
    ),
    indexes=("source",),
    live=lambda row: not row["removed"],
)
COUPON_SERIES: Final = Table("coupon_series", ("series",), columns(series=TEXT, signed=WHOLE))
COUPON_USES: Final = Table(
    "coupon_uses",
    ("coupon",),
    columns(coupon=TEXT, used=WHOLE, day=TEXT, day_used=WHOLE, until_day=TEXT, expired=FLAG),
    indexes=("until_day",),
    live=lambda row: not row["expired"],
)
MERCHANTS: Final = Table(
    "merchants",
    ("merchant",),
    (
        *columns(merchant=TEXT, name=TEXT, minutes_max=WHOLE, amount_minor_max=WHOLE, whole=FLAG),
        *nullable(day_max=WHOLE, month_max=WHOLE),
        *columns(reasons=TEXT, source=TEXT, removed=FLAG),
    ),
    indexes=("source",),
    live=lambda row: not row["removed"],
)
MERCHANT_USES: Final = Table(
    "merchant_uses", ("merchant",), columns(merchant=TEXT, day=TEXT, day_used=WHOLE, month=TEXT, month_used=WHOLE)
)
VALIDATIONS: Final = Table(
    "validations",
    ("validation",),
    (
        *columns(validation=TEXT, ticket=TEXT, label=TEXT, gives=TEXT, value=WHOLE, exclusive=FLAG),
        *nullable(coupon=TEXT, merchant=TEXT),
        *columns(reason=TEXT, given_by=TEXT, place=TEXT, given_key=TEXT, applied_ms=WHOLE, until_day=TEXT, state=TEXT),
        *columns(open=FLAG, released_by=TEXT, released_why=TEXT),
        *nullable(released_ms=WHOLE),
    ),
    indexes=("ticket",),
    live=lambda row: bool(row["open"]),
)
"""`state`: "reserved", "spent", "released"; `open` as long as the stay is."""

RESERVED: Final = "reserved"
SPENT: Final = "spent"
RELEASED: Final = "released"


def _defined(fact: CouponDefined) -> Iterable[Change]:
    terms: dict[str, Value] = {"coupon": fact.coupon, "gives": fact.gives, "value": fact.value, "removed": False}
    terms |= {"from_ms": fact.from_ms, "until_ms": fact.until_ms, "hours": fact.hours}
    terms |= {"uses_max": fact.uses_max, "day_max": fact.day_max, "exclusive": fact.exclusive}
    terms |= {"tariffs": fact.tariffs, "vehicle_types": fact.vehicle_types, "merchant": fact.merchant}
    yield Put(COUPONS, {**terms, "source": fact.source})


def _counted(fact: CouponCounted) -> Iterable[Change]:
    counts: dict[str, Value] = {"used": fact.used, "day": fact.day, "day_used": fact.day_used}
    yield Put(COUPON_USES, {"coupon": fact.coupon, **counts, "until_day": fact.until_day, "expired": False})


def _merchant(fact: MerchantDefined) -> Iterable[Change]:
    terms: dict[str, Value] = {"merchant": fact.merchant, "name": fact.name, "whole": fact.whole, "removed": False}
    terms |= {"minutes_max": fact.minutes_max, "amount_minor_max": fact.amount_minor_max}
    terms |= {"day_max": fact.day_max, "month_max": fact.month_max, "reasons": fact.reasons}
    yield Put(MERCHANTS, {**terms, "source": fact.source})


def _merchant_counted(fact: MerchantCounted) -> Iterable[Change]:
    counts: dict[str, Value] = {"day": fact.day, "day_used": fact.day_used}
    yield Put(MERCHANT_USES, {"merchant": fact.merchant, **counts, "month": fact.month, "month_used": fact.month_used})


def validation_row(fact: ValidationApplied) -> Row:
    """The row that the fact makes."""
    row: dict[str, Value] = {"validation": fact.validation, "ticket": fact.ticket, "label": fact.label}
    row |= {"gives": fact.gives, "value": fact.value, "exclusive": fact.exclusive, "coupon": fact.coupon}
    row |= {"merchant": fact.merchant, "reason": fact.reason, "given_by": fact.by, "place": fact.place}
    row |= {"given_key": fact.key, "applied_ms": fact.applied_ms, "until_day": fact.until_day}
    return {**row, "state": RESERVED, "open": True, "released_by": "", "released_why": ""}


def _released(fact: ValidationReleased) -> Iterable[Change]:
    said: dict[str, Value] = {"released_by": fact.by, "released_why": fact.why, "released_ms": fact.released_ms}
    yield Set(VALIDATIONS, (fact.validation,), {"state": RELEASED, **said})


def _set(validation: str, **values: Value) -> tuple[Change, ...]:
    return (Set(VALIDATIONS, (validation,), values),)


def _tell_applied(b: Mapping[str, Any]) -> str:
    return f"{b['label']} on {b['ticket']}: {b['gives']} {b['value']}, by {b['by']} at {b['place']} ({b['validation']})"


def _tell_defined(b: Mapping[str, Any]) -> str:
    return f"coupon {b['coupon']} by {b['source']}: {b['gives']} {b['value']}"


RECORDS: Final = Records(
    "validations",
    (COUPONS, COUPON_SERIES, COUPON_USES, MERCHANTS, MERCHANT_USES, VALIDATIONS),
    {
        CouponDefined: _defined,
        CouponRemoved: lambda fact: (Set(COUPONS, (fact.coupon,), {"removed": True}),),
        CouponsSigned: lambda fact: (Put(COUPON_SERIES, {"series": fact.series, "signed": fact.signed}),),
        CouponCounted: _counted,
        CouponExpired: lambda fact: (Set(COUPON_USES, (fact.coupon,), {"expired": True}),),
        MerchantDefined: _merchant,
        MerchantRemoved: lambda fact: (Set(MERCHANTS, (fact.merchant,), {"removed": True}),),
        MerchantCounted: _merchant_counted,
        ValidationApplied: lambda fact: (Put(VALIDATIONS, validation_row(fact)),),
        ValidationSpent: lambda fact: _set(fact.validation, state=SPENT),
        ValidationReleased: _released,
        ValidationMoved: lambda fact: _set(fact.validation, ticket=fact.replacement),
        ValidationClosed: lambda fact: _set(fact.validation, state=fact.state, open=False),
    },
    {
        CouponDefined: _tell_defined,
        CouponRemoved: lambda b: f"coupon {b['coupon']} removed by {b['source']}",
        CouponsSigned: lambda b: f"{b['count']} coupons of {b['gives']} {b['value']} signed by {b['by']}",
        CouponCounted: lambda b: f"coupon {b['coupon']} used {b['used']} times, {b['day_used']} on {b['day']}",
        CouponExpired: lambda b: f"coupon {b['coupon']} is over",
        MerchantDefined: lambda b: f"merchant {b['merchant']} by {b['source']}: {b['name']}",
        MerchantRemoved: lambda b: f"merchant {b['merchant']} removed by {b['source']}",
        MerchantCounted: lambda b: f"merchant {b['merchant']} gave {b['day_used']} on {b['day']}",
        ValidationApplied: _tell_applied,
        ValidationSpent: lambda b: f"{b['validation']} is spent: {b['ticket']} was paid with it",
        ValidationReleased: lambda b: f"{b['validation']} taken off {b['ticket']} by {b['by']}: {b['why']}",
        ValidationMoved: lambda b: f"{b['validation']} is on {b['replacement']} instead of {b['ticket']}",
        ValidationClosed: lambda b: f"{b['validation']} closed as {b['state']}",
    },
)
