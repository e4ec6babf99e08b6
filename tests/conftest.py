"""What holds for all rooms' tests: in CI, a test against a program that is not ours must not be skipped.

A property has no deadline of its own: on a busy machine it would say how busy the machine is.
"""

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("busy machines", deadline=None)
settings.load_profile("busy machines")

REQUIRED = "GATECTL_REQUIRE_TOOLS"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With GATECTL_REQUIRE_TOOLS=1, a skipped `tools` test has failed: its program was to be installed."""
    report: pytest.TestReport = yield
    if report.skipped and item.get_closest_marker("tools") and os.environ.get(REQUIRED) == "1":
        why: Any = report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{REQUIRED}=1, and yet skipped: {why[2] if isinstance(why, tuple) else why}"
    return report
