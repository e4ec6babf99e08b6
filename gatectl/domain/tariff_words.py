"""How a tariff's times are written, and how a long explanation is made short enough for a receipt."""

import re
from typing import Final

from gatectl.domain.facts import Line
from gatectl.domain.money import shown
from gatectl.domain.tariff_calendar import DAYS
from gatectl.domain.tariff_reading import Reader

LINES_MAX: Final = 16
"""Lines of a price that are kept as they are; more are gathered."""
DAY_LINES_MAX: Final = 6
"""Lines of the first and the last day when there are too many."""
TEXT_CHARS_MAX: Final = 60

_WORD: Final = re.compile(r"[a-z]{3}")


def read_days(reader: Reader) -> tuple[int, ...]:
    """`days`, as numbers from Monday, in order and each once; without it all seven."""
    hint = f"some of {', '.join(DAYS)}"
    words = reader.words("days", _WORD, hint, DAYS)
    return tuple(sorted({DAYS.index(word) for word in words})) or tuple(range(7))


def clock_text(minute: int) -> str:
    """`90` -> `"01:30"`; a day's end is `"24:00"`."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def minutes_text(minutes: int) -> str:
    """`90` -> `"90 min"`, `120` -> `"2 h"`, `2880` -> `"2 days"`."""
    if minutes % 1440 == 0:
        return "1 day" if minutes == 1440 else f"{minutes // 1440} days"
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def fewer(parts: list[list[Line]], currency: str) -> list[Line]:
    """The lines of a stay's days, each with its day if there are several; no more than fit, the sum unchanged."""
    if len(parts) == 1:
        return _gathered(_cut("", parts[0]), LINES_MAX)
    if sum(map(len, parts)) <= LINES_MAX:
        return [line for number, lines in enumerate(parts, 1) for line in _cut(f"Day {number}: ", lines)]
    between = [sum(line.amount_minor for line in lines) for lines in parts[1:-1]]
    first, last = _cut("Day 1: ", parts[0]), _cut(f"Day {len(parts)}: ", parts[-1])
    return [*_gathered(first, DAY_LINES_MAX), *_between(between, currency), *_gathered(last, DAY_LINES_MAX)]


def _between(totals: list[int], currency: str) -> list[Line]:
    if not totals:
        return []
    if len(totals) == 1:
        return [Line("Day 2", totals[0])]
    each = f": {len(totals)} x {shown(totals[0], currency)}" if len(set(totals)) == 1 else ""
    return [Line(f"Days 2 to {len(totals) + 1}{each}", sum(totals))]


def _cut(label: str, lines: list[Line]) -> list[Line]:
    return [Line(f"{label}{line.text}"[:TEXT_CHARS_MAX], line.amount_minor) for line in lines]


def _gathered(lines: list[Line], most: int) -> list[Line]:
    """At most so many lines: the first, one for all between, the last."""
    if len(lines) <= most:
        return lines
    half = (most - 1) // 2
    rest = lines[half:-half]
    return [*lines[:half], Line(f"{len(rest)} charges between", sum(one.amount_minor for one in rest)), *lines[-half:]]
