"""Bits that flip on the site's disk, and the technician who finds and mends them, with the tools that a site has.

Rule 1: what is damaged is told by name, is not sent, and is not believed: held here from the flip to the repair.
Rule 2: a technician has what a person has: `gatectl journal check`, `gatectl journal repair --set-aside`, the road to the office.
Rule 3: what is set aside is on record, and is all that the second bookkeeper may miss.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from gatectl.domain import facts as f
from gatectl.domain.ids import Boot, Moment
from gatectl.store.checking import Damage, Report
from gatectl.store.repairing import CannotRepair, Repairer
from gatectl.world.disk import Wound
from gatectl.world.histories import Doing, Histories
from gatectl.world.kernel import Until
from gatectl.world.ledger import hold
from sync.fetching import NotFetched, asking, fetched
from sync.ports import Answer, Unreachable
from sync.records import Record

MINUTE_MS: Final = 60_000
AWAY_MS: Final = (2 * MINUTE_MS, 20 * MINUTE_MS)
NOTICED_MS: Final = (MINUTE_MS, 40 * MINUTE_MS)
"""Until a person looks at what `status` says."""
AGAIN_MS: Final = (5 * MINUTE_MS, 30 * MINUTE_MS)
ANSWERED_MS: Final = 120_000

Visit = Generator[int | Until, bool, bool]


@dataclass(slots=True)
class Technician:
    """Called in for one flip."""

    histories: Histories
    rng: Random

    def a_record_flips(self) -> Doing:
        """One bit of one record, while the site runs or lies dark."""
        own = self.histories
        disk = own.daemon.disk
        dark, bit = self.rng.random() < 0.3, self.rng.getrandbits(20)
        if own.busy or disk.trouble or disk.position().seq == 0:
            return
        own.busy = True
        among = yield from self._among()
        if dark:
            own.cut()
        wound = None if disk.trouble else disk.flip(self.rng.randrange(among), bit)
        if wound is not None:
            own.happened["bit flipped"] += 1
            yield from self._until_mended(wound, dark=dark)
        own.boot()
        own.busy = False

    def _among(self) -> Generator[int | Until, bool, int]:
        """So many newest records, of which one is hit: any, or one that the office does not have, which is away for a while."""
        disk, road = self.histories.daemon.disk, self.histories.uplink.road
        if self.rng.random() < 0.5:
            if not road.trouble:
                road.trouble = "away"
            yield self.rng.randint(*AWAY_MS)
            self.histories.kernel.after(self.rng.randint(*AWAY_MS), lambda: setattr(road, "trouble", ""))
        return disk.unacknowledged or max(1, disk.position().seq)

    def _until_mended(self, wound: Wound, *, dark: bool) -> Doing:
        own = self.histories
        yield self.rng.randint(300, 20_000)
        self._start()
        if self.rng.random() < 0.25:
            own.go_back(self.rng)
        yield self.rng.randint(*NOTICED_MS)
        if not dark and self.rng.random() < 0.5:
            own.cut()
            yield 3_000
            self._start()
            yield MINUTE_MS
        while True:
            mended = yield from self._visit(wound)
            self._start()
            if mended:
                return
            yield self.rng.randint(*AGAIN_MS)

    def _start(self) -> None:
        own = self.histories
        was_up = own.daemon.site is not None
        own.boot()
        if own.daemon.disk.wounded and own.daemon.site is not None and not was_up:
            hold(bool(own.daemon.disk.told), "what is damaged is told by a start", "nothing was told")
            own.happened["flip told by a start"] += 1

    def _visit(self, wound: Wound) -> Visit:
        """The daemon is stopped, the journal checked, what the office holds is fetched; all is done, or nothing."""
        own = self.histories
        disk = own.daemon.disk
        stopped = own.uplink.stopped
        own.cut()
        if disk.trouble:
            return False
        report = disk.check()
        self._noticed(wound, report, stopped)
        held: dict[tuple[int, int], Record] = {}
        for damage in report.damages:
            if damage.held:
                try:
                    held[damage.generation, damage.seq] = yield from self._fetch(damage)
                except NotFetched:
                    own.happened["record not fetched"] += 1
                    return False
        own.cut()
        if disk.trouble or disk.check() != report:
            return False  # somebody has started it meanwhile
        return self._repaired(wound, report, held)

    def _noticed(self, wound: Wound, report: Report, stopped: str) -> None:
        own = self.histories
        hold(len(report.damages) == 1, "what is damaged is found", f"{wound.record} {report.damages}")
        if stopped == "journal-damaged":
            own.happened["flip told by the uploader"] += 1
        number = own.office.ids.get(wound.record.fact_id)
        if number is not None and number >= own.office.dropped:
            sent = own.office.rows[number - own.office.dropped].record
            hold(replace(sent, seq=wound.record.seq) == wound.record, "what is damaged is not sent", sent)

    def _fetch(self, damage: Damage) -> Generator[int | Until, bool, Record]:
        """From the office, over the road. Raises NotFetched."""
        own = self.histories
        said: list[Answer | Unreachable] = []

        def answered(answer: Answer | Unreachable) -> None:
            said.append(answer)
            own.kernel.after(0, own.kernel.changed)

        own.uplink.road.ask(asking(own.office.site, damage.generation, damage.seq), answered)
        yield Until(lambda: bool(said), ANSWERED_MS)
        return fetched(said[0] if said else Unreachable("no answer"), damage.generation, damage.seq)

    def _repaired(self, wound: Wound, report: Report, held: dict[tuple[int, int], Record]) -> bool:
        own = self.histories
        now = own.daemon.clock
        repairer = Repairer(
            own.office.site,
            lambda generation, seq: held[generation, seq],
            "tom",
            Boot(f"{self.rng.getrandbits(64):016x}", "0000"),
            Moment(now.wall_ms(), 0, now.quality),
        )
        try:
            done = own.daemon.disk.repair(repairer, report)
        except CannotRepair:
            own.happened["record not proved"] += 1
            return False
        own.happened["record fetched back"] += len(done.fetched)
        own.happened["record set aside"] += len(done.lost)
        if done.lost:
            own.daemon.done = None  # has another place now
            self._forget(wound)
            own.parted("journal closed up")
        left = own.daemon.disk.check()
        hold(left.ok, "what was repaired is whole", left)
        return True

    def _forget(self, wound: Wound) -> None:
        """The mirror was made when the record was whole: all that is missing is its line."""
        if isinstance(wound.fact, f.PaymentTaken):
            self.histories.ledger.taken_minor -= wound.fact.amount_minor
