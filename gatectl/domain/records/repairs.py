"""Repairs of the journal: what was damaged on the site's disk, and what of it is gone."""

from dataclasses import dataclass
from typing import ClassVar, Final

from gatectl.domain.facts import Fact
from gatectl.domain.records.record import Records, no_rows


@dataclass(frozen=True, slots=True)
class JournalRepaired(Fact):
    """Numbers of records: `fetched` came back from the office, `heads` were calculated again, `lost` were set aside.

    `which` names the lost ones as "record GENERATION/SEQ (what was wrong)", cut to 500 characters.
    """

    kind: ClassVar[str] = "journal.repaired"
    by: str
    fetched: int
    heads: int
    lost: int
    which: str = ""


RECORDS: Final = Records(
    "repairs",
    (),
    {JournalRepaired: no_rows},
    {
        JournalRepaired: lambda b: (
            f"the journal was repaired by {b['by']}: {b['fetched']} fetched, {b['lost']} lost"
            + (f": {b['which']}" if b["lost"] else "")
        )
    },
)
