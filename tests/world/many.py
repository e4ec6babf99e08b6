"""Many seeds, on every core: `make simulate SEEDS=1000`. Ends with one JSON line; exit 0 only if every promise held.

Each seed draws how busy, how odd, how broken and on what disk its world is (`options`), so that a seed alone runs it again.
"""

import argparse
import hashlib
import json
import os
import platform
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from gatectl.cli.made_up import built
from gatectl.world import shrink
from gatectl.world.coverage import met, missed
from gatectl.world.faults import FAULTS
from gatectl.world.simulation import Options, Result, World

COVERED_BY_SEEDS: Final = 150
"""So many seeds must have got everywhere."""
SHRUNK_MAX: Final = 5
"""Failures that are made smaller; the others are only named."""
SHRINK_SECONDS_MAX: Final = 60.0
LINES_MAX: Final = 20
"""Lines of progress where there is no terminal to write over."""


DAYS: Final = (0.03,) * 16 + (0.05,) * 12 + (0.1,) * 9 + (0.25,) * 2 + (0.5,)
"""Many short runs find more than few long ones: each begins with other things under way. A run winds up for hours more."""


def options(seed: int) -> Options:
    """The world of a seed: something breaks in nearly all of them; where nothing does, the count must be the truth."""
    rng = Random(f"many {seed}")
    some_kinds = tuple(rng.sample(tuple(FAULTS), 3))
    return Options(
        seed,
        days=rng.choice(DAYS),
        lanes=rng.choice([2, 4, 4, 6]),
        oddity=rng.choice([0.1, 0.3, 0.7]),
        faults_per_hour=rng.choice([0, 3, 6, 6, 12, 12, 25, 25, 40, 60]),
        kinds=some_kinds if rng.random() < 0.15 else tuple(FAULTS),
        disk="store" if rng.random() < 0.12 else "memory",
    )


def run(seed: int) -> tuple[Result, float]:
    """How the run of a seed ended, and the seconds of a core that it took."""
    began_s = time.process_time()
    result = World(options(seed)).run()
    return result, time.process_time() - began_s


@dataclass(slots=True)
class Tally:
    """What all runs came to."""

    runs: int = 0
    broken: dict[int, str] = field(default_factory=dict)
    sums: Counter[str] = field(default_factory=Counter)
    drawn: dict[str, Counter[str]] = field(default_factory=dict)
    quiet: int = 0
    """Runs with less than one fault in an hour."""
    seen: Counter[str] = field(default_factory=Counter)
    visited: set[tuple[str, str]] = field(default_factory=set)
    heads: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    cpu_s: float = 0.0

    def add(self, result: Result, cpu_s: float) -> None:
        self.runs += 1
        if result.broken:
            self.broken[result.seed] = result.broken
        for what in ("records", "entered", "exited", "faults", "events", "simulated_ms"):
            self.sums[what] += getattr(result, what)
        chosen = options(result.seed)
        for name in ("days", "lanes", "oddity", "faults_per_hour", "disk"):
            self._draw(name, str(getattr(chosen, name)))
        self._draw("demand", result.demand.partition("(")[2].rstrip(")") or result.demand)
        self._draw("kinds", "all" if chosen.kinds == tuple(FAULTS) else "three")
        self.quiet += result.faults < chosen.days * 24
        self.seen.update(result.seen)
        self.visited |= result.visited
        self.heads.update(bytes.fromhex(result.head))
        self.cpu_s += cpu_s

    def _draw(self, name: str, value: str) -> None:
        self.drawn.setdefault(name, Counter())[value] += 1

    def missed(self) -> list[str]:
        return missed([self])

    @property
    def ok(self) -> bool:
        return not self.broken and (self.runs < COVERED_BY_SEEDS or not self.missed())

    def plain(self, first: int, wall_s: float, jobs: int) -> dict[str, Any]:
        """The result file. `heads_sha256` is over the journal heads of all seeds, in order: the same seeds give the same."""
        simulated_s = self.sums["simulated_ms"] / 1_000
        return {
            "schema": "gatectl.simulations/1",
            "ok": self.ok,
            "built": built(),
            "seeds": {"first": first, "count": self.runs},
            "heads_sha256": self.heads.hexdigest(),
            "broken": [
                {"seed": seed, "broken": broken, "again": shrink.command(options(seed))}
                for seed, broken in self.broken.items()
            ],
            "simulated_days": round(simulated_s / 86_400, 1),
            "site_years": round(simulated_s / 86_400 / 365.25, 2),
            **{what: self.sums[what] for what in ("records", "entered", "exited", "events", "faults")},
            "faults_per_simulated_hour": round(self.sums["faults"] / max(1.0, simulated_s / 3_600), 2),
            "runs_with_less_than_one_fault_an_hour": self.quiet,
            "options": {name: dict(sorted(drawn.items())) for name, drawn in sorted(self.drawn.items())},
            "coverage": {
                "missed": self.missed(),
                "exceptions": met([self]),
                "faults": {name: self.seen[name] for name in FAULTS},
                "phases": sorted(f"{kind} {phase}" for kind, phase in self.visited),
            },
            "speed_per_core": int(simulated_s / self.cpu_s) if self.cpu_s else 0,
            "cpu_seconds_per_seed": round(self.cpu_s / max(1, self.runs), 3),
            "wall_s": round(wall_s, 1),
            "machine": {"processor": _processor(), "jobs": jobs, "python": platform.python_version()},
        }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@dataclass(slots=True)
class Progress:
    """One line that is written over on a terminal, a few lines elsewhere."""

    count: int
    began_s: float = field(default_factory=time.monotonic)

    def tell(self, tally: Tally) -> None:
        if not sys.stderr.isatty() and tally.runs % max(1, self.count // LINES_MAX) and tally.runs < self.count:
            return
        took_s = time.monotonic() - self.began_s
        left_s = took_s / tally.runs * (self.count - tally.runs)
        days = tally.sums["simulated_ms"] / 86_400_000
        line = (
            f"{tally.runs}/{self.count} seeds, {days:.0f} days, {tally.sums['faults']} faults, "
            f"{len(tally.broken)} broken, {left_s:.0f} s left"
        )
        print(f"\r\x1b[K{line}" if sys.stderr.isatty() else line, end="", file=sys.stderr)
        print("", end="" if sys.stderr.isatty() and tally.runs < self.count else "\n", file=sys.stderr, flush=True)


def tell_failure(result: Result, *, smaller: bool) -> None:
    """A seed that broke something: what, how to see it again, and the smallest run that breaks the same."""
    chosen = options(result.seed)
    print(f"\nseed {result.seed}, {built()}: {result.broken}\n  {shrink.command(chosen)}", file=sys.stderr, flush=True)
    if smaller:
        smallest = shrink.shrunk(chosen, result, seconds_max=SHRINK_SECONDS_MAX)
        print(f"  smallest of {smallest.runs}: {shrink.command(smallest.options)}", file=sys.stderr)
        print("\n".join(f"    {line}" for line in smallest.trace), file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="write the result file here")
    given = parser.parse_args()
    tally, progress = Tally(), Progress(given.seeds)
    failures = []
    with ProcessPoolExecutor(given.jobs) as pool:
        for result, cpu_s in pool.map(run, range(given.first, given.first + given.seeds), chunksize=4):
            tally.add(result, cpu_s)
            progress.tell(tally)
            if result.broken:
                failures.append(result)
                print(f"\nseed {result.seed}: {result.broken}", file=sys.stderr, flush=True)
    end = tally.plain(given.first, time.monotonic() - progress.began_s, given.jobs)
    if given.out:
        given.out.write_text(json.dumps(end, indent=2) + "\n")
    for number, result in enumerate(failures):
        tell_failure(result, smaller=number < SHRUNK_MAX)
    print(json.dumps(end))
    return 0 if end["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
