"""The hours of a pass, and how much of a time they cover.

Local civil time; a window that ends before it begins ends the next day.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from typing import Final

from gatectl.domain.tariff_calendar import instant_ms, wall_at

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WINDOWS_MAX: Final = 20
DAYS_PRICED_MAX: Final = 400
"""Days of one stay whose hours are looked at; of what is longer the rest counts as outside."""
_WINDOW: Final = re.compile(r"([a-z]{3}(?:[,-][a-z]{3})*) (\d\d):(\d\d)-(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Window:
    """From one minute of the day to another on some weekdays (0: Monday)."""

    days: frozenset[int]
    begins: int
    ends: int


def parsed(text: str) -> tuple[Window, ...]:
    """ "mon-fri 07:00-19:00; sat,sun 08:00-14:00"; nothing: no windows, which means always. Raises ValueError, which says why."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if len(parts) > WINDOWS_MAX:
        raise ValueError(f"{len(parts)} windows, at most {WINDOWS_MAX}")
    return tuple(_window(part) for part in parts)


def _window(part: str) -> Window:
    fits = _WINDOW.fullmatch(part)
    if fits is None:
        raise ValueError(f'{part[:60]!r} is not like "mon-fri 07:00-19:00"')
    hours = [int(number) for number in fits.groups()[1:]]
    begins, ends = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if max(hours[1], hours[3]) > 59 or begins >= 1440 or ends > 1440 or begins == ends:
        raise ValueError(f"{part[:60]!r}: no such time of day, or no time at all")
    return Window(frozenset(day for word in fits[1].split(",") for day in _days(word)), begins, ends)


def _days(word: str) -> Iterator[int]:
    first, _, last = word.partition("-")
    if first not in DAYS or (last and last not in DAYS):
        raise ValueError(f"{word!r}: days are {', '.join(DAYS)}")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    yield from (day % 7 for day in range(begin, end + 1 if end >= begin else end + 8))


def covered(windows: tuple[Window, ...], from_ms: int, until_ms: int, zone: tzinfo) -> list[tuple[int, int]]:
    """The parts of a time that are within the windows: in order, apart, none empty."""
    if from_ms >= until_ms:
        return []
    if not windows:
        return [(from_ms, until_ms)]
    day = wall_at(from_ms, zone).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    found = []
    for _ in range(DAYS_PRICED_MAX):
        if instant_ms(day, zone) >= until_ms:
            break
        for window in windows:
            if day.weekday() in window.days:
                ends = window.ends + (1440 if window.ends <= window.begins else 0)
                begin = max(from_ms, instant_ms(day + timedelta(minutes=window.begins), zone))
                end = min(until_ms, instant_ms(day + timedelta(minutes=ends), zone))
                if begin < end:
                    found.append((begin, end))
        day += timedelta(days=1)
    return _joined(sorted(found))


def _joined(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for begin, end in parts:
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def uncovered(parts: list[tuple[int, int]], from_ms: int, until_ms: int) -> list[tuple[int, int]]:
    """What is left of a time beside its covered parts."""
    left, at_ms = [], from_ms
    for begin, end in [*parts, (until_ms, until_ms)]:
        if begin > at_ms:
            left.append((at_ms, begin))
        at_ms = max(at_ms, end)
    return left
