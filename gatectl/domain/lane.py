"""What every lane shares: its plan, its state, its inputs, and what it may ask of the site.

Rule 1: a lane decides; it never looks at a clock, a device or a disk. All it knows is in its `Lane`, the input and the `View`.
Rule 2: every (phase, input) pair is handled, ignored or named impossible; `entry_lane` and `exit_lane` hold the tables.
Rule 3: one deadline per lane, kept in its state, on the monotonic clock.
Rule 4: nothing here closes an arm while the closing loop is not known to be clear. There is no force.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from gatectl.domain.beyond import PlaceBeyond
from gatectl.domain.effects import Effect
from gatectl.domain.facts import Fact, LaneFault, Line
from gatectl.domain.ids import AreaId, JobId, LaneId, Moment, PaymentId, RequestId, SpotId, TicketNumber, VendId
from gatectl.domain.passage import NO_TRACK, Track
from gatectl.domain.records.payments_debts import DebtMade
from gatectl.domain.tariff_demand import Fixed


class LaneKind(StrEnum):
    ENTRY = "entry"
    EXIT = "exit"
    PASSAGE = "passage"  # between two areas of the site: an exit lane that charges nothing and ends no stay


class Layout(StrEnum):
    TWO_LOOP = "two-loop"  # arming A, closing B, limit switches
    THREE_LOOP = "three-loop"  # and a reset loop C behind the arm
    NO_LIMITS = "no-limits"  # A and B, the arm's position is never seen


class Trust(StrEnum):
    GOOD = "good"
    STALE = "stale"
    FAULT = "fault"


class Arm(StrEnum):
    UP = "up"
    DOWN = "down"
    BETWEEN = "between"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Loop:
    """What is known of a loop. `clear` only if it is trusted: stale, faulted and never-read are not clear."""

    on: bool = False
    trust: Trust = Trust.STALE

    @property
    def clear(self) -> bool:
        return self.trust is Trust.GOOD and not self.on

    @property
    def occupied(self) -> bool:
        return self.trust is Trust.GOOD and self.on


@dataclass(frozen=True, slots=True)
class Timing:
    """A lane's waits. Lane time: the demo's speed scales them, the wire's own time-outs it does not."""

    take_ms: int = 20_000  # a presented ticket waits so long to be taken
    print_ms: int = 15_000  # print order to "presented"
    arm_ms: int = 8_000  # pulse to limit switch
    pass_ms: int = 30_000  # arm up to the closing loop
    clear_ms: int = 1_000  # the closing loop must be clear so long before a close is asked for
    long_gap_ms: int = 1_500  # B off and on again within this is one long vehicle
    pay_ms: int = 60_000  # an authorisation may take so long
    stuck_ms: int = 600_000  # a loop occupied so long while the lane is idle is stuck
    start_ms: int = 10_000  # devices must have been read so long after start
    open_tries: int = 2
    close_tries: int = 3
    reversals: int = 3  # presence during closing so often: hold open and call


@dataclass(frozen=True, slots=True)
class LanePlan:
    """What a lane is, from the site file."""

    lane: LaneId
    kind: LaneKind
    layout: Layout
    area: AreaId
    has_printer: bool = True
    has_mouth: bool = False  # the printer reports "ticket in mouth" and "taken"; otherwise printed counts as taken
    has_reader: bool = False
    has_terminal: bool = False
    has_close: bool = True  # False: the barrier closes itself on its own loop
    vehicle_type: str = "CAR"
    into: AreaId | None = None  # of a passage: the area behind it; `area` is the one before it
    outward: bool = False  # of a passage: it leads out of a nested area, and lets everybody through, room or not
    near: tuple[int, ...] = ()  # levels of `area` in the order in which a vehicle from this lane reaches them
    timing: Timing = field(default_factory=Timing)


# -- inputs: what has happened at the lane, in the past tense -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ArmingLoopChanged:
    loop: Loop


@dataclass(frozen=True, slots=True)
class ClosingLoopChanged:
    loop: Loop


@dataclass(frozen=True, slots=True)
class ResetLoopChanged:
    loop: Loop


@dataclass(frozen=True, slots=True)
class ArmMoved:
    """The limit switches changed. Never posted in a lane without them."""

    arm: Arm


@dataclass(frozen=True, slots=True)
class ArmAnswered:
    """The device answered an OpenArm, CloseArm or StopArm. `result`: "confirmed", "refused", "unknown"."""

    vend: VendId
    order: str  # "open", "close", "stop"
    result: str
    detail: str


@dataclass(frozen=True, slots=True)
class ArmBroke:
    broken: bool


@dataclass(frozen=True, slots=True)
class DoorMoved:
    open: bool


@dataclass(frozen=True, slots=True)
class FireChanged:
    on: bool


@dataclass(frozen=True, slots=True)
class ButtonPressed:
    pass


@dataclass(frozen=True, slots=True)
class TicketPrinted:
    job: JobId


@dataclass(frozen=True, slots=True)
class TicketPresented:
    job: JobId


@dataclass(frozen=True, slots=True)
class TicketPulled:
    """The driver took the ticket out of the mouth."""

    job: JobId


@dataclass(frozen=True, slots=True)
class TicketRetracted:
    job: JobId


@dataclass(frozen=True, slots=True)
class PrintFailed:
    """`maybe`: paper may have come out."""

    job: JobId
    why: str
    maybe: bool


@dataclass(frozen=True, slots=True)
class PrinterChanged:
    """None: the printer cannot say."""

    online: bool
    low: bool | None
    out: bool | None
    jam: bool | None
    in_mouth: bool | None


@dataclass(frozen=True, slots=True)
class CodeWasRead:
    text: str


@dataclass(frozen=True, slots=True)
class TerminalAnswered:
    """`outcome`: "approved", "declined", "cancelled", "timed-out", "unknown"."""

    payment: PaymentId
    outcome: str
    method: str = "CREDIT_CARD"
    auth_code: str = ""
    masked: str = ""
    terminal_ref: str = ""
    why: str = ""
    offline: bool = False
    """The terminal's own word: it approved without asking the issuer."""


@dataclass(frozen=True, slots=True)
class TerminalChanged:
    online: bool


@dataclass(frozen=True, slots=True)
class DeviceAvailabilityChanged:
    """A device that the lane needs went away or came back; `roles` are the lane's names for it."""

    up: bool
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PaidElsewhere:
    """The ticket of the vehicle in this lane was paid at a cashier or by the office."""

    ticket: TicketNumber


class Hand(StrEnum):
    OPEN = "open"
    CLOSE = "close"
    HOLD = "hold"
    RELEASE = "release"
    LOCK = "lock"
    UNLOCK = "unlock"
    RESET = "reset"  # a named person says: fire is over, boom is mended
    VOID_PAYMENT = "void-payment"  # take back what the terminal took for the vehicle that still stands here


@dataclass(frozen=True, slots=True)
class HandCommanded:
    """A person asks the lane for something; answered with Reply(request, ...)."""

    hand: Hand
    who: str
    why: str
    request: RequestId


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    pass


Input = (
    ArmingLoopChanged
    | ClosingLoopChanged
    | ResetLoopChanged
    | ArmMoved
    | ArmAnswered
    | ArmBroke
    | DoorMoved
    | FireChanged
    | ButtonPressed
    | TicketPrinted
    | TicketPresented
    | TicketPulled
    | TicketRetracted
    | PrintFailed
    | PrinterChanged
    | CodeWasRead
    | TerminalAnswered
    | TerminalChanged
    | DeviceAvailabilityChanged
    | PaidElsewhere
    | HandCommanded
    | DeadlinePassed
)


# -- what a lane may ask of the site ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TicketOffer:
    """A ticket that could be issued now. Nothing is reserved until the TicketIssued fact is folded."""

    ticket: TicketNumber
    counter: int
    code: str
    spot: SpotId | None
    spot_type: str | None
    tariff: str
    tariff_text: str
    fixed: Fixed | None = None
    """What demand makes of its price."""


@dataclass(frozen=True, slots=True)
class Entitled:
    """A right that was read at an entry: the virtual ticket it gives, and the facts that use the right. `text` is shown."""

    offer: TicketOffer
    facts: tuple[Fact, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Quote:
    """What a vehicle at an entry is told before it asks for a ticket: `text` is shown, the ticket keeps `fixed`."""

    tariff: str
    fixed: Fixed
    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """`code` is an E-... code, `text` is for the driver. `ticket`: the one that was shown, if it is known which."""

    code: str
    text: str
    ticket: TicketNumber | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """What is due now, and why. `paid_minor` was paid before; `due_minor` is never negative."""

    ticket: TicketNumber
    due_minor: int
    paid_minor: int
    total_minor: int
    currency: str
    tariff: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Reduced:
    """A coupon lowers what is due: the facts that put it on the ticket, and the price once they are on record."""

    facts: tuple[Fact, ...]
    price: Price


class View(Protocol):
    """The site as one lane sees it, at one moment. Asking changes nothing."""

    @property
    def now(self) -> Moment: ...
    @property
    def plan(self) -> LanePlan: ...
    def quote(self) -> Quote | None:
        """The price of this moment, for a vehicle of the lane's type, where it depends on demand."""

    def offer(self, quote: Quote | None = None) -> TicketOffer | Refusal:
        """A ticket for a vehicle of the lane's type, or why not (full, closed). `quote`: what the vehicle was told."""

    def entitle(self, text: str) -> Entitled | Refusal:
        """What was read at this entry, as a right to enter without a paper ticket (a pass, a reservation), or why not."""

    def exception_offer(self) -> TicketOffer:
        """A number for a vehicle that is in without a ticket; never refused, holds no spot when the lot is full."""

    def admit(self, code: str) -> Price | Refusal:
        """Verify what was read at this exit: authentic, of this site, inside, neither spent nor void; then its price.

        A ticket's code, or the credential of a right that a vehicle came in by.
        """

    def is_coupon(self, text: str) -> bool:
        """Whether what was read is a coupon of this site, good or not."""

    def reduced(self, ticket: TicketNumber, coupon: str) -> Reduced | Refusal:
        """What a coupon does to a ticket that is inside, or why not."""

    def price(self, ticket: TicketNumber) -> Price:
        """What is due for a ticket now."""

    def place_beyond(self, ticket: TicketNumber | None, back: bool) -> PlaceBeyond:
        """Where a vehicle comes to through this passage, with a spot for its ticket if there is one. `back`: from behind."""

    def inside(self, ticket: TicketNumber) -> bool:
        """Whether the ticket's stay is still inside: not spent, ended or replaced elsewhere since it was admitted."""

    def next_vend(self) -> VendId:
        """The id for one vend; the same until a VendIntended with it is folded."""

    def next_payment(self, ticket: TicketNumber) -> PaymentId:
        """The idempotency key for the lane's next try to take money for a ticket."""

    def next_receipt(self) -> tuple[str, int]:
        """Series and next gapless number of this lane's receipts."""

    def offline_left_minor(self) -> int:
        """The most that this lane's terminal may approve without its issuer now."""

    def owed(self, price: Price, why: str) -> DebtMade | None:
        """The debt for what is due, if the site lets a driver out on one whose terminal cannot be reached."""

    def taken_here(self, ticket: TicketNumber) -> tuple[PaymentId, int] | None:
        """What this lane's terminal took last for a ticket and has not given back, in minor units of the site's currency."""


# -- state -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Doubt:
    """A vend that was intended when the site went dark: did a vehicle pass?"""

    vend: VendId
    ticket: TicketNumber | None


@dataclass(frozen=True, slots=True)
class Step:
    """What a lane decided: its next state, what thereby has happened, what shall be done."""

    lane: "Lane"
    facts: tuple[Fact, ...] = ()
    effects: tuple[Effect, ...] = ()


class Phase(StrEnum):
    """Where a lane is. Both kinds of lane use these words; each uses its part of them."""

    STARTING = "starting"  # nothing moves until the inputs were read and doubts are settled
    IDLE = "idle"
    PRESENT = "present"  # a vehicle on the arming loop
    PRINTING = "printing"
    PRESENTED = "presented"  # ticket in the mouth
    PAYING = "paying"
    OPENING = "opening"
    OPEN = "open"  # up, the vehicle has not reached the closing loop
    PASSING = "passing"
    CLOSING = "closing"
    HELD_OPEN = "held-open"  # by a person, or because closing would be wrong
    LOCKED = "locked"
    FIRE = "fire"
    OUT_OF_SERVICE = "out-of-service"


@dataclass(frozen=True)  # copied often: gatectl.domain.frozen
class Lane:
    """One lane's whole state. Lost at a restart, on purpose: what must survive is a fact."""

    plan: LanePlan
    phase: Phase = Phase.STARTING
    deadline_mono_ms: int | None = None
    arming: Loop = Loop()
    closing: Loop = Loop()
    reset: Loop = Loop()
    arm: Arm = Arm.UNKNOWN
    faults: frozenset[LaneFault] = frozenset()
    doubt: Doubt | None = None
    mode: str = "normal"
    """The mode that was in force before a restart: normal, held-open, locked, fire; STARTING leads to its phase."""
    ticket: TicketNumber | None = None
    job: JobId | None = None
    vend: VendId | None = None
    payment: PaymentId | None = None
    price: Price | None = None
    quote: Quote | None = None
    """What the vehicle at this entry was told of the price."""
    tries: int = 0
    reversals: int = 0
    track: Track = NO_TRACK
    """How far the vehicles of this opening have come, by the loops alone."""
    fresh: bool = False
    """The vend has not let its vehicle through yet."""
    answer: str = ""
    """What the device said of the last order: "" (nothing yet), "confirmed", "refused", "unknown"."""
    last: TicketNumber | None = None
    """The ticket whose passage this opening committed: its vehicle may still reverse."""
    misses: tuple[int, ...] = ()
    """When PINs that nobody has were typed here, on the monotonic clock: the newest PIN_MISSES_MAX."""
    asked: str | None = None  # a press ("") or a read code that waits for the arm to come down
    way_since_mono_ms: int = 0
    """When the way under the arm became known clear, or ceased to be."""
    phase_since_mono_ms: int = 0
    blind: int = 0
    """Vends in a row whose vehicle left the arming loop and never reached the closing loop."""
    fire: bool = False
    """The wired fire input as last read; the latch is the phase."""
    boom_broken: bool = False
    missing: frozenset[str] = frozenset()
    """Roles of devices that are away."""
    pending: tuple[tuple[PaymentId, Price], ...] = ()
    """Payments asked of the terminal whose end is not known, oldest first."""
