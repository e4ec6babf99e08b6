"""Pasts that come back: backups of the site's disk and of the office, restores of either or both, and a second box that speaks.

Rule 1: a restore changes what is written, never what is true: vehicles stay where they are, with the tickets they have.
Rule 2: the second bookkeeper goes back with the disk: from there on it keeps what the site can know.
Rule 3: what parted must be reported. Each event notes what people at either end have to hear of it; the end checks.
"""

from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from gatectl.domain.events import OfficeWent, VoidAsked
from gatectl.domain.ids import LaneId, TicketNumber
from gatectl.world import office as offices
from gatectl.world.chance import stream
from gatectl.world.daemon import Daemon, WallClock, Watch
from gatectl.world.desk import Desk
from gatectl.world.kernel import Kernel, Process, Until
from gatectl.world.ledger import Ledger
from gatectl.world.road import Road
from gatectl.world.terminal import Terminal
from gatectl.world.uplink import Uplink

MINUTE_MS: Final = 60_000
BACKUPS_KEPT_MAX: Final = 12
BACKUP_MS: Final = (20 * MINUTE_MS, 8 * 60 * MINUTE_MS)
"""Between two backups; the oldest that is kept is some days old."""
PEOPLE_MS: Final = (5 * MINUTE_MS, 30 * MINUTE_MS)
"""A person sees that the site has stopped sending, and enrols it again."""
FOR_PEOPLE: Final = frozenset({"fenced", "not-enrolled"})

Doing = Generator[int | Until, bool, None]


@dataclass(frozen=True, slots=True)
class Backup:
    """Both ends at one moment, and the second bookkeeper."""

    at_ms: int
    disk: Any
    ledger: Ledger
    office: offices.Backup


@dataclass(slots=True)
class Awaited:
    """What must be heard of an event: a new generation at the office, or an acknowledgement taken back at the site."""

    what: str
    at_ms: int
    generations: int
    rewinds: int


@dataclass(slots=True)
class Histories:
    """`cut` takes the site's power, `boot` gives it back (and does nothing for a site that is up)."""

    kernel: Kernel
    seed: int
    daemon: Daemon
    ledger: Ledger
    uplink: Uplink
    desk: Desk
    terminals: Mapping[LaneId, Terminal]
    cut: Callable[[], None]
    boot: Callable[[], None]
    backups: deque[Backup] = field(default_factory=lambda: deque(maxlen=BACKUPS_KEPT_MAX))
    awaited: Awaited | None = None
    busy: bool = False
    """One thing at a time happens to the two pasts."""
    happened: Counter[str] = field(default_factory=Counter)

    @property
    def office(self) -> offices.Office:
        return self.uplink.road.office

    # -- what goes on all the time ---------------------------------------------------------------------------------------

    def keep_backups(self) -> Process:
        """Somebody makes backups, not very regularly; the first is of a new site."""
        rng = stream("backups", self.seed)
        while True:
            if self.daemon.site is not None and not self.daemon.disk.trouble and not self.daemon.disk.wounded:
                self.backups.append(
                    Backup(self.kernel.now_ms, self.daemon.disk.snapshot(), self.ledger.copy(), self.office.backup())
                )
            yield rng.randint(*BACKUP_MS)

    def people(self) -> Process:
        """Where the site tells that only a person can help, one does, after a while."""
        rng = stream("people", self.seed)
        while True:
            yield rng.randint(*PEOPLE_MS)
            if self.uplink.stopped in FOR_PEOPLE:
                yield from self.enrol_again()

    def enrol_again(self) -> Doing:
        """`gatectl enrol` on this machine, with a new code; the daemon starts anew with the credential."""
        self.happened["enrolled again"] += 1
        self.uplink.installation, self.uplink.enrolled = self.office.enrol()
        self.cut()
        yield 3_000
        self.boot()

    # -- what happens once -------------------------------------------------------------------------------------------------

    def restore_site(self, rng: Random, *, both: bool) -> Doing:
        """The power goes, the disk is replaced by a backup; `both`: the office comes back from one of its own, too."""
        if self.busy or self.daemon.site is None or not self.backups:
            return
        self.busy = True
        backup = rng.choice(self.backups)
        self.office.closed = both
        gone = yield from self._replace_disk(rng, backup)
        if both:
            self._restore_office(rng)
        self.parted("both restored" if both else "site restored")
        self.boot()
        self.busy = False
        yield rng.randint(5 * MINUTE_MS, 60 * MINUTE_MS)
        for ticket in gone:
            yield from self.desk.ask(lambda request, ticket=ticket: VoidAsked(request, ticket, "mia", "left long ago"))  # type: ignore[misc]  # binds the loop's value

    def _replace_disk(self, rng: Random, backup: Backup) -> Generator[int | Until, bool, list[TicketNumber]]:
        """Returns the tickets that the backup has as open and that are not: their vehicles have left."""
        self.cut()
        yield rng.randint(6 * MINUTE_MS, 20 * MINUTE_MS)
        self.cut()
        gone = [ticket for ticket in backup.ledger.tickets if ticket not in self.ledger.tickets]
        self.daemon.disk.restore(backup.disk)
        self.ledger.go_back_to(backup.ledger)
        self.daemon.done = None  # what was done since is on no disk any more
        pending = {key for key, payment in self.daemon.disk.mirror().payments.items() if payment.state == "PENDING"}
        for terminal in self.terminals.values():
            terminal.asked_again = True
            terminal.approved = {key: minor for key, minor in terminal.approved.items() if key in pending}
        while self.backups and self.backups[-1] is not backup:
            self.backups.pop()  # of a past that this site no longer has
        return gone

    def restore_office(self, rng: Random) -> Doing:
        """The office is restored from a backup: it holds less than it acknowledged."""
        if self.busy:
            return
        self.busy = self.office.closed = True
        yield rng.randint(6 * MINUTE_MS, 30 * MINUTE_MS)
        self.go_back(rng)
        self.busy = False

    def go_back(self, rng: Random) -> None:
        """The office is what it was then."""
        self._restore_office(rng)
        self.parted("office restored")

    def _restore_office(self, rng: Random) -> None:
        kept = [backup for backup in self.backups if self.office.has(backup.office)]
        if kept:
            self.office.restore(rng.choice(kept).office)
        self.office.closed = False

    def clone_site(self, rng: Random) -> Doing:
        """Somebody starts a second box from a copy of the disk, new or old; after a while somebody finds it."""
        if self.busy or self.daemon.site is None or self.daemon.disk.trouble:
            return
        self.busy = True
        disk = self.daemon.disk.clone()
        if self.backups and rng.random() < 0.5:
            disk.restore(rng.choice(self.backups).disk)
        other = _second_box(self.kernel, self.daemon, self.uplink, disk, rng)
        other.boot()
        yield rng.randint(2 * MINUTE_MS, 120 * MINUTE_MS)
        other.cut()
        other.daemon.disk.close()
        self.parted("site cloned")
        self.busy = False

    def skew(self, rng: Random) -> Doing:
        """The office is of another version for a while. Then it is upgraded: what it parked as unknown, it reads now."""
        self.office.age = rng.choice(["older", "newer", "too-new"])
        self.happened[f"office {self.office.age}"] += 1
        yield rng.randint(5 * MINUTE_MS, 120 * MINUTE_MS)
        self.office.upgrade()

    # -- what must be heard of it ------------------------------------------------------------------------------------------

    def parted(self, what: str) -> None:
        """Something was done to a past. By truth: do the two ends still continue each other? If not, somebody must be told."""
        self.happened[what] += 1
        disk, office = self.daemon.disk, self.office
        own, acked = disk.head_at(office.generation, office.seq), disk.acked()
        generation, seq = office.generation, office.seq
        if generation > disk.position().generation and seq == 0:
            told = ""  # opened just now, by whom is not settled
        elif own != office.head or generation != disk.position().generation:
            told = "new generation"
        elif (generation, seq) < (acked.generation, acked.seq):
            told = "rewind"
        else:
            told = ""
        generations, rewinds = office.alarms["new-generation"], self.uplink.rewound
        self.awaited = Awaited(f"{what}: {told}", self.kernel.now_ms, generations, rewinds) if told else None

    def unheard(self) -> str:
        """The last event that parted the two ends and that nobody was told of; empty when there is none."""
        awaited = self.awaited
        if awaited is None or self.office.alarms["new-generation"] > awaited.generations:
            return ""
        if awaited.what.endswith("rewind") and self.uplink.rewound > awaited.rewinds:
            return ""
        return f"{awaited.what} at {awaited.at_ms} ms"


@dataclass(slots=True)
class _Box:
    """A daemon on a disk of its own, with no lane wired to it."""

    daemon: Daemon
    uplink: Uplink

    def boot(self) -> None:
        self.daemon.boot()
        if self.daemon.site is not None:
            self.uplink.boot(self.daemon.site.boot.boot_id)

    def cut(self) -> None:
        self.daemon.cut(torn=False)
        self.uplink.cut()


def _second_box(kernel: Kernel, daemon: Daemon, uplink: Uplink, disk: Any, rng: Random) -> _Box:
    clock = WallClock(kernel)
    boxes: list[_Box] = []
    other = Daemon(
        kernel,
        daemon.plan,
        disk,
        clock,
        Random(rng.random()),  # noqa: S311  # one seed is one run
        lambda _effect: None,
        lambda: boxes[0].uplink.committed(),  # noqa: PLW0108  # made below
        Watch(),
    )
    road = Road(kernel, Random(rng.random()), uplink.road.office, ms=uplink.road.ms)  # noqa: S311  # the same
    link = Uplink(
        kernel,
        Random(rng.random()),  # noqa: S311  # the same
        disk,
        road,
        clock.wall_ms,
        lambda up, why: other.post(OfficeWent(up, why)),
        uplink.installation,
        uplink.enrolled,
    )
    boxes.append(_Box(other, link))
    return boxes[0]
