"""The one connection that writes: opening, checking, migrating, locking.

One process owns the state directory (a lock on it) and exactly one connection writes and checkpoints: SQLite 3.7.0 to 3.51.2 can
corrupt a WAL database when two do (sqlite.org/changes.html, 3.51.3). Others read read-only and never checkpoint.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

DATABASE_NAME: Final = "gatectl.db"
BUSY_MS_MAX: Final = 5_000
WAL_PAGES_MAX: Final = 1_000
"""A checkpoint is tried after so many pages (4 KiB each) in the write-ahead log."""
JOURNAL_BYTES_MAX: Final = 64 * 1024 * 1024
"""The write-ahead log is cut back to this after a checkpoint."""


_MEND: Final = "gatectl journal check says where, gatectl journal repair makes it whole"


class StoreRefused(RuntimeError):
    """Raised when the store cannot be opened as it must be: says what is wrong and what to do."""


class StateLock:
    """One daemon a site: holds a lock on the state directory for the life of the process."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "lock"
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StoreRefused(f"{self._path}: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = self._path.read_text().strip() or "unknown"
            os.close(self._fd)
            raise StoreRefused(f"{state_dir} is in use by gatectl with pid {owner}: stop that one first") from error
        with contextlib.suppress(OSError):  # who holds it is a courtesy: a full disk takes the lock and not the number
            os.truncate(self._fd, 0)
            os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        os.close(self._fd)


def open_database(path: Path, vfs: str | None = None) -> Connection:
    """Open (or create) the site's database for writing, checked and migrated. Raises StoreRefused.

    `vfs` is SQLite's name for the layer below it, if that is not the system.
    """
    connection = _connect(
        URL.create("sqlite+pysqlite", database=f"file:{path}", query={"vfs": vfs, "uri": "true"})
        if vfs
        else URL.create("sqlite+pysqlite", database=str(path))
    )
    try:
        _prepare(connection)
        migrate(connection)
    except (DatabaseError, sqlite3.Error, UnicodeDecodeError) as error:
        connection.close()
        why = error.orig if isinstance(error, DatabaseError) else error
        raise StoreRefused(
            f"{path} cannot be used: {why}. {_MEND}, or move it away and restore the newest backup"
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_read_only(path: Path, vfs: str | None = None) -> Connection:
    """A connection that can neither write nor checkpoint, beside the one that does or without it. Raises StoreRefused."""
    query = {"mode": "ro", "uri": "true"} | ({"vfs": vfs} if vfs else {})
    connection = _connect(URL.create("sqlite+pysqlite", database=f"file:{quote(str(path))}", query=query))
    for pragma in ("query_only=1", "wal_autocheckpoint=0"):
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    return connection


def _connect(url: URL) -> Connection:
    engine = create_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"check_same_thread": False, "timeout": BUSY_MS_MAX / 1000, "cached_statements": 256},
    )
    try:
        return engine.connect()
    except DatabaseError as error:
        raise StoreRefused(f"{url.database} cannot be opened: {error.orig}") from error


def _prepare(connection: Connection) -> None:
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # NORMAL loses acknowledged commits at a power cut
        "foreign_keys=ON",
        f"wal_autocheckpoint={WAL_PAGES_MAX}",
        f"journal_size_limit={JOURNAL_BYTES_MAX}",
        "cache_size=-4096",
    ):
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    sync = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
    if (mode, sync) != ("wal", 2):
        raise StoreRefused(f"SQLite runs with journal_mode={mode}, synchronous={sync}; tickets need wal and 2 (FULL)")
    result = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if result != "ok":
        raise StoreRefused(f"the database is damaged: {result}. {_MEND}")


def migrations() -> list[tuple[int, str]]:
    """All schema scripts, numbered, oldest first. A script is never edited once released."""
    folder = files("gatectl.store") / "migrations"
    scripts = [(int(item.name[:4]), item.read_text()) for item in folder.iterdir() if item.name.endswith(".sql")]
    return sorted(scripts)


def migrate(connection: Connection) -> None:
    """Bring the schema up to date, one script in one transaction. Raises StoreRefused for a newer database."""
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    known = migrations()
    if version > known[-1][0]:
        raise StoreRefused(
            f"the database has schema {version}, this gatectl knows {known[-1][0]}: install a newer gatectl"
        )
    for number, script in known:
        if number > version:
            _raw(connection).executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version={number};\nCOMMIT;")


@contextmanager
def transaction(connection: Connection) -> Iterator[Connection]:
    """One write transaction: durable when the block is left, nothing of it if it raises."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        if _raw(connection).in_transaction:  # SQLite undoes a full disk or an I/O error by itself
            connection.exec_driver_sql("ROLLBACK")
        raise


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def lenient(connection: Connection) -> None:
    """From now on text that is no UTF-8 any more reads with replacement characters, and is no error."""
    _raw(connection).text_factory = lambda raw: raw.decode("utf-8", "replace")


def mark(connection: Connection, name: str) -> str | None:
    value: str | None = connection.exec_driver_sql("SELECT value FROM marks WHERE name = ?", (name,)).scalar()
    return value


def set_mark(connection: Connection, name: str, value: str) -> None:
    connection.exec_driver_sql(
        "INSERT INTO marks (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def begin_run(connection: Connection, boot_id: str) -> None:
    """Record that a run has begun and has not ended in order.

    The boot's id is new each time, so this writes and syncs: a disk that takes no writes is met before a port is opened and
    not at the first ticket. Raises StoreRefused.
    """
    try:
        with transaction(connection):
            set_mark(connection, "boot", boot_id)
            set_mark(connection, "clean", "0")
    except DatabaseError as error:
        raise StoreRefused(f"the database cannot be written: {error.orig}. {_remedy(error)}") from error


def _remedy(error: DatabaseError) -> str:
    """What a person does about a disk that says no."""
    why = str(error.orig)
    if "full" in why:
        return "Free space on the disk of the state directory (df, journalctl --vacuum-size)"
    if "readonly" in why:
        return "The disk is mounted read-only, as the system does after an error: read dmesg, check and remount it"
    return "The disk does not answer: read dmesg, and change it"
