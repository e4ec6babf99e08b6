"""A simulated ESC/POS printer: the other end of the serial line, for tests and the demo.

It executes what real ones do, in the same two ways: real-time commands as soon as they arrive, also when offline or
full; everything else in order out of a receive buffer, and only while online. It is written from the makers' manuals
(named in `drivers/profiles/escpos.toml`) and shares no code with the driver; a host that is not ours tests it too.

Faults are plain attributes: set them, and the printer is in that state from its next turn on. Nothing here is safe to
touch from another thread than the one that polls; a `PtyPeer` offers `changing()` for that.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

PRINTED_KEPT_MAX: Final = 4_096
"""Documents that are remembered of each kind; the oldest are forgotten first."""
LINE_CHARS_MAX: Final = 4_096
"""Of one unfinished line; what comes on top is lost, as on paper."""
LINES_MAX: Final = 10_000
"""Of one document."""
FULL_AT_FREE_BYTES: Final = 16
READY_AT_FREE_BYTES: Final = 26
XON: Final = b"\x11"
XOFF: Final = b"\x13"
CODE_PAGES: Final = {
    0: "cp437", 2: "cp850", 3: "cp860", 4: "cp863", 5: "cp865", 16: "cp1252", 17: "cp866", 18: "cp852", 19: "cp858",
}  # fmt: skip
_CLEAR: Final = bytes.fromhex("1014080103140106 0208")
_RESET: Final = bytes.fromhex("1CC01810141A")
# How many bytes follow the two of a command; what is not here and not in `_long` is unknown.
_ESC: Final = dict.fromkeys("@im2v", 0) | dict.fromkeys("tadEJ3-M{!RVG=% \x06", 1) | {"$": 2, "\\": 2, "c": 2, "p": 3}
_GS: Final = {"P": 2, "L": 2, "W": 2} | dict.fromkeys("!BarIHhwf", 1)
_FS: Final = {"&": 0, ".": 0, "S": 2, "p": 2, "C": 1, "!": 1, "-": 1, "W": 1}


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    bold: bool = False
    big: bool = False
    centred: bool = False


@dataclass(frozen=True, slots=True)
class QrSymbol:
    """`level`: L, M, Q, H, or "auto"."""

    data: str
    level: str
    model: int
    module_dots: int


@dataclass(frozen=True, slots=True)
class Printed:
    """One piece of paper, cut off."""

    lines: tuple[Line, ...]
    qr: tuple[QrSymbol, ...]

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(symbol.data for symbol in self.qr)


def _kept() -> "deque[Printed]":
    return deque(maxlen=PRINTED_KEPT_MAX)


@dataclass(slots=True)
class SimulatedPrinter:
    """A printer of one of the driver's models; implements `drivers.sim.pty.SimulatedSerialDevice`."""

    model: str = "epson-tm-t88"
    line_ms: int = 5
    cut_ms: int = 50
    present_ms: int = 50
    buffer_bytes: int = 4_096
    auto_status_by_switch: bool = False

    # Faults.
    paper_low: bool = False
    paper_out: bool = False
    paper_lines_left: int | None = None
    """The paper ends after so many more lines."""
    cover_open: bool = False
    cutter_blocked: bool = False
    """The next cut fails; the error stays until the cause is gone and the host asks to recover."""
    cutter_error: bool = False
    broken: bool = False
    """An unrecoverable error."""
    offline: bool = False
    jam: bool = False
    """Paper is stuck in the ejector: nothing is presented or retracted."""
    hold: bool = False
    """XOFF is held, whatever the buffer says."""
    deaf_to_flow: bool = False
    """No XOFF is sent, so that a host that writes too much loses bytes."""
    mute: bool = False
    """Prints, but cannot say anything."""
    dies_after_bytes: int | None = None
    """Switched off after so many more bytes, until `revive`."""

    # What came of it.
    printed: "deque[Printed]" = field(default_factory=_kept)
    retracted: "deque[Printed]" = field(default_factory=_kept)
    fallen: "deque[Printed]" = field(default_factory=_kept)
    """Pushed out of the mouth by the next ticket, or ejected."""
    mouth: Printed | None = None
    jobs_done: int = 0
    """In-order replies (GS r 1) given after something was printed since ESC @ or the reply before."""
    bytes_lost: int = 0
    unknown_commands: int = 0
    cleared: int = 0

    # Inside.
    dead: bool = False
    _buffer: bytearray = field(default_factory=bytearray)
    _real_time: bytearray = field(default_factory=bytearray)
    _out: bytearray = field(default_factory=bytearray)
    _busy_until_ms: int = 0
    _full: bool = False
    _said_hold: bool = False
    _auto_status: bool = False
    _auto_status_said: bytes = b""
    _lines: list[Line] = field(default_factory=list)
    _symbols: list[QrSymbol] = field(default_factory=list)
    _cut: Printed | None = None
    _anything: bool = False
    _text: str = ""
    _codec: str = "cp437"
    _bold: bool = False
    _big: bool = False
    _centred: bool = False
    _qr_data: str = ""
    _qr_level: int = 0x30
    _qr_model: int = 0x32
    _qr_dots: int = 3

    def __post_init__(self) -> None:
        if self.model not in ("epson-tm-t88", "custom-kpm216"):
            raise ValueError(f"no simulation of {self.model!r}")
        self._auto_status = self.auto_status_by_switch and not self.custom

    @property
    def custom(self) -> bool:
        return self.model == "custom-kpm216"

    @property
    def online(self) -> bool:
        return not (self.offline or self.paper_out or self.cover_open or self.cutter_error or self.broken or self.dead)

    def take(self) -> Printed | None:
        """Someone pulls the ticket out of the mouth; None if there is none."""
        ticket, self.mouth = self.mouth, None
        return ticket

    def revive(self) -> None:
        """Switch it off and on: buffers, settings and the half-printed page are gone."""
        self.dead, self.dies_after_bytes = False, None
        self._restart()

    # -- drivers.sim.pty.SimulatedSerialDevice -------------------------------------------------------------------------

    def received(self, data: bytes, now_ms: int) -> None:
        if self.dies_after_bytes is not None:
            data, rest = data[: self.dies_after_bytes], data[self.dies_after_bytes :]
            self.dies_after_bytes -= len(data)
            self.dead = self.dead or bool(rest) or self.dies_after_bytes == 0
        if self.dead:
            return
        for byte in data:
            self._hear(byte)
        self._run(now_ms)

    def poll(self, now_ms: int) -> tuple[bytes, int | None]:
        self._run(now_ms)
        data = b"" if self.mute or self.dead else bytes(self._out)
        self._out.clear()
        waits = self._buffer and self.online and self._busy_until_ms > now_ms
        return data, self._busy_until_ms if waits else None

    # -- real-time commands --------------------------------------------------------------------------------------------

    def _hear(self, byte: int) -> None:
        """Real-time commands are lifted out of the stream wherever they stand; the rest goes into the buffer."""
        self._real_time.append(byte)
        while self._real_time:
            word = bytes(self._real_time)
            if self._do_real_time(word):
                self._real_time.clear()
            elif self._may_become_real_time(word):
                return
            else:
                self._keep(self._real_time.pop(0))

    def _keep(self, byte: int) -> None:
        if len(self._buffer) < self.buffer_bytes:
            self._buffer.append(byte)
        else:
            self.bytes_lost += 1

    def _may_become_real_time(self, word: bytes) -> bool:
        known = [b"\x10\x04", b"\x10\x05", _RESET if self.custom else _CLEAR]
        return any(whole.startswith(word) for whole in known)

    def _do_real_time(self, word: bytes) -> bool:
        match word:
            case b"\x10\x04\x14" if self.custom:
                self._out += self._full_status()
            case b"\x10\x04\x01" | b"\x10\x04\x02" | b"\x10\x04\x03" | b"\x10\x04\x04":
                self._out.append(self._status(word[2]))
            case b"\x10\x05\x01" | b"\x10\x05\x02":
                self._recover(clear=word[2] == 2 and self.cutter_error)
            case _ if word == _CLEAR and not self.custom:
                self._recover(clear=True)
                self._out += b"\x37\x25\x00"
            case _ if word == _RESET and self.custom:
                self.cutter_error = self.cutter_blocked
                self.cleared += 1
                self._restart()
            case _:
                return False
        return True

    def _recover(self, *, clear: bool) -> None:
        self.cutter_error = self.cutter_blocked and self.cutter_error
        if clear:
            self.cleared += 1
            self._buffer.clear()
            self._text = ""

    def _restart(self) -> None:
        self._buffer.clear()
        self._real_time.clear()
        self._full = self._said_hold = False
        self._auto_status, self._auto_status_said = self.auto_status_by_switch and not self.custom, b""
        self._lines, self._symbols, self._cut = [], [], None
        self._initialise()

    def _status(self, n: int) -> int:
        wrong = self.cutter_error or self.broken
        bits = {
            1: (not self.online) << 3,
            2: self.cover_open << 2 | self.paper_out << 5 | wrong << 6,
            3: self.cutter_error << 3 | self.broken << 5,
            4: 0x0C * self.paper_low | 0x60 * self.paper_out,
        }
        return 0x12 | bits[n]

    def _full_status(self) -> bytes:
        paper = self.paper_out | self.paper_low << 2 | (self.mouth is not None) << 5
        return bytes((0x10, 0x0F, paper, self.cover_open << 1, self.jam << 6, self.cutter_error | self.broken << 2))

    def _auto(self) -> bytes:
        first = 0x10 | (not self.online) << 3 | self.cover_open << 5
        second = self.cutter_error << 3 | self.broken << 5
        return bytes((first, second, 0x03 * self.paper_low | 0x0C * self.paper_out, 0x0F))

    def _ejector(self) -> int:
        return self.paper_low | self.paper_out << 2 | (self.mouth is not None) << 3 | self.jam << 7

    # -- in-order commands ---------------------------------------------------------------------------------------------

    def _run(self, now_ms: int) -> None:
        """Execute what is due, then say what has changed."""
        while self.online and self._busy_until_ms <= now_ms:
            length = self._whole_command()
            if length is None:
                break
            command = bytes(self._buffer[:length])
            del self._buffer[:length]
            took_ms = self._execute(command)
            if took_ms:
                self._busy_until_ms = now_ms + took_ms
        self._say_flow()
        if self._auto_status and self._auto() != self._auto_status_said:
            self._auto_status_said = self._auto()
            self._out += self._auto_status_said

    def _say_flow(self) -> None:
        free = self.buffer_bytes - len(self._buffer)
        self._full = free <= FULL_AT_FREE_BYTES or (self._full and free < READY_AT_FREE_BYTES)
        hold = self.hold or self._full or not self.online
        if hold != self._said_hold and not self.deaf_to_flow:
            self._said_hold = hold
            self._out += XOFF if hold else XON

    def _whole_command(self) -> int | None:
        """Length of the first command in the buffer; None if its end has not arrived."""
        head = bytes(self._buffer[:2])
        if not head:
            return None
        tables = {0x1B: _ESC, 0x1D: _GS, 0x1C: _FS}
        if head[0] not in tables:
            return 1
        if len(head) < 2:
            return None
        length = self._long(head)
        if length is None:
            length = 2 + tables[head[0]].get(chr(head[1]), 0)
        return length if len(self._buffer) >= length else None

    def _long(self, head: bytes) -> int | None:
        """Length of a command whose length is in its parameters: more than there is while those are missing."""
        b, missing = self._buffer, len(self._buffer) + 1
        match head:
            case b"\x1d(" | b"\x1c(":
                return 5 + b[3] + 256 * b[4] if len(b) >= 5 else missing
            case b"\x1d8":
                return 7 + int.from_bytes(b[3:7], "little") if len(b) >= 7 else missing
            case b"\x1dv":
                return 8 + (b[4] + 256 * b[5]) * (b[6] + 256 * b[7]) if len(b) >= 8 else missing
            case b"\x1dV":
                return (4 if b[2] >= 65 else 3) if len(b) >= 3 else missing
            case b"\x1de" if self.custom:
                return (4 if b[2] == 3 else 3) if len(b) >= 3 else missing
            case b"\x1dk":
                return (4 + b[3] if b[2] >= 65 else self._to_nul(3)) if len(b) >= 4 else missing
            case b"\x1bD":
                return self._to_nul(2)
        return None

    def _to_nul(self, start: int) -> int:
        at = self._buffer.find(0, start)
        return at + 1 if at >= 0 else len(self._buffer) + 1

    def _execute(self, command: bytes) -> int:
        """Do it; returns how long it takes, in milliseconds."""
        if len(command) == 1:
            return self._print_byte(command)
        head, rest = command[:2], command[2:]
        match head, rest:
            case b"\x1d(", _ if rest[0] == 0x6B:
                return self._qr(rest[3:])
            case b"\x1bd", _:
                return sum(self._end_line() for _ in range(max(rest[0], bool(self._text))))
            case b"\x1bi" | b"\x1bm" | b"\x1dV", _:
                return self._cut_off()
            case b"\x1de", _ if self.custom:
                return self._ejector_command(rest[0])
            case b"\x1dr", _:
                self._answer_in_order(rest)
            case b"\x1bv", _:
                self._out.append(0x03 * self.paper_low)
            case b"\x1dI", _ if not self.custom:
                self._out += {0x42: b"_EPSON\0", 0x43: b"_TM-T88III\0"}.get(rest[0], b"\x20")
            case _:
                self._set(head, rest)
        return 0

    def _set(self, head: bytes, rest: bytes) -> None:
        match head:
            case b"\x1b@":
                self._initialise()
            case b"\x1bt":
                self._codec = CODE_PAGES.get(rest[0], "cp437")
            case b"\x1ba":
                self._centred = rest[0] in (1, 0x31)
            case b"\x1bE":
                self._bold = bool(rest[0] & 1)
            case b"\x1d!":
                self._big = rest[0] != 0
            case b"\x1da" if not self.custom:
                self._auto_status, self._auto_status_said = rest[0] != 0, b""
            case _:
                self.unknown_commands += not self._known(head)

    def _known(self, head: bytes) -> bool:
        return chr(head[1]) in {0x1B: _ESC, 0x1D: _GS, 0x1C: _FS}[head[0]] or self._long(head) is not None

    def _initialise(self) -> None:
        self._text, self._codec, self._anything = "", "cp437", False
        self._bold = self._big = self._centred = False
        self._qr_data, self._qr_level, self._qr_model, self._qr_dots = "", 0x30, 0x32, 3

    def _print_byte(self, byte: bytes) -> int:
        if byte == b"\n":
            return self._end_line()
        if byte >= b" " and len(self._text) < LINE_CHARS_MAX:
            self._text += byte.decode(self._codec, "replace")
        return 0

    def _end_line(self) -> int:
        if len(self._lines) < LINES_MAX:
            self._lines.append(Line(self._text, self._bold, self._big, self._centred))
        self._anything = self._anything or bool(self._text.strip())
        self._text = ""
        if self.paper_lines_left is not None:
            self.paper_lines_left = max(0, self.paper_lines_left - 1)
            if self.paper_lines_left == 0:
                self.paper_out, self.paper_lines_left = True, None
        return self.line_ms

    def _qr(self, body: bytes) -> int:
        """GS ( k, cn = 49: 65 model, 67 size, 69 level, 80 store, 81 print."""
        if body[:1] != b"1" or len(body) < 3:
            return 0
        function, value = body[1], body[2]
        if function == 65:
            self._qr_model = value
        elif function == 67:
            self._qr_dots = value
        elif function == 69:
            self._qr_level = value
        elif function == 80:
            self._qr_data = body[3:].decode("latin-1")
        elif function == 81 and self._qr_data:
            levels = ["auto", *"LMQH"] if self.custom else list("LMQH")
            level = dict(enumerate(levels, start=0x30)).get(self._qr_level, "?")
            self._symbols.append(
                QrSymbol(self._qr_data, level, {0x31: 1, 0x32: 2}.get(self._qr_model, 0), self._qr_dots)
            )
            self._anything = True
            return self.line_ms * 4
        return 0

    def _cut_off(self) -> int:
        if self.cutter_blocked:
            self.cutter_error = True
            return self.cut_ms
        if self._text:
            self._end_line()
        if self._lines or self._symbols:
            document = Printed(tuple(self._lines), tuple(self._symbols))
            self.printed.append(document)
            self._lines, self._symbols, self._cut = [], [], document
        return self.cut_ms

    def _answer_in_order(self, n: bytes) -> None:
        paper = n in (b"\x01", b"1")
        self._out.append(0x03 if paper and self.paper_low else 0x00)
        if paper:
            self.jobs_done += self._anything
            self._anything = False

    def _ejector_command(self, n: int) -> int:
        if n == 6:
            self._out.append(self._ejector())
            return 0
        if self.jam:
            return self.present_ms
        if n == 3 and self._cut is not None:
            self.fallen.extend(self._out_of_mouth())
            self.mouth, self._cut = self._cut, None
        elif n == 2:
            self.retracted.extend(self._out_of_mouth())
        elif n == 5:
            self.fallen.extend(self._out_of_mouth())
        return self.present_ms

    def _out_of_mouth(self) -> Iterator[Printed]:
        ticket = self.take()
        if ticket is not None:
            yield ticket
