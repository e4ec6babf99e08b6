"""Words that facts hold, closed lists of them: values are a promise on the wire like the facts."""

from enum import StrEnum


class VoidReason(StrEnum):
    NOT_TAKEN = "not-taken"  # the car left before the ticket was taken
    BACKED_OUT = "backed-out"  # taken, the arm opened, the car reversed: the paper is loose
    PRINT_FAILED = "print-failed"
    MAYBE_PRINTED = "maybe-printed"
    DARK = "dark"  # provisional when the site went dark
    FAILED_TO_OPEN = "failed-to-open"
    BY_HAND = "by-hand"
    LOST = "lost"  # replaced by a lost-ticket stay


class LaneFault(StrEnum):
    """A lane's fault; the code is what a technician looks up with `gatectl help CODE`."""

    ARMING_LOOP_STUCK = "arming-loop-stuck"
    CLOSING_LOOP_STUCK = "closing-loop-stuck"
    LOOP_DEAD = "loop-dead"
    LOOP_UNTRUSTED = "loop-untrusted"  # quality fault or stale
    FAILS_TO_OPEN = "fails-to-open"
    FAILS_TO_CLOSE = "fails-to-close"
    ARM_BROKEN = "arm-broken"
    ARM_UNKNOWN = "arm-unknown"
    ARM_FORCED = "arm-forced"  # up, and no vend of this run asked for it
    PRINTER_LOW = "printer-low"
    PRINTER_OUT = "printer-out"
    PRINTER_JAM = "printer-jam"
    PRINTER_OFFLINE = "printer-offline"
    DOOR_OPEN = "door-open"
    DEVICE_LOST = "device-lost"
    TERMINAL_OFFLINE = "terminal-offline"


class Irregularity(StrEnum):
    """What a lane saw that no vend explains."""

    TAILGATE = "tailgate"
    WRONG_WAY = "wrong-way"
    REVERSED = "reversed"
    LONG_VEHICLE = "long-vehicle"
    UNVERIFIED_PASSAGE = "unverified-passage"
    IMPLAUSIBLE_ORDER = "implausible-order"
    REOPENED_ON_PRESENCE = "reopened-on-presence"


class Cause(StrEnum):
    """Why a stay goes on under another number, or under one that nobody pulled."""

    LOST = "lost"
    DAMAGED = "damaged"
    SWAPPED = "swapped"  # two drivers held each other's
    FOREIGN = "foreign"  # another operator's
    UNREADABLE = "unreadable"
    SPECIAL = "special"  # a person decided so
