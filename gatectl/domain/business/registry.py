"""Every subject of the business, in the order in which they are asked. A new subject is one line here."""

from collections.abc import Iterator
from typing import Final

from gatectl.domain.bill import Stage
from gatectl.domain.books import Books
from gatectl.domain.business import (
    charging,
    exceptions,
    fiscal,
    passes,
    payments,
    reservations,
    shifts,
    spots,
    states,
    valet,
    validation_desk,
)
from gatectl.domain.business.rule import Context, Rules, Verb, Word, Words, no_turn, nothing_open
from gatectl.domain.effects import Effect
from gatectl.domain.facts import Fact
from gatectl.domain.ids import Boot, Moment
from gatectl.domain.plan import SitePlan

SUBJECTS: Final[tuple[Rules, ...]] = (
    shifts.RULES,
    charging.RULES,
    passes.RULES,
    reservations.RULES,
    spots.RULES,
    states.RULES,
    exceptions.RULES,
    valet.RULES,
    validation_desk.RULES,
    payments.RULES,
    fiscal.RULES,
)

VERBS: Final[dict[str, Verb]] = {verb.name: verb for subject in SUBJECTS for verb in subject.verbs}
assert len(VERBS) == sum(len(subject.verbs) for subject in SUBJECTS), "two verbs share a name"

WAITS_FOR_THE_CLOCK: Final = any(
    subject.turn is not no_turn or subject.remind is not nothing_open for subject in SUBJECTS
)

_ADJUSTS: Final = tuple(subject.adjust[stage] for stage in Stage for subject in SUBJECTS if stage in subject.adjust)
"""Stage by stage; within one in the order of SUBJECTS."""


FEEDS: Final = {feed.kind: feed for subject in SUBJECTS for feed in subject.feeds}
"""What the office's feed may bring, by its kind. Tariffs have an event of their own."""
ENTITLE: Final = tuple(subject.entitle for subject in SUBJECTS if subject.entitle is not None)
STAY_OF: Final = tuple(subject.stay_of for subject in SUBJECTS if subject.stay_of is not None)
"""Asked in this order; the first that knows the text answers."""
GATES: Final = tuple(subject.gate for subject in SUBJECTS if subject.gate is not None)
"""All are asked; the first that says no is told."""


def context(plan: SitePlan, books: Books, boot: Boot, now: Moment) -> Context:
    return Context(plan, books, boot, now, _ADJUSTS)


WORD_CHARS_MAX: Final = 200
WHOLE_MAX: Final = 2**53
"""Whole numbers that every JSON reader holds exactly."""


class BadWords(ValueError):
    """Raised for words that do not fit a verb; the message says which."""


def checked(verb: Verb, words: Words) -> dict[str, Word]:
    """The words if they fit the verb: all that are needed, none that it does not know, each of its kind."""
    known = {param.name: param for param in verb.params}
    stranger = next((name for name in words if name not in known), None)
    if stranger is not None:
        raise BadWords(f"{stranger}: {verb.name} has no such word; known: {', '.join(known) or 'none'}")
    for name, param in known.items():
        if name not in words and param.needed:
            raise BadWords(f"{name}: needed for {verb.name}")
        if name in words and not _fits(param.kind, words[name]):
            raise BadWords(f"{name}: {_WANTED[param.kind]} is needed")
    return dict(words)


def _fits(kind: type, word: Word) -> bool:
    if type(word) is not kind:
        return False
    if isinstance(word, str):
        return word.strip() != "" and len(word) <= WORD_CHARS_MAX and word.isprintable()
    return isinstance(word, bool) or 0 <= word <= WHOLE_MAX


_WANTED: Final = {
    str: f"a text of 1 to {WORD_CHARS_MAX} printable characters",
    int: "a whole number, not negative,",
    bool: "true or false",
}


_FOLLOW: Final = {
    kind: tuple(subject.follow[kind] for subject in SUBJECTS if kind in subject.follow)
    for kind in {kind for subject in SUBJECTS for kind in subject.follow}
}
FOLLOWED: Final = frozenset(_FOLLOW)
"""Kinds of fact behind which a subject may have something to say."""


def followers(context: Context, fact: Fact) -> Iterator[Fact]:
    """What the subjects have to say behind a fact that is FOLLOWED."""
    for follow in _FOLLOW[type(fact)]:
        yield from follow(context, fact)


_BEHIND: Final = {
    kind: tuple(subject.behind[kind] for subject in SUBJECTS if kind in subject.behind)
    for kind in {kind for subject in SUBJECTS for kind in subject.behind}
}
PERFORMED: Final = frozenset(_BEHIND)
"""Kinds of fact behind which a subject may want something done."""


def performed(context: Context, fact: Fact) -> Iterator[Effect]:
    """What is done once a fact that is in PERFORMED is durable."""
    for behind in _BEHIND[type(fact)]:
        yield from behind(context, fact)


def reminded(context: Context) -> Iterator[Effect]:
    """What was asked of devices and is not answered."""
    for subject in SUBJECTS:
        yield from subject.remind(context)


def turned(context: Context) -> Iterator[Fact]:
    """What the clock has brought."""
    for subject in SUBJECTS:
        yield from subject.turn(context)
