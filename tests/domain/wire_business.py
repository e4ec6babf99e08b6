"""One of each fact of the business, by subject: bodies that are promised on the wire. `python wire_business.py` writes new ones.

A subject has its examples here and its golden file in golden/business; old lines are never edited, new ones come at the end.
"""

import json
from pathlib import Path

from gatectl.domain import codec
from gatectl.domain.facts import Fact
from gatectl.domain.ids import LaneId, TicketNumber
from gatectl.domain.records import passes as p
from gatectl.domain.records import reservations as r
from gatectl.domain.records.histories import GenerationBegun, HistoryGone
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
    "histories": (
        GenerationBegun(3, "forked", AT),
        GenerationBegun(2, "", AT),
        HistoryGone(4, AT),
    ),
    "repairs": (
        JournalRepaired("mia", 3, 0, 0),
        JournalRepaired("mia", 0, 1, 1, "record 2/812 (content; only here)"),
    ),
    "passes": (
        p.PassGranted(
            *(
                "M1",
                "tenant 7",
                "acme",
                AT,
                None,
                ("main", "roof"),
                "mon-fri 07:00-19:00",
                2,
                14,
                "priced",
                "timed",
                30,
            ),
            ("card:00112233445566778899aabbccddeeff", "code:M1"),
            "office",
        ),
        p.PassChanged(
            *("M1", "tenant 7", "", AT, AT + 1, (), "", 1, 0, "free", "hard", 0, ("code:M1",), "mia"),
            ("card:00112233445566778899aabbccddeeff",),
        ),
        p.PassWithdrawn("M1", AT, "office"),
        p.PassSuspended("M1", "mia", "not paid"),
        p.PassResumed("M1", "mia"),
        p.PassUsed("M1", "acme", TicketNumber("000123-K7QF"), "code:M1", LaneId("IN-1"), AT, False, True),
        p.PassMoved(
            *("M1", "acme", TicketNumber("000123-K7QF"), TicketNumber("000124-K7QF"), "code:M1", AT, False, True)
        ),
        p.PassFreed("M1", TicketNumber("000123-K7QF"), "vehicle.exited"),
        p.PassNeutral("M1", (TicketNumber("000123-K7QF"), TicketNumber("000124-K7QF")), "mia", "stood open"),
        p.ContractSet("acme", "Acme", 40, "transient", "office"),
        p.ContractEnded("acme", "office"),
    ),
    "reservations": (
        r.ReservationMade(
            *("R1", "guest 7", "main", "COMPACT", AT, AT + 7_200_000, 15, 120, 900, ("plate:AB123",), "office")
        ),
        r.ReservationMade("R2", "", "main", "COMPACT", AT, AT + 7_200_000, 15, 120, None, (), "code"),
        r.ReservationChanged(
            *("R1", "guest 7", "main", "LARGE", AT, AT + 3_600_000, 15, 60, None, (), "office", ("plate:AB123",))
        ),
        r.ReservationHeld("R1", "main/COMPACT"),
        r.ReservationUsed("R1", TicketNumber("000123-K7QF"), LaneId("IN-1"), AT, "main/COMPACT"),
        r.ReservationReturned("R1", TicketNumber("000123-K7QF"), "ticket.voided"),
        r.ReservationMoved("R1", TicketNumber("000123-K7QF"), TicketNumber("000124-K7QF")),
        r.ReservationOverstayed("R1", TicketNumber("000123-K7QF")),
        r.ReservationLeft("R1", TicketNumber("000123-K7QF")),
        r.ReservationReleased("R1"),
        r.ReservationExtended("R1", AT + 9_000_000, "mia"),
        r.ReservationCancelled("R1", "mia", "asked for"),
        r.ReservationClosed("R1", AT, ("plate:AB123",)),
        r.QuotaSet("main", "COMPACT", 20, "office"),
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
