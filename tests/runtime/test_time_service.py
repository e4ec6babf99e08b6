"""Whether a time service disciplines the clock: asked of the kernel, or, where that is not allowed, of systemd-timesyncd."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gatectl.runtime import clock


@pytest.mark.parametrize(("state", "synchronised"), [(0, True), (1, True), (5, False)])
def test_the_kernel_is_believed(monkeypatch: pytest.MonkeyPatch, state: int, synchronised: bool) -> None:
    """adjtimex(2): 0 to 4 are states of a disciplined clock, 5 is TIME_ERROR."""
    monkeypatch.setattr(clock.ctypes, "CDLL", lambda *_, **__: SimpleNamespace(adjtimex=lambda _: state))

    assert synchronised == clock.kernel_says_synchronised()


@pytest.mark.parametrize(("age_s", "synchronised"), [(None, False), (60, True), (clock.TIMESYNC_AGE_S_MAX + 60, False)])
def test_a_kernel_that_may_not_be_asked_leaves_timesyncd(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, age_s: int | None, synchronised: bool
) -> None:
    """The unit's ProtectClock refuses adjtimex; a fresh mark counts, a stale or missing one does not."""
    mark = tmp_path / "synchronized"
    if age_s is not None:
        mark.touch()
        os.utime(mark, (time.time() - age_s,) * 2)
    monkeypatch.setattr(clock, "TIMESYNC_MARK", mark)
    monkeypatch.setattr(clock.ctypes, "CDLL", lambda *_, **__: SimpleNamespace(adjtimex=lambda _: -1))

    assert synchronised == clock.kernel_says_synchronised()
