"""The controller as its threads run it, in virtual time: the core decides, the disk makes durable, then effects are performed.

Rule 1: an effect is performed after the commit of its batch, and effects are performed in the order they were decided.
Rule 2: `cut` takes everything that is in memory. What the disk has is all the next start knows.
Rule 3: a commit that the disk refuses was promised to nobody: the process stops, and systemd starts it until it can go on.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from gatectl.domain.effects import Effect
from gatectl.domain.events import Event, LaneInput, WallClockMoved
from gatectl.domain.ids import Boot, Moment, TimeQuality
from gatectl.domain.plan import SitePlan
from gatectl.domain.site import CLOCK_STEP_MS_MAX, Batch, Site
from gatectl.domain.tickets import CROCKFORD
from gatectl.domain.turns import Elapsed, Happened, Recorder, Started, decided
from gatectl.world.disk import DiskFailed, SiteDisk, Stamped
from gatectl.world.kernel import Kernel
from sync.ports import Position

START_WALL_MS: Final = 1_780_290_000_000
"""2026-06-01, 05:00 UTC: a Monday, early."""
WAITING_MAX: Final = 10_000
"""Batches that wait for the disk; one more and the real daemon would stop."""
TURNS_MAX: Final = 50
"""Deadlines that may be due one after the other without time going on."""
RESTART_MS: Final = 2_000
"""RestartSec of the unit, and what a start takes."""


@dataclass(slots=True)
class WallClock:
    """What the site's clock shows, which need not be the time."""

    kernel: Kernel
    off_ms: int = 0
    quality: TimeQuality = TimeQuality.SYNCED

    def wall_ms(self) -> int:
        return START_WALL_MS + self.kernel.now_ms + self.off_ms


class Watch:
    """Who looks over the daemon's shoulder. Does nothing here."""

    def decided(self, daemon: "Daemon", batch: Batch, event: Event | None) -> None:
        """A batch was decided; `event` None: at start, or by a deadline."""

    def performing(self, daemon: "Daemon", effect: Effect) -> None:
        """An effect is about to be handed to its device."""

    def started(self, daemon: "Daemon") -> None:
        """A start has read the disk, and has decided nothing yet."""


@dataclass(slots=True)
class Daemon:
    """One run after the other of the same site. `life` counts them; answers to an earlier life are nobody's."""

    kernel: Kernel
    plan: SitePlan
    disk: SiteDisk
    clock: WallClock
    rng: Random
    perform: Callable[[Effect], None]
    committed: Callable[[], None]
    watch: Watch
    site: Site | None = None
    life: int = 0
    commit_ms: tuple[int, int] = (2, 12)
    """The disk's delay; a fault makes it longer for a while."""
    events: int = 0
    recorder: Recorder | None = None
    """Who writes down what the core is told, as a capture at a real site does."""
    started: Callable[[], None] = lambda: None
    """Called when it runs; `stopped` when it has stopped by itself."""
    stopped: Callable[[], None] = lambda: None
    stops: int = 0
    """Processes, or starts of one, that ended because the disk refused."""
    done: Position | None = None
    """Up to here effects may have been performed."""
    _booted_ms: int = 0
    _facts_made: int = 0
    _offset_ms: int | None = None
    _wake_at_ms: int | None = None
    _waiting: list[tuple[list[Stamped], tuple[Effect, ...]]] = field(default_factory=list)
    _under_way: list[tuple[list[Stamped], tuple[Effect, ...]]] = field(default_factory=list)
    _outbox: deque[Effect] = field(default_factory=deque)

    def now(self) -> Moment:
        return Moment(self.clock.wall_ms(), 5_000 + self.kernel.now_ms - self._booted_ms, self.clock.quality)

    @property
    def quiet(self) -> bool:
        """Whether everything decided is on disk."""
        return not self._waiting and not self._under_way

    def promised(self) -> Iterator[Effect]:
        """Effects that were decided and are not performed yet, in order."""
        yield from self._outbox
        for _, effects in (*self._under_way, *self._waiting):
            yield from effects

    # -- living and dying ------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Start; on a disk that refuses, systemd will try again and again."""
        assert self.site is None
        self.life += 1
        try:
            books = self.disk.load()
        except DiskFailed:
            self.disk.stop()
            self._again()
            return
        self.watch.started(self)
        self._booted_ms = self.kernel.now_ms
        self._facts_made = 0
        self._offset_ms = self._wake_at_ms = None
        tag = "".join(self.rng.choices(CROCKFORD, k=4))
        self.site = Site(self.plan, books, Boot(f"{self.rng.getrandbits(64):016x}", tag))
        batch = self._decide(Started(self.disk.last_wall_ms, self.disk.last_wall_ms is None), self.now())
        self.watch.decided(self, batch, None)
        self._submit(batch, self.now())
        self._set_timer(self.site.next_deadline_mono_ms())
        self.started()

    def cut(self, *, torn: bool) -> None:
        """The power is gone. `torn`: the commit under way did not make it; either way nobody is told of it."""
        self.disk.cut([stamped for batch, _ in self._under_way for stamped in batch], torn=torn)
        self._end()

    def fail(self) -> None:
        """The disk refused: the process stops, and is started again."""
        if self.site is None:
            return
        self._end()
        self.disk.stop()
        self.stopped()
        self._again()

    def _end(self) -> None:
        self.site = None
        self.life += 1
        self._waiting, self._under_way = [], []
        self._outbox.clear()

    def _again(self) -> None:
        self.stops += 1
        life = self.life
        self.kernel.after(RESTART_MS, lambda: self.boot() if life == self.life else None)

    # -- the core ----------------------------------------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Something happened. Nobody hears it while the daemon is down."""
        if self.site is None:
            return
        self.events += 1
        now = self.now()
        self._watch_wall_clock(now)
        self._hand_on(self._decide(event, now), event, now)
        self._elapse(now)

    def _decide(self, what: Happened, now: Moment) -> Batch:
        assert self.site is not None
        return decided(self.site, what, now, self.recorder, self._facts_made)

    def _watch_wall_clock(self, now: Moment) -> None:
        offset = now.wall_ms - now.mono_ms
        if self._offset_ms is not None and abs(offset - self._offset_ms) > CLOCK_STEP_MS_MAX:
            moved = WallClockMoved(offset - self._offset_ms)
            self._hand_on(self._decide(moved, now), moved, now)
        self._offset_ms = offset

    def _elapse(self, now: Moment) -> None:
        assert self.site is not None
        for _ in range(TURNS_MAX):
            due = self.site.next_deadline_mono_ms()
            if due is None or due > now.mono_ms:
                self._set_timer(due)
                return
            self._hand_on(self._decide(Elapsed(), now), None, now)
        raise AssertionError("deadlines without end")

    def _set_timer(self, due: int | None) -> None:
        if due is None:
            return
        at_ms = due - 5_000 + self._booted_ms
        if self._wake_at_ms is None or at_ms < self._wake_at_ms:
            self._wake_at_ms = at_ms
            life = self.life
            self.kernel.at(at_ms, lambda: self._wake(life, at_ms))

    def _wake(self, life: int, at_ms: int) -> None:
        if life != self.life or at_ms != self._wake_at_ms:
            return
        self._wake_at_ms = None
        now = self.now()
        self._watch_wall_clock(now)
        self._elapse(now)

    # -- the writer ----------------------------------------------------------------------------------------------------------

    def _hand_on(self, batch: Batch, event: Event | None, now: Moment) -> None:
        self.watch.decided(self, batch, event)
        self._submit(batch, now)

    def _submit(self, batch: Batch, now: Moment) -> None:
        if not batch.facts and not batch.effects:
            return
        assert self.site is not None
        boot = self.site.boot.boot_id
        stamped = []
        for fact in batch.facts:
            self._facts_made += 1
            stamped.append(Stamped(f"{boot}{self._facts_made:08x}", boot, now, fact))
        self._waiting.append((stamped, batch.effects))
        assert len(self._waiting) <= WAITING_MAX, "the disk does not keep up"
        if not self._under_way:
            self._begin_commit()

    def _begin_commit(self) -> None:
        self._under_way, self._waiting = self._waiting, []
        life = self.life
        self.kernel.after(self.rng.randint(*self.commit_ms), lambda: self._commit(life))

    def _commit(self, life: int) -> None:
        if life != self.life:
            return
        try:
            effects = self._write()
        except DiskFailed:
            self.fail()
            return
        self.done = self.disk.position()
        if effects and not self._outbox:
            self.kernel.after(1, lambda: self._perform_next(life))
        self._outbox.extend(effects)
        if self._waiting:
            self._begin_commit()

    def _write(self) -> list[Effect]:
        facts = [stamped for batch, _ in self._under_way for stamped in batch]
        effects = [effect for _, effects in self._under_way for effect in effects]
        self._under_way = []
        if facts:
            self.disk.append(facts)
            self.committed()
        return effects

    def _perform_next(self, life: int) -> None:
        """One at a time, so that the power can go between any two."""
        if life != self.life:
            return
        effect = self._outbox.popleft()
        self.watch.performing(self, effect)
        self.perform(effect)
        if self._outbox:
            self.kernel.after(1, lambda: self._perform_next(life))


def lane_of(event: Event | None) -> str | None:
    """The lane that an event is about, if it is a lane's input."""
    return event.lane if isinstance(event, LaneInput) else None
