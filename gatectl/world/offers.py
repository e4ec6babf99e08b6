"""Drivers with coupons, a merchant who validates, and a valet: what comes off prices, and who has the keys.

Some coupons are photographs of the same paper, and turn up at several exits.
"""

from collections.abc import Generator
from dataclasses import dataclass
from random import Random
from typing import Final

from gatectl.domain.coupon_codes import CouponCode, sign
from gatectl.domain.events import Asked, CashOffered, Event
from gatectl.domain.ids import PaymentId, RequestId, TicketNumber
from gatectl.domain.plan import SitePlan
from gatectl.world.chance import stream
from gatectl.world.desk import AGAIN_MS, ASKS_MAX, Desk
from gatectl.world.desk import Asked as Asking
from gatectl.world.kernel import Kernel, Process, Until
from gatectl.world.motorists import Motorists, Vehicle

COUPONS: Final = 0.12
"""The share of drivers who have a coupon."""
COPIED: Final = 0.3
"""The share of those whose coupon others have too."""
SHOPS: Final = 0.12
"""The share of drivers whose ticket the merchant validates."""
GUEST_MS: Final = 25 * 60_000
"""A guest hands a vehicle over so often, about."""
TAGS: Final = 12
MINUTE_MS: Final = 60_000
_FROM_MS: Final = 1_767_225_600_000  # 2026-01-01
_MINUTES: Final = 4 * 366 * 24 * 60
_GIVES: Final = (("percent", 50, False), ("minutes", 30, False), ("amount", 100, False), ("flat", 200, True))


Told = Generator[int | Until, bool, str]


@dataclass(slots=True)
class Offers:
    kernel: Kernel
    seed: int
    plan: SitePlan
    motorists: Motorists
    desk: Desk
    guests: int = 0

    def coupon_of(self, n: int) -> str:
        """The signed coupon of the nth driver; empty for most."""
        rng = stream("coupon", self.seed, n)
        if n == 0 or rng.random() >= COUPONS:
            return ""
        number = rng.randint(1, 3) if rng.random() < COPIED else 10 + n % 60_000
        gives, value, alone = _GIVES[number % len(_GIVES)]
        code = CouponCode("0FF1", number, gives, value, _FROM_MS, _MINUTES, alone)
        return sign(self.plan.keyring, self.plan.site, code)

    def shops(self, vehicle: Vehicle) -> Process:
        """The merchant's device validates the ticket; without an answer it asks again under its own key."""
        rng = stream("shop", self.seed, vehicle.n)
        if not self.plan.merchants or vehicle.paper is None or rng.random() >= SHOPS:
            return
        merchant = rng.choice(self.plan.merchants)
        words: dict[str, str | int] = {
            "ticket": vehicle.paper.number,
            "merchant": merchant.merchant,
            "reason": "purchase",
        }
        words |= {"minutes": rng.randint(1, merchant.minutes_max), "key": f"shop-{vehicle.n}", "place": "shop"}
        reply = yield from self._insisted("validation-add", words)
        if reply is not None and not reply.code and rng.random() < 0.2:
            name = str(reply.data["validation"])
            yield from self._insisted("validation-void", {"validation": name, "reason": "returned the goods"})

    # -- the valet ---------------------------------------------------------------------------------------------------

    def guests_come(self) -> Process:
        """Vehicles are handed over at a stand behind the lanes, as long as vehicles come at all."""
        while self.motorists.open and self.plan.valet is not None and self.motorists.entries:
            self.guests += 1
            rng = stream("guest", self.seed, self.guests)
            yield rng.randint(GUEST_MS // 3, 2 * GUEST_MS)
            if self.motorists.open:
                self.kernel.start(self._guest(self.guests, rng))

    def _guest(self, n: int, rng: Random) -> Process:
        """Handed over, parked, asked for, paid, handed back; some lose the claim check."""
        tag = str(n % TAGS)
        claim = yield from self._hand_over(n, tag)
        if not claim:
            return
        self.motorists.inside += 1
        spot = rng.choice(self.plan.spots).spot
        if (yield from self._does("park", claim, spot=spot)) is not None and rng.random() < 0.3:
            yield from self._does("note", claim, text="scratch on the left door")
        yield rng.randint(20, 150) * MINUTE_MS
        if rng.random() < 0.2:
            lost = yield from self._insisted("valet-lost", {"tag": tag, "proof": "described the vehicle"})
            claim = str(lost.data["claim"]) if lost is not None and not lost.code else claim
        for verb in ("request", "fetch", "ready"):
            yield rng.randint(1, 6) * MINUTE_MS
            yield from self._does(verb, claim)
        ticket = TicketNumber(claim.rpartition("-")[0])
        for asked in range(ASKS_MAX):
            yield from self._pay(ticket, f"{n}-{asked}")
            reply = yield from self._does("back", claim)
            if reply is not None and reply.code != "E-VLT-06":
                break
            yield AGAIN_MS
        self.motorists.inside -= 1

    def _hand_over(self, n: int, tag: str) -> Told:
        """The claim check. If the answer never came, the key's tag tells whether the site has the vehicle."""
        reply = yield from self._once("valet-in", {"vehicle": f"guest {n}", "tag": tag})
        if reply is None:
            reply = yield from self._insisted("valet-lost", {"tag": tag, "proof": "just handed over"})
        return str(reply.data["claim"]) if reply is not None and not reply.code else ""

    def _does(self, verb: str, claim: str, **words: str) -> Asking:
        return (yield from self._once(f"valet-{verb}", {"claim": claim, **words}))

    def _pay(self, ticket: TicketNumber, key: str) -> Process:
        def offered(request: RequestId) -> Event:
            return CashOffered(request, PaymentId(f"{ticket}-valet-{key}"), ticket, None, None, "till-2", "vera")

        for _ in range(ASKS_MAX):
            if (yield from self.desk.ask(offered)) is not None:
                return
            yield AGAIN_MS

    # -- asking --------------------------------------------------------------------------------------------------------

    def _once(self, verb: str, words: dict[str, str | int]) -> Asking:
        given = tuple(sorted(words.items()))
        return (yield from self.desk.ask(lambda request: Asked(request, verb, "vera", given)))

    def _insisted(self, verb: str, words: dict[str, str | int]) -> Asking:
        """Until there is an answer."""
        for _ in range(ASKS_MAX):
            reply = yield from self._once(verb, words)
            if reply is not None:
                return reply
            yield AGAIN_MS
        return None
