"""Names of things, and the moment at which something happened.

Ids are made where the thing is made and are unique without asking anyone. Order is the journal's, never an id's.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

SiteId = NewType("SiteId", str)
LaneId = NewType("LaneId", str)
AreaId = NewType("AreaId", str)
SpotId = NewType("SpotId", str)
TicketNumber = NewType("TicketNumber", str)
"""What is printed and what a person reads out: counter, a dash, the boot's random tag (`000123-K7QF`)."""
VendId = NewType("VendId", str)
PaymentId = NewType("PaymentId", str)
"""The idempotency key of a payment; kept for ever."""
JobId = NewType("JobId", str)
RequestId = NewType("RequestId", str)


class TimeQuality(StrEnum):
    """How far a wall-clock reading may be believed."""

    SYNCED = "synced"
    FREE_RUNNING = "free-running"  # was set once, plausible, not disciplined now
    UNSET = "unset"  # never compute a price from it


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened. Deadlines compare `mono_ms`; records carry all three."""

    wall_ms: int
    """UTC milliseconds since the Unix epoch."""
    mono_ms: int
    """Milliseconds on this boot's monotonic clock."""
    quality: TimeQuality = TimeQuality.SYNCED


@dataclass(frozen=True, slots=True)
class Boot:
    """One run of the daemon. Its random tag keeps a restored counter from repeating a printed number."""

    boot_id: str
    """16 hex digits, random."""
    tag: str
    """4 Crockford base32 characters, random."""
