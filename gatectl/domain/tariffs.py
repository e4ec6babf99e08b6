"""Tariffs: data with a name and a date, priced by the strategy that their kind names.

Rule 1: a price is counted in elapsed real time from entry. Local time is for the explanation alone: the hour that a
clock change skips costs nothing, the hour that it repeats is paid for, and no tariff here has hours of the day.
Rule 2: every *started* step is charged whole; a stay that ends to the millisecond on a step's end has not started the
next.
Rule 3: the daily cap holds for each started 24 h counted from entry (not for calendar days). Each such day is priced by
itself, its steps counted from the day's beginning; the base price belongs to the first day and is under its cap.
Without a cap there are no days: steps are counted through the whole stay.
Rule 4: steps add up before they are rounded, half up, to the minor unit: three steps of 20 min at 3.50/h are 3.50.
Rule 5: within the entry grace a stay is free; one millisecond later all of it is charged, the grace included.
Rule 6: a price comes with its lines, and the lines sum to it.
Rule 7: a key that this version does not know refuses the tariff: a price rule cannot be skipped.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Self

from gatectl.domain.facts import Line
from gatectl.domain.money import AMOUNT_MINOR_MAX, shown

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
STEP_MINUTES_MAX = 24 * 60
GRACE_MINUTES_MAX = 24 * 60
EXIT_GRACE_MINUTES = 15
"""What a tariff that does not say gives a driver to reach the exit after paying."""
BODY_CHARS_MAX = 8 * 1024
WALL_MS_MAX = 253_402_214_400_000
"""9999-12-31T00:00Z, the end of the calendar that can be written."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


# -- what is refused ------------------------------------------------------------------------------------------------


class Fault(NamedTuple):
    """One thing wrong with a tariff: the key, what is wrong with it, and what to write instead (may be empty)."""

    key: str
    what: str
    hint: str


class TariffRefused(ValueError):
    """Raised with every fault of a tariff at once."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.key}: {fault.what}" for fault in faults))
        self.faults = faults


# -- what a tariff is -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """A stay as a strategy prices it; `until_ms` is after `entered_ms`."""

    entered_ms: int
    until_ms: int
    zone: tzinfo
    currency: str

    @property
    def ms(self) -> int:
        return self.until_ms - self.entered_ms


@dataclass(frozen=True, slots=True)
class Whole:
    """A key that takes a whole number from `low` to `high`. With neither default nor `optional` it must be there."""

    low: int
    high: int
    default: int | None = None
    optional: bool = False


class Rate(ABC):
    """A pricing strategy. Another kind is another subclass, with its keys, put into `RATES`."""

    __slots__ = ()
    kind: ClassVar[str]
    keys: ClassVar[Mapping[str, Whole]]

    @classmethod
    @abstractmethod
    def of(cls, values: Mapping[str, int]) -> Self:
        """Made from checked values of `keys`; optional ones may be missing."""

    @abstractmethod
    def values(self) -> Mapping[str, int]:
        """What `of` was given, defaults included."""

    @abstractmethod
    def faults(self) -> list[Fault]:
        """What is wrong between values that are each right."""

    @abstractmethod
    def lines(self, span: Span) -> list[Line]:
        """The price of a stay longer than the entry grace, line by line; none is empty, the sum is not negative."""

    @abstractmethod
    def summary(self, currency: str) -> str:
        """For the ticket and the display, under 60 characters."""


@dataclass(frozen=True, slots=True)
class Flat(Rate):
    """One price for a stay, however long."""

    kind: ClassVar[str] = "flat"
    keys: ClassVar[Mapping[str, Whole]] = MappingProxyType({"base_minor": Whole(0, AMOUNT_MINOR_MAX)})
    base_minor: int

    @classmethod
    def of(cls, values: Mapping[str, int]) -> Self:
        return cls(values["base_minor"])

    def values(self) -> Mapping[str, int]:
        return {"base_minor": self.base_minor}

    def faults(self) -> list[Fault]:
        return []

    def lines(self, span: Span) -> list[Line]:
        return [Line(f"Flat price {shown(self.base_minor, span.currency)}", self.base_minor)]

    def summary(self, currency: str) -> str:
        return f"{shown(self.base_minor, currency)} a stay"


@dataclass(frozen=True, slots=True)
class Hourly(Rate):
    """A base price and an hourly price charged by started steps, at most the cap a day (rules 2 to 4)."""

    kind: ClassVar[str] = "hourly"
    keys: ClassVar[Mapping[str, Whole]] = MappingProxyType(
        {
            "base_minor": Whole(0, AMOUNT_MINOR_MAX, default=0),
            "per_hour_minor": Whole(0, AMOUNT_MINOR_MAX),
            "step_minutes": Whole(1, STEP_MINUTES_MAX, default=60),
            "daily_cap_minor": Whole(1, AMOUNT_MINOR_MAX, optional=True),
        }
    )
    base_minor: int
    per_hour_minor: int
    step_minutes: int
    daily_cap_minor: int | None

    @classmethod
    def of(cls, values: Mapping[str, int]) -> Self:
        return cls(
            values["base_minor"], values["per_hour_minor"], values["step_minutes"], values.get("daily_cap_minor")
        )

    def values(self) -> Mapping[str, int]:
        always = {
            "base_minor": self.base_minor,
            "per_hour_minor": self.per_hour_minor,
            "step_minutes": self.step_minutes,
        }
        return always if self.daily_cap_minor is None else always | {"daily_cap_minor": self.daily_cap_minor}

    def faults(self) -> list[Fault]:
        if self.daily_cap_minor is not None and self.daily_cap_minor < self.base_minor:
            return [Fault("daily_cap_minor", "is less than base_minor", f"{self.base_minor} or more")]
        return []

    def lines(self, span: Span) -> list[Line]:
        days = -(-span.ms // DAY_MS)
        if self.daily_cap_minor is None or days == 1:
            return self._day("", self.base_minor, span.ms, span.currency)
        lines = self._day("Day 1: ", self.base_minor, DAY_MS, span.currency)
        if days > 2:
            each = sum(line.amount_minor for line in self._day("", 0, DAY_MS, span.currency))
            which = "Day 2" if days == 3 else f"Days 2 to {days - 1}"
            lines.append(Line(f"{which}: {days - 2} x {shown(each, span.currency)}", (days - 2) * each))
        return lines + self._day(f"Day {days}: ", 0, span.ms - (days - 1) * DAY_MS, span.currency)

    def _day(self, label: str, base_minor: int, ms: int, currency: str) -> list[Line]:
        """The price of `ms` of one day (or, without a cap, of the stay) and of the base price in it."""
        steps = -(-ms // (self.step_minutes * MINUTE_MS))
        # Half up in integers: (2a + b) // 2b is a / b rounded.
        time_minor = (2 * steps * self.step_minutes * self.per_hour_minor + 60) // 120
        lines = [Line(f"{label}Base price", base_minor)] if base_minor else []
        by = f"{steps} x {self.step_minutes} min started"
        lines.append(Line(f"{label}{by}, {shown(self.per_hour_minor, currency)}/h", time_minor))
        if self.daily_cap_minor is not None and base_minor + time_minor > self.daily_cap_minor:
            over = self.daily_cap_minor - base_minor - time_minor
            lines.append(Line(f"{label}At most {shown(self.daily_cap_minor, currency)} a day", over))
        return lines

    def summary(self, currency: str) -> str:
        base = f"{shown(self.base_minor, currency)} + " if self.base_minor else ""
        cap = "" if self.daily_cap_minor is None else f", max {shown(self.daily_cap_minor, currency)}/24 h"
        return f"{base}{shown(self.per_hour_minor, currency)}/h{cap}"


RATES: Mapping[str, type[Rate]] = MappingProxyType({rate.kind: rate for rate in (Flat, Hourly)})
"""The strategies by the word that a tariff's `kind` holds."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """One version of a site's prices. `tariff` names the version: other prices come under another name."""

    tariff: str
    effective_from_ms: int
    rate: Rate
    entry_grace_minutes: int
    exit_grace_minutes: int
    lost_ticket_minor: int

    def summary(self, currency: str) -> str:
        """One line for the ticket and the display."""
        return self.rate.summary(currency)


_COMMON: Mapping[str, Whole] = {
    "entry_grace_minutes": Whole(0, GRACE_MINUTES_MAX, default=0),
    "exit_grace_minutes": Whole(0, GRACE_MINUTES_MAX, default=EXIT_GRACE_MINUTES),
    "lost_ticket_minor": Whole(0, AMOUNT_MINOR_MAX),
}


# -- reading and writing --------------------------------------------------------------------------------------------


def parse(table: Mapping[str, object]) -> Tariff:
    """The tariff of one `[[tariffs]]` table of a site file, as tomllib reads it.

    Raises TariffRefused with every fault, keys named as in the table.
    """
    return _read(table, "effective_from")


def to_body(tariff: Tariff) -> str:
    """Canonical JSON: sorted keys, no spaces, defaults written out. Equal tariffs have equal bodies."""
    plain: dict[str, object] = {
        "id": tariff.tariff,
        "effective_from_ms": tariff.effective_from_ms,
        "kind": tariff.rate.kind,
        "entry_grace_minutes": tariff.entry_grace_minutes,
        "exit_grace_minutes": tariff.exit_grace_minutes,
        "lost_ticket_minor": tariff.lost_ticket_minor,
        **tariff.rate.values(),
    }
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def from_body(body: str) -> Tariff:
    """The tariff in a body that `to_body` (here or at the office) wrote. Raises TariffRefused with every fault."""
    if len(body) > BODY_CHARS_MAX:
        raise TariffRefused([Fault("body", f"has {len(body)} characters", f"at most {BODY_CHARS_MAX}")])
    try:
        plain = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise TariffRefused([Fault("body", f"is not JSON: {error}"[:200], "")]) from error
    if not isinstance(plain, dict):
        raise TariffRefused([Fault("body", f"is a JSON {type(plain).__name__}, not an object", "")])
    return _read(plain, "effective_from_ms")


def _read(table: Mapping[str, object], from_key: str) -> Tariff:
    faults: list[Fault] = []
    name = _name(table, faults)
    effective_from_ms = _effective_from(table, from_key, faults)
    kind = _kind(table, faults)
    # While the kind is unknown, no strategy's key can be called wrong.
    rates = [kind] if kind else list(RATES.values())
    known = {"id", "kind", from_key, *_COMMON, *(key for rate in rates for key in rate.keys)}
    faults += [_unknown(key, known, kind) for key in table if key not in known]
    common = _wholes(table, _COMMON, faults)
    values = _wholes(table, kind.keys, faults) if kind else {}
    if faults or kind is None:
        raise TariffRefused(faults)
    rate = kind.of(values)
    if rate.faults():
        raise TariffRefused(rate.faults())
    return Tariff(name, effective_from_ms, rate, **common)


def _name(table: Mapping[str, object], faults: list[Fault]) -> str:
    name = table.get("id")
    if isinstance(name, str) and _ID.fullmatch(name):
        return name
    what = "is missing" if name is None else f"is {_brief(name)}"
    faults.append(Fault("id", what, 'a name of up to 40 letters, digits, ".", "_" and "-", such as "day-2026"'))
    return ""


def _effective_from(table: Mapping[str, object], key: str, faults: list[Fault]) -> int:
    if key == "effective_from_ms":
        return _wholes(table, {key: Whole(0, WALL_MS_MAX)}, faults).get(key, 0)
    when = table.get(key)
    if isinstance(when, datetime) and when.tzinfo is not None:
        at_ms = (when - _EPOCH) // timedelta(milliseconds=1)
        if 0 <= at_ms <= WALL_MS_MAX:
            return at_ms
    what = "is missing" if when is None else f"is {_brief(when)}"
    faults.append(Fault(key, what, "a date, time and offset without quotes, such as 2026-01-01T00:00:00Z"))
    return 0


def _kind(table: Mapping[str, object], faults: list[Fault]) -> type[Rate] | None:
    kind = table.get("kind")
    rate = RATES.get(kind) if isinstance(kind, str) else None
    if rate is None:
        near = get_close_matches(kind[:60], RATES, 1) if isinstance(kind, str) else []
        what = "is missing" if kind is None else f"is {_brief(kind)}"
        faults.append(Fault("kind", what, f'did you mean "{near[0]}"?' if near else f"one of {', '.join(RATES)}"))
    return rate


def _unknown(key: str, known: set[str], kind: type[Rate] | None) -> Fault:
    near = get_close_matches(key[:60], sorted(known), 1)
    whose = f"a {kind.kind} tariff" if kind else "a tariff"
    # What cannot be printed (a lone surrogate out of JSON) could not be recorded either.
    told = key[:60] if key.isprintable() else repr(key)[:60]
    return Fault(told, f"is not a key of {whose}", f"did you mean {near[0]}?" if near else "remove it")


def _wholes(table: Mapping[str, object], keys: Mapping[str, Whole], faults: list[Fault]) -> dict[str, int]:
    values = {}
    for key, whole in keys.items():
        value = table.get(key, whole.default)
        unit = "minutes" if key.endswith("_minutes") else "milliseconds" if key.endswith("_ms") else "minor units"
        hint = f"a whole number of {unit} from {whole.low} to {whole.high}"
        if value is None:
            if not whole.optional:
                faults.append(Fault(key, "is missing", hint))
        elif type(value) is not int or not whole.low <= value <= whole.high:
            faults.append(Fault(key, f"is {_brief(value)}", hint))
        else:
            values[key] = value
    return values


def _brief(value: object) -> str:
    """A value as a fault names it; never longer than 60 characters, never a conversion that could fail."""
    if type(value) is int and abs(value) > WALL_MS_MAX:
        return "a number out of all bounds"
    return repr(value)[:60] if isinstance(value, str | int | float | datetime) else f"a {type(value).__name__}"


# -- pricing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Charge:
    """The price of a stay. `lines` sum to `total_minor`; some are there to explain and carry nothing."""

    total_minor: int
    lines: tuple[Line, ...]


def chosen(tariffs: Iterable[Tariff], at_ms: int) -> Tariff:
    """The tariff in force: of those that have begun, the one that began last; of two at once, the later given.

    Before any has begun it is the first to begin: a clock that has fallen back must not leave a lane without a price.
    There must be at least one.
    """
    by_start = sorted(tariffs, key=lambda tariff: tariff.effective_from_ms)  # stable: the later given stays later
    assert by_start, "a site has at least one tariff"
    begun = [tariff for tariff in by_start if tariff.effective_from_ms <= at_ms]
    return begun[-1] if begun else by_start[0]


def charge(tariff: Tariff, entered_ms: int, until_ms: int, zone: tzinfo, currency: str) -> Charge:
    """What a stay costs. Both times are UTC milliseconds of a clock that was set; `zone` is for the explanation.

    A stay that ends before it began (the clock was set back) costs nothing and says so. Raises UnknownCurrency.
    """
    if until_ms < entered_ms:
        return Charge(0, (Line("Clock was set back during the stay, no charge", 0),))
    span = Span(entered_ms, until_ms, zone, currency)
    if span.ms <= tariff.entry_grace_minutes * MINUTE_MS:
        priced = [Line(f"Free within {tariff.entry_grace_minutes} min of entry", 0)]
    else:
        priced = tariff.rate.lines(span)
    total_minor = sum(line.amount_minor for line in priced)
    assert total_minor >= 0, f"{tariff.tariff}: a price of {total_minor}"
    return Charge(total_minor, (*_explained(span), *priced))


def due(
    tariff: Tariff,
    charged: Charge,
    entered_ms: int,
    now_ms: int,
    paid_minor: int,
    last_paid_ms: int | None,
    zone: tzinfo,
    currency: str,
) -> int:
    """What is still to pay of `charged`, the charge until `now_ms`. Never negative: an overpayment is not given back.

    `paid_minor` is all that was paid less what was refunded, `last_paid_ms` when the last payment was made. If that
    settled the stay as it was then, nothing is due until the exit grace is over; after it the stay costs its whole
    time, less what was paid. A payment that left something open begins no grace.
    """
    if last_paid_ms is not None and now_ms - last_paid_ms <= tariff.exit_grace_minutes * MINUTE_MS:
        then = charge(tariff, entered_ms, last_paid_ms, zone, currency)
        if then.total_minor <= paid_minor:
            return 0
    return max(0, charged.total_minor - paid_minor)


def _explained(span: Span) -> tuple[Line, ...]:
    seconds = -(-span.ms // 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return (
        Line(f"From {_local(span.entered_ms, span.zone)}", 0),
        Line(f"To {_local(span.until_ms, span.zone)}", 0),
        Line(f"Stay {hour} h {minute:02d} min {second:02d} s", 0),
    )


def _local(at_ms: int, zone: tzinfo) -> str:
    """Civil time with its zone's abbreviation, which tells the two passes of a repeated hour apart."""
    # A wild clock must not stop a lane for the sake of a text.
    within_ms = min(max(at_ms, 0), WALL_MS_MAX)
    return (_EPOCH + timedelta(milliseconds=within_ms)).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
