"""The endpoints of the control socket: which question each is, and what its words may look like."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from gatectl.domain.business import registry as business
from gatectl.domain.lane import Hand
from gatectl.domain.payments import METHODS
from gatectl.domain.records import registry as records
from gatectl.runtime.desk import Answer, CashPayment, Desk, EventQuery, LostTicket, Order, Refused, TicketQuery

QUERY_PAIRS_MAX: Final = 16
ROWS_MAX: Final = 1_000
"""Rows of one answer."""
TEXT_CHARS_MAX: Final = 200
NAME_CHARS_MAX: Final = 128
WHOLE_MAX: Final = 2**53


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: `names` are the variable parts of the path, decoded."""

    names: tuple[str, ...]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    who: str

    def text(self, key: str, default: str | None = None, chars_max: int = TEXT_CHARS_MAX) -> str:
        """A member of the body: printable, not blank. No default (None): it must be there."""
        value = self.body.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > chars_max:
            raise Refused("E-USE-01", f"{key}: a text of 1 to {chars_max} printable characters is needed")
        return value.strip()

    def maybe(self, key: str) -> str | None:
        return None if self.body.get(key) is None else self.text(key, chars_max=NAME_CHARS_MAX)

    def whole(self, key: str) -> int | None:
        """A whole number of the body, not negative; None if it is not there."""
        value = self.body.get(key)
        if value is None:
            return None
        if type(value) is not int or not 0 <= value <= WHOLE_MAX:
            raise Refused("E-USE-01", f"{key}: a whole number is needed")
        return value

    def order(self) -> Order:
        return Order(self.who, self.text("reason"), self.text("request", chars_max=NAME_CHARS_MAX))

    def number(self, key: str, high: int = WHOLE_MAX) -> int | None:
        """A whole number of the query, 0..high; None if it is not there."""
        value = self.query.get(key)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,16}", value) or int(value) > high:
            raise Refused("E-USE-01", f"{key}: a whole number from 0 to {high} is needed")
        return int(value)

    def limit(self) -> int:
        given = self.number("limit", ROWS_MAX)
        return 50 if given is None else max(1, given)


Handler = Callable[[Desk, Request], Answer | Iterator[Answer | None]]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. `pattern` has a group for each name in the path, `query` the keys that it reads."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    query: frozenset[str] = frozenset()


def _hand(desk: Desk, request: Request) -> Answer:
    return desk.hand(request.names[0], request.names[1], request.order())


def _tickets(desk: Desk, request: Request) -> Answer:
    query = TicketQuery(
        request.query.get("state"),
        request.number("since_ms"),
        request.limit(),
        request.query.get("q", ""),
        request.number("before_ms"),
    )
    if len(query.q) > NAME_CHARS_MAX // 2:
        raise Refused("E-USE-01", f"q: at most {NAME_CHARS_MAX // 2} characters")
    return desk.tickets(query)


def _lost(desk: Desk, request: Request) -> Answer:
    lost = LostTicket(request.maybe("ticket"), request.whole("minutes"), request.maybe("lane"))
    return desk.lost(lost, request.order())


def _pay(desk: Desk, request: Request) -> Answer:
    method = request.text("method", "CASH")
    if method not in METHODS:
        raise Refused("E-USE-01", f"method {method}: one of {', '.join(METHODS)} is needed")
    return desk.pay(
        CashPayment(
            ticket=request.text("ticket", chars_max=NAME_CHARS_MAX),
            method=method,
            amount_minor=request.whole("amount_minor"),
            tendered_minor=request.whole("tendered_minor"),
            key=request.text("key", chars_max=NAME_CHARS_MAX),
            till=request.text("till", "cashier", chars_max=NAME_CHARS_MAX),
            who=request.who,
            reference=request.text("reference", "", chars_max=NAME_CHARS_MAX),
        )
    )


def _events(desk: Desk, request: Request) -> Answer:
    return desk.events(
        EventQuery(
            request.number("after"),
            request.limit(),
            request.query.get("lane"),
            request.query.get("kind"),
            request.number("since_ms"),
        )
    )


def _ask(desk: Desk, request: Request) -> Answer:
    verb = business.VERBS.get(request.names[0])
    if verb is None or verb.of_device:
        raise Refused("E-NOT-01", f"nothing here is called {request.names[0]!r}")
    given = request.body.get("words", {})
    if not isinstance(given, dict):
        raise Refused("E-USE-01", "words: an object is needed")
    try:
        words = business.checked(verb, {name: word for name, word in given.items() if word is not None})
    except business.BadWords as error:
        raise Refused("E-USE-01", str(error)) from None
    return desk.ask(verb.name, words, request.who, request.text("request", chars_max=NAME_CHARS_MAX))


def _rows(desk: Desk, request: Request) -> Answer:
    table = next((table for table in records.TABLES if table.name == request.names[0]), None)
    if table is None:
        raise Refused("E-NOT-01", f"there is no table {request.names[0]!r}")
    column, value = request.query.get("column"), request.query.get("value")
    if column is not None and column not in {known.name for known in table.columns}:
        raise Refused("E-USE-01", f"{table.name} has no column {column!r}")
    where = (column, value or "") if column is not None else None
    return desk.rows(table.name, where, request.limit())


_NAME = r"([^/]{1,200})"
_VERBS = "|".join(Hand)


def _route(method: str, path: str, handler: Handler, *query: str) -> Route:
    return Route(method, re.compile(f"/v1/{path}"), handler, frozenset(query))


ROUTES: Final = (
    _route("GET", "status", lambda desk, _: desk.status()),
    _route("GET", "lanes", lambda desk, _: desk.lanes()),
    _route("GET", f"lanes/{_NAME}", lambda desk, r: desk.lane(r.names[0])),
    _route("GET", f"lanes/{_NAME}/inputs", lambda desk, r: desk.inputs(r.names[0])),
    _route("POST", f"lanes/{_NAME}/({_VERBS})", _hand),
    _route("GET", "ports", lambda desk, _: desk.ports()),
    _route("GET", "printers", lambda desk, _: desk.printers()),
    _route("POST", f"printers/{_NAME}/test", lambda desk, r: desk.test_printer(r.names[0], r.who)),
    _route("GET", "tickets", _tickets, "state", "since_ms", "limit", "q", "before_ms"),
    _route("POST", "tickets/lost", _lost),
    _route("GET", f"tickets/{_NAME}", lambda desk, r: desk.ticket(r.names[0])),
    _route("POST", f"tickets/{_NAME}/void", lambda desk, r: desk.void(r.names[0], r.order())),
    _route("POST", "payments", _pay),
    _route("POST", f"do/{_NAME}", _ask),
    _route("GET", f"rows/{_NAME}", _rows, "column", "value", "limit"),
    _route("GET", f"why/{_NAME}", lambda desk, r: desk.why(r.names[0])),
    _route("GET", "sync", lambda desk, _: desk.sync()),
    _route("POST", "sync/now", lambda desk, r: desk.sync_now(r.who)),
    _route("GET", "sync/prove", lambda desk, _: desk.prove()),
    _route("GET", "events", _events, "after", "limit", "lane", "kind", "since_ms"),
    _route("GET", "availability", lambda desk, _: desk.availability()),
    _route("GET", "availability/stream", lambda desk, _: desk.availability_stream()),
    _route("GET", "events/stream", lambda desk, r: desk.stream(r.number("after")), "after"),
)


def read_query(text: str, known: frozenset[str]) -> Mapping[str, str]:
    """The pairs of a query. Raises Refused for a key that the endpoint does not read, so that a typo is not ignored."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=QUERY_PAIRS_MAX)
    except ValueError:
        raise Refused("E-USE-01", f"more than {QUERY_PAIRS_MAX} values in the query") from None
    for key, value in pairs:
        if key not in known:
            raise Refused("E-USE-01", f"{key[:NAME_CHARS_MAX]} is not asked here; known: {', '.join(sorted(known))}")
        if len(value) > NAME_CHARS_MAX:
            raise Refused("E-USE-01", f"{key}: at most {NAME_CHARS_MAX} characters")
    return {key: value for key, value in pairs if value}
