"""The other ends of the sync: a complete, dull office, a journal in memory, simulated time, a network with faults."""

import gzip
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import zstandard

from sync.chain import genesis, link
from sync.ports import Answer, Position, Request, Unreachable
from sync.records import (
    BATCH_BYTES_MAX,
    FEED_ROWS_MAX,
    PROBLEMS,
    PROTOCOL_MAX,
    Ack,
    Command,
    Enrol,
    Enrolled,
    Feed,
    FeedRow,
    Generation,
    Hello,
    Malformed,
    NewGeneration,
    Record,
    Vitals,
    Welcome,
)
from sync.status import LinkState
from sync.upload import Identity, UploaderMachine
from sync.uploader import Uploader

SITE = "hill-street"
BOOT = "0123456789abcdef"
SECRET = "a-credential-of-the-test"


# -- time


class SimulatedClock:
    """Waiting is what makes time pass."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.waits: list[float | None] = []

    def monotonic_ms(self) -> int:
        return self.now_ms

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        if event.is_set():
            return True
        assert timeout_s is not None, "a wait without end"
        self.waits.append(timeout_s)
        self.now_ms += max(1, round(timeout_s * 1_000))
        return event.is_set()


# -- the site's store


@dataclass
class Journal:
    """A site's journal and mirror in memory: JournalReader and SyncStore in one. `copy` is a backup, or a clone."""

    site: str = SITE
    generation: int = 1
    rows: dict[int, list[tuple[Record, bytes]]] = field(default_factory=dict)
    acked_at: Position | None = None
    cursor: tuple[int, int] = (0, 0)
    reference: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    forgotten: int = 0
    """Pruned: records of generation 1 up to here are not to be had."""
    begun: list[tuple[int, str]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def write(self, fact_id: str, *, mono_ms: int = 0, text: str = "") -> None:
        body = json.dumps({"of": fact_id, "text": text}, separators=(",", ":")).encode()
        self._append(Record(1, fact_id, 1_789_000_000_000, "synced", BOOT, mono_ms, "t.x", 1, body))

    def _append(self, record: Record) -> None:
        at = self.position()
        record = replace(record, seq=at.seq + 1)
        head = link(at.head, record.header(), record.body)
        self.rows.setdefault(self.generation, []).append((record, head))

    def copy(self) -> "Journal":
        return replace(
            self,
            rows={generation: list(rows) for generation, rows in self.rows.items()},
            reference=dict(self.reference),
            begun=[],
            calls=[],
        )

    def position(self) -> Position:
        rows = self.rows.get(self.generation, [])
        return Position(self.generation, len(rows), rows[-1][1] if rows else genesis(self.site, self.generation))

    def acked(self) -> Position:
        return self.acked_at or Position(self.generation, 0, genesis(self.site, self.generation))

    def read(self, generation: int, after_seq: int, limit_records: int, limit_bytes: int) -> list[Record]:
        found: list[Record] = []
        size = 0
        if generation == 1:
            after_seq = max(after_seq, self.forgotten)
        for record, _ in self.rows.get(generation, [])[after_seq : after_seq + limit_records]:
            size += len(record.to_line()) + 1
            if found and size > limit_bytes:
                break
            found.append(record)
        return found

    def head_at(self, generation: int, seq: int) -> bytes | None:
        rows = self.rows.get(generation, [])
        if generation == 1 and seq < self.forgotten:
            return None
        if seq == 0:
            return genesis(self.site, generation)
        return rows[seq - 1][1] if seq <= len(rows) else None

    def before(self, generation: int) -> Position | None:
        older = [found for found in sorted(self.rows) if found < generation and self.rows[found]]
        if not older:
            return None
        rows = self.rows[older[-1]]
        return Position(older[-1], len(rows), rows[-1][1])

    def acknowledge(self, generation: int, seq: int, head: bytes) -> None:
        assert head == self.head_at(generation, seq)
        self.acked_at = Position(generation, seq, head)

    def begin_generation(self, generation: int, reason: str) -> None:
        assert generation > self.generation
        acked = self.acked()
        moved = []
        for old in sorted(self.rows):
            keep = acked.seq if old == acked.generation else len(self.rows[old]) if old < acked.generation else 0
            moved += [record for record, _ in self.rows[old][keep:]]
            del self.rows[old][keep:]
        self.generation = generation
        self.acked_at = None
        for record in moved:
            self._append(record)
        self.begun.append((generation, reason))

    def feed_cursor(self) -> tuple[int, int]:
        return self.cursor

    def apply_feed(self, rows: Sequence[FeedRow], epoch: int, seq: int) -> None:
        self.calls.append("apply")
        for row in rows:
            if row.body is None:
                self.reference.pop((row.kind, row.key), None)
            else:
                self.reference[row.kind, row.key] = row.body
        self.cursor = (epoch, seq)

    def replace_feed(self, rows: Sequence[FeedRow], epoch: int, seq: int) -> None:
        self.reference.clear()
        self.apply_feed(rows, epoch, seq)
        self.calls[-1] = "replace"

    def forget(self, seq: int) -> None:
        self.forgotten = seq

    def fact_ids(self) -> list[str]:
        return [record.fact_id for generation in sorted(self.rows) for record, _ in self.rows[generation]]


# -- the office


class Problem(Exception):
    def __init__(self, status: int, name: str, **members: Any) -> None:
        super().__init__(name)
        self.status, self.name, self.members = status, name, members


@dataclass
class OfficeSite:
    installation: str = "installation-1"
    current: int = 1
    journals: dict[int, list[tuple[bytes, bytes]]] = field(default_factory=lambda: {1: []})
    """Generation to (line, head) in order: what a backup of the office would hold."""
    epoch: int = 1
    feed: list[FeedRow] = field(default_factory=list)
    retained_after: int = 0


class FakeOffice:
    """Keeps the whole contract of sync.records, verifies every chain, and is asked by Request or over HTTP."""

    def __init__(self) -> None:
        self.site = OfficeSite()
        self.codes: dict[str, str] = {}  # code to "", "used" or "expired"
        self.enrolled = True
        self.commands: list[Command] = []
        self.vitals: list[Vitals] = []
        self.encodings: tuple[str, ...] = ("zstd", "gzip", "identity")
        self.bytes_max = BATCH_BYTES_MAX
        self.asked: list[str] = []
        self.used_encodings: set[str] = set()
        self.batches: list[int] = []

    # what a test looks at

    def fact_ids(self) -> list[str]:
        """In order of arrival, each once: the projection by identity."""
        seen: dict[str, None] = {}
        for generation in sorted(self.site.journals):
            for line, _ in self.site.journals[generation]:
                seen.setdefault(Record.from_line(line).fact_id)
        return list(seen)

    def backup(self) -> OfficeSite:
        site = self.site
        return replace(site, journals={g: list(rows) for g, rows in site.journals.items()}, feed=list(site.feed))

    def head(self, generation: int) -> tuple[int, bytes]:
        rows = self.site.journals.get(generation, [])
        return len(rows), rows[-1][1] if rows else genesis(SITE, generation)

    def put(self, kind: str, key: str, body: dict[str, Any] | None) -> None:
        self.site.feed.append(FeedRow(len(self.site.feed) + 1, kind, key, body))

    # what a site asks

    def ask(self, request: Request) -> Answer:
        """As if the request came over a perfect wire."""
        headers = {name.lower(): value for name, value in request.headers}
        headers.setdefault("authorization", f"Bearer {SECRET}")
        status, kind, body = self.serve(request.method, request.path, headers, request.body)
        return Answer(status, kind, (("content-type", kind),), body)

    def close(self) -> None:
        pass

    def serve(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        parts = urlsplit(path)
        segments = parts.path.removeprefix("/sync/v1/").split("/")
        self.asked.append(segments[-1] if segments[-2:-1] != ["journal"] else "journal")
        try:
            status, answer = self._route(method, segments, parse_qs(parts.query), headers, body)
        except Malformed as error:
            return self._problem(Problem(422, "malformed", detail=str(error)))
        except Problem as problem:
            return self._problem(problem)
        lines = method == "GET" and "journal" in segments
        return status, "application/x-ndjson" if lines else "application/json", answer

    def _problem(self, problem: Problem) -> tuple[int, str, bytes]:
        members = {"type": f"{PROBLEMS}{problem.name}", "status": problem.status, **problem.members}
        return problem.status, "application/problem+json", json.dumps(members).encode()

    def _route(  # noqa: C901  # one line an endpoint
        self, method: str, segments: list[str], query: dict[str, list[str]], headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        if segments == ["enrolments"]:
            return 201, self._enrol(Enrol.from_json(body)).to_json()
        if segments[:2] != ["sites", SITE]:
            raise Problem(404, "unknown-site")
        if not self.enrolled or headers.get("authorization") != f"Bearer {SECRET}":
            raise Problem(403, "not-enrolled")
        match method, segments[2:]:
            case "POST", ["hello"]:
                return 200, self._hello(Hello.from_json(body)).to_json()
            case "POST", ["generations"]:
                return 201, self._generation(NewGeneration.from_json(body)).to_json()
            case "POST", ["journal", generation]:
                return 200, self._journal(int(generation), headers, body).to_json()
            case "GET", ["journal", generation]:
                held = self.site.journals.get(int(generation), [])
                after, limit = int(query["after"][0]), int(query["limit"][0])
                return 200, b"".join(line + b"\n" for line, _ in held[after : after + limit])
            case "GET", ["feed"]:
                return 200, self._feed(int(query["epoch"][0]), int(query["after"][0])).to_json()
            case "GET", ["snapshot"]:
                return 200, self._snapshot().to_json()
            case "PUT", ["vitals"]:
                self.vitals.append(Vitals.from_json(body))
                return 204, b""
        raise Problem(404, "unknown-path")

    def _enrol(self, said: Enrol) -> Enrolled:
        state = self.codes.get(said.code)
        if said.site != SITE or state is None:
            raise Problem(403, "bad-code")
        if state:
            raise Problem(*{"used": (409, "already-enrolled"), "expired": (403, "expired-code")}[state])
        self.codes[said.code] = "used"
        self.site.installation += "x"
        return Enrolled(SITE, self.site.installation, self.site.current, SECRET)

    def _hello(self, said: Hello) -> Welcome:
        self._check_installation(said.installation)
        current = self.site.current
        seq, head = self.head(current)
        why = ""
        if said.generation < current:
            why = "fenced"
        elif said.generation > current:
            why = "unknown"
        elif said.seq < seq:
            why = "behind"
        elif said.seq == seq and said.head != head.hex():
            why = "forked"
        verdict = "new-generation" if why else "continue"
        feed = (self.site.epoch, len(self.site.feed), 0)
        return Welcome(SITE, current, seq, head.hex(), verdict, why, PROTOCOL_MAX, *feed, False, self.encodings)

    def _generation(self, said: NewGeneration) -> Generation:
        self._check_installation(said.installation)
        if said.after < self.site.current:
            raise Problem(409, "fenced", generation=self.site.current)
        self.site.current = said.after + 1
        self.site.journals[self.site.current] = []
        return Generation(self.site.current)

    def _journal(self, generation: int, headers: dict[str, str], body: bytes) -> Ack:
        self._check_installation(headers["gatectl-installation"])
        if generation < self.site.current:
            raise Problem(409, "fenced")
        if generation > self.site.current:
            raise Problem(409, "fork")
        lines = self._unpacked(headers.get("content-encoding", "identity"), body).splitlines()
        first, prev = int(headers["gatectl-first"]), bytes.fromhex(headers["gatectl-prev"])
        if int(headers["gatectl-count"]) != len(lines):
            raise Problem(422, "malformed")
        self.batches.append(len(lines))
        held = self.site.journals[generation]
        if first > len(held) + 1:
            raise Problem(409, "gap", expected=len(held) + 1)
        if prev != (held[first - 2][1] if first > 1 else genesis(SITE, generation)):
            raise Problem(409, "fork")
        held += self._added(held, lines, first, prev, headers["gatectl-head"])
        seq, head = self.head(generation)
        return Ack(SITE, generation, seq, head.hex(), self.site.epoch, len(self.site.feed), 0)

    def _added(
        self, held: list[tuple[bytes, bytes]], lines: list[bytes], first: int, prev: bytes, claimed: str
    ) -> list[tuple[bytes, bytes]]:
        """What is new of a batch that overlaps with what is held; every line's chain is verified, old or new."""
        added, head = [], prev
        for seq, line in enumerate(lines, first):
            record = Record.from_line(line)
            head = link(head, record.header(), record.body)
            if record.seq != seq:
                raise Problem(422, "malformed")
            if seq <= len(held) and held[seq - 1][1] != head:
                raise Problem(409, "fork")
            if seq > len(held):
                added.append((line, head))
        if head.hex() != claimed:
            raise Problem(422, "bad-chain")
        return added

    def _unpacked(self, encoding: str, body: bytes) -> bytes:
        self.used_encodings.add(encoding)
        if encoding == "zstd":
            body = zstandard.ZstdDecompressor().decompress(body, max_output_size=2 * BATCH_BYTES_MAX)
        elif encoding == "gzip":
            body = gzip.decompress(body)
        if len(body) > self.bytes_max:
            raise Problem(413, "too-large")
        return body

    def _feed(self, epoch: int, after: int) -> Feed:
        site = self.site
        if epoch != site.epoch or not site.retained_after <= after <= len(site.feed):
            raise Problem(410, "resnapshot")
        rows = tuple(site.feed[after : after + FEED_ROWS_MAX])
        commands, self.commands = tuple(self.commands), []
        return Feed(SITE, epoch, rows[-1].seq if rows else after, len(site.feed), rows, commands)

    def _snapshot(self) -> Feed:
        newest = {(row.kind, row.key): row for row in self.site.feed}
        rows = tuple(row for row in newest.values() if row.body is not None)
        return Feed(SITE, self.site.epoch, len(self.site.feed), len(self.site.feed), rows)

    def _check_installation(self, installation: str) -> None:
        if installation != self.site.installation:
            raise Problem(403, "not-enrolled")


# -- the wire


FAULTS = ("request-lost", "reply-lost", "cut", "duplicated", "late", "portal", "502", "413", "503", "slow")


class FaultyWire:
    """Between a site and an office. One seed, one history; `faults` of none makes it perfect."""

    def __init__(self, office: FakeOffice, clock: SimulatedClock, rng: Random, faults: Sequence[str] = FAULTS) -> None:
        self._office, self._clock, self._rng = office, clock, rng
        self.faults, self.odds = faults, 0.5
        self._old: list[Request] = []
        self.seen: list[str] = []

    def ask(self, request: Request) -> Answer | Unreachable:
        self._clock.now_ms += 20
        fault = self._rng.choice(self.faults) if self.faults and self._rng.random() < self.odds else ""
        self.seen.append(fault)
        match fault:
            case "request-lost":
                self._clock.now_ms += request.total_ms
                return Unreachable("lost")
            case "portal":
                return _page(200, "<html>Welcome to FreeParkingWifi</html>")
            case "502" | "413" | "503":
                return _page(int(fault), "<html>proxy</html>", retry_after="7")
            case "duplicated":
                self._office.ask(request)
            case "late" if self._old:
                self._office.ask(self._rng.choice(self._old))
            case "slow":
                self._clock.now_ms += self._rng.randrange(request.total_ms)
        self._old.append(request)
        answer = self._office.ask(request)
        if fault == "reply-lost":
            return Unreachable("reset")
        if fault == "cut":
            return replace(answer, body=answer.body[: self._rng.randrange(len(answer.body) or 1)])
        return answer

    def close(self) -> None:
        pass


def _page(status: int, text: str, **headers: str) -> Answer:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status, "text/html", pairs, text.encode())


# -- a site


def identity(office: FakeOffice | None = None, generation: int = 1) -> Identity:
    installation = office.site.installation if office else "installation-1"
    return Identity(SITE, installation, generation, BOOT, "gatectl/test")


@dataclass
class SimulatedSite:
    """A site under simulated time: its journal, its machine and its thread's code without the thread."""

    office: FakeOffice
    seed: int = 0
    faults: Sequence[str] = ()
    journal: Journal = field(default_factory=Journal)
    make: Callable[..., UploaderMachine] = UploaderMachine

    def __post_init__(self) -> None:
        self.clock = SimulatedClock()
        self.rng = Random(self.seed)
        self.wire = FaultyWire(self.office, self.clock, self.rng, self.faults)
        self.start()

    def start(self, generation: int = 1) -> None:
        """A (re)start of the process on what the journal holds; `generation` as last enrolled."""
        self.machine = self.make(identity(self.office, generation), self.journal, self.rng, wall_ms=lambda: 0)
        self.uploader = Uploader(self.machine, self.wire, self.journal, self.clock, on_crash=_raise)

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.uploader.turn()

    def settle(self, within_ms: int = 3_600_000) -> None:
        """Until all is acknowledged and the machine rests, or `within_ms` of simulated time are over."""
        end = self.clock.now_ms + within_ms
        while self.clock.now_ms < end:
            waits = len(self.clock.waits)
            self.turn()
            rests = len(self.clock.waits) > waits and self.uploader.status.state is not LinkState.BACKING_OFF
            if rests and self.journal.acked() == self.journal.position():
                return


def _raise(error: Exception) -> None:
    raise error
