"""Runs the street in sped-up time on a thread of its own, against devices that live in real time."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from gatectl.world.kernel import Kernel
from gatectl.world.street import Street

LOOK_S_MAX: Final = 0.05
TOLD_MAX: Final = 10_000


@dataclass(slots=True)
class Traffic:
    """`tell` from any thread: something that the street must hear of, performed on the street's thread."""

    kernel: Kernel
    speed: int
    failed: str = ""
    _inbox: "queue.Queue[Callable[[], None]]" = field(default_factory=lambda: queue.Queue(TOLD_MAX))
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _began_s: float = 0.0

    def tell(self, do: Callable[[], None]) -> None:
        self._inbox.put(do)

    def start(self, street: Street) -> None:
        self._began_s = time.monotonic()
        street.begin()
        self._thread = threading.Thread(target=self._run, name="street", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._advance()
                self._hear()
        except Exception as error:  # noqa: BLE001  # the demo's main thread reports it
            self.failed = repr(error)

    def _advance(self) -> None:
        self.kernel.run_to(int((time.monotonic() - self._began_s) * 1000 * self.speed))

    def _left_s(self) -> float:
        at_ms = self.kernel.next_at_ms()
        if at_ms is None:
            return LOOK_S_MAX
        return min(LOOK_S_MAX, max(0.0, (at_ms - self.kernel.now_ms) / 1000 / self.speed))

    def _hear(self) -> None:
        told: Any
        wait_s = self._left_s()
        try:
            told = self._inbox.get(timeout=wait_s) if wait_s > 0 else self._inbox.get_nowait()
        except queue.Empty:
            return
        while told is not None:
            self._advance()
            told()
            try:
                told = self._inbox.get_nowait()
            except queue.Empty:
                told = None
