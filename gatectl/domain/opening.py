"""Opening hours: weekly times at which the site, an area or a lane is open for a class of parkers. Pure; local civil time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from typing import Final

from gatectl.domain.tariff_calendar import wall_at

DAY_MINUTES: Final = 24 * 60


class Parker(StrEnum):
    """Classes of parkers. A word of each is in every state that is set, shown and published."""

    TRANSIENT = "transient"  # pulls a ticket
    PASS = "pass"  # noqa: S105  # a season parker, no secret
    RESERVATION = "reservation"


@dataclass(frozen=True, slots=True)
class Hours:
    """Open from `from_minute` until `until_minute` of the local day on `days` (Monday is 0); past midnight if that is earlier.

    `scope` "site", "area" or "lane"; `place` is the area or lane, "" for the site.
    """

    scope: str
    place: str
    parkers: tuple[Parker, ...]
    days: tuple[int, ...]
    from_minute: int
    until_minute: int

    def holds(self, wall_ms: int, zone: tzinfo) -> bool:
        at = wall_at(wall_ms, zone)
        minute, day = at.hour * 60 + at.minute, at.weekday()
        if self.from_minute < self.until_minute:
            return day in self.days and self.from_minute <= minute < self.until_minute
        begun = day in self.days and minute >= self.from_minute
        return begun or ((day - 1) % 7 in self.days and minute < self.until_minute)


def open_by_hours(hours: Iterable[Hours], parker: Parker, wall_ms: int, zone: tzinfo) -> bool | None:
    """Whether one of the hours that are of the class holds; None when there are none."""
    mine = [each for each in hours if parker in each.parkers]
    return any(each.holds(wall_ms, zone) for each in mine) if mine else None
