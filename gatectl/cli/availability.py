"""`gatectl availability`, `spot`, `count`, `state`: what is free, for whom, how far to trust it, and what people say of it."""

from typing import Any

import click

from config.places import Places
from gatectl.cli import offline, verbs
from gatectl.cli.base import json_option, pass_places, utc_option
from gatectl.cli.client import Daemon, DaemonDown
from gatectl.cli.show import clock, emit, span, table

_reason = click.option("--reason", required=True, metavar="TEXT", help="Why; it is recorded.")


@click.command()
@click.option("--watch", is_flag=True, help="Go on with every change, until Ctrl-C.")
@json_option
@utc_option
@pass_places
def availability(places: Places, watch: bool, as_json: bool, utc: bool) -> None:
    """Free spots by area, level and type, who is let in, and how far the figures can be trusted."""
    if watch:
        for row in Daemon(places.socket).stream("availability", "stream"):
            if row is not None:
                emit(row) if as_json else click.echo(f"{clock(row['at_ms'], utc)}  {_change(row)}")
        return
    try:
        answer = Daemon(places.socket).get("availability")
    except DaemonDown:
        answer = _stale(places)
    emit(answer) if as_json else click.echo(_screen(answer))


def _stale(places: Places) -> dict[str, Any]:
    """What the mirror last knew of the spots; who is let in, nobody says now."""
    known = offline.status(places)
    areas = [
        {"area": row["area"], "status": "unknown", "states": {}, "free": row["free"], "spots": row["total"]}
        | {"inside": row["inside"], "levels": [], "quality": row["quality"], "doubt": "the daemon is not running"}
        | {"by_type": {kind: {"free": n["free"], "spots": n["total"]} for kind, n in row["by_type"].items()}}
        | {"age_ms": None, "fits": {}}
        for row in known["areas"]
    ]
    return {"schema": "gatectl.availability/1", "at_ms": known["at_ms"], "areas": areas, "lanes": [], "daemon": False}


def _screen(answer: dict[str, Any]) -> str:
    areas = [
        (str(row["area"]), str(row["status"]), f"{row['free']}/{row['spots']}", str(row["inside"]), _trust(row))
        for row in answer["areas"]
    ]
    parts = [table(("AREA", "STATUS", "FREE", "INSIDE", "QUALITY"), areas)]
    levels = [
        (str(row["area"]), str(group["level"]), str(group["type"]), f"{group['free']}/{group['spots']}")
        for row in answer["areas"]
        for group in row["levels"]
    ]
    if levels:
        parts.append(table(("AREA", "LEVEL", "TYPE", "FREE"), levels))
    places = [(str(row.get("area") or row.get("lane")), row["states"]) for row in (*answer["areas"], *answer["lanes"])]
    states = [(name, said["transient"], said["pass"], said["reservation"]) for name, said in places if said]
    if states:
        parts.append(table(("PLACE", "TRANSIENT", "PASS", "RESERVATION"), states))
    return "\n\n".join(parts)


def _trust(row: dict[str, Any]) -> str:
    age = f" for {span(row['age_ms'])}" if row["age_ms"] is not None else ""
    return f"{row['quality']}{age} ({row['doubt']})" if row["doubt"] else str(row["quality"])


def _change(row: dict[str, Any]) -> str:
    said = ", ".join(f"{parker} {state}" for parker, state in row["states"].items())
    if "area" not in row:
        return f"{row['lane']}  {row['status']}  {said}"
    return f"{row['area']}  {row['status']}  {row['free']}/{row['spots']} free  {_trust(row)}  {said}"


@click.group()
def spot() -> None:
    """Take spots out of service and put them back."""


@spot.command("close")
@click.argument("name", metavar="SPOT")
@_reason
@json_option
@pass_places
def close_spot(places: Places, name: str, reason: str, as_json: bool) -> None:
    """Send nobody to SPOT any more; a vehicle that stands there stays."""
    verbs.ask(places, "spot-close", as_json, spot=name, reason=reason)


@spot.command("open")
@click.argument("name", metavar="SPOT")
@_reason
@json_option
@pass_places
def open_spot(places: Places, name: str, reason: str, as_json: bool) -> None:
    """Put SPOT into service again."""
    verbs.ask(places, "spot-open", as_json, spot=name, reason=reason)


@spot.command("list")
@utc_option
@json_option
@pass_places
def list_spots(places: Places, utc: bool, as_json: bool) -> None:
    """Spots that are out of service."""
    answer = verbs.rows(places, "spots_closed")
    if as_json:
        emit(answer)
        return
    head = ("SPOT", "AREA", "LEVEL", "TYPE", "SINCE", "BY", "REASON")
    columns = ("spot", "area", "level", "spot_type", "closed_ms", "closed_by", "reason")
    lines = [
        tuple(clock(row[name], utc) if name == "closed_ms" else str(row[name]) for name in columns)
        for row in answer["rows"]
    ]
    click.echo(table(head, lines) if lines else "Every spot is in service.")


@click.group()
def count() -> None:
    """Say how many vehicles were counted."""


@count.command("set")
@click.argument("area", metavar="AREA")
@click.argument("number", metavar="N", type=click.IntRange(0))
@click.option("--type", "spot_type", metavar="TYPE", help="Only those on spots of this type.")
@_reason
@json_option
@pass_places
def set_count(places: Places, area: str, number: int, spot_type: str | None, reason: str, as_json: bool) -> None:
    """N vehicles were counted in AREA. The books are corrected, and the count is no longer estimated."""
    verbs.ask(places, "count-set", as_json, area=area, count=number, spot_type=spot_type, reason=reason)


@click.command()
@click.argument("place", metavar="PLACE")
@click.argument("word", metavar="STATE", type=click.Choice(["open", "full", "closed", "auto"]))
@click.option(
    "--class",
    "parker",
    type=click.Choice(["transient", "pass", "reservation", "all"]),
    default="all",
    show_default=True,
    help="For whom.",
)
@_reason
@json_option
@pass_places
def state(places: Places, place: str, word: str, parker: str, reason: str, as_json: bool) -> None:
    """Say that PLACE (an area, a lane, or "site") is open, full or closed; auto leaves it to hours and counts."""
    verbs.ask(places, "state-set", as_json, place=place, state=word, parker=parker, reason=reason)
