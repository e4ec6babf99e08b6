"""Finds drivers by name. Built-in and third-party families come through the same door: the entry points `gatectl.drivers`."""

from functools import cache
from importlib.metadata import entry_points
from typing import cast

from drivers.api import Family

GROUP = "gatectl.drivers"


class UnknownDriver(LookupError):
    """Raised when no installed entry point has that name; the message lists those that exist."""


def names() -> list[str]:
    return sorted({point.name for point in entry_points(group=GROUP)})


@cache
def family(name: str) -> Family:
    """The driver family called `name`. An entry point names a ready `Family` object."""
    for point in entry_points(group=GROUP):
        if point.name == name:
            return cast("Family", point.load())
    raise UnknownDriver(f"no driver {name!r}; installed: {', '.join(names())}")
