"""The exit lane: leaving on a ticket, and what codes, loops, arm and boom can do wrong."""

import pytest
from lane_world import exit_, inside, parked_out

from gatectl.domain import facts as f
from gatectl.domain.effects import Authorise, CancelPayment, OpenArm
from gatectl.domain.lane import (
    Arm,
    ArmBroke,
    ArmingLoopChanged,
    ClosingLoopChanged,
    Hand,
    Layout,
    Loop,
    Phase,
    Trust,
)

LAYOUTS = pytest.mark.parametrize("layout", list(Layout))
PAY_MS = 60_000


# -- leaving --------------------------------------------------------------------------------------------------------


@LAYOUTS
def test_a_vehicle_leaves(layout: Layout) -> None:
    """Paid already: present the ticket, drive out. Spent with the intent, exited at the closing loop, one less inside."""
    story, ticket = exit_(layout)
    parked_out(story, ticket)
    assert Phase.OPEN is story.phase
    story.drive_over()
    story.lowered()

    gone = story.only(f.VehicleExited)
    assert (ticket, True, Phase.IDLE, -1) == (gone.ticket, gone.verified, story.phase, story.site.count)
    assert story.only(f.VendIntended).vend == story.only(f.TicketSpent).vend == gone.vend
    assert ((1, 1), []) == ((story.opens(), story.closes()), story.irregular() + story.faults())


def test_spending_and_intending_are_one_step() -> None:
    """4b: after a crash either both are on record or neither is."""
    story, ticket = exit_()
    story.arrive()
    story.read(ticket)

    assert story.last is not None
    assert {f.TicketSpent, f.VendIntended} == {type(fact) for fact in story.last.facts}
    assert OpenArm in {type(effect) for effect in story.last.effects}


def test_a_code_without_a_vehicle_is_refused() -> None:
    """Somebody on foot holds a ticket to the reader."""
    story, ticket = exit_()
    story.read(ticket)

    assert ("E-LANE-04", Phase.IDLE) == (story.only(f.CodeRefused).why, story.phase)


def test_a_bad_code_is_refused_by_name() -> None:
    """Forged, copied, void, foreign: the site says which, the lane records it and stays shut."""
    story, _ = exit_()
    story.arrive()
    story.read("bad")

    assert ("E-TKT-04", Phase.PRESENT, 0) == (story.only(f.CodeRefused).why, story.phase, story.opens())


def test_a_ticket_works_once() -> None:
    """A copy in the car behind is refused."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.drive_over()
    story.lowered()
    story.arrive()
    story.read(ticket)

    assert ("E-TKT-04", 1) == (story.only(f.CodeRefused).why, story.opens())


def test_the_next_driver_presents_early() -> None:
    """The arm is still coming down: his code is served when it is."""
    story, ticket = exit_()
    second = inside(story, "T-2")
    parked_out(story, ticket)
    story.drive_over()
    story.wait(1_000)
    story.arrive()
    story.read(second)
    assert ("inside", Phase.CLOSING) == (story.site.tickets[second], story.phase)
    story.arm(Arm.DOWN)
    story.wait(0)

    assert ("spent", Phase.OPENING) == (story.site.tickets[second], story.phase)


def test_a_second_reading_of_the_same_ticket_changes_nothing() -> None:
    """The driver holds it there until the arm is up."""
    story, ticket = exit_()
    story.arrive()
    story.read(ticket)
    story.read(ticket)
    story.raised()
    story.read(ticket)

    assert ([], 1) == (story.of(f.CodeRefused), story.opens())


def test_back_out_at_the_exit() -> None:
    """Spent, open, and the driver reverses: the stay is inside again, and the ticket is good for the next try."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.leave_station()
    assert (ticket, "inside", 0) == (story.only(f.TicketReturned).ticket, story.site.tickets[ticket], story.site.count)
    story.lowered()
    parked_out(story, ticket)
    story.drive_over()

    assert "exited" == story.site.tickets[ticket]


def test_reverse_over_the_line_at_the_exit() -> None:
    """On the closing loop and back: returned, and the log says reversed."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.b(True)
    story.b(False)
    story.leave_station()

    assert ([f.Irregularity.REVERSED], "inside") == (story.irregular(), story.site.tickets[ticket])


def test_a_vehicle_that_comes_back_in_through_the_exit() -> None:
    """It had left and been counted: it gets an exception stay, so that the count and its next exit are right."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.drive_over()
    story.wait(2_000)
    story.b(True)
    story.a(True)
    story.b(False)

    entered = story.only(f.VehicleEntered)
    assert (True, "inside", 0) == (entered.exception, story.site.tickets[entered.ticket], story.site.count)
    assert f.Irregularity.REVERSED in story.irregular()


def test_a_tailgater_at_the_exit() -> None:
    """Two out on one ticket: the second is counted out without one."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.b(True)
    story.a(False)
    story.wait(2_000)
    story.a(True)
    story.a(False)
    story.b(False)

    assert [ticket, None] == [gone.ticket for gone in story.of(f.VehicleExited)]
    assert ([f.Irregularity.TAILGATE], -2) == (story.irregular(), story.site.count)


def test_fails_to_open_returns_the_ticket() -> None:
    """Twice confirmed, never up: the ticket is good again, nothing is charged twice, and codes are refused until it is mended."""
    story, ticket = exit_()
    story.arrive()
    story.read(ticket)
    for _ in range(2):
        story.answered()
        story.wait(8_000)
    assert (Phase.OUT_OF_SERVICE, "inside") == (story.phase, story.site.tickets[ticket])
    story.read(ticket)
    assert "E-CLOSED-01" == story.only(f.CodeRefused).why
    story.hand(Hand.RESET)
    story.read(ticket)

    assert (Phase.OPENING, "spent") == (story.phase, story.site.tickets[ticket])


def test_an_exit_arm_that_goes_up_after_it_was_given_up() -> None:
    """The late limit switch: the ticket is spent again and the vehicle leaves on it."""
    story, ticket = exit_()
    story.arrive()
    story.read(ticket)
    story.wait(8_000)
    assert "inside" == story.site.tickets[ticket]
    story.arm(Arm.UP)
    story.drive_over()

    assert "exited" == story.site.tickets[ticket]


def test_a_person_lets_out_the_ticket_that_was_read() -> None:
    """The arm failed or the driver cannot pay: opened by hand, the stay ends on its own ticket, and who and why are on record."""
    story, ticket = exit_(due_minor=500)
    story.arrive()
    story.read(ticket)
    assert Phase.PAYING is story.phase
    assert "" == story.hand(Hand.OPEN, why="terminal does not read").code
    story.raised()
    story.drive_over()

    opened = story.only(f.OpenedByHand)
    assert ("mia", "terminal does not read") == (opened.who, opened.why)
    assert (ticket, 1) == (story.only(f.VehicleExited).ticket, len(story.done(CancelPayment)))


def test_opened_by_hand_for_nobody_known() -> None:
    """A vehicle without a ticket leaves: counted out, no ticket."""
    story, _ = exit_()
    story.arrive()
    story.hand(Hand.OPEN)
    story.raised()
    story.drive_over()

    gone = story.only(f.VehicleExited)
    assert (None, "by-hand", -1) == (gone.ticket, story.only(f.VendIntended).cause, story.site.count)
    assert [] == story.irregular()


# -- loops and boom -----------------------------------------------------------------------------------------------------


def test_an_exit_with_a_stuck_arming_loop_serves_codes() -> None:
    """Never a trap: a ticket presented is a fresh trigger. The passage is recorded and unverified."""
    story, ticket = exit_()
    story.arrive()
    story.wait(600_000)
    assert [f.LaneFault.ARMING_LOOP_STUCK] == story.faults()
    story.read(ticket)
    story.raised()
    story.b(True)
    story.b(False)
    story.wait(1_000)

    assert (ticket, False, 1) == ((gone := story.only(f.VehicleExited)).ticket, gone.verified, story.closes())


def test_a_cycle_of_the_arm_that_no_loop_saw() -> None:
    """Stuck arming loop, no closing loop, and the barrier comes down by itself: taken to have left, unverified."""
    story, ticket = exit_()
    story.arrive()
    story.wait(600_000)
    story.read(ticket)
    story.raised()
    story.arm(Arm.DOWN)

    assert (ticket, False) == ((gone := story.only(f.VehicleExited)).ticket, gone.verified)


def test_an_exit_with_a_dead_detector_serves_codes() -> None:
    """The arming loop's detector reports a fault: the same."""
    story, ticket = exit_()
    story.happen(ArmingLoopChanged(Loop(True, Trust.FAULT)))
    story.read(ticket)
    story.raised()
    story.wait(30_000)

    assert (ticket, False) == ((gone := story.only(f.VehicleExited)).ticket, gone.verified)
    assert [f.Irregularity.UNVERIFIED_PASSAGE] == story.irregular()


def test_a_closing_loop_that_fails_keeps_the_arm_up() -> None:
    """Not trusted is not clear: the vehicle is taken to be gone, the arm stays up, and comes down when the loop is well."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.happen(ClosingLoopChanged(Loop(True, Trust.FAULT)))
    story.a(False)
    story.wait(120_000)
    assert (Phase.HELD_OPEN, 0, False) == (story.phase, story.closes(), story.only(f.VehicleExited).verified)
    story.b(False)
    story.wait(1_000)

    assert (1, Phase.CLOSING) == (story.closes(), story.phase)


def test_a_stuck_closing_loop_holds_open_and_counts_at_the_arming_loop() -> None:
    """Occupied for ten minutes: safety wins. Each vehicle off the arming loop is a passage that nobody verified."""
    story, ticket = exit_()
    parked_out(story, ticket)
    story.b(True)
    story.a(False)
    story.wait(600_000)
    assert (Phase.HELD_OPEN, 0, f.LaneFault.CLOSING_LOOP_STUCK) == (story.phase, story.closes(), story.faults()[0])
    story.a(True)
    story.a(False)
    assert [ticket, None] == [gone.ticket for gone in story.of(f.VehicleExited)]
    assert not any(gone.verified for gone in story.of(f.VehicleExited))
    story.b(False)
    story.wait(1_000)

    assert (1, -2) == (story.closes(), story.site.count)


def test_a_broken_boom_lets_everybody_out_on_record() -> None:
    """Free flow: whoever presents a ticket leaves on it, unpaid or not; whoever does not is counted out."""
    story, ticket = exit_(due_minor=500)
    story.happen(ArmBroke(True))
    assert Phase.HELD_OPEN is story.phase
    story.arrive()
    story.read(ticket)
    story.drive_over()
    story.arrive()
    story.drive_over()

    assert [ticket, None] == [gone.ticket for gone in story.of(f.VehicleExited)]
    assert (["free-flow"], 0, []) == (story.causes(), story.opens(), story.done(Authorise))
    assert not any(gone.verified for gone in story.of(f.VehicleExited))


def test_a_free_flow_driver_who_turns_back_keeps_his_ticket() -> None:
    """Read, and off the arming loop backwards."""
    story, ticket = exit_()
    story.happen(ArmBroke(True))
    story.arrive()
    story.read(ticket)
    story.leave_station()

    assert "inside" == story.site.tickets[ticket]
