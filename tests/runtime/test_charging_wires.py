"""From the cable to the bill: a charge point with its faults, through websocket, wiring and core, in both versions of OCPP."""

import threading
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from charging_stories import EV_1, ev_story, extras

from drivers.api import ChargerReport, Signal
from drivers.links.ocpp_server import OcppBus
from drivers.ocpp_options import PointOptions, ServerOptions
from drivers.sim.ocpp import PROTOCOLS, ChargePointSim
from gatectl.domain.effects import Reply, SteerCharger
from gatectl.domain.records.charging import CHARGERS, SESSIONS, ChargingEnded, ChargingNotDone
from gatectl.runtime.clock import SystemClock
from gatectl.runtime.effects import Effects
from gatectl.runtime.wiring import Wiring

WAIT_S = 15.0


class Chain:
    """A core behind a real link: what it decides is performed at once."""

    def __init__(self) -> None:
        self.story = ev_story()
        self.ticket = self.story.enter().ticket
        self.lock = threading.Lock()
        self.heard = threading.Condition()
        points = {EV_1.charger: (EV_1.device, EV_1.connector)}
        self.wiring = Wiring((), {}, points)
        self.bus = OcppBus("chargers", ServerOptions("127.0.0.1", 0), [PointOptions(EV_1.device, "CP-1", "", 60_000)])
        self.effects = Effects(
            site_name="Story",
            zone=ZoneInfo("Europe/Amsterdam"),
            clock=SystemClock(),
            wires={},
            buses={EV_1.device: self.bus},
            answer=self.hear,
            replied=lambda reply: None,
            sign=lambda effect: None,
            way_is_clear=lambda lane: False,
            chargers=points,
        )
        self.bus.start(self.hear)
        assert self.bus.bound.wait(WAIT_S)

    def hear(self, signal: Signal) -> None:
        with self.lock:
            for event in self.wiring.translate(signal):
                before = len(self.story.effects)
                self.story.tell(event)
                for effect in self.story.effects[before:]:
                    if isinstance(effect, Reply | SteerCharger):
                        self.effects.perform(effect)
        with self.heard:
            self.heard.notify_all()
        assert not isinstance(signal, ChargerReport) or signal.device == EV_1.device

    def ended(self) -> list[ChargingEnded]:
        return [fact for fact in self.story.facts if isinstance(fact, ChargingEnded)]

    def lines(self) -> dict[str, int]:
        with self.lock:
            return dict(extras(self.story, self.ticket))


@pytest.fixture
def chain() -> Iterator[Chain]:
    made = Chain()
    yield made
    made.bus.close()
    assert "" == made.bus.failed


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_cut_in_the_middle_and_a_late_end_cost_what_was_delivered(chain: Chain, protocol: str) -> None:
    """The network goes while the car charges; what happened meanwhile is told after it, its end twice."""
    with ChargePointSim(f"ws://127.0.0.1:{chain.bus.port}/ocpp", "CP-1", protocol) as point:
        point.call()
        point.boot()
        point.begin(chain.ticket)
        point.charge(3_000)
        point.vanish()
        point.offline()
        point.charge(5_000)
        point.end()
        point.online()
        point.repeat()

    assert {"Charging EV-1, connection": 100, "Charging EV-1, 8.000 kWh": 472} == chain.lines()
    assert 1 == len(chain.ended())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_reboot_forgets_a_transaction_and_the_next_one_ends_it(chain: Chain, protocol: str) -> None:
    """Power goes and comes at the charger: each of the two sessions costs what its meter moved."""
    with ChargePointSim(f"ws://127.0.0.1:{chain.bus.port}/ocpp", "CP-1", protocol) as point:
        point.call()
        point.boot()
        point.begin(chain.ticket)
        point.charge(3_000)
        point.reboot()
        point.begin(chain.ticket)
        point.charge(1_000)
        point.end()

    assert ["superseded", "EVDisconnected"] == [ended.reason for ended in chain.ended()]
    assert {177, 59} == {amount for text, amount in chain.lines().items() if text.endswith("kWh")}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_meter_that_goes_backwards_and_a_fault_are_seen(chain: Chain, protocol: str) -> None:
    """The last reading is not believed; the connector's fault is on its row."""
    with ChargePointSim(f"ws://127.0.0.1:{chain.bus.port}/ocpp", "CP-1", protocol) as point:
        point.call()
        point.boot()
        point.begin(chain.ticket)
        point.charge(4_000)
        point.end(meter_wh=10)
        point.fault()

    assert [("meter-backwards", 4_000)] == [(ended.doubt, ended.energy_wh) for ended in chain.ended()]
    row = chain.story.site.books.tables.get(CHARGERS, "EV-1")
    assert row is not None
    assert ("faulted", protocol) == (row["status"], row["protocol"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_person_stops_it_and_a_refusal_is_on_record(chain: Chain, protocol: str) -> None:
    """It is asked only after the record; that it will not is told to nobody but the journal."""
    with ChargePointSim(f"ws://127.0.0.1:{chain.bus.port}/ocpp", "CP-1", protocol) as point:
        point.call()
        point.boot()
        point.begin(chain.ticket)
        point.obeys = False
        with chain.lock:
            (session,) = chain.story.site.books.tables.all(SESSIONS)
            steer = SteerCharger("EV-1", "stop", str(session["transaction_id"]), 2**50)
        chain.effects.perform(steer)
        with chain.heard:
            assert chain.heard.wait_for(lambda: chain.story.has(ChargingNotDone), WAIT_S)

    assert [("stop", str(session["transaction_id"]))] == point.asks
