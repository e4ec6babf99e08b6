"""One of each fact, and those whose fields need more than one example: the bodies that are promised on the wire."""

from gatectl.domain import facts as f
from gatectl.domain.ids import AreaId, LaneId, PaymentId, SpotId, TicketNumber, TimeQuality, VendId

T, U = TicketNumber("000123-K7QF"), TicketNumber("000124-K7QF")
IN, OUT, MAIN = LaneId("IN-1"), LaneId("OUT-1"), AreaId("main")
VEND, KEY = VendId("IN-1-K7QF-7"), PaymentId("000123-K7QF-OUT-1-1")
AT = 1_795_000_000_000
LINES = (f.Line("First hour", 300), f.Line("Höchstens 20 € am Tag", -50))

EXAMPLES: tuple[f.Fact, ...] = (
    f.SiteStarted("ab" * 8, "K7QF", "0.1.0", None, AT, True, "c0ffee"),
    f.SiteStarted("ab" * 8, "K7QF", "0.1.0", AT - 5, AT, False, "c0ffee"),
    f.SiteStopped("SIGTERM"),
    f.ClockStepped(-3_600_000, TimeQuality.FREE_RUNNING),
    f.TariffApplied("day-2026", AT, '{"id":"day-2026"}', "office"),
    f.CountAdjusted(MAIN, -3, "mia", "counted"),
    f.DeviceLost("io-1", "silence", AT),
    f.DeviceBack("io-1", 1_200),
    f.OfficeLost("no answer", AT),
    f.OfficeBack(90_000),
    f.CommandDone("c-17", "office:eve", "driver is stuck"),
    f.CommandRefused("c-18", "office:eve", "expired"),
    f.TicketIssued(T, 123, IN, MAIN, SpotId("A-001"), "CAR", "COMPACT", "day-2026", AT, TimeQuality.SYNCED),
    f.TicketIssued(T, 123, IN, MAIN, None, "VAN", None, "day-2026", AT, TimeQuality.UNSET),
    f.TicketLearned(T, 123, OUT, MAIN, "CAR", "day-2026", AT),
    f.TicketTaken(T, IN),
    f.TicketVoided(T, IN, f.VoidReason.BACKED_OUT),
    f.TicketVoided(T, None, f.VoidReason.BY_HAND, "mia", "torn"),
    f.VehicleEntered(T, IN, VEND, AT),
    f.VehicleEntered(T, IN, None, AT, verified=False, exception=True),
    f.EntryReversed(T, IN),
    f.TicketSpent(T, OUT, VEND),
    f.TicketReturned(T, OUT, "backed out"),
    f.VehicleExited(T, OUT, MAIN, VEND, AT),
    f.VehicleExited(None, OUT, MAIN, None, AT, verified=False),
    f.TicketLostDeclared(T, U, "mia", "wallet gone"),
    f.TicketLostDeclared(None, U, "mia", "wallet gone", AT),
    f.TicketWrittenOff(T, "mia", "towed"),
    f.CodeRefused(OUT, "E-TKT-04 used", T),
    f.CodeRefused(OUT, "E-TKT-01 foreign", None),
    f.PassageObserved(OUT, f.Irregularity.TAILGATE, T, VEND),
    f.PassageObserved(IN, f.Irregularity.WRONG_WAY, None, None),
    f.VendIntended(VEND, IN, "ticket", T),
    f.VendIntended(VEND, IN, "by-hand", None),
    f.VendConfirmed(VEND, IN),
    f.VendUnknown(VEND, IN, "dark"),
    f.VendFailed(VEND, IN, "arm did not move"),
    f.VendClosed(VEND, IN),
    f.OpenedByHand(IN, VEND, "mia", 'said "let them in"', False),
    f.LaneModeChanged(IN, "locked", "mia", "sweeping"),
    f.LaneFaulted(IN, f.LaneFault.FAILS_TO_OPEN, "3 tries"),
    f.LaneCleared(IN, f.LaneFault.PRINTER_OUT),
    f.LaneCleared(IN, f.LaneFault.ARM_BROKEN, "mia"),
    f.PaymentStarted(KEY, T, "CREDIT_CARD", 250, "EUR", "OUT-1"),
    f.PaymentTaken(KEY, T, "CASH", 250, "EUR", 500, 250, 250, "day-2026", LINES, "till-1", "mia", "till-1", 9, AT),
    f.PaymentTaken(
        KEY, T, "CREDIT_CARD", 0, "EUR", 0, 0, 0, "t", (), "OUT-1", "", "OUT-1", 1, AT, "A1B2", "**** 4242", "ref-9"
    ),
    f.PaymentFailed(KEY, T, "declined", "no funds"),
    f.PaymentRefunded(KEY, PaymentId("back-1"), T, 250, "EUR", "mia", "machine ate it", "till-1", 10),
    # The same as above since TicketIssued tells of demand: the older bytes are read, these are written.
    f.TicketIssued(T, 123, IN, MAIN, SpotId("A-001"), "CAR", "COMPACT", "day-2026", AT, TimeQuality.SYNCED),
    f.TicketIssued(T, 123, IN, MAIN, None, "VAN", None, "day-2026", AT, TimeQuality.UNSET),
    f.TicketIssued(T, 123, IN, MAIN, None, "CAR", None, "day-2027", AT, TimeQuality.SYNCED, 150, 91, 100),
    f.VehicleMoved(T, OUT, MAIN, AreaId("inner"), SpotId("I-001"), "COMPACT", VEND, AT),
    f.VehicleMoved(None, OUT, AreaId("inner"), MAIN, None, None, None, AT, verified=False),
    # The same as above since a replacement takes the spot over, and a close may leave the count.
    f.TicketLostDeclared(T, U, "mia", "wallet gone"),
    f.TicketLostDeclared(None, U, "mia", "wallet gone", AT),
    f.TicketWrittenOff(T, "mia", "towed"),
    f.TicketLostDeclared(T, U, "mia", "washed", None, SpotId("A-001"), "COMPACT", "damaged"),
    f.TicketWrittenOff(T, "mia", "left while the arms were up", counted=False),
    # The same as above since payments tell of money kept and of offline approvals, and refunds of their till.
    f.PaymentTaken(KEY, T, "CASH", 250, "EUR", 500, 250, 250, "day-2026", LINES, "till-1", "mia", "till-1", 9, AT),
    f.PaymentTaken(
        KEY, T, "CREDIT_CARD", 0, "EUR", 0, 0, 0, "t", (), "OUT-1", "", "OUT-1", 1, AT, "A1B2", "**** 4242", "ref-9"
    ),
    f.PaymentTaken(KEY, T, "CASH", 250, "EUR", 500, 0, 250, "t", LINES, "PS-1", "PS-1", "PS-1", 3, AT, kept_minor=250),
    f.PaymentTaken(KEY, T, "WALLET", 250, "EUR", 250, 0, 250, "t", (), "OUT-1", "", "OUT-1", 2, AT, offline=True),
    f.PaymentRefunded(KEY, PaymentId("back-1"), T, 250, "EUR", "mia", "machine ate it", "till-1", 10),
    f.PaymentRefunded(KEY, PaymentId("b-2"), T, 50, "EUR", "mia", "slow", "till-1", 11, "CASH", "till-1", AT, "R1"),
    # Once more since VehicleMoved tells which spot was left.
    f.VehicleMoved(T, OUT, MAIN, AreaId("inner"), SpotId("I-001"), "COMPACT", VEND, AT),
    f.VehicleMoved(None, OUT, AreaId("inner"), MAIN, None, None, None, AT, verified=False),
    f.VehicleMoved(T, OUT, MAIN, AreaId("inner"), SpotId("I-001"), "COMPACT", VEND, AT, True, SpotId("A-001")),
)
