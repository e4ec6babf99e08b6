"""Real demand: the occupancy of six car parks, read about every half hour from 08:00 to 16:30 on 73 days of autumn 2016.

Readings of real barriers and loops: they repeat, have gaps, jump, and stand above the capacity. Source and licences in the file.
"""

import csv
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

DATA: Final = "data/birmingham-2016.csv"
MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Day:
    """One car park's day. `readings`: (ms since midnight, local time; vehicles inside), oldest first."""

    car_park: str
    capacity: int
    day: date
    readings: tuple[tuple[int, int], ...]

    @property
    def peak(self) -> int:
        return max(inside for _, inside in self.readings)

    def changes(self) -> list[tuple[int, int, int]]:
        """(begin ms, end ms, net growth): the least that gates must have let in, or out if it is negative."""
        return [(begin, end, after - before) for (begin, before), (end, after) in pairwise(self.readings)]


@cache
def days() -> tuple[Day, ...]:
    """All of them, by car park and day."""
    text = (files("gatectl.world") / DATA).read_text()
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        Day(row["car_park"], int(row["capacity"]), date.fromisoformat(row["day"]), _readings(row["readings"]))
        for row in rows
    )


def day(car_park: str, on: date) -> Day:
    """One day of one car park. Raises KeyError when nobody read it."""
    for each in days():
        if (each.car_park, each.day) == (car_park, on):
            return each
    raise KeyError(f"{car_park} {on}")


def _readings(text: str) -> tuple[tuple[int, int], ...]:
    words = text.split()
    return tuple((_ms(at), int(inside)) for at, inside in zip(words[::2], words[1::2], strict=True))


def _ms(clock: str) -> int:
    hours, minutes = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * MINUTE_MS
