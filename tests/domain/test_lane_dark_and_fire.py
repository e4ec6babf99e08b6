"""What both kinds of lane do after the dark and in a fire."""

import pytest
from lane_world import Story, dark_lane, entry, exit_, granted, inside, parked_out, plan_of, ready

from gatectl.domain import facts as f
from gatectl.domain.effects import OpenArm, RetractTicket
from gatectl.domain.ids import TicketNumber, VendId
from gatectl.domain.lane import (
    Arm,
    Doubt,
    FireChanged,
    Hand,
    LaneKind,
    Layout,
    Phase,
)

KINDS = pytest.mark.parametrize("kind", list(LaneKind))


def in_doubt(kind: LaneKind, layout: Layout = Layout.TWO_LOOP, **state: object) -> tuple[Story, TicketNumber]:
    """A lane that starts with a vend that was intended when the lights went out."""
    story = dark_lane(plan_of(kind, layout), doubt=Doubt(VendId("V1"), TicketNumber("T-1")), **state)
    ticket = inside(story, "T-1")
    story.site.tickets[ticket] = "issued" if kind is LaneKind.ENTRY else "spent"
    story.site.vends[VendId("V1")] = "open"
    return story, ticket


# -- power loss and start ---------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("layout", list(Layout))
def test_a_start_reads_everything_and_moves_nothing(kind: LaneKind, layout: Layout) -> None:
    """Loops and limits are read, and only then is the lane in service."""
    story = dark_lane(plan_of(kind, layout))
    story.a(False)
    assert Phase.STARTING is story.phase
    ready(story)

    assert (Phase.IDLE, [], 0) == (story.phase, story.facts, story.opens() + story.closes())


@KINDS
def test_a_start_that_cannot_see_says_so(kind: LaneKind) -> None:
    """The I/O module is dead: after the time to start the lane is out of service, with the faults by name."""
    story = dark_lane(plan_of(kind))
    story.wait(10_000)

    assert Phase.OUT_OF_SERVICE is story.phase
    assert {f.LaneFault.LOOP_UNTRUSTED, f.LaneFault.ARM_UNKNOWN} == set(story.faults())
    ready(story)
    assert (Phase.IDLE, set(story.faults())) == (story.phase, set(story.cleared()))


@KINDS
def test_nobody_moves_a_starting_lane(kind: LaneKind) -> None:
    """Not even by hand: the answer says why."""
    story = dark_lane(plan_of(kind))

    assert "E-LANE-01" == story.hand(Hand.OPEN).code
    assert [] == story.done(OpenArm)


@KINDS
def test_a_vehicle_at_the_station_after_a_start_begins_anew(kind: LaneKind) -> None:
    """It stood there all the time: present, and a fresh press or code is needed."""
    story = ready(dark_lane(plan_of(kind)), a=True)

    assert (Phase.PRESENT, []) == (story.phase, story.facts)


@KINDS
def test_an_arm_found_up_stays_up_for_a_person(kind: LaneKind) -> None:
    """No vend of ours explains it: a fault, no movement, until somebody closes it by the rule."""
    story = ready(dark_lane(plan_of(kind)), arm=Arm.UP)
    story.wait(3_600_000)
    assert (Phase.HELD_OPEN, [f.LaneFault.ARM_FORCED], 0) == (story.phase, story.faults(), story.closes())
    assert "" == story.hand(Hand.CLOSE).code
    story.wait(0)

    assert (1, Phase.CLOSING, ["recovery"]) == (story.closes(), story.phase, story.causes())


def test_an_entry_doubt_whose_vehicle_is_gone() -> None:
    """Arm down, nobody there: it is taken to have come in, and the record says that nobody saw it."""
    story, ticket = in_doubt(LaneKind.ENTRY)
    ready(story)

    entered = story.only(f.VehicleEntered)
    assert (ticket, False, VendId("V1")) == (entered.ticket, entered.verified, entered.vend)
    assert ("dark", Phase.IDLE) == (story.only(f.VendUnknown).why, story.phase)
    assert 1 == len(story.of(f.VendClosed))


def test_an_entry_doubt_whose_vehicle_is_still_there() -> None:
    """On the arming loop in front of an arm that is down: it did not come in, the number is void."""
    story, ticket = in_doubt(LaneKind.ENTRY)
    ready(story, a=True)

    voided = story.only(f.TicketVoided)
    assert (ticket, f.VoidReason.DARK, Phase.PRESENT) == (voided.ticket, voided.reason, story.phase)


def test_an_exit_doubt_whose_vehicle_is_gone() -> None:
    """Taken to have left, unverified."""
    story, ticket = in_doubt(LaneKind.EXIT)
    ready(story)

    assert (ticket, False) == ((gone := story.only(f.VehicleExited)).ticket, gone.verified)


def test_an_exit_doubt_whose_vehicle_is_still_there() -> None:
    """Its ticket is good again."""
    story, ticket = in_doubt(LaneKind.EXIT)
    ready(story, a=True)

    assert (ticket, "inside") == (story.only(f.TicketReturned).ticket, story.site.tickets[ticket])


PASSED: dict[LaneKind, type[f.VehicleEntered | f.VehicleExited | f.VehicleMoved]] = {
    LaneKind.ENTRY: f.VehicleEntered,
    LaneKind.EXIT: f.VehicleExited,
    LaneKind.PASSAGE: f.VehicleMoved,
}


@KINDS
def test_a_doubt_under_an_open_arm_is_settled_by_the_loops(kind: LaneKind) -> None:
    """The vehicle stands there and the arm is up: it keeps its ticket, drives through and is seen; then the arm comes down."""
    story, ticket = in_doubt(kind)
    ready(story, arm=Arm.UP, a=True)
    assert (Phase.HELD_OPEN, ticket) == (story.phase, story.lane.ticket)
    story.drive_over()
    story.wait(1_000)

    done = story.only(PASSED[kind])
    assert (ticket, True, VendId("V1"), 1) == (done.ticket, done.verified, done.vend, story.closes())


@KINDS
def test_a_doubt_under_an_open_arm_whose_vehicle_turns_back(kind: LaneKind) -> None:
    """It reverses: void at an entry, good again at an exit."""
    story, ticket = in_doubt(kind)
    ready(story, arm=Arm.UP, a=True)
    story.leave_station()

    assert ("void" if kind is LaneKind.ENTRY else "inside") == story.site.tickets[ticket]


def test_an_arm_left_up_by_the_dark_comes_down_for_the_next_driver() -> None:
    """Not because of the restart: the next vehicle presses, the arm comes down by the rule, and then its ticket prints."""
    story, _ = in_doubt(LaneKind.ENTRY)
    ready(story, arm=Arm.UP)
    story.wait(60_000)
    assert (Phase.HELD_OPEN, 0) == (story.phase, story.closes())
    story.arrive()
    story.press()
    story.wait(0)
    assert (Phase.CLOSING, 1) == (story.phase, story.closes())
    story.arm(Arm.DOWN)
    story.wait(0)

    assert Phase.PRINTING is story.phase


def test_an_exit_arm_left_up_by_the_dark_comes_down_for_the_next_code() -> None:
    """The same at an exit: the code waits for the arm."""
    story, _ = in_doubt(LaneKind.EXIT)
    ready(story, arm=Arm.UP)
    story.arrive()
    second = inside(story, "T-2")
    story.read(second)
    story.wait(1_000)
    story.arm(Arm.DOWN)
    story.wait(0)

    assert (Phase.OPENING, "spent") == (story.phase, story.site.tickets[second])


def test_without_limit_switches_a_doubt_means_maybe_up() -> None:
    """Nobody can see it: held open, and let down for the next driver."""
    story, _ = in_doubt(LaneKind.ENTRY, Layout.NO_LIMITS)
    ready(story)
    assert (Phase.HELD_OPEN, [f.LaneFault.ARM_UNKNOWN]) == (story.phase, story.faults())
    story.arrive()
    story.press()
    story.wait(1_000)
    story.answered(order="close")
    story.wait(8_000)

    assert (Phase.PRINTING, [f.LaneFault.ARM_UNKNOWN]) == (story.phase, story.cleared())


@pytest.mark.parametrize(
    ("mode", "phase"), [("locked", Phase.LOCKED), ("fire", Phase.FIRE), ("held-open", Phase.HELD_OPEN)]
)
def test_a_mode_survives_the_dark(mode: str, phase: Phase) -> None:
    """What a person or a fire ordered still holds after a restart."""
    story = ready(dark_lane(plan_of(LaneKind.ENTRY), mode=mode))

    assert (phase, 0) == (story.phase, story.opens() + story.closes())


# -- fire -------------------------------------------------------------------------------------------------------------


@KINDS
def test_fire_opens_and_latches(kind: LaneKind) -> None:
    """All open; the input going off ends nothing; only a named person does, and then it closes by the rule."""
    story = entry() if kind is LaneKind.ENTRY else exit_()[0]
    story.happen(FireChanged(True))
    assert (Phase.FIRE, ["fire"], 1) == (story.phase, story.causes(), story.opens())
    story.arm(Arm.UP)
    assert "E-LANE-02" == story.hand(Hand.RESET).code
    story.happen(FireChanged(False))
    story.wait(3_600_000)
    assert (Phase.FIRE, 0) == (story.phase, story.closes())
    assert "E-LANE-02" == story.hand(Hand.CLOSE).code
    assert "E-USE-01" == story.hand(Hand.RESET, who=" ").code
    assert "" == story.hand(Hand.RESET).code
    story.wait(1_000)
    story.arm(Arm.DOWN)

    assert (Phase.IDLE, 1) == (story.phase, story.closes())
    assert ["fire", "normal"] == [mode.mode for mode in story.of(f.LaneModeChanged)]


def test_fire_stops_ticketing() -> None:
    """The ticket in the mouth is void and pulled back, and a press makes none."""
    story = entry()
    story.arrive()
    story.press()
    story.present()
    story.happen(FireChanged(True))
    story.press()

    assert (f.VoidReason.NOT_TAKEN, 1) == (story.only(f.TicketVoided).reason, len(story.of(f.TicketIssued)))
    assert 1 == len(story.done(RetractTicket))


def test_vehicles_leave_in_a_fire_and_the_count_is_an_estimate() -> None:
    """The one whose ticket was spent leaves on it, the others without; none is verified."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.happen(FireChanged(True))
    story.drive_over()
    story.arrive()
    story.drive_over()

    assert [(ticket, False), (None, False)] == [(gone.ticket, gone.verified) for gone in story.of(f.VehicleExited)]


def test_fire_under_a_closing_arm_raises_it() -> None:
    """Whatever was under way."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.drive_over()
    story.wait(1_000)
    story.happen(FireChanged(True))

    assert (Phase.FIRE, ["paid", "fire"]) == (story.phase, story.causes())


def test_a_fire_that_is_on_at_start_is_latched_and_moves_nothing() -> None:
    """The wired input opened the barrier; the software mirrors it."""
    story = dark_lane(plan_of(LaneKind.EXIT))
    story.happen(FireChanged(True))
    ready(story)
    assert (Phase.FIRE, 0) == (story.phase, story.opens())
    assert "" == story.hand(Hand.OPEN).code

    assert 1 == story.opens()


def test_an_arm_that_comes_down_in_a_fire_is_a_fault() -> None:
    """For a person to run to."""
    story, _ = exit_()
    story.happen(FireChanged(True))
    story.arm(Arm.UP)
    story.arm(Arm.DOWN)

    assert (Phase.FIRE, [f.LaneFault.FAILS_TO_OPEN]) == (story.phase, story.faults())


def test_a_press_from_before_the_fire_is_forgotten() -> None:
    """The next driver had pressed under the closing arm; after the fire somebody must press again."""
    story = entry()
    granted(story)
    story.drive_over()
    story.wait(1_000)
    story.arrive()
    story.press()
    story.happen(FireChanged(True))
    story.arm(Arm.UP)
    story.happen(FireChanged(False))
    story.hand(Hand.RESET)
    story.wait(1_000)
    story.arm(Arm.DOWN)
    story.wait(1_000)

    assert (Phase.PRESENT, 1) == (story.phase, len(story.of(f.TicketIssued)))
