"""The entry lane: the normal day row by row, and what goes wrong at the station."""

import pytest
from lane_world import entry, granted

from gatectl.domain import facts as f
from gatectl.domain.effects import OpenArm, PrintTicket, RetractTicket
from gatectl.domain.ids import JobId
from gatectl.domain.lane import (
    Arm,
    DeviceAvailabilityChanged,
    Layout,
    Phase,
    PrinterChanged,
    PrintFailed,
    TicketPresented,
    TicketPrinted,
)

LAYOUTS = pytest.mark.parametrize("layout", list(Layout))


# -- the normal day ---------------------------------------------------------------------------------------------------


@LAYOUTS
def test_a_vehicle_comes_in(layout: Layout) -> None:
    """Arrive, press, take, drive through, and the lane is ready for the next one: one ticket, one vend, one entry."""
    story = entry(layout)
    ticket = granted(story)
    assert Phase.OPEN is story.phase
    story.drive_over()
    story.lowered()

    assert Phase.IDLE is story.phase
    assert (ticket, True, False) == (
        (entered := story.only(f.VehicleEntered)).ticket,
        entered.verified,
        entered.exception,
    )
    assert story.only(f.VendIntended).vend == entered.vend == story.only(f.VendConfirmed).vend
    assert 1 == len(story.of(f.VendClosed)) == story.site.count
    assert (1, 1) == (story.opens(), story.closes())
    assert [] == story.irregular() + story.faults()


def test_an_idle_lane_welcomes_a_vehicle() -> None:
    """Row 0: on the arming loop the driver is told what to do; nothing is issued by driving up."""
    story = entry()
    story.arrive()

    assert Phase.PRESENT is story.phase
    assert "press" in story.text()
    assert [] == story.facts


def test_the_number_is_used_up_before_anything_prints() -> None:
    """Row 2: the fact and the order are one step, and the fact stands first."""
    story = entry()
    story.arrive()
    story.press()

    issued, order = story.only(f.TicketIssued), story.done(PrintTicket)[0]
    assert (issued.ticket, Phase.PRINTING) == (order.ticket, story.phase)
    assert 0 == story.opens()


def test_taking_the_ticket_is_the_grant() -> None:
    """Row 3: the arm stays down until the driver has the paper; then taken, intended and ordered in one step."""
    story = entry()
    story.arrive()
    story.press()
    story.present()
    assert (Phase.PRESENTED, 0) == (story.phase, story.opens())
    story.pull()

    assert story.last is not None
    assert [f.TicketTaken, f.VendIntended] == [type(fact) for fact in story.last.facts]
    assert [OpenArm] == [type(effect) for effect in story.last.effects]
    assert ["ticket"] == story.causes()


def test_without_a_mouth_printed_counts_as_taken() -> None:
    """A printer that cannot see the driver's hand: the grant is the end of printing."""
    story = entry(has_mouth=False)
    story.arrive()
    story.press()
    assert story.lane.job is not None
    story.happen(TicketPrinted(story.lane.job))

    assert (Phase.OPENING, 1) == (story.phase, len(story.of(f.TicketTaken)))


def test_with_a_mouth_printed_is_not_yet_taken() -> None:
    """The driver may still leave the paper where it is."""
    story = entry()
    story.arrive()
    story.press()
    assert story.lane.job is not None
    story.happen(TicketPrinted(story.lane.job))

    assert (Phase.PRINTING, 0) == (story.phase, story.opens())


def test_without_a_printer_the_ticket_is_virtual() -> None:
    """Nothing to print: granted at the press."""
    story = entry(has_printer=False)
    story.arrive()
    story.press()

    assert (Phase.OPENING, 1, 0) == (story.phase, story.opens(), len(story.done(PrintTicket)))


def test_the_entry_is_committed_at_the_closing_loop_and_not_before() -> None:
    """Row 6: the arm is up, the vehicle on the line, off the arming loop - and only off the closing loop is it in."""
    story = entry()
    granted(story)
    story.b(True)
    assert (Phase.PASSING, 0) == (story.phase, story.site.count)
    story.a(False)
    assert 0 == story.site.count
    story.b(False)

    assert (1, Phase.PASSING) == (story.site.count, story.phase)


def test_three_loops_commit_when_the_reset_loop_was_reached() -> None:
    """Off the closing loop but not yet on the reset loop, a vehicle may still be anywhere."""
    story = entry(Layout.THREE_LOOP)
    granted(story)
    story.b(True)
    story.a(False)
    story.b(False)
    assert 0 == story.site.count
    story.c(True)
    assert 1 == story.site.count
    story.wait(10_000)
    assert 0 == story.closes()
    story.c(False)
    story.wait(1_000)

    assert 1 == story.closes()


def test_the_close_waits_for_a_clear_way() -> None:
    """The closing loop must be clear for the whole dwell; every new presence starts it again."""
    story = entry()
    granted(story)
    story.drive_over()
    story.wait(900)
    story.b(True)
    story.b(False)
    story.wait(900)
    assert 0 == story.closes()
    story.wait(100)

    assert (1, Phase.CLOSING) == (story.closes(), story.phase)


def test_the_next_vehicle_gets_its_ticket_only_when_the_arm_is_down() -> None:
    """Row 7: it waits on the arming loop and has pressed already; it is served the moment the arm is down."""
    story = entry()
    granted(story)
    story.drive_over()
    story.wait(1_000)
    story.arrive()
    story.press()
    assert (Phase.CLOSING, 1) == (story.phase, len(story.of(f.TicketIssued)))
    story.arm(Arm.DOWN)
    story.wait(0)

    assert (Phase.PRINTING, 2) == (story.phase, len(story.of(f.TicketIssued)))


def test_a_press_is_forgotten_when_its_driver_leaves() -> None:
    """Pressed early, reversed away: the next one on the loop presses for himself."""
    story = entry()
    granted(story)
    story.drive_over()
    story.wait(1_000)
    story.arrive()
    story.press()
    story.a(False)
    story.arrive()
    story.arm(Arm.DOWN)
    story.wait(1_000)

    assert (Phase.PRESENT, 1) == (story.phase, len(story.of(f.TicketIssued)))


def test_a_barrier_that_closes_itself_is_never_told_to() -> None:
    """No close output: the lane waits for the limit switch."""
    story = entry(has_close=False)
    granted(story)
    story.drive_over()
    story.wait(1_000)
    assert (Phase.CLOSING, 0) == (story.phase, story.closes())
    story.arm(Arm.DOWN)

    assert Phase.IDLE is story.phase


def test_without_limit_switches_down_is_assumed_only_after_the_travel_time() -> None:
    """The close was confirmed; until the arm had its time to come down, the lane is still closing."""
    story = entry(Layout.NO_LIMITS)
    granted(story)
    story.drive_over()
    story.wait(1_000)
    story.answered(order="close")
    story.wait(7_999)
    assert (Phase.CLOSING, Arm.UNKNOWN) == (story.phase, story.lane.arm)
    story.wait(1)

    assert Phase.IDLE is story.phase


# -- asking for a ticket ------------------------------------------------------------------------------------------------


def test_no_vehicle_no_ticket() -> None:
    """Somebody on foot presses the button."""
    story = entry()
    story.press()

    assert (Phase.IDLE, []) == (story.phase, story.facts)


def test_an_arm_that_is_not_seen_down_prints_nothing() -> None:
    """Wind shakes it off its switch: the driver waits until it is known to be down."""
    story = entry()
    story.arrive()
    story.arm(Arm.BETWEEN)
    story.press()
    assert (Phase.PRESENT, []) == (story.phase, story.of(f.TicketIssued))
    story.arm(Arm.DOWN)
    story.press()

    assert Phase.PRINTING is story.phase


def test_full_refuses_with_words() -> None:
    """A transient parker is told, and no number is used up."""
    story = entry()
    story.site.full = True
    story.arrive()
    story.press()

    assert ("Full", []) == (story.text(), story.facts)


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (PrinterChanged(True, False, True, False, False), f.LaneFault.PRINTER_OUT),
        (PrinterChanged(True, False, False, True, False), f.LaneFault.PRINTER_JAM),
        (PrinterChanged(False, None, None, None, None), f.LaneFault.PRINTER_OFFLINE),
    ],
)
def test_a_printer_that_cannot_print_closes_the_entry_with_words(status: PrinterChanged, fault: f.LaneFault) -> None:
    """Out, jam, offline: a fault once, new parkers are refused; when it is mended the next press is served."""
    story = entry()
    story.happen(status)
    story.happen(status)
    story.arrive()
    story.press()
    assert ([fault], []) == (story.faults(), story.of(f.TicketIssued))
    story.happen(PrinterChanged(True, False, False, False, False))
    story.press()

    assert ([fault], 1) == (story.cleared(), len(story.of(f.TicketIssued)))


def test_low_paper_only_warns() -> None:
    """There are tickets left: the lane goes on."""
    story = entry()
    story.happen(PrinterChanged(True, True, False, False, False))
    story.arrive()
    story.press()

    assert ([f.LaneFault.PRINTER_LOW], Phase.PRINTING) == (story.faults(), story.phase)


def test_a_printer_that_cannot_say_changes_no_fault() -> None:
    """None is not "mended"."""
    story = entry()
    story.happen(PrinterChanged(True, False, True, False, False))
    story.happen(PrinterChanged(True, None, None, None, None))

    assert [] == story.cleared()


def test_a_lost_printer_is_offline() -> None:
    """The port vanishes: the same as a printer that says so, and back again."""
    story = entry()
    story.happen(DeviceAvailabilityChanged(False, ("printer",)))
    story.arrive()
    story.press()
    assert [] == story.of(f.TicketIssued)
    story.happen(DeviceAvailabilityChanged(True, ("printer",)))
    story.press()

    assert Phase.PRINTING is story.phase


@pytest.mark.parametrize(("maybe", "reason"), [(False, "print-failed"), (True, "maybe-printed")])
def test_a_failed_print_burns_its_number(maybe: bool, reason: str) -> None:
    """The number is void, not used again; the driver may press once more."""
    story = entry()
    story.arrive()
    story.press()
    assert story.lane.job is not None
    story.happen(PrintFailed(story.lane.job, "jam", maybe))
    assert (reason, Phase.PRESENT) == (story.only(f.TicketVoided).reason, story.phase)
    story.press()

    assert [1, 2] == [issued.counter for issued in story.of(f.TicketIssued)]
    assert (1 if maybe else 0) == len(story.done(RetractTicket))


def test_a_silent_printer_may_have_printed() -> None:
    """No answer in time: the number is burnt, and a ticket that comes out later is pulled back."""
    story = entry()
    story.arrive()
    story.press()
    job = story.lane.job
    story.wait(15_000)
    assert (f.VoidReason.MAYBE_PRINTED, Phase.PRESENT) == (story.only(f.TicketVoided).reason, story.phase)
    assert job is not None
    story.happen(TicketPresented(job))

    assert [job, job] == [effect.job for effect in story.done(RetractTicket)]


def test_a_ticket_of_another_job_is_no_grant() -> None:
    """Something old in the printer's queue: pulled back, and the driver's own is waited for."""
    story = entry()
    story.arrive()
    story.press()
    story.happen(TicketPresented(JobId("stranger")))

    assert (Phase.PRINTING, ["stranger"]) == (story.phase, [effect.job for effect in story.done(RetractTicket)])
