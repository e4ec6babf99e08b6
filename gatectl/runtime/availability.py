"""What is free, for the control socket: rows made on the core's thread, and a stream of those that change."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from gatectl.domain.business import availability
from gatectl.domain.business import registry as business
from gatectl.domain.business.availability import AreaAvailability
from gatectl.domain.ids import Moment
from gatectl.domain.site import Site

Plain = dict[str, Any]
SCHEMA: Final = "gatectl.availability/1"


def availability_of(site: Site, now: Moment) -> Plain:
    """gatectl.availability/1 of the daemon: nothing in it is stale."""
    context = business.context(site.plan, site.books, site.boot, now)
    return {
        "schema": SCHEMA,
        "at_ms": now.wall_ms,
        "areas": [area_row(area, now.wall_ms) for area in availability.areas(context)],
        "lanes": [
            {"lane": lane.lane, "status": lane.status, "states": dict(lane.states)}
            for lane in availability.lanes(context)
        ],
    }


def area_row(area: AreaAvailability, now_ms: int) -> Plain:
    """`age_ms`: how long the count has been estimated; None while it is live."""
    return {
        "area": area.area,
        "status": area.status,
        "states": dict(area.states),
        "free": area.free,
        "spots": area.usable,
        "inside": area.inside,
        "fits": dict(area.fits),
        "by_type": {kind: {"free": free, "spots": usable} for kind, (free, usable) in sorted(area.by_type().items())},
        "levels": [
            {"level": group.level, "type": group.spot_type, "free": group.free, "spots": group.usable}
            for group in sorted(area.groups, key=lambda group: (group.level, group.spot_type))
        ],
        "quality": area.quality,
        "doubt": area.doubt,
        "age_ms": None if area.since_ms is None else max(0, now_ms - area.since_ms),
    }


def changes(ask: Callable[[], Plain], woken: Callable[[], object]) -> Iterator[Plain | None]:
    """Every area and lane as it is now, then each that has changed after a commit; None as a heartbeat."""
    told: dict[str, Plain] = {}
    while True:
        answer = ask()
        news = False
        for row in (*answer["areas"], *answer["lanes"]):
            name = f"area {row['area']}" if "area" in row else f"lane {row['lane']}"
            plain = {key: value for key, value in row.items() if key != "age_ms"}
            if told.get(name) != plain:
                told[name], news = plain, True
                yield {"at_ms": answer["at_ms"], **row}
        if not news:
            yield None
        woken()
