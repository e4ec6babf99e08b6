"""Coupons through the real daemon: the page's commands, two requests in the same moment, a kill in between."""

import re
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from app_bench import SiteUnderTest
from test_rights import examples, gatectl

from gatectl.cli.errors import CommandFailed

PAGE = Path(__file__).parents[2] / "docs" / "business" / "validations.md"
TOGETHER = 6


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SiteUnderTest]:
    """A small site with what the page puts into its file, and a coupon for one stay."""
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(), flags=re.S | re.M)
    site = SiteUnderTest(tmp_path, more=f'{toml}\n[[coupons]]\nid = "ONCE"\npercent = 50\n')
    try:
        site.start()
        site.wait_ready_lanes()
        yield site
    finally:
        site.close()


def test_the_page_says_what_the_commands_print(site: SiteUnderTest) -> None:
    """In the order of the page, for a car that is inside; widths of columns are left to the ticket's number."""
    ticket, _ = site.enter()
    for command, printed in examples("validations.md"):
        pattern = ".*".join(re.escape(part) for part in printed.replace("TICKET-V", f"{ticket}-V").split("…"))
        pattern = re.sub(r"(\\ ){2,}", r" +", pattern).replace("TICKET", f"(TICKET|{ticket})")

        found = gatectl(site, *shlex.split(command.replace("TICKET", ticket))[1:])
        assert re.fullmatch(pattern, found, flags=re.S), f"{command}\n{found}\n{pattern}"


def test_one_coupon_and_six_desks_in_the_same_moment(site: SiteUnderTest) -> None:
    """Each has another car's ticket; one of them gets it. The rows survive a kill, and so does the refusal."""
    cars = [site.enter()[0] for _ in range(TOGETHER - 3)]
    start = Barrier(TOGETHER)

    def ask(number: int) -> str:
        start.wait(20)
        words = {"coupon": "ONCE", "ticket": cars[number % len(cars)]}
        try:
            site.daemon.post("do", "coupon-apply", words=words, request=f"r{number}")
        except CommandFailed as refused:
            return refused.code
        return ""

    with ThreadPoolExecutor(TOGETHER) as desks:
        answers = sorted(desks.map(ask, range(TOGETHER)))

    assert "" == answers[0]
    assert {"E-CPN-02", "E-CPN-05"} >= set(answers[1:])
    assert 1 == len(site.events("validation.applied"))
    site.kill()
    site.start()
    assert [("ONCE", 1)] == site.rows("SELECT coupon, used FROM coupon_uses")
    free = next(car for car in cars if car != site.events("validation.applied")[0]["ticket"])
    with pytest.raises(CommandFailed) as refused:
        site.daemon.post("do", "coupon-apply", words={"coupon": "ONCE", "ticket": free}, request="late")
    assert "E-CPN-02" == refused.value.code
    site.check()


def test_a_coupon_in_the_window_of_the_exit(site: SiteUnderTest) -> None:
    """One takes 0.50 off, the other leaves nothing: the arm goes up, both are spent."""
    gatectl(site, "coupon", "add", "A-BIT", "--amount", "0.50")
    gatectl(site, "coupon", "add", "THE-REST", "--flat", "0")
    ticket, code = site.enter()
    before = site.position()
    site.sensed("OUT-1", "arming", True)
    site.plant.show(code)
    site.wait("code.refused", before, why="E-TKT-06")
    site.plant.show("A-BIT")
    site.wait("validation.applied", before, coupon="A-BIT")
    site.plant.show("THE-REST")
    site.drive_over("OUT-1", before)

    assert [("spent", 0), ("spent", 0)] == site.rows("SELECT state, open FROM validations ORDER BY validation")
    assert [("exited", 0)] == site.rows("SELECT state, paid_minor FROM tickets WHERE ticket = ?", ticket)
    site.check()
