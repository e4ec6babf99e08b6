"""What can be said when no daemon runs: from the mirror, read-only, and the site file. Every answer says so itself."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from config.places import Places
from gatectl.cli.client import Daemon, DaemonDown
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import now_ms
from gatectl.domain.codes import problem

if TYPE_CHECKING:
    from gatectl.store.reading import Mirror

Answer = dict[str, Any]
T = TypeVar("T")
NOTE = "daemon not running: read from the mirror"


def ask(places: Places, online: Callable[[Daemon], Answer], offline: Callable[["Mirror"], Answer]) -> Answer:
    """The daemon's answer; without a daemon the mirror's, with "daemon": false and a note on stderr."""
    try:
        return online(Daemon(places.socket))
    except DaemonDown:
        answer = from_mirror(places, offline)
        click.echo(f"({NOTE})", err=True)
        return {**answer, "daemon": False}


def from_mirror(places: Places, question: Callable[["Mirror"], T]) -> T:
    """Ask the mirror. Raises DaemonDown, with the reason, when there is no mirror to ask."""
    from gatectl.store.reading import DATABASE_NAME, Mirror, MirrorUnreadable

    try:
        with Mirror(places.state_dir / DATABASE_NAME) as mirror:
            return question(mirror)
    except MirrorUnreadable as error:
        raise DaemonDown(f"The daemon is not running, and the mirror cannot be read: {error}") from None


def site_table(places: Places) -> Mapping[str, Any]:
    """The site file as far as it can be read, without any check."""
    from config.files import read_tables

    return read_tables(places.config).values


def site_id(places: Places) -> str:
    """Raises CommandFailed (E-CFG-01) when the site file does not say."""
    info = site_table(places).get("site")
    if isinstance(info, Mapping) and isinstance(info.get("id"), str):
        return str(info["id"])
    raise CommandFailed("E-CFG-01", f"{places.config} does not say what the site's id is.")


def status(places: Places) -> Answer:
    """gatectl.status/1 with "state": "down"; what only the daemon can know is "unknown"."""
    site = site_table(places)
    info = site["site"] if isinstance(site.get("site"), Mapping) else {}
    try:
        known = from_mirror(places, lambda mirror: _known(mirror, site))
    except DaemonDown as down:
        known = {"lanes": [], "areas": [], "sync": {"state": "unknown"}, "position": 0, "note": down.message}
    problems = [problem("", "E-CON-01"), *_faults(known["lanes"])]
    return {
        "schema": "gatectl.status/1",
        "site": info.get("id", "?"),
        "name": info.get("name", ""),
        "state": "down",
        "verdict": "The daemon is not running. What follows is what the mirror last knew.",
        "up_ms": None,
        "software": None,
        "boot": None,
        **known,
        "clock": {"quality": "unknown"},
        "problems": problems,
        "at_ms": now_ms(),
        "daemon": False,
    }


def _known(mirror: "Mirror", site: Mapping[str, Any]) -> Answer:
    return {
        "lanes": [_lane_row(mirror, lane) for lane in members(site, "lanes")],
        "areas": _areas(mirror, site),
        "sync": {"state": "unknown", "office": _office(site), **mirror.backlog()},
        "position": mirror.position(),
    }


def lanes(places: Places) -> Callable[["Mirror"], Answer]:
    """gatectl.lanes/1"""
    site = site_table(places)

    def asked(mirror: "Mirror") -> Answer:
        return {"schema": "gatectl.lanes/1", "lanes": [_lane_row(mirror, lane) for lane in members(site, "lanes")]}

    return asked


def lane(places: Places, name: str) -> Callable[["Mirror"], Answer]:
    """gatectl.lane/1; the question raises CommandFailed for a lane that the site file does not have."""

    def asked(mirror: "Mirror") -> Answer:
        table = next((lane for lane in members(site_table(places), "lanes") if lane.get("id") == name), None)
        if table is None:
            raise CommandFailed("E-NOT-01", f"there is no lane {name!r}")
        wiring = table.get("wiring")
        roles = wiring if isinstance(wiring, Mapping) else {}
        devices = [
            {"role": role, "device": where.partition("/")[0], "point": where.partition("/")[2], "up": None}
            for role, where in roles.items()
            if isinstance(where, str)
        ]
        row, recent = _lane_row(mirror, table), mirror.events(limit=10, lane=name)["events"]
        return {"schema": "gatectl.lane/1", **row, "events": recent, "devices": devices, "plan": {}}

    return asked


def _lane_row(mirror: "Mirror", lane: Mapping[str, Any]) -> Answer:
    name = str(lane.get("id"))
    state = mirror.lane_states().get(name, {"mode": "normal", "faults": []})
    return {
        "lane": name,
        "kind": lane.get("kind"),
        "area": lane.get("area"),
        "phase": "unknown",
        "mode": state["mode"],
        "arm": "unknown",
        "arming": "unknown",
        "closing": "unknown",
        "printer": None,
        "ticket": None,
        "faults": state["faults"],
        "last": mirror.last_event(name),
    }


def _areas(mirror: "Mirror", site: Mapping[str, Any]) -> list[Answer]:
    held, counts = mirror.spots_held(), mirror.counts()
    rows = []
    for area in members(site, "areas"):
        name, total = str(area.get("id")), _totals(area)
        free = {kind: max(0, many - held.get((name, kind), 0)) for kind, many in total.items()}
        rows.append(
            {
                "area": name,
                "free": sum(free.values()),
                "total": sum(total.values()),
                "inside": counts.get(name, {"inside": 0})["inside"],
                "by_type": {kind: {"free": free[kind], "total": many} for kind, many in sorted(total.items())},
                "quality": "stale",
                "doubt": "",
                "status": "unknown",
            }
        )
    return rows


def _totals(area: Mapping[str, Any]) -> dict[str, int]:
    total: dict[str, int] = {}
    for level in members(area, "levels"):
        for spots in members(level, "spots"):
            names, count, kind = spots.get("names"), spots.get("count"), str(spots.get("type"))
            many = len(names) if isinstance(names, list) else count if isinstance(count, int) else 0
            total[kind] = total.get(kind, 0) + many
    return total


def members(table: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The tables of a list in the site file."""
    value = table.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _office(site: Mapping[str, Any]) -> str | None:
    office = site.get("office")
    return office.get("url") if isinstance(office, Mapping) else None


def _faults(rows: list[Answer]) -> list[Answer]:
    return [problem(row["lane"], fault["code"], fault.get("detail", "")) for row in rows for fault in row["faults"]]
