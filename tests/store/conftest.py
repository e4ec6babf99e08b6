"""Lets the tests of this folder import what they share by name (`store_bench`)."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from store_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A fresh database with a writer that has not started."""
    bench = Bench(tmp_path / "gatectl.db")
    yield bench
    bench.close()
