"""The site's disk in memory: the journal with its chain, and the books that a start would load from it.

Rule 1: what is not appended here never happened, whatever the running site believes.
Rule 2: a start reads back bytes: every fact is decoded again from what was encoded, and every head is calculated again.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

from gatectl.domain import codec
from gatectl.domain.books import Books
from gatectl.domain.facts import Fact
from gatectl.domain.ids import Moment
from gatectl.domain.plan import SitePlan
from gatectl.domain.spots import SpotIndex
from sync import chain
from sync.ports import Position
from sync.records import Record

KEPT_MAX: Final = 50_000
"""Records kept after they were acknowledged and folded; older ones are pruned."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """A fact with its id and moment, on its way to the disk."""

    fact_id: str
    boot_id: str
    at: Moment
    fact: Fact


def new_books(plan: SitePlan) -> Books:
    return Books(SpotIndex(plan.spots, plan.compatible), {lane.lane: lane.area for lane in plan.lanes})


def copied(books: Books, plan: SitePlan) -> Books:
    """Books of their own with the same content: their values are frozen, their containers and their spots are not."""
    made = new_books(plan)
    for part in fields(Books):
        value = getattr(books, part.name)
        if part.name != "spots":
            setattr(made, part.name, copy.copy(value))
    for stay in made.stays.values():
        if stay.spot is not None:
            made.spots.hold(stay.spot)
    return made


@dataclass(slots=True)
class Disk:
    """Satisfies sync.ports.JournalReader. `witness` sees each fact as it becomes durable."""

    plan: SitePlan
    witness: Callable[[Fact], None]
    last_wall_ms: int | None = None
    _rows: list[tuple[Record, bytes]] = field(default_factory=list)
    _pruned: int = 0
    _tip: Position = field(init=False)
    _acked: Position = field(init=False)
    _folded: int = 0
    _head_before_fold: bytes = field(init=False)
    _mirror: Books = field(init=False)

    def __post_init__(self) -> None:
        start = Position(1, 0, chain.genesis(self.plan.site, 1))
        self._tip = self._acked = start
        self._head_before_fold = start.head
        self._mirror = new_books(self.plan)

    def append(self, facts: Sequence[Stamped]) -> None:
        """One transaction."""
        seq, head = self._tip.seq, self._tip.head
        for stamped in facts:
            seq += 1
            at, fact = stamped.at, stamped.fact
            record = Record(
                seq,
                stamped.fact_id,
                at.wall_ms,
                at.quality.value,
                stamped.boot_id,
                at.mono_ms,
                fact.kind,
                fact.version,
                codec.encode(fact),
            )
            head = chain.link(head, record.header(), record.body)
            self._rows.append((record, head))
            self.last_wall_ms = at.wall_ms
        self._tip = Position(1, seq, head)
        for stamped in facts:
            self.witness(stamped.fact)

    # -- what a start loads ------------------------------------------------------------------------------------------

    def mirror(self) -> Books:
        """The books by everything that is on the disk, read back from bytes. Asserts that the chain holds."""
        head = self._head_before_fold
        for record, stored in self._rows[self._folded - self._pruned :]:
            head = chain.link(head, record.header(), record.body)
            assert head == stored, f"the chain breaks at {record.seq}"
            assert record.seq == self._folded + 1, f"a gap before {record.seq}"
            self._mirror.fold(codec.decode(record.kind, record.version, record.body))
            self._folded = record.seq
        self._head_before_fold = head
        self._prune()
        return self._mirror

    def load(self) -> Books:
        """Books of their own for a start."""
        return copied(self.mirror(), self.plan)

    def _prune(self) -> None:
        spare = min(self._acked.seq, self._folded) - self._pruned - KEPT_MAX
        if spare > KEPT_MAX:
            del self._rows[:spare]
            self._pruned += spare

    # -- what the uploader reads and writes ----------------------------------------------------------------------------

    def position(self) -> Position:
        return self._tip

    def acked(self) -> Position:
        return self._acked

    def read(self, generation: int, after_seq: int, limit_records: int, limit_bytes: int) -> list[Record]:
        if generation != 1:
            return []
        found: list[Record] = []
        size = 0
        first = max(0, after_seq - self._pruned)
        for record, _ in self._rows[first : first + limit_records]:
            size += len(record.to_line()) + 1
            if found and size > limit_bytes:
                break
            found.append(record)
        return found

    def head_at(self, generation: int, seq: int) -> bytes | None:
        if generation != 1 or seq > self._tip.seq or (self._pruned and seq <= self._pruned):
            return None
        return self._rows[seq - self._pruned - 1][1] if seq else chain.genesis(self.plan.site, 1)

    def acknowledge(self, position: Position) -> None:
        assert position.head == self.head_at(position.generation, position.seq), "an acknowledgement of another journal"
        self._acked = position
