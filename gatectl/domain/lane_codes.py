"""What is read or typed at a lane, and is not to be served now; and who types too many PINs.

Rule 1: a PIN is short, so a lane lets nobody try them out: after PIN_MISSES_MAX that nobody has, PINs wait PIN_WAIT_MS.
"""

from typing import Final

from gatectl.domain.facts import CodeRefused
from gatectl.domain.frozen import replace
from gatectl.domain.ids import TicketNumber
from gatectl.domain.lane import CodeWasRead, Refusal
from gatectl.domain.lane_common import show
from gatectl.domain.table import Turn, handles

PIN_DIGITS: Final = range(4, 9)
"""How long a PIN may be."""
PIN_MISSES_MAX: Final = 5
PIN_WAIT_MS: Final = 60_000
"""So long after the oldest of PIN_MISSES_MAX wrong PINs the next one is looked at again."""
NO_SUCH_PIN: Final = "E-CRED-01"


def is_pin(text: str) -> bool:
    return len(text) in PIN_DIGITS and text.isascii() and text.isdigit()


def refuse(turn: Turn, code: str, text: str, ticket: TicketNumber | None = None) -> None:
    turn.record(CodeRefused(turn.lane.plan.lane, code, ticket))
    show(turn, text)


def too_many_pins(turn: Turn, text: str) -> bool:
    """Whether this PIN is not even looked at; says so."""
    misses = turn.lane.misses
    waits = len(misses) >= PIN_MISSES_MAX and turn.now_mono_ms - misses[0] < PIN_WAIT_MS
    if is_pin(text) and waits:
        refuse(turn, "E-CRED-02", "Too many PINs\nPlease wait")
        return True
    return False


def refused(turn: Turn, text: str, refusal: Refusal) -> None:
    """Say no; a PIN that nobody has is counted."""
    if is_pin(text) and refusal.code == NO_SUCH_PIN:
        turn.lane = replace(turn.lane, misses=(*turn.lane.misses, turn.now_mono_ms)[-PIN_MISSES_MAX:])
    refuse(turn, refusal.code, refusal.text, refusal.ticket)


@handles(CodeWasRead)
def read_without_vehicle(turn: Turn, happened: CodeWasRead) -> None:
    refuse(turn, "E-LANE-04", "Please drive up")


@handles(CodeWasRead)
def read_out_of_service(turn: Turn, happened: CodeWasRead) -> None:
    refuse(turn, "E-CLOSED-01", "Out of service\nPlease call")


@handles(CodeWasRead)
def read_early(turn: Turn, happened: CodeWasRead) -> None:
    """The next vehicle shows its ticket or credential while the arm is still up behind the last one: served when it is down."""
    if turn.lane.arming.occupied and not turn.lane.fresh and happened.text:
        turn.lane = replace(turn.lane, asked=happened.text)
        show(turn, "Please wait")
