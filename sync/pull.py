"""What the puller does next, as a machine that performs no I/O.

Rule 1: a page and its cursor are one write. A page that does not follow the cursor it was asked for is not applied.
Rule 2: a cursor the office does not know (410) is answered by taking everything anew, in one write.
Rule 3: an order is handed on at once or never. Its time runs from the arrival of the answer that brought it, on the
        monotonic clock; one that comes with a snapshot, or a second time, is dropped and counted.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass
from random import Random

from sync.answers import Failed, Refused, understand
from sync.backoff import Backoff
from sync.ports import Answer, Request, Unreachable
from sync.records import FEED_ROWS_MAX, FEED_WAIT_S_MAX, Command, Feed, FeedRow
from sync.status import FeedStatus, LinkState

POLL_TOTAL_MS = FEED_WAIT_S_MAX * 1_000 + 10_000
PAGE_BYTES_MAX = 16 * 1_048_576
"""FEED_ROWS_MAX rows of BODY_BYTES_MAX, and room."""
SNAPSHOT_TOTAL_MS = 120_000
SNAPSHOT_BYTES_MAX = 64 * 1_048_576
COMMAND_IDS_KEPT = 1_000
COMMAND_MS_MAX = 120_000
"""No order is good for longer, whatever it says."""
EMPTY_POLL_MS_MIN = 1_000
"""An empty answer that comes sooner was no long poll: the next is held back by this."""


@dataclass(frozen=True, slots=True)
class Ask:
    request: Request


@dataclass(frozen=True, slots=True)
class Hand:
    """Give the order to the sink."""

    command: Command
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Apply:
    """Write the rows (`whole`: in place of all there are) and the cursor, then tell the sink."""

    rows: tuple[FeedRow, ...]
    epoch: int
    seq: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Rest:
    until_ms: int


Step = Ask | Hand | Apply | Rest


class PullerMachine:
    """`step` says what to do next; then `answered` (after Ask) or `done` (after Hand, Apply) is told."""

    def __init__(self, site: str, cursor: tuple[int, int], rng: Random) -> None:
        self._site = site
        self._epoch, self._seq = cursor
        self._head = self._seq
        self._backoff = Backoff(rng)
        self._owed: deque[Hand | Apply] = deque()
        self._snapshot = self._epoch == 0
        self._fresh = False  # the cursor comes from a snapshot that no poll has confirmed yet
        self._asked_ms = self._not_before_ms = 0
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._contact_ms: int | None = None
        self._stopped = self._error = ""
        self._snapshots = self._commands = self._dropped = 0

    def step(self, now_ms: int) -> Step:
        if self._owed:
            return self._owed[0]
        if now_ms < self._not_before_ms:
            return Rest(self._not_before_ms)
        self._asked_ms = now_ms
        base = f"/sync/v1/sites/{self._site}"
        if self._snapshot:
            return Ask(
                Request("GET", f"{base}/snapshot", total_ms=SNAPSHOT_TOTAL_MS, answer_bytes_max=SNAPSHOT_BYTES_MAX)
            )
        query = f"epoch={self._epoch}&after={self._seq}&wait={FEED_WAIT_S_MAX}"
        return Ask(Request("GET", f"{base}/feed?{query}", total_ms=POLL_TOTAL_MS, answer_bytes_max=PAGE_BYTES_MAX))

    def distrust(self) -> None:
        """The cursor means nothing any more: take a snapshot next."""
        self._snapshot = True

    def done(self) -> None:
        """The first thing owed is done."""
        step = self._owed.popleft()
        if isinstance(step, Apply):
            self._epoch, self._seq = step.epoch, step.seq
            if step.whole:
                self._snapshot, self._fresh = False, True
                self._snapshots += 1

    def answered(self, answer: Answer | Unreachable, now_ms: int) -> None:
        said = understand(answer, Feed)
        if isinstance(said, Failed):
            self._failed(now_ms, said.why, said.retry_after_ms)
        elif isinstance(said, Refused):
            self._refused(said, now_ms)
        else:
            wrong = self._wrong(said)
            if wrong:
                self._failed(now_ms, f"a feed that does not follow: {wrong}")
            else:
                self._fed(said, now_ms)

    def _fed(self, said: Feed, now_ms: int) -> None:
        self._contact_ms, self._stopped, self._error = now_ms, "", ""
        self._backoff.succeeded()
        self._head = said.head
        for command in said.commands:
            self._order(command, now_ms)
        if self._snapshot or said.rows:
            self._owed.append(Apply(said.rows, said.epoch, said.next, self._snapshot))
        if not self._snapshot:
            self._fresh = False
            if not said.rows and not said.commands and now_ms - self._asked_ms < EMPTY_POLL_MS_MIN:
                self._not_before_ms = now_ms + EMPTY_POLL_MS_MIN

    def _order(self, command: Command, now_ms: int) -> None:
        if self._snapshot or command.id in self._seen or command.valid_ms <= 0:
            self._dropped += 1
            return
        self._seen[command.id] = None
        if len(self._seen) > COMMAND_IDS_KEPT:
            self._seen.popitem(last=False)
        self._commands += 1
        self._owed.append(Hand(command, now_ms + min(command.valid_ms, COMMAND_MS_MAX)))

    def _wrong(self, said: Feed) -> str:
        if said.site != self._site:
            return f"site {said.site[:64]!r}"
        if self._snapshot:
            return "" if said.epoch > 0 and said.next == said.head >= 0 else "a snapshot whose cursor is not its head"
        if said.epoch != self._epoch:
            return f"epoch {said.epoch} where {self._epoch} was asked"
        if len(said.rows) > FEED_ROWS_MAX:
            return f"{len(said.rows)} rows"
        at = self._seq
        for row in said.rows:
            if row.seq <= at:
                return f"row {row.seq} after {at}"
            at = row.seq
        return "" if said.next == at <= said.head else f"cursor {said.next} after row {at}, head {said.head}"

    def _refused(self, said: Refused, now_ms: int) -> None:
        self._contact_ms = now_ms
        if said.status == 410 and not self._snapshot:
            self._snapshot = True
            if self._fresh:
                self._failed(now_ms, "the office does not know the cursor of its own snapshot")
        elif said.status >= 500 or said.status == 410:
            self._failed(now_ms, said.words)
        else:
            self._stopped, self._error = said.name, said.words
            self._not_before_ms = now_ms + self._backoff.slow()

    def _failed(self, now_ms: int, why: str, retry_after_ms: int = 0) -> None:
        self._error = why
        self._not_before_ms = now_ms + self._backoff.failed(retry_after_ms)

    def status(self) -> FeedStatus:
        if self._stopped:
            state = LinkState.STOPPED
        elif self._contact_ms is None:
            state = LinkState.NEVER
        else:
            state = LinkState.BACKING_OFF if self._backoff.failures else LinkState.ONLINE
        return FeedStatus(
            state=state,
            reason=self._stopped,
            last_contact_ms=self._contact_ms,
            epoch=self._epoch,
            seq=self._seq,
            head=self._head,
            snapshots=self._snapshots,
            commands=self._commands,
            commands_dropped=self._dropped,
            last_error=self._error,
        )
