"""How a subject of the business takes part in what the site decides, and what a person or the office can ask of it.

Rule 1: rules read `Context` and answer with values; nothing changes but by the facts that they name.
Rule 2: what a subject has to say about another's facts (a ticket left: its pass is free again) is a fact of its own, recorded
behind the other in the same batch (`follow`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gatectl.domain.bill import Stage
from gatectl.domain.context import Adjust, Context
from gatectl.domain.effects import Effect
from gatectl.domain.fact_words import Cause
from gatectl.domain.facts import Fact
from gatectl.domain.ids import LaneId, TicketNumber
from gatectl.domain.lane import LanePlan
from gatectl.domain.opening import Parker

__all__ = [
    "TURN_MS",
    "Adjust",
    "Context",
    "Done",
    "Entitle",
    "Feed",
    "Gate",
    "Grant",
    "No",
    "Param",
    "Reissue",
    "Rules",
    "StayOf",
    "Verb",
    "Word",
    "Words",
    "no_facts",
    "no_turn",
]

Word = str | int | bool
Words = Mapping[str, Word]
"""What a verb was asked with: every parameter that is needed, of its kind; those that are not needed only if they were given."""

TURN_MS: Final = 30_000
"""Subjects that wait for a time of day (`Rules.turn`) are asked this often."""


def no_facts(ticket: TicketNumber) -> tuple[Fact, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Reissue:
    """The stay of `ticket` shall go on under another number; None: a vehicle that is inside without a ticket gets one.

    `entered_ms`: when that vehicle came in, if it is proven. `lane`: where its driver stands, "" if at none. `facts`: the
    subject's own, once the number is known.
    """

    cause: Cause
    by: str
    why: str
    ticket: TicketNumber | None
    entered_ms: int | None = None
    lane: str = ""
    facts: Callable[[TicketNumber], tuple[Fact, ...]] = no_facts


@dataclass(frozen=True, slots=True)
class Done:
    """What was asked is done once `facts` are durable. `paid`: a ticket whose price changed, for the lane where it stands.

    `effects`: what shall be done then.
    """

    text: str
    facts: tuple[Fact, ...] = ()
    data: Mapping[str, object] = field(default_factory=dict)
    paid: TicketNumber | None = None
    reissues: tuple[Reissue, ...] = ()
    """Stays that the site numbers anew; the answer has them as "tickets", in this order."""
    shown: tuple[LaneId, TicketNumber] | None = None
    """A ticket that an exit lane is to serve as if its reader had read it; refused if no vehicle stands there."""
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class No:
    """`code` is an E-... code, `why` is for the person who asked."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Param:
    """One word of a verb. `kind`: str (1 to 200 printable characters), int (0 or more) or bool."""

    name: str
    kind: type
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Verb:
    """What can be asked, by its name `subject-act`. `who` asks; one request id is decided once.

    `of_device`: a device of the site tells or asks it, over its own protocol; nobody else can.
    """

    name: str
    help: str
    params: tuple[Param, ...]
    decide: Callable[[Context, str, Words], Done | No]
    of_device: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """A right was recognised at an entry. `facts`: the subject's own, once the number of the virtual ticket is known.

    `claimed`: the spot type whose kept capacity the vehicle may use; None: it takes what a walk-in would find. `text` is shown.
    """

    facts: Callable[[TicketNumber], tuple[Fact, ...]]
    text: str
    claimed: str | None = None
    parker: Parker = Parker.PASS


Entitle = Callable[[Context, LanePlan, str], Grant | No | None]
"""Whether a text that was read at an entry is a right of this subject; None: it is none of it, ask the next."""
StayOf = Callable[[Context, str], TicketNumber | No | None]
"""The stay that a text that was read at an exit belongs to; None: it is no credential of this subject."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Reference data of one kind that a subject takes from the office's feed.

    `take`: a row's key and body (None: the office has removed it), and where it comes from. The same row again makes no fact.
    `held`: keys of the rows that are held of the feed, so that one which is missing in a whole feed is removed.
    """

    kind: str
    take: Callable[[Context, str, Mapping[str, Any] | None, str], Iterable[Fact] | No]
    held: Callable[[Context], Iterable[str]]


Gate = Callable[[Context, LanePlan, Parker], No | None]
"""Whether a class of parkers is turned away at an entry or at a lane into an area; None: this subject lets them in."""


def no_turn(context: Context) -> Iterable[Fact]:
    return ()


def nothing_open(context: Context) -> Iterable[Effect]:
    return ()


@dataclass(frozen=True, slots=True)
class Rules:
    """What a subject decides.

    `follow`: by a kind of fact, the facts behind one; not of the subject's own. `turn`: facts that the clock brings.
    `adjust`: by the stage of a price, what the subject makes of it; asked for every price, so it must be cheap.
    `feeds`: what it takes from the office. `entitle` and `stay_of`: the credentials that it knows, at entries and at exits.
    `gate`: who is turned away before anything else is looked at.
    `behind`: by a kind of fact, what is done once one is durable. `remind`: what was asked of a device and is not answered yet,
    asked for again at every start and every TURN_MS; a device is asked for the same once, however often it hears of it.
    """

    name: str
    verbs: tuple[Verb, ...] = ()
    follow: Mapping[type[Fact], Callable[[Context, Any], Iterable[Fact]]] = field(default_factory=dict)
    turn: Callable[[Context], Iterable[Fact]] = no_turn
    adjust: Mapping[Stage, Adjust] = field(default_factory=dict)
    feeds: tuple[Feed, ...] = ()
    entitle: Entitle | None = None
    stay_of: StayOf | None = None
    gate: Gate | None = None
    behind: Mapping[type[Fact], Callable[[Context, Any], Iterable[Effect]]] = field(default_factory=dict)
    remind: Callable[[Context], Iterable[Effect]] = nothing_open
