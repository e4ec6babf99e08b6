"""Telling the time and waiting for it.

Lanes and tariffs live on this clock; the wire's time-outs live on real monotonic time. In the demo this clock runs faster
(`speed`), the wire does not.
"""

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatectl.domain.ids import Moment, TimeQuality

PLAUSIBLE_FROM_MS: Final = 1_735_689_600_000
"""2025-01-01T00:00:00Z: a clock before this has never been set."""
BEHIND_JOURNAL_MS_MAX: Final = 86_400_000
"""A clock a day behind the last recorded fact is not believed, unless a time service vouches for it."""
_TIME_ERROR: Final = 5  # adjtimex(2): "the clock is not synchronised"
_TIMEX_BYTES: Final = 512
TIMESYNC_MARK: Final = Path("/run/systemd/timesync/synchronized")
"""Touched by systemd-timesyncd at each successful synchronisation (systemd-timesyncd(8))."""
TIMESYNC_AGE_S_MAX: Final = 3 * 2048
"""Three of its longest intervals (timesyncd.conf(5), PollIntervalMaxSec)."""


def kernel_says_synchronised() -> bool:
    """adjtimex(2), reading only: whether some time service disciplines the clock.

    Under the unit's ProtectClock= the kernel may not even be asked; then systemd-timesyncd's own mark is believed.
    """
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    state: int = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    return state != _TIME_ERROR if state >= 0 else _timesyncd_says_synchronised()


def _timesyncd_says_synchronised() -> bool:
    try:
        age_s = time.time() - TIMESYNC_MARK.stat().st_mtime
    except OSError:
        return False
    return age_s <= TIMESYNC_AGE_S_MAX


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sped-up clock started: this wall time was shown at that real time."""

    shown_ms: int
    real_ms: int


class SystemClock:
    """The machine's clocks; `speed` 1 in production."""

    def __init__(self, speed: int = 1, origin: Origin | None = None, last_recorded_ms: int | None = None) -> None:
        assert speed >= 1
        assert speed == 1 or origin is not None, "a sped-up clock needs an origin that survives restarts"
        self._speed = speed
        self._origin = origin
        self._last_recorded_ms = last_recorded_ms

    def now(self) -> Moment:
        wall_ms = self._wall_ms()
        return Moment(wall_ms, self.monotonic_ms() * self._speed, self._quality(wall_ms))

    def monotonic_ms(self) -> int:
        """Real monotonic milliseconds: the wire's time."""
        return time.monotonic_ns() // 1_000_000

    def seconds_until(self, mono_ms: int) -> float:
        """Real seconds to sleep for a moment on this clock's monotonic side; never negative."""
        return max(0.0, mono_ms / self._speed - self.monotonic_ms()) / 1000

    def real_deadline_ms(self, mono_ms: int) -> int:
        """A deadline of this clock on real monotonic time."""
        return mono_ms // self._speed

    def _wall_ms(self) -> int:
        real_ms = time.time_ns() // 1_000_000
        if self._origin is None:
            return real_ms
        return self._origin.shown_ms + (real_ms - self._origin.real_ms) * self._speed

    def _quality(self, wall_ms: int) -> TimeQuality:
        if wall_ms < PLAUSIBLE_FROM_MS:
            return TimeQuality.UNSET
        if self._origin is not None:
            return TimeQuality.SYNCED
        if kernel_says_synchronised():
            return TimeQuality.SYNCED
        behind = self._last_recorded_ms is not None and wall_ms < self._last_recorded_ms - BEHIND_JOURNAL_MS_MAX
        return TimeQuality.UNSET if behind else TimeQuality.FREE_RUNNING
