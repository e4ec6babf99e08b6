"""Changes of the business's rows (`gatectl.domain.rows`) as SQL for the office: as in the mirror, the site's id first."""

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, TextClause, text

from gatectl.domain.rows import Add, Change, Drop, Put, Set, Table

Parameters = Mapping[str, Any]


def apply(connection: Connection, site: str, changes: Iterable[Change]) -> None:
    """Make the changes in order; neighbours that are one statement go as one."""
    made = (_statement(site, change) for change in changes)
    for sql, group in groupby(made, key=lambda statement: statement[0]):
        connection.execute(_text(sql), [dict(values) for _, values in group])


def _statement(site: str, change: Change) -> tuple[str, Parameters]:
    table = change.table
    if isinstance(change, Put):
        row = table.row(change.values)
        return _put(table), {"site_id": site, **row}
    key = {"site_id": site, **{f"k_{name}": value for name, value in zip(table.key, change.key, strict=True)}}
    match change:
        case Set():
            sets = ", ".join(f"{name} = :{name}" for name in change.values)
            return f"UPDATE {table.name} SET {sets} WHERE {_where(table)}", {**key, **change.values}  # noqa: S608  # names of ours
        case Add():
            sql = f"UPDATE {table.name} SET {change.column} = {change.column} + :by WHERE {_where(table)}"  # noqa: S608  # names of ours
            return sql, {**key, "by": change.by}
        case Drop():
            return f"DELETE FROM {table.name} WHERE {_where(table)}", key  # noqa: S608  # names of ours


@cache
def _put(table: Table) -> str:
    names = ["site_id", *(column.name for column in table.columns)]
    rest = [f"{name} = EXCLUDED.{name}" for name in names if name != "site_id" and name not in table.key]
    ending = f"UPDATE SET {', '.join(rest)}" if rest else "NOTHING"
    places = ", ".join(f":{name}" for name in names)
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places})"  # noqa: S608  # names of ours
        f" ON CONFLICT ({', '.join(('site_id', *table.key))}) DO {ending}"
    )


@cache
def _where(table: Table) -> str:
    return " AND ".join(["site_id = :site_id", *(f"{name} = :k_{name}" for name in table.key)])


@cache
def _text(sql: str) -> TextClause:
    return text(sql)
