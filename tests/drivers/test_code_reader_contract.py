"""A code reader holds to the rules of every serial driver, over a real pseudo-terminal."""

from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.api import Code, DeviceSpec
from drivers.code_reader import family
from drivers.sim.code_reader import SimulatedReader
from drivers.sim.contract import CASES, Subject
from drivers.sim.pty import SimulatedSerialDevice

CODE = "K7QF0123456789ABCDEF"


def _show(device: SimulatedSerialDevice) -> None:
    assert isinstance(device, SimulatedReader)
    device.show(CODE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_reader_keeps_the_contract(case: Callable[[Subject, Path], None], tmp_path: Path) -> None:
    """One case of the contract; a reader takes no orders and is only heard."""
    subject = Subject(
        family=family,
        options={},
        device=DeviceSpec("reader", "code-reader", "generic-line", "line", {"repeat_ms": 0}),
        simulate=SimulatedReader,
        provoke=_show,
        heard=lambda signal: signal == Code("reader", CODE),
        notices_silence=False,
    )

    case(subject, tmp_path)
