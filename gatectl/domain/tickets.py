"""Tickets: the number a person reads, the code a machine reads, and the moves a ticket can make.

The code on a ticket, 56 characters of upper-case base32 (RFC 4648, no padding), is 35 bytes, big-endian:

    version 1 | site hash 4 | counter 4 | tag 3 | issued (s) 5 | vehicle class 1 | key id 1 | MAC 16

Rule 1: the MAC is HMAC-SHA-256 over a context word, the site's whole id and the 19 bytes before it, cut to 128 bits
(RFC 2104 section 5). Any lane of the site verifies a ticket without a database.
Rule 2: a MAC stops forging, not copying. An exit spends a ticket once; that is the books' business.
Rule 3: one ticket has one code. Lower case, padding and spaces are not a code: 35 bytes leave base32 no spare bits.
Rule 4: the site hash is in clear, to tell a guest from a forger. Another site's ticket is signed with a key that is not
here, so nobody here can say whether it is authentic: it is foreign on its own word, and refused like a forged one.
Rule 5: key bytes are never in a repr, a message or a record.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from gatectl.domain.ids import SiteId, TicketNumber

COUNTER_MAX = 2**32 - 1
ISSUED_S_MAX = 2**40 - 1
KEY_BYTES = 32
KEY_ID_MAX = 255
TYPED_CHARS_MAX = 40

_VERSION = 1
_CONTEXT = b"gatectl/ticket/1\0"
_TAG_CHARS = 4
_BODY_BYTES = 1 + 4 + 4 + 3 + 5 + 1 + 1
_MAC_BYTES = 16
CODE_CHARS = -(-(_BODY_BYTES + _MAC_BYTES) * 8 // 5)
QR_3M_ALPHANUMERIC_MAX = 61
"""What a QR code of version 3 (29 modules) at level M holds in alphanumeric mode (ISO/IEC 18004, table 7)."""
assert CODE_CHARS <= QR_3M_ALPHANUMERIC_MAX
assert (_BODY_BYTES + _MAC_BYTES) * 8 == CODE_CHARS * 5, "spare bits would give one ticket several codes"

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TAG = re.compile(f"[{CROCKFORD}]{{{_TAG_CHARS}}}")
_CODE = re.compile(f"[A-Z2-7]{{{CODE_CHARS}}}")
_LOOKS_LIKE = str.maketrans("OIL", "011")

OTHER = "OTHER"
"""The vehicle type that a code names for every type a site added of its own."""
CLASSES: Mapping[str, int] = MappingProxyType(
    {OTHER: 0, "CAR": 1, "MOTORCYCLE": 2, "VAN": 3, "TRUCK": 4, "ELECTRIC_CAR": 5}
)
"""Vehicle type -> class byte. A promise: printed tickets hold it."""
_TYPES = {number: name for name, number in CLASSES.items()}


# -- the number -----------------------------------------------------------------------------------------------------


def format_number(counter: int, tag: str) -> TicketNumber:
    """`123, "K7QF"` -> `"000123-K7QF"`: six digits or more, and the boot's tag that no restored counter repeats."""
    assert 0 < counter <= COUNTER_MAX, f"counter {counter}"
    assert _TAG.fullmatch(tag), f"tag {tag!r}"
    return TicketNumber(f"{counter:06d}-{tag}")


def parse_number(text: str) -> TicketNumber | None:
    """The number that a person typed, or None if it is none.

    Case, spaces and the kind of dash do not matter; O is 0, I and L are 1 (Crockford's reading); leading zeros and
    the dash may be left out, though not both together: "123-k7qf", "000123k7qf", "0OO123 K7QF".
    """
    if len(text) > TYPED_CHARS_MAX:
        return None
    parts = [part for part in re.split(r"[\s\-_\u2010-\u2015\u2212]+", text) if part]
    joined = "".join(parts)
    if not joined.isascii():  # upper() would turn a dotless i into an I
        return None
    split = len(parts) > 1 and len(parts[-1]) == _TAG_CHARS
    if not split and len(joined) < 6 + _TAG_CHARS:
        return None
    typed = joined.upper().translate(_LOOKS_LIKE)
    count, tag = typed[:-_TAG_CHARS], typed[-_TAG_CHARS:]
    if not (count.isdigit() and 0 < int(count) <= COUNTER_MAX and _TAG.fullmatch(tag)):
        return None
    return format_number(int(count), tag)


# -- the code -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Keyring:
    """A site's ticket keys. `current` signs; every key in it verifies, so a key is changed without voiding tickets.

    Key ids are 0 to 255, keys 32 bytes. Raises ValueError, which names the id and never the key.
    """

    current: int
    keys: Mapping[int, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.current not in self.keys:
            raise ValueError(f"the current ticket key {self.current} is not among {sorted(self.keys)}")
        for key_id, key in self.keys.items():
            if not 0 <= key_id <= KEY_ID_MAX:
                raise ValueError(f"ticket key id {key_id} is not within 0 to {KEY_ID_MAX}")
            if len(key) != KEY_BYTES:
                raise ValueError(f"ticket key {key_id} has {len(key)} bytes, not {KEY_BYTES}")


@dataclass(frozen=True, slots=True)
class VerifiedCode:
    """What an authentic code of this site says. `vehicle_type` is OTHER for a type that the site added."""

    number: TicketNumber
    counter: int
    tag: str
    issued_s: int
    vehicle_type: str
    key_id: int


@dataclass(frozen=True, slots=True)
class CodeRefusal:
    """`code`: E-TKT-01 not a ticket code, E-TKT-02 of another site, E-TKT-03 not signed by this site."""

    code: str
    why: str


def sign(keyring: Keyring, site: SiteId, *, counter: int, tag: str, issued_s: int, vehicle_type: str) -> str:
    """The code of a ticket: 56 characters that a QR code holds in alphanumeric mode.

    `issued_s` is UTC seconds; what a clock before 1970 or past the year 36,000 says becomes the nearest that fits.
    """
    number = format_number(counter, tag)
    body = b"".join(
        (
            bytes((_VERSION,)),
            site_hash(site),
            counter.to_bytes(4),
            _tag_to_int(tag).to_bytes(3),
            min(max(issued_s, 0), ISSUED_S_MAX).to_bytes(5),
            bytes((CLASSES.get(vehicle_type, CLASSES[OTHER]), keyring.current)),
        )
    )
    assert len(body) == _BODY_BYTES, f"{number}: {len(body)} bytes"
    return base64.b32encode(body + code_mac(keyring.keys[keyring.current], _CONTEXT, site, body)).decode()


def verify(text: str, keyring: Keyring, site: SiteId) -> VerifiedCode | CodeRefusal:
    """What a read text says if this site signed it. Any text is answered; whether it is spent is not asked here."""
    if not _CODE.fullmatch(text):
        return CodeRefusal("E-TKT-01", f"not a ticket code ({len(text)} characters)")
    raw = base64.b32decode(text)
    body, mac = raw[:_BODY_BYTES], raw[_BODY_BYTES:]
    if body[0] != _VERSION:
        return CodeRefusal("E-TKT-01", f"a ticket code of version {body[0]}")
    if body[1:5] != site_hash(site):
        return CodeRefusal("E-TKT-02", "a ticket of another site")
    key_id = body[18]
    key = keyring.keys.get(key_id)
    if key is None:
        return CodeRefusal("E-TKT-03", f"key {key_id} is not in use at this site")
    if not hmac.compare_digest(mac, code_mac(key, _CONTEXT, site, body)):
        return CodeRefusal("E-TKT-03", "not signed by this site")
    counter, tag = int.from_bytes(body[5:9]), _int_to_tag(int.from_bytes(body[9:12]))
    issued_s, vehicle_type = int.from_bytes(body[12:17]), _TYPES.get(body[17], OTHER)
    return VerifiedCode(format_number(counter, tag), counter, tag, issued_s, vehicle_type, key_id)


def resigned(text: str, keyring: Keyring, keys: Mapping[int, bytes], site: SiteId) -> str | None:
    """An authentic code with every byte as it was but its MAC, which is by the key of the same id in `keys`; else None."""
    read = verify(text, keyring, site)
    if isinstance(read, CodeRefusal):
        return None
    body = base64.b32decode(text)[:_BODY_BYTES]
    return base64.b32encode(body + code_mac(keys[read.key_id], _CONTEXT, site, body)).decode()


def site_hash(site: SiteId) -> bytes:
    """What a code says of its site in clear."""
    return hashlib.sha256(b"gatectl/site/1\0" + site.encode()).digest()[:4]


def code_mac(key: bytes, context: bytes, site: SiteId, body: bytes) -> bytes:
    """`context` keeps what is signed for one purpose from being taken for another."""
    return hmac.digest(key, context + site.encode() + b"\0" + body, "sha256")[:_MAC_BYTES]


def _tag_to_int(tag: str) -> int:
    value = 0
    for letter in tag:
        value = value * 32 + CROCKFORD.index(letter)
    return value


def _int_to_tag(value: int) -> str:
    return "".join(CROCKFORD[value >> shift & 31] for shift in (15, 10, 5, 0))


# -- the moves ------------------------------------------------------------------------------------------------------


class TicketState(StrEnum):
    """Where a ticket is in its life."""

    ISSUED = "issued"  # a number and a spot are held, nobody has entered yet
    INSIDE = "inside"
    SPENT = "spent"  # accepted at an exit, the vehicle not yet gone
    EXITED = "exited"
    VOID = "void"
    LOST = "lost"  # replaced by another ticket
    WRITTEN_OFF = "written-off"


MOVES: Mapping[TicketState, frozenset[TicketState]] = MappingProxyType(
    {
        TicketState.ISSUED: frozenset({TicketState.INSIDE, TicketState.VOID, TicketState.WRITTEN_OFF}),
        # To VOID: the vehicle backed out over the entry lane, or a person says the stay never was.
        TicketState.INSIDE: frozenset(
            {TicketState.SPENT, TicketState.EXITED, TicketState.VOID, TicketState.LOST, TicketState.WRITTEN_OFF}
        ),
        # To INSIDE: the vehicle backed out of the exit, or the arm did not open.
        TicketState.SPENT: frozenset({TicketState.EXITED, TicketState.INSIDE, TicketState.WRITTEN_OFF}),
        TicketState.EXITED: frozenset(),
        TicketState.VOID: frozenset(),
        TicketState.LOST: frozenset(),
        TicketState.WRITTEN_OFF: frozenset(),
    }
)
"""From each state, the states that may follow. What follows by none of them has ended; no ticket comes back."""
assert set(MOVES) == set(TicketState), "every state has its moves"
