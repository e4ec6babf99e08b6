"""The people of the demo: a cashier who takes cash, an attendant who comes when a driver calls. Both use the control socket."""

import queue
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gatectl.cli.client import Daemon
from gatectl.cli.errors import CommandFailed

WAITING_MAX: Final = 10_000
TRIES_MAX: Final = 60
PAUSE_S: Final = 0.25
_SETTLED: Final = frozenset({"E-PAY-01", "E-PAY-04", "E-NOT-01", "E-TKT-08"})


@dataclass(slots=True)
class People:
    """Each wish is tried until the daemon has answered it; a repeat has the same key and is harmless."""

    client: Daemon
    till: str = "cashier-1"
    paid: int = 0
    helped: int = 0
    mended: int = 0
    _wishes: "queue.Queue[Callable[[], None] | None]" = field(default_factory=lambda: queue.Queue(WAITING_MAX))
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="people", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wishes.put(None)
        if self._thread:
            self._thread.join()

    def pay_cash(self, number: str) -> None:
        key = f"cash-{uuid.uuid4()}"
        self._wishes.put(lambda: self._pay(number, key))

    def open_by_hand(self, lane: str, why: str) -> None:
        request = str(uuid.uuid4())
        self._wishes.put(lambda: self._open(lane, why, request))

    def mend(self, lane: str) -> None:
        """The technician has repaired the lane's barrier and says so."""
        request = str(uuid.uuid4())
        self._wishes.put(lambda: self._mend(lane, request))

    def _mend(self, lane: str, request: str) -> None:
        self._ask(
            lambda: self.client.post("lanes", lane, "reset", reason="barrier repaired", request=request), once=True
        )
        self.mended += 1

    def _pay(self, number: str, key: str) -> None:
        self._ask(
            lambda: self.client.post(
                "payments",
                ticket=number,
                method="CASH",
                key=key,
                till=self.till,
                amount_minor=None,
                tendered_minor=None,
            )
        )
        self.paid += 1

    def _open(self, lane: str, why: str, request: str) -> None:
        self._ask(lambda: self.client.post("lanes", lane, "reset", reason=why, request=f"{request}-reset"), once=True)
        self._ask(lambda: self.client.post("lanes", lane, "open", reason=why, request=request), once=True)
        self.helped += 1

    def _ask(self, ask: Callable[[], object], *, once: bool = False) -> None:
        for _ in range(1 if once else TRIES_MAX):
            try:
                ask()
            except CommandFailed as failed:
                if failed.code in _SETTLED:
                    return
            except OSError:
                pass
            else:
                return
            if self._stopping.wait(PAUSE_S):
                return

    def _run(self) -> None:
        while (wish := self._wishes.get()) is not None:
            wish()
