"""From the site file to the domain's plan and the lanes' wires."""

from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

from config.site import Area, Charger, Lane, OpeningHours, Site, Valet
from drivers import catalog
from drivers.api import DeviceSpec, PortSpec
from gatectl.domain import chargers
from gatectl.domain.business.coupon_terms import read_coupon, read_merchant
from gatectl.domain.chargers import ChargingPrices
from gatectl.domain.fiscal import FiscalPlan
from gatectl.domain.ids import AreaId, LaneId, SiteId, SpotId
from gatectl.domain.lane import LaneKind, LanePlan, Layout, Timing
from gatectl.domain.money_rules import MoneyRules
from gatectl.domain.opening import Hours, Parker
from gatectl.domain.plan import SitePlan
from gatectl.domain.spot_rules import PLAIN, AreaRules, Reserve, Strategy
from gatectl.domain.spots import COMPATIBLE, Spot
from gatectl.domain.tariff_calendar import DAYS
from gatectl.domain.tariffs import parse
from gatectl.domain.tickets import Keyring
from gatectl.domain.valet_plan import ValetPlan
from gatectl.runtime.wiring import LaneWires


def site_plan(site: Site, keyring: Keyring, software: str) -> SitePlan:
    """The domain's plan of a site file that was checked."""
    return SitePlan(
        site=SiteId(site.site.id),
        name=site.site.name,
        currency=site.site.currency,
        zone=ZoneInfo(site.site.timezone),
        areas=tuple(AreaId(area.id) for area in site.areas),
        spots=tuple(spot for area in site.areas for spot in _spots(area)),
        lanes=tuple(lane_plan(site, lane) for lane in site.lanes),
        tariffs=tuple(parse(table) for table in site.tariffs),
        valet=None if site.valet is None else _valet(site.valet),
        merchants=tuple(read_merchant(table) for table in site.merchants),
        coupons=tuple(read_coupon(table) for table in site.coupons),
        keyring=keyring,
        compatible={**COMPATIBLE, **site.types.vehicles},
        config_digest=site.digest(),
        software=software,
        quotas={(quota.area, quota.type): quota.spots for quota in site.quotas},
        rules={AreaId(area.id): rules for area in site.areas if (rules := _rules(area)) != PLAIN},
        hours=tuple(_hours(site, hours) for hours in site.hours),
        announces=bool(announcers(site)),
        chargers=tuple(_charger(charger) for charger in site.chargers),
        charging=ChargingPrices(**site.charging.model_dump()),
        money=_money(site),
    )


def _money(site: Site) -> MoneyRules:
    money, law = site.money, site.fiscal
    fiscal = None
    if law is not None and law.regime != "none":
        given = {name: value for name, value in law if value is not None}
        fiscal = FiscalPlan(**given)
    return MoneyRules(
        money.offline_payment_minor,
        money.offline_day_minor,
        frozenset(money.shift_tills),
        frozenset(station.id for station in site.stations if not station.gives_change),
        money.uncollectable,
        fiscal,
    )


def _rules(area: Area) -> AreaRules:
    reserves = tuple(Reserve(each.type, each.vehicles, each.until_free, each.keep) for each in area.reserve)
    return AreaRules(Strategy(area.strategy), reserves, area.full.at, area.full.open_at)


def _hours(site: Site, hours: OpeningHours) -> Hours:
    """24:00 is the end of a day that has 24 hours."""
    scope = "site" if hours.place == "site" else "area" if hours.place in {area.id for area in site.areas} else "lane"
    minutes = [int(text[:2]) * 60 + int(text[3:]) for text in (hours.begins, hours.until)]
    place = "" if scope == "site" else hours.place
    days = tuple(sorted({DAYS.index(day) for day in hours.days}))
    return Hours(scope, place, tuple(Parker(each) for each in hours.parkers), days, *minutes)


def announcers(site: Site) -> tuple[str, ...]:
    """The devices that carry what is free to others."""
    specs = (device_spec(site, name) for name in site.devices)
    return tuple(
        spec.name for spec in specs if "announce" in catalog.family(spec.driver).capabilities(spec).get("", frozenset())
    )


def _charger(charger: Charger) -> chargers.Charger:
    spot = SpotId(charger.spot) if charger.spot is not None else None
    return chargers.Charger(charger.id, charger.device, charger.connector, spot, charger.authorize == "anyone")


def charger_points(site: Site) -> dict[str, tuple[str, int]]:
    """Charger to its device and connector."""
    return {charger.id: (charger.device, charger.connector) for charger in site.chargers}


def _valet(valet: Valet) -> ValetPlan:
    return ValetPlan(AreaId(valet.area), valet.vehicle_type, valet.fee_minor, valet.lost_claim_minor)


def _spots(area: Area) -> Iterator[Spot]:
    for level in area.levels:
        for group in level.spots:
            for name in group.spot_names(area.id, level.level):
                yield Spot(SpotId(name), AreaId(area.id), level.level, group.type)


def lane_plan(site: Site, lane: Lane) -> LanePlan:
    """What a lane is; whether its printer has a mouth is the printer's model's to say."""
    roles = lane.wiring.points()
    mouth = False
    if "printer" in roles:
        device = device_spec(site, roles["printer"][0])
        mouth = "mouth" in catalog.family(device.driver).capabilities(device).get("", frozenset())
    passage = lane.coming_from is not None or lane.to is not None
    before, behind = lane.coming_from or lane.area, lane.to if lane.coming_from is None else lane.area
    return LanePlan(
        lane=LaneId(lane.id),
        kind=LaneKind.PASSAGE if passage else LaneKind(lane.kind),
        layout=Layout(lane.layout),
        area=AreaId(before),
        into=AreaId(behind) if behind is not None else None,
        outward=lane.to is not None,
        near=lane.near,
        has_printer="printer" in roles,
        has_mouth=mouth,
        has_reader="reader" in roles,
        has_terminal="terminal" in roles,
        has_close="close" in roles,
        vehicle_type=lane.vehicle_type,
        timing=replace(Timing(), **lane.timing.given()),
    )


def lane_wires(lane: Lane) -> LaneWires:
    pulses = {"open": lane.pulses.open_ms, "close": lane.pulses.close_ms, "stop": lane.pulses.stop_ms}
    return LaneWires(LaneId(lane.id), lane.wiring.points(), pulses)


def device_spec(site: Site, name: str) -> DeviceSpec:
    device = site.devices[name]
    return DeviceSpec(name, device.driver, device.model, device.port, device.options)


def port_spec(site: Site, name: str) -> PortSpec:
    port = site.ports[name]
    return PortSpec(name, port.kind, port.options)


def devices_on(site: Site, port: str) -> list[DeviceSpec]:
    return [device_spec(site, name) for name, device in site.devices.items() if device.port == port]
