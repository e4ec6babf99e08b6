"""Payment terminal and pay station against their twins in simulated time, with every fault."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.api import (
    CancelCharge,
    Charge,
    DeviceSpec,
    Health,
    Order,
    Outcome,
    PortSpec,
    Pulse,
    QueryCharge,
    Result,
    StationAnswer,
    StationRequest,
    TerminalReply,
)
from drivers.codecs import pay_json
from drivers.codecs.json_message import Malformed, read, write
from drivers.codecs.pan import luhn, suspect
from drivers.codecs.pay_json import Ask, StationAsk, StationReply, Status, Taken, Told
from drivers.pay_mqtt import family
from drivers.pay_station import OPEN_MAX, OPEN_MS_MAX
from drivers.pay_terminal import TerminalEngine
from drivers.sim.mqtt_wire import SimulatedBroker
from drivers.sim.pay_mqtt import TEST_CARD, StationTwin, TerminalTwin

PORT = PortSpec("broker", "mqtt", {"host": "127.0.0.1"})
TOPIC = "gatectl/pay"
SPECIFICATION = Path(__file__).parents[2] / "docs" / "protocols" / "pay-mqtt.md"


class TerminalBench:
    """An engine ("us") and a terminal ("it") on a simulated broker."""

    def __init__(self) -> None:
        self.world = SimulatedBroker()
        self.twin = TerminalTwin(TOPIC)
        self.engine = TerminalEngine("pay", TOPIC, 6_000, "run")
        self.world.add("us", self.engine)
        self.world.add("it", self.twin, self.twin.will)
        self.world.connect("us", "it")
        self.world.run(100)

    def give(self, order: Order) -> None:
        self.world.order("us", "pay", order)

    def charge(self, payment: str = "P1", minor: int = 1_250, in_ms: int = 20_000, order: str = "") -> None:
        deadline_ms = self.world.now_ms + in_ms
        self.give(Charge(order or f"charge-{payment}", payment, minor, "EUR", "000123-K7QF", deadline_ms))

    def query(self, payment: str = "P1", order: str = "query") -> None:
        self.give(QueryCharge(order, payment, self.world.now_ms + 5_000))

    def outcome(self, order: str) -> tuple[Result, str] | None:
        found = [s for s in self.world.signals("us") if isinstance(s, Outcome) and s.order == order]
        assert len(found) <= 1, found
        return (found[0].result, found[0].detail) if found else None

    def replies(self) -> list[TerminalReply]:
        return [s for s in self.world.signals("us") if isinstance(s, TerminalReply)]

    def told(self) -> list[str]:
        return [reply.outcome for reply in self.replies()]

    def count(self, name: str) -> int:
        return self.engine.counters.get(name, 0)

    def hear(self, payload: bytes, retained: bool = False) -> None:
        self.engine.message(f"{TOPIC}/reply", payload, retained, self.world.now_ms)
        self.world.poll("us")

    def last_id(self) -> str:
        return str(read(self.world.sent("us")[-1].payload)["id"])


# -- messages ------------------------------------------------------------------------------------------------------------

APPROVED = Told("run-1", "P1", "approved", 1_250, "EUR", "DEBIT_CARD", "A12", "************4242", "T-1")
ANSWERS = [
    Taken("run-1", "P1"),
    Taken("run-1", "P1", "busy"),
    APPROVED,
    Told("run-1", "P1", "declined", 1_250, "EUR", why="funds"),
    Told("run-1", "P1", "pending"),
    Told("run-1", "P1", "never-seen"),
]
ASKS = [
    Ask("run-1", "authorise", "P1", 1_250, "EUR", "000123-K7QF", "b7", 18_000),
    Ask("run-2", "cancel", "P1", beat="b7", expires_in_ms=3_000),
    Ask("run-3", "query", "P1"),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=repr)
def test_an_answer_survives_the_wire(answer: Taken | Told) -> None:
    assert answer == pay_json.read_answer(pay_json.write_answer(answer), ())


@pytest.mark.parametrize("ask", ASKS, ids=repr)
def test_a_request_survives_the_wire(ask: Ask) -> None:
    assert ask == pay_json.read_ask(pay_json.write_ask(ask))


@pytest.mark.parametrize(
    "ask", [StationAsk("1", "quote", "C"), StationAsk("2", "pay-cash", "C", 500), StationAsk("1", "received")]
)
def test_a_stations_request_survives_the_wire(ask: StationAsk) -> None:
    assert ask == pay_json.read_station_ask(pay_json.write_station_ask(ask))


def test_status_and_station_reply_survive_the_wire() -> None:
    reply = StationReply("1", True, {"due_minor": 350, "lines": [["hour", 350]]})

    assert reply == pay_json.read_station_reply(pay_json.write_station_reply(reply))
    for status in (Status(True, "b1"), Status(False)):
        assert status == pay_json.read_status(pay_json.write_status(status))


def test_the_messages_are_those_of_the_specification() -> None:
    """The examples in docs/protocols/pay-mqtt.md, byte for byte."""
    authorise = (
        b'{"v":1,"id":"run-1","what":"authorise","payment":"P1","amount_minor":1250,"currency":"EUR",'
        b'"reference":"000123-K7QF","beat":"b7","expires_in_ms":18000}'
    )
    approved = (
        b'{"v":1,"re":"run-1","what":"outcome","payment":"P1","outcome":"approved","amount_minor":1250,"currency":"EUR",'
        b'"method":"DEBIT_CARD","auth_code":"A12","masked":"************4242","terminal_ref":"T-1"}'
    )

    written = SPECIFICATION.read_text("utf-8").encode().splitlines()

    assert authorise == pay_json.write_ask(ASKS[0])
    assert approved == pay_json.write_answer(APPROVED)
    assert {authorise, approved} <= set(written)


def test_every_example_in_the_specification_is_understood() -> None:
    """Whoever builds a terminal from the page alone is heard."""
    readers = (
        pay_json.read_ask,
        lambda payload: pay_json.read_answer(payload, ()),
        pay_json.read_station_ask,
        pay_json.read_station_reply,
    )
    examples = [line for line in SPECIFICATION.read_text("utf-8").splitlines() if line.startswith('{"v":1,')]

    assert 11 == len(examples)
    for example in examples:
        assert 1 == sum(_reads(reader, example.replace("\u2026", "x").encode()) for reader in readers), example


def _reads(reader: Callable[[bytes], object], payload: bytes) -> bool:
    try:
        reader(payload)
    except Malformed:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "suspected"),
    [
        (TEST_CARD, True),
        ("4111 1111 1111 1111", True),
        ("4111-1111-1111-1111 12/27", True),
        ("card:378282246310005;", True),
        ("\uff14\uff11\uff11\uff11" + "\uff11" * 12, True),
        ("4" * 20, True),
        ("4111111111111112", False),
        ("411111111111", False),
        ("************1111", False),
        ("000123-K7QF", False),
        ("2026-11-22 18:59", False),
    ],
)
def test_card_numbers_are_suspected_however_they_are_dressed(text: str, suspected: bool) -> None:
    assert suspected == suspect(text)


def test_the_luhn_check_knows_the_published_example() -> None:
    """ISO/IEC 7812-1's method on the example that every text on it uses."""
    assert [True, False] == [luhn("79927398713"), luhn("79927398710")]


# -- terminal ------------------------------------------------------------------------------------------------------------


def test_an_approved_payment() -> None:
    """CONFIRMED once the terminal has accepted it; the money's answer follows, with what a receipt needs."""
    bench = TerminalBench()
    bench.charge()
    bench.world.run(50)

    assert (Result.CONFIRMED, "") == bench.outcome("charge-P1")
    assert [] == bench.replies()

    bench.world.run(1_000)

    assert [
        TerminalReply("pay", "P1", "approved", 1_250, "EUR", "DEBIT_CARD", "A00001", "************4242", "T-1")
    ] == bench.replies()
    assert [("P1", 1_250, "EUR")] == list(bench.twin.charged)


@pytest.mark.parametrize("verdict", ["declined", "cancelled"])
def test_a_payment_that_comes_to_nothing(verdict: str) -> None:
    bench = TerminalBench()
    bench.twin.verdict = verdict
    bench.charge()
    bench.world.run(1_000)

    assert [verdict] == bench.told()
    assert [] == list(bench.twin.charged)


def test_a_customer_who_takes_too_long_is_timed_out_by_the_terminal_before_our_deadline() -> None:
    bench = TerminalBench()
    bench.twin.after_ms = 60_000
    bench.charge(in_ms=10_000)
    bench.world.run(9_500)

    assert ["timed-out"] == bench.told()

    bench.world.run(100_000)

    assert ["timed-out"] == bench.told()
    assert [] == list(bench.twin.charged)


def test_cancelling_while_the_customer_hesitates() -> None:
    bench = TerminalBench()
    bench.twin.after_ms = 30_000
    bench.charge()
    bench.world.run(1_000)
    bench.give(CancelCharge("cancel", "P1", bench.world.now_ms + 3_000))
    bench.world.run(1_000)

    assert (Result.CONFIRMED, "") == bench.outcome("cancel")
    assert ["cancelled"] == bench.told()
    assert [] == list(bench.twin.charged)


def test_cancelling_what_was_paid_is_refused_and_what_was_paid_stays_paid() -> None:
    bench = TerminalBench()
    bench.charge()
    bench.world.run(1_000)
    bench.give(CancelCharge("cancel", "P1", bench.world.now_ms + 3_000))
    bench.world.run(1_000)

    assert (Result.REFUSED, "the terminal says too-late") == bench.outcome("cancel")
    assert ["approved"] == bench.told()


def test_an_approval_that_is_lost_is_unknown_by_the_deadline_and_found_by_asking() -> None:
    """The money is taken, the message is lost; the query under the key tells, and charges nobody."""
    bench = TerminalBench()
    bench.twin.lose_outcomes = True
    bench.charge(in_ms=5_000)
    bench.world.run(5_100)

    assert ["unknown"] == bench.told()

    bench.query()
    bench.world.run(1_000)

    assert (Result.CONFIRMED, "") == bench.outcome("query")
    assert ["unknown", "approved"] == bench.told()
    assert 1 == len(bench.twin.charged)


def test_the_same_key_again_never_charges_twice() -> None:
    """We lost our memory and ask again: the terminal tells what it did, and does nothing."""
    bench = TerminalBench()
    bench.charge()
    bench.world.run(1_000)
    bench.charge(order="again")
    bench.world.run(1_000)

    assert (Result.CONFIRMED, "") == bench.outcome("again")
    assert ["approved", "approved"] == bench.told()
    assert 1 == len(bench.twin.charged)


def test_the_same_key_for_another_amount_is_refused_here_and_unknown_if_the_terminal_says_so() -> None:
    bench = TerminalBench()
    bench.charge()
    bench.world.run(1_000)
    bench.charge(minor=9_999, order="other")
    bench.world.run(1_000)

    assert (Result.REFUSED, "this payment was asked for another amount before") == bench.outcome("other")

    restarted = TerminalEngine("pay", TOPIC, 6_000, "second-run")
    bench.world.add("us", restarted)
    bench.world.connect("us")
    bench.world.run(2_100)
    bench.charge(minor=9_999, order="forgetful")
    bench.world.run(1_000)

    assert (Result.UNKNOWN, "the terminal says key-reused") == bench.outcome("forgetful")
    assert 1 == len(bench.twin.charged)


def test_asking_for_what_the_terminal_never_saw() -> None:
    bench = TerminalBench()
    bench.query("P404")
    bench.world.run(1_000)

    assert [("P404", "unknown", "the terminal never saw it")] == [
        (reply.payment, reply.outcome, reply.why) for reply in bench.replies()
    ]


def test_a_silent_terminal_leaves_the_order_unknown_and_is_asked_once() -> None:
    bench = TerminalBench()
    bench.twin.silent = True
    bench.charge()
    bench.world.run(30_000)

    assert (Result.UNKNOWN, "the terminal did not answer within 5000 ms") == bench.outcome("charge-P1")
    assert [] == bench.replies()
    assert 1 == len(bench.world.sent("us"))


def test_a_busy_terminal_refuses_and_nothing_was_taken() -> None:
    bench = TerminalBench()
    bench.twin.after_ms = 10_000
    bench.charge("P1")
    bench.charge("P2")
    bench.world.run(1_000)

    assert (Result.REFUSED, "the terminal says busy") == bench.outcome("charge-P2")


def test_a_terminal_that_is_off_is_not_asked() -> None:
    bench = TerminalBench()
    bench.world.cut("it")
    bench.world.run(50)
    bench.charge()

    assert (Result.REFUSED, "the device is offline") == bench.outcome("charge-P1")
    assert [] == bench.world.sent("us")


def test_heartbeats_make_it_up_and_their_absence_lost() -> None:
    bench = TerminalBench()
    bench.world.freeze("it")
    bench.world.run(6_200)
    bench.world.heal("it")
    bench.world.run(3_000)

    assert [True, False, True] == [s.up for s in bench.world.signals("us") if isinstance(s, Health)]


def test_a_heartbeat_that_the_broker_kept_is_no_sign_of_life() -> None:
    world = SimulatedBroker()
    world.retained[f"{TOPIC}/status"] = pay_json.write_status(Status(True, "b1"))
    engine = TerminalEngine("pay", TOPIC, 6_000, "run")
    world.add("us", engine)
    world.connect("us")
    world.run(7_000)

    assert [False] == [s.up for s in world.signals("us") if isinstance(s, Health)]
    assert 1 == engine.counters["status-retained"]


@pytest.mark.parametrize("side", ["us", "it"])
@pytest.mark.parametrize("seed", range(10))
def test_a_request_that_a_frozen_link_delivers_late_charges_nobody(side: str, seed: int) -> None:
    """The link freezes anywhere around the order, and heals after its deadline: the terminal itself says "expired"."""
    rng = random.Random(seed)
    bench = TerminalBench()
    bench.world.run(rng.randrange(2_000))
    deadline_ms = bench.world.now_ms + 4_000
    bench.world.freeze(side)
    bench.charge(in_ms=4_000)
    bench.world.run(4_000 + rng.randrange(1_500))
    bench.world.heal(side)
    bench.world.run(20_000)

    assert [] == list(bench.twin.charged), f"seed {seed}, deadline {deadline_ms}"


def test_a_payment_under_way_when_the_link_is_lost_is_asked_for_when_it_is_back() -> None:
    bench = TerminalBench()
    bench.twin.after_ms = 3_000
    bench.charge()
    bench.world.run(1_000)
    bench.world.cut("us")
    bench.world.run(5_000)
    bench.world.connect("us")
    bench.world.run(3_000)

    assert (Result.CONFIRMED, "") == bench.outcome("charge-P1")
    assert ["approved"] == bench.told()
    assert 1 == len(bench.twin.charged)


def test_an_order_in_flight_when_the_link_is_lost_is_unknown() -> None:
    bench = TerminalBench()
    bench.charge()
    bench.world.cut("us", "the cable")
    bench.world.run(100)

    assert (Result.UNKNOWN, "the cable") == bench.outcome("charge-P1")


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (Charge("x", "P1", 0, "EUR", "", 10**9), "amount_minor is not a whole number from 1 to 1000000000"),
        (Charge("x", "P1", 100, "euro", "", 10**9), "currency is missing or not as it must be"),
        (Charge("x", "P 1", 100, "EUR", "", 10**9), "payment is missing or not as it must be"),
        (Charge("x", "P1", 100, "EUR", TEST_CARD, 10**9), "may hold a card number"),
        (Charge("x", "P1", 100, "EUR", "", 0), "expired"),
        (Pulse("x", "do0", 500, 10**9), "a terminal cannot Pulse"),
    ],
    ids=str,
)
def test_an_order_that_makes_no_sense_is_refused_and_not_sent(order: Order, why: str) -> None:
    bench = TerminalBench()
    bench.give(order)

    assert (Result.REFUSED, why) == bench.outcome("x")
    assert [] == bench.world.sent("us")


# -- what a terminal may not say ---------------------------------------------------------------------------------------


def test_another_amount_than_was_asked_is_unknown_and_says_why() -> None:
    bench = TerminalBench()
    bench.twin.echo_off_by = 50
    bench.charge()
    bench.world.run(1_000)

    assert [("unknown", "approved: 1300 EUR where 1250 EUR was asked")] == [(r.outcome, r.why) for r in bench.replies()]
    assert 1 == bench.count("replies-wrong-amount")


def test_another_currency_than_was_asked_is_unknown() -> None:
    bench = TerminalBench()
    bench.charge()
    bench.hear(pay_json.write_answer(Told(bench.last_id(), "P1", "approved", 1_250, "USD")))

    assert ["unknown"] == bench.told()


def test_a_message_with_a_card_number_is_dropped_whole() -> None:
    """The terminal puts it where the masked number belongs. Nothing of the message is in any signal."""
    bench = TerminalBench()
    bench.twin.leak_card = True
    bench.charge(in_ms=5_000)
    bench.world.run(6_000)

    assert ["unknown"] == bench.told()
    assert 1 == bench.count("replies-card-number")
    assert TEST_CARD not in repr(bench.world.signals("us"))


@pytest.mark.parametrize(
    "where",
    ["why", "auth_code", "terminal_ref", "extra", "re", "method", TEST_CARD],
)
def test_a_card_number_is_found_in_every_field(where: str) -> None:
    bench = TerminalBench()
    bench.charge()
    message = read(pay_json.write_answer(Told(bench.last_id(), "P1", "approved", 1_250, "EUR")))
    bench.hear(write({**message, where: "4111 1111 1111 1111"}))
    bench.hear(write({**message, "deep": [{"er": [int(TEST_CARD)]}]}))

    assert 2 == bench.count("replies-card-number")
    assert [] == bench.replies()


def test_our_own_keys_are_no_card_numbers() -> None:
    """A key that passes the Luhn check is ours all the same; only what we did not make is suspected."""
    answer = pay_json.write_answer(Told("run-1", f"x{TEST_CARD}", "pending"))

    assert Told("run-1", f"x{TEST_CARD}", "pending") == pay_json.read_answer(answer, {f"x{TEST_CARD}"})
    with pytest.raises(pay_json.CardNumber):
        pay_json.read_answer(answer, ())


@pytest.mark.parametrize("masked", ["411111******1111", "12345", "4242 4242"])
def test_more_than_the_last_four_digits_are_refused(masked: str) -> None:
    bench = TerminalBench()
    bench.charge()
    message = read(pay_json.write_answer(Told(bench.last_id(), "P1", "approved", 1_250, "EUR")))
    bench.hear(write({**message, "masked": masked}))

    assert 1 == bench.count("replies-malformed")
    assert [] == bench.replies()


def test_each_bad_reply_is_refused_under_its_own_name() -> None:
    bench = TerminalBench()
    bench.charge()
    told = Told(bench.last_id(), "P1", "approved", 1_250, "EUR")
    good = pay_json.write_answer(told)
    bench.hear(good, retained=True)
    bench.hear(b" " * 4_097)
    bench.hear(b"{")
    bench.hear(write({**read(good), "v": 2}))
    bench.hear(write({**read(good), "amount_minor": 12.5}))
    bench.hear(write({**read(good), "outcome": "maybe"}))
    bench.hear(pay_json.write_answer(Told("run-1", "P404", "approved", 1_250, "EUR")))
    bench.hear(pay_json.write_answer(Told("other-run-1", "P1", "approved", 1_250, "EUR")))

    assert [] == bench.replies()
    assert {"replies-retained": 1, "replies-oversized": 1, "replies-malformed": 4, "replies-unknown-payment": 1} | {
        "replies-unmatched": 1
    } == {name: count for name, count in bench.engine.counters.items() if name.startswith("replies")}


def test_the_same_reply_twice_is_one_and_a_contradiction_is_none() -> None:
    bench = TerminalBench()
    bench.charge()
    approved = Told(bench.last_id(), "P1", "approved", 1_250, "EUR")
    bench.hear(pay_json.write_answer(approved))
    bench.hear(pay_json.write_answer(approved))
    bench.hear(pay_json.write_answer(Told(bench.last_id(), "P1", "declined", 1_250, "EUR")))

    assert ["approved"] == bench.told()
    assert (1, 1) == (bench.count("replies-repeated"), bench.count("replies-contradicting"))


@pytest.mark.parametrize("seed", range(20))
def test_no_message_makes_an_engine_raise_or_take_money_for_granted(seed: int) -> None:
    """Good answers with bytes changed: whatever is approved is what was asked."""
    rng = random.Random(seed)
    bench = TerminalBench()
    bench.charge()
    good = [
        pay_json.write_answer(Told(bench.last_id(), "P1", "approved", 1_250, "EUR")),
        *map(pay_json.write_answer, ANSWERS),
    ]
    for _ in range(1_000):
        payload = bytearray(rng.choice(good))
        for _ in range(rng.randrange(1, 4)):
            payload[rng.randrange(len(payload))] = rng.randrange(256)
        bench.hear(bytes(payload))
        bench.engine.message(f"{TOPIC}/status", bytes(payload), rng.random() < 0.5, bench.world.now_ms)

    assert {(1_250, "EUR")} >= {(r.amount_minor, r.currency) for r in bench.replies() if r.outcome == "approved"}, (
        f"seed {seed}"
    )


# -- station -------------------------------------------------------------------------------------------------------------


class StationBench:
    def __init__(self) -> None:
        self.world = SimulatedBroker()
        self.twin = StationTwin(TOPIC)
        self.engine = family.engine(PORT, [DeviceSpec("pay", "pay-mqtt", "station", "broker", {"role": "station"})])
        self.world.add("us", self.engine)
        self.world.add("it", self.twin, self.twin.will)
        self.world.connect("us", "it")
        self.world.run(100)

    def ask(self, ask: StationAsk) -> None:
        self.twin.ask(ask)
        self.world.poll("it")
        self.world.run(50)

    def answer(self, request: str, order: str = "answer", in_ms: int = 3_000, **data: object) -> None:
        deadline_ms = self.world.now_ms + in_ms
        self.world.order("us", "pay", StationAnswer(order, request, True, data, deadline_ms))
        self.world.run(50)

    def requests(self) -> list[StationRequest]:
        return [s for s in self.world.signals("us") if isinstance(s, StationRequest)]

    def outcomes(self) -> list[tuple[str, Result]]:
        return [(s.order, s.result) for s in self.world.signals("us") if isinstance(s, Outcome)]


def test_a_quote_and_then_cash() -> None:
    bench = StationBench()
    bench.ask(StationAsk("r1", "quote", "CODE"))
    bench.answer("r1", "a1", due_minor=350)
    bench.ask(StationAsk("r2", "pay-cash", "CODE", 500))
    bench.answer("r2", "a2", change_minor=150)

    assert [
        StationRequest("pay", "r1", "quote", "CODE"),
        StationRequest("pay", "r2", "pay-cash", "CODE", 500),
    ] == bench.requests()
    assert [("a1", Result.CONFIRMED), ("a2", Result.CONFIRMED)] == bench.outcomes()
    assert {"change_minor": 150} == bench.twin.replies["r2"].data


def test_a_request_that_is_repeated_is_one_request_and_gets_one_answer() -> None:
    """The station hears nothing and asks again, before and after it was answered: the cash counts once."""
    bench = StationBench()
    for _ in range(3):
        bench.ask(StationAsk("r2", "pay-cash", "CODE", 500))
    bench.answer("r2", change_minor=150)
    bench.twin.replies.clear()
    bench.ask(StationAsk("r2", "pay-cash", "CODE", 500))

    assert 1 == len(bench.requests())
    assert {"change_minor": 150} == bench.twin.replies["r2"].data


def test_an_id_that_is_used_for_something_else_is_refused_by_name() -> None:
    bench = StationBench()
    bench.ask(StationAsk("r2", "pay-cash", "CODE", 500))
    bench.ask(StationAsk("r2", "pay-cash", "CODE", 50_000))

    assert 1 == len(bench.requests())
    assert (False, "E-REQ-01") == (bench.twin.replies["r2"].ok, bench.twin.replies["r2"].data["code"])


def test_an_answer_that_nobody_says_was_received_is_unknown() -> None:
    bench = StationBench()
    bench.twin.never_confirms = True
    bench.ask(StationAsk("r1", "quote", "CODE"))
    bench.answer("r1", due_minor=350)
    bench.world.run(5_000)

    assert [("answer", Result.UNKNOWN)] == bench.outcomes()


def test_answers_that_cannot_be_given_are_refused() -> None:
    bench = StationBench()
    bench.ask(StationAsk("r1", "quote", "CODE"))
    bench.answer("r404", "unasked")
    bench.answer("r1", "endless", text="x" * 5_000)
    bench.answer("r1", "unspeakable", thing=object())
    bench.world.order("us", "pay", Pulse("pulse", "do0", 500, 10**9))
    bench.world.poll("us")

    names = ["unasked", "endless", "unspeakable", "pulse"]
    assert [(name, Result.REFUSED) for name in names] == bench.outcomes()


def test_a_station_cannot_fill_our_memory() -> None:
    """More open requests than it may have are refused, and those that nobody answers are forgotten."""
    bench = StationBench()
    for number in range(OPEN_MAX + 5):
        bench.ask(StationAsk(f"r{number}", "quote", "CODE"))

    assert OPEN_MAX == len(bench.requests())
    assert "E-REQ-02" == bench.twin.replies[f"r{OPEN_MAX}"].data["code"]

    bench.world.run(OPEN_MS_MAX)
    bench.ask(StationAsk("later", "quote", "CODE"))

    assert OPEN_MAX + 1 == len(bench.requests())


def test_bad_requests_are_refused_under_their_names() -> None:
    bench = StationBench()
    good = pay_json.write_station_ask(StationAsk("r1", "quote", "CODE"))
    hear = [
        (good, True),
        (b"[]", False),
        (write({**read(good), "code": ""}), False),
        (write({**read(good), "code": TEST_CARD}), False),
        (b" " * 4_097, False),
        (write({**read(good), "what": "pay-cash", "tendered_minor": -5}), False),
    ]
    for payload, retained in hear:
        bench.engine.message(f"{TOPIC}/request", payload, retained, bench.world.now_ms)

    assert [] == bench.requests()
    expected = {"requests-retained": 1, "requests-malformed": 3, "requests-card-number": 1, "requests-oversized": 1}
    assert expected == {name: count for name, count in bench.engine.counters.items() if name.startswith("requests")}


# -- family --------------------------------------------------------------------------------------------------------------


def test_the_family_checks_its_options_and_says_what_it_can() -> None:
    wrong = DeviceSpec("pay 1", "pay-mqtt", "termnal", "broker", {"rol": "terminal", "fresh_ms": 1})
    crossed = DeviceSpec("pay", "pay-mqtt", "station", "broker", {"role": "terminal"})
    right = DeviceSpec("pay", "pay-mqtt", "station", "broker", {})

    found = {fault.where: fault.hint for fault in family.check(PORT, [wrong])}
    assert "did you mean 'terminal'?" == found["devices.pay 1.model"]
    assert "did you mean 'role'?" == found["devices.pay 1.rol"]
    assert {"devices.pay 1.model", "devices.pay 1.rol", "devices.pay 1", "devices.pay 1.fresh_ms"} == set(found)
    assert ["devices.pay.role"] == [fault.where for fault in family.check(PORT, [crossed])]
    assert [] == family.check(PORT, [right])
    assert {"": frozenset({"station"})} == family.capabilities(right)


@pytest.mark.parametrize(
    "payload", [b'{"v":1,"online":"yes"}', b'{"v":1,"online":true}', b'{"online":true,"beat":"b"}']
)
def test_a_malformed_status_is_refused(payload: bytes) -> None:
    with pytest.raises(Malformed):
        pay_json.read_status(payload)
