"""`gatectl events`: what happened, in words."""

from typing import Any

import click

from config.places import Places
from gatectl.cli import offline
from gatectl.cli.base import json_option, pass_places, utc_option
from gatectl.cli.client import Daemon
from gatectl.cli.show import emit, event_line, since


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@click.option("--since", "since_text", metavar="TIME", help="30m, 2h, 1d, or a date.")
@click.option("--lane", help="Only of this lane.")
@click.option("--kind", help='Only of this kind, or family: "payment", "payment.taken".')
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
@utc_option
@pass_places
def events(
    places: Places,
    follow: bool,
    since_text: str | None,
    lane: str | None,
    kind: str | None,
    limit: int,
    as_json: bool,
    utc: bool,
) -> None:
    """What happened, oldest first. With -f and --json: one event a line."""
    since_ms = since(since_text)
    answer = offline.ask(
        places,
        lambda daemon: daemon.get("events", limit=limit, lane=lane, kind=kind, since_ms=since_ms),
        lambda mirror: mirror.events(None, limit, lane, kind, since_ms),
    )
    if as_json and not follow:
        emit(answer)
        return
    for event in answer["events"]:
        _print(event, as_json, utc)
    if follow:
        for row in Daemon(places.socket).stream("events", "stream", after=answer["next"]):
            if row is not None and _wanted(row, lane, kind):
                _print(row, as_json, utc)


def _print(event: dict[str, Any], as_json: bool, utc: bool) -> None:
    emit(event) if as_json else click.echo(event_line(event, utc))


def _wanted(event: dict[str, Any], lane: str | None, kind: str | None) -> bool:
    is_kind = kind is None or event["kind"] == kind or str(event["kind"]).startswith(f"{kind}.")
    return is_kind and (lane is None or event["body"].get("lane") == lane)
