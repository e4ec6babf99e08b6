"""Chargers in a site file: every mistake has its place, and only a site that has chargers needs their libraries."""

import subprocess
import sys
from pathlib import Path

import pytest

from config.faults import SiteFileRefused
from gatectl.domain.tickets import Keyring
from gatectl.runtime.plan import charger_points, site_plan
from gatectl.runtime.site_check import load_checked

PLAIN = """
[site]
id = "ev-01"
name = "EV"
timezone = "Europe/Amsterdam"
currency = "EUR"

[[areas]]
id = "main"
name = "Main"
levels = [{ level = 0, spots = [{ type = "ELECTRIC", count = 2, prefix = "E" }, { type = "COMPACT", count = 2 }] }]

[[tariffs]]
id = "t"
effective_from = 2026-01-01T00:00:00Z
kind = "flat"
base_minor = 500
lost_ticket_minor = 500

[ports.rs485]
kind = "serial"
path = "/dev/null"

[devices.io]
driver = "modbus-io"
model = "waveshare-io-8ch"
port = "rs485"
address = 1
inputs.di0 = {}
inputs.di1 = { polarity = "normally-closed", fail_safe = true }
inputs.di2 = { mode = "pulse", shortest_ms = 200 }

[devices.printer]
driver = "escpos"
model = "custom-kpm216"
port = "printer"

[ports.printer]
kind = "serial"
path = "/dev/zero"

[[lanes]]
id = "IN-1"
kind = "entry"
layout = "no-limits"
area = "main"
vehicle_type = "ELECTRIC_CAR"
wiring = { arming = "io/di0", closing = "io/di1", button = "io/di2", open = "io/do0", printer = "printer" }
"""
CHARGERS = """
[ports.chargers]
kind = "ocpp"

[devices.wallbox]
driver = "ocpp"
port = "chargers"
no_password = true

[[chargers]]
id = "EV-1"
device = "wallbox"
spot = "E-001"

[[chargers]]
id = "EV-2"
device = "wallbox"
connector = 2
authorize = "anyone"

[charging]
kwh_minor = 59
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "gatectl.toml"
    path.write_text(text)
    return path


def test_chargers_and_prices_are_in_the_plan(tmp_path: Path) -> None:
    """Two connectors of one charge point, one at a spot."""
    site = load_checked(written(tmp_path, PLAIN + CHARGERS))
    plan = site_plan(site, Keyring(1, {1: b"k" * 32}), "test")

    assert {"EV-1": ("wallbox", 1), "EV-2": ("wallbox", 2)} == charger_points(site)
    assert [("E-001", False), (None, True)] == [(charger.spot, charger.anyone) for charger in plan.chargers]
    assert (59, 0) == (plan.charging.kwh_minor, plan.charging.idle_minor)


MISTAKES = (
    ('device = "wallbox"\nspot', 'device = "walbox"\nspot', "chargers[0].device", "wallbox"),
    ('device = "wallbox"\nspot', 'device = "printer"\nspot', "chargers[0].device", "no charge point"),
    ('spot = "E-001"', 'spot = "E-009"', "chargers[0].spot", "unknown spot"),
    ("connector = 2", 'spot = "E-001"\nconnector = 2', "chargers[1].spot", "a second time"),
    ("connector = 2", "connector = 1", "chargers[1]", "a second time"),
    ("kwh_minor = 59", "kwh_minr = 59", "charging.kwh_minr", "kwh_minor"),
    ("no_password = true", "", "devices.wallbox.password_file", "missing"),
)


@pytest.mark.parametrize(("right", "wrong", "where", "told"), MISTAKES, ids=[row[2] + row[3] for row in MISTAKES])
def test_a_mistake_is_told_with_its_place(tmp_path: Path, right: str, wrong: str, where: str, told: str) -> None:
    """What it is, and where it stands."""
    with pytest.raises(SiteFileRefused) as refused:
        load_checked(written(tmp_path, (PLAIN + CHARGERS).replace(right, wrong, 1)))

    assert [where] == [fault.where for fault in refused.value.faults]
    assert told in str(refused.value)


def test_only_a_site_with_chargers_needs_their_libraries(tmp_path: Path) -> None:
    """Without the extra [ev] a plain site is good, and one with chargers is refused with the command that installs it."""
    program = """if True:
        import sys
        from importlib.abc import MetaPathFinder
        from pathlib import Path

        class Absent(MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("ocpp", "websockets"):
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, Absent())
        import importlib.util
        real = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *rest: None if name in ("ocpp", "websockets") else real(name, *rest)
        import gatectl.app
        from config.faults import SiteFileRefused
        from gatectl.runtime.site_check import load_checked
        try:
            load_checked(Path(sys.argv[1]))
            print("good")
        except SiteFileRefused as refused:
            print(refused)
    """

    def without(text: str) -> str:
        command = [sys.executable, "-c", program, str(written(tmp_path, text))]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    assert "good\n" == without(PLAIN)
    assert "pip install 'gatectl[ev]'" in without(PLAIN + CHARGERS)
