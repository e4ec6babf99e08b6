"""People with rights: monthly parkers with their codes, and drivers who bought some hours at the office.

The office sells within its quota, never asking the site. What it sold reaches the site by the feed, late or never (a seed in
three is cut off for the whole run), and by what the driver brings.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gatectl.domain.business.reservations import MINUTE_MS
from gatectl.domain.events import Event, Received, ReceivedWhole
from gatectl.domain.plan import SitePlan
from gatectl.domain.right_codes import RightCode, RightKind, place_hash, sign
from gatectl.domain.tickets import CROCKFORD
from gatectl.world.chance import stream
from gatectl.world.kernel import Kernel, Process
from gatectl.world.motorists import Manner, Motorists, Vehicle

PASSES: Final = 8
PASS_SHARE: Final = 0.12
"""The share of drivers who have a pass."""
SALES_MS: Final = 8 * MINUTE_MS
FEED_MS: Final = 90 * MINUTE_MS
EARLY_MINUTES: Final = 15
OVERSTAYS: Final = 0.08
NO_SHOWS: Final = 0.1
FIRST_BUYER: Final = 500_000
"""Numbers of drivers who bought, apart from those of the demand."""


@dataclass(frozen=True, slots=True)
class Sold:
    """One reservation as the office knows it. `told`: it is in the feed."""

    name: str
    from_ms: int
    until_ms: int
    told: bool


@dataclass(slots=True)
class Rights:
    """`wall_ms` is the true time. `overstays`: the share of buyers who stay on."""

    kernel: Kernel
    seed: int
    plan: SitePlan
    motorists: Motorists
    post: Callable[[Event], None]
    wall_ms: Callable[[], int]
    overstays: float = OVERSTAYS
    sold: list[Sold] = field(default_factory=list)
    _made: int = 0

    @property
    def cut_off(self) -> bool:
        """No word of the office reaches the site in this whole run."""
        return self.seed % 3 == 0

    def pass_of(self, n: int) -> str:
        """The code of the nth driver's pass; empty for most."""
        rng = stream("pass", self.seed, n)
        if rng.random() >= PASS_SHARE:
            return ""
        return self._code(RightCode(RightKind.PASS, f"M{rng.randint(1, PASSES)}"))

    def _code(self, right: RightCode) -> str:
        return sign(self.plan.keyring, self.plan.site, right)

    # -- the office ------------------------------------------------------------------------------------------------

    def feed(self) -> Process:
        """Passes once for all at the beginning; what was sold now and then, if the line is there. Repeated, as a start does."""
        while True:
            for n in range(1, PASSES + 1):
                self._row(
                    "pass", f"M{n}", {"from_ms": 0, "cars": 1 + n % 3, "antipassback": _APB[n % len(_APB)], **_SOFT}
                )
            if not self.cut_off:
                self._tell_sold()
            yield FEED_MS

    def _tell_sold(self) -> None:
        now_ms = self.wall_ms()
        self.sold = [one for one in self.sold if one.until_ms > now_ms]
        told = [one for one in self.sold if one.told]
        area, spot_type = self._place
        for one in told:
            terms = {"area": area, "spot_type": spot_type, "from_ms": one.from_ms, "until_ms": one.until_ms}
            self._row("reservation", one.name, {**terms, "prepaid_minor": 500})
        self.post(ReceivedWhole("reservation", tuple(one.name for one in told), "office"))

    def _row(self, kind: str, key: str, body: dict[str, object]) -> None:
        self.post(Received(kind, key, json.dumps(body, sort_keys=True), "office"))

    @property
    def _place(self) -> tuple[str, str]:
        return min(self.plan.quotas)

    def sales(self) -> Process:
        """Some hours are sold every few minutes, as long as the quota is not sold out at any time of them."""
        while self.motorists.open and self.plan.quotas and self.motorists.entries:
            self._made += 1
            rng = stream("sale", self.seed, self._made)
            begins_ms = (self.wall_ms() // MINUTE_MS + rng.randint(16, 90)) * MINUTE_MS
            ends_ms = begins_ms + rng.randint(30, 180) * MINUTE_MS
            if self._room(begins_ms, ends_ms):
                name = _name(self._made)
                self.sold.append(Sold(name, begins_ms, ends_ms, told=rng.random() < 0.5))
                self.kernel.start(self._buyer(self.sold[-1], self._made))
            yield SALES_MS

    def _room(self, begins_ms: int, ends_ms: int) -> bool:
        """The office counts a reservation from when its driver may come. At no time may more be sold than the quota."""
        early_ms = EARLY_MINUTES * MINUTE_MS
        others = [one for one in self.sold if one.from_ms - early_ms < ends_ms and begins_ms - early_ms < one.until_ms]
        return len(others) < self.plan.quotas[self._place]

    def _buyer(self, sold: Sold, n: int) -> Process:
        """Comes a little early or late, shows the code, and mostly leaves in time."""
        rng = stream("buyer", self.seed, n)
        if rng.random() < NO_SHOWS:
            self.motorists.count("did not show up")
            return
        arrives_ms = sold.from_ms + rng.randint(-EARLY_MINUTES + 1, 10) * MINUTE_MS
        yield max(1, arrives_ms - self.wall_ms())
        stays_on = rng.random() < self.overstays
        # a queue at the exit must not make an overstayer of who left in time
        leaves_ms = sold.until_ms + (40 if stays_on else -12) * MINUTE_MS
        place = place_hash(*self._place)
        minutes = (sold.until_ms - sold.from_ms) // MINUTE_MS
        code = self._code(RightCode(RightKind.RESERVATION, sold.name, sold.from_ms, minutes, place, 500, EARLY_MINUTES))
        vehicle = Vehicle(rng, Manner.PLAIN, Manner.PLAIN, 1, prepays=False, n=FIRST_BUYER + n, right=code)
        vehicle.reservation, vehicle.leaves_ms = sold.name, leaves_ms - self.wall_ms() + self.kernel.now_ms
        yield from self.motorists.visit(vehicle)


_APB: Final = ("hard", "soft", "timed")
_SOFT: Final[dict[str, object]] = {"reentry_minutes": 20, "holder": "tenant"}


def _name(n: int) -> str:
    """`n` in the alphabet of codes."""
    letters = ""
    while n:
        n, letter = divmod(n, 32)
        letters = CROCKFORD[letter] + letters
    return f"S{letters}"
