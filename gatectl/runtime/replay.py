"""An incident run through this version's core, turn by turn, until something comes out that was not recorded.

What is compared: facts, effects, phase and deadline of every lane that a turn changed, how a turn failed; the whole state where
one captured segment follows another; and each captured fact with its record in the journal, and the journal with its chain.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gatectl.domain.codec import BadBody
from gatectl.domain.ids import Moment
from gatectl.domain.site import Site
from gatectl.domain.telling import tell
from gatectl.domain.tickets import CODE_CHARS
from gatectl.domain.turns import (
    SCHEMA,
    apply,
    happened_of,
    moment_of,
    outcome,
    parts_of,
    site_of,
    state_lines,
    state_of,
    told_error,
)
from gatectl.runtime.incident import Incident, IncidentRefused, Plain, damaged
from sync import chain

BEFORE_MAX: Final = 10
"""Turns of the same lane that are shown before the divergence."""
LOOKED_BACK_MAX: Final = 400
"""Turns of all lanes among which they are looked for."""
WORDS_CHARS_MAX: Final = 160
DIFFERENCES_MAX: Final = 20
_NOT_STATE: Final = frozenset({"software", "told", "at"})


@dataclass(frozen=True, slots=True)
class Told:
    """One turn in words. `number` counts through the file from 1; `lanes` maps a lane to its phases before and after."""

    number: int
    at: Moment
    happened: str
    lanes: Mapping[str, tuple[str, str]]
    facts: tuple[str, ...]
    effects: tuple[str, ...]

    def plain(self) -> Plain:
        return {
            "turn": self.number,
            "at_ms": self.at.wall_ms,
            "mono_ms": self.at.mono_ms,
            "happened": self.happened,
            "lanes": {lane: list(phases) for lane, phases in self.lanes.items()},
            "facts": list(self.facts),
            "effects": list(self.effects),
        }


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first thing that is not as recorded. `what`: facts, effects, lane, failure, state, journal or chain."""

    what: str
    at: Told
    recorded: tuple[str, ...]
    here: tuple[str, ...]
    differs: tuple[str, ...]
    before: tuple[Told, ...]

    def plain(self) -> Plain:
        return {
            "what": self.what,
            **self.at.plain(),
            "recorded": list(self.recorded),
            "here": list(self.here),
            "differs": list(self.differs),
            "before": [told.plain() for told in self.before],
        }


@dataclass(slots=True)
class Outcome:
    """What a replay came to. `shown` holds the turns of the lane that was asked for."""

    segments: int = 0
    turns: int = 0
    facts: int = 0
    effects: int = 0
    durable: int = 0
    """Captured facts that were found in the journal as they were captured."""
    divergence: Divergence | None = None
    software: list[str] = field(default_factory=list)
    """The versions that recorded it."""
    notes: list[str] = field(default_factory=list)
    shown: list[Told] = field(default_factory=list)


class Replay:
    """`run` it once. `until`: the last turn; `show`: the lane whose turns are kept in words."""

    def __init__(self, incident: Incident, until: int | None = None, show: str = "") -> None:
        self._incident = incident
        self._until = until
        self._show = show
        self._records = {kept.record.fact_id: kept for kept in incident.records}
        self._last = _last_durable(self._records)
        self._site: Site | None = None
        self._made = self._number = 0
        self._never: dict[str, int] = {}
        self._before: deque[Told] = deque(maxlen=LOOKED_BACK_MAX)
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Until the end, or the first divergence. Raises IncidentRefused for what this version cannot read."""
        self._check_chain()
        try:
            for state, turns in self._stretches():
                self._begin(state)
                for line in turns:
                    self._turn(line)
                    if self._is_over():
                        return self._told()
                if self._is_over():
                    break
        except BadBody as error:
            raise IncidentRefused("E-INC-02", f"turn {self.outcome.turns + 1}: {error}") from error
        return self._told()

    def _is_over(self) -> bool:
        return self.outcome.divergence is not None or self.outcome.turns == self._until

    def _told(self) -> Outcome:
        for boot, facts in self._never.items():
            self.outcome.notes.append(
                f"boot {boot}: its last {facts} facts are not in the journal: the process ended before their commit, the export"
                " was made before it, or an older disk was put back"
            )
        return self.outcome

    def _stretches(self) -> Iterator[tuple[list[Plain], Iterator[Plain]]]:
        """Each state with its turns. A state without its end has no turns worth having."""
        lines = self._incident.lines()
        pending = next(lines, None)
        while pending is not None:
            if pending.get("schema") != SCHEMA:
                raise damaged("a turn without a state before it")
            state = [pending]
            while "whole" not in state[-1]:
                following = next(lines, None)
                if following is None or "schema" in following:
                    self.outcome.notes.append("a state at the end of a segment was torn; nothing follows it")
                    state = []
                    pending = following
                    break
                state.append(following)
            if not state:
                continue
            rest: list[Plain | None] = [None]
            yield state, _turns(lines, rest)
            pending = rest[0]

    def _begin(self, state: Sequence[Plain]) -> None:
        whole = parts_of(state)
        try:
            before, after = self._site, site_of(whole, self._incident.keys)
            told, made = int(whole["told"]), int(whole["facts_made"])
        except (KeyError, TypeError, AssertionError) as error:
            raise damaged(f"a state that fits nothing: {error!r}") from error
        if before is not None and before.boot == after.boot and told > self._number:
            gap = told - self._number
            self.outcome.notes.append(f"before turn {self.outcome.turns + 1} the file lacks {gap} turns of that boot")
        elif before is not None and before.boot == after.boot:
            self._compare_states(before, after, moment_of(whole, "state"))
        self._site, self._made, self._number = after, made, told
        if whole.get("software") not in self.outcome.software:
            self.outcome.software.append(str(whole.get("software")))
        self.outcome.segments += 1

    def _compare_states(self, here: Site, recorded: Site, at: Moment) -> None:
        mine, theirs = (_plain_state(site, at) for site in (here, recorded))
        differs = _differences(theirs, mine, "state")
        if differs:
            told = Told(self.outcome.turns, at, "a new segment begins with the whole state", {}, (), ())
            self._diverged("state", told, (), (), differs)

    def _turn(self, line: Plain) -> None:
        site = self._site
        assert site is not None
        what, now = happened_of(line, "turn")
        before = dict(site.lanes)
        raised = ""
        here: Plain = {"facts": [], "fx": [], "then": []}
        try:
            batch = apply(site, what, now)
        except Exception as error:  # noqa: BLE001  # how the core fails is what is compared
            raised = told_error(error)
        else:
            here = outcome(batch, [lane for name, lane in site.lanes.items() if before.get(name) is not lane])
        self._number = int(line["n"])
        done = self.outcome
        done.turns += 1
        done.facts += len(line["facts"])
        done.effects += len(line["fx"])
        phases = {str(name): lane.phase.value for name, lane in before.items()}
        told = _told_turn(done.turns, now, line, phases)
        self._compare(told, line, here, raised)
        if self._show and self._show in told.lanes:
            done.shown.append(told)
        self._before.append(told)

    def _compare(self, told: Told, line: Plain, here: Plain, raised: str) -> None:
        was = str(line.get("raised", ""))
        if was != raised:
            self._diverged("failure", told, (was or "no failure",), (raised or "no failure",), ())
        elif raised:
            self.outcome.notes.append(f"turn {told.number} stopped the process, here as then: {raised}")
        for name, member in (("facts", "facts"), ("effects", "fx"), ("lane", "then")):
            if self.outcome.divergence is None and line[member] != here[member]:
                differs = _differences(line[member], here[member], name)
                self._diverged(name, told, _in_words(line), _in_words(here), differs)
        if self.outcome.divergence is None:
            self._compare_journal(told, line)

    # -- the journal ---------------------------------------------------------------------------------------------------

    def _compare_journal(self, told: Told, line: Plain) -> None:
        assert self._site is not None
        boot = self._site.boot.boot_id
        for kind, version, body in line["facts"]:
            self._made += 1
            fact_id = f"{boot}{self._made:08x}"
            kept = self._records.get(fact_id)
            if kept is not None and not kept.resigned:
                record = kept.record
                durable = [record.kind, record.version, json.loads(record.body)]
                if durable != [kind, version, body]:
                    differs = _differences([kind, version, body], durable, "record")
                    self._diverged(
                        "journal", told, (_fact_in_words(kind, body),), (_fact_in_words(*durable[::2]),), differs
                    )
                    return
            if kept is not None:
                self.outcome.durable += 1
            elif fact_id > self._last.get(boot, ("", ""))[1]:
                self._never[boot] = self._never.get(boot, 0) + 1
            elif fact_id > self._last[boot][0]:
                missing = f"the journal has facts before and after {fact_id}, and not this one"
                self._diverged("journal", told, (_fact_in_words(kind, body),), ("no record",), (missing,))
                return

    def _check_chain(self) -> None:
        """Every record follows from the one before it, as far as they stand beside each other in a generation."""
        before = None
        for kept in self._incident.records:
            at = (kept.generation, kept.record.seq)
            if before is not None and at == (before.generation, before.record.seq + 1) and not kept.resigned:
                head = chain.link(before.head, kept.record.header(), kept.record.body)
                if head != kept.head:
                    moment = Moment(kept.record.wall_ms, kept.record.mono_ms)
                    told = Told(0, moment, f"record {at[1]} of generation {at[0]}", {}, (), ())
                    self._diverged("chain", told, (kept.head.hex(),), (head.hex(),), ("the head after the record",))
                    return
            before = kept

    def _diverged(
        self, what: str, told: Told, recorded: Sequence[str], here: Sequence[str], differs: Sequence[str]
    ) -> None:
        same = [one for one in self._before if not told.lanes or one.lanes.keys() & told.lanes.keys()]
        before = tuple(same[-BEFORE_MAX:])
        self.outcome.divergence = Divergence(what, told, tuple(recorded), tuple(here), tuple(differs), before)


def _turns(lines: Iterator[Plain], rest: list[Plain | None]) -> Iterator[Plain]:
    """The turns up to the next state, which is left in `rest`."""
    for line in lines:
        if "n" not in line:
            rest[0] = line
            return
        yield line


def _last_durable(records: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Boot to its first and last fact in the journal; an id is the boot and a number in fixed width."""
    found: dict[str, tuple[str, str]] = {}
    for fact_id in records:
        first, last = found.get(fact_id[:-8], (fact_id, fact_id))
        found[fact_id[:-8]] = (min(first, fact_id), max(last, fact_id))
    return found


def _plain_state(site: Site, at: Moment) -> Plain:
    whole = parts_of([json.loads(line) for line in state_lines(state_of(site, at, 0), 0)])
    return {name: value for name, value in whole.items() if name not in _NOT_STATE}


# -- words --------------------------------------------------------------------------------------------------------------


def _told_turn(number: int, now: Moment, line: Plain, phases: Mapping[str, str]) -> Told:
    happened = line["in"]
    lanes = {lane: (phases.get(lane, "-"), phase) for lane, phase, _ in line["then"]}
    if happened[0] == "LaneInput":
        lane = happened[1]["lane"]
        lanes.setdefault(lane, (phases.get(lane, "-"), phases.get(lane, "-")))
        happened = happened[1]["input"]
    words = _in_words(line)
    facts = len(line["facts"])
    return Told(number, now, _value_in_words(happened), lanes, words[:facts], words[facts:])


def _in_words(line: Plain) -> tuple[str, ...]:
    facts = tuple(_fact_in_words(kind, body) for kind, _, body in line["facts"])
    return facts + tuple(_value_in_words(effect) for effect in line["fx"])


def _fact_in_words(kind: str, body: Mapping[str, Any]) -> str:
    return f"{kind}: {tell(kind, body)}"


def _value_in_words(value: Any) -> str:
    """`["ArmMoved", {"arm": "up"}]` -> `ArmMoved arm=up`."""
    name, members = value
    told = ", ".join(f"{key}={_short(member)}" for key, member in members.items())
    text = f"{name} {told}".strip()
    return text if len(text) <= WORDS_CHARS_MAX else f"{text[: WORDS_CHARS_MAX - 3]}..."


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "/".join(f"{key} {_short(member)}" for key, member in value.items())
    if isinstance(value, list):
        return "[" + ", ".join(_short(member) for member in value) + "]"
    text = "-" if value is None else ("no", "yes")[value] if isinstance(value, bool) else str(value)
    if len(text) == CODE_CHARS and text.isalnum():
        text = f"{text[:4]}..{text[-4:]}"
    return "".join(letter if letter.isprintable() else "/" if letter == "\n" else "?" for letter in text)


def _differences(recorded: Any, here: Any, where: str) -> tuple[str, ...]:
    """Where two values differ, at most DIFFERENCES_MAX places: `effects[0] OpenArm.deadline_mono_ms: recorded 5, here 6`."""
    found: list[str] = []
    _differ(recorded, here, where, found)
    return tuple(found[:DIFFERENCES_MAX])


def _differ(recorded: Any, here: Any, where: str, found: list[str]) -> None:
    if recorded == here or len(found) > DIFFERENCES_MAX:
        return
    if isinstance(recorded, dict) and isinstance(here, dict):
        for name in {**recorded, **here}:
            _differ(recorded.get(name, "nothing"), here.get(name, "nothing"), f"{where}.{name}", found)
    elif isinstance(recorded, list) and isinstance(here, list):
        if _is_named(recorded) and _is_named(here) and recorded[:-1] == here[:-1]:
            _differ(recorded[-1], here[-1], f"{where} {recorded[0]}", found)
            return
        for n in range(max(len(recorded), len(here))):
            pair = [side[n] if n < len(side) else "nothing" for side in (recorded, here)]
            _differ(pair[0], pair[1], f"{where}[{n}]", found)
    else:
        found.append(f"{where}: recorded {_clipped(recorded)}, here {_clipped(here)}")


def _is_named(value: list[Any]) -> bool:
    """A fact or an order: its name first, its members last."""
    return len(value) in (2, 3) and isinstance(value[0], str) and isinstance(value[-1], dict)


def _clipped(value: Any) -> str:
    text = _short(value)
    return text if len(text) <= WORDS_CHARS_MAX else f"{text[: WORDS_CHARS_MAX - 3]}..."
