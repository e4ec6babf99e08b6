"""How fast the simulated world is: simulated seconds for each second of one core, beside a floor that the machine sets.

    .venv/bin/python bench/simulation.py --seeds 8

The floor is the bare kernel: the same number of things on its heap, each of which does nothing but put the next one there.
`times the floor` is what compares between machines, and between a quiet and a busy one; the speed itself does not. Run by hand;
nothing asserts it.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

from gatectl.world.kernel import Kernel
from gatectl.world.simulation import Options, Result, World

STREAMS = 50
"""Things on the floor's heap at any moment: about as many as a site of four lanes has."""


def cpu_s(do: Callable[[], None]) -> float:
    """Seconds of a core, as this process is charged for them."""
    began_s = time.process_time()
    do()
    return time.process_time() - began_s


def floor(things: int) -> Callable[[], None]:
    kernel = Kernel()
    left = things

    def one() -> None:
        nonlocal left
        left -= 1
        if left >= STREAMS:
            kernel.after(100 + left % 900, one)

    def go() -> None:
        for n in range(STREAMS):
            kernel.after(n, one)
        while kernel.next_at_ms() is not None:
            kernel.run_to(kernel.now_ms + 3_600_000)

    return go


def row(seed: int, days: float, lanes: int) -> tuple[Result, dict[str, float]]:
    """One run and its floor."""
    world = World(Options(seed, days, lanes))
    results: list[Result] = []
    whole_s = cpu_s(lambda: results.append(world.run()))
    floor_s = cpu_s(floor(world.kernel.scheduled))
    result = results[0]
    return result, {
        "seed": seed,
        "simulated_s": result.simulated_ms // 1_000,
        "events": result.events,
        "things": world.kernel.scheduled,
        "cpu_s": round(whole_s, 3),
        "speed": int(result.simulated_ms / 1_000 / whole_s),
        "us_per_event": int(whole_s / max(1, result.events) * 1e6),
        "times_the_floor": round(whole_s / floor_s, 1),
    }


def main() -> None:
    """A line for each seed, then one of JSON with the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="seeds 1 to N (default 8)")
    parser.add_argument("--days", type=float, default=1.0, help="simulated days of each (default 1)")
    parser.add_argument("--lanes", type=int, default=4, help="lanes of each site (default 4)")
    asked = parser.parse_args()
    rows: list[dict[str, float]] = []
    for seed in range(1, asked.seeds + 1):
        result, figures = row(seed, asked.days, asked.lanes)
        rows.append(figures)
        if seed == 1:
            print("".join(f"{name:>16}" for name in figures), " demand")
        print(
            "".join(f"{value:>16}" for value in figures.values()), f" {result.demand}{' BROKEN' * bool(result.broken)}"
        )
    medians = {
        name: statistics.median(one[name] for one in rows) for name in ("speed", "us_per_event", "times_the_floor")
    }
    print(json.dumps({"schema": "gatectl.bench-simulation/1", "seeds": len(rows), "lanes": asked.lanes, **medians}))


if __name__ == "__main__":
    main()
