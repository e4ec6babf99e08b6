"""The table of codes against the code that uses it."""

import re
from pathlib import Path

import gatectl
from gatectl.domain.codes import CODES

_CODE = re.compile(r'"(E-[A-Z]+-[0-9]{2})"')


def test_every_code_that_is_written_anywhere_is_explained() -> None:
    """A driver is refused with a code, and `gatectl help CODE` knows it: E-PAY-06 once was not in the table."""
    sources = sorted(Path(gatectl.__file__).parent.rglob("*.py"))
    used = {code for source in sources for code in _CODE.findall(source.read_text())}

    assert {"E-PAY-06", "E-TKT-06"} <= used
    assert set() == used - set(CODES)
