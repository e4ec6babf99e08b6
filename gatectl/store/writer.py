"""The writer thread: every batch that waits goes into ONE transaction with ONE sync, then their effects are released.

"Durable before it moves" is a property of this queue. If a commit fails, nothing of it was promised yet: the process stops
and starts again from disk.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from sqlalchemy import Connection

from gatectl.domain import codec
from gatectl.domain.effects import Effect
from gatectl.domain.facts import Fact
from gatectl.domain.ids import Boot, Moment
from gatectl.store import journal
from gatectl.store.database import transaction
from gatectl.store.projection import project

log = structlog.get_logger()

BATCHES_WAITING_MAX: Final = 10_000
"""Batches between the core and the disk; one more and the process stops: the disk is gone."""
GROUP_BATCHES_MAX: Final = 500
"""Batches that share one transaction."""
CALL_S_MAX: Final = 30.0
"""How long another thread waits for its own small write."""
STOP_S_MAX: Final = 15.0
"""How long an end waits for the disk; a disk that hangs must not keep a process alive that has promised to stop."""


class StoreStopped(RuntimeError):
    """Raised to a caller whose write cannot happen any more: the writer has stopped."""


@dataclass(frozen=True, slots=True)
class StampedFact:
    """A fact with its identity and moment, given by the core."""

    fact_id: str
    moment: Moment
    fact: Fact


@dataclass(frozen=True, slots=True)
class Commit:
    """What one event led to: to be made durable, then performed."""

    facts: tuple[StampedFact, ...]
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A write for another room (an acknowledgement, a cursor), in a transaction of its own."""

    job: Callable[[Connection], Any]
    done: "Future[Any]" = field(default_factory=Future)


def write_group(connection: Connection, tip: journal.Tip, boot_id: str, stamped: Sequence[StampedFact]) -> journal.Tip:
    """Facts and what they change in the mirror, in one transaction: all durable when this returns, none if it raises."""
    with transaction(connection):
        return put_group(connection, tip, boot_id, stamped)


def put_group(connection: Connection, tip: journal.Tip, boot_id: str, stamped: Sequence[StampedFact]) -> journal.Tip:
    """The same inside the caller's transaction."""
    entries = [
        journal.Entry(
            item.fact_id,
            item.moment.wall_ms,
            item.moment.quality.value,
            boot_id,
            item.moment.mono_ms,
            item.fact.kind,
            item.fact.version,
            codec.encode(item.fact),
        )
        for item in stamped
    ]
    behind = journal.append(connection, tip, entries)
    for item in stamped:
        project(connection, item.fact, item.moment.wall_ms)
    return behind


class Writer:
    """Owns the connection. `submit` from the core, `call` from anyone; `committed` is called on the writer's thread."""

    def __init__(
        self,
        connection: Connection,
        site: str,
        boot: Boot,
        committed: Callable[[tuple[Commit, ...], journal.Tip], None],
        fatal: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._site = site
        self._boot = boot
        self._committed = committed
        self._fatal = fatal
        self._queue: queue.Queue[Commit | Call | None] = queue.Queue(BATCHES_WAITING_MAX)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._stopped = threading.Event()
        self.turns = 0
        with transaction(connection):
            self.tip = journal.read_tip(connection, site)

    def start(self) -> None:
        self._thread.start()

    def submit(self, commit: Commit) -> None:
        """Hand over a batch; never waits. Raises StoreStopped when the disk has fallen hopelessly behind."""
        try:
            self._queue.put_nowait(commit)
        except queue.Full:
            self._fatal(f"{BATCHES_WAITING_MAX} batches wait for the disk")
            raise StoreStopped("the disk does not keep up") from None

    def call(self, job: Callable[[Connection], Any]) -> Any:
        """Run `job` in a write transaction and wait until it is durable. Raises StoreStopped, or what the job raised."""
        asked = Call(job)
        if self._stopped.is_set():
            raise StoreStopped("the store has stopped")
        try:
            self._queue.put(asked, timeout=CALL_S_MAX)
            if self._stopped.is_set():
                self._refuse_the_rest()  # it stopped while this was queued: nobody else will answer
            return asked.done.result(timeout=CALL_S_MAX)
        except (queue.Full, TimeoutError):
            raise StoreStopped("the writer does not answer") from None

    def waiting(self) -> int:
        return self._queue.qsize()

    def stop(self) -> bool:
        """Write what waits, then stop. Twice is once. False when the disk hangs and the thread had to be left behind."""
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=STOP_S_MAX)
            self._thread.join(STOP_S_MAX)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while self._turn():
                self.turns += 1
        except Exception as error:  # no exception crosses a thread: it stops the process
            log.exception("commit failed")
            self._fatal(f"commit failed: {error}")
        finally:
            self._stopped.set()
            self._refuse_the_rest()

    def _turn(self) -> bool:
        """One transaction. False when told to stop."""
        try:
            first = self._queue.get(timeout=1.0)
        except queue.Empty:
            return True
        if first is None:
            return False
        if isinstance(first, Call):
            self._perform(first)
            return True
        group, after = self._gather(first)
        try:
            self._write(group)
            self._committed(tuple(group), self.tip)
        except Exception:
            if isinstance(after, Call):  # it is out of the queue already: only here can it be answered
                after.done.set_exception(StoreStopped("the store has stopped"))
            raise
        if isinstance(after, Call):
            self._perform(after)
        return after is not _STOP

    def _gather(self, first: Commit) -> "tuple[list[Commit], Call | object | None]":
        group = [first]
        while len(group) < GROUP_BATCHES_MAX:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return group, _STOP
            if isinstance(following, Call):
                return group, following
            group.append(following)
        return group, None

    def _write(self, group: list[Commit]) -> None:
        stamped = [item for commit in group for item in commit.facts]
        if stamped:
            self.tip = write_group(self._connection, self.tip, self._boot.boot_id, stamped)

    def _perform(self, asked: Call) -> None:
        try:
            with transaction(self._connection):
                result = asked.job(self._connection)
                tip = journal.read_tip(self._connection, self._site)
        except Exception as error:  # noqa: BLE001  # the caller's mistake is the caller's: it gets it
            asked.done.set_exception(error)
            return
        self.tip = tip
        asked.done.set_result(result)

    def _refuse_the_rest(self) -> None:
        while True:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                return
            if isinstance(waiting, Call):
                waiting.done.set_exception(StoreStopped("the store has stopped"))


_STOP: Final = object()
