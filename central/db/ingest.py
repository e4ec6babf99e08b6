"""One upload, one transaction: lock the position, recompute the chain, store, project, commit; then the Ack.

Rule 1: nothing is acknowledged that is not committed, nothing committed whose chain we did not compute ourselves.
Rule 2: every well-formed record of an unbroken chain is stored; what it says is the projection's matter.
Rule 3: a gap, a fork, an old generation or an edited byte is refused by name and changes nothing but the alarm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, select, text, update

from central.db import alarms, bulk, sites
from central.db import schema as s
from central.db.chains import head_at
from central.db.projection import Item, Undigested, parked_rows, project
from central.db.refusal import Refused
from sync.chain import HEAD_BYTES, link
from sync.records import BATCH_RECORDS_MAX, Ack, Malformed, Record

ALARMING: Final = frozenset({"fork", "fenced", "bad-chain"})
"""Refusals that a person must hear of: the site was copied, restored or tampered with."""

_COLUMNS: Final = "seq, fact_id, wall_ms, quality, boot_id, mono_ms, kind, version"
_SELECT: Final = (
    f" SELECT :site, :generation, {_COLUMNS}, convert_to(body, 'UTF8'), decode(head, 'hex')"  # noqa: S608  # constants
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(seq bigint, fact_id text, wall_ms bigint, quality text,"
    " boot_id text, mono_ms bigint, kind text, version bigint, body text, head text)"
)
_INSERT: Final = text(
    f"INSERT INTO journal (site_id, generation, {_COLUMNS}, body, head)"  # constants
    f"{_SELECT} ON CONFLICT (site_id, fact_id) DO NOTHING RETURNING seq"
)
_INSERT_AGAIN: Final = text(
    f"INSERT INTO duplicates (site_id, generation, {_COLUMNS}, body, head, same)"  # constants
    f"{_SELECT.replace(' FROM', ', NOT (seq = ANY(:differing)) FROM')}"
)


@dataclass(frozen=True, slots=True)
class Upload:
    """What came: the headers, and the body's lines without their newlines."""

    generation: int
    installation: str
    first: int
    count: int
    prev: bytes
    head: bytes
    lines: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Linked:
    """A record and the chain head after it."""

    record: Record
    head: bytes


def ingest(engine: Engine, site: str, upload: Upload) -> Ack:
    """Store an upload. Raises Refused: gap, fork, fenced, not-enrolled, unknown-site, bad-chain, malformed."""
    try:
        linked = check(upload)
        with engine.begin() as connection:
            return _store(connection, site, upload, linked)
    except Refused as refused:
        if refused.name in ALARMING:
            with engine.begin() as connection:
                where = f"generation {upload.generation}, seq {upload.first} to {upload.first + upload.count - 1}"
                alarms.raise_sync(connection, site, refused.name, f"{where}: {refused.detail}")
        raise


def check(upload: Upload) -> list[Linked]:
    """Parse the lines and recompute the chain over their bytes. Raises Refused malformed, too-large or bad-chain."""
    if not 1 <= upload.count <= BATCH_RECORDS_MAX:
        raise Refused("too-large", 413, f"{upload.count} records, 1 to {BATCH_RECORDS_MAX} are taken at once")
    if len(upload.prev) != HEAD_BYTES or len(upload.head) != HEAD_BYTES:
        raise Refused("malformed", 422, f"a head is {HEAD_BYTES} bytes")
    if len(upload.lines) != upload.count:
        raise Refused("malformed", 422, f"{upload.count} records announced, {len(upload.lines)} lines came")
    head, linked = upload.prev, []
    for number, line in enumerate(upload.lines):
        try:
            record = Record.from_line(line)
        except Malformed as error:
            raise Refused("malformed", 422, f"line {number + 1}: {error}", {"line": number + 1}) from error
        if record.seq != upload.first + number:
            detail = f"line {number + 1}: seq {record.seq}, expected {upload.first + number}"
            raise Refused("malformed", 422, detail, {"line": number + 1})
        head = link(head, record.header(), record.body)
        linked.append(Linked(record, head))
    if head != upload.head:
        raise Refused("bad-chain", 422, "the records do not give the head that was sent with them")
    return linked


def _store(connection: Connection, site: str, upload: Upload, linked: list[Linked]) -> Ack:
    held = sites.locked_position(connection, site, upload.installation)
    if upload.generation < held.generation:
        raise Refused("fenced", 409, f"generation {held.generation} is current", {"generation": held.generation})
    if upload.generation > held.generation:
        detail = f"generation {upload.generation} was never issued here; say hello"
        raise Refused("fork", 409, detail, {"generation": held.generation})
    tail = _beyond(connection, site, upload, linked, held)
    if tail:
        _append(connection, site, upload.generation, tail)
        held = sites.Position(held.generation, tail[-1].record.seq, tail[-1].head)
        mine = (s.positions.c.site_id == site) & (s.positions.c.generation == held.generation)
        changed = {"seq": held.seq, "head": held.head, "updated_at": func.now()}
        connection.execute(update(s.positions).where(mine).values(**changed))
    counter = connection.execute(select(s.feed_counters).where(s.feed_counters.c.site_id == site)).one()
    return Ack(
        site=site,
        generation=held.generation,
        ack=held.seq,
        head=held.head.hex(),
        feed_epoch=counter.epoch,
        feed_head=counter.seq,
        server_ms=sites.now_ms(connection),
    )


def _beyond(
    connection: Connection, site: str, upload: Upload, linked: list[Linked], held: sites.Position
) -> list[Linked]:
    """The records that are new here. Raises Refused gap or fork.

    A chain head covers everything before it, so one comparison at the newest common record proves the whole overlap.
    """
    if upload.first > held.seq + 1:
        raise Refused("gap", 409, f"record {held.seq + 1} is missing", {"expected": held.seq + 1})
    if upload.first == held.seq + 1:
        common, theirs, ours = held.seq, upload.prev, held.head
    else:
        common = min(held.seq, linked[-1].record.seq)
        theirs = linked[common - upload.first].head
        ours = held.head if common == held.seq else head_at(connection, site, upload.generation, common) or b""
    if theirs != ours:
        raise Refused("fork", 409, f"another record {common} is held here", {"at": common})
    return linked[held.seq - upload.first + 1 :]


def _append(connection: Connection, site: str, generation: int, tail: Sequence[Linked]) -> None:
    sent = {"site": site, "generation": generation, "rows": bulk.as_json([_row(one) for one in tail])}
    inserted = set(connection.execute(_INSERT, sent).scalars())
    fresh = [Item(generation, one.record) for one in tail if one.record.seq in inserted]
    again = [one for one in tail if one.record.seq not in inserted]
    waiting = project(connection, site, fresh)
    if again:
        waiting += _keep_duplicates(connection, site, generation, again)
    if waiting:
        alarms.raise_sync(connection, site, "parked", f"generation {generation}: {waiting} records", times=waiting)


def _keep_duplicates(connection: Connection, site: str, generation: int, again: Sequence[Linked]) -> int:
    """Store records whose fact is held already; returns how many of them say something else than it does."""
    ids = [one.record.fact_id for one in again]
    kept = {row["fact_id"]: row for row in bulk.select_by(connection, s.journal, site, "fact_id", ids)}
    parked: list[dict[str, Any]] = []
    for record in (one.record for one in again):
        first = kept[record.fact_id]
        if (first["kind"], first["version"], bytes(first["body"])) != (record.kind, record.version, record.body):
            why = Undigested("conflict", f"{first['generation']}/{first['seq']} has this id and another body")
            parked += parked_rows(site, Item(generation, record), why)
    sent = {"site": site, "generation": generation, "rows": bulk.as_json([_row(one) for one in again])}
    connection.execute(_INSERT_AGAIN, sent | {"differing": [row["seq"] for row in parked]})
    bulk.upsert(connection, s.parked, parked)
    if parked:
        detail = f"generation {generation}: {len(parked)} records"
        alarms.raise_sync(connection, site, "conflict", detail, times=len(parked))
    return len(parked)


def _row(one: Linked) -> dict[str, Any]:
    record = one.record
    return {
        "seq": record.seq,
        "fact_id": record.fact_id,
        "wall_ms": record.wall_ms,
        "quality": record.quality,
        "boot_id": record.boot_id,
        "mono_ms": record.mono_ms,
        "kind": record.kind,
        "version": record.version,
        "body": record.body.decode(),
        "head": one.head.hex(),
    }
