"""What no driver and no device would say, said all the same: refused by name, and nothing stops. Each was found by a seed."""

from random import Random

import pytest

from gatectl.domain import facts as f
from gatectl.domain.effects import Reply
from gatectl.domain.events import CountCorrected, DeviceWent, Event, HandAsked, LaneInput, LostTicketDeclared
from gatectl.domain.ids import AreaId, LaneId, RequestId, TicketNumber
from gatectl.domain.lane import ButtonPressed, Hand, Layout
from gatectl.domain.site import Batch
from gatectl.world import babble
from gatectl.world.simulation import Options, World

ASKED = RequestId("r-1")
NOWHERE = LaneId("IN-99")


def answer(event: Event) -> Batch:
    """What a site that has just started makes of an event."""
    world = World(Options(1, lanes=2))
    world.boot()
    assert world.daemon.site is not None
    return world.daemon.site.handle(event, world.daemon.now())


@pytest.mark.parametrize(
    "event",
    [LaneInput(NOWHERE, ButtonPressed()), DeviceWent("io-9", True, "", ((NOWHERE, ("open",)),))],
    ids=["input, seed 1", "device, seed 2"],
)
def test_a_lane_that_does_not_exist_is_refused_by_name(event: Event) -> None:
    """Simulated seeds 1 and 2 stopped the daemon with a KeyError."""
    facts = answer(event).facts

    assert [f"no lane {NOWHERE}"] == [fact.why for fact in facts if isinstance(fact, f.CommandRefused)]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (LostTicketDeclared(ASKED, LaneId("OUT-1"), TicketNumber(""), None, "mia", "lost"), "E-TKT-08"),
        (LostTicketDeclared(ASKED, LaneId("OUT-1"), None, -5, "mia", "lost"), "E-USE-01"),
        (HandAsked(LaneId("OUT-1"), Hand.OPEN, "", "a call", ASKED), "E-USE-01"),
        (CountCorrected(ASKED, AreaId("moon"), 1, "mia", "counted"), "E-NOT-01"),
    ],
    ids=["no number, seed 3", "entered tomorrow", "nobody", "no such area"],
)
def test_what_cannot_be_is_refused_by_name(event: Event, code: str) -> None:
    """A ticket without a number stopped the daemon (seeds 3 and 8); the others were believed."""
    batch = answer(event)

    assert () == batch.facts
    assert [code] == [effect.code for effect in batch.effects if isinstance(effect, Reply)]


@pytest.mark.parametrize("seed", [1, 2, 3, 8])
def test_whatever_is_said_to_a_lane_the_promises_hold(seed: int) -> None:
    """Twenty bursts an hour of lies and nonsense, and every lane serves again after them."""
    result = World(Options(seed, 0.05, 4, oddity=0.3, faults_per_hour=40, kinds=("anything",))).run()

    assert "" == result.broken
    assert result.seen["anything"] > 20


def test_every_kind_of_input_and_event_is_said() -> None:
    """The generator leaves nothing out, but for what a lane is only told by the site itself."""
    world = World(Options(1, lanes=20))
    world.boot()
    assert world.daemon.site is not None
    lane = next(plan.lane for plan in world.plan.lanes if plan.layout is Layout.THREE_LOOP)
    said = [babble.anything(world.daemon.site, lane, Random(n), n) for n in range(1_500)]
    kinds = {type(event.input) if isinstance(event, LaneInput) else type(event) for event in said}

    assert {babble.inputs.HandCommanded} == {*babble.INPUTS, *babble.EVENTS} - kinds
