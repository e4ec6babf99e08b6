"""What breaks: one table of faults, drawn by the seed, each with its mending.

Rule 1: a fault changes the world, never the site: what the site makes of it is the test.
Rule 2: every fault ends, by itself or by a technician's hand, so that a run can ask whether everything serves again.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from gatectl.domain import lane as inputs
from gatectl.domain.events import CountCorrected, LaneInput, OfficeCommanded, TariffReceived, VoidAsked
from gatectl.domain.ids import TimeQuality
from gatectl.domain.lane import Hand
from gatectl.domain.tariffs import to_body
from gatectl.world import babble
from gatectl.world.chance import ALL, Chosen, stream
from gatectl.world.daemon import Daemon, WallClock
from gatectl.world.desk import Desk
from gatectl.world.devices import LaneDevices
from gatectl.world.histories import Histories
from gatectl.world.kernel import Kernel, Process, Until
from gatectl.world.road import TROUBLES, Road
from gatectl.world.technician import Technician
from gatectl.world.wires import LATE_MS_MAX, Wires, tell_the_truth

MINUTE_MS: Final = 60_000
YEAR_MS: Final = 365 * 86_400_000

Mending = Generator[int | Until, bool, None]


@dataclass(slots=True)
class Faults:
    """What one fault can reach, and its own chance. `cut` takes the power, `boot` gives it back."""

    kernel: Kernel
    devices: list[LaneDevices]
    daemon: Daemon
    clock: WallClock
    road: Road
    desk: Desk
    cut: Callable[[], None]
    boot: Callable[[], None]
    histories: Histories
    rng: Random
    n: int = 0
    """Which fault of the run this is."""

    def minutes(self, least: float, most: float) -> int:
        return int(self.rng.uniform(least, most) * MINUTE_MS)

    # -- loops and arms -----------------------------------------------------------------------------------------------

    def loop_lies(self, lane: LaneDevices) -> Mending:
        loop = self.rng.choice(sorted(lane.loops))
        lane.set_mode(loop, self.rng.choice(["stuck", "dead", "stale", "fault"]))
        yield self.minutes(1, 30)
        lane.set_mode(loop, "")

    def arm_fails_to_open(self, lane: LaneDevices) -> Mending:
        lane.truth.arm.wont_open = True
        yield self.minutes(1, 20)
        lane.truth.arm.wont_open = False

    def arm_fails_to_close(self, lane: LaneDevices) -> Mending:
        lane.truth.arm.wont_close = True
        yield self.minutes(1, 20)
        lane.truth.arm.wont_close = False

    def boom_breaks(self, lane: LaneDevices) -> Mending:
        lane.truth.boom_off = True
        lane.set_contact("broken", True)
        self.kernel.changed()
        yield self.minutes(10, 60)
        lane.truth.boom_off = False
        lane.set_contact("broken", False)

    def arm_opened_at_the_barrier(self, lane: LaneDevices) -> Mending:
        """Somebody has a key to the barrier."""
        lane.truth.arm.open()
        yield self.minutes(0.5, 8)
        if not lane.truth.is_on("closing"):
            lane.truth.arm.close()

    def answer_of_the_arm(self, lane: LaneDevices) -> Mending:
        lane.quirks["arm"] = self.rng.choice(["refused", "unknown", "unknown-idle", "silent", "late", "twice"])
        yield self.minutes(1, 10)
        lane.quirks.pop("arm", None)

    # -- station ------------------------------------------------------------------------------------------------------

    def printer_state(self, lane: LaneDevices) -> Mending:
        what = self.rng.choice(["low", "out", "jam"])
        setattr(lane.printer, what, True)
        lane.tell_printer()
        yield self.minutes(2, 30)
        lane.printer.low = lane.printer.out = lane.printer.jam = False
        lane.tell_printer()

    def printer_job(self, lane: LaneDevices) -> Mending:
        lane.quirks["print"] = self.rng.choice(["vanished", "silent", "jam", "late", "disordered"])
        yield self.minutes(2, 20)
        lane.quirks.pop("print", None)
        lane.printer.jam = False
        lane.tell_printer()

    def paper_is_not_seen(self, lane: LaneDevices) -> Mending:
        lane.quirks["pull"], lane.quirks["retract"] = "unseen", "fails"
        yield self.minutes(2, 20)
        lane.quirks.pop("pull", None)
        lane.quirks.pop("retract", None)

    def terminal_answers_badly(self, lane: LaneDevices) -> Mending:
        lane.quirks["terminal"] = self.rng.choice(["declined", "cancelled", "timed-out", "silent", "late", "twice"])
        yield self.minutes(2, 20)
        lane.quirks.pop("terminal", None)

    def device_lost(self, lane: LaneDevices) -> Mending:
        device = self.rng.choice(sorted(lane.roles()))
        lane.lose(device, self.rng.choice(["no answer", "port gone", "session ended"]))
        yield self.minutes(0.02, 20)
        lane.restore(device)

    def door_opens(self, lane: LaneDevices) -> Mending:
        lane.set_contact("door", True)
        yield self.minutes(1, 20)
        lane.set_contact("door", False)

    # -- wires --------------------------------------------------------------------------------------------------------

    def wires_garble(self, lane: LaneDevices) -> Mending:
        yield from self._bad_wires(lane, Wires(lane, self.rng, Wires.garble), self.minutes(0.5, 10))

    def wires_are_late(self, lane: LaneDevices) -> Mending:
        """What is still on its way when they are mended comes in late, after newer words; then all is told again."""
        yield from self._bad_wires(lane, Wires(lane, self.rng, Wires.delay), self.minutes(0.5, 10))
        yield LATE_MS_MAX
        tell_the_truth(lane)

    def input_is_stuck(self, lane: LaneDevices) -> Mending:
        """A reading stays as it is, or a button is pressed for ever."""
        frozen = self.rng.choice([inputs.ArmMoved, inputs.ClosingLoopChanged, inputs.ArmingLoopChanged, None])
        if frozen is None:
            yield from self._pressed_for_ever(lane, self.minutes(1, 10))
            return
        wires = Wires(lane, self.rng, Wires.freeze, frozenset({frozen}))
        yield from self._bad_wires(lane, wires, self.minutes(1, 10))

    def _pressed_for_ever(self, lane: LaneDevices, for_ms: int) -> Mending:
        end_ms = self.kernel.now_ms + for_ms
        while self.kernel.now_ms < end_ms:
            lane.contact(lane.lane, "button", True)
            yield self.rng.randint(300, 8_000)

    def module_is_not_heard(self, lane: LaneDevices) -> Mending:
        """It obeys, and nothing comes back: a driver that hears nothing for long enough says that the module is lost."""
        wires = Wires(lane, self.rng, Wires.hear_nothing)
        if wires.break_down():
            wires.go_stale()
            yield self.minutes(0.2, 10)
            wires.mend()

    def module_does_not_obey(self, lane: LaneDevices) -> Mending:
        """It is heard, and says yes to everything, and the arm stays where it is."""
        lane.truth.arm.stuck = True
        yield self.minutes(0.5, 10)
        lane.truth.arm.stuck = False

    def _bad_wires(self, lane: LaneDevices, wires: Wires, for_ms: int) -> Mending:
        if wires.break_down():
            yield for_ms
            wires.mend()

    def anything_is_said(self, lane: LaneDevices) -> Mending:
        """To one lane: mostly what the world would answer next, sometimes nothing for a while, sometimes anything."""
        for turn in range(self.rng.randint(5, 60)):
            site, what = self.daemon.site, self.rng.random()
            if site is None or what < 0.2:
                yield self.rng.choice([1, 500, 3_000, 25_000])
            elif what < 0.75:
                expected = babble.answers(site, site.lanes[lane.lane])
                self.daemon.post(LaneInput(lane.lane, self.rng.choice([expected[0], *expected])))
            else:
                self.daemon.post(babble.anything(site, lane.lane, self.rng, self.n * 100 + turn))
            yield self.rng.choice([0, 1, 40, 1_200])
        for each in self.devices:
            tell_the_truth(each)

    # -- people ---------------------------------------------------------------------------------------------------------

    def held_open(self, lane: LaneDevices) -> Mending:
        yield from self.desk.hand(lane.lane, Hand.HOLD, "a delivery")
        yield self.minutes(1, 15)
        yield from self.desk.hand(lane.lane, self.rng.choice([Hand.RELEASE, Hand.CLOSE]), "delivered")

    def locked(self, lane: LaneDevices) -> Mending:
        yield from self.desk.hand(lane.lane, Hand.LOCK, "cleaning")
        yield self.minutes(1, 15)
        yield from self.desk.hand(lane.lane, Hand.UNLOCK, "clean")

    def opened_by_hand(self, lane: LaneDevices) -> Mending:
        """Whatever the lane is doing just now."""
        for _ in range(self.rng.randint(1, 4)):
            yield from self.desk.hand(lane.lane, self.rng.choice(list(Hand)), "trying the buttons")
            yield self.rng.randint(100, 20_000)

    def office_has_a_word(self, lane: LaneDevices) -> Mending:
        """A live command, in time or not; a tariff, good or not."""
        n = self.n
        now_ms = self.daemon.now().mono_ms
        hand = self.rng.choice([Hand.OPEN, Hand.CLOSE, Hand.HOLD, Hand.RELEASE])
        deadline_ms = now_ms + self.rng.choice([-1_000, 20_000])
        self.daemon.post(OfficeCommanded(f"c-{n}", lane.lane, hand, "office:eva", "a call", deadline_ms))
        body = to_body(replace(self.daemon.plan.tariffs[0], tariff=f"office-{n}"))
        self.daemon.post(TariffReceived(f"office-{n}", self.rng.choice([body, "{}", "no tariff"]), "office"))
        yield self.minutes(1, 10)

    def books_are_corrected(self, lane: LaneDevices) -> Mending:
        """Somebody counts vehicles by eye, and writes off a ticket that nobody will bring back."""
        delta = self.rng.choice([-1, 1])
        yield from self.desk.ask(lambda request: CountCorrected(request, lane.plan.area, delta, "mia", "counted"))
        site = self.daemon.site
        if site is not None and site.books.stays and self.rng.random() < 0.3:
            ticket = self.rng.choice(list(site.books.stays))
            yield from self.desk.ask(lambda request: VoidAsked(request, ticket, "mia", "abandoned"))
        yield self.minutes(1, 10)

    def fire(self, lane: LaneDevices) -> Mending:
        """The building's system opens the barriers on its own wire, mostly; the input goes off, a person ends it."""
        for each in self.devices:
            each.set_contact("fire", True)
            if self.rng.random() < 0.7:
                each.truth.arm.open()
        yield self.minutes(1, 20)
        for each in self.devices:
            each.set_contact("fire", False)
        yield self.minutes(0.5, 5)
        for each in self.devices:
            yield from self.desk.hand(each.lane, Hand.RESET, "the fire is out")

    # -- the machine ------------------------------------------------------------------------------------------------------

    def power_cut(self, lane: LaneDevices) -> Mending:
        """At an event drawn from those that come next: in the middle of whatever is under way."""
        at = self.daemon.events + self.rng.randint(0, 40)
        while self.daemon.events < at:
            yield self.rng.randint(1, 400)
            at -= self.rng.random() < 0.01
        yield self.rng.randint(0, 15)
        if self.daemon.site is None:
            return
        mains = self.rng.random() < 0.5
        self.cut()
        yield self.rng.choice([300, 3_000, 20_000, 10 * MINUTE_MS])
        if mains and self.rng.random() < 0.2:
            yield from self._boot_without_time()
        else:
            self.boot()

    def _boot_without_time(self) -> Mending:
        """The battery of the real-time clock is empty."""
        self.clock.off_ms -= 30 * YEAR_MS
        self.clock.quality = TimeQuality.UNSET
        self.boot()
        yield self.minutes(0.2, 15)
        self.clock.off_ms += 30 * YEAR_MS
        self.clock.quality = TimeQuality.SYNCED

    def clock_steps(self, lane: LaneDevices) -> Mending:
        if self.clock.quality is TimeQuality.UNSET:
            return
        step = self.rng.choice([-YEAR_MS, 10 * YEAR_MS, -5_000, 5_000, 3_600_000, -86_400_000])
        self.clock.off_ms += step
        yield self.minutes(1, 60)
        self.clock.off_ms -= step

    def disk_is_slow(self, lane: LaneDevices) -> Mending:
        self.daemon.commit_ms = (100, 3_000)
        yield self.minutes(1, 10)
        self.daemon.commit_ms = (2, 12)

    def disk_is_full(self, lane: LaneDevices) -> Mending:
        yield from self._disk_refuses("full")

    def disk_errs(self, lane: LaneDevices) -> Mending:
        yield from self._disk_refuses(self.rng.choice(["error", "late-error"]))

    def disk_is_read_only(self, lane: LaneDevices) -> Mending:
        yield from self._disk_refuses("read-only")

    def _disk_refuses(self, trouble: str) -> Mending:
        """Until somebody makes room, or changes the card."""
        if self.daemon.disk.trouble:
            return
        self.daemon.disk.trouble = trouble
        yield self.minutes(0.02, 10)
        self.daemon.disk.trouble = ""

    def office_is_away(self, lane: LaneDevices) -> Mending:
        self.road.trouble = self.rng.choice(["away", "mixed", *TROUBLES])
        yield self.minutes(1, 180)
        self.road.trouble = ""

    # -- the two ends' pasts ------------------------------------------------------------------------------------------------

    def site_restored(self, lane: LaneDevices) -> Mending:
        yield from self.histories.restore_site(self.rng, both=False)

    def both_restored(self, lane: LaneDevices) -> Mending:
        yield from self.histories.restore_site(self.rng, both=True)

    def site_cloned(self, lane: LaneDevices) -> Mending:
        yield from self.histories.clone_site(self.rng)

    def office_restored(self, lane: LaneDevices) -> Mending:
        yield from self.histories.restore_office(self.rng)

    def office_of_another_version(self, lane: LaneDevices) -> Mending:
        yield from self.histories.skew(self.rng)

    def bit_flips(self, lane: LaneDevices) -> Mending:
        yield from Technician(self.histories, self.rng).a_record_flips()


FAULTS: Final[Mapping[str, Callable[[Faults, LaneDevices], Mending]]] = {
    "loop": Faults.loop_lies,
    "arm-opens": Faults.arm_fails_to_open,
    "arm-closes": Faults.arm_fails_to_close,
    "boom": Faults.boom_breaks,
    "arm-by-key": Faults.arm_opened_at_the_barrier,
    "arm-answer": Faults.answer_of_the_arm,
    "printer": Faults.printer_state,
    "print-job": Faults.printer_job,
    "paper": Faults.paper_is_not_seen,
    "terminal": Faults.terminal_answers_badly,
    "device": Faults.device_lost,
    "door": Faults.door_opens,
    "garbled": Faults.wires_garble,
    "late": Faults.wires_are_late,
    "stuck": Faults.input_is_stuck,
    "half-open": Faults.module_is_not_heard,
    "deaf": Faults.module_does_not_obey,
    "anything": Faults.anything_is_said,
    "hold": Faults.held_open,
    "lock": Faults.locked,
    "hands": Faults.opened_by_hand,
    "office-word": Faults.office_has_a_word,
    "books": Faults.books_are_corrected,
    "fire": Faults.fire,
    "power": Faults.power_cut,
    "clock": Faults.clock_steps,
    "disk": Faults.disk_is_slow,
    "disk-full": Faults.disk_is_full,
    "disk-error": Faults.disk_errs,
    "disk-read-only": Faults.disk_is_read_only,
    "bit-flip": Faults.bit_flips,
    "office": Faults.office_is_away,
    "restore-site": Faults.site_restored,
    "restore-both": Faults.both_restored,
    "clone-site": Faults.site_cloned,
    "office-rollback": Faults.office_restored,
    "skew": Faults.office_of_another_version,
}
PASTS: Final = frozenset({"restore-site", "restore-both", "clone-site", "office-rollback", "skew"})
SITE_WIDE: Final = (
    frozenset({"fire", "power", "clock", "disk", "disk-full", "disk-error", "disk-read-only", "bit-flip", "office"})
    | PASTS
)


@dataclass(slots=True)
class Weather:
    """`per_hour` faults begin in an hour, on average. The nth of a seed is the same one whichever others are left out."""

    world: Faults
    seed: int
    per_hour: float
    kinds: tuple[str, ...]
    chosen: Chosen = ALL
    active: bool = True
    drawn: int = 0
    """Faults that came up so far, left out or not."""
    counts: dict[str, int] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    """What is broken now, as "fault lane", so that nothing breaks twice at once."""
    began: Callable[[int, str, str], None] = lambda *_: None
    table: "Mapping[str, Callable[[Faults, LaneDevices], Mending]]" = field(default_factory=lambda: FAULTS)
    """By their names, what each does."""

    @property
    def begun(self) -> int:
        return sum(self.counts.values())

    def run(self) -> Process:
        """Faults come as they come."""
        rng = stream("weather", self.seed)
        while self.active:
            yield max(100, int(rng.expovariate(self.per_hour / 3_600_000)))
            if self.active:
                self.drawn += 1
                if self.drawn in self.chosen:
                    self.world.kernel.start(self._one(self.drawn))

    def _one(self, n: int) -> Process:
        rng = stream("fault", self.seed, n)
        name, lane = rng.choice(self.kinds), rng.choice(self.world.devices)
        key = f"{name} {lane.lane if name not in SITE_WIDE else ''}"
        if key in self.busy:
            return
        self.busy.add(key)
        self.counts[name] = self.counts.get(name, 0) + 1
        self.began(n, name, lane.lane)
        yield from self.table[name](replace(self.world, rng=rng, n=n), lane)
        self.busy.discard(key)
