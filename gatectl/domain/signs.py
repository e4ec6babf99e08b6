"""What signs and subscribers are told, as small texts under names: the observers of what is free.

Rule 1: a name is told again when its text changes, and all of them when somebody may have missed one (`told` is empty).
Rule 2: names and texts are a promise to whoever reads them (docs/protocols/signs-mqtt.md): members are added, never changed.
"""

import json
from collections.abc import Iterator

from gatectl.domain.business import availability
from gatectl.domain.business.availability import AreaAvailability
from gatectl.domain.business.rule import Context
from gatectl.domain.effects import Announce
from gatectl.domain.opening import Parker

ON, OFF = "1", "0"
"""A FULL sign's lamp."""


def announced(context: Context, told: dict[str, str]) -> Iterator[Announce]:
    """What is to be told now, at most one effect; `told` is brought up to date with it."""
    now = dict(_texts(context))
    news = tuple((name, text) for name, text in now.items() if told.get(name) != text)
    told.clear()
    told.update(now)
    if news:
        yield Announce(tuple((name, _dated(text, context.now.wall_ms)) for name, text in news))


def _texts(context: Context) -> Iterator[tuple[str, str]]:
    for area in availability.areas(context):
        yield from _area(area)
    for lane in availability.lanes(context):
        yield f"lane/{lane.lane}", _json({"lane": lane.lane, "status": lane.status, "states": dict(lane.states)})


def _area(area: AreaAvailability) -> Iterator[tuple[str, str]]:
    trust = {"quality": area.quality, "doubt": area.doubt, "doubt_since_ms": area.since_ms}
    states = dict(area.states)
    whole = {"area": area.area, "free": area.free, "spots": area.usable, "inside": area.inside, "status": area.status}
    yield f"area/{area.area}", _json({**whole, "states": states, "fits": dict(area.fits), **trust})
    yield f"area/{area.area}/free", str(area.free)
    yield f"area/{area.area}/full", OFF if states[Parker.TRANSIENT] == "open" else ON
    for kind, (free, usable) in area.by_type().items():
        yield f"area/{area.area}/type/{kind}", _json({"free": free, "spots": usable, **trust})
    for level in sorted({group.level for group in area.groups}):
        mine = [group for group in area.groups if group.level == level]
        free, usable = sum(group.free for group in mine), sum(group.usable for group in mine)
        yield f"area/{area.area}/level/{level}", _json({"free": free, "spots": usable, **trust})
        for group in mine:
            name = f"area/{area.area}/level/{level}/{group.spot_type}"
            yield name, _json({"free": group.free, "spots": group.usable, **trust})


def _json(members: dict[str, object]) -> str:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


def _dated(text: str, at_ms: int) -> str:
    """A reader tells a figure's age by `at_ms`; plain figures have none."""
    return f'{text[:-1]},"at_ms":{at_ms}}}' if text.startswith("{") else text
