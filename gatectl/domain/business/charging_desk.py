"""What chargers tell and ask, and what people ask of chargers and sessions.

A charge point's messages are verbs of its own: `who` is the device, `connector` one of its connectors, 0 the whole of it.
Every one is answered after its facts are on disk: a charger may forget what was answered, and does.
"""

from collections.abc import Callable, Iterator
from typing import Final

from gatectl.domain.business import charging_sessions as sessions
from gatectl.domain.business.rule import Context, Done, No, Param, Verb, Words
from gatectl.domain.chargers import Charger
from gatectl.domain.effects import SteerCharger
from gatectl.domain.facts import Fact
from gatectl.domain.ids import TimeQuality
from gatectl.domain.records.charging import (
    CHARGERS,
    SESSIONS,
    ChargerBooted,
    ChargerCleared,
    ChargerFaulted,
    ChargerStatusChanged,
    ChargingAsked,
    ChargingClaimed,
    ChargingNotDone,
    ChargingUnclaimed,
)
from gatectl.domain.rows import words
from gatectl.domain.tickets import parse_number

BEAT_S: Final = 300
"""How often a charge point reports that it lives, and is told the time."""
BEAT_UNSET_S: Final = 30
"""... while our own clock is not set, so that it hears the right time soon."""
STEER_MS_MAX: Final = 30_000
"""A charger that was asked to start or stop and has not answered by then is asked no more."""
STATION: Final = "station: "
"""Begins a fault that its charge point told of as a whole."""


# -- what charge points tell ----------------------------------------------------------------------------------------------


def _time(context: Context) -> dict[str, object]:
    set_already = context.now.quality is not TimeQuality.UNSET
    return {"now_ms": context.now.wall_ms, "beat_s": BEAT_S if set_already else BEAT_UNSET_S}


def _here(context: Context, device: str) -> list[Charger]:
    return [charger for charger in context.plan.chargers if charger.device == device]


def _word(given: Words, name: str) -> str:
    return str(given.get(name, ""))


def _whole(given: Words, name: str) -> int | None:
    value = given.get(name)
    return int(value) if value is not None else None


def _boot(context: Context, who: str, given: Words) -> Done | No:
    facts: list[Fact] = []
    told = tuple(_word(given, name) for name in ("protocol", "vendor", "model", "firmware"))
    for charger in _here(context, who):
        row = context.books.tables.get(CHARGERS, charger.charger)
        if row is None or told != tuple(row[name] for name in ("protocol", "vendor", "model", "firmware")):
            facts += sessions.known(context, charger.charger)
            facts.append(ChargerBooted(charger.charger, *told))
    return Done("registered", tuple(facts), _time(context))


def _beat(context: Context, who: str, given: Words) -> Done | No:
    return Done("heard", data=_time(context))


def _status(context: Context, who: str, given: Words) -> Done | No:
    number, status, error = _whole(given, "connector"), _word(given, "status"), _word(given, "error") or "Faulted"
    facts: list[Fact] = []
    for charger in _here(context, who):
        if number == 0:
            facts += _station_status(context, charger, status, error)
        elif charger.connector == number:
            facts += _connector_status(context, charger, status, error)
    return Done("heard", tuple(facts))


def _station_status(context: Context, charger: Charger, status: str, error: str) -> Iterator[Fact]:
    row = context.books.tables.get(CHARGERS, charger.charger)
    fault = str(row["fault"] or "") if row is not None else ""
    if status == "faulted" and fault != f"{STATION}{error}":
        yield from sessions.known(context, charger.charger)
        yield ChargerFaulted(charger.charger, f"{STATION}{error}", context.now.wall_ms)
        yield from sessions.paused(context, charger.charger, "faulted")
    elif status != "faulted" and fault.startswith(STATION):
        yield ChargerCleared(charger.charger, fault, context.now.wall_ms)


def _connector_status(context: Context, charger: Charger, status: str, error: str) -> Iterator[Fact]:
    row = context.books.tables.get(CHARGERS, charger.charger)
    yield from sessions.known(context, charger.charger)
    if row is None or row["status"] != status:
        yield ChargerStatusChanged(charger.charger, status, context.now.wall_ms)
    fault = str(row["fault"] or "") if row is not None else ""
    if status == "faulted" and fault != error:
        yield ChargerFaulted(charger.charger, error, context.now.wall_ms)
    elif status != "faulted" and fault and not fault.startswith(STATION):
        yield ChargerCleared(charger.charger, fault, context.now.wall_ms)
    yield from sessions.paused(context, charger.charger, status)


def _authorize(context: Context, who: str, given: Words) -> Done | No:
    token = _word(given, "token")
    accepted = any(sessions.admitted(context, charger, token) for charger in _here(context, who))
    return Done("asked", data={"accepted": accepted})


def _begin(context: Context, who: str, given: Words) -> Done | No:
    charger = sessions.charger_at(context, who, _whole(given, "connector") or 0)
    if charger is None:
        return No("E-NOT-01", f"{who} has no connector {given.get('connector')} in the site file")
    token = _word(given, "token")
    number, facts = sessions.began(
        context, charger, _word(given, "transaction"), token, _whole(given, "meter_wh"), _whole(given, "told_ms")
    )
    accepted = sessions.admitted(context, charger, token)
    return Done("begun", facts, {"number": number, "accepted": accepted})


def _meter(context: Context, who: str, given: Words) -> Done | No:
    session = sessions.transaction_at(context, who, _word(given, "transaction"))
    meter_wh, status = _whole(given, "meter_wh"), _word(given, "status")
    facts: list[Fact] = []
    if session is not None:
        facts += sessions.named_late(context, session, _word(given, "token"))
    if session is not None and meter_wh is not None:
        facts += sessions.metered(context, session, meter_wh, _whole(given, "told_ms"))
    if session is not None and status:
        facts += sessions.paused(context, words(session, "charger"), status)
    return Done("heard", tuple(facts))


def _end(context: Context, who: str, given: Words) -> Done | No:
    transaction = _word(given, "transaction")
    session = sessions.transaction_at(context, who, transaction)
    meter_wh, told_ms = _whole(given, "meter_wh"), _whole(given, "told_ms")
    if session is not None:
        reason = _word(given, "reason") or "Local"
        return Done("ended", tuple(sessions.ended(context, session, reason, meter_wh, told_ms)))
    here = _here(context, who)
    if not here:
        return No("E-NOT-01", f"{who} is no charge point of the site file")
    why = "its end was told, its beginning never was"
    return Done("ended", (ChargingUnclaimed("", here[0].charger, transaction, why),))


def _steered(context: Context, who: str, given: Words) -> Done | No:
    charger, act = _word(given, "charger"), _word(given, "act")
    return Done("heard", (ChargingNotDone(charger, act, _word(given, "why") or "refused"),))


# -- what people ask ------------------------------------------------------------------------------------------------------


def _start(context: Context, who: str, given: Words) -> Done | No:
    charger = sessions.charger_of(context, _word(given, "charger"))
    if charger is None:
        return No("E-NOT-01", _no_charger(context, _word(given, "charger")))
    number = parse_number(_word(given, "ticket"))
    stay = sessions.stay_by(context, number) if number is not None else None
    if stay is None:
        return No("E-TKT-08", f"{given['ticket']} is not inside")
    if sessions.open_session(context, charger.charger) is not None:
        return No("E-USE-01", f"{charger.charger} charges already")
    fact = ChargingAsked(charger.charger, "start", stay, who, _word(given, "reason"))
    steer = SteerCharger(charger.charger, "start", stay, context.now.mono_ms + STEER_MS_MAX)
    return Done(f"{charger.charger} was asked to start for {stay}", (fact,), effects=(steer,))


def _stop(context: Context, who: str, given: Words) -> Done | No:
    charger = sessions.charger_of(context, _word(given, "charger"))
    if charger is None:
        return No("E-NOT-01", _no_charger(context, _word(given, "charger")))
    session = sessions.open_session(context, charger.charger)
    if session is None:
        return No("E-NOT-01", f"{charger.charger} does not charge")
    fact = ChargingAsked(charger.charger, "stop", words(session, "session"), who, _word(given, "reason"))
    transaction = words(session, "transaction_id")
    steer = SteerCharger(charger.charger, "stop", transaction, context.now.mono_ms + STEER_MS_MAX)
    return Done(f"{charger.charger} was asked to stop", (fact,), effects=(steer,))


def _claim(context: Context, who: str, given: Words) -> Done | No:
    session = context.books.tables.get(SESSIONS, _word(given, "session"))
    if session is None or session["state"] == "settled":
        return No("E-NOT-01", f"there is no session {given['session']} whose stay is still to be found")
    number = parse_number(_word(given, "ticket"))
    stay = sessions.stay_by(context, number) if number is not None else None
    if stay is None:
        return No("E-TKT-08", f"{given['ticket']} is not inside")
    fact = ChargingClaimed(words(session, "session"), stay, who, _word(given, "reason"))
    return Done(f"{fact.session} belongs to {stay}", (fact,), paid=stay)


def _no_charger(context: Context, name: str) -> str:
    there = ", ".join(charger.charger for charger in context.plan.chargers) or "none"
    return f"there is no charger {name}; there are: {there}"


_AT: Final = (Param("connector", int), Param("told_ms", int, needed=False))
_OF: Final = (Param("transaction", str), Param("meter_wh", int, needed=False), Param("told_ms", int, needed=False))


def _of_device(
    name: str, help_: str, params: tuple[Param, ...], decide: Callable[[Context, str, Words], Done | No]
) -> Verb:
    return Verb(f"charger-{name}", help_, params, decide, of_device=True)


VERBS: Final = (
    _of_device(
        "boot",
        "a charge point registers",
        tuple(Param(name, str, needed=False) for name in ("protocol", "vendor", "model", "firmware")),
        _boot,
    ),
    _of_device("beat", "a charge point lives, and asks for the time", (), _beat),
    _of_device(
        "status",
        "a connector's status",
        (Param("connector", int), Param("status", str), Param("error", str, needed=False)),
        _status,
    ),
    _of_device("authorize", "may this credential charge", (Param("token", str),), _authorize),
    _of_device(
        "begin",
        "a transaction has begun",
        (*_AT, *(Param(name, str, needed=False) for name in ("transaction", "token")), Param("meter_wh", int, False)),
        _begin,
    ),
    _of_device(
        "meter",
        "a reading in a transaction",
        (*_OF, *(Param(name, str, needed=False) for name in ("status", "token"))),
        _meter,
    ),
    _of_device("end", "a transaction has ended", (*_OF, Param("reason", str, needed=False)), _end),
    _of_device(
        "steered",
        "a charge point did not do what it was asked",
        (Param("charger", str), Param("act", str), Param("why", str, needed=False)),
        _steered,
    ),
    Verb(
        "charging-start",
        "ask a charger to begin a session for a ticket",
        (Param("charger", str), Param("ticket", str), Param("reason", str, needed=False)),
        _start,
    ),
    Verb(
        "charging-stop",
        "ask a charger to end its session",
        (Param("charger", str), Param("reason", str)),
        _stop,
    ),
    Verb(
        "charging-claim",
        "say whose a session is",
        (Param("session", str), Param("ticket", str), Param("reason", str)),
        _claim,
    ),
)
