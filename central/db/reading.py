"""What people and programs read at the office. Nothing here writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select, text

from central.db import chains, sites
from central.db import schema as s
from central.db.refusal import Refused
from sync.chain import digest

SITES_MAX: Final = 500
"""Sites that one page shows."""
PAGE_ROWS_MAX: Final = 200

_TOTALS: Final = text(
    "SELECT (SELECT count(*) FROM tickets WHERE site_id = :site) AS tickets,"
    " (SELECT count(*) FROM payments WHERE site_id = :site AND state = 'COMPLETED') AS payments,"
    " (SELECT coalesce(sum(amount_minor - refunded_minor), 0)::bigint FROM payments"
    "  WHERE site_id = :site AND state = 'COMPLETED')"
    " AS paid_minor"
)
_OVERVIEW: Final = text(
    "SELECT s.site_id, s.name, s.installation IS NOT NULL AS enrolled, s.generation, p.seq, p.head, v.software,"
    " greatest(v.contact_at, CASE WHEN p.seq > 0 THEN p.updated_at END) AS contact_at, v.body AS vitals,"
    " coalesce(t.tickets, 0) AS tickets, coalesce(t.inside, 0) AS inside, coalesce(t.paid, '{}') AS paid,"
    " (SELECT count(*) FROM payments WHERE site_id = s.site_id AND state = 'COMPLETED') AS payments,"
    " (SELECT count(*) FROM (SELECT DISTINCT generation, seq FROM parked WHERE site_id = s.site_id) AS x) AS parked,"
    " now() AS now FROM sites s"
    " JOIN positions p ON p.site_id = s.site_id AND p.generation = s.generation"
    " LEFT JOIN vitals v ON v.site_id = s.site_id"
    " LEFT JOIN LATERAL (SELECT sum(n)::bigint AS tickets, sum(inside)::bigint AS inside,"
    "  jsonb_object_agg(currency, paid_minor) FILTER (WHERE currency IS NOT NULL) AS paid FROM ("
    "   SELECT currency, count(*) AS n, count(*) FILTER (WHERE state IN ('inside', 'spent')) AS inside,"
    "   coalesce(sum(paid_minor) FILTER (WHERE state <> 'lost'), 0)::bigint AS paid_minor"
    "   FROM tickets WHERE site_id = s.site_id GROUP BY currency) AS c) AS t ON true"
    " WHERE s.site_id > :after AND (CAST(:only AS text) IS NULL OR s.site_id = :only) ORDER BY s.site_id LIMIT :limit"
)


@dataclass(frozen=True, slots=True)
class Alarm:
    source: str
    subject: str
    code: str
    detail: str
    times: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class Overview:
    """One site at a glance. `backlog`: what the site last said it had beyond what is held here; None: it never said."""

    site: str
    name: str
    enrolled: bool
    generation: int
    seq: int
    head: bytes
    software: str
    contact_at: datetime | None
    contact_age_s: int | None
    backlog: int | None
    tickets: int
    inside: int
    payments: int
    paid: Mapping[str, int]
    """Minor units by currency."""
    parked: int
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """What both ends must agree on, as `gatectl sync prove` counts it: payments that stand, and what they came to."""

    tickets: int
    payments: int
    paid_minor: int
    digest: str


def overview(
    connection: Connection, after: str = "", limit: int = SITES_MAX, only: str | None = None
) -> list[Overview]:
    """Sites in order of their id, beyond `after`."""
    found = connection.execute(_OVERVIEW, {"after": after, "limit": limit, "only": only}).all()
    alarms: dict[str, list[Alarm]] = {}
    names = [row.site_id for row in found]
    asked = select(s.alarms).where(s.alarms.c.site_id.in_(names), s.alarms.c.open).order_by(s.alarms.c.since_ms)
    for row in connection.execute(asked):
        alarm = Alarm(row.source, row.subject, row.code, row.detail, row.times, row.since_ms)
        alarms.setdefault(row.site_id, []).append(alarm)
    return [_overview(row, tuple(alarms.get(row.site_id, ()))) for row in found]


def one(connection: Connection, site: str) -> Overview:
    """Raises Refused unknown-site."""
    sites.find(connection, site)
    return overview(connection, only=site)[0]


def totals(connection: Connection, site: str) -> Totals:
    """Raises Refused unknown-site."""
    sites.find(connection, site)
    row = connection.execute(_TOTALS, {"site": site}).one()
    return Totals(row.tickets, row.payments, row.paid_minor, digest(chains.ticket_rows(connection, site)))


def rows(connection: Connection, table: str, site: str, after: str, limit: int) -> list[dict[str, Any]]:
    """Tickets or payments of a site in order of their key, beyond `after`. Raises Refused unknown-site."""
    sites.find(connection, site)
    source, key = {"tickets": (s.tickets, s.tickets.c.ticket), "payments": (s.payments, s.payments.c.payment)}[table]
    asked = (
        select(source).where(source.c.site_id == site, key > after).order_by(key).limit(min(limit, PAGE_ROWS_MAX + 1))
    )
    return [dict(row) for row in connection.execute(asked).mappings()]


def ticket(connection: Connection, site: str, number: str) -> dict[str, Any]:
    """Raises Refused unknown-site, unknown-ticket."""
    sites.find(connection, site)
    row = connection.execute(
        select(s.tickets).where(s.tickets.c.site_id == site, s.tickets.c.ticket == number)
    ).mappings()
    found = row.first()
    if found is None:
        raise Refused("unknown-ticket", 404, f"{site} has no ticket {number!r}")
    return dict(found)


def _overview(row: Any, alarms: tuple[Alarm, ...]) -> Overview:
    vitals = row.vitals or {}
    backlog = None
    if vitals:
        held = row.seq if vitals["generation"] == row.generation else vitals["acked"]
        backlog = max(0, vitals["seq"] - held)
    age_s = None if row.contact_at is None else max(0, int((row.now - row.contact_at).total_seconds()))
    return Overview(
        site=row.site_id,
        name=row.name,
        enrolled=row.enrolled,
        generation=row.generation,
        seq=row.seq,
        head=bytes(row.head),
        software=row.software or "",
        contact_at=row.contact_at,
        contact_age_s=age_s,
        backlog=backlog,
        tickets=row.tickets,
        inside=row.inside,
        payments=row.payments,
        paid=row.paid,
        parked=row.parked,
        alarms=alarms,
    )
