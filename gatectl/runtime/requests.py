"""People who wait for an answer: the control socket's threads, until the commit that answers them."""

import threading
from concurrent.futures import Future
from typing import Final

from gatectl.domain.effects import Reply
from gatectl.domain.ids import RequestId

WAITING_MAX: Final = 256
"""Requests in flight; one more is refused."""
ANSWER_S_MAX: Final = 10.0


class TooManyRequests(RuntimeError):
    """Raised when WAITING_MAX people wait already."""


class Requests:
    """`expect` before the event is posted, `wait` after it; `answer` comes from the writer's thread, after the commit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[RequestId, Future[Reply]] = {}

    def expect(self, request: RequestId) -> None:
        with self._lock:
            if len(self._waiting) >= WAITING_MAX:
                raise TooManyRequests(f"{WAITING_MAX} requests are waiting")
            self._waiting.setdefault(request, Future())

    def wait(self, request: RequestId) -> Reply | None:
        """The reply, or None if none came within ANSWER_S_MAX: nobody knows yet what becomes of it."""
        with self._lock:
            future = self._waiting[request]
        try:
            return future.result(timeout=ANSWER_S_MAX)
        except TimeoutError:
            return None
        finally:
            with self._lock:
                self._waiting.pop(request, None)

    def answer(self, reply: Reply) -> bool:
        """False when nobody waits for it."""
        with self._lock:
            future = self._waiting.get(reply.request)
        if future is None or future.done():
            return False
        future.set_result(reply)
        return True
