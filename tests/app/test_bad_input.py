"""Anything may arrive on any wire: it is refused by name, it can be seen that it was, and the next car is served."""

import base64
import contextlib
import json
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_bench import SITE, WAIT_S_MAX, SiteUnderTest
from paho.mqtt import publish

from drivers.sim.broker import HOST, Broker
from drivers.sim.pty import PERFECT, Cable
from gatectl.cli.errors import CommandFailed
from gatectl.domain import tickets
from gatectl.domain.ids import SiteId
from gatectl.domain.tickets import Keyring
from gatectl.runtime.keys import load_keyring

NOISE = Cable(garbage=1.0, loss=0.3)


def counted(site: SiteUnderTest) -> dict[str, dict[str, int]]:
    """What each port has counted."""
    return {row["port"]: row["counters"] for row in site.daemon.get("ports")["ports"]}


def a_car_is_served(site: SiteUnderTest) -> None:
    number, code = site.enter()
    site.pay(number, f"key-{number}")
    site.leave(code)
    assert "exited" == site.daemon.get("tickets", number)["state"]
    assert site.alive()
    assert "Traceback" not in site.log.read_text()
    site.check()


def settled(site: SiteUnderTest) -> None:
    """Every device is back, and every lane serves; a person resets what calls for one."""
    deadline_s = time.monotonic() + 2 * WAIT_S_MAX
    for _ in site.daemon.stream("events", "stream"):
        if not [row for row in site.daemon.get("status")["problems"] if row["code"].startswith(("E-DEV", "E-PRN"))]:
            break
        assert time.monotonic() < deadline_s, site.told()
    for lane in ("IN-1", "OUT-1"):
        if site.wait_phase(lane, "idle", "held-open", "out-of-service") != "idle":
            deadline_s = time.monotonic() + WAIT_S_MAX
            for _ in site.daemon.stream("events", "stream"):  # devices come back in their own time
                if site.phase(lane) == "idle":
                    break
                body = {"reason": "looked at", "request": f"mend-{lane}-{time.monotonic_ns()}"}
                assert time.monotonic() < deadline_s, site.told()
                with contextlib.suppress(CommandFailed):
                    site.daemon.post("lanes", lane, "reset", **body)


@pytest.mark.parametrize("seed", [7])
def test_garbage_on_every_line_for_a_while(site: SiteUnderTest, seed: int) -> None:
    """A failing converter on each port at once: nothing moves, and when the wires are whole again so is the site."""
    pick = random.Random(seed)
    peers = (site.plant.line, site.plant.paper, site.plant.window)
    for peer in peers:
        peer.cable = NOISE
    for _ in range(30):
        with site.plant.window.changing():
            site.plant.reader.say(pick.randbytes(pick.randint(1, 400)))
        assert SITE == site.daemon.get("status")["site"]
    for device in ("io-IN-1", "io-OUT-1"):  # long enough for the bus to give them up, by name
        site.wait("device.lost", device=device)
    assert all(sum(counters.values()) for counters in counted(site).values())
    assert counted(site)["reader"].keys() >= {"lines-dirty", "lines-unfinished"}
    assert [] == site.plant.pulses
    assert [] == site.events("ticket.issued")

    for peer in peers:
        peer.cable = PERFECT
    settled(site)

    a_car_is_served(site)


def forged(site: SiteUnderTest, code: str) -> str:
    """The same ticket with its authentication code touched."""
    raw = bytearray(base64.b32decode(code))
    raw[-1] ^= 1
    return base64.b32encode(raw).decode()


def signed(keys: Keyring, site_id: str) -> str:
    return tickets.sign(keys, SiteId(site_id), counter=1, tag="AAAA", issued_s=1_790_000_000, vehicle_type="CAR")


def test_tickets_that_are_none_open_nothing(site: SiteUnderTest) -> None:
    """Unsigned, touched, another site's, copied, void, or no code at all: each is refused by its own code and recorded."""
    keys = load_keyring(site.root / "state" / "credentials" / "ticket-keys.json")
    number, code = site.enter()
    site.pay(number)
    site.leave(code)
    opened = list(site.plant.pulses)
    tries = {
        "000001-AAAA": "E-TKT-0",
        forged(site, signed(keys, SITE)): "E-TKT-0",
        signed(Keyring(1, {1: b"x" * 32}), SITE): "E-TKT-0",
        signed(Keyring(1, {1: b"x" * 32}), "elsewhere-01"): "E-TKT-0",
        code: "E-TKT-04",
        code.lower(): "E-TKT-0",
        "A" * 56: "E-TKT-0",
    }
    site.sensed("OUT-1", "arming", True)
    for shown, why in tries.items():
        before = site.position()
        site.plant.show(shown)
        refused = site.wait("code.refused", before)
        assert refused["why"].startswith(why), (shown, refused)

    assert opened == site.plant.pulses
    assert len(tries) == len(site.events("code.refused"))
    site.sensed("OUT-1", "arming", False)
    a_car_is_served(site)


def asked(path: Path, data: bytes) -> bytes:
    """What the control socket says to these bytes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(WAIT_S_MAX)
        caller.connect(str(path))
        try:
            caller.sendall(data)
            caller.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass  # it has refused already
        answer = b""
        try:
            while piece := caller.recv(65_536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


def posted(path: str, body: bytes) -> bytes:
    return b"POST %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body)


ORDER = {"reason": "r", "request": "q"}
REQUESTS = {
    "noise": (random.Random(3).randbytes(500) + b"\r\n\r\n", b" 400 "),
    "oversize head": (b"GET /v1/status HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", b" 400 "),
    "oversize body": (b"POST /v1/payments HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b" 400 "),
    "no json": (posted("/v1/payments", b"{ticket"), b" 400 "),
    "a list": (posted("/v1/payments", b"[]"), b" 400 "),
    "deep": (posted("/v1/payments", b"[" * 60_000), b" 400 "),
    "huge number": (
        posted("/v1/tickets/lost", json.dumps({**ORDER, "minutes": 2**53}).encode()),
        b" 400 ",
    ),
    "surrogate": (posted("/v1/lanes/IN-1/open", b'{"reason":"\\ud800","request":"q"}'), b" 400 "),
    "no such lane": (posted("/v1/lanes/%00%ff/open", json.dumps(ORDER).encode()), b" 404 "),
    "a bar in the id": (
        posted("/v1/lanes/NO/open", json.dumps({"reason": "r", "request": "a|station|b"}).encode()),
        b" 404 ",
    ),
    "a bar in the key": (
        posted("/v1/payments", json.dumps({"ticket": "000009-AAAA", "key": "a|station|b"}).encode()),
        b" 409 ",
    ),
    "too much money": (
        posted("/v1/payments", json.dumps({"ticket": "000009-AAAA", "key": "k", "tendered_minor": 2**53}).encode()),
        b" 409 ",
    ),
    "nowhere": (b"GET /etc/passwd HTTP/1.1\r\n\r\n", b" 404 "),
}


def test_garbage_on_the_control_socket(site: SiteUnderTest) -> None:
    """Each is answered by name, and the gate goes on."""
    for name, (data, status) in REQUESTS.items():
        answer = asked(site.root / "run" / "control.sock", data)

        assert status in answer.partition(b"\r\n")[0], (name, answer[:300])
        assert b"gatectl.error/1" in answer, name
        assert b"E-BUG-01" not in answer, name

    a_car_is_served(site)


def test_callers_who_say_nothing_hold_up_nobody(site: SiteUnderTest) -> None:
    """All places taken by silent callers: one more is told so at once, cars are served, and the places come back."""
    path = site.root / "run" / "control.sock"
    silent = []
    for _ in range(40):
        caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        caller.settimeout(WAIT_S_MAX)
        caller.connect(str(path))
        silent.append(caller)
    assert b"E-BUSY-01" in silent[-1].recv(1_000)
    site.plant.contact("IN-1", "arming", True)  # no control socket is needed for this
    site.plant.contact("IN-1", "button", True)
    site.plant.wait_mouth()

    answers = [caller.recv(1_000) for caller in silent[:-1]]

    assert all(b"E-USE-01" in answer or b"E-BUSY-01" in answer for answer in answers)
    for caller in silent:
        caller.close()
    assert 1 == len(site.events("ticket.issued"))
    assert SITE == site.daemon.get("status")["site"]


_MQTT = """
[ports.broker]
kind = "mqtt"
host = "127.0.0.1"
port = {port}
topic_prefix = "gatectl"

[devices.shelly]
driver = "shelly"
model = "plus-2pm"
port = "broker"
id = "shelly-x"

[devices.kiosk]
driver = "pay-mqtt"
model = "station"
port = "broker"

[[stations]]
id = "PS-1"
device = "kiosk"
"""
TOPICS = (
    "shelly-x/online",
    "shelly-x/events/rpc",
    "shelly-x/status/switch:0",
    "gatectl/shelly-x/rpc",
    "gatectl/rpc",
    "gatectl/kiosk/request",
    "gatectl/kiosk/status",
    "gatectl/kiosk/reply",
)
PAYLOADS = (
    b"x" * 200_000,
    b"",
    b"\xff\x00",
    b"{",
    b"[]",
    b"[" * 50_000,
    b"null",
    b'{"v":1}',
    b'{"v":1,"id":"x","what":"pay-cash","code":"A","tendered_minor":1e400}',
    b'{"v":1,"id":"|","what":"pay-cash","code":"\\ud800","tendered_minor":500}',
    b'{"v":1,"id":"station|b","what":"quote","code":"A"}',
    b'{"method":"Switch.Set","params":{"id":0,"on":true}}',
    b'{"v":1,"id":"r-1","what":"pay-cash","code":"A","tendered_minor":500}',  # what stays retained is well-formed
)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as broker:
        yield broker


def test_malformed_and_retained_messages(broker: Broker, tmp_path: Path) -> None:
    """Every topic that is listened to, every kind of nonsense, live and retained from long ago: counted, never obeyed."""
    nonsense = [
        {"topic": topic, "payload": payload, "qos": 0, "retain": retain}
        for topic in TOPICS
        for payload in PAYLOADS
        for retain in (False, True)
    ]
    publish.multiple(nonsense, HOST, broker.port)  # type: ignore[arg-type]  # what paho takes
    site = SiteUnderTest(tmp_path / "site", more=_MQTT.format(port=broker.port))
    try:
        site.start()
        site.wait_ready_lanes()
        publish.multiple(nonsense, HOST, broker.port)  # type: ignore[arg-type]  # what paho takes

        a_car_is_served(site)

        told = counted(site)["broker"]
        assert sum(number for name, number in told.items() if "malformed" in name) > 0, told
        assert sum(number for name, number in told.items() if "retained" in name) > 0, told
        assert sum(number for name, number in told.items() if "oversize" in name) > 0, told
        assert 4 == len(site.plant.pulses)
        assert 1 == len(site.events("payment.taken"))
    finally:
        site.close()
