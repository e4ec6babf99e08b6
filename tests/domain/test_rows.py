"""Rows in memory: what changes come to, what is still known, and that what was handed out does not change."""

import copy

import pytest

from gatectl.domain.rows import FLAG, TEXT, WHOLE, Add, Drop, Put, Set, Table, Tables, columns, nullable

THINGS = Table(
    "things",
    ("place", "thing"),
    (*columns(place=TEXT, thing=TEXT, number=WHOLE, good=FLAG), *nullable(ended_ms=WHOLE)),
    indexes=("thing",),
    live=lambda row: row["ended_ms"] is None,
)
ONE = {"place": "a", "thing": "x", "number": 1, "good": True}


def tables() -> Tables:
    made = Tables()
    made.apply(Put(THINGS, ONE))
    made.apply(Put(THINGS, {**ONE, "place": "b"}))
    return made


def test_changes_come_to_rows() -> None:
    """Put, set, add: by key; a column that may be null and is not given is null."""
    made = tables()
    made.apply(Add(THINGS, ("a", "x"), "number", 4))
    made.apply(Set(THINGS, ("b", "x"), {"good": False}))

    assert {**ONE, "number": 5, "ended_ms": None} == made.get(THINGS, "a", "x")
    assert [5, 1] == [row["number"] for row in made.where(THINGS, "thing", "x")]
    assert {**ONE, "place": "b", "good": False, "ended_ms": None} == made.get(THINGS, "b", "x")


def test_what_has_ended_is_forgotten() -> None:
    """Memory is bounded by what still lives; the databases know the rest, and a later change to it is theirs alone."""
    made = tables()
    made.apply(Set(THINGS, ("a", "x"), {"ended_ms": 7}))
    made.apply(Drop(THINGS, ("b", "x")))
    made.apply(Add(THINGS, ("a", "x"), "number", 4))

    assert [] == list(made.where(THINGS, "thing", "x"))
    assert made == Tables()


def test_a_row_that_was_given_stays_as_it_was() -> None:
    """A copy changes apart, and nobody's row changes under their hands."""
    made = tables()
    before, other = made.get(THINGS, "a", "x"), copy.copy(made)
    made.apply(Add(THINGS, ("a", "x"), "number", 4))
    other.apply(Drop(THINGS, ("a", "x")))

    assert before is not None
    assert 1 == before["number"]
    assert 1 == len(list(other.where(THINGS, "thing", "x")))
    assert 2 == made.count(THINGS)


@pytest.mark.parametrize(
    "wrong", [{"number": "1"}, {"number": True}, {"good": 1}, {"place": None}, {"colour": "red"}, {"ended_ms": 1.5}]
)
def test_a_row_that_does_not_fit_is_a_defect(wrong: dict[str, object]) -> None:
    """What no database would hold is refused where it is made."""
    with pytest.raises(AssertionError, match=r"things"):
        Tables().apply(Put(THINGS, {**ONE, **wrong}))  # type: ignore[dict-item]  # the mistake is the point
