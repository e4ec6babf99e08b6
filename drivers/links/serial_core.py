"""What a serial port's thread decides, without the port and without the thread: time is an argument, bytes come and go.

`SerialBus` runs it over a real port, the simulated world over a simulated cable, each with a clock of its own.

Rule 1: a port that takes no byte for `WRITE_STALL_MS_MAX` is lost, and what waited is thrown away: an old order must not
        reach a device late. So is one on which too many bytes wait.
Rule 2: an order for a port that is away is refused here; the engine never sees it.
Rule 3: a port that was lost is opened again after a wait that doubles; one that held for long starts afresh.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Final

from drivers.api import Health, Order, Outcome, Result, SerialEngine, Signal, Sink
from drivers.links.orders import RETRY_MS_FIRST, RETRY_MS_MAX, LinkGone, OrderBook

TURN_MS_MAX: Final = 250
"""A port's thread turns at least this often, idle or not."""
WRITE_CHUNK_BYTES: Final = 512
WRITE_WAITING_BYTES_MAX: Final = 65_536
WRITE_STALL_MS_MAX: Final = 1_000


class SerialCore:
    """One port and the engine that speaks on it. `sink` hears every signal, with the port's thread."""

    def __init__(
        self, name: str, engine: SerialEngine, devices: Sequence[str], sink: Sink, jitter: random.Random
    ) -> None:
        self.orders = OrderBook(name, devices, one_engine=True)
        self.is_open = False
        self.open_at_ms = 0
        """While it is not open: when to try next."""
        self.wake_at_ms: int | None = None
        """When the engine wants its next turn, even if nothing happens."""
        self._name = name
        self._engine = engine
        self._devices = tuple(devices)
        self._sink = sink
        self._jitter = jitter
        self._known_lost = False
        self._opened_at_ms = 0
        self._open_wait_ms = RETRY_MS_FIRST
        self._out = bytearray()
        self._out_moved_at_ms = 0

    def counters(self) -> Mapping[str, int]:
        """The engine's counters and, prefixed `link-`, the port's own."""
        return {**self._engine.counters, **{f"link-{name}": n for name, n in self.orders.counters.copy().items()}}

    def opened(self, now_ms: int) -> None:
        self.orders.count("opened")
        self._known_lost = False
        self.is_open, self._opened_at_ms = True, now_ms
        self._engine.opened(now_ms)

    def not_opened(self, why: str, now_ms: int) -> None:
        self.orders.count("open-failed")
        self.lose(why, now_ms)

    def received(self, data: bytes, now_ms: int) -> None:
        self.orders.count("bytes-in", len(data))
        self._engine.received(data, now_ms)

    def turn(self, now_ms: int) -> None:
        """Hand over orders, and let the engine speak. Raises LinkGone when too much waits to be written."""
        self._take_orders(now_ms)
        if not self.is_open:
            return
        turn = self._engine.poll(now_ms)
        self.wake_at_ms = turn.wake_at_ms
        for signal in turn.signals:
            self._emit(signal)
        if not turn.write:
            return
        if len(self._out) + len(turn.write) > WRITE_WAITING_BYTES_MAX:
            raise LinkGone(f"{WRITE_WAITING_BYTES_MAX} bytes wait to be written")
        if not self._out:
            self._out_moved_at_ms = now_ms
        self._out += turn.write

    @property
    def chunk(self) -> bytes:
        """What is to be written next; tell `wrote` how much of it the port took."""
        return bytes(self._out[:WRITE_CHUNK_BYTES])

    def wrote(self, count: int, now_ms: int) -> None:
        """Raises LinkGone when the port has taken nothing for too long."""
        if count:
            del self._out[:count]
            self._out_moved_at_ms = now_ms
            self.orders.count("bytes-out", count)
        elif now_ms - self._out_moved_at_ms > WRITE_STALL_MS_MAX:
            self.orders.count("write-stalled")
            raise LinkGone(f"the port took no byte for {WRITE_STALL_MS_MAX} ms")

    def lose(self, why: str, now_ms: int) -> None:
        """The port is closed, or did not open: tell the engine once, and plan when to try again."""
        if self.is_open and now_ms - self._opened_at_ms >= RETRY_MS_MAX:
            self._open_wait_ms = RETRY_MS_FIRST
        self.let_go()
        if not self._known_lost:
            self._known_lost = True
            self.orders.count("lost")
            self._engine.lost(now_ms, why)
            for signal in self._engine.poll(now_ms).signals:
                self._emit(signal)
        self._answer_rest(why)
        self.open_at_ms = now_ms + round(self._open_wait_ms * self._jitter.uniform(0.75, 1.0))
        self._open_wait_ms = min(self._open_wait_ms * 2, RETRY_MS_MAX)

    def let_go(self) -> None:
        """Forget what was to be written."""
        self.is_open = False
        self._out.clear()
        self.wake_at_ms = None

    def give_up(self, why: str) -> None:
        """The engine or the sink has a bug: say so for every device, without asking the engine again."""
        self._answer_rest(why)
        for device in self._devices:
            self._emit(Health(device, up=False, why=why))

    def _take_orders(self, now_ms: int) -> None:
        while (taken := self.orders.take(self._why_not)) is not None:
            device, order, why = taken
            if why:
                self._refuse(device, order, why)
            else:
                self._engine.order(device, order, now_ms)

    def _why_not(self, _device: str) -> str:
        return "" if self.is_open else f"port {self._name!r} is away"

    def _refuse(self, device: str, order: Order, why: str) -> None:
        self._emit(Outcome(device, order.order, Result.REFUSED, why))

    def _answer_rest(self, why: str) -> None:
        for answer in self.orders.left_open(why):
            self._emit(answer)

    def _emit(self, signal: Signal) -> None:
        if not isinstance(signal, Outcome) or self.orders.strike(signal):
            self._sink(signal)
