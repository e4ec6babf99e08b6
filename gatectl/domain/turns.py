"""One call into the core and what came of it, and the whole state before it: what a capture holds and a replay repeats.

`decided` is how the daemon, the simulated world and a replay all call the core, so that nothing can reach it untold.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from gatectl.domain import codec
from gatectl.domain.books import Books
from gatectl.domain.codec import BadBody
from gatectl.domain.effects import Effect
from gatectl.domain.events import Event
from gatectl.domain.facts import Fact
from gatectl.domain.ids import Boot, Moment
from gatectl.domain.lane import Lane
from gatectl.domain.plan import SitePlan
from gatectl.domain.site import Batch, Site
from gatectl.domain.spots import Spot, SpotIndex
from gatectl.domain.tickets import Keyring
from gatectl.domain.values import Plain, decoder, encoder, hints_of

SCHEMA: Final = "gatectl.capture/1"
ROWS_A_LINE_MAX: Final = 500
"""Rows of the state that are written in one line, so that nobody waits long for one."""
_SITE_APART: Final = frozenset({"plan", "books", "boot", "lanes", "_facts", "_effects"})
_PLAN_APART: Final = frozenset({"keyring", "spots"})
_BOOKS_APART: Final = frozenset({"spots"})
"""What is held is what the open stays hold."""


@dataclass(frozen=True, slots=True)
class Started:
    """The run begins: the arguments of `Site.start`."""

    dark_from_ms: int | None
    clean: bool


@dataclass(frozen=True, slots=True)
class Elapsed:
    """A deadline has passed."""


Happened = Started | Elapsed | Event


class Turn(NamedTuple):
    """One call into the core. `raised` is how it failed, if it did; `lanes` are those that it changed, as they are then."""

    now: Moment
    what: Happened
    facts: tuple[Fact, ...]
    effects: tuple[Effect, ...]
    raised: str
    lanes: tuple[Lane, ...]


class Recorder(Protocol):
    """Who writes down what the core is told. Called on the core's thread: never waits, never raises.

    A start, and whatever follows while `wants_state`, has the state before it.
    """

    @property
    def wants_state(self) -> bool: ...
    def state(self, state: "SiteState") -> None: ...
    def turn(self, turn: Turn) -> None: ...


def apply(site: Site, what: Happened, now: Moment) -> Batch:
    """The call that a turn is."""
    if isinstance(what, Elapsed):
        return site.elapsed(now)
    if isinstance(what, Started):
        return site.start(now, what.dark_from_ms, what.clean)
    return site.handle(what, now)


def decided(site: Site, what: Happened, now: Moment, recorder: Recorder | None, facts_made: int) -> Batch:
    """Let the core decide and tell the recorder, also when it raises. `facts_made`: in this boot, before this turn."""
    if recorder is None:
        return apply(site, what, now)
    if recorder.wants_state or isinstance(what, Started):
        recorder.state(state_of(site, now, facts_made))
    before = dict(site.lanes)
    try:
        batch = apply(site, what, now)
    except Exception as error:
        recorder.turn(Turn(now, what, (), (), told_error(error), ()))
        raise
    changed = tuple(lane for name, lane in site.lanes.items() if before.get(name) is not lane)
    recorder.turn(Turn(now, what, batch.facts, batch.effects, "", changed))
    return batch


def told_error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


# -- a turn as a line ---------------------------------------------------------------------------------------------------

_HAPPENED: Final = encoder(Happened)
_EFFECT: Final = encoder(Effect)
_READ_HAPPENED: Final = decoder(Happened)
_READ_MOMENT: Final = decoder(Moment)
_json = json.JSONEncoder(separators=(",", ":")).encode
"""ASCII: what a reader has read may not be text that UTF-8 can hold."""


def turn_line(number: int, turn: Turn) -> bytes:
    """A turn as one line of JSON without its newline; facts are the very bytes that the journal holds."""
    now = turn.now
    plain: dict[str, Plain] = {
        "n": number,
        "at": [now.wall_ms, now.mono_ms, now.quality.value],
        "in": _HAPPENED(turn.what),
        "then": [[lane.plan.lane, lane.phase.value, lane.deadline_mono_ms] for lane in turn.lanes],
        "fx": [_EFFECT(effect) for effect in turn.effects],
    }
    if turn.raised:
        plain["raised"] = turn.raised
    facts = b",".join(b'["%b",%d,%b]' % (fact.kind.encode(), fact.version, codec.encode(fact)) for fact in turn.facts)
    return b'%b,"facts":[%b]}' % (_json(plain)[:-1].encode(), facts)


def happened_of(plain: Mapping[str, Plain], where: str) -> tuple[Happened, Moment]:
    """What a line says the core was told, and when. Raises BadBody."""
    happened: Happened = _READ_HAPPENED(plain.get("in"), f"{where}.in")
    return happened, moment_of(plain, where)


def moment_of(plain: Mapping[str, Plain], where: str) -> Moment:
    """Raises BadBody."""
    at = plain.get("at")
    if not (isinstance(at, list) and len(at) == 3):
        raise BadBody(f"{where}.at: expected a moment")
    made: Moment = _READ_MOMENT({"wall_ms": at[0], "mono_ms": at[1], "quality": at[2]}, f"{where}.at")
    return made


def outcome(batch: Batch, lanes: Iterable[Lane]) -> dict[str, Plain]:
    """The same members that a line has, for comparing."""
    return {
        "facts": [[fact.kind, fact.version, json.loads(codec.encode(fact))] for fact in batch.facts],
        "fx": json.loads(_json([_EFFECT(effect) for effect in batch.effects])),
        "then": [[lane.plan.lane, lane.phase.value, lane.deadline_mono_ms] for lane in lanes],
    }


# -- the state as lines ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SiteState:
    """A site at one moment, between two turns. Containers are copies, what they hold is frozen: it can be written later."""

    at: Moment
    boot: Boot
    plan: SitePlan
    lanes: tuple[Lane, ...]
    rest: Mapping[str, Any]
    """The site's own fields beside plan, books, boot and lanes."""
    books: Mapping[str, Any]
    facts_made: int


def state_of(site: Site, at: Moment, facts_made: int) -> SiteState:
    """The state as it is now. Costs a copy of each container of the books."""
    return SiteState(
        at,
        site.boot,
        site.plan,
        tuple(site.lanes.values()),
        {name: getattr(site, name) for name in _rest_of(Site, _SITE_APART)},
        {name: _copied(getattr(site.books, name)) for name in _rest_of(Books, _BOOKS_APART)},
        facts_made,
    )


def _rest_of(cls: type, apart: frozenset[str]) -> list[str]:
    return [name for name in hints_of(cls) if name not in apart]


def _copied(value: Any) -> Any:
    for name in ("__copy__", "copy"):
        copying = getattr(value, name, None)
        if copying is not None:
            return copying()
    return value


def state_lines(state: SiteState, told: int) -> Iterator[bytes]:
    """The state as lines: a head, parts, and a last one that says how many there are. `told`: the number of the turn before."""
    hints = hints_of(Site)
    plan = {name: encoder(hint)(getattr(state.plan, name)) for name, hint in _plan_hints().items()}
    keys = state.plan.keyring
    head = {
        "schema": SCHEMA,
        "software": state.plan.software,
        "site": state.plan.site,
        "boot": [state.boot.boot_id, state.boot.tag],
        "at": [state.at.wall_ms, state.at.mono_ms, state.at.quality.value],
        "facts_made": state.facts_made,
        "told": told,
        "plan": plan,
        "keys": {"current": keys.current, "ids": sorted(keys.keys)},
        "lanes": [encoder(Lane)(lane) for lane in state.lanes],
        "rest": {name: encoder(hints[name])(value) for name, value in state.rest.items()},
    }
    yield _json(head).encode()
    count = 1
    for name, rows in _parts(state):
        for first in range(0, max(1, len(rows)), ROWS_A_LINE_MAX):
            count += 1
            yield _json({"part": name, "rows": rows[first : first + ROWS_A_LINE_MAX]}).encode()
    yield _json({"whole": count + 1}).encode()


def _plan_hints() -> dict[str, Any]:
    return {name: hint for name, hint in hints_of(SitePlan).items() if name not in _PLAN_APART}


def _parts(state: SiteState) -> Iterator[tuple[str, list[Plain]]]:
    spots = encoder(tuple[Spot, ...])
    yield "spots", spots(state.plan.spots)
    hints = hints_of(Books)
    for name, value in state.books.items():
        plain = encoder(hints[name])(value)
        if isinstance(plain, list):
            yield f"books.{name}", plain
        else:
            yield f"book.{name}", [plain]


def parts_of(lines: Sequence[Mapping[str, Plain]]) -> dict[str, Plain]:
    """The state's lines put together; raises BadBody when they are not whole."""
    if not lines or lines[-1].get("whole") != len(lines) or lines[0].get("schema") != SCHEMA:
        raise BadBody("state: not whole")
    parts: dict[str, list[Plain]] = {}
    for line in lines[1:-1]:
        name, rows = line.get("part"), line.get("rows")
        if not isinstance(name, str) or not isinstance(rows, list):
            raise BadBody("state: a line that is no part of it")
        parts.setdefault(name, []).extend(rows)
    return {**lines[0], "parts": parts}


def site_of(whole: Mapping[str, Plain], keys: Mapping[int, bytes]) -> Site:
    """A site of its own in a state that was put together by `parts_of`. Raises BadBody."""

    def head(name: str, hint: Any) -> Any:
        return decoder(hint)(whole.get(name), name)

    boot_id, tag = head("boot", tuple[str, str])
    plan = _plan(whole, keys)
    books = _books(whole["parts"], plan)
    lanes = {lane.plan.lane: lane for lane in head("lanes", tuple[Lane, ...])}
    site = Site(plan, books, Boot(boot_id, tag), lanes)
    rest, hints = head("rest", dict[str, object]), hints_of(Site)
    for name in _rest_of(Site, _SITE_APART):
        if name in rest:
            setattr(site, name, decoder(hints[name])(rest[name], f"rest.{name}"))
    return site


def _plan(whole: Mapping[str, Plain], keys: Mapping[int, bytes]) -> SitePlan:
    plain, ids = whole.get("plan"), whole.get("keys")
    if not isinstance(plain, dict) or not isinstance(ids, dict):
        raise BadBody("plan: missing")
    values = {name: decoder(hint)(plain[name], f"plan.{name}") for name, hint in _plan_hints().items() if name in plain}
    try:
        keyring = Keyring(ids["current"], {key_id: keys[key_id] for key_id in ids["ids"]})
        return SitePlan(
            **values, keyring=keyring, spots=decoder(tuple[Spot, ...])(whole["parts"].get("spots"), "spots")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadBody(f"plan: {error}") from error


def _books(parts: Mapping[str, Plain], plan: SitePlan) -> Books:
    values = {}
    for name, hint in hints_of(Books).items():
        if f"books.{name}" in parts:
            values[name] = decoder(hint)(parts[f"books.{name}"], f"books.{name}")
        elif f"book.{name}" in parts:
            values[name] = decoder(hint)(parts[f"book.{name}"][0], f"book.{name}")
    try:
        books = Books(spots=SpotIndex(plan.spots, plan.compatible, plan.rules), **values)
    except (TypeError, ValueError) as error:
        raise BadBody(f"books: {error}") from error
    books.place_all()
    return books
