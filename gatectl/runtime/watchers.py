"""People who watch: each has a bounded queue; one who does not keep up loses the oldest, and the gate never waits for them."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

SEEN_MAX: Final = 1_000
"""Things that wait for one watcher."""


class Watchers:
    """`tell` from one thread, `watching` from any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: list[queue.Queue[Any]] = []

    def tell(self, seen: Any) -> None:
        with self._lock:
            watching = list(self._queues)
        for waiting in watching:
            try:
                waiting.put_nowait(seen)
            except queue.Full:
                waiting.get_nowait()
                waiting.put_nowait(seen)

    @contextmanager
    def watching(self) -> Iterator["queue.Queue[Any]"]:
        waiting: queue.Queue[Any] = queue.Queue(SEEN_MAX)
        with self._lock:
            self._queues.append(waiting)
        try:
            yield waiting
        finally:
            with self._lock:
                self._queues.remove(waiting)
