"""Where vehicles are, from loop edges alone. Each story is a word of edges: A a B b C c (rise, fall), and waits in ms."""

import pytest

from gatectl.domain.passage import Move, Track, observe

GAP_MS = 1_500


def told(word: str, needs_c: bool = False) -> tuple[list[str], Track]:
    """The moves that a word of edges proves, in order."""
    track, now_ms, loops = Track(), 0, {"a": False, "b": False, "c": False}
    moves = []
    for sign in word.split():
        if sign.isdigit():
            now_ms += int(sign)
            continue
        loops[sign.lower()] = sign.isupper()
        track, move = observe(track, loops["a"], loops["b"], loops["c"], now_ms, GAP_MS, needs_c)
        if move is not Move.NONE:
            moves.append(move.value)
    return moves, track


@pytest.mark.parametrize(
    ("story", "word", "moves"),
    [
        ("drives through", "A B a b", ["forward"]),
        ("backs out without reaching B", "A a", []),
        ("reaches B and reverses", "A B b a", []),
        ("is short: off A before on B", "A a 500 B b", ["forward"]),
        ("the next car waits on A meanwhile", "A B a 2000 A b", ["forward"]),
        ("two cars, B never falls between them", "A B a 2000 A a b", ["forward", "forward"]),
        ("two cars, B falls between them", "A B a b 2000 A B a b", ["forward", "forward"]),
        ("a car with a trailer, seen by A", "A B a 800 A a b", ["forward"]),
        ("a car with a trailer, seen by B", "A B a b 800 B b", ["forward"]),
        ("commits, and comes back out", "A B a b 5000 B A b a", ["forward", "backward"]),
        ("noses in from inside and goes back", "B b", []),
        ("drives out through the entry", "B A b a", ["backward"]),
        ("reverses fully onto A, within the gap", "A B a 900 A b a", []),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_two_loops_tell(story: str, word: str, moves: list[str]) -> None:
    """What two loops can tell, they tell."""
    assert moves == told(word)[0]


@pytest.mark.parametrize(
    ("story", "word", "moves"),
    [
        ("drives through", "A B a C b c", ["forward"]),
        ("is short: off B before on C", "A B a b 400 C c", ["forward"]),
        ("stops between B and C", "A B a b", []),
        ("reverses fully onto A, seen because C was not reached", "A B a 5000 A b a", []),
        ("comes back from behind C", "A B a C b c 5000 C B c A b a", ["forward", "backward"]),
        ("two cars that A cannot part and C can", "A B C c 2000 a C b c", ["forward", "forward"]),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_three_loops_tell_more(story: str, word: str, moves: list[str]) -> None:
    """The reset loop tells a vehicle that is through from one that has turned back."""
    assert moves == told(word, needs_c=True)[0]


def test_a_trailer_is_noted() -> None:
    """One vend, one vehicle, and a flag: loops see a close follower as the same."""
    assert told("A B a b 800 B b")[1].long
    assert not told("A B a b 2000 B b")[1].long


def test_a_loop_that_was_not_trusted_makes_the_passage_uncertain() -> None:
    """B fails while the vehicle stands on it; when it is trusted again the vehicle is gone: it passed, unseen."""
    track, _ = observe(Track(), True, False, None, 0, GAP_MS, False)
    track, _ = observe(track, True, True, None, 10, GAP_MS, False)
    track, _ = observe(track, True, None, None, 20, GAP_MS, False)
    track, _ = observe(track, False, None, None, 30, GAP_MS, False)
    track, move = observe(track, False, False, None, 40, GAP_MS, False)

    assert (Move.FORWARD, True) == (move, track.blind)
