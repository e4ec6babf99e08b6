"""The Shelly engine against its twin in simulated time, with every fault of the link and of the device."""

import random

import pytest

from drivers.api import Charge, DeviceSpec, Health, Input, Outcome, PortSpec, Publish, Pulse, Quality, Result
from drivers.codecs.shelly_rpc import Request, Response, notified, states
from drivers.shelly import family
from drivers.shelly_engine import ANSWER_MS_MAX, PROBE_MS_MAX, REST_MS
from drivers.sim.mqtt_wire import SimulatedBroker
from drivers.sim.shelly import ShellyTwin

PORT = PortSpec("broker", "mqtt", {"host": "127.0.0.1"})
ID = "shellypro2-a1b2c3"
LATENCY_MS = 5
GOOD, STALE, FAULT = Quality.GOOD, Quality.STALE, Quality.FAULT


def spec(**options: object) -> DeviceSpec:
    inputs = {"di0": {"polarity": "normally-closed"}, "di1": {"mode": "pulse"}}
    return DeviceSpec("io", "shelly", "pro-2", "broker", {"id": ID, "inputs": inputs, **options})


class Bench:
    """An engine ("us") and a twin ("it") on a simulated broker, both connected, the device read once."""

    def __init__(self, **options: object) -> None:
        self.world = SimulatedBroker()
        self.twin = ShellyTwin(ID, 2, 2)
        self.twin.inputs[0] = True  # normally-closed, nothing there
        self.engine = family.engine(PORT, [spec(**options)])
        self.world.add("us", self.engine)
        self.world.add("it", self.twin, self.twin.will)
        self.world.connect("it", "us")
        self.world.run(100)

    def pulse(self, order: str, in_ms: int = 4_000, point: str = "do0", width_ms: int = 500) -> None:
        self.world.order("us", "io", Pulse(order, point, width_ms, self.world.now_ms + in_ms))

    def outcome(self, order: str) -> tuple[Result, str] | None:
        """The one outcome of an order, or None; two are a failure."""
        found = [s for s in self.world.signals("us") if isinstance(s, Outcome) and s.order == order]
        assert len(found) <= 1, found
        return (found[0].result, found[0].detail) if found else None

    def healths(self) -> list[bool]:
        return [s.up for s in self.world.signals("us") if isinstance(s, Health)]

    def inputs(self, point: str) -> list[tuple[bool, Quality]]:
        return [(s.on, s.quality) for s in self.world.signals("us") if isinstance(s, Input) and s.point == point]

    def set_input(self, number: int, state: bool | None) -> None:
        self.twin.set_input(number, state)
        self.world.poll("it")
        self.world.run(50)

    def sets(self) -> int:
        """How many calls that move something we have published."""
        return sum(b"Switch.Set" in message.payload for message in self.world.sent("us"))

    def count(self, name: str) -> int:
        return self.engine.counters.get(name, 0)


# -- frames ------------------------------------------------------------------------------------------------------------


def test_frames_are_those_of_the_makers_documentation() -> None:
    """Shelly API documentation: RPC Protocol, RPC Channels (HTTP and MQTT examples), Notifications example 1."""
    call = Request(7, "gate", "Switch.Set", {"id": 0, "on": True, "toggle_after": 0.5})
    reply = b'{"id":0,"src":"shellydev1-c8f09e47e6f0","dst":"gate","result":{"was_on":true}}'
    notice = (
        b'{"src":"shellypro4pm-f008d1d8b8b8","dst":"user_1","method":"NotifyStatus",'
        b'"params":{"ts":1631186545.04,"switch:0":{"id":0,"output":true,"source":"button"}}}'
    )

    assert (
        b'{"id":7,"src":"gate","method":"Switch.Set","params":{"id":0,"on":true,"toggle_after":0.5}}' == call.to_bytes()
    )
    assert Response(0, "shellydev1-c8f09e47e6f0", "gate", {"was_on": True}) == Response.from_bytes(reply)
    assert {0: True} == states(notified(notice) or {}).outputs


@pytest.mark.parametrize(
    "frame",
    [
        Response(3, ID, "gatectl/io", {"was_on": False}),
        Response(2**31 - 1, ID, "gatectl/io", None, -103, "Invalid argument 'id'"),
        Request(1, "gatectl/io", "Shelly.GetStatus"),
        Request(2, "gatectl/io", "Switch.Set", {"id": 1, "on": True, "toggle_after": 1.25}),
    ],
    ids=repr,
)
def test_a_frame_survives_the_wire(frame: Request | Response) -> None:
    assert frame == type(frame).from_bytes(frame.to_bytes())


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_device_is_up_once_it_answers_and_its_inputs_are_told_once() -> None:
    """The retained "online" is not enough; the status it answers with is."""
    bench = Bench()

    assert [True] == bench.healths()
    assert [(False, GOOD)] == bench.inputs("di0")
    assert [(False, GOOD)] == bench.inputs("di1")


def test_on_is_told_at_once_and_off_after_a_dwell() -> None:
    """A vehicle on the loop opens the normally-closed contact; as it leaves, the contact bounces."""
    bench = Bench()
    bench.set_input(0, False)
    bench.set_input(0, True)
    bench.set_input(0, False)
    bench.set_input(0, True)
    bench.world.run(100)

    assert [(False, GOOD), (True, GOOD)] == bench.inputs("di0")

    bench.world.run(200)

    assert [(False, GOOD), (True, GOOD), (False, GOOD)] == bench.inputs("di0")


def test_a_contact_that_cleared_in_the_dark_is_not_called_on_again() -> None:
    """Found by wired seed 10: the fire was out before the device came back, and it was told as burning for its dwell."""
    bench = Bench()
    bench.set_input(0, False)
    bench.world.cut("it")
    bench.twin.inputs[0] = True
    bench.world.run(1_000)
    bench.world.connect("it")
    bench.world.run(3_000)

    assert [(False, GOOD), (True, GOOD), (True, STALE), (False, GOOD)] == bench.inputs("di0")


def test_a_push_that_is_lost_is_healed_by_the_next_reading() -> None:
    """The notification never came; the periodic status says the same."""
    bench = Bench()
    bench.twin.inputs[0] = False  # without a word
    bench.world.run(2_100)

    assert (True, GOOD) == bench.inputs("di0")[-1]


def test_an_input_that_is_set_to_button_in_the_device_is_a_fault() -> None:
    bench = Bench()
    bench.set_input(0, None)

    assert (False, FAULT) == bench.inputs("di0")[-1]


def test_silence_makes_inputs_stale_and_the_device_lost_then_back() -> None:
    """It is there, it just answers nothing: stale after `fresh_ms`, good again with the first answer."""
    bench = Bench()
    bench.twin.mute = True
    bench.world.run(6_200)

    assert [True, False] == bench.healths()
    assert (False, STALE) == bench.inputs("di0")[-1]

    bench.twin.mute = False
    bench.world.run(4_000)

    assert [True, False, True] == bench.healths()
    assert (False, GOOD) == bench.inputs("di0")[-1]


def test_a_status_that_comes_late_is_not_fresh() -> None:
    """Answers 2 s old say how it was; they keep nothing alive."""
    bench = Bench()
    bench.twin.late_ms = 2_000
    bench.world.run(9_000)

    assert [True, False] == bench.healths()
    assert bench.count("status-timeouts") > 0
    assert bench.count("replies-late") > 0


def test_a_status_that_leaves_an_input_out_is_not_fresh() -> None:
    """A device that is set to other components answers, and says nothing about the loop."""
    bench = Bench()
    del bench.twin.inputs[0]
    bench.world.run(9_000)

    assert [True, False] == bench.healths()
    assert bench.count("status-incomplete") > 0


def test_a_device_whose_plug_is_pulled_is_lost_at_once() -> None:
    """The broker publishes its will."""
    bench = Bench()
    bench.world.cut("it")
    bench.world.run(50)

    assert [True, False] == bench.healths()
    assert (False, STALE) == bench.inputs("di0")[-1]

    bench.world.connect("it")
    bench.world.run(50)

    assert [True, False, True] == bench.healths()


def test_a_device_that_was_never_there_is_reported_once() -> None:
    world = SimulatedBroker()
    world.add("us", family.engine(PORT, [spec()]))
    world.connect("us")
    world.run(30_000)

    assert ["the device never said that it is online"] == [s.why for s in world.signals("us") if isinstance(s, Health)]


def test_nothing_is_said_before_the_link_was_tried() -> None:
    """A first poll before any connection is neither news of a loss nor of anything else."""
    assert () == family.engine(PORT, [spec()]).poll(0).signals


def test_retained_states_are_not_believed() -> None:
    """A broker that kept "occupied" from last week: neither the value nor freshness is taken from it."""
    world = SimulatedBroker()
    world.retained[f"{ID}/online"] = b"true"
    world.retained[f"{ID}/status/input:0"] = b'{"id":0,"state":false}'
    engine = family.engine(PORT, [spec()])
    world.add("us", engine)
    world.connect("us")
    world.run(10_000)

    assert [False] == [s.up for s in world.signals("us") if isinstance(s, Health)]
    assert [] == [s for s in world.signals("us") if isinstance(s, Input)]
    assert 1 == engine.counters["retained-state"]


# -- pulses ------------------------------------------------------------------------------------------------------------


def test_a_pulse_is_timed_by_the_device_and_confirmed_by_its_answer() -> None:
    bench = Bench()
    bench.pulse("open-1")
    bench.world.run(2_000)

    assert (Result.CONFIRMED, "") == bench.outcome("open-1")
    assert [(0, True, "rpc"), (0, False, "timer")] == [(act.output, act.on, act.by) for act in bench.twin.acts]
    assert 500 == bench.twin.acts[1].at_ms - bench.twin.acts[0].at_ms


def test_orders_are_never_retained_and_bear_a_time_after_which_they_are_not_sent() -> None:
    bench = Bench()
    bench.pulse("open-1")
    bench.world.run(1_000)
    sent = bench.world.sent("us")

    assert [] == [message for message in sent if message.retain or message.not_after_ms is None]


def test_outputs_exclude_each_other() -> None:
    """Open and close ordered at once: the second waits for the end of the first and a rest."""
    bench = Bench()
    bench.pulse("open-1", point="do0")
    bench.pulse("close-1", point="do1")
    bench.world.run(3_000)
    began = [act.at_ms for act in bench.twin.acts if act.on]

    assert (Result.CONFIRMED, "") == bench.outcome("close-1")
    assert began[1] - began[0] >= 500 + REST_MS


def test_an_answer_that_is_swallowed_leaves_the_pulse_unknown_and_it_is_not_sent_again() -> None:
    """The arm went up and nobody said so."""
    bench = Bench()
    bench.twin.swallow_set_replies = True
    bench.pulse("open-1")
    bench.world.run(ANSWER_MS_MAX + 500)

    assert (Result.UNKNOWN, "no answer in time") == bench.outcome("open-1")
    assert 1 == sum(act.on for act in bench.twin.acts)
    assert 1 == bench.sets()


def test_an_answer_after_the_deadline_changes_nothing() -> None:
    """The question is answered at once, the pulse 2 s later, and the deadline lies between."""
    bench = Bench()
    bench.pulse("open-1", in_ms=1_000)
    bench.world.run(3 * LATENCY_MS)
    bench.twin.late_ms = 2_000
    bench.world.run(5_000)

    assert (Result.UNKNOWN, "no answer in time") == bench.outcome("open-1")
    assert 1 == sum(act.on for act in bench.twin.acts)
    assert bench.count("replies-late") > 0


def test_no_pulse_is_sent_that_cannot_arrive_before_its_deadline() -> None:
    """The answer to the question took 700 ms; only 500 ms are left."""
    bench = Bench()
    bench.twin.late_ms = 700
    bench.pulse("open-1", in_ms=1_200)
    bench.world.run(5_000)

    assert (Result.REFUSED, "expired") == bench.outcome("open-1")
    assert 0 == bench.sets()


def test_a_mute_device_is_asked_first_and_so_not_moved() -> None:
    bench = Bench()
    bench.twin.mute = True
    bench.pulse("open-1")
    bench.world.run(PROBE_MS_MAX + 100)

    assert (Result.REFUSED, "no answer before the pulse was sent") == bench.outcome("open-1")
    assert 0 == bench.sets()


def test_an_output_that_is_on_already_is_not_pulsed() -> None:
    """Somebody else holds the output: a pulse would end what is not ours."""
    bench = Bench()
    bench.twin.outputs[0] = True
    bench.pulse("open-1")
    bench.world.run(1_000)

    assert (Result.REFUSED, "output 0 is not off") == bench.outcome("open-1")


def test_the_devices_own_refusal_is_passed_on() -> None:
    """It has fewer outputs than the site file thinks."""
    bench = Bench()
    del bench.twin.outputs[1]
    bench.pulse("open-1", point="do1")
    bench.world.run(1_000)

    assert (Result.REFUSED, "the device says -103 Invalid argument 'id'") == bench.outcome("open-1")


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (Pulse("x", "do7", 500, 10**9), "no output 'do7'"),
        (Pulse("x", "di0", 500, 10**9), "no output 'di0'"),
        (Pulse("x", "do0", 50, 10**9), "a pulse of do0 lasts 100 to 3000 ms"),
        (Pulse("x", "do0", 3_001, 10**9), "a pulse of do0 lasts 100 to 3000 ms"),
        (Pulse("x", "do0", 500, 0), "expired"),
        (Charge("x", "p", 1, "EUR", "", 10**9), "a Shelly cannot Charge"),
    ],
    ids=str,
)
def test_an_order_that_makes_no_sense_is_refused(order: Pulse | Charge, why: str) -> None:
    bench = Bench()
    bench.world.order("us", "io", order)
    bench.world.run(100)

    assert (Result.REFUSED, why) == bench.outcome("x")


def test_a_device_that_is_offline_takes_no_order() -> None:
    bench = Bench()
    bench.world.cut("it")
    bench.world.run(50)
    bench.pulse("open-1")
    bench.world.run(50)

    assert (Result.REFUSED, "the device is offline") == bench.outcome("open-1")
    assert 0 == bench.sets()


@pytest.mark.parametrize("side", ["us", "it"])
def test_a_link_that_froze_before_the_order_never_delivers_it(side: str) -> None:
    """Neither end has noticed. All that was held arrives 7 s later, and moves nothing."""
    bench = Bench()
    bench.world.freeze(side)
    bench.pulse("open-1", in_ms=2_000)
    bench.world.run(7_000)
    bench.world.heal(side)
    bench.world.run(10_000)

    assert bench.outcome("open-1") in [
        (Result.REFUSED, "no answer before the pulse was sent"),
        (Result.REFUSED, "no status for 6000 ms"),
    ]
    assert [] == list(bench.twin.acts)


@pytest.mark.parametrize("seed", range(40))
def test_whenever_the_link_freezes_an_open_acts_only_within_one_question_of_its_freezing(seed: int) -> None:
    """What can still be late is a pulse that was on the wire as the link froze, and that one is never CONFIRMED."""
    rng = random.Random(seed)
    bench = Bench()
    side = rng.choice(["us", "it"])
    deadline_ms = bench.world.now_ms + 2_000
    freeze_in_ms = rng.randrange(0, 60)
    bench.pulse("open-1", in_ms=2_000)
    bench.world.run(freeze_in_ms)
    bench.world.freeze(side)
    bench.world.run(5_000)
    bench.world.heal(side)
    bench.world.run(5_000)
    outcome = bench.outcome("open-1")
    late = [act for act in bench.twin.acts if act.on and act.at_ms > deadline_ms]

    assert outcome is not None, f"seed {seed}"
    assert sum(act.on for act in bench.twin.acts) <= 1, f"seed {seed}"
    if late:
        assert outcome[0] is Result.UNKNOWN, f"seed {seed}"
    if outcome[0] is Result.REFUSED:
        assert [] == list(bench.twin.acts), f"seed {seed}"


def test_a_cut_while_a_pulse_is_out_leaves_it_unknown_and_refuses_what_waits() -> None:
    bench = Bench()
    bench.twin.swallow_set_replies = True
    bench.pulse("open-1")
    bench.pulse("close-1", point="do1")
    bench.world.run(100)
    bench.world.cut("us", "the cable")
    bench.world.run(10_000)

    assert (Result.UNKNOWN, "the cable") == bench.outcome("open-1")
    assert (Result.REFUSED, "the cable") == bench.outcome("close-1")


def test_start_reconnect_and_shutdown_move_nothing() -> None:
    bench = Bench()
    for _ in range(5):
        bench.world.cut("us")
        bench.world.run(1_000)
        bench.world.connect("us")
        bench.world.run(3_000)

    assert 0 == bench.sets()
    assert [] == list(bench.twin.acts)


# -- what must not be believed -------------------------------------------------------------------------------------------


def test_a_retained_reply_confirms_nothing() -> None:
    """Somebody published a reply retained, with the very id of the call that waits."""
    bench = Bench()
    bench.twin.swallow_set_replies = True
    bench.pulse("open-1")
    bench.world.run(100)
    call = next(m for m in bench.world.sent("us") if b"Switch.Set" in m.payload)
    number = Request.from_bytes(call.payload).id
    forged = Response(number, ID, "gatectl/io", {"was_on": False}).to_bytes()
    bench.engine.message("gatectl/io/rpc", forged, True, bench.world.now_ms)
    bench.world.run(ANSWER_MS_MAX)

    assert (Result.UNKNOWN, "no answer in time") == bench.outcome("open-1")
    assert 1 == bench.count("retained-replies")


def test_replies_to_others_and_to_nothing_are_counted() -> None:
    bench = Bench()
    now_ms = bench.world.now_ms
    bench.engine.message("gatectl/io/rpc", Response(1, ID, "homeassistant", {}).to_bytes(), False, now_ms)
    bench.engine.message("gatectl/io/rpc", Response(2**31 - 1, ID, "gatectl/io", {}).to_bytes(), False, now_ms)

    assert (1, 1) == (bench.count("replies-foreign"), bench.count("replies-unmatched"))


GARBAGE = [
    b"",
    b"\xff\xfe",
    b"[" * 10_000,
    b"null",
    b'{"id":1}',
    b'{"id":true,"src":"a","dst":"b","result":{}}',
    b'{"method":7}',
    b'{"method":"NotifyStatus","params":{"input:0":{"state":"yes"}}}',
    b'{"method":"NotifyStatus","params":{"input:999999999999":{"state":true}}}',
    b'{"method":"NotifyStatus","params":{"input:0":null}}',
    b'{"state":NaN}',
    b'{"state":1}',
    b"TRUE",
]


@pytest.mark.parametrize("payload", GARBAGE, ids=lambda payload: repr(payload[:40]))
@pytest.mark.parametrize("topic", [f"{ID}/online", f"{ID}/events/rpc", f"{ID}/status/input:0", "gatectl/io/rpc"])
def test_a_malformed_message_is_counted_and_changes_nothing(topic: str, payload: bytes) -> None:
    bench = Bench()
    before = list(bench.world.signals("us"))
    bench.engine.message(topic, payload, False, bench.world.now_ms)
    bench.world.poll("us")

    assert 1 == bench.count("messages-malformed")
    assert before == bench.world.signals("us")


@pytest.mark.parametrize("seed", range(20))
def test_no_message_makes_the_engine_raise(seed: int) -> None:
    """Valid messages with bytes changed, cut and doubled, on every topic."""
    rng = random.Random(seed)
    bench = Bench()
    good = [
        Response(rng.randrange(2**31), ID, "gatectl/io", {"was_on": False}).to_bytes(),
        b'{"src":"x","method":"NotifyStatus","params":{"ts":1.5,"input:0":{"id":0,"state":true}}}',
        b'{"id":0,"state":true}',
        b"true",
    ]
    for _ in range(500):
        payload = bytearray(rng.choice(good))
        for _ in range(rng.randrange(1, 4)):
            payload[rng.randrange(len(payload))] = rng.randrange(256)
        topic = rng.choice([*bench.engine.subscriptions, "nonsense"])
        bench.engine.message(
            topic, bytes(payload[: rng.randrange(len(payload) + 1)]), rng.random() < 0.2, rng.randrange(2)
        )
        bench.world.poll("us")

    assert 0 == bench.sets(), f"seed {seed}"


# -- options -----------------------------------------------------------------------------------------------------------


def test_every_mistake_in_the_options_is_found_at_once_with_a_hint() -> None:
    port = PortSpec(
        "broker", "mqtt", {"hots": "10.0.0.1", "port": 99_999, "password_file": "/x", "tls": {"ca_fil": "/ca"}}
    )
    options = {
        "id": "a/#",
        "pol_ms": 1,
        "fresh_ms": 1_000,
        "inputs": {"di0": {"polarity": "normaly-closed"}, "di9": {}, "di1": {"mode": "pulse", "fail_safe": True}},
        "outputs": {"do0": {"width_ms_max": 60_000}},
    }
    found = family.check(port, [DeviceSpec("io", "shelly", "pro-2", "broker", options)])

    assert {
        "ports.broker.hots": "did you mean 'host'?",
        "ports.broker.host": "",
        "ports.broker.port": "",
        "ports.broker.password_file": "",
        "ports.broker.tls.ca_fil": "did you mean 'ca_file'?",
        "devices.io.id": "letters, digits and _.:- in levels separated by /",
        "devices.io.pol_ms": "did you mean 'poll_ms'?",
        "devices.io.fresh_ms": "",
        "devices.io.inputs.di9": "did you mean 'di1'?",
        "devices.io.inputs.di0.polarity": "did you mean 'normally-closed'?",
        "devices.io.inputs.di1.fail_safe": 'mode = "presence", or fail_safe = false',
        "devices.io.outputs.do0.width_ms_max": "",
    } == {fault.where: fault.hint for fault in found}


def test_two_devices_with_one_id_and_an_unknown_model_are_faults() -> None:
    twice = [spec(), DeviceSpec("io2", "shelly", "pro-2", "broker", {"id": ID})]
    unknown = DeviceSpec("io", "shelly", "pro-22", "broker", {"id": ID})

    assert ["devices.io2.id"] == [fault.where for fault in family.check(PORT, twice)]
    assert ["did you mean 'pro-2'?"] == [fault.hint for fault in family.check(PORT, [unknown])]


def test_capabilities_tell_what_each_point_is_fit_for() -> None:
    assert {
        "di0": frozenset({"presence", "safety"}),
        "di1": frozenset({"pulse-input"}),
        "do0": frozenset({"pulse"}),
        "do1": frozenset({"pulse"}),
    } == family.capabilities(spec())


def test_the_will_is_what_makes_a_twin_offline() -> None:
    assert Publish(f"{ID}/online", b"false", retain=True) == ShellyTwin(ID, 1, 1).will
