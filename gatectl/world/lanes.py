"""The truth of one lane: an arm that takes time, loops that vehicles stand on, a mouth that holds a ticket.

The controller never sees this; it sees what the simulated devices make of it. `Hardware` is how truth reaches the devices.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gatectl.world.kernel import Kernel


class Hardware(Protocol):
    """The simulated devices of a lane, as the street drives them. May be called from the street's thread only."""

    def contact(self, lane: str, role: str, on: bool) -> None:
        """A loop, limit switch or button changes."""

    def take_ticket(self, lane: str) -> str | None:
        """Pull the ticket out of the mouth (or pick up the printed one): its code, None if there is none."""

    def read_code(self, lane: str, code: str) -> None:
        """Hold a code in front of the lane's reader."""


@dataclass(slots=True)
class Arm:
    """0 is down, 1000 is up; moves for `travel_ms` from end to end. `stuck` arms do not obey, others only in one direction."""

    kernel: Kernel
    travel_ms: int
    limits: Callable[[bool, bool], None]
    """Told (up, down) at every change."""
    moved: Callable[[], None]
    stuck: bool = False
    wont_open: bool = False
    wont_close: bool = False
    _from: int = 0
    _to: int = 0
    _since_ms: int = 0
    _turn: int = 0
    pulses: int = 0

    @property
    def height(self) -> int:
        step = (self.kernel.now_ms - self._since_ms) * 1000 // self.travel_ms
        if self._to >= self._from:
            return min(self._to, self._from + step)
        return max(self._to, self._from - step)

    @property
    def is_up(self) -> bool:
        return self.height >= 1000

    @property
    def is_down(self) -> bool:
        return self.height <= 0

    def open(self) -> None:
        self._go(1000)

    def close(self) -> None:
        self._go(0)

    def _go(self, to: int) -> None:
        self.pulses += 1
        if self.stuck or to == self._to or (self.wont_open if to else self.wont_close):
            return
        self._from, self._to, self._since_ms = self.height, to, self.kernel.now_ms
        self._turn += 1
        turn = self._turn
        self._tell()
        left_ms = abs(to - self._from) * self.travel_ms // 1000 + 1
        self.kernel.after(left_ms, lambda: self._arrived(turn))

    def _arrived(self, turn: int) -> None:
        if turn == self._turn:
            self._tell()

    def _tell(self) -> None:
        moving = self.height != self._to
        self.limits(self.is_up and not moving, self.is_down and not moving)
        self.moved()


@dataclass(slots=True)
class LaneTruth:
    """One lane and the vehicles that queue for it. At most one vehicle is served at a time."""

    kernel: Kernel
    lane: str
    kind: str
    hardware: Hardware
    travel_ms: int = 1_500
    has_limits: bool = True
    has_reset: bool = False
    queue: deque[object] = field(default_factory=deque)
    busy: bool = False
    mouth: bool = False
    """A ticket can be pulled."""
    boom_off: bool = False
    """Broken away: nothing bars the way."""
    arm: Arm = field(init=False)
    _standing: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.arm = Arm(self.kernel, self.travel_ms, self._limits, self.kernel.changed)

    def begin(self) -> None:
        """Everything as it is when nothing has happened yet."""
        self._limits(self.arm.is_up, self.arm.is_down)
        for role in ("arming", "closing", "reset", "button"):
            self.contact(role, False)

    @property
    def passable(self) -> bool:
        return self.arm.is_up or self.boom_off

    def contact(self, role: str, on: bool) -> None:
        self.hardware.contact(self.lane, role, on)

    def stand(self, loop: str) -> None:
        """One vehicle more is over a loop."""
        self._standing[loop] = self._standing.get(loop, 0) + 1
        if self._standing[loop] == 1:
            self.contact(loop, True)

    def leave(self, loop: str) -> None:
        """One vehicle less is over a loop."""
        self._standing[loop] -= 1
        if self._standing[loop] == 0:
            self.contact(loop, False)

    def is_on(self, loop: str) -> bool:
        return self._standing.get(loop, 0) > 0

    def pulsed(self, verb: str) -> None:
        """An output of the controller closed."""
        if verb == "open":
            self.arm.open()
        elif verb == "close":
            self.arm.close()

    def mouth_changed(self, holds: bool) -> None:
        self.mouth = holds
        self.kernel.changed()

    def _limits(self, up: bool, down: bool) -> None:
        if self.has_limits:
            self.contact("arm_up", up)
            self.contact("arm_down", down)
