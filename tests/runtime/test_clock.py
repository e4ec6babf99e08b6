"""The clock: what it believes, how fast it runs in a demo, and that the wire's time is never sped up."""

import time

import pytest

from gatectl.domain.ids import TimeQuality
from gatectl.runtime import clock as clock_module
from gatectl.runtime.clock import BEHIND_JOURNAL_MS_MAX, PLAUSIBLE_FROM_MS, Origin, SystemClock

NOW_MS = 1_795_000_000_000


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The machine's clocks, in the test's hands."""
    at = {"wall_ms": NOW_MS, "mono_ms": 50_000, "synced": 1}
    monkeypatch.setattr(clock_module.time, "time_ns", lambda: at["wall_ms"] * 1_000_000)
    monkeypatch.setattr(clock_module.time, "monotonic_ns", lambda: at["mono_ms"] * 1_000_000)
    monkeypatch.setattr(clock_module, "kernel_says_synchronised", lambda: bool(at["synced"]))
    return at


@pytest.mark.parametrize(
    ("wall_ms", "synced", "last_ms", "quality"),
    [
        (NOW_MS, 1, None, TimeQuality.SYNCED),
        (NOW_MS, 0, None, TimeQuality.FREE_RUNNING),
        (PLAUSIBLE_FROM_MS - 1, 1, None, TimeQuality.UNSET),
        (PLAUSIBLE_FROM_MS, 0, None, TimeQuality.FREE_RUNNING),
        (NOW_MS, 0, NOW_MS + BEHIND_JOURNAL_MS_MAX, TimeQuality.FREE_RUNNING),
        (NOW_MS, 0, NOW_MS + BEHIND_JOURNAL_MS_MAX + 1, TimeQuality.UNSET),
        (NOW_MS, 0, NOW_MS - 10**9, TimeQuality.FREE_RUNNING),
        (NOW_MS, 1, NOW_MS + BEHIND_JOURNAL_MS_MAX + 1, TimeQuality.SYNCED),
    ],
)
def test_what_is_believed_of_the_wall_clock(
    frozen: dict[str, int], wall_ms: int, synced: int, last_ms: int | None, quality: TimeQuality
) -> None:
    """Never set, or behind what was recorded already: nothing is priced from it, unless a time service vouches for it."""
    frozen |= {"wall_ms": wall_ms, "synced": synced}

    now = SystemClock(last_recorded_ms=last_ms).now()

    assert (wall_ms, 50_000, quality) == (now.wall_ms, now.mono_ms, now.quality)


def test_a_sped_up_clock_goes_on_after_a_restart(frozen: dict[str, int]) -> None:
    """Its origin survives the daemon: the second run shows what the first would have shown."""
    origin = Origin(shown_ms=NOW_MS, real_ms=NOW_MS - 1_000)
    first = SystemClock(20, origin).now()
    frozen["wall_ms"] += 500
    frozen["mono_ms"] += 500

    second = SystemClock(20, origin, last_recorded_ms=first.wall_ms).now()

    assert (NOW_MS + 20_000, 10_000, TimeQuality.SYNCED) == (
        first.wall_ms,
        second.wall_ms - first.wall_ms,
        second.quality,
    )
    assert 10_000 == second.mono_ms - first.mono_ms


def test_waiting_is_real_and_deadlines_are_the_wires(frozen: dict[str, int]) -> None:
    """Eight seconds of a lane are 0.4 s of waiting at speed 20; a deadline handed to a device is on its time."""
    clock = SystemClock(20, Origin(0, 0))
    deadline = clock.now().mono_ms + 8_000

    assert 0.4 == pytest.approx(clock.seconds_until(deadline))
    assert 50_400 == clock.real_deadline_ms(deadline)
    assert 0.0 == clock.seconds_until(clock.now().mono_ms - 1)
    assert 50_000 == clock.monotonic_ms()


def test_the_clock_is_the_machines() -> None:
    """Between two looks of our own."""
    before_ms = time.time_ns() // 1_000_000
    now = SystemClock().now()

    assert before_ms <= now.wall_ms <= time.time_ns() // 1_000_000


def test_a_speed_without_an_origin_is_a_defect() -> None:
    """It would jump at every restart."""
    with pytest.raises(AssertionError, match="origin"):
        SystemClock(20)
