"""What this site is: the shape of gatectl.toml as frozen values, and how it is read.

`load_site` refuses a file with every mistake at once (`SiteFileRefused`). The shape is checked here, the meaning in
`config.checks`; what only drivers and tariffs can judge comes in as `further`, because config is a stranger to both.
The table `[daemon]` belongs to `config.settings`.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from config import checks
from config.faults import Complaint, Fault, SiteFileRefused
from config.files import Key, Tables, read_tables
from config.wording import complaints_of, without_echoes

SPOTS_MAX = 200_000
"""Spots of one site."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=40)]
"""What people call a thing: letters, digits, dash and underscore."""
TypeName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=40)]
"""A type of vehicle or of spot; `config.checks` knows which there are."""
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]
Text = Annotated[str, Field(min_length=1, max_length=120)]
AmountMinor = Annotated[int, Field(ge=0, le=1_000_000_000)]
WaitMs = Annotated[int, Field(ge=100, le=3_600_000)]
PriceMinor = Annotated[int, Field(ge=0, le=1_000_000)]
"""A price of one thing: a million of the smallest coins is a slip of the keyboard in any currency."""
CONNECTORS_MAX = 64
"""Connectors of one charge point."""
PulseMs = Annotated[int, Field(ge=100, le=3_000)]
"""A pulse: long enough for a barrier's input, short enough not to hold a button down."""


class Model(BaseModel):
    """Base of all tables: unknown keys and values of another type are refused, nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SiteInfo(Model):
    """`[site]`: `id` is the site's name at the office, `timezone` an IANA name, `currency` an ISO 4217 code."""

    id: Name
    name: Text
    timezone: str
    currency: str


class Office(Model):
    """`[office]`: where the records go. `credential`: a systemd credential, or a file in STATE_DIR/credentials/."""

    url: str
    ca: str | None = None
    credential: str = "office.json"


class Spots(Model):
    """Spots of one type on one level: `count` made-up names, or `names`."""

    type: TypeName
    count: Annotated[int, Field(ge=1, le=SPOTS_MAX)] | None = None
    names: tuple[Name, ...] | None = None
    prefix: Name | None = None

    def spot_names(self, area: str, level: int) -> Iterator[str]:
        """`main-0-COMPACT-001` ..., or prefix-001 ..., or the names as written."""
        if self.names is not None:
            yield from self.names
            return
        stem = self.prefix if self.prefix is not None else f"{area}-{level}-{self.type}"
        for number in range(1, (self.count or 0) + 1):
            yield f"{stem}-{number:03d}"


class Level(Model):
    level: Annotated[int, Field(ge=-20, le=100)]
    spots: tuple[Spots, ...]


class Reserve(Model):
    """Spots of `type` are for `vehicles` until no more than `until_free` others are free; the last `keep` always."""

    type: TypeName
    vehicles: tuple[TypeName, ...] = ()
    until_free: Annotated[int, Field(ge=0, le=SPOTS_MAX)] = 0
    keep: Annotated[int, Field(ge=0, le=SPOTS_MAX)] = 0


class Full(Model):
    """Full at `at` free spots for a vehicle type, open again at `open_at`."""

    at: Annotated[int, Field(ge=0, le=SPOTS_MAX)] = 0
    open_at: Annotated[int, Field(ge=1, le=SPOTS_MAX)] = 1


class Area(Model):
    """`inside`: the area around this one, for a nested area."""

    id: Name
    name: Text
    levels: tuple[Level, ...]
    inside: str | None = None
    strategy: Literal["level-by-level", "nearest", "spread"] = "level-by-level"
    reserve: tuple[Reserve, ...] = ()
    full: Full = Full()


class Types(Model):
    """`[types]`: what this site has beside the common ones. `vehicles`: by type, the spots it may stand on, best first."""

    spots: tuple[TypeName, ...] = ()
    vehicles: dict[TypeName, tuple[TypeName, ...]] = {}


class OpeningHours(Model):
    """`[[hours]]`: open on `days` from `from` until `until`, past midnight if that is earlier. `place`: site, an area, a lane."""

    place: str = "site"
    parkers: tuple[Literal["transient", "pass", "reservation"], ...] = ("transient",)
    days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    begins: TimeOfDay = Field(alias="from")
    until: TimeOfDay


def _options_apart(known: frozenset[str], table: Any) -> Any:
    """The keys that are not gatectl's own are the driver's, or the link's, to judge."""
    if not isinstance(table, Mapping):
        return table
    own = {key: value for key, value in table.items() if key in known}
    return {**own, "options": {key: value for key, value in table.items() if key not in known}}


class Port(Model):
    """`[ports.NAME]`: a serial line, a broker, or where charge points call; `options` is everything but `kind`."""

    kind: Literal["serial", "mqtt", "ocpp"]
    options: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, table: Any) -> Any:
        return _options_apart(frozenset({"kind"}), table)


class Device(Model):
    """`[devices.NAME]`: one device on a port; `options` are its driver's."""

    driver: str
    model: str = ""
    port: str
    options: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, table: Any) -> Any:
        return _options_apart(frozenset({"driver", "model", "port"}), table)


class Wiring(Model):
    """`[lanes.wiring]`: role = "device/point", or "device" where the device as a whole plays the role."""

    arming: str | None = None
    closing: str | None = None
    reset: str | None = None
    arm_up: str | None = None
    arm_down: str | None = None
    broken: str | None = None
    button: str | None = None
    door: str | None = None
    fire: str | None = None
    open: str | None = None
    close: str | None = None
    stop: str | None = None
    printer: str | None = None
    reader: str | None = None
    terminal: str | None = None
    display: str | None = None

    def points(self) -> dict[str, tuple[str, str]]:
        """Role to (device, point); the point is "" when the device as a whole is meant."""
        given = ((role, value) for role, value in self if value is not None)
        return {role: (value.partition("/")[0], value.partition("/")[2]) for role, value in given}


class Pulses(Model):
    """How long an output is closed. The device times it."""

    open_ms: PulseMs = 500
    close_ms: PulseMs = 500
    stop_ms: PulseMs = 500


class Timing(Model):
    """A lane's waits that differ from the domain's defaults; the fields are those of `gatectl.domain.lane.Timing`."""

    take_ms: WaitMs | None = None
    print_ms: WaitMs | None = None
    arm_ms: WaitMs | None = None
    pass_ms: WaitMs | None = None
    clear_ms: WaitMs | None = None
    long_gap_ms: WaitMs | None = None
    pay_ms: WaitMs | None = None
    stuck_ms: WaitMs | None = None
    start_ms: WaitMs | None = None
    open_tries: Annotated[int, Field(ge=1, le=10)] | None = None
    close_tries: Annotated[int, Field(ge=1, le=10)] | None = None
    reversals: Annotated[int, Field(ge=1, le=20)] | None = None

    def given(self) -> dict[str, int]:
        """Only what the file says."""
        return {name: value for name, value in self if value is not None}


class Lane(Model):
    """`from` makes an entry, and `to` an exit, a passage between two areas. `near`: levels, in the order of reach."""

    id: Name
    kind: Literal["entry", "exit"]
    layout: Literal["two-loop", "three-loop", "no-limits"]
    area: str
    coming_from: str | None = Field(default=None, alias="from")
    to: str | None = None
    near: tuple[int, ...] = ()
    vehicle_type: TypeName = "CAR"
    wiring: Wiring
    pulses: Pulses = Pulses()
    timing: Timing = Timing()


class Station(Model):
    """A pay station: a device with the capability "station". One that `gives_change` not keeps what is too much, on record."""

    id: Name
    device: str
    gives_change: bool = True


class Money(Model):
    """`[money]`: amounts are minor units of the site's currency.

    `offline_payment_minor`, `offline_day_minor`: what terminals may approve without asking the issuer, for one payment and on
    one day.
    `shift_tills`: tills that take and give nothing without an open shift. `uncollectable`: what an exit does whose terminal
    cannot be reached.
    """

    offline_payment_minor: AmountMinor = 0
    offline_day_minor: AmountMinor = 0
    shift_tills: tuple[Name, ...] = ()
    uncollectable: Literal["call", "let-out"] = "call"


class Fiscal(Model):
    """`[fiscal]`: the chained journal of receipts that the law of the place wants (docs/business/payments.md)."""

    regime: Literal["none", "rksv", "pt"]
    tax_percent: Annotated[int, Field(ge=0, le=50)] = 20
    cashbox: Name | None = None
    certificate: Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")] | None = None
    tax_number: Annotated[str, Field(pattern=r"^[0-9]{9}$")] | None = None
    software: Annotated[str, Field(pattern=r"^[0-9]{1,8}$")] | None = None
    key_version: Annotated[int, Field(ge=1, le=1_000)] = 1
    codes: dict[str, Annotated[str, Field(pattern=r"^[0-9A-Z]{8,}$", max_length=32)]] = {}


class Quota(Model):
    """`[[quotas]]`: so many spots of a class are the office's to sell ahead; no walk-in is given them."""

    area: str
    type: TypeName
    spots: Annotated[int, Field(ge=0, le=SPOTS_MAX)]


class Charger(Model):
    """`[[chargers]]`: one connector of a charge point. `spot`: where the vehicle stands that charges there."""

    id: Name
    device: str
    connector: Annotated[int, Field(ge=1, le=CONNECTORS_MAX)] = 1
    spot: str | None = None
    authorize: Literal["ticket", "anyone"] = "ticket"


class Charging(Model):
    """`[charging]`: what a session costs, in minor units; what is not given is not charged."""

    kwh_minor: PriceMinor = 0
    connection_minor: PriceMinor = 0
    idle_minor: PriceMinor = 0
    idle_grace_minutes: Annotated[int, Field(ge=0, le=1440)] = 0


class Valet(Model):
    """`[valet]`: where handed-over vehicles are parked, and what it costs beside the parking."""

    area: str
    vehicle_type: TypeName = "CAR"
    fee_minor: PriceMinor = 0
    lost_claim_minor: PriceMinor = 0


class Site(Model):
    """The whole file but `[daemon]`. `tariffs`, `merchants` and `coupons` are raw tables: the domain reads them."""

    site: SiteInfo
    office: Office | None = None
    areas: tuple[Area, ...]
    types: Types = Types()
    hours: tuple[OpeningHours, ...] = ()
    ports: dict[Name, Port] = {}
    devices: dict[Name, Device] = {}
    lanes: tuple[Lane, ...]
    stations: tuple[Station, ...] = ()
    money: Money = Money()
    fiscal: Fiscal | None = None
    quotas: tuple[Quota, ...] = ()
    chargers: tuple[Charger, ...] = ()
    charging: Charging = Charging()
    tariffs: tuple[dict[str, Any], ...] = ()
    valet: Valet | None = None
    merchants: tuple[dict[str, Any], ...] = ()
    coupons: tuple[dict[str, Any], ...] = ()

    def digest(self) -> str:
        """SHA-256, in hex, of everything that the file and the defaults say."""
        plain = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(plain.encode()).hexdigest()


Further = Callable[[Site], Iterable[Complaint]]
"""Checks by rooms that config does not know: drivers, tariffs."""


def load_site(path: Path, further: Further | None = None) -> Site:
    """The site in a file and its drop-ins; raises SiteFileRefused with every fault.

    `further` also sees a file with other mistakes: it gets what is left without the lanes, devices ... that are wrong.
    """
    return site_of(read_tables(path), further)


def site_of(tables: Tables, further: Further | None = None) -> Site:
    """The site in tables that were read; raises SiteFileRefused with every fault."""
    faults: list[Fault] = list(tables.faults)
    raw = _frozen({name: value for name, value in tables.values.items() if name != "daemon"})
    site, wrong = _shaped(raw)
    if not faults:  # of a file with a syntax error little is known: no guesses about what it does not say
        wrong = [*wrong, *checks.meaning(raw)]
        if further is not None:
            rest, kept = (site, {}) if site is not None else _salvaged(raw)
            if rest is not None:
                wrong += [_moved(complaint, kept) for complaint in further(rest)]
        faults += [tables.fault(complaint) for complaint in without_echoes(wrong, raw)]
    if faults:
        raise SiteFileRefused(sorted(set(faults), key=lambda fault: (fault.file, fault.line or 0, fault.where)))
    assert site is not None
    return site


def _shaped(raw: Mapping[str, Any]) -> tuple[Site | None, list[Complaint]]:
    try:
        return Site.model_validate(raw), []
    except ValidationError as error:
        return None, complaints_of(error, Site, raw)


_NOBODY = {"id": "unknown", "name": "unknown", "timezone": "UTC", "currency": "EUR"}
"""Stands in for a misshapen `[site]` while the rest of the file is checked."""


def _salvaged(raw: Mapping[str, Any]) -> tuple[Site | None, dict[str, list[int]]]:
    """The site without its misshapen parts, and which members of each list were kept; None if nothing is left."""
    try:
        Site.model_validate(raw)
    except ValidationError as error:
        bad = {item["loc"][:2] for item in error.errors()}
    rest: dict[str, Any] = {}
    kept: dict[str, list[int]] = {}
    for name, value in raw.items():
        if name not in Site.model_fields or (name,) in bad:
            continue
        if name == "office" and any(place[0] == name for place in bad):
            continue
        if isinstance(value, tuple):
            kept[name] = [index for index in range(len(value)) if (name, index) not in bad]
            rest[name] = tuple(value[index] for index in kept[name])
        elif name in ("ports", "devices"):
            rest[name] = {key: item for key, item in value.items() if (name, key) not in bad}
        else:
            rest[name] = value
    for name in ("areas", "lanes"):
        rest.setdefault(name, ())
    said = rest.get("site")
    rest["site"] = {**_NOBODY, **{key: said[key] for key in _NOBODY if isinstance(said, dict) and key in said}}
    try:
        return Site.model_validate(rest), kept
    except ValidationError:
        return None, {}


def _moved(complaint: Complaint, kept: Mapping[str, list[int]]) -> Complaint:
    """The complaint with its list index as in the file."""
    key = complaint.key
    if len(key) > 1 and isinstance(key[1], int) and str(key[0]) in kept:
        moved: Key = (key[0], kept[str(key[0])][key[1]], *key[2:])
        return Complaint(moved, complaint.found, complaint.expected, complaint.hint)
    return complaint


def _frozen(value: Any) -> Any:
    """TOML's arrays as tuples: the strict models take nothing else."""
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    return value
