"""The PostgreSQL out of the wheel: one owner, no address, gone when it is stopped."""

import stat
from pathlib import Path

import psycopg
import pytest

from central.embedded import EmbeddedError, EmbeddedServer


def test_a_directory_has_one_owner(pg_directory) -> None:
    with EmbeddedServer(pg_directory / "office"), pytest.raises(EmbeddedError, match="in use by another"):
        EmbeddedServer(pg_directory / "office").start()


def test_it_listens_on_no_address_and_lets_nobody_else_in(pg_directory) -> None:
    with EmbeddedServer(pg_directory / "office") as server, psycopg.connect(server.dsn) as connection:
        addresses = connection.execute("SHOW listen_addresses").fetchone()
        directory = connection.execute("SHOW unix_socket_directories").fetchone()

        assert ("",) == addresses
        assert 0o700 == stat.S_IMODE(Path(directory[0]).stat().st_mode)


def test_what_was_committed_is_there_after_a_restart(pg_directory) -> None:
    with EmbeddedServer(pg_directory / "office") as server, psycopg.connect(server.dsn) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    with EmbeddedServer(pg_directory / "office") as server, psycopg.connect(server.dsn) as connection:
        assert 0 == connection.execute("SELECT count(*) FROM kept").fetchone()[0]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.dsn)


def test_a_first_start_that_was_cut_off_begins_again(pg_directory) -> None:
    """Power failed in the middle of initdb."""
    torn = pg_directory / "office" / "pg.new"
    torn.mkdir(parents=True)
    (torn / "PG_VERSION").write_text("18\n")
    with EmbeddedServer(pg_directory / "office") as server, psycopg.connect(server.dsn) as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


def test_a_path_too_long_for_a_socket_is_no_obstacle(pg_directory) -> None:
    deep = pg_directory / ("d" * 60) / ("e" * 60)
    with EmbeddedServer(deep) as server, psycopg.connect(server.dsn) as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


def test_another_process_finds_the_running_server(pg_directory) -> None:
    server = EmbeddedServer(pg_directory / "office")

    assert EmbeddedServer(pg_directory / "office").dsn_if_running() is None
    with server:
        assert server.dsn == EmbeddedServer(pg_directory / "office").dsn_if_running()
