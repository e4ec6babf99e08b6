"""A car that charges: energy and idle time are on its ticket, once; what a charger says twice, late or wrong changes nothing."""

from dataclasses import replace
from random import Random

import pytest
from charging_stories import MINUTE_MS, begin, end, ev_plan, ev_story, extras, status, tell
from site_stories import AREA, IN, OUT, START_MS, Story, site_plan

from gatectl.domain.business import charging
from gatectl.domain.effects import PrintTicket, SteerCharger
from gatectl.domain.events import CashOffered, DeviceWent, LostTicketDeclared
from gatectl.domain.facts import VehicleMoved
from gatectl.domain.ids import PaymentId, RequestId
from gatectl.domain.lane import ArmingLoopChanged
from gatectl.domain.records.charging import (
    CHARGERS,
    SESSIONS,
    ChargerCleared,
    ChargerFaulted,
    ChargerSpotBlocked,
    ChargingEnded,
    ChargingFreed,
    ChargingStarted,
    ChargingToldLate,
    ChargingUnclaimed,
)


def test_a_session_belongs_to_the_stay_that_holds_the_spot() -> None:
    """8 kWh at 59 cents and a connection fee; unplugged within the grace, nothing for idling."""
    story = ev_story()
    ticket = story.enter().ticket
    session = begin(story)
    story.later(60 * MINUTE_MS)
    end(story, session, 9_000)
    story.later(20 * MINUTE_MS)
    status(story, "available")
    story.later(600 * MINUTE_MS)

    assert [("Charging EV-1, connection", 100), ("Charging EV-1, 8.000 kWh", 472)] == extras(story, ticket)


def test_a_credential_at_the_charger_comes_before_the_spot() -> None:
    """The driver of the second car shows its ticket at the first car's charger: it pays."""
    story = ev_story()
    first, second = story.enter().ticket, story.enter()
    session = begin(story, token=second.ticket)
    end(story, session, 2_000)

    assert [] == extras(story, first)
    assert [("Charging EV-1, connection", 100), ("Charging EV-1, 1.000 kWh", 59)] == extras(story, second.ticket)
    assert True is tell(story, "charger-authorize", token=second.code).data["accepted"]
    assert False is tell(story, "charger-authorize", token="someone").data["accepted"]


def test_a_credential_that_is_shown_after_the_cable_was_plugged_in_counts() -> None:
    """OCPP 2.0.1 begins a transaction when the cable is in; the ticket comes later."""
    story = ev_story()
    story.enter()
    second = story.enter().ticket
    begin(story, transaction="tx-1")
    tell(story, "charger-meter", transaction="tx-1", meter_wh=3_000, token=second)
    tell(story, "charger-end", transaction="tx-1", meter_wh=3_000)

    assert ("Charging EV-1, 2.000 kWh", 118) in extras(story, second)


def test_idle_time_begins_when_the_car_is_full_and_ends_when_it_is_unplugged() -> None:
    """Full after an hour, still plugged in 47 minutes later: 17 beyond the grace. After it was unplugged no more."""
    story = ev_story()
    ticket = story.enter().ticket
    session = begin(story)
    story.later(60 * MINUTE_MS)
    tell(story, "charger-meter", transaction=str(session["transaction_id"]), meter_wh=5_000)
    status(story, "paused")
    story.later(40 * MINUTE_MS)
    end(story, session, 5_000)
    story.later(7 * MINUTE_MS)

    assert ("Charging EV-1, 17 min idle", 170) in extras(story, ticket)
    status(story, "available")
    story.later(300 * MINUTE_MS)
    assert ("Charging EV-1, 17 min idle", 170) in extras(story, ticket)


def test_a_charger_that_is_faulted_or_lost_proves_no_idle_time() -> None:
    """Whether the car was unplugged meanwhile nobody can say: the time from then on is not charged."""
    for lose in ("fault", "lose"):
        story = ev_story()
        ticket = story.enter().ticket
        end(story, begin(story), 2_000)
        story.later(35 * MINUTE_MS)
        if lose == "fault":
            status(story, "faulted", error="GroundFailure")
        else:
            story.tell(DeviceWent("wallbox-1", False, "connection closed", ()))
        story.later(300 * MINUTE_MS)

        assert ("Charging EV-1, 5 min idle", 50) in extras(story, ticket)


def test_a_session_ends_with_its_stay_and_what_is_told_later_is_nobodys_debt() -> None:
    """The car leaves, the charger never told of the end; when it does, the rest is on record and on no ticket."""
    story = ev_story()
    printed = story.enter()
    session = begin(story)
    tell(story, "charger-meter", transaction=str(session["transaction_id"]), meter_wh=2_000)
    _leave(story, printed)
    end(story, session, 2_300)
    end(story, session, 2_300)

    assert [("left", 1_000)] == [(f.reason, f.energy_wh) for f in story.facts if isinstance(f, ChargingEnded)]
    assert [(1_300, 300)] == [(f.energy_wh, f.unbilled_wh) for f in story.facts if isinstance(f, ChargingToldLate)]
    story.later(charging.LATE_MS + MINUTE_MS).later(MINUTE_MS)
    assert 0 == story.site.books.tables.count(SESSIONS)


def _leave(story: Story, printed: PrintTicket) -> None:
    offered = CashOffered(RequestId("p"), PaymentId("p"), printed.ticket, None, 100_000, "till", "mia")
    story.tell(offered)
    story.show_code(printed.code)
    story.drive_over(OUT)
    assert printed.ticket not in story.site.books.stays


def test_what_is_told_twice_is_one_session_and_one_end() -> None:
    """A charge point sends what it saw no answer to again: the same number, and no fact."""
    story = ev_story()
    story.enter()
    words: dict[str, str | int] = {"connector": 1, "meter_wh": 1_000, "told_ms": START_MS}
    numbers = [tell(story, "charger-begin", **words).data["number"] for _ in range(3)]
    for _ in range(3):
        tell(story, "charger-end", transaction=str(numbers[0]), meter_wh=4_000)

    assert [1, 1, 1] == numbers
    assert 1 == len([f for f in story.facts if isinstance(f, ChargingStarted)])
    assert 1 == len([f for f in story.facts if isinstance(f, ChargingEnded)])


def test_a_meter_that_goes_backwards_is_doubted_and_costs_what_was_seen_before() -> None:
    """The highest reading that was believed stands, and the record says that one was not."""
    story = ev_story()
    ticket = story.enter().ticket
    session = begin(story)
    tell(story, "charger-meter", transaction=str(session["transaction_id"]), meter_wh=6_000)
    end(story, session, 200)
    (ended,) = [f for f in story.facts if isinstance(f, ChargingEnded)]

    assert (5_000, "meter-backwards") == (ended.energy_wh, ended.doubt)
    assert ("Charging EV-1, 5.000 kWh", 295) in extras(story, ticket)


def test_a_session_that_nobody_explains_is_told_and_can_be_claimed() -> None:
    """Nobody is at the spot and the credential is a stranger's: a person at the desk finds the driver."""
    story = ev_story()
    session = begin(story, token="stranger")
    end(story, session, 3_000)
    ticket = story.enter().ticket

    assert 1 == len([f for f in story.facts if isinstance(f, ChargingUnclaimed)])
    words = {"session": str(session["session"]), "ticket": ticket, "reason": "came to the desk"}
    assert "" == tell(story, "charging-claim", "mia", **words).code
    assert ("Charging EV-1, 2.000 kWh", 118) in extras(story, ticket)


def test_a_replaced_ticket_takes_its_charging_with_it() -> None:
    """Who loses the ticket does not lose the bill."""
    story = ev_story()
    ticket = story.enter().ticket
    end(story, begin(story), 3_000)
    story.tell(LostTicketDeclared(RequestId("lost"), OUT, ticket, None, "mia", "lost it"))
    (replacement,) = story.site.books.stays

    assert ("Charging EV-1, 2.000 kWh", 118) in extras(story, replacement)


def test_a_fault_is_told_once_and_over_once() -> None:
    """A connector's fault is its own; the whole charge point's is every connector's."""
    story = ev_story()
    for _ in range(2):
        status(story, "faulted", error="OverCurrentFailure")
    for _ in range(2):
        status(story, "available")
    status(story, "faulted", connector=0, error="PowerMeterFailure")
    status(story, "available", connector=0)

    assert ["EV-1", "EV-1", "EV-2"] == [f.charger for f in story.facts if isinstance(f, ChargerFaulted)]
    assert ["EV-1", "EV-1", "EV-2"] == [f.charger for f in story.facts if isinstance(f, ChargerCleared)]


def test_a_car_that_stands_at_a_charger_and_does_not_charge_is_shown_once() -> None:
    """A quarter of an hour is time enough to find the cable; one that has charged may stand there."""
    story = ev_story()
    story.enter()
    second = story.enter().ticket
    end(story, begin(story), 2_000)
    for _ in range(40):
        story.later(MINUTE_MS)

    assert [second] == [f.ticket for f in story.facts if isinstance(f, ChargerSpotBlocked)]


def test_electric_spots_are_for_electric_cars() -> None:
    """A petrol car gets none, however empty they are."""
    plan = ev_plan()
    story = Story(replace(plan, lanes=site_plan().lanes)).start()
    for _ in range(2):
        story.enter()
    story.at(IN, ArmingLoopChanged(replace(story.site.lanes[IN].arming, on=True)))

    assert {"ELECTRIC": 2, "COMPACT": 0} == story.site.books.spots.free(AREA)


def test_people_start_and_stop_a_charger() -> None:
    """What is asked of the charger is on record before it is asked; a charger that refuses is on record too."""
    story = ev_story()
    ticket = story.enter().ticket
    assert "" == tell(story, "charging-start", "mia", charger="EV-1", ticket=ticket, reason="no card").code
    assert "E-NOT-01" == tell(story, "charging-stop", "mia", charger="EV-1", reason="asked").code
    assert "E-NOT-01" == tell(story, "charging-start", "mia", charger="EV-9", ticket=ticket).code
    session = begin(story, token=ticket)
    assert "" == tell(story, "charging-stop", "mia", charger="EV-1", reason="asked").code

    steered = [(e.charger, e.act, e.about) for e in story.effects if isinstance(e, SteerCharger)]
    assert [("EV-1", "start", ticket), ("EV-1", "stop", session["transaction_id"])] == steered


def test_another_session_ends_the_one_before() -> None:
    """A charge point that forgot a transaction begins another: the first is over; its end, told later, counts once."""
    story = ev_story()
    ticket = story.enter().ticket
    first = begin(story, 1_000)
    second = begin(story, 3_000)
    end(story, first, 3_000)
    end(story, second, 4_000)
    end(story, first, 3_000)

    sold = [amount for text, amount in extras(story, ticket) if text.endswith("kWh")]
    assert [118, 59] == sold
    assert 2 == len([f for f in story.facts if isinstance(f, ChargingFreed)]) + 1


@pytest.mark.parametrize(("energy_wh", "minor"), [(0, 0), (8, 0), (9, 1), (500, 30), (1_000, 59), (8_475, 500)])
def test_energy_is_rounded_to_the_nearest_minor_unit(energy_wh: int, minor: int) -> None:
    """59 cents a kilowatt-hour: a half cent is a cent."""
    assert minor == charging.energy_minor(energy_wh, 59)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_charger_says_energy_is_billed_once_and_never_negative(seed: int) -> None:
    """A charger that repeats, reorders, forgets and lies: the lines never sum to more energy than its meter moved."""
    rng = Random(f"charging {seed}")
    story = ev_story()
    ticket = story.enter().ticket
    told: list[tuple[str, dict[str, str | int]]] = []
    meter, billed_before = 1_000, 0
    for step in range(60):
        moved = rng.choice([0, 100, 700, 3_000])
        meter += moved
        reading = meter if rng.random() < 0.9 else rng.randint(0, meter)
        verb = rng.choice(["charger-begin", "charger-meter", "charger-end", "charger-meter", "charger-status"])
        words: dict[str, str | int] = {"transaction": f"tx-{rng.randint(1, 4)}", "meter_wh": reading}
        if verb == "charger-begin":
            words |= {"connector": 1, "meter_wh": meter}
        if verb == "charger-status":
            words = {"connector": 1, "status": rng.choice(["available", "charging", "paused", "faulted"])}
        told.append((verb, words))
        again = rng.choice(told) if rng.random() < 0.3 else (verb, words)
        assert "" == tell(story, again[0], **again[1]).code, step
        story.later(rng.choice([1_000, MINUTE_MS, 40 * MINUTE_MS]))
        sessions = list(story.site.books.tables.all(SESSIONS))
        energies = [int(str(row["energy_wh"])) for row in sessions]
        billed = sum(amount for text, amount in extras(story, ticket) if text.endswith("kWh"))
        assert min(energies, default=0) >= 0
        assert sum(energies) <= meter - 1_000
        assert billed >= billed_before
        assert sum(row["state"] == "charging" for row in sessions) <= 1
        billed_before = billed
    assert {row["charger"] for row in story.site.books.tables.all(CHARGERS)} == {"EV-1", "EV-2", "EV-3"}


def test_a_stay_that_goes_on_into_another_area_leaves_its_charger() -> None:
    """Its spot there is another one: who comes to the charger next is not taken for it."""
    story = ev_story()
    ticket = story.enter().ticket
    story.site._record(VehicleMoved(ticket, OUT, AREA, AREA, None, None, None, story.now.wall_ms))

    assert [] == list(story.site.books.tables.where(CHARGERS, "ticket", ticket))
