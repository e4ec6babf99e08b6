"""Verbs of the business from the command line: ask one, say what was done; look at a table of its rows."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from config.places import Places
from gatectl.cli import offline
from gatectl.cli.base import request_id
from gatectl.cli.client import Daemon
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import emit, sentence
from gatectl.domain.money import BadAmount, UnknownCurrency, parse_amount

ROWS_MAX = 1_000
"""Rows of one table that a command shows."""


def ask(places: Places, verb: str, as_json: bool, **words: object) -> dict[str, Any]:
    """Ask the daemon for a verb, say what was done, return the whole answer. Words that are None are left out."""
    given = {name: word for name, word in words.items() if word is not None}
    answer = Daemon(places.socket).post("do", verb, words=given, request=request_id())
    emit(answer) if as_json else click.echo(f"{sentence(answer['done'])} Recorded as event {answer['position']}.")
    return answer


def rows(places: Places, table: str, column: str | None = None, value: str | None = None) -> dict[str, Any]:
    """gatectl.rows/1 of a table: from the daemon, or from the mirror when none runs. `column` and `value` choose rows."""
    where = (column, value or "") if column else None
    return offline.ask(
        places,
        lambda daemon: daemon.get("rows", table, column=column, value=value, limit=ROWS_MAX),
        lambda mirror: mirror.business(table, where, ROWS_MAX),
    )


def amount(places: Places, text: str) -> int:
    """An amount as a person types it (20, 20.50, 20,50), in minor units of the site's currency."""
    try:
        return parse_amount(text, currency(places))
    except (BadAmount, UnknownCurrency) as error:
        raise CommandFailed("E-USE-01", str(error), action="Write it as 20, 20.50 or 20,50.") from None


def moment(text: str | None) -> int | None:
    """A local date and time as a person types it (2026-12-24T18:00), as UTC milliseconds."""
    if text is None:
        return None
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError):
        raise CommandFailed("E-USE-01", f"{text!r} is not a time.", action="Write 2026-12-24T18:00") from None


def currency(places: Places) -> str:
    """The site's, by its site file."""
    site = offline.site_table(places).get("site")
    return str(site.get("currency", "")) if isinstance(site, Mapping) else ""
