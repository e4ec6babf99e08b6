"""Facts in words, and the table of codes: complete, and fit for a terminal."""

from dataclasses import MISSING, fields
from typing import Any

import pytest

from gatectl.domain import codec
from gatectl.domain.codes import CODES, EXITS, FAULT_CODES, code_of, problem
from gatectl.domain.facts import Fact, LaneFault, VoidReason
from gatectl.domain.kinds import FACTS, KINDS
from gatectl.domain.telling import _VOID, TELLERS, TEXT_CHARS_MAX, tell

EXAMPLES: dict[str, Any] = {
    "str": "x",
    "int": 61_000,
    "bool": True,
    "lines": [],
    "irregularity": "tailgate",
    "fault": "fails-to-open",
    "quality": "synced",
    "time_quality": "synced",
    "reason": "not-taken",
    "currency": "EUR",
}


def body_of(fact: type[Fact]) -> dict[str, Any]:
    """A body with something in every member."""
    plain = {}
    for field in fields(fact):  # type: ignore[arg-type]  # every fact is a dataclass
        kind = str(getattr(field.type, "__name__", field.type))
        by_kind = EXAMPLES["bool"] if "bool" in kind else EXAMPLES["int"] if "int" in kind else EXAMPLES["str"]
        plain[field.name] = EXAMPLES.get(field.name, by_kind)
    return plain


def test_there_are_words_for_every_kind_and_no_other() -> None:
    """A new fact needs a sentence before it can be recorded."""
    assert set(KINDS) == set(TELLERS)
    assert set(VoidReason) == set(_VOID)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.kind)
def test_a_whole_body_leaves_nothing_open(fact: type[Fact]) -> None:
    """With every member there, the sentence has no question mark; with none there, it is still a sentence."""
    text = tell(fact.kind, body_of(fact))

    assert "?" not in text
    assert 0 < len(text) <= TEXT_CHARS_MAX
    assert tell(fact.kind, {})


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.kind)
@pytest.mark.parametrize("value", [None, 5, "x", [], {}, True])
def test_no_body_makes_it_fail(fact: type[Fact], value: object) -> None:
    """Bodies of other versions hold other things; they are told with what they have."""
    assert tell(fact.kind, {field.name: value for field in fields(fact)})  # type: ignore[arg-type]  # a dataclass


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        (
            "lane.opened-by-hand",
            {"lane": "OUT-1", "who": "jan", "why": "ambulance", "hold": False},
            "OUT-1: opened by hand by jan: ambulance",
        ),
        (
            "ticket.voided",
            {"lane": "IN-1", "ticket": "1-A", "reason": "not-taken", "by": "", "why": ""},
            "IN-1: ticket 1-A void: not taken",
        ),
        (
            "ticket.voided",
            {"lane": "IN-1", "ticket": "1-A", "reason": "backed-out", "by": "", "why": "backed out"},
            "IN-1: ticket 1-A void: the vehicle backed out",
        ),
        (
            "vehicle.exited",
            {"lane": "OUT-1", "ticket": None, "verified": False},
            "OUT-1: vehicle left without a ticket, inferred",
        ),
        (
            "site.started",
            {"software": "0.1.0", "dark_from_ms": 0, "dark_to_ms": 11_400_000, "clean": False},
            "site started, version 0.1.0, dark for 3 h 10 min without an orderly stop",
        ),
        ("clock.stepped", {"by_ms": -90_000, "quality": "synced"}, "the clock moved back by 1 min, now synced"),
        ("warp.engaged", {"lane": "IN-1"}, "warp.engaged (recorded by a newer version)"),
    ],
)
def test_it_reads_like_this(kind: str, body: dict[str, Any], text: str) -> None:
    """What a technician reads in `gatectl events`."""
    assert text == tell(kind, body)


def test_a_terminal_is_not_written_to_by_a_ticket() -> None:
    """Reasons are typed by people and read codes come from paper: no escape sequence reaches the screen."""
    text = tell("device.lost", {"device": "io\x1b[2J", "why": "a\nb" * 500})

    assert text.isprintable()
    assert len(text) <= TEXT_CHARS_MAX


def test_every_fault_has_a_code_with_words() -> None:
    """A lane cannot report what `gatectl help` cannot explain."""
    assert set(LaneFault) == set(FAULT_CODES)
    assert set(FAULT_CODES.values()) <= set(CODES)


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.code)
def test_every_code_is_complete(code: Any) -> None:
    """Sentence, cause, action; an exit code of the table; a status of HTTP that is an error."""
    assert code.sentence.endswith(".")
    assert code.cause.endswith(".")
    assert code.action
    assert code.exit in EXITS
    assert 400 <= code.http < 600


def test_a_code_of_a_newer_daemon_is_still_told() -> None:
    """The command is older than the daemon while an upgrade runs."""
    assert ("E-NEW-01", 1) == (code_of("E-NEW-01").code, int(code_of("E-NEW-01").exit))
    assert "OUT-1: The arm does not report open (8 s)." == problem("OUT-1", "E-BAR-02", "8 s")["sentence"]


def test_the_examples_are_bodies() -> None:
    """The bodies above have the members that the codec asks for."""
    for fact in FACTS:
        needed = {field.name for field in fields(fact) if field.default is MISSING}  # type: ignore[arg-type]  # a dataclass
        assert needed <= body_of(fact).keys()
        assert codec.KINDS[fact.kind] is fact
