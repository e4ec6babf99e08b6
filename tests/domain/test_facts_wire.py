"""Facts on the wire are a promise: committed bodies of every kind are read back, and made again byte for byte."""

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from wire_facts import EXAMPLES

from gatectl.domain import codec
from gatectl.domain import facts as f
from gatectl.domain.codec import BODY_BYTES_MAX, BadBody, UnknownKind

GOLDEN = Path(__file__).parent / "golden" / "facts_v1.jsonl"
LINES = GOLDEN.read_text(encoding="utf-8").splitlines()
ONE_OF_EACH = {type(fact): fact for fact in reversed(EXAMPLES)}


def line(fact: f.Fact) -> str:
    return json.dumps([fact.kind, fact.version, codec.encode(fact).decode()], ensure_ascii=False)


def decoded(fact: f.Fact, **changed: Any) -> f.Fact:
    """The fact's body with members changed (None given as ... removes one), read back."""
    body = json.loads(codec.encode(fact))
    for name, value in changed.items():
        if value is ...:
            del body[name]
        else:
            body[name] = value
    return codec.decode(fact.kind, fact.version, json.dumps(body).encode())


def test_every_kind_has_its_example() -> None:
    """A new fact comes with its golden body."""
    assert set(f.FACTS) == set(ONE_OF_EACH)


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=lambda number: f"{number}-{EXAMPLES[number].kind}")
def test_the_bytes_are_those_that_were_promised(number: int) -> None:
    """Sites in the field hold these bytes. If this fails, a wire schema changed: add a field with a default, or a version.

    Old lines are never edited; a new example is added at the end, with `golden()` below. A fact that got a field stands there
    once more: its older line is still read, its last one is what is written.
    """
    last = len(EXAMPLES) - 1 - EXAMPLES[::-1].index(EXAMPLES[number])

    assert LINES[last] == line(EXAMPLES[number])


@pytest.mark.parametrize("number", range(len(LINES)))
def test_promised_bytes_are_read_for_ever(number: int) -> None:
    """What an old site recorded is the fact it was."""
    kind, version, body = json.loads(LINES[number])

    assert EXAMPLES[number] == codec.decode(kind, version, body.encode())


def test_every_example_is_committed() -> None:
    """No example without its line, no line without its example."""
    assert len(EXAMPLES) == len(LINES)


@pytest.mark.parametrize("fact", EXAMPLES, ids=lambda fact: fact.kind)
def test_a_fact_survives_the_wire(fact: f.Fact) -> None:
    """Round trip, and canonical: decoding and encoding gives the same bytes."""
    body = codec.encode(fact)

    again = codec.decode(fact.kind, fact.version, body)

    assert fact == again
    assert body == codec.encode(again)


@pytest.mark.parametrize("fact", ONE_OF_EACH.values(), ids=lambda fact: fact.kind)
def test_what_a_newer_site_adds_is_ignored(fact: f.Fact) -> None:
    """Rule 1: a field may be added; an older reader takes what it knows."""
    assert fact == decoded(fact, added_in_2030={"deep": [1.5, None]})


@pytest.mark.parametrize("fact", ONE_OF_EACH.values(), ids=lambda fact: fact.kind)
def test_each_missing_field_is_named_or_has_its_default(fact: f.Fact) -> None:
    """What an older site did not know takes its default; what every site knows must be there."""
    for field in fields(fact):  # type: ignore[arg-type]  # every fact is a dataclass
        if field.default is MISSING:
            with pytest.raises(BadBody, match=rf"^{fact.kind}\.{field.name}: missing$"):
                decoded(fact, **{field.name: ...})
        else:
            assert field.default == getattr(decoded(fact, **{field.name: ...}), field.name)


@pytest.mark.parametrize("wrong", [1.5, {"x": 1}, [["x"]], float("nan"), [None]], ids=repr)
@pytest.mark.parametrize("fact", ONE_OF_EACH.values(), ids=lambda fact: fact.kind)
def test_each_field_of_the_wrong_type_is_named(fact: f.Fact, wrong: object) -> None:
    """No float, no object, no list passes for a value; money least of all."""
    for field in fields(fact):  # type: ignore[arg-type]  # every fact is a dataclass
        with pytest.raises(BadBody, match=rf"^{fact.kind}\.{field.name}"):
            decoded(fact, **{field.name: wrong})


@pytest.mark.parametrize("fact", ONE_OF_EACH.values(), ids=lambda fact: fact.kind)
def test_words_and_numbers_and_yes_are_not_mixed_up(fact: f.Fact) -> None:
    """true is no 1, and "1" is no number."""
    for field in fields(fact):  # type: ignore[arg-type]  # every fact is a dataclass
        value = getattr(fact, field.name)
        if type(value) in (bool, int, str):
            other: object = {bool: 1, int: True, str: 1}[type(value)]
            with pytest.raises(BadBody, match=rf"^{fact.kind}\.{field.name}: expected"):
                decoded(fact, **{field.name: other})


@pytest.mark.parametrize(
    ("kind", "version"), [("vehicle.flew", 1), ("ticket.issued", 2), ("", 1), ("ticket.issued", 0)]
)
def test_an_unknown_kind_is_told_apart_from_a_bad_body(kind: str, version: int) -> None:
    """It is parked for a newer reader, not thrown away."""
    with pytest.raises(UnknownKind, match=f"^{kind}/{version}$"):
        codec.decode(kind, version, b"{}")


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"{", b"[]", b"null", b'"x"', b"[" * 60_000, b'{"a":' * 10_000],
    ids=["empty", "no utf-8", "torn", "list", "null", "text", "deep list", "deep object"],
)
def test_what_is_no_object_is_a_bad_body(body: bytes) -> None:
    """Whatever the bytes are, the one error is BadBody: nothing else crosses."""
    with pytest.raises(BadBody, match=r"^lane.opened-by-hand"):
        codec.decode("lane.opened-by-hand", 1, body)


@pytest.mark.parametrize("number", [2**63, -(2**63), 10**400])
def test_a_number_that_no_database_holds_is_named(number: int) -> None:
    """It would be accepted here and refused where it is stored."""
    with pytest.raises(BadBody, match=r"^device.back\.away_ms: expected at most"):
        decoded(f.DeviceBack("io-1", 1), away_ms=number)


def test_a_member_given_twice_has_one_reading() -> None:
    """The last one counts, as in every JSON reader of ours; it is still judged."""
    with pytest.raises(BadBody, match=r"^site.stopped\.reason"):
        codec.decode("site.stopped", 1, b'{"reason":"a","reason":1}')


def test_a_body_has_a_limit() -> None:
    """What the office would refuse as too large is a defect where it is made."""
    with pytest.raises(AssertionError, match="bytes"):
        codec.encode(f.SiteStopped("x" * BODY_BYTES_MAX))


def test_values_that_are_no_wire_values_are_a_defect() -> None:
    """Rule 2: no float, whatever the type checker was told."""
    with pytest.raises(AssertionError, match="no float"):
        codec.encode(f.DeviceBack("io-1", 1.5))  # type: ignore[arg-type]  # the mistake is the point


def golden() -> str:
    """The file's content, for whoever adds an example at the end: what is there, and the lines that are missing."""
    return "".join(f"{each}\n" for each in (*LINES, *(line(fact) for fact in EXAMPLES[len(LINES) :])))
