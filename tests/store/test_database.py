"""Opening the store: the settings that keep acknowledged commits, the schema's versions, one daemon a site."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from gatectl.store import database
from gatectl.store.database import StateLock, StoreRefused, migrations, open_database, transaction


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gatectl.db"


@pytest.fixture
def connection(path: Path) -> Iterator[Connection]:
    connection = open_database(path)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("wal_autocheckpoint", database.WAL_PAGES_MAX),
        ("journal_size_limit", database.JOURNAL_BYTES_MAX),
    ],
)
def test_the_settings_are_those_that_keep_commits(connection: Connection, pragma: str, value: object) -> None:
    """WAL and FULL: anything less was measured to lose acknowledged commits at a power cut."""
    assert value == connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one()


def test_a_store_that_cannot_be_made_durable_is_refused(path: Path) -> None:
    """A database in memory has no log to keep; the daemon does not start on one."""
    with pytest.raises(StoreRefused, match="journal_mode=memory"):
        open_database(Path(":memory:"))


def test_a_fresh_database_has_the_newest_schema(connection: Connection) -> None:
    """Every script ran, each once, in order."""
    numbers = [number for number, _ in migrations()]

    assert list(range(1, len(numbers) + 1)) == numbers
    assert numbers[-1] == connection.exec_driver_sql("PRAGMA user_version").scalar_one()


def test_opening_twice_changes_nothing(path: Path) -> None:
    """The second start finds what the first one made."""
    open_database(path).close()
    before = schema(path)

    open_database(path).close()

    assert before == schema(path)


@pytest.mark.parametrize("version", [number for number, _ in migrations()])
def test_a_database_of_every_older_version_is_brought_up_to_date(path: Path, version: int) -> None:
    """A site that skips releases gets the missing scripts, and what it recorded is kept."""
    with sqlite3.connect(path) as old:
        for number, script in migrations()[:version]:
            old.executescript(f"BEGIN;{script};PRAGMA user_version={number};COMMIT;")
        old.execute("INSERT INTO marks (name, value) VALUES ('generation', '4')")
    old.close()

    open_database(path).close()

    fresh = path.with_name("fresh.db")
    open_database(fresh).close()
    assert schema(fresh) == schema(path)
    with sqlite3.connect(path) as now:
        assert [("4",)] == now.execute("SELECT value FROM marks WHERE name = 'generation'").fetchall()
    now.close()


def test_a_newer_database_is_refused(path: Path) -> None:
    """After a downgrade: nothing is guessed, nothing is written; it says what to do."""
    open_database(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()

    with pytest.raises(StoreRefused, match=r"schema 99.*install a newer gatectl"):
        open_database(path)


def test_a_script_that_fails_leaves_the_version_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One script is one transaction: half a schema is no schema."""
    open_database(path).close()
    last = migrations()[-1][0]
    broken = [*migrations(), (last + 1, "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);")]
    monkeypatch.setattr(database, "migrations", lambda: broken)

    with pytest.raises(StoreRefused, match="nowhere"):
        open_database(path)

    monkeypatch.undo()
    with sqlite3.connect(path) as now:
        assert [(last,)] == now.execute("PRAGMA user_version").fetchall()
        assert [] == now.execute("SELECT name FROM sqlite_master WHERE name = 'half'").fetchall()
    now.close()


@pytest.mark.parametrize("content", [b"hello" * 1000, b"SQLite format 3\0" + b"\xff" * 4096], ids=["text", "torn"])
def test_what_is_no_database_is_refused_by_name(path: Path, content: bytes) -> None:
    """Somebody else's file, or one that a dying disk has eaten."""
    path.write_bytes(content)

    with pytest.raises(StoreRefused, match=re.escape(str(path))):
        open_database(path)

    assert content == path.read_bytes()


def test_a_damaged_page_is_found_at_the_start(path: Path) -> None:
    """Not in the middle of the night, when the page is needed."""
    connection = open_database(path)
    with transaction(connection):
        for number in range(500):
            connection.exec_driver_sql("INSERT INTO marks (name, value) VALUES (?, ?)", (f"m{number}", "x" * 100))
    connection.close()
    data = bytearray(path.read_bytes())
    root = sqlite3.connect(path)
    page = root.execute("SELECT rootpage FROM sqlite_master WHERE name = 'marks'").fetchone()[0]
    root.close()
    data[(page - 1) * 4096 : page * 4096] = b"\x00" * 4096
    path.write_bytes(data)

    with pytest.raises(StoreRefused, match=r"damaged|malformed"):
        open_database(path)


def test_a_path_with_marks_of_a_url_is_a_path(tmp_path: Path) -> None:
    """A state directory may be called anything."""
    odd = tmp_path / "what? 100%#1"
    odd.mkdir()

    open_database(odd / "gatectl.db").close()

    assert (odd / "gatectl.db").exists()


def test_a_transaction_is_all_or_nothing(connection: Connection) -> None:
    """What raises inside leaves nothing, and the connection is good for the next."""

    def half() -> None:
        with transaction(connection):
            database.set_mark(connection, "x", "1")
            raise LookupError

    with pytest.raises(LookupError):
        half()

    with transaction(connection):
        database.set_mark(connection, "y", "1")
    assert (None, "1") == (database.mark(connection, "x"), database.mark(connection, "y"))


def test_a_commit_that_is_refused_leaves_no_transaction_open(connection: Connection) -> None:
    """The refusal of COMMIT itself (a deferred constraint; in the field: a full disk) is undone like any other."""
    with transaction(connection):
        connection.exec_driver_sql("CREATE TABLE p (x INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("CREATE TABLE c (x REFERENCES p (x) DEFERRABLE INITIALLY DEFERRED)")

    with pytest.raises(IntegrityError), transaction(connection):
        connection.exec_driver_sql("INSERT INTO c VALUES (7)")

    with transaction(connection):
        assert 0 == connection.exec_driver_sql("SELECT count(*) FROM c").scalar_one()


def test_a_rollback_by_sqlite_itself_does_not_hide_the_reason(connection: Connection) -> None:
    """SQLite undoes some failures by itself; the reason is what is told, not that nothing was left to undo."""
    with transaction(connection):
        connection.exec_driver_sql("CREATE TABLE one (x UNIQUE ON CONFLICT ROLLBACK)")

    with pytest.raises(IntegrityError, match="UNIQUE"), transaction(connection):
        connection.exec_driver_sql("INSERT INTO one VALUES (1), (1)")


def test_a_second_daemon_is_refused_by_name(tmp_path: Path) -> None:
    """Two would print the same numbers; the message says which process holds the directory."""
    lock = StateLock(tmp_path)

    with pytest.raises(StoreRefused, match=f"in use by gatectl with pid {os.getpid()}"):
        StateLock(tmp_path)

    lock.release()
    StateLock(tmp_path).release()


def test_a_state_directory_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    """A file where the directory should be; in the field, one that belongs to somebody else."""
    (tmp_path / "state").write_text("")

    with pytest.raises(StoreRefused, match=r"state/lock: Not a directory"):
        StateLock(tmp_path / "state")


def test_the_lock_of_a_killed_daemon_does_not_outlive_it(tmp_path: Path) -> None:
    """The kernel lets go of it: nobody has to remove a file by hand after kill -9."""
    code = (
        "import sys, pathlib; from gatectl.store.database import StateLock;"
        "lock = StateLock(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    held = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with held:
        assert held.stdout is not None
        assert "held\n" == held.stdout.readline()
        with pytest.raises(StoreRefused, match=f"pid {held.pid}"):
            StateLock(tmp_path)

        held.kill()

    StateLock(tmp_path).release()


def schema(path: Path) -> list[tuple[str, ...]]:
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()
        version = db.execute("PRAGMA user_version").fetchone()
    db.close()
    return [*rows, version]


def test_a_full_disk_takes_the_lock_and_not_the_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start on a full disk is refused by what the database says, not by a file that only names who runs."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    StateLock(tmp_path).release()
