"""A dull office in memory: it keeps the contract of sync.records to the letter, as the real one does.

Rule 1: what it refuses, with which name, and in which order it looks, is the real office's: tests/central plays what was
        asked here to that one and compares.
Rule 2: rows are kept in the order in which they came, so a backup is a count of rows, and a restore forgets the rest.
"""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import zstandard

from sync.chain import genesis, link
from sync.ports import Answer, Request
from sync.records import (
    BATCH_BYTES_MAX,
    BATCH_RECORDS_MAX,
    PROBLEMS,
    PROTOCOL_MAX,
    PROTOCOL_MIN,
    Ack,
    Generation,
    Hello,
    Malformed,
    NewGeneration,
    Record,
    Welcome,
)

ROWS_KEPT_MAX: Final = 60_000
"""Rows the office can still give back, compare with and roll back to, at least; half as many more before it forgets."""
IDS_KEPT_MAX: Final = 200_000
"""Fact ids by which the office still knows a fact that comes again."""
PAYMENTS_KEPT_MAX: Final = 200_000
DAY_MS: Final = 86_400_000


class _Problem(Exception):
    def __init__(self, status: int, name: str, **members: Any) -> None:
        super().__init__(name)
        self.status, self.name, self.members = status, name, members


class Row(NamedTuple):
    """A record as it is held. `fate`: projected, again (its fact was here), conflict, unknown or clash: these are parked."""

    generation: int
    record: Record
    head: bytes
    fate: str


class Deed(NamedTuple):
    """What people did: enrol (the new installation), backup (its number), restore (the backup's number)."""

    what: str
    which: str


class Money(NamedTuple):
    """A payment as the office counts it."""

    fact_id: str
    day: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Backup:
    """The office at one moment, as far as rows that were added since do not tell."""

    number: int
    rows: int
    last: bytes
    """Head of the newest row: a later past may have as many rows."""
    generation: int
    begun: tuple[tuple[int, int], ...]
    installation: str


@dataclass(slots=True)
class Office:
    """One site's journal as the office has it. `age`: "" as new as the site, older or newer: other versions of the office."""

    site: str
    zstd: bool
    age: str = ""
    installation: str = "installation-1"
    generation: int = 1
    rows: list[Row] = field(default_factory=list)
    dropped: int = 0
    """So many of all rows are forgotten: the oldest ones."""
    begun: dict[int, int] = field(default_factory=lambda: {1: 0})
    """Generation to how many rows there were before its first one."""
    ids: dict[str, int] = field(default_factory=dict)
    """Fact to the number of its row."""
    payments: dict[str, Money] = field(default_factory=dict)
    fates: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    """What people at the office were told, ever: a restore takes nothing of it back."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why generations were begun, ever."""
    enrolments: int = 1
    batches: int = 0
    restores: int = 0
    backups: int = 0
    closed: bool = False
    """Its people are at work on it: every question is sent away."""
    observed: Callable[[Request | Deed, Answer | None], None] = lambda _what, _answer: None
    """Sees each question with its answer, and each deed of the office's people."""
    _zstd: zstandard.ZstdDecompressor = field(default_factory=zstandard.ZstdDecompressor)

    # -- what people do ------------------------------------------------------------------------------------------------

    def enrol(self) -> tuple[str, int]:
        """A person enrols the site's machine again: its installation, and the current generation."""
        self.enrolments += 1
        self.installation = f"installation-{self.enrolments}"
        self.observed(Deed("enrol", self.installation), None)
        return self.installation, self.generation

    def upgrade(self) -> None:
        """As new as the site again: what it did not know it reads now."""
        self.age = ""
        self.rows = [row._replace(fate="projected") if row.fate == "unknown" else row for row in self.rows]
        self.fates["projected"] += self.fates.pop("unknown", 0)

    def backup(self) -> Backup:
        self.backups += 1
        self.observed(Deed("backup", str(self.backups)), None)
        last = self.rows[-1].head if self.rows else b""
        return Backup(self.backups, self.received, last, self.generation, tuple(self.begun.items()), self.installation)

    def has(self, backup: Backup) -> bool:
        """Whether that is a past of this office still, and remembered."""
        kept = backup.rows - self.dropped
        if kept <= 0:
            return backup.rows == self.dropped == 0
        return kept <= len(self.rows) and self.rows[kept - 1].head == backup.last

    def restore(self, backup: Backup) -> None:
        """What came since is gone."""
        assert self.has(backup), "a backup of another past"
        self.observed(Deed("restore", str(backup.number)), None)
        self.restores += 1
        keep = backup.rows - self.dropped
        for row in self.rows[keep:]:
            self.fates[row.fate] -= 1
        del self.rows[keep:]
        self.ids = {fact: number for fact, number in self.ids.items() if number < backup.rows}
        self.payments = {key: money for key, money in self.payments.items() if money.fact_id in self.ids}
        self.generation, self.installation = backup.generation, backup.installation
        self.begun = dict(backup.begun)

    # -- what it knows -------------------------------------------------------------------------------------------------

    @property
    def received(self) -> int:
        return self.dropped + len(self.rows)

    @property
    def seq(self) -> int:
        """Of the current generation."""
        return self.received - self.begun[self.generation]

    @property
    def head(self) -> bytes:
        return self.rows[-1].head if self.seq else genesis(self.site, self.generation)

    def head_at(self, generation: int, seq: int) -> bytes | None:
        if seq == 0:
            return genesis(self.site, generation)
        found = self._page(generation, seq - 1, 1)
        return found[0].head if found and found[0].record.seq == seq else None

    def _page(self, generation: int, after: int, limit: int) -> list[Row]:
        if generation not in self.begun:
            return []
        first = max(0, self.begun[generation] + after - self.dropped)
        return [row for row in self.rows[first : first + limit] if row.generation == generation]

    # -- what a site asks ----------------------------------------------------------------------------------------------

    def ask(self, request: Request) -> Answer:
        """As if the request came over a perfect wire."""
        if self.closed:
            return _problem(503, {"type": f"{PROBLEMS}unavailable"})
        answer = self._answer(request)
        self.observed(request, answer)
        return answer

    def _answer(self, request: Request) -> Answer:
        try:
            status, kind, body = self._route(request)
        except Malformed as error:
            return _problem(422, {"type": f"{PROBLEMS}malformed", "detail": str(error)})
        except _Problem as problem:
            return _problem(problem.status, {"type": f"{PROBLEMS}{problem.name}", **problem.members})
        if self.age == "newer" and kind == "application/json":
            body = body[:-1] + b',"regards":{"from":["a","newer","office"]}}'
        return Answer(status, kind, (("content-type", kind),), body)

    def _route(self, request: Request) -> tuple[int, str, bytes]:
        parts = urlsplit(request.path)
        match request.method, parts.path.removeprefix(f"/sync/v1/sites/{self.site}/").split("/"):
            case "POST", ["hello"]:
                return 200, "application/json", self._hello(Hello.from_json(request.body)).to_json()
            case "POST", ["generations"]:
                return 201, "application/json", self._begin(NewGeneration.from_json(request.body)).to_json()
            case "POST", ["journal", generation]:
                return 200, "application/json", self._journal(int(generation), request).to_json()
            case "GET", ["journal", generation]:
                query = parse_qs(parts.query)
                rows = self._page(int(generation), int(query["after"][0]), int(query["limit"][0]))
                return 200, "application/x-ndjson", b"".join(row.record.to_line() + b"\n" for row in rows)
        raise _Problem(404, "not-found")

    def _known(self, installation: str) -> None:
        if installation != self.installation:
            raise _Problem(403, "not-enrolled")

    def _hello(self, said: Hello) -> Welcome:
        if self.age == "too-new":
            raise _Problem(409, "protocol")
        self._known(said.installation)
        why = self._doubt(said)
        if why:
            self.alarms[why] += 1
        return Welcome(
            self.site,
            self.generation,
            self.seq,
            self.head.hex(),
            "new-generation" if why else "continue",
            why,
            max(PROTOCOL_MIN, min(PROTOCOL_MAX, said.protocol_max)),
            1,
            0,
            0,
            False,
            ("zstd", "identity") if self.zstd and self.age != "older" else ("identity",),
        )

    def _doubt(self, said: Hello) -> str:
        if said.generation > self.generation:
            return "unknown"
        if said.generation < self.generation:
            return "fenced"
        if said.seq > self.seq:
            return ""
        if said.head != (self.head_at(said.generation, said.seq) or b"").hex():
            return "forked"
        return "behind" if said.seq < self.seq else ""

    def _begin(self, said: NewGeneration) -> Generation:
        self._known(said.installation)
        if said.after < self.generation:
            raise _Problem(409, "fenced", generation=self.generation)
        self.generation = said.after + 1
        self.begun[self.generation] = self.received
        self.alarms["new-generation"] += 1
        self.reasons[said.reason] += 1
        return Generation(self.generation)

    # -- uploads -------------------------------------------------------------------------------------------------------

    def _journal(self, generation: int, request: Request) -> Ack:
        try:
            return self._taken(generation, request)
        except _Problem as problem:
            if problem.name in ("fork", "fenced", "bad-chain"):
                self.alarms[problem.name] += 1
            raise

    def _taken(self, generation: int, request: Request) -> Ack:
        headers = dict(request.headers)
        first = int(headers["gatectl-first"])
        linked = self._linked(headers, request.body)
        self._known(headers["gatectl-installation"])
        if generation != self.generation:
            raise _Problem(409, "fenced" if generation < self.generation else "fork", generation=self.generation)
        if first > self.seq + 1:
            raise _Problem(409, "gap", expected=self.seq + 1)
        common = min(self.seq, first + len(linked) - 1)
        theirs = linked[common - first][1] if common >= first else bytes.fromhex(headers["gatectl-prev"])
        if theirs != self.head_at(generation, common):
            raise _Problem(409, "fork", at=common)
        for record, head in linked[self.seq - first + 1 :]:
            self._keep(record, head)
        self.batches += 1
        self._forget()
        return Ack(self.site, generation, self.seq, self.head.hex(), 1, 0, 0)

    def _linked(self, headers: dict[str, str], body: bytes) -> list[tuple[Record, bytes]]:
        """The records, and the heads that they give."""
        body = self._unpacked(headers["content-encoding"], body)
        lines = body.split(b"\n")[:-1]
        if len(body) > BATCH_BYTES_MAX or len(lines) > BATCH_RECORDS_MAX:
            raise _Problem(413, "too-large")
        if len(lines) != int(headers["gatectl-count"]):
            raise _Problem(422, "malformed")
        head, linked = bytes.fromhex(headers["gatectl-prev"]), []
        for seq, line in enumerate(lines, int(headers["gatectl-first"])):
            record = Record.from_line(line)
            if record.seq != seq:
                raise _Problem(422, "malformed")
            head = link(head, record.header(), record.body)
            linked.append((record, head))
        if head.hex() != headers["gatectl-head"]:
            raise _Problem(422, "bad-chain")
        return linked

    def _unpacked(self, encoding: str, body: bytes) -> bytes:
        if encoding == "zstd" and self.age == "older":
            raise _Problem(415, "malformed")
        try:
            if encoding == "zstd":
                return self._zstd.decompress(body, max_output_size=2 * BATCH_BYTES_MAX)
            return gzip.decompress(body) if encoding == "gzip" else body
        except (zstandard.ZstdError, OSError, EOFError) as error:
            raise _Problem(422, "malformed") from error

    def _keep(self, record: Record, head: bytes) -> None:
        fate = self._fate(record)
        if fate != "again" and fate != "conflict":
            self.ids[record.fact_id] = self.received
        self.rows.append(Row(self.generation, record, head, fate))
        self.fates[fate] += 1
        if fate in ("conflict", "unknown", "clash"):
            self.alarms["parked"] += 1

    def _fate(self, record: Record) -> str:
        number = self.ids.get(record.fact_id)
        if number is not None:
            held = self.rows[number - self.dropped].record if number >= self.dropped else record
            return "again" if held.moved(record.seq) == record else "conflict"
        if self.age == "older" and record.kind in NEW_KINDS:
            return "unknown"
        return self._paid(record) if record.kind == "payment.taken" else "projected"

    def _paid(self, record: Record) -> str:
        """A payment counts once, by its own key."""
        body = json.loads(record.body)
        if body["payment"] in self.payments:
            return "clash"
        self.payments[body["payment"]] = Money(record.fact_id, body["paid_ms"] // DAY_MS, body["amount_minor"])
        return "projected"

    def _forget(self) -> None:
        spare = len(self.rows) - ROWS_KEPT_MAX
        if spare > ROWS_KEPT_MAX // 2:
            del self.rows[:spare]
            self.dropped += spare
        while len(self.ids) > IDS_KEPT_MAX:
            del self.ids[next(iter(self.ids))]
        while len(self.payments) > PAYMENTS_KEPT_MAX:
            del self.payments[next(iter(self.payments))]


NEW_KINDS: Final = frozenset({"passage.observed", "device.lost", "device.back", "office.back"})
"""What an office two versions older never heard of."""


def _problem(status: int, members: dict[str, Any]) -> Answer:
    kind = "application/problem+json"
    return Answer(status, kind, (("content-type", kind),), json.dumps({"status": status, **members}).encode())
