"""What a device is to the rest of the program: capabilities, orders in, signals out.

Nothing here knows of lanes. A driver turns bytes into `Signal`s and `Order`s into bytes; it decides nothing.

The shape of a driver::

    Link (drivers/links: pyserial, paho: the only I/O, one thread per port)
      <-> Engine (one file a family; sans-IO, time is an argument)
            <-> codec (drivers/codecs: sans-IO, frames are values)

Rules for every engine:
    1. No reply is never "good": a value that was not confirmed in time becomes STALE, then the device is lost.
    2. An order is answered by exactly one `Outcome`: CONFIRMED, REFUSED (it certainly did not act) or UNKNOWN.
    3. A write that may have acted is never sent again.
    4. An order past its deadline is not sent: REFUSED, "expired".
    5. No input makes it raise: bad bytes are counted (`counters`), and skipped.
    6. Every buffer and queue has a named limit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

ORDERS_WAITING_MAX = 64
"""Orders that one engine holds; one more is REFUSED, "queue full"."""


class Clock(Protocol):
    """Real monotonic time in milliseconds. The wire's time-outs are never scaled."""

    def monotonic_ms(self) -> int: ...


class Quality(StrEnum):
    GOOD = "good"
    STALE = "stale"
    FAULT = "fault"


class Result(StrEnum):
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


# -- signals: from a device -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Input:
    """A contact, e.g. point "di0". `on` is after polarity. Sent on change, and once after start or reconnect."""

    device: str
    point: str
    on: bool
    quality: Quality


@dataclass(frozen=True, slots=True)
class PrinterStatus:
    """None: the device cannot say, or what it says cannot be trusted now (paper with the cover open)."""

    device: str
    online: bool
    paper_low: bool | None = None
    paper_out: bool | None = None
    cover_open: bool | None = None
    cutter_error: bool | None = None
    error: bool | None = None
    in_mouth: bool | None = None


@dataclass(frozen=True, slots=True)
class Paper:
    """Progress of a print order that was accepted. `what`: "presented", "taken", "retracted"."""

    device: str
    order: str
    what: Literal["presented", "taken", "retracted"]


@dataclass(frozen=True, slots=True)
class Code:
    """A reader read a code: printable ASCII, at most 128 characters."""

    device: str
    text: str


@dataclass(frozen=True, slots=True)
class TerminalReply:
    """A payment terminal's answer. `outcome`: approved, declined, cancelled, timed-out, unknown."""

    device: str
    payment: str
    outcome: str
    amount_minor: int = 0
    currency: str = ""
    method: str = ""
    auth_code: str = ""
    masked: str = ""
    terminal_ref: str = ""
    why: str = ""
    offline: bool = False


@dataclass(frozen=True, slots=True)
class StationRequest:
    """A pay station asks something: `what` is "quote" or "pay-cash"; answered with StationAnswer under `request`."""

    device: str
    request: str
    what: str
    code: str
    tendered_minor: int = 0


@dataclass(frozen=True, slots=True)
class ChargerReport:
    """A charge point tells or asks something; answered with StationAnswer under `request`, and only then is it told.

    `what`: boot, beat, status, authorize, begin, meter or end. `connector` 0 is the charge point as a whole. `words` say
    the rest: whole numbers, not negative, and texts of 1 to 200 printable characters.
    """

    device: str
    request: str
    what: str
    connector: int | None = None
    words: tuple[tuple[str, str | int], ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """The device went away (`up` False, once) or came back (once)."""

    device: str
    up: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The one answer to an order."""

    device: str
    order: str
    result: Result
    detail: str = ""


Signal = Input | PrinterStatus | Paper | Code | TerminalReply | StationRequest | ChargerReport | Health | Outcome
Sink = Callable[[Signal], None]


# -- orders: to a device ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pulse:
    """Close an output for `width_ms`, timed by the device itself. Outputs of one device exclude each other."""

    order: str
    point: str
    width_ms: int
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    bold: bool = False
    big: bool = False
    align: Literal["left", "centre"] = "left"


@dataclass(frozen=True, slots=True)
class Columns:
    """Left and right text on one line, the right one flush."""

    left: str
    right: str
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Qr:
    """A QR code; `data` is upper-case alphanumeric."""

    data: str


@dataclass(frozen=True, slots=True)
class Rule:
    pass


Element = Text | Columns | Qr | Rule


@dataclass(frozen=True, slots=True)
class Print:
    """Print, cut, and present if the model can. CONFIRMED means printed, by the printer's own in-order reply."""

    order: str
    document: tuple[Element, ...]
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Retract:
    order: str
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Charge:
    """Ask a terminal for money under an idempotency key; the money's answer is a TerminalReply.

    `offline_max_minor`: the most that the terminal may approve without asking the issuer.
    """

    order: str
    payment: str
    amount_minor: int
    currency: str
    reference: str
    deadline_ms: int
    offline_max_minor: int = 0


@dataclass(frozen=True, slots=True)
class CancelCharge:
    order: str
    payment: str
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class ReverseCharge:
    """Take an approved payment back, under its key: once, however often it is asked. Confirmed: it is taken back."""

    order: str
    payment: str
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class QueryCharge:
    """Ask what became of a payment: answered by a TerminalReply, "unknown" if the terminal never saw it."""

    order: str
    payment: str
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Show:
    order: str
    text: str
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class StationAnswer:
    order: str
    request: str
    ok: bool
    data: Mapping[str, object]
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Steer:
    """Ask a charge point to "start" at a connector with a credential, or to "stop" a transaction; `about` is which.

    CONFIRMED: it said that it will.
    """

    order: str
    act: Literal["start", "stop"]
    connector: int
    about: str
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Announce:
    """Publish texts under names, for whoever reads them. CONFIRMED means handed to the link, not that anybody has read it."""

    order: str
    signs: tuple[tuple[str, str], ...]
    deadline_ms: int


Order = (
    Pulse
    | Print
    | Retract
    | Charge
    | CancelCharge
    | ReverseCharge
    | QueryCharge
    | Show
    | StationAnswer
    | Announce
    | Steer
)


# -- engines: one conversation, no I/O ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SerialTurn:
    """What a serial engine wants after it was told something."""

    write: bytes = b""
    signals: tuple[Signal, ...] = ()
    wake_at_ms: int | None = None
    """Call `poll` again by then, even if nothing arrives. None: only when something arrives."""


class SerialEngine(Protocol):
    """The conversation on one serial line, with all devices on it. Called from the port's thread only."""

    counters: dict[str, int]

    def opened(self, now_ms: int) -> None: ...
    def lost(self, now_ms: int, why: str) -> None:
        """The port vanished; orders in flight become UNKNOWN, waiting ones REFUSED, devices lost."""

    def received(self, data: bytes, now_ms: int) -> None: ...
    def order(self, device: str, order: Order, now_ms: int) -> None: ...
    def poll(self, now_ms: int) -> SerialTurn: ...


@dataclass(frozen=True, slots=True)
class Publish:
    """QoS 0, never retained, unless it is a state for others to read (`retain`)."""

    topic: str
    payload: bytes
    retain: bool = False
    not_after_ms: int | None = None
    """A link that could not send it by then (monotonic) drops it and counts it. None: no matter when."""


@dataclass(frozen=True, slots=True)
class MqttTurn:
    publish: tuple[Publish, ...] = ()
    signals: tuple[Signal, ...] = ()
    wake_at_ms: int | None = None


class MqttEngine(Protocol):
    """The conversation with one device through a broker. Called from the broker link's thread only."""

    counters: dict[str, int]

    @property
    def subscriptions(self) -> Sequence[str]: ...
    def connected(self, now_ms: int) -> None: ...
    def disconnected(self, now_ms: int, why: str) -> None: ...
    def message(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> None: ...
    def order(self, device: str, order: Order, now_ms: int) -> None: ...
    def poll(self, now_ms: int) -> MqttTurn: ...


# -- what the composition root builds ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PortSpec:
    """A port of the site file: `kind` "serial", "mqtt" or "ocpp", and that link's own options."""

    name: str
    kind: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device of the site file. `points` are the inputs and outputs that lanes use, with the option table each has."""

    name: str
    driver: str
    model: str
    port: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OptionFault:
    """One mistake in a port's or device's options: where (dotted), what, and what would do."""

    where: str
    what: str
    hint: str = ""


class Described(Protocol):
    """What every driver says of itself: one file, one entry point in the group `gatectl.drivers`."""

    name: str

    @property
    def link(self) -> str:
        """The kind of port that its devices are on."""

    @property
    def models(self) -> Sequence[str]: ...

    def check(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> list[OptionFault]:
        """Every fault in the options of this family's devices on one port; empty if it can be built."""

    def capabilities(self, device: DeviceSpec) -> Mapping[str, frozenset[str]]:
        """What each point of a device can do: {"di0": {"presence", "safety"}, "do0": {"pulse"}}.

        The point "" is the device as a whole: "print", "mouth", "retract", "code", "charge", "station".
        """


class Family(Described, Protocol):
    """A driver whose devices share a link that is here: it brings the conversation."""

    def engine(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> SerialEngine | MqttEngine: ...


class ServerFamily(Described, Protocol):
    """A driver whose devices call us, by a protocol that brings its own library: it brings link and conversation."""

    def bus(self, port: PortSpec, devices: Sequence[DeviceSpec]) -> "Bus": ...


class Bus(Protocol):
    """A port with its thread. `order` never blocks and never raises; the answer comes as an Outcome."""

    name: str
    turns: int
    """Grows while the thread makes progress; the watchdog looks at it."""
    failed: str
    """The traceback of a bug that ended the thread; empty while all is well."""

    def start(self, sink: Sink) -> None: ...
    def order(self, device: str, order: Order) -> None: ...
    def counters(self) -> Mapping[str, int]: ...
    def close(self) -> None:
        """Stop the thread and let go of the port. Twice is once."""
