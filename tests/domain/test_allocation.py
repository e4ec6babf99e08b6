"""Strategies, reserves and spots out of service: always what a look at every spot would say, never two on one, at any size."""

from collections.abc import Mapping
from random import Random

import pytest

from gatectl.domain.ids import AreaId, SpotId
from gatectl.domain.spot_rules import AreaRules, Reserve, Strategy
from gatectl.domain.spots import COMPATIBLE, SPOT_TYPES, Spot, SpotIndex

MAIN, ROOF = AreaId("main"), AreaId("roof")
MIXED: Mapping[str, tuple[str, ...]] = {
    **COMPATIBLE,
    "CAR": ("COMPACT", "ELECTRIC", "LARGE"),
    "CAMPER": ("PITCH", "LARGE"),
}
TYPES = (*SPOT_TYPES, "PITCH")
STEPS = 250


def spots(count: int, rng: Random) -> list[Spot]:
    chosen = [(rng.choice([MAIN, MAIN, ROOF]), rng.randint(-1, 3), rng.choice(TYPES)) for _ in range(count)]
    return [Spot(SpotId(f"s{n:03d}"), area, level, kind) for n, (area, level, kind) in enumerate(chosen)]


class Oracle:
    """Looks at every spot, every time."""

    def __init__(self, spots: list[Spot], rules: Mapping[AreaId, AreaRules]) -> None:
        self.spots, self.rules = spots, rules
        self.held: set[SpotId] = set()
        self.closed: set[SpotId] = set()
        self.unseen: dict[tuple[AreaId, str], int] = {}

    def free_on(self, area: AreaId, kind: str, level: int | None = None) -> list[Spot]:
        gone = self.held | self.closed
        mine = [s for s in self.spots if (s.area, s.spot_type) == (area, kind) and s.spot not in gone]
        return [s for s in mine if level is None or s.level == level]

    def free(self, area: AreaId, kind: str) -> int:
        return max(0, len(self.free_on(area, kind)) - self.unseen.get((area, kind), 0))

    def allocate(self, area: AreaId, vehicle: str, preferred: str | None, near: tuple[int, ...]) -> Spot | None:
        rules = self.rules[area]
        reserved = {each.spot_type: each for each in rules.reserves}
        for kind in (preferred, *MIXED[vehicle]) if preferred else MIXED[vehicle]:
            assert kind is not None
            free, back, reserve = self.free(area, kind), 0, reserved.get(kind)
            if reserve and kind != preferred and vehicle not in reserve.vehicles:
                others = sum(self.free(area, other) for other in TYPES if other not in reserved)
                back = reserve.keep if others <= reserve.until_free else 10**9
            if free > back:
                return min(self.free_on(area, kind), key=lambda s: (self.rank(s, near, area), s.spot))
        return None

    def rank(self, spot: Spot, near: tuple[int, ...], area: AreaId) -> tuple[float, int]:
        if self.rules[area].strategy is Strategy.NEAREST:
            return (near.index(spot.level) if spot.level in near else len(near), spot.level)
        if self.rules[area].strategy is Strategy.SPREAD:
            usable = [s for s in self.spots if (s.area, s.spot_type, s.level) == (area, spot.spot_type, spot.level)]
            usable = [s for s in usable if s.spot not in self.closed]
            return (-len(self.free_on(area, spot.spot_type, spot.level)) / len(usable), spot.level)
        return (0, spot.level)


def rules_of(rng: Random) -> AreaRules:
    reserves = (
        Reserve("ELECTRIC", ("ELECTRIC_CAR",), rng.randint(0, 6), rng.randint(0, 1)),
        Reserve("HANDICAPPED", (), rng.randint(0, 6)),
    )
    return AreaRules(rng.choice(list(Strategy)), reserves[: rng.randint(0, 2)])


@pytest.mark.parametrize("seed", range(60))
def test_a_walk_gives_what_a_look_at_every_spot_gives(seed: int) -> None:
    """Vehicles come and go, spots are closed and opened, people count: at each step the index and the oracle agree."""
    rng = Random(f"allocation {seed}")
    rules = {MAIN: rules_of(rng), ROOF: rules_of(rng)}
    every = spots(rng.randint(1, 40), rng)
    index, oracle = SpotIndex(every, MIXED, rules), Oracle(every, rules)
    for _ in range(STEPS):
        spot = rng.choice(every).spot
        match rng.randint(0, 5):
            case 0 | 1 | 2:
                area, vehicle = rng.choice([MAIN, ROOF]), rng.choice([*MIXED])
                preferred = rng.choice([None, None, "HANDICAPPED"])
                near = tuple(rng.sample(range(-1, 4), rng.randint(0, 5)))
                found = index.allocate(area, vehicle, preferred, near=near)
                assert oracle.allocate(area, vehicle, preferred, near) == found
                if found is not None:
                    assert found.spot not in oracle.held | oracle.closed
                    index.hold(found.spot)
                    oracle.held.add(found.spot)
            case 3 if oracle.held:
                spot = rng.choice(sorted(oracle.held))
                index.release(spot)
                oracle.held.discard(spot)
            case 4 if spot in oracle.closed:
                index.open(spot)
                oracle.closed.discard(spot)
            case 4:
                index.close(spot)
                oracle.closed.add(spot)
            case _:
                place = rng.choice([MAIN, ROOF]), rng.choice(TYPES)
                if place[1] in index.total(place[0]):
                    oracle.unseen[place] = rng.choice([0, 0, 1, 3])
                    index.counted(*place, oracle.unseen[place])
        for area in (MAIN, ROOF):
            assert {kind: oracle.free(area, kind) for kind in index.free(area)} == index.free(area)
            assert sum(index.free(area).values()) == sum(group.free for group in index.groups(area))


def garage(count: int) -> list[Spot]:
    """Two levels of the same size."""
    return [Spot(SpotId(f"{n // count}-{n % count:02d}"), MAIN, n // count, "COMPACT") for n in range(2 * count)]


def given(strategy: Strategy, vehicles: int, near: tuple[int, ...] = ()) -> list[int]:
    """The levels that so many cars are sent to."""
    index, levels = SpotIndex(garage(3), COMPATIBLE, {MAIN: AreaRules(strategy)}), []
    for _ in range(vehicles):
        spot = index.allocate(MAIN, "CAR", near=near)
        assert spot is not None
        index.hold(spot.spot)
        levels.append(spot.level)
    return levels


def test_each_strategy_fills_the_levels_its_own_way() -> None:
    """Below first, by the lane's way up, or evenly."""
    assert [0, 0, 0, 1, 1] == given(Strategy.LEVEL_BY_LEVEL, 5)
    assert [1, 1, 1, 0, 0] == given(Strategy.NEAREST, 5, near=(1, 0))
    assert [0, 1, 0, 1, 0] == given(Strategy.SPREAD, 5)


def test_a_reserve_is_opened_when_the_area_is_tight() -> None:
    """Two charging spots are an electric car's; a car gets one when one other spot is left, and never the last one kept."""
    reserve = Reserve("ELECTRIC", ("ELECTRIC_CAR",), until_free=1, keep=1)
    every = [Spot(SpotId(f"E{n}"), MAIN, 0, "ELECTRIC") for n in range(2)]
    every += [Spot(SpotId(f"L{n}"), MAIN, 0, "LARGE") for n in range(2)]
    table = {**COMPATIBLE, "CAR": ("ELECTRIC", "LARGE")}
    index = SpotIndex(every, table, {MAIN: AreaRules(reserves=(reserve,))})
    names = []
    while (spot := index.allocate(MAIN, "CAR")) is not None:
        names.append(spot.spot)
        index.hold(spot.spot)

    assert ["L0", "E0", "L1"] == names
    electric = index.allocate(MAIN, "ELECTRIC_CAR")
    assert electric is not None
    assert "E1" == electric.spot


def test_a_spot_out_of_service_is_nobodys_and_its_vehicle_stays() -> None:
    """Closed under a vehicle; when that leaves nobody is sent there until it is opened."""
    index = SpotIndex(garage(1)[:1])
    index.hold(SpotId("0-00"))
    index.close(SpotId("0-00"))
    assert {"COMPACT": 0} == index.total(MAIN) == index.free(MAIN)
    index.release(SpotId("0-00"))
    assert index.allocate(MAIN, "CAR") is None
    index.open(SpotId("0-00"))
    assert index.allocate(MAIN, "CAR") is not None
