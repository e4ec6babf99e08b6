"""Prices by demand: how full the lot was when the ticket was issued decides once, and for the whole stay.

Rule 1: the multiplier is fixed on the ticket with the counts that justify it; what happens later changes nothing.
Rule 2: it multiplies the prices of time and of special tickets, never a cap: a cap is a promise of the board. `most_added_minor`
is one more: what demand may add to a stay at most.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from gatectl.domain.tariff_reading import CAP, Reader, Whole

PERCENT_MIN: Final = 10
PERCENT_MAX: Final = 500
"""No board multiplies its prices by more, and a slip of the keyboard does."""
MEASURES: Final = ("area", "site")


@dataclass(frozen=True, slots=True)
class Fixed:
    """What demand made of a ticket: prices times `percent` / 100, because `taken` of `spots` spots were taken at entry."""

    percent: int
    taken: int
    spots: int

    def told(self) -> str:
        return f"Demand {self.percent} %: {self.taken} of {self.spots} spots taken at entry"


def fixed_of(percent: int, taken: int | None, spots: int | None) -> Fixed | None:
    """As a fact or a row has it; None if demand was not asked."""
    return None if taken is None or spots is None else Fixed(percent, taken, spots)


class Level(NamedTuple):
    """From this share of spots taken on, prices are times `percent` / 100."""

    from_percent: int
    percent: int


@dataclass(frozen=True, slots=True)
class Demand:
    """`levels` rise in `from_percent`; the first begins at 0. `measure`: the spots of the lane's area, or of the site."""

    levels: tuple[Level, ...]
    measure: str = "area"
    most_added_minor: int | None = None

    @classmethod
    def read(cls, reader: Reader) -> "Demand | None":
        before = len(reader.faults)
        measure = reader.raw("measure")
        if measure is None:
            measure = "area"
        if measure not in MEASURES:
            reader.refuse("measure", f"is {measure!r}"[:60], '"area" or "site"')
        levels: list[Level] = []
        for one in reader.tables("levels"):
            values = one.wholes({"from_percent": Whole(0, 100), "percent": Whole(PERCENT_MIN, PERCENT_MAX)})
            one.done("a level of demand")
            if len(values) == 2:
                levels.append(Level(values["from_percent"], values["percent"]))
        most = reader.whole("most_added_minor", CAP)
        reader.done("demand")
        starts = [level.from_percent for level in levels]
        if len(reader.faults) == before and (starts[:1] != [0] or starts != sorted(set(starts))):
            reader.refuse("levels", "are not in order from 0", "from_percent = 0 first, then higher and higher")
        return None if len(reader.faults) > before else cls(tuple(levels), str(measure), most)

    def plain(self) -> Mapping[str, object]:
        plain: dict[str, object] = {"levels": [level._asdict() for level in self.levels], "measure": self.measure}
        return plain if self.most_added_minor is None else plain | {"most_added_minor": self.most_added_minor}

    def fixed(self, taken: int, spots: int) -> Fixed | None:
        """The multiplier for a ticket issued now; None where nothing can be counted."""
        if spots <= 0:
            return None
        share = taken * 100 // spots
        percent = next(level.percent for level in reversed(self.levels) if level.from_percent <= share)
        return Fixed(percent, taken, spots)
