"""What can have happened at a site. Facts are frozen, in the past tense, and a promise on the wire.

Rule 1: a field is never renamed, removed or given another meaning; a new field has a default. Anything else is a new `version`.
Rule 2: facts hold only str, int, bool, None, enums, tuples of these and nested `Line`s: no float, no datetime.
Rule 3: `_ms` is UTC wall-clock milliseconds unless the name says `mono`; `_minor` is minor units of `currency`.
"""

from dataclasses import dataclass
from typing import ClassVar

from gatectl.domain.fact_words import Irregularity, LaneFault, VoidReason
from gatectl.domain.ids import AreaId, LaneId, PaymentId, SpotId, TicketNumber, TimeQuality, VendId

__all__ = ("Irregularity", "LaneFault", "VoidReason")  # found here by everyone, beside what is defined here


class Fact:
    """Base of all facts; `kind` and `version` name the wire schema."""

    __slots__ = ()
    kind: ClassVar[str]
    version: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a price's explanation."""

    text: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class SiteStarted(Fact):
    """The daemon is up. `dark_from_ms` is when the last fact before was recorded (None: first start)."""

    kind: ClassVar[str] = "site.started"
    boot_id: str
    tag: str
    software: str
    dark_from_ms: int | None
    dark_to_ms: int
    clean: bool
    config_digest: str


@dataclass(frozen=True, slots=True)
class SiteStopped(Fact):
    kind: ClassVar[str] = "site.stopped"
    reason: str


@dataclass(frozen=True, slots=True)
class ClockStepped(Fact):
    """The wall clock moved against the monotonic clock by more than the limit."""

    kind: ClassVar[str] = "clock.stepped"
    by_ms: int
    quality: TimeQuality


@dataclass(frozen=True, slots=True)
class TariffApplied(Fact):
    """A tariff version became known here. `body` is its canonical JSON; prices name it by `tariff`."""

    kind: ClassVar[str] = "tariff.applied"
    tariff: str
    effective_from_ms: int
    body: str
    source: str  # "site-file" or "office"


@dataclass(frozen=True, slots=True)
class CountAdjusted(Fact):
    kind: ClassVar[str] = "count.adjusted"
    area: AreaId
    delta: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeviceLost(Fact):
    kind: ClassVar[str] = "device.lost"
    device: str
    why: str
    lost_ms: int = 0


@dataclass(frozen=True, slots=True)
class DeviceBack(Fact):
    kind: ClassVar[str] = "device.back"
    device: str
    away_ms: int


@dataclass(frozen=True, slots=True)
class OfficeLost(Fact):
    kind: ClassVar[str] = "office.lost"
    why: str
    lost_ms: int = 0


@dataclass(frozen=True, slots=True)
class OfficeBack(Fact):
    kind: ClassVar[str] = "office.back"
    away_ms: int


@dataclass(frozen=True, slots=True)
class CommandDone(Fact):
    """A command from the office was carried out."""

    kind: ClassVar[str] = "command.done"
    command: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class CommandRefused(Fact):
    kind: ClassVar[str] = "command.refused"
    command: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class TicketIssued(Fact):
    """A number was used up and a spot held. Provisional until VehicleEntered or TicketVoided.

    Prices are times `demand_percent` / 100, because `demand_taken` of `demand_spots` spots were taken (None: not asked).
    """

    kind: ClassVar[str] = "ticket.issued"
    ticket: TicketNumber
    counter: int
    lane: LaneId
    area: AreaId
    spot: SpotId | None
    vehicle_type: str
    spot_type: str | None
    tariff: str
    issued_ms: int
    time_quality: TimeQuality
    demand_percent: int = 100
    demand_taken: int | None = None
    demand_spots: int | None = None


@dataclass(frozen=True, slots=True)
class TicketLearned(Fact):
    """An authentic ticket of this site that this database never issued (a lost disk): it is inside from now on."""

    kind: ClassVar[str] = "ticket.learned"
    ticket: TicketNumber
    counter: int
    lane: LaneId
    area: AreaId
    vehicle_type: str
    tariff: str
    issued_ms: int


@dataclass(frozen=True, slots=True)
class TicketTaken(Fact):
    """The driver took the paper (or the virtual ticket was granted)."""

    kind: ClassVar[str] = "ticket.taken"
    ticket: TicketNumber
    lane: LaneId


@dataclass(frozen=True, slots=True)
class TicketVoided(Fact):
    kind: ClassVar[str] = "ticket.voided"
    ticket: TicketNumber
    lane: LaneId | None
    reason: VoidReason
    by: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class VehicleEntered(Fact):
    """The closing loop cleared behind a vehicle. `verified` False: inferred (dark, dead loop), count is estimated.

    `exception` True: nobody pulled this ticket (tailgate, opened by hand); the number was issued for the stay alone.
    """

    kind: ClassVar[str] = "vehicle.entered"
    ticket: TicketNumber
    lane: LaneId
    vend: VendId | None
    entered_ms: int
    verified: bool = True
    exception: bool = False


@dataclass(frozen=True, slots=True)
class EntryReversed(Fact):
    """A committed entry drove back out over the entry lane; count -1. The ticket is spent by it."""

    kind: ClassVar[str] = "entry.reversed"
    ticket: TicketNumber
    lane: LaneId


@dataclass(frozen=True, slots=True)
class TicketSpent(Fact):
    """A ticket was accepted at an exit and cannot be used again unless TicketReturned follows."""

    kind: ClassVar[str] = "ticket.spent"
    ticket: TicketNumber
    lane: LaneId
    vend: VendId


@dataclass(frozen=True, slots=True)
class TicketReturned(Fact):
    """The vehicle backed out of the exit (or the arm failed): the stay is inside again, grace keeps running."""

    kind: ClassVar[str] = "ticket.returned"
    ticket: TicketNumber
    lane: LaneId
    why: str


@dataclass(frozen=True, slots=True)
class VehicleExited(Fact):
    """`ticket` None: a vehicle left that no ticket explains (tailgate, opened by hand, fire)."""

    kind: ClassVar[str] = "vehicle.exited"
    ticket: TicketNumber | None
    lane: LaneId
    area: AreaId
    vend: VendId | None
    exited_ms: int
    verified: bool = True


@dataclass(frozen=True, slots=True)
class VehicleMoved(Fact):
    """A vehicle drove through a lane between two areas: its stay goes on in `area`, on another spot. `ticket` None: not known.

    Within one area a person parked it elsewhere, and no count changes.
    """

    kind: ClassVar[str] = "vehicle.moved"
    ticket: TicketNumber | None
    lane: LaneId
    from_area: AreaId
    area: AreaId
    spot: SpotId | None
    spot_type: str | None
    vend: VendId | None
    moved_ms: int
    verified: bool = True
    from_spot: SpotId | None = None


@dataclass(frozen=True, slots=True)
class TicketLostDeclared(Fact):
    """A driver has no ticket to use; `ticket` is the stay found for it, or None, and `replacement` is what is paid on.

    `entered_ms`: when the driver proved to have come in, if no stay was found; without it the lost-ticket price is due.
    `spot`: what the found stay held, and the replacement holds from now on. `cause`: a word of `Cause`.
    """

    kind: ClassVar[str] = "ticket.lost"
    ticket: TicketNumber | None
    replacement: TicketNumber
    by: str
    why: str
    entered_ms: int | None = None
    spot: SpotId | None = None
    spot_type: str | None = None
    cause: str = "lost"


@dataclass(frozen=True, slots=True)
class TicketWrittenOff(Fact):
    """A stay that nobody will end (soft close). `counted` False: its vehicle was counted out before, the count stays."""

    kind: ClassVar[str] = "ticket.written-off"
    ticket: TicketNumber
    by: str
    why: str
    counted: bool = True


@dataclass(frozen=True, slots=True)
class CodeRefused(Fact):
    """A lane read a code or a credential and did not accept it."""

    kind: ClassVar[str] = "code.refused"
    lane: LaneId
    why: str
    ticket: TicketNumber | None


@dataclass(frozen=True, slots=True)
class PassageObserved(Fact):
    """Something irregular moved through a lane."""

    kind: ClassVar[str] = "passage.observed"
    lane: LaneId
    irregularity: Irregularity
    ticket: TicketNumber | None
    vend: VendId | None


@dataclass(frozen=True, slots=True)
class VendIntended(Fact):
    """One authorised opening is about to be requested. No arm moves before this is on disk."""

    kind: ClassVar[str] = "vend.intended"
    vend: VendId
    lane: LaneId
    cause: str
    """ "ticket", "entitled", "paid", "owed", "by-hand", "hold", "fire", "free-flow", "retry", "presence", "recovery"."""
    ticket: TicketNumber | None


@dataclass(frozen=True, slots=True)
class VendConfirmed(Fact):
    """The arm was seen up (or, in a lane without limit switches, the output was read back)."""

    kind: ClassVar[str] = "vend.confirmed"
    vend: VendId
    lane: LaneId


@dataclass(frozen=True, slots=True)
class VendUnknown(Fact):
    """Nobody can say whether the arm moved (reply lost, site dark)."""

    kind: ClassVar[str] = "vend.unknown"
    vend: VendId
    lane: LaneId
    why: str


@dataclass(frozen=True, slots=True)
class VendFailed(Fact):
    """The arm did not move for this vend."""

    kind: ClassVar[str] = "vend.failed"
    vend: VendId
    lane: LaneId
    why: str


@dataclass(frozen=True, slots=True)
class VendClosed(Fact):
    """The movement that the vend allowed is over: arm down, or the lane given up as held open."""

    kind: ClassVar[str] = "vend.closed"
    vend: VendId
    lane: LaneId


@dataclass(frozen=True, slots=True)
class OpenedByHand(Fact):
    """A person opened (or holds open) a lane; `why` is never empty."""

    kind: ClassVar[str] = "lane.opened-by-hand"
    lane: LaneId
    vend: VendId
    who: str
    why: str
    hold: bool


@dataclass(frozen=True, slots=True)
class LaneModeChanged(Fact):
    """`mode`: "normal", "held-open", "locked", "fire"."""

    kind: ClassVar[str] = "lane.mode"
    lane: LaneId
    mode: str
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class LaneFaulted(Fact):
    kind: ClassVar[str] = "lane.faulted"
    lane: LaneId
    fault: LaneFault
    detail: str


@dataclass(frozen=True, slots=True)
class LaneCleared(Fact):
    kind: ClassVar[str] = "lane.cleared"
    lane: LaneId
    fault: LaneFault
    by: str = ""


@dataclass(frozen=True, slots=True)
class PaymentStarted(Fact):
    """A terminal is about to be asked. Durable first, so that a lost answer can be asked for again by its key."""

    kind: ClassVar[str] = "payment.started"
    payment: PaymentId
    ticket: TicketNumber
    method: str
    amount_minor: int
    currency: str
    till: str  # lane id, pay station id or cashier's till


@dataclass(frozen=True, slots=True)
class PaymentTaken(Fact):
    """Money came in. `lines` and `tariff` say why this was the amount due at `paid_ms`."""

    kind: ClassVar[str] = "payment.taken"
    payment: PaymentId
    ticket: TicketNumber
    method: str  # CASH, CREDIT_CARD, DEBIT_CARD, UPI, WALLET, ACCOUNT, VALIDATION
    amount_minor: int
    currency: str
    tendered_minor: int
    change_minor: int
    due_minor: int
    tariff: str
    lines: tuple[Line, ...]
    till: str
    by: str
    series: str
    receipt: int  # gapless within `series`
    paid_ms: int
    auth_code: str = ""
    masked: str = ""  # last four at most
    terminal_ref: str = ""  # an account's or a merchant's name for ACCOUNT and VALIDATION
    kept_minor: int = 0  # cash that a machine could not give back: tendered = amount + change + kept
    offline: bool = False  # the terminal's own word: approved without asking the issuer


@dataclass(frozen=True, slots=True)
class PaymentFailed(Fact):
    """`outcome`: "declined", "cancelled", "timed-out", "unknown"."""

    kind: ClassVar[str] = "payment.failed"
    payment: PaymentId
    ticket: TicketNumber
    outcome: str
    why: str


@dataclass(frozen=True, slots=True)
class PaymentRefunded(Fact):
    """A part of a payment, or all of it, went back the way it came. `till`: the drawer or the terminal that gave it."""

    kind: ClassVar[str] = "payment.refunded"
    payment: PaymentId
    refund: PaymentId
    ticket: TicketNumber
    amount_minor: int
    currency: str
    by: str
    why: str
    series: str
    receipt: int
    method: str = ""
    till: str = ""
    refunded_ms: int = 0
    terminal_ref: str = ""


FACTS: tuple[type[Fact], ...] = tuple(
    thing for thing in list(globals().values()) if isinstance(thing, type) and Fact in thing.__mro__[1:]
)
"""Those of lanes and site; `gatectl.domain.kinds` has all."""
