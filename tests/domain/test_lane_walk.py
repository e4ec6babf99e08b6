"""Anything in any order, with time going on: what must hold of every lane, whatever its devices and people do."""

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lane_world import FakeSite, Story, dark_lane, good, inside, plan_of

from gatectl.domain import facts as f
from gatectl.domain.effects import CloseArm, OpenArm, StopArm
from gatectl.domain.ids import JobId, Moment, PaymentId, RequestId, TicketNumber, VendId
from gatectl.domain.lane import (
    Arm,
    ArmAnswered,
    ArmBroke,
    ArmingLoopChanged,
    ArmMoved,
    ButtonPressed,
    ClosingLoopChanged,
    CodeWasRead,
    DeadlinePassed,
    DeviceAvailabilityChanged,
    DoorMoved,
    Doubt,
    FireChanged,
    Hand,
    HandCommanded,
    Input,
    LaneKind,
    Layout,
    Loop,
    PaidElsewhere,
    Phase,
    PrinterChanged,
    PrintFailed,
    ResetLoopChanged,
    Step,
    TerminalAnswered,
    TerminalChanged,
    TicketPresented,
    TicketPrinted,
    TicketPulled,
    TicketRetracted,
    Trust,
)

WALK_STEPS = 400
WALKS = 12
LAYOUTS = [(kind, layout) for kind in LaneKind for layout in Layout]
ROLES = ("open", "close", "arming", "closing", "reset", "arm_up", "arm_down", "printer", "reader", "terminal", "door")


def checked(story: Story, happened: Input) -> Step:
    """One input, and everything that must hold of the step."""
    before = story.lane
    step = story.happen(happened)
    now_ms = story.site.now.mono_ms
    intended = [fact.vend for fact in step.facts if isinstance(fact, f.VendIntended)]
    moved = [effect for effect in step.effects if isinstance(effect, OpenArm | CloseArm | StopArm)]

    assert len(intended) <= 1, "the view offers one vend a step"
    assert not (before.phase is Phase.STARTING and moved), "a start moved something"
    for effect in moved:
        if isinstance(effect, OpenArm):
            assert [effect.vend] == intended
        if isinstance(effect, CloseArm):
            assert step.lane.closing.clear
            assert step.lane.plan.layout is not Layout.THREE_LOOP or step.lane.reset.clear
            assert now_ms - step.lane.way_since_mono_ms >= step.lane.plan.timing.clear_ms
            assert step.lane.mode not in ("fire", "held-open")
            assert "open" == story.site.vends[effect.vend]
    assert step.lane.deadline_mono_ms is None or isinstance(step.lane.deadline_mono_ms, int)
    assert step.lane.ticket is None or story.site.tickets[step.lane.ticket] not in ("void", "exited", "reversed")
    open_vends = {vend for vend, state in story.site.vends.items() if state == "open"}
    doubted = {before.doubt.vend} if step.lane.doubt and before.doubt else set()
    assert open_vends - doubted == ({step.lane.vend} if step.lane.vend else set()), "a vend was lost sight of"
    spent = set(story.stays("spent")) - ({step.lane.doubt.ticket} if step.lane.doubt else set())
    assert spent <= {step.lane.ticket}, "a spent ticket was lost sight of"
    issued = set(story.stays("issued")) - ({step.lane.doubt.ticket} if step.lane.doubt else set())
    assert issued <= {step.lane.ticket}, "a provisional ticket was lost sight of"
    assert len(step.lane.pending) <= 8
    return step


def any_input(pick: random.Random, story: Story) -> Input:
    """Mostly what a lane sees all day, sometimes anything at all."""
    lane = story.lane
    vend = pick.choice([lane.vend, lane.vend, VendId("V1")]) or VendId("V0")
    job = pick.choice([lane.job, lane.job, JobId("other")]) or JobId("none")
    pending = [payment for payment, _ in lane.pending] or [PaymentId("none")]
    ticket = pick.choice([*story.site.tickets, TicketNumber("bad")])
    trust = pick.choice([Trust.GOOD] * 12 + [Trust.FAULT, Trust.STALE])
    loop = good(pick.random() < 0.5) if trust is Trust.GOOD else Loop(pick.random() < 0.5, trust)
    often: list[Input] = [
        ArmingLoopChanged(loop),
        ClosingLoopChanged(loop),
        ResetLoopChanged(loop),
        ArmMoved(pick.choice([Arm.UP, Arm.DOWN, Arm.UP, Arm.DOWN, Arm.BETWEEN, Arm.UNKNOWN])),
        ArmAnswered(vend, pick.choice(["open", "close"]), pick.choice(["confirmed"] * 4 + ["refused", "unknown"]), ""),
        ButtonPressed(),
        TicketPresented(job),
        TicketPulled(job),
        TicketPrinted(job),
        CodeWasRead(pick.choice([ticket, "pass", "0815"])),
        TerminalAnswered(pick.choice(pending), pick.choice(["approved", "declined", "unknown", "timed-out"])),
        DeadlinePassed(),
    ]
    seldom: list[Input] = [
        TicketRetracted(job),
        PrintFailed(job, "jam", pick.random() < 0.5),
        PrinterChanged(*(pick.choice([True, False]) for _ in range(5))),
        TerminalChanged(pick.random() < 0.7),
        DeviceAvailabilityChanged(pick.random() < 0.7, tuple(pick.sample(ROLES, 2))),
        PaidElsewhere(ticket),
        ArmBroke(pick.random() < 0.3),
        DoorMoved(pick.random() < 0.5),
        FireChanged(pick.random() < 0.3),
        HandCommanded(pick.choice(list(Hand)), pick.choice(["mia", "mia", ""]), "why", RequestId("q")),
        HandCommanded(Hand.RESET, "mia", "over", RequestId("q")),
    ]
    return pick.choice(often if pick.random() < 0.9 else seldom)


def next_in_a_good_day(pick: random.Random, story: Story) -> Input:
    """What would bring the lane on from where it is: without it a walk never gets far."""
    lane = story.lane
    vend, job = lane.vend or VendId("V0"), lane.job or JobId("none")
    payment = lane.payment or PaymentId("none")
    ticket = pick.choice([ticket for ticket, state in story.site.tickets.items() if state == "inside"] or ["none"])
    well: list[Input] = [ArmingLoopChanged(good(False)), ClosingLoopChanged(good(False)), ResetLoopChanged(good(False))]
    a_on, b_on, c_on = ArmingLoopChanged(good(True)), ClosingLoopChanged(good(True)), ResetLoopChanged(good(True))
    released = [HandCommanded(hand, "mia", "why", RequestId("q")) for hand in (Hand.RELEASE, Hand.UNLOCK, Hand.RESET)]
    by_phase: dict[Phase, list[Input]] = {
        Phase.STARTING: [*well, ArmMoved(pick.choice([Arm.DOWN, Arm.UP]))],
        Phase.IDLE: [a_on],
        Phase.PRESENT: [ButtonPressed(), CodeWasRead(pick.choice([str(ticket), "pass"])), ArmMoved(Arm.DOWN)],
        Phase.PRINTING: [TicketPresented(job), TicketPrinted(job)],
        Phase.PRESENTED: [TicketPulled(job)],
        Phase.PAYING: [TerminalAnswered(payment, "approved")],
        Phase.OPENING: [ArmAnswered(vend, "open", "confirmed", ""), ArmMoved(Arm.UP)],
        Phase.OPEN: [b_on, ArmMoved(Arm.UP)],
        Phase.PASSING: [*well, c_on],
        Phase.CLOSING: [ArmAnswered(vend, "close", "confirmed", ""), ArmMoved(Arm.DOWN)],
        Phase.HELD_OPEN: [*released, *well, b_on, a_on, CodeWasRead(pick.choice([str(ticket), "pass"]))],
        Phase.LOCKED: released,
        Phase.FIRE: [FireChanged(False), *released, *well, a_on, b_on],
        Phase.OUT_OF_SERVICE: [
            *released,
            *well,
            ArmMoved(Arm.DOWN),
            ArmBroke(False),
            DeviceAvailabilityChanged(True, ROLES),
        ],
    }
    return pick.choice(by_phase[lane.phase])


def happening(pick: random.Random, story: Story) -> Input:
    return next_in_a_good_day(pick, story) if pick.random() < 0.6 else any_input(pick, story)


def some_lane(pick: random.Random, kind: LaneKind, layout: Layout) -> Story:
    plan = plan_of(
        kind, layout, has_close=pick.random() < 0.7, has_mouth=pick.random() < 0.7, has_printer=pick.random() < 0.8
    )
    story = dark_lane(plan)
    if pick.random() < 0.5:
        ticket = inside(story, "T-0")
        story.site.tickets[ticket] = "issued" if kind is LaneKind.ENTRY else "spent"
        story.site.vends[VendId("V1")] = "open"
        story.lane = replace(
            story.lane, doubt=Doubt(VendId("V1"), ticket), mode=pick.choice(["normal", "locked", "fire"])
        )
    return story


def walk(seed: int, kind: LaneKind, layout: Layout, steps: int, seen: set[Phase] | None = None) -> Story:
    pick = random.Random(seed)
    story = some_lane(pick, kind, layout)
    for n in range(steps):
        if n % 20 == 0:
            inside(story, f"T-{n}x")
            story.site.due_minor = pick.choice([0, 0, 250])
            story.site.full = pick.random() < 0.1
        if pick.random() < 0.5:
            advance(story, pick.choice([1, 100, 700, 1_200, 1_700, 9_000, 31_000, 700_000]))
        checked(story, happening(pick, story))
        if seen is not None:
            seen.add(story.phase)
    return story


def advance(story: Story, ms: int) -> None:
    """Time passes, told of deadlines like a daemon that is sometimes late."""
    now = story.site.now
    story.site.now = Moment(now.wall_ms + ms, now.mono_ms + ms)
    for _ in range(20):
        if story.lane.deadline_mono_ms is None or story.lane.deadline_mono_ms > story.site.now.mono_ms:
            return
        checked(story, DeadlinePassed())
    raise AssertionError(f"deadlines without end in {story.phase}")


@pytest.mark.parametrize(("kind", "layout"), LAYOUTS, ids=str)
def test_a_lane_that_lives_through_anything_keeps_its_promises(kind: LaneKind, layout: Layout) -> None:
    """Months of bad luck: every device lies, every button is pressed, and no promise is broken."""
    for seed in range(WALKS):
        try:
            walk(seed, kind, layout, WALK_STEPS)
        except AssertionError as broken:
            raise AssertionError(f"seed {seed}: {broken}") from broken


@pytest.mark.parametrize(("kind", "layout"), LAYOUTS, ids=str)
def test_the_walks_go_everywhere(kind: LaneKind, layout: Layout) -> None:
    """A walk that never leaves the first room proves nothing: over all seeds every phase of the kind is entered."""
    seen: set[Phase] = set()
    for seed in range(WALKS):
        walk(1000 + seed, kind, layout, WALK_STEPS, seen)
    printing = {Phase.PRINTING, Phase.PRESENTED}
    unused = {LaneKind.ENTRY: {Phase.PAYING}, LaneKind.EXIT: printing, LaneKind.PASSAGE: {Phase.PAYING, *printing}}
    used = set(Phase) - unused[kind]

    assert used == seen


def _inputs() -> st.SearchStrategy[list[tuple[int, int]]]:
    return st.lists(
        st.tuples(st.integers(0, 2**32), st.sampled_from([0, 0, 100, 1_100, 2_000, 9_000, 31_000])), max_size=60
    )


@given(kind=st.sampled_from(list(LaneKind)), layout=st.sampled_from(list(Layout)), inputs=_inputs(), up=st.booleans())
@settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
def test_no_order_of_events_breaks_a_promise(
    kind: LaneKind, layout: Layout, inputs: list[tuple[int, int]], up: bool
) -> None:
    """Hypothesis looks for the shortest story that closes an arm on a car, moves at start or loses a ticket."""
    story = dark_lane(plan_of(kind, layout))
    inside(story, "T-1")
    checked(story, ArmMoved(Arm.UP if up else Arm.DOWN))
    for loop in (ArmingLoopChanged, ClosingLoopChanged, ResetLoopChanged):
        checked(story, loop(good(False)))
    for choice, ms in inputs:
        advance(story, ms)
        checked(story, happening(random.Random(choice), story))


def test_the_same_inputs_give_the_same_facts_and_effects() -> None:
    """A replay of the journal's inputs through the same version decides the same."""
    first, second = (walk(7, LaneKind.EXIT, Layout.THREE_LOOP, WALK_STEPS) for _ in range(2))

    assert first.facts == second.facts
    assert first.effects == second.effects


def test_a_site_of_the_walk_is_a_strict_bookkeeper() -> None:
    """The check on the checker: books that fold anything would let every walk pass."""
    site = FakeSite(plan_of(LaneKind.EXIT))

    with pytest.raises((AssertionError, KeyError)):
        site.fold(f.TicketSpent(TicketNumber("T-9"), site.plan.lane, VendId("V1")))
