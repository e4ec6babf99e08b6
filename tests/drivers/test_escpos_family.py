"""The printers' options, capabilities and models, as the site file sees them."""

import pytest

from drivers import catalog
from drivers.api import DeviceSpec, PortSpec
from drivers.escpos import family
from drivers.escpos_profile import profiles

PORT = PortSpec("line", "serial", {"path": "/dev/ttyS0", "baud": 19_200})


def test_every_fault_in_the_options_is_told_at_once() -> None:
    """With its place, and what would do."""
    port = PortSpec("line", "serial", {"baud": 19_201, "xonxoff": True})
    devices = [
        DeviceSpec("a", "escpos", "epson-tm-t89", "line", {"columns": 12, "code_page": "c858", "colums": 42}),
        DeviceSpec("b", "escpos", "custom-kpm216", "line"),
    ]

    assert {
        ("ports.line.path", ""),
        ("ports.line.baud", ""),
        ("ports.line.xonxoff", "known: baud, parity, path, stop_bits"),
        ("devices.b.port", ""),
        ("devices.a.model", "did you mean 'epson-tm-t88'?"),
        ("devices.a.columns", ""),
        ("devices.a.code_page", "did you mean 'cp858'?"),
        ("devices.a.colums", "did you mean 'columns'?"),
    } == {(fault.where, fault.hint) for fault in family.check(port, devices)}


@pytest.mark.parametrize("model", family.models)
def test_a_plain_printer_needs_no_options(model: str) -> None:
    """What is not said is the model's own."""
    assert [] == family.check(PORT, [DeviceSpec("a", "escpos", model, "line")])
    assert [] == family.check(PORT, [DeviceSpec("a", "escpos", model, "line", {"columns": 48, "code_page": "cp437"})])


@pytest.mark.parametrize(
    ("model", "able"), [("epson-tm-t88", {"print"}), ("custom-kpm216", {"print", "mouth", "retract"})]
)
def test_only_a_kiosk_printer_has_a_mouth(model: str, able: set[str]) -> None:
    """A lane with a plain printer takes printed for taken."""
    assert {"": frozenset(able)} == family.capabilities(DeviceSpec("a", "escpos", model, "line"))


def test_a_model_with_a_mouth_can_use_it() -> None:
    """A profile is data; its fields fit each other."""
    for profile in profiles().values():
        assert profile.mouth == bool(profile.retract and profile.present and profile.retract_ms_max)
        assert profile.code_page in profile.code_pages
        assert all("x".encode(codec) for codec in profile.code_pages)
        assert profile.mouth == (20 in profile.requests)


def test_the_families_are_found_by_name() -> None:
    """Through the same door as everybody's."""
    assert ("escpos", "code-reader") == (catalog.family("escpos").name, catalog.family("code-reader").name)
