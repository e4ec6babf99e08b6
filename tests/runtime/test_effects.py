"""Effects become orders with deadlines on real time; what cannot be handed over is refused through the same door."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC

import pytest

from drivers import api
from gatectl.domain import effects as e
from gatectl.domain.ids import JobId, LaneId, PaymentId, RequestId, TicketNumber, VendId
from gatectl.runtime.clock import Origin, SystemClock
from gatectl.runtime.effects import SHORT_ORDER_MS, Effects
from gatectl.runtime.wiring import LaneWires, Wiring

IN, OUT = LaneId("IN-1"), LaneId("OUT-1")
SPEED = 10
NOW_MS = 5_000
"""Real monotonic time in these tests; the core's is ten times that."""
DEADLINE = (NOW_MS + 700) * SPEED
PULSES = {"open": 400, "close": 300, "stop": 200}
WIRES = {
    IN: LaneWires(
        IN, {"open": ("io", "do0"), "close": ("io", "do1"), "stop": ("io", "do2"), "printer": ("prn", "")}, PULSES
    ),
    OUT: LaneWires(OUT, {"open": ("lost", "do0"), "terminal": ("trm", ""), "display": ("sign", "")}, PULSES),
}


class StandingClock(SystemClock):
    def monotonic_ms(self) -> int:
        return NOW_MS


@dataclass
class FakeBus:
    name: str = "bus"
    turns: int = 0
    failed: str = ""
    ordered: list[tuple[str, api.Order]] = field(default_factory=list)

    def start(self, sink: api.Sink) -> None: ...

    def order(self, device: str, order: api.Order) -> None:
        self.ordered.append((device, order))

    def counters(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None: ...


@dataclass
class Stage:
    bus: FakeBus = field(default_factory=FakeBus)
    answered: list[api.Signal] = field(default_factory=list)
    replied: list[e.Reply] = field(default_factory=list)
    signed: list[e.SignEntry] = field(default_factory=list)
    clear: bool = True

    def perform(self, *effects: e.Effect) -> None:
        buses = dict.fromkeys(("io", "prn", "trm", "sign", "kiosk"), self.bus)
        clock = StandingClock(SPEED, Origin(0, 0))
        doer = Effects(
            "Story",
            UTC,
            clock,
            WIRES,
            buses,
            self.answered.append,
            self.replied.append,
            self.signed.append,
            lambda _: self.clear,
        )
        for effect in effects:
            doer.perform(effect)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize(
    ("effect", "point", "width_ms", "verb"),
    [
        (e.OpenArm(IN, VendId("v1"), DEADLINE), "do0", 400, "open"),
        (e.CloseArm(IN, VendId("v1"), DEADLINE), "do1", 300, "close"),
        (e.StopArm(IN, VendId("v1"), DEADLINE), "do2", 200, "stop"),
    ],
)
def test_an_arm_is_one_pulse_with_a_deadline(
    stage: Stage, effect: e.Effect, point: str, width_ms: int, verb: str
) -> None:
    """Its width is the lane's, its deadline on the wire's own time, whatever the speed of the lanes."""
    stage.perform(effect)

    assert [("io", api.Pulse(f"IN-1|{verb}|v1", point, width_ms, NOW_MS + 700))] == stage.bus.ordered


def test_a_close_that_a_vehicle_has_overtaken_is_not_performed(stage: Stage) -> None:
    """Decided over a clear way, committed on a slow disk; by then the core knows of a vehicle: refused, nothing moves."""
    stage.clear = False
    stage.perform(e.CloseArm(IN, VendId("v1"), DEADLINE), e.OpenArm(IN, VendId("v2"), DEADLINE))

    assert ["IN-1|open|v2"] == [order.order for _, order in stage.bus.ordered]
    ((refused),) = stage.answered
    assert isinstance(refused, api.Outcome)
    assert ("IN-1|close|v1", api.Result.REFUSED) == (refused.order, refused.result)


def test_a_ticket_is_printed_under_its_job_with_its_code(stage: Stage) -> None:
    """The document carries number and code; a late one is not printed."""
    printed = e.PrintTicket(IN, JobId("j1"), TicketNumber("000001-K7QF"), "A" * 56, 0, "A-1", "3 an hour", DEADLINE)

    stage.perform(printed)

    ((device, order),) = stage.bus.ordered
    assert isinstance(order, api.Print)
    assert ("prn", "IN-1|print|j1", NOW_MS + 700) == (device, order.order, order.deadline_ms)
    assert api.Qr("A" * 56) in order.document


def test_money_orders_carry_the_key(stage: Stage) -> None:
    """The terminal is asked, cancelled and asked again under one idempotency key."""
    key, soon = PaymentId("p-1"), NOW_MS + SHORT_ORDER_MS

    stage.perform(
        e.Authorise(OUT, key, TicketNumber("000001-K7QF"), 250, "EUR", DEADLINE),
        e.CancelPayment(OUT, key),
        e.QueryPayment(OUT, key),
    )

    assert [
        ("trm", api.Charge("OUT-1|charge|p-1", "p-1", 250, "EUR", "000001-K7QF", NOW_MS + 700)),
        ("trm", api.CancelCharge("OUT-1|cancel|p-1", "p-1", soon)),
        ("trm", api.QueryCharge("OUT-1|query|p-1", "p-1", soon)),
    ] == stage.bus.ordered


def test_orders_without_a_deadline_of_their_own_get_a_short_one(stage: Stage) -> None:
    """A text for a driver who has left is worth nothing."""
    soon = NOW_MS + SHORT_ORDER_MS

    stage.perform(e.ShowText(OUT, "Welcome"), e.RetractTicket(IN, JobId("j1")))

    assert [("sign", api.Show("OUT-1|show|", "Welcome", soon)), ("prn", api.Retract("IN-1|retract|j1", soon))] == (
        stage.bus.ordered
    )


def test_a_lane_without_a_display_ignores_texts(stage: Stage) -> None:
    """Nobody hears of it."""
    stage.perform(e.ShowText(IN, "Welcome"))

    assert ([], []) == (stage.bus.ordered, stage.answered)


@pytest.mark.parametrize(
    ("effect", "order", "why"),
    [
        (e.OpenArm(OUT, VendId("v"), DEADLINE), "OUT-1|open|v", "OUT-1 has no open"),  # wired to a device on no bus
        (e.CloseArm(OUT, VendId("v"), DEADLINE), "OUT-1|close|v", "OUT-1 has no close"),
        (e.RetractTicket(OUT, JobId("j")), "OUT-1|retract|j", "OUT-1 has no printer"),
        (e.QueryPayment(IN, PaymentId("p")), "IN-1|query|p", "IN-1 has no terminal"),
    ],
)
def test_what_cannot_be_handed_over_is_refused(stage: Stage, effect: e.Effect, order: str, why: str) -> None:
    """The lane always hears: it must not wait for a device that is not there."""
    stage.perform(effect)

    assert [] == stage.bus.ordered
    (outcome,) = stage.answered
    assert isinstance(outcome, api.Outcome)
    assert (order, api.Result.REFUSED, why) == (outcome.order, outcome.result, outcome.detail)


@pytest.mark.parametrize(
    "request_id", ["r1", "a|station|b", "kiosk|station|5", "order:station|kiosk|5", "office:c1", "pay:x|station|y", "|"]
)
def test_a_persons_reply_goes_to_the_person(stage: Stage, request_id: str) -> None:
    """Whatever a caller of the control socket chose as its id: no station gets it, and the writer survives it."""
    reply = e.Reply(RequestId(request_id), "", "done")

    stage.perform(reply)

    assert ([reply], []) == (stage.replied, stage.bus.ordered)


@pytest.mark.parametrize(
    ("reply", "ok", "data"),
    [
        (("", "quoted", {"due_minor": 250}), True, {"due_minor": 250}),
        (("E-TKT-04", "used", {}), False, {"code": "E-TKT-04", "message": "used"}),
    ],
)
def test_a_stations_reply_goes_back_to_it(
    stage: Stage, reply: tuple[str, str, dict[str, object]], ok: bool, data: dict[str, object]
) -> None:
    """Under the id that the station itself gave, bars and all."""
    (asked,) = Wiring((), {"kiosk": "PS-1"}).translate(api.StationRequest("kiosk", "7|x", "quote", "CODE"))

    stage.perform(e.Reply(asked.request, *reply))  # type: ignore[union-attr]  # it is a StationAsked

    ((device, answer),) = stage.bus.ordered
    assert isinstance(answer, api.StationAnswer)
    assert ("kiosk", "7|x", ok, data) == (device, answer.request, answer.ok, answer.data)
    assert [] == stage.replied
