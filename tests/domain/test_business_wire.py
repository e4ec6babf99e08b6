"""The business's facts on the wire are a promise like the others: committed bodies are read back, and made again."""

import json

import pytest
from wire_business import EXAMPLES, line, promised

from gatectl.domain import codec, kinds
from gatectl.domain.books import Books
from gatectl.domain.records import registry
from gatectl.domain.spots import SpotIndex
from gatectl.domain.telling import tell

EACH = [(subject, number) for subject, facts in EXAMPLES.items() for number in range(len(facts))]


def test_every_fact_of_every_subject_has_its_example() -> None:
    """A new fact comes with its golden body, in its subject's file."""
    assert {subject.name: set(subject.facts) for subject in registry.SUBJECTS} == {
        subject: {type(fact) for fact in facts} for subject, facts in EXAMPLES.items()
    }
    assert {subject: len(facts) for subject, facts in EXAMPLES.items()} == {
        subject: len(promised(subject)) for subject in EXAMPLES
    }


@pytest.mark.parametrize(("subject", "number"), EACH, ids=str)
def test_the_bytes_are_those_that_were_promised(subject: str, number: int) -> None:
    """Sites in the field hold these bytes: they are made again, and read as what they were; and they fold and can be told."""
    fact, promise = EXAMPLES[subject][number], promised(subject)[number]
    kind, version, body = json.loads(promise)

    assert promise == line(fact)
    assert fact == codec.decode(kind, version, body.encode())
    assert "?" not in tell(kind, json.loads(body))
    Books(SpotIndex(()), {}).fold(fact)
    assert kinds.KINDS[kind] is type(fact)
