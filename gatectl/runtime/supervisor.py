"""Watches that every thread makes progress, feeds systemd's watchdog only then, and ends the process when one cannot go on."""

import threading
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
    _stop: threading.Event = field(default_factory=threading.Event)

    def fatal(self, why: str) -> None:
        """From any thread: this process cannot keep its promises any more. The first reason counts."""
        if not self._stop.is_set():
            self.failed, self.reason = True, why
            log.critical("stopping", why=why)
            self._stop.set()

    def stop(self, reason: str) -> None:
        """From any thread or a signal handler: end in order."""
        if not self._stop.is_set():
            self.reason = reason
            self._stop.set()

    def stuck(self) -> list[str]:
        """The threads that have not turned since the last look."""
        now = {name: read() for name, read in self.turns.items()}
        stuck = [name for name, count in now.items() if self._seen.get(name) == count]
        self._seen = now
        return stuck

    def run(self, look: Callable[[], None]) -> None:
        """Feed the watchdog, and call `look`, until told to stop."""
        interval_s = watchdog_interval_s() or LOOK_S
        while not self._stop.wait(interval_s):
            look()
            stuck = self.stuck()
            if stuck:
                log.error("no progress", threads=stuck)
            else:
                notify("WATCHDOG=1")
