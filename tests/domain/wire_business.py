"""One of each fact of the business, by subject: bodies that are promised on the wire. `python wire_business.py` writes new ones.

A subject has its examples here and its golden file in golden/business; old lines are never edited, new ones come at the end.
"""

import json
from pathlib import Path

from gatectl.domain import codec
from gatectl.domain.facts import Fact
from gatectl.domain.records.repairs import JournalRepaired
from gatectl.domain.records.shifts import ShiftClosed, ShiftCounted, ShiftOpened

FOLDER = Path(__file__).parent / "golden" / "business"
AT = 1_795_000_000_000

EXAMPLES: dict[str, tuple[Fact, ...]] = {
    "shifts": (
        ShiftOpened("till-1-K7QF-1", "till-1", "mia", "EUR", 15_000, AT),
        ShiftCounted("till-1-K7QF-1", -300),
        ShiftClosed("till-1-K7QF-1", "mia", 15_250, 15_300, AT, "a coin under the drawer"),
        ShiftClosed("till-1-K7QF-1", "mia", 15_300, 15_300, AT),
    ),
    "repairs": (
        JournalRepaired("mia", 3, 0, 0),
        JournalRepaired("mia", 0, 1, 1, "record 2/812 (content; only here)"),
    ),
}


def line(fact: Fact) -> str:
    return json.dumps([fact.kind, fact.version, codec.encode(fact).decode()], ensure_ascii=False)


def promised(subject: str) -> list[str]:
    """The committed lines of a subject."""
    path = FOLDER / f"{subject}.jsonl"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def main() -> None:
    """Add the lines that are missing; never touch one that is there."""
    for subject, facts in EXAMPLES.items():
        lines = promised(subject)
        lines += [line(fact) for fact in facts[len(lines) :]]
        (FOLDER / f"{subject}.jsonl").write_text("".join(f"{each}\n" for each in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
