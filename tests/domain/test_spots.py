"""The index gives the spot that a look at every spot would give, without the look."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gatectl.domain.ids import AreaId, SpotId
from gatectl.domain.spots import COMPATIBLE, Spot, SpotIndex

MAIN, ROOF = AreaId("main"), AreaId("roof")
TYPES = ("MOTORCYCLE", "COMPACT", "LARGE", "HANDICAPPED", "ELECTRIC")


def spot(name: str, spot_type: str, level: int = 0, area: AreaId = MAIN) -> Spot:
    return Spot(SpotId(name), area, level, spot_type)


def garage(count: int) -> list[Spot]:
    """Compact spots on ten levels."""
    return [spot(f"{n:05d}", "COMPACT", n % 10) for n in range(count)]


# -- which one ------------------------------------------------------------------------------------------------------


def test_the_lowest_level_comes_first_then_the_name() -> None:
    """Below ground counts as lower; ties go by name."""
    index = SpotIndex([spot("b", "COMPACT", 1), spot("c", "COMPACT", -1), spot("a", "COMPACT", 1)])
    given = []
    while (free := index.allocate(MAIN, "CAR")) is not None:
        given.append(free.spot)
        index.hold(free.spot)

    assert given == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("vehicle_type", "spot_types"),
    [
        ("MOTORCYCLE", ["MOTORCYCLE", "COMPACT", "LARGE"]),
        ("CAR", ["COMPACT", "LARGE"]),
        ("VAN", ["LARGE"]),
        ("TRUCK", ["LARGE"]),
        ("ELECTRIC_CAR", ["ELECTRIC", "COMPACT", "LARGE"]),
        ("TANK", []),
    ],
)
def test_a_vehicle_gets_the_best_type_that_is_free(vehicle_type: str, spot_types: list[str]) -> None:
    """One spot of each type, taken one after the other: nobody gets HANDICAPPED, only electric cars get ELECTRIC."""
    index = SpotIndex([spot(name, name) for name in TYPES])
    given = []
    while (free := index.allocate(MAIN, vehicle_type)) is not None:
        given.append(free.spot_type)
        index.hold(free.spot)

    assert spot_types == given


def test_a_preferred_type_is_tried_first() -> None:
    """A permit gets the HANDICAPPED spot, and when that is taken what any car gets."""
    index = SpotIndex([spot("h", "HANDICAPPED"), spot("c", "COMPACT")])

    first = index.allocate(MAIN, "CAR", preferred="HANDICAPPED")
    assert spot("h", "HANDICAPPED") == first
    index.hold(SpotId("h"))
    assert spot("c", "COMPACT") == index.allocate(MAIN, "CAR", preferred="HANDICAPPED")


def test_a_site_extends_the_table() -> None:
    """A camper, and a new kind of spot for it."""
    index = SpotIndex([spot("x", "XL")], {**COMPATIBLE, "CAMPER": ("XL",)})

    assert spot("x", "XL") == index.allocate(MAIN, "CAMPER")
    assert index.allocate(MAIN, "CAR") is None


def test_areas_are_apart() -> None:
    """A free spot on the roof is none in the main hall; an area without spots of its own counts nothing."""
    index = SpotIndex([spot("r", "COMPACT", area=ROOF)])

    assert index.allocate(MAIN, "CAR") is None
    assert spot("r", "COMPACT", area=ROOF) == index.allocate(ROOF, "CAR")
    assert (index.free(MAIN), index.total(MAIN)) == ({}, {})
    assert (index.free(ROOF), index.total(ROOF)) == ({"COMPACT": 1}, {"COMPACT": 1})


def test_asking_takes_nothing() -> None:
    """A vehicle that asks and drives off leaves the spot to the next."""
    index = SpotIndex(garage(3))

    assert index.allocate(MAIN, "CAR") == index.allocate(MAIN, "CAR")
    assert index.free(MAIN) == {"COMPACT": 3}


# -- what must never be decided -------------------------------------------------------------------------------------


def test_a_spot_is_given_once() -> None:
    """Holding what is held, releasing what is free, and names that no spot has are defects."""
    index = SpotIndex(garage(1))
    name = SpotId("00000")
    with pytest.raises(AssertionError, match="00000 is free already"):
        index.release(name)
    index.hold(name)
    with pytest.raises(AssertionError, match="00000 is held already"):
        index.hold(name)
    for act in (index.hold, index.release):
        with pytest.raises(AssertionError, match="elsewhere is not known"):
            act(SpotId("elsewhere"))

    assert index.free(MAIN) == {"COMPACT": 0}


def test_two_spots_of_one_name_are_refused() -> None:
    """A slip in the site file would otherwise lose a spot in silence."""
    with pytest.raises(ValueError, match="two spots are named a"):
        SpotIndex([spot("a", "COMPACT"), spot("a", "LARGE")])


# -- against a naive model ------------------------------------------------------------------------------------------


class NaiveGarage(RuleBasedStateMachine):
    """The index beside a model that looks at every spot; random vehicles come and go in both."""

    @initialize(
        shape=st.lists(
            st.tuples(st.sampled_from([MAIN, ROOF]), st.integers(-1, 2), st.sampled_from(TYPES)),
            min_size=1,
            max_size=12,
        )
    )
    def build(self, shape: list[tuple[AreaId, int, str]]) -> None:
        self.all = [Spot(SpotId(f"s{n:02d}"), area, level, kind) for n, (area, level, kind) in enumerate(shape)]
        self.index = SpotIndex(self.all)
        self.held: set[SpotId] = set()

    def naive(self, area: AreaId, vehicle_type: str) -> Spot | None:
        for kind in COMPATIBLE[vehicle_type]:
            free = [s for s in self.all if (s.area, s.spot_type) == (area, kind) and s.spot not in self.held]
            if free:
                return min(free, key=lambda s: (s.level, s.spot))
        return None

    @rule(area=st.sampled_from([MAIN, ROOF]), vehicle_type=st.sampled_from([*COMPATIBLE]))
    def enter(self, area: AreaId, vehicle_type: str) -> None:
        spot = self.index.allocate(area, vehicle_type)

        assert self.naive(area, vehicle_type) == spot
        if spot is not None:
            self.index.hold(spot.spot)
            self.held.add(spot.spot)

    @precondition(lambda self: len(self.held) < len(self.all))
    @rule(data=st.data())
    def hold_any(self, data: st.DataObject) -> None:
        """As when the books are loaded, or a valet chooses: not the one at the top."""
        name = data.draw(st.sampled_from([s.spot for s in self.all if s.spot not in self.held]))
        self.index.hold(name)
        self.held.add(name)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.held)))
        self.index.release(name)
        self.held.discard(name)

    @invariant()
    def counts_agree(self) -> None:
        for area in (MAIN, ROOF):
            total, free = self.index.total(area), self.index.free(area)
            for kind in TYPES:
                of_kind = [s for s in self.all if (s.area, s.spot_type) == (area, kind)]
                assert len(of_kind) == total.get(kind, 0)
                assert sum(1 for s in of_kind if s.spot not in self.held) == free.get(kind, 0)
            for vehicle_type in COMPATIBLE:
                assert self.naive(area, vehicle_type) == self.index.allocate(area, vehicle_type)


NaiveGarage.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestNaiveGarage = NaiveGarage.TestCase


# -- cost -----------------------------------------------------------------------------------------------------------


def instructions(act: Callable[[], object]) -> int:
    """Python instructions that `act` executes, the comparisons inside a heap operation included."""
    seen = 0

    def trace(frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
        nonlocal seen
        frame.f_trace_opcodes = True
        seen += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return seen


def half_full_rounds(count: int) -> int:
    """Instructions for forty vehicles in and forty out of a half-full lot."""
    index = SpotIndex(garage(count))
    for n in range(0, count, 2):
        index.hold(SpotId(f"{n:05d}"))

    def rounds() -> None:
        for n in range(40):
            free = index.allocate(MAIN, "CAR")
            assert free is not None
            index.hold(free.spot)
            index.release(SpotId(f"{2 * n:05d}"))
            index.free(MAIN)

    return instructions(rounds)


def test_the_cost_of_a_vehicle_does_not_grow_with_the_lot() -> None:
    """A hundred times the spots, at most twice the work: instructions are counted, not time; a scan is 100 times."""
    small, large = half_full_rounds(100), half_full_rounds(10_000)

    assert small > 0
    assert large <= 2 * small, (small, large)


def test_no_heap_outgrows_the_lot() -> None:
    """One spot in the middle is taken and given back all day: it is in the heap once."""
    index = SpotIndex(garage(100))
    for _ in range(10_000):
        index.hold(SpotId("00050"))
        index.release(SpotId("00050"))

    assert sum(len(level.heap) for level in index._types[MAIN]["COMPACT"].levels) == 100
