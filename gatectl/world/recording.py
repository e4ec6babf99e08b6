"""A simulated run as an incident file: what a capture at a real site holds, made by the same code, to be replayed.

`World(...)` runs as ever with `world.daemon.recorder = Recording()`; `write` makes the file when the run is over.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gatectl.domain.plan import SitePlan
from gatectl.domain.turns import SiteState, Turn, state_lines, turn_line
from gatectl.runtime.incident import IncidentWriter, Wanted, Written, created
from sync.ports import JournalReader
from sync.records import Record

TURNS_A_SEGMENT: Final = 4_000
"""Then the state is written again, as a full segment's successor has it."""
RECORDS_AT_ONCE: Final = 1_000
BYTES_AT_ONCE: Final = 1_000_000


class Recording:
    """Satisfies gatectl.domain.turns.Recorder. Holds the whole run in memory: for days, not for years."""

    def __init__(self, turns_a_segment: int = TURNS_A_SEGMENT) -> None:
        self._segments: list[tuple[SiteState, list[bytes]]] = []
        self._turns_a_segment = turns_a_segment
        self._number = self._left = 0

    @property
    def wants_state(self) -> bool:
        return self._left == 0

    def state(self, state: SiteState) -> None:
        self._left = self._turns_a_segment
        self._segments.append((state, [line + b"\n" for line in state_lines(state, self._number)]))

    def turn(self, turn: Turn) -> None:
        self._number += 1
        try:
            line = turn_line(self._number, turn)
        except Exception:  # noqa: BLE001  # the world says anything to the core, also values that are not of their type
            self._left = 0
            return
        self._left -= 1
        self._segments[-1][1].append(line + b"\n")

    def write(self, path: Path, plan: SitePlan, journal: JournalReader, words: str) -> Written:
        """The file, with what its disk still has of the journal. Raises IncidentRefused."""
        with created(path) as out:
            writer = IncidentWriter(out, plan.keyring, plan.site, plan.keyring.keys)
            writer.open(plan.software, Wanted((), words), 0, ())
            for state, lines in self._segments:
                writer.segment(state.boot.boot_id, state.facts_made, lines, None)
            writer.records(_records(journal))
            writer.close()
        return writer.done


def _records(journal: JournalReader) -> Iterator[tuple[int, Record, bytes]]:
    """What the disk still has of every generation."""
    for generation in range(1, journal.position().generation + 1):
        after = 0
        while found := journal.read(generation, after, RECORDS_AT_ONCE, BYTES_AT_ONCE):
            for record in found:
                head = journal.head_at(generation, record.seq)
                if head is not None:
                    yield generation, record, head
            after = found[-1].seq
