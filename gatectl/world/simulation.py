"""A site's days in minutes: the production core under a virtual clock, against a world that is seeded and looked at every step.

One seed is one run: the same seed gives the same journal head. Nothing here waits, sleeps, writes a file or starts a thread.
"""

import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

from gatectl.domain import effects as fx
from gatectl.domain.events import OfficeWent
from gatectl.domain.facts import CodeRefused, Fact
from gatectl.domain.ids import LaneId, PaymentId
from gatectl.domain.lane import Lane, LanePlan
from gatectl.domain.plan import SitePlan
from gatectl.world import demand, liveness
from gatectl.world.chance import ALL, Chosen, stream
from gatectl.world.charging import Charging, with_chargers
from gatectl.world.clerk import Clerk
from gatectl.world.daemon import Daemon, WallClock
from gatectl.world.desk import Desk
from gatectl.world.devices import LaneDevices, Site, is_entry
from gatectl.world.disk import Disk, SiteDisk
from gatectl.world.ends import both_ends_agree
from gatectl.world.faults import FAULTS, Faults, Weather
from gatectl.world.histories import Histories
from gatectl.world.inspector import Inspector
from gatectl.world.kernel import Kernel, Process
from gatectl.world.ledger import Broken, Ledger, hold
from gatectl.world.motorists import Motorists
from gatectl.world.offers import Offers
from gatectl.world.office import Office
from gatectl.world.plans import site_plan
from gatectl.world.rights import Rights
from gatectl.world.road import ROADS_MS, Road
from gatectl.world.signer import Signer
from gatectl.world.steward import Steward
from gatectl.world.store_disk import StoreDisk
from gatectl.world.terminal import Terminal
from gatectl.world.uplink import Uplink

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
AUDIT_MS: Final = HOUR_MS
FRAMES_TOLD: Final = 5
ROUND_MS: Final = 20 * 60_000
"""A technician looks at every lane this often, at the latest."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is simulated."""

    seed: int
    days: float = 1.0
    lanes: int = 4
    oddity: float = 0.15
    """The share of drivers who do something unusual, each way."""
    faults_per_hour: float = 4.0
    """How many faults begin in an hour, on average; 0: nothing ever breaks."""
    kinds: tuple[str, ...] = tuple(FAULTS)
    """The faults there are, by their names in `FAULTS`."""
    faults_chosen: Chosen = ALL
    drivers_chosen: Chosen = ALL
    """Which of the faults and drivers that the seed draws take part, by their numbers."""
    demand: str = ""
    """One of `demand.KINDS`; drawn by the seed if it is empty."""
    plan: SitePlan | None = None
    """The site; made up by the seed if there is none."""
    wired: Mapping[LaneId, Mapping[str, str]] = field(default_factory=dict)
    """Of a real site's lanes: role to device."""
    disk: Literal["memory", "store"] = "memory"
    """What the journal is on: a list, or the production store on a simulated platter. The same seed gives the same head."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to. `broken` is empty when every invariant held."""

    seed: int
    demand: str
    broken: str
    head: str
    records: int
    entered: int
    exited: int
    faults: int
    events: int
    simulated_ms: int
    wall_s: float
    seen: dict[str, int]
    visited: frozenset[tuple[str, str]]

    @property
    def ok(self) -> bool:
        return not self.broken

    @property
    def speed(self) -> int:
        """Simulated seconds per second."""
        return int(self.simulated_ms / 1_000 / self.wall_s) if self.wall_s else 0

    def plain(self) -> dict[str, Any]:
        return {
            "schema": "gatectl.simulate/1",
            "ok": self.ok,
            "seed": self.seed,
            "demand": self.demand,
            "head": self.head,
            "records": self.records,
            "entered": self.entered,
            "exited": self.exited,
            "faults": self.faults,
            "speed": self.speed,
            "broken": self.broken,
        }


class World:
    """Everything of one run. `run` it once."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.kernel = kernel = Kernel()
        made_up = with_chargers(site_plan(options.seed, options.lanes, spots=60 * options.lanes), options.seed)
        plan = options.plan or made_up
        self.plan = plan
        self._power = self._rng("power")
        self.ledger = Ledger(self._paid)
        self.ledger.rights.begin(plan)
        self.ledger.money.plan = plan
        self.inspector = Inspector(plan, self.ledger)
        self.disk = self._disk()
        self.clock = WallClock(kernel)
        self.daemon = Daemon(
            kernel,
            plan,
            self.disk,
            self.clock,
            self._rng("daemon"),
            self._perform,
            lambda: self.uplink.committed(),  # noqa: PLW0108  # made below
            self.inspector,
        )
        self.daemon.started, self.daemon.stopped = self._started, lambda: self.uplink.cut()  # noqa: PLW0108  # made below
        self.office = Office(plan.site, zstd=options.seed % 4 == 0)
        self.uplink = Uplink(
            kernel,
            self._rng("uplink"),
            self.disk,
            Road(kernel, self._rng("road"), self.office, ms=ROADS_MS[options.seed % len(ROADS_MS)]),
            self.clock.wall_ms,
            lambda up, why: self.daemon.post(OfficeWent(up, why)),
            stands=self.daemon.post,
            failed=self.daemon.fail,
        )
        self.broken = ""
        self._furnish(kernel, plan)
        self._spoil(kernel)

    def _furnish(self, kernel: Kernel, plan: SitePlan) -> None:
        """Devices, and people who come to them."""
        options = self.options
        site = Site(
            kernel,
            self._rng("devices"),
            self.daemon.post,
            lambda: self.daemon.life,
            lambda: self.daemon.now().mono_ms,
        )
        self.devices = {
            lane.lane: self.devices_for(replace(site, rng=self._rng(f"devices {lane.lane}")), lane)
            for lane in plan.lanes
        }
        self.signs: dict[str, str] = {}
        """What signs show: the newest text under each name."""
        self.terminals = {
            lane: Terminal(devices, self._rng(f"offline {lane}"))
            for lane, devices in self.devices.items()
            if devices.plan.has_terminal
        }
        self.signer = Signer(kernel, self._rng("signer"), self.daemon.post, lambda: self.daemon.life)
        self.desk = Desk(kernel, self._rng("desk"), self.daemon.post)
        self.charging = Charging(kernel, options.seed, plan, self.ledger, self.daemon.post)
        self.clerk = Clerk(self.daemon, self.desk, options.seed)
        self.motorists = Motorists(
            kernel,
            options.seed,
            [devices for devices in self.devices.values() if is_entry(devices)],
            [devices for devices in self.devices.values() if not is_entry(devices)],
            self.desk,
            options.oddity,
            self._card,
            demand.drawn(options.seed, len(plan.spots), (options.lanes + 1) // 2, options.demand),
            options.drivers_chosen,
        )

        self.rights = Rights(
            kernel,
            options.seed,
            plan,
            self.motorists,
            self.daemon.post,
            lambda: self.clock.wall_ms() - self.clock.off_ms,
        )
        self.motorists.pass_of = self.rights.pass_of
        self.offers = Offers(kernel, options.seed, plan, self.motorists, self.desk)
        self.motorists.coupon_of, self.motorists.shops = self.offers.coupon_of, self.offers.shops

    def _spoil(self, kernel: Kernel) -> None:
        """Whatever can go wrong."""
        options = self.options
        self.histories = Histories(
            kernel,
            options.seed,
            self.daemon,
            self.ledger,
            self.uplink,
            self.desk,
            self.terminals,
            self.cut,
            self.boot,
        )
        reach = Faults(
            kernel,
            list(self.devices.values()),
            self.daemon,
            self.clock,
            self.uplink.road,
            self.desk,
            self.cut,
            self.boot,
            self.histories,
            self._rng("faults"),
        )
        self.weather = Weather(reach, options.seed, options.faults_per_hour, options.kinds, options.faults_chosen)

    def _disk(self) -> SiteDisk:
        if self.options.disk == "store":
            return StoreDisk(self.plan, self._witness, self._rng("disk"))
        return Disk(self.plan, self._witness)

    def _witness(self, fact: Fact) -> None:
        self.ledger.witness(fact)
        if isinstance(fact, CodeRefused) and fact.lane in self.motorists.showing:
            self.ledger.rights.turned_away(self.motorists.showing[fact.lane], fact.why)

    def _rng(self, name: str) -> Random:
        """A stream of its own for each part: a change to one leaves the others as they were."""
        return stream(name, self.options.seed)

    # -- wiring ------------------------------------------------------------------------------------------------------

    def devices_for(self, site: Site, plan: LanePlan) -> LaneDevices:
        """The simulated devices of one lane."""
        return LaneDevices(site, plan, self.options.wired.get(plan.lane))

    def _perform(self, effect: fx.Effect) -> None:
        if isinstance(effect, fx.Reply):
            self.desk.replied(effect)
            self.charging.replied(effect)
        elif isinstance(effect, fx.SignEntry):
            self.signer.ask(effect)
        elif isinstance(effect, fx.Authorise | fx.CancelPayment | fx.QueryPayment | fx.ReversePayment):
            terminal = self.terminals[effect.lane]
            _MONEY[type(effect)](terminal, effect)
        elif isinstance(effect, fx.Announce):
            self.signs.update(effect.signs)
        elif not isinstance(effect, fx.SteerCharger):  # nobody here asks a charger for anything
            self.devices[effect.lane].perform(effect)

    def _paid(self, payment: PaymentId, amount_minor: int) -> None:
        for terminal in self.terminals.values():
            terminal.approved.pop(payment, None)

    def _card(self, devices: LaneDevices, works: bool) -> None:
        if devices.lane in self.terminals:
            self.terminals[LaneId(devices.lane)].card_works = works

    # -- running -----------------------------------------------------------------------------------------------------

    def run(self) -> Result:
        """Until the end, or until something is broken."""
        began_s = time.perf_counter()
        try:
            self.attempt(self._live)
            return self.result(time.perf_counter() - began_s)
        finally:
            self.disk.close()

    def attempt(self, part: Callable[[], None]) -> bool:
        """Do a part of the run. False when an invariant does not hold: `broken` says which, and nothing may be done any more."""
        try:
            part()
        except Broken as error:
            self.broken = f"{error} (at {self.kernel.now_ms} ms)"
        except Exception as error:  # noqa: BLE001  # whatever the core raises is an invariant broken: nothing stops a daemon
            self.broken = f"nothing stops the daemon: {_told(error)} (at {self.kernel.now_ms} ms)"
        return not self.broken

    def result(self, wall_s: float) -> Result:
        return Result(
            seed=self.options.seed,
            demand=self.motorists.demand.name,
            broken=self.broken,
            head=self.disk.position().head.hex(),
            records=self.disk.position().seq,
            entered=self.ledger.entered,
            exited=self.ledger.exited,
            faults=self.weather.begun,
            events=self.daemon.events,
            simulated_ms=self.kernel.now_ms,
            wall_s=wall_s,
            seen=self._seen(),
            visited=frozenset(self.inspector.visited),
        )

    def _seen(self) -> dict[str, int]:
        looked = Counter(
            {
                "closing overtaken by a vehicle": self.inspector.overtaken,
                "told that it is full": self.inspector.full,
                "signature unit failed": self.signer.outages,
            }
        )
        histories = dict(self.histories.happened)
        return (
            self.ledger.kinds
            | self.motorists.counts
            | self.weather.counts
            | histories
            | self.charging.counts
            | dict(+looked)
        )

    def _live(self) -> None:
        self.begin()
        self.go_on(int(self.options.days * DAY_MS))
        self.wind_up()

    def begin(self) -> None:
        """The site starts, the first vehicles set out."""
        for devices in self.devices.values():
            devices.truth.begin()
        self.boot()
        for process in self.processes():
            self.kernel.start(process)

    def processes(self) -> Iterator[Process]:
        """Whatever goes on as long as the run lasts."""
        yield self.motorists.arrivals()
        yield self.rights.feed()
        yield self.rights.sales()
        yield self.offers.guests_come()
        yield self.histories.keep_backups()
        yield self.histories.people()
        yield Steward(self.daemon, self.desk, self.ledger, self.options.seed).rounds()
        yield from self.clerk.processes()
        yield from self.charging.processes()
        yield self.desk.rounds(list(self.devices.values()), self.lane, ROUND_MS)
        if self.options.faults_per_hour:
            yield self.weather.run()

    def go_on(self, for_ms: int, until: Callable[[], bool] = lambda: False, step_ms: int = AUDIT_MS) -> None:
        """Let time pass, with an audit at every step and at the end."""
        end_ms = self.kernel.now_ms + for_ms
        while self.kernel.now_ms < end_ms and not until():
            self.kernel.run_to(min(end_ms, self.kernel.now_ms + step_ms))
            self.inspector.audit(self.daemon)
            self.charging.nothing_is_billed_that_was_not_delivered()

    def wind_up(self) -> None:
        """Nothing breaks any more, what is broken is mended: then everything must serve again."""
        self.weather.active = self.motorists.open = self.charging.open = self.clerk.open = False
        self.go_on(8 * HOUR_MS, lambda: not self.weather.busy)
        hold(not self.weather.busy, "every fault ends", str(self.weather.busy))
        self.go_on(2 * HOUR_MS)
        liveness.every_lane_serves_again(self)
        liveness.the_office_has_everything(self)
        both_ends_agree(self.histories)
        liveness.all_money_is_on_record(self)
        liveness.signs_show_what_is_free(self)
        if not self.weather.counts:
            liveness.the_count_is_the_truth(self)

    # -- power ---------------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        if self.daemon.site is None:
            self.daemon.boot()

    def _started(self) -> None:
        assert self.daemon.site is not None
        self.uplink.boot(self.daemon.site.boot.boot_id)
        for devices in self.devices.values():
            devices.started()

    def cut(self) -> None:
        """Everything in memory is gone; what the disk has must agree with the second bookkeeper."""
        self.daemon.cut(torn=self._power.random() < 0.5)
        self.uplink.cut()
        self.inspector.audit(self.daemon)

    def lane(self, lane: LaneId) -> Lane | None:
        """As `gatectl lane show` tells it; None while the daemon is down."""
        return self.daemon.site.lanes[lane] if self.daemon.site is not None else None


_MONEY: Final[dict[type, Callable[[Terminal, Any], None]]] = {
    fx.Authorise: Terminal.authorise,
    fx.CancelPayment: Terminal.cancel,
    fx.QueryPayment: Terminal.query,
    fx.ReversePayment: Terminal.reverse,
}


def _told(error: Exception) -> str:
    """An exception and where it came from, the innermost frames first."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_TOLD:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"{type(error).__name__}: {error} in {places}"


def simulate(options: Options) -> Result:
    """One run."""
    return World(options).run()
