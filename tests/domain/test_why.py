"""`gatectl why`: reasons that agree with the rules, and a ticket's life told from its records."""

import json
from itertools import product
from random import Random
from typing import Any

import pytest
from site_stories import AREA, IN, OFF, ON, OUT, Story

from gatectl.domain import codec
from gatectl.domain.codes import CODES
from gatectl.domain.events import Asked, CashOffered, HandAsked
from gatectl.domain.facts import Fact, LaneFault, VendIntended
from gatectl.domain.frozen import replace
from gatectl.domain.ids import LaneId, PaymentId, RequestId, TicketNumber
from gatectl.domain.lane import (
    Arm,
    ArmingLoopChanged,
    CodeWasRead,
    Hand,
    Lane,
    LaneKind,
    LanePlan,
    Layout,
    Loop,
    Phase,
    Trust,
)
from gatectl.domain.lane_common import resting
from gatectl.domain.telling import tell
from gatectl.domain.why.lane import Around, why_lane
from gatectl.domain.why.ticket import why_ticket
from gatectl.domain.why.words import Why

HOUR_MS = 3_600_000
NOWHERE = Around(0, 1_000, {}, {}, {}, ())


def events(story: Story) -> list[dict[str, Any]]:
    """The story's facts as the mirror tells them; each a second after the one before."""
    return [event(n, fact) for n, fact in enumerate(story.facts, 1)]


def event(position: int, fact: Fact) -> dict[str, Any]:
    body = json.loads(codec.encode(fact))
    at_ms = 1_780_000_000_000 + position * 1000
    return {"position": position, "at_ms": at_ms, "kind": fact.kind, "body": body, "text": tell(fact.kind, body)}


def life_of(story: Story, number: TicketNumber, state: str, price: dict[str, Any] | None = None, **row: Any) -> Why:
    mine = [one for one in events(story) if number in (one["body"].get("ticket"), one["body"].get("replacement"))]
    vends = {one["body"]["vend"]: [e for e in events(story) if e["body"].get("vend") == one["body"]["vend"]] for one in mine
             if one["kind"] == VendIntended.kind}  # fmt: skip
    known: dict[str, Any] = {
        "ticket": number,
        "state": state,
        "events": mine,
        "lane": IN,
        "area": AREA,
        "spot": "A-000",
        "vehicle_type": "CAR",
    }
    known |= {
        "tariff": "t-2026",
        "paid_minor": 0,
        "last_paid_ms": None,
        "payments": [],
        "entered_ms": None,
        "exit_lane": None,
    }
    known |= {"exited_ms": None, "void_reason": None, "time_quality": "synced"}
    return why_ticket({**known, **row}, vends, price, {AREA: "nearest"}, story.now.wall_ms)


def told(why: Why) -> str:
    return "\n".join([*(f"{step.what} | {' | '.join(step.because)}" for step in why.steps)])


# -- tickets ---------------------------------------------------------------------------------------------------------


def test_a_copy_is_refused_because_its_vehicle_has_left() -> None:
    """Issued, in, paid, out; then somebody shows the paper again. Each step says what decided it, the last says who was first."""
    story = Story().start()
    printed = story.enter()
    story.later(HOUR_MS)
    key = PaymentId("k")
    story.tell(CashOffered(RequestId("r"), key, printed.ticket, None, 500, "till-1", "mia"))
    story.show_code(printed.code)
    story.drive_over(OUT)
    story.show_code(printed.code)
    why = life_of(story, printed.ticket, "exited", exited_ms=5, exit_lane=str(OUT))
    text = told(why)

    assert "number issued at IN-1 | a vehicle stood on IN-1's arming loop, the arm was down, the driver pressed" in text
    assert "free, level chosen by nearest | tariff t-2026: in force then for CAR" in text
    assert "IN-1 opens (ticket) | the ticket was taken | the arm was seen up after" in text
    assert "paid EUR 4.00 CASH at till-1 by mia, receipt till-1-1 | due was EUR 4.00 by tariff t-2026:" in text
    left = next(step for step in why.steps if step.what == "left at OUT-1")
    refused = why.steps[-1]
    assert "refused at OUT-1: E-TKT-04" == refused.what
    assert (
        f"its vehicle left at OUT-1 @{left.at_ms} (event {left.position}): who shows it holds a copy"
        == refused.because[1]
    )
    assert "An exit would refuse it now: E-TKT-04" == why.reasons[0].what
    assert any("special" in one.command for one in why.next)


def test_what_is_due_keeps_it_inside() -> None:
    """Refused unpaid where no terminal is; the way out is the cashier, or a number typed at the exit."""
    story = Story().start()
    printed = story.enter()
    story.later(HOUR_MS)
    story.show_code(printed.code)
    price = {
        "due_minor": 400,
        "paid_minor": 0,
        "total_minor": 400,
        "currency": "EUR",
        "tariff": "t",
        "lines": [["step", 400]],
    }
    why = life_of(story, printed.ticket, "inside", price, entered_ms=story.now.wall_ms - HOUR_MS)

    assert "inside for 1 h 0 min, due EUR 4.00" == why.headline
    assert ["An exit would ask for EUR 4.00 now", "The stay costs EUR 4.00"] == [reason.what for reason in why.reasons]
    assert "refused at OUT-1: E-TKT-06" == why.steps[-1].what
    assert f"gatectl pay {printed.ticket}" == why.next[0].command
    free = life_of(story, printed.ticket, "inside", {**price, "due_minor": 0}, entered_ms=1)
    assert "An exit would let it out now" == free.reasons[0].what
    assert "no daemon: no price" in life_of(story, printed.ticket, "inside", entered_ms=1).sources


def test_a_replaced_ticket_leads_to_the_other() -> None:
    """Both tell of each other: who did it, why, and where to go on."""
    story = Story().start()
    old = story.enter().ticket
    words = (("reason", "washed"), ("ticket", str(old)))
    story.tell(Asked(RequestId("d"), "ticket-damaged", "mia", words))
    new = TicketNumber("000002-K7QF")
    before, after = life_of(story, old, "lost"), life_of(story, new, "inside", entered_ms=1)

    assert "replaced by 000002-K7QF | damaged by mia: washed | this paper opens nothing any more" in told(before)
    assert [f"gatectl why {new}"] == [one.command for one in before.next]
    assert f"the exceptions desk replaced {old} (damaged) by mia: washed" in told(after)
    assert "E-TKT-05" in before.reasons[0].what


def test_every_fact_of_a_wild_life_is_told() -> None:
    """Whatever happens at two lanes: no explanation raises, and none is empty."""
    for seed in range(20):
        pick, story = Random(f"why {seed}"), Story().start()  # seeded
        codes = ["nonsense"]
        for _ in range(12):
            act = pick.randrange(4)
            if act == 0 and story.site.lanes[IN].phase is Phase.IDLE:
                codes.append(story.enter().code)
            elif act == 1:
                story.show_code(pick.choice(codes))
            elif act == 2:
                story.tell(HandAsked(pick.choice([IN, OUT]), pick.choice(list(Hand)), "mia", "x", RequestId("r")))
            else:
                story.later(pick.choice([1_000, 60_000, HOUR_MS]))
        for number in {fact.ticket for fact in story.facts if isinstance(fact, VendIntended) and fact.ticket}:
            for state in ("issued", "inside", "spent", "exited", "void", "lost", "written-off"):
                why = life_of(story, number, state)
                assert "" not in {why.headline, why.reasons[0].what, *(step.what for step in why.steps)}
        for lane in story.site.lanes.values():
            assert why_lane(lane, replace_events(story, lane.plan.lane)).headline


def replace_events(story: Story, lane: LaneId) -> Around:
    mine = [one for one in events(story) if one["body"].get("lane") == lane]
    return Around(story.now.wall_ms, story.now.mono_ms, {}, {}, {}, mine[-8:], ("E-FULL-01", "Full\nfor car"))


# -- lanes -------------------------------------------------------------------------------------------------------------

LOOPS = [Loop(on, trust) for on, trust in product((False, True), Trust)]


def any_lane(pick: Random) -> Lane:
    kind, layout = pick.choice(list(LaneKind)), pick.choice(list(Layout))
    plan = LanePlan(LaneId("L-1"), kind, layout, AREA)
    faults = frozenset(fault for fault in LaneFault if pick.random() < 0.08)
    lane = Lane(plan, arming=pick.choice(LOOPS), closing=pick.choice(LOOPS), reset=pick.choice(LOOPS), faults=faults)
    away = frozenset(pick.sample(["open", "arming", "printer"], pick.choice([0, 0, 0, 1])))
    mode = pick.choice(["normal"] * 6 + ["held-open", "locked", "fire"])
    return replace(lane, arm=pick.choice([Arm.DOWN, Arm.DOWN, *Arm]), mode=mode, missing=away)


def test_a_lane_that_does_not_serve_has_a_reason_that_the_rules_have() -> None:
    """Any state at rest: open, locked or out of service is explained; what serves has nothing that holds it."""
    held = 0
    for seed in range(4_000):
        lane = any_lane(Random(seed))
        lane = replace(lane, phase=resting(lane))
        why = why_lane(lane, NOWHERE)
        holding = [reason for reason in why.reasons if reason.command.startswith(("gatectl lane", "gatectl help", "gatectl loop"))
                   or reason.command == "gatectl status"]  # fmt: skip
        if lane.phase in (Phase.HELD_OPEN, Phase.LOCKED, Phase.FIRE, Phase.OUT_OF_SERVICE):
            held += 1
            assert holding, f"seed {seed}: {lane}"
            assert all(reason.what and reason.rule and reason.change and reason.command for reason in holding), seed
    assert held > 1_000


def at_rest(kind: LaneKind, **state: Any) -> Lane:
    lane = Lane(LanePlan(LaneId("L-1"), kind, Layout.TWO_LOOP, AREA), arming=OFF, closing=OFF, arm=Arm.DOWN)
    lane = replace(lane, **state)
    return replace(lane, phase=resting(lane))


@pytest.mark.parametrize(
    ("lane", "first", "command"),
    [
        (at_rest(LaneKind.ENTRY, mode="locked"), "Locked by jan: snow", "unlock"),
        (at_rest(LaneKind.EXIT, mode="fire"), "Fire by jan: snow", "reset"),
        (at_rest(LaneKind.EXIT, mode="held-open"), "Held open by jan: snow", "release"),
        (at_rest(LaneKind.EXIT, faults=frozenset({LaneFault.ARM_FORCED})), "E-BAR-05", "E-BAR-05"),
        (at_rest(LaneKind.ENTRY, missing=frozenset({"open"})), "Devices are away (io: silence)", "status"),
        (at_rest(LaneKind.ENTRY, closing=LOOPS[1]), "Loops not to be trusted: closing loop stale", "loop watch L-1"),
        (at_rest(LaneKind.EXIT, arm=Arm.UP), "The arm is seen up", "lane close L-1"),
        (at_rest(LaneKind.EXIT, arm=Arm.UP, closing=ON), "The arm is seen up", "loop watch L-1"),
    ],
)
def test_what_outranks_the_rest_is_named_first(lane: Lane, first: str, command: str) -> None:
    """A person's word with name and reason, a fault with its code, a device with its silence; and what to type."""
    mode = {"who": "jan", "why": "snow", "at_ms": 7}
    why = why_lane(lane, Around(0, 1_000, mode, {"arm-forced": (5, "up")}, {"io": "silence"}, ()))

    assert why.reasons[0].what.startswith(first)
    assert command in why.reasons[0].command


def test_a_vehicle_that_waits_is_told_why() -> None:
    """Nothing read; then a refused code; a payment at the terminal; and what happens if nothing does."""
    story = Story().start()
    story.at(OUT, ArmingLoopChanged(ON))
    waiting = why_lane(story.site.lanes[OUT], replace_events(story, OUT))
    assert "Nothing was read since the vehicle came" == waiting.reasons[0].what
    assert "the arming loop counts as stuck (E-LOOP-01)" in waiting.reasons[1].rule
    story.at(OUT, CodeWasRead("nonsense"))
    now = Around(10**13, story.now.mono_ms, {}, {}, {}, [{**one, "at_ms": 10**13} for one in events(story)[-1:]])
    refused = why_lane(story.site.lanes[OUT], now)
    assert refused.reasons[0].what.startswith("What was read was refused @10000000000000: E-TKT-01")
    assert refused.steps[-1].because[0].startswith(CODES["E-TKT-01"].sentence)


def test_without_a_daemon_that_comes_first() -> None:
    """No lane does anything then; what it last knew comes behind."""
    why = why_lane(at_rest(LaneKind.ENTRY, mode="locked"), Around(0, None, {}, {}, {}, (), running=False))

    assert ["The daemon is not running", "Locked"] == [reason.what for reason in why.reasons]
    assert "does nothing: the daemon is not running (last: locked)" in why.headline
