"""`gatectl why`: what the rules saw, which one decided, and what would change it."""

import re
import shutil
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from config.places import Places
from gatectl.cli import offline
from gatectl.cli.base import json_option, pass_places, utc_option
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import clock, day_and_time, emit, now_ms, strong

if TYPE_CHECKING:
    from gatectl.store.reading import Mirror

WIDTH_MIN, WIDTH_MAX = 40, 100
_TIME = re.compile(r"@(\d{10,16})")


@click.command()
@click.argument("subject", metavar="TICKET|LANE")
@json_option
@utc_option
@pass_places
def why(places: Places, subject: str, as_json: bool, utc: bool) -> None:
    """Why a lane is where it is, or what became of a ticket: what was seen, which rule decided, what to type.

    \b
    gatectl why IN-1               why does it not open?
    gatectl why 000123-K7QF        why was it refused, why this price?
    """
    answer = offline.ask(places, lambda daemon: daemon.get("why", subject), _from_mirror(places, subject))
    emit(answer) if as_json else click.echo(_screen(answer, utc))


# -- without a daemon -----------------------------------------------------------------------------------------------


def _from_mirror(places: Places, subject: str) -> Any:
    def asked(mirror: "Mirror") -> dict[str, Any]:
        from gatectl.domain.tickets import parse_number
        from gatectl.runtime import why as told

        site = offline.site_table(places)
        table = next((lane for lane in offline.members(site, "lanes") if lane.get("id") == subject), None)
        if table is not None:
            return _lane(places, mirror, table)
        number = parse_number(subject)
        if number is None:
            known = ", ".join(str(lane.get("id")) for lane in offline.members(site, "lanes"))
            raise CommandFailed("E-NOT-01", f"{subject!r} is no ticket number (like 000123-K7QF) and no lane ({known})")
        areas = {
            str(area.get("id")): str(area.get("strategy", "level-by-level")) for area in offline.members(site, "areas")
        }
        story = told.ticket(mirror, number, None, areas, now_ms())
        if story is None:
            raise CommandFailed("E-NOT-01", told.no_such(mirror, number))
        return story

    return asked


def _lane(places: Places, mirror: "Mirror", table: Mapping[str, Any]) -> dict[str, Any]:
    from gatectl.domain.ids import AreaId, LaneId
    from gatectl.domain.lane import Lane, LaneKind, LanePlan, Layout
    from gatectl.runtime import why as told
    from gatectl.runtime.capture import FOLDER

    try:
        kind, layout = LaneKind(str(table.get("kind"))), Layout(str(table.get("layout", "two-loop")))
    except ValueError as error:
        raise CommandFailed("E-CFG-01", f"{places.config}: {error}") from None
    plan = LanePlan(LaneId(str(table["id"])), kind, layout, AreaId(str(table.get("area"))))
    state, sources = told.last_known(mirror, Lane(plan), places.state_dir / FOLDER)
    return told.lane(mirror, state, now_ms(), None, None, running=False, sources=sources)


# -- the screen -------------------------------------------------------------------------------------------------------


def _screen(answer: Mapping[str, Any], utc: bool) -> str:
    width = max(WIDTH_MIN, min(WIDTH_MAX, shutil.get_terminal_size().columns))

    def lines(text: str, first: str = "", rest: str | None = None) -> list[str]:
        shown = _TIME.sub(lambda found: clock(int(found[1]), utc), text)
        return textwrap.wrap(
            shown,
            width,
            initial_indent=first,
            subsequent_indent=first if rest is None else rest,
            break_long_words=False,
        )

    parts = lines(f"{answer['subject']}: {answer['headline']}.")
    parts[0] = parts[0].replace(answer["subject"], strong(answer["subject"], ""), 1)
    for number, reason in enumerate(answer["reasons"], 1):
        parts += ["", *lines(reason["what"], f"{number}. ", "   ")]
        parts += lines(reason["rule"], "   rule    ", " " * 11) if reason["rule"] else []
        parts += lines(reason["change"], "   change  ", " " * 11) if reason["change"] else []
        parts += lines(reason["command"], "   do      ", " " * 11) if reason["command"] else []
    if answer["seen"]:
        parts += ["", *lines("; ".join(f"{name} {value}" for name, value in answer["seen"]), "seen: ", "      ")]
    if answer["steps"]:
        parts += ["", "how it came:"]
    day = ""
    for step in answer["steps"]:
        on, head = day_and_time(step["at_ms"], utc)
        parts += [f"  {on}"] if on != day else []
        day, head = on, f"    {head}  "
        parts += lines(step["what"], head, " " * len(head))
        for because in step["because"]:
            parts += lines(because, " " * len(head) + "- ", " " * len(head) + "  ")
    if answer["next"]:
        parts += ["", "what you can do:"]
    for one in answer["next"]:
        parts += [*lines(f"{one['when']}:", "  ", "  "), f"    {one['command']}"]
    parts += ["", *lines(f"from {', '.join(answer['sources'])}", "(", " ")]
    parts[-1] += ")"
    return "\n".join(parts)
