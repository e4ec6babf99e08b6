"""What a row of the table of codes is, and how commands end."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DEGRADED = 3
    NOT_FOUND = 4
    NOT_RUNNING = 5
    NO_PERMISSION = 6
    NO_ANSWER = 7
    REFUSED = 8
    CANCELLED = 9
    INTERRUPTED = 130


EXITS: Mapping[Exit, str] = {
    Exit.OK: "done",
    Exit.FAILED: "failed",
    Exit.USAGE: "the command was not understood",
    Exit.DEGRADED: "degraded: something needs a person (status)",
    Exit.NOT_FOUND: "no such lane, ticket, device or key",
    Exit.NOT_RUNNING: "the daemon is not running",
    Exit.NO_PERMISSION: "no permission",
    Exit.NO_ANSWER: "a device did not answer",
    Exit.REFUSED: "refused by safety or by state",
    Exit.CANCELLED: "cancelled by the person",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
}


@dataclass(frozen=True, slots=True)
class Code:
    """One code. `sentence` is what is wrong, `cause` why it can be, `action` what to do or type."""

    code: str
    sentence: str
    cause: str
    action: str
    exit: Exit
    http: int
