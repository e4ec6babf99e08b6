"""What goes down to a site: reference data by a cursor that loses nothing, and commands for now or never.

Rule 1: a row's seq comes from the site's counter, locked until its commit: whoever sees seq n sees all before it.
Rule 2: a cursor beyond the head means that the office was restored: the epoch moves on, the site starts over.
Rule 3: a command is given to one live poll, once, before its deadline. With a lost reply the command is lost.
"""

import secrets
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on

from central.db import sites
from central.db.refusal import Refused
from central.db.schema import commands, feed, feed_counters
from sync.records import FEED_ROWS_MAX, Command, Feed, FeedRow

CHANNEL: Final = "gatectl_feed"
"""NOTIFY with the site as payload: there is something new for it."""
COMMAND_VALID_S_MAX: Final = 120
COMMANDS_WAITING_MAX: Final = 20
ANSWER_WAIT_S_MAX: Final = 3_600
"""A command that was given and not answered within this after its deadline is shown as expired."""

_TAKE: Final = text(
    "UPDATE commands SET state = 'sent', sent_at = clock_timestamp()"
    " WHERE site_id = :site AND state = 'requested' AND deadline_at > clock_timestamp()"
    " RETURNING command, verb, args, person, reason,"
    " floor(extract(epoch FROM deadline_at) * 1000)::bigint AS deadline_ms,"
    " floor(extract(epoch FROM deadline_at - clock_timestamp()) * 1000)::bigint AS valid_ms"
)
_EXPIRE: Final = text(
    "UPDATE commands SET state = 'expired', closed_at = now(),"
    " answer = CASE state WHEN 'sent' THEN 'given to the site, no answer came' ELSE 'the site did not ask in time' END"
    " WHERE site_id = :site AND (state = 'requested' AND deadline_at <= now()"
    " OR state = 'sent' AND deadline_at <= now() - make_interval(secs => :answer_wait_s))"
)


def put(connection: Connection, site: str, kind: str, key: str, body: Mapping[str, Any] | None) -> int:
    """Write a row of reference data (None: it is gone); returns its seq. The lock is held until the caller commits."""
    sites.find(connection, site)
    mine = feed_counters.c.site_id == site
    step = update(feed_counters).where(mine).values(seq=feed_counters.c.seq + 1).returning(feed_counters.c.seq)
    seq = int(connection.execute(step).scalar_one())
    connection.execute(insert(feed).values(site_id=site, seq=seq, kind=kind, key=key, body=body))
    _notify(connection, site)
    return seq


def poll(engine: Engine, site: str, epoch: int, after: int) -> Feed:
    """Rows beyond the cursor, and the commands that wait. Raises Refused resnapshot."""
    with engine.begin() as connection:
        counter = _counter(connection, site)
        if epoch == counter.epoch and after > counter.seq:
            mine = (feed_counters.c.site_id == site) & (feed_counters.c.epoch == epoch)
            connection.execute(update(feed_counters).where(mine).values(epoch=epoch + 1))
        elif epoch == counter.epoch:
            rows = _rows(connection, site, after, counter.seq)
            given = _take(connection, site)
            return Feed(site, epoch, rows[-1].seq if rows else after, counter.seq, rows, given)
    raise Refused("resnapshot", 410, "this cursor is not of this feed; take a snapshot")


def snapshot(connection: Connection, site: str) -> Feed:
    """Every current row as of one moment."""
    counter = _counter(connection, site)
    newest = (
        select(feed.c.seq, feed.c.kind, feed.c.key, feed.c.body)
        .ext(distinct_on(feed.c.kind, feed.c.key))
        .where(feed.c.site_id == site, feed.c.seq <= counter.seq)
        .order_by(feed.c.kind, feed.c.key, feed.c.seq.desc())
        .subquery()
    )
    current = select(newest).where(newest.c.body.is_not(None)).order_by(newest.c.seq)
    rows = tuple(FeedRow(row.seq, row.kind, row.key, row.body) for row in connection.execute(current))
    return Feed(site, counter.epoch, counter.seq, counter.seq, rows)


def request_command(
    connection: Connection, site: str, verb: str, args: Mapping[str, str], person: str, reason: str, valid_s: int
) -> str:
    """Ask a site for something within `valid_s`; returns the command's id. Raises Refused busy."""
    assert 0 < valid_s <= COMMAND_VALID_S_MAX
    assert person
    assert reason
    sites.find(connection, site)
    expire(connection, site)
    waiting = select(func.count()).select_from(commands)
    mine = (commands.c.site_id == site) & (commands.c.state == "requested")
    if connection.execute(waiting.where(mine)).scalar_one() >= COMMANDS_WAITING_MAX:
        raise Refused("busy", 429, f"{COMMANDS_WAITING_MAX} commands wait for {site}; is it connected?")
    command = secrets.token_hex(8)
    deadline = func.now() + text(f"interval '{valid_s} s'")
    row = {"verb": verb, "args": dict(args), "person": person, "reason": reason, "state": "requested", "answer": ""}
    connection.execute(insert(commands).values(site_id=site, command=command, deadline_at=deadline, **row))
    _notify(connection, site)
    return command


def expire(connection: Connection, site: str) -> None:
    """Close what is past its deadline."""
    connection.execute(_EXPIRE, {"site": site, "answer_wait_s": ANSWER_WAIT_S_MAX})


def _take(connection: Connection, site: str) -> tuple[Command, ...]:
    expire(connection, site)
    return tuple(
        Command(row.command, row.verb, row.args, row.person, row.reason, row.deadline_ms, row.valid_ms)
        for row in connection.execute(_TAKE, {"site": site})
    )


def _counter(connection: Connection, site: str) -> Row[Any]:
    return connection.execute(select(feed_counters).where(feed_counters.c.site_id == site)).one()


def _rows(connection: Connection, site: str, after: int, head: int) -> tuple[FeedRow, ...]:
    asked = (
        select(feed.c.seq, feed.c.kind, feed.c.key, feed.c.body)
        .where(feed.c.site_id == site, feed.c.seq > after, feed.c.seq <= head)
        .order_by(feed.c.seq)
        .limit(FEED_ROWS_MAX)
    )
    return tuple(FeedRow(row.seq, row.kind, row.key, row.body) for row in connection.execute(asked))


def _notify(connection: Connection, site: str) -> None:
    connection.execute(select(func.pg_notify(CHANNEL, site)))
