"""Where the vehicles of one opening are, told from the loops alone. The same geometry serves entry and exit lanes.

A vehicle comes from the arming loop (A), crosses the closing loop under the arm (B) and, in a three-loop lane, the reset loop
(C). Forward is: B on, A off, B off (and C was on). Backward is: B off before A, or a vehicle that came onto B from inside and
then reached A.

Rule 1: an edge is a change between two trusted readings. While a loop is not trusted (None) its last reading stands, and
what passes meanwhile is marked `blind`.
Rule 2: one observation lets at most one vehicle through: when the second one is seen to leave A, the first has passed.
Rule 3: a gap no longer than `gap_ms` is the gap between a vehicle and its trailer. Loops see close vehicles as one.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from gatectl.domain.frozen import replace


class Move(Enum):
    """What one observation proves."""

    NONE = "none"
    FORWARD = "forward"  # one vehicle has passed
    BACKWARD = "backward"  # a vehicle came from inside and stands on the arming loop


@dataclass(frozen=True)  # copied often: gatectl.domain.frozen
class Track:
    """`a`, `b`, `c` are the last trusted readings; times are monotonic milliseconds."""

    a: bool = False
    b: bool = False
    c: bool = False
    a_seen: bool = False
    b_seen: bool = False
    c_seen: bool = False
    left_a: int = 0
    """Vehicles that have left A onto B and have not passed yet, by A."""
    over_c: int = 0
    """Vehicles that reached C during this period on B."""
    passed: int = 0
    """Vehicles of this period on B that have passed already."""
    from_inside: bool = False
    back_on_a: bool = False
    same_on_a: bool = False
    """What is on A is the rear part of what has left it."""
    long: bool = False
    blind: bool = False
    a_fell_mono_ms: int | None = None
    b_fell_mono_ms: int | None = None
    c_fell_mono_ms: int | None = None

    @property
    def on_line(self) -> int:
        """Vehicles that are past A and have not passed yet."""
        known = max(self.left_a, self.over_c) if self.left_a and self.over_c > 1 else self.left_a
        return known - self.passed


NO_TRACK: Final = Track()
"""Nothing has been read yet."""


def restarted(track: Track) -> Track:
    """A new opening: only the present readings are kept."""
    return Track(a=track.a, b=track.b, c=track.c, a_seen=track.a, b_seen=track.b)


def _ended(track: Track) -> Track:
    """The period on B is over."""
    return replace(track, left_a=0, over_c=0, passed=0, from_inside=False, back_on_a=False, same_on_a=False)


def observe(
    track: Track, a: bool | None, b: bool | None, c: bool | None, now_mono_ms: int, gap_ms: int, needs_c: bool
) -> tuple[Track, Move]:
    """The track after new readings, and what they prove. None: not to be trusted. `needs_c`: a passage must reach C.

    Edges are taken in the order A, C, B; at most one of them can prove a move.
    """
    if a is None or b is None or (needs_c and c is None):
        track = replace(track, blind=True)
    move = Move.NONE
    if a is not None and a != track.a:
        track, move = _a_rose(track, now_mono_ms, gap_ms) if a else _a_fell(track, now_mono_ms)
    if c is not None and c != track.c and move is Move.NONE:
        track, move = (
            _c_rose(track, now_mono_ms, gap_ms) if c else (replace(track, c=False, c_fell_mono_ms=now_mono_ms), move)
        )
    if b is not None and b != track.b and move is Move.NONE:
        if b:
            track = _b_rose(track, a, now_mono_ms, gap_ms)
        else:
            track, move = _b_fell(track, needs_c and c is not None, now_mono_ms)
    return track, move


def _recent(fell_mono_ms: int | None, now_mono_ms: int, gap_ms: int) -> bool:
    return fell_mono_ms is not None and now_mono_ms - fell_mono_ms <= gap_ms


def _a_rose(track: Track, now_mono_ms: int, gap_ms: int) -> tuple[Track, Move]:
    track = replace(track, a=True, a_seen=True)
    if track.b and track.from_inside:
        return replace(track, back_on_a=True), Move.NONE
    if track.b and track.left_a > 0 and _recent(track.a_fell_mono_ms, now_mono_ms, gap_ms):
        return replace(track, same_on_a=True, left_a=track.left_a - 1), Move.NONE
    return track, Move.NONE


def _a_fell(track: Track, now_mono_ms: int) -> tuple[Track, Move]:
    track = replace(track, a=False, a_fell_mono_ms=now_mono_ms)
    if not track.b:
        return track, Move.NONE
    if track.from_inside:
        return replace(track, back_on_a=False), Move.NONE
    track = replace(track, left_a=track.left_a + 1, long=track.long or track.same_on_a, same_on_a=False)
    return _first_of_two(track)


def _first_of_two(track: Track) -> tuple[Track, Move]:
    if track.on_line > 1:
        return replace(track, passed=track.passed + 1), Move.FORWARD
    return track, Move.NONE


def _b_rose(track: Track, a: bool | None, now_mono_ms: int, gap_ms: int) -> Track:
    moved_on = _recent(track.a_fell_mono_ms, now_mono_ms, gap_ms) and (
        track.b_fell_mono_ms is None or (track.a_fell_mono_ms or 0) > track.b_fell_mono_ms
    )
    trailer = track.b_seen and _recent(track.b_fell_mono_ms, now_mono_ms, gap_ms)
    track = replace(track, b=True, b_seen=True, c_seen=track.c)
    if a is None:
        return replace(track, blind=True, left_a=track.left_a + 1)
    if track.a:
        return track
    if moved_on:
        return replace(track, left_a=track.left_a + 1)
    if trailer:
        return replace(track, long=True)
    return replace(track, from_inside=track.on_line == 0)


def _b_fell(track: Track, needs_c: bool, now_mono_ms: int) -> tuple[Track, Move]:
    track = replace(track, b=False, b_fell_mono_ms=now_mono_ms)
    if track.from_inside:
        came_out = track.back_on_a and track.a
        return _ended(track), Move.BACKWARD if came_out else Move.NONE
    if track.on_line > 0 and needs_c and not track.c_seen:
        # C decides: a vehicle that is on A again has reversed, any other is still on its way to C.
        return (_ended(track) if track.a else track), Move.NONE
    if track.on_line > 0:
        return _ended(track), Move.FORWARD
    return _ended(track), Move.NONE


def _c_rose(track: Track, now_mono_ms: int, gap_ms: int) -> tuple[Track, Move]:
    first = track.over_c == 0
    track = replace(track, c=True, c_seen=True)
    if not track.b:
        return (_ended(track), Move.FORWARD) if track.on_line > 0 else (track, Move.NONE)
    if track.from_inside or (not first and _recent(track.c_fell_mono_ms, now_mono_ms, gap_ms)):
        return track, Move.NONE
    return _first_of_two(replace(track, over_c=track.over_c + 1))
