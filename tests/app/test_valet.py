"""Valet through the real daemon: the page's commands in their order, with a kill in the middle."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_bench import SiteUnderTest
from test_rights import examples, gatectl

PAGE = Path(__file__).parents[2] / "docs" / "business" / "valet.md"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SiteUnderTest]:
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(), flags=re.S | re.M)
    site = SiteUnderTest(tmp_path, more=toml)
    try:
        site.start()
        site.wait_ready_lanes()
        yield site
    finally:
        site.close()


def test_the_page_says_what_the_commands_print(site: SiteUnderTest) -> None:
    """Killed while the vehicle is fetched: the queue, the spot and the tag are there again."""
    claim = "CLAIM"
    for command, printed in examples("valet.md"):
        if command.startswith("gatectl valet ready"):
            site.kill()
            site.start()
        visit = claim.rpartition("-")[0]
        words = shlex.split(command.replace("CLAIM", claim).replace("VISIT", visit))[1:]
        found = re.sub(" +", " ", gatectl(site, *words))
        if claim == "CLAIM":
            claim = str(site.events("valet.received")[0]["claim"])
            visit = claim.rpartition("-")[0]
        told = re.sub(" +", " ", printed).replace("CLAIM", claim).replace("VISIT", visit)
        pattern = ".*".join(re.escape(part) for part in told.split("…"))
        assert re.fullmatch(pattern, found.replace("CLAIM", claim), flags=re.S), f"{command}\n{found}"

    assert [(0, "returned", "by-hand")] == site.rows("SELECT open, state, returned_how FROM valet")
    assert [("exited", "main-0-COMPACT-004")] == site.rows("SELECT state, spot FROM tickets")
    site.check()
