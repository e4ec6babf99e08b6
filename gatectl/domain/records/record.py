"""What one subject of the business puts on record: its facts, its tables, what a fact does to them, how it is told."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gatectl.domain.facts import Fact
from gatectl.domain.rows import Change, Table


@dataclass(frozen=True, slots=True)
class Records:
    """`changes` has every fact of the subject; `tellers` say one line for each, from a body whose missing members read "?".

    `also`: what facts of the lanes and the site do to the subject's rows, beside what the books make of them.
    """

    name: str
    tables: tuple[Table, ...]
    changes: Mapping[type[Fact], Callable[[Any], Iterable[Change]]]
    tellers: Mapping[type[Fact], Callable[[Mapping[str, Any]], str]]
    also: Mapping[type[Fact], Callable[[Any], Iterable[Change]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.changes.keys() == self.tellers.keys(), f"{self.name}: every fact changes rows, or says it does not"

    @property
    def facts(self) -> tuple[type[Fact], ...]:
        return tuple(self.changes)


def no_rows(fact: Fact) -> Iterable[Change]:
    """For a fact that the journal keeps and no row shows."""
    return ()
