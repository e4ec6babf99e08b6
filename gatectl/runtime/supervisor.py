"""Watches that every thread makes progress, feeds systemd's watchdog only then, and ends the process when one cannot go on."""

import contextlib
import queue
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from gatectl.runtime.notify import notify, watchdog_interval_s

log = structlog.get_logger()

LOOK_S: Final = 2.0
"""How often progress is looked at when systemd does not say."""


@dataclass(slots=True)
class Supervisor:
    """`turns` names each thread that must turn and how to read its counter."""

    turns: Mapping[str, Callable[[], int]]
    reason: str = ""
    failed: bool = False
    _seen: dict[str, int] = field(default_factory=dict)
    _ending: bool = False
    _wake: "queue.SimpleQueue[None]" = field(default_factory=queue.SimpleQueue)
    """Its `put` is reentrant, as a signal handler needs; an Event's `set` can wait for the very `wait` it interrupted."""

    def fatal(self, why: str) -> None:
        """From any thread: this process cannot keep its promises any more. The first reason counts."""
        if not self._ending:
            self._ending, self.failed, self.reason = True, True, why
            log.critical("stopping", why=why)
            self._wake.put(None)

    def stop(self, reason: str) -> None:
        """From any thread or a signal handler: end in order."""
        if not self._ending:
            self._ending, self.reason = True, reason
            self._wake.put(None)

    def stuck(self) -> list[str]:
        """The threads that have not turned since the last look."""
        now = {name: read() for name, read in self.turns.items()}
        stuck = [name for name, count in now.items() if self._seen.get(name) == count]
        self._seen = now
        return stuck

    def run(self, look: Callable[[], None]) -> None:
        """Feed the watchdog, and call `look`, until told to stop."""
        interval_s = watchdog_interval_s() or LOOK_S
        while not self._told_to_stop(interval_s):
            look()
            stuck = self.stuck()
            if stuck:
                log.error("no progress", threads=stuck)
            else:
                notify("WATCHDOG=1")

    def _told_to_stop(self, wait_s: float) -> bool:
        with contextlib.suppress(queue.Empty):
            self._wake.get(timeout=wait_s)
        return self._ending
