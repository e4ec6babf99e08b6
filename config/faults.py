"""What is wrong with a file, told so that a person at the gate can mend it. Standard library only."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake. `where` is the dotted place ("lanes[1].wiring.arming"); `line` counts from 1, None if not known."""

    where: str
    found: str
    expected: str = ""
    hint: str = ""
    file: str = ""
    line: int | None = None

    def text(self) -> str:
        """One line: file:line: where: found ..., expected ... (did you mean ...?)."""
        place = f"{self.file}:{self.line}: " if self.line is not None else f"{self.file}: " if self.file else ""
        hint = f" ({self.hint})" if self.hint else ""
        what = f"found {self.found}, expected {self.expected}" if self.expected else self.found
        return f"{place}{self.where}: {what}{hint}"

    def plain(self) -> dict[str, object]:
        """The same as a JSON object of `gatectl.config-check/1`."""
        return {
            "where": self.where,
            "file": self.file,
            "line": self.line,
            "found": self.found,
            "expected": self.expected,
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True)
class Complaint:
    """A mistake that a check found in a site's values, before its place in the files is looked up.

    `key` is the place ("lanes", 1, "wiring", "arming"); without `expected`, `found` ends the sentence ("is missing").
    """

    key: tuple[str | int, ...]
    found: str
    expected: str = ""
    hint: str = ""

    def under(self, name: str) -> "Complaint":
        """The same complaint about a table's member."""
        return Complaint((name, *self.key), self.found, self.expected, self.hint)


class SiteFileRefused(Exception):  # an answer to whoever wrote the file, not a failure
    """Raised with every fault of a site file at once; there is always at least one."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        assert self.faults
        count = len(self.faults)
        super().__init__(
            "\n".join([f"{count} fault{'s' if count > 1 else ''} in the site file", *[f.text() for f in self.faults]])
        )


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be: the same letters in another order first, then the most alike."""
    by_lower = {name.lower(): name for name in known}
    low = word.lower()
    swapped = [name for name in by_lower if sorted(name) == sorted(low)]
    close = get_close_matches(low, swapped, n=1, cutoff=0.0) or get_close_matches(low, by_lower, n=1)
    return by_lower[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint for a wrong word, or ""."""
    close = nearest(word, known)
    return f"did you mean {close!r}?" if close else ""


def listing(words: Iterable[str]) -> str:
    """The words in order for an "expected", at most twelve of them."""
    names = sorted(words)
    if not names:
        return "(there are none)"
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"
