"""What a pricing strategy is, and the two simple ones: a flat price, an hourly price.

Their prices and their words are older than some tickets: they do not change any more. What they cannot say, a tariff with
bands can (`gatectl.domain.tariff_bands`).
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from types import MappingProxyType
from typing import ClassVar, Self

from gatectl.domain.facts import Line
from gatectl.domain.money import AMOUNT_MINOR_MAX, shown
from gatectl.domain.tariff_reading import AMOUNT, DAY_MS, MINUTE_MS, Reader, Whole

STEP_MINUTES_MAX = 24 * 60


@dataclass(frozen=True, slots=True)
class Span:
    """A stay as a strategy prices it; `until_ms` is after `entered_ms`. `percent` is the demand's: 100 changes nothing."""

    entered_ms: int
    until_ms: int
    zone: tzinfo
    currency: str
    percent: int = 100

    @property
    def ms(self) -> int:
        return self.until_ms - self.entered_ms


class Rate(ABC):
    """A pricing strategy. Another kind is another subclass, put into `tariffs.RATES`."""

    __slots__ = ()
    kind: ClassVar[str]
    keys: ClassVar[Collection[str]]
    """The keys of a tariff that are this kind's."""

    @classmethod
    @abstractmethod
    def read(cls, reader: Reader) -> Self | None:
        """Made from its keys of a tariff's table; None when there were faults, which the reader then has."""

    @abstractmethod
    def plain(self) -> Mapping[str, object]:
        """What `read` was given, as JSON can hold it, defaults included."""

    @abstractmethod
    def lines(self, span: Span) -> list[Line]:
        """The price of a stay longer than the entry grace, line by line; none is empty, the sum is not negative."""

    @abstractmethod
    def summary(self, span: Span) -> str:
        """The prices for who enters at the span's beginning, for the ticket and the display; under 60 characters."""


@dataclass(frozen=True, slots=True)
class Flat(Rate):
    """One price for a stay, however long."""

    kind: ClassVar[str] = "flat"
    keys: ClassVar[Mapping[str, Whole]] = MappingProxyType({"base_minor": AMOUNT})
    base_minor: int

    @classmethod
    def read(cls, reader: Reader) -> Self | None:
        values = reader.wholes(cls.keys)
        return None if reader.faults else cls(values["base_minor"])

    def plain(self) -> Mapping[str, int]:
        return {"base_minor": self.base_minor}

    def lines(self, span: Span) -> list[Line]:
        return [Line(f"Flat price {shown(self.base_minor, span.currency)}", self.base_minor)]

    def summary(self, span: Span) -> str:
        return f"{shown(self.base_minor, span.currency)} a stay"


@dataclass(frozen=True, slots=True)
class Hourly(Rate):
    """A base price and an hourly price charged by started steps, at most the cap a day (rules 2 to 4 of `tariffs`)."""

    kind: ClassVar[str] = "hourly"
    keys: ClassVar[Mapping[str, Whole]] = MappingProxyType(
        {
            "base_minor": Whole(0, AMOUNT_MINOR_MAX, default=0),
            "per_hour_minor": AMOUNT,
            "step_minutes": Whole(1, STEP_MINUTES_MAX, default=60),
            "daily_cap_minor": Whole(1, AMOUNT_MINOR_MAX, optional=True),
        }
    )
    base_minor: int
    per_hour_minor: int
    step_minutes: int
    daily_cap_minor: int | None

    @classmethod
    def read(cls, reader: Reader) -> Self | None:
        values = reader.wholes(cls.keys)
        base, cap = values.get("base_minor", 0), values.get("daily_cap_minor")
        if cap is not None and cap < base:
            reader.refuse("daily_cap_minor", "is less than base_minor", f"{base} or more")
        return None if reader.faults else cls(base, values["per_hour_minor"], values["step_minutes"], cap)

    def plain(self) -> Mapping[str, int]:
        always = {
            "base_minor": self.base_minor,
            "per_hour_minor": self.per_hour_minor,
            "step_minutes": self.step_minutes,
        }
        return always if self.daily_cap_minor is None else always | {"daily_cap_minor": self.daily_cap_minor}

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

    def summary(self, span: Span) -> str:
        currency = span.currency
        base = f"{shown(self.base_minor, currency)} + " if self.base_minor else ""
        cap = "" if self.daily_cap_minor is None else f", max {shown(self.daily_cap_minor, currency)}/24 h"
        return f"{base}{shown(self.per_hour_minor, currency)}/h{cap}"
