"""Tariffs: data with a name and a date, priced by the strategy that their kind names.

Rule 1: a price is counted in elapsed real time from entry: the hour that a clock change skips costs nothing, the hour that it
repeats is paid for. Local time says which band of a tariff with bands is in force (`tariff_calendar`), and explains.
Rule 2: every *started* step is charged whole; a stay that ends to the millisecond on a step's end has not started the
next.
Rule 3: an hourly tariff's daily cap holds for each started 24 h counted from entry (not for calendar days). Each such day is
priced by itself, its steps counted from the day's beginning; the base price belongs to the first day and is under its cap.
Without a cap there are no days: steps are counted through the whole stay.
Rule 4: steps add up before they are rounded, half up, to the minor unit: three steps of 20 min at 3.50/h are 3.50.
Rule 5: within the entry grace a stay is free; one millisecond later all of it is charged, the grace included.
Rule 6: a price comes with its lines, and the lines sum to it.
Rule 7: a version never changes its prices. `tests/domain/golden/tariffs_*.jsonl` holds bodies with stays and their prices.
Rule 8: a key that this version does not know refuses the tariff: a price rule cannot be skipped.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from gatectl.domain.facts import Line
from gatectl.domain.money import AMOUNT_MINOR_MAX
from gatectl.domain.tariff_bands import Bands
from gatectl.domain.tariff_demand import Demand, Fixed
from gatectl.domain.tariff_rates import Flat, Hourly, Rate, Span
from gatectl.domain.tariff_reading import (
    DAY_MS,
    MINUTE_MS,
    WALL_MS_MAX,
    Fault,
    Reader,
    TariffRefused,
    Whole,
    brief,
)

__all__ = [
    "DAY_MS",
    "MINUTE_MS",
    "WALL_MS_MAX",
    "Charge",
    "Fault",
    "Fixed",
    "Tariff",
    "TariffRefused",
    "charge",
    "chosen",
    "due",
    "from_body",
    "parse",
    "to_body",
]

GRACE_MINUTES_MAX = 24 * 60
EXIT_GRACE_MINUTES = 15
"""What a tariff that does not say gives a driver to reach the exit after paying."""
BODY_CHARS_MAX = 32 * 1024

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_TYPE = re.compile(r"[A-Z][A-Z0-9_]{0,39}")

RATES: Mapping[str, type[Rate]] = MappingProxyType({rate.kind: rate for rate in (Flat, Hourly, Bands)})
"""The strategies by the word that a tariff's `kind` holds."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """One version of a site's prices. `tariff` names the version: other prices come under another name.

    It holds from `effective_from_ms` to `effective_until_ms` (None: until another begins), for the vehicle and spot types that
    it names (none named: for all).
    """

    tariff: str
    effective_from_ms: int
    rate: Rate
    entry_grace_minutes: int
    exit_grace_minutes: int
    lost_ticket_minor: int
    effective_until_ms: int | None = None
    vehicle_types: tuple[str, ...] = ()
    spot_types: tuple[str, ...] = ()

    @property
    def demand(self) -> Demand | None:
        return self.rate.demand if isinstance(self.rate, Bands) else None

    @property
    def for_all(self) -> bool:
        """Whether it prices every vehicle on every spot, without an end."""
        return not self.vehicle_types and not self.spot_types and self.effective_until_ms is None

    def fits(self, vehicle_type: str, spot_type: str | None) -> bool:
        of_vehicle = not self.vehicle_types or vehicle_type in self.vehicle_types
        return of_vehicle and (not self.spot_types or spot_type in self.spot_types)

    def summary(self, currency: str, at_ms: int, zone: tzinfo, fixed: Fixed | None = None) -> str:
        """One line for the ticket and the display: the prices for who enters now."""
        percent = 100 if fixed is None else fixed.percent
        return self.rate.summary(Span(at_ms, at_ms + DAY_MS, zone, currency, percent))


_COMMON: Mapping[str, Whole] = {
    "entry_grace_minutes": Whole(0, GRACE_MINUTES_MAX, default=0),
    "exit_grace_minutes": Whole(0, GRACE_MINUTES_MAX, default=EXIT_GRACE_MINUTES),
    "lost_ticket_minor": Whole(0, AMOUNT_MINOR_MAX),
}
_KEYS: Final = ("id", "kind", "effective_from", "effective_until", *_COMMON, "vehicle_types", "spot_types")
"""Every tariff's keys; in a body times end in `_ms`."""


# -- reading and writing --------------------------------------------------------------------------------------------


def parse(table: Mapping[str, object]) -> Tariff:
    """The tariff of one `[[tariffs]]` table of a site file, as tomllib reads it.

    Raises TariffRefused with every fault, keys named as in the table.
    """
    return _read(table, "")


def to_body(tariff: Tariff) -> str:
    """Canonical JSON: sorted keys, no spaces, defaults written out. Equal tariffs have equal bodies.

    What came after the first version is written only where it says something: old bodies stay as they are.
    """
    plain: dict[str, object] = {
        "id": tariff.tariff,
        "effective_from_ms": tariff.effective_from_ms,
        "kind": tariff.rate.kind,
        "entry_grace_minutes": tariff.entry_grace_minutes,
        "exit_grace_minutes": tariff.exit_grace_minutes,
        "lost_ticket_minor": tariff.lost_ticket_minor,
        **tariff.rate.plain(),
    }
    if tariff.effective_until_ms is not None:
        plain["effective_until_ms"] = tariff.effective_until_ms
    if tariff.vehicle_types:
        plain["vehicle_types"] = list(tariff.vehicle_types)
    if tariff.spot_types:
        plain["spot_types"] = list(tariff.spot_types)
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
    return _read(plain, "_ms")


def _read(table: Mapping[str, object], unit: str) -> Tariff:
    """`unit`: what the keys of its two times end in, and with it their form: "" for TOML's, "_ms" for JSON's."""
    reader = Reader(table, [])
    name = _name(reader)
    effective_from_ms = _time(reader, "effective_from", unit, needed=True)
    effective_until_ms = _time(reader, "effective_until", unit, needed=False)
    kind = _kind(reader)
    vehicles = reader.words("vehicle_types", _TYPE, 'vehicle types in capitals, such as ["MOTORCYCLE"]')
    spots = reader.words("spot_types", _TYPE, 'spot types in capitals, such as ["ELECTRIC"]')
    common = reader.wholes(_COMMON)
    rate = kind.read(reader) if kind else None
    # While the kind is unknown, no strategy's key can be called wrong.
    rates = [kind] if kind else list(RATES.values())
    known = [*_KEYS, *(key for one in rates for key in one.keys)]
    reader.done(
        f"a {kind.kind} tariff" if kind else "a tariff", (key for key in known if key not in _TIMES or not unit)
    )
    if effective_until_ms is not None and effective_from_ms is not None and effective_until_ms <= effective_from_ms:
        reader.refuse(f"effective_until{unit}", "is not after effective_from", "a later time, or remove it")
    if reader.faults or rate is None or effective_from_ms is None:
        raise TariffRefused(reader.faults)
    return Tariff(
        name,
        effective_from_ms,
        rate,
        **common,
        effective_until_ms=effective_until_ms,
        vehicle_types=tuple(sorted(set(vehicles))),
        spot_types=tuple(sorted(set(spots))),
    )


_TIMES: Final = ("effective_from", "effective_until")


def _name(reader: Reader) -> str:
    name = reader.raw("id")
    if isinstance(name, str) and _ID.fullmatch(name):
        return name
    what = "is missing" if name is None else f"is {brief(name)}"
    reader.refuse("id", what, 'a name of up to 40 letters, digits, ".", "_" and "-", such as "day-2026"')
    return ""


def _time(reader: Reader, name: str, unit: str, needed: bool) -> int | None:
    if unit:
        return reader.whole(f"{name}{unit}", Whole(0, WALL_MS_MAX, optional=not needed))
    when = reader.raw(name)
    if when is None and not needed:
        return None
    if isinstance(when, datetime) and when.tzinfo is not None:
        at_ms = (when - _EPOCH) // timedelta(milliseconds=1)
        if 0 <= at_ms <= WALL_MS_MAX:
            return at_ms
    what = "is missing" if when is None else f"is {brief(when)}"
    reader.refuse(name, what, "a date, time and offset without quotes, such as 2026-01-01T00:00:00Z")
    return None


def _kind(reader: Reader) -> type[Rate] | None:
    kind = reader.raw("kind")
    rate = RATES.get(kind) if isinstance(kind, str) else None
    if rate is None:
        near = get_close_matches(kind[:60], RATES, 1) if isinstance(kind, str) else []
        what = "is missing" if kind is None else f"is {brief(kind)}"
        reader.refuse("kind", what, f'did you mean "{near[0]}"?' if near else f"one of {', '.join(RATES)}")
    return rate


# -- pricing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Charge:
    """The price of a stay. `lines` sum to `total_minor`; some are there to explain and carry nothing."""

    total_minor: int
    lines: tuple[Line, ...]


def chosen(tariffs: Iterable[Tariff], at_ms: int, vehicle_type: str = "", spot_type: str | None = None) -> Tariff:
    """The tariff in force for a vehicle on a spot.

    Of those that hold and fit: one that names spot types before one that names vehicle types before one for all; of equals
    the one that began last; of two at once the one whose id sorts last. If none holds and fits it is one that has ended, or
    the first to begin: a clock that has fallen back must not leave a lane without a price. There must be at least one.
    """
    by_start = sorted(tariffs, key=lambda tariff: (tariff.effective_from_ms, tariff.tariff))
    assert by_start, "a site has at least one tariff"
    begun = [one for one in by_start if one.effective_from_ms <= at_ms and one.fits(vehicle_type, spot_type)]
    fitting = [one for one in begun if one.effective_until_ms is None or at_ms < one.effective_until_ms]
    if not fitting:
        return begun[-1] if begun else next((one for one in by_start if one.for_all), by_start[0])
    return max(enumerate(fitting), key=lambda pair: (bool(pair[1].spot_types), bool(pair[1].vehicle_types), pair[0]))[1]


def charge(
    tariff: Tariff, entered_ms: int, until_ms: int, zone: tzinfo, currency: str, fixed: Fixed | None = None
) -> Charge:
    """What a stay costs. Both times are UTC milliseconds of a clock that was set; `zone` is the site's.

    `fixed` is what demand made of the ticket. A stay that ends before it began (the clock was set back) costs nothing and
    says so. Raises UnknownCurrency.
    """
    if until_ms < entered_ms:
        return Charge(0, (Line("Clock was set back during the stay, no charge", 0),))
    span = Span(entered_ms, until_ms, zone, currency, 100 if fixed is None else fixed.percent)
    explained = _explained(span) if fixed is None else (*_explained(span), Line(fixed.told(), 0))
    if span.ms <= tariff.entry_grace_minutes * MINUTE_MS:
        priced = [Line(f"Free within {tariff.entry_grace_minutes} min of entry", 0)]
    else:
        priced = tariff.rate.lines(span)
    total_minor = sum(line.amount_minor for line in priced)
    assert total_minor >= 0, f"{tariff.tariff}: a price of {total_minor}"
    return Charge(total_minor, (*explained, *priced))


def due(
    tariff: Tariff,
    charged: Charge,
    now_ms: int,
    paid_minor: int,
    last_paid_ms: int | None,
    charged_at: Callable[[int], Charge],
) -> int:
    """What is still to pay of `charged`, the charge until `now_ms`. Never negative: an overpayment is not given back.

    `charged_at` tells the charge as it was at an earlier moment.

    `paid_minor` is all that was paid less what was refunded, `last_paid_ms` when the last payment was made. If that
    settled the stay as it was then, nothing is due until the exit grace is over; after it the stay costs its whole
    time, less what was paid. A payment that left something open begins no grace.
    """
    grace_ms = tariff.exit_grace_minutes * MINUTE_MS
    if (
        last_paid_ms is not None
        and now_ms - last_paid_ms <= grace_ms
        and charged_at(last_paid_ms).total_minor <= paid_minor
    ):
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
