"""What an explanation is made from: the mirror, the running core where there is one, the captures where there is none."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gatectl.domain.codec import BadBody
from gatectl.domain.events import LaneInput
from gatectl.domain.facts import LaneFault
from gatectl.domain.ids import LaneId, Moment
from gatectl.domain.lane import (
    ArmBroke,
    ArmingLoopChanged,
    ArmMoved,
    ClosingLoopChanged,
    FireChanged,
    Input,
    Lane,
    LaneKind,
    Phase,
    Refusal,
    ResetLoopChanged,
)
from gatectl.domain.plan import SitePlan
from gatectl.domain.site import Site
from gatectl.domain.spot_rules import PLAIN
from gatectl.domain.turns import happened_of
from gatectl.domain.values import decoder
from gatectl.domain.view import LaneView
from gatectl.domain.why.lane import Around, why_lane
from gatectl.domain.why.ticket import why_ticket
from gatectl.domain.why.words import Why
from gatectl.runtime.capture import segments
from gatectl.store.reading import Mirror

Plain = dict[str, Any]

EVENTS_MAX: Final = 8
"""Newest events of a lane that are told."""
LOOKED_BACK_MAX: Final = 1_000
"""Newest events of a lane among which it is looked for who set its mode."""
VENDS_MAX: Final = 50
"""Openings of one ticket whose course is told."""
AFTER_VEND_MAX: Final = 30
"""Events of the lane behind an opening among which its course is looked for."""
TAIL_BYTES: Final = 1024 * 1024
"""So much of the newest capture is read for a lane's last inputs."""


def ticket(
    mirror: Mirror, number: str, price: Plain | None, strategies: Mapping[str, str], now_ms: int
) -> Plain | None:
    """gatectl.why/1; None if the mirror has no such ticket."""
    row = mirror.ticket(number)
    if row is None:
        return None
    openings = [event for event in row["events"] if event["kind"] == "vend.intended"][:VENDS_MAX]
    vends = {event["body"]["vend"]: _course(mirror, event) for event in openings}
    return _plain(why_ticket(row, vends, price, strategies, now_ms))


def _plain(why: Why) -> Plain:
    return {"schema": "gatectl.why/1", **why.plain()}


def no_such(mirror: Mirror, number: str) -> str:
    """What can be said of a number that is not here: those that differ by a slip."""
    alike = [row["ticket"] for row in mirror.counted_alike(number)]
    if alike:
        return f"there is no ticket {number}; of that count there is {', '.join(alike)}"
    return f"there is no ticket {number}, and none of that count: misread, of another site, or older than this disk"


def _course(mirror: Mirror, opening: Plain) -> list[Plain]:
    vend, lane = opening["body"]["vend"], opening["body"]["lane"]
    page = mirror.events(after=opening["position"], limit=AFTER_VEND_MAX, lane=lane)
    return [event for event in page["events"] if event["body"].get("vend") == vend]


def lane(
    mirror: Mirror,
    state: Lane,
    now_ms: int,
    now_mono_ms: int | None,
    refuses: tuple[str, str] | None,
    running: bool,
    sources: tuple[str, ...],
) -> Plain:
    """gatectl.why/1 of a lane in a state. `refuses`: what a walk-in would be told; `now_mono_ms`: None if it does not run."""
    name = str(state.plan.lane)
    recent: list[Plain] = mirror.events(limit=LOOKED_BACK_MAX, lane=name)["events"]
    faults = mirror.lane_states().get(name, {"faults": []})["faults"]
    around = Around(
        now_ms=now_ms,
        now_mono_ms=now_mono_ms,
        mode=_who_set(recent, state.mode),
        since={row["fault"]: (row["since_ms"], row["detail"]) for row in faults},
        lost={row["device"]: row["why"] for row in mirror.devices() if not row["up"]},
        events=recent[-EVENTS_MAX:],
        refuses=refuses,
        running=running,
        sources=sources,
    )
    return _plain(why_lane(state, around))


def _who_set(recent: Sequence[Plain], mode: str) -> Plain:
    for event in reversed(recent):
        if event["kind"] == "lane.mode":
            return {**event["body"], "at_ms": event["at_ms"]} if event["body"].get("mode") == mode else {}
    return {}


# -- without a daemon ---------------------------------------------------------------------------------------------------


def last_known(mirror: Mirror, plan: Lane, captures: Path) -> tuple[Lane, tuple[str, ...]]:
    """The lane as the newest capture and the mirror last knew it, and what that was read from."""
    name = str(plan.plan.lane)
    try:
        found, at_ms = _captured(captures, plan)
        sources: tuple[str, ...] = ("the journal", f"the captures until @{at_ms}")
    except (OSError, BadBody, ValueError, KeyError, IndexError) as error:
        found, sources = plan, ("the journal", f"no capture to read ({type(error).__name__}): inputs are not known")
    known = mirror.lane_states().get(name, {"mode": "normal", "faults": []})
    faults = frozenset(LaneFault(row["fault"]) for row in known["faults"] if row["fault"] in set(LaneFault))
    return replace(found, mode=known["mode"], faults=faults), sources


def _captured(folder: Path, plan: Lane) -> tuple[Lane, int]:
    newest = segments(folder)[-1]
    with newest.open("rb") as file:
        head = json.loads(file.readline())
        known: tuple[Lane, ...] = decoder(tuple[Lane, ...])(head["lanes"], "lanes")
        found = next((each for each in known if each.plan.lane == plan.plan.lane), plan)  # a start knows no lanes yet
        begins = file.tell()
        size = newest.stat().st_size
        file.seek(max(begins, size - TAIL_BYTES))
        lines = file.read().splitlines(keepends=True)
    at_ms = int(head["at"][0])
    for line in _whole(lines):
        at_ms = int(line["at"][0])
        found = _after(found, line)
    return found, at_ms


def _whole(lines: Iterable[bytes]) -> Iterable[Plain]:
    for line in lines:
        if line.startswith(b'{"n":') and line.endswith(b"\n"):
            yield json.loads(line)


def _after(before: Lane, line: Plain) -> Lane:
    """The lane with what a turn told it, and the phase to which that led."""
    name, after = before.plan.lane, before
    if line["in"][0] == "LaneInput" and line["in"][1].get("lane") == name:
        happened, _ = happened_of(line, "turn")
        if isinstance(happened, LaneInput):
            after = _told(after, happened.input)
    for lane_name, phase, deadline_ms in line["then"]:
        if lane_name == name:
            after = replace(after, phase=Phase(phase), deadline_mono_ms=deadline_ms)
    return after


def _told(before: Lane, happened: Input) -> Lane:
    if isinstance(happened, ArmingLoopChanged):
        return replace(before, arming=happened.loop)
    if isinstance(happened, ClosingLoopChanged):
        return replace(before, closing=happened.loop)
    if isinstance(happened, ResetLoopChanged):
        return replace(before, reset=happened.loop)
    if isinstance(happened, ArmMoved):
        return replace(before, arm=happened.arm)
    if isinstance(happened, ArmBroke):
        return replace(before, boom_broken=happened.broken)
    if isinstance(happened, FireChanged):
        return replace(before, fire=happened.on)
    return before


# -- with a daemon ----------------------------------------------------------------------------------------------------------


def of_running(site: Site, name: str, now: Moment) -> tuple[Lane, tuple[str, str] | None] | None:
    """On the core's thread: a lane as it is, and what a walk-in would be refused with; None if there is no such lane."""
    found = site.lanes.get(LaneId(name))
    if found is None:
        return None
    refuses = None
    if found.plan.kind is LaneKind.ENTRY:
        offer = LaneView(site.plan, site.books, site.boot, now, found.plan).offer()
        refuses = (offer.code, offer.text) if isinstance(offer, Refusal) else None
    return found, refuses


def strategies(plan: SitePlan) -> dict[str, str]:
    """Area to the name of its strategy."""
    return {str(area): plan.rules.get(area, PLAIN).strategy.value for area in plan.areas}
