"""The site's disk in memory: the journal with its chain, and the books that a start would load from it.

Rule 1: what is not appended here never happened, whatever the running site believes.
Rule 2: a start reads back bytes: every fact is decoded again from what was encoded, and every head is calculated again.
Rule 3: another disk may stand in for this one: `SiteDisk` is what the world asks of it.
Rule 4: a disk in trouble refuses every write, and every start, which must write; who is refused stops. Only the sync of a
commit can fail late: then what it said no to is there all the same.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Protocol

from gatectl.domain import codec
from gatectl.domain.books import Books
from gatectl.domain.facts import Fact
from gatectl.domain.ids import Moment
from gatectl.domain.plan import SitePlan
from gatectl.domain.spots import SpotIndex
from gatectl.store.checking import Damage, Lying, Report, walk
from gatectl.store.repairing import CannotRepair, Repaired, Repairer, values
from gatectl.store.starting import CHECKED_MAX, told
from gatectl.world.ledger import hold
from sync import chain
from sync.ports import JournalDamaged, Position
from sync.records import Record

TROUBLES: Final = ("full", "error", "late-error", "read-only")
KEPT_MAX: Final = 50_000
"""Records kept after they were acknowledged and folded; older ones are pruned."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """A fact with its id and moment, on its way to the disk."""

    fact_id: str
    boot_id: str
    at: Moment
    fact: Fact


class DiskFailed(Exception):  # it names a state of the disk, not a fault of the call
    """Raised by a commit or a start that the disk refuses; the process that asked for it must stop."""


@dataclass(frozen=True, slots=True)
class Wound:
    """A record of which a bit has flipped where it lies; `record` is as it was written."""

    record: Record

    @property
    def fact(self) -> Fact:
        return codec.decode(self.record.kind, self.record.version, self.record.body)


class SiteDisk(Protocol):
    """Satisfies sync.ports.JournalReader, and of SyncStore what the uploader needs. Every write may raise DiskFailed."""

    plan: SitePlan
    trouble: str
    """One of TROUBLES, or empty."""
    wounded: bool
    """Whether a bit has flipped since the last repair."""
    told: str
    """What the newest start said of the journal; empty when it found nothing wrong."""

    @property
    def last_wall_ms(self) -> int | None:
        """Time of the newest record; None on a new disk."""
        ...

    def append(self, facts: Sequence[Stamped]) -> None:
        """One transaction; `witness` sees each fact as it becomes durable."""
        ...

    def stop(self) -> None:
        """The process has ended, in whatever way; the machine runs on."""
        ...

    def cut(self, facts: Sequence[Stamped], *, torn: bool) -> None:
        """The power goes while `facts` are being committed. `torn`: before that is durable; else just behind."""
        ...

    def load(self) -> Books:
        """Books of their own for a start."""
        ...

    def mirror(self) -> Books:
        """The books by what is on the disk now; not to be changed. Raises Broken when the journal is not whole."""
        ...

    def position(self) -> Position: ...
    def acked(self) -> Position: ...
    @property
    def unacknowledged(self) -> int: ...
    def read(self, generation: int, after_seq: int, limit_records: int, limit_bytes: int) -> list[Record]: ...
    def head_at(self, generation: int, seq: int) -> bytes | None: ...
    def before(self, generation: int) -> Position | None: ...
    def acknowledge(self, generation: int, seq: int, head: bytes) -> None: ...
    def begin_generation(self, generation: int, reason: str) -> None: ...
    def flip(self, back: int, bit: int) -> Wound | None:
        """One bit of a stored body flips, `back` records before the newest; None where there is none."""
        ...

    def check(self) -> Report:
        """As `gatectl journal check`, beside the daemon or without one."""
        ...

    def repair(self, repairer: Repairer, report: Report) -> Repaired:
        """As `gatectl journal repair --set-aside`. Nobody has it open. Raises CannotRepair, with everything as it was."""
        ...

    def snapshot(self) -> Any:
        """A backup, of use to `restore` alone."""
        ...

    def restore(self, backup: Any) -> None:
        """The disk is what it was then. Nobody has it open: the power is off."""
        ...

    def clone(self) -> "SiteDisk":
        """A second disk with the same content; nobody witnesses what is written to it."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...


def new_books(plan: SitePlan) -> Books:
    return Books(SpotIndex(plan.spots, plan.compatible, plan.rules), {lane.lane: lane.area for lane in plan.lanes})


def copied(books: Books, plan: SitePlan) -> Books:
    """Books of their own with the same content: their values are frozen, their containers and their spots are not."""
    made = new_books(plan)
    for part in fields(Books):
        value = getattr(books, part.name)
        if part.name != "spots":
            setattr(made, part.name, copy.copy(value))
    made.place_all()
    return made


@dataclass(frozen=True, slots=True)
class Row:
    """One record where it lies: its generation, and the chain's head after it."""

    generation: int
    record: Record
    head: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A backup: everything that a disk held at one moment. Whatever is done to the disk since, it stays as it is."""

    rows: tuple[Row, ...]
    pruned: int
    befores: tuple[tuple[int, int], ...]
    tip: Position
    acked: Position
    folded: int
    checked: int
    mirror: Books
    last_wall_ms: int | None


@dataclass(slots=True)
class Disk:
    """Satisfies SiteDisk."""

    plan: SitePlan
    witness: Callable[[Fact], None]
    last_wall_ms: int | None = None
    trouble: str = ""
    wounded: bool = False
    told: str = ""
    _rows: list[Row] = field(default_factory=list)
    _pruned: int = 0
    _befores: dict[int, int] = field(default_factory=lambda: {1: 0})
    """Generation to how many rows were ever written before its first one."""
    _tip: Position = field(init=False)
    _acked: Position = field(init=False)
    _folded: int = 0
    """So many of all rows ever written are in the mirror; so many have been found to hold their chain (`_checked`)."""
    _checked: int = 0
    _mirror: Books = field(init=False)

    def __post_init__(self) -> None:
        self._tip = self._acked = Position(1, 0, chain.genesis(self.plan.site, 1))
        self._mirror = new_books(self.plan)

    def append(self, facts: Sequence[Stamped]) -> None:
        """One transaction."""
        self._refuse()
        generation, seq, head = self._tip.generation, self._tip.seq, self._tip.head
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
            self._rows.append(Row(generation, record, head))
            self.last_wall_ms = at.wall_ms
        self._tip = Position(generation, seq, head)
        for stamped in facts:
            self.witness(stamped.fact)
        self._refuse_late()

    def _refuse(self) -> None:
        if self.trouble and self.trouble != "late-error":
            raise DiskFailed(self.trouble)

    def _refuse_late(self) -> None:
        if self.trouble:
            raise DiskFailed(self.trouble)

    def stop(self) -> None:
        """What is in memory here is the disk."""

    def cut(self, facts: Sequence[Stamped], *, torn: bool) -> None:
        if facts and not torn and not self.trouble:
            self.append(facts)

    # -- what a start loads ------------------------------------------------------------------------------------------

    def mirror(self) -> Books:
        """The books by everything that is on the disk, read back from bytes. Holds that the chain does."""
        begin = min(self._folded, self._checked)
        before = self._rows[begin - self._pruned - 1] if begin > self._pruned else None
        for number, row in enumerate(self._rows[begin - self._pruned :], begin + 1):
            if number > self._checked:
                self._check(row, before)
                self._checked = number
            if number > self._folded:
                self._mirror.fold(codec.decode(row.record.kind, row.record.version, row.record.body))
                self._folded = number
            before = row
        self._prune()
        return self._mirror

    def _check(self, row: Row, before: Row | None) -> None:
        """I3: within a generation no seq is missing and every head follows from the one before."""
        if before is None or before.generation != row.generation:
            seq, head = 0, chain.genesis(self.plan.site, row.generation)
        else:
            seq, head = before.record.seq, before.head
        hold(row.record.seq == seq + 1, "seq has no gap in a generation", (row.generation, row.record.seq))
        linked = chain.link(head, row.record.header(), row.record.body)
        hold(linked == row.head, "the chain of the journal holds", (row.generation, row.record.seq))

    def load(self) -> Books:
        """Books of their own for a start, which says whether the newest records hold their chain."""
        self._refuse_late()
        self.told = told(list(self._damages(CHECKED_MAX))) if self.wounded else ""
        return copied(self.mirror(), self.plan)

    def _prune(self) -> None:
        """Acknowledged and folded records, but for the newest KEPT_MAX; at least one stays, to go on from."""
        acked = self._start(self._acked.generation) + self._acked.seq
        spare = min(acked, self._folded, self._checked) - self._pruned - KEPT_MAX
        if spare > KEPT_MAX:
            del self._rows[:spare]
            self._pruned += spare

    # -- what the uploader reads and writes ----------------------------------------------------------------------------

    def position(self) -> Position:
        return self._tip

    def acked(self) -> Position:
        return self._acked

    @property
    def unacknowledged(self) -> int:
        """How many records the office has not acknowledged, whatever their generation."""
        acked, tip = self._acked, self._tip
        return self._befores[tip.generation] + tip.seq - self._start(acked.generation) - acked.seq

    def read(self, generation: int, after_seq: int, limit_records: int, limit_bytes: int) -> list[Record]:
        if generation not in self._befores:
            return []
        found: list[Record] = []
        size = 0
        first = max(0, self._befores[generation] + after_seq - self._pruned)
        for row in self._rows[first : first + limit_records]:
            size += len(row.record.to_line()) + 1
            if row.generation != generation or (found and size > limit_bytes):
                break
            found.append(row.record)
        return found

    def head_at(self, generation: int, seq: int) -> bytes | None:
        at = self._befores.get(generation, self._pruned) + seq - self._pruned
        if at < 0:
            return None
        if seq == 0:
            return chain.genesis(self.plan.site, generation)
        row = self._rows[at - 1] if generation in self._befores and 0 < at <= len(self._rows) else None
        return row.head if row is not None and row.generation == generation else None

    def before(self, generation: int) -> Position | None:
        at = self._start(generation) - self._pruned
        row = self._rows[at - 1] if 0 < at <= len(self._rows) else None
        return None if row is None else Position(row.generation, row.record.seq, row.head)

    def _start(self, generation: int) -> int:
        """How many rows were ever written before the first of a generation, or of the next one that there is."""
        later = [at for known, at in self._befores.items() if known >= generation]
        return min(later, default=self._befores[self._tip.generation] + self._tip.seq)

    def acknowledge(self, generation: int, seq: int, head: bytes) -> None:
        assert head == self.head_at(generation, seq), "an acknowledgement of another journal"
        if Position(generation, seq, head) == self._acked:
            return  # nothing to write
        self._refuse()
        self._acked = Position(generation, seq, head)
        self._refuse_late()

    def begin_generation(self, generation: int, reason: str) -> None:  # the reason is the office's to keep
        """Everything that is not acknowledged gets a place in `generation`, in order, with its old ids and bytes."""
        assert generation > self._tip.generation, f"generation {generation} after {self._tip.generation}"
        for damage in self._damages(len(self._rows)) if self.wounded else ():
            if (damage.generation, damage.seq) > (self._acked.generation, self._acked.seq):
                raise JournalDamaged(f"record {damage.generation}/{damage.seq}")
        self._refuse()
        before = self._start(self._acked.generation) + self._acked.seq
        kept = before - self._pruned
        head = chain.genesis(self.plan.site, generation)
        moved = self._rows[kept:]
        del self._rows[kept:]
        for seq, row in enumerate(moved, 1):
            record = row.record.moved(seq)
            head = chain.link(head, record.header(), record.body)
            self._rows.append(Row(generation, record, head))
        self._befores = {old: at for old, at in self._befores.items() if old <= self._acked.generation}
        self._befores[generation] = before
        self._tip = Position(generation, len(moved), head)
        self._acked = Position(generation, 0, chain.genesis(self.plan.site, generation))
        self._checked = min(self._checked, before)
        self._refuse_late()

    # -- bits that flip ------------------------------------------------------------------------------------------------

    def flip(self, back: int, bit: int) -> Wound | None:
        self.mirror()  # was made when the record was whole
        at = len(self._rows) - 1 - back
        if at < 0:
            return None
        row = self._rows[at]
        body = bytearray(row.record.body)
        body[bit // 8 % len(body)] ^= 1 << bit % 8
        self._rows[at] = replace(row, record=replace(row.record, body=bytes(body)))
        self.wounded = True
        return Wound(row.record)

    def _damages(self, newest: int) -> Iterator[Damage]:
        first = max(0, len(self._rows) - newest)
        rows = (
            Lying(self._pruned + at, row.generation, row.head, values(row.record))
            for at, row in enumerate(self._rows[first:], first + 1)
        )
        held = (self._acked.generation, self._acked.seq)
        return walk(rows, self.plan.site, held, whole=first + self._pruned == 0)

    def check(self) -> Report:
        return Report(len(self._rows), (), tuple(self._damages(len(self._rows))), (), 0)

    def repair(self, repairer: Repairer, report: Report) -> Repaired:
        done, kept = Repaired(), list(self._rows)
        for damage in reversed(report.damages):
            at = damage.position - self._pruned - 1
            if damage.held:
                kept[at] = self._put_back(kept[at], at, repairer.fetch(damage.generation, damage.seq))
                done.fetched.insert(0, str(damage))
            else:
                self._close_up(kept, at)
                done.lost.insert(0, str(damage))
        self._rows, self.wounded, self.told = kept, False, ""
        self._folded -= len(done.lost)
        self._checked = self._pruned + (self._pruned > 0)
        newest = kept[-1] if kept else None
        if newest is not None and newest.generation == self._tip.generation:
            self._tip = Position(newest.generation, newest.record.seq, newest.head)
        else:
            self._tip = Position(self._tip.generation, 0, chain.genesis(self.plan.site, self._tip.generation))
        stamped = repairer.on_record(done)
        self.append([Stamped(stamped.fact_id, repairer.boot.boot_id, stamped.moment, stamped.fact)])
        return done

    def _put_back(self, row: Row, at: int, record: Record) -> Row:
        if at == 0 and self._pruned:
            raise CannotRepair("the record before it is gone")
        before = self._rows[at - 1] if at else None
        first = before is None or before.generation != row.generation
        head = chain.genesis(self.plan.site, row.generation) if before is None or first else before.head
        if chain.link(head, record.header(), record.body) != row.head:
            raise CannotRepair("it does not come to the head that was written here")
        return replace(row, record=record)

    def _close_up(self, rows: list[Row], at: int) -> None:
        """A record is taken out; those behind it in its generation, all that is left, get new places and heads."""
        gone = rows.pop(at)
        seq = gone.record.seq
        head = rows[at - 1].head if seq > 1 else chain.genesis(self.plan.site, gone.generation)
        for n, row in enumerate(rows[at:], at):
            if row.generation != gone.generation:
                break
            record = row.record.moved(seq)
            head = chain.link(head, record.header(), record.body)
            rows[n] = Row(row.generation, record, head)
            seq += 1
        for generation, before in self._befores.items():
            if before > at + self._pruned:
                self._befores[generation] = before - 1

    # -- backups -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """A backup of this moment."""
        return Snapshot(
            tuple(self._rows),
            self._pruned,
            tuple(self._befores.items()),
            self._tip,
            self._acked,
            self._folded,
            self._checked,
            copied(self._mirror, self.plan),
            self.last_wall_ms,
        )

    def restore(self, backup: Snapshot) -> None:
        """The disk is what it was then. Nobody has it open: the power is off."""
        self._rows, self._pruned, self._befores = list(backup.rows), backup.pruned, dict(backup.befores)
        self._tip, self._acked = backup.tip, backup.acked
        self._folded, self._checked = backup.folded, backup.checked
        self._mirror, self.last_wall_ms = copied(backup.mirror, self.plan), backup.last_wall_ms

    def clone(self) -> "Disk":
        """A second disk with the same content; nobody witnesses what is written to it."""
        made = Disk(self.plan, lambda _: None)
        made.restore(self.snapshot())
        return made

    def close(self) -> None:
        """There is nothing to close."""
