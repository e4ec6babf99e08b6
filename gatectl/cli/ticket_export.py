"""`gatectl ticket export`: stays in the words of a standard, for other people's systems."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from config.places import Places
from gatectl.cli import offline
from gatectl.cli.base import pass_places
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import emit, now_ms, since
from gatectl.cli.ticket_desk import ticket

if TYPE_CHECKING:
    from gatectl.store.reading import Mirror

__all__ = ("ticket",)  # the group, with the command of this file in it

STAYS_MAX = 1_000
"""Of one export; for more, name a shorter time."""


@ticket.command()
@click.argument("number", required=False)
@click.option("--apds", is_flag=True, required=True, help="As APDS 4: Session, Segments, credentials, AssignedRight.")
@click.option("--since", "since_text", metavar="TIME", help="All stays issued since: 2h, 1d, or a date.")
@click.option("--until", "until_text", metavar="TIME", help="... and before this. [now]")
@pass_places
def export(places: Places, number: str | None, apds: bool, since_text: str | None, until_text: str | None) -> None:
    """Print a stay, or all of a time, as JSON. Works with and without a daemon.

    \b
    gatectl ticket export 000123-K7QF --apds
    gatectl ticket export --apds --since 1d
    """
    from gatectl.domain.apds import is_stay, stay

    if (number is None) == (since_text is None):
        raise CommandFailed("E-USE-01", "Name one ticket, or a time with --since.")
    site = offline.site_table(places).get("site")
    name = str(site.get("name", "")) if isinstance(site, Mapping) else ""
    told: dict[str, list[Any]] = {"sessions": [], "assignedRights": []}
    for found in [_one(places, number)] if number is not None else _many(places, since_text, until_text):
        if is_stay(found):
            for kind, things in stay(found, offline.site_id(places), name).items():
                told[kind] += things
    if number is not None and not told["sessions"]:
        raise CommandFailed(
            "E-TKT-08", f"no vehicle was ever inside on {number}; of a replaced ticket export the other"
        )
    emit({"schema": "gatectl.apds/1", **{kind: {"data": things} for kind, things in told.items()}})


def _one(places: Places, number: str) -> dict[str, Any]:
    from gatectl.domain.tickets import parse_number

    wanted = parse_number(number) or number

    def from_mirror(mirror: "Mirror") -> dict[str, Any]:
        found = mirror.ticket(wanted)
        if found is None:
            raise CommandFailed("E-NOT-01", f"there is no ticket {number}")
        return found

    return offline.ask(places, lambda daemon: daemon.get("tickets", wanted), from_mirror)


def _many(places: Places, since_text: str | None, until_text: str | None) -> Iterator[dict[str, Any]]:
    since_ms, before_ms = since(since_text), since(until_text) if until_text else now_ms()
    rows = offline.ask(
        places,
        lambda daemon: daemon.get("tickets", since_ms=since_ms, before_ms=before_ms, limit=STAYS_MAX),
        lambda mirror: mirror.tickets(None, since_ms, STAYS_MAX, before_ms=before_ms),
    )["tickets"]
    if len(rows) >= STAYS_MAX:
        raise CommandFailed("E-USE-01", f"More than {STAYS_MAX} stays: name a shorter time.")
    for row in reversed(rows):
        yield _one(places, str(row["ticket"]))
