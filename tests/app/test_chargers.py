"""Chargers through the real daemon: the page's commands, a kill in the middle of a session, one price for parking and energy."""

import re
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_bench import SiteUnderTest
from test_rights import examples, gatectl

from drivers.codecs.ocpp import V16, V201
from drivers.sim.ocpp import ChargePointSim
from gatectl.cli.errors import CommandFailed

SITE_FILE = """
[ports.chargers]
kind = "ocpp"
host = "127.0.0.1"
port = {port}

[devices.wallbox-1]
driver = "ocpp"
port = "chargers"
password_file = "{folder}/password"

[devices.wallbox-2]
driver = "ocpp"
port = "chargers"
no_password = true

[[chargers]]
id = "EV-1"
device = "wallbox-1"

[[chargers]]
id = "EV-2"
device = "wallbox-2"

[charging]
kwh_minor = 59
connection_minor = 100
"""


def free_port() -> int:
    """One that nobody has now; a daemon cannot tell a test which one it was given."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def site(tmp_path: Path, port: int) -> Iterator[SiteUnderTest]:
    (tmp_path / "password").write_text("correct horse battery\n")
    site = SiteUnderTest(tmp_path, SITE_FILE.format(port=port, folder=tmp_path))
    try:
        site.start()
        site.wait_ready_lanes()
        yield site
    finally:
        site.close()


def wallbox(port: int, number: int) -> ChargePointSim:
    """The first speaks 1.6 and has a password, the second 2.0.1."""
    protocol, password = (V16, "correct horse battery") if number == 1 else (V201, "")
    return ChargePointSim(f"ws://127.0.0.1:{port}/ocpp", f"wallbox-{number}", protocol, password)


def test_the_page_says_what_the_commands_print_and_a_kill_costs_nothing(site: SiteUnderTest, port: int) -> None:
    """A ticket at EV-1, a stranger at EV-2; killed while both charge; the charger ends late, the ticket pays it all."""
    number, code = site.enter()
    with wallbox(port, 1) as first, wallbox(port, 2) as second:
        first.call()
        first.boot()
        assert ("Accepted", "Invalid") == (first.authorize(number), first.authorize("000099-ZZZZ"))
        first.begin(number)
        first.status("Charging")
        first.charge(8_500)
        second.call()
        second.boot()
        second.begin("stranger")
        second.charge(2_000)
        second.end()
        second.fault()
        ((session,),) = site.rows("SELECT session FROM charging_sessions WHERE ticket IS NULL")
        faults = {problem["code"] for problem in site.daemon.get("status")["problems"]}
        assert {"E-CHG-01", "E-CHG-02"} <= faults
        with pytest.raises(CommandFailed, match="nothing here is called"):  # a meter is the charger's to tell
            site.daemon.post("do", "charger-end", words={"transaction": "1", "meter_wh": 9}, request="r1")
        for command, printed in examples("charging.md"):
            known = {"SESSION": session, "TICKET": number}
            words = [known.get(word, word) for word in shlex.split(command)[1:]]
            said = printed.replace("SESSION belongs to TICKET", f"{session} belongs to {number}")
            pattern = ".*".join(re.escape(part) for part in re.sub(" +", " ", said).split("…"))
            found = re.sub(" +", " ", gatectl(site, *words))
            assert re.fullmatch(pattern, found), found
        site.wait("charging.asked", act="stop")
        assert [("stop", "1")] == first.asks

        site.kill()
        first.offline()
        first.charge(500)
        first.end(reason="Remote")
        site.start()
        site.wait_ready_lanes()
        first.online()
        first.repeat()

    (ended,) = [event for event in site.events("charging.ended") if event["reason"] == "Remote"]
    assert 9_000 == ended["energy_wh"]
    lines = dict(site.daemon.get("tickets", number)["price"]["lines"])
    assert (531, 118) == (lines["Charging EV-1, 9.000 kWh"], lines["Charging EV-2, 2.000 kWh"])
    site.pay(number)
    site.leave(code)
    assert {("settled",)} == set(site.rows("SELECT state FROM charging_sessions"))
    site.check()
