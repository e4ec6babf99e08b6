"""Tables of prices, read with every fault at once. A fault names the place, what is wrong there, and what to write instead.

Rule: a key that nobody asked for is a fault. A price rule cannot be skipped.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Final, NamedTuple

from gatectl.domain.money import AMOUNT_MINOR_MAX

MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS
WALL_MS_MAX: Final = 253_402_214_400_000
"""9999-12-31T00:00Z, the end of the calendar that can be written."""
PRICE_MINOR_MAX: Final = 10**9
"""Minor units of one price of a tariff with bands: so that years of the shortest steps stay inside 64 bits."""
TABLES_MAX: Final = 48
"""Tables in one list of a tariff: bands, steps, special tickets."""
NAME_CHARS_MAX: Final = 20

_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00)")
_INDEX: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


class Fault(NamedTuple):
    """One thing wrong with a tariff: where (`bands[1].until`), what is wrong, and what to write instead (may be empty)."""

    key: str
    what: str
    hint: str


class TariffRefused(ValueError):
    """Raised with every fault of a tariff at once."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.key}: {fault.what}" for fault in faults))
        self.faults = faults


def path_of(key: str) -> tuple[str | int, ...]:
    """`"bands[1].until"` -> `("bands", 1, "until")`."""
    return tuple(int(index) if index else name for name, index in _INDEX.findall(key))


@dataclass(frozen=True, slots=True)
class Whole:
    """A key that takes a whole number from `low` to `high`. With neither default nor `optional` it must be there."""

    low: int
    high: int
    default: int | None = None
    optional: bool = False


AMOUNT: Final = Whole(0, AMOUNT_MINOR_MAX)
PRICE: Final = Whole(0, PRICE_MINOR_MAX)
MAYBE_PRICE: Final = Whole(0, PRICE_MINOR_MAX, optional=True)
CAP: Final = Whole(1, PRICE_MINOR_MAX, optional=True)


class Reader:
    """One table while it is read. What is asked for is known; `done` calls the rest unknown."""

    def __init__(self, table: Mapping[str, object], faults: list[Fault], place: str = "") -> None:
        self._table = table
        self._known: list[str] = []
        self.faults = faults
        self._place = place

    def refuse(self, key: str, what: str, hint: str = "") -> None:
        self.faults.append(Fault(f"{self._place}{key}", what, hint))

    def has(self, key: str) -> bool:
        return key in self._table

    def raw(self, key: str) -> object:
        """The value as it stands; the caller judges it."""
        self._known.append(key)
        return self._table.get(key)

    def whole(self, key: str, kind: Whole) -> int | None:
        """A whole number; None if it is not there (the default, if there is one) or was refused."""
        value = self.raw(key)
        if value is None:
            value = kind.default
        unit = "minutes" if key.endswith("_minutes") else "milliseconds" if key.endswith("_ms") else "minor units"
        unit = "percent" if key.endswith("percent") else unit
        hint = f"a whole number of {unit} from {kind.low} to {kind.high}"
        if value is None:
            if not kind.optional:
                self.refuse(key, "is missing", hint)
        elif type(value) is not int or not kind.low <= value <= kind.high:
            self.refuse(key, f"is {brief(value)}", hint)
        else:
            return value
        return None

    def wholes(self, keys: Mapping[str, Whole]) -> dict[str, int]:
        """Those of `keys` that are there and right, defaults included."""
        found = {key: self.whole(key, kind) for key, kind in keys.items()}
        return {key: value for key, value in found.items() if value is not None}

    def whole_list(self, key: str, kind: Whole) -> tuple[int, ...]:
        """A list of whole numbers; empty if it is not there or was refused."""
        value = self.raw(key)
        if value is None:
            return ()
        fits = isinstance(value, list | tuple) and 0 < len(value) <= TABLES_MAX
        if not fits or not all(type(one) is int and kind.low <= one <= kind.high for one in _listed(value)):
            self.refuse(key, f"is {brief(value)}", f"a list of whole numbers from {kind.low} to {kind.high}")
            return ()
        return tuple(one for one in _listed(value) if isinstance(one, int))

    def words(self, key: str, pattern: re.Pattern[str], hint: str, among: Collection[str] = ()) -> tuple[str, ...]:
        """A list of words; empty if it is not there or was refused. `among`: the only ones that may stand there."""
        value = self.raw(key)
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or not 0 < len(value) <= TABLES_MAX:
            self.refuse(key, f"is {brief(value)}", hint)
            return ()
        for index, one in enumerate(value):
            if not isinstance(one, str) or not pattern.fullmatch(one) or (among and one not in among):
                near = get_close_matches(one[:60], sorted(among), 1) if isinstance(one, str) else []
                self.refuse(f"{key}[{index}]", f"is {brief(one)}", f'did you mean "{near[0]}"?' if near else hint)
                return ()
        return tuple(one for one in value if isinstance(one, str))

    def flag(self, key: str) -> bool:
        """True or false; false if it is not there."""
        value = self.raw(key)
        if value is not None and not isinstance(value, bool):
            self.refuse(key, f"is {brief(value)}", "true or false")
        return value is True

    def name(self, key: str, default: str) -> str:
        value = self.raw(key)
        if value is None:
            return default
        if (
            isinstance(value, str)
            and value.strip() == value
            and value.isprintable()
            and 0 < len(value) <= NAME_CHARS_MAX
        ):
            return value
        self.refuse(key, f"is {brief(value)}", f"a text of up to {NAME_CHARS_MAX} printable characters")
        return default

    def clock(self, key: str, default: int | None = None) -> int | None:
        """Minutes of a time of day, 0 to 1440; the default if it is not there; None if it was refused or must be there."""
        value = self.raw(key)
        if value is None and default is not None:
            return default
        found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            what = "is missing" if value is None else f"is {brief(value)}"
            self.refuse(key, what, 'a time of day in quotes, "00:00" to "24:00"')
            return None
        hour, minute = (found[1], found[2]) if found[1] is not None else (found[3], found[4])
        return int(hour) * 60 + int(minute)

    def table(self, key: str) -> "Reader | None":
        """The reader of a table inside; None if it is not there or is none."""
        value = self.raw(key)
        if isinstance(value, Mapping):
            return Reader(value, self.faults, f"{self._place}{key}.")
        if value is not None:
            self.refuse(key, f"is {brief(value)}", "a table")
        return None

    def tables(self, key: str) -> "list[Reader]":
        """The readers of a list of tables; empty if it is not there or is none."""
        value = self.raw(key)
        if value is None:
            return []
        if not isinstance(value, list | tuple) or not 0 < len(value) <= TABLES_MAX:
            self.refuse(key, f"is {brief(value)}", f"1 to {TABLES_MAX} tables")
            return []
        made = []
        for index, one in enumerate(value):
            if isinstance(one, Mapping):
                made.append(Reader(one, self.faults, f"{self._place}{key}[{index}]."))
            else:
                self.refuse(f"{key}[{index}]", f"is {brief(one)}", "a table")
        return made

    def done(self, whose: str, more: Iterable[str] = ()) -> None:
        """Refuse every key that nobody has asked for. `more`: keys that need no asking."""
        known = {*self._known, *more}
        for key in self._table:
            if key in known:
                continue
            near = get_close_matches(key[:60], sorted(known), 1)
            # What cannot be printed (a lone surrogate out of JSON) could not be recorded either.
            told = key[:60] if key.isprintable() else repr(key)[:60]
            self.refuse(told, f"is not a key of {whose}", f"did you mean {near[0]}?" if near else "remove it")


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def brief(value: object) -> str:
    """A value as a fault names it; never longer than 60 characters, never a conversion that could fail."""
    if type(value) is int and abs(value) > WALL_MS_MAX:
        return "a number out of all bounds"
    return repr(value)[:60] if isinstance(value, str | int | float | datetime) else f"a {type(value).__name__}"
