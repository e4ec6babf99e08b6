"""A real site file in the world: its own lanes, wires and money, faults that are named, and what came of each.

Rule 1: nothing of the real site is used but its file: the keys are thrown away, nothing is opened, nothing is sent.
Rule 2: how fast somebody watches changes nothing: the same file, faults and seed give the same journal.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from config.site import Site
from gatectl.domain import codec
from gatectl.domain import facts as f
from gatectl.domain.codes import problem
from gatectl.domain.ids import LaneId
from gatectl.domain.plan import SitePlan
from gatectl.domain.telling import tell
from gatectl.runtime import panel
from gatectl.world.chance import stream
from gatectl.world.faults import FAULTS, SITE_WIDE, Mending
from gatectl.world.kernel import Process, Until
from gatectl.world.named import Named, fitting, insisting, names, read
from gatectl.world.plans import rehearsed_plan
from gatectl.world.simulation import AUDIT_MS, ROUND_MS, Options, Result, World

MINUTE_MS: Final = 60_000
VEHICLES_PER_H: Final = 40.0
"""They come to each entry lane so often: a busy hour."""
STAY_MS: Final = (2 * MINUTE_MS, 15 * MINUTE_MS)
"""Short stays, so that exits are rehearsed too."""
FILLS: Final = 0.6
"""The share of its spots that a site fills: a small one is left sooner."""
FIRST_MS: Final = 2 * MINUTE_MS
GAP_MS: Final = 10 * MINUTE_MS
"""When faults begin that are named without a minute."""
OVER_MS: Final = 9 * 3_600_000
TOLD_MAX: Final = 200
"""Events kept to be shown."""
MET_MAX: Final = 2_000
"""Faults kept for the summary."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Satisfies gatectl.world.demand.Demand: the same all day."""

    per_hour: float
    stay_ms: tuple[int, int]
    name: str = "rehearsal"

    def rate(self, now_ms: int) -> tuple[int, float]:
        return now_ms + 24 * 60 * MINUTE_MS, self.per_hour

    def stays_ms(self, rng: Random, now_ms: int) -> int:
        return rng.randint(*self.stay_ms)


def busy(plan: SitePlan, entries: int) -> Busy:
    """As many as the entries can take, but no more inside than the spots hold."""
    per_hour = VEHICLES_PER_H * max(1, entries)
    longest = FILLS * len(plan.spots) / per_hour * 60 * MINUTE_MS * 2 if plan.spots else STAY_MS[1]
    most = max(2 * MINUTE_MS, min(STAY_MS[1], int(longest)))
    return Busy(per_hour, (min(STAY_MS[0], most // 2), most))


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened, in the words of `gatectl events`. `at_ms`: by the site's clock, right or wrong."""

    at_ms: int
    minute: float
    kind: str
    text: str


@dataclass(slots=True)
class Met:
    """A fault that came, and how the lanes that it concerns went on."""

    name: str
    what: str
    lane: LaneId | None
    began_ms: int
    until_ms: int
    """As far as is known by now."""
    ended_ms: int | None = None
    meanwhile: int = 0
    """Vehicles served while it lasted."""
    served_ms: int | None = None
    """When every lane concerned had served a vehicle again."""
    waits_for: set[LaneId] = field(default_factory=set)

    def __str__(self) -> str:
        return self.name + (f" ({self.what})" if self.what else "") + (f" at {self.lane}" if self.lane else "")

    def plain(self) -> dict[str, Any]:
        members = ("name", "what", "lane", "began_ms", "ended_ms", "meanwhile", "served_ms")
        return {name: getattr(self, name) for name in members}


@dataclass(slots=True)
class Tally:
    """What a lane did."""

    served: int = 0
    refused: int = 0
    voided: int = 0


@dataclass(frozen=True, slots=True)
class LaneSight:
    """A lane as the controller knows it (`known`: a row of gatectl.status/1) and as it truly is."""

    known: Mapping[str, Any] | None
    """None: the machine is off."""
    lane: LaneId
    kind: str
    arm: str
    arming: bool
    closing: bool
    limits: bool
    """Whether the controller can see the arm at all."""
    queue: int
    shown: str
    """What the driver is told; read only where there is a display."""
    display: bool
    tally: Tally


@dataclass(frozen=True, slots=True)
class Sight:
    """The site at one moment."""

    at_ms: int
    now_ms: int
    lanes: tuple[LaneSight, ...]
    problems: tuple[Mapping[str, str], ...]
    running: tuple[Met, ...]
    areas: tuple[Mapping[str, Any], ...]
    entered: int
    exited: int


class Rehearsal(World):
    """`faults` are the words of the command line; raises `named.FaultRefused` for one that cannot happen here."""

    def __init__(self, site: Site, faults: Sequence[str], seed: int, oddity: float, per_hour: float) -> None:
        plan, wired = rehearsed_plan(site, seed)
        super().__init__(Options(seed, oddity=oddity, faults_per_hour=per_hour, plan=plan, wired=wired))
        self.has_office = site.office is not None
        lanes = list(self.devices.values())
        self.named = read(faults, lanes, self.has_office, FIRST_MS, GAP_MS)
        self.motorists.demand = busy(plan, len(self.motorists.entries))
        self.met: list[Met] = []
        self.running: list[Met] = []
        self.tallies = {lane: Tally() for lane in self.devices}
        self.told: deque[Told] = deque(maxlen=TOLD_MAX)
        self.on_told: Callable[[Told], None] = lambda _: None

    # -- running -----------------------------------------------------------------------------------------------------

    def last_fault_ms(self) -> int:
        """When the last of the named faults begins."""
        return max((named.at_ms for named in self.named), default=0)

    def processes(self) -> Iterator[Process]:
        lanes = list(self.devices.values())
        yield self.motorists.arrivals()
        yield self.desk.rounds(lanes, self.lane, ROUND_MS)
        for n, named in enumerate(self.named):
            yield self._later(n, named)
        if self.options.faults_per_hour:
            yield self._by_chance(self.options.faults_per_hour)

    def advance(self, for_ms: int) -> None:
        """Let a little time pass, for whoever looks on; audited as a run is that nobody looks at."""
        audits = self.kernel.now_ms // AUDIT_MS
        self.kernel.run_to(self.kernel.now_ms + for_ms)
        if self.kernel.now_ms // AUDIT_MS != audits:
            self.inspector.audit(self.daemon)

    def _later(self, n: int, named: Named) -> Process:
        yield named.at_ms
        yield from self._happen(n, named)

    def _by_chance(self, per_hour: float) -> Process:
        """Faults come as they come, where they can."""
        rng, lanes, n = stream("rehearsed", self.options.seed), list(self.devices.values()), len(self.named)
        while self.weather.active:
            yield max(100, int(rng.expovariate(per_hour / 3_600_000)))
            name, lane = rng.choice(names()), rng.choice(lanes)
            n += 1
            if self.weather.active and lane in fitting(name, [lane], self.has_office):
                at = None if name in SITE_WIDE else lane.lane
                self.kernel.start(self._happen(n, Named(name, (), at, self.kernel.now_ms)))

    def _happen(self, n: int, named: Named) -> Process:
        """One fault from its beginning until it is mended; it waits for another of its kind at the same place."""
        weather, key = self.weather, f"{named.name} {named.lane or ''}"
        yield Until(lambda: key not in weather.busy, OVER_MS)
        if not weather.active or key in weather.busy or len(self.met) >= MET_MAX:
            return
        weather.busy.add(key)
        weather.counts[named.name] = weather.counts.get(named.name, 0) + 1
        concerned = set(self.devices) if named.lane is None else {named.lane}
        met = Met(named.name, "", named.lane, self.kernel.now_ms, self.kernel.now_ms, waits_for=concerned)
        self.met.append(met)
        self.running.append(met)
        rng = insisting(f"named {self.options.seed} {n}", named.what)
        lane = self.devices[named.lane] if named.lane else next(iter(self.devices.values()))
        mending = FAULTS[named.name](replace(weather.world, rng=rng, n=n), lane)
        step = self._step(met, mending, None)
        met.what = " ".join(rng.drawn)
        self._say(f"fault.{named.name}", f"fault: {met} begins")
        while step is not None:
            came_true = yield step
            step = self._step(met, mending, came_true)
        met.ended_ms = self.kernel.now_ms
        self._say(f"fault.{named.name}", f"fault: {met} is over")
        self.running.remove(met)
        weather.busy.discard(key)
        self.kernel.changed()

    def _step(self, met: Met, mending: Mending, value: bool | None) -> int | Until | None:
        try:
            wanted = next(mending) if value is None else mending.send(value)
        except StopIteration:
            return None
        met.until_ms = self.kernel.now_ms + (wanted if isinstance(wanted, int) else wanted.timeout_ms)
        return wanted

    # -- looking on --------------------------------------------------------------------------------------------------

    def _witness(self, fact: f.Fact) -> None:
        self.ledger.witness(fact)
        if isinstance(fact, f.VehicleEntered | f.VehicleExited):
            self._served(fact.lane)
        elif isinstance(fact, f.CodeRefused):
            self.tallies[fact.lane].refused += 1
        elif isinstance(fact, f.TicketVoided) and fact.lane is not None:
            self.tallies[fact.lane].voided += 1
        self._say(fact.kind, tell(fact.kind, json.loads(codec.encode(fact))))

    def _served(self, lane: LaneId) -> None:
        self.tallies[lane].served += 1
        for met in self.met:
            if met.served_ms is None and (met.lane is None or met.lane == lane):
                if met.ended_ms is None:
                    met.meanwhile += 1
                else:
                    met.waits_for.discard(lane)
                    met.served_ms = None if met.waits_for else self.kernel.now_ms

    def _say(self, kind: str, text: str) -> None:
        told = Told(self.clock.wall_ms(), self.kernel.now_ms / MINUTE_MS, kind, text)
        self.told.append(told)
        self.on_told(told)

    def sight(self) -> Sight:
        """The site now, in the words of gatectl.status/1."""
        site = self.daemon.site
        return Sight(
            at_ms=self.clock.wall_ms(),
            now_ms=self.kernel.now_ms,
            lanes=tuple(self._lane_sight(lane) for lane in self.devices),
            problems=tuple(self._problems()),
            running=tuple(self.running),
            areas=tuple(panel.area_rows(site, self.daemon.now())) if site is not None else (),
            entered=self.ledger.entered,
            exited=self.ledger.exited,
        )

    def _lane_sight(self, name: LaneId) -> LaneSight:
        devices, site = self.devices[name], self.daemon.site
        truth = devices.truth
        known = panel.lane_row(site.lanes[name], panel.lane_faults(site, name), None, None) if site else None
        arm = "up" if truth.arm.is_up else "down" if truth.arm.is_down else "between"
        return LaneSight(
            known=known,
            lane=name,
            kind=devices.plan.kind.value,
            arm="broken" if truth.boom_off else arm,
            arming=truth.is_on("arming"),
            closing=truth.is_on("closing"),
            limits=truth.has_limits,
            queue=len(truth.queue) + truth.busy,
            shown=devices.shown,
            display="display" in devices.device_of,
            tally=self.tallies[name],
        )

    def _problems(self) -> Iterator[Mapping[str, str]]:
        site = self.daemon.site
        if site is None:
            yield problem("", "E-CON-01")
            return
        yield from panel.problems(site, None, has_office=False, quality=self.clock.quality)
        if self.has_office and site.books.office_lost is not None:
            yield problem("", "E-SYNC-01")

    def plain(self, result: Result) -> dict[str, Any]:
        """gatectl.simulate/1, with what came of each lane and fault."""
        lanes = [
            {"lane": lane, "kind": self.devices[lane].plan.kind.value, "served": tally.served}
            | {"refused": tally.refused, "voided": tally.voided}
            for lane, tally in self.tallies.items()
        ]
        more = {
            "site": self.plan.site,
            "name": self.plan.name,
            "lanes": lanes,
            "met": [met.plain() for met in self.met],
        }
        return {**result.plain(), **more}
