"""Facts as one line for a person. Works on bodies as they lie in the journal, so that the command line needs no types.

`tell` never fails: a body of a newer version, or one that lacks a member, is still told with what it has.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gatectl.domain.money import EXPONENTS, shown
from gatectl.domain.records import registry

Body = Mapping[str, Any]
TEXT_CHARS_MAX = 200

_VOID = {
    "not-taken": "not taken",
    "backed-out": "the vehicle backed out",
    "print-failed": "printing failed",
    "maybe-printed": "it may have been printed",
    "dark": "the site went dark",
    "failed-to-open": "the arm did not open",
    "by-hand": "by hand",
    "lost": "lost, replaced",
}


def tell(kind: str, body: Body) -> str:
    """One line, at most TEXT_CHARS_MAX characters, without control characters."""
    teller = TELLERS.get(kind)
    text = teller(_Lenient(body)) if teller is not None else f"{kind} (recorded by a newer version)"
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= TEXT_CHARS_MAX else plain[: TEXT_CHARS_MAX - 3] + "..."


class _Lenient(dict[str, Any]):
    """A body whose missing members read as "?"."""

    def __missing__(self, key: str) -> str:
        return "?"


def _money(minor: Any, currency: Any) -> str:
    if isinstance(minor, int) and isinstance(currency, str) and currency in EXPONENTS:
        return shown(minor, currency)
    return f"{minor} {currency}"


def _seconds(ms: Any) -> str:
    """A span in the largest unit that says enough: `4.2 s`, `3 min`, `5 h 10 min`, `2 d 3 h`."""
    if not isinstance(ms, int):
        return "?"
    whole = abs(ms) // 1000
    if whole < 60:
        return f"{abs(ms) / 1000:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def _by(body: Body) -> str:
    by, why = body.get("by") or body.get("who") or "", body.get("why") or body.get("reason") or ""
    return (f" by {by}" if by else "") + (f": {why}" if why else "")


def _started(b: Body) -> str:
    dark = "first start" if b["dark_from_ms"] is None else "after an orderly stop" if b["clean"] is True else ""
    if not dark and isinstance(b["dark_from_ms"], int) and isinstance(b["dark_to_ms"], int):
        dark = f"dark for {_seconds(b['dark_to_ms'] - b['dark_from_ms'])} without an orderly stop"
    return f"site started, version {b['software']}, {dark or 'dark before'}"


def _issued(b: Body) -> str:
    spot = f", spot {b['spot']}" if b["spot"] else ""
    return f"{b['lane']}: ticket {b['ticket']} issued{spot}"


def _entered(b: Body) -> str:
    doubt = "" if b["verified"] is not False else ", inferred"
    without = ", without a ticket of its own" if b["exception"] is True else ""
    return f"{b['lane']}: vehicle entered on {b['ticket']}{without}{doubt}"


def _exited(b: Body) -> str:
    doubt = "" if b["verified"] is not False else ", inferred"
    return f"{b['lane']}: vehicle left {'without a ticket' if b['ticket'] is None else 'on ' + str(b['ticket'])}{doubt}"


def _voided(b: Body) -> str:
    place = f"{b['lane']}: " if b["lane"] else ""
    reason = str(_VOID.get(str(b["reason"]), b["reason"]))
    why = str(b.get("why") or "")
    why = "" if why in reason else why
    return f"{place}ticket {b['ticket']} void: {reason}{_by({**b, 'reason': '', 'why': why})}"


def _lost(b: Body) -> str:
    stay = f"the stay of {b['ticket']}" if b["ticket"] else "no stay found"
    return f"lost ticket, {stay}, replaced by {b['replacement']}{_by(b)}"


def _vend(b: Body) -> str:
    ticket = f" for {b['ticket']}" if b["ticket"] else ""
    return f"{b['lane']}: opening ({b['cause']}){ticket}"


def _irregular(b: Body) -> str:
    ticket = f", ticket {b['ticket']}" if b["ticket"] else ""
    return f"{b['lane']}: {str(b['irregularity']).replace('-', ' ')}{ticket}"


def _taken(b: Body) -> str:
    change = b["change_minor"]
    back = f", change {_money(change, b['currency'])}" if change not in (0, "?") else ""
    money = _money(b["amount_minor"], b["currency"])
    return f"paid {money} {b['method']} for {b['ticket']}{back}, receipt {b['series']}-{b['receipt']}"


def _refused(b: Body) -> str:
    return f"{b['lane']}: code refused: {b['why']}" + (f", ticket {b['ticket']}" if b["ticket"] else "")


def _refunded(b: Body) -> str:
    money = _money(b["amount_minor"], b["currency"])
    return f"refunded {money} for {b['ticket']}, receipt {b['series']}-{b['receipt']}{_by(b)}"


def _learned(b: Body) -> str:
    return f"{b['lane']}: ticket {b['ticket']} learned from its own code: its record was lost"


def _clock(b: Body) -> str:
    way = "back" if isinstance(b["by_ms"], int) and b["by_ms"] < 0 else "forward"
    return f"the clock moved {way} by {_seconds(b['by_ms'])}, now {b['quality']}"


def _pay_failed(b: Body) -> str:
    return f"payment for {b['ticket']} {b['outcome']}" + (f": {b['why']}" if b["why"] else "")


def _asked(b: Body) -> str:
    return f"asking for {_money(b['amount_minor'], b['currency'])} {b['method']} for {b['ticket']} at {b['till']}"


def _opened(b: Body) -> str:
    return f"{b['lane']}: {'held open' if b['hold'] is True else 'opened'} by hand{_by(b)}"


TELLERS: Mapping[str, Callable[[Body], str]] = {
    "site.started": _started,
    "site.stopped": lambda b: f"site stopped: {b['reason']}",
    "clock.stepped": _clock,
    "tariff.applied": lambda b: f"tariff {b['tariff']} in force, from {b['source']}",
    "count.adjusted": lambda b: f"count of {b['area']} corrected by {b['delta']}{_by(b)}",
    "device.lost": lambda b: f"{b['device']} lost: {b['why']}",
    "device.back": lambda b: f"{b['device']} back after {_seconds(b['away_ms'])}",
    "office.lost": lambda b: f"office unreachable: {b['why']}",
    "office.back": lambda b: f"office back after {_seconds(b['away_ms'])}",
    "command.done": lambda b: f"the office's command {b['command']} done{_by(b)}",
    "command.refused": lambda b: f"the office's command {b['command']} refused: {b['why']}",
    "ticket.issued": _issued,
    "ticket.taken": lambda b: f"{b['lane']}: ticket {b['ticket']} taken",
    "ticket.learned": _learned,
    "ticket.voided": _voided,
    "vehicle.entered": _entered,
    "entry.reversed": lambda b: f"{b['lane']}: vehicle on {b['ticket']} drove back out over the entry",
    "ticket.spent": lambda b: f"{b['lane']}: ticket {b['ticket']} accepted",
    "ticket.returned": lambda b: f"{b['lane']}: ticket {b['ticket']} inside again: {b['why']}",
    "vehicle.exited": _exited,
    "vehicle.moved": lambda b: f"{b['lane']}: {b['ticket'] or 'a vehicle'} from {b['from_area']} to {b['area']}",
    "ticket.lost": _lost,
    "ticket.written-off": lambda b: f"ticket {b['ticket']} written off{_by(b)}",
    "code.refused": _refused,
    "passage.observed": _irregular,
    "vend.intended": _vend,
    "vend.confirmed": lambda b: f"{b['lane']}: arm opened",
    "vend.unknown": lambda b: f"{b['lane']}: nobody knows whether the arm moved: {b['why']}",
    "vend.failed": lambda b: f"{b['lane']}: the arm did not open: {b['why']}",
    "vend.closed": lambda b: f"{b['lane']}: passage over",
    "lane.opened-by-hand": _opened,
    "lane.mode": lambda b: f"{b['lane']}: {b['mode']}{_by(b)}",
    "lane.faulted": lambda b: (
        f"{b['lane']}: {str(b['fault']).replace('-', ' ')}" + (f": {b['detail']}" if b["detail"] else "")
    ),
    "lane.cleared": lambda b: f"{b['lane']}: {str(b['fault']).replace('-', ' ')} over{_by(b)}",
    "payment.started": _asked,
    "payment.taken": _taken,
    "payment.failed": _pay_failed,
    "payment.refunded": _refunded,
    **registry.TELLERS,
}
"""A teller for every kind of fact; a test compares it with the facts."""
