"""What a site file means by its types, nested areas, reserves, margins and hours. Looks at raw tables, as `config.checks`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from config.faults import Complaint, did_you_mean, listing
from config.files import Key

Raw = Mapping[str, Any]

VEHICLES: Final = ("MOTORCYCLE", "CAR", "VAN", "TRUCK", "ELECTRIC_CAR")
SPOTS: Final = ("COMPACT", "LARGE", "HANDICAPPED", "MOTORCYCLE", "ELECTRIC")
"""Types that every site has."""
SITE: Final = "site"


def meaning(raw: Raw) -> Iterator[Complaint]:
    """Every complaint about types, areas and hours."""
    types = _table(raw, "types")
    spots = [*SPOTS, *_texts(types.get("spots"))]
    vehicles = [*VEHICLES, *_table(types, "vehicles")]
    for vehicle, fitting in _table(types, "vehicles").items():
        yield from _known(("types", "vehicles", vehicle), "spot type", _texts(fitting), spots)
    areas = _ids(raw, "areas")
    for index, area in _members(raw, "areas"):
        yield from _area(area, index, areas, spots, vehicles)
    for index, lane in _members(raw, "lanes"):
        yield from _known(
            ("lanes", index, "vehicle_type"), "vehicle type", _texts((lane.get("vehicle_type"),)), vehicles
        )
    known = [SITE, *areas, *_ids(raw, "lanes")]
    for name in sorted(set(areas) & set(_ids(raw, "lanes"))):
        yield Complaint(("areas",), f"{name!r} as an area and as a lane", "names that tell them apart")
    for index, hours in _members(raw, "hours"):
        yield from _known(("hours", index, "place"), "place", _texts((hours.get("place"),)), known)
        if hours.get("from") == hours.get("until"):
            yield Complaint(
                ("hours", index, "until"), "the time at which it opens", "another time; 00:00 to 24:00 is all day"
            )


def beyond(lane: Raw, index: int, areas: Mapping[str, Raw]) -> Iterator[Complaint]:
    """A lane between two areas: which key belongs to which kind, and where it leads."""
    for key, kind in (("from", "entry"), ("to", "exit")):
        other = lane.get(key)
        if not isinstance(other, str):
            continue
        if lane.get("kind") != kind:
            yield Complaint(
                ("lanes", index, key), f"`{key}` in a lane of the kind {lane.get('kind')!r}", f"the kind {kind!r}"
            )
        elif other not in areas:
            yield _unknown(("lanes", index, key), "area", other, list(areas))
        elif other == lane.get("area"):
            yield Complaint(("lanes", index, key), f"{other!r}, the lane's own area", "another area")


def _area(
    area: Raw, index: int, areas: Mapping[str, Raw], spots: list[str], vehicles: list[str]
) -> Iterator[Complaint]:
    for at, level in _members(area, "levels"):
        for place, group in _members(level, "spots"):
            key: Key = ("areas", index, "levels", at, "spots", place, "type")
            yield from _known(key, "spot type", _texts((group.get("type"),)), spots)
    around = area.get("inside")
    if isinstance(around, str):
        if around not in areas:
            yield _unknown(("areas", index, "inside"), "area", around, list(areas))
        elif _goes_round(str(area.get("id")), areas):
            yield Complaint(("areas", index, "inside"), f"{around!r}, which lies inside this one", "the area around it")
    for at, reserve in _members(area, "reserve"):
        yield from _known(("areas", index, "reserve", at, "type"), "spot type", _texts((reserve.get("type"),)), spots)
        where: Key = ("areas", index, "reserve", at, "vehicles")
        yield from _known(where, "vehicle type", _texts(reserve.get("vehicles")), vehicles)
    full = _table(area, "full")
    at_free, open_at = full.get("at", 0), full.get("open_at", 1)
    if isinstance(at_free, int) and isinstance(open_at, int) and open_at <= at_free:
        yield Complaint(("areas", index, "full", "open_at"), str(open_at), f"more than `at`, which is {at_free}")


def _goes_round(name: str, areas: Mapping[str, Raw]) -> bool:
    seen, here = {name}, areas[name].get("inside") if name in areas else None
    while isinstance(here, str) and here in areas:
        if here in seen:
            return True
        seen.add(here)
        here = areas[here].get("inside")
    return False


def _known(key: Key, what: str, words: list[str], known: list[str]) -> Iterator[Complaint]:
    for word in words:
        if word not in known:
            yield _unknown(key, what, word, known)


def _unknown(key: Key, what: str, word: str, known: list[str]) -> Complaint:
    return Complaint(key, f"the unknown {what} {word!r}", f"one of {listing(known)}", did_you_mean(word, known))


def _texts(value: object) -> list[str]:
    return [word for word in value if isinstance(word, str)] if isinstance(value, tuple) else []


def _table(raw: Raw, name: str) -> Raw:
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def _members(raw: Raw, name: str) -> Iterator[tuple[int, Raw]]:
    value = raw.get(name)
    if isinstance(value, tuple):
        yield from ((index, item) for index, item in enumerate(value) if isinstance(item, Mapping))


def _ids(raw: Raw, name: str) -> dict[str, Raw]:
    return {item["id"]: item for _, item in _members(raw, name) if isinstance(item.get("id"), str)}
