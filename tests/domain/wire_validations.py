"""One of each fact of coupons, merchants and validations, for wire_business."""

from gatectl.domain.facts import Fact
from gatectl.domain.ids import TicketNumber
from gatectl.domain.records import validations as v

AT = 1_795_000_000_000
TICKET = TicketNumber("000123-K7QF")

EXAMPLES: tuple[Fact, ...] = (
    v.CouponDefined(
        *("SUMMER26", "percent", 20, AT, AT + 86_400_000, "mon-fri 18:00-23:00", 100, 10, True),
        *("t-2026 t-night", "CAR VAN", "cafe", "people", "mia"),
    ),
    v.CouponDefined("FREE1", "minutes", 60, None, None, "", None, None, False, "", "", None, "office"),
    v.CouponRemoved("FREE1", "people", "mia"),
    v.CouponsSigned("K7QF", 12, 10, "amount", 500, AT, AT + 86_400_000, False, "mia"),
    v.CouponCounted("SUMMER26", 3, "2026-11-18", 2, ""),
    v.CouponCounted("Q-K7QF-00012", 1, "2026-11-18", 1, "020780"),
    v.CouponExpired("Q-K7QF-00012"),
    v.MerchantDefined("cafe", "Café Roma", 120, 0, False, 20, None, "purchase\nguest", "site-file"),
    v.MerchantRemoved("cafe", "site-file"),
    v.MerchantCounted("cafe", "2026-11-18", 3, "2026-11", 41),
    v.ValidationApplied(
        *("000123-K7QF-V1", TICKET, "Coupon SUMMER26", "percent", 20, True, "SUMMER26", None, "", "OUT-1", "OUT-1"),
        *("", AT, ""),
    ),
    v.ValidationApplied(
        *("000123-K7QF-V2", TICKET, "Café Roma", "minutes", 60, False, None, "cafe", "purchase", "till-4", "desk"),
        *("k-17", AT, ""),
    ),
    v.ValidationSpent("000123-K7QF-V1", TICKET),
    v.ValidationReleased("000123-K7QF-V2", TICKET, "mia", "wrong ticket", AT),
    v.ValidationMoved("000123-K7QF-V2", TICKET, TicketNumber("000124-K7QF")),
    v.ValidationClosed("000123-K7QF-V1", TICKET, "spent"),
)
