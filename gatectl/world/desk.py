"""People at the site: the cashier who takes cash, the attendant who comes when a driver calls, and what they are answered."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from gatectl.domain.effects import Reply
from gatectl.domain.events import Asked as VerbAsked
from gatectl.domain.events import CashOffered, Event, HandAsked, LostTicketDeclared, StationAsked
from gatectl.domain.facts import LaneFault
from gatectl.domain.ids import JobId, LaneId, PaymentId, RequestId, TicketNumber
from gatectl.domain.lane import Hand, Lane
from gatectl.world.devices import LaneDevices, Paper
from gatectl.world.kernel import Kernel, Process, Until

ANSWER_MS_MAX: Final = 5_000
"""A person waits so long for the daemon's answer, then asks again with the same key."""
ASKS_MAX: Final = 6
AGAIN_MS: Final = 60_000

MENDED_BY_HAND: Final = frozenset(
    {
        LaneFault.ARM_BROKEN,
        LaneFault.FAILS_TO_OPEN,
        LaneFault.FAILS_TO_CLOSE,
        LaneFault.ARM_FORCED,
        LaneFault.ARM_UNKNOWN,
        LaneFault.LOOP_DEAD,
    }
)

Asked = Generator[int | Until, bool, Reply | None]


@dataclass(slots=True)
class Desk:
    """`post` is the control socket: unheard while the daemon is down."""

    kernel: Kernel
    rng: Random
    post: Callable[[Event], None]
    asked: int = 0
    helps: set[str] = field(default_factory=set)
    """Lanes that an attendant is on the way to."""
    _waiting: dict[RequestId, Reply | None] = field(default_factory=dict)

    def replied(self, reply: Reply) -> None:
        if reply.request in self._waiting:
            self._waiting[reply.request] = reply
            self.kernel.after(0, self.kernel.changed)

    def ask(self, make: Callable[[RequestId], Event]) -> Asked:
        """Ask once, and wait for the answer; None if none comes."""
        self.asked += 1
        request = RequestId(f"p-{self.asked}")
        self._waiting[request] = None
        self.post(make(request))
        yield Until(lambda: self._waiting[request] is not None, ANSWER_MS_MAX)
        return self._waiting.pop(request)

    # -- money -------------------------------------------------------------------------------------------------------

    def pay_cash(self, paper: Paper) -> Process:
        """Pay what is due, at a cashier or a pay station; the key stays the same until there is an answer."""
        self.asked += 1
        key, station = self.asked, self.rng.random() < 0.5
        for _ in range(ASKS_MAX):
            reply = yield from self.ask(lambda request: self._cash(request, paper, key, station))
            if reply is not None:
                return
            yield AGAIN_MS

    def _cash(self, request: RequestId, paper: Paper, key: int, station: bool) -> Event:
        if station:
            return StationAsked(request, "PS-1", "pay-cash", paper.code, 100_000)
        payment, ticket = PaymentId(f"{paper.number}-till-{key}"), TicketNumber(paper.number)
        return CashOffered(request, payment, ticket, None, None, "till-1", "anna")

    def replace_lost(
        self, lane: LaneDevices, inside_ms: int, lost: Paper | None, n: int
    ) -> Generator[int | Until, bool, Paper | None]:
        """No ticket: the attendant makes another one, and takes the money for it.

        By the driver's number `n`: no stay is found, it is found, or the paper is there and cannot be read any more.
        """
        minutes = inside_ms // 60_000 if self.rng.random() < 0.5 else None
        way = n % 4 if lost is not None else 0
        found = TicketNumber(lost.number) if lost is not None and way == 1 else None
        reply = yield from self.ask(
            lambda request: (
                _asked(request, "ticket-damaged", ticket=lost.number)
                if lost is not None and way > 1
                else LostTicketDeclared(request, lane.lane, found, minutes, "ben", "no ticket")
            )
        )
        if reply is None or reply.code:
            return None
        number = str(reply.data["ticket"])
        paper = Paper(JobId(number), number, str(reply.data["code"]))
        if way == 3:
            yield from self.ask(lambda request: _asked(request, "ticket-price", ticket=number, price_minor=100))
        yield from self.pay_cash(paper)
        if way == 3:
            yield from self.ask(lambda request: _asked(request, "ticket-present", ticket=number, lane=str(lane.lane)))
        return paper

    # -- hands -------------------------------------------------------------------------------------------------------

    def help(self, lane: LaneDevices, why: str) -> None:
        """An attendant comes, once."""
        if lane.lane not in self.helps:
            self.helps.add(lane.lane)
            self.kernel.start(self._attend(lane, why))

    def _attend(self, lane: LaneDevices, why: str) -> Process:
        yield self.rng.randint(20_000, 90_000)
        self.helps.discard(lane.lane)
        if lane.truth.passable or not lane.truth.is_on("arming"):
            return
        yield from self.hand(lane.lane, Hand.OPEN, why)

    def rounds(self, lanes: Sequence[LaneDevices], lane_of: Callable[[LaneId], Lane | None], every_ms: int) -> Process:
        """A technician walks by now and then, and ends what is over."""
        while True:
            yield self.rng.randint(every_ms // 2, every_ms)
            for devices in lanes:
                yield from self.look_after(devices, lane_of)

    def look_after(self, devices: LaneDevices, lane_of: Callable[[LaneId], Lane | None]) -> Process:
        """One lane: take away loose paper, mend the arm, and say so."""
        if devices.printer.mouth is not None and not devices.truth.is_on("arming"):
            devices.pull()
        lane = lane_of(devices.lane)
        if lane is None:
            return
        if lane.mode == "held-open":
            yield from self.hand(devices.lane, Hand.RELEASE, "forgotten")
        elif lane.mode == "locked":
            yield from self.hand(devices.lane, Hand.UNLOCK, "forgotten")
        elif lane.mode == "fire" and not devices.fire:
            yield from self.hand(devices.lane, Hand.RESET, "no fire here")
        if lane.faults & MENDED_BY_HAND and not devices.truth.boom_off:
            yield from self.hand(devices.lane, Hand.RESET, "looked after")

    def hand(self, lane: LaneId, hand: Hand, why: str) -> Asked:
        return (yield from self.ask(lambda request: HandAsked(lane, hand, "ben", why, request)))


def _asked(request: RequestId, verb: str, **words: str | int) -> Event:
    """Something that the exceptions desk can be asked, by the attendant."""
    return VerbAsked(request, verb, "ben", tuple({**words, "reason": "the paper cannot be read"}.items()))
