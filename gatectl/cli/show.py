"""Values as people read them: times, spans, money, tables. Plain text; colour only where click finds a terminal."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from gatectl.cli.errors import CommandFailed
from gatectl.domain.money import EXPONENTS, shown

_SPAN = re.compile(r"(\d{1,6})\s*(s|m|min|h|d)")
_UNIT_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


def emit(answer: Mapping[str, Any]) -> None:
    """An answer as JSON on stdout, one line."""
    click.echo(json.dumps(answer, ensure_ascii=False))


def clock(at_ms: int | None, utc: bool, millis: bool = False) -> str:
    """`14:02:11 CET` today, `2026-11-21 14:02 CET` on another day."""
    if at_ms is None:
        return "-"
    at = _at(at_ms, utc)
    now = datetime.now(UTC).astimezone(at.tzinfo)
    if at.date() != now.date():
        return f"{at:%Y-%m-%d %H:%M} {at.tzname()}"
    return f"{at:%H:%M:%S}{f'.{at_ms % 1000:03d}' if millis else ''} {at.tzname()}"


def day_and_time(at_ms: int, utc: bool) -> tuple[str, str]:
    """`2026-11-21 CET` and `14:02:11`, for lists that say the day once."""
    at = _at(at_ms, utc)
    return f"{at:%Y-%m-%d} {at.tzname()}", f"{at:%H:%M:%S}"


def _at(at_ms: int, utc: bool) -> datetime:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    return at if utc else at.astimezone()


def span(ms: int | None) -> str:
    """`4.2 s`, `3 min`, `5 h 10 min`, `12 d 4 h`."""
    if ms is None:
        return "-"
    s = max(0, ms) // 1000
    if s < 60:
        return f"{max(0, ms) / 1000:.1f} s"
    if s < 3600:
        return f"{s // 60} min"
    if s < 86_400:
        return f"{s // 3600} h {s % 3600 // 60} min"
    return f"{s // 86_400} d {s % 86_400 // 3600} h"


def now_ms() -> int:
    """The wall clock, UTC milliseconds."""
    return int(datetime.now(UTC).timestamp() * 1000)


def since(text: str | None) -> int | None:
    """`90s`, `30m`, `1h`, `2d`, or a local date and time `2026-11-22T14:00`, as UTC milliseconds."""
    if text is None:
        return None
    found = _SPAN.fullmatch(text.strip())
    if found:
        return now_ms() - int(found[1]) * _UNIT_S[found[2]] * 1000
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError):
        raise CommandFailed(
            "E-USE-01", f"{text!r} is not a time.", action="Write 30m, 1h, 2d, or 2026-11-22T14:00"
        ) from None


def money(minor: int | None, currency: str | None) -> str:
    """`EUR 12.50`; the plain number of minor units for a currency that this version does not know."""
    if minor is None:
        return "-"
    return shown(minor, currency) if currency and currency in EXPONENTS else f"{minor} {currency or ''}".strip()


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their content, two spaces apart; the last one is left as long as it is."""
    lines = [list(head), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def sentence(text: object) -> str:
    """With its full stop."""
    plain = str(text).strip()
    return plain if plain.endswith((".", "!", "?")) else f"{plain}."


def strong(text: str, state: str) -> str:
    """A word of a state, coloured where there is a terminal."""
    colours = {"ok": "green", "degraded": "red", "starting": "yellow", "down": "red"}
    return click.style(text, fg=colours.get(state), bold=True)


def event_line(event: Mapping[str, Any], utc: bool) -> str:
    return f"{clock(event.get('at_ms'), utc)}  {event.get('position', ''):>7}  {event.get('text', '')}"
