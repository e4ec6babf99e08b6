"""The commands when no daemon runs, or one may not talk to it: the mirror answers, and everything says so."""

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from gatectl.cli import client
from gatectl.domain import codec
from gatectl.domain import facts as f
from gatectl.domain.ids import AreaId, LaneId, SpotId, TicketNumber, TimeQuality
from gatectl.store import database, journal
from gatectl.store.projection import project

T0_MS = 1_795_000_000_000


@pytest.fixture
def mirrored(quiet_site: Any) -> Any:
    """A stopped site with one ticket, one fault and one lane held open."""
    facts = (
        f.TicketIssued(
            TicketNumber("000123-K7QF"), 123, LaneId("OUT-1"), AreaId("main"), SpotId("main-0-COMPACT-001"), "CAR", "COMPACT",
            "day-2026", T0_MS, TimeQuality.SYNCED,
        ),
        f.VehicleEntered(TicketNumber("000123-K7QF"), LaneId("OUT-1"), None, T0_MS),
        f.LaneModeChanged(LaneId("OUT-1"), "held-open", "jan", "ambulance"),
        f.LaneFaulted(LaneId("OUT-1"), f.LaneFault.FAILS_TO_OPEN, "no 'up' after 8 s"),
    )  # fmt: skip
    connection = database.open_database(quiet_site.root / "state" / database.DATABASE_NAME)
    with database.transaction(connection):
        tip = journal.read_tip(connection, "centrum-01")
        for number, fact in enumerate(facts):
            entry = journal.Entry(
                f"f{number}", T0_MS, "synced", "ab" * 8, 1, fact.kind, fact.version, codec.encode(fact)
            )
            tip = journal.append(connection, tip, [entry])
            project(connection, fact, T0_MS)
    connection.close()
    return quiet_site


def test_the_status_says_what_the_mirror_last_knew(mirrored: Any) -> None:
    """Exit 5; first that the daemon does not run, then faults, counts and the last event."""
    result = mirrored.run("status")

    assert 5 == result.exit_code
    lines = result.stdout.splitlines()
    assert "centrum-01   DOWN   daemon not running" == lines[0]
    assert "problem: The daemon is not running." in lines
    assert "problem: OUT-1: The arm does not report open (no 'up' after 8 s)." in lines
    assert any(line.startswith("OUT-1  exit  FAULT  unknown") for line in lines)
    assert any(line.startswith("main  2/3 (stale)  1") for line in lines)


def test_the_status_has_the_same_keys_with_and_without_a_daemon(mirrored: Any, site: Any) -> None:
    """A script that reads the status need not know who answered."""
    running = site.json("status")
    site.desk.refuse.clear()
    (site.root / "run" / "control.sock").rename(site.root / "run" / "elsewhere.sock")
    down = mirrored.json("status")
    (site.root / "run" / "elsewhere.sock").rename(site.root / "run" / "control.sock")

    assert set() == running.keys() - down.keys()
    assert set() == running["lanes"][0].keys() - down["lanes"][0].keys()
    assert set() == running["areas"][0].keys() - down["areas"][0].keys()
    assert ("down", False) == (down["state"], down["daemon"])


def test_tickets_events_and_the_proof_are_read_from_the_mirror(mirrored: Any) -> None:
    """Looking up needs no daemon; it says on stderr where the answer comes from."""
    shown = mirrored.run("ticket", "show", "000123-k7qf")
    assert 0 == shown.exit_code, shown.output
    assert "(daemon not running: read from the mirror)\n" == shown.stderr
    assert "000123-K7QF   inside   CAR   spot main-0-COMPACT-001" in shown.stdout

    assert 0 == mirrored.run("ticket", "find", "K7QF").exit_code
    assert 4 == mirrored.run("ticket", "show", "000999-K7QF").exit_code
    assert 4 == len(mirrored.json("events")["events"])
    assert (True, 4) == tuple(mirrored.json("sync", "prove")[key] for key in ("ok", "seq"))
    assert "held-open" == mirrored.json("lane", "show", "OUT-1")["mode"]
    assert 4 == mirrored.run("lane", "show", "OUT-9").exit_code
    assert 5 == mirrored.run("sync", "status").exit_code


@pytest.mark.parametrize(
    "words",
    [
        ("lane", "open", "OUT-1", "--reason", "x", "--yes"),
        ("lane", "close", "OUT-1"),
        ("pay", "000123-K7QF", "--yes"),
        ("ticket", "void", "000123-K7QF", "--reason", "x", "--yes"),
        ("loop", "watch", "OUT-1"),
        ("printer", "test", "p"),
        ("sync", "now"),
        ("events", "-f"),
    ],
    ids=" ".join,
)
def test_nothing_is_done_without_a_daemon(mirrored: Any, words: tuple[str, ...]) -> None:
    """Exit 5 and what to do."""
    result = mirrored.run(*words)

    assert 5 == result.exit_code
    assert "problem: The daemon is not running." in result.stderr
    assert " action: systemctl status gatectl" in result.stderr


def test_without_a_mirror_the_reason_is_said(quiet_site: Any) -> None:
    """A machine on which the daemon never ran."""
    assert 5 == quiet_site.run("status").exit_code
    assert "there is no mirror yet" in quiet_site.error("events")["message"]


def test_a_socket_that_nobody_serves_is_a_daemon_that_does_not_run(quiet_site: Any) -> None:
    """kill -9 leaves the file behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(quiet_site.root / "run" / "control.sock"))

    assert "E-CON-01" == quiet_site.error("lane", "close", "OUT-1")["code"]


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]"])
def test_something_else_on_the_socket_is_named(quiet_site: Any, answer: bytes) -> None:
    """Whatever answers, the command ends with a sentence."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(quiet_site.root / "run" / "control.sock"))
        other.listen()

        def serve() -> None:
            caller, _ = other.accept()
            with caller:
                caller.recv(65536)
                caller.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        error = quiet_site.error("lane", "close", "OUT-1")
        thread.join()

    assert "E-CON-03" == error["code"]


def test_a_daemon_that_does_not_answer_is_not_waited_for_ever(quiet_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepts and says nothing: wedged, or starting."""
    monkeypatch.setattr(client, "ANSWER_S_MAX", 0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wedged:
        wedged.bind(str(quiet_site.root / "run" / "control.sock"))
        wedged.listen()

        assert 5 == quiet_site.run("lane", "close", "OUT-1").exit_code


def test_no_permission_is_an_exit_code_of_its_own(quiet_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 6 and which group to be in. The refusal is the kernel's, here played: tests may run as root."""

    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)

    result = quiet_site.run("lane", "close", "OUT-1")

    assert 6 == result.exit_code
    assert "adduser $USER gatectl" in result.stderr


# -- the site file ------------------------------------------------------------------------------------------------------


def test_config_check_is_content_with_a_good_file(quiet_site: Any) -> None:
    """And says when it takes effect."""
    result = quiet_site.run("config", "check")

    assert 0 == result.exit_code, result.output
    assert "good. Site centrum-01, 1 lanes, 2 devices." in result.stdout
    assert quiet_site.json("config", "check")["ok"]


def test_config_check_lists_every_mistake(quiet_site: Any) -> None:
    """With file and line, the site's and the daemon's together; exit 1."""
    path: Path = quiet_site.root / "gatectl.toml"
    path.write_text(path.read_text().replace("Europe/Amsterdam", "Europe/Amsterdm") + "\n[daemon]\nlog_levle = 1\n")

    result = quiet_site.run("config", "check")

    assert 1 == result.exit_code
    assert f"{path}:5: site.timezone: found the unknown time zone 'Europe/Amsterdm'" in result.stdout
    assert "daemon.log_levle: found the unknown key 'log_levle'" in result.stdout
    assert {"site.timezone", "daemon.log_levle"} == {
        fault["where"] for fault in quiet_site.json("config", "check")["faults"]
    }


@pytest.mark.parametrize(
    ("key", "value", "source"),
    [
        ("site.timezone", "Europe/Amsterdam", 'timezone = "Europe/Amsterdam"'),
        ("lanes[0].wiring.closing", "io/di1", 'closing = "io/di1"'),
        ("lanes[0].pulses.open_ms", 500, "default"),
        ("devices.io.address", 1, "address = 1"),
        ("areas[0].levels[0].spots[0].count", 3, "levels = [{ level = 0,"),
        ("log_level", "info", "default"),
        ("daemon.speed", 1, "default"),
    ],
)
def test_config_explain_says_where_a_value_comes_from(quiet_site: Any, key: str, value: object, source: str) -> None:
    """The line of the file, or that it is the default."""
    answer = quiet_site.json("config", "explain", key)

    assert value == answer["value"]
    file, _, line = answer["source"].rpartition(":")
    said = Path(file).read_text().splitlines()[int(line) - 1] if file else line
    assert said.startswith(source)


def test_config_explain_of_an_unknown_key_names_the_nearest(quiet_site: Any) -> None:
    """Exit 4."""
    assert "did you mean 'site.timezone'?" in quiet_site.error("config", "explain", "site.timezon")["message"]


def test_config_show_prints_everything_in_force(quiet_site: Any) -> None:
    """Settings with their source, then the site."""
    result = quiet_site.run("config", "show")

    assert 'site.id = "centrum-01"' in result.stdout.splitlines()
    assert 'daemon.log_level = "info"  # default' in result.stdout.splitlines()
    assert "gatectl.config/1" == quiet_site.json("config", "show")["schema"]


def test_the_daemon_refuses_a_bad_file_by_name(quiet_site: Any) -> None:
    """`gatectl run` ends with the faults, not with a traceback."""
    path: Path = quiet_site.root / "gatectl.toml"
    path.write_text(path.read_text().replace('kind = "exit"', 'kind = "exti"'))

    result = quiet_site.run("run")

    assert 1 == result.exit_code
    assert "lanes[0].kind: found the text 'exti', expected one of entry, exit (did you mean 'exit'?)" in result.stderr
