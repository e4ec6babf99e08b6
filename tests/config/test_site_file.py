"""The site file: what is read, and that every mistake is told at once, with its place and the nearest valid word."""

from collections.abc import Callable
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import pytest

from config.faults import Complaint, Fault, SiteFileRefused
from config.files import read_tables
from config.place_checks import SPOTS, VEHICLES
from config.site import Site, Timing, load_site
from gatectl.domain import lane as domain_lane
from gatectl.domain.spot_rules import Strategy
from gatectl.domain.spots import COMPATIBLE, SPOT_TYPES
from gatectl.runtime.plan import lane_plan
from gatectl.runtime.site_check import ABILITIES, load_checked

GOOD = """\
[site]
id = "centrum-01"
name = "Garage Centrum"
timezone = "Europe/Amsterdam"
currency = "EUR"

[[areas]]
id = "main"
name = "Main"
levels = [{ level = 0, spots = [{ type = "COMPACT", count = 2 }, { type = "LARGE", names = ["L1", "L2"] }] }]

[ports.rs485]
kind = "serial"
path = "/dev/ttyUSB0"
baud = 38400

[ports.printer]
kind = "serial"
path = "/dev/ttyUSB1"

[devices.io]
driver = "modbus-io"
model = "waveshare-io-8ch"
port = "rs485"
address = 1
[devices.io.inputs]
di0 = {}
di1 = { polarity = "normally-closed" }
di2 = { mode = "pulse", shortest_ms = 200 }
di3 = {}
di4 = {}

[devices.printer]
driver = "escpos"
model = "epson-tm-t88"
port = "printer"

[[lanes]]
id = "IN-1"
kind = "entry"
layout = "two-loop"
area = "main"
[lanes.wiring]
arming = "io/di0"
closing = "io/di1"
button = "io/di2"
arm_up = "io/di3"
arm_down = "io/di4"
open = "io/do0"
close = "io/do1"
printer = "printer"
[lanes.timing]
take_ms = 15_000

[[tariffs]]
id = "day-2026"
effective_from = 2026-01-01T00:00:00Z
kind = "flat"
base_minor = 500
lost_ticket_minor = 1500
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a site file: GOOD with words replaced, and drop-ins by name."""

    def made(*changes: tuple[str, str], text: str = GOOD, **drop_ins: str) -> Path:
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / "gatectl.toml"
        path.write_text(text)
        for name, content in drop_ins.items():
            (tmp_path / "gatectl.d").mkdir(exist_ok=True)
            (tmp_path / "gatectl.d" / f"{name}.toml").write_text(content)
        return path

    return made


def faults(path: Path) -> list[Fault]:
    with pytest.raises(SiteFileRefused) as refused:
        load_checked(path)
    return list(refused.value.faults)


def only(path: Path) -> Fault:
    found = faults(path)
    assert 1 == len(found), "\n".join(fault.text() for fault in found)
    return found[0]


def test_a_good_file_is_read(write: Write) -> None:
    """What the daemon sees of a small site."""
    site = load_checked(write())

    (area,) = site.areas
    assert ["main-0-COMPACT-001", "main-0-COMPACT-002", "L1", "L2"] == [
        name for level in area.levels for group in level.spots for name in group.spot_names(area.id, level.level)
    ]
    assert ("io", "di1") == site.lanes[0].wiring.points()["closing"]
    assert ("printer", "") == site.lanes[0].wiring.points()["printer"]
    assert {"take_ms": 15_000} == site.lanes[0].timing.given()
    assert {"path": "/dev/ttyUSB0", "baud": 38400} == site.ports["rs485"].options
    assert 15_000 == lane_plan(site, site.lanes[0]).timing.take_ms


@pytest.mark.parametrize("name", ["modbus-escpos.toml", "shelly.toml"])
def test_each_example_is_good(name: str) -> None:
    """What we ship as an example is what the daemon accepts, drivers and tariffs included."""
    site = load_checked(Path(str(files("config") / "examples" / name)))

    assert {"entry", "exit"} == {lane.kind for lane in site.lanes}


TEN_MISTAKES = (
    ('name = "Garage Centrum"', 'nam = "Garage Centrum"'),
    ("Europe/Amsterdam", "Europe/Amsterdm"),
    ('type = "COMPACT"', 'type = "COMPCT"'),
    ('driver = "escpos"', 'driver = "escpso"'),
    ("address = 1", "adress = 1"),
    ('kind = "entry"', 'kind = "entri"'),
    ('area = "main"', 'area = "mian"'),
    ('arm_down = "io/di4"\n', ""),
    ('button = "io/di2"', 'button = "oi/di2"'),
    ("take_ms = 15_000", 'take_ms = "15 s"'),
)


def test_ten_mistakes_are_ten_faults_at_once(write: Write) -> None:
    """A technician mends the file in one pass: shape, references, roles, types and drivers' options together."""
    found = faults(write(*TEN_MISTAKES))

    told = {fault.where: (fault.found, fault.hint) for fault in found}
    assert {
        "site.nam": ("the unknown key 'nam'", "did you mean 'name'?"),
        "site.timezone": ("the unknown time zone 'Europe/Amsterdm'", "did you mean 'Europe/Amsterdam'?"),
        "areas[0].levels[0].spots[0].type": ("the unknown spot type 'COMPCT'", "did you mean 'COMPACT'?"),
        "devices.printer.driver": ("the unknown driver 'escpso'", "did you mean 'escpos'?"),
        "devices.io.adress": ("is not an option", "did you mean 'address'?"),
        "lanes[0].kind": ("the text 'entri'", "did you mean 'entry'?"),
        "lanes[0].area": ("the unknown area 'mian'", "did you mean 'main'?"),
        "lanes[0].wiring.arm_down": ("nothing", ""),
        "lanes[0].wiring.button": ("the unknown device 'oi'", "did you mean 'io'?"),
        "lanes[0].timing.take_ms": ("the text '15 s'", ""),
    } == told
    assert 10 == len(found)
    text = write(*TEN_MISTAKES).read_text().splitlines()
    assert all(fault.line is not None for fault in found)
    assert {"nam", "timezone", "kind", "area"} <= {text[(fault.line or 0) - 1].split(" ")[0] for fault in found}


@pytest.mark.parametrize(
    ("change", "where", "found", "hint"),
    [
        (
            ('currency = "EUR"', 'currency = "ERU"'),
            "site.currency",
            "the unknown currency 'ERU'",
            "did you mean 'EUR'?",
        ),
        (('id = "centrum-01"', "id = 7"), "site.id", "the whole number 7", ""),
        (('id = "centrum-01"', 'id = "a b"'), "site.id", "the text 'a b'", ""),
        (('port = "rs485"', 'port = "rs458"'), "devices.io.port", "the unknown port 'rs458'", "did you mean 'rs485'?"),
        (("count = 2", "count = 0"), "areas[0].levels[0].spots[0].count", "0", ""),
        (("count = 2", "count = 2.5"), "areas[0].levels[0].spots[0].count", "the decimal number 2.5", ""),
        (("count = 2", 'count = 2, names = ["A"]'), "areas[0].levels[0].spots[0]", "both `count` and `names`", ""),
        (('"L1", "L2"', '"L1", "L1"'), "areas[0].levels[0].spots[1]", "the spot name 'L1' a second time", ""),
        (("take_ms", "tkae_ms"), "lanes[0].timing.tkae_ms", "the unknown key 'tkae_ms'", "did you mean 'take_ms'?"),
        (("take_ms = 15_000", "take_ms = 1"), "lanes[0].timing.take_ms", "1", ""),
        (('button = "io/di2"', 'button = "io/di0"'), "lanes[0].wiring.button", "'io/di0' a second time", ""),
        (('open = "io/do0"', 'open = "io"'), "lanes[0].wiring.open", "'io' without a point", ""),
        (('open = "io/do0"', 'open = "io/di5"'), "lanes[0].wiring.open", "'io', which has no point 'di5'", None),
        (
            ('open = "io/do0"', 'opne = "io/do0"'),
            "lanes[0].wiring.opne",
            "the unknown key 'opne'",
            "did you mean 'open'?",
        ),
        (('printer = "printer"', 'printer = "io"'), "lanes[0].wiring.printer", "'io' without a point", ""),
        (('"io/do0"', '"printer/do0"'), "lanes[0].wiring.open", "'printer', which has no point 'do0'", ""),
        (("base_minor = 500", "base_minor = -1"), "tariffs[0].base_minor", None, None),
        (("base_minor", "base_mino"), "tariffs[0].base_mino", None, None),
        (('kind = "flat"', 'kind = "falt"'), "tariffs[0].kind", None, None),
        (("baud = 38400", "baud = 38401"), "ports.rs485.baud", None, None),
        (('kind = "serial"\npath = "/dev/ttyUSB1"', 'kind = "mqtt"\nhost = "h"'), "devices.printer.port", None, ""),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else None,
)
def test_each_mistake_is_told_with_its_place(
    write: Write, change: tuple[str, str], where: str, found: str | None, hint: str | None
) -> None:
    """One mistake, one fault: the place, what stands there, and the nearest valid word where there is one."""
    path = write(change)

    told = [fault for fault in faults(path) if fault.where == where]

    assert 1 == len(told), [fault.text() for fault in faults(path)]
    assert found in (None, told[0].found)
    assert hint in (None, told[0].hint) or told[0].hint.startswith(("the first is", "it is lanes[0]"))
    assert told[0].line is not None


def test_the_closing_loop_must_be_fit_for_safety(write: Write) -> None:
    """A contact that reads "clear" when its wire is cut would let an arm come down on a car."""
    fault = only(write(('di1 = { polarity = "normally-closed" }', "di1 = {}")))

    assert "lanes[0].wiring.closing" == fault.where
    assert "reads occupied when it fails" in fault.expected


@pytest.mark.parametrize(
    ("layout", "wiring", "missing"),
    [
        ("three-loop", "", {"reset"}),
        ("no-limits", "", {"arm_up", "arm_down"}),
        ("two-loop", 'reset = "io/di5"\n', {"reset"}),
    ],
)
def test_a_layout_asks_for_its_roles_and_no_others(write: Write, layout: str, wiring: str, missing: set[str]) -> None:
    """What a layout needs must be wired; what it never looks at must not be, or the file lies about the lane."""
    path = write(
        ("two-loop", layout), ("[lanes.wiring]\n", f"[lanes.wiring]\n{wiring}"), ("di4 = {}", "di4 = {}\ndi5 = {}")
    )

    assert missing == {fault.where.rpartition(".")[2] for fault in faults(path)}


def test_one_fire_contact_serves_all_lanes(write: Write) -> None:
    """Every other point belongs to one role of one lane."""
    lane = GOOD[GOOD.index("[[lanes]]") : GOOD.index("[[tariffs]]")].replace('id = "IN-1"', 'id = "IN-2"')
    both = GOOD.replace("[lanes.wiring]", '[lanes.wiring]\nfire = "io/di5"').replace("di4 = {}", "di4 = {}\ndi5 = {}")
    second = lane.replace("[lanes.wiring]", '[lanes.wiring]\nfire = "io/di5"')

    doubled = {fault.where for fault in faults(write(text=both, second=second))}

    assert "lanes[1].wiring.fire" not in doubled
    assert "lanes[1].wiring.arming" in doubled


def test_two_of_the_same_id_are_refused(write: Write) -> None:
    """The second one is told, and where the first stands."""
    fault = only(write(second=GOOD[GOOD.index("[[tariffs]]") :]))

    assert ("tariffs[1].id", "the first is tariffs[0]") == (fault.where, fault.hint)
    assert fault.file.endswith("gatectl.d/second.toml")
    assert 2 == fault.line


def test_drop_ins_come_in_the_order_of_their_names(write: Write) -> None:
    """A value replaces, a table is merged, a list of the top level grows; faults name the drop-in and its line."""
    path = write(
        ten='[ports.rs485]\nbaud = 9600\n[site]\nname = "ten"\n',
        twenty='[site]\nname = "twenty"\n[[areas]]\nid = "roof"\nname = "Roof"\nlevels = []\n',
    )

    site = load_site(path)

    assert "twenty" == site.site.name
    assert 9600 == site.ports["rs485"].options["baud"]
    assert ["main", "roof"] == [area.id for area in site.areas]


@pytest.mark.parametrize(
    "url", ["http://office.example", "office.example", "https://", "ftp://office.example", "https://a:b"]
)
def test_an_office_is_reached_by_https(write: Write, url: str) -> None:
    """Plain HTTP is spoken to this machine only."""
    assert "office.url" == only(write(office=f'[office]\nurl = "{url}"\n')).where
    load_site(write(office='[office]\nurl = "http://127.0.0.1:8000"\n'))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[site\n", 1),
        ('[site]\nid = "x"\nname = \n', 3),
        ('[site]\nid = "x"\nid = "y"\n', 3),
        ("[site]\nid = 'x", None),
    ],
)
def test_broken_toml_is_one_fault_with_its_line(write: Write, text: str, line: int | None) -> None:
    """Nothing is guessed about a file that cannot be read: no "missing" for what may stand behind the mistake."""
    found = [fault for fault in faults(write(text=text)) if fault.where == "syntax"]

    assert 1 == len(found)
    assert line in (None, found[0].line)


def test_files_that_cannot_be_read_are_faults(tmp_path: Path) -> None:
    """A missing file and one that is not text."""
    assert "No such file" in faults(tmp_path / "gatectl.toml")[0].found
    (tmp_path / "gatectl.toml").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in faults(tmp_path / "gatectl.toml")[0].found


@pytest.mark.parametrize(
    "text", ["", "lanes = 3\n", "site = []\n[[areas]]\n", "lanes = [1]\nareas = [[]]\n", "ports = { a = 1 }\n"]
)
def test_a_file_of_another_shape_is_refused_not_raised(write: Write, text: str) -> None:
    """Whatever is in the file, the answer is a list of faults."""
    assert faults(write(text=text))


def test_every_line_is_found_where_it_stands(write: Write) -> None:
    """Inside nested lists of tables, behind multi-line values and strings with brackets."""
    text = '[a]\nx = [\n  1, # ]\n  "]",\n]\ny = """\n[no.table]\n"""\n[[b]]\nz = 1\n[[b]]\n[b.c]\n"q w" = {r = 1}\n'

    tables = read_tables(write(text=text))

    lines = {key: line for key, (_, line) in tables.places.items()}
    assert {
        ("a",): 1, ("a", "x"): 2, ("a", "y"): 6, ("b", 0): 9, ("b", 0, "z"): 10, ("b", 1): 11,
        ("b", 1, "c"): 12, ("b", 1, "c", "q w"): 13,
    } == lines  # fmt: skip
    assert 13 == tables.place(("b", 1, "c", "q w", "r"))[1]


def test_the_digest_follows_the_content(write: Write) -> None:
    """Another comment is the same site; another pulse is not."""
    first = load_site(write()).digest()

    assert first == load_site(write(("[site]", "# a comment\n[site]"))).digest()
    assert first != load_site(write(("take_ms = 15_000", "take_ms = 15_001"))).digest()


def test_further_checks_also_see_a_file_with_mistakes(write: Write) -> None:
    """A later lane's complaint keeps its place although an earlier lane was misshapen."""
    lane = GOOD[GOOD.index("[[lanes]]") : GOOD.index("[[tariffs]]")]
    path = write(('kind = "entry"', 'kind = "entri"'), second=lane.replace("IN-1", "IN-2"))

    def further(site: Site) -> list[Complaint]:
        return [Complaint(("lanes", number, "id"), lane.id) for number, lane in enumerate(site.lanes)]

    with pytest.raises(SiteFileRefused) as refused:
        load_site(path, further)

    assert ("lanes[1].id", "IN-2") in [(fault.where, fault.found) for fault in refused.value.faults]


def test_the_words_of_the_file_are_the_domains() -> None:
    """Timing has the domain's fields, every role has an ability, the kinds and layouts are the domain's."""
    assert {field.name for field in fields(domain_lane.Timing)} == set(Timing.model_fields)
    lane = Site.model_fields["lanes"].annotation.__args__[0]
    assert set(ABILITIES) == set(lane.model_fields["wiring"].annotation.model_fields)
    passage = {domain_lane.LaneKind.PASSAGE}  # said by `from` or `to`
    assert set(domain_lane.LaneKind) - passage == set(lane.model_fields["kind"].annotation.__args__)
    assert set(Strategy) == set(
        Site.model_fields["areas"].annotation.__args__[0].model_fields["strategy"].annotation.__args__
    )
    assert set(VEHICLES) == set(COMPATIBLE)
    assert set(SPOTS) == set(SPOT_TYPES)
    assert set(domain_lane.Layout) == set(lane.model_fields["layout"].annotation.__args__)


def test_a_site_without_a_price_is_refused(write: Write) -> None:
    """It once was good, and the daemon fell at its first vehicle: a ticket names the tariff that it is priced by."""
    fault = only(write(text=GOOD[: GOOD.index("[[tariffs]]")]))

    assert ("tariffs", "nothing") == (fault.where, fault.found)


@pytest.mark.parametrize(
    ("quota", "where", "found"),
    [
        ('area = "man"\ntype = "COMPACT"\nspots = 1', "quotas[0].area", "the unknown area 'man'"),
        ('area = "main"\ntype = "MOTORCYCLE"\nspots = 1', "quotas[0].type", "'MOTORCYCLE', of which main has no spot"),
        ('area = "main"\ntype = "COMPACT"\nspots = 90000', "quotas[0].spots", "90000"),
    ],
)
def test_a_quota_is_of_spots_that_there_are(write: Write, quota: str, where: str, found: str) -> None:
    """The office cannot sell what is not there; a good one is in the plan."""
    with pytest.raises(SiteFileRefused) as refused:
        load_site(write(text=GOOD + f"\n[[quotas]]\n{quota}\n"))

    (fault,) = refused.value.faults
    assert (where, found) == (fault.where, fault.found)
    good = load_site(write(text=GOOD + '\n[[quotas]]\narea = "main"\ntype = "COMPACT"\nspots = 2\n'))
    assert [("main", "COMPACT", 2)] == [(each.area, each.type, each.spots) for each in good.quotas]
