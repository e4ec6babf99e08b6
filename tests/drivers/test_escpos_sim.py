"""The simulated printer is held to the manuals too, and to what python-escpos makes of them: it must not flatter us."""

import pytest
from escpos.constants import QR_ECLEVEL_H, QR_ECLEVEL_L, QR_ECLEVEL_M, QR_ECLEVEL_Q
from escpos.printer import Dummy

from drivers.sim.escpos import SimulatedPrinter


def ask(printer: SimulatedPrinter, command: str, now_ms: int = 0) -> str:
    """What it answers to a command, both in hexadecimal."""
    printer.received(bytes.fromhex(command), now_ms)
    return printer.poll(now_ms)[0].hex(" ").upper()


@pytest.mark.parametrize(
    ("fault", "first", "answers"),
    [
        # Epson TM-T88III specification, DLE EOT 1, 2, 3, 4.
        ("", "", ["12", "12", "12", "12"]),
        ("paper_low", "", ["12", "12", "12", "1E"]),
        ("paper_out", "13", ["1A", "32", "12", "72"]),
        ("cover_open", "13", ["1A", "16", "12", "12"]),
        ("cutter_error", "13", ["1A", "52", "1A", "12"]),
        ("broken", "13", ["1A", "52", "32", "12"]),
    ],
)
def test_it_answers_at_once(fault: str, first: str, answers: list[str]) -> None:
    """Also when it is offline, of which it says XOFF first."""
    printer = SimulatedPrinter()
    if fault:
        setattr(printer, fault, True)

    assert first == ask(printer, "")
    assert answers == [ask(printer, f"10 04 0{n}") for n in (1, 2, 3, 4)]


def test_it_answers_in_order_only_when_all_before_is_done() -> None:
    """Two lines at 100 ms each, then GS r 1."""
    printer = SimulatedPrinter(line_ms=100)
    printer.received(b"one\ntwo\n\x1dr\x01", 0)

    answers = [printer.poll(now_ms)[0] for now_ms in (0, 99, 100, 199, 200)]

    assert [b"", b"", b"", b"", b"\x00"] == answers


def test_at_the_end_of_the_paper_it_does_not_answer_in_order() -> None:
    """Epson TM-T88III programming guide, GS r: it goes offline and does not execute the command."""
    printer = SimulatedPrinter(paper_lines_left=1)
    printer.received(b"one\n\x1dr\x01", 0)

    assert b"\x13" == printer.poll(1_000)[0]


def test_a_full_buffer_says_xoff_at_16_free_bytes_and_xon_at_26() -> None:
    """TM-T88 series technical manual, appendix A; what comes on top of a full buffer is lost."""
    printer = SimulatedPrinter(buffer_bytes=100, line_ms=1_000)
    printer.received(b"\n", 0)  # busy from here on
    printer.received(b"x" * 83, 0)
    assert b"" == printer.poll(0)[0]
    printer.received(b"x", 0)
    assert b"\x13" == printer.poll(0)[0]
    printer.received(b"x" * 20, 0)
    assert 4 == printer.bytes_lost
    assert b"\x11" == printer.poll(1_000)[0]


def test_a_custom_printer_tells_its_full_status_and_its_ejector() -> None:
    """KPM210/216 manual: 10 0F, paper bit 5 is a ticket in the output; GS e 6, bit 3."""
    printer = SimulatedPrinter("custom-kpm216", line_ms=0, cut_ms=0, present_ms=0)
    assert "10 0F 00 00 00 00" == ask(printer, "10 04 14")
    ask(printer, "41 0A 1B 69 1D 65 03 40")
    assert "10 0F 20 00 00 00" == ask(printer, "10 04 14")
    assert "08" == ask(printer, "1D 65 06")
    ask(printer, "1D 65 02")
    assert "10 0F 00 00 00 00" == ask(printer, "10 04 14")


def test_automatic_status_is_sent_when_enabled_and_at_every_change() -> None:
    """Epson TM-T88III programming guide, GS a: cover is bit 5 of the first byte, offline bit 3."""
    printer = SimulatedPrinter()
    assert "10 00 00 0F" == ask(printer, "1D 61 FF")
    printer.cover_open = True
    assert "13 38 00 00 0F" == ask(printer, "")


@pytest.mark.parametrize(
    ("level", "name"), [(QR_ECLEVEL_L, "L"), (QR_ECLEVEL_M, "M"), (QR_ECLEVEL_Q, "Q"), (QR_ECLEVEL_H, "H")]
)
def test_it_prints_the_native_qr_codes_of_python_escpos(level: int, name: str) -> None:
    """All four levels, by the bytes of a program that is not ours."""
    host = Dummy()
    host.set(bold=True, align="center")
    host.text("TICKET\n")
    host.qr("K7QF-000123", ec=level, size=6, native=True)
    host.cut()
    printer = SimulatedPrinter(line_ms=0, cut_ms=0)
    printer.received(host.output, 0)

    (document,) = printer.printed
    assert [("K7QF-000123", name, 2, 6)] == [(s.data, s.level, s.model, s.module_dots) for s in document.qr]
    assert ("TICKET", True, True) == (document.lines[0].text, document.lines[0].bold, document.lines[0].centred)
    assert 0 == printer.unknown_commands


def test_a_command_in_the_bytes_of_another_is_waited_for() -> None:
    """Whatever the pieces in which it arrives."""
    host = Dummy()
    host.qr("K7QF", native=True)
    host.text("after\n")
    host.cut()
    printer = SimulatedPrinter(line_ms=0, cut_ms=0)
    for byte in host.output:
        printer.received(bytes((byte,)), 0)

    assert (("K7QF",), True) == (printer.printed[0].codes, "after" in printer.printed[0].text)
