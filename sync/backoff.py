"""How long to wait before asking again: exponential with full jitter; a thousand sites never come back as one."""

import random

FIRST_MS = 1_000
LONGEST_MS = 60_000
SHORTEST_MS = 200
"""Full jitter may draw nothing at all; a site never asks again at once."""
SLOW_MS = 300_000
"""Between two tries in a state that only a person can end."""
RETRY_AFTER_MS_MAX = 300_000
"""An office, or a proxy that speaks for it, cannot send a site away for longer."""


class Backoff:
    """Counts failures in a row and draws the wait after each."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.failures = 0

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self, retry_after_ms: int = 0) -> int:
        """Milliseconds to wait now; not before `retry_after_ms`, as far as that is honoured."""
        reach = min(LONGEST_MS, FIRST_MS << min(self.failures, 16))
        self.failures += 1
        drawn = int(self._rng.uniform(SHORTEST_MS, reach))
        asked = min(retry_after_ms, RETRY_AFTER_MS_MAX)
        return max(drawn, asked + drawn // 4) if asked else drawn

    def slow(self) -> int:
        """Milliseconds to wait in a stopped state."""
        return int(self._rng.uniform(SLOW_MS * 0.8, SLOW_MS))


def retry_after_ms(headers: tuple[tuple[str, str], ...]) -> int:
    """Retry-After in seconds, as milliseconds; 0 when absent or a date (a site's wall clock may be wrong)."""
    for name, value in headers:
        if name == "retry-after" and value.isascii() and value.isdigit():
            return min(int(value[:9]) * 1_000, RETRY_AFTER_MS_MAX)
    return 0
