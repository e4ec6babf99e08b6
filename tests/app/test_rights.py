"""Passes and reservations through the real daemon: the pages' commands, a card at the entry, a kill in between."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from app_bench import SiteUnderTest

PAGES = Path(__file__).parents[2] / "docs" / "business"
COMMAND_S_MAX = 20


def gatectl(site: SiteUnderTest, *words: str) -> str:
    """What the command prints; its times are Amsterdam's."""
    command = [str(Path(sys.executable).with_name("gatectl")), *words]
    env = {**site.environment, "TZ": "Europe/Amsterdam", "NO_COLOR": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=COMMAND_S_MAX, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def examples(page: str) -> list[tuple[str, str]]:
    """Each command of a page with what it prints."""
    (fence,) = re.findall(r"^```console\n(.*?)^```$", (PAGES / page).read_text(), flags=re.S | re.M)
    parts = re.split(r"^\$ (.*)\n", fence, flags=re.M)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("page", ["passes.md", "reservations.md"])
def test_the_page_says_what_the_commands_print(site: SiteUnderTest, page: str) -> None:
    """In the order of the page; an ellipsis stands for what is another thing each time."""
    for command, printed in examples(page):
        pattern = ".*".join(re.escape(part) for part in printed.split("…"))

        found = gatectl(site, *shlex.split(command)[1:])
        assert re.fullmatch(pattern, found), f"{command}\n{found}"


def test_a_pass_goes_in_after_a_kill_and_out_again(site: SiteUnderTest) -> None:
    """Made by the technician, the site is killed; the PIN still opens, nothing is due, and the rows say so."""
    gatectl(site, "pass", "add", "M7", "--pin", "4711")
    site.kill()
    site.start()
    site.wait_ready_lanes()
    before = site.position()

    site.sensed("IN-1", "arming", True)
    site.plant.show_at_entry("4711")
    ticket = site.wait("pass.used", before, pass_id="M7")["ticket"]
    site.drive_over("IN-1", before)
    assert [("M7", 1)] == site.rows("SELECT pass_id, counted FROM pass_stays WHERE ended IS NULL")
    site.kill()
    site.start()
    site.wait_ready_lanes()
    site.leave("4711")

    assert [("vehicle.exited",)] == site.rows("SELECT ended FROM pass_stays")
    assert [("exited", 0)] == site.rows("SELECT state, paid_minor FROM tickets WHERE ticket = ?", ticket)
    site.check()
