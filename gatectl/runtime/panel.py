"""What the site looks like to a person, made from the core's state and the mirror. Pure: values in, plain dicts out."""

from collections.abc import Mapping
from typing import Any, Final

from gatectl.domain.business import availability
from gatectl.domain.business import registry as business
from gatectl.domain.codes import FAULT_CODES, problem
from gatectl.domain.facts import LaneFault
from gatectl.domain.ids import LaneId, Moment, TimeQuality
from gatectl.domain.lane import Lane, Phase, Trust
from gatectl.domain.records.charging import CHARGERS, SESSIONS
from gatectl.domain.site import Site
from sync.status import LinkState, LinkStatus

Plain = dict[str, Any]

MODES: Final = {Phase.HELD_OPEN: "held-open", Phase.LOCKED: "locked", Phase.FIRE: "fire"}


def lane_row(lane: Lane, faults: Mapping[LaneFault, str], printer: Plain | None, last: Plain | None) -> Plain:
    """One lane of gatectl.status/1."""
    return {
        "lane": lane.plan.lane,
        "kind": lane.plan.kind.value,
        "area": lane.plan.area,
        "phase": lane.phase.value,
        "mode": MODES.get(lane.phase, "normal"),
        "arm": lane.arm.value,
        "arming": _loop(lane.arming.trust, lane.arming.on),
        "closing": _loop(lane.closing.trust, lane.closing.on),
        "printer": printer,
        "ticket": lane.ticket,
        "faults": [
            {"fault": fault.value, "code": FAULT_CODES[fault], "detail": detail} for fault, detail in faults.items()
        ],
        "last": last,
    }


def _loop(trust: Trust, on: bool) -> str:
    if trust is not Trust.GOOD:
        return trust.value
    return "occupied" if on else "free"


def area_rows(site: Site, now: Moment) -> list[Plain]:
    """Free and taken spots by area and type, the count inside, and how far to trust it."""
    rows = []
    context = business.context(site.plan, site.books, site.boot, now)
    for area in site.plan.areas:
        known = availability.of_area(context, area)
        total, free = site.books.spots.total(area), site.books.spots.free(area)
        rows.append(
            {
                "area": area,
                "free": sum(free.values()),
                "total": sum(total.values()),
                "inside": site.books.count(area).inside,
                "by_type": {kind: {"free": free.get(kind, 0), "total": total[kind]} for kind in sorted(total)},
                "quality": known.quality,
                "doubt": known.doubt,
                "status": known.status,
            }
        )
    return rows


def lane_faults(site: Site, lane: LaneId) -> dict[LaneFault, str]:
    return {fault: detail for (at, fault), detail in sorted(site.books.faults.items()) if at == lane}


def problems(
    site: Site,
    link: LinkStatus | None,
    has_office: bool,
    quality: TimeQuality,
    damaged: str = "",
    disk_low: str = "",
) -> list[Plain]:
    """Everything that needs a person, worst first: safety and lanes, devices, the clock, the office."""
    found = [
        problem(str(lane), FAULT_CODES[fault], detail)
        for (lane, fault), detail in sorted(site.books.faults.items())
        if fault is not LaneFault.DEVICE_LOST  # its device is named below, once
    ]
    found += [problem(device, "E-DEV-01", lost.why) for device, lost in sorted(site.books.devices_lost.items())]
    found += charging_problems(site)
    if damaged:
        found.append(problem("", "E-JNL-01", damaged))
    if disk_low:
        found.append(problem("", "E-DSK-01", disk_low))
    if quality is TimeQuality.UNSET:
        found.append(problem("", "E-TIME-01"))
    if link is not None and link.state is LinkState.STOPPED:
        code = "E-JNL-01" if link.reason == "journal-damaged" else "E-SYNC-03"
        found.append(problem("", code, f"{link.reason}: {link.last_error}"))
    elif link is not None and link.state is LinkState.BACKING_OFF:
        found.append(problem("", "E-SYNC-01", link.last_error))
    elif has_office and link is None:
        found.append(problem("", "E-SYNC-02"))
    if link is not None and link.history_gone:
        found.append(problem("", "E-SYNC-04", f"older than generation {link.generation}"))
    return found


def charging_problems(site: Site) -> list[Plain]:
    """Chargers that say they are faulted, and energy that is on nobody's ticket."""
    tables = site.books.tables
    faulted = [row for row in tables.all(CHARGERS) if row["fault"] is not None]
    found = [problem(str(row["charger"]), "E-CHG-01", str(row["fault"])) for row in faulted]
    unclaimed = [
        row for row in tables.where(SESSIONS, "ticket", None) if row["energy_wh"] or row["state"] == "charging"
    ]
    return found + [problem(str(row["charger"]), "E-CHG-02", f"session {row['session']}") for row in unclaimed]


def sync_row(link: LinkStatus | None, office: str | None, backlog: Plain, at_ms: int) -> Plain:
    """gatectl.sync/1 without its schema; `backlog` is the mirror's own count, so that it is there without an office too."""
    row: Plain = {"at_ms": at_ms, "office": office, "backlog": backlog["backlog"], "oldest_ms": backlog["oldest_ms"]}
    row |= {"generation": backlog["generation"], "seq": backlog["seq"], "acked": backlog["acked"]}
    if link is None:
        state = "not-enrolled" if office else "no-office"
        return row | {"state": state, "last_error": None, "last_contact_age_ms": None}
    return row | {
        "state": link.state.value,
        "reason": link.reason,
        "last_error": link.last_error or None,
        "last_contact_age_ms": link.last_contact_age_ms,
        "next_try_in_ms": link.next_try_in_ms,
        "rewinds": link.rewinds,
        "forks": link.forks,
        "disbelieved": link.disbelieved,
        "history_gone": link.history_gone,
        "rotate": link.rotate,
        "feed": {
            "state": link.feed_state.value,
            "epoch": link.feed_epoch,
            "seq": link.feed_seq,
            "lag": link.feed_lag,
            "last_error": link.feed_error or None,
        },
    }
