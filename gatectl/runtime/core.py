"""The core thread: one event after the other through the pure site, each outcome handed on to the writer at once.

It never waits for a disk, a device or the network. Everything that reaches it is a frozen value from a bounded queue.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import structlog

from drivers.api import Signal
from gatectl.domain.events import Event, WallClockMoved
from gatectl.domain.ids import LaneId, Moment
from gatectl.domain.lane import Layout
from gatectl.domain.site import CLOCK_STEP_MS_MAX, Site
from gatectl.domain.turns import Elapsed, Happened, Recorder, Started, decided
from gatectl.runtime.clock import SystemClock
from gatectl.store.writer import Commit, StampedFact

log = structlog.get_logger()

INBOX_MAX: Final = 10_000
"""Signals and events that wait for the core; one more and the process stops: the core is wedged."""
IDLE_S_MAX: Final = 0.5
"""The core turns at least this often, so that the watchdog sees it alive."""
ASK_S_MAX: Final = 5.0
"""How long a reader waits for the core's answer."""
STOP_S_MAX: Final = 10.0
"""How long an end waits for the core; one that is wedged must not keep a process alive that has promised to stop."""

T = TypeVar("T")


class CoreStopped(RuntimeError):
    """Raised to a reader whose question the core cannot answer any more."""


@dataclass(frozen=True, slots=True)
class _Ask:
    question: Callable[[Site], Any]
    answer: "Future[Any]" = field(default_factory=Future)


class Core:
    """Owns the site. `post` and `ask` may be called from any thread; everything else is the core thread's."""

    def __init__(
        self,
        site: Site,
        clock: SystemClock,
        translate: Callable[[Signal], Sequence[Event]],
        submit: Callable[[Commit], None],
        fatal: Callable[[str], None],
        recorder: Recorder | None = None,
    ) -> None:
        self._site = site
        self._clock = clock
        self._translate = translate
        self._submit = submit
        self._fatal = fatal
        self._recorder = recorder
        self._inbox: queue.Queue[Event | Signal | _Ask | None] = queue.Queue(INBOX_MAX)
        self._thread = threading.Thread(target=self._run, name="core", daemon=True)
        self._facts_made = 0
        self._offset_ms: int | None = None
        self._stopped = threading.Event()
        self.turns = 0

    def begin(self, dark_from_ms: int | None, clean: bool) -> None:
        """The first batch; called before the thread starts, so that nothing can precede it."""
        now = self._clock.now()
        self._decide(Started(dark_from_ms, clean), now)

    def start(self) -> None:
        self._thread.start()

    def post(self, happened: Event | Signal) -> None:
        """Hand something that has happened to the core; never waits. After the core has stopped nobody hears it."""
        if self._stopped.is_set():
            return
        try:
            self._inbox.put_nowait(happened)
        except queue.Full:
            self._fatal(f"{INBOX_MAX} events wait for the core")

    def ask(self, question: Callable[[Site], T]) -> T:
        """Answer a question about the site, asked on the core thread; the answer must not hold on to the site."""
        asked = _Ask(question)
        if self._stopped.is_set():
            raise CoreStopped("the core has stopped")
        try:
            self._inbox.put(asked, timeout=ASK_S_MAX)
            answer: T = asked.answer.result(timeout=ASK_S_MAX)
        except (queue.Full, TimeoutError):
            raise CoreStopped("the core does not answer") from None
        return answer

    def way_is_clear(self, lane: LaneId) -> bool:
        """What the core knows by now, from any thread: lanes are frozen values, replaced whole."""
        known = self._site.lanes[lane]
        three_loops = known.plan.layout is Layout.THREE_LOOP
        return known.closing.clear and (known.reset.clear or not three_loops)

    def waiting(self) -> int:
        return self._inbox.qsize()

    def stop(self) -> bool:
        """Decide what waits, then stop. Twice is once. False when the core is wedged and had to be left behind."""
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._inbox.put(None, timeout=STOP_S_MAX)
            self._thread.join(STOP_S_MAX)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while self._turn():
                self.turns += 1
        except Exception as error:  # no exception crosses a thread: it stops the process
            log.exception("core failed")
            self._fatal(f"core failed: {error!r}")
        finally:
            self._stopped.set()

    def _turn(self) -> bool:
        deadline = self._site.next_deadline_mono_ms()
        wait_s = IDLE_S_MAX if deadline is None else min(IDLE_S_MAX, self._clock.seconds_until(deadline))
        try:
            happened: Any = self._inbox.get(timeout=wait_s) if wait_s > 0 else self._inbox.get_nowait()
        except queue.Empty:
            happened = _NOTHING
        if happened is None:
            return False
        now = self._clock.now()
        self._watch_wall_clock(now)
        if isinstance(happened, _Ask):
            self._answer(happened)
        elif happened is not _NOTHING:
            for event in self._translate(happened) if isinstance(happened, Signal) else (happened,):
                self._decide(event, now)
        due = self._site.next_deadline_mono_ms()
        if due is not None and due <= now.mono_ms:
            self._decide(Elapsed(), now)
        return True

    def _answer(self, asked: _Ask) -> None:
        try:
            asked.answer.set_result(asked.question(self._site))
        except Exception as error:  # noqa: BLE001  # a bad question is the asker's: it gets the error
            asked.answer.set_exception(error)

    def _watch_wall_clock(self, now: Moment) -> None:
        offset = now.wall_ms - now.mono_ms
        if self._offset_ms is not None and abs(offset - self._offset_ms) > CLOCK_STEP_MS_MAX:
            self._decide(WallClockMoved(offset - self._offset_ms), now)
        self._offset_ms = offset

    def _decide(self, what: Happened, now: Moment) -> None:
        batch = decided(self._site, what, now, self._recorder, self._facts_made)
        if not batch.facts and not batch.effects:
            return
        stamped = []
        for fact in batch.facts:
            self._facts_made += 1
            stamped.append(StampedFact(f"{self._site.boot.boot_id}{self._facts_made:08x}", now, fact))
        self._submit(Commit(tuple(stamped), batch.effects))


_NOTHING: Final = object()
