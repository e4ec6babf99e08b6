"""ESC/POS without I/O: a document becomes pieces of bytes, a printer's bytes become replies.

Rule 1: a piece is whole commands. Nothing may be put between the bytes of a command: a status request in there would be
        taken for its parameters (Epson TM-T88III specification, DLE ENQ, notes). Status requests go between pieces.
Rule 2: text cannot become a command. What does not fit the code page is replaced: by its letter without marks if that
        fits, otherwise by "?". Control characters are "?" too, tabulators and odd blanks a blank.
Rule 3: a reply is told by its bits (Epson TM-T88III specification, appendix G, "identification of status"), x is any:
        DLE EOT 0xx1xx10 - automatic status 0xx1xx00, then three times 0xx0xxxx - GS r 0xx0xxxx - XON 11h - XOFF 13h.
        A block is 37h ... 00h. Custom's full status is 10h 0Fh and four bytes; its header would be an automatic status,
        so a parser is for one of both makers. XON and XOFF may stand inside anything and are lifted out of it.
"""

import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from drivers.api import Columns, Element, Qr, Rule, Text

DOCUMENT_ELEMENTS_MAX: Final = 200
TEXT_CHARS_MAX: Final = 1_000
"""Of one text, before it is wrapped."""
QR_CHARS_MAX: Final = 300
BLOCK_BYTES_MAX: Final = 16
"""Of a reply block; the longest that we ask for has three."""

XON: Final = 0x11
XOFF: Final = 0x13
FULL_STATUS: Final = 20
"""The n of DLE EOT n that asks a Custom printer for everything."""
BARRIER: Final = b"\x1dr\x01"
"""GS r 1: answered in order, when all before it was processed. Not executed at paper end, so not a paper status."""
ASK_EJECTOR: Final = b"\x1de\x06"
"""Custom: GS e 6, answered in order by the ejector's status byte."""
INITIALISE: Final = b"\x1b@"


class UnprintableError(ValueError):
    """A document that no printer of this kind can print; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Style:
    """How one printer wants to be spoken to."""

    columns: int
    """Characters of normal size on a line."""
    codec: str
    """Python's name of the code page."""
    code_page: int
    """The n of ESC t n that selects it."""
    qr_ecc_m: int
    qr_m: int
    job_bytes_max: int
    before: bytes = b""
    """Sent after ESC @ and ESC t."""
    after: bytes = b""
    """Sent after the last line: cut, and present if the printer can."""
    feed_lines: int = 1
    qr_module_dots: int = 6


def status_request(n: int) -> bytes:
    """DLE EOT n: answered at once, also when offline, in error or full (on a serial port)."""
    return bytes((0x10, 0x04, n))


# -- documents to bytes ------------------------------------------------------------------------------------------------


def encode(document: Sequence[Element], style: Style) -> tuple[bytes, ...]:
    """The document as pieces; the last one cuts, presents and asks for the in-order reply. Raises UnprintableError."""
    if not 0 < len(document) <= DOCUMENT_ELEMENTS_MAX:
        raise UnprintableError(f"a document has 1 to {DOCUMENT_ELEMENTS_MAX} elements, not {len(document)}")
    pieces = [INITIALISE + bytes((0x1B, 0x74, style.code_page)) + style.before]
    for element in document:
        pieces += _element(element, style)
    pieces.append(bytes((0x1B, 0x64, style.feed_lines)) + style.after + BARRIER)
    size = sum(map(len, pieces))
    if size > style.job_bytes_max:
        raise UnprintableError(f"the document has {size} bytes, the printer holds {style.job_bytes_max}")
    return tuple(pieces)


def _element(element: Element, style: Style) -> Iterator[bytes]:
    match element:
        case Text(text, bold, big, align):
            for line in _wrap(text, style.columns // 2 if big else style.columns, style.codec):
                yield _line(line, style.codec, bold=bold, big=big, centred=align == "centre")
        case Columns(left, right, bold):
            for line in _columns(left, right, style):
                yield _line(line, style.codec, bold=bold)
        case Rule():
            yield _line("-" * style.columns, style.codec)
        case Qr(data):
            yield from _qr(data, style)


def _line(line: str, codec: str, *, bold: bool = False, big: bool = False, centred: bool = False) -> bytes:
    """One line with all its attributes, so that no line depends on the one before."""
    attributes = (0x1B, 0x61, centred, 0x1B, 0x45, bold, 0x1D, 0x21, 0x11 if big else 0x00)
    return bytes(attributes) + line.encode(codec) + b"\n"


def _columns(left: str, right: str, style: Style) -> list[str]:
    """`right` flush with the edge, on the last line of `left` if there is room, otherwise on the next."""
    lines, ends = _wrap(left, style.columns, style.codec), _wrap(right, style.columns, style.codec)
    if len(lines[-1]) + 1 + len(ends[0]) <= style.columns:
        lines[-1] += ends[0].rjust(style.columns - len(lines[-1]))
        ends = ends[1:]
    return lines + [end.rjust(style.columns) for end in ends]


def _qr(data: str, style: Style) -> Iterator[bytes]:
    """GS ( k, cn = 49: model 2, module size, level M, store, print. The quiet zone is the layout's business."""
    if not 0 < len(data) <= QR_CHARS_MAX or not all(" " <= char <= "~" for char in data):
        raise UnprintableError(f"a QR code holds 1 to {QR_CHARS_MAX} printable ASCII characters, not {data[:40]!r}")
    stored = bytes((0x31, 0x50, style.qr_m)) + data.encode("ascii")
    yield b"\x1ba\x01\x1d(k\x04\x001A2\x00" + _gs_k(0x43, style.qr_module_dots) + _gs_k(0x45, style.qr_ecc_m)
    yield b"\x1d(k" + len(stored).to_bytes(2, "little") + stored
    yield _gs_k(0x51, style.qr_m)


def _gs_k(function: int, value: int) -> bytes:
    return b"\x1d(k\x03\x00" + bytes((0x31, function, value))


def _wrap(text: str, width: int, codec: str) -> list[str]:
    """Lines of at most `width` characters that all fit the code page; at least one, nothing left out."""
    if len(text) > TEXT_CHARS_MAX:
        raise UnprintableError(f"a text has {len(text)} characters, more than {TEXT_CHARS_MAX}")
    lines: list[str] = []
    for line in text.split("\n"):
        fitted = "".join(_fit(char, codec) for char in line)
        lines += textwrap.wrap(fitted, width, break_on_hyphens=False, drop_whitespace=len(fitted) > width) or [""]
    return lines


def _fit(char: str, codec: str) -> str:
    for candidate in (char, unicodedata.normalize("NFKD", char), _bare(char)):
        if candidate.isprintable() and _encodes(candidate, codec):
            return candidate
    return " " if char == "\t" or unicodedata.category(char) == "Zs" else "?"


def _bare(char: str) -> str:
    """The letter without its marks; unprintable if nothing is left."""
    return "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c)) or "\0"


def _encodes(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


# -- bytes to replies --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flow:
    """XOFF (`hold`) or XON."""

    hold: bool


@dataclass(frozen=True, slots=True)
class RealTime:
    """The answer to DLE EOT n; to which n, only who asked can know."""

    byte: int


@dataclass(frozen=True, slots=True)
class InOrder:
    """The answer to GS r."""

    byte: int


@dataclass(frozen=True, slots=True)
class AutoStatus:
    """Four bytes that nobody asked for."""

    status: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """37h, identifier and data, 00h. DLE DC4 8 is answered by identifier 25h."""

    body: bytes


@dataclass(frozen=True, slots=True)
class FullStatus:
    """Custom, DLE EOT 20."""

    paper: int
    user: int
    recoverable: int
    unrecoverable: int


@dataclass(frozen=True, slots=True)
class Ejector:
    """Custom, GS e 6: bit 3 ticket in the output, 6 error, 7 jam."""

    byte: int


Reply = Flow | RealTime | InOrder | AutoStatus | Block | FullStatus | Ejector


class ReplyParser:
    """Takes a printer's bytes in any pieces. Never raises; what is no reply is counted in `garbage`, in bytes."""

    def __init__(self, *, full_status: bool) -> None:
        self.garbage = 0
        self.expect_ejector = False
        """Set when it was asked for: the next byte that can be an ejector's status is one; it bears no mark."""
        self._full_status = full_status
        self._part = bytearray()

    def feed(self, data: bytes) -> list[Reply]:
        replies: list[Reply] = []
        for byte in data:
            reply = self._byte(byte)
            if reply is not None:
                replies.append(reply)
        assert len(self._part) <= BLOCK_BYTES_MAX
        return replies

    def forget(self) -> None:
        """Drop half a reply: its rest is not coming."""
        self.garbage += len(self._part)
        self._part.clear()
        self.expect_ejector = False

    def _byte(self, byte: int) -> Reply | None:
        if byte in (XON, XOFF):
            return Flow(hold=byte == XOFF)
        if self._part and not self._goes_on(byte):
            self.garbage += len(self._part)
            self._part.clear()
        if self._part or self._begins(byte):
            self._part.append(byte)
            return self._whole()
        return self._single(byte)

    def _begins(self, byte: int) -> bool:
        if self.expect_ejector and not byte & 0x02:
            return False
        return byte == 0x37 or (byte == 0x10 if self._full_status else byte & 0x93 == 0x10)

    def _goes_on(self, byte: int) -> bool:
        """Whether `byte` can belong to the reply that has begun."""
        if self._part[0] == 0x37:
            return len(self._part) < BLOCK_BYTES_MAX
        if self._full_status:
            return len(self._part) > 1 or byte == 0x0F
        return byte & 0x90 == 0

    def _whole(self) -> Reply | None:
        part = bytes(self._part)
        whole: Reply | None = None
        if part[0] == 0x37:
            whole = Block(part[1:-1]) if part[-1] == 0 else None
        elif self._full_status:
            whole = FullStatus(*part[2:]) if len(part) == 6 else None
        elif len(part) == 4:
            whole = AutoStatus(part)
        if whole is not None:
            self._part.clear()
        return whole

    def _single(self, byte: int) -> Reply | None:
        if self.expect_ejector and not byte & 0x02:
            self.expect_ejector = False
            return Ejector(byte)
        if byte & 0x93 == 0x12:
            return RealTime(byte)
        if byte & 0x90 == 0:
            return InOrder(byte)
        self.garbage += 1
        return None
