"""The link, the Shelly driver and the payment driver over a real broker, with a wire between that freezes and breaks."""

import os
import random
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from drivers.api import (
    ORDERS_WAITING_MAX,
    Charge,
    DeviceSpec,
    Health,
    Input,
    MqttTurn,
    Order,
    Outcome,
    PortSpec,
    Publish,
    Pulse,
    Quality,
    Result,
    Signal,
    StationAnswer,
    StationRequest,
    TerminalReply,
)
from drivers.codecs.pay_json import StationAsk
from drivers.codecs.shelly_rpc import Response
from drivers.links import mqtt_client, mqtt_link
from drivers.links.monotonic import Monotonic
from drivers.links.mqtt_client import PACKET_BYTES_MAX
from drivers.links.mqtt_core import MESSAGE_BYTES_MAX
from drivers.links.mqtt_link import MqttBus
from drivers.pay_mqtt import family as pay
from drivers.shelly import family as shelly
from drivers.sim.broker import Broker, Kind, mosquitto
from drivers.sim.contract import Witness
from drivers.sim.pay_mqtt import SimulatedStation, SimulatedTerminal, StationTwin, TerminalTwin
from drivers.sim.shelly import Act, ShellyTwin, SimulatedShelly
from drivers.sim.tcp_proxy import TcpProxy

KINDS: list[Kind] = ["amqtt"] + (["mosquitto"] if mosquitto() else [])
needs_mosquitto = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
ID = "shellypro2-1"
WAIT_S_MAX = 20.0


@pytest.fixture(scope="module", params=KINDS)
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker of each kind for all tests here; what a test leaves in it, it leaves under its own device's name."""
    with Broker(tmp_path_factory.mktemp("broker"), kind=request.param) as running:
        yield running


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def now_ms() -> int:
    return Monotonic().monotonic_ms()


class Raw:
    """An engine that says what it is told to and remembers what it hears. Orders it takes are never answered."""

    def __init__(self, *topics: str) -> None:
        self.counters: dict[str, int] = {}
        self.subscriptions: Sequence[str] = topics
        self.heard: list[tuple[str, bytes, bool]] = []
        self.ups = 0
        self.downs: list[str] = []
        self.changed = threading.Condition()
        self._say: list[Publish] = []

    def say(self, *messages: Publish) -> None:
        self._say.extend(messages)

    def wait_for(self, what: str, holds: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(holds, WAIT_S_MAX), f"never: {what}; {self.heard} {self.downs}"

    def connected(self, now_ms: int) -> None:
        with self.changed:
            self.ups += 1
            self.changed.notify_all()

    def disconnected(self, now_ms: int, why: str) -> None:
        with self.changed:
            self.downs.append(why)
            self.changed.notify_all()

    def message(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> None:
        with self.changed:
            self.heard.append((topic, payload, retained))
            self.changed.notify_all()

    def order(self, device: str, order: Order, now_ms: int) -> None:
        with self.changed:
            self.changed.notify_all()

    def poll(self, now_ms: int) -> MqttTurn:
        said, self._say = tuple(self._say), []
        return MqttTurn(said)


@contextmanager
def running(bus: MqttBus, sink: Callable[[Signal], None] = lambda _signal: None) -> Iterator[MqttBus]:
    bus.start(sink)
    try:
        yield bus
    finally:
        bus.close()
        assert not bus.failed, bus.failed


def raw_bus(options: dict[str, object], engine: Raw, name: str = "raw") -> MqttBus:
    return MqttBus(PortSpec(name, "mqtt", {"client_id": f"{name}-{os.urandom(4).hex()}", **options}), {name: engine})


class Site:
    """A Shelly and the driver for it, each on a wire of its own to the broker."""

    def __init__(self, stack: ExitStack, broker: Broker, name: str, **options: object) -> None:
        self.ours = stack.enter_context(TcpProxy(broker.port))
        self.its = stack.enter_context(TcpProxy(broker.port))
        self.acted = threading.Condition()
        self.twin = ShellyTwin(f"{ID}-{name}", 2, 2, self._on_act)
        self.device = SimulatedShelly(self.twin, {**broker.options, "port": self.its.port})
        self.device.power_on()
        stack.callback(self.device.power_off)
        port = PortSpec(name, "mqtt", {**broker.options, "port": self.ours.port, "keepalive_s": 2, **options})
        inputs = {"di0": {}, "di1": {"polarity": "normally-closed"}}
        given = {"id": self.twin.topic, "poll_ms": 250, "fresh_ms": 2_000, "inputs": inputs}
        spec = DeviceSpec(f"io-{name}", "shelly", "pro-2", name, given)
        assert [] == shelly.check(port, [spec])
        self.name = spec.name
        self.seen = Witness()
        self.bus = stack.enter_context(running(MqttBus(port, {spec.name: shelly.engine(port, [spec])}), self.seen))

    def _on_act(self, _act: Act) -> None:
        with self.acted:
            self.acted.notify_all()

    def wait_health(self, up: bool, since: int = 0) -> Health:
        self.seen.wait_for(f"up {up}", lambda seen: any(isinstance(s, Health) and s.up is up for s in seen), since)
        return next(s for s in self.seen.signals[since:] if isinstance(s, Health) and s.up is up)

    def wait_input(self, point: str, on: bool, quality: Quality = Quality.GOOD, since: int = 0) -> None:
        wanted = Input(self.name, point, on, quality)
        self.seen.wait_for(str(wanted), lambda seen: wanted in seen, since)

    def pulse(self, order: str, in_ms: int = 5_000, point: str = "do0", width_ms: int = 100) -> Result:
        self.bus.order(self.name, Pulse(order, point, width_ms, now_ms() + in_ms))
        return self.seen.answered(order)

    def wait_off(self) -> None:
        with self.acted:
            done = self.acted.wait_for(lambda: not any(self.twin.outputs.values()), WAIT_S_MAX)
            assert done, self.twin.acts


@pytest.fixture
def site(broker: Broker, request: pytest.FixtureRequest) -> Iterator[Site]:
    with ExitStack() as stack:
        made = Site(stack, broker, os.urandom(4).hex())
        made.wait_health(up=True)
        yield made


# -- a Shelly on a real broker ------------------------------------------------------------------------------------------


def test_inputs_and_pulses_over_a_real_broker(site: Site) -> None:
    """A loop is entered, the arm is pulsed, the device ends the pulse by itself."""
    site.wait_input("di1", on=True)
    site.device.set_input(0, True)
    site.wait_input("di0", on=True)

    assert site.pulse("open-1") is Result.CONFIRMED

    site.wait_off()

    assert [(0, True, "rpc"), (0, False, "timer")] == [(act.output, act.on, act.by) for act in site.twin.acts]


def test_a_cut_wire_is_reported_and_the_state_is_read_anew(site: Site) -> None:
    """While the wire is cut the loop changes, and orders are refused; on a new connection the change is seen."""
    mark = len(site.seen.signals)
    site.ours.cut()
    site.wait_health(up=False, since=mark)
    site.device.set_input(0, True)

    assert site.pulse("open-1") is Result.REFUSED

    mark = len(site.seen.signals)
    site.ours.mend()
    site.wait_health(up=True, since=mark)
    site.wait_input("di0", on=True, since=mark)

    assert site.pulse("open-2", point="do1") is Result.CONFIRMED
    assert [1] == [act.output for act in site.twin.acts if act.on]


@pytest.mark.parametrize("side", ["ours", "its"])
def test_an_open_on_a_frozen_wire_never_reaches_the_device_after_its_deadline(site: Site, side: str) -> None:
    """Neither end knows that the wire is frozen. It heals after the deadline and delivers all it held; the arm stays."""
    wire: TcpProxy = getattr(site, side)
    mark = len(site.seen.signals)
    wire.freeze()
    deadline_ms = now_ms() + 1_000

    assert site.pulse("open-1", in_ms=1_000) is Result.REFUSED

    site.wait_health(up=False, since=mark)
    assert now_ms() > deadline_ms
    mark = len(site.seen.signals)
    wire.heal()
    site.wait_health(up=True, since=mark)

    # What was held went out before this one, which is on the same or a later connection.
    assert site.pulse("open-2", point="do1") is Result.CONFIRMED
    assert [1] == [act.output for act in site.twin.acts if act.on]


def test_a_device_that_loses_power_and_comes_back(site: Site) -> None:
    mark = len(site.seen.signals)
    site.device.power_off()

    assert "the device is offline" == site.wait_health(up=False, since=mark).why
    assert site.pulse("open-1") is Result.REFUSED

    mark = len(site.seen.signals)
    site.device.power_on()
    site.wait_health(up=True, since=mark)

    assert site.pulse("open-2") is Result.CONFIRMED


def test_a_retained_reply_is_refused_and_counted(site: Site, broker: Broker) -> None:
    """Somebody has published a reply retained: on the next connection the broker hands it to us."""
    forged = Response(1, ID, f"gatectl/{site.name}", {"was_on": False}).to_bytes()
    topic = f"gatectl/{site.name}/rpc"
    mark = len(site.seen.signals)
    site.ours.cut()
    site.wait_health(up=False, since=mark)
    speaker = Raw(topic)
    with running(raw_bus(broker.options, speaker)) as bus:
        speaker.wait_for("connected", lambda: speaker.ups == 1)
        speaker.say(Publish(topic, forged, retain=True))
        bus.nudge()
        speaker.wait_for("its own words", lambda: bool(speaker.heard))
    site.ours.mend()
    site.wait_health(up=True, since=mark)

    # amqtt may hand out a retained message twice to one subscription.
    assert site.bus.counters()[f"{site.name}.retained-replies"] in (1, 2)
    assert [] == list(site.twin.acts)


def test_a_broker_that_restarts(tmp_path: Path) -> None:
    """It is not there as we start; then it is, goes, and comes back."""
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(tmp_path))
        broker.stop()
        site = Site(stack, broker, "site")
        site.wait_health(up=False)

        assert site.pulse("open-1") is Result.REFUSED
        for number in range(2):
            mark = len(site.seen.signals)
            broker.start()
            site.wait_health(up=True, since=mark)
            assert site.pulse(f"open-{number + 2}", point=f"do{number}") is Result.CONFIRMED
            mark = len(site.seen.signals)
            broker.stop()
            site.wait_health(up=False, since=mark)

        assert 2 == sum(act.on for act in site.twin.acts)


# -- payment on a real broker -------------------------------------------------------------------------------------------


def test_a_terminal_and_a_station_share_a_broker(broker: Broker) -> None:
    tag = os.urandom(4).hex()
    port = PortSpec(tag, "mqtt", {**broker.options, "topic_prefix": f"site-{tag}"})
    specs = [DeviceSpec(role, "pay-mqtt", role, tag, {"role": role}) for role in ("terminal", "station")]
    assert [] == pay.check(port, specs)
    seen = Witness()
    replied = threading.Event()
    station_twin = StationTwin(f"site-{tag}/station", lambda _reply: replied.set())
    station = SimulatedStation(f"station-{tag}", station_twin, broker.options)
    terminal_twin = TerminalTwin(f"site-{tag}/terminal")
    terminal = SimulatedTerminal(f"terminal-{tag}", terminal_twin, broker.options)
    with ExitStack() as stack:
        bus = stack.enter_context(running(MqttBus(port, {s.name: pay.engine(port, [s]) for s in specs}), seen))
        for device in (station, terminal):
            device.power_on()
            stack.callback(device.power_off)
        seen.wait_for(
            "both up",
            lambda all_: {s.device for s in all_ if isinstance(s, Health) and s.up} == {"terminal", "station"},
        )
        bus.order("terminal", Charge("c1", "P1", 350, "EUR", "000001-AAAA", now_ms() + 10_000))
        seen.wait_for("money", lambda all_: any(isinstance(s, TerminalReply) for s in all_))
        station.ask(StationAsk("r1", "quote", "CODE"))
        seen.wait_for("a question", lambda all_: StationRequest("station", "r1", "quote", "CODE") in all_)
        bus.order("station", StationAnswer("a1", "r1", True, {"due_minor": 350}, now_ms() + 5_000))

        assert seen.answered("c1") is Result.CONFIRMED
        assert seen.answered("a1") is Result.CONFIRMED
        assert replied.wait(WAIT_S_MAX)
        assert ["approved"] == [s.outcome for s in seen.signals if isinstance(s, TerminalReply)]
        assert [("P1", 350, "EUR")] == list(terminal_twin.charged)
        assert {"due_minor": 350} == station_twin.replies["r1"].data


# -- the link by itself -------------------------------------------------------------------------------------------------


def test_what_is_too_long_is_refused_and_the_link_stays(broker: Broker) -> None:
    topic = f"raw/{os.urandom(4).hex()}"
    engine = Raw(topic)
    with running(raw_bus(broker.options, engine)) as bus:
        engine.wait_for("connected", lambda: engine.ups == 1)
        engine.say(Publish(topic, b"x" * (MESSAGE_BYTES_MAX + 1)), Publish(topic, b"short"))
        bus.nudge()
        engine.wait_for("the short one", lambda: bool(engine.heard))

        assert [(topic, b"short", False)] == engine.heard
        assert 1 == bus.counters()["link-messages-oversized"]
        assert [] == engine.downs


def test_a_packet_that_would_fill_the_memory_ends_the_connection(broker: Broker) -> None:
    """One client publishes it; the other, which would have to take it in, hangs up and comes back."""
    topic = f"raw/{os.urandom(4).hex()}"
    speaker, engine = Raw(f"{topic}/nothing"), Raw(topic)
    with running(raw_bus(broker.options, speaker, "speaker")) as loud, running(raw_bus(broker.options, engine)):
        speaker.wait_for("connected", lambda: speaker.ups == 1)
        engine.wait_for("connected", lambda: engine.ups == 1)
        speaker.say(Publish(topic, b"x" * (PACKET_BYTES_MAX + 1)))
        loud.nudge()
        engine.wait_for("back again", lambda: engine.ups == 2)

        assert [] == engine.heard
        assert engine.downs  # a broker may try the same packet once more on the new connection


def test_a_message_that_is_late_is_not_sent(broker: Broker) -> None:
    topic = f"raw/{os.urandom(4).hex()}"
    engine = Raw(f"{topic}/#")
    with running(raw_bus(broker.options, engine)) as bus:
        engine.wait_for("connected", lambda: engine.ups == 1)
        engine.say(Publish(f"{topic}/late", b"open", not_after_ms=now_ms() - 1), Publish(f"{topic}/now", b"open"))
        bus.nudge()
        engine.wait_for("the other", lambda: bool(engine.heard))

        assert [(f"{topic}/now", b"open", False)] == engine.heard
        assert 1 == bus.counters()["link-publish-late"]


def test_closing_twice_is_once_and_leaves_nothing(broker: Broker) -> None:
    """What waits is answered, what comes later is refused, no thread and no file stays."""
    threads, files = set(threading.enumerate()), open_files()
    engine, seen = Raw("raw/x"), Witness()
    bus = raw_bus(broker.options, engine)
    bus.start(seen)
    engine.wait_for("connected", lambda: engine.ups == 1)
    bus.order("raw", Pulse("taken", "do0", 500, now_ms() + 60_000))
    bus.close()
    bus.close()
    bus.order("raw", Pulse("late", "do0", 500, now_ms() + 60_000))

    assert seen.answered("taken") in (Result.UNKNOWN, Result.REFUSED)
    assert [Result.REFUSED] == seen.outcomes("late")
    assert threads >= set(threading.enumerate())
    assert files == open_files()


def test_orders_beyond_the_limit_and_for_nobody_are_refused_at_once(broker: Broker) -> None:
    engine, seen = Raw("raw/x"), Witness()
    with running(raw_bus(broker.options, engine), seen) as bus:
        engine.wait_for("connected", lambda: engine.ups == 1)
        for number in range(ORDERS_WAITING_MAX + 1):
            bus.order("raw", Pulse(f"o{number}", "do0", 500, now_ms() + 60_000))
        bus.order("raw", Pulse("o0", "do0", 500, now_ms() + 60_000))
        bus.order("nobody", Pulse("x", "do0", 500, now_ms() + 60_000))
        refused = [(s.order, s.detail) for s in seen.signals if isinstance(s, Outcome)]

        assert [(f"o{ORDERS_WAITING_MAX}", "queue full"), ("x", "no device 'nobody' on port 'raw'")] == refused
        assert 1 == bus.counters()["link-orders-repeated"]


class Broken(Raw):
    """Has a bug that a message brings out."""

    def message(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> None:
        raise ZeroDivisionError("a bug")


def test_an_engine_with_a_bug_stops_its_link_and_starves_the_watchdog(broker: Broker) -> None:
    topic = f"raw/{os.urandom(4).hex()}"
    engine, seen = Broken(topic), Witness()
    bus = raw_bus(broker.options, engine)
    bus.start(seen)
    engine.wait_for("connected", lambda: engine.ups == 1)
    engine.say(Publish(topic, b"x"))
    bus.order("raw", Pulse("taken", "do0", 500, now_ms() + 60_000))
    seen.wait_for("lost", lambda all_: Health("raw", up=False, why="driver failed: ZeroDivisionError: a bug") in all_)
    bus.close()

    assert seen.outcomes("taken") in ([Result.UNKNOWN], [Result.REFUSED])
    assert "ZeroDivisionError" in bus.failed


@contextmanager
def talker(first: bytes) -> Iterator[int]:
    """A server that is no broker: says `first` to everybody, then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wires: list[socket.socket] = []
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                wire, _ = listener.accept()
                wires.append(wire)
                if not stop.is_set():
                    wire.sendall(first)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            stop.set()
            socket.create_connection(listener.getsockname(), timeout=1).close()
            thread.join(WAIT_S_MAX)
            for wire in wires:
                wire.close()


def test_a_server_that_never_greets_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_link, "GREETING_MS_MAX", 100)
    engine = Raw("raw/x")
    with talker(b"") as port, running(raw_bus({"host": "127.0.0.1", "port": port}, engine)):
        engine.wait_for("given up", lambda: bool(engine.downs))

    assert "the broker did not greet us within 100 ms" == engine.downs[0]


@pytest.mark.parametrize("seed", range(8))
def test_a_server_that_talks_garbage_ends_a_connection_and_not_the_thread(seed: int) -> None:
    """Half of them first greet as a broker does (CONNACK, MQTT 3.1.1 section 3.2)."""
    rng = random.Random(seed)
    garbage = (b"\x20\x02\x00\x00" if seed % 2 else b"") + rng.randbytes(2_000)
    engine = Raw("raw/x")
    with (
        talker(garbage) as port,
        running(raw_bus({"host": "127.0.0.1", "port": port, "keepalive_s": 2}, engine)) as bus,
    ):
        engine.wait_for(f"given up, seed {seed}", lambda: bool(engine.downs))
        turns = bus.turns
        engine.say()
        bus.nudge()

        assert not bus.failed, f"seed {seed}"
        assert bus.turns >= turns


def test_a_password_file_that_cannot_be_read_is_said(broker: Broker, tmp_path: Path) -> None:
    engine = Raw("raw/x")
    options = {**broker.options, "username": "gatectl", "password_file": str(tmp_path / "missing")}
    with running(raw_bus(options, engine)):
        engine.wait_for("refused", lambda: bool(engine.downs))

    assert "No such file or directory" in engine.downs[0]


def test_the_reset_of_a_lost_client_is_set_as_it_connects(broker: Broker) -> None:
    """What the kernel has not sent when we give a link up is thrown away, not sent when the link heals."""
    client = mqtt_client.connect(mqtt_link.broker_of(PortSpec("x", "mqtt", broker.options)), None)
    wire = client.socket()
    assert isinstance(wire, socket.socket)
    linger = wire.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
    stall_ms = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    mqtt_client.reset(client)

    assert (1, 0) == (int.from_bytes(linger[:4], "little"), int.from_bytes(linger[4:], "little"))
    assert mqtt_client.WRITE_STALL_MS_MAX == stall_ms
