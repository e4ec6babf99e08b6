"""`gatectl lane`: look at lanes, and move them by hand."""

from typing import Any

import click

from config.places import Places
from gatectl.cli import offline
from gatectl.cli.base import ask_reason, json_option, pass_places, reason_options, request_id, utc_option
from gatectl.cli.client import Daemon
from gatectl.cli.errors import problem_text
from gatectl.cli.show import emit, event_line, sentence, table
from gatectl.cli.status import lane_state, lanes_table
from gatectl.domain.codes import problem

ASKED = {
    "open": "Open {lane} without a paid ticket? This is recorded as a manual opening.",
    "hold": "Hold {lane} open for everybody? This is recorded as a manual opening.",
    "reset": "Say that {lane} is mended and safe? This is recorded with your name.",
}
"""Acts that let vehicles through, or vouch for safety, need a reason. The others never ask: closing and locking are safe."""
BY_HAND = "by hand"
NEXT = {
    "open": "Close with: gatectl lane close {lane}",
    "hold": "End with: gatectl lane release {lane}",
    "lock": "End with: gatectl lane unlock {lane}",
}


@click.group()
def lane() -> None:
    """Show lanes; open, close, hold, lock them by hand."""


@lane.command("list")
@json_option
@utc_option
@pass_places
def list_lanes(places: Places, as_json: bool, utc: bool) -> None:
    """All lanes, one line each."""
    answer = offline.ask(places, lambda daemon: daemon.get("lanes"), offline.lanes(places))
    emit(answer) if as_json else click.echo(lanes_table(answer["lanes"], utc))


@lane.command()
@click.argument("lane")
@json_option
@utc_option
@pass_places
def show(places: Places, lane: str, as_json: bool, utc: bool) -> None:
    """One lane: state, faults, devices, the last events."""
    answer = offline.ask(places, lambda daemon: daemon.get("lanes", lane), offline.lane(places, lane))
    emit(answer) if as_json else click.echo(lane_screen(answer, utc))


def lane_screen(answer: dict[str, Any], utc: bool) -> str:
    """One lane in full."""
    parts = [
        f"{answer['lane']}   {answer['kind']}   {lane_state(answer)}   phase {answer['phase']}, mode {answer['mode']}"
    ]
    faults = [problem(answer["lane"], fault["code"], fault.get("detail", "")) for fault in answer["faults"]]
    parts += ["\n" + problem_text(fault) for fault in faults]
    parts.append(f"\narm {answer['arm']}, arming loop {answer['arming']}, closing loop {answer['closing']}")
    if answer.get("ticket"):
        parts.append(f"ticket {answer['ticket']}")
    devices = [
        (
            str(row["role"]),
            f"{row['device']}/{row['point']}" if row.get("point") else str(row["device"]),
            {True: "answers", False: "LOST", None: "-"}[row.get("up")],
            str(row.get("value") or "-"),
        )
        for row in answer["devices"]
    ]
    if devices:
        parts.append("\n" + table(("ROLE", "WIRED TO", "DEVICE", "NOW"), devices))
    if answer["events"]:
        parts.append("\n" + "\n".join(event_line(event, utc) for event in answer["events"]))
    return "\n".join(parts)


def _act(places: Places, verb: str, lane: str, reason: str | None, yes: bool, as_json: bool) -> None:
    daemon = Daemon(places.socket)
    if verb in ASKED:
        daemon.get("lanes", lane)  # a lane that does not exist is said before a reason is asked
        reason = ask_reason(ASKED[verb].format(lane=lane), reason, yes)
    answer = daemon.post("lanes", lane, verb, reason=reason or BY_HAND, request=request_id())
    if as_json:
        emit(answer)
        return
    follow = NEXT.get(verb, "").format(lane=lane)
    click.echo(f"{sentence(answer['done'])} Recorded as event {answer['position']}.{' ' + follow if follow else ''}")


def _verb(name: str, text: str) -> None:
    @lane.command(name, help=text)
    @click.argument("lane")
    @reason_options
    @json_option
    @pass_places
    def act(places: Places, lane: str, reason: str | None, yes: bool, as_json: bool) -> None:
        _act(places, name, lane, reason, yes, as_json)


_verb("open", "Open the arm once, for one vehicle. Asks why.")
_verb("close", "Close the arm. Refused while the closing loop is not known to be clear; there is no force.")
_verb("hold", "Hold the arm open until released. Asks why.")
_verb("release", "End holding; the lane closes when its loop is clear.")
_verb("lock", "Take the lane out of service. Never asks.")
_verb("unlock", "Put a locked lane back into service.")
_verb(
    "void-payment",
    "Take back what the terminal took for the vehicle that still stands here; the arm comes down. Asks why.",
)
_verb("reset", "Say that fire is over or the boom is mended. Asks why.")
