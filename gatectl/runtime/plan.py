"""From the site file to the domain's plan and the lanes' wires."""

from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

from config.site import Area, Lane, Site
from drivers import catalog
from drivers.api import DeviceSpec, PortSpec
from gatectl.domain.ids import AreaId, LaneId, SiteId, SpotId
from gatectl.domain.lane import LaneKind, LanePlan, Layout, Timing
from gatectl.domain.plan import SitePlan
from gatectl.domain.spots import COMPATIBLE, Spot
from gatectl.domain.tariffs import parse
from gatectl.domain.tickets import Keyring
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
        keyring=keyring,
        compatible=COMPATIBLE,
        config_digest=site.digest(),
        software=software,
        quotas={(quota.area, quota.type): quota.spots for quota in site.quotas},
    )


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
    return LanePlan(
        lane=LaneId(lane.id),
        kind=LaneKind(lane.kind),
        layout=Layout(lane.layout),
        area=AreaId(lane.area),
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
