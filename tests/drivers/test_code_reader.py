"""Code readers: what a line is, and what is not one."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.api import Code, DeviceSpec, Health, Outcome, PortSpec, Pulse, Result, SerialEngine, Signal
from drivers.code_reader import IDLE_MS, LINE_CHARS_MAX, SIGNALS_MAX, family

PORT = PortSpec("line", "serial", {"path": "/dev/ttyS0"})


def reader(**options: object) -> SerialEngine:
    engine = family.engine(PORT, [DeviceSpec("reader", "code-reader", "generic-line", "line", options)])
    engine.opened(0)
    assert (Health("reader", up=True),) == engine.poll(0).signals
    return engine


def told(engine: SerialEngine, now_ms: int) -> list[str]:
    return [signal.text for signal in engine.poll(now_ms).signals if isinstance(signal, Code)]


@pytest.mark.parametrize(
    ("end", "data", "codes"),
    [
        ("cr", b"ABC\r", ["ABC"]),
        ("cr", b"ABC\rDEF\r", ["ABC", "DEF"]),
        ("cr", b"ABC\r\nDEF\r\n", ["ABC", "DEF"]),
        ("crlf", b"ABC\r\nDEF\r\n", ["ABC", "DEF"]),
        ("lf", b"ABC\nDEF\n", ["ABC", "DEF"]),
        ("cr", b"\r\r\rABC\r", ["ABC"]),
        ("cr", b" a b \r", [" a b "]),
        ("cr", b"ABC", []),
        ("crlf", b"ABC\r", []),
    ],
)
def test_a_line_is_a_code(end: str, data: bytes, codes: list[str]) -> None:
    """By the end that the reader was configured with; empty lines are nothing."""
    engine = reader(end=end)
    engine.received(data, 10)

    assert codes == told(engine, 10)


@pytest.mark.parametrize(
    ("end", "line", "counter"),
    [
        ("cr", b"A\x00B", "lines-dirty"),
        ("cr", b"A\x1bB", "lines-dirty"),
        ("cr", b"caf\xc3\xa9", "lines-dirty"),
        ("cr", b"A\nB", "lines-dirty"),
        ("crlf", b"A\rB", "lines-dirty"),
        ("crlf", b"A\nB", "lines-dirty"),
        ("cr", b"A" * (LINE_CHARS_MAX + 1), "lines-too-long"),
        ("crlf", b"A" * (LINE_CHARS_MAX + 1), "lines-too-long"),
        ("cr", b"A" * 1_000_000, "lines-too-long"),
    ],
)
def test_a_bad_line_is_skipped_whole_and_counted(end: str, line: bytes, counter: str) -> None:
    """No half of it becomes a code, and the next line is fine."""
    engine = reader(end=end)
    ending = {"cr": b"\r", "crlf": b"\r\n"}[end]
    engine.received(line + ending + b"GOOD" + ending, 10)

    assert (["GOOD"], 1) == (told(engine, 10), engine.counters[counter])


@pytest.mark.parametrize("end", ["cr", "crlf", "lf"])
def test_the_longest_line_is_a_code(end: str) -> None:
    """128 characters, and then its end."""
    engine = reader(end=end)
    engine.received(b"A" * LINE_CHARS_MAX + {"cr": b"\r", "crlf": b"\r\n", "lf": b"\n"}[end], 10)

    assert ["A" * LINE_CHARS_MAX] == told(engine, 10)


def test_half_a_line_is_forgotten() -> None:
    """Its end was lost; the next code does not get its head."""
    engine = reader()
    engine.received(b"ABC", 10)
    assert 10 + IDLE_MS == engine.poll(11).wake_at_ms
    engine.received(b"DEF\r", 10 + IDLE_MS)

    assert (["DEF"], 1) == (told(engine, 10 + IDLE_MS), engine.counters["lines-unfinished"])


def test_a_slow_line_is_not_forgotten_while_it_comes() -> None:
    """One byte at a time, with pauses."""
    engine = reader()
    for number, byte in enumerate(b"ABC\r"):
        engine.received(bytes((byte,)), 10 + number * (IDLE_MS - 1))

    assert ["ABC"] == told(engine, 10_000)


def test_a_code_that_is_held_before_the_reader_is_one_read() -> None:
    """It is read again and again while it is there; away for `repeat_ms`, it is another read."""
    engine = reader(repeat_ms=1_000)
    codes = []
    for now_ms in (0, 900, 1_800, 2_700, 3_700):
        engine.received(b"ABC\r", now_ms)
        codes += told(engine, now_ms)

    assert (["ABC", "ABC"], 3) == (codes, engine.counters["codes-repeated"])


def test_another_code_in_between_is_another_read() -> None:
    """Two drivers, three reads."""
    engine = reader(repeat_ms=1_000)
    engine.received(b"ABC\rDEF\rABC\r", 10)

    assert ["ABC", "DEF", "ABC"] == told(engine, 10)


def test_a_reader_that_never_stops_is_bounded() -> None:
    """A broken reader says more codes in one piece than anybody wants."""
    engine = reader()
    engine.received(b"".join(b"%d\r" % number for number in range(SIGNALS_MAX + 5)), 10)

    assert (SIGNALS_MAX, 5) == (len(told(engine, 10)), engine.counters["codes-dropped"])


def test_only_the_port_says_whether_a_reader_is_there() -> None:
    """A silent hour is no fault; a pulled cable is one, told once, and half a line is gone with it."""
    engine = reader()
    engine.received(b"AB", 10)
    seen: list[Signal] = [*engine.poll(3_600_000).signals]
    for now_ms in (3_600_001, 3_600_002):
        engine.lost(now_ms, "unplugged")
        seen += engine.poll(now_ms).signals
    engine.opened(3_700_000)
    engine.received(b"C\r", 3_700_000)
    seen += engine.poll(3_700_000).signals

    assert [Health("reader", False, "unplugged"), Health("reader", True), Code("reader", "C")] == seen


def test_a_reader_takes_no_orders() -> None:
    """Refused by name."""
    engine = reader()
    engine.order("reader", Pulse("o", "do0", 500, 9_000), 0)

    assert (Outcome("reader", "o", Result.REFUSED, "a code reader cannot pulse"),) == engine.poll(0).signals


@given(data=st.binary(max_size=600), end=st.sampled_from(["cr", "crlf", "lf"]), cuts=st.lists(st.integers(0, 600)))
def test_bytes_mean_the_same_in_any_pieces(data: bytes, end: str, cuts: list[int]) -> None:
    """Noise included; every code is printable, and of a length that was agreed on."""
    at_once, in_pieces = reader(end=end, repeat_ms=0), reader(end=end, repeat_ms=0)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    at_once.received(data, 10)
    for first, last in pairwise(edges):
        in_pieces.received(data[first:last], 10)

    codes = told(at_once, 10)
    assert (codes, at_once.counters) == (told(in_pieces, 10), in_pieces.counters)
    assert all(0 < len(code) <= LINE_CHARS_MAX and code.isascii() and code.isprintable() for code in codes)


def test_every_fault_in_the_options_is_told_at_once() -> None:
    """With its place, and what would do."""
    port = PortSpec("line", "serial", {"path": "/dev/ttyS0", "bauds": 9600})
    devices = [
        DeviceSpec("a", "code-reader", "generic-lime", "line", {"end": "crfl", "repeat_ms": -1, "repeat": 5}),
        DeviceSpec("b", "code-reader", "generic-line", "line"),
    ]

    assert {
        ("ports.line.bauds", "did you mean 'baud'?"),
        ("devices.b.port", ""),
        ("devices.a.model", "did you mean 'generic-line'?"),
        ("devices.a.end", "did you mean 'crlf'?"),
        ("devices.a.repeat_ms", ""),
        ("devices.a.repeat", "did you mean 'repeat_ms'?"),
    } == {(fault.where, fault.hint) for fault in family.check(port, devices)}


def test_a_reader_can_read_codes() -> None:
    assert {"": frozenset({"code"})} == family.capabilities(DeviceSpec("a", "code-reader", "generic-line", "line"))
