"""Coupons and merchants' validations: what may be taken off a stay's price, and what they make of it.

Rule 1: the moment of applying counts: a coupon that is good then stays good for the stay, however long it goes on.
Rule 2: what is applied is reserved, so that no second ticket can have it; a payment spends it, and so does leaving. A ticket that
is void, backed out of its entry or written off gives back what was not spent.
Rule 3: on one ticket there are at most STACKED_MAX, or one that is exclusive. Where both are offered the one with the lower price
at that moment stays, and the other is good for another time; equal prices leave what is there.
Rule 4: they are about parking: never below 0, and surcharges (valet, energy) stay due. In this order: minutes (the first ones of
the stay, which is priced as if it had begun later), flat price (at most that much), percent (rounded half up to the minor unit),
amount, the whole stay.
Rule 5: they lower what is due and never pay money out: a refund is a person's act.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from gatectl.domain import facts as f
from gatectl.domain.bill import Bill, Stage
from gatectl.domain.books import Stay
from gatectl.domain.business.rule import Adjust, Context, No
from gatectl.domain.facts import Fact, Line
from gatectl.domain.ids import TicketNumber, TimeQuality
from gatectl.domain.lane import Price
from gatectl.domain.money import shown
from gatectl.domain.pricing import stay_price
from gatectl.domain.records import validations as v
from gatectl.domain.records.validations import COUPON_USES, COUPONS, MERCHANT_USES, MERCHANTS, VALIDATIONS
from gatectl.domain.rows import Row, Tables, whole, words
from gatectl.domain.tariff_calendar import wall_at
from gatectl.domain.tickets import TicketState

MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS
STACKED_MAX: Final = 3
"""Coupons and validations that lower the price of one stay together."""
TRIES_MAX: Final = 20
"""Coupons and validations ever put on one ticket, those that were taken off again included."""
DAYS_BACK_MAX: Final = 40
"""Signed coupons that have been over for longer while the site was dark stay known until the next start."""
COUPONS_MAX: Final = 20_000
MERCHANTS_MAX: Final = 2_000

_ORDER: Final = {"minutes": 0, "flat": 1, "percent": 2, "amount": 3, "whole": 4}


@dataclass(frozen=True, slots=True)
class Offer:
    """What shall be taken off. `uses_max`, `day_max`: of its coupon. `until_day`: from then on a signed coupon is over."""

    label: str
    gives: str
    value: int
    by: str
    place: str
    exclusive: bool = False
    coupon: str | None = None
    uses_max: int | None = None
    day_max: int | None = None
    merchant: str | None = None
    reason: str = ""
    key: str = ""
    until_day: str = ""


def on_ticket(tables: Tables, ticket: TicketNumber) -> list[Row]:
    """What lowers the price of a ticket, in the order in which it was applied."""
    rows = tables.where(VALIDATIONS, "ticket", ticket)
    return _in_order(row for row in rows if row["state"] != v.RELEASED)


def _in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (whole(row, "applied_ms"), words(row, "validation")))


# -- the price --------------------------------------------------------------------------------------------------------


def _taken_off(context: Context, bill: Bill) -> Iterable[Line]:
    return lines(bill, on_ticket(context.books.tables, bill.stay.ticket))


def lines(bill: Bill, rows: Sequence[Row]) -> Iterable[Line]:
    """What these take off a bill, one line each; a line that finds nothing left is there to explain."""
    left, minutes = bill.parking_left_minor, 0
    for row in sorted(rows, key=lambda row: _ORDER[words(row, "gives")]):
        gives, value = words(row, "gives"), whole(row, "value")
        off = min(left, _off(bill, left, gives, value, minutes))
        minutes += value if gives == "minutes" else 0
        left -= off
        yield Line(f"{row['label']}: {told(gives, value, bill.currency)}", -off)


def _off(bill: Bill, left_minor: int, gives: str, value: int, minutes_before: int) -> int:
    if gives == "minutes":
        # A lost ticket's price is not about time: there is none to take off.
        return 0 if bill.stay.lost else _later(bill, minutes_before) - _later(bill, minutes_before + value)
    if gives == "flat":
        return max(0, left_minor - value)
    if gives == "percent":
        return (left_minor * value + 50) // 100
    return left_minor if gives == "whole" else value


def _later(bill: Bill, minutes: int) -> int:
    """What the stay would cost if it had begun so much later; not less for the entry grace being asked for twice."""
    if minutes == 0:
        return bill.parking_minor
    from_ms = min(bill.until_ms, bill.entered_ms + minutes * MINUTE_MS)
    return min(bill.parking_minor, bill.charged(from_ms, bill.until_ms).total_minor) if bill.until_ms > from_ms else 0


def told(gives: str, value: int, currency: str) -> str:
    """What it gives, for people."""
    if gives == "minutes":
        return f"{value} min free"
    if gives == "percent":
        return f"{value} % off"
    if gives == "whole":
        return "parking free"
    return f"{shown(value, currency)} off" if gives == "amount" else f"parking at most {shown(value, currency)}"


def price_after(context: Context, stay: Stay, facts: Iterable[Fact]) -> Price:
    """The price of a stay once these facts are on record."""
    rows = {words(row, "validation"): row for row in on_ticket(context.books.tables, stay.ticket)}
    for fact in facts:
        if isinstance(fact, v.ValidationApplied):
            rows[fact.validation] = v.validation_row(fact)
        elif isinstance(fact, v.ValidationReleased):
            del rows[fact.validation]
    return _price(context, stay, list(rows.values()))


def _price(context: Context, stay: Stay, rows: Sequence[Row]) -> Price:
    """The price with these on the ticket instead of what is there."""
    trial: Adjust = partial(_trial, rows)
    adjusts = tuple(trial if adjust is _taken_off else adjust for adjust in context.adjusts)
    return stay_price(replace(context, adjusts=adjusts), stay)


def _trial(rows: Sequence[Row], context: Context, bill: Bill) -> Iterable[Line]:
    return lines(bill, rows)


# -- counting -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Counts:
    """Uses of coupons and merchants as they will be once the facts of this decision are on record."""

    context: Context
    coupons: dict[str, v.CouponCounted] = field(default_factory=dict)
    merchants: dict[str, v.MerchantCounted] = field(default_factory=dict)

    @property
    def day(self) -> str:
        return local_day(self.context, self.context.now.wall_ms)

    def coupon(self, coupon: str, until_day: str) -> v.CouponCounted:
        row = self.context.books.tables.get(COUPON_USES, coupon)
        if coupon in self.coupons or row is None:
            return self.coupons.get(coupon, v.CouponCounted(coupon, 0, self.day, 0, until_day))
        today = whole(row, "day_used") if row["day"] == self.day else 0
        return v.CouponCounted(coupon, whole(row, "used"), self.day, today, until_day)

    def merchant(self, merchant: str) -> v.MerchantCounted:
        row = self.context.books.tables.get(MERCHANT_USES, merchant)
        month = self.day[:7]
        if merchant in self.merchants or row is None:
            return self.merchants.get(merchant, v.MerchantCounted(merchant, self.day, 0, month, 0))
        today = whole(row, "day_used") if row["day"] == self.day else 0
        this_month = whole(row, "month_used") if row["month"] == month else 0
        return v.MerchantCounted(merchant, self.day, today, month, this_month)

    def used(self, coupon: str | None, merchant: str | None, until_day: str) -> None:
        if coupon is not None:
            was = self.coupon(coupon, until_day)
            self.coupons[coupon] = replace(was, used=was.used + 1, day_used=was.day_used + 1)
        if merchant is not None:
            had = self.merchant(merchant)
            self.merchants[merchant] = replace(had, day_used=had.day_used + 1, month_used=had.month_used + 1)

    def given_back(self, row: Row) -> None:
        """A use of another day or month is given back to the whole alone."""
        day = local_day(self.context, whole(row, "applied_ms"))
        if row["coupon"] is not None:
            was = self.coupon(words(row, "coupon"), words(row, "until_day"))
            self.coupons[was.coupon] = replace(
                was, used=max(0, was.used - 1), day_used=max(0, was.day_used - (day == was.day))
            )
        if row["merchant"] is not None:
            had = self.merchant(words(row, "merchant"))
            self.merchants[had.merchant] = replace(
                had,
                day_used=max(0, had.day_used - (day == had.day)),
                month_used=max(0, had.month_used - (day[:7] == had.month)),
            )

    def facts(self) -> Iterable[Fact]:
        yield from self.coupons.values()
        yield from self.merchants.values()


def local_day(context: Context, at_ms: int) -> str:
    return wall_at(at_ms, context.plan.zone).strftime("%Y-%m-%d")


def utc_day(at_ms: int) -> str:
    return f"{at_ms // DAY_MS:06d}"


# -- putting on and taking off ------------------------------------------------------------------------------------------


def apply(context: Context, ticket: TicketNumber, offer: Offer) -> tuple[Fact, ...] | No:
    """The facts that put an offer on a ticket, or why not."""
    stay = context.books.stays.get(ticket)
    if stay is None or stay.state is not TicketState.INSIDE:
        return No("E-CPN-07", f"{ticket} is not inside")
    return apply_to(context, stay, offer)


def apply_to(context: Context, stay: Stay, offer: Offer) -> tuple[Fact, ...] | No:
    if context.now.quality is TimeQuality.UNSET or not stay.time_known:
        return No("E-TIME-01", "the clock is not set: nothing can be priced")
    known = list(context.books.tables.where(VALIDATIONS, "ticket", stay.ticket))
    rows = _in_order(row for row in known if row["state"] != v.RELEASED)
    if len(known) >= TRIES_MAX:
        return No("E-CPN-05", f"{TRIES_MAX} were put on {stay.ticket} before")
    if offer.coupon is not None and any(row["coupon"] == offer.coupon for row in rows):
        return No("E-CPN-05", f"{offer.coupon} is on {stay.ticket} already")
    price = stay_price(context, stay)
    if price.paid_minor > 0 and price.due_minor == 0:
        return No("E-CPN-06", f"nothing is due for {stay.ticket}")
    number = 1 + sum(words(row, "validation").startswith(stay.ticket) for row in known)
    applied = _fact(context, stay.ticket, offer, number)
    replaced = _replaced(context, stay, rows, applied, price.total_minor)
    if isinstance(replaced, No):
        return replaced
    counts = _Counts(context)
    for row in replaced:
        counts.given_back(row)
    refusal = _over_a_limit(context, counts, offer)
    if refusal is not None:
        return refusal
    counts.used(offer.coupon, offer.merchant, offer.until_day)
    why = f"{offer.label} gives more"
    return (*(_release(context, row, offer.by, why) for row in replaced), applied, *counts.facts())


def _fact(context: Context, ticket: TicketNumber, offer: Offer, number: int) -> v.ValidationApplied:
    return v.ValidationApplied(
        f"{ticket}-V{number}",
        ticket,
        offer.label,
        offer.gives,
        offer.value,
        offer.exclusive,
        offer.coupon,
        offer.merchant,
        offer.reason,
        offer.by,
        offer.place,
        offer.key,
        context.now.wall_ms,
        offer.until_day,
    )


def _replaced(
    context: Context, stay: Stay, rows: list[Row], applied: v.ValidationApplied, total_minor: int
) -> list[Row] | No:
    """What has to make room for it."""
    if not (rows and (applied.exclusive or any(row["exclusive"] for row in rows))):
        full = len(rows) >= STACKED_MAX
        return No("E-CPN-05", f"{STACKED_MAX} are on {stay.ticket} already") if full else []
    if any(row["state"] == v.SPENT for row in rows):
        return No("E-CPN-05", f"does not go together with what {stay.ticket} was paid with")
    if _price(context, stay, [v.validation_row(applied)]).total_minor >= total_minor:
        return No("E-CPN-05", f"does not go together with what is on {stay.ticket}, which gives as much")
    return rows


def _over_a_limit(context: Context, counts: _Counts, offer: Offer) -> No | None:
    if offer.coupon is not None:
        used = counts.coupon(offer.coupon, offer.until_day)
        if offer.uses_max is not None and used.used >= offer.uses_max:
            return No("E-CPN-02", f"{offer.coupon} was used before" if offer.uses_max == 1 else "used up")
        if offer.day_max is not None and used.day_used >= offer.day_max:
            return No("E-CPN-02", f"{offer.coupon} was used {used.day_used} times today")
    row = context.books.tables.get(MERCHANTS, offer.merchant) if offer.merchant is not None else None
    if row is not None and offer.merchant is not None:
        given = counts.merchant(offer.merchant)
        if row["day_max"] is not None and given.day_used >= whole(row, "day_max"):
            return No("E-VAL-03", f"{row['name']} gave {given.day_used} today")
        if row["month_max"] is not None and given.month_used >= whole(row, "month_max"):
            return No("E-VAL-03", f"{row['name']} gave {given.month_used} this month")
    return None


def _release(context: Context, row: Row, by: str, why: str) -> v.ValidationReleased:
    ticket = TicketNumber(words(row, "ticket"))
    return v.ValidationReleased(words(row, "validation"), ticket, by, why, context.now.wall_ms)


def release(context: Context, rows: Iterable[Row], by: str, why: str) -> Iterable[Fact]:
    """Take these off their tickets."""
    counts = _Counts(context)
    for row in rows:
        counts.given_back(row)
        yield _release(context, row, by, why)
    yield from counts.facts()


# -- behind other facts -------------------------------------------------------------------------------------------------


def _paid(context: Context, fact: f.PaymentTaken) -> Iterable[Fact]:
    for row in on_ticket(context.books.tables, fact.ticket):
        if row["state"] == v.RESERVED:
            yield v.ValidationSpent(words(row, "validation"), fact.ticket)


def _left(context: Context, fact: f.VehicleExited) -> Iterable[Fact]:
    """Whatever lowered the price of a stay that has left is spent."""
    if fact.ticket is not None:
        yield from _closed(context, fact.ticket, v.SPENT)


def _gone(context: Context, fact: f.TicketVoided | f.EntryReversed | f.TicketWrittenOff) -> Iterable[Fact]:
    rows = on_ticket(context.books.tables, fact.ticket)
    yield from release(context, [row for row in rows if row["state"] == v.RESERVED], "gatectl", fact.kind)
    yield from _closed(context, fact.ticket, v.RELEASED)


def _closed(context: Context, ticket: TicketNumber, reserved: str) -> Iterable[Fact]:
    for row in _in_order(context.books.tables.where(VALIDATIONS, "ticket", ticket)):
        state = reserved if row["state"] == v.RESERVED else words(row, "state")
        yield v.ValidationClosed(words(row, "validation"), ticket, state)


def _moved(context: Context, fact: f.TicketLostDeclared) -> Iterable[Fact]:
    if fact.ticket is not None:
        for row in _in_order(context.books.tables.where(VALIDATIONS, "ticket", fact.ticket)):
            yield v.ValidationMoved(words(row, "validation"), fact.ticket, fact.replacement)


def turned(context: Context) -> Iterable[Fact]:
    """How often a signed coupon was used is forgotten once it is over. A code that the site knows keeps its count."""
    if context.now.quality is TimeQuality.UNSET or not context.books.tables.count(COUPON_USES):
        return
    today = context.now.wall_ms // DAY_MS
    for day in range(today - DAYS_BACK_MAX, today + 1):
        for row in list(context.books.tables.where(COUPON_USES, "until_day", utc_day(day * DAY_MS))):
            if context.books.tables.get(COUPONS, row["coupon"]) is None:
                yield v.CouponExpired(words(row, "coupon"))


FOLLOW: Final[dict[type[Fact], Any]] = {
    f.PaymentTaken: _paid,
    f.VehicleExited: _left,
    f.TicketVoided: _gone,
    f.EntryReversed: _gone,
    f.TicketWrittenOff: _gone,
    f.TicketLostDeclared: _moved,
}
ADJUST: Final[dict[Stage, Adjust]] = {Stage.VALIDATION: _taken_off}
