"""Charge points of a simulated site, and what is wrong with them: they repeat, they tell late, they forget, their meters lie.

A charge point sends a message until it is answered, and the next one after that; while the site is down it waits. Its meter is
the truth: what all its sessions are said to have taken is never more than it moved.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from gatectl.domain.chargers import Charger, ChargingPrices
from gatectl.domain.effects import Reply
from gatectl.domain.events import Asked, Event
from gatectl.domain.ids import RequestId
from gatectl.domain.plan import SitePlan
from gatectl.world.chance import stream
from gatectl.world.holding import hold
from gatectl.world.kernel import Kernel, Process, Until
from gatectl.world.ledger import Ledger

CHARGERS: Final = 4
SITES_WITH: Final = 2
"""One made-up site in so many has none."""
ANSWER_MS_MAX: Final = 10_000
AGAIN_MS: Final = 30_000
MINUTE_MS: Final = 60_000

Words = tuple[tuple[str, str | int | bool], ...]
Message = tuple[str, Words]


def with_chargers(plan: SitePlan, seed: int) -> SitePlan:
    """The plan, in a half of the seeds with charge points at its first spots."""
    if seed % SITES_WITH == 0:
        return plan
    spots = plan.spots[:CHARGERS]
    chargers = tuple(Charger(f"EV-{n}", f"wallbox-{n}", 1, spot.spot) for n, spot in enumerate(spots, 1))
    return replace(plan, chargers=chargers, charging=ChargingPrices(59, 100, 10, 15))


@dataclass(slots=True)
class ChargePoint:
    """One of them: its meter, and how it names its transactions (empty: by the number that it was given)."""

    charger: Charger
    names: str
    rng: Random
    meter_wh: int = 5_000
    began_wh: int = 5_000
    transactions: int = 0
    number: int = 0

    @property
    def transaction(self) -> str:
        return f"{self.names}{self.transactions}" if self.names else str(self.number)


@dataclass(slots=True)
class Charging:
    """All of them. `post` is unheard while the daemon is down; `now_ms` is what their own clocks show."""

    kernel: Kernel
    seed: int
    plan: SitePlan
    ledger: Ledger
    post: Callable[[Event], None]
    open: bool = True
    counts: dict[str, int] = field(default_factory=dict)
    _points: list[ChargePoint] = field(default_factory=list)
    _waiting: dict[RequestId, Reply | None] = field(default_factory=dict)
    _asked: int = 0

    def __post_init__(self) -> None:
        for n, charger in enumerate(self.plan.chargers):
            self._points.append(ChargePoint(charger, "tx-" if n % 2 else "", stream("charger", self.seed, n)))

    def processes(self) -> Iterator[Process]:
        for point in self._points:
            yield self._life(point)

    def replied(self, reply: Reply) -> None:
        if reply.request in self._waiting:
            self._waiting[reply.request] = reply
            self.kernel.after(0, self.kernel.changed)

    def nothing_is_billed_that_was_not_delivered(self) -> None:
        for point in self._points:
            told, moved = self.ledger.charging.delivered_wh(point.charger.charger), point.meter_wh - point.began_wh
            hold(told <= moved, "energy is billed once", f"{point.charger.charger}: {told} Wh told, {moved} delivered")

    def _saw(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    # -- one charge point ---------------------------------------------------------------------------------------------------

    def _life(self, point: ChargePoint) -> Process:
        rng = point.rng
        yield from self._tell(point, ("charger-boot", (("protocol", "ocpp1.6"), ("vendor", "Maker"), ("model", "A"))))
        while True:
            yield rng.randint(5 * MINUTE_MS, 40 * MINUTE_MS)
            ticket = self.ledger.spots.get(point.charger.spot) if point.charger.spot is not None else None
            if not self.open or (ticket is None and rng.random() < 0.8):
                continue
            token = str(ticket) if ticket is not None and rng.random() < 0.5 else rng.choice(["", "stranger"])
            if rng.random() < 0.1:
                yield from self._fault(point)
            yield from self._session(point, token, late=rng.random() < 0.15)

    def _fault(self, point: ChargePoint) -> Process:
        self._saw("charger fault")
        for status in ("faulted", "available"):
            words: Words = (("connector", 1), ("status", status), ("error", "GroundFailure"))
            yield from self._tell(point, ("charger-status", words))
            yield point.rng.randint(MINUTE_MS, 30 * MINUTE_MS)

    def _session(self, point: ChargePoint, token: str, *, late: bool) -> Process:
        """From cable to cable. `late`: the network is away, and everything is told at the end, in order."""
        rng, queue = point.rng, list[Callable[[], Message]]()
        late = late and bool(point.names)  # what has a number only from us cannot be named before

        def tell(message: Callable[[], Message]) -> Process:
            if late:
                frozen = message()
                queue.append(lambda: frozen)
            else:
                yield from self._tell(point, message())
                if rng.random() < 0.1:
                    self._saw("charger repeats")
                    yield from self._tell(point, message())

        point.transactions += 1
        yield from self._begin(point, token, queue if late else None)
        for _ in range(rng.randint(1, 6)):
            yield rng.randint(2 * MINUTE_MS, 20 * MINUTE_MS)
            point.meter_wh += rng.choice([0, 40, 700, 2_500])
            yield from tell(lambda: ("charger-meter", self._reading(point, rng.random() < 0.05)))
            if rng.random() < 0.2:
                status = rng.choice(["paused", "charging"])
                yield from tell(lambda status=status: ("charger-status", (("connector", 1), ("status", status))))  # type: ignore[misc]  # a default binds the loop's value
        if rng.random() < 0.1:
            self._saw("charger forgets")  # a reboot: the end is never told
            return
        lies = rng.random() < 0.05
        yield from tell(lambda: ("charger-end", (*self._reading(point, lies), ("reason", "EVDisconnected"))))
        for message in queue:
            self._saw("charger tells late")
            yield from self._tell(point, message())
        yield rng.randint(MINUTE_MS, 60 * MINUTE_MS)
        yield from self._tell(point, ("charger-status", (("connector", 1), ("status", "available"))))

    def _begin(self, point: ChargePoint, token: str, queue: list[Callable[[], Message]] | None) -> Process:
        words: Words = (
            ("connector", 1),
            ("meter_wh", point.meter_wh),
            ("told_ms", 1_700_000_000_000 + self.kernel.now_ms),
        )
        if token:
            words = (*words, ("token", token))
        if point.names:
            words = (*words, ("transaction", point.transaction))
        message = ("charger-begin", words)
        if queue is not None:
            queue.append(lambda: message)
            return
        reply = yield from self._tell(point, message)
        point.number = int(str(reply.data["number"]))

    def _reading(self, point: ChargePoint, lies: bool) -> Words:
        if lies:
            self._saw("meter lies")
        return (
            ("transaction", point.transaction),
            ("meter_wh", point.rng.randint(0, 1_000) if lies else point.meter_wh),
        )

    def _tell(self, point: ChargePoint, message: Message) -> Generator[int | Until, bool, Reply]:
        """Send until it is answered: the same words, however often."""
        verb, words = message
        while True:
            self._asked += 1
            request = RequestId(f"station|{point.charger.device}|{self._asked}")
            self._waiting[request] = None
            self.post(Asked(request, verb, point.charger.device, words))
            yield Until(lambda request=request: self._waiting[request] is not None, ANSWER_MS_MAX)  # type: ignore[misc]  # a default binds the loop's value
            reply = self._waiting.pop(request)
            if reply is not None:
                hold(not reply.code, "a charge point is understood", f"{verb}: {reply.code} {reply.message}")
                return reply
            yield AGAIN_MS
