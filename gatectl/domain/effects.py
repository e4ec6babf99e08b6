"""What shall be done, as values. Each is performed after the batch that carries it is on disk, and not before.

Effects name a lane and a role ("open", "printer", "terminal"); which device that is, is the wiring's business.
`deadline_mono_ms` is on the core's clock: an effect that is late is dropped and answered "refused: expired".
"""

from dataclasses import dataclass, field

from gatectl.domain.facts import Line
from gatectl.domain.ids import JobId, LaneId, PaymentId, RequestId, TicketNumber, VendId


@dataclass(frozen=True, slots=True)
class PrintTicket:
    """Print an entry ticket and present it. Answers: TicketPrinted, TicketPresented, TicketTaken, PrintFailed."""

    lane: LaneId
    job: JobId
    ticket: TicketNumber
    code: str
    issued_ms: int
    spot: str
    tariff_text: str
    deadline_mono_ms: int


@dataclass(frozen=True, slots=True)
class PrintReceipt:
    lane: LaneId
    job: JobId
    ticket: TicketNumber
    receipt: int
    series: str
    lines: tuple[Line, ...]
    paid_minor: int
    currency: str
    method: str
    paid_ms: int
    code: str = ""
    """What the fiscal journal has in its QR code; `notes` are the lines that the law wants beside it."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RetractTicket:
    """Pull back a ticket that is still in the mouth, if the printer can; never an error if it cannot."""

    lane: LaneId
    job: JobId


@dataclass(frozen=True, slots=True)
class OpenArm:
    """Request one opening pulse. Answer: ArmAnswered(vend, ...)."""

    lane: LaneId
    vend: VendId
    deadline_mono_ms: int


@dataclass(frozen=True, slots=True)
class CloseArm:
    """Request one closing pulse. Only ever produced while the closing loop is known to be clear."""

    lane: LaneId
    vend: VendId
    deadline_mono_ms: int


@dataclass(frozen=True, slots=True)
class StopArm:
    lane: LaneId
    vend: VendId
    deadline_mono_ms: int


@dataclass(frozen=True, slots=True)
class ShowText:
    """Text for the driver, at most two lines; lanes without a display ignore it."""

    lane: LaneId
    text: str


@dataclass(frozen=True, slots=True)
class Authorise:
    """Ask the lane's payment terminal for an amount. Answer: TerminalAnswered.

    `offline_max_minor`: so much it may approve without asking the issuer.
    """

    lane: LaneId
    payment: PaymentId
    ticket: TicketNumber
    amount_minor: int
    currency: str
    deadline_mono_ms: int
    offline_max_minor: int = 0


@dataclass(frozen=True, slots=True)
class CancelPayment:
    lane: LaneId
    payment: PaymentId


@dataclass(frozen=True, slots=True)
class QueryPayment:
    """Ask what became of a payment whose answer was lost. Answer: TerminalAnswered."""

    lane: LaneId
    payment: PaymentId


@dataclass(frozen=True, slots=True)
class SteerCharger:
    """Ask a charger to "start" a session for a ticket, or to "stop" a transaction; `about` is which.

    Only that it did not is answered: what it did, it tells itself.
    """

    charger: str
    act: str
    about: str
    deadline_mono_ms: int


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell signs and subscribers: names below the site's own, each with the text that holds from now on."""

    signs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ReversePayment:
    """Tell a terminal to take an approved payment back, under its key; hearing it again, it does it once.

    Answer: PaymentReversed.
    """

    lane: LaneId
    payment: PaymentId


@dataclass(frozen=True, slots=True)
class SignEntry:
    """Have one entry of the fiscal journal signed. Answer: EntrySigned.

    RKSV: the turnover, encrypted for `cashbox` and `number`, takes the place of COUNTER in `text` first. `mark`: the unit is
    known to fail, and the entry is only to be made ready for its mark.
    """

    series: str
    number: int
    regime: str
    text: str
    cashbox: str = ""
    turnover_minor: int = 0
    mark: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a person's or the office's request; `code` is empty when it was done, else an E-... code."""

    request: RequestId
    code: str
    message: str
    data: dict[str, object] = field(default_factory=dict)


Effect = (
    PrintTicket
    | PrintReceipt
    | RetractTicket
    | OpenArm
    | CloseArm
    | StopArm
    | ShowText
    | Authorise
    | CancelPayment
    | QueryPayment
    | Announce
    | SteerCharger
    | ReversePayment
    | SignEntry
    | Reply
)
