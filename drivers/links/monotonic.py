"""The one real clock of the links: time since some moment of this boot, never set back."""

import time


class Monotonic:
    """`drivers.api.Clock` on the operating system's monotonic clock."""

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000
