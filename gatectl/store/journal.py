"""The hash-chained journal inside the writer's connection: appending, heads, generations.

Nothing here begins or commits: the caller's transaction does, so that a fact and what it changes become durable together.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from gatectl.store.database import mark, set_mark
from sync import chain
from sync.ports import JournalDamaged
from sync.records import Record

_INSERT: Final = (
    "INSERT INTO journal (generation, seq, fact_id, wall_ms, quality, boot_id, mono_ms, kind, version, body, head)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
MENTION: Final = "INSERT OR IGNORE INTO mentions (what, position) VALUES (?, ?)"
_MENTIONED: Final = re.compile(
    rb'"(?:ticket|replacement|other)":"([0-9]{6,10}-[0-9A-Z]{4})"|"lane":"([^"\\]{1,200})"',
)
"""Bodies are canonical JSON: a member's bytes can be looked for as they are."""
_RECORD: Final = "seq, fact_id, wall_ms, quality, boot_id, mono_ms, kind, version, body"


@dataclass(frozen=True, slots=True)
class Tip:
    """Where a journal stands: the last record of its generation, the chain's head there, the last event number."""

    generation: int
    seq: int
    head: bytes
    position: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact that has been encoded but has no place in the journal yet."""

    fact_id: str
    wall_ms: int
    quality: str
    boot_id: str
    mono_ms: int
    kind: str
    version: int
    body: bytes

    def at(self, seq: int) -> Record:
        return Record(
            seq,
            self.fact_id,
            self.wall_ms,
            self.quality,
            self.boot_id,
            self.mono_ms,
            self.kind,
            self.version,
            self.body,
        )


def read_tip(connection: Connection, site: str) -> Tip:
    """The tip as the disk has it. A new database begins generation 1."""
    generation = int(mark(connection, "generation") or 0)
    if generation == 0:
        generation = 1
        set_mark(connection, "generation", "1")
    position = connection.exec_driver_sql("SELECT coalesce(max(position), 0) FROM journal").scalar_one()
    row = connection.exec_driver_sql(
        "SELECT seq, head FROM journal WHERE generation = ? ORDER BY seq DESC LIMIT 1", (generation,)
    ).fetchone()
    if row is None:
        return Tip(generation, 0, chain.genesis(site, generation), position)
    return Tip(generation, row[0], row[1], position)


def last_recorded(connection: Connection) -> int | None:
    """Wall time of the newest fact: when the site was last known to be awake."""
    at_ms: int | None = connection.exec_driver_sql(
        "SELECT wall_ms FROM journal ORDER BY position DESC LIMIT 1"
    ).scalar()
    return at_ms


def append(connection: Connection, tip: Tip, entries: Sequence[Entry]) -> Tip:
    """Write entries behind the tip; returns the new tip."""
    seq, head = tip.seq, tip.head
    rows = []
    for entry in entries:
        seq += 1
        record = entry.at(seq)
        head = chain.link(head, record.header(), record.body)
        rows.append(
            (
                tip.generation,
                seq,
                entry.fact_id,
                entry.wall_ms,
                entry.quality,
                entry.boot_id,
                entry.mono_ms,
                entry.kind,
                entry.version,
                entry.body,
                head,
            )
        )
    connection.exec_driver_sql(_INSERT, rows)
    if rows:
        last: int = connection.exec_driver_sql("SELECT max(position) FROM journal").scalar_one()
        mention(connection, ((last - len(rows) + n, entry.body) for n, entry in enumerate(entries, 1)))
    return Tip(tip.generation, seq, head, tip.position + len(rows))


def mention(connection: Connection, bodies: Iterable[tuple[int, bytes]]) -> None:
    """Note which tickets and lanes records name; positions and bodies."""
    found = [row for position, body in bodies for row in mentions(position, body)]
    if found:
        connection.exec_driver_sql(MENTION, found)


def mentions(position: int, body: bytes) -> Iterator[tuple[str, int]]:
    """The rows of the table for one record."""
    for ticket, lane in _MENTIONED.findall(body):
        yield f"ticket {ticket.decode()}" if ticket else f"lane {lane.decode(errors='replace')}", position


def begin_generation(connection: Connection, site: str, generation: int, after: Tip) -> Tip:
    """Give every fact behind `after` (what the office has acknowledged) a place in a new generation.

    Ids and bodies stay byte for byte; only the place, and so the heads, are new. Raises JournalDamaged where the heads that lie
    there do not hold: a damaged record would get a head that fits it, and nobody could tell any more.
    """
    rows = connection.exec_driver_sql(
        f"SELECT position, generation, head, {_RECORD} FROM journal"  # noqa: S608  # a constant
        " WHERE generation > ? OR (generation = ? AND seq > ?) ORDER BY position",
        (after.generation, after.generation, after.seq),
    ).fetchall()
    last, lay = after.generation, after.head
    head = chain.genesis(site, generation)
    for seq, (position, was, stored, old, *rest) in enumerate(rows, 1):
        if _linked(site, lay if was == last else None, was, old, rest) != stored:
            raise JournalDamaged(f"record {was}/{old}")
        last, lay = was, stored
        record = Record(seq, *rest)
        head = chain.link(head, record.header(), record.body)
        connection.exec_driver_sql(
            "UPDATE journal SET generation = ?, seq = ?, head = ? WHERE position = ?", (generation, seq, head, position)
        )
    set_mark(connection, "generation", str(generation))
    return Tip(generation, len(rows), head, after.position)


def _linked(site: str, before: bytes | None, generation: Any, seq: Any, rest: Sequence[Any]) -> bytes | None:
    """The head behind a row as it lies, `before` None: the first of its generation. None when it is no record at all."""
    try:
        before = before if before is not None else chain.genesis(site, generation)
        record = Record(seq, *rest)
        return chain.link(before, record.header(), record.body)
    except Exception:  # noqa: BLE001  # a flipped bit makes any value of any type
        return None
