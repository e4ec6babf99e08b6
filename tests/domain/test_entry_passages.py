"""The way in: back-outs, reversing, tailgaters, trailers."""

import pytest
from lane_world import entry, granted

from gatectl.domain import facts as f
from gatectl.domain.effects import RetractTicket
from gatectl.domain.lane import (
    Arm,
    Layout,
    Phase,
    TicketRetracted,
)

LAYOUTS = pytest.mark.parametrize("layout", list(Layout))


# -- back out ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("presented", [False, True])
def test_back_out_before_taking(presented: bool) -> None:
    """The driver changes his mind while the ticket prints or hangs in the mouth: void, retracted, the arm never moved."""
    story = entry()
    story.arrive()
    story.press()
    if presented:
        story.present()
    story.a(False)

    assert (f.VoidReason.NOT_TAKEN, Phase.IDLE) == (story.only(f.TicketVoided).reason, story.phase)
    assert (1, 0) == (len(story.done(RetractTicket)), story.opens())


def test_a_ticket_that_nobody_takes() -> None:
    """The vehicle stands, the driver does not take it: void, and he may press again."""
    story = entry()
    story.arrive()
    story.press()
    story.present()
    story.wait(20_000)

    assert (f.VoidReason.NOT_TAKEN, Phase.PRESENT) == (story.only(f.TicketVoided).reason, story.phase)
    assert 1 == len(story.done(RetractTicket))


def test_a_printer_that_retracts_by_itself() -> None:
    """The kiosk printer has its own time-out."""
    story = entry()
    story.arrive()
    story.press()
    story.present()
    assert story.lane.job is not None
    story.happen(TicketRetracted(story.lane.job))

    assert (f.VoidReason.NOT_TAKEN, Phase.PRESENT) == (story.only(f.TicketVoided).reason, story.phase)


def test_back_out_after_taking() -> None:
    """Taken, arm open, and the driver reverses: void, number burnt, closed when clear, nobody counted."""
    story = entry()
    ticket = granted(story)
    story.leave_station()

    voided = story.only(f.TicketVoided)
    assert (ticket, f.VoidReason.BACKED_OUT, 0) == (voided.ticket, voided.reason, story.site.count)
    story.wait(1_000)
    assert 1 == story.closes()
    story.arm(Arm.DOWN)
    assert Phase.IDLE is story.phase
    assert 1 == len(story.of(f.VendClosed))


def test_a_jolt_on_the_arming_loop_is_no_back_out() -> None:
    """Off and on again within a moment: the vehicle creeps."""
    story = entry()
    granted(story)
    story.a(False)
    story.wait(700)
    story.a(True)
    story.wait(3_000)
    story.drive_over()

    assert ([], 1) == (story.of(f.TicketVoided), story.site.count)


def test_a_motorcycle_between_the_loops() -> None:
    """Short enough to be on neither loop for a moment: it is passing, not backing out."""
    story = entry()
    granted(story)
    story.a(False)
    story.wait(600)
    story.b(True)
    story.b(False)

    assert ([], 1) == (story.of(f.TicketVoided), story.site.count)


def test_reverse_over_the_line_before_the_commit() -> None:
    """On the closing loop, back to the arming loop, away: no entry, the ticket void, and the log says reversed."""
    story = entry()
    granted(story)
    story.b(True)
    story.b(False)
    story.wait(1_000)
    assert Phase.OPEN is story.phase
    story.leave_station()

    assert [f.Irregularity.REVERSED] == story.irregular()
    assert (f.VoidReason.BACKED_OUT, 0) == (story.only(f.TicketVoided).reason, story.site.count)


def test_reverse_to_the_station_and_in_again() -> None:
    """A driver makes room and then drives in after all: the same vend, one entry."""
    story = entry()
    granted(story)
    story.b(True)
    story.b(False)
    story.wait(5_000)
    story.drive_over()

    assert (1, 1, []) == (story.site.count, story.opens(), story.irregular())


def test_reverse_after_the_commit_is_compensated_not_deleted() -> None:
    """Already counted, the vehicle comes back out through the open lane: count minus one, its ticket spent by it."""
    story = entry()
    ticket = granted(story)
    story.drive_over()
    story.wait(2_000)
    story.b(True)
    assert [f.Irregularity.REOPENED_ON_PRESENCE] == story.irregular()
    story.a(True)
    story.b(False)
    story.a(False)

    assert (ticket, 0) == (story.only(f.EntryReversed).ticket, story.site.count)
    assert f.Irregularity.REVERSED in story.irregular()


def test_reverse_seen_by_the_reset_loop() -> None:
    """Three loops, C then B then A: the same, without a doubt."""
    story = entry(Layout.THREE_LOOP)
    ticket = granted(story)
    story.drive_over()
    for loop, on in ((story.c, True), (story.b, True), (story.c, False), (story.a, True), (story.b, False)):
        story.wait(1_000)
        loop(on)

    assert (ticket, 0) == (story.only(f.EntryReversed).ticket, story.site.count)


def test_a_stranger_leaves_through_the_entry() -> None:
    """The arm is up behind a vehicle that backed out, and another one drives out against the direction."""
    story = entry()
    granted(story)
    story.leave_station()
    story.b(True)
    story.a(True)
    story.b(False)

    assert f.Irregularity.WRONG_WAY in story.irregular()
    assert (None, -1) == (story.only(f.VehicleExited).ticket, story.site.count)


# -- more than one vehicle ----------------------------------------------------------------------------------------------


def test_two_cars_bumper_to_bumper() -> None:
    """The closing loop never clears between them: the first is counted on its ticket, the second gets an exception stay."""
    story = entry()
    ticket = granted(story)
    story.b(True)
    story.a(False)
    story.wait(2_000)
    story.a(True)
    story.wait(2_000)
    story.a(False)
    story.b(False)

    first, second = story.of(f.VehicleEntered)
    assert (ticket, False, None, True) == (first.ticket, first.exception, second.vend, second.exception)
    assert ([f.Irregularity.TAILGATE], 2) == (story.irregular(), story.site.count)


def test_a_tailgater_under_a_closing_arm() -> None:
    """The second car follows while the arm comes down: it goes up at once for a recorded reason, and the car is an exception."""
    story = entry()
    granted(story)
    story.drive_over()
    story.arrive()
    story.wait(2_000)
    story.arm(Arm.BETWEEN)
    story.b(True)
    assert ["ticket", "presence"] == story.causes()
    assert (2, Phase.PASSING) == (story.opens(), story.phase)
    story.a(False)
    story.b(False)

    assert [False, True] == [entered.exception for entered in story.of(f.VehicleEntered)]
    assert [f.Irregularity.REOPENED_ON_PRESENCE, f.Irregularity.TAILGATE] == story.irregular()
    assert 2 == len(story.of(f.TicketIssued))


def test_a_car_with_a_trailer_is_one_vehicle() -> None:
    """Off the closing loop and on again within the gap: one vend, one entry, flagged long."""
    story = entry()
    granted(story)
    story.drive_over()
    story.wait(600)
    story.b(True)
    story.wait(900)
    story.b(False)
    story.wait(5_000)

    assert ([f.Irregularity.LONG_VEHICLE], 1) == (story.irregular(), story.site.count)


def test_a_count_by_the_reset_loop() -> None:
    """Two cars that the arming loop sees as one leave the reset loop one after the other."""
    story = entry(Layout.THREE_LOOP)
    granted(story)
    for loop, on in ((story.b, True), (story.c, True), (story.c, False), (story.a, False), (story.c, True)):
        story.wait(2_000)
        loop(on)
    story.b(False)
    story.c(False)

    assert ([f.Irregularity.TAILGATE], 2) == (story.irregular(), story.site.count)
