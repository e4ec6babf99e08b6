"""Rows that facts make: declared once, held alike in the core's memory, in the site's mirror and at the office.

Rule 1: a fact is turned into changes (`Put`, `Set`, `Add`, `Drop`) that can be applied without reading: what they come to depends
on the order of the facts alone. Three appliers exist, and no second description of what a fact does: `Tables` here,
`gatectl.store.rows` and `central.db.rows`.
Rule 2: a row is never changed in place; memory holds only the rows that are `live`, the databases hold all.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

Value = str | int | bool | None
Row = Mapping[str, Value]
Key = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """`kind`: str, int or bool. An int is a whole number of 64 bits."""

    name: str
    kind: type
    null: bool = False


def always(row: Row) -> bool:
    """For a table whose rows the core must all know."""
    return bool(row)


def never(row: Row) -> bool:
    """For a table that no rule reads: its rows are in the databases alone."""
    return not row


@dataclass(frozen=True, slots=True)
class Table:
    """`key` columns come first. `live`: whether the core must still know a row; `indexes`: columns that `where` finds by."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    indexes: tuple[str, ...] = ()
    live: Callable[[Row], bool] = always

    def __post_init__(self) -> None:
        names = tuple(column.name for column in self.columns)
        assert names[: len(self.key)] == self.key, f"{self.name}: the key comes first"
        assert len(set(names)) == len(names), f"{self.name}: two columns share a name"
        assert set(self.indexes) <= set(names), f"{self.name}: an index without its column"

    def row(self, values: Row) -> Row:
        """`values` as a whole row: every column once, of its kind. A column that may be null and is not given is null."""
        found: dict[str, Value] = {}
        for column in self.columns:
            value = values.get(column.name)
            assert (value is None and column.null) or type(value) is column.kind, (
                f"{self.name}.{column.name}: {value!r}"
            )
            found[column.name] = value
        assert len(values.keys() - found.keys()) == 0, f"{self.name} has no {sorted(values.keys() - found.keys())}"
        return found

    def key_of(self, row: Row) -> Key:
        return tuple(row[name] for name in self.key)


@dataclass(frozen=True, slots=True)
class Put:
    """Make a row, or make it anew."""

    table: Table
    values: Row


@dataclass(frozen=True, slots=True)
class Set:
    """Change some columns of the row of a key; nothing if there is no such row."""

    table: Table
    key: Key
    values: Row


@dataclass(frozen=True, slots=True)
class Add:
    """Add to a whole-number column of the row of a key; nothing if there is no such row."""

    table: Table
    key: Key
    column: str
    by: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Remove the row of a key, if there is one."""

    table: Table
    key: Key


Change = Put | Set | Add | Drop


@dataclass(slots=True)
class Tables:
    """The live rows in memory. Owned by the core thread; `copy.copy` makes one that changes apart."""

    _rows: dict[str, dict[Key, Row]] = field(default_factory=dict)
    _found: dict[tuple[str, str], dict[Value, dict[Key, Row]]] = field(default_factory=dict)

    def apply(self, change: Change) -> None:
        table = change.table
        match change:
            case Put():
                row = table.row(change.values)
                self._place(table, table.key_of(row), row)
            case Set():
                self._changed(table, change.key, change.values)
            case Add():
                before = self.get(table, *change.key)
                if before is not None:
                    was = before[change.column]
                    assert isinstance(was, int)
                    self._changed(table, change.key, {change.column: was + change.by})
            case Drop():
                self._place(table, change.key, None)

    def load(self, table: Table, rows: Iterable[Row]) -> None:
        """Rows as the mirror has them, at start."""
        for row in rows:
            self._place(table, table.key_of(row), table.row(row))

    def get(self, table: Table, *key: Value) -> Row | None:
        return self._rows.get(table.name, {}).get(key)

    def all(self, table: Table) -> Iterator[Row]:
        """Every live row, in the order in which they were made."""
        yield from self._rows.get(table.name, {}).values()

    def where(self, table: Table, column: str, value: Value) -> Iterator[Row]:
        """The live rows with a value in an indexed column; costs only what is found."""
        assert column in table.indexes, f"{table.name}.{column} has no index"
        yield from self._found.get((table.name, column), {}).get(value, {}).values()

    def counted(self, table: Table, column: str, value: Value) -> int:
        """How many live rows have a value in an indexed column; costs nothing."""
        assert column in table.indexes, f"{table.name}.{column} has no index"
        return len(self._found.get((table.name, column), {}).get(value, ()))

    def count(self, table: Table) -> int:
        return len(self._rows.get(table.name, {}))

    def _changed(self, table: Table, key: Key, values: Row) -> None:
        before = self.get(table, *key)
        if before is not None:
            self._place(table, key, table.row({**before, **values}))

    def _place(self, table: Table, key: Key, row: Row | None) -> None:
        rows = self._rows.setdefault(table.name, {})
        before = rows.get(key)
        if before is not None:
            for column in table.indexes:
                found = self._found[table.name, column][before[column]]
                del found[key]
                if not found:
                    del self._found[table.name, column][before[column]]
        if row is None or not table.live(row):
            rows.pop(key, None)
            return
        rows[key] = row
        for column in table.indexes:
            self._found.setdefault((table.name, column), {}).setdefault(row[column], {})[key] = row

    def __copy__(self) -> "Tables":
        made = Tables({name: dict(rows) for name, rows in self._rows.items()})
        for place, values in self._found.items():
            made._found[place] = {value: dict(rows) for value, rows in values.items()}
        return made

    def __eq__(self, other: object) -> bool:
        """The same rows; a table without any is like one that never had any."""
        if not isinstance(other, Tables):
            return NotImplemented
        return {n: r for n, r in self._rows.items() if r} == {n: r for n, r in other._rows.items() if r}

    __hash__ = None  # type: ignore[assignment]  # it changes


TEXT: Final = str
WHOLE: Final = int
FLAG: Final = bool


def columns(**kinds: type) -> tuple[Column, ...]:
    """Columns that are never null, in order: `columns(shift=TEXT, opened_ms=WHOLE)`."""
    return tuple(Column(name, kind) for name, kind in kinds.items())


def nullable(**kinds: type) -> tuple[Column, ...]:
    """Columns that may be null, in order."""
    return tuple(Column(name, kind, null=True) for name, kind in kinds.items())


def whole(row: Row, column: str) -> int:
    """A whole number of a row; a defect if it is null."""
    value = row[column]
    assert type(value) is int, f"{column}: {value!r}"
    return value


def words(row: Row, column: str) -> str:
    """A text of a row; a defect if it is null."""
    value = row[column]
    assert isinstance(value, str), f"{column}: {value!r}"
    return value
