"""Reservations: what was promised is there, also when the site heard nothing of it but from its driver."""

from random import Random

import pytest
from right_stories import (
    HOUR_MS,
    MINUTE_MS,
    asked,
    due,
    enters,
    fed,
    leaves,
    refused,
    reservation_code,
    shows,
)
from site_stories import AREA, IN, OFF, ON, START_MS, Story, site_plan

from gatectl.domain import facts as f
from gatectl.domain.business.rule import TURN_MS
from gatectl.domain.effects import ShowText
from gatectl.domain.events import ReceivedWhole
from gatectl.domain.lane import Arm, ArmingLoopChanged, ArmMoved, ButtonPressed
from gatectl.domain.records import reservations as r
from gatectl.domain.records.reservations import RESERVATIONS

NOON = (START_MS + HOUR_MS) // MINUTE_MS * MINUTE_MS


def site(spots: int = 3, quota: int = 0) -> Story:
    story = Story(plan=site_plan(spots)).start()
    if quota:
        fed(story, "quota", "main/COMPACT", {"spots": quota})
    return story


def terms(**other: object) -> dict[str, object]:
    usual = {"area": "main", "spot_type": "COMPACT", "from_ms": NOON, "until_ms": NOON + 2 * HOUR_MS}
    return {**usual, **other}


def walks_in(story: Story) -> str:
    """A driver without anything presses; who gets a ticket goes in."""
    before = len(story.effects)
    story.at(IN, ArmingLoopChanged(ON), ButtonPressed())
    told = [effect.text for effect in story.effects[before:] if isinstance(effect, ShowText)]
    story.at(IN, ArmingLoopChanged(OFF))
    if any("Full" in text for text in told):
        return next(text for text in told if "Full" in text)
    story.enter()
    return "in"


def state(story: Story, reservation: str) -> object:
    row = story.site.books.tables.get(RESERVATIONS, reservation)
    return row["state"] if row is not None else None


def until(story: Story, at_ms: int) -> Story:
    return story.later(at_ms - story.now.wall_ms).later(TURN_MS)


def test_the_code_alone_lets_in_and_out_again() -> None:
    """The site was cut off when it was sold: everything is on what the driver brings, prepaid until its end."""
    story = site(quota=1)
    code = reservation_code(story, "R1", NOON, 120, prepaid_minor=900)
    until(story, NOON)

    enters(story, code)
    assert ["reservation.made", "reservation.used"] == [x.kind for x in story.facts if x.kind.startswith("reserv")]
    story.later(HOUR_MS)
    assert (0, 0) == (due(story).due_minor, due(story).total_minor)
    leaves(story, code)
    assert "left" == state(story, "R1")
    assert not story.has(f.PaymentTaken)


def test_a_code_is_used_once() -> None:
    """While inside, after leaving, and when its time is over and nobody remembers it."""
    story = site()
    code = reservation_code(story, "R1", START_MS, 120)
    enters(story, code)

    assert "E-RSV-02" == refused(story, code)
    story.later(MINUTE_MS)
    leaves(story, code)
    assert "E-RSV-02" == refused(story, code)
    until(story, START_MS + 2 * HOUR_MS)
    assert None is state(story, "R1")
    assert "E-RSV-05" == refused(story, code)


def test_who_backs_out_keeps_the_reservation() -> None:
    story = site()
    code = reservation_code(story, "R1", START_MS, 120)
    assert "open" == shows(story, code)
    story.at(IN, ArmMoved(Arm.UP), ArmingLoopChanged(OFF))
    story.later(5_000).at(IN, ArmMoved(Arm.DOWN))

    assert "booked" == state(story, "R1")
    enters(story, code)


def test_early_late_and_over() -> None:
    """Fifteen minutes early is right, more is too early; released after its late tolerance; over at its end."""
    story = site()
    fed(story, "reservation", "R1", terms(late_minutes=30))
    code = reservation_code(story, "R1", NOON, 120)
    until(story, NOON - 16 * MINUTE_MS)
    assert "E-RSV-04" == refused(story, code)
    until(story, NOON + 31 * MINUTE_MS)
    assert "released" == state(story, "R1")
    until(story, NOON + 2 * HOUR_MS)
    assert None is state(story, "R1")
    assert "E-RSV-05" == refused(story, code)


def test_released_it_still_gets_what_a_walk_in_would() -> None:
    """Its place went to somebody else; if there is another one it is its driver's."""
    story = site(spots=2)
    fed(story, "reservation", "R1", terms(late_minutes=30))
    code = reservation_code(story, "R1", NOON, 120)
    until(story, NOON + 31 * MINUTE_MS)
    assert ["in", "in"] == [walks_in(story), walks_in(story)]
    assert "E-FULL-01" == refused(story, code)
    printed = next(iter(story.site.books.stays))
    story.site.books.fold(f.TicketWrittenOff(printed, "mia", "gone"))
    enters(story, code)


def test_the_quota_is_kept_from_walk_ins() -> None:
    """Three spots, two of them the office's to sell: one walk-in, then full for them, and both reservations get in."""
    story = site(spots=3, quota=2)

    assert "in" == walks_in(story)
    assert "Full for car\nKept for reservations" == walks_in(story)
    for name in ("R1", "R2"):
        enters(story, reservation_code(story, name, START_MS, 120))
    assert "Full for car" == walks_in(story)
    assert {"COMPACT": 0} == story.site.books.spots.free(AREA)


def test_who_overstays_fills_no_quota() -> None:
    """The office has sold the place again from the end on: of what becomes free the site keeps one more."""
    story = site(spots=3, quota=1)
    enters(story, reservation_code(story, "R1", START_MS, 60))
    assert "in" == walks_in(story)
    until(story, START_MS + HOUR_MS)

    assert "overstayed" == state(story, "R1")
    assert "Full for car\nKept for reservations" == walks_in(story)
    enters(story, reservation_code(story, "R2", START_MS + HOUR_MS, 60))


def test_an_overstay_costs_what_a_stay_from_the_end_on_would() -> None:
    """Paid for one hour, stays for two and a half: five minutes of grace are over, 1.5 h at 3.00 are due."""
    story = site()
    enters(story, reservation_code(story, "R1", START_MS, 60, prepaid_minor=250))
    story.later(START_MS // MINUTE_MS * MINUTE_MS + 150 * MINUTE_MS - story.now.wall_ms)

    price = due(story)
    assert 500 == price.due_minor
    assert price.total_minor == sum(line.amount_minor for line in price.lines)


def test_without_prepayment_the_tariff_prices_the_stay() -> None:
    story = site()
    enters(story, reservation_code(story, "R1", START_MS, 60))
    story.later(HOUR_MS - MINUTE_MS)

    assert 300 == due(story).due_minor


def test_what_is_sold_here_is_kept_beside_the_quota() -> None:
    """From an hour before its driver may come one spot more is kept, until it is used, released or cancelled."""
    story, begins = site(spots=3, quota=1), NOON + 2 * HOUR_MS
    reply = asked(story, "reservation-add", area="main", spot_type="COMPACT", from_ms=begins, until_ms=begins + HOUR_MS)
    assert "" == reply.code
    name, code = str(reply.data["reservation"]), str(reply.data["code"])
    until(story, begins - 80 * MINUTE_MS)
    assert "booked" == state(story, name)
    until(story, begins - 75 * MINUTE_MS)
    assert "held" == state(story, name)
    assert "in" == walks_in(story)
    assert "Full for car\nKept for reservations" == walks_in(story)
    until(story, begins)
    enters(story, code)
    enters(story, reservation_code(story, "R2", begins, 60))


def test_no_more_is_sold_here_than_there_is_beside_the_quota() -> None:
    """Two spots, one the office's: the second reservation of the same hours is refused, one for later is not."""
    story = site(spots=2, quota=1)
    hours = {"from_ms": NOON, "until_ms": NOON + HOUR_MS}
    later = {"from_ms": NOON + HOUR_MS, "until_ms": NOON + 2 * HOUR_MS}

    replies = [
        asked(story, "reservation-add", area="main", spot_type="COMPACT", reservation=name, **when)
        for name, when in (("R1", hours), ("R2", hours), ("R3", later))
    ]
    assert ["", "E-FULL-01", ""] == [reply.code for reply in replies]
    assert "E-FULL-01" == asked(story, "reservation-extend", reservation="R1", until_ms=NOON + 90 * MINUTE_MS).code
    assert "" == asked(story, "reservation-cancel", reservation="R3", reason="asked for").code
    assert "" == asked(story, "reservation-extend", reservation="R1", until_ms=NOON + 90 * MINUTE_MS).code
    assert NOON + 90 * MINUTE_MS == story.site.books.tables.get(RESERVATIONS, "R1")["until_ms"]  # type: ignore[index]  # it is there


def test_a_pin_or_a_plate_is_enough() -> None:
    story = site()
    added: dict[str, str | int] = {
        "area": "main",
        "spot_type": "COMPACT",
        "from_ms": START_MS,
        "until_ms": NOON + HOUR_MS,
    }
    assert "" == asked(story, "reservation-add", reservation="R1", pin="12345", **added).code

    enters(story, "12345")
    story.later(MINUTE_MS)
    leaves(story, "12345")


def test_the_office_cancels_and_takes_away() -> None:
    """By a row that says so (which also refuses a code that the site never heard of), or by a row that is gone."""
    story = site()
    code = reservation_code(story, "R1", START_MS, 120)
    now = {"from_ms": START_MS, "until_ms": NOON + HOUR_MS}
    fed(story, "reservation", "R1", terms(**now, cancelled=True))
    assert "E-RSV-03" == refused(story, code)
    assert () == fed(story, "reservation", "R1", terms(**now, cancelled=True))

    fed(story, "reservation", "R2", terms(**now))
    story.tell(ReceivedWhole("reservation", ("R1",), "office"))
    assert "E-RSV-03" == refused(story, reservation_code(story, "R2", START_MS, 120))


def test_the_row_may_come_after_the_driver() -> None:
    """The feed brings what the code said already: the stay goes on, and nothing is counted twice."""
    story = site(quota=1)
    until(story, NOON)
    enters(story, reservation_code(story, "R1", NOON, 120))
    fed(story, "reservation", "R1", terms(holder="guest 7"))

    assert "used" == state(story, "R1")
    story.tell(ReceivedWhole("reservation", (), "office"))
    assert "used" == state(story, "R1")
    leaves(story, reservation_code(story, "R1", NOON, 120))


@pytest.mark.parametrize(
    "change", [{"spot_type": "LARGE"}, {"until_ms": 1}, {"credentials": ["4711"]}, {"colour": 1}], ids=str
)
def test_a_row_that_does_not_fit_is_refused_by_name(change: dict[str, object]) -> None:
    story = site()

    (fact,) = fed(story, "reservation", "R1", terms(**change))
    assert isinstance(fact, f.CommandRefused)
    assert None is state(story, "R1")


def test_a_forged_or_foreign_code_is_nobodys() -> None:
    story = site()
    good = reservation_code(story, "R1", START_MS, 120)
    other = Story(plan=site_plan(keys=b"x" * 32))

    for code in (
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        reservation_code(other, "R1", START_MS, 120),
        good[:-8],
    ):
        assert "E-CRED-01" == refused(story, code)


def test_whatever_walk_ins_do_the_quota_is_there() -> None:
    """A random day without word from the office: it sells within its quota, and every driver it sent gets in."""
    rng = Random("a day alone")
    story = site(spots=12, quota=5)
    sold: dict[str, int] = {}
    inside: dict[str, str] = {}
    for step in range(120):
        story.later(5 * MINUTE_MS)
        now = story.now.wall_ms
        sold = {name: end for name, end in sold.items() if end > now or name in inside}
        chosen = rng.random()
        if chosen < 0.4 and len(sold) < 5:
            name = f"R{step}".replace("0", "Z")
            minutes = rng.randrange(30, 180)
            code = reservation_code(story, name, now, minutes, prepaid_minor=500)
            enters(story, code)
            sold[name], inside[name] = now // MINUTE_MS * MINUTE_MS + minutes * MINUTE_MS, code
        elif chosen < 0.8:
            walks_in(story)
        for name in [name for name, end in sold.items() if end - now < 6 * MINUTE_MS and name in inside]:
            leaves(story, inside.pop(name))
        walk_ins = [
            t
            for t in story.site.books.stays
            if t not in {x.ticket for x in story.facts if isinstance(x, r.ReservationUsed)}
        ]
        if walk_ins and rng.random() < 0.3:
            story.site.books.fold(f.TicketWrittenOff(rng.choice(walk_ins), "mia", "gone"))
        assert len(walk_ins) <= 7
