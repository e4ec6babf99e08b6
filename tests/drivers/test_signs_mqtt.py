"""Signs read what is free from a real broker: retained, newest, stale when the site is gone, all of it again when it is back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from drivers.api import Announce, DeviceSpec, Health, Outcome, PortSpec, Pulse, Result, Signal
from drivers.links.monotonic import Monotonic
from drivers.links.mqtt_link import MqttBus
from drivers.signs_mqtt import BURST_MAX, WAITING_MAX, SignsEngine, family
from drivers.sim.broker import HOST, Broker, mosquitto
from gatectl.domain.effects import Announce as AnnounceEffect
from gatectl.runtime.signs import Signs

WAIT_S_MAX = 20.0
SPEC = DeviceSpec("signs", "signs-mqtt", "topics", "broker", {"topic": "parking/centre"})
needs_mosquitto = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")


# -- without a broker -------------------------------------------------------------------------------------------------


def announce(*signs: tuple[str, str], deadline_ms: int = 10_000) -> Announce:
    return Announce("|announce|1", signs, deadline_ms)


def outcome(engine: SignsEngine, order: Announce | Pulse, now_ms: int = 0) -> Outcome:
    engine.order("signs", order, now_ms)
    (answer,) = (signal for signal in engine.poll(now_ms).signals if isinstance(signal, Outcome))
    return answer


def test_everything_is_retained_in_bursts_and_the_link_says_live_first() -> None:
    """A link takes 64 messages at a time; a large site has more topics than that."""
    engine = SignsEngine("signs", "p")
    engine.connected(0)
    signs = tuple((f"area/{n}", str(n)) for n in range(2 * BURST_MAX))
    engine.order("signs", announce(*signs), 0)
    turns = [engine.poll(at_ms) for at_ms in (0, 20, 40)]

    assert [BURST_MAX, BURST_MAX, 1] == [len(turn.publish) for turn in turns]
    every = [message for turn in turns for message in turn.publish]
    assert all(message.retain for message in every)
    assert ("p/link", b"live") == (every[0].topic, every[0].payload)
    assert [("p/" + name, text.encode()) for name, text in signs] == [(m.topic, m.payload) for m in every[1:]]
    assert [True, True, False] == [turn.wake_at_ms is not None for turn in turns]
    assert ("p/link", b"stale", True) == (engine.will.topic, engine.will.payload, engine.will.retain)


@pytest.mark.parametrize(
    ("order", "detail"),
    [
        (announce(("area/#", "1")), "is no topic"),
        (announce(("a", "1"), deadline_ms=-1), "expired"),
        (announce(*[("a", "1")] * (WAITING_MAX + 1)), "topics wait"),
        (Pulse("x", "do0", 500, 10_000), "announcements only"),
    ],
    ids=["wildcard", "late", "too many", "a pulse"],
)
def test_what_is_no_announcement_is_refused(order: Announce | Pulse, detail: str) -> None:
    answer = outcome(SignsEngine("signs", "p"), order)

    assert Result.REFUSED is answer.result
    assert detail in answer.detail


def test_the_options_are_checked_by_name() -> None:
    """One last will is all that a connection has; a wildcard is no topic."""
    port = PortSpec("broker", "mqtt", {"host": HOST})
    wrong = DeviceSpec("s", "signs-mqtt", "topics", "broker", {"topic": "a/#"})
    second = DeviceSpec("t", "signs-mqtt", "topic", "broker", {"topik": "x"})
    found = [fault.where for fault in family.check(port, [wrong, second])]

    assert ["devices.s.topic", "devices.t.model", "devices.t.topik", "devices.t.port"] == found
    assert [] == family.check(port, [SPEC])


# -- with mosquitto ---------------------------------------------------------------------------------------------------


class Sign:
    """A count sign: it shows the newest of every topic, and whether the broker had kept it."""

    def __init__(self, broker: Broker) -> None:
        self.shown: dict[str, str] = {}
        self.kept: dict[str, bool] = {}
        self._changed = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._heard
        self._client.on_connect = lambda client, *_: client.subscribe("parking/centre/#")
        self._client.connect(HOST, broker.port)
        self._client.loop_start()

    def _heard(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            name = message.topic.removeprefix("parking/centre/")
            self.shown[name], self.kept[name] = message.payload.decode(), message.retain
            self._changed.notify_all()

    def shows(self, **wanted: str) -> bool:
        names = {name.replace("_", "/"): text for name, text in wanted.items()}
        with self._changed:
            return self._changed.wait_for(lambda: names.items() <= self.shown.items(), WAIT_S_MAX)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def looking(broker: Broker) -> Iterator[Sign]:
    sign = Sign(broker)
    try:
        yield sign
    finally:
        sign.close()


@contextmanager
def publishing(broker: Broker) -> Iterator[Signs]:
    """The site's end: the link with its last will, and what it was told."""
    port = PortSpec("broker", "mqtt", {"keepalive_s": 2, **broker.options})
    engine = family.engine(port, [SPEC])
    bus = MqttBus(port, {"signs": engine}, will=engine.will)
    signs = Signs(["signs"], {"signs": bus}, Monotonic().monotonic_ms)
    up = threading.Event()

    def heard(signal: Signal) -> None:
        signs.heard(signal)
        if isinstance(signal, Health) and signal.up:
            up.set()

    bus.start(heard)
    try:
        assert up.wait(WAIT_S_MAX), "no connection"
        yield signs
    finally:
        bus.close()


@needs_mosquitto
def test_a_sign_reads_what_is_kept_and_learns_that_it_is_stale(tmp_path: Path) -> None:
    """A sign that is switched on late shows the newest; when the site goes away the broker says so, to late signs too."""
    with Broker(tmp_path, kind="mosquitto") as broker:
        with publishing(broker) as signs:
            signs.announce(AnnounceEffect((("area/main/free", "3"), ("area/main/full", "0"))))
            with looking(broker) as sign:
                assert sign.shows(link="live", area_main_free="3", area_main_full="0"), sign.shown
                signs.announce(AnnounceEffect((("area/main/free", "2"),)))
                assert sign.shows(area_main_free="2"), sign.shown
        with looking(broker) as late:
            assert late.shows(link="stale", area_main_free="2"), late.shown
            assert late.kept["area/main/free"]


@needs_mosquitto
def test_a_link_that_comes_back_is_told_everything_again(tmp_path: Path) -> None:
    """The broker restarts without its memory, and figures changed meanwhile: the sign shows the newest, and live."""
    with Broker(tmp_path, kind="mosquitto") as broker, publishing(broker) as signs:
        signs.announce(AnnounceEffect((("area/main/free", "3"), ("area/roof/free", "9"))))
        with looking(broker) as sign:
            assert sign.shows(area_main_free="3"), sign.shown
        broker.stop()
        signs.announce(AnnounceEffect((("area/main/free", "1"),)))
        broker.start()
        with looking(broker) as sign:
            assert sign.shows(link="live", area_main_free="1", area_roof_free="9"), sign.shown
