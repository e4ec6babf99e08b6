"""Portugal: documents chained by signature, series by series (Portaria 363/2010 and Despacho 8632/2014), with ATCUD and QR code.

Rule 1: what is signed is date, system entry time, document number, gross total and the signature of the document before it of the
same series, joined by ";"; the first of a series has nothing at the end. RSA with SHA-1, PKCS #1 v1.5, in base64.
Rule 2: a series belongs to one device and one type: "FS" (simplified invoice) for money that came in, "NC" (credit note) for
money that went back. Numbers begin at 1 and have no gap; nothing is printed unsigned.
Rule 3: the paper shows the 1st, 11th, 21st and 31st letters of the signature, the program's certificate, ATCUD (Portaria
195/2020: the series' validation code, a dash, the number) and the QR code.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, tzinfo
from typing import Final

from gatectl.domain.fiscal import FiscalPlan

SALE, REFUND = "sale", "refund"
TYPES: Final = {SALE: "FS", REFUND: "NC"}
SHOWN_LETTERS: Final = (0, 10, 20, 30)
FINAL_CONSUMER: Final = "999999990"
"""The tax number of a buyer who gives none."""

Verify = Callable[[bytes, str], bool]
"""Whether a signature (base64) is that of a message."""


def document_no(series: str, number: int) -> str:
    """`FS OUT-1`, 14 -> `FS OUT-1/14`."""
    return f"{series}/{number}"


def message(series: str, number: int, at_ms: int, zone: tzinfo, gross_minor: int, before: str) -> str:
    """What is signed. `before`: the signature of the document before it, empty for the first."""
    local = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone)
    head = f"{local:%Y-%m-%d};{local:%Y-%m-%dT%H:%M:%S};{document_no(series, number)}"
    return f"{head};{_decimal(gross_minor)};{before}"


def _decimal(minor: int) -> str:
    whole, part = divmod(abs(minor), 100)
    return f"{whole}.{part:02d}"


def shown_letters(signature: str) -> str:
    return "".join(signature[place] for place in SHOWN_LETTERS)


def atcud(plan: FiscalPlan, series: str, number: int) -> str:
    return f"{plan.codes.get(series, '0')}-{number}"


def tax_minor(plan: FiscalPlan, gross_minor: int) -> int:
    """The tax in a gross total, rounded half up to the cent."""
    return (2 * gross_minor * plan.tax_percent + 100 + plan.tax_percent) // (2 * (100 + plan.tax_percent))


def qr_text(plan: FiscalPlan, series: str, number: int, at_ms: int, zone: tzinfo, gross_minor: int, code: str) -> str:
    """The QR code's fields, A to R (tax authority's specification of the QR code, normal rate, mainland)."""
    local = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone)
    tax = tax_minor(plan, abs(gross_minor))
    fields = {
        "A": plan.tax_number,
        "B": FINAL_CONSUMER,
        "C": "PT",
        "D": series[:2],
        "E": "N",
        "F": f"{local:%Y%m%d}",
        "G": document_no(series, number),
        "H": atcud(plan, series, number),
        "I1": "PT",
        "I7": _decimal(abs(gross_minor) - tax),
        "I8": _decimal(tax),
        "N": _decimal(tax),
        "O": _decimal(gross_minor),
        "Q": shown_letters(code),
        "R": plan.software,
    }
    return "*".join(f"{name}:{value}" for name, value in fields.items())


def first_wrong(documents: Iterable[tuple[str, str]], verify: Verify) -> str:
    """What is wrong with a series from its start: pairs of what was signed and the signature. Empty if nothing is."""
    before = ""
    for number, (signed, signature) in enumerate(documents, 1):
        parts = signed.split(";")
        if parts[2].rpartition("/")[2] != str(number):
            return f"document {number}: not the next number"
        if parts[4] != before:
            return f"document {number}: not chained to the one before"
        if not verify(signed.encode(), signature):
            return f"document {number}: not signed by this key"
        before = signature
    return ""
