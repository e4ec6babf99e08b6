"""What parts the site's history from the office's copy is on record once, however often the uplink says it."""

from collections.abc import Iterator

from gatectl.domain.facts import Fact
from gatectl.domain.records.histories import GENERATIONS, GONE, GenerationBegun, HistoryGone
from gatectl.domain.rows import Tables

FIRST = 1
"""The generation that a new site begins with is no news."""


def noted(tables: Tables, generation: int, reason: str, gone: bool, at_ms: int) -> Iterator[Fact]:
    """The facts that are new in what the uplink says."""
    if generation > FIRST and tables.get(GENERATIONS, generation) is None:
        yield GenerationBegun(generation, reason, at_ms)
    if gone and tables.get(GONE, generation) is None:
        yield HistoryGone(generation, at_ms)
