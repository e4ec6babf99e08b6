"""Bad wires: what a lane's devices say is garbled, late, stuck or not heard on its way to the daemon.

Rule 1: the devices do not know. What they hold to be true is told anew when the wires are mended (`mend`).
Rule 2: within one kind of word the order stays as it was said; words of different kinds may overtake each other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from gatectl.domain import lane as inputs
from gatectl.domain.events import LaneInput
from gatectl.domain.lane import Input, Loop, Trust
from gatectl.world.devices import LaneDevices

LATE_MS_MAX: Final = 6_000
CHATTER_MS_MAX: Final = 200
STALE_MS: Final = 1_000
"""A driver that hears nothing of an input for so long says that its reading is stale."""
HARM: Final = 0.7
"""The share of words that garbling wires harm."""
_NOISE: Final = "0O1IB8\x00\x1b ~\u00e4"

LOOPS: Final[Mapping[str, Callable[[Loop], Input]]] = {
    "arming": inputs.ArmingLoopChanged,
    "closing": inputs.ClosingLoopChanged,
    "reset": inputs.ResetLoopChanged,
}
CONTACTS: Final = frozenset(
    {
        *LOOPS.values(),
        inputs.ArmMoved,
        inputs.ArmBroke,
        inputs.DoorMoved,
        inputs.FireChanged,
        inputs.ButtonPressed,
    }
)
"""What comes from the I/O module without having been asked for."""


def tell_the_truth(lane: LaneDevices) -> None:
    """Every device of the lane goes away for an instant, and tells everything when it is back."""
    for device in lane.roles():
        if device not in lane.lost:
            lane.lose(device, "told anew")
            lane.restore(device)


@dataclass(slots=True, eq=False)
class Wires:
    """Bad wires of one lane, from `break_down` to `mend`. `spoil` is given each word and says it, or what becomes of it."""

    lane: LaneDevices
    rng: Random
    spoil: "Callable[[Wires, Input], None]"
    frozen: frozenset[type] = frozenset()
    """Kinds of words that do not get through."""
    _before: str = ""
    _free_at_ms: dict[type, int] = field(default_factory=dict)

    def break_down(self) -> bool:
        """False when the lane's wires are bad already."""
        if self.lane.wires is not None:
            return False
        self.lane.wires = lambda word: self.spoil(self, word)
        return True

    def mend(self) -> None:
        self.lane.wires = None
        tell_the_truth(self.lane)

    def deliver(self, word: Input, delay_ms: int = 0) -> None:
        """To the run of the daemon that is up now, if it still is by then."""
        site = self.lane.site
        if not delay_ms:
            site.post(LaneInput(self.lane.lane, word))
            return
        life = site.life()
        site.kernel.after(delay_ms, lambda: site.post(LaneInput(self.lane.lane, word)) if life == site.life() else None)

    # -- what becomes of a word ----------------------------------------------------------------------------------------

    def garble(self, word: Input) -> None:
        """Codes lose, double and change characters; contacts chatter; anything may be heard twice."""
        if self.rng.random() > HARM:
            self.deliver(word)
        elif isinstance(word, inputs.CodeWasRead):
            self.deliver(inputs.CodeWasRead(self._harmed(word.text)))
            self._before = word.text
        elif type(word) in LOOPS.values():
            self._chatter(word)
        else:
            self.deliver(word)
            self.deliver(word, self.rng.randint(1, 2_000))

    def _harmed(self, text: str) -> str:
        at = self.rng.randrange(len(text) + 1)
        return self.rng.choice(
            [
                text[:at] + self.rng.choice(_NOISE) + text[at + 1 :],
                text[:at] + text[at + 1 :],
                text[:at] + text[at : at + 1] * 2 + text[at + 1 :],
                text[:at],
                self._before + text,
                text * self.rng.choice([0, 2, 400]),
            ]
        )

    def _chatter(self, word: Input) -> None:
        assert isinstance(word, inputs.ArmingLoopChanged | inputs.ClosingLoopChanged | inputs.ResetLoopChanged)
        other = type(word)(Loop(not word.loop.on, word.loop.trust))
        self.deliver(word)
        delay_ms = 0
        for _ in range(self.rng.randint(1, 5)):
            delay_ms += self.rng.randint(1, CHATTER_MS_MAX)
            self.deliver(other, delay_ms)
            delay_ms += self.rng.randint(1, CHATTER_MS_MAX)
            self.deliver(word, delay_ms)

    def delay(self, word: Input) -> None:
        """Seconds late, and not all by the same."""
        now_ms = self.lane.site.kernel.now_ms
        at_ms = max(now_ms + self.rng.randint(1, LATE_MS_MAX), self._free_at_ms.get(type(word), 0))
        self._free_at_ms[type(word)] = at_ms + 1
        self.deliver(word, at_ms - now_ms)

    def freeze(self, word: Input) -> None:
        """Some kinds of words are not heard: their last reading stays."""
        if type(word) not in self.frozen:
            self.deliver(word)

    def hear_nothing(self, word: Input) -> None:
        """The module obeys, and is not heard: nobody can say what an order did."""
        if isinstance(word, inputs.ArmAnswered):
            self.deliver(inputs.ArmAnswered(word.vend, word.order, "unknown", "no answer"))
        elif type(word) not in CONTACTS:
            self.deliver(word)

    def go_stale(self) -> None:
        """What the driver says when it has heard nothing for a while."""
        for name, loop in self.lane.loops.items():
            self.deliver(LOOPS[name](Loop(loop.on, Trust.STALE)), STALE_MS)
        if self.lane.truth.has_limits:
            self.deliver(inputs.ArmMoved(inputs.Arm.UNKNOWN), STALE_MS)
