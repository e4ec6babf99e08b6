"""What a driver shows or types as a coupon: a signed code, or a code that the site knows.

Both are judged at the moment of applying, on the site's wall clock.
"""

from typing import Final

from gatectl.domain.books import Stay
from gatectl.domain.business import validations
from gatectl.domain.business.coupon_terms import CODE
from gatectl.domain.business.pass_hours import covered, parsed
from gatectl.domain.business.rule import Context, No
from gatectl.domain.business.validations import DAY_MS, Offer, utc_day
from gatectl.domain.coupon_codes import CouponCode, verify
from gatectl.domain.facts import Fact
from gatectl.domain.ids import TicketNumber
from gatectl.domain.records.validations import COUPONS
from gatectl.domain.rows import Row, words
from gatectl.domain.tariff_calendar import wall_at

TEXT_CHARS_MAX: Final = 100


def is_coupon(context: Context, text: str) -> bool:
    """Whether a text is a coupon of this site, good or not."""
    return _known(context, text) is not None or verify(text, context.plan.keyring, context.plan.site) is not None


def apply(context: Context, ticket: TicketNumber, text: str, by: str, place: str) -> tuple[Fact, ...] | No:
    """The facts that put a coupon on a ticket, or why not."""
    stay = context.books.stays.get(ticket)
    if stay is None:
        return No("E-CPN-07", f"{ticket} is not inside")
    offer = _offer(context, stay, text, by, place)
    return offer if isinstance(offer, No) else validations.apply(context, ticket, offer)


def _known(context: Context, text: str) -> Row | None:
    code = text.strip().upper()[:TEXT_CHARS_MAX]
    return context.books.tables.get(COUPONS, code) if CODE.fullmatch(code) else None


def _offer(context: Context, stay: Stay, text: str, by: str, place: str) -> Offer | No:
    row = _known(context, text)
    if row is not None:
        return _judged(context, stay, row) or _of_row(row, by, place)
    code = verify(text, context.plan.keyring, context.plan.site)
    if code is None:
        return No("E-CPN-01", "no coupon of this site")
    return _outside(context, code.from_ms, code.until_ms, "") or _of_code(code, by, place)


def _of_row(row: Row, by: str, place: str) -> Offer:
    coupon = words(row, "coupon")
    value, uses_max, day_max, merchant = (row[name] for name in ("value", "uses_max", "day_max", "merchant"))
    assert isinstance(value, int), row
    return Offer(
        f"Coupon {coupon}",
        words(row, "gives"),
        value,
        by,
        place,
        row["exclusive"] is True,
        coupon,
        uses_max if isinstance(uses_max, int) else None,
        day_max if isinstance(day_max, int) else None,
        merchant if isinstance(merchant, str) else None,
    )


def _of_code(code: CouponCode, by: str, place: str) -> Offer:
    return Offer(
        f"Coupon {code.name}",
        code.gives,
        code.value,
        by,
        place,
        code.exclusive,
        code.name,
        uses_max=1,
        until_day=utc_day(code.until_ms + DAY_MS),
    )


def _judged(context: Context, stay: Stay, row: Row) -> No | None:
    from_ms, until_ms = row["from_ms"], row["until_ms"]
    refusal = _outside(
        context,
        from_ms if isinstance(from_ms, int) else None,
        until_ms if isinstance(until_ms, int) else None,
        words(row, "hours"),
    )
    if refusal is not None:
        return refusal
    tariffs, vehicles = words(row, "tariffs").split(), words(row, "vehicle_types").split()
    if tariffs and stay.tariff not in tariffs:
        return No("E-CPN-04", f"not for the tariff {stay.tariff}")
    if vehicles and stay.vehicle_type not in vehicles:
        return No("E-CPN-04", f"not for a {stay.vehicle_type}")
    return None


def _outside(context: Context, from_ms: int | None, until_ms: int | None, hours: str) -> No | None:
    now_ms, zone = context.now.wall_ms, context.plan.zone
    if from_ms is not None and now_ms < from_ms:
        return No("E-CPN-03", f"good from {wall_at(from_ms, zone):%Y-%m-%d %H:%M}")
    if until_ms is not None and now_ms >= until_ms:
        return No("E-CPN-03", f"over since {wall_at(until_ms, zone):%Y-%m-%d %H:%M}")
    if hours and not covered(parsed(hours), now_ms, now_ms + 1, zone):
        return No("E-CPN-03", f"good {hours}")
    return None
