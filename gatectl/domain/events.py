"""What reaches the core from outside, in the past tense. Frozen values; the only things that cross into the core thread."""

from dataclasses import dataclass

from gatectl.domain.ids import AreaId, LaneId, PaymentId, RequestId, TicketNumber
from gatectl.domain.lane import Hand, Input


@dataclass(frozen=True, slots=True)
class LaneInput:
    """Something happened at one lane."""

    lane: LaneId
    input: Input


@dataclass(frozen=True, slots=True)
class DeviceWent:
    """A device was lost or came back. `roles` are the lanes that need it, with their names for it."""

    device: str
    up: bool
    why: str
    roles: tuple[tuple[LaneId, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class OfficeWent:
    up: bool
    why: str


@dataclass(frozen=True, slots=True)
class TariffReceived:
    """A tariff version from the office's feed or the site file; `body` is the canonical JSON of it."""

    tariff: str
    body: str
    source: str


@dataclass(frozen=True, slots=True)
class Received:
    """A row of reference data: `body` is the canonical JSON of it, None when the row was removed. Not for tariffs."""

    kind: str
    key: str
    body: str | None
    source: str


@dataclass(frozen=True, slots=True)
class ReceivedWhole:
    """The feed was told from its beginning: of a kind there are these rows and no others."""

    kind: str
    keys: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class OfficeCommanded:
    """A live command from the office; refused by name when `deadline_mono_ms` has passed."""

    command: str
    lane: LaneId
    hand: Hand
    who: str
    why: str
    deadline_mono_ms: int


@dataclass(frozen=True, slots=True)
class HandAsked:
    """A person at the site asks a lane for something."""

    lane: LaneId
    hand: Hand
    who: str
    why: str
    request: RequestId


@dataclass(frozen=True, slots=True)
class CashOffered:
    """A cashier (or a pay station) takes money for a ticket, mostly cash. `amount_minor` None: pay what is due."""

    request: RequestId
    payment: PaymentId
    ticket: TicketNumber
    amount_minor: int | None
    tendered_minor: int | None
    till: str
    who: str
    method: str = "CASH"
    reference: str = ""


@dataclass(frozen=True, slots=True)
class StationAsked:
    """A pay station asks about the ticket with this code: `what` is "quote", or "pay-cash" with what was put in.

    Behind the ticket's code, with a blank between, there may be a coupon's: it is put on the ticket first.
    """

    request: RequestId
    station: str
    what: str
    code: str
    tendered_minor: int


@dataclass(frozen=True, slots=True)
class VoidAsked:
    request: RequestId
    ticket: TicketNumber
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class LostTicketDeclared:
    """A driver inside has no ticket. `ticket` is the stay found for them, if any; else `minutes` inside, if proven."""

    request: RequestId
    lane: LaneId
    ticket: TicketNumber | None
    minutes: int | None
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class CountCorrected:
    request: RequestId
    area: AreaId
    delta: int
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A person or a station asks for a verb of the business; `words` as the verb's parameters want them, checked."""

    request: RequestId
    verb: str
    who: str
    words: tuple[tuple[str, str | int | bool], ...]


@dataclass(frozen=True, slots=True)
class HistoryStands:
    """Under which generation the journal goes on, as the uplink sees it. Told again and again: what is new is recorded.

    `reason`: why this run began it, else empty. `gone`: records before it are missing at the office for good.
    """

    generation: int
    reason: str
    gone: bool


@dataclass(frozen=True, slots=True)
class PaymentReversed:
    """A terminal's answer to ReversePayment. `outcome`: "reversed", "refused", "unknown"."""

    payment: PaymentId
    outcome: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class EntrySigned:
    """The signature unit's answer to SignEntry. `signature`: RKSV 64 bytes in hex, PT base64; empty and `why` if it failed."""

    series: str
    number: int
    text: str
    signature: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class WallClockMoved:
    """The wall clock stepped against the monotonic clock."""

    by_ms: int


@dataclass(frozen=True, slots=True)
class StopAsked:
    reason: str


Event = (
    LaneInput
    | DeviceWent
    | OfficeWent
    | TariffReceived
    | Received
    | ReceivedWhole
    | OfficeCommanded
    | HandAsked
    | CashOffered
    | StationAsked
    | VoidAsked
    | LostTicketDeclared
    | CountCorrected
    | Asked
    | HistoryStands
    | PaymentReversed
    | EntrySigned
    | WallClockMoved
    | StopAsked
)
