"""`gatectl incident`: what happened at a site in one file that can be replayed anywhere. Reads the state directory only."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from config.places import Places
from gatectl.cli import offline
from gatectl.cli.base import json_option, pass_places
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import emit, now_ms, since

if TYPE_CHECKING:
    from gatectl.domain.tickets import Keyring
    from gatectl.runtime.incident import Found, Wanted, Written

MINUTES = 15
"""Around a time."""
TICKET_MINUTES = 5
"""Around whatever the journal says of a ticket."""
EVENTS_MAX = 1_000
_MINUTE_MS = 60_000


@click.group()
def incident() -> None:
    """Put what happened into one file, to be replayed elsewhere."""


@incident.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--last", metavar="SPAN", help="The last 30m, 2h, 1d. [30m]")
@click.option("--around", metavar="TIME", help=f"{MINUTES} minutes each way: 2h ago is 2h, or a date and time.")
@click.option("--ticket", metavar="NUMBER", help="Whenever something happened to a ticket.")
@click.option("--lane", metavar="LANE", help="The lane it is about; a replay says so.")
@click.option("--keys", type=click.Path(dir_okay=False, path_type=Path), help="The site's ticket keys, if elsewhere.")
@json_option
@pass_places
def export(
    places: Places,
    file: Path,
    last: str | None,
    around: str | None,
    ticket: str | None,
    lane: str | None,
    keys: Path | None,
    as_json: bool,
) -> None:
    """Write FILE (compressed if it ends in .zst): captures and journal of a stretch. Works with and without a daemon.

    \b
    gatectl incident export gate.zst --last 30m
    gatectl incident export gate.zst --around 2026-11-22T14:02 --lane OUT-1
    gatectl incident export gate.zst --ticket 000123-K7QF

    No code in the file opens a gate: those of the site's tickets are signed anew under keys made for the file. Names and
    reasons that people gave are in it.
    """
    from gatectl.runtime.incident import IncidentRefused

    if sum(option is not None for option in (last, around, ticket)) > 1:
        raise CommandFailed("E-USE-01", "One of --last, --around and --ticket.")
    keyring = _keyring(keys or places.state_dir / "credentials" / "ticket-keys.json")
    try:
        wanted = _wanted(places, last, around, ticket, lane or "")
        done, notes = _export(places, file, wanted, keyring)
    except IncidentRefused as refused:
        raise CommandFailed(refused.code, str(refused)) from None
    except PermissionError as error:
        raise _not_allowed(error) from None
    text = f"{file}: {done.segments} segments, {done.turns} turns, {done.records} records of the journal"
    if as_json:
        counts = {"segments": done.segments, "turns": done.turns, "records": done.records, "notes": notes}
        emit({"schema": "gatectl.done/1", "done": text, "position": None, **counts})
        return
    click.echo(text)
    for note in notes:
        click.echo(f"note: {note}")


def _wanted(places: Places, last: str | None, around: str | None, ticket: str | None, lane: str) -> "Wanted":
    from gatectl.runtime.incident import IncidentRefused, Wanted

    if around is not None:
        at_ms = since(around)
        assert at_ms is not None
        return Wanted([(at_ms - MINUTES * _MINUTE_MS, at_ms + MINUTES * _MINUTE_MS)], f"around {around}", lane)
    if ticket is None:
        from_ms = since(last or "30m")
        assert from_ms is not None
        return Wanted([(from_ms, now_ms())], f"the last {last or '30m'}", lane)
    from gatectl.domain.tickets import parse_number

    number = parse_number(ticket)
    if number is None:
        raise CommandFailed("E-USE-01", f"{ticket!r} is not a ticket's number.")
    events = offline.from_mirror(places, lambda mirror: mirror.events(limit=EVENTS_MAX, ticket=number))
    margin_ms = TICKET_MINUTES * _MINUTE_MS
    stretches = [(event["at_ms"] - margin_ms, event["at_ms"] + margin_ms) for event in events["events"]]
    if not stretches:
        raise IncidentRefused("E-NOT-01", f"the journal knows nothing of {number}")
    return Wanted(stretches, f"ticket {number}", lane)


def _export(places: Places, file: Path, wanted: "Wanted", keyring: "Keyring") -> tuple["Written", list[str]]:
    from gatectl import __version__
    from gatectl.runtime.capture import FOLDER
    from gatectl.runtime.incident import IncidentWriter, created, found_segments

    chosen = found_segments(places.state_dir / FOLDER, wanted)
    found = [segment for segment, _ in chosen]
    key_ids = {key_id for segment in found for key_id in segment.key_ids}
    notes = _notes(found, key_ids - keyring.keys.keys())
    with created(file) as out:
        writer = IncidentWriter(out, keyring, found[-1].site, key_ids)
        writer.open(__version__, wanted, now_ms(), notes)
        for segment, until_ms in chosen:
            with segment.path.open("rb") as lines:
                writer.segment(segment.boot_id, segment.facts_made, lines, until_ms)
        offline.from_mirror(places, lambda mirror: writer.records(mirror.records_of(writer.done.ranges)))
        writer.close()
    return writer.done, [*notes, *writer.done.notes]


def _notes(found: "list[Found]", unknown_keys: set[int]) -> list[str]:
    notes = [f"key {key_id} is no longer the site's: codes it signed stay as they were" for key_id in unknown_keys]
    sites = sorted({segment.site for segment in found})
    return [*notes, f"captures of several sites: {', '.join(sites)}"] if len(sites) > 1 else notes


def _keyring(path: Path) -> "Keyring":
    """The site's keys; unlike the daemon, a command never makes them."""
    from gatectl.runtime.keys import KeysRefused, load_keyring

    try:
        if not path.exists():
            raise CommandFailed(
                "E-CFG-02",
                f"{path}: there are no ticket keys, so that codes cannot be signed anew.",
                action="Name the file with --keys.",
            )
        return load_keyring(path)
    except PermissionError as error:
        raise _not_allowed(error) from None
    except KeysRefused as refused:
        if isinstance(refused.__cause__, PermissionError):
            raise _not_allowed(refused.__cause__) from None
        raise CommandFailed("E-CFG-02", str(refused)) from None


def _not_allowed(error: OSError) -> CommandFailed:
    return CommandFailed(
        "E-CON-02",
        f"{error.filename}: {error.strerror}",
        cause="Captures hold codes of tickets; only root and the user gatectl may read them.",
        action="Put sudo before the command.",
    )
