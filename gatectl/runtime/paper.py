"""What stands on paper: the entry ticket, the receipt, and the test print. Layout only; printers know how to draw it.

Rule 1: the number a person reads out is the largest thing on a ticket, and stands apart from the code.
Rule 2: times are local, with the zone's short name: an hour that happens twice a year is told apart.
Rule 3: every layout fits the smallest printer's buffer, whatever it is given: long texts are cut, long lists summed up.
"""

from datetime import datetime, tzinfo
from typing import Final

from drivers.api import Columns, Element, Qr, Rule, Text
from gatectl.domain.effects import PrintReceipt, PrintTicket
from gatectl.domain.facts import Line
from gatectl.domain.money import decimal_text, shown

SITE_NAME_CHARS_MAX: Final = 80
TARIFF_CHARS_MAX: Final = 400
LINE_CHARS_MAX: Final = 80
LINES_MAX: Final = 25
"""Lines of a price's explanation on a receipt; the rest is one line with their sum."""
TEST_QR: Final = "TEST"
"""Too short to be any ticket's code."""

_BLANK: Final = Text("")


def ticket_document(effect: PrintTicket, site_name: str, timezone: tzinfo) -> tuple[Element, ...]:
    """An entry ticket: site, number, code, when it was issued, where to park, what it costs."""
    spot = (Columns("Spot", effect.spot, bold=True),) if effect.spot else ()
    tariff = (Text(_cut(effect.tariff_text, TARIFF_CHARS_MAX)),) if effect.tariff_text else ()
    return (
        *_head(site_name, "PARKING TICKET"),
        Text(effect.ticket, bold=True, big=True, align="centre"),
        _BLANK,
        Qr(effect.code),
        _BLANK,
        Columns("Entry", local_time(effect.issued_ms, timezone), bold=True),
        *spot,
        *tariff,
        Rule(),
        Text("Keep this ticket with you. You need it to pay and to leave.", align="centre"),
    )


def receipt_document(effect: PrintReceipt, site_name: str, timezone: tzinfo) -> tuple[Element, ...]:
    """A receipt: its number, the ticket, the price line by line, what was paid and how, and what the fiscal law wants.

    Of a refund, whose amount has a minus, it says so.

    Raises `gatectl.domain.money.UnknownCurrency`; a site is not configured with one.
    """
    lines = [
        Columns(_cut(line.text, LINE_CHARS_MAX), decimal_text(line.amount_minor, effect.currency))
        for line in _few(effect.lines)
    ]
    back = effect.paid_minor < 0
    code = (_BLANK, Qr(effect.code)) if effect.code else ()
    notes = tuple(Text(_cut(note, LINE_CHARS_MAX), align="centre") for note in effect.notes)
    return (
        *_head(site_name, "REFUND" if back else "RECEIPT"),
        Columns("Receipt", f"{effect.series}-{effect.receipt}"),
        Columns("Ticket", effect.ticket),
        Columns("Refunded" if back else "Paid", local_time(effect.paid_ms, timezone)),
        Rule(),
        *lines,
        Rule(),
        Columns("REFUNDED" if back else "TOTAL PAID", shown(abs(effect.paid_minor), effect.currency), bold=True),
        Columns("By", effect.method.replace("_", " ").lower()),
        *code,
        *notes,
        _BLANK,
        Text("Thank you.", align="centre"),
    )


def test_document() -> tuple[Element, ...]:
    """Shows that the printer prints text, sizes, accents, a rule and a code. Nothing on it opens anything."""
    return (
        Text("TEST", bold=True, big=True, align="centre"),
        Text("NOT A TICKET", bold=True, align="centre"),
        Rule(),
        Columns("left", "right"),
        Text("ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789"),
        Text("ÄÖÜ äöü ß éèê ñ ç å ø €"),
        _BLANK,
        Qr(TEST_QR),
        _BLANK,
        Text("TEST - NOT VALID", bold=True, align="centre"),
    )


def local_time(wall_ms: int, timezone: tzinfo) -> str:
    """`2026-03-29 03:15 CEST`; a zone without letters is told by its distance: `UTC-03`."""
    moment = datetime.fromtimestamp(wall_ms // 1000, timezone)
    name = moment.tzname() or ""
    return f"{moment:%Y-%m-%d %H:%M} {name if name[:1].isalpha() else 'UTC' + name}"


def _head(site_name: str, title: str) -> tuple[Element, ...]:
    return (
        Text(_cut(site_name, SITE_NAME_CHARS_MAX), bold=True, align="centre"),
        Text(title, align="centre"),
        Rule(),
    )


def _few(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    if len(lines) <= LINES_MAX:
        return lines
    rest = lines[LINES_MAX - 1 :]
    return (*lines[: LINES_MAX - 1], Line(f"and {len(rest)} more", sum(line.amount_minor for line in rest)))


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 3] + "..."
