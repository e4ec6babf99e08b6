"""The site's disk with the production store on it: SQLite in WAL mode, the writer's transaction, the loading of a start.

Rule 1: what runs here is gatectl.store, unchanged, over a simulated platter; only the threads are missing.
Rule 2: a power cut comes at an operation drawn by the seed, inside the commit or right behind it, and tears what was not synced.
Rule 3: every transaction is whole after a cut, or not there at all: held here after each.
"""

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from gatectl.domain import codec
from gatectl.domain.books import Books
from gatectl.domain.facts import Fact
from gatectl.domain.plan import SitePlan
from gatectl.store.checking import ROW, Report, check
from gatectl.store.database import DATABASE_NAME, StoreRefused, begin_run, open_database, open_read_only, transaction
from gatectl.store.journal import Tip, last_recorded, read_tip
from gatectl.store.loading import load_books
from gatectl.store.repairing import Repaired, Repairer
from gatectl.store.starting import begin
from gatectl.store.syncing import SyncJournal, renumber, set_acked
from gatectl.store.writer import StampedFact, write_group
from gatectl.world import vfs
from gatectl.world.disk import DiskFailed, Stamped, Wound
from gatectl.world.ledger import hold
from gatectl.world.platter import File, Platter
from sync import chain
from sync.ports import Position
from sync.records import Record

CHECKED_RUNS: Final = 8
"""Where no bit has flipped every so manyth start checks the journal as all of them do; it takes longer than all the rest."""
OPERATIONS_TORN_MAX: Final = 12
"""A commit takes about so many operations of the disk; the power goes at one of them, or at the sync at the latest."""
_numbers = itertools.count(1)


@dataclass(slots=True)
class StoreDisk:
    """Satisfies gatectl.world.disk.SiteDisk."""

    plan: SitePlan
    witness: Callable[[Fact], None]
    rng: Random
    platter: Platter = field(init=False)
    _folder: str = field(init=False)
    _connection: Connection | None = None
    _tip: Tip = field(init=False)
    _reader: SyncJournal = field(init=False)
    _runs: int = 0
    _refused: str = ""
    """The trouble in which the last start failed."""
    _seen: int = 0
    """Position of the newest record that was witnessed."""
    wounded: bool = False
    told: str = ""
    _checked: tuple[int, int, bytes] = field(init=False)
    """Generation, seq and head up to which the chain was calculated again."""

    def __post_init__(self) -> None:
        self.platter = Platter(self.rng)
        self._checked = (1, 0, chain.genesis(self.plan.site, 1))
        self._attach()
        self._open()
        self.stop()

    # -- the process ---------------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> str:
        return self.platter.trouble

    @trouble.setter
    def trouble(self, trouble: str) -> None:
        self.platter.trouble = trouble

    @property
    def _path(self) -> Path:
        return Path(self._folder) / DATABASE_NAME

    def _attach(self) -> None:
        """Each life of the machine has a folder of its own: what an earlier one left open reaches nothing."""
        self._folder = vfs.attach(f"disk-{next(_numbers)}", self.platter)
        self._reader = SyncJournal(self._path, self.plan.site, vfs.NAME)

    def _open(self) -> Connection:
        """As gatectl.app opens it, up to the mark of a start. Raises DiskFailed."""
        assert self._connection is None
        with _named():
            self._connection = connection = open_database(self._path, vfs.NAME)
            with transaction(connection):
                self._tip = read_tip(connection, self.plan.site)
            self._runs += 1
            begin_run(connection, f"run {self._runs}")
        return connection

    def load(self) -> Books:
        if self.trouble and self.trouble == self._refused:
            raise DiskFailed(self.trouble)  # nothing has changed since the last start
        self._refused = self.trouble
        connection = self._open()
        self._refused = ""
        with _named():
            if not self.wounded and self._runs % CHECKED_RUNS:
                return load_books(connection, self.plan)
            with capture_logs() as said:
                start = begin(connection, self._path, self.plan, vfs.NAME)
        self.told = start.damaged or next((line["event"] for line in said), "")
        return start.books

    def stop(self) -> None:
        if self._connection is not None:
            self._close()
            self._witness_the_rest()

    def _close(self) -> None:
        self._renew_reader()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _renew_reader(self) -> None:
        self._reader.close()
        self._reader = SyncJournal(self._path, self.plan.site, vfs.NAME)

    def close(self) -> None:
        self._close()
        vfs.detach(self._folder)

    def cut(self, facts: Sequence[Stamped], *, torn: bool) -> None:
        """The power goes at an operation before the commit is synced (`torn`), or at one behind it."""
        before, trouble = self._seen, self.platter.trouble
        if facts and self._connection is not None and not trouble:
            self.platter.power = _Fuse(torn, self.rng.randrange(OPERATIONS_TORN_MAX)).holds
            with contextlib.suppress(DBAPIError, sqlite3.Error):
                self._write(self._connection, facts)
        self.platter.power_cut()
        vfs.detach(self._folder)
        self._close()
        self._attach()
        kept = self._witness_the_rest()
        whole = before if torn or trouble else before + len(facts)
        hold(kept == whole, "a commit is whole or not there", f"{kept} records where {whole} were promised")

    # -- the writer ------------------------------------------------------------------------------------------------------

    def append(self, facts: Sequence[Stamped]) -> None:
        assert self._connection is not None
        with _named():
            self._write(self._connection, facts)
        self._seen = self._tip.position
        for stamped in facts:
            self.witness(stamped.fact)

    def _write(self, connection: Connection, facts: Sequence[Stamped]) -> None:
        group = [StampedFact(stamped.fact_id, stamped.at, stamped.fact) for stamped in facts]
        self._tip = write_group(connection, self._tip, facts[0].boot_id, group)

    def acknowledge(self, generation: int, seq: int, head: bytes) -> None:
        assert head == self.head_at(generation, seq), "an acknowledgement of another journal"
        assert self._connection is not None
        with _named(), transaction(self._connection):
            set_acked(self._connection, generation, seq, head)

    def begin_generation(self, generation: int, reason: str) -> None:  # the reason is the office's to keep
        assert self._connection is not None
        acked = self._reader.acked()
        with _named():
            with transaction(self._connection):
                renumber(self._connection, self.plan.site, generation, acked)
            self._tip = read_tip(self._connection, self.plan.site)

    # -- whoever looks ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _look(self) -> Iterator[Connection]:
        """As it is now, beside the daemon or without one."""
        if self._connection is not None:
            yield self._connection
            return
        with self._seeing():
            connection = open_read_only(self._path, vfs.NAME)
            try:
                yield connection
            finally:
                connection.close()

    @contextlib.contextmanager
    def _seeing(self) -> Iterator[SyncJournal]:
        """Whoever looks from outside is in no trouble."""
        if self._connection is not None:
            yield self._reader
            return
        trouble, self.trouble = self.trouble, ""
        try:
            yield self._reader
        finally:
            self._renew_reader()
            self.trouble = trouble

    @property
    def last_wall_ms(self) -> int | None:
        with self._look() as connection:
            return last_recorded(connection)

    def mirror(self) -> Books:
        with self._look() as connection:
            self._check(connection)
            return load_books(connection, self.plan)

    def _check(self, connection: Connection) -> None:
        """I3: within a generation no seq is missing and every head follows from the one before. New records only."""
        rows = connection.exec_driver_sql(
            "SELECT generation, head, seq, fact_id, wall_ms, quality, boot_id, mono_ms, kind, version, body FROM journal"
            " WHERE generation > ? OR (generation = ? AND seq > ?) ORDER BY generation, seq",
            (self._checked[0], self._checked[0], self._checked[1]),
        )
        for row_generation, stored, *rest in rows:
            generation, seq, head = self._checked
            if row_generation != generation:
                generation, seq, head = row_generation, 0, chain.genesis(self.plan.site, row_generation)
            record = Record(*rest)
            hold(record.seq == seq + 1, "seq has no gap in a generation", f"{generation}/{record.seq}")
            head = chain.link(head, record.header(), record.body)
            hold(head == stored, "the chain of the journal holds", f"{generation}/{record.seq}")
            self._checked = (generation, record.seq, head)

    def _witness_the_rest(self) -> int:
        """What a commit left on the disk although it said no, or although nobody was there to hear yes; how much there is."""
        with self._look() as connection:
            rows = connection.exec_driver_sql(
                "SELECT position, kind, version, body FROM journal WHERE position > ? ORDER BY position", (self._seen,)
            ).fetchall()
            last = read_tip(connection, self.plan.site).position
        for position, kind, version, body in rows:
            self._seen = position
            self.witness(codec.decode(kind, version, body))
        return last

    def position(self) -> Position:
        with self._seeing() as reader:
            return reader.position()

    def acked(self) -> Position:
        with self._seeing() as reader:
            return reader.acked()

    @property
    def unacknowledged(self) -> int:
        acked = self.acked()
        with self._look() as connection:
            waiting: int = connection.exec_driver_sql(
                "SELECT count(*) FROM journal WHERE generation > ? OR (generation = ? AND seq > ?)",
                (acked.generation, acked.generation, acked.seq),
            ).scalar_one()
        return waiting

    def read(self, generation: int, after_seq: int, limit_records: int, limit_bytes: int) -> list[Record]:
        with self._seeing() as reader:
            return reader.read(generation, after_seq, limit_records, limit_bytes)

    def head_at(self, generation: int, seq: int) -> bytes | None:
        with self._seeing() as reader:
            return reader.head_at(generation, seq)

    def before(self, generation: int) -> Position | None:
        with self._seeing() as reader:
            return reader.before(generation)

    # -- bits that flip ----------------------------------------------------------------------------------------------------

    def flip(self, back: int, bit: int) -> Wound | None:
        """What is on the platter and in everybody's memory of it: a body of other bytes."""
        self.mirror()  # looks at every chain, for the last time before
        with self._seeing(), contextlib.closing(sqlite3.connect(self._address, uri=True)) as raw, raw:
            raw.execute("PRAGMA wal_autocheckpoint=0")
            row = raw.execute(
                f"SELECT {ROW} FROM journal WHERE position <= ? ORDER BY position DESC LIMIT 1 OFFSET ?",  # noqa: S608  # a constant
                (self._seen, back),
            ).fetchone()
            if row is None:
                return None
            body = bytearray(row[-1])
            body[bit // 8 % len(body)] ^= 1 << bit % 8
            raw.execute("UPDATE journal SET body = ? WHERE position = ?", (bytes(body), row[0]))
        self.wounded = True
        return Wound(Record(*row[3:]))

    @property
    def _address(self) -> str:
        return f"file:{self._path}?vfs={vfs.NAME}"

    def check(self) -> Report:
        with self._seeing():
            return check(self._path, self.plan.site, vfs.NAME)

    def repair(self, repairer: Repairer, report: Report) -> Repaired:
        self._close()
        done = replace(repairer, files=vfs.PlatterFiles(vfs.NAME)).repair(self._path, report)
        self._renew_reader()
        self.wounded, self.told = False, ""
        self._checked = (1, 0, chain.genesis(self.plan.site, 1))
        self._witness_the_rest()
        return done

    # -- backups -----------------------------------------------------------------------------------------------------------

    def snapshot(self) -> tuple[Platter, int]:
        return self.platter.copy(), self._seen

    def restore(self, backup: tuple[Platter, int]) -> None:
        vfs.detach(self._folder)
        self._close()
        trouble, self.platter = self.trouble, backup[0].copy()
        self.trouble = trouble
        self._seen = backup[1]
        self._checked = (1, 0, chain.genesis(self.plan.site, 1))
        self._attach()

    def clone(self) -> "StoreDisk":
        made = StoreDisk(self.plan, lambda _: None, Random(self.rng.getrandbits(64)))  # noqa: S311  # one seed is one run
        made.restore(self.snapshot())
        return made


@dataclass(slots=True)
class _Fuse:
    """Lets the power go: some operations after it is armed and before the commit's sync (`torn`), or so many behind that."""

    torn: bool
    operations: int
    committed: bool = False

    def holds(self, what: str, file: File | None) -> bool:
        syncs = what == "sync" and file is not None and file.commits
        if self.torn:
            self.operations -= 1
            return self.operations >= 0 and not syncs
        if not self.committed:
            self.committed = syncs
            return True
        self.operations -= 1
        return self.operations >= 0


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """What the disk refuses, by the world's name for it."""
    try:
        yield
    except (DBAPIError, StoreRefused) as error:
        raise DiskFailed(str(error)) from error
