"""Is the journal what was written, and the mirror what the journal says? Read-only, on the standard library alone.

A damaged record is found by its chain, a missing one by the gap in the positions, a damaged page by SQLite's own check, a
damaged row of the mirror by making the mirror again beside it.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from gatectl.domain import codec
from gatectl.store.database import BUSY_MS_MAX, migrations
from gatectl.store.journal import MENTION, mentions
from gatectl.store.projection import MIRROR_TABLES, statements
from sync import chain
from sync.records import Record

DAMAGES_TOLD_MAX: Final = 100
"""Damaged records and rows that a report lists; the rest is counted."""
UNREADABLE_MAX: Final = 10_000
"""Positions in a row that cannot be read; then what follows is given up."""
UNREADABLE: Final = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a damaged file raises; the second where SQLite's own message quotes bytes that are no text any more."""
ROW: Final = "position, generation, head, seq, fact_id, wall_ms, quality, boot_id, mono_ms, kind, version, body"


class What(StrEnum):
    """What is wrong at a place of the journal."""

    CONTENT = "content"  # the record is not what its head was calculated from
    HEAD = "head"  # the record is whole, its head is not
    MISSING = "missing"  # no record lies there, or none that can be read


@dataclass(frozen=True, slots=True)
class Damage:
    """`held`: the office has acknowledged this record, so it can be fetched. `position` is where it lies or lay."""

    generation: int
    seq: int
    position: int
    what: What
    held: bool

    def __str__(self) -> str:
        return (
            f"record {self.generation}/{self.seq} ({self.what}; {'the office holds it' if self.held else 'only here'})"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """`pages`: what SQLite says of the file. `mirror`: rows that are not what the journal says, as "table key"."""

    records: int
    pages: tuple[str, ...]
    damages: tuple[Damage, ...]
    mirror: tuple[str, ...]
    set_aside: int
    """Records that earlier repairs took out; the mirror may know more than the journal then, and is not compared."""

    @property
    def ok(self) -> bool:
        return not (self.pages or self.damages or self.mirror)


@dataclass(frozen=True, slots=True)
class Lying:
    """A journal row as it lies on the disk: its values may be anything."""

    position: int
    generation: Any
    head: Any
    values: tuple[Any, ...]

    @property
    def seq(self) -> Any:
        return self.values[0]

    def after(self, head: bytes) -> bytes | None:
        """The chain's head behind this record; None when it is no record at all."""
        try:
            record = Record(*self.values)
            return chain.link(head, record.header(), record.body)
        except Exception:  # noqa: BLE001  # a flipped bit makes any value of any type
            return None


class _Damaged(sqlite3.Connection):
    """For a file whose own description may be damaged: SQLite quotes a name in its message that is no text any more."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        try:
            return super().execute(sql, parameters)
        except UnicodeDecodeError as error:
            raise sqlite3.DatabaseError("a name in the file is damaged") from error


def open_to_check(path: Path, vfs: str | None = None) -> sqlite3.Connection:
    """Read-only, beside a daemon or without one. Text that is no text any more reads with replacement characters.

    `vfs` is SQLite's name for the layer below it, if that is not the system.
    """
    where = f"file:{quote(str(path))}?mode=ro{f'&vfs={vfs}' if vfs else ''}"
    db = sqlite3.connect(where, uri=True, timeout=BUSY_MS_MAX / 1000, isolation_level=None, factory=_Damaged)
    db.execute("PRAGMA query_only=ON")
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return db


def check(path: Path, site: str, vfs: str | None = None) -> Report:
    """Everything. Raises sqlite3.Error when the file cannot be opened at all."""
    with closing(open_to_check(path, vfs)) as db:
        db.execute("BEGIN")
        pages = _pages(db)
        rows = list(lying(db))
        damages = tuple(walk(rows, site, acked(db), positions_set_aside(db)))
        set_aside = len(positions_set_aside(db))
        older = db.execute("PRAGMA user_version").fetchone()[0] != migrations()[-1][0]
        broken = bool(pages or damages or set_aside or older)
        mirror = () if broken else tuple(_mirror(db, rows))
    return Report(len(rows), pages, damages, mirror[:DAMAGES_TOLD_MAX], set_aside)


def check_newest(db: sqlite3.Connection, site: str, records: int) -> list[Damage]:
    """The chain of the newest records only: what a start can afford."""
    newest = db.execute("SELECT coalesce(max(position), 0) FROM journal").fetchone()[0]
    rows = lying(db, after=max(0, newest - records))
    return list(walk(rows, site, acked(db), positions_set_aside(db), whole=newest <= records))


def mirror_differs(db: sqlite3.Connection, records_max: int) -> list[str]:
    """The mirror's rows that are not what the journal says; none are looked for where the journal is longer, or not all there."""
    if db.execute("SELECT count(*) FROM journal").fetchone()[0] > records_max or positions_set_aside(db):
        return []
    return list(_mirror(db, list(lying(db))))


def _pages(db: sqlite3.Connection) -> tuple[str, ...]:
    try:
        told = [str(row[0]) for row in db.execute("PRAGMA integrity_check(10)")]
    except UNREADABLE as error:
        told = [str(error)]
    return () if told == ["ok"] else tuple(told)


def acked(db: sqlite3.Connection) -> tuple[int, int]:
    """(generation, seq) up to which the office holds the journal; (0, 0) when that cannot be read."""
    try:
        marks = dict(db.execute("SELECT name, value FROM marks"))
        return int(marks.get("acked_generation", 0)), int(marks.get("acked_seq", 0))
    except (*UNREADABLE, ValueError):
        return 0, 0


def positions_set_aside(db: sqlite3.Connection) -> frozenset[int]:
    try:
        return frozenset(position for (position,) in db.execute("SELECT position FROM quarantine"))
    except UNREADABLE:  # unreadable, or of a schema before it
        return frozenset()


def lying(db: sqlite3.Connection, after: int = 0) -> Iterator[Lying]:
    """The journal's rows by position, as far as they can be read: a damaged page is stepped over."""
    position, unreadable = after, 0
    while unreadable < UNREADABLE_MAX:
        try:
            for row in db.execute(f"SELECT {ROW} FROM journal WHERE position > ? ORDER BY position", (position,)):  # noqa: S608  # a constant
                position, unreadable = row[0], 0
                yield Lying(position, row[1], row[2], row[3:])
        except UNREADABLE:
            position += 1
            unreadable += 1
        else:
            return


def walk(
    rows: Iterable[Lying],
    site: str,
    held_up_to: tuple[int, int],
    set_aside: frozenset[int] = frozenset(),
    *,
    whole: bool = True,
) -> Iterator[Damage]:
    """What is wrong, in order. Not `whole`: the first row's own predecessor is not there to be asked."""
    walker = _Walker(site, held_up_to, set_aside)
    for row in rows:
        if walker.last is None and (not whole or row.seq != 1):  # pruned: the first that is left is trusted
            walker.trust(row)
            continue
        yield from walker.step(row)
    yield from walker.finish()
    yield from walker.cut_off()


class _Walker:
    def __init__(self, site: str, held_up_to: tuple[int, int], set_aside: frozenset[int]) -> None:
        self._site, self._held_up_to, self._set_aside = site, held_up_to, set_aside
        self.last: Lying | None = None
        self._place = (0, 0)
        self._head = b""
        self._calculated: bytes | None = None
        """The head that a suspect's own content comes to; `_suspect` waits for the next row to tell what is wrong."""
        self._suspect: Damage | None = None

    def trust(self, row: Lying) -> None:
        self.last, self._place = row, (row.generation, row.seq)
        self._head = row.head if isinstance(row.head, bytes) else b""

    def step(self, row: Lying) -> Iterator[Damage]:
        place, missing = self._where(row)
        for damage in missing:
            yield from self.finish()
            yield damage
        before = self._head if place[1] > 1 else chain.genesis(self._site, place[0])
        if place == (row.generation, row.seq) and not missing and row.after(before) == row.head:
            yield from self.finish()
        elif self._suspect and self._calculated and row.after(self._calculated) == row.head:
            suspect = self._suspect
            yield Damage(suspect.generation, suspect.seq, suspect.position, What.HEAD, suspect.held)
            self._suspect = None
        elif not missing or place != (row.generation, row.seq):
            yield from self.finish()
            self._suspect, self._calculated = self._damage(place, row.position, What.CONTENT), row.after(before)
        self.last, self._place = row, place
        self._head = row.head if isinstance(row.head, bytes) else b""

    def _where(self, row: Lying) -> tuple[tuple[int, int], list[Damage]]:
        """Where the row belongs by the row before it, and what is missing in between."""
        if self.last is None:
            return ((row.generation, 1) if isinstance(row.generation, int) else (1, 1)), []
        generation, seq = self._place
        between = [at for at in range(self.last.position + 1, row.position) if at not in self._set_aside]
        if row.generation == generation and row.seq == seq + 1:
            return (generation, seq + 1), []
        if isinstance(row.generation, int) and row.generation > generation and row.seq == 1 and not between:
            return (row.generation, 1), []
        missing = [self._damage((generation, seq + n), at, What.MISSING) for n, at in enumerate(between, 1)]
        return (generation, seq + len(between) + 1), missing

    def _damage(self, place: tuple[int, int], position: int, what: What) -> Damage:
        return Damage(*place, position, what, held=place <= self._held_up_to)

    def cut_off(self) -> Iterator[Damage]:
        """What the office has acknowledged and lies behind the last record."""
        generation, seq = self._held_up_to
        at = self.last.position if self.last is not None else 0
        if generation == self._place[0]:
            for n in range(1, min(seq - self._place[1], UNREADABLE_MAX) + 1):
                yield self._damage((generation, self._place[1] + n), at + n, What.MISSING)

    def finish(self) -> Iterator[Damage]:
        if self._suspect is not None:
            yield self._suspect
        self._suspect = None


def _mirror(db: sqlite3.Connection, rows: list[Lying]) -> Iterator[str]:
    """Rows that differ from a mirror that is made in memory from the journal."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        for _, script in migrations():
            fresh.executescript(script)
        for row in rows:
            _, _, wall_ms, _, _, _, kind, version, body = row.values
            for sql, values in statements(codec.decode(kind, version, body), wall_ms):
                fresh.execute(sql, values)
            fresh.executemany(MENTION, mentions(row.position, body))
        for table in MIRROR_TABLES:
            yield from _differing(table, _content(db, table), _content(fresh, table))


def _content(db: sqlite3.Connection, table: str) -> Mapping[Any, Any]:
    names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    key = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[5]] or names
    width = len(key)
    columns = ", ".join([*key, *names])
    return {row[:width]: row for row in db.execute(f"SELECT {columns} FROM {table}")}  # noqa: S608  # names from the schema


def _differing(table: str, told: Mapping[Any, Any], right: Mapping[Any, Any]) -> Iterator[str]:
    for key in sorted({*told, *right}, key=repr):
        if told.get(key) != right.get(key):
            yield f"{table} {' '.join(str(part) for part in key)}"
