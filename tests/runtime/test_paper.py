"""What a driver holds in the hand: the entry ticket, the receipt and the test print."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.api import Columns, DeviceSpec, Element, PortSpec, Print, Qr, Rule, Text
from drivers.escpos import family
from drivers.sim.escpos import SimulatedPrinter
from gatectl.domain.effects import PrintReceipt, PrintTicket
from gatectl.domain.facts import Line
from gatectl.domain.ids import JobId, LaneId, TicketNumber
from gatectl.runtime import paper

BERLIN = ZoneInfo("Europe/Berlin")
CODE = "AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYUCULBOGAZDINRYHI6D4QCCIRD"
TICKET = PrintTicket(
    LaneId("IN-1"), JobId("job-1"), TicketNumber("000123-K7QF"), CODE, 1_774_746_900_000, "A-017", "2.00 EUR an hour", 0
)
RECEIPT = PrintReceipt(
    LaneId("OUT-1"),
    JobId("job-2"),
    TicketNumber("000123-K7QF"),
    42,
    "OUT1",
    (Line("2 hours", 400), Line("coupon", -150)),
    250,
    "EUR",
    "CREDIT_CARD",
    1_774_746_900_000,
)


def test_a_ticket_says_all_that_its_driver_needs() -> None:
    """2026-03-29 01:15 UTC is a quarter past three in Berlin: the clocks have just gone forward."""
    document = paper.ticket_document(TICKET, "Parkhaus Mitte", BERLIN)

    assert (
        Text("Parkhaus Mitte", bold=True, align="centre"),
        Text("PARKING TICKET", align="centre"),
        Rule(),
        Text("000123-K7QF", bold=True, big=True, align="centre"),
        Text(""),
        Qr(CODE),
        Text(""),
        Columns("Entry", "2026-03-29 03:15 CEST", bold=True),
        Columns("Spot", "A-017", bold=True),
        Text("2.00 EUR an hour"),
        Rule(),
        Text("Keep this ticket with you. You need it to pay and to leave.", align="centre"),
    ) == document


def test_a_ticket_without_a_spot_or_a_tariff_leaves_them_out() -> None:
    """A site that allocates no spots does not print an empty one."""
    document = paper.ticket_document(replace(TICKET, spot="", tariff_text=""), "P", BERLIN)

    assert ["Entry"] == [element.left for element in document if isinstance(element, Columns)]


def test_an_hour_that_happens_twice_is_told_apart() -> None:
    """In October half past two comes twice in Berlin; the zone's name says which."""
    summer, winter = (paper.local_time(1_792_888_200_000 + hour * 3_600_000, BERLIN) for hour in (0, 1))

    assert ("2026-10-25 02:30 CEST", "2026-10-25 02:30 CET") == (summer, winter)


def test_a_zone_without_letters_is_told_by_its_distance() -> None:
    """Sao Paulo's short name is "-03"."""
    assert "2026-03-28 22:15 UTC-03" == paper.local_time(1_774_746_900_000, ZoneInfo("America/Sao_Paulo"))


def test_a_receipt_explains_the_price_line_by_line() -> None:
    """Minor units become a decimal by the currency's own digits; a discount keeps its sign."""
    document = paper.receipt_document(RECEIPT, "Parkhaus Mitte", BERLIN)

    assert [
        ("Receipt", "OUT1-42"),
        ("Ticket", "000123-K7QF"),
        ("Paid", "2026-03-29 03:15 CEST"),
        ("2 hours", "4.00"),
        ("coupon", "-1.50"),
        ("TOTAL PAID", "EUR 2.50"),
        ("By", "credit card"),
    ] == [(element.left, element.right) for element in document if isinstance(element, Columns)]


@pytest.mark.parametrize(
    ("currency", "total"), [("JPY", "JPY 123456789"), ("EUR", "EUR 1234567.89"), ("BHD", "BHD 123456.789")]
)
def test_money_has_the_digits_of_its_currency(currency: str, total: str) -> None:
    """Yen have no cents, Bahraini dinars have a thousand fils."""
    document = paper.receipt_document(replace(RECEIPT, currency=currency, paid_minor=123_456_789), "P", BERLIN)

    assert total in [element.right for element in document if isinstance(element, Columns)]


def test_a_long_explanation_is_summed_up() -> None:
    """A hundred days make a hundred lines; the paper has a few of them and the sum of the rest."""
    lines = tuple(Line(f"day {number}", 1_000) for number in range(100))

    document = paper.receipt_document(replace(RECEIPT, lines=lines, paid_minor=100_000), "P", BERLIN)

    shown = [(e.left, e.right) for e in document if isinstance(e, Columns) and e.left.startswith(("day", "and"))]
    assert (paper.LINES_MAX, ("and 76 more", "760.00")) == (len(shown), shown[-1])


def test_the_test_print_says_so_and_opens_nothing() -> None:
    """Whoever finds it: it is marked at both ends, and its code has not a ticket's length."""
    document = paper.test_document()
    marks = [element.text for element in document if isinstance(element, Text) and "TEST" in element.text]
    codes = [element.data for element in document if isinstance(element, Qr)]

    assert (["TEST", "TEST - NOT VALID"], ["TEST"]) == (marks, codes)


def _printed_by(model: str, document: tuple[Element, ...]) -> SimulatedPrinter:
    """Print it with the real driver on the simulated printer, under simulated time."""
    port, device = PortSpec("p", "serial", {"path": "/dev/null"}), DeviceSpec("printer", "escpos", model, "p")
    engine, printer = family.engine(port, [device]), SimulatedPrinter(model)
    engine.opened(0)
    for now_ms in range(6_000):
        if now_ms == 1_500:
            engine.order("printer", Print("o", document, 6_000), now_ms)
        printer.received(engine.poll(now_ms).write, now_ms)
        engine.received(printer.poll(now_ms)[0], now_ms)
    return printer


@pytest.mark.parametrize("model", family.models)
def test_every_paper_comes_out_of_every_printer(model: str) -> None:
    """The number and the code are on the ticket, the total on the receipt."""
    ticket = _printed_by(model, paper.ticket_document(TICKET, "Parkhaus Zürich-Süd", BERLIN)).printed[0]
    receipt = _printed_by(model, paper.receipt_document(RECEIPT, "P", BERLIN)).printed[0]
    test = _printed_by(model, paper.test_document()).printed[0]

    assert ("000123-K7QF" in ticket.text, (CODE,)) == (True, ticket.codes)
    assert "Parkhaus Zürich-Süd" == ticket.lines[0].text
    assert "TOTAL PAID" + "EUR 2.50".rjust(32) in receipt.text
    assert "ÄÖÜ äöü ß éèê ñ ç å ø €" in test.text


@given(
    name=st.text(max_size=300),
    tariff=st.text(max_size=2_000),
    lines=st.lists(st.tuples(st.text(max_size=300), st.integers(-(10**12), 10**12)), max_size=60),
)
def test_whatever_is_written_fits_every_printer(name: str, tariff: str, lines: list[tuple[str, int]]) -> None:
    """No site name, tariff text or explanation makes a paper that a printer refuses."""
    from drivers.codecs.escpos import encode
    from drivers.escpos_profile import profiles

    ticket = paper.ticket_document(replace(TICKET, tariff_text=tariff), name, BERLIN)
    receipt = paper.receipt_document(replace(RECEIPT, lines=tuple(Line(*line) for line in lines)), name, BERLIN)

    for profile in profiles().values():
        for columns in (24, 42, 96):
            style = profile.style({"columns": columns})
            assert all(sum(map(len, encode(document, style))) <= style.job_bytes_max for document in (ticket, receipt))
