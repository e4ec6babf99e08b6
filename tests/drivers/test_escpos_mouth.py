"""Tickets in the mouth of a kiosk printer; and, with any order of faults, what is said of a ticket."""

import pytest
from escpos_bench import CUSTOM, EPSON, Bench, up
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.api import Result, Retract


def test_a_ticket_is_presented_and_taken() -> None:
    """The arm waits for the second."""
    bench = up(CUSTOM).print("T1").run(3_000)
    assert ([("T1", "presented")], True) == (bench.papers(), bench.statuses()[-1].in_mouth)

    bench.printer.take()
    bench.run(600)

    assert ([("T1", "presented"), ("T1", "taken")], False) == (bench.papers(), bench.statuses()[-1].in_mouth)


def test_one_reading_does_not_make_a_ticket_taken() -> None:
    """The sensor twitches for less than two readings."""
    bench = up(CUSTOM).print("T1").run(3_000)
    ticket = bench.printer.take()
    asked = bench.sent.count(b"\x10\x04\x14")
    while bench.sent.count(b"\x10\x04\x14") == asked:
        bench.run(1)
    bench.run(8)
    bench.printer.mouth = ticket
    bench.run(3_000)

    assert [("T1", "presented")] == bench.papers()


def test_a_ticket_that_nobody_takes_is_retracted() -> None:
    """The lane asks for it back; the paper is accounted for under the order that printed it."""
    bench = up(CUSTOM).print("T1").run(3_000).order(Retract("R1", 9_000)).run(2_000)

    assert [(Result.CONFIRMED, "retracted")] == bench.outcomes("R1")
    assert ([("T1", "presented"), ("T1", "retracted")], 1) == (bench.papers(), len(bench.printer.retracted))


def test_an_empty_mouth_has_nothing_to_retract() -> None:
    """The driver was faster."""
    bench = up(CUSTOM).print("T1").run(3_000)
    bench.printer.take()
    bench.run(600).order(Retract("R1", 9_000)).run(2_000)

    assert [(Result.REFUSED, "no ticket in the mouth")] == bench.outcomes("R1")


def test_a_ticket_that_jams_in_the_mouth_is_an_error_and_stays_unknown() -> None:
    """It cannot be pulled back; the next job is refused until somebody frees it."""
    bench = up(CUSTOM).print("T1").run(3_000)
    bench.printer.jam = True
    bench.order(Retract("R1", bench.now_ms + 3_000)).run(1_000)
    assert Result.REFUSED == bench.outcomes("R1")[0][0]
    assert bench.statuses()[-1].error
    bench.printer.jam = False
    bench.run(3_000).order(Retract("R2", bench.now_ms + 9_000)).run(2_000)

    assert ([(Result.CONFIRMED, "retracted")], False) == (bench.outcomes("R2"), bench.statuses()[-1].error)


def test_a_new_ticket_waits_until_an_old_one_is_out_of_the_mouth() -> None:
    """Nobody took a receipt: it is retracted before the next job, not pushed out onto the road."""
    bench = up(CUSTOM).print("T1").run(3_000).print("T2").run(3_000)

    assert [(Result.CONFIRMED, "printed")] == bench.outcomes("T2")
    assert [("T1", "presented"), ("T1", "retracted"), ("T2", "presented")] == bench.papers()
    assert ([["CODE-T1"]], 0) == ([list(d.codes) for d in bench.printer.retracted], len(bench.printer.fallen))


# -- any order of faults -----------------------------------------------------------------------------------------------

FAULTS = ("paper_low", "paper_out", "cover_open", "cutter_blocked", "offline", "hold", "mute", "jam", "broken")
HAPPENINGS = st.lists(
    st.tuples(
        st.integers(0, 4_000),
        st.one_of(
            st.tuples(st.just("print"), st.integers(500, 8_000)),
            st.tuples(st.sampled_from(FAULTS), st.booleans()),
            st.tuples(st.sampled_from(["take", "retract", "die", "revive"]), st.none()),
            st.tuples(st.just("noise"), st.binary(max_size=6)),
            st.tuples(st.just("lose"), st.integers(0, 40)),
        ),
    ),
    max_size=25,
)


@pytest.mark.parametrize("model", [EPSON, CUSTOM])
@settings(max_examples=60, deadline=None)
@given(happenings=HAPPENINGS)
def test_what_is_said_of_a_ticket_is_true(model: str, happenings: list[tuple[int, tuple[str, object]]]) -> None:
    """Whatever goes wrong: every order has one answer, what was refused was not printed, and nothing is printed twice.

    A ticket whose order is CONFIRMED exists, unless noise on the line spoke for the printer.
    """
    bench = Bench(model)
    orders = 0
    for wait_ms, (what, value) in happenings:
        bench.run(wait_ms)
        if what == "print":
            orders += 1
            bench.print(f"T{orders}", in_ms=int(str(value)))
        elif what == "retract":
            bench.order(Retract(f"R{len(bench.sent)}", bench.now_ms + 5_000))
        elif what == "take":
            bench.printer.take()
        elif what == "die":
            bench.printer.dead = True
        elif what == "revive":
            bench.printer.revive()
        elif what == "lose":
            bench.lost_bytes.add(bench.said + int(str(value)))
        elif what == "noise":
            assert isinstance(value, bytes)
            bench.engine.received(value, bench.now_ms)
        else:
            setattr(bench.printer, what, value)
    bench.run(40_000)

    noisy = any(what == "noise" for _, (what, _) in happenings)
    for number in range(1, orders + 1):
        answers = [result for result, _ in bench.outcomes(f"T{number}")]
        assert 1 == len(answers)
        printed = bench.codes().count(f"CODE-T{number}")
        assert printed <= 1
        assert not (answers == [Result.REFUSED] and printed)
        assert noisy or not (answers == [Result.CONFIRMED] and not printed)
