"""What both kinds of lane do under people's hands, when closing would be wrong, and when devices fail."""

import pytest
from lane_world import Story, dark_lane, entry, exit_, good, granted, inside, parked_out, plan_of

from gatectl.domain import facts as f
from gatectl.domain.effects import OpenArm
from gatectl.domain.ids import TicketNumber, VendId
from gatectl.domain.lane import (
    Arm,
    ArmBroke,
    ArmingLoopChanged,
    ArmMoved,
    ClosingLoopChanged,
    DeviceAvailabilityChanged,
    DoorMoved,
    Doubt,
    Hand,
    LaneKind,
    Layout,
    Loop,
    Phase,
    ResetLoopChanged,
    Trust,
)

KINDS = pytest.mark.parametrize("kind", list(LaneKind))


def in_doubt(kind: LaneKind, layout: Layout = Layout.TWO_LOOP, **state: object) -> tuple[Story, TicketNumber]:
    """A lane that starts with a vend that was intended when the lights went out."""
    story = dark_lane(plan_of(kind, layout), doubt=Doubt(VendId("V1"), TicketNumber("T-1")), **state)
    ticket = inside(story, "T-1")
    story.site.tickets[ticket] = "issued" if kind is LaneKind.ENTRY else "spent"
    story.site.vends[VendId("V1")] = "open"
    return story, ticket


# -- people -----------------------------------------------------------------------------------------------------------


def test_opening_by_hand_needs_a_name_and_a_reason() -> None:
    """Otherwise nothing moves."""
    story = entry()

    assert "E-USE-01" == story.hand(Hand.OPEN, why="  ").code
    assert ([], []) == (story.facts, story.done(OpenArm))


def test_a_vehicle_let_in_by_hand_gets_an_exception_stay() -> None:
    """Who and why are on record before the arm moves; the passage makes a number for the stay."""
    story = entry()
    story.arrive()
    story.hand(Hand.OPEN)
    assert [f.VendIntended, f.OpenedByHand] == [type(fact) for fact in story.facts]
    story.raised()
    story.drive_over()
    story.lowered()

    entered = story.only(f.VehicleEntered)
    assert (True, story.only(f.VendIntended).vend, Phase.IDLE) == (entered.exception, entered.vend, story.phase)
    assert [] == story.irregular()


def test_opened_by_hand_for_nobody() -> None:
    """Nobody drives through: closed again after the time to pass, nothing counted."""
    story = entry()
    story.hand(Hand.OPEN)
    story.raised()
    story.wait(30_000)

    assert (Phase.CLOSING, 0, 1) == (story.phase, story.site.count, story.closes())


def test_opening_by_hand_takes_the_place_of_a_ticket_that_prints() -> None:
    """The attendant is quicker than the printer: that number is void by hand."""
    story = entry()
    story.arrive()
    story.press()
    story.hand(Hand.OPEN)

    assert (f.VoidReason.BY_HAND, Phase.OPENING) == (story.only(f.TicketVoided).reason, story.phase)


def test_hold_and_release() -> None:
    """Held open: vehicles come in as exceptions; released, it closes by the rule, not before the loop is clear."""
    story = entry()
    assert "" == story.hand(Hand.HOLD).code
    story.raised()
    assert Phase.HELD_OPEN is story.phase
    story.arrive()
    story.press()
    story.b(True)
    story.a(False)
    story.hand(Hand.RELEASE)
    story.wait(5_000)
    assert 0 == story.closes()
    story.b(False)
    story.wait(1_000)
    assert 1 == story.closes()
    story.arm(Arm.DOWN)

    assert ["held-open", "normal"] == [mode.mode for mode in story.of(f.LaneModeChanged)]
    assert [] == story.irregular()
    assert (Phase.IDLE, True, True) == (story.phase, (e := story.only(f.VehicleEntered)).exception, e.verified)


def test_a_hold_while_a_vehicle_passes() -> None:
    """It passes on its ticket, and the arm stays up behind it."""
    story = entry()
    ticket = granted(story)
    story.hand(Hand.HOLD)
    story.drive_over()
    story.wait(60_000)

    assert (Phase.HELD_OPEN, ticket, 0) == (story.phase, story.only(f.VehicleEntered).ticket, story.closes())


def test_who_follows_through_a_held_lane_is_no_tailgater() -> None:
    """The lane stands open for everybody: a second vehicle is an exception stay, and no alarm."""
    story = entry()
    story.hand(Hand.HOLD)
    story.raised()
    for _ in range(2):
        story.arrive()
        story.drive_over()

    assert ([True, True], []) == ([entered.exception for entered in story.of(f.VehicleEntered)], story.irregular())


def test_a_held_arm_that_is_closed_at_the_barrier() -> None:
    """With a key on the spot: the hold is over, and the record says who."""
    story = entry()
    story.hand(Hand.HOLD)
    story.raised()
    story.arm(Arm.DOWN)

    assert (Phase.IDLE, "barrier") == (story.phase, story.of(f.LaneModeChanged)[-1].who)


def test_closing_by_hand_is_refused_over_a_loop_that_is_not_clear() -> None:
    """There is no force: the person gets a straight answer."""
    story = entry()
    story.hand(Hand.HOLD)
    story.raised()
    story.b(True)
    assert "E-LANE-01" == story.hand(Hand.CLOSE).code
    story.happen(ClosingLoopChanged(Loop(False, Trust.STALE)))
    assert "E-LANE-01" == story.hand(Hand.CLOSE).code

    assert (Phase.HELD_OPEN, 0) == (story.phase, story.closes())


def test_lock_and_unlock() -> None:
    """A locked lane serves nobody; unlocked it serves the vehicle that waits."""
    story, ticket = exit_()
    story.hand(Hand.LOCK)
    story.arrive()
    story.read(ticket)
    assert (Phase.LOCKED, "E-CLOSED-01") == (story.phase, story.only(f.CodeRefused).why)
    story.hand(Hand.UNLOCK)
    story.read(ticket)

    assert Phase.OPENING is story.phase


def test_a_lock_waits_for_the_vehicle_that_passes() -> None:
    """Locked while it is under the arm: it passes, and then the lane is locked."""
    story = entry()
    granted(story)
    story.hand(Hand.LOCK)
    story.drive_over()
    story.lowered()

    assert (Phase.LOCKED, 1) == (story.phase, story.site.count)


def test_a_lock_voids_the_ticket_that_prints() -> None:
    """Nothing half-done remains."""
    story = entry()
    story.arrive()
    story.press()
    story.hand(Hand.LOCK)

    assert (f.VoidReason.BY_HAND, Phase.LOCKED) == (story.only(f.TicketVoided).reason, story.phase)


def test_asking_twice_is_answered_and_does_nothing() -> None:
    """Idempotent: open when open, hold when held, lock when locked, release when nothing is held."""
    story = entry()
    story.hand(Hand.HOLD)
    story.raised()
    story.forget()

    assert ["", "", ""] == [story.hand(asked).code for asked in (Hand.OPEN, Hand.HOLD, Hand.UNLOCK)]
    assert ([], 0) == (story.facts, story.opens())


# -- closing ------------------------------------------------------------------------------------------------------------


def test_presence_while_closing_reopens_at_once_and_is_counted() -> None:
    """So often, and then the lane holds open and calls."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.drive_over()
    for _ in range(4):
        story.wait(3_000)
        assert Phase.CLOSING is story.phase
        story.b(True)
        story.b(False)

    assert (Phase.HELD_OPEN, [f.LaneFault.FAILS_TO_CLOSE]) == (story.phase, story.faults())
    assert (["paid"] + ["presence"] * 4, 5) == (story.causes(), story.opens())
    story.wait(600_000)
    assert 4 == story.closes()


@pytest.mark.parametrize("trust", [Trust.FAULT, Trust.STALE])
def test_a_closing_loop_that_is_lost_while_closing_reopens(trust: Trust) -> None:
    """Not known clear is not clear."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.drive_over()
    story.wait(1_000)
    story.happen(ClosingLoopChanged(Loop(False, trust)))

    assert (["paid", "presence"], Phase.PASSING) == (story.causes(), story.phase)


def test_a_lost_module_while_closing_reopens() -> None:
    """The device that carries the loop goes away under the moving arm."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.drive_over()
    story.wait(1_000)
    story.happen(DeviceAvailabilityChanged(False, ("closing", "open")))

    assert (2, Phase.PASSING) == (story.opens(), story.phase)


def test_the_barrier_raises_itself() -> None:
    """Its own safety saw something that our loop did not: wait for a clear way again."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.drive_over()
    story.wait(1_000)
    story.arm(Arm.BETWEEN)
    story.arm(Arm.UP)
    assert (Phase.PASSING, 1) == (story.phase, story.lane.reversals)
    story.wait(1_000)

    assert 2 == story.closes()


def test_fails_to_close_is_tried_a_few_times_and_never_slammed() -> None:
    """Confirmed and still not down: so many tries, then held open, a fault, and passages that nobody verifies."""
    story = entry()
    granted(story)
    story.drive_over()
    for _ in range(3):
        story.wait(1_000)
        story.answered(order="close")
        story.wait(8_000)
    story.wait(600_000)
    assert (Phase.HELD_OPEN, 3, [f.LaneFault.FAILS_TO_CLOSE]) == (story.phase, story.closes(), story.faults())
    story.arrive()
    story.drive_over()
    assert (True, False) == ((second := story.of(f.VehicleEntered)[1]).exception, second.verified)
    story.arm(Arm.DOWN)

    assert (Phase.IDLE, [f.LaneFault.FAILS_TO_CLOSE]) == (story.phase, story.cleared())


def test_a_close_whose_outcome_is_unknown_is_not_repeated() -> None:
    """It may have acted, and the limit switch does not say: held open, for a person."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.drive_over()
    story.wait(1_000)
    story.answered("unknown", order="close")
    story.wait(600_000)

    assert (Phase.HELD_OPEN, 1, 1) == (story.phase, story.closes(), len(story.of(f.VendUnknown)))


def test_a_person_lets_an_arm_try_again() -> None:
    """Released after it failed to close: by the rule, once more."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.drive_over()
    story.wait(1_000)
    story.answered("unknown", order="close")
    story.wait(8_000)
    assert "" == story.hand(Hand.RELEASE).code
    story.wait(0)
    story.arm(Arm.DOWN)

    assert (Phase.IDLE, 2) == (story.phase, story.closes())


def test_three_loops_close_only_when_both_are_clear() -> None:
    """The reset loop not trusted: the arm stays up."""
    story, ticket = exit_(Layout.THREE_LOOP)
    parked_out(story, ticket)
    story.drive_over()
    story.happen(ResetLoopChanged(Loop(False, Trust.STALE)))
    story.wait(30_000)
    assert (Phase.HELD_OPEN, 0) == (story.phase, story.closes())
    story.c(False)
    story.wait(1_000)

    assert 1 == story.closes()


# -- contacts and devices -------------------------------------------------------------------------------------------------


@KINDS
def test_the_cabinet_door_is_logged_and_stops_nothing(kind: LaneKind) -> None:
    """A fraud case, not a fault of the lane: open and shut are on record."""
    story = entry() if kind is LaneKind.ENTRY else exit_()[0]
    story.happen(DoorMoved(True))
    story.happen(DoorMoved(True))
    story.happen(DoorMoved(False))

    assert ([f.LaneFault.DOOR_OPEN], [f.LaneFault.DOOR_OPEN]) == (story.faults(), story.cleared())
    assert Phase.IDLE is story.phase


@KINDS
def test_a_lane_whose_barrier_module_is_away_is_out_of_service(kind: LaneKind) -> None:
    """Back again, with its readings, it is in service without anything having moved."""
    story = entry() if kind is LaneKind.ENTRY else exit_()[0]
    story.happen(DeviceAvailabilityChanged(False, ("open", "close", "arm_up", "arm_down", "closing")))
    assert Phase.OUT_OF_SERVICE is story.phase
    story.happen(DeviceAvailabilityChanged(True, ("open", "close", "arm_up", "arm_down", "closing")))
    story.happen(ArmMoved(Arm.DOWN))
    story.b(False)

    assert (Phase.IDLE, set(story.faults())) == (story.phase, set(story.cleared()))
    assert 0 == story.opens() + story.closes()


def test_an_arm_that_is_forced_up_is_a_fault_and_its_passages_count() -> None:
    """With a crank, in the night: recorded as exceptions, and it is over when the arm is seen down."""
    story = entry()
    story.arm(Arm.UP)
    assert (Phase.HELD_OPEN, [f.LaneFault.ARM_FORCED]) == (story.phase, story.faults())
    story.arrive()
    story.press()
    story.drive_over()
    story.wait(60_000)
    assert 0 == story.closes()
    story.arm(Arm.DOWN)

    assert (Phase.IDLE, True) == (story.phase, story.only(f.VehicleEntered).exception)


@KINDS
def test_something_under_an_arm_that_is_down_is_logged_and_no_passage(kind: LaneKind) -> None:
    """Closing loop without arming loop: an implausible order; nothing is inferred from it."""
    story = entry() if kind is LaneKind.ENTRY else exit_()[0]
    story.b(True)
    story.b(False)

    assert ([f.Irregularity.IMPLAUSIBLE_ORDER], 0) == (story.irregular(), story.site.count)


@pytest.mark.parametrize(("kind", "phase"), [(LaneKind.ENTRY, Phase.OUT_OF_SERVICE), (LaneKind.EXIT, Phase.IDLE)])
def test_a_closing_loop_that_sticks_while_idle(kind: LaneKind, phase: Phase) -> None:
    """An entry that could not close again lets nobody in; an exit traps nobody."""
    story = entry() if kind is LaneKind.ENTRY else exit_()[0]
    story.b(True)
    story.wait(600_000)
    assert (phase, [f.LaneFault.CLOSING_LOOP_STUCK]) == (story.phase, story.faults())
    story.b(False)

    assert (Phase.IDLE, [f.LaneFault.CLOSING_LOOP_STUCK]) == (story.phase, story.cleared())


def test_a_boom_that_breaks_under_way_stops_no_passage() -> None:
    """The vehicle that broke it is still counted; then the exit is free flow."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.happen(ArmBroke(True))
    story.drive_over()
    story.wait(1_000)
    story.arm(Arm.DOWN)

    assert (ticket, Phase.HELD_OPEN) == (story.only(f.VehicleExited).ticket, story.phase)


def test_a_reading_that_repeats_changes_nothing() -> None:
    """Polled inputs say the same thing many times."""
    story = entry()
    granted(story)
    story.drive_over()
    before = len(story.facts)
    for _ in range(3):
        story.happen(ArmingLoopChanged(good(False)))
        story.happen(ClosingLoopChanged(good(False)))
    story.lowered()

    assert (Phase.IDLE, before + 1, 1) == (story.phase, len(story.facts), story.closes())
