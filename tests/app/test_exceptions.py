"""The exceptions desk through the real daemon: the page's commands, a number typed at the exit, and why without a daemon."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from app_bench import SiteUnderTest

PAGE = Path(__file__).parents[2] / "docs" / "business" / "exceptions.md"
COMMAND_S_MAX = 20


def gatectl(site: SiteUnderTest, *words: str) -> str:
    """What the command prints, on a screen of 80 columns."""
    command = [str(Path(sys.executable).with_name("gatectl")), *words]
    env = {**site.environment, "COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=COMMAND_S_MAX, check=False)
    assert 0 == done.returncode, f"{words}: {done.stderr}"
    return done.stdout


def test_the_page_says_what_the_commands_print(site: SiteUnderTest) -> None:
    """In its order, with the tag of this boot; an ellipsis stands for what is another thing each time."""
    number, _ = site.enter()
    tag = number.partition("-")[2]
    text = PAGE.read_text().replace("K7QF", tag).replace("k7qf", tag.lower())
    (fence,) = re.findall(r"^```console\n(.*?)^```$", text, flags=re.S | re.M)
    parts = re.split(r"^\$ (.*)\n", fence, flags=re.M)[1:]
    for command, printed in zip(parts[::2], parts[1::2], strict=True):
        pattern = ".*".join(re.escape(part) for part in printed.split("…"))

        found = gatectl(site, *shlex.split(command)[1:])
        assert re.fullmatch(pattern, found, flags=re.S), f"{command}\n{found}"


def test_a_typed_number_opens_the_exit_and_outlives_a_kill(site: SiteUnderTest) -> None:
    """Priced by a person, killed, and the price stands; over the intercom the driver reads the number, and the arm opens."""
    number, _ = site.enter()
    gatectl(site, "ticket", "price", number, "0", "--reason", "the lift was broken", "--yes")
    site.kill()
    site.start()
    site.wait_ready_lanes()
    before = site.position()
    site.sensed("OUT-1", "arming", True)
    gatectl(site, "ticket", "present", number, "OUT-1", "--reason", "the reader is dirty", "--yes")
    site.drive_over("OUT-1", before)

    assert [("exited", 0)] == site.rows("SELECT state, paid_minor FROM tickets WHERE ticket = ?", number)
    assert [("keyed", number)] == site.rows("SELECT act, ticket FROM exceptions")
    assert [(0, 1)] == site.rows("SELECT price_minor, ended FROM hand_prices")
    assert "left at OUT-1" in gatectl(site, "why", number)
    site.check()


def test_stale_tickets_are_closed_and_the_count_stays_if_it_was_right(site: SiteUnderTest) -> None:
    """One car left while nobody looked: as listed, with the reason, in one batch."""
    site.enter()
    status = site.daemon.get("status")
    words = {"before_ms": status["at_ms"], "expected": 1, "keep_count": True, "reason": "left in the free flow"}
    done = site.daemon.post("do", "tickets-close", words=words, request="r1")

    assert [{"area": "main", "closed": 1, "inside": 1}] == done["areas"]
    assert [(1, 0, 1)] == site.rows("SELECT tickets, counted, inside FROM soft_closes")
    assert [("written-off",)] == site.rows("SELECT state FROM tickets")
    assert [(1, 0, 0)] == site.rows("SELECT entered, exited, adjusted FROM counts")


def test_why_knows_the_last_inputs_when_the_daemon_is_gone(site: SiteUnderTest) -> None:
    """Killed while a car stands at the exit: from the capture, what the lane saw; from the journal, the rest."""
    site.sensed("OUT-1", "arming", True)
    site.wait_phase("OUT-1", "present")
    assert "serves: a vehicle stands at the station" in gatectl(site, "why", "OUT-1")
    assert 0 == site.stop()
    told = gatectl(site, "why", "OUT-1")

    assert "1. The daemon is not running" in told
    assert "(last: present)" in told
    assert "arming loop occupied; closing loop clear; arm down" in told
    assert all(len(line) <= 80 for line in told.splitlines())
