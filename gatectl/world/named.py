"""Faults that a person names: `printer:out@IN-1@5` is the paper out at IN-1 from minute 5 on.

A name is one of `FAULTS`; what it may be made to draw stands in `CHOICES`, what a lane needs for it in `NEEDS`.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeVar

from gatectl.domain.ids import LaneId
from gatectl.domain.lane import LaneKind
from gatectl.world.devices import LaneDevices
from gatectl.world.faults import FAULTS, SITE_WIDE
from gatectl.world.road import TROUBLES

MINUTES_MAX: Final = 100_000.0
NAMED_MAX: Final = 200
"""Faults that a rehearsal can be told of, once `all` is written out."""

CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "loop": ("arming", "closing", "reset", "stuck", "dead", "stale", "fault"),
    "arm-answer": ("refused", "unknown", "unknown-idle", "silent", "late", "twice"),
    "printer": ("low", "out", "jam"),
    "print-job": ("vanished", "silent", "jam", "late", "disordered"),
    "terminal": ("declined", "cancelled", "timed-out", "silent", "late", "twice"),
    "disk-error": ("error", "late-error"),
    "office": ("away", "mixed", *TROUBLES),
}
"""What a fault draws by chance, and may be told: `loop:closing:stuck`. `device` may be told the device's name."""

WORDS: Final[Mapping[str, str]] = {
    "loop": "a loop detector lies: always occupied, never occupied, or its signal cannot be trusted",
    "arm-opens": "the arm does not go up when it is told to",
    "arm-closes": "the arm does not come down when it is told to",
    "boom": "somebody drives the boom off",
    "arm-by-key": "somebody opens the arm with the key at the barrier",
    "arm-answer": "the arm's module refuses once, does not answer, answers late or twice",
    "printer": "paper is low or out, or jams",
    "print-job": "a ticket is lost, jams, comes late or without a word",
    "paper": "the printer's mouth does not see the ticket being taken, and cannot pull it back",
    "terminal": "the payment terminal declines, gives up, does not answer, answers late or twice",
    "device": "a device is lost, with everything that is wired to it, and comes back",
    "door": "a cabinet door stands open",
    "garbled": "bad wires: words of the lane's devices are lost, doubled or mangled",
    "late": "bad wires: words of the lane's devices come late, and after newer ones",
    "stuck": "an input stays as it is, or the button is pressed for ever",
    "half-open": "the I/O module obeys, but is not heard any more",
    "deaf": "the I/O module says yes to everything, and the arm stays where it is",
    "hold": "somebody holds the lane open for a delivery",
    "lock": "somebody locks the lane for cleaning",
    "hands": "somebody tries all the commands",
    "office-word": "the office sends a command, in time or late, and a new tariff, good or bad",
    "books": "somebody corrects the count, and writes a ticket off",
    "fire": "a fire alarm: all barriers open on the building's wire, until a person resets the lanes",
    "power": "the power goes at the worst moment, and comes back; sometimes the clock has lost the time",
    "clock": "the machine's clock jumps, by seconds or by years",
    "disk": "the disk takes seconds for every record",
    "disk-full": "the disk is full, until somebody makes room",
    "bit-flip": "a bit of a stored record flips; a technician checks the journal and repairs it",
    "disk-error": "the disk refuses what is written, at once or late",
    "disk-read-only": "the disk lets nothing be written any more",
    "office": "the office cannot be reached, or answers badly",
    "restore-site": "the site's disk is put back from a backup",
    "restore-both": "the site's disk and the office are put back from backups",
    "clone-site": "the site's disk is copied to a second machine, and both run",
    "office-rollback": "the office is put back from a backup",
    "skew": "the office is of an older or a newer version",
}
"""What a technician calls it; of a fault that is not here, its function's docstring tells."""

NEEDS: Final[Mapping[str, tuple[str, str]]] = {
    "printer": ("printer", "has no printer"),
    "print-job": ("printer", "has no printer"),
    "paper": ("printer", "has no printer"),
    "terminal": ("terminal", "has no payment terminal"),
    "door": ("door", "has no door contact"),
    "fire": ("fire", "has no fire input"),
}
"""The role that a lane must have for a fault, and what to say of a lane without it."""
OF_THE_OFFICE: Final = frozenset(
    {"office", "office-word", "restore-site", "restore-both", "clone-site", "office-rollback", "skew"}
)
OF_THE_INSTRUMENT: Final = frozenset({"anything"})
"""What says things that the wires of a site file could not say."""
OF_ENTRIES: Final = frozenset({"print-job", "paper"})
"""Receipts are not watched: only the paper of a ticket can go wrong in a way that a lane sees."""

T = TypeVar("T")


class FaultRefused(ValueError):
    """Raised for a fault that cannot be rehearsed; `instead` says what can."""

    def __init__(self, why: str, instead: str = "") -> None:
        super().__init__(why)
        self.instead = instead


@dataclass(frozen=True, slots=True)
class Named:
    """A fault for a lane (None: the whole site's) at a moment; `what` is what it shall draw."""

    name: str
    what: tuple[str, ...]
    lane: LaneId | None
    at_ms: int

    def __str__(self) -> str:
        return ":".join((self.name, *self.what)) + (f" at {self.lane}" if self.lane else "")


class Insisting(Random):
    """Chance that draws what is `wanted` where that is among the choices; `drawn` is what came up, as far as it is a word."""

    wanted: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()

    def choice(self, seq: Any) -> Any:
        found = next((each for each in seq if isinstance(each, str) and each in self.wanted), None)
        taken = super().choice(seq) if found is None else found
        if isinstance(taken, str):
            self.drawn = (*self.drawn, str(taken))
        return taken


def insisting(name: str, wanted: tuple[str, ...]) -> Insisting:
    """A stream of its own that gets its will."""
    rng = Insisting(name)
    rng.wanted = wanted
    return rng


# -- what can be named ------------------------------------------------------------------------------------------------


def names() -> list[str]:
    """Every fault that a site file can be rehearsed with."""
    return [name for name in FAULTS if name not in OF_THE_INSTRUMENT]


def described() -> Iterator[tuple[str, str, str]]:
    """(name, what it is in one line, what it may be told) of every fault."""
    for name in names():
        fault = FAULTS[name]
        first = WORDS.get(name) or (inspect.getdoc(fault) or "").partition("\n")[0]
        told = "the device's name" if name == "device" else ", ".join(CHOICES.get(name, ()))
        yield name, first, told


def why_not(name: str, lane: LaneDevices, has_office: bool) -> str:
    """Why a fault cannot happen at a lane; "" if it can."""
    if name in OF_THE_OFFICE:
        return "" if has_office else "needs an office, and the site file has no [office]"
    if name in OF_ENTRIES and lane.plan.kind is not LaneKind.ENTRY:
        return f"is about tickets, and {lane.lane} is an exit"
    if name == "paper" and not lane.plan.has_mouth:
        return f"needs a printer with a mouth, and {lane.lane} has none"
    role, without = NEEDS.get(name, ("", ""))
    return f"cannot happen: {lane.lane} {without}" if role and role not in lane.device_of else ""


def fitting(name: str, lanes: Sequence[LaneDevices], has_office: bool) -> list[LaneDevices]:
    """The lanes at which a fault can happen."""
    return [lane for lane in lanes if not why_not(name, lane, has_office)]


# -- reading what was typed -------------------------------------------------------------------------------------------


def read(
    words: Sequence[str], lanes: Sequence[LaneDevices], has_office: bool, first_ms: int, gap_ms: int
) -> list[Named]:
    """NAME[:WHAT ...][@LANE][@MINUTE] each; `all` is every fault that can happen here, once.

    Without a minute they come one after the other, `gap_ms` apart from `first_ms` on; without a lane at the first one
    that a fault fits. Raises FaultRefused.
    """
    found: list[Named] = []
    at_ms = first_ms
    for word in words:
        here = [name for name in names() if fitting(name, lanes, has_office)] if word == "all" else [word]
        for name in here:
            named = _read(name, lanes, has_office, at_ms)
            at_ms += gap_ms if named.at_ms == at_ms else 0
            found.append(named)
    if len(found) > NAMED_MAX:
        raise FaultRefused(f"{len(found)} faults are too many", f"name at most {NAMED_MAX}")
    return found


def _read(word: str, lanes: Sequence[LaneDevices], has_office: bool, at_ms: int) -> Named:
    head, *places = word.split("@")
    name, *what = head.split(":")
    if name not in names():
        raise FaultRefused(f"no fault is named {name!r}", f"name some of: {', '.join(names())}, all")
    lane: LaneDevices | None = None
    for place in places:
        by_name = next((each for each in lanes if each.lane == place), None)
        minute = None if by_name is not None else _minute(place, lanes)
        lane = by_name or lane
        at_ms = at_ms if minute is None else minute
    if lane is not None and name in SITE_WIDE:
        raise FaultRefused(f"{name!r} is the whole site's, not {lane.lane}'s", f"write {head} without @{lane.lane}")
    at = _at(name, what, lane, lanes, has_office)
    _possible(name, what, at)
    return Named(name, tuple(what), None if name in SITE_WIDE else at.lane, at_ms)


def _minute(place: str, lanes: Sequence[LaneDevices]) -> int:
    try:
        minute = float(place)
    except ValueError:
        known = ", ".join(lane.lane for lane in lanes)
        raise FaultRefused(
            f"there is no lane {place!r}", f"the site's lanes: {known}; or a minute, such as @5"
        ) from None
    if not 0 <= minute <= MINUTES_MAX:
        raise FaultRefused(f"minute {place} is not one of the rehearsal", f"0 to {MINUTES_MAX:g}")
    return int(minute * 60_000)


def _at(
    name: str, what: Sequence[str], lane: LaneDevices | None, lanes: Sequence[LaneDevices], has_office: bool
) -> LaneDevices:
    """The lane that is meant, or the first one that the fault fits."""
    if lane is not None:
        if why := why_not(name, lane, has_office):
            others = ", ".join(each.lane for each in fitting(name, lanes, has_office))
            raise FaultRefused(f"{name!r} {why}", f"it fits: {others}" if others else "")
        return lane
    fit = fitting(name, lanes, has_office)
    if not fit:
        why = why_not(name, lanes[0], has_office) if len(lanes) == 1 or name in OF_THE_OFFICE else "fits no lane here"
        raise FaultRefused(f"{name!r} {why}")
    return next((each for each in fit if _possible_words(name, each).issuperset(what)), fit[0])


def _possible_words(name: str, lane: LaneDevices) -> frozenset[str]:
    if name == "device":
        return frozenset(lane.roles())
    known = CHOICES.get(name, ())
    return frozenset(word for word in known if word != "reset" or "reset" in lane.loops)


def _possible(name: str, what: Sequence[str], lane: LaneDevices) -> None:
    known = _possible_words(name, lane)
    for word in what:
        if word not in known:
            choices = ", ".join(sorted(known))
            raise FaultRefused(f"{name!r} at {lane.lane} cannot be {word!r}", f"one of: {choices}" if known else "")
