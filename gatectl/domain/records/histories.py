"""Where this site's history and the office's copy of it parted: a backup, a cloned disk, an office that lost something."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from gatectl.domain.facts import Fact
from gatectl.domain.records.record import Records
from gatectl.domain.rows import TEXT, WHOLE, Change, Put, Table, columns


@dataclass(frozen=True, slots=True)
class GenerationBegun(Fact):
    """The journal goes on under a new generation. `reason` as the protocol names it; empty when this run did not begin it."""

    kind: ClassVar[str] = "history.generation"
    generation: int
    reason: str
    noted_ms: int


@dataclass(frozen=True, slots=True)
class HistoryGone(Fact):
    """The office was restored to before what this site still keeps: records are missing there for good."""

    kind: ClassVar[str] = "history.gone"
    generation: int
    noted_ms: int


GENERATIONS: Final = Table("generations", ("generation",), columns(generation=WHOLE, reason=TEXT, noted_ms=WHOLE))
GONE: Final = Table("histories_gone", ("generation",), columns(generation=WHOLE, noted_ms=WHOLE))

_WHY: Final = {
    "behind": "the office holds more than this disk: it was restored from a backup",
    "forked": "the office holds another continuation: this disk was copied, or restored and used",
    "office-restored": "the office was restored from a backup",
    "enrolled": "the site was enrolled again",
    "unfinished-generation": "one that was opened before was never used",
    "asked": "the office asked for it",
}


def _begun(fact: GenerationBegun) -> Iterable[Change]:
    yield Put(GENERATIONS, {"generation": fact.generation, "reason": fact.reason, "noted_ms": fact.noted_ms})


def _gone(fact: HistoryGone) -> Iterable[Change]:
    yield Put(GONE, {"generation": fact.generation, "noted_ms": fact.noted_ms})


RECORDS: Final = Records(
    "histories",
    (GENERATIONS, GONE),
    {GenerationBegun: _begun, HistoryGone: _gone},
    {
        GenerationBegun: lambda b: (
            f"the journal goes on as generation {b['generation']}"
            + (f": {_WHY.get(str(b['reason']), b['reason'])}" if b["reason"] else "")
        ),
        HistoryGone: lambda b: f"records older than generation {b['generation']} are missing at the office for good",
    },
)
