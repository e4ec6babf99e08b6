"""What the sync needs from the rest of the site, and the values that cross.

The sync knows no store, no core and no socket: the composition root hands it these. Uploader and puller call them from
their own threads.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sync.records import Command, FeedRow, Record


class JournalDamaged(Exception):  # it names a state of the disk, not a fault of the call
    """Raised by a SyncStore where the journal's own chain does not hold: nothing was written."""


class StoreStopped(Exception):  # it names a state of the store, not a fault of the call
    """Raised by a SyncStore whose writer has ended: nothing was written, and the caller's thread ends quietly."""


@dataclass(frozen=True, slots=True)
class Position:
    """After record `seq` (0: before the first) of `generation`, where the chain's head is `head`."""

    generation: int
    seq: int
    head: bytes


class JournalReader(Protocol):
    """The committed journal, as a reader beside the writer sees it. Cheap: called after every commit."""

    def position(self) -> Position:
        """The newest record. In a generation without records: seq 0 and the genesis head."""
        ...

    def acked(self) -> Position:
        """What was last given to `SyncStore.acknowledge`, or the start of the generation begun since."""
        ...

    def read(self, generation: int, after_seq: int, limit_records: int, limit_bytes: int) -> list[Record]:
        """Records with seq > `after_seq` in order, without gaps.

        At most `limit_records`, and at most `limit_bytes` counted as wire lines with their newline; but at least one,
        if there is one.
        """
        ...

    def head_at(self, generation: int, seq: int) -> bytes | None:
        """The stored head after `seq` (genesis at 0).

        None where the journal has no such record, or no longer has every record that followed it (pruned).
        """
        ...

    def before(self, generation: int) -> Position | None:
        """The newest record of an older generation; None when the journal has none."""
        ...


class SyncStore(Protocol):
    """Writes of the sync, made by the site's single writer. Each blocks until committed, or raises StoreStopped."""

    def acknowledge(self, generation: int, seq: int, head: bytes) -> None:
        """The office holds the journal up to here and not beyond.

        May lie before the last acknowledgement, also in an older generation: the office was restored from a backup and
        what lies after is unacknowledged again.
        """
        ...

    def begin_generation(self, generation: int, reason: str) -> None:
        """Re-number everything not acknowledged, in order, under `generation` from seq 1 with its old fact ids.

        Afterwards `position().generation` is `generation`, and `acked()` is its seq 0. Raises JournalDamaged where the chain of
        what is not acknowledged does not hold: a new place would give a damaged record a head that fits it.
        """
        ...

    def feed_cursor(self) -> tuple[int, int]:
        """(epoch, seq) of the last applied page; (0, 0) before the first snapshot."""
        ...

    def apply_feed(self, rows: Sequence[FeedRow], epoch: int, seq: int) -> None:
        """Upsert or remove each row and move the cursor, in one transaction."""
        ...

    def replace_feed(self, rows: Sequence[FeedRow], epoch: int, seq: int) -> None:
        """Make `rows` all the reference data there is and set the cursor, in one transaction."""
        ...


class FeedSink(Protocol):
    """Where news from the office goes. Must not block and must not raise."""

    def applied(self, rows: Sequence[FeedRow], *, whole: bool) -> None:
        """These rows are committed; `whole`: they replaced everything."""
        ...

    def command(self, command: Command, expires_at_ms: int) -> None:
        """An order, given once. Past `expires_at_ms` on this boot's monotonic clock it must be refused."""
        ...


class Clock(Protocol):
    """Tells the time and waits for it; a simulation does both."""

    def monotonic_ms(self) -> int: ...

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        """Until `event` is set or `timeout_s` passed (None: no limit); True when it is set."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the office; `path` begins with a slash, after the office's address."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    total_ms: int = 20_000
    """The whole exchange, connecting included."""
    answer_bytes_max: int = 1_048_576


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer by whoever answered: not yet the office's word."""

    status: int
    content_type: str
    """Lower case, without parameters; empty when there was none."""
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No complete answer came; whether the question arrived is unknown."""

    why: str


@dataclass(frozen=True, slots=True)
class Damaged:
    """What was to be stored was not: the journal's own chain does not hold. `why` says where."""

    why: str


class Office(Protocol):
    """The way to the office. One question at a time; never raises for trouble of the network."""

    def ask(self, request: Request) -> Answer | Unreachable: ...

    def close(self) -> None:
        """From any thread: a question under way comes back at once as Unreachable, and so does every later one."""
        ...
