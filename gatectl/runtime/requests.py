"""People who wait for an answer: the control socket's threads, until the commit that answers them.

A request's id is made by whoever asks. The same order under the same id is done once, however often it arrives, and
every caller gets the one answer; another order under that id is refused. What was refused may be asked for again.
"""

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from gatectl.domain.effects import Reply
from gatectl.domain.events import Event
from gatectl.domain.ids import RequestId

WAITING_MAX: Final = 256
"""Callers that wait; one more is refused."""
ANSWER_S_MAX: Final = 10.0
ORDERS_KEPT_MAX: Final = 1_000
"""Orders remembered, so that a repeat is known as one; the oldest is forgotten first."""


class TooManyRequests(RuntimeError):
    """Raised when WAITING_MAX people wait already."""


class RequestReused(RuntimeError):
    """Raised when an id comes with another order than before."""


@dataclass(slots=True)
class _Order:
    event: Event
    reply: Reply | None = None
    waiting: "list[Future[Reply]]" = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Asked:
    """`fresh`: nobody has posted this order yet."""

    request: RequestId
    fresh: bool
    future: "Future[Reply]"


class Requests:
    """`expect`, post the event if it is fresh, `wait`; `answer` comes from the writer's thread, after the commit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: OrderedDict[RequestId, _Order] = OrderedDict()
        self._waiting = 0

    def expect(self, request: RequestId, event: Event) -> Asked:
        """A place for the reply. Raises TooManyRequests or RequestReused."""
        future: Future[Reply] = Future()
        with self._lock:
            if self._waiting >= WAITING_MAX:
                raise TooManyRequests(f"{WAITING_MAX} requests are waiting")
            order = self._orders.get(request)
            fresh = order is None
            if order is None:
                order = self._orders[request] = _Order(event)
                self._forget()
            elif order.event != event:
                raise RequestReused(f"the request id {request} was used before for another order")
            self._waiting += 1
            if order.reply is None:
                order.waiting.append(future)
            else:
                future.set_result(order.reply)
        return Asked(request, fresh, future)

    def wait(self, asked: Asked) -> Reply | None:
        """The reply, or None if none came within ANSWER_S_MAX: nobody knows yet what becomes of it."""
        try:
            return asked.future.result(timeout=ANSWER_S_MAX)
        except TimeoutError:
            return None
        finally:
            with self._lock:
                self._waiting -= 1
                order = self._orders.get(asked.request)
                if order is not None and asked.future in order.waiting:
                    order.waiting.remove(asked.future)

    def answer(self, reply: Reply) -> bool:
        """False when nobody waits for it. The first answer counts."""
        with self._lock:
            order = self._orders.get(reply.request)
            if order is None or order.reply is not None:
                return False
            waiting, order.waiting = order.waiting, []
            order.reply = reply
            if reply.code:
                del self._orders[reply.request]
        for future in waiting:
            future.set_result(reply)
        return bool(waiting)

    def _forget(self) -> None:
        """Under the lock: the oldest orders that nobody waits for make room."""
        for request in list(self._orders)[: max(0, len(self._orders) - ORDERS_KEPT_MAX)]:
            if not self._orders[request].waiting:
                del self._orders[request]
