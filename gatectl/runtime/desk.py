"""What the control socket can be asked, apart from how: the desk that answers, its questions, its refusals.

Every answer is a dict with a "schema", as the command line prints it with --json.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from gatectl.domain.business.rule import Words
from gatectl.domain.codes import code_of

Answer = dict[str, Any]
HEARTBEAT_S_MAX = 1.0
"""A stream yields None at least this often while nothing happens, so that a vanished watcher is noticed."""


class Refused(Exception):  # it is an answer, not a fault of ours
    """Raised by a desk instead of an answer. What is not given is taken from the table of codes."""

    def __init__(self, code: str, message: str = "", *, cause: str = "", action: str = "", **data: object) -> None:
        super().__init__(message or code_of(code).sentence)
        self.code = code
        self.cause = cause
        self.action = action
        self.data = data

    def plain(self) -> Answer:
        """The gatectl.error/1 of it."""
        row = code_of(self.code)
        return {
            "schema": "gatectl.error/1",
            **self.data,
            "code": self.code,
            "message": str(self),
            "cause": self.cause or row.cause,
            "action": self.action or row.action,
            "see": f"gatectl help {self.code}",
        }


@dataclass(frozen=True, slots=True)
class Order:
    """Who asks for something to be done, why, and the id under which it is done once however often it is sent."""

    who: str
    reason: str
    request: str


@dataclass(frozen=True, slots=True)
class TicketQuery:
    state: str | None = None
    since_ms: int | None = None
    limit: int = 50
    q: str = ""
    before_ms: int | None = None


@dataclass(frozen=True, slots=True)
class EventQuery:
    after: int | None = None
    limit: int = 50
    lane: str | None = None
    kind: str | None = None
    since_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LostTicket:
    """`ticket`: the stay that was found; else `minutes`: how long the driver proves to have been inside."""

    ticket: str | None
    minutes: int | None
    lane: str | None


@dataclass(frozen=True, slots=True)
class CashPayment:
    """`amount_minor` None: what is due. `tendered_minor` None: exactly that."""

    ticket: str
    method: str
    amount_minor: int | None
    tendered_minor: int | None
    key: str
    till: str
    who: str
    reference: str = ""


class Desk(Protocol):
    """Answers the control socket. Methods are called from many threads and return soon, or raise Refused."""

    def status(self) -> Answer:
        """gatectl.status/1"""

    def lanes(self) -> Answer:
        """gatectl.lanes/1"""

    def lane(self, lane: str) -> Answer:
        """gatectl.lane/1"""

    def hand(self, lane: str, verb: str, order: Order) -> Answer:
        """gatectl.done/1 when it is done; `verb` is one of gatectl.domain.lane.Hand."""

    def inputs(self, lane: str) -> Iterator[Answer | None]:
        """Each input as it is now, then each change; None as a heartbeat."""

    def printers(self) -> Answer:
        """gatectl.printers/1"""

    def ports(self) -> Answer:
        """gatectl.ports/1: what each port has counted since the start"""

    def rows(self, table: str, where: tuple[str, str] | None, limit: int) -> Answer:
        """gatectl.rows/1: rows of one of the business's tables, newest key last."""

    def ask(self, verb: str, words: Words, who: str, request: str) -> Answer:
        """gatectl.done/1 when a verb of the business is done; what it says besides is beside it."""

    def test_printer(self, device: str, who: str) -> Answer:
        """gatectl.done/1; prints a page marked TEST, never a valid ticket."""

    def tickets(self, query: TicketQuery) -> Answer:
        """gatectl.tickets/1"""

    def ticket(self, number: str) -> Answer:
        """gatectl.ticket/1"""

    def why(self, subject: str) -> Answer:
        """gatectl.why/1 of a lane or a ticket."""

    def void(self, number: str, order: Order) -> Answer:
        """gatectl.done/1"""

    def lost(self, lost: LostTicket, order: Order) -> Answer:
        """gatectl.done/1 with "ticket": the replacement that is paid on."""

    def pay(self, payment: CashPayment) -> Answer:
        """gatectl.payment/1"""

    def sync(self) -> Answer:
        """gatectl.sync/1"""

    def sync_now(self, who: str) -> Answer:
        """gatectl.done/1"""

    def prove(self) -> Answer:
        """gatectl.prove/1"""

    def availability(self) -> Answer:
        """gatectl.availability/1"""

    def availability_stream(self) -> Iterator[Answer | None]:
        """Each area and lane as it is now, then each that changes; None as a heartbeat."""

    def events(self, query: EventQuery) -> Answer:
        """gatectl.events/1"""

    def stream(self, after: int | None) -> Iterator[Answer | None]:
        """Events after a position (None: from now on) as they are committed; None as a heartbeat."""
