"""The messages of the payment protocol over MQTT, as values; docs/protocols/pay-mqtt.md is their specification. Sans-IO.

Every reader refuses by raising `Malformed`, whose text names the field and never quotes what the peer sent. A message that
may hold a card number raises `CardNumber` before anything in it is looked at.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from drivers.codecs import json_message
from drivers.codecs.json_message import Malformed
from drivers.codecs.pan import carries_card_number

VERSION: Final = 1
MESSAGE_BYTES_MAX: Final = 4_096
AMOUNT_MINOR_MAX: Final = 1_000_000_000
EXPIRES_MS_MAX: Final = 600_000

ASKING: Final = ("authorise", "cancel", "reverse", "query")
OUTCOMES: Final = ("approved", "declined", "cancelled", "timed-out", "pending", "never-seen")
FINAL: Final = frozenset(OUTCOMES[:4])
METHODS: Final = ("CREDIT_CARD", "DEBIT_CARD", "UPI", "WALLET")
REFUSALS: Final = ("expired", "busy", "key-reused", "malformed", "too-late", "never-seen")

_KEY = re.compile(r"[!-~]{1,128}")
_BEAT = re.compile(r"[A-Za-z0-9._-]{1,32}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_REFERENCE = re.compile(r"[ -~]{0,64}")
_AUTH_CODE = re.compile(r"[A-Za-z0-9]{0,16}")
_TERMINAL_REF = re.compile(r"[A-Za-z0-9._:-]{0,40}")
_MASKED = re.compile(r"[*xX#. -]{0,28}[0-9]{0,4}")
_CODE = re.compile(r"[ -~]{1,128}")


class CardNumber(Malformed):
    """Raised for a message in which a card number may be. Its content must not be kept or shown."""


class Oversized(Malformed):
    """Raised for a message longer than `MESSAGE_BYTES_MAX`."""


@dataclass(frozen=True, slots=True)
class Status:
    """A heartbeat: `beat` names the moment at which the device sent it. Not online: its will, or its good-bye."""

    online: bool
    beat: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """To a terminal. `expires_in_ms` counts from the moment at which the terminal sent `beat`."""

    id: str
    what: str
    payment: str
    amount_minor: int = 0
    currency: str = ""
    reference: str = ""
    beat: str = ""
    expires_in_ms: int = 0
    offline_max_minor: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """From a terminal: the request is accepted (`why` empty), or refused, and then nothing was done for it."""

    re: str
    payment: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """From a terminal: what became of a payment."""

    re: str
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
class StationAsk:
    """From a pay station: "quote", "pay-cash", or "received" for the answer to an earlier request."""

    id: str
    what: str
    code: str = ""
    tendered_minor: int = 0


@dataclass(frozen=True, slots=True)
class StationReply:
    """To a pay station."""

    re: str
    ok: bool
    data: Mapping[str, object] = field(default_factory=dict)


# -- reading ------------------------------------------------------------------------------------------------------------


def _read(payload: bytes, ours: Collection[str] = ()) -> dict[str, Any]:
    if len(payload) > MESSAGE_BYTES_MAX:
        raise Oversized(f"longer than {MESSAGE_BYTES_MAX} bytes")
    message = json_message.read(payload)
    if carries_card_number(message, ours):
        raise CardNumber("may hold a card number")
    if type(message.get("v")) is not int or message["v"] != VERSION:
        raise Malformed(f"v is not {VERSION}")
    return message


def _text(message: Mapping[str, Any], name: str, pattern: re.Pattern[str], default: str | None = None) -> str:
    value = message.get(name, default)
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise Malformed(f"{name} is missing or not as it must be")
    return value


def _number(message: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = message.get(name)
    if type(value) is not int or not low <= value <= high:
        raise Malformed(f"{name} is not a whole number from {low} to {high}")
    return value


def _one_of(message: Mapping[str, Any], name: str, allowed: Collection[str], default: str | None = None) -> str:
    value = message.get(name, default)
    if not isinstance(value, str) or value not in allowed:
        raise Malformed(f"{name} is none of {', '.join(allowed)}")
    return value


def read_status(payload: bytes) -> Status:
    message = _read(payload)
    online = message.get("online")
    if not isinstance(online, bool):
        raise Malformed("online is neither true nor false")
    return Status(online, _text(message, "beat", _BEAT) if online else "")


def read_ask(payload: bytes) -> Ask:
    """For the terminal's side."""
    message = _read(payload)
    what = _one_of(message, "what", ASKING)
    ask = Ask(_text(message, "id", _KEY), what, _text(message, "payment", _KEY))
    if what == "query":
        return ask
    return Ask(
        ask.id,
        what,
        ask.payment,
        _number(message, "amount_minor", 1, AMOUNT_MINOR_MAX) if what == "authorise" else 0,
        _text(message, "currency", _CURRENCY) if what == "authorise" else "",
        _text(message, "reference", _REFERENCE, "") if what == "authorise" else "",
        _text(message, "beat", _BEAT),
        _number(message, "expires_in_ms", 1, EXPIRES_MS_MAX),
        _number({"offline_max_minor": 0, **message}, "offline_max_minor", 0, AMOUNT_MINOR_MAX),
    )


def read_answer(payload: bytes, ours: Collection[str]) -> Taken | Told:
    """For our side. `ours` are the keys and ids that we made: they are no card numbers, whatever they look like."""
    message = _read(payload, ours)
    what = _one_of(message, "what", ("accepted", "refused", "outcome"))
    re_, payment = _text(message, "re", _KEY), _text(message, "payment", _KEY)
    if what == "accepted":
        return Taken(re_, payment)
    if what == "refused":
        return Taken(re_, payment, _one_of(message, "why", REFUSALS))
    outcome = _one_of(message, "outcome", OUTCOMES)
    why = json_message.printable(message.get("why", ""))
    if outcome in ("pending", "never-seen"):
        return Told(re_, payment, outcome, why=why)
    return Told(
        re_,
        payment,
        outcome,
        _number(message, "amount_minor", 1, AMOUNT_MINOR_MAX),
        _text(message, "currency", _CURRENCY),
        _one_of(message, "method", METHODS, "CREDIT_CARD") if outcome == "approved" else "",
        _text(message, "auth_code", _AUTH_CODE, ""),
        _text(message, "masked", _MASKED, ""),
        _text(message, "terminal_ref", _TERMINAL_REF, ""),
        why,
        outcome == "approved" and message.get("offline") is True,
    )


def read_station_ask(payload: bytes) -> StationAsk:
    """For our side."""
    message = _read(payload)
    what = _one_of(message, "what", ("quote", "pay-cash", "received"))
    return StationAsk(
        _text(message, "id", _KEY),
        what,
        _text(message, "code", _CODE) if what != "received" else "",
        _number(message, "tendered_minor", 1, AMOUNT_MINOR_MAX) if what == "pay-cash" else 0,
    )


def read_station_reply(payload: bytes) -> StationReply:
    """For the station's side."""
    message = _read(payload)
    ok, data = message.get("ok"), message.get("data")
    if not isinstance(ok, bool) or not isinstance(data, dict):
        raise Malformed("ok is true or false and data is an object")
    return StationReply(_text(message, "re", _KEY), ok, data)


# -- writing ------------------------------------------------------------------------------------------------------------


def write_status(status: Status) -> bytes:
    message: dict[str, object] = {"v": VERSION, "online": status.online}
    return json_message.write(message | ({"beat": status.beat} if status.online else {}))


def write_ask(ask: Ask) -> bytes:
    message: dict[str, object] = {"v": VERSION, "id": ask.id, "what": ask.what, "payment": ask.payment}
    if ask.what == "authorise":
        message |= {"amount_minor": ask.amount_minor, "currency": ask.currency, "reference": ask.reference}
        message |= {"offline_max_minor": ask.offline_max_minor} if ask.offline_max_minor else {}
    if ask.what != "query":
        message |= {"beat": ask.beat, "expires_in_ms": ask.expires_in_ms}
    return json_message.write(message)


def write_answer(answer: Taken | Told) -> bytes:
    message: dict[str, object] = {"v": VERSION, "re": answer.re}
    if isinstance(answer, Taken):
        message |= {"what": "refused" if answer.why else "accepted", "payment": answer.payment}
        return json_message.write(message | ({"why": answer.why} if answer.why else {}))
    message |= {"what": "outcome", "payment": answer.payment, "outcome": answer.outcome}
    if answer.outcome in FINAL:
        message |= {"amount_minor": answer.amount_minor, "currency": answer.currency}
    extras = ("method", "auth_code", "masked", "terminal_ref", "why", "offline")
    return json_message.write(message | {name: text for name in extras if (text := getattr(answer, name))})


def write_station_ask(ask: StationAsk) -> bytes:
    message: dict[str, object] = {"v": VERSION, "id": ask.id, "what": ask.what}
    if ask.what != "received":
        message["code"] = ask.code
    return json_message.write(message | ({"tendered_minor": ask.tendered_minor} if ask.what == "pay-cash" else {}))


def write_station_reply(reply: StationReply) -> bytes:
    """Raises TypeError or ValueError for data that JSON cannot hold."""
    return json_message.write({"v": VERSION, "re": reply.re, "ok": reply.ok, "data": dict(reply.data)})
