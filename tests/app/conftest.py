"""Lets the tests of this folder import what they share by name (`app_bench`)."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from app_bench import SiteUnderTest


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SiteUnderTest]:
    """A small site whose daemon runs and whose lanes are ready."""
    site = SiteUnderTest(tmp_path)
    try:
        site.start()
        site.wait_ready_lanes()
        yield site
    finally:
        site.close()
