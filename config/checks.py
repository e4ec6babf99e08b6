"""What a site file means: references, roles, duplicates. Looks at raw tables, so that one mistake hides no other.

Every check is a generator of complaints. What has the wrong type is passed over: `config.site` has complained of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from config import place_checks as places
from config.faults import Complaint, did_you_mean, listing
from config.files import Key, dotted

Raw = Mapping[str, Any]

LIMIT_ROLES = ("arm_up", "arm_down")
NEEDED: Mapping[str, tuple[str, ...]] = {
    "two-loop": ("arming", "closing", "open", *LIMIT_ROLES),
    "three-loop": ("arming", "closing", "reset", "open", *LIMIT_ROLES),
    "no-limits": ("arming", "closing", "open"),
}
"""Roles that a layout cannot do without."""
NEEDED_BY_KIND: Mapping[str, tuple[str, ...]] = {
    "entry": ("button", "printer"),
    "exit": ("reader",),
    "passage": ("reader",),
}
"""A passage is an entry with `from`, or an exit with `to`: it reads tickets."""
MEANINGLESS: Mapping[str, tuple[str, ...]] = {"two-loop": ("reset",), "three-loop": (), "no-limits": LIMIT_ROLES}
"""Roles that a layout never looks at: wired, they would lie about what the lane sees."""
SHARED_ROLES = frozenset({"fire"})
"""One fire contact serves a whole site; every other point belongs to one role of one lane."""
WHOLE_DEVICE_ROLES = frozenset({"printer", "reader", "terminal", "display"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def meaning(raw: Raw) -> Iterator[Complaint]:
    """Every complaint about what the values say."""
    yield from _site(_table(raw, "site"))
    yield from _office(_table(raw, "office"))
    yield from _areas(raw)
    yield from places.meaning(raw)
    yield from _devices(raw)
    yield from _lanes(raw)
    yield from _stations(raw)
    yield from _fiscal(_table(raw, "fiscal"))
    yield from _chargers(raw)
    yield from _doubles(raw, "tariffs")
    yield from _valet(raw)
    yield from _doubles(raw, "merchants")
    yield from _doubles(raw, "coupons")
    yield from _quotas(raw)


def _table(raw: Raw, name: str) -> Raw:
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def _members(raw: Raw, name: str) -> Iterator[tuple[int, Raw]]:
    value = raw.get(name)
    if isinstance(value, tuple):
        yield from ((index, item) for index, item in enumerate(value) if isinstance(item, Mapping))


def _doubles(raw: Raw, name: str) -> Iterator[Complaint]:
    first: dict[object, int] = {}
    for index, item in _members(raw, name):
        known_as = item.get("id")
        if not isinstance(known_as, str):
            continue
        if known_as in first:
            where = dotted((name, first[known_as]))
            yield Complaint(
                (name, index, "id"), f"{known_as!r} a second time", "an id used once", f"the first is {where}"
            )
        first.setdefault(known_as, index)


def _site(site: Raw) -> Iterator[Complaint]:
    zone = site.get("timezone")
    if isinstance(zone, str):
        try:
            ZoneInfo(zone)
        except (OSError, ValueError, KeyError):
            hint = did_you_mean(zone, available_timezones())
            yield Complaint(
                ("site", "timezone"), f"the unknown time zone {zone!r}", "an IANA name such as Europe/Amsterdam", hint
            )


def _office(office: Raw) -> Iterator[Complaint]:
    url = office.get("url")
    if not isinstance(url, str):
        return
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        yield Complaint(("office", "url"), repr(url), "an address such as https://office.example:8443", str(error))
        return
    if parts.scheme not in ("http", "https") or not host:
        yield Complaint(("office", "url"), repr(url), "an address such as https://office.example:8443")
    elif parts.scheme == "http" and host not in LOOPBACK:
        yield Complaint(("office", "url"), repr(url), "https: plain http is for this machine only")


def _areas(raw: Raw) -> Iterator[Complaint]:
    yield from _doubles(raw, "areas")
    if not any(True for _ in _members(raw, "areas")) and isinstance(raw.get("areas"), tuple):
        yield Complaint(("areas",), "an empty list", "at least one area")
    seen: dict[str, Key] = {}
    for index, area in _members(raw, "areas"):
        for level_index, level in _members(area, "levels"):
            for spots_index, spots in _members(level, "spots"):
                key: Key = ("areas", index, "levels", level_index, "spots", spots_index)
                yield from _spots(spots, key, seen, (area.get("id"), level.get("level")))


def _valet(raw: Raw) -> Iterator[Complaint]:
    area, there = _table(raw, "valet").get("area"), [str(area.get("id")) for _, area in _members(raw, "areas")]
    if isinstance(area, str) and area not in there:
        yield Complaint(("valet", "area"), f"the unknown area {area!r}", listing(there), did_you_mean(area, there))


def _quotas(raw: Raw) -> Iterator[Complaint]:
    """Each of a class that there is, once, and no more than there are."""
    there = {str(area.get("id")): _classes(area) for _, area in _members(raw, "areas")}
    seen: set[tuple[str, str]] = set()
    for index, quota in _members(raw, "quotas"):
        area, spot_type, spots = quota.get("area"), quota.get("type"), quota.get("spots")
        if not isinstance(area, str) or not isinstance(spot_type, str):
            continue
        if area not in there:
            hint = did_you_mean(area, there)
            yield Complaint(("quotas", index, "area"), f"the unknown area {area!r}", listing(there), hint)
        elif spot_type not in there[area]:
            found = f"{spot_type!r}, of which {area} has no spot"
            yield Complaint(("quotas", index, "type"), found, listing(there[area]))
        elif isinstance(spots, int) and spots > there[area][spot_type]:
            yield Complaint(
                ("quotas", index, "spots"), str(spots), f"at most the {there[area][spot_type]} that there are"
            )
        if (area, spot_type) in seen:
            yield Complaint(("quotas", index), f"a second quota of {spot_type} in {area}", "one quota of a class")
        seen.add((area, spot_type))


def _classes(area: Raw) -> dict[str, int]:
    """Spot type to how many spots an area has of it."""
    counts: dict[str, int] = {}
    for _, level in _members(area, "levels"):
        for _, spots in _members(level, "spots"):
            names, count = spots.get("names"), spots.get("count")
            number = len(names) if isinstance(names, tuple) else count if isinstance(count, int) else 0
            counts[str(spots.get("type"))] = counts.get(str(spots.get("type")), 0) + number
    return counts


def _spots(spots: Raw, key: Key, seen: dict[str, Key], where: tuple[object, object]) -> Iterator[Complaint]:
    named, counted = "names" in spots, "count" in spots
    if named == counted:
        found = "both `count` and `names`" if named else "neither `count` nor `names`"
        yield Complaint(key, found, "exactly one of them")
        return
    if named and "prefix" in spots:
        yield Complaint((*key, "prefix"), "`prefix` beside `names`", "`prefix` only with `count`")
    names = spots["names"] if named else (f"{spots.get('prefix', (*where, spots.get('type')))}-*",)
    for name in names if isinstance(names, tuple) else ():
        if not isinstance(name, str):
            continue
        if name in seen:
            shown = name if named else str(spots.get("prefix", f"{where[0]}-{where[1]}-{spots.get('type')}")) + "-001"
            yield Complaint(
                key, f"the spot name {shown!r} a second time", "names used once", f"the first is {dotted(seen[name])}"
            )
            break
        seen[name] = key


def _devices(raw: Raw) -> Iterator[Complaint]:
    ports = _table(raw, "ports")
    for name, device in _table(raw, "devices").items():
        port = device.get("port") if isinstance(device, Mapping) else None
        if isinstance(port, str) and port not in ports:
            yield _unknown(("devices", name, "port"), "port", port, ports)


def _unknown(key: Key, what: str, word: str, known: Mapping[str, Any]) -> Complaint:
    return Complaint(key, f"the unknown {what} {word!r}", f"one of {listing(known)}", did_you_mean(word, known))


def _ids(raw: Raw, name: str) -> dict[str, Raw]:
    return {item["id"]: item for _, item in _members(raw, name) if isinstance(item.get("id"), str)}


def _stations(raw: Raw) -> Iterator[Complaint]:
    yield from _doubles(raw, "stations")
    devices = _table(raw, "devices")
    for index, station in _members(raw, "stations"):
        device = station.get("device")
        if isinstance(device, str) and device not in devices:
            yield _unknown(("stations", index, "device"), "device", device, devices)


FISCAL: Mapping[str, tuple[str, ...]] = {
    "rksv": ("cashbox", "certificate"),
    "pt": ("tax_number", "software", "key_version", "codes"),
}
"""What a regime cannot do without, and no other has."""


def _fiscal(fiscal: Raw) -> Iterator[Complaint]:
    regime = fiscal.get("regime")
    if not isinstance(regime, str):
        return
    for key in FISCAL.get(regime, ()):
        if key not in fiscal and key != "key_version":
            yield Complaint(("fiscal",), f"no {key}", f"{key} = ..., which {regime} needs")
    for other, keys in FISCAL.items():
        for key in keys if other != regime else ():
            if key in fiscal:
                yield Complaint(("fiscal", key), f"{key!r} with the regime {regime!r}", f"it belongs to {other!r}")


def _chargers(raw: Raw) -> Iterator[Complaint]:
    yield from _doubles(raw, "chargers")
    devices, spots = _table(raw, "devices"), frozenset(_spot_names(raw))
    connectors: dict[object, int] = {}
    stands: dict[object, int] = {}
    for index, charger in _members(raw, "chargers"):
        device, spot = charger.get("device"), charger.get("spot")
        if isinstance(device, str) and device not in devices:
            yield _unknown(("chargers", index, "device"), "device", device, devices)
        connector = charger.get("connector", 1)
        if (device, connector) in connectors:
            first = dotted(("chargers", connectors[device, connector]))
            found, wanted = f"connector {connector} of {device!r} a second time", "a connector of its own"
            yield Complaint(("chargers", index), found, wanted, f"the first is {first}")
        connectors.setdefault((device, connector), index)
        if isinstance(spot, str) and spot not in spots:
            yield Complaint(("chargers", index, "spot"), f"the unknown spot {spot!r}", "a spot of an area")
        elif isinstance(spot, str) and spot in stands:
            first = dotted(("chargers", stands[spot]))
            yield Complaint(
                ("chargers", index, "spot"), f"{spot!r} a second time", "a spot of its own", f"it is {first}'s"
            )
        stands.setdefault(spot, index)


def _spot_names(raw: Raw) -> Iterator[str]:
    """Every spot's name, made as `config.site.Spots` makes them."""
    for _, area in _members(raw, "areas"):
        for _, level in _members(area, "levels"):
            for _, spots in _members(level, "spots"):
                names, count = spots.get("names"), spots.get("count")
                if isinstance(names, tuple):
                    yield from (name for name in names if isinstance(name, str))
                elif isinstance(count, int):
                    stem = spots.get("prefix", f"{area.get('id')}-{level.get('level')}-{spots.get('type')}")
                    yield from (f"{stem}-{number:03d}" for number in range(1, count + 1))


def _lanes(raw: Raw) -> Iterator[Complaint]:
    yield from _doubles(raw, "lanes")
    if isinstance(raw.get("lanes"), tuple) and not raw["lanes"]:
        yield Complaint(("lanes",), "an empty list", "at least one lane")
    areas, used = _ids(raw, "areas"), dict[str, tuple[Key, str]]()
    for index, lane in _members(raw, "lanes"):
        area = lane.get("area")
        if isinstance(area, str) and area not in areas:
            yield _unknown(("lanes", index, "area"), "area", area, areas)
        yield from places.beyond(lane, index, areas)
        wiring = lane.get("wiring")
        if isinstance(wiring, Mapping):
            yield from _roles(lane, wiring, index)
            yield from _points(raw, wiring, index, used)


def _roles(lane: Raw, wiring: Raw, index: int) -> Iterator[Complaint]:
    layout, kind, name = lane.get("layout"), lane.get("kind"), lane.get("id")
    if "from" in lane or "to" in lane:
        kind = "passage"
    needed: tuple[str, ...] = ()
    if isinstance(layout, str):
        needed += NEEDED.get(layout, ())
        for role in MEANINGLESS.get(layout, ()):
            if role in wiring:
                fits = [other for other, without in MEANINGLESS.items() if role not in without]
                yield Complaint(
                    ("lanes", index, "wiring", role),
                    f"{role!r} in a {layout} lane",
                    f"a layout that has it: {listing(fits)}",
                )
    if isinstance(kind, str):
        needed += NEEDED_BY_KIND.get(kind, ())
    for role in needed:
        if role not in wiring:
            what = layout if role in NEEDED.get(str(layout), ()) else kind
            yield Complaint(("lanes", index, "wiring", role), "nothing", f"a point: lane {name} is a {what} lane")


_ROLES = frozenset(
    {"arming", "closing", "reset", "arm_up", "arm_down", "broken", "button", "door", "fire", "open", "close", "stop"}
    | WHOLE_DEVICE_ROLES
)


def _points(raw: Raw, wiring: Raw, index: int, used: dict[str, tuple[Key, str]]) -> Iterator[Complaint]:
    devices = _table(raw, "devices")
    for role, value in wiring.items():
        key: Key = ("lanes", index, "wiring", role)
        if not isinstance(value, str) or role not in _ROLES:
            continue
        device, slash, point = value.partition("/")
        if not device or (slash and not point):
            yield Complaint(key, repr(value), '"device/point"')
        elif not slash and role not in WHOLE_DEVICE_ROLES:
            yield Complaint(key, f"{value!r} without a point", f'"{value}/POINT"')
        elif device not in devices:
            yield _unknown(key, "device", device, devices)
        elif value in used and not (role in SHARED_ROLES and used[value][1] in SHARED_ROLES):
            yield Complaint(
                key, f"{value!r} a second time", "a point of its own", f"it is {dotted(used[value][0])} already"
            )
        used.setdefault(value, (key, role))
