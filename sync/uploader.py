"""The uploader's loop, and the thread that runs it: asks the office, writes through the store, sleeps until there is news.

Rule 1: the order of things is `drive`'s alone. A thread performs what it yields by blocking, the simulated world by letting
        simulated time pass; neither has an order of its own.
Rule 2: the wake-up is cleared before the machine asks the journal. The other way round a commit that falls in between is
        not seen until the next one, or until the quiet greeting.
"""

import threading
from collections.abc import Callable, Generator
from typing import Protocol

from sync.ports import Answer, Clock, Damaged, JournalDamaged, Office, StoreStopped, SyncStore, Unreachable
from sync.status import UploadStatus
from sync.upload import Acknowledge, Begin, Send, Step, UploaderMachine, Wait


class News(Protocol):
    """Set by whoever commits. A threading.Event is one."""

    def clear(self) -> None: ...


Said = Answer | Unreachable | Damaged | None
Driving = Generator[Step | None, Said, None]


def drive(machine: UploaderMachine, news: News, now_ms: Callable[[], int]) -> Driving:
    """Yields, by turns for ever, a step to perform and, once the machine knows its outcome, None: a moment to look at it.

    Send wants the answer sent back; Acknowledge and Begin are to be committed, or Damaged is sent back; Wait is over at its
    time or when `news` is set, at once if it was set since the step was yielded.
    """
    while True:
        news.clear()
        step = machine.step(now_ms())
        said = yield step
        if isinstance(step, Send):
            assert isinstance(said, Answer | Unreachable), "a question without an answer"
            machine.answered(said, now_ms())
        elif isinstance(said, Damaged):
            machine.damaged(said.why, now_ms())
        elif not isinstance(step, Wait):
            machine.stored()
        yield None


class Uploader:
    """Drives the machine. `notify` after every commit; `status` from any thread."""

    def __init__(
        self,
        machine: UploaderMachine,
        office: Office,
        store: SyncStore,
        clock: Clock,
        *,
        on_crash: Callable[[Exception], None],
        on_office_restored: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_office_restored` (give it `Puller.resnapshot`): the office holds less than it acknowledged."""
        self._machine, self._office, self._store, self._clock = machine, office, store, clock
        self._on_crash, self._on_office_restored = on_crash, on_office_restored
        self._rewinds = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uploader", daemon=True)
        self._steps = drive(machine, self._wake, clock.monotonic_ms)
        self._status = machine.status(clock.monotonic_ms())

    def start(self) -> None:
        self._thread.start()

    def notify(self, seq: int) -> None:  # the store says which; the journal is asked anyway
        """Something was committed. Cheap, never blocks."""
        self._wake.set()

    def stop(self, timeout_s: float) -> bool:
        """Break off what is under way and end; True when the thread has ended."""
        self._stopping.set()
        self._wake.set()
        self._office.close()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def status(self) -> UploadStatus:
        return self._status

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.turn()
        except StoreStopped:
            return
        except Exception as error:  # noqa: BLE001  # no exception crosses a thread: the composition root decides
            self._on_crash(error)

    def turn(self) -> None:
        """One step."""
        step = next(self._steps)
        assert step is not None
        self._steps.send(self._perform(step))
        if not isinstance(step, Wait):
            self._publish()

    def _perform(self, step: Step) -> Said:
        match step:
            case Send(request):
                return self._office.ask(request)
            case Acknowledge(position):
                self._store.acknowledge(position.generation, position.seq, position.head)
            case Begin(generation, reason):
                try:
                    self._store.begin_generation(generation, reason)
                except JournalDamaged as damaged:
                    return Damaged(str(damaged))
            case Wait(until_ms):
                self._publish()
                if not self._stopping.is_set():
                    left_s = (until_ms - self._clock.monotonic_ms()) / 1_000
                    self._clock.wait(self._wake, max(0.0, left_s))
        return None

    def _publish(self) -> None:
        if self._machine.rewinds > self._rewinds:
            self._rewinds = self._machine.rewinds
            self._on_office_restored()
        self._status = self._machine.status(self._clock.monotonic_ms())
