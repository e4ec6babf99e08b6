"""How a driver reads its options: every fault at once, each with its place and what would do.

Sans-IO and shared by all families. `LineOptions` are those of a serial port; the port's link opens with them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from drivers.api import OptionFault, PortSpec

BAUDS: Final = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400)
PARITIES: Final = ("none", "even", "odd")
STOP_BITS: Final = (1, 2)
PATH_CHARS_MAX: Final = 4096


def nearest(word: str, known: Collection[str]) -> str:
    """A hint that names the nearest of `known`, or all of them if nothing is near."""
    near = get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"


class Options:
    """One table of options while it is read. Faults go to `faults`; a faulty value reads as its default."""

    def __init__(self, where: str, table: Mapping[str, Any], faults: list[OptionFault]) -> None:
        self.where = where
        self._table = table
        self._faults = faults
        self._known: set[str] = set()

    def fault(self, key: str, what: str, hint: str = "") -> None:
        self._faults.append(OptionFault(f"{self.where}.{key}" if key else self.where, what, hint))

    def has(self, key: str) -> bool:
        return key in self._table

    def integer(self, key: str, default: int | None, low: int, high: int, unit: str = "") -> int:
        """A whole number in `low..high`. No default (None): it must be given; a missing one reads as `low`."""
        self._known.add(key)
        bounds = f"a whole number from {low} to {high}{' ' + unit if unit else ''}"
        value = self._table.get(key, default)
        if value is None:
            self.fault(key, "is missing", bounds)
            return low
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fault(key, f"{value!r} is not {bounds}")
            return low if default is None else default
        return value

    def one_of(self, key: str, default: str, allowed: Collection[str]) -> str:
        self._known.add(key)
        value = self._table.get(key, default)
        if not isinstance(value, str) or value not in allowed:
            self.fault(key, f"{value!r} is none of {', '.join(allowed)}", nearest(str(value), allowed))
            return default
        return value

    def one_of_numbers(self, key: str, default: int, allowed: Collection[int]) -> int:
        self._known.add(key)
        value = self._table.get(key, default)
        if isinstance(value, bool) or value not in allowed:
            self.fault(key, f"{value!r} is none of {', '.join(map(str, allowed))}")
            return default
        return int(value)

    def boolean(self, key: str, default: bool) -> bool:
        self._known.add(key)
        value = self._table.get(key, default)
        if not isinstance(value, bool):
            self.fault(key, f"{value!r} is neither true nor false")
            return default
        return value

    def text(self, key: str, default: str | None, chars_max: int) -> str:
        """A string of 1..`chars_max` characters. No default (None): it must be given."""
        self._known.add(key)
        value = self._table.get(key, default)
        if value is None:
            self.fault(key, "is missing")
            return ""
        if not isinstance(value, str) or not 0 < len(value) <= chars_max:
            self.fault(key, f"{value!r} is not a text of 1 to {chars_max} characters")
            return default or ""
        return value

    def table(self, key: str) -> Mapping[str, Any]:
        """A nested table; empty if it is not given."""
        self._known.add(key)
        value = self._table.get(key, {})
        if not isinstance(value, Mapping):
            self.fault(key, "is not a table")
            return {}
        return value

    def finish(self) -> None:
        """Report every key that nobody asked for: an option that nothing reads is a mistake."""
        for key in self._table:
            if key not in self._known:
                self.fault(str(key), "is not an option", nearest(str(key), self._known))


@dataclass(frozen=True, slots=True)
class LineOptions:
    """How a serial port is opened. Eight data bits, and no flow control by the kernel, ever."""

    path: str
    baud: int
    parity: str
    stop_bits: int

    @property
    def bits_per_byte(self) -> int:
        return 1 + 8 + (self.parity != "none") + self.stop_bits

    def wire_ms(self, count: int) -> float:
        """How long `count` bytes take on the wire."""
        return count * self.bits_per_byte * 1000 / self.baud


def read_line(port: PortSpec, faults: list[OptionFault]) -> LineOptions:
    """The line of a serial port; what is wrong with it goes to `faults`."""
    options = Options(f"ports.{port.name}", port.options, faults)
    line = LineOptions(
        path=options.text("path", None, PATH_CHARS_MAX),
        baud=options.one_of_numbers("baud", 9600, BAUDS),
        parity=options.one_of("parity", "none", PARITIES),
        stop_bits=options.one_of_numbers("stop_bits", 1, STOP_BITS),
    )
    options.finish()
    return line


def line_of(port: PortSpec) -> LineOptions:
    """The line of a port that was checked before. A fault here is a bug of the caller."""
    faults: list[OptionFault] = []
    line = read_line(port, faults)
    assert not faults, faults
    return line
