"""Who did what before it broke: the last simulated seconds of one lane, in lines. Only a run that is made again is traced."""

from collections import deque
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any, Final

from gatectl.domain.effects import Effect
from gatectl.domain.events import Event, LaneInput
from gatectl.domain.ids import LaneId
from gatectl.domain.lane import Phase
from gatectl.domain.site import Batch, Site
from gatectl.world.daemon import Daemon, Watch
from gatectl.world.kernel import Kernel

KEPT_MAX: Final = 20_000
"""Lines that a trace remembers."""
TOLD_MAX: Final = 40
TOLD_MS: Final = 180_000
"""How far back the lines go that are told."""
TEXT_MAX: Final = 40
LINE_MAX: Final = 150


@dataclass(frozen=True, slots=True)
class Line:
    at_ms: int
    lane: str
    """Empty: everybody's."""
    text: str

    def __str__(self) -> str:
        seconds, ms = divmod(self.at_ms, 1_000)
        clock = f"{seconds // 3_600:d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}"
        return f"{clock:>14}  {self.lane or 'site':<7}  {self.text[:LINE_MAX]}"


@dataclass(slots=True)
class Trace(Watch):
    """Stands between a daemon and its inspector, and writes down what passes."""

    kernel: Kernel
    inner: Watch
    phases: dict[LaneId, Phase] = field(default_factory=dict)
    lines: deque[Line] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))

    def note(self, lane: str, text: str) -> None:
        self.lines.append(Line(self.kernel.now_ms, lane, text))

    def decided(self, daemon: Daemon, batch: Batch, event: Event | None) -> None:
        lane = str(getattr(event, "lane", "") or "")
        word = event.input if isinstance(event, LaneInput) else event
        if word is not None:
            self.note(lane, f"<- {short(word)}")
        for fact in batch.facts:
            self.note(str(getattr(fact, "lane", "") or lane), f"   = {short(fact)}")
        if daemon.site is not None:
            self._phases(daemon.site)
        self.inner.decided(daemon, batch, event)

    def _phases(self, site: Site) -> None:
        for lane in site.lanes.values():
            if self.phases.get(lane.plan.lane) is not lane.phase:
                self.phases[lane.plan.lane] = lane.phase
                self.note(lane.plan.lane, f"   now {lane.phase}")

    def performing(self, daemon: Daemon, effect: Effect) -> None:
        self.note(str(getattr(effect, "lane", "")), f"-> {short(effect)}")
        self.inner.performing(daemon, effect)

    def fault(self, n: int, name: str, lane: str) -> None:
        self.note(lane, f"** fault {n}: {name}")

    def driver(self, n: int, manner: str, lane: str) -> None:
        self.note(lane, f"** driver {n}: {manner}")

    def last(self, broken: str) -> list[str]:
        """The last lines of the lane that `broken` names, or of the one that was heard of last, and everybody's."""
        lanes = {line.lane for line in self.lines if line.lane}
        named = sorted((lane for lane in lanes if lane in broken), key=len)
        lane = named[-1] if named else next((line.lane for line in reversed(self.lines) if line.lane), "")
        about = [line for line in self.lines if line.lane in (lane, "") and self.kernel.now_ms - line.at_ms <= TOLD_MS]
        return [str(line) for line in about[-TOLD_MAX:]]


def short(value: Any) -> str:
    """A frozen value in few words: its type and what is in it, without the lane, which stands beside it."""
    if is_dataclass(value) and not isinstance(value, type):
        parts = [f"{part.name}={short(getattr(value, part.name))}" for part in fields(value) if part.name != "lane"]
        return f"{type(value).__name__}({', '.join(parts)})"
    if isinstance(value, Enum):
        return str(value.value)
    text = " ".join(value.split()) if isinstance(value, str) else repr(value)
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}..."
