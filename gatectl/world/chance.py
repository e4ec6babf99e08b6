"""Chance with an address: fault 12 and driver 40 of a seed draw from streams of their own, so that each can be left out alone."""

import re
from dataclasses import dataclass
from random import Random
from typing import Final

NUMBERS_MAX: Final = 1_000_000
"""The highest number that a list of numbers may name."""
_RANGE: Final = re.compile(r"(\d{1,7})(?:-(\d{1,7}))?")


def stream(name: str, seed: int, n: int | None = None) -> Random:
    """The stream of one part of a world, or of its `n`th fault or driver."""
    return Random(f"{name} {seed}" if n is None else f"{name} {seed} {n}")  # noqa: S311  # one seed is one run


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of numbered things take part: those that `keep` names (None: all), without those that `skip` names."""

    keep: frozenset[int] | None = None
    skip: frozenset[int] = frozenset()

    def __contains__(self, n: int) -> bool:
        return (self.keep is None or n in self.keep) and n not in self.skip


ALL: Final = Chosen()


def numbers(text: str) -> frozenset[int]:
    """What "3,7-9" names. Raises ValueError for anything else; "" names nothing."""
    found: set[int] = set()
    for part in filter(None, text.replace(" ", "").split(",")):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is neither a number nor a range like 3-7")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last <= NUMBERS_MAX:
            raise ValueError(f"{part!r} is no range up to {NUMBERS_MAX}")
        found.update(range(first, last + 1))
    return frozenset(found)


def told(chosen: frozenset[int]) -> str:
    """The shortest text that `numbers` reads as these."""
    parts: list[list[int]] = []
    for n in sorted(chosen):
        if parts and n == parts[-1][1] + 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
