"""The office's rows of the business are those of the site's mirror: the same changes, the site's id first."""

from random import Random

import pytest
from sqlalchemy import Engine, select

from central.db import rows, schema
from gatectl.domain.records import registry
from gatectl.domain.rows import Add, Change, Drop, Put, Set, Table, Tables, Value

CHANGES = 200


def any_value(rng: Random, kind: type) -> Value:
    return rng.choice([True, False]) if kind is bool else rng.randint(-5, 2**40) if kind is int else rng.choice("abcé'")


def any_change(rng: Random, table: Table) -> Change:
    """Of rows that live, and few keys, so that changes meet."""
    row = {c.name: None if c.null else any_value(rng, c.kind) for c in table.columns}
    row |= {
        c.name: rng.choice([1, 2]) if c.kind is int else rng.choice("ab") for c in table.columns if c.name in table.key
    }
    key = table.key_of(row)
    numbers = [c.name for c in table.columns if c.kind is int and not c.null and c.name not in table.key]
    chosen = rng.random()
    if numbers and chosen < 0.3:
        return Add(table, key, rng.choice(numbers), rng.randint(-9, 9))
    if numbers and chosen < 0.5:
        return Set(table, key, {rng.choice(numbers): rng.randint(0, 99)})
    return Drop(table, key) if chosen < 0.6 else Put(table, row)


@pytest.mark.parametrize("table", registry.TABLES, ids=lambda table: table.name)
def test_the_office_holds_what_the_core_knows(engine: Engine, table: Table) -> None:
    """Random changes in batches, and another site's rows beside them that nobody touches."""
    rng = Random(f"office rows of {table.name}")  # seeded
    made = [any_change(rng, table) for _ in range(CHANGES)]
    memory = Tables()
    held = schema.business[table.name]
    stranger = next(change for change in made if isinstance(change, Put))
    with engine.begin() as connection:
        rows.apply(connection, "south", [stranger])
        for at in range(0, CHANGES, 17):
            rows.apply(connection, "north", made[at : at + 17])
        found = [dict(row) for row in connection.execute(select(held)).mappings()]
    for change in made:
        memory.apply(change)

    north = [{name: row[name] for name in row if name != "site_id"} for row in found if row["site_id"] == "north"]
    alive = {table.key_of(row): row for row in north if table.live(row)}
    assert {table.key_of(row): row for row in memory.all(table)} == alive
    assert [table.row(stranger.values)] == [
        {name: row[name] for name in row if name != "site_id"} for row in found if row["site_id"] == "south"
    ]
