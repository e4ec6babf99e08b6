"""Tariffs with bands: what is refused, and what holds for every price whatever the board, the zone and the moment."""

import tomllib
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatectl.domain.tariff_bands import STAY_DAYS_MAX, Band, Bands, Special, Step
from gatectl.domain.tariff_calendar import DAY_MINUTES, WEEK_MINUTES, Window, instant_ms, stretches, wall_at, week_of
from gatectl.domain.tariff_demand import Demand, Fixed, Level
from gatectl.domain.tariff_rates import Hourly
from gatectl.domain.tariff_reading import DAY_MS, MINUTE_MS, TariffRefused, path_of
from gatectl.domain.tariffs import Tariff, charge, chosen, from_body, parse, to_body

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
HOUR_MS = 60 * MINUTE_MS
WHOLE_WEEK = Window(tuple(range(7)), 0, DAY_MINUTES)
ZONES = [AMSTERDAM, ZoneInfo("UTC"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("America/St_Johns")]

BOARD = """
id = "board"
effective_from = 2026-01-01T00:00:00Z
kind = "bands"
lost_ticket_minor = 3000
[[bands]]
name = "Night"
from = "19:00"
until = "07:00"
flat_minor = 500
[[bands]]
name = "Day"
per_step_minor = 200
step_minutes = 30
cap_minor = 2000
"""

prices = st.integers(0, 5_000)
windows = st.builds(
    lambda days, begins, length: Window(tuple(sorted(days)), begins, begins + length),
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, 23).map(lambda hour: hour * 60) | st.integers(0, 1439),
    st.integers(1, DAY_MINUTES),
)
caps = st.none() | st.integers(1, 8_000)


def stepped(gaps: list[tuple[int, int]]) -> tuple[Step, ...]:
    up_to, price, made = 0, 0, []
    for minutes, more in gaps:
        up_to, price = up_to + minutes, price + more
        made.append(Step(up_to, price))
    return tuple(made)


tables = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 900)), min_size=1, max_size=4).map(stepped)


def bands_on(window: st.SearchStrategy[Window]) -> st.SearchStrategy[Band]:
    named = st.sampled_from(["", "Day", "Night"])
    return st.one_of(
        st.builds(lambda n, w, flat, cap: Band(n, w, flat_minor=flat, cap_minor=cap), named, window, prices, caps),
        st.builds(
            lambda n, w, each, minutes, cap: Band(n, w, per_step_minor=each, step_minutes=minutes, cap_minor=cap),
            named,
            window,
            prices,
            st.integers(1, 1440),
            caps,
        ),
        st.builds(
            lambda n, w, steps, again: Band(n, w, steps=steps, again=again), named, window, tables, st.booleans()
        ),
        st.builds(
            lambda n, w, steps, each: Band(n, w, steps=steps, per_step_minor=each), named, window, tables, prices
        ),
    )


def covered(some: list[Band], last: Band) -> tuple[Band, ...]:
    return (*some, last)


weeks = st.builds(covered, st.lists(bands_on(windows), max_size=4), bands_on(st.just(WHOLE_WEEK)))
levels = st.lists(st.tuples(st.integers(1, 100), st.integers(10, 500)), max_size=3, unique_by=lambda pair: pair[0]).map(
    lambda pairs: (Level(0, 100), *(Level(*pair) for pair in sorted(pairs)))
)
demands = st.none() | st.builds(Demand, levels, st.sampled_from(["area", "site"]), st.none() | st.integers(1, 3_000))
specials = st.builds(
    lambda window, price, leave_by, minutes: Special(
        "Early bird", window, price, *((leave_by, None) if minutes is None else (None, minutes))
    ),
    windows,
    prices,
    st.integers(0, 1440),
    st.none() | st.integers(1, 2_000),
)
rates = st.builds(
    Bands,
    weeks,
    prices,
    st.lists(st.integers(0, 9_000), max_size=3).map(tuple),
    st.none(),
    caps,
    st.lists(specials, max_size=2).map(tuple),
    demands,
) | st.builds(
    Bands, weeks, prices, st.lists(st.integers(0, 9_000), min_size=1, max_size=3).map(tuple), st.integers(0, 1439)
)
tariffs = st.builds(Tariff, st.just("t"), st.just(0), rates, st.integers(0, 60), st.integers(0, 60), prices)
zones = st.sampled_from(ZONES)
# About the clock changes of 2026 in those zones, and anywhere else.
changes = st.sampled_from(
    [1_774_746_000_000, 1_792_890_000_000, 1_775_314_800_000, 1_790_434_800_000, 1_772_955_000_000]
)
moments = st.integers(0, 4_102_444_800_000) | st.builds(
    lambda at, hours: at + hours * HOUR_MS, changes, st.integers(-40, 40)
)
durations = st.integers(0, 2 * HOUR_MS) | st.integers(0, 12 * DAY_MS) | st.integers(0, 300).map(lambda n: n * HOUR_MS)
counts = st.none() | st.integers(0, 100)


def priced(tariff: Tariff, at_ms: int, ms: int, zone: ZoneInfo, fixed: Fixed | None = None) -> int:
    return charge(tariff, at_ms, at_ms + ms, zone, "EUR", fixed).total_minor


def fixed_at(tariff: Tariff, taken: int | None) -> Fixed | None:
    return None if taken is None or tariff.demand is None else tariff.demand.fixed(taken, 100)


def wall(text: str, zone: ZoneInfo = AMSTERDAM) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


# -- what always holds --------------------------------------------------------------------------------------------------


@given(tariffs, moments, durations, durations, zones, counts)
def test_a_longer_stay_never_costs_less(
    tariff: Tariff, at_ms: int, one: int, more: int, zone: ZoneInfo, taken: int | None
) -> None:
    """Over bands, days, caps, specials, demand and clock changes; and nothing is ever paid out."""
    fixed = fixed_at(tariff, taken)

    short, long = (priced(tariff, at_ms, ms, zone, fixed) for ms in (one, one + more))

    assert 0 <= short <= long


@given(tariffs, moments, durations, zones, counts)
def test_the_lines_are_the_price_and_fit_a_receipt(
    tariff: Tariff, at_ms: int, ms: int, zone: ZoneInfo, taken: int | None
) -> None:
    """They sum to the total, each fits its line, and there are not too many; the same input gives the same lines."""
    fixed = fixed_at(tariff, taken)
    charged = charge(tariff, at_ms, at_ms + ms, zone, "EUR", fixed)

    assert charged.total_minor == sum(line.amount_minor for line in charged.lines)
    assert len(charged.lines) <= 24
    assert all(0 < len(line.text) <= 60 for line in charged.lines)
    assert charged == charge(from_body(to_body(tariff)), at_ms, at_ms + ms, zone, "EUR", fixed)


@given(rates, moments, durations, zones, counts)
def test_caps_hold_whatever_demand_says(rate: Bands, at_ms: int, ms: int, zone: ZoneInfo, taken: int | None) -> None:
    """The stay's cap, the days' caps summed, and what demand may add."""
    tariff = Tariff("t", 0, rate, 0, 0, 0)
    fixed = fixed_at(tariff, taken)
    total = priced(tariff, at_ms, ms, zone, fixed)

    assert rate.stay_cap_minor is None or total <= rate.stay_cap_minor
    if rate.daily_caps_minor:
        days = ms // DAY_MS + 3  # as many days of the wall clock can be touched, and one that a clock change adds
        each = [rate.daily_caps_minor[min(day, len(rate.daily_caps_minor) - 1)] for day in range(days)]
        assert total <= sum(each)
    if (
        rate.demand is not None
        and rate.demand.most_added_minor is not None
        and fixed is not None
        and fixed.percent > 100
    ):
        assert total <= priced(tariff, at_ms, ms, zone) + rate.demand.most_added_minor


@given(bands_on(st.just(WHOLE_WEEK)), windows, st.integers(1, 3_000), moments, durations, zones)
def test_a_bands_own_cap_holds(band: Band, window: Window, cap: int, at_ms: int, ms: int, zone: ZoneInfo) -> None:
    """In each stretch of the band, counted by the calendar."""
    capped = replace(band, window=window, cap_minor=cap)
    free = Band("", WHOLE_WEEK, flat_minor=0)
    rate = Bands((capped, free))
    times = sum(one.band == 0 for one in stretches(week(rate), at_ms, at_ms + ms, zone))

    assert priced(Tariff("t", 0, rate, 0, 0, 0), at_ms, ms, zone) <= times * cap


plain_bands = st.builds(
    lambda some, last: (*some, last),
    st.lists(
        st.builds(lambda w, p, c: Band("", w, per_step_minor=p, step_minutes=30, cap_minor=c), windows, prices, caps),
        max_size=3,
    ),
    st.builds(lambda p, c: Band("", WHOLE_WEEK, per_step_minor=p, step_minutes=30, cap_minor=c), prices, caps),
)


@given(plain_bands, st.none() | st.integers(1, 6_000), st.integers(0, 23), caps, moments, durations, durations, zones)
def test_leaving_and_coming_back_is_never_cheaper(
    bands: tuple[Band, ...],
    cap: int | None,
    hour: int,
    stay: int | None,
    at_ms: int,
    one: int,
    two: int,
    zone: ZoneInfo,
) -> None:
    """Prices by started steps, caps by band, by day of the wall clock and by stay: two stays cost the one, or more."""
    rate = Bands(bands, 0, () if cap is None else (cap,), None if cap is None else hour * 60, stay)
    tariff = Tariff("t", 0, rate, 0, 0, 0)

    whole = priced(tariff, at_ms, one + two, zone)

    assert whole <= priced(tariff, at_ms, one, zone) + priced(tariff, at_ms + one, two, zone)


@given(st.builds(Hourly, st.just(0), prices, st.sampled_from([15, 20, 30, 60]), caps), moments, durations, durations)
def test_an_hourly_stay_is_never_cheaper_in_two(rate: Hourly, at_ms: int, one: int, two: int) -> None:
    """Days of the cap from entry, one price at all times."""
    tariff = Tariff("t", 0, rate, 0, 0, 0)
    # Steps are rounded to whole minor units where a day or a stay ends: one minor unit for each of the two stays and days.
    slack = 2 + (one + two) // DAY_MS

    whole = priced(tariff, at_ms, one + two, AMSTERDAM)

    assert whole <= priced(tariff, at_ms, one, AMSTERDAM) + priced(tariff, at_ms + one, two, AMSTERDAM) + slack


@given(tariffs)
def test_a_tariff_survives_its_body(tariff: Tariff) -> None:
    """What the office stored is the tariff that was written, and its bytes are always the same."""
    body = to_body(tariff)

    assert tariff == from_body(body)
    assert body == to_body(from_body(body))


# -- the calendar -------------------------------------------------------------------------------------------------------


def week(rate: Bands) -> Any:
    made = week_of([band.window for band in rate.bands])
    assert not isinstance(made, int)
    return made


@given(weeks, moments, durations, zones)
def test_stretches_are_the_time_without_gaps(bands: tuple[Band, ...], at_ms: int, ms: int, zone: ZoneInfo) -> None:
    """Each begins where the one before ended; together they are the stay."""
    found = list(stretches(week(Bands(bands)), at_ms, at_ms + ms, zone))

    edges = [at_ms, *(one.ends_ms for one in found)]
    assert edges[:-1] == [one.begins_ms for one in found]
    assert edges[-1] == at_ms + ms or not found
    assert all(one.begins_ms < one.ends_ms for one in found) or ms == 0


@given(weeks, st.integers(0, WEEK_MINUTES - 1))
def test_a_plain_minute_has_the_first_band_that_covers_it(bands: tuple[Band, ...], minute: int) -> None:
    """Without clock changes, said the slow way: minute by minute."""
    monday_ms = wall("2026-06-08T00:00:00")
    at_ms = monday_ms + minute * MINUTE_MS
    (found,) = stretches(week(Bands(bands)), at_ms, at_ms + MINUTE_MS, AMSTERDAM)

    def covers(window: Window) -> bool:
        starts = (day * DAY_MINUTES + window.begins for day in window.days)
        return any((minute - start) % WEEK_MINUTES < window.ends - window.begins for start in starts)

    assert next(n for n, band in enumerate(bands) if covers(band.window)) == found.band


@pytest.mark.parametrize(
    ("zone", "text", "shows"),
    [
        (AMSTERDAM, "2026-03-29T02:30:00", "2026-03-29T03:00:00"),
        (AMSTERDAM, "2026-10-25T02:30:00", "2026-10-25T02:30:00"),
        (ZoneInfo("Australia/Lord_Howe"), "2026-10-04T02:10:00", "2026-10-04T02:30:00"),
        (ZoneInfo("Pacific/Apia"), "2011-12-30T12:00:00", "2011-12-31T00:00:00"),
    ],
)
def test_a_wall_time_that_is_skipped_comes_at_the_skip(zone: ZoneInfo, text: str, shows: str) -> None:
    """An hour in spring, half an hour on Lord Howe, a whole day in Samoa; a repeated time comes the first time."""
    at_ms = instant_ms(datetime.fromisoformat(text), zone)

    assert datetime.fromisoformat(shows) == wall_at(at_ms, zone)
    assert wall_at(at_ms - 1, zone) < datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("entered", "left", "nights"),
    [
        ("2026-10-25T00:30:00+02:00", "2026-10-25T02:45:00+01:00", 1),
        ("2026-10-25T02:20:00+02:00", "2026-10-25T02:20:00+01:00", 1),
        ("2026-10-25T02:20:00+01:00", "2026-10-25T02:25:00+01:00", 0),
        ("2026-03-29T01:30:00+01:00", "2026-03-29T03:10:00+02:00", 1),
        ("2026-03-29T03:00:00+02:00", "2026-03-29T04:10:00+02:00", 0),
    ],
)
def test_an_edge_in_a_repeated_hour_comes_once(entered: str, left: str, nights: int) -> None:
    """A night that ends at 02:30 ends the first time the wall says so, and is paid once."""
    table = BOARD.replace('until = "07:00"', 'until = "02:30"').replace("per_step_minor = 200", "per_step_minor = 0")
    tariff = parse(tomllib.loads(table))
    entered_ms, left_ms = (int(datetime.fromisoformat(text).timestamp()) * 1000 for text in (entered, left))

    assert 500 * nights == charge(tariff, entered_ms, left_ms, AMSTERDAM, "EUR").total_minor


def test_a_wild_clock_still_gets_a_price() -> None:
    """A battery clock at either end of time costs what the longest stay costs, and stops nothing."""
    tariff = parse(tomllib.loads(BOARD))

    longest = [priced(tariff, at_ms, ms, AMSTERDAM) for at_ms, ms in ((-(2**62), 2**62), (0, 2**62), (2**62, 2**62))]

    assert all(STAY_DAYS_MAX * 2_000 <= total <= (STAY_DAYS_MAX + 1) * 2_500 for total in longest)


# -- demand, classes ------------------------------------------------------------------------------------------------------


def test_demand_is_told_with_what_justifies_it() -> None:
    """The receipt says how full the lot was."""
    tariff = parse(
        tomllib.loads(
            BOARD + "[demand]\nlevels = [{ from_percent = 0, percent = 90 }, { from_percent = 80, percent = 130 }]"
        )
    )
    assert tariff.demand is not None

    fixed = tariff.demand.fixed(81, 101)
    charged = charge(tariff, wall("2026-06-11T12:00"), wall("2026-06-11T13:00"), AMSTERDAM, "EUR", fixed)

    assert Fixed(130, 81, 101) == fixed
    assert "Demand 130 %: 81 of 101 spots taken at entry" in [line.text for line in charged.lines]
    assert 520 == charged.total_minor
    assert 90 == getattr(tariff.demand.fixed(80, 101), "percent", None)
    assert tariff.demand.fixed(0, 0) is None


def test_the_most_fitting_tariff_is_chosen() -> None:
    """Spot types before vehicle types before all; the newest of equals; an ended one no more; always one."""
    plain = Tariff("all", 100, Hourly(0, 100, 60, None), 0, 15, 0)
    newer = replace(plain, tariff="newer", effective_from_ms=200)
    bikes = replace(plain, tariff="bikes", vehicle_types=("MOTORCYCLE",))
    wired = replace(plain, tariff="wired", spot_types=("ELECTRIC",))
    summer = replace(plain, tariff="summer", effective_from_ms=300, effective_until_ms=400)
    known = [newer, wired, bikes, plain, summer]

    def name(at_ms: int, vehicle: str = "CAR", spot: str | None = None) -> str:
        return chosen(known, at_ms, vehicle, spot).tariff

    assert ["all", "all", "newer", "summer", "newer"] == [name(at_ms) for at_ms in (0, 100, 200, 300, 400)]
    assert ["bikes", "wired", "wired"] == [
        name(350, "MOTORCYCLE"),
        name(350, "CAR", "ELECTRIC"),
        name(350, "MOTORCYCLE", "ELECTRIC"),
    ]
    assert "summer" == chosen([summer], 500).tariff


# -- reading --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('from = "19:00"', 'from = "25:00"', "bands[0].from: is '25:00'"),
        ('from = "19:00"', 'from = "24:00"', 'bands[0].from: is "24:00"'),
        ('from = "19:00"', "from = 19", "bands[0].from: is 19"),
        ('name = "Night"', 'name = "Night"\ndays = ["monday"]', "bands[0].days[0]: is 'monday'"),
        ('name = "Night"', 'nam = "Night"', "bands[0].nam: is not a key of a band"),
        ("flat_minor = 500", "", "bands[0].flat_minor: is missing"),
        ("flat_minor = 500", "flat_minor = 5.0", "bands[0].flat_minor: is 5.0"),
        ("flat_minor = 500", "flat_minor = 500\nper_step_minor = 1", "bands[0].flat_minor: stands beside steps"),
        ("step_minutes = 30", "again = true", "bands[1].again: has no steps of its own"),
        ('name = "Day"', 'name = "Day"\ndays = ["mon"]', "bands: leave tue 07:00 without a price"),
        ('name = "Day"', f'name = "{"x" * 21}"', f"bands[1].name: is '{'x' * 21}'"),
        ("lost_ticket", 'day_begins = "06:00"\nlost_ticket', "day_begins: has no cap to count days for"),
        ("lost_ticket", "daily_cap_minor = 1\ndaily_caps_minor = [1]\nlost_ticket", "daily_cap_minor: stands beside"),
        ("lost_ticket", "daily_caps_minor = [1, true]\nlost_ticket", "daily_caps_minor: is a list"),
        ("lost_ticket", "effective_until = 2025-01-01T00:00:00Z\nlost_ticket", "effective_until: is not after"),
        ("lost_ticket", 'vehicle_types = ["car"]\nlost_ticket', "vehicle_types[0]: is 'car'"),
        ("lost_ticket", 'spot_types = "ELECTRIC"\nlost_ticket', "spot_types: is 'ELECTRIC'"),
        ("lost_ticket", "per_hour_minor = 3\nlost_ticket", "per_hour_minor: is not a key of a bands tariff"),
        ("lost_ticket", "specials = [{ price_minor = 1 }]\nlost_ticket", "specials[0].leave_by: and minutes are"),
        ("lost_ticket", "demand = { levels = [] }\nlost_ticket", "demand.levels: is a list"),
        (
            "lost_ticket",
            "demand = { levels = [{ from_percent = 5, percent = 100 }] }\nlost_ticket",
            "demand.levels: are not in order from 0",
        ),
        (
            "lost_ticket",
            "demand = { levels = [{ from_percent = 0, percent = 501 }] }\nlost_ticket",
            "demand.levels[0].percent: is 501",
        ),
        (
            "step_minutes = 30",
            "steps = [{ up_to_minutes = 9, price_minor = 3 }, { up_to_minutes = 9, price_minor = 2 }]",
            "bands[1].steps[1].up_to_minutes: is not more",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_place(before: str, after: str, fault: str) -> None:
    """Path, what was found, and what to write instead."""
    assert before in BOARD
    with pytest.raises(TariffRefused) as refused:
        parse(tomllib.loads(BOARD.replace(before, after, 1)))

    assert fault in str(refused.value)
    assert all(one.hint for one in refused.value.faults)


def test_a_place_is_read_as_it_is_written() -> None:
    """For the line of the file that it stands on."""
    assert ("bands", 1, "steps", 0, "price_minor") == path_of("bands[1].steps[0].price_minor")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
KEYS = [*Bands.keys, "from", "until", "days", "steps", "levels", "flat_minor"]


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from(KEYS), json_values | st.lists(st.dictionaries(st.sampled_from(KEYS), json_values), max_size=2)
    )
)
def test_whatever_a_table_holds_it_is_read_or_refused(table: dict[str, object]) -> None:
    """No other exception reaches the core thread."""
    with suppress(TariffRefused):
        parse({**tomllib.loads(BOARD), **table})
