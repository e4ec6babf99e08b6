"""A heap of events and processes that wait on it: simulated time, in whatever real time its owner likes.

A process is a generator that yields how long to sleep (ms), or an `Until` to wait for something. Not thread-safe: one
owner runs it.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from heapq import heappop, heappush


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until `true()`; looked at whenever `Kernel.changed` is called, given up after `timeout_ms`."""

    true: Callable[[], bool]
    timeout_ms: int


Process = Generator[int | Until, bool, None]
"""Yields waits; is sent True when an Until came true, False when it timed out."""


@dataclass(slots=True, eq=False)
class _Waiter:
    process: Process
    until: Until
    over: bool = False


class Kernel:
    """Simulated milliseconds. `run_to` performs everything due; `next_at_ms` says when the next thing is."""

    def __init__(self, start_ms: int = 0) -> None:
        self.now_ms = start_ms
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self.scheduled = 0
        """How many things were ever put on the heap; of two that are due at once the one that came first is first."""
        self._waiters: list[_Waiter] = []

    def at(self, when_ms: int, do: Callable[[], None]) -> None:
        self.scheduled = order = self.scheduled + 1
        heappush(self._heap, (max(when_ms, self.now_ms), order, do))

    def after(self, delay_ms: int, do: Callable[[], None]) -> None:
        assert delay_ms >= 0
        self.scheduled = order = self.scheduled + 1
        heappush(self._heap, (self.now_ms + delay_ms, order, do))

    def start(self, process: Process) -> None:
        self.at(self.now_ms, lambda: self._go_on(process))

    def changed(self) -> None:
        """Something in the world changed: look at everyone who waits for something."""
        for waiter in [waiter for waiter in self._waiters if waiter.until.true()]:
            self._wake(waiter, came_true=True)

    def next_at_ms(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def run_to(self, until_ms: int) -> None:
        """Perform everything due up to and including `until_ms`, in order."""
        heap = self._heap
        while heap and heap[0][0] <= until_ms:
            self.now_ms, _, do = heappop(heap)
            do()
        self.now_ms = max(self.now_ms, until_ms)

    def _wake(self, waiter: _Waiter, *, came_true: bool) -> None:
        if waiter.over:
            return
        waiter.over = True
        self._waiters.remove(waiter)
        self._go_on(waiter.process, came_true)

    def _go_on(self, process: Process, value: bool | None = None) -> None:
        try:
            wanted = next(process) if value is None else process.send(value)
        except StopIteration:
            return
        if isinstance(wanted, int):
            self.after(wanted, lambda: self._go_on(process, True))
            return
        if wanted.true():
            self.at(self.now_ms, lambda: self._go_on(process, True))
            return
        waiter = _Waiter(process, wanted)
        self._waiters.append(waiter)
        self.after(wanted.timeout_ms, lambda: self._wake(waiter, came_true=False))
