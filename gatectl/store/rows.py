"""Changes of the business's rows as SQL for the mirror, and the mirror's rows as values again."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection

from gatectl.domain.rows import Add, Change, Drop, Put, Row, Set, Table

_SQL_KIND: Final = {str: "TEXT", int: "INTEGER", bool: "INTEGER"}


def statement(change: Change) -> tuple[str, tuple[Any, ...]]:
    """The one statement that makes a change. Truth values are 0 and 1."""
    table = change.table
    match change:
        case Put():
            return _put(table), tuple(table.row(change.values).values())
        case Set():
            sets = ", ".join(f"{name} = ?" for name in change.values)
            return f"UPDATE {table.name} SET {sets} WHERE {_where(table)}", (*change.values.values(), *change.key)  # noqa: S608  # names of ours
        case Add():
            sql = f"UPDATE {table.name} SET {change.column} = {change.column} + ? WHERE {_where(table)}"  # noqa: S608  # names of ours
            return sql, (change.by, *change.key)
        case Drop():
            return f"DELETE FROM {table.name} WHERE {_where(table)}", change.key  # noqa: S608  # names of ours


@cache
def _put(table: Table) -> str:
    names = [column.name for column in table.columns]
    rest = [f"{name} = excluded.{name}" for name in names if name not in table.key]
    ending = f"UPDATE SET {', '.join(rest)}" if rest else "NOTHING"
    places = ", ".join("?" * len(names))
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places})"  # noqa: S608  # names of ours
        f" ON CONFLICT ({', '.join(table.key)}) DO {ending}"
    )


@cache
def _where(table: Table) -> str:
    return " AND ".join(f"{name} = ?" for name in table.key)


def read(connection: Connection, table: Table) -> Iterator[Row]:
    """Every row of a table, in the order of its key."""
    names = [column.name for column in table.columns]
    flags = {column.name for column in table.columns if column.kind is bool}
    sql = f"SELECT {', '.join(names)} FROM {table.name} ORDER BY {', '.join(table.key)}"  # noqa: S608  # names of ours
    for values in connection.exec_driver_sql(sql):
        row = dict(zip(names, values, strict=True))
        yield {name: bool(value) if name in flags and value is not None else value for name, value in row.items()}


def schema(table: Table) -> str:
    """What a migration says to make a table: a test holds the migrations to it."""
    lines = [
        f"    {column.name} {_SQL_KIND[column.kind]}{'' if column.null else ' NOT NULL'}" for column in table.columns
    ]
    body = ",\n".join(lines)
    return f"CREATE TABLE {table.name} (\n{body},\n    PRIMARY KEY ({', '.join(table.key)})\n) WITHOUT ROWID;"
