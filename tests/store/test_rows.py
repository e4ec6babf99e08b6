"""The business's rows in the mirror are those in memory, whatever the facts were, and the migrations make their tables."""

import copy
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Connection

from gatectl.domain.records import registry
from gatectl.domain.rows import Add, Change, Drop, Put, Set, Table, Tables, Value
from gatectl.store import rows
from gatectl.store.database import migrations, open_database, transaction

CHANGES = 300


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    return open_database(tmp_path / "gatectl.db")


def any_value(rng: Random, kind: type) -> Value:
    return rng.choice([True, False]) if kind is bool else rng.randint(-5, 2**40) if kind is int else rng.choice("abcé'")


def any_change(rng: Random, table: Table) -> Change:
    """Few keys, so that changes meet."""
    row = {c.name: None if c.null and rng.random() < 0.5 else any_value(rng, c.kind) for c in table.columns}
    row |= {
        c.name: rng.choice([1, 2]) if c.kind is int else rng.choice("ab") for c in table.columns if c.name in table.key
    }
    key = table.key_of(row)
    rest = [column for column in table.columns if column.name not in table.key]
    numbers = [column.name for column in rest if column.kind is int and not column.null]
    chosen = rng.random()
    if numbers and chosen < 0.3:
        return Add(table, key, rng.choice(numbers), rng.randint(-9, 9))
    if rest and chosen < 0.5:
        column = rng.choice(rest)
        return Set(table, key, {column.name: row[column.name]})
    return Drop(table, key) if chosen < 0.6 else Put(table, row)


@pytest.mark.parametrize("table", registry.TABLES, ids=lambda table: table.name)
def test_memory_and_mirror_hold_the_same_rows(connection: Connection, table: Table) -> None:
    """Random changes, applied one after the other in both; memory has those of the mirror that live, and loads them so."""
    rng = Random(f"rows of {table.name}")  # seeded
    memory, whole = Tables(), {}
    for _ in range(CHANGES):
        change = any_change(rng, table)
        with transaction(connection):
            connection.exec_driver_sql(*rows.statement(change))
        memory.apply(change)
        whole = {table.key_of(row): row for row in rows.read(connection, table)}
        alive = {key: row for key, row in whole.items() if table.live(row)}
        # what had ended in memory and lives again by a change to it is the database's alone until the next start
        known = {key: row for key, row in alive.items() if memory.get(table, *key) is not None}
        assert known == {table.key_of(row): row for row in memory.all(table)}
    loaded = Tables()
    loaded.load(table, whole.values())
    assert {table.key_of(row) for row in loaded.all(table)} >= {table.key_of(row) for row in memory.all(table)}
    assert loaded == copy.copy(loaded)
    connection.close()


@pytest.mark.parametrize("table", registry.TABLES, ids=lambda table: table.name)
def test_the_migrations_make_the_table_as_it_is_declared(connection: Connection, table: Table) -> None:
    """Declared once: a column that a migration forgot would fail at the first fact, on a gate."""
    assert rows.schema(table) in "".join(script for _, script in migrations()), rows.schema(table)
    connection.close()
