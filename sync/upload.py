"""What the uploader does next, as a machine that performs no I/O but asking the journal.

Rule 1: everything that decides what is sent or stored next lives in this file; it is performed in sync.uploader.
Rule 2: one question is under way at a time, and a failure of any kind leads back to a greeting: where to go on is
        never remembered across trouble, it is what both ends' chains agree on.
Rule 3: nothing counts as acknowledged but an Ack that names our own chain's head: the office may be a captive portal,
        a proxy, or another site's.
Rule 4: every wait has an end. The office may lose what it had while the site is quiet, and a queue that drains only at
        the next write is one that is found full in spring.
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from random import Random

import zstandard

from sync.answers import Failed, Refused, understand, understand_line
from sync.backoff import Backoff
from sync.chain import link
from sync.parting import Search
from sync.ports import Answer, JournalReader, Position, Request, Unreachable
from sync.records import (
    BATCH_BYTES_MAX,
    BATCH_RECORDS_MAX,
    LINE_BYTES_MAX,
    PROTOCOL_MAX,
    PROTOCOL_MIN,
    Ack,
    Generation,
    Hello,
    Message,
    NewGeneration,
    Record,
    Welcome,
)
from sync.status import LinkState, UploadStatus

QUIET_MS_MAX = 60_000
"""With nothing to send the office is greeted this often: only so does a site hear that the office was restored."""
SMALL_TOTAL_MS = 20_000
UPLOAD_TOTAL_MS = 90_000
"""1 MiB shrinks to about 250 kB; this is 3 kB/s."""
CEILING_ACKS = 16
"""Batches accepted in a row before a larger one than what met a 413 is tried again."""
REFUSALS_MAX = 3
"""The same batch refused as broken this often: it is not the line that breaks it."""
UNFINISHED_MS = 15_000
"""A generation that somebody opened and did not write to is left alone for so long: two machines would else race on."""
ZSTD_LEVEL = 3
GZIP_LEVEL = 6

_FIRM = frozenset({"bad-chain", "malformed"})


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this site is to the office, and which run of it this is."""

    site: str
    installation: str
    generation: int
    """As enrolled; the journal's may be later."""
    boot: str
    software: str


@dataclass(frozen=True, slots=True)
class Send:
    request: Request


@dataclass(frozen=True, slots=True)
class Acknowledge:
    position: Position


@dataclass(frozen=True, slots=True)
class Begin:
    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    until_ms: int


Step = Send | Acknowledge | Begin | Wait


class _Phase(Enum):
    GREET = auto()
    SEARCH = auto()
    OPEN = auto()
    PUSH = auto()


@dataclass(frozen=True, slots=True)
class _Batch:
    first: int
    last: int
    prev: bytes
    head: bytes
    lines: bytes


class UploaderMachine:
    """`step` says what to do next; then `answered` (after Send) or `stored` (after Acknowledge, Begin) is told."""

    def __init__(self, identity: Identity, journal: JournalReader, rng: Random, *, wall_ms: Callable[[], int]) -> None:
        self._me = identity
        self._journal = journal
        self._wall_ms = wall_ms
        self._backoff = Backoff(rng)
        self._phase = _Phase.GREET
        self._owed: Acknowledge | Begin | None = None
        self._batch: _Batch | None = None
        self._cursor = Position(0, 0, b"")
        self._not_before_ms = 0
        self._greet_at_ms = 0
        self._search: Search | None = None
        self._open_after, self._open_reason = 0, ""
        self._encoding = "zstd"
        self._zstd = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        self._limit = self._ceiling = BATCH_RECORDS_MAX
        self._acks_in_row = self._refusals = 0
        self._empty = 0  # the generation that was found open and without a record
        self._stuck = False  # the last batch met a gap or fork that a greeting did not explain
        self._damage = ""  # where the chain does not hold: it is repaired while this process does not run
        self._oldest: tuple[int, int, int] | None = None  # generation, seq, written at
        self._contact_ms: int | None = None
        self._stopped = self._error = ""
        self._rotate = self.history_gone = False
        self.rewinds = self.forks = self.disbelieved = 0

    # -- what next

    def step(self, now_ms: int) -> Step:
        """The next thing to do. Called again without news it says the same again."""
        if self._owed is not None:
            return self._owed
        if now_ms < self._not_before_ms:
            return Wait(self._not_before_ms)
        if self._phase is _Phase.PUSH:
            self._batch = self._next_batch(now_ms)
            if self._batch is not None:
                return Send(self._upload(self._batch))
            if now_ms < self._not_before_ms:
                return Wait(self._not_before_ms)
            self._backoff.succeeded()
            self._error = ""
            if now_ms < self._greet_at_ms:
                return Wait(self._greet_at_ms)
            self._phase = _Phase.GREET
        match self._phase:
            case _Phase.SEARCH:
                return Send(self._ask_record())
            case _Phase.OPEN if self._damage:
                self._stop(now_ms, "journal-damaged", self._damage)
                return Wait(self._not_before_ms)
            case _Phase.OPEN:
                return Send(self._ask_generation())
            case _:
                return Send(self._hello())

    def stored(self) -> None:
        """What was owed to the store is committed."""
        if isinstance(self._owed, Begin):
            self._phase = _Phase.GREET
        self._owed = None

    def damaged(self, where: str, now_ms: int) -> None:
        """A generation could not be begun: no other is asked for, which would be as empty as this one."""
        self._owed, self._damage = None, where
        self._stop(now_ms, "journal-damaged", where)

    def _hello(self) -> Request:
        mine = self._journal.position()
        me = self._me
        hello = Hello(
            me.site,
            me.installation,
            mine.generation,
            mine.seq,
            mine.head.hex(),
            me.boot,
            self._wall_ms(),
            me.software,
        )
        return self._post("hello", hello)

    def _ask_generation(self) -> Request:
        return self._post("generations", NewGeneration(self._open_after, self._me.installation, self._open_reason))

    def _ask_record(self) -> Request:
        search = self._search
        assert search is not None
        path = f"/sync/v1/sites/{self._me.site}/journal/{search.generation}?after={search.probe - 1}&limit=1"
        return Request("GET", path, total_ms=SMALL_TOTAL_MS, answer_bytes_max=LINE_BYTES_MAX + 1)

    def _post(self, what: str, message: Message) -> Request:
        headers = (("content-type", "application/json"),)
        return Request("POST", f"/sync/v1/sites/{self._me.site}/{what}", message.to_json(), headers, SMALL_TOTAL_MS)

    def _next_batch(self, now_ms: int) -> _Batch | None:
        at = self._cursor
        records = self._journal.read(at.generation, at.seq, self._limit, BATCH_BYTES_MAX)
        if not records:
            return None
        lines: list[bytes] = []
        size, head = 0, at.head
        for seq, record in enumerate(records[: self._limit], at.seq + 1):
            line = record.to_line()
            size += len(line) + 1
            if lines and size > BATCH_BYTES_MAX:
                break
            if record.seq != seq:
                self._stop(now_ms, "journal-damaged", f"seq {record.seq} where {seq} should be")
                return None
            lines.append(line)
            head = link(head, record.header(), record.body)
        last = at.seq + len(lines)
        if self._journal.head_at(at.generation, last) != head:
            self._stop(now_ms, "journal-damaged", f"seq {at.seq + 1} to {last}")
            return None
        return _Batch(at.seq + 1, last, at.head, head, b"\n".join(lines) + b"\n")

    def _upload(self, batch: _Batch) -> Request:
        body, encoding = batch.lines, self._encoding
        if encoding == "zstd":
            body = self._zstd.compress(body)
        elif encoding == "gzip":
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
        headers = (
            ("content-type", "application/x-ndjson"),
            ("content-encoding", encoding),
            ("gatectl-installation", self._me.installation),
            ("gatectl-first", str(batch.first)),
            ("gatectl-count", str(batch.last - batch.first + 1)),
            ("gatectl-prev", batch.prev.hex()),
            ("gatectl-head", batch.head.hex()),
        )
        path = f"/sync/v1/sites/{self._me.site}/journal/{self._cursor.generation}"
        return Request("POST", path, body, headers, UPLOAD_TOTAL_MS)

    # -- what an answer means

    def answered(self, answer: Answer | Unreachable, now_ms: int) -> None:
        """What came back for the request that `step` gave last."""
        match self._phase:
            case _Phase.GREET:
                self._greeted(understand(answer, Welcome), now_ms)
            case _Phase.SEARCH:
                self._found(understand_line(answer), now_ms)
            case _Phase.OPEN:
                self._opened(understand(answer, Generation), now_ms)
            case _Phase.PUSH:
                if isinstance(answer, Answer) and answer.status == 413:
                    self._too_large(now_ms)
                else:
                    self._pushed(understand(answer, Ack), now_ms)

    def _greeted(self, said: Welcome | Refused | Failed, now_ms: int) -> None:
        if not isinstance(said, Welcome):
            self._trouble(said, now_ms)
        elif said.site != self._me.site:
            self._failed(now_ms, f"the office answers for site {said.site[:64]!r}")
        elif not PROTOCOL_MIN <= said.protocol <= PROTOCOL_MAX:
            self._stop(now_ms, "protocol", f"it asks for {said.protocol}")
        else:
            self._contact(now_ms)
            self._rotate = said.rotate
            self._encoding = next((name for name in said.encodings if name in ("zstd", "gzip")), "identity")
            self._compare(said, now_ms)

    def _compare(self, said: Welcome, now_ms: int) -> None:
        """Go on where both chains agree; where they do not, look for the place where they part."""
        mine, acked = self._journal.position(), self._journal.acked()
        generation = min(said.generation, mine.generation)
        if said.generation > mine.generation:
            if said.seq > 0 and said.generation > self._me.generation:
                self._stop(now_ms, "fenced", f"generation {said.generation}, ours is {mine.generation}")
                return
            if said.generation > self._me.generation and said.generation != self._empty:
                self._empty = said.generation  # by whom? a second machine would write to it now
                self._failed(now_ms, f"generation {said.generation} is open at the office and empty", UNFINISHED_MS)
                return
            # enrolled again since, or opened and never written: most likely this process died just then
            self._part(said, "enrolled" if said.generation <= self._me.generation else "unfinished-generation")
            high = acked.seq
        else:
            own = self._journal.head_at(generation, said.seq)
            if own is not None and own.hex() == said.head:
                common = Position(generation, said.seq, own)
                self._search = Search.before(self._journal, common, said) if said.seq == 0 else None
                if self._search is None:
                    self._continue(said, common)
                else:
                    self._phase = _Phase.SEARCH
                return
            high = min(said.seq, acked.seq) if acked.generation == generation else said.seq
            restored = said.generation < mine.generation
            behind = said.seq > mine.seq
            self._part(said, "office-restored" if restored else "behind" if behind else "forked")
        if acked.generation < generation:
            high = 0
        self._search = Search.up_to(generation, high)
        self._phase = _Phase.SEARCH
        self._narrow()

    def _continue(self, said: Welcome, common: Position) -> None:
        """The office's newest is in our journal."""
        self._agreed(common)
        if said.generation < self._journal.position().generation:
            self._part(said, "office-restored")
        elif said.verdict == "new-generation":
            self._part(said, said.why or "asked")
        else:
            self._cursor = common
            self._phase, self._stopped = _Phase.PUSH, ""

    def _agreed(self, common: Position) -> None:
        """Both ends hold the journal up to `common`; what the office held beyond it, it holds no longer."""
        acked = self._journal.acked()
        if (common.generation, common.seq) < (acked.generation, acked.seq):
            self.rewinds += 1
        if common != acked:
            self._owed = Acknowledge(common)

    def _found(self, said: Record | Refused | Failed | None, now_ms: int) -> None:
        search = self._search
        assert search is not None
        if isinstance(said, Refused | Failed):
            self._trouble(said, now_ms)
            return
        self._contact(now_ms)
        self._search = search.found(self._journal, said)
        self._narrow()

    def _narrow(self) -> None:
        """Ask on, or stop at the last record that both ends have."""
        search = self._search
        assert search is not None
        while search.over:
            further = search.further(self._journal)
            if further is None:
                self._search, self._phase = None, _Phase.OPEN
                self._parted_at(search)
                return
            self._search = search = further

    def _parted_at(self, search: Search) -> None:
        common, said, acked = search.common(self._journal), search.proving, self._journal.acked()
        if common is None:
            # what the office lacks is older than what is kept here: send what there is
            self.history_gone |= (search.generation, search.low) < (acked.generation, acked.seq)
        if said is not None:
            beginning = self._journal.head_at(said.generation, said.seq)
            proved = common is None or (common.generation, common.seq) == (said.generation, said.seq)
            if proved and beginning is not None:
                self._continue(said, Position(said.generation, said.seq, beginning))
                return
            self._part(said, "office-restored")
        if common is not None and (common.generation, common.seq) < (acked.generation, acked.seq):
            self._agreed(common)

    def _part(self, said: Welcome, reason: str) -> None:
        """Ask for a generation above both: one that neither end has ever used."""
        self._open_after = max(said.generation, self._journal.position().generation)
        self._phase, self._open_reason, self._stopped = _Phase.OPEN, reason, ""

    def _opened(self, said: Generation | Refused | Failed, now_ms: int) -> None:
        if not isinstance(said, Generation):
            if isinstance(said, Refused) and said.name == "fenced":
                self._failed(now_ms, said.words)  # another was faster: greet again and see
            else:
                self._trouble(said, now_ms)
            return
        self._contact(now_ms)
        if said.generation <= self._open_after:
            self._failed(now_ms, f"the office opened generation {said.generation} after {self._open_after}")
        else:
            self.forks += 1
            self._owed = Begin(said.generation, self._open_reason)

    def _pushed(self, said: Ack | Refused | Failed, now_ms: int) -> None:
        batch = self._batch
        assert batch is not None
        if isinstance(said, Ack):
            own = self._believed(said, batch)
            if own is None:
                self.disbelieved += 1
                self._failed(now_ms, "the office acknowledged something that is not our journal")
                return
            self._contact(now_ms)
            self._backoff.succeeded()
            self._error, self._stuck, self._refusals = "", False, 0
            self._grow()
            self._cursor = own
            self._owed = Acknowledge(own)
        elif isinstance(said, Refused) and said.name in ("gap", "fork") and not self._stuck:
            self._contact(now_ms)
            self._stuck, self._phase = True, _Phase.GREET
        else:
            self._limit = max(1, self._limit // 2)
            self._trouble(said, now_ms)

    def _believed(self, said: Ack, batch: _Batch) -> Position | None:
        generation = self._cursor.generation
        if said.site != self._me.site or said.generation != generation or said.ack < batch.first:
            return None
        own = batch.head if said.ack == batch.last else self._journal.head_at(generation, said.ack)
        return Position(generation, said.ack, own) if own is not None and own.hex() == said.head else None

    def _too_large(self, now_ms: int) -> None:
        if self._limit == 1:
            self._failed(now_ms, "not even one record passes: status 413")
            return
        self._ceiling = self._limit = max(1, self._limit // 2)
        self._acks_in_row = 0

    def _grow(self) -> None:
        self._acks_in_row += 1
        if self._acks_in_row >= CEILING_ACKS:
            self._acks_in_row, self._ceiling = 0, min(BATCH_RECORDS_MAX, self._ceiling * 2)
        self._limit = min(self._ceiling, self._limit * 2)

    # -- trouble

    def _trouble(self, said: Refused | Failed, now_ms: int) -> None:
        if isinstance(said, Failed):
            self._failed(now_ms, said.why, said.retry_after_ms)
            return
        self._contact(now_ms)
        if said.name in _FIRM:
            self._refusals += 1
        transient = (
            said.status >= 500
            or said.status == 408
            or said.name in ("gap", "fork")
            or 0 < self._refusals < REFUSALS_MAX
        )
        if transient:
            self._failed(now_ms, said.words)
        else:
            self._stop(now_ms, said.name, said.detail)

    def _failed(self, now_ms: int, why: str, retry_after_ms: int = 0) -> None:
        self._phase, self._error = _Phase.GREET, why
        self._not_before_ms = now_ms + self._backoff.failed(retry_after_ms)

    def _stop(self, now_ms: int, name: str, detail: str) -> None:
        self._phase, self._stopped = _Phase.GREET, name
        self._error = Refused(0, name, "").words + (f" ({detail})" if detail else "")
        self._not_before_ms = now_ms + self._backoff.slow()

    def _contact(self, now_ms: int) -> None:
        self._contact_ms = now_ms
        self._greet_at_ms = now_ms + QUIET_MS_MAX

    # -- how it does

    @property
    def state(self) -> LinkState:
        """The state alone, for whoever looks often."""
        if self._stopped:
            return LinkState.STOPPED
        if self._contact_ms is None:
            return LinkState.NEVER
        agreed = self._phase is _Phase.PUSH and not self._backoff.failures
        return LinkState.ONLINE if agreed else LinkState.BACKING_OFF

    @property
    def begun_for(self) -> str:
        """Why this run began the generation that it is in; empty if it did not."""
        return self._open_reason if self.forks else ""

    def status(self, now_ms: int) -> UploadStatus:
        mine, acked = self._journal.position(), self._journal.acked()
        waiting = now_ms < self._not_before_ms
        return UploadStatus(
            at_ms=now_ms,
            state=self.state,
            reason=self._stopped,
            last_contact_ms=self._contact_ms,
            generation=mine.generation,
            seq=mine.seq,
            acked=acked.seq,
            backlog=mine.seq - (acked.seq if acked.generation == mine.generation else 0),
            oldest_unsent_ms=self._oldest_unsent(mine, acked, now_ms),
            rewinds=self.rewinds,
            forks=self.forks,
            disbelieved=self.disbelieved,
            last_error=self._error,
            next_try_ms=self._not_before_ms if waiting else None,
            rotate=self._rotate,
            history_gone=self.history_gone,
            begun_for=self.begun_for,
        )

    def _oldest_unsent(self, mine: Position, acked: Position, now_ms: int) -> int | None:
        if (acked.generation, acked.seq) >= (mine.generation, mine.seq):
            self._oldest = None
            return None
        place = (acked.generation, acked.seq)
        if self._oldest is None or self._oldest[:2] != place:
            found = self._journal.read(acked.generation, acked.seq, 1, BATCH_BYTES_MAX)
            self._oldest = (*place, self._written_ms(found[0], now_ms) if found else now_ms)
        return self._oldest[2]

    def _written_ms(self, record: Record, now_ms: int) -> int:
        """On this boot's clock; a record of an earlier boot counts from when it was first seen waiting."""
        return min(now_ms, record.mono_ms) if record.boot_id == self._me.boot else now_ms
