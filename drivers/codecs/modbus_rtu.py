"""Modbus RTU, the few functions that contacts and relays need. Sans-IO; frames are values.

Sources: "MODBUS Application Protocol Specification V1.1b3" (functions, exceptions) and "MODBUS over Serial Line V1.02"
(frame, CRC, silent intervals), modbus.org.

Rule 1: a frame is taken for a reply only with address, function, length and CRC right; a write's reply must also be the
        echo of that very write. Anything else on the line is skipped and counted.
Rule 2: bytes say where a frame is, silence does not: adapters and schedulers tear frames apart, so the readers look for
        the frame at every position, and a late or torn frame never hides the good one behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self

READ_COILS: Final = 0x01
READ_DISCRETE_INPUTS: Final = 0x02
READ_HOLDING_REGISTERS: Final = 0x03
WRITE_SINGLE_COIL: Final = 0x05
WRITE_MULTIPLE_COILS: Final = 0x0F
EXCEPTION_BIT: Final = 0x80

ADDRESS_MIN: Final = 1
ADDRESS_MAX: Final = 247
COIL_ON: Final = 0xFF00
COIL_OFF: Final = 0x0000
FRAME_BYTES_MAX: Final = 256
BUFFER_BYTES_MAX: Final = 512
BITS_READ_MAX: Final = 2000
BITS_WRITTEN_MAX: Final = 1968
REGISTERS_READ_MAX: Final = 125

ILLEGAL_FUNCTION: Final = 1
ILLEGAL_ADDRESS: Final = 2
ILLEGAL_VALUE: Final = 3
DEVICE_BUSY: Final = 6
EXCEPTIONS: Final = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
}
GAP_CHARS: Final = 3.5
CHAR_BITS: Final = 11
INCOMPLETE: Final = 0
FOREIGN: Final = -1
GAP_MS_ABOVE_19200: Final = 1.75


class BadFrameError(ValueError):
    """Raised when bytes are not the frame they should be; the text says in what."""


def crc16(data: bytes) -> int:
    """The CRC of MODBUS over Serial Line V1.02, section 6.2.2: polynomial 0xA001, start 0xFFFF, low byte sent first."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_OF_BYTE[(crc ^ byte) & 0xFF]
    return crc


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_CRC_OF_BYTE: Final = tuple(_crc_of_byte(byte) for byte in range(256))


def sealed(body: bytes) -> bytes:
    """`body` with its CRC."""
    return body + crc16(body).to_bytes(2, "little")


def opened(frame: bytes, function: int, length: int) -> bytes:
    """The body of a frame. Raises BadFrameError unless function, length and CRC are right."""
    if len(frame) != length:
        raise BadFrameError(f"{len(frame)} bytes instead of {length}")
    if frame[1] != function:
        raise BadFrameError(f"function {frame[1]:#04x} instead of {function:#04x}")
    if crc16(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
        raise BadFrameError("CRC does not fit")
    return frame[:-2]


def gap_ms(baud: int) -> float:
    """The silence between two frames: 3.5 characters of the standard's 11 bits, fixed above 19200 baud."""
    return GAP_MS_ABOVE_19200 if baud > 19_200 else GAP_CHARS * CHAR_BITS * 1000 / baud


def _pair(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _packed(bits: Sequence[bool]) -> bytes:
    """First bit in the lowest place of the first byte."""
    packed = bytearray((len(bits) + 7) // 8)
    for number, bit in enumerate(bits):
        packed[number // 8] |= bit << number % 8
    return bytes(packed)


def _unpacked(data: bytes) -> tuple[bool, ...]:
    return tuple(bool(byte >> place & 1) for byte in data for place in range(8))


# -- requests ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Read:
    address: int
    start: int
    count: int
    function: ClassVar[int]
    count_max: ClassVar[int]

    def __post_init__(self) -> None:
        assert 0 <= self.address <= 255, self
        assert 0 <= self.start <= 0xFFFF, self
        assert 1 <= self.count <= self.count_max, self

    def to_bytes(self) -> bytes:
        return sealed(bytes((self.address, self.function)) + _pair(self.start) + _pair(self.count))

    @classmethod
    def from_bytes(cls, frame: bytes) -> Self:
        body = opened(frame, cls.function, 8)
        count = int.from_bytes(body[4:6], "big")
        if not 1 <= count <= cls.count_max:
            raise BadFrameError(f"{count} of at most {cls.count_max}")
        return cls(body[0], int.from_bytes(body[2:4], "big"), count)

    @property
    def data_bytes(self) -> int:
        return (self.count + 7) // 8

    @property
    def reply_bytes(self) -> int:
        return 5 + self.data_bytes


@dataclass(frozen=True, slots=True)
class ReadCoils(_Read):
    function = READ_COILS
    count_max = BITS_READ_MAX


@dataclass(frozen=True, slots=True)
class ReadInputs(_Read):
    function = READ_DISCRETE_INPUTS
    count_max = BITS_READ_MAX


@dataclass(frozen=True, slots=True)
class ReadRegisters(_Read):
    function = READ_HOLDING_REGISTERS
    count_max = REGISTERS_READ_MAX

    @property
    def data_bytes(self) -> int:
        return 2 * self.count


@dataclass(frozen=True, slots=True)
class WriteCoil:
    """FC05. The standard knows two values, COIL_ON and COIL_OFF; makers add theirs, so `value` is any 16 bits."""

    address: int
    coil: int
    value: int
    function: ClassVar[int] = WRITE_SINGLE_COIL
    reply_bytes: ClassVar[int] = 8

    def __post_init__(self) -> None:
        assert 0 <= self.address <= 255, self
        assert 0 <= self.coil <= 0xFFFF, self
        assert 0 <= self.value <= 0xFFFF, self

    def to_bytes(self) -> bytes:
        return sealed(bytes((self.address, self.function)) + _pair(self.coil) + _pair(self.value))

    @classmethod
    def from_bytes(cls, frame: bytes) -> Self:
        body = opened(frame, cls.function, 8)
        return cls(body[0], int.from_bytes(body[2:4], "big"), int.from_bytes(body[4:6], "big"))


@dataclass(frozen=True, slots=True)
class WriteCoils:
    """FC0F."""

    address: int
    start: int
    bits: tuple[bool, ...]
    function: ClassVar[int] = WRITE_MULTIPLE_COILS
    reply_bytes: ClassVar[int] = 8

    def __post_init__(self) -> None:
        assert 0 <= self.address <= 255, self
        assert 0 <= self.start <= 0xFFFF, self
        assert 1 <= len(self.bits) <= BITS_WRITTEN_MAX, self

    def to_bytes(self) -> bytes:
        data = _packed(self.bits)
        head = bytes((self.address, self.function)) + _pair(self.start) + _pair(len(self.bits))
        return sealed(head + bytes((len(data),)) + data)

    @classmethod
    def from_bytes(cls, frame: bytes) -> Self:
        if len(frame) < 10 or frame[6] != len(frame) - 9:
            raise BadFrameError("byte count does not fit")
        body = opened(frame, cls.function, 9 + frame[6])
        count = int.from_bytes(body[4:6], "big")
        if not 1 <= count <= BITS_WRITTEN_MAX or (count + 7) // 8 != body[6]:
            raise BadFrameError(f"{count} bits in {body[6]} bytes")
        return cls(body[0], int.from_bytes(body[2:4], "big"), _unpacked(body[7:])[:count])


Request = ReadCoils | ReadInputs | ReadRegisters | WriteCoil | WriteCoils
_REQUESTS: Final[dict[int, type[Request]]] = {
    kind.function: kind for kind in (ReadCoils, ReadInputs, ReadRegisters, WriteCoil, WriteCoils)
}


# -- replies ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bits:
    """The reply to ReadCoils and ReadInputs; as many bits as were asked for."""

    address: int
    function: int
    bits: tuple[bool, ...]

    def to_bytes(self) -> bytes:
        data = _packed(self.bits)
        return sealed(bytes((self.address, self.function, len(data))) + data)


@dataclass(frozen=True, slots=True)
class Registers:
    """The reply to ReadRegisters."""

    address: int
    values: tuple[int, ...]

    def to_bytes(self) -> bytes:
        data = b"".join(_pair(value) for value in self.values)
        return sealed(bytes((self.address, READ_HOLDING_REGISTERS, len(data))) + data)


@dataclass(frozen=True, slots=True)
class Written:
    """The reply to a write: it was carried out."""

    request: WriteCoil | WriteCoils

    def to_bytes(self) -> bytes:
        return _written_bytes(self.request)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An exception reply: the module understood and says no."""

    address: int
    function: int
    code: int

    def to_bytes(self) -> bytes:
        return sealed(bytes((self.address, self.function | EXCEPTION_BIT, self.code)))

    def __str__(self) -> str:
        return f"exception {self.code} ({EXCEPTIONS.get(self.code, 'not in the standard')})"


Reply = Bits | Registers | Written | Refusal


def _written_bytes(request: WriteCoil | WriteCoils) -> bytes:
    frame = request.to_bytes()
    return frame if isinstance(request, WriteCoil) else sealed(frame[:6])


def _reply_at(request: Request, data: bytes) -> tuple[Reply | None, int]:
    """The reply to `request` that `data` begins with, and its length; (None, INCOMPLETE) or (None, FOREIGN) else."""
    if data[0] != request.address:
        return None, FOREIGN
    if len(data) < 2:
        return None, INCOMPLETE
    if data[1] == request.function | EXCEPTION_BIT:
        length = 5
    elif data[1] == request.function:
        length = request.reply_bytes
    else:
        return None, FOREIGN
    if len(data) < length:
        return None, INCOMPLETE
    frame = data[:length]
    if crc16(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
        return None, FOREIGN
    if frame[1] & EXCEPTION_BIT:
        return Refusal(frame[0], request.function, frame[2]), length
    reply = _plain_reply(request, frame)
    return reply, FOREIGN if reply is None else length


def _plain_reply(request: Request, frame: bytes) -> Reply | None:
    match request:
        case WriteCoil() | WriteCoils():
            return Written(request) if frame == _written_bytes(request) else None
        case ReadRegisters():
            if frame[2] != request.data_bytes:
                return None
            data = frame[3:-2]
            values = tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
            return Registers(frame[0], values)
        case ReadCoils() | ReadInputs():
            if frame[2] != request.data_bytes:
                return None
            return Bits(frame[0], request.function, _unpacked(frame[3:-2])[: request.count])


class ReplyReader:
    """Finds the reply to one request at a time in what is heard.

    `skipped` counts bytes that belonged to no reply. `echoed` counts reads that were heard back as they were sent: an
    adapter that repeats what is sent would make every write look confirmed, so such a line must not be used.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self.echoed = 0
        self._request: Request | None = None
        self._sent = b""
        self._first = b""
        self._heard = bytearray()

    def expect(self, request: Request | None) -> None:
        """From now on look for the reply to `request` (None: to nothing); what was heard before is skipped."""
        self._skip(len(self._heard))
        self._request = request
        # The reply to a single coil's write is its echo by the standard, so it tells nothing of the adapter.
        self._sent = b"" if request is None or isinstance(request, WriteCoil) else request.to_bytes()
        self._first = b""

    def feed(self, data: bytes) -> Reply | None:
        """The reply, when it is complete. What follows it in `data` is skipped."""
        if len(self._first) < len(self._sent):
            self._first += data[: len(self._sent) - len(self._first)]
            self.echoed += self._first == self._sent
        self._heard += data
        if self._request is None:
            self._skip(len(self._heard))
            return None
        keep_from = len(self._heard)
        for at in range(len(self._heard)):
            reply, length = _reply_at(self._request, bytes(self._heard[at : at + FRAME_BYTES_MAX]))
            if reply is not None:
                self.skipped += at
                del self._heard[: at + length]
                self.expect(None)
                return reply
            if length == INCOMPLETE:
                keep_from = min(keep_from, at)
        self._skip(max(keep_from, len(self._heard) - BUFFER_BYTES_MAX))
        return None

    def _skip(self, count: int) -> None:
        self.skipped += count
        del self._heard[:count]


# -- the slave's side -------------------------------------------------------------------------------------------------


class RequestReader:
    """Finds requests in what a module hears. `skipped` counts bytes that belonged to none."""

    def __init__(self) -> None:
        self.skipped = 0
        self._heard = bytearray()

    def feed(self, data: bytes) -> list[Request]:
        self._heard += data
        found: list[Request] = []
        at = 0
        while at < len(self._heard):
            request, length = _request_at(bytes(self._heard[at : at + FRAME_BYTES_MAX]))
            if request is not None:
                found.append(request)
                self.skipped += at
                del self._heard[: at + length]
                at = 0
            else:
                at += 1
        if len(self._heard) > FRAME_BYTES_MAX:
            self.skipped += len(self._heard) - FRAME_BYTES_MAX
            del self._heard[:-FRAME_BYTES_MAX]
        return found

    def silence(self) -> None:
        """The line was silent for longer than a frame can pause: what was heard of one is void."""
        self.skipped += len(self._heard)
        self._heard.clear()


def _request_at(data: bytes) -> tuple[Request | None, int]:
    """The request that `data` begins with and its length, else (None, 0)."""
    kind = _REQUESTS.get(data[1]) if len(data) >= 8 else None
    if kind is None:
        return None, 0
    length = 9 + data[6] if kind is WriteCoils else 8
    try:
        return kind.from_bytes(data[:length]), length
    except BadFrameError:
        return None, 0
