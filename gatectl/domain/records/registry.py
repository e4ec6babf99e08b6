"""Every subject of the business with records of its own. A new subject is one line here."""

from typing import Final

from gatectl.domain.facts import Fact
from gatectl.domain.records import (
    charging,
    exceptions,
    histories,
    passes,
    payments_debts,
    payments_fiscal,
    payments_refunds,
    payments_terminals,
    repairs,
    reservations,
    shifts,
    spots,
    states,
    valet,
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
    payments_refunds.RECORDS,
    payments_debts.RECORDS,
    payments_terminals.RECORDS,
    payments_fiscal.RECORDS,
    valet.RECORDS,
)

TABLES: Final[tuple[Table, ...]] = tuple(table for subject in SUBJECTS for table in subject.tables)
assert len({table.name for table in TABLES}) == len(TABLES), "two tables share a name"

_CHANGES: Final = {fact: made for subject in SUBJECTS for fact, made in subject.changes.items()}
FACTS: Final[tuple[type[Fact], ...]] = tuple(_CHANGES)
_ALSO: Final = {
    kind: tuple(subject.also[kind] for subject in SUBJECTS if kind in subject.also)
    for kind in {kind for subject in SUBJECTS for kind in subject.also}
}
assert not _ALSO.keys() & _CHANGES.keys(), "a fact of the business is its own subject's"
TELLERS: Final = {fact.kind: told for subject in SUBJECTS for fact, told in subject.tellers.items()}


def changes(fact: Fact) -> tuple[Change, ...]:
    """What a fact does to the tables of the business; most facts of the lanes and the site do nothing to them."""
    made = _CHANGES.get(type(fact))
    if made is not None:
        return tuple(made(fact))
    return tuple(change for also in _ALSO.get(type(fact), ()) for change in also(fact))
