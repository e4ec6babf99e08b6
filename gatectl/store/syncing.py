"""The store as the sync sees it: a read-only connection beside the writer, and writes through the writer."""

import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection

from gatectl.store import journal, writer
from gatectl.store.database import BUSY_MS_MAX, set_mark
from gatectl.store.journal import Tip
from gatectl.store.writer import Writer
from sync import chain
from sync.ports import Position, StoreStopped
from sync.records import FeedRow, Record

_RECORD = "seq, fact_id, wall_ms, quality, boot_id, mono_ms, kind, version, body"
_LINE_OVERHEAD_BYTES = 256
"""More than a record's header and newline take on the wire."""


def open_reader(path: Path, vfs: str | None = None) -> sqlite3.Connection:
    """A connection that can neither write nor checkpoint. `vfs`: SQLite's name for the layer below, if not the system."""
    reader = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro{f'&vfs={vfs}' if vfs else ''}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_MS_MAX / 1000,
        check_same_thread=False,
    )
    reader.text_factory = lambda raw: raw.decode("utf-8", "replace")  # a damaged record is for the chain to find
    reader.execute("PRAGMA query_only=1")
    reader.execute("PRAGMA wal_autocheckpoint=0")
    return reader


def _record(seq: Any, *rest: Any) -> Record:
    """A row as a record. A flipped bit makes any value of any type; what comes is of the right one, its chain does not hold."""
    fact_id, wall_ms, quality, boot_id, mono_ms, kind, version, body = rest
    return Record(
        _whole(seq),
        str(fact_id),
        _whole(wall_ms),
        str(quality),
        str(boot_id),
        _whole(mono_ms),
        str(kind),
        _whole(version),
        body if isinstance(body, bytes) else b"",
    )


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else -1


def _head(value: Any) -> bytes:
    """A stored head; of zeros where what lies there is none."""
    return value if isinstance(value, bytes) and len(value) == chain.HEAD_BYTES else bytes(chain.HEAD_BYTES)


class SyncJournal:
    """Satisfies sync.ports.JournalReader. One connection a thread, closed with `close`."""

    def __init__(self, path: Path, site: str, vfs: str | None = None) -> None:
        self._path = path
        self._site = site
        self._vfs = vfs
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []

    def _rows(self, sql: str, *values: object) -> list[Any]:
        if not hasattr(self._local, "reader"):
            self._local.reader = open_reader(self._path, self._vfs)
            self._opened.append(self._local.reader)
        return list(self._local.reader.execute(sql, values))

    def _marks(self) -> dict[str, str]:
        return dict(self._rows("SELECT name, value FROM marks"))

    def position(self) -> Position:
        generation = int(self._marks()["generation"])
        rows = self._rows("SELECT seq, head FROM journal WHERE generation = ? ORDER BY seq DESC LIMIT 1", generation)
        if not rows:
            return Position(generation, 0, chain.genesis(self._site, generation))
        return Position(generation, rows[0][0], _head(rows[0][1]))

    def acked(self) -> Position:
        marks = self._marks()
        if "acked_seq" not in marks:
            return Position(1, 0, chain.genesis(self._site, 1))
        return Position(int(marks["acked_generation"]), int(marks["acked_seq"]), bytes.fromhex(marks["acked_head"]))

    def read(self, generation: int, after_seq: int, limit_records: int, limit_bytes: int) -> list[Record]:
        records: list[Record] = []
        total = 0
        for row in self._rows(
            f"SELECT {_RECORD} FROM journal WHERE generation = ? AND seq > ? ORDER BY seq LIMIT ?",  # noqa: S608  # a constant
            generation,
            after_seq,
            limit_records,
        ):
            record = _record(*row)
            total += len(record.body) + _LINE_OVERHEAD_BYTES
            if records and total > limit_bytes:
                break
            records.append(record)
        return records

    def head_at(self, generation: int, seq: int) -> bytes | None:
        if seq == 0:
            return chain.genesis(self._site, generation)
        rows = self._rows("SELECT head FROM journal WHERE generation = ? AND seq = ?", generation, seq)
        return _head(rows[0][0]) if rows else None

    def before(self, generation: int) -> Position | None:
        rows = self._rows(
            "SELECT generation, seq, head FROM journal WHERE generation < ? ORDER BY generation DESC, seq DESC LIMIT 1",
            generation,
        )
        return Position(rows[0][0], rows[0][1], _head(rows[0][2])) if rows else None

    def feed_rows(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Key and body of every row of a kind that the feed holds."""
        return [(key, json.loads(body)) for key, body in self._rows("SELECT key, body FROM feed WHERE kind = ?", kind)]

    def feed_cursor(self) -> tuple[int, int]:
        marks = self._marks()
        return int(marks.get("feed_epoch", 0)), int(marks.get("feed_seq", 0))

    def close(self) -> None:
        """Close every thread's connection; called when those threads have ended."""
        for reader in self._opened:
            reader.close()
        self._opened.clear()


class SyncWrites:
    """Satisfies sync.ports.SyncStore by asking the one writer."""

    def __init__(self, store_writer: Writer, reader: SyncJournal, site: str) -> None:
        self._writer = store_writer
        self._reader = reader
        self._site = site

    def _call(self, job: Any) -> None:
        try:
            self._writer.call(job)
        except writer.StoreStopped as stopped:
            raise StoreStopped(str(stopped)) from stopped

    def acknowledge(self, generation: int, seq: int, head: bytes) -> None:
        self._call(lambda connection: set_acked(connection, generation, seq, head))

    def begin_generation(self, generation: int, reason: str) -> None:  # the uploader logs the reason
        acked = self._reader.acked()
        self._call(lambda connection: renumber(connection, self._site, generation, acked))

    def feed_cursor(self) -> tuple[int, int]:
        return self._reader.feed_cursor()

    def apply_feed(self, rows: Sequence[FeedRow], epoch: int, seq: int) -> None:
        self._call(lambda connection: _apply_feed(connection, rows, epoch, seq))

    def replace_feed(self, rows: Sequence[FeedRow], epoch: int, seq: int) -> None:
        def replace(connection: Connection) -> None:
            connection.exec_driver_sql("DELETE FROM feed")
            _apply_feed(connection, rows, epoch, seq)

        self._call(replace)


def renumber(connection: Connection, site: str, generation: int, acked: Position) -> None:
    """Everything behind `acked` gets its place in a new generation, of which nothing is acknowledged."""
    position = journal.read_tip(connection, site).position
    journal.begin_generation(connection, site, generation, Tip(acked.generation, acked.seq, acked.head, position))
    set_acked(connection, generation, 0, chain.genesis(site, generation))


def set_acked(connection: Connection, generation: int, seq: int, head: bytes) -> None:
    set_mark(connection, "acked_generation", str(generation))
    set_mark(connection, "acked_seq", str(seq))
    set_mark(connection, "acked_head", head.hex())


def _apply_feed(connection: Connection, rows: Sequence[FeedRow], epoch: int, seq: int) -> None:
    for row in rows:
        if row.body is None:
            connection.exec_driver_sql("DELETE FROM feed WHERE kind = ? AND key = ?", (row.kind, row.key))
            continue
        body = json.dumps(row.body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        connection.exec_driver_sql(
            "INSERT INTO feed (kind, key, seq, body) VALUES (?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET"
            " seq = excluded.seq, body = excluded.body",
            (row.kind, row.key, row.seq, body),
        )
    set_mark(connection, "feed_epoch", str(epoch))
    set_mark(connection, "feed_seq", str(seq))
