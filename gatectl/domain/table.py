"""What makes a lane's table: handlers that declare where they may lead, and the step that holds them to it.

Rule 1: every (phase of the kind, input type) pair is in exactly one of transitions, ignored, impossible.
Rule 2: a step into a phase that its handler did not declare is a programmer's error. Staying needs no declaration.
Rule 3: the promises about arms are checked here, on every step of every lane, whoever wrote the handler: nothing moves while
starting, an arm opens only with its intent recorded in the same step, and closes only over a way that is known to be clear.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast, get_args

from gatectl.domain.effects import CloseArm, Effect, OpenArm, StopArm
from gatectl.domain.facts import Fact, LaneCleared, LaneFault, LaneFaulted, VendIntended
from gatectl.domain.frozen import replace
from gatectl.domain.lane import DeadlinePassed, Input, Lane, Layout, Phase, Step, Timing, View

Kind = type
"""The type of an input. A type of a union is not a union of types to a type checker, so this says less than it means."""
INPUTS: Final[tuple[Kind, ...]] = get_args(Input)


@dataclass(slots=True)
class Turn:
    """One step in the making: the lane as it is by now, and what has been decided so far."""

    lane: Lane
    view: View
    facts: list[Fact] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    @property
    def now_mono_ms(self) -> int:
        return self.view.now.mono_ms

    @property
    def timing(self) -> Timing:
        return self.lane.plan.timing

    def record(self, *facts: Fact) -> None:
        self.facts.extend(facts)

    def do(self, *effects: Effect) -> None:
        self.effects.extend(effects)

    def go(self, phase: Phase, within_ms: int | None = None) -> None:
        """Enter a phase (or stay in it) with a new deadline; None: no deadline."""
        deadline = None if within_ms is None else self.now_mono_ms + max(0, within_ms)
        since = self.lane.phase_since_mono_ms if phase is self.lane.phase else self.now_mono_ms
        self.lane = replace(self.lane, phase=phase, deadline_mono_ms=deadline, phase_since_mono_ms=since)

    def raise_fault(self, fault: LaneFault, detail: str) -> None:
        """Once when it breaks."""
        if fault not in self.lane.faults:
            self.record(LaneFaulted(self.lane.plan.lane, fault, detail))
            self.lane = replace(self.lane, faults=self.lane.faults | {fault})

    def clear_fault(self, fault: LaneFault, by: str = "") -> None:
        """Once when it heals."""
        if fault in self.lane.faults:
            self.record(LaneCleared(self.lane.plan.lane, fault, by))
            self.lane = replace(self.lane, faults=self.lane.faults - {fault})

    def set_fault(self, fault: LaneFault, present: bool, detail: str = "") -> None:
        if present:
            self.raise_fault(fault, detail)
        else:
            self.clear_fault(fault)


@dataclass(frozen=True, slots=True)
class Handler:
    """What a lane does with one kind of input in one or several phases."""

    name: str
    kind: Kind
    leads_to: frozenset[Phase]
    decide: Callable[[Turn, Input], None]


I = TypeVar("I", bound=Input)  # noqa: E741  # stands for an input type
Pair = tuple[Phase, Kind]


def handles(kind: type[I], *leads_to: Phase) -> Callable[[Callable[[Turn, I], None]], Handler]:
    """Make a handler of a function; `leads_to` are the phases it may enter beside the one it is called in."""

    def made(decide: Callable[[Turn, I], None]) -> Handler:
        # A table finds it by the type of the input: each row stands under its handler's kind, which is tested.
        any_input = cast("Callable[[Turn, Input], None]", decide)
        return Handler(decide.__name__.strip("_"), kind, frozenset(leads_to), any_input)

    return made


def everywhere(phases: frozenset[Phase], *handlers: Handler) -> dict[Pair, Handler]:
    """Table rows: each handler for its kind of input, in each of the phases."""
    return {(phase, handler.kind): handler for phase in phases for handler in handlers}


def pairs(phases: frozenset[Phase], *kinds: Kind) -> frozenset[Pair]:
    return frozenset((phase, kind) for phase in phases for kind in kinds)


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of lane: what it does with every input in every phase it uses."""

    phases: frozenset[Phase]
    transitions: Mapping[Pair, Handler]
    ignored: frozenset[Pair]
    impossible: frozenset[Pair]

    def step(self, lane: Lane, happened: Input, view: View) -> Step:
        """Decide one input. A deadline that is not due (the state has moved on since it was set) changes nothing."""
        if isinstance(happened, DeadlinePassed) and not _due(lane, view):
            return Step(lane)
        pair = (lane.phase, type(happened))
        handler = self.transitions.get(pair)
        if handler is None:
            assert pair in self.ignored, f"{lane.plan.lane}: {pair[1].__name__} in {lane.phase} was named impossible"
            return Step(lane)
        turn = Turn(lane, view)
        if isinstance(happened, DeadlinePassed):
            turn.lane = replace(lane, deadline_mono_ms=None)
        handler.decide(turn, happened)
        step = Step(turn.lane, tuple(turn.facts), tuple(turn.effects))
        self._check(lane, handler, step)
        return step

    def _check(self, before: Lane, handler: Handler, step: Step) -> None:
        after = step.lane
        phase = after.phase
        assert phase is before.phase or phase in handler.leads_to, _told(before, handler, f"led to {phase}, undeclared")
        assert phase in self.phases, _told(before, handler, f"led to {phase}, which the kind does not use")
        assert after.deadline_mono_ms is None or (phase, DeadlinePassed) not in self.impossible, _told(
            before, handler, f"left a deadline in {phase}"
        )
        for effect in step.effects:
            if isinstance(effect, (OpenArm, CloseArm, StopArm)):
                assert before.phase is not Phase.STARTING, _told(before, handler, "moved an arm while starting")
            if isinstance(effect, OpenArm):
                intended = {fact.vend for fact in step.facts if isinstance(fact, VendIntended)}
                assert effect.vend in intended, _told(before, handler, "opened without an intent")
            if isinstance(effect, CloseArm):
                assert way_is_clear(after), _told(before, handler, "closed over a way that is not clear")


def _told(before: Lane, handler: Handler, what: str) -> str:
    return f"{before.plan.lane}: {handler.name} in {before.phase} {what}"


def _due(lane: Lane, view: View) -> bool:
    return lane.deadline_mono_ms is not None and lane.deadline_mono_ms <= view.now.mono_ms


def way_is_clear(lane: Lane) -> bool:
    """Whether the loops behind the station are known to be clear: trusted, and nothing on them."""
    return lane.closing.clear and (lane.plan.layout is not Layout.THREE_LOOP or lane.reset.clear)
