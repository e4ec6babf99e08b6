"""A real morning's demand for the demo: when vehicles come, how long they stay, how they behave.

The curve is the occupancy of a Birmingham car park on a Saturday (source and licence: gatectl.world.birmingham): the net growth
between two readings is the least that a gate must have let in. The demo takes the shape of that curve from 08:00 to 14:41 and
squeezes it, so that its lanes work near capacity; `squeezed` says how much.
"""

import random
from bisect import bisect
from datetime import date
from itertools import accumulate
from typing import Final

from gatectl.world import birmingham
from gatectl.world.street import Manner, Pays, Vehicle

SATURDAY: Final = ("BHMBCCMKT01", date(2016, 11, 26))
SECONDS_PER_VEHICLE: Final = 6.0
"""Three entry lanes take a vehicle each every 15 to 20 s: this keeps them busy without a queue that never ends."""
WINDOW_S_MIN: Final = 300
BACKS_OUT_BEFORE: Final = 0.03
BACKS_OUT_AFTER: Final = 0.02
PAYS_AT_CASHIER: Final = 0.35


def arrivals() -> list[tuple[float, int]]:
    """(end of the interval in seconds from the first reading, vehicles that must have come in it), while it grows."""
    day = birmingham.day(*SATURDAY)
    first_ms = day.readings[0][0]
    return [((end_ms - first_ms) / 1000, more) for _, end_ms, more in day.changes() if more > 0]


def morning(vehicles: int, rng: random.Random) -> tuple[list[Vehicle], float]:
    """The vehicles of one run, in order of arrival, and how many times faster than the real morning they come."""
    curve = arrivals()
    ends = [0.0, *(end_s for end_s, _ in curve)]
    weights = list(accumulate(more for _, more in curve))
    window_s = max(WINDOW_S_MIN, vehicles * SECONDS_PER_VEHICLE)
    squeezed = ends[-1] / window_s
    at_s = []
    for _ in range(vehicles):
        where = rng.random() * weights[-1]
        interval = bisect(weights, where)
        at_s.append(rng.uniform(ends[interval], ends[interval + 1]) / squeezed)
    return [_vehicle(number, come_s, rng) for number, come_s in enumerate(sorted(at_s), 1)], squeezed


def _vehicle(number: int, come_s: float, rng: random.Random) -> Vehicle:
    behaves = rng.random()
    manner = Manner.PLAIN
    if behaves < BACKS_OUT_BEFORE:
        manner = Manner.BACKS_OUT_BEFORE
    elif behaves < BACKS_OUT_BEFORE + BACKS_OUT_AFTER:
        manner = Manner.BACKS_OUT_AFTER
    pays = Pays.AT_CASHIER if rng.random() < PAYS_AT_CASHIER else Pays.IN_LANE
    stays_s = rng.triangular(120, 900, 300)
    return Vehicle(f"car-{number}", int(come_s * 1000), int(stays_s * 1000), manner, pays)
