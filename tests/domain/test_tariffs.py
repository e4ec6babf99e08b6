"""A tariff is read with all its faults at once, and prices a stay the same way every time."""

import json
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.domain.codec import encode
from gatectl.domain.facts import CommandRefused, Line
from gatectl.domain.tariff_bands import Bands
from gatectl.domain.tariff_rates import Flat, Hourly
from gatectl.domain.tariff_reading import DAY_MS, MINUTE_MS, WALL_MS_MAX, TariffRefused
from gatectl.domain.tariffs import (
    BODY_CHARS_MAX,
    EXIT_GRACE_MINUTES,
    RATES,
    Charge,
    Tariff,
    charge,
    chosen,
    due,
    from_body,
    parse,
    to_body,
)

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
HOUR_MS = 60 * MINUTE_MS
NOON_MS = 1_781_172_000_000  # 2026-06-11 12:00 in Amsterdam

TABLE = """
id = "day-2026"
effective_from = 2026-01-01T00:00:00Z
kind = "hourly"
base_minor = 0
per_hour_minor = 350
step_minutes = 20
daily_cap_minor = 2800
entry_grace_minutes = 10
exit_grace_minutes = 15
lost_ticket_minor = 2800
"""
DAY_2026 = Tariff("day-2026", 1_767_225_600_000, Hourly(0, 350, 20, 2800), 10, 15, 2800)

minor = st.integers(0, 100_000)
flats = st.builds(Flat, minor)
hourlies = st.builds(Hourly, minor, minor, st.integers(1, 1440), st.none()) | st.builds(
    lambda base, over, per_hour, step: Hourly(base, per_hour, step, base + over),
    minor,
    st.integers(1, 100_000),
    minor,
    st.integers(1, 1440),
)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", fullmatch=True)
tariffs = st.builds(
    Tariff, names, st.integers(0, WALL_MS_MAX), flats | hourlies, st.integers(0, 120), st.integers(0, 120), minor
)
zones = st.sampled_from([UTC, AMSTERDAM, ZoneInfo("Asia/Kolkata"), ZoneInfo("Australia/Lord_Howe")])
moments = st.integers(0, 4_102_444_800_000)  # 1970 to 2100
durations = st.one_of(
    st.integers(0, 2 * HOUR_MS),
    st.integers(0, 40 * DAY_MS),
    # About the ends of steps, of days and of the grace, where a rule changes.
    st.builds(lambda minutes, by: max(0, minutes * MINUTE_MS + by), st.integers(0, 6000), st.integers(-1, 1)),
    st.builds(lambda days, by: max(0, days * DAY_MS + by), st.integers(0, 40), st.integers(-1, 1)),
)


def priced(tariff: Tariff, ms: int, entered_ms: int = NOON_MS, zone: tzinfo = AMSTERDAM) -> Charge:
    return charge(tariff, entered_ms, entered_ms + ms, zone, "EUR")


def still_due(tariff: Tariff, now_ms: int, paid_minor: int, last_paid_ms: int | None, entered_ms: int = NOON_MS) -> int:
    charged = charge(tariff, entered_ms, now_ms, AMSTERDAM, "EUR")
    return due(
        tariff,
        charged,
        now_ms,
        paid_minor,
        last_paid_ms,
        lambda at_ms: charge(tariff, entered_ms, at_ms, AMSTERDAM, "EUR"),
    )


# -- reading --------------------------------------------------------------------------------------------------------


def test_a_table_of_the_site_file_becomes_a_tariff() -> None:
    """The example of the documentation, as tomllib reads it."""
    assert parse(tomllib.loads(TABLE)) == DAY_2026


def test_what_a_tariff_need_not_say_has_a_default() -> None:
    """An hourly tariff needs a price, and what a lost ticket costs; steps are hours and there is no cap."""
    short = {"id": "a", "effective_from": datetime(1970, 1, 1, tzinfo=UTC), "kind": "hourly"}

    tariff = parse({**short, "per_hour_minor": 200, "lost_ticket_minor": 0})

    assert Tariff("a", 0, Hourly(0, 200, 60, None), 0, EXIT_GRACE_MINUTES, 0) == tariff


def test_every_fault_is_told_at_once() -> None:
    """A site file with many mistakes is mended in one go, not in ten."""
    table = {
        "id": "no spaces",
        "effective_from": "2026-01-01",
        "kind": "hourly",
        "per_hour": 350,
        "base_minor": 1.5,
        "step_minutes": 0,
        "daily_cap_minor": True,
        "entry_grace_minutes": "10",
        "exit_grace_minutes": 10**30,
        "colour": "red",
    }

    with pytest.raises(TariffRefused) as refused:
        parse(table)

    faults = {key: (what, hint) for key, what, hint in refused.value.faults}
    assert set(table) - {"kind"} | {"lost_ticket_minor", "per_hour_minor"} == set(faults)
    assert faults["per_hour"] == ("is not a key of a hourly tariff", "did you mean per_hour_minor?")
    assert faults["colour"] == ("is not a key of a hourly tariff", "remove it")
    assert faults["per_hour_minor"] == ("is missing", "a whole number of minor units from 0 to 1000000000000")
    assert faults["base_minor"] == ("is 1.5", "a whole number of minor units from 0 to 1000000000000")
    assert faults["step_minutes"] == ("is 0", "a whole number of minutes from 1 to 1440")
    assert faults["daily_cap_minor"][0] == "is True"
    assert faults["entry_grace_minutes"][0] == "is '10'"
    assert faults["exit_grace_minutes"][0] == "is a number out of all bounds"
    assert "without quotes" in faults["effective_from"][1]


@pytest.mark.parametrize(("kind", "hint"), [("hourley", 'did you mean "hourly"?'), (7, "one of flat, hourly, bands")])
def test_an_unknown_kind_is_refused_with_the_nearest(kind: object, hint: str) -> None:
    """No strategy's key is called wrong while nobody knows the strategy."""
    with pytest.raises(TariffRefused) as refused:
        parse({**tomllib.loads(TABLE), "kind": kind})

    assert [("kind", f"is {kind!r}", hint)] == refused.value.faults


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("effective_from", datetime(2026, 1, 1)),  # noqa: DTZ001  # a TOML local date-time: nobody says whose
        ("effective_from", datetime(1969, 12, 31, tzinfo=UTC)),
        ("effective_from", datetime(2026, 1, 1, tzinfo=UTC).date()),
        ("daily_cap_minor", 0),
        ("per_hour_minor", -1),
        ("step_minutes", 1441),
        ("id", ""),
        ("id", "x" * 41),
        ("id", "day\n"),
        ("id", ["day"]),
    ],
)
def test_one_fault_is_named_by_its_key(key: str, value: object) -> None:
    """One wrong value is one fault."""
    with pytest.raises(TariffRefused) as refused:
        parse({**tomllib.loads(TABLE), key: value})

    assert [key] == [fault.key for fault in refused.value.faults]


def test_a_flat_tariff_has_no_hourly_keys() -> None:
    """A cap that would never be used is a misunderstanding, not a setting."""
    with pytest.raises(TariffRefused) as refused:
        parse({**tomllib.loads(TABLE), "kind": "flat"})

    assert [fault.key for fault in refused.value.faults] == ["per_hour_minor", "step_minutes", "daily_cap_minor"]


def test_a_cap_below_the_base_price_is_refused() -> None:
    """Each value is right, together they are not."""
    with pytest.raises(TariffRefused) as refused:
        parse({**tomllib.loads(TABLE), "base_minor": 3000})

    assert refused.value.faults == [("daily_cap_minor", "is less than base_minor", "3000 or more")]


@given(tariffs)
def test_a_tariff_survives_its_body(tariff: Tariff) -> None:
    """What the office stored and sent is the tariff that was written, and its bytes are always the same."""
    body = to_body(tariff)

    assert tariff == from_body(body)
    assert body == to_body(from_body(body))
    assert body == json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "null", "3", "[" * BODY_CHARS_MAX, " " * (BODY_CHARS_MAX + 1), "NaN", "9" * 5000, '{"id":NaN}'],
    ids=lambda body: f"{body[:9]}-{len(body)}",
)
def test_a_body_that_is_no_tariff_is_refused(body: str) -> None:
    """Whatever the office or the line makes of a body, the core thread gets a refusal."""
    with pytest.raises(TariffRefused):
        from_body(body)


def test_a_body_with_an_unknown_price_rule_is_refused() -> None:
    """A newer office's rule cannot be skipped: the price would be wrong."""
    body = json.dumps({**json.loads(to_body(DAY_2026)), "night_minor": 500})

    with pytest.raises(TariffRefused, match="night_minor"):
        from_body(body)


def test_a_refusal_can_be_recorded() -> None:
    """A key that is half a surrogate pair is refused in words that UTF-8 can hold."""
    with pytest.raises(TariffRefused) as refused:
        from_body(r'{"\ud800":1,"id":"\udfff"}')

    assert b"ud800" in encode(CommandRefused("tariff x", "office", str(refused.value)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*json.loads(to_body(DAY_2026)), "x"]), json_values))
def test_any_object_is_a_tariff_or_refused(plain: dict[str, object]) -> None:
    """Nothing but TariffRefused comes out of a hostile body, and it can be recorded."""
    try:
        tariff = from_body(json.dumps(plain))
    except TariffRefused as refused:
        encode(CommandRefused("tariff x", "office", str(refused)[:200]))
        return

    assert tariff == from_body(to_body(tariff))


# -- which one ------------------------------------------------------------------------------------------------------


def test_the_tariff_in_force_is_the_one_that_began_last() -> None:
    """Prices change on the millisecond; before the first of all, the first holds."""
    a, b, c = (
        replace(DAY_2026, tariff=name, effective_from_ms=at) for name, at in (("a", 100), ("b", 200), ("c", 200))
    )

    assert [a, a, a, b] == [chosen([b, a], at_ms) for at_ms in (0, 100, 199, 200)]
    assert c is chosen([a, b, c], 200)
    assert c is chosen([a, c, b], 200)


# -- prices ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ms", "total"),
    [
        (0, 0),
        (10 * MINUTE_MS, 0),
        (10 * MINUTE_MS + 1, 117),
        (20 * MINUTE_MS, 117),
        (20 * MINUTE_MS + 1, 233),
        (HOUR_MS, 350),
        (HOUR_MS + 1, 467),
        (8 * HOUR_MS, 2800),
        (8 * HOUR_MS + 1, 2800),
        (DAY_MS, 2800),
        (DAY_MS + 1, 2917),
        (DAY_MS + HOUR_MS, 3150),
        (3 * DAY_MS, 8400),
        (3 * DAY_MS + 1, 8517),
    ],
)
def test_the_example_tariff(ms: int, total: int) -> None:
    """3.50 an hour by 20 minutes, 28.00 a day at most, 10 minutes free: every boundary to the millisecond."""
    assert total == priced(DAY_2026, ms).total_minor


def test_a_price_explains_itself() -> None:
    """Three days and an hour: the cap is shown as what it takes off."""
    tariff = replace(DAY_2026, rate=Hourly(100, 350, 60, 2800))

    charged = priced(tariff, 3 * DAY_MS + HOUR_MS)

    expected = (
        Line("From 2026-06-11 12:00:00 CEST", 0),
        Line("To 2026-06-14 13:00:00 CEST", 0),
        Line("Stay 73 h 00 min 00 s", 0),
        Line("Day 1: Base price", 100),
        Line("Day 1: 24 x 60 min started, EUR 3.50/h", 8400),
        Line("Day 1: At most EUR 28.00 a day", -5700),
        Line("Days 2 to 3: 2 x EUR 28.00", 5600),
        Line("Day 4: 1 x 60 min started, EUR 3.50/h", 350),
    )
    assert Charge(8750, expected) == charged


def test_a_flat_price_is_the_same_for_a_minute_and_a_month() -> None:
    """Flat is a stay, not a day."""
    tariff = replace(DAY_2026, rate=Flat(500))

    assert [priced(tariff, ms).total_minor for ms in (10 * MINUTE_MS, 11 * MINUTE_MS, 30 * DAY_MS)] == [0, 500, 500]
    assert tariff.summary("EUR", NOON_MS, AMSTERDAM) == "EUR 5.00 a stay"


def test_the_summary_fits_a_ticket() -> None:
    """What the driver reads before pulling the ticket."""
    assert DAY_2026.summary("EUR", NOON_MS, AMSTERDAM) == "EUR 3.50/h, max EUR 28.00/24 h"
    assert replace(DAY_2026, rate=Hourly(100, 300, 60, None)).summary("JPY", 0, UTC) == "JPY 100 + JPY 300/h"


def test_a_clock_that_was_set_back_charges_nothing_and_says_so() -> None:
    """The wall clock steps back behind the entry: the driver does not pay for it, and is not paid."""
    charged = priced(DAY_2026, -1)

    assert Charge(0, (Line("Clock was set back during the stay, no charge", 0),)) == charged


@pytest.mark.parametrize(
    ("entered", "left", "hours", "shown"),
    [
        ("2026-03-28T23:30:00+00:00", "2026-03-29T02:30:00+00:00", 3, ("00:30:00 CET", "04:30:00 CEST")),
        ("2026-10-24T23:30:00+00:00", "2026-10-25T02:30:00+00:00", 3, ("01:30:00 CEST", "03:30:00 CET")),
        ("2026-10-25T00:30:00+00:00", "2026-10-25T01:30:00+00:00", 1, ("02:30:00 CEST", "02:30:00 CET")),
    ],
)
def test_a_clock_change_neither_costs_nor_saves(entered: str, left: str, hours: int, shown: tuple[str, str]) -> None:
    """Three real hours cost three hours, whether the wall says four (March) or two (October)."""
    entered_ms, left_ms = (int(datetime.fromisoformat(text).timestamp()) * 1000 for text in (entered, left))

    charged = charge(DAY_2026, entered_ms, left_ms, AMSTERDAM, "EUR")

    assert 350 * hours == charged.total_minor
    assert shown == tuple(line.text.split(" ", 2)[2] for line in charged.lines[:2])


def test_a_capped_day_is_24_real_hours_through_a_clock_change() -> None:
    """Noon to noon over the October change is 25 hours: a capped day and an hour."""
    entered_ms = int(datetime(2026, 10, 24, 12, tzinfo=AMSTERDAM).timestamp()) * 1000
    left_ms = int(datetime(2026, 10, 25, 12, tzinfo=AMSTERDAM).timestamp()) * 1000

    assert charge(DAY_2026, entered_ms, left_ms, AMSTERDAM, "EUR").total_minor == 2800 + 350


def test_a_wild_clock_still_gets_a_price() -> None:
    """A battery clock at the end of time is told as well as a calendar can, and stops nothing."""
    assert "To 9999-12-31" in priced(DAY_2026, 2**62).lines[1].text
    assert "From 1970-01-01" in priced(DAY_2026, HOUR_MS, entered_ms=-(2**62)).lines[0].text


@given(tariffs, moments, durations, durations, zones)
def test_a_longer_stay_never_costs_less(tariff: Tariff, at_ms: int, one: int, more: int, zone: tzinfo) -> None:
    """Nobody is better off by waiting; nothing is ever paid out."""
    short, long = (charge(tariff, at_ms, at_ms + ms, zone, "EUR").total_minor for ms in (one, one + more))

    assert 0 <= short <= long


@given(tariffs, moments, st.integers(-DAY_MS, 40 * DAY_MS), zones)
def test_the_lines_sum_to_the_total(tariff: Tariff, at_ms: int, ms: int, zone: tzinfo) -> None:
    """The explanation is the price; it fits a receipt and a record; the same stay has the same price in any zone."""
    charged = charge(tariff, at_ms, at_ms + ms, zone, "EUR")

    assert charged.total_minor == sum(line.amount_minor for line in charged.lines)
    assert 1 <= len(charged.lines) <= 10
    assert all(0 < len(line.text) <= 60 for line in charged.lines)
    assert charged == charge(tariff, at_ms, at_ms + ms, zone, "EUR")
    assert charged.total_minor == charge(tariff, at_ms, at_ms + ms, UTC, "EUR").total_minor


@given(hourlies.filter(lambda rate: rate.daily_cap_minor is not None), durations)
def test_the_cap_holds_for_every_started_day(rate: Hourly, ms: int) -> None:
    """However short the steps and high the price."""
    assert rate.daily_cap_minor is not None
    total = priced(replace(DAY_2026, rate=rate), ms).total_minor

    assert total <= -(-ms // DAY_MS) * rate.daily_cap_minor


@given(hourlies, durations)
def test_an_hourly_price_is_the_sum_of_its_days(rate: Hourly, ms: int) -> None:
    """The rule said the slow way: day by day, step by step, in fractions of a minor unit rounded once."""
    total, left, base = 0, ms, rate.base_minor
    day = DAY_MS if rate.daily_cap_minor is not None else max(ms, 1)
    while left > 0:
        steps = -(-min(left, day) // (rate.step_minutes * MINUTE_MS))
        whole, rest = divmod(steps * rate.step_minutes * rate.per_hour_minor, 60)
        price = base + whole + (1 if rest >= 30 else 0)
        total += price if rate.daily_cap_minor is None else min(price, rate.daily_cap_minor)
        left, base = left - day, 0

    assert total == priced(replace(DAY_2026, rate=rate, entry_grace_minutes=0), ms).total_minor


@given(tariffs)
def test_the_entry_grace_ends_on_the_millisecond(tariff: Tariff) -> None:
    """Free until and with the last millisecond; then the whole stay counts."""
    grace_ms = tariff.entry_grace_minutes * MINUTE_MS

    assert priced(tariff, grace_ms).total_minor == 0
    without = replace(tariff, entry_grace_minutes=0)
    assert priced(without, grace_ms + 1).total_minor == priced(tariff, grace_ms + 1).total_minor


# -- what is due ----------------------------------------------------------------------------------------------------


def test_after_paying_the_exit_grace_runs() -> None:
    """An hour is paid; for fifteen minutes nothing is due, a millisecond later the whole time less what was paid."""
    paid_ms = NOON_MS + HOUR_MS
    grace_ms = 15 * MINUTE_MS

    assert still_due(DAY_2026, paid_ms, 0, None) == 350
    assert still_due(DAY_2026, paid_ms, 350, paid_ms) == 0
    assert still_due(DAY_2026, paid_ms + grace_ms, 350, paid_ms) == 0
    assert still_due(DAY_2026, paid_ms + grace_ms + 1, 350, paid_ms) == 467 - 350


def test_a_part_payment_begins_no_grace() -> None:
    """Two of three euros fifty were paid: the rest stays due."""
    paid_ms = NOON_MS + HOUR_MS

    assert still_due(DAY_2026, paid_ms, 200, paid_ms) == 150
    assert still_due(DAY_2026, paid_ms + 1, 350, paid_ms + 1 - MINUTE_MS) == 0


def test_a_refund_ends_the_grace() -> None:
    """The money went back: what was paid no longer covers the stay as it was then."""
    assert still_due(DAY_2026, NOON_MS + HOUR_MS, 0, NOON_MS + HOUR_MS) == 350


def test_a_clock_set_back_after_paying_asks_for_nothing() -> None:
    """Paid at one o'clock, the clock says noon again, or the day before."""
    for now_ms in (NOON_MS, NOON_MS - DAY_MS):
        assert still_due(DAY_2026, now_ms, 350, NOON_MS + HOUR_MS) == 0


@given(tariffs, durations, durations, st.integers(0, 10**6))
def test_what_is_due_is_never_negative_and_never_more_than_the_rest(
    tariff: Tariff, until_paid: int, after: int, paid_minor: int
) -> None:
    """Whatever was paid: due lies between nothing and the charge less the payments."""
    paid_ms = NOON_MS + until_paid
    charged = priced(tariff, until_paid + after)

    left = still_due(tariff, paid_ms + after, paid_minor, paid_ms)

    assert 0 <= left <= max(0, charged.total_minor - paid_minor)


@given(tariffs, durations, st.integers(0, 121 * MINUTE_MS))
def test_paying_what_is_due_opens_the_exit_for_the_grace(tariff: Tariff, until_paid: int, after: int) -> None:
    """Whoever pays all that is due gets out within the exit grace, and after it owes the difference."""
    paid_ms = NOON_MS + until_paid
    paid_minor = still_due(tariff, paid_ms, 0, None)

    left = still_due(tariff, paid_ms + after, paid_minor, paid_ms)

    in_grace = after <= tariff.exit_grace_minutes * MINUTE_MS
    assert (0 if in_grace else priced(tariff, until_paid + after).total_minor - paid_minor) == left


def test_each_kind_is_one_strategy() -> None:
    """Another kind of tariff is one more class in the table: its keys are checked, written and read without more."""
    assert {"flat": Flat, "hourly": Hourly, "bands": Bands} == dict(RATES)
