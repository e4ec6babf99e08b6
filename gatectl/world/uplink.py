"""The uploader of one daemon, in simulated time: sync's own loop and machine, performed on the kernel in place of a thread.

Rule 1: what happens in which order is sync.uploader.drive's; here is only how long each thing takes.
Rule 2: between any two things time passes, as a thread may be preempted anywhere: commits fall in between.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from gatectl.domain.events import HistoryStands
from gatectl.world.disk import DiskFailed, SiteDisk
from gatectl.world.kernel import Kernel
from gatectl.world.ledger import hold
from gatectl.world.road import Road
from sync.ports import Answer, Damaged, JournalDamaged, Unreachable
from sync.status import LinkState
from sync.upload import QUIET_MS_MAX, Acknowledge, Begin, Identity, Send, UploaderMachine, Wait
from sync.uploader import Driving, Said, drive

OFFICE_LOST_MS: Final = 30_000
LOOK_MS: Final = 15_000
PREEMPTED_MS: Final = ((0, 8), (0, 8), (0, 8), (0, 1_500))
"""Of a thread between two things that it does: mostly for a moment, on a busy machine for longer."""
PREEMPTED: Final = 0.25
"""How often it is; before it goes to sleep, always."""
COMMIT_MS: Final = (1, 10)
UNSENT_MS_MAX: Final = 25_000
"""A record waits no longer while the office is there and nothing fails: well under the quiet greeting."""
assert UNSENT_MS_MAX * 2 < QUIET_MS_MAX


@dataclass(slots=True)
class Flag:
    """Satisfies sync.uploader.News."""

    on: bool = False

    def clear(self) -> None:
        self.on = False


@dataclass(slots=True)
class Uplink:
    """`office_went` tells the core what the link's watcher would. `installation`, `enrolled` are as a person enrolled it."""

    kernel: Kernel
    rng: Random
    disk: SiteDisk
    road: Road
    wall_ms: Callable[[], int]
    office_went: Callable[[bool, str], None]
    installation: str = "installation-1"
    enrolled: int = 1
    stands: Callable[[HistoryStands], None] | None = None
    """Told under which generation the journal goes on, when that is news in this life."""
    failed: Callable[[], None] = lambda: None
    """Called when the disk refuses: the process must stop."""
    machine: UploaderMachine | None = None
    begun: Counter[str] = field(default_factory=Counter)
    """Generations by the reason for them."""
    rewinds: int = 0
    """How often an acknowledgement was taken back, as the machine's own status tells it, over all lives."""
    _life: int = 0
    _driving: Driving | None = None
    _news: Flag = field(default_factory=Flag)
    _resting: int = 0
    """Which rest this is; 0 while awake."""
    _rests: int = 0
    _up: bool | None = None
    _stands: HistoryStands | None = None
    _since_ms: int = 0
    _owed_since_ms: int | None = None
    _well_since_ms: int = 0
    _spoilt: bool = False
    """A question is under way that was asked of a troubled road."""
    _restores: int = 0
    """Of the office, when it was asked last."""

    def boot(self, boot_id: str) -> None:
        identity = Identity(self.disk.plan.site, self.installation, self.enrolled, boot_id, "gatectl/simulate")
        self.machine = UploaderMachine(identity, self.disk, self.rng, wall_ms=self.wall_ms)
        self._news = Flag()
        self._driving = drive(self.machine, self._news, lambda: self.kernel.now_ms)
        self._life += 1
        self._resting, self._up, self._stands, self._spoilt = 0, None, None, False
        self._since_ms = self._well_since_ms = self.kernel.now_ms
        self._owed_since_ms = self.kernel.now_ms if self.lag else None
        life = self._life
        self._go_on(life)
        self.kernel.after(LOOK_MS, lambda: self._look(life))

    def cut(self) -> None:
        if self.machine is not None:
            self.rewinds += self.machine.rewinds
        self._life += 1
        self.machine = self._driving = None

    def committed(self) -> None:
        """The store notifies after every commit."""
        if self.machine is None:
            return
        if self._owed_since_ms is None:
            self._owed_since_ms = self.kernel.now_ms
        self._news.on = True
        if self._resting:
            self._wake(self._life, self._resting)

    @property
    def lag(self) -> int:
        return self.disk.unacknowledged

    @property
    def rewound(self) -> int:
        """As `rewinds`, this life included."""
        return self.rewinds + (0 if self.machine is None else self.machine.rewinds)

    @property
    def stopped(self) -> str:
        """The name of the state that waits for a person, if it does."""
        return "" if self.machine is None else self.machine.status(self.kernel.now_ms).reason

    # -- the thread ------------------------------------------------------------------------------------------------------

    def _soon(self, between_ms: tuple[int, int], do: Callable[[], None]) -> None:
        life = self._life
        self.kernel.after(self.rng.randint(*between_ms), lambda: do() if life == self._life else None)

    def _preempted(self, then: Callable[[], None]) -> None:
        self._soon(self.rng.choice(PREEMPTED_MS), then)

    def _go_on(self, life: int, said: Said = None) -> None:
        if life != self._life:
            return
        assert self._driving is not None
        step = self._driving.send(said)
        while step is None and self.rng.random() >= PREEMPTED:
            step = next(self._driving)
        match step:
            case Send(request):
                self._spoilt, self._restores = bool(self.road.trouble), self.road.office.restores
                self.road.ask(request, lambda answer: self._answered(life, answer))
            case Acknowledge(position):
                self._soon(COMMIT_MS, lambda: self._acknowledge(life, position.generation, position.seq, position.head))
            case Begin(generation, reason):
                self._soon(COMMIT_MS, lambda: self._begin(life, generation, reason))
            case Wait(until_ms):
                self._preempted(lambda: self._rest(life, until_ms))
            case None:
                self._preempted(lambda: self._go_on(life))

    def _answered(self, life: int, answer: Answer | Unreachable) -> None:
        if life == self._life:
            if self._spoilt:
                self._well_since_ms = self.kernel.now_ms
            self._spoilt = False
            self._go_on(life, answer)

    def _acknowledge(self, life: int, generation: int, seq: int, head: bytes) -> None:
        """I6: an acknowledgement is of the very chain that the office has (if it was not restored just now)."""
        if self._restores == self.road.office.restores:
            held = self.road.office.head_at(generation, seq)
            hold(held == head, "what is acknowledged, the office holds", (generation, seq))
        if not self._stored(lambda: self.disk.acknowledge(generation, seq, head)):
            return
        self._owed_since_ms = self.kernel.now_ms if self.lag else None
        self._go_on(life)

    def _begin(self, life: int, generation: int, reason: str) -> None:
        try:
            if not self._stored(lambda: self.disk.begin_generation(generation, reason)):
                return
        except JournalDamaged as damaged:
            self._go_on(life, Damaged(str(damaged)))
            return
        self.begun[reason] += 1
        self._go_on(life)

    def _stored(self, write: Callable[[], None]) -> bool:
        """False: the disk refused, and the process is gone."""
        try:
            write()
        except DiskFailed:
            self.failed()
            return False
        return True

    def _rest(self, life: int, until_ms: int) -> None:
        if self._news.on or until_ms <= self.kernel.now_ms:
            self._go_on(life)
            return
        self._rests += 1
        self._resting = mine = self._rests
        if self.lag:
            self.kernel.after(UNSENT_MS_MAX + 1, lambda: self._judge(life))
        self.kernel.at(until_ms, lambda: self._wake(life, mine))

    def _wake(self, life: int, rest: int) -> None:
        if life == self._life and rest == self._resting:
            self._resting = 0
            self._preempted(lambda: self._go_on(life))

    # -- who looks -------------------------------------------------------------------------------------------------------

    def _look(self, life: int) -> None:
        """Like the daemon's link: lost after a while without word, back as soon as both chains agree."""
        if life != self._life:
            return
        self._judge(life)
        assert self.machine is not None
        up = self.machine.state is LinkState.ONLINE
        if up:
            self._since_ms = self.kernel.now_ms
        if up and self._up is not True:
            self._up = True
            self.office_went(True, "")
        elif not up and self._up is not False and self.kernel.now_ms - self._since_ms >= OFFICE_LOST_MS:
            self._up = False
            self.office_went(False, self.machine.status(self.kernel.now_ms).last_error or "no answer")
        stands = HistoryStands(self.disk.position().generation, self.machine.begun_for, self.machine.history_gone)
        if stands != self._stands:
            self._stands = stands
            if self.stands is not None:
                self.stands(stands)
        self.kernel.after(LOOK_MS, lambda: self._look(life))

    def _judge(self, life: int) -> None:
        """I5, at every moment: where nothing fails, nothing waits."""
        if life != self._life:
            return
        assert self.machine is not None
        now_ms = self.kernel.now_ms
        well = not self.road.trouble and not self._spoilt and not self.road.office.age
        if not well or self.machine.state is not LinkState.ONLINE:
            self._well_since_ms = now_ms
        elif self._owed_since_ms is not None:
            waits_ms = now_ms - max(self._owed_since_ms, self._well_since_ms)
            hold(waits_ms <= UNSENT_MS_MAX, "no record waits while the office is there", f"{waits_ms} ms, {self.lag}")
