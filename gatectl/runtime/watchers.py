"""People who watch: each has a bounded queue; one who does not keep up loses the oldest, and the gate never waits for them."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

SEEN_MAX: Final = 1_000
"""Things that wait for one watcher."""


class Watchers:
    """`tell` and `watching` from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: list[queue.Queue[Any]] = []

    def tell(self, seen: Any) -> None:
        with self._lock:  # only one tells at a time, so the place that was made stays free
            for waiting in self._queues:
                if waiting.full():
                    with contextlib.suppress(queue.Empty):  # the watcher may have caught up at this very moment
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
