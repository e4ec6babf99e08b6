"""The local central system through real websockets, against a charge point on the ocpp library's own class; both versions."""

import json
import queue
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.exceptions import InvalidStatus

from drivers.api import (
    ChargerReport,
    DeviceSpec,
    Health,
    Outcome,
    PortSpec,
    Pulse,
    Result,
    Signal,
    StationAnswer,
    Steer,
)
from drivers.codecs import ocpp as codec
from drivers.links.monotonic import Monotonic
from drivers.links.ocpp_server import OcppBus
from drivers.ocpp import Ocpp
from drivers.ocpp_options import PointOptions, ServerOptions
from drivers.sim.ocpp import PROTOCOLS, ChargePointSim

WAIT_S = 15.0
NOW_MS = 1_780_000_000_000


class Bench:
    """A bus whose reports are answered at once, as a site would: `answers` by what is asked."""

    def __init__(self, points: list[PointOptions], server: ServerOptions | None = None) -> None:
        self.bus = OcppBus("chargers", server or ServerOptions("127.0.0.1", 0), points)
        self.reports: list[ChargerReport] = []
        self.signals: queue.Queue[Signal] = queue.Queue()
        self.answers: dict[str, dict[str, Any] | None] = {
            "boot": {"now_ms": NOW_MS, "beat_s": 300},
            "beat": {"now_ms": NOW_MS},
            "authorize": {"accepted": True},
            "begin": {"number": 7, "accepted": True},
        }
        self.refuse: set[str] = set()
        self.bus.start(self.hear)
        assert self.bus.bound.wait(WAIT_S)

    def hear(self, signal: Signal) -> None:
        if not isinstance(signal, ChargerReport):
            self.signals.put(signal)
            return
        self.reports.append(signal)
        answer = self.answers.get(signal.what, {})
        if answer is None:
            self.signals.put(signal)
        else:
            ok = signal.what not in self.refuse
            deadline_ms = Monotonic().monotonic_ms() + 5_000
            self.bus.order(signal.device, StationAnswer(f"a-{signal.request}", signal.request, ok, answer, deadline_ms))

    def until(self, wanted: Callable[[Signal], bool]) -> Signal:
        """The next signal of a kind; fails when none comes."""
        while True:
            signal = self.signals.get(timeout=WAIT_S)
            if wanted(signal):
                return signal

    def health(self, up: bool) -> Signal:
        return self.until(lambda signal: isinstance(signal, Health) and signal.up is up)

    def told(self, what: str) -> list[dict[str, str | int]]:
        return [dict(report.words) for report in self.reports if report.what == what]

    @property
    def address(self) -> str:
        return f"ws://127.0.0.1:{self.bus.port}/ocpp"


@pytest.fixture
def benches() -> Iterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        bench.bus.close()
        assert "" == bench.bus.failed


def a_bench(benches: list[Bench], *points: PointOptions) -> Bench:
    bench = Bench(list(points) or [PointOptions("wallbox-1", "CP-1", "", 60_000)])
    benches.append(bench)
    return bench


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_session_is_told_in_plain_words_whatever_the_version(benches: list[Bench], protocol: str) -> None:
    """Boot, status, credential, begin, readings, end: the site hears the same of 1.6 and of 2.0.1."""
    bench = a_bench(benches)
    with ChargePointSim(bench.address, "CP-1", protocol) as point:
        point.call()
        bench.health(True)
        booted = point.boot()
        assert "2026-05-28T20:26:40.000Z" == booted.current_time
        assert "Accepted" == booted.status
        assert "2026-05-28T20:26:40.000Z" == point.beat().current_time
        point.status("Available")
        assert "Accepted" == point.authorize("000123-K7QF")
        point.begin("000123-K7QF")
        point.charge(1_500)
        point.end()

    (boot,), (begin,), (meter,), (end,) = (bench.told(what) for what in ("boot", "begin", "meter", "end"))
    assert {"protocol": protocol, "vendor": "Maker", "model": "AC22", "firmware": "1.2.3"} == boot
    assert ("000123-K7QF", 1_000, NOW_MS) == (begin["token"], begin["meter_wh"], begin["told_ms"])
    assert (2_500, 2_500, "EVDisconnected") == (meter["meter_wh"], end["meter_wh"], end["reason"])
    assert meter["transaction"] == end["transaction"]
    assert [(1, "available")] == [(r.connector, dict(r.words)["status"]) for r in bench.reports if r.what == "status"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_credential_that_the_site_does_not_know_is_refused(benches: list[Bench], protocol: str) -> None:
    """The site decides; the charge point hears Invalid."""
    bench = a_bench(benches)
    bench.answers |= {"authorize": {"accepted": False}, "begin": {"number": 8, "accepted": False}}
    with ChargePointSim(bench.address, "CP-1", protocol) as point:
        point.call()
        point.boot()
        assert "Invalid" == point.authorize("stranger")
        answer = point.begin("stranger")
        said = answer.id_tag_info if protocol == codec.V16 else answer.id_token_info
        assert "Invalid" == said["status"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_was_queued_comes_late_and_in_order(benches: list[Bench], protocol: str) -> None:
    """An hour without a network: begin and end are told when it is back, one after the other, with their own times."""
    bench = a_bench(benches)
    with ChargePointSim(bench.address, "CP-1", protocol) as point:
        point.call()
        point.boot()
        point.offline()
        point.begin("000123-K7QF")
        point.now_ms += 3_600_000
        point.end()
        point.online()
        point.repeat()

    transactions = [report.what for report in bench.reports if report.what in ("begin", "end")]
    assert ["begin", "end", "end"] == transactions
    assert [NOW_MS + 3_600_000] * 2 == [end["told_ms"] for end in bench.told("end")]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_it_starts_and_stops_when_it_is_asked(benches: list[Bench], protocol: str) -> None:
    """Its word is the outcome; one that is not there, or has no such transaction, is refused at once."""
    bench = a_bench(benches)
    deadline_ms = Monotonic().monotonic_ms() + 60_000

    def steered(act: Any, about: str) -> tuple[Result, str]:
        bench.bus.order("wallbox-1", Steer(f"{act}-{about}", act, 1, about, deadline_ms))
        outcome = bench.until(lambda s: isinstance(s, Outcome) and s.order == f"{act}-{about}")
        assert isinstance(outcome, Outcome)
        return outcome.result, outcome.detail

    assert (Result.REFUSED, "not connected") == steered("start", "000122-K7QF")
    with ChargePointSim(bench.address, "CP-1", protocol) as point:
        point.call()
        assert (Result.CONFIRMED, "Accepted") == steered("start", "000123-K7QF")
        assert (Result.CONFIRMED, "Accepted") == steered("stop", "7")
        point.obeys = False
        assert (Result.REFUSED, "Rejected") == steered("stop", "8")
        assert [("start", "000123-K7QF"), ("stop", "7"), ("stop", "8")] == point.asks
    bench.bus.order("wallbox-1", Pulse("p", "do0", 500, deadline_ms))
    outcome = bench.until(lambda s: isinstance(s, Outcome) and s.order == "p")
    assert isinstance(outcome, Outcome)
    assert Result.REFUSED is outcome.result


def test_who_is_unknown_or_has_the_wrong_password_is_refused_and_counted(benches: list[Bench], tmp_path: Path) -> None:
    """Security profile 1: the identity in the address, and its password by HTTP basic. A missing file admits nobody."""
    secret = tmp_path / "cp-1"
    secret.write_text("correct horse battery\n")
    bench = a_bench(
        benches,
        PointOptions("wallbox-1", "CP-1", str(secret), 60_000),
        PointOptions("wallbox-2", "CP-2", str(tmp_path / "absent"), 60_000),
    )
    tries = [("CP-9", "x", 404), ("CP-1", "wrong", 401), ("CP-1", "", 401), ("CP-2", "", 401), ("CP-2", "x", 401)]
    for identity, password, code in tries:
        with ChargePointSim(bench.address, identity, codec.V16, password) as point:
            with pytest.raises(InvalidStatus) as refused:
                point.call()
            assert code == refused.value.response.status_code
    with ChargePointSim(bench.address, "CP-1", codec.V16, "correct horse battery") as point:
        point.call()
        bench.health(True)

    counted = bench.bus.counters()
    assert (1, 4) == (counted["calls-unknown"], counted["calls-refused"])


def test_a_certificate_makes_it_tls(benches: list[Bench], tmp_path: Path) -> None:
    """Security profile 2: the same password over TLS."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.private_key_pem.write_to_path(key)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(cert, append=True)
    server = ServerOptions("127.0.0.1", 0, str(cert), str(key))
    benches.append(bench := Bench([PointOptions("wallbox-1", "CP-1", "", 60_000)], server))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    address = bench.address.replace("ws://", "wss://")
    with ChargePointSim(address, "CP-1", codec.V201, ssl=context) as point:
        point.call()
        assert "Accepted" == point.boot().status


NONSENSE = (
    "",
    "{",
    "[]",
    "[2]",
    "7",
    '{"a": 1}',
    '[9, "id", "Heartbeat", {}]',
    '[2, "id", ["Heartbeat"], {}]',
    '[2, 5, "Heartbeat", {}]',
    '[2, "id", "Heartbeat", 5]',
    '[2, "id", "Heartbeat", {}, 1, 2]',
    "[" * 20_000,
    "9" * 10_000,
    b"\xff\xfe\x00",
    json.dumps([2, "x" * 5_000, "Heartbeat", {}]),
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nonsense_is_counted_and_hurts_nobody(benches: list[Bench], protocol: str) -> None:
    """Bad JSON, bad shapes, answers that nobody asked for: the same connection serves on."""
    bench = a_bench(benches)
    with ChargePointSim(bench.address, "CP-1", protocol) as point:
        point.call()
        for text in NONSENSE:
            point.say(text)
        point.say('[3, "nobody-asked", {}]')
        point.say('[4, "nobody-asked", "InternalError", "", {}]')
        point.say('[2, "a", "../../v16/schemas/Heartbeat", {}]')
        point.say('[2, "b", "BootNotification", {"reason": 5}]')
        assert "Accepted" == point.boot().status

    counted = bench.bus.counters()
    assert len(NONSENSE) == counted["messages-malformed"]
    assert (2, 1, 1) == (counted["answers-unasked"], counted["requests-unknown"], counted["requests-misshapen"])


READINGS = (
    ([{"value": "12.3456", "unit": "kWh"}], 12_345),
    ([{"value": "1e3"}], 1_000),
    ([{"value": "NaN"}], None),
    ([{"value": "-5"}], None),
    ([{"value": "1e999999999"}], None),
    ([{"value": "nothing"}], None),
    ([{"value": "5", "unit": "varh"}], None),
    ([{"value": "5", "measurand": "Voltage"}], None),
    ([{"value": "5", "phase": "L1"}, {"value": "15"}], 15),
    ([{"value": 1.25, "unitOfMeasure": {"unit": "Wh", "multiplier": 3}}], 1_250),
    ([{"value": 1.25, "unitOfMeasure": {"unit": "Wh", "multiplier": 400}}], None),
)


@pytest.mark.parametrize(("samples", "wh"), READINGS, ids=str)
def test_a_reading_is_whole_watt_hours_or_none(samples: list[dict[str, Any]], wh: int | None) -> None:
    """Units, powers of ten, phases, and numbers that are none."""
    assert wh == codec.reading_wh([{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": samples}])


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-05-28T20:26:40Z", NOW_MS),
        ("2026-05-28T22:26:40.000+02:00", NOW_MS),
        ("2026-05-28T20:26:40", NOW_MS),
        ("1969-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("yesterday", None),
        (5, None),
    ],
)
def test_a_charge_points_time_is_a_moment_or_none(text: object, ms: int | None) -> None:
    """A clock that was never set is not believed to be before 1970."""
    assert ms == codec.told_ms(text)


def test_a_site_that_does_not_answer_leaves_the_message_with_the_charge_point(benches: list[Bench]) -> None:
    """What is not on disk is not acknowledged: the charge point hears an error and keeps it. A second call replaces the first."""
    bench = a_bench(benches)
    bench.refuse = {"begin"}
    with ChargePointSim(bench.address, "CP-1", codec.V16) as point:
        point.call()
        assert (0, "Invalid") == ((begun := point.begin("x")).transaction_id, begun.id_tag_info["status"])
        with ChargePointSim(bench.address, "CP-1", codec.V16) as again:
            again.call()
            again.boot()
            point.hang_up()
            assert "Accepted" == again.boot().status
    assert 1 == bench.bus.counters()["calls-again"]


def test_a_charge_point_that_is_away_is_missed_once_and_back_once(benches: list[Bench]) -> None:
    """A cut cable is forgiven for a while; one that never called is missed too."""
    bench = a_bench(
        benches, PointOptions("wallbox-1", "CP-1", "", 1_000), PointOptions("wallbox-2", "CP-2", "", 60_000)
    )
    with ChargePointSim(bench.address, "CP-1", codec.V16) as point:
        assert Health("wallbox-1", False, "no connection for 1000 ms") == bench.health(False)
        point.call()
        assert Health("wallbox-1", True) == bench.health(True)
        point.vanish()
        assert Health("wallbox-1", False, "no connection for 1000 ms") == bench.health(False)
        point.call()
        assert Health("wallbox-1", True) == bench.health(True)


def test_a_link_that_is_closed_answers_everything_and_leaves_no_thread(benches: list[Bench]) -> None:
    """With a request open and an order waiting; closing twice is closing once."""
    bench = a_bench(benches)
    bench.answers["boot"] = None
    with ChargePointSim(bench.address, "CP-1", codec.V16) as point:
        point.call()
        point.say('[2, "a", "BootNotification", {"chargePointVendor": "a", "chargePointModel": "b"}]')
        bench.until(lambda s: isinstance(s, ChargerReport))
        bench.bus.close()
        bench.bus.close()
    bench.bus.order("wallbox-1", Steer("late", "stop", 1, "7", Monotonic().monotonic_ms() + 1_000))

    assert Outcome("wallbox-1", "late", Result.REFUSED, "the link is closed") == bench.until(
        lambda s: isinstance(s, Outcome)
    )
    assert 0 < bench.bus.turns
    assert [] == [thread.name for thread in threading.enumerate() if thread.name.startswith("ocpp-")]


def test_options_say_every_fault_and_what_to_install() -> None:
    """A site without the extra is refused by name, with the command; a wrong option with its place."""
    port = PortSpec("chargers", "ocpp", {"port": 9220, "cert_file": "/c.pem"})
    device = DeviceSpec("wallbox-1", "ocpp", "", "chargers", {"identity": "a b", "pasword_file": "/x"})
    found = {fault.where: (fault.what, fault.hint) for fault in Ocpp(("ocpp", "no_such_library")).check(port, [device])}

    assert "pip install 'gatectl[ev]'" == found["ports.chargers"][1]
    assert "no_such_library" in found["ports.chargers"][0]
    assert {
        "ports.chargers",
        "ports.chargers.key_file",
        "devices.wallbox-1.identity",
        "devices.wallbox-1.password_file",
        "devices.wallbox-1.pasword_file",
    } == set(found)
    good = DeviceSpec("wallbox-1", "ocpp", "", "chargers", {"no_password": True})
    assert [] == Ocpp().check(PortSpec("chargers", "ocpp", {}), [good])
