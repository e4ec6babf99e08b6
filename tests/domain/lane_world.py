"""A dull site for one lane, and a story about it: enough books to say what is true, and no rules of its own but these.

`FakeSite` is a `View`. It refuses, by assertion, every fact that the books of a real site could not fold, so that each story
and each random walk checks the life of every ticket, every vend and every payment as it goes.
"""

from dataclasses import dataclass, field, replace
from typing import TypeVar

from gatectl.domain import entry_lane, exit_lane
from gatectl.domain import facts as f
from gatectl.domain.beyond import PlaceBeyond
from gatectl.domain.effects import CloseArm, Effect, OpenArm, Reply, ShowText
from gatectl.domain.ids import AreaId, LaneId, Moment, PaymentId, RequestId, TicketNumber, VendId
from gatectl.domain.lane import (
    Arm,
    ArmAnswered,
    ArmingLoopChanged,
    ArmMoved,
    ButtonPressed,
    ClosingLoopChanged,
    CodeWasRead,
    DeadlinePassed,
    Entitled,
    Hand,
    HandCommanded,
    Input,
    Lane,
    LaneKind,
    LanePlan,
    Layout,
    Loop,
    Phase,
    Price,
    Quote,
    Reduced,
    Refusal,
    ResetLoopChanged,
    Step,
    TerminalAnswered,
    TicketOffer,
    TicketPresented,
    TicketPulled,
    Timing,
    Trust,
)
from gatectl.domain.records.payments_debts import DebtMade

STEP = {LaneKind.ENTRY: entry_lane.step, LaneKind.EXIT: exit_lane.step, LaneKind.PASSAGE: exit_lane.step}
TICKET_TURNS: dict[type[f.Fact], tuple[str, str]] = {
    f.TicketVoided: ("issued", "void"),
    f.TicketTaken: ("issued", "issued"),
    f.VehicleEntered: ("issued", "inside"),
    f.EntryReversed: ("inside", "reversed"),
    f.TicketSpent: ("inside", "spent"),
    f.TicketReturned: ("spent", "inside"),
    f.VehicleExited: ("spent", "exited"),
}
"""What each fact makes of a ticket, and of which only. A ticket that has ended is in none of the first states."""
AREA, BEHIND = AreaId("P1"), AreaId("P1-inner")
F = TypeVar("F", bound=f.Fact)
E = TypeVar("E", bound=Effect)


def good(on: bool) -> Loop:
    return Loop(on, Trust.GOOD)


@dataclass
class FakeSite:
    """The books of one lane, as a View. A read code is its ticket's number, or "bad"."""

    plan: LanePlan
    now: Moment = field(default_factory=lambda: Moment(1_700_000_000_000, 1_000_000))
    full: bool = False
    due_minor: int = 0
    quoted: Quote | None = None
    tickets: dict[TicketNumber, str] = field(default_factory=dict)
    vends: dict[VendId, str] = field(default_factory=dict)
    carried: set[VendId] = field(default_factory=set)
    payments: dict[PaymentId, str] = field(default_factory=dict)
    paid: set[TicketNumber] = field(default_factory=set)
    receipt: int = 0
    counter: int = 0
    count: int = 0
    offline_minor: int = 0
    lets_out: bool = False
    taken: dict[TicketNumber, tuple[PaymentId, int]] = field(default_factory=dict)

    # -- the view --

    def quote(self) -> Quote | None:
        return self.quoted

    def offer(self, quote: Quote | None = None) -> TicketOffer | Refusal:
        return Refusal("E-FULL-01", "Full") if self.full else self.exception_offer()

    def entitle(self, text: str) -> Entitled | Refusal:
        """ "pass" is one, and nothing else is."""
        if text != "pass":
            return Refusal("E-CRED-01", "Not known")
        return Refusal("E-FULL-01", "Full") if self.full else Entitled(self.exception_offer(), (), "Welcome")

    def exception_offer(self) -> TicketOffer:
        number = TicketNumber(f"{self.counter + 1:06}-TEST")
        return TicketOffer(number, self.counter + 1, f"code:{number}", None, None, "T1", "1.00 an hour")

    def admit(self, code: str) -> Price | Refusal:
        ticket = TicketNumber(code)
        if not self.inside(ticket):
            return Refusal("E-TKT-04", "Please call")
        price = self.price(ticket)
        return replace(price, due_minor=0) if self.plan.kind is LaneKind.PASSAGE else price

    def place_beyond(self, ticket: TicketNumber | None, back: bool) -> PlaceBeyond:
        return PlaceBeyond(BEHIND, AREA, None, None) if back else PlaceBeyond(AREA, BEHIND, None, None)

    def is_coupon(self, text: str) -> bool:
        return text.startswith("coupon:")

    def reduced(self, ticket: TicketNumber, coupon: str) -> Reduced | Refusal:
        return Refusal("E-CPN-01", "Coupon not accepted")

    def price(self, ticket: TicketNumber) -> Price:
        assert ticket in self.tickets
        due = 0 if ticket in self.paid else self.due_minor
        return Price(ticket, due, 0, self.due_minor, "EUR", "T1", (f.Line("parking", self.due_minor),))

    def inside(self, ticket: TicketNumber) -> bool:
        return self.tickets.get(ticket) == "inside"

    def next_vend(self) -> VendId:
        return VendId(f"V{len(self.vends) + 1}")

    def next_payment(self, ticket: TicketNumber) -> PaymentId:
        return PaymentId(f"{ticket}-{len(self.payments) + 1}")

    def next_receipt(self) -> tuple[str, int]:
        return str(self.plan.lane), self.receipt + 1

    def offline_left_minor(self) -> int:
        return self.offline_minor

    def owed(self, price: Price, why: str) -> DebtMade | None:
        if not self.lets_out:
            return None
        self.paid.add(price.ticket)
        return DebtMade("D1", price.ticket, price.due_minor, "EUR", "", "policy", why, self.now.wall_ms)

    def taken_here(self, ticket: TicketNumber) -> tuple[PaymentId, int] | None:
        return self.taken.get(ticket)

    # -- the books --

    def fold(self, fact: f.Fact) -> None:
        if isinstance(fact, f.TicketIssued):
            assert fact.counter == self.counter + 1
            assert fact.ticket not in self.tickets
            self.counter += 1
            self.tickets[fact.ticket] = "issued"
        elif isinstance(fact, f.VehicleEntered | f.EntryReversed | f.VehicleExited):
            self._fold_passage(fact)
        elif isinstance(fact, f.VehicleMoved):
            self._fold_move(fact)
        elif type(fact) in TICKET_TURNS:
            self._turn(fact.ticket, *TICKET_TURNS[type(fact)])  # type: ignore[attr-defined]  # all of them have one
        elif isinstance(fact, f.VendIntended):
            assert fact.vend not in self.vends
            self.vends[fact.vend] = "open"
        elif isinstance(fact, f.VendConfirmed | f.VendUnknown | f.VendFailed | f.VendClosed):
            assert self.vends[fact.vend] == "open"
            self.vends[fact.vend] = "over" if isinstance(fact, f.VendFailed | f.VendClosed) else "open"
        elif isinstance(fact, f.PaymentStarted | f.PaymentFailed | f.PaymentTaken):
            self._fold_payment(fact)

    def _fold_passage(self, fact: f.VehicleEntered | f.EntryReversed | f.VehicleExited) -> None:
        if fact.ticket is not None:
            self._turn(fact.ticket, *TICKET_TURNS[type(fact)])
        if isinstance(fact, f.VehicleEntered | f.VehicleExited) and fact.vend is not None:
            assert fact.vend not in self.carried, f"{fact.vend} let two vehicles through"
            self.carried.add(fact.vend)
        self.count += 1 if isinstance(fact, f.VehicleEntered) else -1

    def _fold_move(self, fact: f.VehicleMoved) -> None:
        """Spent by its vend and inside again beyond; without a vend it came back, and was inside all the time."""
        if fact.ticket is not None:
            self._turn(fact.ticket, "inside" if fact.area == AREA else "spent", "inside")
        if fact.vend is not None:
            assert fact.vend not in self.carried, f"{fact.vend} let two vehicles through"
            self.carried.add(fact.vend)

    def _fold_payment(self, fact: f.PaymentStarted | f.PaymentFailed | f.PaymentTaken) -> None:
        if isinstance(fact, f.PaymentStarted):
            assert fact.payment not in self.payments
            self.payments[fact.payment] = "pending"
            return
        assert self.payments[fact.payment] == "pending"
        self.payments[fact.payment] = "failed"
        if isinstance(fact, f.PaymentTaken):
            assert fact.receipt == self.receipt + 1
            self.payments[fact.payment] = "taken"
            self.paid.add(fact.ticket)
            self.receipt += 1

    def _turn(self, ticket: TicketNumber, before: str, after: str) -> None:
        assert self.tickets[ticket] == before, f"{ticket} is {self.tickets[ticket]} and shall be {after}"
        self.tickets[ticket] = after


@dataclass
class Story:
    """One lane lives through something. Every verb is one thing that happens; time passes only in `wait`."""

    site: FakeSite
    lane: Lane
    facts: list[f.Fact] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    last: Step | None = None

    # -- what happens --

    def happen(self, happened: Input) -> Step:
        step = STEP[self.lane.plan.kind](self.lane, happened, self.site)
        for fact in step.facts:
            self.site.fold(fact)
        self.lane = step.lane
        self.facts.extend(step.facts)
        self.effects.extend(step.effects)
        self.last = step
        return step

    def wait(self, ms: int) -> None:
        """Time passes; deadlines that come due on the way are told."""
        until_ms = self.site.now.mono_ms + ms
        while self.lane.deadline_mono_ms is not None and self.lane.deadline_mono_ms <= until_ms:
            self._at(max(self.lane.deadline_mono_ms, self.site.now.mono_ms))
            self.happen(DeadlinePassed())
        self._at(until_ms)

    def _at(self, mono_ms: int) -> None:
        now = self.site.now
        self.site.now = Moment(now.wall_ms + mono_ms - now.mono_ms, mono_ms)

    def a(self, on: bool) -> None:
        self.happen(ArmingLoopChanged(good(on)))

    def b(self, on: bool) -> None:
        self.happen(ClosingLoopChanged(good(on)))

    def c(self, on: bool) -> None:
        self.happen(ResetLoopChanged(good(on)))

    def arrive(self) -> None:
        self.a(True)

    def leave_station(self) -> None:
        """Off the arming loop again, and long enough that it is no jolt."""
        self.a(False)
        self.wait(2_000)

    def press(self) -> None:
        self.happen(ButtonPressed())

    def read(self, ticket: TicketNumber | str) -> None:
        self.happen(CodeWasRead(str(ticket)))

    def present(self) -> None:
        assert self.lane.job is not None
        self.happen(TicketPresented(self.lane.job))

    def pull(self) -> None:
        assert self.lane.job is not None
        self.happen(TicketPulled(self.lane.job))

    def take_ticket(self) -> None:
        """Press, see the ticket come, take it."""
        self.press()
        self.present()
        self.pull()

    def answered(self, result: str = "confirmed", order: str = "open") -> None:
        assert self.lane.vend is not None
        self.happen(ArmAnswered(self.lane.vend, order, result, "told by the test"))

    def arm(self, arm: Arm) -> None:
        self.happen(ArmMoved(arm))

    def raised(self) -> None:
        """The arm goes up as it was told to."""
        self.answered()
        if self.lane.plan.layout is not Layout.NO_LIMITS:
            self.arm(Arm.BETWEEN)
            self.arm(Arm.UP)

    def drive_over(self) -> None:
        """From the arming loop over the closing loop, and over the reset loop where there is one."""
        three = self.lane.plan.layout is Layout.THREE_LOOP
        self.b(True)
        self.a(False)
        if three:
            self.c(True)
        self.b(False)
        if three:
            self.c(False)

    def lowered(self) -> None:
        """The way has been clear long enough, the closing is asked for, the arm comes down."""
        self.wait(self.lane.plan.timing.clear_ms)
        if self.lane.plan.has_close:
            self.answered(order="close")
        if self.lane.plan.layout is Layout.NO_LIMITS:
            self.wait(self.lane.plan.timing.arm_ms)
        else:
            self.arm(Arm.DOWN)

    def approve(self, outcome: str = "approved", payment: PaymentId | None = None) -> None:
        asked = payment if payment is not None else self.lane.payment
        assert asked is not None
        self.happen(TerminalAnswered(asked, outcome, auth_code="A1", masked="1234", terminal_ref="R1"))

    def hand(self, hand: Hand, who: str = "mia", why: str = "driver called") -> Reply:
        step = self.happen(HandCommanded(hand, who, why, RequestId("q")))
        return next(effect for effect in step.effects if isinstance(effect, Reply))

    # -- what is known --

    @property
    def phase(self) -> Phase:
        return self.lane.phase

    def of(self, kind: type[F]) -> list[F]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def only(self, kind: type[F]) -> F:
        found = self.of(kind)
        assert len(found) == 1, f"{kind.__name__}: {found}"
        return found[0]

    def done(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def forget(self) -> None:
        """Only what follows matters."""
        self.facts.clear()
        self.effects.clear()

    def opens(self) -> int:
        return len(self.done(OpenArm))

    def closes(self) -> int:
        return len(self.done(CloseArm))

    def text(self) -> str:
        return self.done(ShowText)[-1].text

    def irregular(self) -> list[f.Irregularity]:
        return [fact.irregularity for fact in self.of(f.PassageObserved)]

    def faults(self) -> list[f.LaneFault]:
        return [fact.fault for fact in self.of(f.LaneFaulted)]

    def cleared(self) -> list[f.LaneFault]:
        return [fact.fault for fact in self.of(f.LaneCleared)]

    def causes(self) -> list[str]:
        return [fact.cause for fact in self.of(f.VendIntended)]

    def stays(self, state: str) -> list[TicketNumber]:
        return [ticket for ticket, now in self.site.tickets.items() if now == state]


def plan_of(kind: LaneKind, layout: Layout = Layout.TWO_LOOP, **options: object) -> LanePlan:
    made = LanePlan(
        LaneId("IN-1" if kind is LaneKind.ENTRY else "OUT-1"),
        kind,
        layout,
        AREA,
        has_mouth=kind is LaneKind.ENTRY,
        has_reader=kind is LaneKind.EXIT,
        has_terminal=kind is LaneKind.EXIT,
        timing=Timing(),
    )
    return replace(made, **options)  # type: ignore[arg-type]  # the names are checked by dataclasses


def dark_lane(plan: LanePlan, **state: object) -> Story:
    """A lane that has just started and has read nothing."""
    site = FakeSite(plan)
    lane = Lane(plan=plan, deadline_mono_ms=site.now.mono_ms + plan.timing.start_ms)
    return Story(site, replace(lane, **state))  # type: ignore[arg-type]  # as above


def ready(story: Story, arm: Arm = Arm.DOWN, a: bool = False, b: bool = False) -> Story:
    """Read everything that matters; the start is over by it."""
    story.a(a)
    if story.lane.plan.layout is Layout.THREE_LOOP:
        story.c(False)
    if story.lane.plan.layout is not Layout.NO_LIMITS:
        story.arm(arm)
    story.b(b)
    return story


def entry(layout: Layout = Layout.TWO_LOOP, **options: object) -> Story:
    """An idle entry lane."""
    story = ready(dark_lane(plan_of(LaneKind.ENTRY, layout, **options)))
    story.wait(5_000)
    assert story.phase is Phase.IDLE
    story.forget()
    return story


def exit_(layout: Layout = Layout.TWO_LOOP, due_minor: int = 0, **options: object) -> tuple[Story, TicketNumber]:
    """An idle exit lane, and a ticket that is inside."""
    story = ready(dark_lane(plan_of(LaneKind.EXIT, layout, **options)))
    story.wait(5_000)
    assert story.phase is Phase.IDLE
    story.forget()
    story.site.due_minor = due_minor
    return story, inside(story, "T-1")


def inside(story: Story, number: str) -> TicketNumber:
    ticket = TicketNumber(number)
    story.site.tickets[ticket] = "inside"
    return ticket


def parked_out(story: Story, ticket: TicketNumber) -> None:
    """A vehicle at the exit presents its ticket and the arm opens for it."""
    story.arrive()
    story.read(ticket)
    story.raised()


def granted(story: Story) -> TicketNumber:
    """A vehicle at the entry has taken its ticket and the arm is up."""
    story.arrive()
    story.take_ticket()
    ticket = story.lane.ticket
    assert ticket is not None
    story.raised()
    return ticket
