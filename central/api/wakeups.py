"""Wakes long polls when PostgreSQL says that a site has something new: one listening connection for a whole worker.

A poll that waits holds no connection. Should the listener be away, polls look again every RECHECK_S.
"""

import asyncio
from contextlib import suppress
from typing import Final

import psycopg
import structlog

from central.db.feed import CHANNEL

RECHECK_S: Final = 5
RECONNECT_S: Final = 2

log = structlog.get_logger(__name__)


class Wakeups:
    """Used on one event loop. Take `event` before looking, then `wait`: nothing is missed in between."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._events: dict[str, asyncio.Event] = {}
        self._task: asyncio.Task[None] | None = None
        self.closing = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        self.close()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def close(self) -> None:
        """Let every poll answer now; called when the server is about to stop."""
        self.closing = True
        for event in self._events.values():
            event.set()

    def event(self, site: str) -> asyncio.Event:
        """Set at the next news for `site`, or when the server stops."""
        return self._events.setdefault(site, asyncio.Event())

    async def wait(self, event: asyncio.Event, timeout_s: float) -> None:
        if self.closing:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), min(timeout_s, RECHECK_S))

    async def _listen(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    async for notice in connection.notifies():
                        news = self._events.pop(notice.payload, None)
                        if news is not None:
                            news.set()
            except (psycopg.Error, OSError) as error:
                log.warning("listener away, polls look again by themselves", why=str(error)[:200], every_s=RECHECK_S)
            await asyncio.sleep(RECONNECT_S)
