"""When vehicles come and when they leave: by the occupancy of real car parks on real days, or by one busy garage's usual hours.

A demand is a pure function of the seed and the time; who comes, and what they do wrong, is the motorists' affair.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate
from random import Random
from typing import Final, Protocol

from gatectl.world import birmingham
from gatectl.world.chance import stream

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
STAY_MS_MIN: Final = 3 * 60_000
STAY_MS_MAX: Final = 16 * HOUR_MS
STARTS_AT_H: Final = 5
"""A run begins so early in its first usual day."""
HOURLY: Final = (1, 1, 1, 1, 2, 4, 10, 20, 26, 22, 18, 18, 20, 20, 18, 18, 20, 24, 20, 12, 8, 5, 3, 2)
"""Arrivals in each hour of the day, for one entry lane of a busy garage."""
NIGHT_PER_H: Final = 1.5
"""Vehicles that come in an hour when nobody reads the counters: before the morning, after the evening."""
EVENING_MS: Final = 21 * HOUR_MS
"""By then those who were inside at the last reading have left."""
RUSH_MS: Final = HOUR_MS
"""A run that begins in the middle of a day has all who are inside by then come within this."""
CHRISTMAS_MARKET: Final = date(2016, 11, 17)
"""From here on the centre of Birmingham is full at weekends."""
KINDS: Final = ("hourly", "weekday", "saturday", "christmas", "over-capacity")


class Demand(Protocol):
    """`name` says what it is, for people."""

    @property
    def name(self) -> str: ...

    def rate(self, now_ms: int) -> tuple[int, float]:
        """(until when [ms] it stays as it is, vehicles that come in an hour)."""

    def stays_ms(self, rng: Random, now_ms: int) -> int:
        """How long one who comes now stays."""


@dataclass(frozen=True, slots=True)
class Hourly:
    """The same every day."""

    entries: int
    name: str = "hourly"

    def rate(self, now_ms: int) -> tuple[int, float]:
        hour = now_ms // HOUR_MS
        return (hour + 1) * HOUR_MS, float(HOURLY[(hour + STARTS_AT_H) % 24] * self.entries)

    def stays_ms(self, rng: Random, now_ms: int) -> int:
        return usual_stay_ms(rng)


def usual_stay_ms(rng: Random) -> int:
    """Mostly one to four hours, now and then a day's work, always some minutes."""
    return max(STAY_MS_MIN, min(STAY_MS_MAX, int(rng.lognormvariate(8.6, 1.0) * 1_000)))


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a day in which vehicles come and leave evenly."""

    begin_ms: int
    end_ms: int
    come: float
    leave: float


@dataclass(slots=True)
class Observed:
    """Consecutive days of one car park, over and over, its capacity scaled to `spots` times `fill`.

    Between two readings the net growth must have come, or left; `turnover` of those inside leave in an hour and are replaced.
    """

    name: str
    days: Sequence[birmingham.Day]
    spots: int
    fill: float
    turnover: float
    begins_ms: int
    """The time of the first day at which the run begins."""
    _at: int = -1
    _pieces: list[Piece] = field(default_factory=list)
    _begins: list[int] = field(default_factory=list)
    _left: list[float] = field(default_factory=list)
    """Departures from the day's beginning to the end of each piece."""

    def rate(self, now_ms: int) -> tuple[int, float]:
        at, day_ms = self._look(now_ms)
        piece = self._pieces[at]
        return now_ms + piece.end_ms - day_ms, piece.come * HOUR_MS / (piece.end_ms - piece.begin_ms)

    def stays_ms(self, rng: Random, now_ms: int) -> int:
        """Until one of the departures that the day still has."""
        at, day_ms = self._look(now_ms)
        gone = self._left[at]
        wanted = gone + rng.random() * (self._left[-1] - gone)
        if self._left[-1] - gone < 1:
            return usual_stay_ms(rng)
        piece = self._pieces[min(bisect_right(self._left, wanted), len(self._pieces) - 1)]
        stays = int(rng.uniform(piece.begin_ms, piece.end_ms)) - day_ms
        return max(STAY_MS_MIN, min(STAY_MS_MAX, stays))

    def _look(self, now_ms: int) -> tuple[int, int]:
        """The piece that holds this moment, and the time of its day [ms]."""
        number, day_ms = divmod(now_ms + self.begins_ms, DAY_MS)
        if number != self._at:
            self._at = number
            self._pieces = self._pieces_of(number)
            self._begins = [piece.begin_ms for piece in self._pieces]
            self._left = list(accumulate(piece.leave for piece in self._pieces))
        return bisect_right(self._begins, day_ms) - 1, day_ms

    def _pieces_of(self, number: int) -> list[Piece]:
        day = self.days[number % len(self.days)]
        scale = self.spots * self.fill / day.capacity
        first_ms, first = day.readings[0]
        last_ms, last = day.readings[-1]
        dawn_ms = STARTS_AT_H * HOUR_MS
        pieces = [_night(0, dawn_ms), Piece(dawn_ms, first_ms, first * scale, 0.0)]
        inside = first
        for begin_ms, end_ms, growth in day.changes():
            swapped = self.turnover * inside * (end_ms - begin_ms) / HOUR_MS
            come, leave = max(0, growth) + swapped, max(0, -growth) + swapped
            pieces.append(Piece(begin_ms, end_ms, come * scale, leave * scale))
            inside += growth
        pieces.append(Piece(last_ms, EVENING_MS, 0.05 * last * scale, 1.05 * last * scale))
        pieces.append(_night(EVENING_MS, DAY_MS))
        pieces = [piece for piece in pieces if piece.end_ms > piece.begin_ms]
        return self._after_the_rush(pieces) if number == 0 else pieces

    def _after_the_rush(self, pieces: list[Piece]) -> list[Piece]:
        """The first day, cut off where the run begins: those who are inside by then come first of all."""
        rush_ms = self.begins_ms + RUSH_MS
        before = [piece for piece in pieces if piece.begin_ms < self.begins_ms]
        inside = max(0.0, sum(piece.come - piece.leave for piece in before))
        rest = [_from(piece, rush_ms) for piece in pieces if piece.end_ms > rush_ms]
        return [_night(0, self.begins_ms), Piece(self.begins_ms, rush_ms, inside + NIGHT_PER_H, 0.0), *rest]


def _night(begin_ms: int, end_ms: int) -> Piece:
    few = NIGHT_PER_H * (end_ms - begin_ms) / HOUR_MS
    return Piece(begin_ms, end_ms, few, few)


def _from(piece: Piece, begin_ms: int) -> Piece:
    if piece.begin_ms >= begin_ms:
        return piece
    share = (piece.end_ms - begin_ms) / (piece.end_ms - piece.begin_ms)
    return Piece(begin_ms, piece.end_ms, piece.come * share, piece.leave * share)


def drawn(seed: int, spots: int, entries: int, kind: str = "") -> Demand:
    """The demand of a seed; `kind` is one of `KINDS`, drawn too if it is empty."""
    rng = stream("demand", seed)
    any_kind = rng.choice(KINDS)
    kind = kind or any_kind
    if kind == "hourly":
        return Hourly(entries)
    fits = [number for number, day in enumerate(birmingham.days()) if _is(day, kind)]
    first = rng.choice(fits)
    chosen = birmingham.days()[first]
    of_it = [day for day in birmingham.days() if day.car_park == chosen.car_park]
    begin = of_it.index(chosen)
    fill = rng.choice([1.1, 1.3]) if kind == "over-capacity" else rng.choice([0.7, 1.0, 1.0])
    return Observed(
        name=f"{chosen.car_park} {chosen.day} ({kind})",
        days=[*of_it[begin:], *of_it[:begin]],
        spots=spots,
        fill=fill,
        turnover=rng.choice([0.05, 0.15, 0.3]),
        begins_ms=rng.choice([5, 7, 9, 11, 13]) * HOUR_MS,
    )


def _is(day: birmingham.Day, kind: str) -> bool:
    if kind == "over-capacity":
        return day.peak > day.capacity
    if kind == "christmas":
        return day.day >= CHRISTMAS_MARKET and day.day.weekday() >= 4
    return day.day.weekday() == 5 if kind == "saturday" else day.day.weekday() < 5
