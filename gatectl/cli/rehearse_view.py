"""A rehearsal as lines of text: what is known and what is true, who has to do what, what happened. Pure: values in, lines out.

Every part has its place for as long as the terminal keeps its size: nothing jumps. What is red or yellow also says so in words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from textwrap import wrap
from typing import Any, Final

from gatectl.cli.screen import Line, fit, width_of
from gatectl.cli.show import span
from gatectl.domain.telling import TEXT_CHARS_MAX
from gatectl.world.rehearsal import LaneSight, Met, Sight, Told

WIDE: Final = 100
"""From so many columns on there is room for what drivers read, and for counts."""
LANE_CELLS_MIN, LANE_CELLS_MAX = 7, 16
ROUTINE: Final = frozenset({"vend.intended", "vend.confirmed", "vend.closed", "ticket.spent", "tariff.applied"})
"""What happens at every vehicle, beside what is worth a line."""
KEYS: Final = "q end   space pause   + - speed       known ≠ true   (words): no display"
NEEDS_ROWS_MAX, RUNNING_ROWS_MAX = 8, 6
"""On a high terminal the rest is for events."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stays the same, and how fast it goes."""

    site: str
    name: str
    zone: tzinfo
    minutes: float
    speed: float
    paused: bool


def clock(at_ms: int, zone: tzinfo) -> str:
    """The site's clock on its wall."""
    at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(zone)
    return f"{at:%H:%M:%S}"


def frame(head: Head, sight: Sight, told: Sequence[Told], width: int, height: int) -> list[Line]:
    """One frame: `height` lines that fit `width`."""
    top = [_title(head, sight, width), *_lanes(sight, width, height), _counts(sight)]
    rest = max(3, height - len(top) - 5)
    needs = min(NEEDS_ROWS_MAX, max(1, rest * 2 // 5 // 2 * 2))
    running = min(RUNNING_ROWS_MAX, max(1, rest // 4))
    events = max(1, rest - needs - running)
    whole = [
        *top,
        ("", ""),
        (f"NEEDS A PERSON{_many(len(sight.problems))}", "bold"),
        *_filled(_problems(sight.problems, needs, width), needs),
        (f"BROKEN BY THIS REHEARSAL{_many(len(sight.running))}", "bold"),
        *_filled(_running(sight, running), running),
        ("EVENTS", "bold"),
        *_filled(_events(head, told, events), events),
        (KEYS, "dim"),
    ]
    return [(fit(text, width).rstrip(), style) for text, style in whole[:height]]


def _many(number: int) -> str:
    return f" ({number})" if number else ": nothing"


def _filled(lines: Sequence[Line], rows: int) -> list[Line]:
    return [*lines[:rows], *[("", "")] * (rows - len(lines))]


def _title(head: Head, sight: Sight, width: int) -> Line:
    pace = "paused" if head.paused else f"{head.speed:g}x"
    right = f"{clock(sight.at_ms, head.zone)}  minute {sight.now_ms // 60_000:>3} of {head.minutes:g}  {pace:>6}"
    left = fit(f"{head.site}  {head.name}", max(1, width - width_of(right) - 2))
    return f"{left}  {right}", "bold"


# -- lanes --------------------------------------------------------------------------------------------------------------


def _lanes(sight: Sight, width: int, height: int) -> list[Line]:
    """A row a lane; where the terminal is low, the first ones and how it is with the others."""
    cells = max(LANE_CELLS_MIN, min(LANE_CELLS_MAX, max(len(lane.lane) for lane in sight.lanes) + 1))
    room = max(1, (height - 12) // 2)
    shown = sight.lanes if len(sight.lanes) <= room else sight.lanes[: room - 1]
    wide = width >= WIDE
    columns = [cells, *((14, 16, 16, 16, 5, 6) if wide else (14, 16, 16, 16, 1))]
    names = ("LANE", "STATE", "ARM", "ARMING", "CLOSING", *(("QUEUE", "SERVED", "DRIVER IS TOLD") if wide else ("Q",)))
    if wide:
        columns.append(max(1, width - sum(columns) - len(columns) - 1))
    rows: list[Line] = [(" " + _row(names, columns), "bold")]
    for lane in shown:
        extra = (str(lane.tally.served), _reads(lane)) if wide else ()
        text = _row((lane.lane, *_words(lane), str(lane.queue), *extra), columns)
        rows.append((("!" if _sick(lane) else " ") + text, _style(lane, text)))
        if not wide and 2 * len(sight.lanes) <= room:
            rows.append((f"   driver: {_reads(lane)}", "dim"))
    if len(shown) < len(sight.lanes):
        left = sight.lanes[len(shown) :]
        sick = sum(_sick(lane) for lane in left)
        rows.append((f" and {len(left)} more lanes, {sick} with faults", "yellow" if sick else "dim"))
    return rows


def _row(values: Sequence[str], cells: Sequence[int]) -> str:
    return " ".join(fit(value, width) for value, width in zip(values, cells, strict=True))


def _words(lane: LaneSight) -> tuple[str, str, str, str]:
    """State, arm, arming, closing."""
    on = {True: "occupied", False: "free"}
    if lane.known is None:
        return "off", f"? ≠ {lane.arm}", f"? ≠ {on[lane.arming]}", f"? ≠ {on[lane.closing]}"
    known = lane.known
    arm = _both(str(known["arm"]), lane.arm) if lane.limits else f"unseen: {lane.arm}"
    arming, closing = _both(str(known["arming"]), on[lane.arming]), _both(str(known["closing"]), on[lane.closing])
    return str(known["phase"]), arm, arming, closing


def _both(known: str, true: str) -> str:
    return known if known == true else f"{known} ≠ {true}"


def _reads(lane: LaneSight) -> str:
    text = lane.shown.replace("\n", " / ")
    return text if lane.display or not text else f"({text})"


def _sick(lane: LaneSight) -> bool:
    return lane.known is None or bool(lane.known["faults"])


def _style(lane: LaneSight, text: str) -> str:
    return "red" if _sick(lane) else "yellow" if "≠" in text else ""


# -- below the lanes ----------------------------------------------------------------------------------------------------


def _counts(sight: Sight) -> Line:
    free = [f"{area['area']} {area['free']}/{area['total']} free{_doubt(area)}" for area in sight.areas]
    return f" {'   '.join([*free, f'{sight.entered} in', f'{sight.exited} out'])}", ""


def _doubt(area: Mapping[str, Any]) -> str:
    return "" if area["quality"] == "live" else f" ({area['quality']})"


def _problems(problems: Sequence[Mapping[str, str]], rows: int, width: int) -> list[Line]:
    """What is wrong and what to do, in the words of `gatectl status`; of those for which there is no room, how many."""
    lines: list[Line] = []
    for n, row in enumerate(problems):
        mine = [*_wrapped(f"! {row['code']:<9} ", row["sentence"], width, "red")]
        mine += _wrapped(f"  {'do:':<9} ", row["action"], width, "")
        room = rows - len(lines) - (n + 1 < len(problems))
        if len(mine) > room and n:
            return [*lines, (f"  and {len(problems) - n} more", "yellow")]
        lines += mine[: max(1, room)]
    return lines


def _wrapped(head: str, text: str, width: int, style: str) -> list[Line]:
    found = wrap(text, max(10, width - len(head))) or [""]
    return [(f"{head if n == 0 else ' ' * len(head)}{part}", style) for n, part in enumerate(found)]


def _running(sight: Sight, rows: int) -> list[Line]:
    found: list[Line] = [(f"  {met}: {_left(met, sight.now_ms)}", "yellow") for met in sight.running]
    return found if len(found) <= rows else [*found[: rows - 1], (f"  and {len(found) - rows + 1} more", "yellow")]


def _left(met: Met, now_ms: int) -> str:
    left_ms = max(0, met.until_ms - now_ms)
    return f"{-(-left_ms // 60_000)} min more" if left_ms >= 60_000 else "less than a minute more"


def _events(head: Head, told: Sequence[Told], rows: int) -> list[Line]:
    worth = [event for event in told if event.kind not in ROUTINE][-rows:]
    return [(event_line(event, head.zone), "yellow" if event.kind.startswith("fault.") else "") for event in worth]


def event_line(event: Told, zone: tzinfo) -> str:
    return f"  {clock(event.at_ms, zone)}  {event.text[:TEXT_CHARS_MAX]}"


# -- afterwards ---------------------------------------------------------------------------------------------------------


def summary(sight: Sight, met: Sequence[Met], ended_ms: int) -> list[Line]:
    """What each lane did, what came of each fault. `ended_ms`: when the last vehicle came of its own accord."""
    cells = max(8, max(len(lane.lane) for lane in sight.lanes) + 2)
    lines: list[Line] = [(f"{sight.entered} vehicles in, {sight.exited} out.", ""), ("", "")]
    lines.append((f"{fit('LANE', cells)}{'SERVED':>7}{'REFUSED':>9}{'VOID':>6}", "bold"))
    for lane in sight.lanes:
        tally = lane.tally
        lines.append((f"{fit(lane.lane, cells)}{tally.served:>7}{tally.refused:>9}{tally.voided:>6}", ""))
    if met:
        wide = max(28, max(len(str(each)) for each in met) + 2)
        lines += [("", ""), (f"{fit('FAULT', wide)}{'MINUTE':>7}  {'LASTED':<12}{'MEANWHILE':<12}SERVED AGAIN", "bold")]
        lines += [(_outcome(each, wide, ended_ms), "") for each in met]
    return lines


def _outcome(met: Met, wide: int, ended_ms: int) -> str:
    minute = f"{met.began_ms / 60_000:>7.1f}"
    if met.ended_ms is None:
        return f"{fit(str(met), wide)}{minute}  not over yet"
    lasted, served = span(met.ended_ms - met.began_ms), f"{met.meanwhile} served"
    again = "no"
    if met.served_ms is not None:
        again = f"{span(met.served_ms - met.ended_ms)} later" if met.served_ms <= ended_ms else "yes, afterwards"
    return f"{fit(str(met), wide)}{minute}  {lasted:<12}{served:<12}{again}"
