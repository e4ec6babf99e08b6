"""What the site is, as the domain sees it: made from the site file once, at start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo

from gatectl.domain.chargers import Charger, ChargingPrices
from gatectl.domain.ids import AreaId, LaneId, SiteId
from gatectl.domain.lane import LanePlan
from gatectl.domain.money_rules import MoneyRules
from gatectl.domain.offers import Coupon, Merchant
from gatectl.domain.opening import Hours
from gatectl.domain.spot_rules import AreaRules
from gatectl.domain.spots import Spot
from gatectl.domain.tariffs import Tariff
from gatectl.domain.tickets import Keyring
from gatectl.domain.valet_plan import ValetPlan


@dataclass(frozen=True, slots=True)
class SitePlan:
    """A site's structure and rules. `compatible`: vehicle type to spot types, best first."""

    site: SiteId
    name: str
    currency: str
    zone: tzinfo
    areas: tuple[AreaId, ...]
    spots: tuple[Spot, ...]
    lanes: tuple[LanePlan, ...]
    tariffs: tuple[Tariff, ...]
    keyring: Keyring
    compatible: Mapping[str, tuple[str, ...]]
    config_digest: str
    software: str
    rules: Mapping[AreaId, AreaRules] = field(default_factory=dict)
    """How an area's spots are given out, where it is not `spot_rules.PLAIN`."""
    hours: tuple[Hours, ...] = ()
    announces: bool = False
    """Whether somebody is to be told of every change of what is free: signs, a broker's subscribers."""
    quotas: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Area and spot type to how many spots of them the office may sell, until its feed says otherwise."""
    merchants: tuple[Merchant, ...] = ()
    coupons: tuple[Coupon, ...] = ()
    valet: ValetPlan | None = None
    chargers: tuple[Charger, ...] = ()
    charging: ChargingPrices = field(default_factory=ChargingPrices)
    money: MoneyRules = field(default_factory=MoneyRules)

    def lane(self, lane: LaneId) -> LanePlan:
        return next(plan for plan in self.lanes if plan.lane == lane)
