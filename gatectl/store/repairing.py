"""Makes a damaged journal whole: what the office holds is fetched back and proved by the chain, what it does not is set aside.

Rule 1: nothing is put into the journal that the chain does not prove: the fetched record, between its neighbours' heads, must
come to the head that was written here.
Rule 2: nothing is thrown away: what is taken out of the journal lies in `quarantine`, a damaged file beside the new one.
Rule 3: a loss is on record: the fact `journal.repaired` says what was taken out, and goes to the office like every fact.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection

from gatectl.domain.ids import Boot, Moment
from gatectl.domain.records.repairs import JournalRepaired
from gatectl.store import journal
from gatectl.store.checking import ROW, UNREADABLE, Damage, Lying, Report, What, check, lying, open_to_check
from gatectl.store.database import lenient, mark, open_database, set_mark, transaction
from gatectl.store.files import SYSTEM, Files
from gatectl.store.projection import rebuild
from gatectl.store.writer import StampedFact, put_group
from sync import chain
from sync.records import Record

LOST_CHARS_MAX: Final = 500
"""Of the list of lost records in the fact."""
_COLUMNS: Final = ("generation", "head", *(ROW.split(", ")[3:]))
_QUARANTINE: Final = "position, generation, seq, what, row, repaired_ms"

Fetch = Callable[[int, int], Record]
"""The office's record at (generation, seq). Raises CannotRepair when it cannot be had."""


class CannotRepair(RuntimeError):
    """Raised when a record that the office holds cannot be fetched or proved; nothing was changed."""


@dataclass(slots=True)
class Repaired:
    """What a repair did. `aside`: the damaged file, if a new one had to be made."""

    fetched: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    mirror: bool = False
    aside: Path | None = None


@dataclass(frozen=True, slots=True)
class Repairer:
    """`by` is the person, `now` the moment; `boot` is this run's own identity."""

    site: str
    fetch: Fetch
    by: str
    boot: Boot
    now: Moment
    files: Files = SYSTEM

    def repair(self, path: Path, report: Report) -> Repaired:
        """Everything in one transaction. The caller holds the state directory's lock. Raises CannotRepair."""
        done = Repaired()
        if report.pages:
            done.aside = salvage(path, self.now.wall_ms, self.files)
            report = check(path, self.site, self.files.vfs)
        connection = open_database(path, self.files.vfs)
        lenient(connection)
        try:
            with transaction(connection):
                self._in_transaction(connection, report, done)
        except BaseException:
            connection.close()
            if done.aside is not None:
                self.files.remove_database(path)
                self.files.move_database(done.aside, path)  # as it was
            raise
        connection.close()
        return done

    def _in_transaction(self, connection: Connection, report: Report, done: Repaired) -> None:
        for damage in report.damages:
            if damage.held:
                self._put_back(connection, damage, self.fetch(damage.generation, damage.seq))
                done.fetched.append(str(damage))
            elif damage.what is What.HEAD:
                done.heads.append(str(damage))  # its content proves itself by the record behind it: see _chained
            else:
                self._set_aside(connection, damage)
                done.lost.append(str(damage))
        self._prove(connection, report.damages)
        if done.heads or done.lost:
            self._chained_anew(connection, min((d.generation, d.seq) for d in report.damages if not d.held))
        if done.aside is not None or not (done.lost or report.set_aside):
            rebuild(connection)
            done.mirror = True
        if done.fetched or done.heads or done.lost:
            self._tell(connection, done)

    # -- records that the office holds -----------------------------------------------------------------------------------

    def _put_back(self, connection: Connection, damage: Damage, record: Record) -> None:
        """The head that was written here stays where it lies; where it is lost, it is calculated."""
        if record.seq != damage.seq:
            raise CannotRepair(f"the office answers {damage.generation}/{record.seq} where {damage} was asked for")
        lies = _at_position(connection, damage.position)
        head = chain.link(self._head_before(connection, damage), record.header(), record.body)
        if lies is not None and damage.what is What.CONTENT and lies.values != values(record):
            head = lies.head
        row = (damage.generation, head, *values(record))
        connection.exec_driver_sql("DELETE FROM journal WHERE position = ?", (damage.position,))
        connection.exec_driver_sql(
            f"INSERT INTO journal (position, {', '.join(_COLUMNS)}) VALUES ({', '.join('?' * (1 + len(_COLUMNS)))})",  # noqa: S608  # constants
            (damage.position, *row),
        )

    def _head_before(self, connection: Connection, damage: Damage) -> bytes:
        if damage.seq == 1:
            return chain.genesis(self.site, damage.generation)
        head = connection.exec_driver_sql(
            "SELECT head FROM journal WHERE generation = ? AND seq = ?", (damage.generation, damage.seq - 1)
        ).scalar_one_or_none()
        if not isinstance(head, bytes):
            raise CannotRepair(f"the record before {damage} has no head to prove it by")
        return head

    def _prove(self, connection: Connection, damages: Sequence[Damage]) -> None:
        """Every record that was fetched, and the one behind it, must come to the heads that were written here."""
        for damage in damages:
            if not damage.held:
                continue
            for seq in (damage.seq, damage.seq + 1):
                row = _at(connection, damage.generation, seq)
                if row is None:
                    continue
                before = self._head_before(connection, Damage(damage.generation, seq, 0, What.CONTENT, held=True))
                last = seq > damage.seq
                if row.after(before) != row.head and not (last and self._is_damaged(damages, damage.generation, seq)):
                    raise CannotRepair(f"the office's {damage} does not come to the head that was written here")

        generation, seq = (int(mark(connection, name) or 0) for name in ("acked_generation", "acked_seq"))
        row = _at(connection, generation, seq)
        stored = mark(connection, "acked_head")
        if any(damage.held for damage in damages) and row is not None and stored not in (None, row.head.hex()):
            raise CannotRepair(f"record {generation}/{seq} does not come to the head that the office acknowledged")

    def _is_damaged(self, damages: Sequence[Damage], generation: int, seq: int) -> bool:
        return any((damage.generation, damage.seq) == (generation, seq) for damage in damages)

    # -- records that nobody else holds -------------------------------------------------------------------------------------

    def _set_aside(self, connection: Connection, damage: Damage) -> None:
        lies = _at_position(connection, damage.position)
        connection.exec_driver_sql("DELETE FROM journal WHERE position = ?", (damage.position,))
        connection.exec_driver_sql(
            f"INSERT INTO quarantine ({_QUARANTINE}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608  # a constant
            (
                damage.position,
                damage.generation,
                damage.seq,
                damage.what.value,
                repr(lies).encode(),
                self.now.wall_ms,
            ),
        )

    def _chained_anew(self, connection: Connection, first: tuple[int, int]) -> None:
        """What the office has not acknowledged closes up: same ids, same bodies, new places and heads.

        It stays in its generation. Where the office holds more than it has acknowledged it will say that the histories have
        parted, and the uploader asks it for a new generation as after any other parting.
        """
        generation, seq = first
        rows = connection.exec_driver_sql(
            f"SELECT {ROW} FROM journal WHERE generation = ? AND seq >= ? ORDER BY seq",  # noqa: S608  # a constant
            (generation, seq),
        ).fetchall()
        head = self._head_before(connection, Damage(generation, seq, 0, What.CONTENT, held=False))
        for place, row in enumerate((Lying(raw[0], raw[1], raw[2], tuple(raw[3:])) for raw in rows), seq):
            record = Record(place, *row.values[1:])
            head = chain.link(head, record.header(), record.body)
            connection.exec_driver_sql(
                "UPDATE journal SET seq = ?, head = ? WHERE position = ?", (place, head, row.position)
            )

    def _tell(self, connection: Connection, done: Repaired) -> None:
        tip = journal.read_tip(connection, self.site)
        stamped = self.on_record(done)
        put_group(connection, tip, self.boot.boot_id, [stamped])
        connection.exec_driver_sql(  # behind what was set aside: the number of an event is never another's
            "UPDATE journal SET position = max(position, (SELECT coalesce(max(position), 0) + 1 FROM quarantine))"
            " WHERE fact_id = ?",
            (stamped.fact_id,),
        )

    def on_record(self, done: Repaired) -> StampedFact:
        """The fact of a repair, which is a run of its own."""
        lost = "; ".join(done.lost)[:LOST_CHARS_MAX]
        fact = JournalRepaired(self.by, len(done.fetched), len(done.heads), len(done.lost), lost)
        return StampedFact(f"{self.boot.boot_id}{1:08x}", self.now, fact)


def values(record: Record) -> tuple[Any, ...]:
    """As a row of the journal has them, behind its generation and head."""
    return (
        record.seq,
        record.fact_id,
        record.wall_ms,
        record.quality,
        record.boot_id,
        record.mono_ms,
        record.kind,
        record.version,
        record.body,
    )


def _at(connection: Connection, generation: int, seq: int) -> Lying | None:
    row = connection.exec_driver_sql(
        f"SELECT {ROW} FROM journal WHERE generation = ? AND seq = ?",  # noqa: S608  # a constant
        (generation, seq),
    ).fetchone()
    return Lying(row[0], row[1], row[2], tuple(row[3:])) if row is not None else None


def _at_position(connection: Connection, position: int) -> Lying | None:
    row = connection.exec_driver_sql(f"SELECT {ROW} FROM journal WHERE position = ?", (position,)).fetchone()  # noqa: S608  # a constant
    return Lying(row[0], row[1], row[2], tuple(row[3:])) if row is not None else None


# -- a file with damaged pages ----------------------------------------------------------------------------------------------


def salvage(path: Path, now_ms: int, files: Files = SYSTEM) -> Path:
    """Put everything that can be read into a new file in its place; returns where the damaged one lies now.

    Raises CannotRepair, with everything as it was, when no record can be read.
    """
    fresh_path, copy = path.with_name(f"{path.name}.repair"), path.with_name(f"{path.name}.copy")
    files.remove_database(fresh_path)
    fresh = open_database(fresh_path, files.vfs)
    try:
        files.copy_database(path, copy)
        _mend_schema(copy, fresh, files)
        with contextlib.closing(open_to_check(copy, files.vfs)) as old, transaction(fresh):
            _copy_tables(old, fresh)
        records = fresh.exec_driver_sql("SELECT count(*) FROM journal").scalar_one()
    finally:
        fresh.close()
        files.remove_database(copy)
    if not records:
        files.remove_database(fresh_path)
        raise CannotRepair(f"no record of {path} can be read: restore the newest backup")
    aside = path.with_name(f"{path.name}.damaged-{now_ms}")
    files.move_database(path, aside)
    files.move(fresh_path, path)
    return aside


def _mend_schema(copy: Path, fresh: Connection, files: Files) -> None:
    """The database's description of itself is known: where it cannot be read, ours is put in its place.

    Migrations make it in one order, so what has lost its very name is known by its place.
    """
    known = fresh.exec_driver_sql(
        "SELECT sql, type, name, tbl_name, rowid FROM sqlite_master WHERE sql IS NOT NULL"
    ).fetchall()
    where = f"file:{quote(str(copy))}{f'?vfs={files.vfs}' if files.vfs else ''}"
    with contextlib.suppress(*UNREADABLE), contextlib.closing(sqlite3.connect(where, uri=True)) as raw:
        raw.execute("PRAGMA writable_schema=ON")
        raw.text_factory = bytes
        with raw:
            raw.executemany(
                "UPDATE sqlite_master SET sql = ? WHERE type = ? AND name = ?", [tuple(row)[:3] for row in known]
            )
            named = {(row.type.encode(), row.name.encode()) for row in known}
            nameless = [
                row for row, *it in raw.execute("SELECT rowid, type, name FROM sqlite_master") if tuple(it) not in named
            ]
            ours = [tuple(row) for row in known if row.rowid in nameless]
            raw.executemany("UPDATE sqlite_master SET sql = ?, type = ?, name = ?, tbl_name = ? WHERE rowid = ?", ours)


def _copy_tables(old: sqlite3.Connection, fresh: Connection) -> None:
    old.execute("PRAGMA writable_schema=ON")  # one table that cannot be described does not hide the others
    old.text_factory = bytes  # as it lies
    for row in lying(old):
        text = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in row.values[:-1]]
        values = (row.position, row.generation, row.head, *text, row.values[-1])
        with contextlib.suppress(Exception):  # a row that fits no column is as good as missing
            fresh.exec_driver_sql(f"INSERT INTO journal ({ROW}) VALUES ({', '.join('?' * 12)})", values)  # noqa: S608  # constants
    with contextlib.suppress(*UNREADABLE):
        for name, value in old.execute("SELECT name, value FROM marks WHERE name NOT LIKE 'feed%'"):
            set_mark(fresh, name.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
    with contextlib.suppress(Exception):  # without its cursor the office sends all of it again; until then this serves
        for kind, key, seq, body in old.execute("SELECT kind, key, seq, body FROM feed"):
            fresh.exec_driver_sql(
                "INSERT OR REPLACE INTO feed (kind, key, seq, body) VALUES (?, ?, ?, ?)",
                (kind.decode(), key.decode(), seq, body.decode()),
            )
    with contextlib.suppress(*UNREADABLE):
        for row in old.execute(f"SELECT {_QUARANTINE} FROM quarantine"):  # noqa: S608  # a constant
            values = (*row[:3], row[3].decode("utf-8", "replace"), *row[4:])
            fresh.exec_driver_sql(f"INSERT INTO quarantine ({_QUARANTINE}) VALUES (?, ?, ?, ?, ?, ?)", values)  # noqa: S608  # a constant
    newest = fresh.exec_driver_sql("SELECT max(generation) FROM journal").scalar()
    if mark(fresh, "generation") is None and newest is not None:
        set_mark(fresh, "generation", str(newest))
