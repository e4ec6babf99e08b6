"""What the books remember after tickets have ended, and for how long."""

from dataclasses import replace
from typing import cast

import pytest
from site_stories import IN, ON, OUT, START_MS, Story, site_plan

from gatectl.domain import books as books_module
from gatectl.domain import events, tickets
from gatectl.domain import facts as f
from gatectl.domain.effects import Authorise, OpenArm, QueryPayment, Reply
from gatectl.domain.ids import Boot, LaneId, PaymentId, RequestId, VendId
from gatectl.domain.lane import Arm, ArmingLoopChanged, ArmMoved, CodeWasRead


def of_a_lost_disk(story: Story, counter: int) -> str:
    """An authentic ticket that stood inside when the database was lost."""
    plan = story.plan
    issued_s = START_MS // 1000 - 60
    return tickets.sign(plan.keyring, plan.site, counter=counter, tag="D1SK", issued_s=issued_s, vehicle_type="CAR")


def leave(story: Story, code: str) -> bool:
    """Show a code at the exit and drive out, if the arm opens."""
    before = len(story.effects)
    story.show_code(code)
    opened = any(isinstance(effect, OpenArm) for effect in story.effects[before:])
    if opened:
        story.drive_over(OUT)
    return opened


def test_cars_of_a_lost_disk_leave_in_any_order() -> None:
    """The disk was lost with three cars inside; the last to have come leaves first, and shuts nobody else in."""
    story = Story().start()

    left = [leave(story, of_a_lost_disk(story, counter)) for counter in (50, 30, 40)]

    assert [True, True, True] == left


def test_a_copied_ticket_of_a_lost_disk_leaves_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long ago it was: the books forget why a ticket ended, but not that this one was used."""
    monkeypatch.setattr(books_module, "CLOSED_KEPT_MAX", 1)
    story = Story().start()
    assert leave(story, of_a_lost_disk(story, 50))
    assert leave(story, of_a_lost_disk(story, 30))
    assert "000050-D1SK" not in story.site.books.closed

    assert not leave(story, of_a_lost_disk(story, 50))

    refused = cast("f.CodeRefused", story.last(f.CodeRefused))
    assert ("E-TKT-04", OUT) == (refused.why.split()[0], refused.lane)


def test_a_payment_of_a_stay_is_remembered_while_the_stay_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long stay paid on its first day; thousands pay since; the same request is still a repeat, not a second payment."""
    monkeypatch.setattr(books_module, "PAYMENTS_KEPT_MAX", 2)
    story = Story().start()
    long_stay = story.enter().ticket
    story.later(3_600_000)

    def pay(key: str, ticket: str) -> Reply:
        asked = events.CashOffered(RequestId(key), PaymentId(key), ticket, None, 5000, "till", "mia")  # type: ignore[arg-type]  # a NewType of str
        story.tell(asked)
        return cast("Reply", story.last(Reply))

    first = pay("long", long_stay)
    for number in range(5):
        printed = story.enter()
        story.later(3_600_000)
        assert "" == pay(f"short-{number}", printed.ticket).code
        assert leave(story, printed.code)

    assert first.data == pay("long", long_stay).data
    assert len(story.site.books.payments) <= 4
    assert 6 == sum(isinstance(fact, f.PaymentTaken) for fact in story.facts)


def test_the_entry_lane_is_where_numbers_are_made() -> None:
    """A learned number uses up none of ours: the next ticket is number one."""
    story = Story().start()
    leave(story, of_a_lost_disk(story, 50))

    assert 1 == cast("f.TicketIssued", story.enter() and story.last(f.TicketIssued)).counter
    assert IN == cast("f.TicketIssued", story.last(f.TicketIssued)).lane


def test_lanes_whose_names_begin_alike_are_told_apart_after_the_dark() -> None:
    """OUT-1 and OUT-1-B have terminals; only the one that was asked is asked again."""
    plan = site_plan()
    far = replace(plan.lanes[1], lane=LaneId("OUT-1-B"), has_terminal=True)
    plan = replace(plan, lanes=(plan.lanes[0], replace(plan.lanes[1], has_terminal=True), far))
    story = Story(plan).start()
    printed = story.enter()
    story.later(3_600_000)
    story.at(far.lane, ArmMoved(Arm.DOWN), ArmingLoopChanged(ON), CodeWasRead(printed.code))
    assert far.lane == cast("Authorise", story.last(Authorise)).lane

    again = Story(plan, Boot("11" * 8, "ZZZZ"), story.site.books, now=story.now)
    again.keep(again.site.start(again.now, story.now.wall_ms, clean=False))

    assert [far.lane] == [effect.lane for effect in again.effects if isinstance(effect, QueryPayment)]
    assert {far.lane} == {lane for lane, state in again.site.lanes.items() if state.pending}


def test_every_vend_of_a_lane_that_is_gone_is_closed_once() -> None:
    """The site file no longer has the lane; its open vends end at the next start, and stay ended."""
    story = Story().start()
    gone = LaneId("GONE-1")
    for number in (1, 2, 3):
        story.site.books.fold(f.VendIntended(VendId(f"GONE-1-K7QF-{number}"), gone, "hold", None))

    again = Story(story.plan, Boot("11" * 8, "ZZZZ"), story.site.books, now=story.now).start(story.now.wall_ms)

    assert [f"GONE-1-K7QF-{n}" for n in (1, 2, 3)] == [x.vend for x in again.facts if isinstance(x, f.VendClosed)]
    assert {} == again.site.books.vends


def test_a_stay_longer_than_any_is_a_slip_of_the_keyboard() -> None:
    """No number that a person types makes a record that no database can hold."""
    story = Story().start()

    story.tell(events.LostTicketDeclared(RequestId("r"), OUT, None, 2**53, "mia", "lost"))

    assert "E-USE-01" == cast("Reply", story.last(Reply)).code
    assert not story.has(f.TicketIssued)
