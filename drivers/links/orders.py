"""The orders that a link was given: each is answered by exactly one Outcome, whatever becomes of link, engine and caller.

Rule 1: an id that is waiting already is the same order. One order too many, and one for a link that is shut, is refused.
Rule 2: what the engine leaves unanswered when the link is lost may have acted: UNKNOWN. What never left here: REFUSED.
Rule 3: a second answer is dropped and counted.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection
from typing import Final

from drivers.api import ORDERS_WAITING_MAX, Order, Outcome, Result

RETRY_MS_FIRST: Final = 100
RETRY_MS_MAX: Final = 10_000
"""Between two tries to open a port or to reach a broker: doubled from try to try, up to this."""


class LinkGone(Exception):
    """Raised when a port or connection cannot be used any more; the text says why."""


class OrderBook:
    """`put` from any thread, the rest from the link's. `one_engine`: all devices share the room for orders."""

    def __init__(self, link: str, devices: Collection[str], *, one_engine: bool) -> None:
        self.counters: dict[str, int] = {}
        self.lock = threading.Lock()
        self.shut = False
        """Set under the lock; then nothing is added any more."""
        self._link = link
        self._devices = frozenset(devices)
        self._one_engine = one_engine
        self._waiting: deque[tuple[str, Order]] = deque()
        self._unanswered: dict[tuple[str, str], bool] = {}  # (device, order) -> was it handed to the engine

    def put(self, device: str, order: Order, wake: Callable[[], None]) -> Outcome | None:
        """Keep an order for the link's next turn, and `wake` it, under the lock; or the refusal to answer it with."""
        with self.lock:
            refusal = self._refusal(device, order)
            if not refusal and (device, order.order) in self._unanswered:
                self.count("orders-repeated")
            elif not refusal:
                self._unanswered[device, order.order] = False
                self._waiting.append((device, order))
                wake()
        if not refusal:
            return None
        self.count("orders-refused")
        return Outcome(device, order.order, Result.REFUSED, refusal)

    def _refusal(self, device: str, order: Order) -> str:
        if self.shut:
            return "the link is closed"
        if device not in self._devices:
            return f"no device {device!r} on port {self._link!r}"
        if (device, order.order) in self._unanswered:
            return ""
        held = sum(self._one_engine or other == device for other, _ in self._unanswered)
        return "queue full" if held >= ORDERS_WAITING_MAX else ""

    def take(self, why_not: Callable[[str], str]) -> tuple[str, Order, str] | None:
        """The next order, and why its device cannot be given it; empty if it is the engine's from now on."""
        with self.lock:
            if not self._waiting:
                return None
            device, order = self._waiting.popleft()
            why = why_not(device)
            self._unanswered[device, order.order] = not why
        return device, order, why

    def strike(self, answer: Outcome) -> bool:
        """Take an answer. False if nothing waits for it."""
        with self.lock:
            asked = self._unanswered.pop((answer.device, answer.order), None) is not None
        if not asked:
            self.count("outcomes-unasked")
        return asked

    def left_open(self, why: str) -> list[Outcome]:
        """The link is lost: the answers to what its engine left open and, if it is shut, to what still waits here."""
        with self.lock:
            given = [key for key, handed in self._unanswered.items() if handed]
            waiting = [(device, order.order) for device, order in self._waiting] if self.shut else []
            if waiting:
                self._waiting.clear()
        if given:
            self.count("orders-left-open", len(given))
        unknown = [Outcome(device, order, Result.UNKNOWN, why) for device, order in given]
        return unknown + [Outcome(device, order, Result.REFUSED, why) for device, order in waiting]

    def count(self, name: str, by: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + by
