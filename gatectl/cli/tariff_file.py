"""A file with tariffs: a site file, tariffs alone, a price board with its examples, or one tariff as the office has it.

A price board says its `currency` and `timezone` at its top, and what it costs in `[[examples]]`: `in`, `out` (date, time and
offset, without quotes), `price_minor`, and where they matter `tariff`, `vehicle_type`, `spot_type`, `taken` and `spots`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from config.faults import Complaint, Fault
from config.files import Tables, read_tables
from gatectl.domain.money import EXPONENTS, shown
from gatectl.domain.tariff_reading import TariffRefused, path_of
from gatectl.domain.tariffs import Charge, Tariff, charge, chosen, from_body, parse

CURRENCY: Final = "EUR"
EXAMPLES_MAX: Final = 1_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WORDS: Final = ("tariff", "vehicle_type", "spot_type", "why")
_WHOLES: Final = ("price_minor", "taken", "spots")
_KNOWN: Final = {"in", "out", *_WORDS, *_WHOLES}


@dataclass(slots=True)
class TariffFile:
    """What could be read; `faults` is what could not, or was not priced as the file says."""

    path: Path
    tariffs: list[Tariff] = field(default_factory=list)
    currency: str = CURRENCY
    zone: tzinfo = UTC
    examples: int = 0
    faults: list[Fault] = field(default_factory=list)

    def charge(
        self,
        entered_ms: int,
        until_ms: int,
        name: str = "",
        vehicle_type: str = "CAR",
        spot_type: str | None = None,
        counted: tuple[int, int] | None = None,
    ) -> tuple[Tariff, Charge]:
        """The tariff of that name, or the one in force, and its price. `counted`: spots taken and spots at entry.

        Raises LookupError when the file has no tariff, or none of that name; the message says so.
        """
        found = [tariff for tariff in self.tariffs if name in ("", tariff.tariff)]
        if not found:
            raise LookupError(f"{self.path} has no tariff {name}".rstrip())
        tariff = chosen(found, entered_ms, vehicle_type, spot_type)
        fixed = tariff.demand.fixed(*counted) if tariff.demand is not None and counted is not None else None
        return tariff, charge(tariff, entered_ms, until_ms, self.zone, self.currency, fixed)


def read_tariffs(path: Path) -> TariffFile:
    """Never raises for what is in the file, or for a file that is missing: those are its faults."""
    if path.suffix == ".json":
        return _from_json(path)
    tables = read_tables(path)
    read = TariffFile(path, faults=list(tables.faults))
    if tables.faults:
        return read
    site = tables.values.get("site")
    _place(
        read, tables, site if isinstance(site, Mapping) else tables.values, "site." if isinstance(site, Mapping) else ""
    )
    listed = tables.values.get("tariffs")
    if not isinstance(listed, list) or not listed:
        read.faults.append(Fault("tariffs", "is missing", "", "one [[tariffs]] or more", str(path)))
        return read
    for index, table in enumerate(listed):
        try:
            read.tariffs.append(parse(table if isinstance(table, Mapping) else {}))
        except TariffRefused as refused:
            for fault in refused.faults:
                wrong = Complaint(("tariffs", index, *path_of(fault.key)), fault.what, "", fault.hint)
                read.faults.append(tables.fault(wrong))
    if not read.faults:
        _price_examples(read, tables)
    return read


def _from_json(path: Path) -> TariffFile:
    read = TariffFile(path)
    try:
        read.tariffs.append(from_body(path.read_text(encoding="utf-8")))
    except TariffRefused as refused:
        read.faults += [Fault(fault.key, fault.what, "", fault.hint, str(path)) for fault in refused.faults]
    except (OSError, UnicodeDecodeError) as error:
        read.faults.append(Fault("file", str(error), file=str(path)))
    return read


def zone_of(name: object) -> tzinfo | None:
    """The time zone of an IANA name; None if there is none."""
    try:
        return ZoneInfo(name) if isinstance(name, str) else None
    except (ValueError, OSError, LookupError):  # what ZoneInfo says of a path, a directory, a stranger
        return None


def _place(read: TariffFile, tables: Tables, table: Mapping[str, Any], where: str) -> None:
    currency, timezone = table.get("currency", CURRENCY), table.get("timezone", "UTC")
    if currency not in EXPONENTS:
        wrong = Complaint(path_of(f"{where}currency"), repr(currency)[:60], "an ISO 4217 code such as EUR")
        read.faults.append(tables.fault(wrong))
    else:
        read.currency = currency
    zone = zone_of(timezone)
    if zone is None:
        wrong = Complaint(path_of(f"{where}timezone"), repr(timezone)[:60], "an IANA name such as Europe/Amsterdam")
        read.faults.append(tables.fault(wrong))
    else:
        read.zone = zone


def _price_examples(read: TariffFile, tables: Tables) -> None:
    listed = tables.values.get("examples", [])
    for index, example in enumerate(listed[:EXAMPLES_MAX] if isinstance(listed, list) else []):
        read.examples += 1
        for what in _wrong(read, example):
            read.faults.append(tables.fault(Complaint(("examples", index), what)))


def _wrong(read: TariffFile, example: Any) -> Iterator[str]:
    """What is wrong with an example, or with its price."""
    if not isinstance(example, Mapping) or not example.keys() <= _KNOWN:
        yield f"has a key that is none of {', '.join(sorted(_KNOWN))}"
        return
    entered, left, price = example.get("in"), example.get("out"), example.get("price_minor")
    if not (isinstance(entered, datetime) and isinstance(left, datetime) and entered.tzinfo and left.tzinfo):
        yield "needs in and out: date, time and offset, without quotes"
        return
    counted = (example.get("taken"), example.get("spots"))
    fits = all(isinstance(example.get(key, ""), str) for key in _WORDS)
    if not fits or type(price) is not int or not all(type(example.get(key, 0)) is int for key in _WHOLES):
        yield "needs price_minor, and words and whole numbers where they belong"
        return
    try:
        _, charged = read.charge(
            ms_of(entered),
            ms_of(left),
            example.get("tariff", ""),
            example.get("vehicle_type", "CAR"),
            example.get("spot_type"),
            (counted[0], counted[1]) if counted[0] is not None and counted[1] is not None else None,
        )
    except LookupError as error:
        yield str(error)
        return
    if charged.total_minor != price:
        found, wanted = shown(charged.total_minor, read.currency), shown(price, read.currency)
        yield f"costs {found}, not {wanted} ({example.get('why', '')})"


def ms_of(aware: datetime) -> int:
    """UTC milliseconds."""
    return (aware - _EPOCH) // timedelta(milliseconds=1)
