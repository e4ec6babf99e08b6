"""One of each fact of the business, by subject: bodies that are promised on the wire. `python wire_business.py` writes new ones.

A subject has its examples here and its golden file in golden/business; old lines are never edited, new ones come at the end.
"""

import json
from pathlib import Path

import wire_valet
import wire_validations

from gatectl.domain import codec
from gatectl.domain.facts import Fact
from gatectl.domain.ids import AreaId, LaneId, PaymentId, TicketNumber
from gatectl.domain.records import charging
from gatectl.domain.records import passes as p
from gatectl.domain.records import reservations as r
from gatectl.domain.records.exceptions import ExceptionNoted, PriceEnded, PriceSet, StaleClosed
from gatectl.domain.records.histories import GenerationBegun, HistoryGone
from gatectl.domain.records.payments_debts import DebtForgiven, DebtMade, DebtPaid, OverpaymentReturned
from gatectl.domain.records.payments_fiscal import FiscalEntered, FiscalSeriesOpened, FiscalSigned
from gatectl.domain.records.payments_terminals import OfflineApproved, ReversalEnded, ReversalStarted
from gatectl.domain.records.repairs import JournalRepaired
from gatectl.domain.records.shifts import ShiftClosed, ShiftCounted, ShiftEntry, ShiftOpened
from gatectl.domain.records.spots import (
    AreaRecounted,
    CountDoubted,
    HeldSpotChanged,
    SegmentEnded,
    SpotClosed,
    SpotOpened,
    SpotsChanged,
)
from gatectl.domain.records.states import AreaFilled, AreaReopened, HoursTurned, StateCleared, StateSet

FOLDER = Path(__file__).parent / "golden" / "business"
AT = 1_795_000_000_000
T = TicketNumber("000123-K7QF")

EXAMPLES: dict[str, tuple[Fact, ...]] = {
    "shifts": (
        ShiftOpened("till-1-K7QF-1", "till-1", "mia", "EUR", 15_000, AT),
        ShiftCounted("till-1-K7QF-1", -300),
        ShiftClosed("till-1-K7QF-1", "mia", 15_250, 15_300, AT, "a coin under the drawer"),
        ShiftClosed("till-1-K7QF-1", "mia", 15_300, 15_300, AT),
        ShiftEntry("till-1-K7QF-1", "key-9", "payment", "WALLET", 300, AT),
    ),
    "payments-refunds": (),
    "payments-debts": (
        DebtMade("IOU-000123-K7QF-K7QF60", T, 450, "EUR", "M. Muster", "mia", "card reader broken", AT),
        DebtMade("IOU-000123-K7QF-K7QF61", T, 450, "EUR", "", "policy", "the terminal cannot be reached", AT, "OUT-1"),
        DebtPaid("IOU-000123-K7QF-K7QF60", PaymentId("key-9"), 450, 0, AT),
        DebtForgiven("IOU-000123-K7QF-K7QF61", 450, "mia", "too old", AT),
        OverpaymentReturned(PaymentId("key-9"), 250, "till-1", "mia", "the machine had no coins", AT),
    ),
    "payments-terminals": (
        OfflineApproved(PaymentId("key-9"), 250, "2026-11-22", 1250),
        ReversalStarted(PaymentId("key-9"), T, LaneId("OUT-1"), 250, "EUR", "mia", "wrong ticket", True, AT),
        ReversalEnded(PaymentId("key-9"), "reversed", ""),
        ReversalEnded(PaymentId("key-9"), "refused", "batch closed"),
    ),
    "payments-fiscal": (
        FiscalSeriesOpened("OUT-1", "rksv", "GARAGE-OUT-1", AT),
        FiscalEntered("OUT-1", 2, "sale", 250, "EUR", 250, "OUT-1", 1, AT),
        FiscalEntered("OUT-1", 3, "refund", -250, "EUR", 0, "OUT-1", 2, AT),
        FiscalSigned("OUT-1", 2, "eyJhbGciOiJFUzI1NiJ9.X1IxLUFUMV8.AAAA", "", AT),
        FiscalSigned("OUT-1", 3, "eyJhbGciOiJFUzI1NiJ9.X1IxLUFUMV8.U2lj", "the unit does not answer", AT),
    ),
    "charging": (
        charging.ChargerAdded("EV-1"),
        charging.ChargerBooted("EV-1", "ocpp1.6", "Maker", "AC22", "1.2.3"),
        charging.ChargerStatusChanged("EV-1", "occupied", AT),
        charging.ChargerFaulted("EV-1", "GroundFailure", AT),
        charging.ChargerCleared("EV-1", "GroundFailure", AT),
        charging.ChargerSpotTaken("EV-1", TicketNumber("000123-K7QF"), AT),
        charging.ChargerSpotLeft("EV-1", TicketNumber("000123-K7QF"), AT),
        charging.ChargerSpotBlocked("EV-1", TicketNumber("000123-K7QF"), AT),
        charging.ChargingAsked("EV-1", "stop", "EV-1-7-K7QF", "mia", "the driver asked"),
        charging.ChargingNotDone("EV-1", "stop", "Rejected"),
        charging.ChargingStarted(
            "EV-1-7-K7QF", "EV-1", 7, "7", TicketNumber("000123-K7QF"), "spot", 1_000, AT, AT, 59, 100, 10, 30
        ),
        charging.ChargingStarted("EV-1-8-K7QF", "EV-1", 8, "tx-8", None, "", None, None, AT, 0, 0, 0, 0),
        charging.ChargingUnclaimed("EV-1-8-K7QF", "EV-1", "tx-8", "no stay holds its spot"),
        charging.ChargingClaimed("EV-1-8-K7QF", TicketNumber("000124-K7QF"), "mia", "the driver came to the desk"),
        charging.ChargingMetered("EV-1-7-K7QF", 1_000, 2_500, 1_500, AT),
        charging.ChargingPaused("EV-1-7-K7QF", AT),
        charging.ChargingResumed("EV-1-7-K7QF", AT),
        charging.ChargingEnded("EV-1-7-K7QF", "EVDisconnected", 9_000, 8_000, "", AT, AT),
        charging.ChargingEnded("EV-1-8-K7QF", "left", None, 0, "meter-backwards", None, AT),
        charging.ChargingFreed("EV-1-7-K7QF", "unplugged", AT),
        charging.ChargingSettled("EV-1-7-K7QF"),
        charging.ChargingToldLate("EV-1-8-K7QF", 500, 500),
        charging.ChargingClosed("EV-1-7-K7QF"),
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
    "spots": (
        SpotClosed("A-017", "main", -1, "COMPACT", "mia", "oil on the floor", AT),
        SpotOpened("A-017", "mia", "cleaned"),
        AreaRecounted("main", "", 41, 43, 0, "mia", "walked the deck", AT),
        AreaRecounted("main", "LARGE", 6, 4, 2, "mia", "walked the deck", AT),
        SpotsChanged("main", 42, 0, "-1:COMPACT=40 0:LARGE=2", "", "ab" * 32),
        SpotsChanged("roof", 0, 12, "", "3:COMPACT=12", ""),
        HeldSpotChanged("A-017", "000012-K7QF", "retyped", "main", -1, "LARGE"),
        HeldSpotChanged("R-001", "000013-K7QF", "removed", "roof", None, ""),
        CountDoubted("main", "free-flow", AT),
        SegmentEnded("000012-K7QF", 1, "main", "A-017", AT - 60_000, AT),
        SegmentEnded("000012-K7QF", 2, "inner", None, AT, AT + 60_000),
    ),
    "states": (
        StateSet("area", "main", "transient", "full", "mia", "a coach party comes at ten", AT),
        StateSet("site", "", "pass", "closed", "mia", "snow", AT),
        StateCleared("area", "main", "transient", "mia", "they have come"),
        AreaFilled("main", "CAR", 2, AT),
        AreaReopened("main", "CAR", 5),
        HoursTurned("lane", "IN-1", "transient", False, AT),
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
    "validations": wire_validations.EXAMPLES,
    "valet": wire_valet.EXAMPLES,
    "exceptions": (
        ExceptionNoted("damaged", TicketNumber("000012-K7QF"), "000019-K7QF", "mia", "washed", AT),
        ExceptionNoted("keyed", TicketNumber("000012-K7QF"), "OUT-1", "mia", "no light in the reader", AT),
        ExceptionNoted("foreign", TicketNumber("000019-K7QF"), "", "mia", "a ticket of the station garage", AT),
        PriceSet(TicketNumber("000019-K7QF"), 1_200, "EUR", "mia", "as agreed with the manager", AT),
        PriceEnded(TicketNumber("000019-K7QF")),
        StaleClosed("K7QF-1", AreaId("main"), AT, 17, True, 41, "mia", "open for a week", AT),
        StaleClosed("K7QF-2", AreaId("main"), AT, 3, False, 41, "mia", "left in the free flow", AT),
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
