"""A week of bands on the site's wall clock, and where their edges lie in real time.

Rule 1: an edge of a band comes once. In an hour that the wall clock shows twice it comes the first time; in an hour that the
wall clock skips it comes at the skip. Bands therefore neither repeat nor overlap at a clock change; one of them is an hour
longer or shorter that day.
Rule 2: the first band that covers a minute of the week has it.
Rule 3: a band that runs past midnight belongs to the day on which it begins.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final, NamedTuple

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES: Final = 24 * 60
WEEK_MINUTES: Final = 7 * DAY_MINUTES
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOBODY: Final = 255
EDGES_KEPT: Final = 4_096
"""Edges of bands and days that are remembered: every price of these days asks for the same ones. As many as three years have."""


class Window(NamedTuple):
    """A recurring time: on `days` (0 is Monday) from minute `begins` of the day until `ends`, which may pass 1440."""

    days: tuple[int, ...]
    begins: int
    ends: int


class Run(NamedTuple):
    """From minute `begins` of the week (Monday 00:00 is 0) the band number `band` is in force, until the next run."""

    begins: int
    band: int


class Stretch(NamedTuple):
    """Real time in one band, without a break."""

    begins_ms: int
    ends_ms: int
    band: int


def week_of(windows: Sequence[Window]) -> tuple[Run, ...] | int:
    """The runs of a week, neighbours of different bands; or the first minute of the week that no window covers."""
    minutes = bytearray([_NOBODY]) * WEEK_MINUTES
    for number in range(len(windows) - 1, -1, -1):
        days, begins, ends = windows[number]
        for day in days:
            start, end = day * DAY_MINUTES + begins, day * DAY_MINUTES + ends
            minutes[start:end] = bytes([number]) * (min(end, WEEK_MINUTES) - min(start, WEEK_MINUTES))
            over = max(0, end - WEEK_MINUTES)
            minutes[:over] = bytes([number]) * over
    empty = minutes.find(_NOBODY)
    if empty >= 0:
        return empty
    edges = [minute for minute in range(WEEK_MINUTES) if minutes[minute] != minutes[minute - 1]]
    return tuple(Run(minute, minutes[minute]) for minute in edges) or (Run(0, minutes[0]),)


def stretches(week: tuple[Run, ...], begins_ms: int, ends_ms: int, zone: tzinfo) -> Iterator[Stretch]:
    """The bands of a time, in order, without gaps; the first and the last cut to it."""
    if len(week) == 1:
        yield Stretch(begins_ms, ends_ms, week[0].band)
        return
    at_ms = begins_ms
    edges = _edges(week, begins_ms, zone)
    band = next(edges)[1]
    for edge_ms, following in edges:
        if edge_ms > at_ms:
            yield Stretch(at_ms, min(edge_ms, ends_ms), band)
            at_ms = edge_ms
        band = following
        if edge_ms >= ends_ms:
            return


def _edges(week: tuple[Run, ...], from_ms: int, zone: tzinfo) -> Iterator[tuple[int, int]]:
    """Edges and the bands that they begin, from an edge before `from_ms` on, for ever."""
    wall = wall_at(from_ms, zone)
    monday = wall.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=wall.weekday())
    number = bisect_right([run.begins for run in week], wall.weekday() * DAY_MINUTES + wall.hour * 60 + wall.minute) - 2
    while True:  # from the run before the one that the wall shows: the zone may be between two passes of an hour
        weeks, index = divmod(number, len(week))
        run = week[index]
        yield instant_ms(monday + timedelta(weeks=weeks, minutes=run.begins), zone), run.band
        number += 1


def day_edges(minute: int, from_ms: int, zone: tzinfo) -> Iterator[int]:
    """The moments after `from_ms` at which the wall clock passes a minute of the day, for ever."""
    day = wall_at(from_ms, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    while True:
        edge_ms = instant_ms(day + timedelta(minutes=minute), zone)
        if edge_ms > from_ms:
            yield edge_ms
        day += timedelta(days=1)


def wall_at(at_ms: int, zone: tzinfo) -> datetime:
    """What the wall clock shows: a naive datetime."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone).replace(tzinfo=None, fold=0)


@lru_cache(maxsize=EDGES_KEPT)
def instant_ms(wall: datetime, zone: tzinfo) -> int:
    """When the wall clock first shows a naive datetime, or skips it."""
    late_ms = _ms(wall.replace(tzinfo=zone))
    if wall_at(late_ms, zone) == wall:
        return late_ms
    early_ms = _ms(wall.replace(tzinfo=zone, fold=1))
    after = _offset(late_ms, zone)
    while late_ms - early_ms > 1:
        middle_ms = (early_ms + late_ms) // 2
        if _offset(middle_ms, zone) == after:
            late_ms = middle_ms
        else:
            early_ms = middle_ms
    return late_ms


def _offset(at_ms: int, zone: tzinfo) -> timedelta | None:
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone).utcoffset()


def _ms(aware: datetime) -> int:
    return (aware - _EPOCH) // timedelta(milliseconds=1)
