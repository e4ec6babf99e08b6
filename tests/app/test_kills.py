"""kill -9 at any moment of a car's way: the next start moves nothing, knows how long it was dark, and settles what was open."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from app_bench import SiteUnderTest

from gatectl.domain.lane import Phase

READ = {phase.value for phase in Phase} - {Phase.STARTING.value}
SETTLED = {"inside", "exited", "void", "lost", "written-off"}

Stage = Callable[[SiteUnderTest], Any]


def present(site: SiteUnderTest) -> None:
    site.sensed("IN-1", "arming", True)


def printing(site: SiteUnderTest) -> None:
    """The number is used up, the paper is on its way."""
    site.plant.printer.line_ms = 200
    site.press()


def in_mouth(site: SiteUnderTest) -> None:
    site.press()
    site.plant.wait_mouth()
    site.wait_phase("IN-1", "presented")


def intended(site: SiteUnderTest) -> None:
    """The vend is on disk; whether the arm has obeyed, nobody knows."""
    before = site.position()
    site.press()
    site.take()
    site.wait("vend.intended", before)


def opened(site: SiteUnderTest) -> None:
    intended(site)
    site.wait("vend.confirmed", lane="IN-1")


def passing(site: SiteUnderTest) -> None:
    """The car stands on the closing loop, under the arm."""
    opened(site)
    site.sensed("IN-1", "closing", True)
    site.sensed("IN-1", "arming", False)


def at_exit(site: SiteUnderTest) -> None:
    """A paid ticket is spent, the arm of the exit is up."""
    number, code = site.enter()
    site.pay(number)
    before = site.position()
    site.sensed("OUT-1", "arming", True)
    site.plant.show(code)
    site.wait("vend.confirmed", before, lane="OUT-1")


STAGES: tuple[Stage, ...] = (present, printing, in_mouth, intended, opened, passing, at_exit)
CASES = [(stage, True) for stage in STAGES] + [(stage, False) for stage in STAGES[3:]]


def drive_on(site: SiteUnderTest, stage: Stage) -> None:
    """While the site is dark, people do what people do: who stands under an arm that is up drives on."""
    lane = "OUT-1" if stage is at_exit else "IN-1"
    for role in ("arming", "closing"):
        site.plant.contact(lane, role, False)


def settle(site: SiteUnderTest) -> None:
    """Until both lanes serve again; a technician resets a lane that calls for one."""
    for lane in ("IN-1", "OUT-1"):
        phase = site.wait_phase(lane, "idle", "held-open", "out-of-service", "present")
        if phase in ("held-open", "out-of-service"):
            body = {"reason": "looked at", "request": f"mend-{lane}-{site.position()}"}
            site.daemon.post("lanes", lane, "reset", **body)
            site.wait_phase(lane, "idle")


@pytest.mark.parametrize(("stage", "gone"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_a_kill_leaves_nothing_open(site: SiteUnderTest, stage: Stage, gone: bool) -> None:
    """Whatever was under way, and whether or not the car went on in the dark: facts settle it, and the next car is served."""
    stage(site)
    site.kill()
    site.plant.printer.line_ms = 1
    killed_at = site.position()
    intended_before = len(site.events("vend.intended"))
    closed_before = [verb for _, verb in site.plant.pulses].count("close")
    if gone:
        drive_on(site, stage)

    site.start()
    started = site.wait("site.started", killed_at)
    for lane in ("IN-1", "OUT-1"):
        site.wait_phase(lane, *READ)
    verbs = [verb for _, verb in site.plant.pulses]
    assert closed_before == verbs.count("close"), "a start moved an arm"
    assert verbs.count("open") <= intended_before, "a vend was pulsed again, or one was made up"
    assert [] == site.events("vend.intended", killed_at)

    assert not started["clean"]
    dark_from_ms = site.rows("SELECT wall_ms FROM journal WHERE position = ?", killed_at)[0][0]
    assert (dark_from_ms, True) == (started["dark_from_ms"], started["dark_to_ms"] >= dark_from_ms)

    if not gone:
        drive_on(site, stage)
    settle(site)
    assert set() == {state for (state,) in site.rows("SELECT state FROM tickets")} - SETTLED
    assert [] == site.rows("SELECT vend FROM vends WHERE state NOT IN ('closed', 'failed')")
    site.check()

    number, _ = site.enter()
    assert "inside" == site.daemon.get("tickets", number)["state"]
    site.check()


@pytest.mark.parametrize("seed", [1])  # more seeds run in simulated time: gatectl simulate
def test_six_kills_in_a_row_at_random_moments(site: SiteUnderTest, seed: int) -> None:
    """A car after the other, the power gone again and again: no gap in the numbers, one end a ticket, a whole chain."""
    pick = random.Random(seed)
    for number in range(6):
        stage = pick.choice(STAGES[:-1])
        stage(site)
        site.kill()
        site.plant.printer.line_ms = 1
        drive_on(site, stage)
        site.start()
        settle(site)
        assert set() == {s for (s,) in site.rows("SELECT state FROM tickets")} - SETTLED, f"seed {seed}, kill {number}"

    starts = site.events("site.started")
    assert [True] + [False] * 6 == [event["clean"] for event in starts]
    assert 7 == len({event["boot_id"] for event in starts}) == len({event["tag"] for event in starts})
    site.check()
