"""The printer driver against the simulated printer, under simulated time: every fault, and what is said of it."""

from collections.abc import Callable

import pytest
from escpos_bench import CUSTOM, EPSON, UP_MS, Bench, up

from drivers.api import ORDERS_WAITING_MAX, Health, Order, Print, PrinterStatus, Pulse, Qr, Result, Retract, Text
from drivers.sim.escpos import SimulatedPrinter

both = pytest.mark.parametrize("model", [EPSON, CUSTOM])


@both
def test_a_printer_in_order_says_so_once(model: str) -> None:
    """Up, its status, and then nothing: a status is told when it changes."""
    bench = Bench(model).run(30_000)

    mouth = False if model == CUSTOM else None
    assert [
        Health("printer", up=True),
        PrinterStatus("printer", True, False, False, False, False, False, mouth),
    ] == bench.signals


@both
def test_a_ticket_is_printed_once_and_confirmed(model: str) -> None:
    """The code comes out as level M, model 2; the confirmation is the printer's own."""
    bench = up(model).print("T1").run(2_000)

    (document,) = bench.printer.printed
    assert [(Result.CONFIRMED, "printed")] == bench.outcomes("T1")
    assert ("CODE-T1", "M", 2) == (document.qr[0].data, document.qr[0].level, document.qr[0].model)
    assert "T1" == document.lines[0].text


@both
def test_low_paper_is_told_when_it_changes(model: str) -> None:
    """The roll gets short: said once, and tickets go on being printed."""
    bench = up(model)
    bench.printer.paper_low = True
    bench.run(3_000).print("T1").run(2_000)

    assert [False, True] == [status.paper_low for status in bench.statuses()][:2]
    assert Result.CONFIRMED == bench.outcomes("T1")[0][0]


def test_with_the_cover_open_nobody_knows_about_the_paper() -> None:
    """The sensor sees daylight: paper is unknown, neither low nor out."""
    bench = up()
    bench.printer.cover_open, bench.printer.paper_out = True, True
    bench.run(2_000)

    last = bench.statuses()[-1]
    assert (True, None, None, False) == (last.cover_open, last.paper_out, last.paper_low, last.online)


REFUSALS: list[tuple[str, Callable[[SimulatedPrinter], None]]] = [
    ("paper out", lambda printer: setattr(printer, "paper_out", True)),
    ("cover open", lambda printer: setattr(printer, "cover_open", True)),
    ("printer error", lambda printer: setattr(printer, "broken", True)),
    ("offline", lambda printer: setattr(printer, "offline", True)),
]


@both
@pytest.mark.parametrize(("why", "break_it"), REFUSALS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_printer_that_cannot_print_refuses(
    model: str, why: str, break_it: Callable[[SimulatedPrinter], None]
) -> None:
    """The fault comes a moment before the order, and is seen: nothing was sent, and nothing comes out later."""
    printer = SimulatedPrinter(model)
    bench = up(model, printer)
    break_it(printer)
    bench.print("T1").run(3_000)
    printer.paper_out = printer.cover_open = printer.broken = printer.offline = False
    bench.run(10_000)

    assert [(Result.REFUSED, why)] == bench.outcomes("T1")
    assert ([], False) == (bench.codes(), b"CODE-T1" in bench.sent)


@both
def test_paper_that_ends_in_a_ticket_leaves_it_unknown_and_buried(model: str) -> None:
    """The roll ends after the first line. Refilled, the printer does not bring the rest of a dead ticket to light."""
    bench = up(model)
    bench.printer.paper_lines_left = 1
    bench.print("T1").run(3_000)
    bench.printer.paper_out = False
    bench.run(6_000).print("T2").run(3_000)

    assert [(Result.UNKNOWN, "paper out")] == bench.outcomes("T1")
    assert [(Result.CONFIRMED, "printed")] == bench.outcomes("T2")
    assert ["CODE-T2"] == bench.codes()


def test_a_cover_that_opens_in_a_ticket_leaves_it_unknown() -> None:
    """Somebody opens the cabinet while it prints."""
    bench = up(EPSON, SimulatedPrinter(EPSON, line_ms=300)).print("T1").run(400)
    bench.printer.cover_open = True
    bench.run(3_000)

    assert [(Result.UNKNOWN, "cover open")] == bench.outcomes("T1")
    assert bench.printer.cleared >= 1


@both
def test_a_cutter_that_jams_is_tried_again_when_its_cause_is_gone(model: str) -> None:
    """The ticket hangs uncut: unknown. The attendant frees the blade; the driver finds out by itself."""
    bench = up(model)
    bench.printer.cutter_blocked = True
    bench.print("T1").run(25_000)
    assert [(Result.UNKNOWN, "cutter error")] == bench.outcomes("T1")
    assert bench.statuses()[-1].cutter_error

    bench.printer.cutter_blocked = False
    bench.run(25_000).print("T2").run(3_000)

    assert [(Result.CONFIRMED, "printed")] == bench.outcomes("T2")


def test_a_job_stops_at_xoff_goes_on_at_xon_and_asks_meanwhile() -> None:
    """The printer holds for three seconds: no print data, but status requests all the time."""
    bench = up().print("T1")
    while b"T1" not in bench.sent:
        bench.run(1)
    bench.printer.hold = True
    bench.run(50)
    asked = len(bench.sent)
    bench.run(3_000)
    while_held = bytes(bench.sent[asked:])
    assert [] == bench.outcomes("T1")
    bench.printer.hold = False
    bench.run(3_000)

    assert set() == set(while_held.replace(b"\x10\x04", b"")) - {1, 2, 3, 4}
    assert while_held.count(b"\x10\x04\x01") > 10
    assert ([(Result.CONFIRMED, "printed")], ["CODE-T1"]) == (bench.outcomes("T1"), bench.codes())


def test_a_job_that_is_held_for_ever_is_unknown() -> None:
    """XON never comes."""
    bench = up().print("T1")
    while b"T1" not in bench.sent:
        bench.run(1)
    bench.printer.hold = True
    bench.run(15_000)

    assert [Result.UNKNOWN] == [result for result, _ in bench.outcomes("T1")]
    assert [] == bench.codes()


def test_a_printer_that_holds_before_the_job_lets_it_expire() -> None:
    """Nothing was sent by the deadline, so it is certain that nothing was printed."""
    bench = up()
    bench.printer.hold = True
    bench.run(1_000).print("T1", in_ms=2_000).run(4_000)

    assert ([(Result.REFUSED, "expired")], False) == (bench.outcomes("T1"), b"T1" in bench.sent)


def test_a_lost_xon_does_not_hold_a_printer_for_ever() -> None:
    """XOFF came, XON was lost on the line; the printer is online and idle, and is believed after a while."""
    bench = up()
    bench.engine.received(b"\x13", bench.now_ms)
    bench.run(6_500).print("T1").run(3_000)

    assert Result.CONFIRMED == bench.outcomes("T1")[0][0]
    assert 1 == bench.engine.counters["xoff-stale"]


@both
def test_a_mute_printer_is_lost_once_and_comes_back(model: str) -> None:
    """No reply is never "good": orders are refused, and the status says nothing but offline."""
    bench = up(model)
    bench.printer.mute = True
    bench.print("T1").run(8_000)
    assert [(Result.REFUSED, "the printer does not answer")] == bench.outcomes("T1")
    assert PrinterStatus("printer", online=False) == bench.statuses()[-1]
    bench.print("T2").run(100)
    assert [(Result.REFUSED, "the printer does not answer")] == bench.outcomes("T2")

    bench.printer.mute = False
    bench.run(5_000).print("T3").run(3_000)

    assert ([True, False, True], Result.CONFIRMED) == (bench.healths(), bench.outcomes("T3")[0][0])


@both
def test_a_printer_that_dies_in_a_job_leaves_it_unknown(model: str) -> None:
    """Switched off in the middle; switched on again, the next ticket is printed and the first is not."""
    bench = up(model)
    bench.print("T1")
    bench.printer.dies_after_bytes = 60
    bench.run(6_000)
    assert [(Result.UNKNOWN, "the printer does not answer")] == bench.outcomes("T1")

    bench.printer.revive()
    bench.run(8_000).print("T2").run(3_000)

    assert ([(Result.CONFIRMED, "printed")], ["CODE-T2"]) == (bench.outcomes("T2"), bench.codes())


def _all_sent(line_ms: int) -> Bench:
    """A ticket is with the printer, which is still busy printing it."""
    bench = up(EPSON, SimulatedPrinter(EPSON, line_ms=line_ms)).print("T1")
    while not bench.sent.endswith(b"\x1dr\x01"):
        bench.run(1)
    return bench


def test_noise_of_a_printer_that_is_switched_off_confirms_nothing() -> None:
    """The power goes, and the line twitches: a 00h that looks like the in-order reply."""
    bench = _all_sent(line_ms=500)
    bench.printer.dead = True
    bench.engine.received(b"\x00", bench.now_ms)
    bench.run(20_000)

    assert [(Result.UNKNOWN, "the printer does not answer")] == bench.outcomes("T1")


def test_noise_in_the_last_answer_of_a_status_round_confirms_nothing() -> None:
    """The round ends well, but it began before the noise: only a round that was asked for afterwards counts."""
    bench = _all_sent(line_ms=500)
    while not bench.sent.endswith(b"\x10\x04\x04"):
        bench.run(1)
    bench.printer.dead = True
    bench.engine.received(b"\x00\x12", bench.now_ms)
    bench.run(20_000)

    assert [(Result.UNKNOWN, "the printer does not answer")] == bench.outcomes("T1")


@pytest.mark.parametrize("lost", range(6))
def test_a_full_status_that_loses_a_byte_confirms_nothing(lost: int) -> None:
    """Without its header the rest of it are zeros, which look like in-order replies; the ticket is not out yet."""
    bench = up(CUSTOM, SimulatedPrinter(CUSTOM, line_ms=600)).print("T1")
    while not bench.sent.endswith(b"\x1dr\x01"):
        bench.run(1)
    while not bench.sent.endswith(b"\x10\x04\x14"):
        bench.run(1)
    bench.lost_bytes.add(bench.said + lost)
    bench.run(1_500)
    assert ([], 0) == (bench.outcomes("T1"), bench.printer.jobs_done)
    bench.run(15_000)

    assert [(Result.CONFIRMED, "printed")] == bench.outcomes("T1")


@pytest.mark.parametrize("noise", [b"\x01", b"\x0c", b"\x2f", b"\x09"])
def test_an_impossible_answer_is_not_the_in_order_reply(noise: bytes) -> None:
    """GS r 1 never says "paper end" (it is not executed then), and the two bits of "near end" are alike."""
    bench = _all_sent(line_ms=300)
    bench.engine.received(noise, bench.now_ms)
    bench.run(500)
    assert [] == bench.outcomes("T1")
    bench.run(3_000)

    assert [(Result.CONFIRMED, "printed")] == bench.outcomes("T1")


def test_an_in_order_reply_that_is_lost_leaves_the_job_unknown_and_unrepeated() -> None:
    """The ticket is out, its confirmation is not: never printed again, and the next one is fine."""
    bench = up().print("T1")
    while b"\x1dr\x01" not in bench.sent[-3:]:
        bench.run(1)
    bench.printer.mute = True
    while not bench.printer.jobs_done:
        bench.run(1)
    bench.printer.mute = False
    bench.run(10_000).print("T2").run(3_000)

    assert ([Result.UNKNOWN], [Result.CONFIRMED]) == (
        [result for result, _ in bench.outcomes("T1")],
        [result for result, _ in bench.outcomes("T2")],
    )
    assert ["CODE-T1", "CODE-T2"] == bench.codes()


def test_a_printer_whose_switch_turns_automatic_status_on_is_told_off() -> None:
    """The four bytes that nobody asked for are not taken for the in-order reply."""
    bench = up(EPSON, SimulatedPrinter(EPSON, auto_status_by_switch=True, line_ms=200)).print("T1").run(300)
    bench.printer.paper_low = True
    bench.run(5_000)

    assert [(Result.CONFIRMED, "printed")] == bench.outcomes("T1")
    assert b"\x1da\x00" in bench.sent


def test_a_printer_with_a_small_buffer_that_drops_bytes_confirms_nothing() -> None:
    """The switch is on 45 bytes and flow control is off: the ticket is spoilt, and not called printed."""
    printer = SimulatedPrinter(EPSON, buffer_bytes=45, deaf_to_flow=True, line_ms=400)
    bench = up(EPSON, printer).print("T1").run(20_000)

    assert [Result.UNKNOWN] == [result for result, _ in bench.outcomes("T1")]
    assert printer.bytes_lost > 0


def test_a_port_that_vanishes_leaves_the_job_unknown_and_refuses_the_rest() -> None:
    """One job under way, two waiting."""
    bench = up(EPSON, SimulatedPrinter(EPSON, line_ms=500)).print("T1").print("T2").print("T3").run(300)
    bench.engine.lost(bench.now_ms, "unplugged")
    bench.run(1)

    assert [Result.UNKNOWN, Result.REFUSED, Result.REFUSED] == [bench.outcomes(t)[0][0] for t in ("T1", "T2", "T3")]
    assert ([True, False], False) == (bench.healths(), bench.statuses()[-1].online)


REFUSED_ORDERS: list[tuple[Order, str]] = [
    (Pulse("o", "do0", 500, 9_000), "a printer cannot pulse"),
    (Retract("o", 9_000), "this model cannot retract"),
    (Print("o", (Text("x"),), UP_MS), "expired"),
    (Print("o", (), 9_000), "a document has 1 to 200 elements, not 0"),
    (Print("o", (Qr("ä"),), 9_000), "a QR code holds 1 to 300 printable ASCII characters, not 'ä'"),
    (Print("o", (Text("x" * 1_001),), 9_000), "a text has 1001 characters, more than 1000"),
    (Print("o", (Text("x" * 900),) * 10, 9_000), "the document has 11218 bytes, the printer holds 4032"),
]


@pytest.mark.parametrize(("order", "why"), REFUSED_ORDERS, ids=lambda value: value if isinstance(value, str) else "")
def test_an_order_that_makes_no_sense_is_refused_by_name(order: Order, why: str) -> None:
    """Refused at once, and the printer hears nothing of it."""
    bench = up()
    before = len(bench.sent)
    bench.order(order).run(0)

    assert ([(Result.REFUSED, why)], before) == (bench.outcomes("o"), len(bench.sent))


def test_orders_wait_in_a_bounded_queue() -> None:
    """One more than fit is refused; the others are printed in order."""
    bench = up()
    for number in range(ORDERS_WAITING_MAX + 1):
        bench.print(f"T{number}", in_ms=200_000)
    bench.run(1)
    assert [(Result.REFUSED, "queue full")] == bench.outcomes(f"T{ORDERS_WAITING_MAX}")

    bench.run(150_000)

    assert [f"CODE-T{number}" for number in range(ORDERS_WAITING_MAX)] == bench.codes()
