"""Questions to the mirror, answered read-only in the shapes of the control API. Standard library only.

Used by the daemon for its control socket, and by the command line when no daemon runs. A `Mirror` is one connection,
used in a `with`; nothing here writes or checkpoints.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from gatectl.domain.codes import FAULT_CODES
from gatectl.domain.records import registry
from gatectl.domain.telling import tell
from sync import chain
from sync.records import Record

DATABASE_NAME: Final = "gatectl.db"
"""The same as gatectl.store.database's, which a command must not import: it loads the ORM."""
ROWS_MAX: Final = 1_000
"""Rows of one answer."""
ROWS_USUAL: Final = 50
QUERY_CHARS_MAX: Final = 64
BUSY_MS_MAX: Final = 5_000
SCHEMA_MIN: Final = 6

_TICKET_FLAGS: Final = ("taken", "verified", "exception", "learned", "lost")
_TICKET: Final = (
    "ticket, state, lane, area, spot, vehicle_type, spot_type, tariff, issued_ms, time_quality, taken, entered_ms,"
    " verified, exception, learned, lost, exit_lane, exited_ms, void_reason, paid_minor, last_paid_ms"
)
_PAYMENT: Final = (
    "payment, ticket, state, method, amount_minor, currency, tendered_minor, change_minor, due_minor, tariff, lines,"
    " till, paid_by AS by, series, receipt, paid_ms, auth_code, masked, terminal_ref, outcome,"
    " refunded_minor, kept_minor, offline"
)
_CHAIN: Final = (
    "SELECT seq, fact_id, wall_ms, quality, boot_id, mono_ms, kind, version, body, head FROM journal"
    " WHERE generation = ? ORDER BY seq"
)

Row = dict[str, Any]


class MirrorUnreadable(OSError):  # it names a state of the disk, not a fault of the call
    """Raised when the mirror cannot be opened or is not one; the message says what to do."""


class Mirror:
    """One read-only connection; use it in a `with` and in one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = _connect(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    # -- tickets and payments ---------------------------------------------------------------------------------------

    def tickets(
        self,
        state: str | None = None,
        since_ms: int | None = None,
        limit: int = ROWS_USUAL,
        q: str = "",
        before_ms: int | None = None,
    ) -> Row:
        """gatectl.tickets/1, newest first: issued from `since_ms` to before `before_ms`, with `q` in the number or the spot."""
        assert len(q) <= QUERY_CHARS_MAX
        pattern = "%" + q.upper().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        rows = self._rows(
            f"SELECT {_TICKET} FROM tickets WHERE (? IS NULL OR state = ?) AND issued_ms >= ? AND issued_ms < ?"  # noqa: S608  # the columns are a constant
            " AND (upper(ticket) LIKE ? ESCAPE '\\' OR upper(coalesce(spot, '')) LIKE ? ESCAPE '\\')"
            " ORDER BY issued_ms DESC, counter DESC LIMIT ?",
            (
                state,
                state,
                _since(since_ms),
                2**53 if before_ms is None else before_ms,
                pattern,
                pattern,
                _limited(limit),
            ),
        )
        return {"schema": "gatectl.tickets/1", "tickets": [_ticket(row) for row in rows]}

    def ticket(self, number: str) -> Row | None:
        """gatectl.ticket/1 without its price, which only the daemon can know; None if there is no such ticket."""
        rows = self._rows(f"SELECT {_TICKET} FROM tickets WHERE ticket = ?", (number,))  # noqa: S608  # the columns are a constant
        if not rows:
            return None
        events = self.events(limit=ROWS_MAX, ticket=number)["events"]
        return {
            "schema": "gatectl.ticket/1",
            **_ticket(rows[0]),
            "payments": self.payments(number)["payments"],
            "events": events,
            "price": None,
        }

    def counted_alike(self, number: str) -> list[Row]:
        """Tickets with the count of a number under any boot's tag."""
        count = number.partition("-")[0]
        return self._rows(
            "SELECT ticket FROM tickets WHERE ticket > ? AND ticket < ? LIMIT 9", (f"{count}-", f"{count}.")
        )

    def payments(self, ticket: str | None = None, since_ms: int | None = None, limit: int = ROWS_USUAL) -> Row:
        """gatectl.payments/1, in the order of their receipts' time; those that were never taken come last."""
        rows = self._rows(
            f"SELECT {_PAYMENT} FROM payments WHERE (? IS NULL OR ticket = ?) AND coalesce(paid_ms, ?) >= ?"  # noqa: S608  # the columns are a constant
            " ORDER BY paid_ms IS NULL, paid_ms, payment LIMIT ?",
            (ticket, ticket, 2**53, _since(since_ms), _limited(limit)),
        )
        return {
            "schema": "gatectl.payments/1",
            "payments": [{**row, "lines": json.loads(row["lines"])} for row in rows],
        }

    def number_of(self, state: str) -> int:
        """Tickets in a state."""
        return int(self._rows("SELECT count(*) AS it FROM tickets WHERE state = ?", (state,))[0]["it"])

    def payment(self, key: str) -> Row | None:
        """One payment by its idempotency key."""
        rows = self._rows(f"SELECT {_PAYMENT} FROM payments WHERE payment = ?", (key,))  # noqa: S608  # the columns are a constant
        return {**rows[0], "lines": json.loads(rows[0]["lines"])} if rows else None

    # -- events -----------------------------------------------------------------------------------------------------

    def events(
        self,
        after: int | None = None,
        limit: int = ROWS_USUAL,
        lane: str | None = None,
        kind: str | None = None,
        since_ms: int | None = None,
        ticket: str | None = None,
        until: int | None = None,
    ) -> Row:
        """gatectl.events/1, oldest first: those after position `after` up to `until`, or the last ones if `after` is None.

        Of a `lane` or a `ticket` the records that name it are read, however long the journal is. `next` is where to go on:
        give it as `after`.
        """
        whats = [f"{name} {value}" for name, value in (("lane", lane), ("ticket", ticket)) if value is not None]
        source = "journal AS j" if not whats else "mentions AS m CROSS JOIN journal AS j ON j.position = m.position"
        at = "m.position" if whats else "j.position"
        conditions = [f"{at} > ?", f"{at} <= ?", "wall_ms >= ?"]
        values: list[Any] = [after if after is not None else -1, 2**53 if until is None else until, _since(since_ms)]
        for number, what in enumerate(whats):
            conditions.append(
                "m.what = ?" if number == 0 else "m.position IN (SELECT position FROM mentions WHERE what = ?)"
            )
            values.append(what)
        if kind is not None:
            conditions.append("(kind = ? OR substr(kind, 1, length(?)) = ?)")
            values += [kind, f"{kind}.", f"{kind}."]
        order = "ASC" if after is not None else "DESC"
        rows = self._rows(
            f"SELECT j.position, generation, seq, wall_ms AS at_ms, kind, body FROM {source}"  # noqa: S608  # conditions are constants, values are bound
            f" WHERE {' AND '.join(conditions)} ORDER BY {at} {order} LIMIT ?",
            (*values, _limited(limit)),
        )
        events = [_event(row) for row in (rows if after is not None else reversed(rows))]
        return {
            "schema": "gatectl.events/1",
            "events": events,
            "next": events[-1]["position"] if events else after or 0,
        }

    def records_of(self, ranges: Mapping[str, tuple[int, int]]) -> Iterator[tuple[int, Record, bytes]]:
        """Journal records in order, with their generation and head. `ranges`: boot to the numbers of its first and last fact."""
        marks = ",".join("?" * len(ranges))
        for generation, *row, head in self._db.execute(
            "SELECT generation, seq, fact_id, wall_ms, quality, boot_id, mono_ms, kind, version, body, head FROM journal"  # noqa: S608  # marks are question marks
            f" WHERE boot_id IN ({marks}) ORDER BY position",
            tuple(ranges),
        ):
            record = Record(*row)
            first, last = ranges[record.boot_id]
            if first <= int(record.fact_id[-8:], 16) <= last:
                yield generation, record, head

    # -- lanes, devices, counts -------------------------------------------------------------------------------------

    def business(self, table: str, where: tuple[str, str] | None = None, limit: int = ROWS_USUAL) -> Row:
        """gatectl.rows/1 of one of the business's tables, in the order of its key. `where`: a column and its value as text."""
        spec = next(known for known in registry.TABLES if known.name == table)
        condition = f"WHERE CAST({where[0]} AS TEXT) = ?" if where else ""
        assert where is None or where[0] in {column.name for column in spec.columns}
        flags = [column.name for column in spec.columns if column.kind is bool]
        rows = self._rows(
            f"SELECT * FROM {spec.name} {condition} ORDER BY {', '.join(spec.key)} LIMIT ?",  # noqa: S608  # names of ours
            (*(where[1:] if where else ()), _limited(limit)),
        )
        for row in rows:
            row.update({name: bool(row[name]) for name in flags if row[name] is not None})
        return {"schema": "gatectl.rows/1", "table": table, "rows": rows}

    def lane_states(self) -> dict[str, Row]:
        """By lane: mode, who set it and why, its faults with codes, since when. Only lanes that the mirror knows."""
        states: dict[str, Row] = {}
        for row in self._rows("SELECT lane, mode, who, why FROM lanes ORDER BY lane"):
            states[row["lane"]] = {**row, "faults": []}
        for row in self._rows("SELECT lane, fault, detail, since_ms FROM lane_faults ORDER BY lane, since_ms, fault"):
            empty: Row = {"lane": row["lane"], "mode": "normal", "who": "", "why": "", "faults": []}
            states.setdefault(row["lane"], empty)["faults"].append(
                {
                    **{key: row[key] for key in ("fault", "detail", "since_ms")},
                    "code": FAULT_CODES.get(row["fault"], ""),
                }
            )
        return states

    def last_event(self, lane: str) -> Row | None:
        """The newest event of a lane: position, at_ms, text."""
        events = self.events(limit=1, lane=lane)["events"]
        return {key: events[0][key] for key in ("position", "at_ms", "text")} if events else None

    def devices(self) -> list[Row]:
        """Devices that were lost at least once: device, up, why, since_ms."""
        rows = self._rows("SELECT device, up, why, since_ms FROM devices ORDER BY device")
        return [{**row, "up": bool(row["up"])} for row in rows]

    def counts(self) -> dict[str, Row]:
        """By area: entered, exited, adjusted, inside."""
        rows = self._rows(
            "SELECT area, entered, exited, adjusted, entered - exited + adjusted AS inside FROM counts ORDER BY area"
        )
        return {row["area"]: row for row in rows}

    def spots_held(self) -> dict[tuple[str, str], int]:
        """Spots held by open tickets, by (area, spot type)."""
        rows = self._rows(
            "SELECT area, spot_type, count(*) AS held FROM tickets WHERE spot IS NOT NULL"
            " AND state IN ('issued','inside','spent') GROUP BY area, spot_type"
        )
        return {(row["area"], row["spot_type"] or ""): row["held"] for row in rows}

    def position(self) -> int:
        """The newest event's number; 0 when nothing has happened."""
        return int(self._one("SELECT coalesce(max(position), 0) AS it FROM journal"))

    # -- the office -------------------------------------------------------------------------------------------------

    def backlog(self) -> Row:
        """What the office has not acknowledged: generation, seq, acked, backlog, oldest_ms (None: nothing waits)."""
        marks = {row["name"]: row["value"] for row in self._rows("SELECT name, value FROM marks")}
        generation = int(marks.get("generation", 0))
        acked = int(marks.get("acked_seq", 0)) if int(marks.get("acked_generation", 0)) == generation else 0
        row = self._rows(
            "SELECT coalesce(max(seq), ?) AS seq, count(*) AS backlog, min(wall_ms) AS oldest_ms FROM journal"
            " WHERE generation = ? AND seq > ?",
            (acked, generation, acked),
        )[0]
        return {"generation": generation, "acked": acked, **row}

    def prove(self, site: str) -> Row:
        """gatectl.prove/1: the journal's head, computed again from every record, and what the tickets add up to.

        `ok` False: the record at `broken_at` is not what was written. `from_seq` is the first record still here.
        """
        self._db.execute("BEGIN")
        try:
            return self._proven(site)
        finally:
            self._db.execute("ROLLBACK")

    def _proven(self, site: str) -> Row:
        generation = int(self._one("SELECT coalesce(max(value), '0') AS it FROM marks WHERE name = 'generation'"))
        found = _walk(
            self._db.execute(_CHAIN, (generation,)),
            chain.genesis(site, generation),
        )
        rows = self._db.execute("SELECT ticket, state, paid_minor FROM tickets")
        tickets = [(ticket, state, paid_minor) for ticket, state, paid_minor in rows]
        money = self._rows(
            "SELECT count(*) AS payments, coalesce(sum(amount_minor - refunded_minor), 0) AS paid_minor FROM payments"
            " WHERE state = 'COMPLETED'"
        )[0]
        return {
            "schema": "gatectl.prove/1",
            "site": site,
            "generation": generation,
            **found,
            "tickets": len(tickets),
            **money,
            "digest": chain.digest(tickets),
        }

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return [dict(row) for row in self._db.execute(sql, values)]

    def _one(self, sql: str) -> Any:
        return self._rows(sql)[0]["it"]


def _connect(path: Path) -> sqlite3.Connection:
    """Read-only, also for one who may not write the folder.

    SQLite wants shared memory beside the file and cannot make it there; a mirror that was closed in order has no -wal file, or
    an empty one, and no writer: `immutable` reads it as it lies.
    """
    wal = path.with_name(path.name + "-wal")
    try:
        try:
            return _opened(path, "mode=ro")
        except sqlite3.OperationalError:
            if not path.exists() or (wal.exists() and wal.stat().st_size > 0):
                raise
            return _opened(path, "mode=ro&immutable=1")
    except sqlite3.Error as error:
        if not path.exists():
            raise MirrorUnreadable(f"{path}: there is no mirror yet; the daemon makes it at its first start") from error
        raise MirrorUnreadable(f"{path}: {error}; read it as root or as a member of the group gatectl") from error
    except PermissionError as error:
        raise MirrorUnreadable(
            f"{path}: {error.strerror}; read it as root or as a member of the group gatectl"
        ) from error


def _opened(path: Path, how: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, timeout=BUSY_MS_MAX / 1000, isolation_level=None)
    try:
        db.row_factory = sqlite3.Row
        db.text_factory = lambda raw: raw.decode("utf-8", "replace")  # what a damaged record still says is shown
        for pragma in ("query_only=ON", "wal_autocheckpoint=0"):
            db.execute(f"PRAGMA {pragma}")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version < SCHEMA_MIN:
            raise sqlite3.DatabaseError("not a mirror of gatectl")
    except BaseException:
        db.close()
        raise
    return db


def _limited(limit: int) -> int:
    return max(1, min(limit, ROWS_MAX))


def _since(since_ms: int | None) -> int:
    return since_ms if since_ms is not None else -(2**53)


def _ticket(row: Row) -> Row:
    return {**row, **{flag: bool(row[flag]) for flag in _TICKET_FLAGS}}


def _event(row: Row) -> Row:
    try:
        body = json.loads(row["body"])
    except ValueError:
        body = {}
    return {**row, "text": tell(row["kind"], body if isinstance(body, dict) else {}), "body": body}


def _walk(rows: Iterable[Any], genesis: bytes) -> Row:
    """Computes the chain again. After pruning the first record that is left is trusted: its predecessor is gone."""
    head, seq, from_seq = genesis, 0, 0
    broken_at: int | None = None
    for seq, *rest, stored in rows:
        record = Record(seq, *rest)
        edited = not isinstance(record.body, bytes) or not isinstance(stored, bytes) or len(stored) != chain.HEAD_BYTES
        first, from_seq = from_seq == 0, from_seq or seq
        if first and seq > 1 and not edited:
            head = stored
            continue
        if not edited:
            head = chain.link(head, record.header(), record.body)
        if edited or head != stored:
            broken_at = seq
            break
    return {"seq": seq, "head": head.hex(), "from_seq": from_seq, "ok": broken_at is None, "broken_at": broken_at}
