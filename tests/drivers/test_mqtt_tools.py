"""Our MQTT against programs that are not ours: mosquitto with accounts, access lists and TLS; mosquitto_pub and _sub."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from drivers.api import DeviceSpec, Health, Input, MqttTurn, Order, PortSpec, Publish, Pulse, Quality, Result
from drivers.codecs.shelly_rpc import Response
from drivers.links.monotonic import Monotonic
from drivers.links.mqtt_link import MqttBus
from drivers.shelly import family
from drivers.sim.broker import HOST, Broker, Security, mosquitto
from drivers.sim.contract import Witness
from drivers.sim.shelly import ShellyTwin, SimulatedShelly

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(
        mosquitto() is None or shutil.which("mosquitto_pub") is None,
        reason="mosquitto or its clients are not installed",
    ),
]
ID = "shellypro2-a1b2c3"
SPEC = DeviceSpec(
    "io", "shelly", "pro-2", "broker", {"id": ID, "poll_ms": 250, "fresh_ms": 2_000, "inputs": {"di0": {}}}
)
WAIT_S_MAX = 20.0

# The access list of docs/protocols/mqtt.md.
ACL = f"""
user gatectl
topic readwrite gatectl/#
topic read {ID}/#
topic write {ID}/rpc

user shelly
topic readwrite {ID}/#
topic write gatectl/io/rpc

user stranger
topic readwrite stranger/#
"""
USERS = {"gatectl": "correct horse", "shelly": "battery staple", "stranger": "guest"}


def now_ms() -> int:
    return Monotonic().monotonic_ms()


@contextmanager
def driver(options: dict[str, object]) -> Iterator[tuple[MqttBus, Witness]]:
    port = PortSpec("broker", "mqtt", {"keepalive_s": 2, **options})
    assert [] == family.check(port, [SPEC])
    seen, bus = Witness(), MqttBus(port, {"io": family.engine(port, [SPEC])})
    bus.start(seen)
    try:
        yield bus, seen
    finally:
        bus.close()
        assert not bus.failed, bus.failed


@contextmanager
def device(options: dict[str, object]) -> Iterator[SimulatedShelly]:
    simulated = SimulatedShelly(ShellyTwin(ID, 2, 2), options)
    simulated.power_on()
    try:
        yield simulated
    finally:
        simulated.power_off()


def wait_up(seen: Witness, up: bool = True, since: int = 0) -> Health:
    seen.wait_for(f"up {up}", lambda all_: any(isinstance(s, Health) and s.up is up for s in all_), since)
    return next(s for s in seen.signals[since:] if isinstance(s, Health) and s.up is up)


def pub(broker: Broker, topic: str, payload: bytes, *more: str) -> None:
    """mosquitto_pub; with -s the payload comes from standard input."""
    command = ["mosquitto_pub", "-h", HOST, "-p", str(broker.port), "-t", topic, "-s", *more]
    subprocess.run(command, input=payload, check=True, timeout=WAIT_S_MAX)


class Sub:
    """mosquitto_sub: every message as topic, QoS, retain flag and payload."""

    def __init__(self, broker: Broker, *topics: str) -> None:
        command = ["mosquitto_sub", "-d", "-h", HOST, "-p", str(broker.port), "-F", "%t|%q|%r|%p"]
        for topic in topics:
            command += ["-t", topic]
        # Its debug lines and its messages are one stream, so that "subscribed" comes before what it hears.
        self._process = subprocess.Popen(["stdbuf", "-oL", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        self._wait_for("a subscription", "received SUBACK")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line.decode().rstrip("\n"))
                self._changed.notify_all()

    def _wait_for(self, what: str, text: str) -> str:
        def found() -> str:
            return next((line for line in self._lines if text in line), "")

        with self._changed:
            assert self._changed.wait_for(found, WAIT_S_MAX), f"never {what}: {self._lines}"
            return found()

    def message(self, text: str) -> tuple[str, str, str, str]:
        """The first message with `text` in it, waited for: topic, QoS, retained, payload."""
        topic, qos, retained, payload = self._wait_for(text, text).split("|", 3)
        return topic, qos, retained, payload

    def close(self) -> None:
        self._process.kill()
        self._process.wait(WAIT_S_MAX)
        self._thread.join(WAIT_S_MAX)
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture
def open_broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", kind="mosquitto") as running:
        yield running


def test_mosquitto_sub_sees_our_pulse_at_qos_0_and_not_retained(open_broker: Broker) -> None:
    listener = Sub(open_broker, f"{ID}/rpc")
    try:
        with device(open_broker.options), driver(open_broker.options) as (bus, seen):
            wait_up(seen)
            bus.order("io", Pulse("open-1", "do1", 500, now_ms() + 5_000))
            topic, qos, retained, payload = listener.message("Switch.Set")
            call = json.loads(payload)

            assert seen.answered("open-1") is Result.CONFIRMED
            assert (f"{ID}/rpc", "0", "0") == (topic, qos, retained)
            assert ("gatectl/io", "Switch.Set", {"id": 1, "on": True, "toggle_after": 0.5}) == (
                call["src"],
                call["method"],
                call["params"],
            )
    finally:
        listener.close()


def test_mosquitto_pub_plays_the_device(open_broker: Broker) -> None:
    """Inputs that a foreign client pushes are heard; malformed, oversized and retained messages are not."""
    with device(open_broker.options), driver(open_broker.options) as (bus, seen):
        wait_up(seen)
        pub(open_broker, f"{ID}/status/input:0", b"{garbage")
        pub(open_broker, f"{ID}/events/rpc", b" " * 20_000)
        pub(open_broker, "gatectl/io/rpc", Response(1, ID, "gatectl/io", {}).to_bytes(), "-q", "1")
        pub(open_broker, f"{ID}/status/input:0", b'{"id":0,"state":true}', "-q", "2")
        seen.wait_for("the push", lambda all_: Input("io", "di0", True, Quality.GOOD) in all_)
        counters = bus.counters()

        assert (1, 1, 1) == (
            counters["io.messages-malformed"],
            counters["link-messages-oversized"],
            counters["io.replies-unmatched"],
        )


def test_what_mosquitto_pub_retains_is_refused_on_the_next_connection(open_broker: Broker) -> None:
    pub(open_broker, "gatectl/io/rpc", Response(1, ID, "gatectl/io", {"was_on": False}).to_bytes(), "-r")
    pub(open_broker, f"{ID}/status/input:0", b'{"id":0,"state":true}', "-r")
    with device(open_broker.options) as simulated, driver(open_broker.options) as (bus, seen):
        wait_up(seen)
        seen.wait_for("the state", lambda all_: any(isinstance(s, Input) for s in all_))

        assert [False] == [s.on for s in seen.signals if isinstance(s, Input)]
        assert 1 == bus.counters()["io.retained-replies"]
        assert 1 == bus.counters()["io.retained-state"]
        assert [] == list(simulated.twin.acts)


def test_mqtt_5_works_too(open_broker: Broker) -> None:
    with device(open_broker.options), driver({**open_broker.options, "protocol": "5"}) as (bus, seen):
        wait_up(seen)
        bus.order("io", Pulse("open-1", "do0", 500, now_ms() + 5_000))

        assert seen.answered("open-1") is Result.CONFIRMED


# -- accounts and access lists -------------------------------------------------------------------------------------------


def account(folder: Path, name: str, password: str) -> dict[str, object]:
    path = folder / f"{name}-password"
    path.write_text(password + "\n")
    path.chmod(0o600)
    return {"username": name, "password_file": str(path)}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", Security(users=USERS, acl=ACL)) as running:
        yield running


def test_a_user_and_a_password_under_the_documented_access_list(guarded: Broker, tmp_path: Path) -> None:
    its = {**guarded.options, **account(tmp_path, "shelly", USERS["shelly"])}
    ours = {**guarded.options, **account(tmp_path, "gatectl", USERS["gatectl"])}
    with device(its), driver(ours) as (bus, seen):
        wait_up(seen)
        bus.order("io", Pulse("open-1", "do0", 500, now_ms() + 5_000))

        assert seen.answered("open-1") is Result.CONFIRMED


@pytest.mark.parametrize("wrong", ["password", "user", "nobody"])
def test_who_has_no_account_is_told_so(guarded: Broker, tmp_path: Path, wrong: str) -> None:
    accounts = {
        "password": account(tmp_path, "gatectl", "wrong"),
        "user": account(tmp_path, "getactl", USERS["gatectl"]),
        "nobody": {},
    }
    with driver({**guarded.options, **accounts[wrong]}) as (bus, seen):
        assert "the broker refuses us: Not authorized" == wait_up(seen, up=False).why
        bus.order("io", Pulse("open-1", "do0", 500, now_ms() + 5_000))

        assert seen.answered("open-1") is Result.REFUSED


def test_a_password_that_is_put_right_is_taken_up_without_a_restart(guarded: Broker, tmp_path: Path) -> None:
    its = {**guarded.options, **account(tmp_path, "shelly", USERS["shelly"])}
    ours = {**guarded.options, **account(tmp_path, "gatectl", "old")}
    with device(its), driver(ours) as (_, seen):
        wait_up(seen, up=False)
        account(tmp_path, "gatectl", USERS["gatectl"])
        wait_up(seen)


class _Stranger:
    """Knows our topics and what a Shelly understands, and has an account of its own. Orders are not for it."""

    def __init__(self, *messages: Publish) -> None:
        self.counters: dict[str, int] = {}
        self.subscriptions = ("stranger/done", f"{ID}/#", "gatectl/#")
        self.heard: list[str] = []
        self.done = threading.Event()
        self._messages = (*messages, Publish("stranger/done", b"x"))
        self._say: tuple[Publish, ...] = ()

    def connected(self, now_ms: int) -> None:
        self._say = self._messages

    def disconnected(self, now_ms: int, why: str) -> None:
        pass

    def message(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> None:
        self.heard.append(topic)
        if topic == "stranger/done":
            self.done.set()

    def order(self, device: str, order: Order, now_ms: int) -> None:
        raise AssertionError

    def poll(self, now_ms: int) -> MqttTurn:
        said, self._say = self._say, ()
        return MqttTurn(said)


def test_a_stranger_moves_nothing_tells_nothing_and_hears_nothing(guarded: Broker, tmp_path: Path) -> None:
    """With an account of its own it says "open" to the device, "occupied" and "offline" to us, and listens."""
    its = {**guarded.options, **account(tmp_path, "shelly", USERS["shelly"])}
    ours = {**guarded.options, **account(tmp_path, "gatectl", USERS["gatectl"])}
    stranger = _Stranger(
        Publish(f"{ID}/rpc", b'{"id":1,"src":"x","method":"Switch.Set","params":{"id":0,"on":true}}'),
        Publish(f"{ID}/status/input:0", b'{"id":0,"state":true}'),
        Publish(f"{ID}/online", b"false"),
        Publish("gatectl/io/rpc", b'{"id":1,"src":"x","dst":"gatectl/io","result":{"was_on":false}}'),
    )
    with device(its) as simulated, driver(ours) as (bus, seen):
        wait_up(seen)
        options = {**guarded.options, **account(tmp_path, "stranger", USERS["stranger"])}
        third = MqttBus(PortSpec("stranger", "mqtt", options), {"stranger": stranger})
        third.start(lambda _signal: None)
        assert stranger.done.wait(WAIT_S_MAX)
        bus.order("io", Pulse("open-1", "do1", 500, now_ms() + 5_000))
        assert seen.answered("open-1") is Result.CONFIRMED
        third.close()

        assert {"stranger/done"} == set(stranger.heard)
        assert [1] == [act.output for act in simulated.twin.acts if act.on]
        assert [True] == [s.up for s in seen.signals if isinstance(s, Health)]
        assert [False] == [s.on for s in seen.signals if isinstance(s, Input)]
        assert "io.replies-unmatched" not in bus.counters()


# -- TLS ---------------------------------------------------------------------------------------------------------------


class Pki:
    """An authority, a broker's certificate for 127.0.0.1, a client's, and another authority that signed none of them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        ours, other = trustme.CA(), trustme.CA()
        self.ca, self.other_ca = folder / "ca.pem", folder / "other-ca.pem"
        ours.cert_pem.write_to_path(self.ca)
        other.cert_pem.write_to_path(self.other_ca)
        self.broker = self._leaf(folder, "broker", ours.issue_cert(HOST))
        self.elsewhere = self._leaf(folder, "elsewhere", ours.issue_cert("elsewhere.example"))
        self.client = self._leaf(folder, "client", ours.issue_cert("gatectl@site.example"))

    def _leaf(self, folder: Path, name: str, leaf: trustme.LeafCert) -> tuple[str, str]:
        cert, key = folder / f"{name}.pem", folder / f"{name}.key"
        cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(key)
        return str(cert), str(key)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path / "pki")


def test_tls_with_the_brokers_certificate_checked(pki: Pki, tmp_path: Path) -> None:
    cert, key = pki.broker
    with Broker(tmp_path / "broker", Security(cert_file=cert, key_file=key)) as broker:
        options = {**broker.options, "tls": {"ca_file": str(pki.ca)}}
        with device(options), driver(options) as (bus, seen):
            wait_up(seen)
            bus.order("io", Pulse("open-1", "do0", 500, now_ms() + 5_000))

            assert seen.answered("open-1") is Result.CONFIRMED


def test_a_broker_that_another_authority_vouches_for_is_refused(pki: Pki, tmp_path: Path) -> None:
    cert, key = pki.broker
    with (
        Broker(tmp_path / "broker", Security(cert_file=cert, key_file=key)) as broker,
        driver({**broker.options, "tls": {"ca_file": str(pki.other_ca)}}) as (_, seen),
    ):
        assert "certificate verify failed" in wait_up(seen, up=False).why


def test_a_broker_with_another_name_is_refused_unless_the_site_says_so(pki: Pki, tmp_path: Path) -> None:
    cert, key = pki.elsewhere
    with Broker(tmp_path / "broker", Security(cert_file=cert, key_file=key)) as broker:
        lax = {**broker.options, "tls": {"ca_file": str(pki.ca), "check_name": False}}
        with driver({**broker.options, "tls": {"ca_file": str(pki.ca)}}) as (_, seen):
            assert "certificate is not valid for '127.0.0.1'" in wait_up(seen, up=False).why
        with device(lax), driver(lax) as (_, seen):
            wait_up(seen)


def test_a_broker_that_asks_for_our_certificate_gets_it(pki: Pki, tmp_path: Path) -> None:
    cert, key = pki.broker
    mine, my_key = pki.client
    security = Security(cert_file=cert, key_file=key, client_ca_file=str(pki.ca))
    with Broker(tmp_path / "broker", security) as broker:
        bare = {**broker.options, "tls": {"ca_file": str(pki.ca)}}
        shown = {**broker.options, "tls": {"ca_file": str(pki.ca), "cert_file": mine, "key_file": my_key}}
        with driver(bare) as (_, seen):
            assert not wait_up(seen, up=False).up
        with device(shown), driver(shown) as (_, seen):
            wait_up(seen)


def test_plain_mqtt_to_a_tls_port_and_the_other_way_round_come_to_nothing(pki: Pki, tmp_path: Path) -> None:
    cert, key = pki.broker
    with (
        Broker(tmp_path / "tls", Security(cert_file=cert, key_file=key)) as guarded,
        Broker(tmp_path / "plain") as plain,
    ):
        for options in (guarded.options, {**plain.options, "tls": {"ca_file": str(pki.ca)}}):
            with driver(options) as (_, seen):
                assert not wait_up(seen, up=False).up


def test_passwords_lie_hashed_and_private_beside_the_broker(guarded: Broker) -> None:
    path = guarded.folder / "passwords"

    assert 0o600 == path.stat().st_mode & 0o777
    assert not any(word in path.read_text() for word in USERS.values())
    assert os.access(path, os.R_OK)
