"""What an explanation is made of. Pure; times inside texts stand as `@` and UTC milliseconds, for whoever shows them.

Rule 1: an explanation says what was seen, which rule decided, and what would change it, with the command to type.
Rule 2: it is made from records and states, never from a guess: what is not known is said to be not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gatectl.domain.money import EXPONENTS, shown


@dataclass(frozen=True, slots=True)
class Reason:
    """`what` holds or decided; `rule` in a sentence; `change`: what would make it otherwise; `command`: what to type."""

    what: str
    rule: str = ""
    change: str = ""
    command: str = ""

    def plain(self) -> dict[str, str]:
        return {"what": self.what, "rule": self.rule, "change": self.change, "command": self.command}


@dataclass(frozen=True, slots=True)
class Step:
    """One decision of the past, from the record at `position`."""

    at_ms: int
    position: int
    what: str
    because: tuple[str, ...] = ()

    def plain(self) -> dict[str, object]:
        return {"at_ms": self.at_ms, "position": self.position, "what": self.what, "because": list(self.because)}


@dataclass(frozen=True, slots=True)
class Next:
    """If `when` holds: what to type."""

    when: str
    command: str

    def plain(self) -> dict[str, str]:
        return {"when": self.when, "command": self.command}


@dataclass(frozen=True, slots=True)
class Why:
    """The answer. `seen`: inputs and other facts by name; `sources`: what it was read from."""

    kind: str
    subject: str
    headline: str
    reasons: tuple[Reason, ...] = ()
    seen: tuple[tuple[str, str], ...] = ()
    steps: tuple[Step, ...] = ()
    next: tuple[Next, ...] = ()
    sources: tuple[str, ...] = field(default=("the journal",))

    def plain(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "subject": self.subject,
            "headline": self.headline,
            "reasons": [reason.plain() for reason in self.reasons],
            "seen": [list(pair) for pair in self.seen],
            "steps": [step.plain() for step in self.steps],
            "next": [one.plain() for one in self.next],
            "sources": list(self.sources),
        }


def at(ms: object) -> str:
    """A time inside a text."""
    return f"@{ms}" if type(ms) is int else "an unknown time"


def amount(minor: object, currency: object) -> str:
    if type(minor) is int and isinstance(currency, str) and currency in EXPONENTS:
        return shown(minor, currency)
    return f"{minor} {currency}"


def span(ms: int) -> str:
    """`40 s`, `3 min`, `5 h 10 min`, `2 d 3 h`."""
    s = max(0, ms) // 1000
    if s < 60:
        return f"{max(0, ms) / 1000:.0f} s" if s >= 10 else f"{max(0, ms) / 1000:.1f} s"
    if s < 3600:
        return f"{s // 60} min"
    return f"{s // 3600} h {s % 3600 // 60} min" if s < 86_400 else f"{s // 86_400} d {s % 86_400 // 3600} h"


def said(b: Mapping[str, Any], who: str = "by", why: str = "why") -> str:
    """` by mia: torn`, as far as it is there."""
    person, reason = b.get(who) or "", b.get(why) or ""
    return (f" by {person}" if person else "") + (f": {reason}" if reason else "")
