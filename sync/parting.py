"""Where do two histories of one site part? Halving finds the place with one record a question.

A fact's id at a place in a generation stands for all that came before it, at either end. A generation's beginning stands
for nothing, its head is known to all: where that is all there is in common, the generation before it is searched.
"""

from dataclasses import dataclass, replace
from typing import Self

from sync.ports import JournalReader, Position
from sync.records import LINE_BYTES_MAX, Record, Welcome


@dataclass(frozen=True, slots=True)
class Search:
    """They part after `low` at the earliest, after `high` at the latest."""

    generation: int
    low: int
    high: int
    probe: int
    """The record to ask for."""
    above: Position | None = None
    """The beginning of the generation behind it: in common if all of this one is."""
    proving: Welcome | None = None
    """Nothing parted yet: the office's newest is the beginning of a generation, and this is what it said."""

    @classmethod
    def up_to(cls, generation: int, high: int) -> Self:
        return cls(generation, 0, high, high)

    @classmethod
    def before(cls, journal: JournalReader, beginning: Position, said: Welcome | None) -> Self | None:
        """Search what lies before a generation's beginning; None when nothing does."""
        earlier = journal.before(beginning.generation)
        if earlier is None:
            return None
        return cls(earlier.generation, 0, earlier.seq, earlier.seq, beginning, said)

    @property
    def over(self) -> bool:
        return self.low >= self.high

    def found(self, journal: JournalReader, said: Record | None) -> "Search":
        """What is left to search, when the office holds `said` at the place that was asked for."""
        same = said is not None and [said] == journal.read(self.generation, self.probe - 1, 1, LINE_BYTES_MAX)
        low, high = (self.probe, self.high) if same else (self.low, self.probe - 1)
        return replace(self, low=low, high=high, probe=(low + high + 1) // 2)

    def further(self, journal: JournalReader) -> "Search | None":
        """The search of the generation before; None where this one has something in common, or is the first."""
        head = journal.head_at(self.generation, 0) if self.low == 0 else None
        return None if head is None else Search.before(journal, Position(self.generation, 0, head), self.proving)

    def common(self, journal: JournalReader) -> Position | None:
        """Both ends hold the journal up to here; None if that is older than what the journal still has."""
        whole = None if self.above is None else journal.before(self.above.generation)
        if whole is not None and (whole.generation, whole.seq) == (self.generation, self.low):
            return self.above
        head = journal.head_at(self.generation, self.low)
        return None if head is None else Position(self.generation, self.low, head)
