"""The thread that drives the upload machine: asks the office, writes through the store, sleeps until there is news."""

import threading
from collections.abc import Callable

from sync.ports import Clock, Office, StoreStopped, SyncStore
from sync.status import UploadStatus
from sync.upload import Acknowledge, Begin, Send, UploaderMachine, Wait


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
        """One step. The wake-up is cleared before the journal is asked, so a commit in between is never missed."""
        self._wake.clear()
        step = self._machine.step(self._clock.monotonic_ms())
        match step:
            case Send(request):
                answer = self._office.ask(request)
                self._machine.answered(answer, self._clock.monotonic_ms())
            case Acknowledge(position):
                self._store.acknowledge(position.generation, position.seq, position.head)
                self._machine.stored()
            case Begin(generation, reason):
                self._store.begin_generation(generation, reason)
                self._machine.stored()
            case Wait(until_ms):
                self._publish()
                if not self._stopping.is_set():
                    left_s = (until_ms - self._clock.monotonic_ms()) / 1_000
                    self._clock.wait(self._wake, max(0.0, left_s))
                return
        self._publish()

    def _publish(self) -> None:
        if self._machine.rewinds > self._rewinds:
            self._rewinds = self._machine.rewinds
            self._on_office_restored()
        self._status = self._machine.status(self._clock.monotonic_ms())
