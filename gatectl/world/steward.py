"""The steward of a simulated lot: takes spots out of service, turns a class away for a while, counts, and puts all of it back.

Rule 1: whatever was said is taken back some rounds later, as the site's own tables tell it: a backup that came back may say what
the steward has forgotten.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

from gatectl.domain.events import Asked
from gatectl.domain.ids import RequestId
from gatectl.domain.opening import Parker
from gatectl.domain.records.spots import SPOTS_CLOSED
from gatectl.domain.records.states import STATES
from gatectl.domain.rows import words
from gatectl.domain.site import Site
from gatectl.world.chance import stream
from gatectl.world.daemon import Daemon
from gatectl.world.desk import Desk
from gatectl.world.kernel import Process, Until
from gatectl.world.ledger import Ledger

MINUTE_MS: Final = 60_000
ROUND_MS: Final = (10 * MINUTE_MS, 40 * MINUTE_MS)
CLOSED_MS: Final = (2 * MINUTE_MS, 8 * MINUTE_MS)
"""So long a place turns somebody away."""
RUNS_EACH: Final = 3
"""A steward works in one run of so many."""

Doing = Generator[int | Until, bool, None]


@dataclass(slots=True)
class Steward:
    daemon: Daemon
    desk: Desk
    ledger: Ledger
    seed: int

    def rounds(self) -> Process:
        """As long as the run lasts; the last ones only put things back."""
        rng = stream("steward", self.seed)
        works = self.seed % RUNS_EACH == 0
        while works:
            yield rng.randint(*ROUND_MS)
            site = self.daemon.site
            if site is None:
                continue
            yield from self.put_back(site)
            spot = rng.choice(site.plan.spots)
            area, lane = rng.choice(site.plan.areas), rng.choice(site.plan.lanes).lane
            match rng.randint(0, 3):
                case 0:
                    yield from self.ask("spot-close", spot=spot.spot, reason="oil")
                case 1:
                    place, state = rng.choice([str(area), str(lane), "site"]), rng.choice(["full", "closed"])
                    yield from self.ask(
                        "state-set", place=place, state=state, parker=rng.choice(list(Parker)).value, reason="sweeping"
                    )
                    yield rng.randint(*CLOSED_MS)
                    yield from self.ask("state-set", place=place, state="auto", reason="swept")
                case 2:
                    inside = max(0, self.ledger.inside.get(area, 0))
                    yield from self.ask("count-set", area=area, count=inside, reason="walked the deck")
                case _:
                    held = site.books.spots.held(spot.area, spot.spot_type)
                    counted = max(0, held + rng.choice([-1, 0, 1]))
                    yield from self.ask(
                        "count-set", area=spot.area, count=counted, spot_type=spot.spot_type, reason="walked"
                    )
                    yield rng.randint(*CLOSED_MS)
                    yield from self.ask("count-set", area=spot.area, count=0, spot_type=spot.spot_type, reason="towed")

    def put_back(self, site: Site) -> Doing:
        """What is not as usual, by the site's own word."""
        for row in list(site.books.tables.all(SPOTS_CLOSED)):
            yield from self.ask("spot-open", spot=words(row, "spot"), reason="cleaned")
        for row in list(site.books.tables.all(STATES)):
            yield from self.ask("state-set", place=words(row, "place") or "site", state="auto", reason="forgotten")

    def ask(self, verb: str, **given: str | int) -> Doing:
        def asked(request: RequestId) -> Asked:
            return Asked(request, verb, "sue", tuple(sorted(given.items())))

        yield from self.desk.ask(asked)
