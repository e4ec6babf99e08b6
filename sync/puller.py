"""The thread that drives the pull machine: polls the office, writes through the store, hands orders to the core."""

import threading
from collections.abc import Callable

from sync.ports import Clock, FeedSink, Office, StoreStopped, SyncStore
from sync.pull import Apply, Ask, Hand, PullerMachine, Rest
from sync.status import FeedStatus, LinkState
from sync.vitals import VitalsSender


class Puller:
    """Drives the machine; `status` from any thread. `office` is this thread's own: a long poll occupies it."""

    def __init__(
        self,
        machine: PullerMachine,
        office: Office,
        store: SyncStore,
        sink: FeedSink,
        clock: Clock,
        *,
        on_crash: Callable[[Exception], None],
        vitals: VitalsSender | None = None,
    ) -> None:
        self._machine, self._office, self._store, self._sink, self._clock = machine, office, store, sink, clock
        self._on_crash, self._vitals = on_crash, vitals
        self._stopping = threading.Event()
        self._stale = threading.Event()
        self._thread = threading.Thread(target=self._run, name="puller", daemon=True)
        self._status = machine.status()

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Break off the poll under way and end; True when the thread has ended."""
        self._stopping.set()
        self._office.close()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def resnapshot(self) -> None:
        """Take everything anew after the poll under way: the office was restored, and may by now have given the numbers
        up to our cursor to other rows."""
        self._stale.set()

    @property
    def status(self) -> FeedStatus:
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
        if self._stale.is_set():
            self._stale.clear()
            self._machine.distrust()
        match self._machine.step(self._clock.monotonic_ms()):
            case Ask(request):
                if self._vitals is not None and self._status.state is LinkState.ONLINE:
                    self._vitals.send_when_due(self._clock.monotonic_ms())
                answer = self._office.ask(request)
                self._machine.answered(answer, self._clock.monotonic_ms())
                self._status = self._machine.status()
            case Hand(command, expires_at_ms):
                self._sink.command(command, expires_at_ms)
                self._machine.done()
            case Apply(rows, epoch, seq, whole):
                (self._store.replace_feed if whole else self._store.apply_feed)(rows, epoch, seq)
                self._machine.done()
                self._sink.applied(rows, whole=whole)
                self._status = self._machine.status()
            case Rest(until_ms):
                left_s = (until_ms - self._clock.monotonic_ms()) / 1_000
                self._clock.wait(self._stopping, max(0.0, left_s))
