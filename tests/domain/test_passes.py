"""Passes: in and out without paper, within their terms, whatever happened to the cars before."""

from dataclasses import replace
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest
from right_stories import HOUR_MS, MINUTE_MS, asked, due, enters, fed, leaves, pass_code, refused, shows
from site_stories import IN, OFF, ON, START_MS, Story, site_plan

from gatectl.domain import facts as f
from gatectl.domain.business.credentials import hashed, plate_read
from gatectl.domain.business.pass_hours import covered, parsed, uncovered
from gatectl.domain.events import ReceivedWhole
from gatectl.domain.ids import TimeQuality
from gatectl.domain.lane import Arm, ArmingLoopChanged, ArmMoved, ButtonPressed, CodeWasRead
from gatectl.domain.lane_codes import PIN_MISSES_MAX, PIN_WAIT_MS
from gatectl.domain.records.passes import PASS_STAYS, PASSES, PassFreed, PassGranted, PassUsed

DAY_MS = 24 * HOUR_MS


def site(spots: int = 3) -> Story:
    return Story(plan=site_plan(spots)).start()


def body(**terms: object) -> dict[str, object]:
    return {"from_ms": START_MS - HOUR_MS, **terms}


def with_pass(**terms: object) -> Story:
    story = site()
    assert isinstance(fed(story, "pass", "M1", body(**terms))[0], PassGranted)
    return story


def counted(story: Story) -> int:
    return sum(1 for stay in story.site.books.tables.all(PASS_STAYS) if stay["counted"])


def test_a_pass_goes_in_and_out_without_paper_and_pays_nothing() -> None:
    """A virtual ticket with its spot, recorded in one batch with the use of the pass; 0 due; free again behind it."""
    story = with_pass()
    code = pass_code(story, "M1")

    assert "open" == shows(story, code)
    assert [f.TicketIssued, PassUsed, f.TicketTaken, f.VendIntended] == [type(x) for x in story.batches[-1].facts]
    story.drive_over(IN)
    story.later(30 * HOUR_MS)
    assert (0, 0) == (due(story).total_minor, due(story).due_minor)
    leaves(story, code)
    assert [PassFreed] == [type(fact) for fact in story.facts if fact.kind == "pass.freed"]
    assert {} == story.site.books.stays


def test_who_backs_out_has_not_used_the_pass() -> None:
    """The arm was up, the car reversed: the virtual ticket is void, the pass is outside."""
    story = with_pass()
    assert "open" == shows(story, pass_code(story, "M1"))
    story.at(IN, ArmMoved(Arm.UP), ArmingLoopChanged(OFF))
    story.later(60_000)

    assert story.has(f.TicketVoided)
    assert 0 == counted(story)


def test_cards_pins_and_plates_are_known_by_their_keys() -> None:
    """What was read is in no fact; a plate is a camera's word and no reader's."""
    story = site()
    site_id = story.plan.site
    keys = [hashed(site_id, "card", "04A1B2C3"), hashed(site_id, "pin", "4711"), "plate:AB123C"]
    fed(story, "pass", "M1", body(credentials=keys, cars=9))

    for shown in ("04A1B2C3", "4711", plate_read("ab-123 c")):
        enters(story, shown)
    assert "E-CRED-01" == refused(story, "plate:AB123C")
    assert not any("04A1B2C3" in repr(fact) or "4711" in repr(fact) for fact in story.facts)


def test_pins_are_not_tried_out() -> None:
    """After five that nobody has, no PIN is looked at for a minute; a card is, all the while."""
    story = site()
    site_id = story.plan.site
    fed(story, "pass", "M1", body(credentials=[hashed(site_id, "pin", "4711"), hashed(site_id, "card", "04A1")]))

    for pin in range(PIN_MISSES_MAX):
        assert "E-CRED-01" == refused(story, f"{pin:04d}")
    assert "E-CRED-02" == refused(story, "4711")
    enters(story, "04A1")
    leaves(story, "04A1")
    story.later(PIN_WAIT_MS)
    enters(story, "4711")


def test_anti_passback() -> None:
    """hard: refused while inside; soft: let in and reported; timed: refused for a while, then let in and reported."""
    hard, soft = with_pass(), with_pass(antipassback="soft")
    timed = with_pass(antipassback="timed", reentry_minutes=30)
    for story in (hard, soft, timed):
        enters(story, pass_code(story, "M1"))

    assert "E-PASS-06" == refused(hard, pass_code(hard, "M1"))
    assert "E-PASS-06" == refused(timed, pass_code(timed, "M1"))
    timed.later(30 * MINUTE_MS)
    for story in (soft, timed):
        enters(story, pass_code(story, "M1"))
        assert [False, True] == [fact.passback for fact in story.facts if isinstance(fact, PassUsed)]


def test_a_neutral_pass_goes_in_again() -> None:
    """The lane stood open and the car went out unseen; a named person says so."""
    story = with_pass()
    enters(story, pass_code(story, "M1"))

    assert "" == asked(story, "pass-neutral", pass_id="M1", reason="stood open").code
    enters(story, pass_code(story, "M1"))
    assert "" == asked(story, "pass-neutral-all", reason="stood open").code
    assert 0 == counted(story)
    leaves(story, pass_code(story, "M1"))


def test_a_suspended_pass_is_refused_and_its_car_goes_out() -> None:
    story = with_pass(cars=2)
    enters(story, pass_code(story, "M1"))

    assert "" == asked(story, "pass-suspend", pass_id="M1", reason="not paid").code
    assert "E-PASS-02" == refused(story, pass_code(story, "M1"))
    leaves(story, pass_code(story, "M1"))
    assert "" == asked(story, "pass-resume", pass_id="M1").code
    enters(story, pass_code(story, "M1"))


def test_a_contract_limits_all_its_passes() -> None:
    """One car at once for two passes: the second is refused, or pays like anybody, as the contract says."""
    story = site()
    fed(story, "contract", "acme", {"cars": 1, "excess": "refuse"})
    for name in ("M1", "M2"):
        fed(story, "pass", name, body(contract="acme"))
    enters(story, pass_code(story, "M1"))

    assert "E-PASS-05" == refused(story, pass_code(story, "M2"))
    fed(story, "contract", "acme", {"cars": 1, "excess": "transient"})
    enters(story, pass_code(story, "M2"))
    leaves(story, pass_code(story, "M1"))
    story.later(2 * HOUR_MS)
    assert due(story).due_minor >= 600
    assert "Pass M2: over its contract's limit" == due(story).lines[-1].text


def test_beside_its_hours_a_pass_pays() -> None:
    """Until 23:00 it is covered, the hour after costs what an hour's stay does; and nobody comes in by it then."""
    story = with_pass(hours="mon-sun 00:00-23:00")
    enters(story, pass_code(story, "M1"))  # 22:26 local time, half an hour before the end
    story.later(90 * MINUTE_MS)

    price = due(story)
    assert 0 < price.due_minor <= 300
    assert price.total_minor == sum(line.amount_minor for line in price.lines)
    assert "E-PASS-04" == refused(story, pass_code(story, "M1"))


def test_grace_after_the_end() -> None:
    """Two weeks: one pass lets in free with a word to its driver, the other lets in and the tariff prices it; then neither."""
    free, priced = (with_pass(until_ms=START_MS + HOUR_MS, grace_days=14, grace=grace) for grace in ("free", "priced"))
    for story, least in ((free, 0), (priced, 300)):
        story.later(DAY_MS)
        enters(story, pass_code(story, "M1"))
        story.later(HOUR_MS)
        assert (least > 0) == (due(story).due_minor > 0)
        leaves(story, pass_code(story, "M1")) if not least else None
    free.later(14 * DAY_MS)
    assert "E-PASS-03" == refused(free, pass_code(free, "M1"))


@pytest.mark.parametrize(
    ("code", "change"),
    [("E-PASS-03", {"from_ms": START_MS + DAY_MS}), ("E-PASS-04", {"areas": []}), ("E-PASS-01", None)],
)
def test_what_a_pass_does_not_allow(code: str, change: dict[str, object] | None) -> None:
    """Not yet valid; another area's; signed and unknown."""
    story = Story(plan=replace(site_plan(), areas=(*site_plan().areas, "roof"))).start()  # type: ignore[arg-type]  # a name is enough
    if change is not None:
        fed(story, "pass", "M1", body(**({"areas": ["roof"]} if "areas" in change else change)))

    assert code == refused(story, pass_code(story, "M1"))


def test_the_feed_is_idempotent_and_takes_away() -> None:
    """The same row again makes no fact; a changed one changes; one that is gone from the whole feed is withdrawn once."""
    story = with_pass(cars=1)

    assert () == fed(story, "pass", "M1", body(cars=1))
    assert ["pass.changed"] == [fact.kind for fact in fed(story, "pass", "M1", body(cars=2))]
    story.tell(ReceivedWhole("pass", ("M2",), "office"))
    assert ["pass.withdrawn"] == [fact.kind for fact in story.batches[-1].facts]
    story.tell(ReceivedWhole("pass", ("M2",), "office"))
    assert () == story.batches[-1].facts
    assert "E-PASS-03" == refused(story, pass_code(story, "M1"))
    fed(story, "pass", "M1", body(cars=2))
    enters(story, pass_code(story, "M1"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"from_ms": "today"},
        body(cars=0),
        body(hours="sometimes"),
        body(areas=["moon"]),
        body(credentials=["4711"]),
        body(colour="red"),
        body(until_ms=1),
    ],
    ids=str,
)
def test_a_row_that_does_not_fit_is_refused_by_name(wrong: dict[str, object]) -> None:
    """On record, and nothing else comes of it."""
    story = site()

    (fact,) = fed(story, "pass", "M1", wrong)
    assert isinstance(fact, f.CommandRefused)
    assert "pass M1" == fact.command
    assert 0 == story.site.books.tables.count(PASSES)


def test_a_pass_needs_a_clock_and_a_free_spot() -> None:
    """Nobody can say whether it is valid, or nobody could park."""
    story = site(1)
    fed(story, "pass", "M1", body())
    story.now = replace(story.now, quality=TimeQuality.UNSET)
    assert "E-TIME-01" == refused(story, pass_code(story, "M1"))
    story.now = replace(story.now, quality=TimeQuality.SYNCED)
    story.enter()
    assert "E-FULL-01" == refused(story, pass_code(story, "M1"))


def test_a_credential_waits_for_the_arm() -> None:
    """The next vehicle shows its pass while the arm is still up behind the last one; it is served when it is down."""
    story = with_pass()
    story.at(IN, ArmingLoopChanged(ON), ButtonPressed())
    story.at(IN, ArmingLoopChanged(OFF))
    enters(story, pass_code(story, "M1"))
    story.at(IN, ArmingLoopChanged(ON))
    assert "E-PASS-06" == refused(story, pass_code(story, "M1"))
    story.at(IN, CodeWasRead("nobody's"))
    assert isinstance(story.facts[-1], f.CodeRefused)
    assert "E-LANE-04" == story.facts[-1].why


def test_hours_cover_what_they_say() -> None:
    """Random windows and stays: the covered parts are apart, inside, and with the rest they are the whole."""
    rng = Random("hours")
    zone = ZoneInfo("Europe/Amsterdam")
    texts = ["", "mon-fri 07:00-19:00", "sat,sun 22:00-06:00; mon 00:00-24:00", "sun-tue 12:00-02:00; fri 08:00-09:00"]
    for _ in range(200):
        windows = parsed(rng.choice(texts))
        begin = START_MS + rng.randrange(200 * DAY_MS)
        end = begin + rng.randrange(1, 5 * DAY_MS)
        parts = covered(windows, begin, end, zone)
        rest = uncovered(parts, begin, end)
        whole = sorted([*parts, *rest])
        assert (begin, end) == (whole[0][0], whole[-1][1])
        assert all(before[1] == after[0] for before, after in pairwise(whole))
        assert all(b < e for b, e in whole)


def test_a_walk_of_passes_keeps_its_counts() -> None:
    """Whatever cars do: as many count as came in and did not leave, never more than the pass allows while it is hard."""
    rng = Random("walk of passes")
    story = Story(plan=site_plan(40)).start()
    for name, cars in (("M1", 1), ("M2", 3)):
        fed(story, "pass", name, body(cars=cars))
    inside = {"M1": 0, "M2": 0}
    for _ in range(150):
        name = rng.choice(["M1", "M2"])
        code = pass_code(story, name)
        limit = 1 if name == "M1" else 3
        if rng.random() < 0.6:
            if inside[name] < limit:
                enters(story, code)
                inside[name] += 1
            else:
                assert "E-PASS-06" == refused(story, code)
        elif inside[name]:
            leaves(story, code)
            inside[name] -= 1
        story.later(MINUTE_MS)
        assert sum(inside.values()) == counted(story) == story.site.books.tables.count(PASS_STAYS)
