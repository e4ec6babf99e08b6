"""`gatectl status`: what is wrong, what to do, and the site on one screen."""

import time
from typing import Any, Final

import click

from config.places import Places
from gatectl.cli.base import json_option, pass_places, utc_option
from gatectl.cli.client import Daemon, DaemonDown
from gatectl.cli.errors import problem_text
from gatectl.cli.show import clock, emit, now_ms, span, strong, table
from gatectl.domain.codes import Exit

WATCH_S: Final = 2.0
EXITS: Final = {"ok": Exit.OK, "down": Exit.NOT_RUNNING}


@click.command()
@click.option("-x", "only_sick", is_flag=True, help="Print only what needs a person.")
@click.option("--watch", is_flag=True, help=f"Again every {WATCH_S:g} s, until Ctrl-C.")
@json_option
@utc_option
@pass_places
@click.pass_context
def status(ctx: click.Context, places: Places, only_sick: bool, watch: bool, as_json: bool, utc: bool) -> None:
    """One screen: what is wrong first, then lanes, free spots, the office. Exit 0 only if all is well."""
    while True:
        answer = asked(places)
        if watch and not as_json:
            click.clear()
        if as_json:
            emit(answer)
        else:
            click.echo(sick(answer) if only_sick else screen(answer, utc))
        if not watch:
            ctx.exit(int(EXITS.get(answer["state"], Exit.DEGRADED)))
        time.sleep(WATCH_S)


def asked(places: Places) -> dict[str, Any]:
    """gatectl.status/1 of the daemon, or of the mirror with the state "down"."""
    try:
        return {**Daemon(places.socket).get("status"), "daemon": True}
    except DaemonDown:
        from gatectl.cli import offline

        return offline.status(places)


def sick(answer: dict[str, Any]) -> str:
    """Only the problems, or one line that there are none."""
    if not answer["problems"]:
        return answer["verdict"] if answer["state"] != "ok" else f"{answer['site']}: all is well"
    return "\n\n".join(problem_text(problem) for problem in answer["problems"])


def screen(answer: dict[str, Any], utc: bool) -> str:
    """The whole screen."""
    state = str(answer["state"])
    up = f"up {span(answer['up_ms'])}" if answer["up_ms"] is not None else "daemon not running"
    head = [
        str(answer["site"]),
        strong(state.upper(), state),
        up,
        *([f"v{answer['software']}"] if answer["software"] else []),
    ]
    parts = ["   ".join(head), answer["verdict"]]
    if answer.get("note"):
        parts.append(str(answer["note"]))
    parts += ["\n" + problem_text(problem) for problem in answer["problems"]]
    if answer["lanes"]:
        parts.append("\n" + lanes_table(answer["lanes"], utc))
    if answer["areas"]:
        parts.append("\n" + areas_table(answer["areas"]))
    parts.append(f"\noffice: {sync_line(answer['sync'])}")
    quality = answer["clock"]["quality"]
    parts.append(f"clock:  {quality}   {clock(answer['at_ms'], utc)}   event {answer['position']}")
    return "\n".join(parts)


def lanes_table(rows: list[dict[str, Any]], utc: bool) -> str:
    """One line a lane."""
    return table(
        ("LANE", "KIND", "STATE", "ARM", "ARMING", "CLOSING", "PRINTER", "LAST"),
        [
            (
                str(row["lane"]),
                str(row["kind"]),
                lane_state(row),
                str(row["arm"]),
                str(row["arming"]),
                str(row["closing"]),
                str(row["printer"]["state"]) if row["printer"] else "-",
                last_text(row["last"], utc),
            )
            for row in rows
        ],
    )


def lane_state(row: dict[str, Any]) -> str:
    """FAULT wins over the mode, the mode over the phase."""
    if row["faults"]:
        return "FAULT"
    return str(row["mode"] if row["mode"] != "normal" else row["phase"])


def last_text(last: dict[str, Any] | None, utc: bool) -> str:
    if last is None:
        return "-"
    return f"{clock(last['at_ms'], utc)} {last['text'].partition(': ')[2] or last['text']}"


def areas_table(rows: list[dict[str, Any]]) -> str:
    """Free and total spots, by area and type."""
    lines = []
    for row in rows:
        types = ", ".join(f"{kind} {spots['free']}/{spots['total']}" for kind, spots in row["by_type"].items())
        why = f": {row['doubt']}" if row.get("doubt") else ""
        doubt = "" if row["quality"] == "live" else f" ({row['quality']}{why})"
        lines.append((str(row["area"]), f"{row['free']}/{row['total']}{doubt}", str(row["inside"]), types))
    return table(("AREA", "FREE/TOTAL", "INSIDE", "BY TYPE"), lines)


def sync_line(sync: dict[str, Any]) -> str:
    """How far behind the office is, in words."""
    state, backlog, oldest = str(sync.get("state")), sync.get("backlog"), sync.get("oldest_ms")
    if state == "no-office":
        return "none: this site stands alone"
    waiting = "everything delivered"
    if backlog:
        at_ms = sync.get("at_ms") or now_ms()
        age = f", oldest {span(max(0, at_ms - oldest))}" if oldest is not None else ""
        waiting = f"{backlog} records waiting{age}"
    error = f" ({sync['last_error']})" if sync.get("last_error") else ""
    return f"{state}, {waiting}{error}" if backlog is not None else f"{state}{error}"
