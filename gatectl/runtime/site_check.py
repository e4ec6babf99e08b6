"""The whole check of a site file: its shape and meaning (config), its devices (drivers), its money (domain), together.

`load_checked` is what the daemon and `gatectl config check` use; nothing else decides whether a site file is good.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from config.checks import WHOLE_DEVICE_ROLES
from config.faults import Complaint, did_you_mean, listing
from config.files import Key
from config.site import Site, load_site
from drivers import catalog
from drivers.api import Family, OptionFault
from gatectl.domain import tariffs
from gatectl.domain.business.coupon_terms import TermsRefused, read_coupon, read_merchant
from gatectl.domain.money import EXPONENTS
from gatectl.domain.tariff_reading import path_of
from gatectl.runtime.plan import device_spec, devices_on, port_spec

ABILITIES: Mapping[str, tuple[str, ...]] = {
    "arming": ("presence",),
    "closing": ("safety",),
    "reset": ("presence",),
    "arm_up": ("presence",),
    "arm_down": ("presence",),
    "broken": ("presence",),
    "door": ("presence",),
    "fire": ("presence",),
    "button": ("button", "pulse-input", "presence"),
    "open": ("pulse",),
    "close": ("pulse",),
    "stop": ("pulse",),
    "printer": ("print",),
    "reader": ("code",),
    "terminal": ("charge",),
    "display": ("show",),
}
"""What the point behind a role must be able to do: one of these."""
_MEANINGS: Mapping[str, str] = {
    "presence": "an input that follows its contact (mode presence, not pulse)",
    "safety": "an input fit for safety: mode presence, wired so that it reads occupied when it fails",
    "button": "an input",
    "pulse": "an output that the device itself times",
    "print": "a printer",
    "code": "a code reader",
    "charge": "a payment terminal",
    "show": "a display",
    "station": "a pay station",
}


def load_checked(path: Path) -> Site:
    """The site in a file and its drop-ins. Raises SiteFileRefused with every fault that any room finds."""
    return load_site(path, check_site)


def check_site(site: Site) -> Iterator[Complaint]:
    """What drivers, tariffs and the table of currencies have to say about a site."""
    if site.site.currency not in EXPONENTS:
        hint = did_you_mean(site.site.currency, EXPONENTS)
        yield Complaint(
            ("site", "currency"), f"the unknown currency {site.site.currency!r}", "an ISO 4217 code such as EUR", hint
        )
    families: dict[str, Family] = {}
    for name in sorted({device.driver for device in site.devices.values()}):
        try:
            families[name] = catalog.family(name)
        except (catalog.UnknownDriver, ImportError) as error:
            yield from _no_driver(site, name, error)
    yield from _ports(site, families)
    yield from _capabilities(site, families)
    yield from _chargers(site, families)
    yield from _tariffs(site)
    yield from _terms(site)


def _no_driver(site: Site, name: str, error: Exception) -> Iterator[Complaint]:
    known = catalog.names()
    for device, table in site.devices.items():
        if table.driver != name:
            continue
        key: Key = ("devices", device, "driver")
        if name in known:
            yield Complaint(key, f"the driver {name!r}, which cannot be loaded", "one that can", str(error))
        else:
            hint = did_you_mean(name, known)
            yield Complaint(key, f"the unknown driver {name!r}", f"one of {listing(known)}", hint)


def _ports(site: Site, families: Mapping[str, Family]) -> Iterator[Complaint]:
    seen: set[tuple[Key, str]] = set()
    for name in site.ports:
        port, here = port_spec(site, name), devices_on(site, name)
        drivers = sorted({spec.driver for spec in here})
        if port.kind == "serial" and len(drivers) > 1:
            yield Complaint(("ports", name), f"devices of {listing(drivers)} on one serial line", "one driver a line")
        for driver in drivers:
            family = families.get(driver)
            mine = [spec for spec in here if spec.driver == driver]
            if family is None:
                continue
            if family.link != port.kind:
                for spec in mine:
                    what = f"{name!r}, a {port.kind} port"
                    yield Complaint(("devices", spec.name, "port"), what, f"a {family.link} port: {driver} needs one")
                continue
            for fault in family.check(port, mine):
                complaint = _complaint(fault)
                if (complaint.key, complaint.found) not in seen:  # two families on one broker check it twice
                    seen.add((complaint.key, complaint.found))
                    yield complaint


def _complaint(fault: OptionFault) -> Complaint:
    """A driver's fault; its dotted place has neither dots in names nor list indices."""
    return Complaint(tuple(fault.where.split(".")), fault.what, "", fault.hint)


def _capabilities(site: Site, families: Mapping[str, Family]) -> Iterator[Complaint]:
    can: dict[str, Mapping[str, frozenset[str]]] = {}
    for name, table in site.devices.items():
        family = families.get(table.driver)
        if family is None or table.port not in site.ports or site.ports[table.port].kind != family.link:
            continue
        spec = device_spec(site, name)
        own = f"devices.{name}"
        faults = family.check(port_spec(site, table.port), [spec])
        if not any(fault.where == own or fault.where.startswith(f"{own}.") for fault in faults):
            can[name] = family.capabilities(spec)
    for index, lane in enumerate(site.lanes):
        for role, (device, point) in lane.wiring.points().items():
            if device in can and (point or role in WHOLE_DEVICE_ROLES):
                yield from _role(("lanes", index, "wiring", role), ABILITIES[role], can[device], device, point)
    for index, station in enumerate(site.stations):
        if station.device in can:
            yield from _role(("stations", index, "device"), ("station",), can[station.device], station.device, "")


def _role(
    key: Key, needed: tuple[str, ...], can: Mapping[str, frozenset[str]], device: str, point: str
) -> Iterator[Complaint]:
    if point not in can:
        fitting = [name for name, abilities in can.items() if name and not abilities.isdisjoint(needed)]
        found = f"{device!r}, which has no point {point!r}" if point else f"{device!r} without a point"
        yield Complaint(key, found, f"one of {listing(fitting)}", did_you_mean(point, fitting))
    elif can[point].isdisjoint(needed):
        shown = f"{device}/{point}" if point else device
        yield Complaint(key, f"{shown!r}, good for {listing(can[point])}", _MEANINGS[needed[0]])


def _chargers(site: Site, families: Mapping[str, Family]) -> Iterator[Complaint]:
    """A charger is a connector of a device that speaks as a charge point."""
    for index, charger in enumerate(site.chargers):
        table = site.devices.get(charger.device)
        family = families.get(table.driver) if table is not None else None
        if family is not None and "charger" not in family.capabilities(device_spec(site, charger.device)).get("", ()):
            key: Key = ("chargers", index, "device")
            yield Complaint(key, f"{charger.device!r}, which is no charge point", "a device of the driver ocpp")


def _tariffs(site: Site) -> Iterator[Complaint]:
    if not site.tariffs:
        yield Complaint(("tariffs",), "nothing", "at least one [[tariffs]]: no ticket is issued without a price")
    read: list[tariffs.Tariff] = []
    for index, table in enumerate(site.tariffs):
        try:
            read.append(tariffs.parse(table))
        except tariffs.TariffRefused as refused:
            for fault in refused.faults:
                yield Complaint(("tariffs", index, *path_of(fault.key)), fault.what, "", fault.hint)
    if read and len(read) == len(site.tariffs) and not any(tariff.for_all for tariff in read):
        found = "tariffs for some vehicles, spots or times alone"
        yield Complaint(("tariffs",), found, "one without vehicle_types, spot_types and effective_until")


def _terms(site: Site) -> Iterator[Complaint]:
    """Merchants and coupons; a coupon's merchant is one of the file or of the office."""
    for name, tables, read in (("merchants", site.merchants, read_merchant), ("coupons", site.coupons, read_coupon)):
        for index, table in enumerate(tables):
            try:
                read(table)
            except TermsRefused as refused:
                for fault in refused.faults:
                    yield Complaint((name, index, *path_of(fault.key)), fault.what, "", fault.hint)
