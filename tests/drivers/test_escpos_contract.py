"""Both printer models hold to the rules of every serial driver, over a real pseudo-terminal."""

from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.api import DeviceSpec, Print, Qr, Text
from drivers.escpos import family
from drivers.sim.contract import CASES, Subject
from drivers.sim.escpos import SimulatedPrinter
from drivers.sim.pty import SimulatedSerialDevice

TICKET = (Text("000123-K7QF", big=True), Qr("K7QF0123456789"))


def _jobs(device: SimulatedSerialDevice) -> int:
    assert isinstance(device, SimulatedPrinter)
    return device.jobs_done


@pytest.mark.parametrize("model", family.models)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_printer_keeps_the_contract(case: Callable[[Subject, Path], None], model: str, tmp_path: Path) -> None:
    """One case of the contract; what the simulated printer did in order is what may be confirmed."""
    subject = Subject(
        family=family,
        options={"baud": 115_200},
        device=DeviceSpec("printer", "escpos", model, "line"),
        simulate=lambda: SimulatedPrinter(model, line_ms=0, cut_ms=1, present_ms=1),
        order=lambda order, deadline_ms: Print(order, TICKET, deadline_ms),
        acted=_jobs,
    )

    case(subject, tmp_path)
