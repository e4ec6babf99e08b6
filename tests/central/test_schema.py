"""The migrations make exactly the tables that the code expects, once."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from sqlalchemy import select, text

from central.db import schema
from central.db.engine import UnfitError, check_server, make_engine
from central.db.migrate import current, differences, migrate, newest


def test_the_migrations_and_the_tables_agree(engine) -> None:
    with engine.connect() as connection:
        assert newest() == current(connection)
        assert [] == differences(connection)


def test_a_missing_column_would_be_noticed(engine) -> None:
    """The comparison above can fail."""
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE tickets DROP COLUMN spot"))

        assert 1 == len(differences(connection))


def test_two_offices_that_start_at_once_migrate_once(server_dsn) -> None:
    name = f"gatectl_race_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        engines = [make_engine(make_conninfo(server_dsn, dbname=name), patient=True) for _ in range(3)]
        try:
            with ThreadPoolExecutor(3) as pool:
                revisions = list(pool.map(migrate, engines))
        finally:
            for engine in engines:
                engine.dispose()
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    assert [newest()] * 3 == revisions


GROWING = ["journal", "duplicates", "parked", "tickets", "payments", "vends", "feed", "commands", "positions"]


@pytest.mark.parametrize("table", GROWING)
def test_every_table_that_grows_begins_with_the_site(table) -> None:
    """A site can move to another machine with all its rows."""
    assert "site_id" == next(iter(schema.metadata.tables[table].primary_key)).name


def test_a_site_lies_in_one_partition_of_the_journal(enrol, engine) -> None:
    from office_records import stay

    for name in ("north", "south", "east", "west"):
        site = enrol(name)
        site.journal.write(*stay(1))
        site.acked()
    with engine.connect() as connection:
        asked = text("SELECT site_id, count(DISTINCT tableoid) AS parts FROM journal GROUP BY site_id")
        parts = {row.site_id: row.parts for row in connection.execute(asked)}
        spread = connection.execute(text("SELECT count(DISTINCT tableoid) FROM journal")).scalar_one()

    assert {"north": 1, "south": 1, "east": 1, "west": 1} == parts
    assert spread > 1


def test_a_server_that_forgets_what_it_committed_is_refused(dsn, monkeypatch) -> None:
    """synchronous_commit is ours to set; one who has it forced off must hear of it."""
    engine = make_engine(make_conninfo(dsn, options="-c synchronous_commit=off"))
    check_server(engine)
    with engine.begin() as connection:
        assert "on" == connection.execute(text("SHOW synchronous_commit")).scalar_one()
    engine.dispose()
    monkeypatch.setattr("central.db.engine.VERSION_MIN", 990_000)
    engine = make_engine(dsn)
    with pytest.raises(UnfitError, match="too old"):
        check_server(engine)
    engine.dispose()


def test_a_text_with_a_backslash_is_no_nul(engine) -> None:
    """What reads like the escape of a NUL and is none goes in; a NUL does not."""
    from central.db import bulk

    row = {"site_id": "s", "lane": "a\\u0000b", "mode": "normal", "who": "\\\\u0000", "why": "ä🚗", "since_ms": 0}
    with engine.begin() as connection:
        bulk.upsert(connection, schema.lanes, [row])
        found = dict(connection.execute(select(schema.lanes)).mappings().one())
        with pytest.raises(ValueError, match="NUL"):
            bulk.upsert(connection, schema.lanes, [row | {"who": "a\0b"}])

    assert row == found
