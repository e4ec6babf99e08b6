"""Vehicles with a truth of their own: they queue, press, pull, pay, drive over, back out, give up and call for help."""

import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gatectl.world.kernel import Kernel, Process, Until
from gatectl.world.lanes import LaneTruth

TRIES_MAX = 12
"""Presses of the button before a driver gives up."""


class Manner(StrEnum):
    """What a driver does at the entry."""

    PLAIN = "plain"
    BACKS_OUT_BEFORE = "backs-out-before-taking"
    BACKS_OUT_AFTER = "backs-out-after-taking"


class Pays(StrEnum):
    IN_LANE = "card-in-lane"
    AT_CASHIER = "cash-at-cashier"


@dataclass(slots=True, eq=False)
class Vehicle:
    name: str
    arrives_ms: int
    stays_ms: int
    manner: Manner
    pays: Pays
    code: str | None = None
    state: str = "coming"
    """coming, queueing, inside, leaving, gone, turned-away"""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in simulated ms; `floor_ms` keeps each visible to real hardware in a sped-up world."""

    floor_ms: int

    def ms(self, natural_ms: int) -> int:
        return max(natural_ms, self.floor_ms)


@dataclass(slots=True)
class Street:
    """The world outside. `cashier(code)` pays cash for a ticket; `help(lane, why)` calls the attendant."""

    kernel: Kernel
    entries: list[LaneTruth]
    exits: list[LaneTruth]
    vehicles: list[Vehicle]
    pace: Pace
    rng: random.Random
    cashier: Callable[[str], None]
    help: Callable[[LaneTruth, str], None]
    patience_ms: int = 45_000
    log: Callable[[str], None] = lambda _: None
    counts: dict[str, int] = field(default_factory=dict)
    by_lane: Mapping[str, LaneTruth] = field(init=False)

    def __post_init__(self) -> None:
        self.by_lane = {lane.lane: lane for lane in (*self.entries, *self.exits)}

    def begin(self) -> None:
        for vehicle in self.vehicles:
            self.kernel.at(vehicle.arrives_ms, lambda vehicle=vehicle: self._arrive(vehicle))  # type: ignore[misc]  # binds the loop's value

    @property
    def done(self) -> bool:
        return all(vehicle.state in ("gone", "turned-away") for vehicle in self.vehicles)

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    # -- getting to a lane -----------------------------------------------------------------------------------------

    def _arrive(self, vehicle: Vehicle) -> None:
        vehicle.state = "queueing"
        self._join(min(self.entries, key=self._length), vehicle)

    def _leave(self, vehicle: Vehicle) -> None:
        vehicle.state = "leaving"
        self._join(min(self.exits, key=self._length), vehicle)

    @staticmethod
    def _length(lane: LaneTruth) -> tuple[int, str]:
        return len(lane.queue) + lane.busy, lane.lane

    def _join(self, lane: LaneTruth, vehicle: Vehicle) -> None:
        lane.queue.append(vehicle)
        self._next(lane)

    def _next(self, lane: LaneTruth) -> None:
        if lane.busy or not lane.queue:
            return
        lane.busy = True
        vehicle = lane.queue.popleft()
        assert isinstance(vehicle, Vehicle)
        process = self._entering(lane, vehicle) if lane.kind == "entry" else self._exiting(lane, vehicle)
        self.kernel.start(process)

    def _free(self, lane: LaneTruth) -> None:
        lane.busy = False
        self.kernel.after(self.pace.ms(500), lambda: self._next(lane))

    # -- the entry -------------------------------------------------------------------------------------------------

    def _entering(self, lane: LaneTruth, vehicle: Vehicle) -> Process:
        yield self.pace.ms(1_000)
        lane.contact("arming", True)
        yield self.pace.ms(1_500)
        got_ticket = yield from self._get_ticket(lane, vehicle)
        if not got_ticket:
            yield from self._turn_away(lane, vehicle)
            return
        if vehicle.manner is Manner.BACKS_OUT_AFTER:
            yield Until(lambda: lane.arm.is_up, self.patience_ms)
            yield self.pace.ms(1_000)
            yield from self._back_off(lane, vehicle, "backed-out-after")
            return
        yield from self._wait_for_arm(lane, vehicle)
        yield from self._drive_over(lane)
        vehicle.state = "inside"
        self.count("in")
        self._free(lane)
        yield vehicle.stays_ms
        if vehicle.pays is Pays.AT_CASHIER and vehicle.code:
            self.cashier(vehicle.code)
            yield self.pace.ms(30_000)
        self._leave(vehicle)

    def _get_ticket(
        self, lane: LaneTruth, vehicle: Vehicle, presses: int = TRIES_MAX
    ) -> Generator[int | Until, bool, bool]:
        """Press until a ticket shows, then pull it; whether one was got."""
        for _ in range(presses):
            if not lane.mouth:
                lane.contact("button", True)
                yield self.pace.ms(700)
                lane.contact("button", False)
            shows = yield Until(lambda: lane.mouth, 15_000)
            if not shows:
                continue
            if vehicle.manner is Manner.BACKS_OUT_BEFORE:
                return False
            yield self.pace.ms(self.rng.randrange(800, 2_500))
            vehicle.code = lane.hardware.take_ticket(lane.lane)
            if vehicle.code is not None:
                return True
        return False

    def _turn_away(self, lane: LaneTruth, vehicle: Vehicle) -> Process:
        what = "backed-out-before" if vehicle.manner is Manner.BACKS_OUT_BEFORE else "turned-away"
        yield from self._back_off(lane, vehicle, what)

    def _back_off(self, lane: LaneTruth, vehicle: Vehicle, what: str) -> Process:
        lane.contact("arming", False)
        vehicle.state = "turned-away"
        self.count(what)
        self.log(f"{vehicle.name} {what.replace('-', ' ')} at {lane.lane}")
        yield Until(lambda: lane.arm.is_down and not lane.mouth, self.patience_ms)
        yield self.pace.ms(1_500)
        self._free(lane)

    # -- the exit --------------------------------------------------------------------------------------------------

    def _exiting(self, lane: LaneTruth, vehicle: Vehicle) -> Process:
        yield self.pace.ms(1_000)
        lane.contact("arming", True)
        yield self.pace.ms(1_500)
        yield from self._wait_for_arm(lane, vehicle)
        yield from self._drive_over(lane)
        vehicle.state = "gone"
        self.count("out")
        self._free(lane)

    # -- both ------------------------------------------------------------------------------------------------------

    def _wait_for_arm(self, lane: LaneTruth, vehicle: Vehicle) -> Process:
        """At the arm: show the ticket (or press for another one) again and again, call the attendant, never give up."""
        tries = 0
        while not lane.arm.is_up:
            tries += 1
            if lane.kind == "exit" and vehicle.code is not None:
                lane.hardware.read_code(lane.lane, vehicle.code)
            up = yield Until(lambda: lane.arm.is_up, self.patience_ms)
            if up:
                break
            if lane.kind == "entry":
                yield from self._get_ticket(lane, vehicle, presses=1)
            if tries >= 2 and not lane.arm.is_up:
                self.count(f"help-at-{lane.kind}")
                self.help(lane, f"arm stays down, try {tries}")
                yield Until(lambda: lane.arm.is_up, self.patience_ms)

    def _drive_over(self, lane: LaneTruth) -> Process:
        yield self.pace.ms(800)
        lane.contact("closing", True)
        yield self.pace.ms(1_200)
        lane.contact("arming", False)
        yield self.pace.ms(1_200)
        if lane.has_reset:
            lane.contact("reset", True)
            yield self.pace.ms(600)
        lane.contact("closing", False)
        if lane.has_reset:
            yield self.pace.ms(800)
            lane.contact("reset", False)
        yield self.pace.ms(500)
