"""The aggregate as a whole: cars go in, pay, go out; what a restart settles; what is refused."""

import pytest
from site_stories import AREA, IN, OUT, Story, new_books, site_plan

from gatectl.domain import events
from gatectl.domain import facts as f
from gatectl.domain.effects import OpenArm, PrintTicket, Reply
from gatectl.domain.ids import Boot, LaneId, PaymentId, RequestId, TicketNumber
from gatectl.domain.lane import ArmingLoopChanged, ButtonPressed, CodeWasRead, Hand, Loop, Trust
from gatectl.domain.tickets import TicketState

ON, OFF = Loop(True, Trust.GOOD), Loop(False, Trust.GOOD)


def pay(story: Story, ticket: str, key: str = "k1", tendered: int | None = None, amount: int | None = None) -> Reply:
    story.tell(
        events.CashOffered(
            RequestId(f"r-{key}"), PaymentId(key), TicketNumber(ticket), amount, tendered, "cashier", "anna"
        )
    )
    reply = story.last(Reply)
    assert isinstance(reply, Reply)
    return reply


def test_a_car_goes_in_pays_cash_and_goes_out() -> None:
    """The main job: every fact in its order, the count and the spot as they were at the end."""
    story = Story().start()
    ticket = story.enter()

    assert 1 == story.site.books.count(AREA).inside
    story.later(59 * 60_000)
    reply = pay(story, ticket.ticket, tendered=1000)

    assert ("", 700) == (reply.code, reply.data["change_minor"])
    story.show_code(ticket.code)
    story.drive_over(OUT)

    kinds = [fact.kind for fact in story.facts if fact.kind.split(".")[0] in ("ticket", "vehicle", "payment")]
    expected = ["ticket.issued", "ticket.taken", "vehicle.entered", "payment.taken", "ticket.spent", "vehicle.exited"]
    assert expected == kinds
    assert 0 == story.site.books.count(AREA).inside
    assert {"COMPACT": 3} == story.site.books.spots.free(AREA)


def test_an_unpaid_ticket_does_not_open_an_exit_without_a_terminal() -> None:
    """The driver forgot to pay: the arm stays down, the ticket stays good."""
    story = Story().start()
    ticket = story.enter()
    story.later(60 * 60_000)
    opened = sum(isinstance(effect, OpenArm) for effect in story.effects)
    story.show_code(ticket.code)

    assert opened == sum(isinstance(effect, OpenArm) for effect in story.effects)
    assert TicketState.INSIDE is story.site.books.stays[TicketNumber(ticket.ticket)].state


def test_the_same_payment_twice_is_taken_once() -> None:
    """The cashier's connection dropped and the till asks again: one fact, the same answer."""
    story = Story().start()
    ticket = story.enter()
    story.later(60 * 60_000)
    first = pay(story, ticket.ticket, tendered=500)
    again = pay(story, ticket.ticket, tendered=500)
    other = pay(story, ticket.ticket, tendered=900)

    assert first.data == again.data
    assert "E-PAY-02" == other.code
    assert 1 == sum(isinstance(fact, f.PaymentTaken) for fact in story.facts)


@pytest.mark.parametrize(
    ("tendered", "amount", "code"), [(100, None, "E-PAY-03"), (None, 5000, "E-PAY-05"), (None, 0, "E-PAY-01")]
)
def test_cash_that_cannot_be_taken_is_refused_by_name(tendered: int | None, amount: int | None, code: str) -> None:
    """Too little, too much, nothing: no fact, a code."""
    story = Story().start()
    ticket = story.enter()
    story.later(60 * 60_000)

    assert code == pay(story, ticket.ticket, tendered=tendered, amount=amount).code
    assert not story.has(f.PaymentTaken)


def test_a_full_lot_issues_no_ticket() -> None:
    """One spot, two cars: the second one is told that the lot is full."""
    story = Story(plan=site_plan(spots=1)).start()
    story.enter()
    issued = sum(isinstance(effect, PrintTicket) for effect in story.effects)
    story.at(IN, ArmingLoopChanged(ON), ButtonPressed())

    assert issued == sum(isinstance(effect, PrintTicket) for effect in story.effects)


def test_a_ticket_opens_the_exit_once() -> None:
    """A copied ticket: the first car leaves, the second one is refused as already used."""
    story = Story().start()
    ticket = story.enter()
    story.show_code(ticket.code)
    story.drive_over(OUT)
    story.show_code(ticket.code)

    refused = story.last(f.CodeRefused)
    assert isinstance(refused, f.CodeRefused)
    assert "E-TKT-04" in refused.why


def test_a_ticket_of_a_lost_disk_is_still_a_ticket() -> None:
    """The database is new, the keys survived: an authentic code is learned and priced from its own entry time."""
    before = Story().start()
    ticket = before.enter()
    after = Story(boot=Boot("11" * 8, "ZZZZ"), now=before.now).start()
    after.show_code(ticket.code)
    after.drive_over(OUT)

    kinds = [fact.kind for fact in after.facts if fact.kind.startswith(("ticket", "vehicle"))]
    assert ["ticket.learned", "ticket.spent", "vehicle.exited"] == kinds


def test_a_foreign_and_a_forged_ticket_are_told_apart() -> None:
    """Another key: forged. Not a code at all: unreadable."""
    forged = Story(plan=site_plan(keys=b"x" * 32)).start().enter()
    story = Story().start()
    story.show_code(forged.code)
    story.at(OUT, CodeWasRead("HELLO"))

    refused = [fact.why for fact in story.facts if isinstance(fact, f.CodeRefused)]
    assert ["E-TKT-03", "E-TKT-01"] == [why.split()[0].rstrip(":") for why in refused]


def test_a_restart_with_a_ticket_in_the_mouth_voids_it_and_moves_nothing() -> None:
    """Power fails between print and take: the number is burnt, the spot free, no arm moves."""
    before = Story().start()
    before.at(IN, ArmingLoopChanged(ON), ButtonPressed())
    books = new_books(before.plan)
    books.fold_all(before.facts)
    after = Story(boot=Boot("11" * 8, "ZZZZ"), books=books, now=before.now).start(dark_from_ms=before.now.wall_ms)

    voided = after.last(f.TicketVoided)
    assert isinstance(voided, f.TicketVoided)
    assert f.VoidReason.DARK is voided.reason
    assert not after.has(OpenArm)
    assert {"COMPACT": 3} == after.site.books.spots.free(AREA)


@pytest.mark.parametrize("still_there", [True, False], ids=["car-still-there", "car-gone"])
def test_a_vend_in_doubt_is_settled_by_what_the_loops_say(*, still_there: bool) -> None:
    """Power fails after the vend was recorded. A car still at the arm did not enter; an empty lane means it did."""
    before = Story().start()
    before.pull_ticket()
    books = new_books(before.plan)
    books.fold_all(before.facts)
    after = Story(boot=Boot("11" * 8, "ZZZZ"), books=books, now=before.now)
    if still_there:
        after.keep(after.site.start(after.now, before.now.wall_ms, clean=False))
        from gatectl.domain.lane import Arm, ArmMoved, ClosingLoopChanged

        after.at(IN, ArmMoved(Arm.DOWN), ClosingLoopChanged(OFF), ArmingLoopChanged(ON))
    else:
        after.start(dark_from_ms=before.now.wall_ms)

    assert after.has(f.VendUnknown)
    assert still_there == after.has(f.TicketVoided)
    assert still_there != after.has(f.VehicleEntered)
    assert not after.has(OpenArm)


def test_numbers_have_no_gaps_and_every_number_has_one_end() -> None:
    """Ten cars, some back out: the counters are 1..10 and each ticket is inside or void."""
    story = Story(plan=site_plan(spots=20)).start()
    for turn in range(10):
        if turn % 3 == 2:
            story.at(IN, ArmingLoopChanged(ON), ButtonPressed(), ArmingLoopChanged(OFF)).later(60_000)
        else:
            story.enter()
    issued = [fact.counter for fact in story.facts if isinstance(fact, f.TicketIssued)]

    assert list(range(1, 11)) == issued
    books = story.site.books
    assert 10 == len(books.stays) + len(books.closed)
    assert {TicketState.VOID} == set(books.closed.values())


def test_folding_the_facts_again_gives_the_same_books() -> None:
    """Replay: a fresh set of books that folds the story's facts ends equal."""
    story = Story(plan=site_plan(spots=20)).start()
    for _ in range(4):
        ticket = story.enter()
    story.later(3_600_000)
    pay(story, ticket.ticket)
    story.show_code(ticket.code)
    story.drive_over(OUT)
    again = new_books(story.plan)
    again.fold_all(story.facts)

    for name in ("counter", "stays", "closed", "vends", "payments", "receipts", "counts", "modes", "faults"):
        assert getattr(story.site.books, name) == getattr(again, name), name


def test_opening_by_hand_needs_a_reason_and_is_recorded() -> None:
    """No reason, no movement; with one, the person is in the journal before the arm moves."""
    story = Story().start()
    asked = events.HandAsked(OUT, Hand.OPEN, "anna", " ", RequestId("1"))
    story.tell(asked)
    reply = story.last(Reply)

    assert isinstance(reply, Reply)
    assert "E-USE-01" == reply.code
    assert not story.has(OpenArm)
    story.tell(events.HandAsked(OUT, Hand.OPEN, "anna", "ambulance", RequestId("2")))
    last = story.batches[-1]

    assert any(isinstance(fact, f.OpenedByHand) and fact.who == "anna" for fact in last.facts)
    assert any(isinstance(effect, OpenArm) for effect in last.effects)


def test_an_office_command_after_its_deadline_is_refused() -> None:
    """A late "open" must never open: it is refused by name, and the refusal is a fact."""
    story = Story().start()
    late = events.OfficeCommanded("c-1", OUT, Hand.OPEN, "office:bob", "why", story.now.mono_ms - 1)
    story.tell(late)

    assert not story.has(OpenArm)
    assert "expired" == getattr(story.last(f.CommandRefused), "why")  # noqa: B009  # the fact's type is asserted by last
    story.tell(events.OfficeCommanded("c-2", LaneId("NO-9"), Hand.OPEN, "office:bob", "why", story.now.mono_ms + 1))

    assert "NO-9" in getattr(story.last(f.CommandRefused), "why")  # noqa: B009  # likewise
    story.tell(events.OfficeCommanded("c-3", OUT, Hand.OPEN, "office:bob", "why", story.now.mono_ms + 1_000))

    assert story.has(f.CommandDone)
    assert story.has(OpenArm)


def test_a_lost_ticket_costs_the_lost_ticket_price() -> None:
    """No ticket, no stay found: a replacement is issued, priced, paid, and leaves."""
    story = Story().start()
    story.tell(events.LostTicketDeclared(RequestId("1"), OUT, None, None, "anna", "lost"))
    reply = story.last(Reply)
    assert isinstance(reply, Reply)
    assert 2000 == reply.data["due_minor"]
    paid = pay(story, str(reply.data["ticket"]), tendered=2000)

    assert "" == paid.code
    story.show_code(str(reply.data["code"]))
    story.drive_over(OUT)

    assert story.has(f.VehicleExited)


def test_a_payment_in_doubt_is_asked_for_again_when_its_terminal_is_heard() -> None:
    """Power fails while the terminal is asked. After the start, and again when the terminal shows up, its key is asked for."""
    from dataclasses import replace

    from gatectl.domain.effects import QueryPayment
    from gatectl.domain.lane import TerminalAnswered, TerminalChanged

    plan = site_plan()
    exit_plan = replace(plan.lanes[1], has_terminal=True)
    plan = replace(plan, lanes=(plan.lanes[0], exit_plan))
    before = Story(plan=plan).start()
    ticket = before.enter()
    before.at(OUT, TerminalChanged(True)).later(59 * 60_000)
    before.show_code(ticket.code)
    started = before.last(f.PaymentStarted)
    assert isinstance(started, f.PaymentStarted)
    books = new_books(plan)
    books.fold_all(before.facts)
    after = Story(plan=plan, boot=Boot("11" * 8, "ZZZZ"), books=books, now=before.now).start(before.now.wall_ms)
    at_start = sum(isinstance(effect, QueryPayment) for effect in after.effects)
    after.tell(events.DeviceWent("term", up=True, why="", roles=((OUT, ("terminal",)),))).at(OUT, TerminalChanged(True))

    assert 1 == at_start
    assert at_start < sum(isinstance(effect, QueryPayment) for effect in after.effects)
    after.at(OUT, TerminalAnswered(started.payment, "approved", auth_code="A1"))

    taken = after.last(f.PaymentTaken)
    assert isinstance(taken, f.PaymentTaken)
    assert (started.payment, 300) == (taken.payment, taken.amount_minor)


def test_a_clock_that_is_not_set_issues_tickets_and_prices_none_of_them() -> None:
    """The machine booted in 1970: tickets in sequence, but no price is ever computed from such a time."""
    from dataclasses import replace

    from gatectl.domain.ids import Moment, TimeQuality

    story = Story(now=Moment(86_400_000, 1_000, TimeQuality.UNSET)).start()
    ticket = story.enter()
    issued = story.last(f.TicketIssued)
    assert isinstance(issued, f.TicketIssued)

    assert TimeQuality.UNSET is issued.time_quality
    assert "E-TIME-01" == pay(story, ticket.ticket).code
    story.now = replace(story.now, wall_ms=1_780_000_000_000, quality=TimeQuality.SYNCED)
    assert "E-TIME-01" == pay(story, ticket.ticket, key="k2").code
    story.show_code(ticket.code)
    refused = story.last(f.CodeRefused)
    assert isinstance(refused, f.CodeRefused)

    assert "E-TIME-01" == refused.why
    lost = events.LostTicketDeclared(RequestId("9"), OUT, None, 90, "anna", "clock was not set")
    story.tell(lost)
    reply = story.last(Reply)
    assert isinstance(reply, Reply)

    assert 500 == reply.data["due_minor"]
