"""The stored chains: read back as they were sent, and recomputed from the stored bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select, union_all

from central.db.schema import duplicates, journal, positions, tickets
from sync.chain import genesis, link
from sync.records import Record

PAGE_RECORDS_MAX: Final = 2_000
_COLUMNS: Final = (
    "generation", "seq", "fact_id", "wall_ms", "quality", "boot_id", "mono_ms", "kind", "version", "body", "head"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Broken:
    """Where a stored chain stops holding."""

    generation: int
    seq: int
    why: str


def page(connection: Connection, site: str, generation: int, after: int, limit: int) -> list[Row[Any]]:
    """Records of a generation with seq beyond `after`, in order: from the journal and from the duplicates."""
    parts = [
        select(*(table.c[name] for name in _COLUMNS))
        .where(table.c.site_id == site, table.c.generation == generation, table.c.seq > after)
        .order_by(table.c.seq)
        .limit(limit)
        .subquery()
        .select()
        for table in (journal, duplicates)
    ]
    both = union_all(*parts).subquery()
    return list(connection.execute(select(both).order_by(both.c.seq).limit(limit)))


def pages(connection: Connection, site: str, generation: int) -> Iterator[list[Row[Any]]]:
    """All records of a generation, PAGE_RECORDS_MAX at a time."""
    after = 0
    while rows := page(connection, site, generation, after, PAGE_RECORDS_MAX):
        yield rows
        after = rows[-1].seq


def record_of(row: Row[Any]) -> Record:
    """The record in a row of the journal, as it was sent."""
    return Record(
        seq=row.seq,
        fact_id=row.fact_id,
        wall_ms=row.wall_ms,
        quality=row.quality,
        boot_id=row.boot_id,
        mono_ms=row.mono_ms,
        kind=row.kind,
        version=row.version,
        body=bytes(row.body),
    )


def head_at(connection: Connection, site: str, generation: int, seq: int) -> bytes | None:
    """The stored head after `seq` (the genesis for 0); None if the office does not hold it."""
    if seq == 0:
        return genesis(site, generation)
    rows = page(connection, site, generation, seq - 1, 1)
    return bytes(rows[0].head) if rows and rows[0].seq == seq else None


def verify(connection: Connection, site: str) -> Broken | None:
    """Recompute every generation's chain from the stored bytes; the first place where it does not hold, or None."""
    held = select(positions).where(positions.c.site_id == site).order_by(positions.c.generation)
    for position in connection.execute(held).all():
        head, seq = genesis(site, position.generation), 0
        for rows in pages(connection, site, position.generation):
            for row in rows:
                seq += 1
                if row.seq != seq:
                    return Broken(position.generation, seq, f"record {seq} is missing, {row.seq} follows")
                record = record_of(row)
                head = link(head, record.header(), record.body)
                if head != bytes(row.head):
                    return Broken(position.generation, seq, "the record does not give the head stored with it")
        if (seq, head) != (position.seq, bytes(position.head)):
            return Broken(position.generation, seq, f"the position says {position.seq}, the records end at {seq}")
    return None


def ticket_rows(connection: Connection, site: str) -> Iterator[tuple[str, str, int]]:
    """(number, state, paid_minor) of every ticket: what both ends' digests are made of."""
    asked = select(tickets.c.ticket, tickets.c.state, tickets.c.paid_minor).where(tickets.c.site_id == site)
    for row in connection.execute(asked):
        yield row.ticket, row.state, row.paid_minor
