"""Every subject of the business with records of its own. A new subject is one line here."""

from typing import Final

from gatectl.domain.facts import Fact
from gatectl.domain.records import (
    charging,
    exceptions,
    histories,
    passes,
    repairs,
    reservations,
    shifts,
    spots,
    states,
    validations,
)
from gatectl.domain.records.record import Records
from gatectl.domain.rows import Change, Table

SUBJECTS: Final[tuple[Records, ...]] = (
    shifts.RECORDS,
    repairs.RECORDS,
    histories.RECORDS,
    charging.RECORDS,
    spots.RECORDS,
    states.RECORDS,
    passes.RECORDS,
    reservations.RECORDS,
    exceptions.RECORDS,
    validations.RECORDS,
)

TABLES: Final[tuple[Table, ...]] = tuple(table for subject in SUBJECTS for table in subject.tables)
assert len({table.name for table in TABLES}) == len(TABLES), "two tables share a name"

_CHANGES: Final = {fact: made for subject in SUBJECTS for fact, made in subject.changes.items()}
FACTS: Final[tuple[type[Fact], ...]] = tuple(_CHANGES)
TELLERS: Final = {fact.kind: told for subject in SUBJECTS for fact, told in subject.tellers.items()}


def changes(fact: Fact) -> tuple[Change, ...]:
    """What a fact of the business does to its tables. Raises KeyError for a fact of the lanes and the site."""
    return tuple(_CHANGES[type(fact)](fact))
