"""docs/simulation.md cannot rot: its code runs, and its list of promises is the code's."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gatectl.domain.ids import SpotId, TicketNumber
from gatectl.world import devices, faults, inspector
from gatectl.world.coverage import ROWS
from gatectl.world.plans import AREA
from gatectl.world.simulation import Options, World

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/simulation.md").read_text()
FROM = {"hold": 1, "Broken": 0}
"""Which argument of a call is the name of a promise."""


@cache
def blocks() -> dict[str, Any]:
    """What all of the page's code defines."""
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.M | re.S):
        exec(compile(block, "docs/simulation.md", "exec"), names)
    return names


def test_a_fault_as_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins, it is mended, and the site serves again."""
    monkeypatch.setattr(faults, "FAULTS", {**faults.FAULTS, **blocks()["NEW_FAULT"]})
    result = World(Options(1, days=0.05, faults_per_hour=60, kinds=("hail",))).run()

    assert "" == result.broken
    assert result.seen["hail"] > 20


def test_a_device_as_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does what an effect says, in every lane that has one."""
    monkeypatch.setattr(devices, "_PERFORM", {**devices._PERFORM, **blocks()["NEW_DEVICE"]})
    result = World(Options(1, days=0.2, faults_per_hour=0, oddity=0)).run()

    assert "" == result.broken
    assert sum(blocks()["rolls"].values()) > 20


def test_an_invariant_as_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds where nothing is wrong, and is named where something is."""
    monkeypatch.setattr(inspector, "RECOUNTS", (*inspector.RECOUNTS, *blocks()["NEW_INVARIANT"]))
    world = World(Options(1, days=0.02, faults_per_hour=0))
    world.ledger.places |= {TicketNumber(f"x-{n}"): (AREA, SpotId(f"x-{n}")) for n in range(1_000)}

    assert "" == World(Options(1, days=0.02, faults_per_hour=0)).run().broken
    assert world.run().broken.startswith("no more is held than there is: 10")


def test_every_promise_is_on_the_page() -> None:
    """A name that a failure can give is explained by where it is kept."""
    page = " ".join(PAGE.split())
    told = [
        call.args[FROM[call.func.id]]
        for source in sorted((ROOT / "gatectl/world").glob("*.py"))
        for call in ast.walk(ast.parse(source.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in FROM
    ]
    names = {name.value for name in told if isinstance(name, ast.Constant)}

    assert len(names) > 20
    assert [] == sorted(name for name in names if str(name) not in page)


def test_every_kind_of_exception_can_be_met() -> None:
    """Each row of the coverage says by what it is seen."""
    assert len(ROWS) > 25
    assert all(ROWS.values())
