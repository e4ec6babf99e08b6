"""The terms of coupons and merchants, as a site file's table, a row of the office's feed or a person gives them.

One reader for all three, with every fault at once. A table of a site file has times, a row of the feed milliseconds.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from gatectl.domain.business.pass_hours import parsed
from gatectl.domain.money import AMOUNT_MINOR_MAX
from gatectl.domain.offers import Coupon, Merchant
from gatectl.domain.tariff_reading import WALL_MS_MAX, Fault, Reader, brief

MINUTES_MAX: Final = 366 * 24 * 60
USES_MAX: Final = 10**9
HOURS_CHARS_MAX: Final = 200
REASONS_MAX: Final = 40
GIVES: Final = {
    "minutes": MINUTES_MAX,
    "flat_minor": AMOUNT_MINOR_MAX,
    "percent": 100,
    "amount_minor": AMOUNT_MINOR_MAX,
}
"""What a coupon may give, by its key, and the most of it. Exactly one of them is said."""
CODE: Final = re.compile(r"(?!Q-)(?=.*[A-Z])[A-Z0-9][A-Z0-9-]{3,23}")
"""A coupon's code: people type it, and it is no PIN, no number of a ticket's kind and no signed coupon's name."""
MERCHANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_TARIFF: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_TYPE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
_REASON: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,39}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
T = TypeVar("T")


class TermsRefused(ValueError):
    """Raised with every fault of a coupon or a merchant at once."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.key}: {fault.what}" for fault in faults))
        self.faults = faults


def read_coupon(table: Mapping[str, object], unit: str = "") -> Coupon:
    """The coupon of a `[[coupons]]` table (`unit` ""), or of a feed's row with its key as `id` (`unit` "_ms").

    Raises TermsRefused.
    """
    reader = Reader(table, [])
    code = _named(
        reader, "id", CODE, 'a code of 4 to 24 capitals, digits and "-" with at least one letter, such as "SUMMER26"'
    )
    gives, value = _given(reader)
    from_ms, until_ms = _time(reader, f"from{unit}", unit), _time(reader, f"until{unit}", unit)
    if from_ms is not None and until_ms is not None and until_ms <= from_ms:
        reader.refuse(f"until{unit}", "is not after from", "a later time, or remove it")
    unlimited = reader.flag("unlimited")
    uses = _count(reader, "uses", USES_MAX)
    if unlimited and uses is not None:
        reader.refuse("uses", "is said beside unlimited", "remove one of them")
    coupon = Coupon(
        code,
        gives,
        value,
        from_ms,
        until_ms,
        _hours(reader),
        None if unlimited else 1 if uses is None else uses,
        _count(reader, "uses_per_day", USES_MAX),
        reader.flag("exclusive"),
        reader.words("tariffs", _TARIFF, 'a list of tariffs, such as ["day-2026"]'),
        reader.words("vehicle_types", _TYPE, 'vehicle types in capitals, such as ["CAR"]'),
        _named(reader, "merchant", MERCHANT, "a merchant's id") if reader.has("merchant") else None,
    )
    return _done(reader, "a coupon", coupon)


def read_merchant(table: Mapping[str, object]) -> Merchant:
    """The merchant of a `[[merchants]]` table, or of a feed's row with its key as `id`. Raises TermsRefused."""
    reader = Reader(table, [])
    name = reader.raw("name")
    if not isinstance(name, str) or not (0 < len(name) <= 40 and name.isprintable() and name.strip()):
        reader.refuse("name", "is missing" if name is None else f"is {brief(name)}", "a text of up to 40 characters")
        name = ""
    merchant = Merchant(
        _named(reader, "id", MERCHANT, 'a name of up to 40 letters, digits, "_" and "-", such as "cafe-roma"'),
        name,
        _count(reader, "minutes_max", MINUTES_MAX) or 0,
        _count(reader, "amount_minor_max", AMOUNT_MINOR_MAX) or 0,
        reader.flag("whole_stay"),
        _count(reader, "per_day", USES_MAX),
        _count(reader, "per_month", USES_MAX),
        reader.words("reasons", _REASON, 'a list of reasons, such as ["purchase", "guest"]')[:REASONS_MAX],
    )
    if not (merchant.minutes_max or merchant.amount_minor_max or merchant.whole or reader.faults):
        reader.refuse("id", "may give nothing", "minutes_max, amount_minor_max or whole_stay")
    return _done(reader, "a merchant", merchant)


def _done(reader: Reader, whose: str, made: T) -> T:
    reader.done(whose)
    if reader.faults:
        raise TermsRefused(reader.faults)
    return made


def _named(reader: Reader, key: str, pattern: re.Pattern[str], hint: str) -> str:
    value = reader.raw(key)
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    reader.refuse(key, "is missing" if value is None else f"is {brief(value)}", hint)
    return ""


def _given(reader: Reader) -> tuple[str, int]:
    said = [key for key in GIVES if reader.raw(key) is not None]
    if len(said) != 1:
        what = "is missing" if not said else "are said together"
        reader.refuse(" and ".join(said) or "percent", what, f"one of {', '.join(GIVES)}")
        return "", 0
    key = said[0]
    least = 0 if key == "flat_minor" else 1
    value = reader.raw(key)
    if type(value) is not int or not least <= value <= GIVES[key]:
        reader.refuse(key, f"is {brief(value)}", f"a whole number from {least} to {GIVES[key]}")
        return "", 0
    return key.removesuffix("_minor"), value


def _count(reader: Reader, key: str, most: int) -> int | None:
    value = reader.raw(key)
    if value is None or (type(value) is int and 1 <= value <= most):
        return value if type(value) is int else None
    reader.refuse(key, f"is {brief(value)}", f"a whole number from 1 to {most}")
    return None


def _hours(reader: Reader) -> str:
    value = reader.raw("hours")
    if value is None:
        return ""
    why = "" if isinstance(value, str) and len(value) <= HOURS_CHARS_MAX else "a text is needed"
    if not why and isinstance(value, str):
        try:
            parsed(value)
        except ValueError as error:
            why = str(error)
        else:
            return value
    reader.refuse("hours", f"is {brief(value)}", f'such as "mon-fri 18:00-23:00; sat,sun 00:00-24:00" ({why})')
    return ""


def _time(reader: Reader, key: str, unit: str) -> int | None:
    value = reader.raw(key)
    if value is None:
        return None
    at_ms = value if unit and type(value) is int else None
    if not unit and isinstance(value, datetime) and value.tzinfo is not None:
        at_ms = (value - _EPOCH) // timedelta(milliseconds=1)
    if isinstance(at_ms, int) and 0 <= at_ms <= WALL_MS_MAX:
        return at_ms
    hint = "UTC milliseconds" if unit else "a date, time and offset without quotes, such as 2026-06-01T00:00:00+02:00"
    reader.refuse(key, f"is {brief(value)}", hint)
    return None
