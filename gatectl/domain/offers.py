"""What a site offers off its prices: the terms of coupons and merchants, as the plan and the rows have them."""

from dataclasses import dataclass

from gatectl.domain.records.validations import CouponDefined, MerchantDefined


@dataclass(frozen=True, slots=True)
class Coupon:
    """What a code gives and when. `uses_max` None: as often as one likes; `hours` as a pass's, "" for any time."""

    coupon: str
    gives: str
    value: int
    from_ms: int | None = None
    until_ms: int | None = None
    hours: str = ""
    uses_max: int | None = 1
    day_max: int | None = None
    exclusive: bool = False
    tariffs: tuple[str, ...] = ()
    vehicle_types: tuple[str, ...] = ()
    merchant: str | None = None

    def fact(self, source: str, by: str = "") -> CouponDefined:
        return CouponDefined(
            self.coupon,
            self.gives,
            self.value,
            self.from_ms,
            self.until_ms,
            self.hours,
            self.uses_max,
            self.day_max,
            self.exclusive,
            " ".join(self.tariffs),
            " ".join(self.vehicle_types),
            self.merchant,
            source,
            by,
        )


@dataclass(frozen=True, slots=True)
class Merchant:
    """Who may validate. 0 minutes, 0 minor units: none of that kind. `reasons`: those allowed, none for any."""

    merchant: str
    name: str
    minutes_max: int = 0
    amount_minor_max: int = 0
    whole: bool = False
    day_max: int | None = None
    month_max: int | None = None
    reasons: tuple[str, ...] = ()

    def fact(self, source: str) -> MerchantDefined:
        return MerchantDefined(
            self.merchant,
            self.name,
            self.minutes_max,
            self.amount_minor_max,
            self.whole,
            self.day_max,
            self.month_max,
            "\n".join(self.reasons),
            source,
        )
