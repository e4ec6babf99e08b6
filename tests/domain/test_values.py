"""Values to plain JSON and back: every event, input, effect, fact in the books, lane. The samples are made from the types."""

import dataclasses
import json
import types
from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum
from random import Random
from typing import Any, Union, get_args, get_origin

import pytest

from gatectl.domain.books import Books
from gatectl.domain.codec import BadBody
from gatectl.domain.effects import Effect
from gatectl.domain.events import Event
from gatectl.domain.ids import Moment
from gatectl.domain.lane import Input, Lane, Loop
from gatectl.domain.site import Site
from gatectl.domain.tickets import Keyring
from gatectl.domain.turns import Elapsed, Started
from gatectl.domain.values import decoder, encoder, hints_of

CLASSES = (*get_args(Event), *get_args(Input), *get_args(Effect), Lane, Started, Elapsed, Moment)
SAMPLES = 20


def sample(hint: Any, rng: Random) -> Any:
    """Any value of a type."""
    hint = getattr(hint, "__supertype__", hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        arm = rng.choice(args)
        return None if arm is type(None) else sample(arm, rng)
    if origin is tuple and args[1:] == (...,):
        return tuple(sample(args[0], rng) for _ in range(rng.randint(0, 3)))
    if origin is tuple:
        return tuple(sample(arg, rng) for arg in args)
    if origin in (set, frozenset):
        return origin(sample(args[0], rng) for _ in range(rng.randint(0, 3)))
    if origin in (dict, OrderedDict) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        pairs = [(sample(args[0], rng), sample(args[1], rng)) for _ in range(rng.randint(0, 3))]
        return OrderedDict(pairs) if origin is OrderedDict else dict(pairs)
    if dataclasses.is_dataclass(hint):
        return hint(**{name: sample(inner, rng) for name, inner in hints_of(hint).items()})  # type: ignore[arg-type,operator]  # a dataclass
    if isinstance(hint, type) and issubclass(hint, Enum):
        return rng.choice(list(hint))
    return {
        str: lambda: "".join(rng.choices('aZ0"\\\n\u00e9\ud800\u20ac', k=rng.randint(0, 5))),
        int: lambda: rng.randint(-(2**63), 2**63),
        bool: lambda: rng.random() < 0.5,
        object: lambda: rng.choice([None, 1, "x", [["a", 2]], {"b": True}]),
    }[hint]()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_value_survives(cls: type) -> None:
    """Also text that is no text, whole numbers beyond 53 bits, and an empty everything."""
    rng = Random(cls.__name__)

    for _ in range(SAMPLES):
        value = sample(cls, rng)
        assert value == decoder(cls)(json.loads(json.dumps(encoder(cls)(value))), "value")


@pytest.mark.parametrize("cls", [Event, Input, Effect], ids=str)
def test_a_member_of_a_union_keeps_its_class(cls: Any) -> None:
    """Two classes with the same fields are not the same."""
    for arm in get_args(cls):
        value = sample(arm, Random(1))
        plain = encoder(cls)(value)
        assert [arm.__name__] == plain[:1]
        assert type(decoder(cls)(plain, "value")) is arm


def test_names_are_unique_among_what_the_core_is_told() -> None:
    """They are what a file says."""
    names = [cls.__name__ for cls in (*get_args(Event), Started, Elapsed)]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(("cls", "apart"), [(Site, {"plan", "books"}), (Books, {"spots"})], ids=["site", "books"])
def test_everything_that_a_site_remembers_can_be_written(cls: type, apart: set[str]) -> None:
    """A field that is added with a type that has no form here would be missing in a replay: it is refused by this test."""
    for name, hint in hints_of(cls).items():
        if name not in apart | {"_facts", "_effects"}:
            assert callable(encoder(hint)), name
            assert callable(decoder(hint)), name


@pytest.mark.parametrize(
    ("hint", "plain", "told"),
    [
        (Loop, {"on": 1}, "loop.on: expected bool, found int"),
        (Loop, {"on": True, "trust": "perhaps"}, "loop.trust: 'perhaps'"),
        (Loop, [], "loop: expected an object"),
        (Event, ["Nonsense", {}], "loop: this version knows no Nonsense"),
        (Event, "LaneInput", "loop: expected a name"),
        (Event, ["StopAsked", {}], "loop.StopAsked.reason: missing"),
        (tuple[str, int], ["a"], "loop: expected 2 members"),
        (tuple[str, ...], {}, "loop: expected a list"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(hint: Any, plain: Any, told: str) -> None:
    """Never another exception."""
    with pytest.raises(BadBody) as refused:
        decoder(hint)(plain, "loop")

    assert str(refused.value).startswith(told)


def test_members_of_a_newer_version_are_passed_over_and_older_ones_get_their_default() -> None:
    """A file of another version is replayed as far as it goes."""
    assert Loop(True) == decoder(Loop)({"on": True, "since": 5}, "loop")


def test_keys_have_no_form() -> None:
    """So that none is written by mistake."""
    with pytest.raises(TypeError):
        encoder(Keyring)
