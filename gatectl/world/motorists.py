"""Drivers with a truth of their own: they queue, press, pull, pay, drive over, and do everything that drivers do wrong.

Unlike the demo's street, which plays a list of vehicles, this is a stream without end in bounded memory: a vehicle is a process.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final

from gatectl.domain.ids import SiteId
from gatectl.domain.tickets import Keyring, sign
from gatectl.world.chance import ALL, Chosen, stream
from gatectl.world.demand import Demand
from gatectl.world.desk import Desk
from gatectl.world.devices import LaneDevices, Paper
from gatectl.world.kernel import Kernel, Process, Until
from gatectl.world.lanes import LaneTruth
from gatectl.world.plans import SITE

PROBE_MS: Final = 20 * 60_000
"""How long the vehicle stays that shows whether lanes serve: long enough to have to pay."""
QUEUE_MAX: Final = 6
"""Vehicles waiting at an entry; the next one drives on."""
PRESSES_MAX: Final = 5
HELPS_MAX: Final = 8
PATIENCE_MS: Final = 45_000
FOREVER_MS: Final = 3_600_000
_FORGER: Final = Keyring(1, {1: bytes(32)})
FOREIGN_CODES: Final = (
    "NOT A TICKET OF THIS SITE",
    sign(_FORGER, SiteId("elsewhere"), counter=1, tag="K7QF", issued_s=1_780_290_000, vehicle_type="CAR"),
    sign(_FORGER, SITE, counter=1, tag="K7QF", issued_s=1_780_290_000, vehicle_type="CAR"),
)
"""Of something else, of another site, and of a forger who does not know this site's key."""

Doing = Generator[int | Until, bool, bool]
"""A part of a process that ends with whether it went well."""


class Manner(StrEnum):
    """What a driver does beside the plain thing."""

    PLAIN = "plain"
    BACKS_OUT_BEFORE = "backs-out-before-taking"
    BACKS_OUT_AFTER = "backs-out-after-taking"
    NEVER_TAKES = "never-takes"
    TAKES_LATE = "takes-late"
    REVERSES = "reverses-over-the-line"
    COMES_BACK = "comes-back-after-passing"
    LONG = "long-vehicle"
    TAILGATES = "tailgates"
    COPIED = "copied-ticket"
    FOREIGN = "foreign-ticket"
    LOST = "lost-ticket"
    NO_CARD = "card-does-not-work"


ENTRY_MANNERS: Final = (
    Manner.BACKS_OUT_BEFORE,
    Manner.BACKS_OUT_AFTER,
    Manner.NEVER_TAKES,
    Manner.TAKES_LATE,
    Manner.REVERSES,
    Manner.COMES_BACK,
    Manner.LONG,
    Manner.TAILGATES,
)
EXIT_MANNERS: Final = (
    Manner.BACKS_OUT_AFTER,
    Manner.REVERSES,
    Manner.LONG,
    Manner.TAILGATES,
    Manner.COPIED,
    Manner.FOREIGN,
    Manner.LOST,
    Manner.NO_CARD,
)


@dataclass(slots=True, eq=False)
class Vehicle:
    """One vehicle on its way through the site, and its driver's own chance."""

    rng: Random
    entry: Manner
    exit: Manner
    stays_ms: int
    prepays: bool
    n: int = 0
    """Which driver of the run this is."""
    entered_ms: int = 0
    paper: Paper | None = None
    lost: Paper | None = None
    right: str = ""
    """What its driver shows before asking for a ticket: the code of a pass or a reservation."""
    reservation: str = ""
    """The reservation's name, while nobody has refused it."""
    coupon: str = ""
    """What its driver shows at the exit after the ticket."""
    leaves_ms: int = 0
    """When the driver wants to be gone, on the kernel's clock; 0: after `stays_ms`."""


def _nothing() -> Process:
    yield from ()


@dataclass(slots=True)
class Motorists:
    """`oddity`: the share of drivers who do not do the plain thing. `open`: vehicles still come."""

    kernel: Kernel
    seed: int
    entries: list[LaneDevices]
    exits: list[LaneDevices]
    desk: Desk
    oddity: float
    card: Callable[[LaneDevices, bool], None]
    demand: Demand
    chosen: Chosen = ALL
    drawn: int = 0
    """Drivers that came up so far, left out or not."""
    open: bool = True
    inside: int = 0
    """Vehicles that are truly inside."""
    served: dict[str, int] = field(default_factory=dict)
    """Lane to vehicles that went through it in its own direction."""
    counts: dict[str, int] = field(default_factory=dict)
    used: Paper | None = None
    """A ticket that went out already, for those who copy."""
    pass_of: Callable[[int], str] = lambda _: ""
    """The code of a driver's pass, by the driver's number."""
    showing: dict[str, str] = field(default_factory=dict)
    """Entry lane to the reservation that is good and is being shown there."""
    coupon_of: Callable[[int], str] = lambda _: ""
    """The code of a driver's coupon, by the driver's number."""
    shops: Callable[[Vehicle], Process] = lambda _: _nothing()
    """What a driver does in the shops before leaving."""
    came: Callable[[int, str, str], None] = lambda *_: None
    """Told the number of a driver, how they go in and out, and the lane they go in by."""

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def arrivals(self) -> Process:
        """Vehicles come as the demand says. The nth is the same one whichever others are left out."""
        rng = stream("arrivals", self.seed)
        while self.open:
            until_ms, per_hour = self.demand.rate(self.kernel.now_ms)
            left_ms = until_ms - self.kernel.now_ms
            gap_ms = max(1_000, int(rng.expovariate(per_hour / 3_600_000))) if per_hour else left_ms
            yield min(gap_ms, left_ms)
            if self.open and gap_ms < left_ms:
                self.drawn += 1
                if self.drawn in self.chosen:
                    self.kernel.start(self.visit(self.any_vehicle(self.drawn)))

    def any_vehicle(self, n: int) -> Vehicle:
        rng = stream("driver", self.seed, n)
        entry = rng.choice(ENTRY_MANNERS) if rng.random() < self.oddity else Manner.PLAIN
        exit_ = rng.choice(EXIT_MANNERS) if rng.random() < self.oddity else Manner.PLAIN
        stays_ms = self.demand.stays_ms(rng, self.kernel.now_ms)
        made = Vehicle(rng, entry, exit_, stays_ms, rng.random() < 0.4, n, right=self.pass_of(n))
        made.coupon = self.coupon_of(n)
        return made

    def visit(self, vehicle: Vehicle) -> Process:
        """In and out again. Where lanes are of one kind, the other half is another controller's."""
        exits: Sequence[LaneDevices] = self.exits
        if self.entries:
            lane = shortest(self.entries)
            if len(lane.truth.queue) >= QUEUE_MAX:
                self.count("drove-on")
                return
            self.came(vehicle.n, f"{vehicle.entry}, then {vehicle.exit}", lane.lane)
            yield from self._queue(lane.truth, vehicle)
            came_in = yield from self._enter(lane, vehicle)
            if not came_in:
                return
            exits = ways_out(lane, exits)
            vehicle.entered_ms = self.kernel.now_ms
            yield max(vehicle.stays_ms, vehicle.leaves_ms - self.kernel.now_ms)
            yield from self.shops(vehicle)
            if vehicle.prepays and vehicle.paper is not None:
                yield from self.desk.pay_cash(vehicle.paper)
                yield 60_000
        while exits:
            lane = shortest(exits)
            if not self.entries and len(lane.truth.queue) >= QUEUE_MAX:
                self.count("drove-on")
                return
            yield from self._queue(lane.truth, vehicle)
            gone = yield from self._leave(lane, vehicle)
            if gone:
                return
            yield vehicle.rng.randint(60_000, 600_000)

    def probe(
        self, entry: LaneDevices | None, exit_: LaneDevices | None, done: Callable[[], None], stays_ms: int = PROBE_MS
    ) -> Process:
        """A plain vehicle, in by one lane and out by the other."""
        rng = stream(f"probe {entry.lane if entry else ''}", self.seed)
        vehicle = Vehicle(rng, Manner.PLAIN, Manner.PLAIN, stays_ms, prepays=False)
        if entry is not None:
            yield from self._queue(entry.truth, vehicle)
            if not (yield from self._enter(entry, vehicle)):
                return
            vehicle.entered_ms = self.kernel.now_ms
            yield vehicle.stays_ms
        if exit_ is not None:
            yield from self._queue(exit_.truth, vehicle)
            if not (yield from self._leave(exit_, vehicle)):
                return
        done()

    def _queue(self, lane: LaneTruth, vehicle: Vehicle) -> Process:
        lane.queue.append(vehicle)
        while lane.busy or lane.queue[0] is not vehicle:
            yield Until(lambda: not lane.busy and lane.queue[0] is vehicle, FOREVER_MS)
        lane.queue.popleft()
        lane.busy = True

    def _free(self, lane: LaneTruth) -> None:
        lane.busy = False
        self.kernel.changed()

    # -- the entry -------------------------------------------------------------------------------------------------

    def _enter(self, lane: LaneDevices, vehicle: Vehicle) -> Doing:
        truth = lane.truth
        yield vehicle.rng.randint(1_500, 4_000)
        truth.stand("arming")
        yield vehicle.rng.randint(1_000, 3_000)
        if not (yield from self._get_in(lane, vehicle)):
            yield from self._back_off(truth)
            return False
        passed = yield from self._drive(lane, vehicle, vehicle.entry)
        if passed:
            self.inside += 1
            self._served(lane)
        self._free(truth)
        return passed

    def _get_in(self, lane: LaneDevices, vehicle: Vehicle) -> Doing:
        """Until the arm is up for this vehicle; False when the driver gives up."""
        shows = vehicle.right and vehicle.entry not in (Manner.BACKS_OUT_BEFORE, Manner.NEVER_TAKES)
        if shows and not lane.truth.passable and (yield from self._show_right(lane, vehicle)):
            yield 1_000
            return vehicle.entry is not Manner.BACKS_OUT_AFTER
        return (yield from self._ask_in(lane, vehicle))

    def _ask_in(self, lane: LaneDevices, vehicle: Vehicle) -> Doing:
        """Like anybody: with a ticket, or by the attendant's hand."""
        truth = lane.truth
        for helps in range(HELPS_MAX):
            if truth.passable and vehicle.paper is None and not truth.mouth:
                closed = yield Until(lambda: not truth.passable, 20_000)
                if not closed:
                    return True  # it stands open: drive in
            if vehicle.paper is None and not (yield from self._get_ticket(lane, vehicle)):
                if vehicle.entry is Manner.BACKS_OUT_BEFORE or self._drives_on(lane, vehicle):
                    return False
            elif vehicle.paper is not None:
                up = yield Until(lambda: truth.passable, PATIENCE_MS)
                if up:
                    yield 1_000
                    return vehicle.entry is not Manner.BACKS_OUT_AFTER
                yield from self._press(truth)
            if helps % 2 and not truth.passable:
                self.desk.help(lane, "the arm stays down")
                if (yield Until(lambda: truth.passable, 4 * PATIENCE_MS)):
                    return True
        self.count("gave-up")
        return False

    def _drives_on(self, lane: LaneDevices, vehicle: Vehicle) -> bool:
        """Who reads that it is full; the vehicle that shows whether lanes serve wants to know it from a person."""
        full = vehicle.n > 0 and lane.shown.startswith("Full") and not lane.truth.passable
        if full:
            self.count("drove-on")
        return full

    def _show_right(self, lane: LaneDevices, vehicle: Vehicle) -> Doing:
        """Twice at most; whether the arm is up then."""
        self.count("shows a right")
        if vehicle.reservation:
            self.showing[lane.lane] = vehicle.reservation
        for _ in range(2):
            lane.read_code(lane.lane, vehicle.right)
            if (yield Until(lambda: lane.truth.passable, 12_000)):
                break
        self.showing.pop(lane.lane, None)
        return lane.truth.passable

    def _press(self, truth: LaneTruth) -> Process:
        truth.contact("button", True)
        yield 300
        truth.contact("button", False)

    def _get_ticket(self, lane: LaneDevices, vehicle: Vehicle) -> Doing:
        """Press until a ticket shows, then pull it."""
        truth = lane.truth
        for _ in range(PRESSES_MAX):
            if not truth.mouth:
                yield from self._press(truth)
            if not (yield Until(lambda: truth.mouth, 12_000)):
                continue
            if vehicle.entry is Manner.BACKS_OUT_BEFORE:
                return False
            if vehicle.entry is Manner.NEVER_TAKES:
                vehicle.entry = Manner.PLAIN
                yield 40_000
                continue
            if vehicle.entry is Manner.TAKES_LATE:
                yield vehicle.rng.randint(17_000, 23_000)
            else:
                yield vehicle.rng.randint(600, 3_000)
            vehicle.paper = lane.pull()
            if vehicle.paper is not None:
                return True
        return False

    def _back_off(self, truth: LaneTruth) -> Process:
        truth.leave("arming")
        yield Until(lambda: truth.arm.is_down, PATIENCE_MS)
        yield 2_000
        self._free(truth)

    # -- the exit --------------------------------------------------------------------------------------------------

    def _leave(self, lane: LaneDevices, vehicle: Vehicle) -> Doing:
        truth = lane.truth
        self.card(lane, vehicle.exit is not Manner.NO_CARD)
        yield vehicle.rng.randint(1_500, 4_000)
        truth.stand("arming")
        yield vehicle.rng.randint(1_000, 3_000)
        if vehicle.exit is Manner.FOREIGN:
            lane.read_code(lane.lane, vehicle.rng.choice(FOREIGN_CODES))
            yield 4_000
        if vehicle.exit is Manner.COPIED and self.used is not None:
            lane.read_code(lane.lane, self.used.code)
            yield 6_000
        if vehicle.exit is Manner.LOST:
            vehicle.lost, vehicle.paper = vehicle.paper, None
        yield from self._get_out(lane, vehicle)
        if vehicle.exit is Manner.BACKS_OUT_AFTER:
            vehicle.exit = Manner.PLAIN
            yield from self._back_off(truth)
            return False
        passed = yield from self._drive(lane, vehicle, vehicle.exit)
        if passed:
            self.inside -= 1
            self.used = vehicle.paper
            self._served(lane)
        else:
            vehicle.exit = Manner.PLAIN
        self._free(truth)
        return passed

    def _get_out(self, lane: LaneDevices, vehicle: Vehicle) -> Process:
        """Show the ticket, pay, call for help; nobody gives up at an exit."""
        truth = lane.truth
        tries = 0
        while True:
            if truth.passable:
                closed = yield Until(lambda: not truth.passable, 15_000)
                if not closed:
                    if vehicle.paper is not None:
                        lane.read_code(lane.lane, vehicle.paper.code)
                        yield 1_500
                    return
            shown = vehicle.paper.code if vehicle.paper is not None else vehicle.right
            if shown:
                lane.read_code(lane.lane, shown)
                if vehicle.coupon:
                    yield from self._show_coupon(lane, vehicle)
                if (yield Until(lambda: truth.passable, PATIENCE_MS)):
                    return
            tries += 1
            if vehicle.paper is None and tries == 1 + bool(vehicle.right):
                inside_ms = self.kernel.now_ms - vehicle.entered_ms
                vehicle.paper = yield from self.desk.replace_lost(lane, inside_ms, vehicle.lost, vehicle.n)
            elif tries >= 2 and (yield from self._be_helped(lane, vehicle, tries)):
                return

    def _show_coupon(self, lane: LaneDevices, vehicle: Vehicle) -> Process:
        """Once, while the lane asks for the money; who has nothing to pay keeps it."""
        if not (yield Until(lambda: lane.truth.passable, vehicle.rng.randint(1_500, 5_000))):
            lane.read_code(lane.lane, vehicle.coupon)
            self.count("shows a coupon")
        vehicle.coupon = ""

    def _be_helped(self, lane: LaneDevices, vehicle: Vehicle, tries: int) -> Doing:
        """Pay a person, or have one open; whether the arm is up then."""
        if vehicle.paper is not None and tries == 2:
            yield from self.desk.pay_cash(vehicle.paper)
        else:
            self.desk.help(lane, "the arm stays down")
        return (yield Until(lambda: lane.truth.passable, 4 * PATIENCE_MS))

    # -- over the line -----------------------------------------------------------------------------------------------

    def _served(self, lane: LaneDevices) -> None:
        self.served[lane.lane] = self.served.get(lane.lane, 0) + 1

    def _drive(self, lane: LaneDevices, vehicle: Vehicle, manner: Manner) -> Doing:
        """From the arming loop to behind the arm; False when the vehicle is back on the street it came from."""
        truth = lane.truth
        yield vehicle.rng.randint(600, 1_500)
        truth.stand("closing")
        yield vehicle.rng.randint(700, 1_500)
        if manner is Manner.REVERSES:
            truth.leave("closing")
            yield vehicle.rng.randint(2_000, 4_000)
            truth.leave("arming")
            yield 8_000
            self.count("reversed")
            return False
        truth.leave("arming")
        if manner is Manner.LONG:
            yield 500
            truth.stand("arming")
            yield 900
            truth.leave("arming")
        yield vehicle.rng.randint(700, 1_500)
        if truth.has_reset:
            truth.stand("reset")
            yield 600
        truth.leave("closing")
        if manner is Manner.COMES_BACK:
            return (yield from self._come_back(truth, vehicle))
        if truth.has_reset:
            yield 700
            truth.leave("reset")
        if manner is Manner.TAILGATES:
            yield from self._tailgate(lane)
        yield 1_500
        return True

    def _come_back(self, truth: LaneTruth, vehicle: Vehicle) -> Doing:
        """Through, and out again over the entry before the arm is down: it takes a while to find the reverse gear."""
        yield vehicle.rng.randint(1_800, 2_400)
        if truth.arm.height < 300 and not truth.boom_off:
            if truth.has_reset:
                truth.leave("reset")
            return True
        truth.stand("closing")
        if truth.has_reset:
            yield 300
            truth.leave("reset")
        yield 1_000
        truth.stand("arming")
        yield 800
        truth.leave("closing")
        yield 1_000
        truth.leave("arming")
        yield 8_000
        self.count("came-back")
        return False

    def _tailgate(self, lane: LaneDevices) -> Process:
        """A second vehicle slips through behind this one, without a ticket."""
        truth = lane.truth
        yield 300
        if truth.arm.height < 300 and not truth.boom_off:
            return
        truth.stand("arming")
        yield 400
        truth.stand("closing")
        yield 700
        truth.leave("arming")
        yield 900
        if truth.has_reset:
            truth.stand("reset")
            yield 500
        truth.leave("closing")
        if truth.has_reset:
            yield 500
            truth.leave("reset")
        self.inside += 1 if lane.plan.kind.value == "entry" else -1
        self.count("tailgated")


def shortest(lanes: Sequence[LaneDevices]) -> LaneDevices:
    """The lane with the fewest vehicles before it."""
    return min(lanes, key=lambda devices: (len(devices.truth.queue) + devices.truth.busy, devices.lane))


def ways_out(entry: LaneDevices, exits: Sequence[LaneDevices]) -> Sequence[LaneDevices]:
    """The exits of the same area, and of these the ones for the same vehicles, if there are any."""
    near = [each for each in exits if each.plan.area == entry.plan.area] or exits
    return [each for each in near if each.plan.vehicle_type == entry.plan.vehicle_type] or near
