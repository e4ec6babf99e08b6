"""Looks at both ends of every cable at once: what was ordered, what moved, what came out on paper, what was said of it.

Each promise is held by its name (`gatectl.world.ledger.hold`). Where a cable cannot know better - a printer's bytes carry no
check - what it did is counted, and only what no harm explains is broken.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from drivers import api
from drivers.sim.escpos import Printed
from drivers.sim.modbus_io import SimulatedModule
from gatectl.runtime.wiring import OrderName
from gatectl.world.cables import Cable
from gatectl.world.kernel import Kernel
from gatectl.world.ledger import hold

READING_MS_MAX: Final = 12_000
"""A good reading was true at most so long ago: poll, debounce, dwell, and a status of a device on a slow broker."""
ANSWER_MS_MAX: Final = 70_000
"""Every order is answered within this: the longest deadline, that of a payment, and the driver's own time-out."""
PULSE_LATE_MS_MAX: Final = 3_000
"""An arm moves at most so long after the deadline of its order: what may be on the wire by then."""
SIGHT_MS_MAX: Final = 4_000
"""A vehicle that has stood so long under the arm was seen, or its loop is not good any more: then nothing closes."""
ACTED_MS_MAX: Final = 50
"""An adapter's echo may be heard so long before the module has the whole frame."""
HISTORY_MAX: Final = 256
VERBS: Final = frozenset({"open", "close", "stop"})


@dataclass(slots=True)
class Placed:
    """An order on its way. `until_ms`: its deadline on the kernel's clock."""

    order: api.Order
    at_ms: int
    until_ms: int


@dataclass(slots=True)
class Tally:
    """Orders of one kind at one lane, over all runs of the daemon. `last_until_ms`: the latest deadline of any."""

    ordered: int = 0
    acted: int = 0
    confirmed: int = 0
    refused: int = 0
    last_until_ms: int = -PULSE_LATE_MS_MAX


@dataclass(slots=True)
class Ticket:
    """A ticket that a printer was told to print. `cable` is the one on the way to it."""

    at_ms: int
    cable: Cable
    came_out: int = 0
    refused: bool = False

    @property
    def harmed(self) -> bool:
        return self.cable.harmed_ms >= self.at_ms


@dataclass(slots=True)
class CableWatch:
    """`forged` counts harmed frames that still have a right CRC: after one, nothing is sure but that they are few."""

    kernel: Kernel
    mono_ms: Callable[[], int]
    forged: Callable[[], int]
    open: dict[tuple[str, str], Placed] = field(default_factory=dict)
    """(device, order) to what was ordered and is not answered."""
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    """(lane, verb)."""
    tickets: dict[str, Ticket] = field(default_factory=dict)
    """By code."""
    up: dict[str, bool] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    modules: dict[str, tuple[SimulatedModule, Cable]] = field(default_factory=dict)
    """By lane."""
    _told: dict[tuple[str, str], api.Input] = field(default_factory=dict)
    """The newest word on each contact, by the drivers of this run of the daemon."""
    _contacts: "dict[tuple[str, str], deque[tuple[int, bool]]]" = field(default_factory=dict)

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    # -- orders ------------------------------------------------------------------------------------------------------

    def ordered(self, device: str, order: api.Order, cable: Cable | None) -> None:
        """An effect was performed."""
        if (device, order.order) in self.open:
            return
        now_ms = self.kernel.now_ms
        until_ms = now_ms + order.deadline_ms - self.mono_ms()
        self.open[device, order.order] = Placed(order, now_ms, until_ms)
        name = OrderName.parse(order.order)
        if name.verb in VERBS:
            tally = self._tally(name.lane, name.verb)
            tally.ordered += 1
            tally.last_until_ms = max(tally.last_until_ms, until_ms)
        elif isinstance(order, api.Print) and name.verb == "print" and cable is not None:
            code = next(part.data for part in order.document if isinstance(part, api.Qr))
            hold(code not in self.tickets, "a ticket is ordered once", name.about)
            self.tickets[code] = Ticket(now_ms, cable)
        elif isinstance(order, api.Print):
            self.count("receipt ordered")

    def _tally(self, lane: str, verb: str) -> Tally:
        return self.tallies.setdefault((lane, verb), Tally())

    def acted(self, lane: str, verb: str) -> None:
        """An output was closed that was open before."""
        tally = self._tally(lane, verb)
        tally.acted += 1
        what = f"{lane} {verb}: {tally}"
        hold(tally.acted + tally.refused <= tally.ordered, "an arm moves once for one order, never for garbage", what)
        late_ms = self.kernel.now_ms - tally.last_until_ms
        hold(late_ms <= PULSE_LATE_MS_MAX, "no arm moves long after its order", f"{what}, {late_ms} ms late")

    def forget_orders(self) -> None:
        """The daemon is gone: nobody waits for an answer."""
        self.open.clear()
        self._told.clear()
        self.up.clear()

    def audit(self) -> None:
        """Nothing waits for ever."""
        for (device, order), placed in self.open.items():
            waits_ms = self.kernel.now_ms - placed.at_ms
            hold(waits_ms <= ANSWER_MS_MAX, "every order is answered", f"{device} {order} waits for {waits_ms} ms")
        for lane, (module, cable) in self.modules.items():
            ordered = sum(tally.ordered for (at, _), tally in self.tallies.items() if at == lane)
            most = ordered + cable.counts.get("doubled", 0)
            hold(module.pulses <= most, "an order is sent once", f"{lane}: {module.pulses} pulses, {ordered} orders")

    # -- what drivers say --------------------------------------------------------------------------------------------

    def heard(self, signal: api.Signal) -> None:
        if isinstance(signal, api.Input):
            self._reading(signal)
        elif isinstance(signal, api.Health):
            hold(self.up.get(signal.device) is not signal.up, "a change of health is said once", str(signal))
            self.up[signal.device] = signal.up
            self.count("device back" if signal.up else "device lost")
        elif isinstance(signal, api.Outcome):
            self._answered(signal)

    def _reading(self, signal: api.Input) -> None:
        """A good reading was true not long ago."""
        self._told[signal.device, signal.point] = signal
        history = self._contacts.get((signal.device, signal.point))
        if history is None or signal.quality is not api.Quality.GOOD:
            self.count(f"reading {signal.quality.value}")
            return
        self.count("reading good")
        since_ms = self.kernel.now_ms - READING_MS_MAX
        begins = [*(at_ms for at_ms, _ in history), self.kernel.now_ms + 1]
        true = any(on is signal.on and ends > since_ms for (_, on), ends in zip(history, begins[1:], strict=True))
        hold(true or self.forged() > 0, "no reading is made up", f"{signal}, truth {list(history)[-4:]}")

    def _answered(self, answer: api.Outcome) -> None:
        device, order = answer.device, answer.order
        if not device:
            return  # refused before it was handed to a device
        placed = self.open.pop((device, order), None)
        hold(placed is not None, "an order is answered once", str(answer))
        assert placed is not None
        name = OrderName.parse(order)
        self.count(f"{name.verb} {answer.result.value}")
        if name.verb in VERBS:
            self._moved(name, answer)
        elif name.verb == "print":
            self._printed(placed.order, answer)

    def _moved(self, name: OrderName, answer: api.Outcome) -> None:
        tally = self._tally(name.lane, name.verb)
        tally.confirmed += answer.result is api.Result.CONFIRMED
        tally.refused += answer.result is api.Result.REFUSED
        what = f"{answer}: {tally}"
        hold(tally.acted + tally.refused <= tally.ordered, "what is refused did not act", what)
        if answer.result is api.Result.CONFIRMED:
            self.kernel.after(ACTED_MS_MAX, lambda: self._has_acted(tally, what))

    def _has_acted(self, tally: Tally, what: str) -> None:
        hold(tally.confirmed <= tally.acted or self.forged() > 0, "what is confirmed has acted", what)

    def _printed(self, order: api.Order, answer: api.Outcome) -> None:
        assert isinstance(order, api.Print)
        code = next(part.data for part in order.document if isinstance(part, api.Qr))
        ticket = self.tickets[code]
        if answer.result is api.Result.CONFIRMED:
            there = ticket.came_out > 0 or ticket.harmed
            hold(there, "what is confirmed is on paper, byte for byte", str(answer))
        elif answer.result is api.Result.REFUSED:
            ticket.refused = True
            hold(ticket.came_out == 0, "what is refused was not printed", str(answer))

    # -- truth ---------------------------------------------------------------------------------------------------------

    def contact(self, device: str, point: str, on: bool) -> None:
        """What a contact truly is from now on."""
        history = self._contacts.setdefault((device, point), deque(maxlen=HISTORY_MAX))
        if not history or history[-1][1] is not on:
            history.append((self.kernel.now_ms, on))
            self.kernel.after(READING_MS_MAX, lambda: self._was_noticed(device, point))

    def _was_noticed(self, device: str, point: str) -> None:
        """A change that has lasted was told, or the old reading is not called good any more."""
        since_ms, on = self._contacts[device, point][-1]
        told = self._told.get((device, point))
        if told is None or self.kernel.now_ms - since_ms < READING_MS_MAX:
            return
        right = told.on is on or told.quality is not api.Quality.GOOD
        hold(right, "a good reading is true", f"{told}, but {on} for {self.kernel.now_ms - since_ms} ms")

    def paper(self, document: Printed, cable: Cable, harmed_before_ms: int) -> None:
        """A piece of paper was cut off, as the printer's own interpreter reads its bytes."""
        explained = cable.harmed_ms >= harmed_before_ms
        for code in document.codes:
            ticket = self.tickets.get(code)
            if ticket is None:
                hold(explained, "what is printed was ordered", code)
                self.count("paper with a harmed code")
                continue
            ticket.came_out += 1
            hold(ticket.came_out == 1 or ticket.harmed, "a ticket is printed once", code)
            hold(not ticket.refused, "what is refused was not printed", code)
        if not document.codes:
            self.count("paper without a code")
            receipts = self.counts["paper without a code"] <= self.counts.get("receipt ordered", 0)
            explained = explained or receipts or self.counts.get("printer interrupted", 0) > 0
            hold(explained, "a ticket has its code", document.text[:80])


@dataclass(slots=True)
class Watched:
    """A bus that is listened to; satisfies `drivers.api.Bus`."""

    bus: api.Bus
    watch: CableWatch
    cable: Cable | None
    name: str = ""
    turns: int = 0
    failed: str = ""

    def start(self, sink: api.Sink) -> None:
        self.bus.start(sink)

    def order(self, device: str, order: api.Order) -> None:
        self.watch.ordered(device, order, self.cable)
        self.bus.order(device, order)

    def counters(self) -> Mapping[str, int]:
        return self.bus.counters()

    def close(self) -> None:
        self.bus.close()
