"""The entry lane when its arm does not do as told and its loops lie."""

import pytest
from lane_world import entry, granted

from gatectl.domain import facts as f
from gatectl.domain.effects import CloseArm, PrintTicket
from gatectl.domain.lane import (
    Arm,
    ArmAnswered,
    ArmBroke,
    ArmingLoopChanged,
    Hand,
    Layout,
    Loop,
    Phase,
    Trust,
)

LAYOUTS = pytest.mark.parametrize("layout", list(Layout))


# -- the arm does not do as told ------------------------------------------------------------------------------------------


def test_fails_to_open_is_tried_again_and_then_called_out() -> None:
    """The pulse is confirmed and the limit switch says nothing: one more try, then out of service. The grant stays."""
    story = entry()
    story.arrive()
    story.take_ticket()
    ticket = story.lane.ticket
    story.answered()
    story.wait(8_000)
    assert (["ticket", "retry"], 2) == (story.causes(), story.opens())
    story.answered()
    story.wait(8_000)

    assert (Phase.OUT_OF_SERVICE, [f.LaneFault.FAILS_TO_OPEN]) == (story.phase, story.faults())
    assert (2, ticket, []) == (len(story.of(f.VendFailed)), story.lane.ticket, story.of(f.TicketVoided))


def test_a_person_opens_for_the_ticket_that_was_granted() -> None:
    """The attendant opens by hand, the arm moves again: the vehicle comes in on its own ticket, the fault is over."""
    story = entry()
    story.arrive()
    story.take_ticket()
    ticket = story.lane.ticket
    for _ in range(2):
        story.answered()
        story.wait(8_000)
    assert "" == story.hand(Hand.OPEN).code
    story.raised()
    story.drive_over()
    story.lowered()

    entered = story.only(f.VehicleEntered)
    assert (ticket, False, Phase.IDLE) == (entered.ticket, entered.exception, story.phase)
    assert [f.LaneFault.FAILS_TO_OPEN] == story.cleared()


def test_the_driver_gives_up_at_an_arm_that_does_not_open() -> None:
    """He reverses away: his number is void for that reason, and the lane stays out of service until a person resets it."""
    story = entry()
    story.arrive()
    story.take_ticket()
    for _ in range(2):
        story.answered()
        story.wait(8_000)
    story.a(False)
    assert (f.VoidReason.FAILED_TO_OPEN, Phase.OUT_OF_SERVICE) == (story.only(f.TicketVoided).reason, story.phase)
    story.hand(Hand.RESET)

    assert Phase.IDLE is story.phase


def test_after_a_reset_the_granted_driver_presses_again() -> None:
    """Same ticket, new vend: nothing is printed twice."""
    story = entry()
    story.arrive()
    story.take_ticket()
    for _ in range(2):
        story.answered()
        story.wait(8_000)
    story.hand(Hand.RESET)
    story.press()

    assert (Phase.OPENING, 1, "retry") == (story.phase, len(story.done(PrintTicket)), story.causes()[-1])


def test_an_answer_that_is_unknown_is_never_repeated() -> None:
    """The reply was lost: the limit switches are read back, and when they say nothing nobody pulses again."""
    story = entry()
    story.arrive()
    story.take_ticket()
    story.answered("unknown")
    story.wait(20_000)

    assert (1, Phase.OUT_OF_SERVICE) == (story.opens(), story.phase)
    assert 1 == len(story.of(f.VendUnknown))


def test_an_unknown_answer_and_an_arm_that_is_up_is_an_open_lane() -> None:
    """Reading back tells: it did act."""
    story = entry()
    story.arrive()
    story.take_ticket()
    story.answered("unknown")
    story.arm(Arm.UP)

    assert (Phase.OPEN, []) == (story.phase, story.of(f.VendUnknown))


def test_an_arm_that_was_given_up_and_goes_up_after_all() -> None:
    """Very late the limit switch says up: the vehicle drives in on the ticket it was granted."""
    story = entry()
    story.arrive()
    story.take_ticket()
    ticket = story.lane.ticket
    story.wait(8_000)
    assert Phase.OUT_OF_SERVICE is story.phase
    story.arm(Arm.UP)
    story.drive_over()
    story.lowered()

    assert (ticket, Phase.IDLE) == (story.only(f.VehicleEntered).ticket, story.phase)


def test_without_limit_switches_an_unknown_opening_is_told_by_the_loops() -> None:
    """Nobody can read back: it is recorded as unknown, and a vehicle that passes proves it open."""
    story = entry(Layout.NO_LIMITS)
    story.arrive()
    story.take_ticket()
    story.answered("unknown")
    assert (1, Phase.OPEN) == (len(story.of(f.VendUnknown)), story.phase)
    story.drive_over()
    story.lowered()

    assert (1, Phase.IDLE, [f.LaneFault.ARM_UNKNOWN]) == (story.site.count, story.phase, story.cleared())


def test_a_refused_order_did_not_act_and_may_be_repeated() -> None:
    """The module was away and said so: a second vend, at once."""
    story = entry()
    story.arrive()
    story.take_ticket()
    story.answered("refused")

    assert (["ticket", "retry"], Phase.OPENING) == (story.causes(), story.phase)


def test_an_answer_to_an_older_vend_changes_nothing() -> None:
    """Late mail."""
    story = entry()
    story.arrive()
    story.take_ticket()
    old = story.lane.vend
    story.answered("refused")
    before = story.lane
    assert old is not None
    story.happen(ArmAnswered(old, "open", "refused", ""))

    assert before == story.lane


def test_a_barrier_that_closes_in_front_of_the_driver() -> None:
    """Its own timer ran out: the grant stays with the vehicle, and a press opens again."""
    story = entry()
    ticket = granted(story)
    story.arm(Arm.DOWN)
    assert (Phase.PRESENT, ticket, 1) == (story.phase, story.lane.ticket, len(story.of(f.VendClosed)))
    story.press()
    story.raised()
    story.drive_over()

    assert (ticket, 1) == (story.only(f.VehicleEntered).ticket, len(story.of(f.TicketIssued)))


def test_a_broken_boom_closes_the_entry() -> None:
    """The breakaway contact opens: no tickets, passages are recorded as exceptions that nobody can vouch for, until a reset."""
    story = entry()
    story.happen(ArmBroke(True))
    assert (Phase.OUT_OF_SERVICE, [f.LaneFault.ARM_BROKEN]) == (story.phase, story.faults())
    story.arrive()
    story.press()
    story.drive_over()
    entered = story.only(f.VehicleEntered)
    assert (True, False) == (entered.exception, entered.verified)
    assert "E-LANE-02" == story.hand(Hand.RESET).code
    story.happen(ArmBroke(False))
    assert Phase.OUT_OF_SERVICE is story.phase
    assert "" == story.hand(Hand.RESET).code

    assert (Phase.IDLE, 0) == (story.phase, story.opens())


# -- loops that lie -------------------------------------------------------------------------------------------------------


def test_a_stuck_arming_loop_gives_no_tickets() -> None:
    """Occupied for ten minutes with nobody pressing: a fault, and a button press on it makes no ticket."""
    story = entry()
    story.arrive()
    story.wait(600_000)
    assert [f.LaneFault.ARMING_LOOP_STUCK] == story.faults()
    story.press()
    assert [] == story.of(f.TicketIssued)
    story.a(False)
    story.arrive()
    story.press()

    assert ([f.LaneFault.ARMING_LOOP_STUCK], 1) == (story.cleared(), len(story.of(f.TicketIssued)))


def test_a_detector_fault_looks_occupied_and_is_no_vehicle() -> None:
    """The relay falls to "occupied" when the loop fails: not a vehicle, no ticket."""
    story = entry()
    story.happen(ArmingLoopChanged(Loop(True, Trust.FAULT)))
    story.press()

    assert (Phase.OUT_OF_SERVICE, []) == (story.phase, story.of(f.TicketIssued))
    assert [f.LaneFault.LOOP_UNTRUSTED] == story.faults()


def test_a_dead_closing_loop_is_found_out() -> None:
    """Three vehicles in a row leave the station and never reach the closing loop: it is dead, and from then on they count."""
    story = entry()
    for _ in range(3):
        granted(story)
        story.leave_station()
        story.wait(1_000)
        story.arm(Arm.DOWN)
    assert [f.LaneFault.LOOP_DEAD] == story.faults()
    assert 2 == len(story.of(f.TicketVoided))
    entered = story.only(f.VehicleEntered)

    assert (False, [f.Irregularity.UNVERIFIED_PASSAGE]) == (entered.verified, story.irregular())


def test_a_dead_reset_loop_does_not_keep_a_ticket_waiting() -> None:
    """Three loops, C never answers: after the time to pass the entry counts, unverified, and C is called dead."""
    story = entry(Layout.THREE_LOOP)
    granted(story)
    story.b(True)
    story.a(False)
    story.b(False)
    story.wait(30_000)

    assert (False, [f.LaneFault.LOOP_DEAD]) == (story.only(f.VehicleEntered).verified, story.faults())
    assert 1 == story.closes()


def test_a_driver_who_waits_under_an_open_arm_is_not_hurried() -> None:
    """He looks for his wallet for five minutes: the arm stays up, the ticket stays his."""
    story = entry()
    granted(story)
    story.wait(300_000)
    assert (Phase.OPEN, 0) == (story.phase, story.closes())
    story.drive_over()

    assert 1 == story.site.count


def test_an_arming_loop_that_sticks_under_an_open_arm_ends_the_vend() -> None:
    """Ten minutes on the arming loop and nothing on the closing loop: it sticks; the entry counts, unverified."""
    story = entry()
    granted(story)
    story.wait(700_000)

    assert (False, f.LaneFault.ARMING_LOOP_STUCK) == (story.only(f.VehicleEntered).verified, story.faults()[0])
    assert isinstance(story.done(CloseArm)[0], CloseArm)
