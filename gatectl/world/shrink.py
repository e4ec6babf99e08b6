"""From a run that broke to the smallest one that breaks the same promise: fewer days, fewer faults, fewer drivers, fewer lanes.

Faults and drivers have chances of their own, so leaving one out leaves the others as they were; what follows from them changes.
"""

import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from gatectl.world.chance import Chosen, told
from gatectl.world.faults import FAULTS
from gatectl.world.simulation import DAY_MS, Options, Result, World
from gatectl.world.trace import Trace

RUNS_MAX: Final = 200
SECONDS_MAX: Final = 90.0
"""Runs and seconds of real time that shrinking may take; what is smallest by then is told."""
LANES_MIN: Final = 2
DAYS_MIN: Final = 0.01
DAYS_DIGITS: Final = 5


_RAISED: Final = re.compile(r"(nothing stops the daemon: \w+).* in ([\w.]+):\d+ (\w+)", re.DOTALL)


def invariant(broken: str) -> str:
    """The name of the promise in what a result says of it; of an exception also its type and where it was raised."""
    raised = _RAISED.match(broken)
    return " ".join(raised.groups()) if raised else broken.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The smallest run that was found, how it ended, and its last lines."""

    options: Options
    result: Result
    runs: int
    trace: list[str]


@dataclass(slots=True)
class Shrinker:
    """`fails` says how a run of these options ends, if it breaks the same promise; bounded by `runs_max` and `seconds_max`."""

    options: Options
    broken: str
    runs_max: int = RUNS_MAX
    seconds_max: float = SECONDS_MAX
    clock: Callable[[], float] = time.monotonic
    runs: int = 0
    _until_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._until_s = self.clock() + self.seconds_max

    @property
    def spent(self) -> bool:
        return self.runs >= self.runs_max or self.clock() >= self._until_s

    def breaks(self, options: Options) -> bool:
        """Whether these break the same promise; then they are the smallest so far."""
        if self.spent:
            return False
        self.runs += 1
        world = World(options)
        result = world.run()
        if invariant(result.broken) != self.broken:
            return False
        self.options = _cut_short(options, result)
        return True

    def shrink(self) -> None:
        self.breaks(self.options)
        for _ in range(2):  # fewer drivers may need fewer faults
            self._fewer(_FAULTS)
            self._fewer(_DRIVERS)
        for lanes in range(LANES_MIN, self.options.lanes):
            if self.breaks(replace(self.options, lanes=lanes)):
                break

    def _fewer(self, of: "_Numbered") -> None:
        """Delta debugging: keep ever smaller parts, or leave ever smaller parts out."""
        kept = self._numbers(of)
        if self._try(of, []):
            return
        parts = 2
        while len(kept) > 1 and not self.spent:
            size = max(1, -(-len(kept) // parts))
            chunks = [kept[at : at + size] for at in range(0, len(kept), size)]
            rests = [[n for n in kept if n not in set(chunk)] for chunk in chunks] if len(chunks) > 2 else []
            smaller = next((some for some in (*chunks, *rests) if self._try(of, some)), None)
            if smaller is not None:
                parts = 2 if smaller in chunks else max(2, parts - 1)
                kept = smaller
            elif size == 1:
                return
            else:
                parts = min(len(kept), parts * 2)

    def _try(self, of: "_Numbered", numbers: list[int]) -> bool:
        return self.breaks(of.only(self.options, Chosen(frozenset(numbers))))

    def _numbers(self, of: "_Numbered") -> list[int]:
        """Those that come up before it breaks."""
        world = World(self.options)
        world.run()
        chosen = of.chosen(self.options)
        return [n for n in range(1, of.drawn(world) + 1) if n in chosen]


@dataclass(frozen=True, slots=True)
class _Numbered:
    """Faults, or drivers."""

    chosen: Callable[[Options], Chosen]
    only: Callable[[Options, Chosen], Options]
    drawn: Callable[[World], int]


_FAULTS: Final = _Numbered(
    lambda options: options.faults_chosen,
    lambda options, chosen: replace(options, faults_chosen=chosen),
    lambda world: world.weather.drawn,
)
_DRIVERS: Final = _Numbered(
    lambda options: options.drivers_chosen,
    lambda options, chosen: replace(options, drivers_chosen=chosen),
    lambda world: world.motorists.drawn,
)


def _cut_short(options: Options, result: Result) -> Options:
    """No day longer than to where it broke; where it broke only after everything had stopped, as long as before."""
    days = max(DAYS_MIN, round(result.simulated_ms / DAY_MS + 10**-DAYS_DIGITS, DAYS_DIGITS))
    return replace(options, days=days) if days < options.days else options


def shrunk(options: Options, result: Result, **limits: Any) -> Shrunk:
    """The smallest run that breaks what `result`, which these options led to, broke."""
    shrinker = Shrinker(options, invariant(result.broken), **limits)
    shrinker.shrink()
    world = World(shrinker.options)
    trace = Trace(world.kernel, world.daemon.watch)
    world.daemon.watch = trace
    world.weather.began = trace.fault
    world.motorists.came = trace.driver
    ended = world.run()
    return Shrunk(shrinker.options, ended, shrinker.runs, trace.last(ended.broken))


# -- saying it again ------------------------------------------------------------------------------------------------------


def _chosen(word: str) -> Callable[[Chosen], list[str]]:
    def words(chosen: Chosen) -> list[str]:
        kept = [f"--keep-{word}", told(chosen.keep)] if chosen.keep is not None else []
        return [*kept, *([f"--skip-{word}", told(chosen.skip)] if chosen.skip else [])]

    return words


def _one(option: str) -> Callable[[Any], list[str]]:
    return lambda value: [option, f"{value:g}" if isinstance(value, float) and value == int(value) else str(value)]


WORDS: Final[dict[str, Callable[[Any], list[str]]]] = {
    "seed": _one("--seed"),
    "days": _one("--days"),
    "lanes": _one("--lanes"),
    "oddity": _one("--oddity"),
    "faults_per_hour": _one("--faults"),
    "kinds": lambda kinds: [word for kind in kinds for word in ("--only", kind)] if kinds != tuple(FAULTS) else [],
    "disk": lambda disk: ["--disk", disk] if disk != "memory" else [],
    "demand": lambda demand: ["--demand", demand] if demand else [],
    "faults_chosen": _chosen("faults"),
    "drivers_chosen": _chosen("drivers"),
}
"""Each field of `Options` in words of the command line, but for those of a real site's file."""


def command(options: Options) -> str:
    """The command line that runs these options again."""
    words = ["gatectl", "simulate"]
    for part in fields(Options):
        if part.name in WORDS:
            words += WORDS[part.name](getattr(options, part.name))
    return shlex.join(words)
