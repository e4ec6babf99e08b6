"""What OCPP messages mean, 1.6 and 2.0.1 alike: requests of a charge point as plain words, and answers as payloads.

Sources: OCPP 1.6 edition 2 (sections 4, 6 and 7), OCPP-J 1.6, OCPP 2.0.1 part 2 (sections E, J and the message schemas). Payloads
were checked against their schema before they come here. Sans-IO; nothing here raises for what a charge point can say.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

V16: Final = "ocpp1.6"
V201: Final = "ocpp2.0.1"
METER_WH_MAX: Final = 2**53
"""A reading beyond this is no reading."""
WORD_CHARS_MAX: Final = 200
BEAT_S_DEFAULT: Final = 300
MULTIPLIER_MAX: Final = 9
_ENERGY: Final = "Energy.Active.Import.Register"

Payload = Mapping[str, Any]
Words = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Told:
    """A request in plain words. `connector` 0 is the whole charge point; None: it is not said."""

    what: str
    connector: int | None
    words: Words


def told_ms(text: object) -> int | None:
    """An RFC 3339 time as UTC milliseconds; without a zone it is UTC. None for what is no time after 1970."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
        found = None if at is None else int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return found if found is not None and found >= 0 else None


def time_text(at_ms: int) -> str:
    """UTC milliseconds as RFC 3339."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(text: object) -> str:
    """A text of a charge point without what cannot be printed, and not too long."""
    kept = "".join(char for char in text if char.isprintable()) if isinstance(text, str) else ""
    return kept.strip()[:WORD_CHARS_MAX]


def _words(**given: str | int | None) -> Words:
    return {name: word for name, word in given.items() if word is not None and word != ""}


# -- meters -----------------------------------------------------------------------------------------------------------


def watt_hours(value: object, unit: object, multiplier: object = 0) -> int | None:
    """A reading in whole watt-hours, rounded down; None for what is none."""
    scale = {"Wh": 0, "kWh": 3}.get(unit if isinstance(unit, str) else "")
    if scale is None or not isinstance(multiplier, int) or abs(multiplier) > MULTIPLIER_MAX:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    if not number.is_finite() or not 0 <= number <= METER_WH_MAX:
        return None
    found = number.scaleb(scale + multiplier)
    return int(found) if found <= METER_WH_MAX else None


def reading_wh(meter_values: object, first: bool = False) -> int | None:
    """The energy register in a list of meter values: the last one, or the first. Readings of one phase are passed over."""
    found: list[int] = []
    for values in meter_values if isinstance(meter_values, list) else ():
        for sample in values.get("sampledValue", ()):
            if sample.get("measurand", _ENERGY) != _ENERGY or "phase" in sample or sample.get("format") == "SignedData":
                continue
            of = sample.get("unitOfMeasure", {})
            unit = sample.get("unit", of.get("unit", "Wh"))
            wh = watt_hours(sample.get("value"), unit, of.get("multiplier", 0))
            if wh is not None:
                found.append(wh)
    if not found:
        return None
    return found[0] if first else found[-1]


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value <= METER_WH_MAX else None


# -- 1.6 --------------------------------------------------------------------------------------------------------------

_STATUS: Final[Mapping[str, str]] = {
    "Available": "available",
    "Preparing": "occupied",
    "Charging": "charging",
    "SuspendedEV": "paused",
    "SuspendedEVSE": "occupied",
    "Finishing": "finishing",
    "Reserved": "reserved",
    "Unavailable": "unavailable",
    "Faulted": "faulted",
    "Occupied": "occupied",
}
"""A charge point that holds energy back itself (SuspendedEVSE) makes nobody idle."""


def _boot16(payload: Payload) -> Told:
    vendor, model = plain(payload["chargePointVendor"]), plain(payload["chargePointModel"])
    firmware = plain(payload.get("firmwareVersion"))
    return Told("boot", None, _words(protocol=V16, vendor=vendor, model=model, firmware=firmware))


def _status16(payload: Payload) -> Told:
    codes = (payload["errorCode"], payload.get("vendorErrorCode"), payload.get("info"))
    error = next((plain(code) for code in codes if code not in (None, "", "NoError")), "")
    words = _words(status=_STATUS[payload["status"]], error=error)
    return Told("status", _whole(payload["connectorId"]), words)


def _begin16(payload: Payload) -> Told:
    words = _words(token=plain(payload["idTag"]), meter_wh=_whole(payload["meterStart"]))
    return Told("begin", _whole(payload["connectorId"]), words | _words(told_ms=told_ms(payload["timestamp"])))


def _end16(payload: Payload) -> Told:
    reason = plain(payload.get("reason", "Local"))
    words = _words(transaction=str(payload["transactionId"]), meter_wh=_whole(payload["meterStop"]), reason=reason)
    return Told("end", None, words | _words(told_ms=told_ms(payload["timestamp"])))


def _meter16(payload: Payload) -> Told | None:
    transaction, meter_wh = payload.get("transactionId"), reading_wh(payload["meterValue"])
    if transaction is None or meter_wh is None:
        return None
    at_ms = told_ms(payload["meterValue"][-1].get("timestamp"))
    return Told("meter", None, _words(transaction=str(transaction), meter_wh=meter_wh, told_ms=at_ms))


# -- 2.0.1 ------------------------------------------------------------------------------------------------------------


def _boot201(payload: Payload) -> Told:
    station = payload["chargingStation"]
    vendor, model = plain(station["vendorName"]), plain(station["model"])
    firmware = plain(station.get("firmwareVersion"))
    return Told("boot", None, _words(protocol=V201, vendor=vendor, model=model, firmware=firmware))


def _status201(payload: Payload) -> Told:
    return Told("status", _whole(payload["evseId"]), _words(status=_STATUS[payload["connectorStatus"]]))


_CHARGING_STATE: Final[Mapping[str, str]] = {"Charging": "charging", "SuspendedEV": "paused"}
_EVENTS: Final[Mapping[str, str]] = {"Started": "begin", "Updated": "meter", "Ended": "end"}


def _event201(payload: Payload) -> Told:
    info, what = payload["transactionInfo"], _EVENTS[payload["eventType"]]
    words = _words(
        transaction=plain(info["transactionId"]),
        meter_wh=reading_wh(payload.get("meterValue"), first=what == "begin"),
        told_ms=told_ms(payload["timestamp"]),
    )
    if what == "end":
        return Told(what, None, words | _words(reason=plain(info.get("stoppedReason", "Local"))))
    words |= _words(token=plain(payload.get("idToken", {}).get("idToken")))
    if what == "begin":
        return Told(what, _whole(payload.get("evse", {}).get("id", 1)), words)
    return Told(what, None, words | _words(status=_CHARGING_STATE.get(info.get("chargingState", ""), "")))


# -- answers ----------------------------------------------------------------------------------------------------------


def _registered(data: Payload) -> Payload:
    beat_s = data.get("beat_s", BEAT_S_DEFAULT)
    return {"currentTime": time_text(data["now_ms"]), "interval": beat_s, "status": "Accepted"}


def _timed(data: Payload) -> Payload:
    return {"currentTime": time_text(data["now_ms"])}


def _nothing(data: Payload) -> Payload:
    return {}


def _judged(data: Payload) -> Payload:
    return {"status": "Accepted" if data.get("accepted") else "Invalid"}


def _begun16(data: Payload) -> Payload:
    """A transaction at a connector that the site does not know gets the number 0 and no right to charge."""
    return {"transactionId": data.get("number", 0), "idTagInfo": _judged(data)}


def _event_answer(data: Payload) -> Payload:
    return {"idTokenInfo": _judged(data)} if "accepted" in data else {}


def _unknown_vendor(data: Payload) -> Payload:
    return {"status": "UnknownVendorId"}


@dataclass(frozen=True, slots=True)
class Action:
    """How a request is understood, and how it is answered from what the site said; nothing to understand: answered at once."""

    read: Callable[[Payload], Told | None]
    write: Callable[[Payload], Payload]


def _untold(payload: Payload) -> None:
    return None


def _token16(payload: Payload) -> Told:
    return Told("authorize", None, {"token": plain(payload["idTag"]) or "-"})


def _token201(payload: Payload) -> Told:
    return Told("authorize", None, {"token": plain(payload["idToken"]["idToken"]) or "-"})


def _beat(payload: Payload) -> Told:
    return Told("beat", None, {})


def _silent(*actions: str) -> dict[str, Action]:
    return {action: Action(_untold, _nothing) for action in actions}


ACTIONS: Final[Mapping[str, Mapping[str, Action]]] = {
    V16: {
        "BootNotification": Action(_boot16, _registered),
        "Heartbeat": Action(_beat, _timed),
        "StatusNotification": Action(_status16, _nothing),
        "Authorize": Action(_token16, lambda data: {"idTagInfo": _judged(data)}),
        "StartTransaction": Action(_begin16, _begun16),
        "StopTransaction": Action(_end16, _nothing),
        "MeterValues": Action(_meter16, _nothing),
        "DataTransfer": Action(_untold, _unknown_vendor),
        **_silent("DiagnosticsStatusNotification", "FirmwareStatusNotification", "SecurityEventNotification"),
    },
    V201: {
        "BootNotification": Action(_boot201, _registered),
        "Heartbeat": Action(_beat, _timed),
        "StatusNotification": Action(_status201, _nothing),
        "Authorize": Action(_token201, lambda data: {"idTokenInfo": _judged(data)}),
        "TransactionEvent": Action(_event201, _event_answer),
        "DataTransfer": Action(_untold, _unknown_vendor),
        **_silent("MeterValues", "NotifyEvent", "NotifyReport", "SecurityEventNotification"),
        **_silent("FirmwareStatusNotification", "LogStatusNotification"),
    },
}
"""The requests of a charge point that are understood, by the websocket subprotocol."""


def start_call(protocol: str, connector: int, token: str, number: int) -> tuple[str, Payload]:
    """Action and payload that ask a charge point to begin."""
    if protocol == V16:
        return "RemoteStartTransaction", {"connectorId": connector, "idTag": token}
    of = {"idToken": token, "type": "Central"}
    return "RequestStartTransaction", {"evseId": connector, "remoteStartId": number, "idToken": of}


def stop_call(protocol: str, transaction: str) -> tuple[str, Payload] | None:
    """Action and payload that ask a charge point to end a transaction; None if it cannot have one of that name."""
    if protocol == V201:
        return "RequestStopTransaction", {"transactionId": transaction}
    if not transaction.isdecimal():
        return None
    return "RemoteStopTransaction", {"transactionId": int(transaction)}
