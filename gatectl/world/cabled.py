"""The wired world: the production core and the production drivers under one virtual clock, with bytes between them and devices.

The same motorists, faults, ledger and inspector as `simulation.World`; slower by the polling, so for minutes and hours. What
holds here beside its invariants is in `cables_watch`; that lanes serve again does so within `SERVE_MS_MAX`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from drivers import api
from drivers.codecs.pay_json import StationAsk, StationReply
from gatectl.domain import effects as fx
from gatectl.domain.events import Event, StationAsked
from gatectl.domain.ids import LaneId, PaymentId, RequestId
from gatectl.domain.lane import LanePlan, Layout
from gatectl.runtime.clock import SystemClock
from gatectl.runtime.effects import Effects
from gatectl.runtime.wiring import Wiring
from gatectl.world import liveness
from gatectl.world.cables import Host
from gatectl.world.cables_faults import CABLE_FAULTS, FITTING, Quick
from gatectl.world.cables_lane import CabledLane
from gatectl.world.cables_mqtt import Broker
from gatectl.world.cables_site import STATION, CableSite
from gatectl.world.cables_watch import CableWatch
from gatectl.world.chance import stream
from gatectl.world.devices import LaneDevices, Site
from gatectl.world.faults import FAULTS
from gatectl.world.kernel import Process
from gatectl.world.ledger import hold
from gatectl.world.simulation import HOUR_MS, Options, Result, World

MINUTE_MS: Final = 60_000
BACK_MS_MAX: Final = 30_000
"""After the last fault every device is back within this: the longest pause between two tries, and a whole greeting."""
SERVE_MS_MAX: Final = 30 * MINUTE_MS
"""Then a vehicle has gone in and out by every pair of lanes, its stay included."""
CALM_MS: Final = MINUTE_MS
"""What a lane may need to come to rest once its devices are back, with people and their patience in it."""
PER_HOUR: Final = 90.0
STAY_MS: Final = (MINUTE_MS, 7 * MINUTE_MS)
STEP_MS: Final = 30_000
PAID_WITHIN_MS: Final = 5_000
KINDS: Final = (*FITTING, *CABLE_FAULTS, "cable-ambush", "cable-ambush", "cable-ambush")
"""Drawn from as they stand: the moment of an order is worth more than any other."""


@dataclass(frozen=True, slots=True)
class Brisk:
    """Satisfies gatectl.world.demand.Demand: short stays, so that minutes show whole visits."""

    entries: int
    name: str = "brisk"

    def rate(self, now_ms: int) -> tuple[int, float]:
        return now_ms + HOUR_MS, PER_HOUR * self.entries

    def stays_ms(self, rng: Random, now_ms: int) -> int:
        return rng.randint(*STAY_MS)


class HostTime(SystemClock):
    """The controller's monotonic time, as the simulation tells it."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def monotonic_ms(self) -> int:
        return self._host.mono_ms()


def options(
    seed: int, minutes: float = 10.0, faults_per_hour: float = 240.0, lanes: int = 4, kinds: tuple[str, ...] = KINDS
) -> Options:
    """A wired run of some minutes, with everything that breaks."""
    return Options(seed, minutes / 1_440, lanes, oddity=0.2, faults_per_hour=faults_per_hour, kinds=kinds)


class CabledWorld(World):
    """Everything of one wired run. `run` it once."""

    def __init__(self, options: Options) -> None:
        self._seen_charges: dict[LaneId, int] = {}
        self.net: CableSite | None = None
        super().__init__(options)
        self.motorists.demand = Brisk(len(self.motorists.entries))
        self.desk.post = self._said_at_desk
        reach = self.weather.world
        self.weather.world = Quick(**{name: getattr(reach, name) for name in reach.__dataclass_fields__})
        self.weather.table = {**FAULTS, **CABLE_FAULTS}
        self._life = 0

    # -- building ----------------------------------------------------------------------------------------------------

    @property
    def cables(self) -> CableSite:
        if self.net is None:
            kernel, seed = self.kernel, self.options.seed
            host = Host(kernel, lambda: self.daemon.now().mono_ms)
            watch = CableWatch(kernel, host.mono_ms, lambda: self.cables.forged())  # noqa: PLW0108  # it is being made
            broker = Broker(kernel, stream("broker", seed))
            self.net = CableSite(kernel, seed, host, watch, broker, self._station_replied, self._till)
        return self.net

    def devices_for(self, site: Site, plan: LanePlan) -> LaneDevices:
        number = [lane.lane for lane in self.plan.lanes].index(plan.lane)
        pair = number // 2
        roles = self.cables.roles_of(plan, pair)
        lane = CabledLane(site, plan, roles, self.cables.watch, self._boot_drivers)
        self.cables.build(lane, pair)
        return lane

    # -- the daemon's drivers --------------------------------------------------------------------------------------------

    def _boot_drivers(self) -> None:
        """Called for every lane; once is enough."""
        if self._life == self.daemon.life:
            return
        self._life = life = self.daemon.life
        net = self.cables
        wiring = Wiring(tuple(net.wires.values()), {STATION: "PS-1"})

        def heard(signal: api.Signal) -> None:
            net.watch.heard(signal)
            for event in wiring.translate(signal):
                self.kernel.after(0, partial(self._post, life, event))

        net.boot(heard)
        self._effects = Effects(
            site_name=self.plan.name,
            zone=self.plan.zone,
            clock=HostTime(net.host),
            wires=net.wires,
            buses=net.buses,
            answer=heard,
            replied=self.desk.replied,
            sign=self.signer.ask,
            way_is_clear=self._way_is_clear,
        )

    def _post(self, life: int, event: Event) -> None:
        if life == self.daemon.life:
            self.daemon.post(event)

    def _way_is_clear(self, lane: LaneId) -> bool:
        assert self.daemon.site is not None
        known = self.daemon.site.lanes[lane]
        return known.closing.clear and (known.reset.clear or known.plan.layout is not Layout.THREE_LOOP)

    def _perform(self, effect: fx.Effect) -> None:
        if not isinstance(effect, fx.Reply | fx.SteerCharger | fx.SignEntry | fx.Announce):
            lane = self.devices[effect.lane]
            assert isinstance(lane, CabledLane)
            lane.spoil(effect)
        self._effects.perform(effect)

    def cut(self) -> None:
        super().cut()
        self.cables.close()

    # -- money -----------------------------------------------------------------------------------------------------------

    def _said_at_desk(self, event: Event) -> None:
        """What a pay station asks goes over its own link; what people ask goes to the control socket."""
        if not isinstance(event, StationAsked):
            self.daemon.post(event)
        elif event.code:
            self.cables.station.ask(StationAsk(event.request, event.what, event.code, event.tendered_minor))
            self.kernel.after(0, self.cables.far[STATION].turn)

    def _station_replied(self, reply: StationReply) -> None:
        data = dict(reply.data)
        code = "" if reply.ok else str(data.get("code", "E-?"))
        self.desk.replied(fx.Reply(RequestId(reply.re), code, str(data.get("message", "")), data))

    def _till(self, lane: LaneId) -> None:
        """The customer before a terminal: which card, and what was taken from it."""
        terminal, twin = self.terminals[lane], self.cables.terminals[lane]
        quirk = terminal.devices.quirks.get("terminal", "")
        refused = quirk if quirk in ("declined", "cancelled") else "" if terminal.card_works else "declined"
        twin.verdict, twin.lose_outcomes = refused or "approved", quirk in ("silent", "late")
        twin.after_ms = PAID_WITHIN_MS
        for payment, amount_minor, _ in list(twin.charged)[self._seen_charges.get(lane, 0) :]:
            terminal.approved[PaymentId(payment)] = amount_minor
        self._seen_charges[lane] = len(twin.charged)

    # -- running ---------------------------------------------------------------------------------------------------------

    def processes(self) -> Iterator[Process]:
        yield self.motorists.arrivals()
        yield self.desk.rounds(list(self.devices.values()), self.lane, 4 * MINUTE_MS)
        yield self._audits()
        if self.options.faults_per_hour:
            yield self.weather.run()

    def _audits(self) -> Process:
        while True:
            yield STEP_MS
            self.cables.watch.audit()

    def wind_up(self) -> None:
        """Nothing breaks any more: devices are back at once, and every lane serves again soon."""
        self.weather.active = self.motorists.open = False
        self.go_on(HOUR_MS, lambda: not self.weather.busy, STEP_MS)
        hold(not self.weather.busy, "every fault ends", str(self.weather.busy))
        self.cables.mend()
        self.go_on(BACK_MS_MAX)
        up = self.cables.watch.up
        away = sorted(device for device in self.cables.buses if not up.get(device))
        hold(not away, "every device is back soon after its cable", str(away))
        self.go_on(CALM_MS)
        liveness.every_lane_serves_again(self, STAY_MS[0], SERVE_MS_MAX)
        liveness.the_office_has_everything(self)
        liveness.all_money_is_on_record(self)
        if not self.options.faults_per_hour:
            liveness.the_count_is_the_truth(self)

    def _seen(self) -> dict[str, int]:
        harm: dict[str, int] = {}
        for port in self.cables.ports.values():
            for what, times in port.cable.counts.items():
                harm[f"cable {what}"] = harm.get(f"cable {what}", 0) + times
        return super()._seen() | self.cables.watch.counts | harm | {"forged frames": self.cables.forged()}


def simulate_cabled(seed: int, minutes: float = 10.0, faults_per_hour: float = 240.0) -> Result:
    """One wired run, for those who run many."""
    return CabledWorld(options(seed, minutes, faults_per_hour)).run()
