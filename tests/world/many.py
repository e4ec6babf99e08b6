"""Many seeds, on every core: `python tests/world/many.py --seeds 1000`. Ends with one JSON line; exit 0 only if all held.

Each seed draws how busy, how odd and how broken its world is (`options`), so that a seed alone is enough to run it again.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from random import Random

from gatectl.world.coverage import missed
from gatectl.world.simulation import Options, Result, World

COVERED_BY_SEEDS = 150
"""So many seeds must have got everywhere."""


def options(seed: int) -> Options:
    """The world of a seed."""
    rng = Random(f"many {seed}")
    return Options(
        seed,
        days=rng.choice([0.1, 0.25, 0.5, 1.0]),
        lanes=rng.choice([2, 4, 4, 6]),
        oddity=rng.choice([0.1, 0.3, 0.7]),
        faults_per_hour=rng.choice([0, 1, 4, 12, 40]),
    )


def run(seed: int) -> Result:
    return World(options(seed)).run()


def told(result: Result) -> str:
    chosen = options(result.seed)
    again = f"gatectl simulate --seed {result.seed} --days {chosen.days} --lanes {chosen.lanes}"
    return f"seed {result.seed}: {result.broken}\n  {again} --oddity {chosen.oddity} --faults {chosen.faults_per_hour}"


def summary(results: Iterable[Result], wall_s: float) -> dict[str, object]:
    runs = list(results)
    simulated_s = sum(run.simulated_ms for run in runs) / 1_000
    return {
        "schema": "gatectl.simulations/1",
        "ok": all(run.ok for run in runs) and not (len(runs) >= COVERED_BY_SEEDS and missed(runs)),
        "seeds": [runs[0].seed, runs[-1].seed],
        "broken": [run.seed for run in runs if not run.ok],
        "missed": missed(runs),
        "simulated_days": round(simulated_s / 86_400, 1),
        "records": sum(run.records for run in runs),
        "entered": sum(run.entered for run in runs),
        "exited": sum(run.exited for run in runs),
        "faults": sum(run.faults for run in runs),
        "speed_per_core": int(simulated_s / sum(run.wall_s for run in runs)),
        "wall_s": round(wall_s, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=1)
    given = parser.parse_args()
    began_s = time.monotonic()
    results = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(run, range(given.first, given.first + given.seeds), chunksize=4):
            results.append(result)
            if not result.ok:
                print(told(result), file=sys.stderr, flush=True)
    end = summary(results, time.monotonic() - began_s)
    print(json.dumps(end))
    return 0 if end["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
