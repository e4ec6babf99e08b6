"""Tariffs by weekday and time of day: bands, steps, caps by band, day and stay, special tickets, demand.

Rule 1: a stay is cut where bands begin and end (`tariff_calendar`) and where a day of the caps ends. Each piece is priced by
itself: a step that is cut short is charged whole, the next piece counts anew. A band's flat price is charged once for the
time in it without a break.
Rule 2: every *started* step is charged. `steps` give the price of the time so far, never a lower one for a longer time.
Rule 3: what a piece costs is multiplied by the demand, rounded half up; then the band's cap, then the day's, then the stay's.
Rule 4: a special ticket is for who enters in its window and leaves in its time, if it is cheaper. Who stays longer pays as if
there were none.
Rule 5: a longer stay never costs less; it follows from rules 1 to 4, and properties test it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count, repeat
from typing import ClassVar, Final, NamedTuple, Self

from gatectl.domain.facts import Line
from gatectl.domain.money import shown
from gatectl.domain.tariff_calendar import (
    DAY_MINUTES,
    DAYS,
    WEEK_MINUTES,
    Run,
    Window,
    day_edges,
    stretches,
    wall_at,
    week_of,
)
from gatectl.domain.tariff_demand import Demand
from gatectl.domain.tariff_rates import Rate, Span
from gatectl.domain.tariff_reading import (
    CAP,
    DAY_MS,
    MAYBE_PRICE,
    MINUTE_MS,
    PRICE,
    WALL_MS_MAX,
    Reader,
    Whole,
)
from gatectl.domain.tariff_words import clock_text, fewer, minutes_text, read_days

STAY_DAYS_MAX: Final = 1_100
"""Days of 24 h that are charged. A ticket from a wild clock must not keep a lane waiting."""
STEP_MINUTES_MAX: Final = 366 * DAY_MINUTES
BANDS_KEPT: Final = 256
"""Weeks kept painted; a price must not paint its week again."""

_MINUTES: Final = Whole(1, STEP_MINUTES_MAX)


class Step(NamedTuple):
    """Time up to so long costs so much in all."""

    up_to_minutes: int
    price_minor: int


class Charged(NamedTuple):
    """Part of a price: why, and how much before demand and caps."""

    text: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Band:
    """What time costs on `window`. Either `flat_minor`, or `steps`, `per_step_minor` or both in this order.

    After the last of the steps: `per_step_minor` for each started `step_minutes`, or the steps `again`, or nothing more.
    """

    name: str
    window: Window
    flat_minor: int | None = None
    steps: tuple[Step, ...] = ()
    again: bool = False
    per_step_minor: int | None = None
    step_minutes: int = 60
    cap_minor: int | None = None

    @classmethod
    def read(cls, reader: Reader, capped_days: bool) -> "Band | None":
        before = len(reader.faults)
        name = reader.name("name", "")
        window = read_window(reader)
        flat, per_step, cap = (
            reader.whole(key, kind)
            for key, kind in (("flat_minor", MAYBE_PRICE), ("per_step_minor", MAYBE_PRICE), ("cap_minor", CAP))
        )
        minutes = reader.whole("step_minutes", Whole(1, STEP_MINUTES_MAX, default=60))
        steps = _read_steps(reader, capped_days)
        again = reader.flag("again")
        reader.done("a band")
        if flat is None and per_step is None and not steps and not reader.has("steps"):
            reader.refuse("flat_minor", "is missing", "flat_minor, steps or per_step_minor: what the time costs")
        if flat is not None and (per_step is not None or steps):
            reader.refuse("flat_minor", "stands beside steps", "either a flat price or steps")
        if again and (not steps or per_step is not None):
            reader.refuse("again", "has no steps of its own", "again = true goes with steps alone")
        if window is None or len(reader.faults) > before:
            return None
        return cls(name, window, flat, steps, again, per_step, minutes or 60, cap)

    def plain(self) -> Mapping[str, object]:
        always: dict[str, object] = {"step_minutes": self.step_minutes, "again": self.again}
        always |= window_plain(self.window)
        if self.name:
            always["name"] = self.name
        maybe = {"flat_minor": self.flat_minor, "per_step_minor": self.per_step_minor, "cap_minor": self.cap_minor}
        if self.steps:
            always["steps"] = [step._asdict() for step in self.steps]
        return always | {key: value for key, value in maybe.items() if value is not None}

    def time(self, ms: int, fresh: bool, currency: str) -> list[Charged]:
        """What so many milliseconds in the band cost, at least one. `fresh`: they begin its stretch."""
        if self.flat_minor is not None:
            return [Charged(shown(self.flat_minor, currency), self.flat_minor)] if fresh else []
        charged = []
        if self.steps:
            whole_ms = self.steps[-1].up_to_minutes * MINUTE_MS
            rounds = (ms - 1) // whole_ms if self.again else 0
            if rounds:
                each = self.steps[-1].price_minor
                text = f"{rounds} x {minutes_text(self.steps[-1].up_to_minutes)}"
                charged.append(Charged(f"{text}, {shown(each, currency)} each", rounds * each))
            rest_ms = ms - rounds * whole_ms
            step = next((step for step in self.steps if rest_ms <= step.up_to_minutes * MINUTE_MS), self.steps[-1])
            charged.append(Charged(f"up to {minutes_text(step.up_to_minutes)}", step.price_minor))
            ms = rest_ms - whole_ms
        if self.per_step_minor is not None and ms > 0:
            started = -(-ms // (self.step_minutes * MINUTE_MS))
            text = f"{started} x {minutes_text(self.step_minutes)} started, {shown(self.per_step_minor, currency)} each"
            charged.append(Charged(text, started * self.per_step_minor))
        return charged


@dataclass(frozen=True, slots=True)
class Special:
    """A price for who enters in `window` and leaves before the wall clock next shows `leave_by` (or in `minutes`)."""

    name: str
    window: Window
    price_minor: int
    leave_by: int | None
    minutes: int | None

    @classmethod
    def read(cls, reader: Reader) -> "Special | None":
        before = len(reader.faults)
        name = reader.name("name", "Special ticket")
        window = read_window(reader)
        price = reader.whole("price_minor", PRICE)
        leave_by = reader.clock("leave_by") if reader.has("leave_by") else None
        minutes = reader.whole("minutes", Whole(1, STEP_MINUTES_MAX, optional=True))
        reader.done("a special ticket", ("leave_by",))
        if reader.has("leave_by") == reader.has("minutes"):
            reader.refuse("leave_by", "and minutes are one too many, or both missing", "the one or the other")
        if window is None or price is None or len(reader.faults) > before:
            return None
        return cls(name, window, price, leave_by, minutes)

    def plain(self) -> Mapping[str, object]:
        plain: dict[str, object] = {"name": self.name, "price_minor": self.price_minor, **window_plain(self.window)}
        if self.leave_by is not None:
            plain["leave_by"] = clock_text(self.leave_by)
        if self.minutes is not None:
            plain["minutes"] = self.minutes
        return plain

    def covers(self, span: Span) -> bool:
        """Whether a stay is within the ticket's window and time."""
        wall = wall_at(span.entered_ms, span.zone)
        minute = wall.weekday() * DAY_MINUTES + wall.hour * 60 + wall.minute
        length = self.window.ends - self.window.begins
        starts = (day * DAY_MINUTES + self.window.begins for day in self.window.days)
        if not any((minute - start) % WEEK_MINUTES < length for start in starts):
            return False
        if self.minutes is not None:
            return span.ms <= self.minutes * MINUTE_MS
        assert self.leave_by is not None
        return span.until_ms <= next(day_edges(self.leave_by, span.entered_ms, span.zone))


@dataclass(slots=True)
class _Part:
    """The price of a day of the caps, or of the whole stay where there are no days."""

    lines: list[Line] = field(default_factory=list)
    total_minor: int = 0

    def add(self, text: str, amount_minor: int) -> None:
        self.lines.append(Line(text, amount_minor))
        self.total_minor += amount_minor


@dataclass(frozen=True, slots=True)
class Bands(Rate):
    """The tariff of a price board. `daily_caps_minor`: the first day's, the second's ...; the last holds for all that follow."""

    kind: ClassVar[str] = "bands"
    keys: ClassVar[Collection[str]] = (
        "base_minor",
        "bands",
        "daily_cap_minor",
        "daily_caps_minor",
        "day_begins",
        "stay_cap_minor",
        "specials",
        "demand",
    )
    bands: tuple[Band, ...]
    base_minor: int = 0
    daily_caps_minor: tuple[int, ...] = ()
    day_begins: int | None = None
    """Minute of the wall clock's day at which a day of the caps begins; None: days are 24 h from entry."""
    stay_cap_minor: int | None = None
    specials: tuple[Special, ...] = ()
    demand: Demand | None = None

    @classmethod
    def read(cls, reader: Reader) -> Self | None:
        before = len(reader.faults)
        base = reader.whole("base_minor", Whole(0, PRICE.high, default=0))
        cap, stay_cap = reader.whole("daily_cap_minor", CAP), reader.whole("stay_cap_minor", CAP)
        caps = reader.whole_list("daily_caps_minor", PRICE)
        if cap is not None and reader.has("daily_caps_minor"):
            reader.refuse("daily_cap_minor", "stands beside daily_caps_minor", "one of them")
        caps = caps if cap is None else (cap,)
        begins = reader.clock("day_begins") if reader.has("day_begins") else None
        if begins is not None and not caps:
            reader.refuse("day_begins", "has no cap to count days for", "add daily_cap_minor, or remove it")
        bands = [Band.read(one, bool(caps)) for one in reader.tables("bands")]
        specials = [Special.read(one) for one in reader.tables("specials")]
        inside = reader.table("demand")
        demand = Demand.read(inside) if inside is not None else None
        if not reader.has("bands"):
            reader.refuse("bands", "are missing", "one [[tariffs.bands]] or more")
        good = tuple(band for band in bands if band is not None)
        if len(reader.faults) == before:
            _check_week(reader, good)
        if len(reader.faults) > before:
            return None
        whole = tuple(special for special in specials if special is not None)
        return cls(good, base or 0, caps, begins, stay_cap, whole, demand)

    def plain(self) -> Mapping[str, object]:
        plain: dict[str, object] = {"base_minor": self.base_minor, "bands": [band.plain() for band in self.bands]}
        if self.daily_caps_minor:
            plain["daily_caps_minor"] = list(self.daily_caps_minor)
        if self.day_begins is not None:
            plain["day_begins"] = clock_text(self.day_begins)
        if self.stay_cap_minor is not None:
            plain["stay_cap_minor"] = self.stay_cap_minor
        if self.specials:
            plain["specials"] = [special.plain() for special in self.specials]
        return plain if self.demand is None else plain | {"demand": self.demand.plain()}

    def lines(self, span: Span) -> list[Line]:
        last_ms = WALL_MS_MAX - (STAY_DAYS_MAX + 8) * DAY_MS
        entered_ms = min(max(span.entered_ms, 0), last_ms)
        charged_ms = min(span.ms, STAY_DAYS_MAX * DAY_MS)
        within = Span(entered_ms, entered_ms + charged_ms, span.zone, span.currency, span.percent)
        lines = self._priced(within)
        if charged_ms < span.ms:
            lines.append(Line(f"No more than {STAY_DAYS_MAX} days are charged", 0))
        most = self.demand.most_added_minor if self.demand is not None else None
        if most is not None and span.percent > 100:
            plainly = self._priced(Span(entered_ms, within.until_ms, span.zone, span.currency))
            over = _total(lines) - _total(plainly) - most
            if over > 0:
                lines.append(Line(f"Demand adds at most {shown(most, span.currency)}", -over))
        return lines

    def _priced(self, span: Span) -> list[Line]:
        lines = self._by_time(span)
        total_minor = _total(lines)
        for special in self.specials:
            price_minor = _scaled(special.price_minor, span.percent)
            if price_minor < total_minor and special.covers(span):
                total_minor, lines = (
                    price_minor,
                    [Line(f"{special.name} {shown(price_minor, span.currency)}", price_minor)],
                )
        return lines

    def _by_time(self, span: Span) -> list[Line]:
        parts = self._parts(span)
        for number, part in enumerate(parts):
            if self.daily_caps_minor:
                cap_minor = self.daily_caps_minor[min(number, len(self.daily_caps_minor) - 1)]
                if part.total_minor > cap_minor:
                    part.add(f"At most {shown(cap_minor, span.currency)} a day", cap_minor - part.total_minor)
        lines = fewer([part.lines for part in parts], span.currency)
        total_minor = _total(lines)
        if self.stay_cap_minor is not None and total_minor > self.stay_cap_minor:
            over = self.stay_cap_minor - total_minor
            lines.append(Line(f"At most {shown(self.stay_cap_minor, span.currency)} a stay", over))
        return lines or [Line("Free at this time", 0)]

    def _parts(self, span: Span) -> list[_Part]:
        """The stay's days of the caps, each with what its time costs."""
        part = _Part()
        parts = [part]
        if self.base_minor:
            _put(part, "", [Charged("Base price", self.base_minor)], span.percent)
        days = self._day_ends(span)
        day_end_ms = next(days)
        known: dict[tuple[int, int, bool], list[Charged]] = {}  # the pieces of a long stay are of few lengths
        for begins_ms, ends_ms, number in stretches(_week(self.bands), span.entered_ms, span.until_ms, span.zone):
            band, spent_minor, at_ms = self.bands[number], 0, begins_ms
            while at_ms < ends_ms:
                if at_ms >= day_end_ms:
                    part, day_end_ms = _Part(), next(days)
                    parts.append(part)
                    continue
                to_ms = min(ends_ms, day_end_ms)
                piece = (number, to_ms - at_ms, at_ms == begins_ms)
                charged = known[piece] = known.get(piece) or band.time(*piece[1:], span.currency)
                label = f"{band.name}: " if band.name else ""
                cost_minor = _put(part, label, charged, span.percent)
                if band.cap_minor is not None and spent_minor + cost_minor > band.cap_minor:
                    over = band.cap_minor - spent_minor - cost_minor
                    part.add(f"{label}at most {shown(band.cap_minor, span.currency)}", over)
                    cost_minor += over
                spent_minor, at_ms = spent_minor + cost_minor, to_ms
        return parts

    def _day_ends(self, span: Span) -> Iterator[int]:
        if not self.daily_caps_minor:
            return repeat(span.until_ms)
        if self.day_begins is not None:
            return day_edges(self.day_begins % DAY_MINUTES, span.entered_ms, span.zone)
        return count(span.entered_ms + DAY_MS, DAY_MS)

    def summary(self, span: Span) -> str:
        hour, day = (
            _total(self.lines(Span(span.entered_ms, span.entered_ms + ms, span.zone, span.currency, span.percent)))
            for ms in (60 * MINUTE_MS, DAY_MS)
        )
        return f"{shown(hour, span.currency)} 1 h, {shown(day, span.currency)} 24 h"


@lru_cache(maxsize=BANDS_KEPT)
def _week(bands: tuple[Band, ...]) -> tuple[Run, ...]:
    week = week_of([band.window for band in bands])
    assert not isinstance(week, int), "a tariff's bands cover the week"
    return week


def _check_week(reader: Reader, bands: tuple[Band, ...]) -> None:
    week = week_of([band.window for band in bands])
    if isinstance(week, int):
        day, minute = divmod(week, DAY_MINUTES)
        reader.refuse(
            "bands", f"leave {DAYS[day]} {clock_text(minute)} without a price", "a band for every hour of the week"
        )


def read_window(reader: Reader) -> Window | None:
    """`days`, `from` and `until`; without them the whole week."""
    days = read_days(reader)
    begins, ends = reader.clock("from", 0), reader.clock("until", DAY_MINUTES)
    if begins is None or ends is None:
        return None
    if begins == DAY_MINUTES:
        reader.refuse("from", 'is "24:00"', '"00:00" of the day after')
        return None
    return Window(days, begins, ends if ends > begins else ends + DAY_MINUTES)


def window_plain(window: Window) -> Mapping[str, object]:
    ends = window.ends if window.ends <= DAY_MINUTES else window.ends - DAY_MINUTES
    return {"days": [DAYS[day] for day in window.days], "from": clock_text(window.begins), "until": clock_text(ends)}


def _read_steps(reader: Reader, capped_days: bool) -> tuple[Step, ...]:
    steps: list[Step] = []
    for one in reader.tables("steps"):
        values = one.wholes({"up_to_minutes": _MINUTES, "price_minor": PRICE})
        one.done("a step")
        if len(values) < 2:
            continue
        step = Step(values["up_to_minutes"], values["price_minor"])
        if steps and step.up_to_minutes <= steps[-1].up_to_minutes:
            one.refuse("up_to_minutes", "is not more than the step before", f"more than {steps[-1].up_to_minutes}")
        if steps and step.price_minor < steps[-1].price_minor:
            one.refuse("price_minor", "is less than the step before", f"{steps[-1].price_minor} or more")
        if capped_days and step.up_to_minutes > DAY_MINUTES:
            one.refuse("up_to_minutes", "is more than a day of the daily cap", f"up to {DAY_MINUTES}")
        steps.append(step)
    return tuple(steps)


def _scaled(minor: int, percent: int) -> int:
    """Half up, in integers."""
    return (2 * minor * percent + 100) // 200


def _total(lines: list[Line]) -> int:
    return sum(line.amount_minor for line in lines)


def _put(part: _Part, label: str, charged: list[Charged], percent: int) -> int:
    """Add what a piece costs, and what demand makes of it; returns the sum in minor units."""
    for text, amount_minor in charged:
        part.add(f"{label}{text}", amount_minor)
    cost_minor = sum(amount_minor for _, amount_minor in charged)
    more = _scaled(cost_minor, percent) - cost_minor
    if more:
        part.add(f"{label}demand {percent} %", more)
    return cost_minor + more
