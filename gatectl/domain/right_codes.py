"""Signed codes of rights: what a driver brings from the office on paper or a telephone, and the site verifies without asking.

The code is 72 characters of upper-case base32 (RFC 4648, no padding), 45 bytes, big-endian:

    version 2 | site hash 4 | kind 1 | reference 7 | from (min) 4 | length (min) 3 | class 3 | prepaid 4 | early (min) 1
    | key id 1 | MAC 16

Rule 1: the MAC is made as a ticket's (`tickets`), over another context word: no ticket is a right, no right a ticket.
Rule 2: a reservation's code holds all that is needed to let its driver in: a site that was cut off when it was sold serves it.
Rule 3: a pass's code names the pass and no more; what it allows is in the site's own rows, so that it can be suspended.
Rule 4: a code is not spent by being read. Whether its right was used is the books' business.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from gatectl.domain.ids import SiteId
from gatectl.domain.tickets import CROCKFORD, Keyring, code_mac, site_hash

MINUTE_MS: Final = 60_000
REFERENCE_CHARS_MAX: Final = 11
EARLY_MINUTES_MAX: Final = 255
LENGTH_MINUTES_MAX: Final = 2**24 - 1
NOT_PREPAID: Final = 2**32 - 1
_VERSION: Final = 2
_CONTEXT: Final = b"gatectl/right/1\0"
_MAC_BYTES: Final = 16
_BYTES: Final = 45
CODE_CHARS: Final = _BYTES * 8 // 5
_CODE = re.compile(f"[A-Z2-7]{{{CODE_CHARS}}}")
REFERENCE = re.compile(f"[{CROCKFORD}]{{1,{REFERENCE_CHARS_MAX}}}")
"""What a pass or a reservation that is signed can be called: it is read over the telephone, so no I, L, O or U."""


class RightKind(IntEnum):
    """A promise: codes that are out hold it."""

    PASS = 1
    RESERVATION = 2


@dataclass(frozen=True, slots=True)
class RightCode:
    """What a code says. Of a pass only `kind` and `reference` mean anything.

    From `from_ms` for `minutes`; `early_minutes` before it the driver may come. `place` is `place_hash` of the area and spot
    type. `prepaid_minor` was paid when it was sold (None: it is paid here).
    """

    kind: RightKind
    reference: str
    from_ms: int = 0
    minutes: int = 0
    place: bytes = bytes(3)
    prepaid_minor: int | None = None
    early_minutes: int = 0


def place_hash(area: str, spot_type: str) -> bytes:
    return hashlib.sha256(f"gatectl/place/1\0{area}\0{spot_type}".encode()).digest()[:3]


def sign(keyring: Keyring, site: SiteId, right: RightCode) -> str:
    """The code. What does not fit its field is a defect: whoever sells has checked it."""
    prepaid = NOT_PREPAID if right.prepaid_minor is None else right.prepaid_minor
    assert REFERENCE.fullmatch(right.reference), right.reference
    assert 0 <= prepaid <= NOT_PREPAID, prepaid
    body = b"".join(
        (
            bytes((_VERSION,)),
            site_hash(site),
            bytes((right.kind,)),
            _packed(right.reference),
            (right.from_ms // MINUTE_MS).to_bytes(4),
            right.minutes.to_bytes(3),
            right.place,
            prepaid.to_bytes(4),
            bytes((right.early_minutes, keyring.current)),
        )
    )
    assert len(body) == _BYTES - _MAC_BYTES, len(body)
    return base64.b32encode(body + code_mac(keyring.keys[keyring.current], _CONTEXT, site, body)).decode()


def verify(text: str, keyring: Keyring, site: SiteId) -> RightCode | None:
    """What an authentic code of this site says; None for any other text."""
    if not _CODE.fullmatch(text):
        return None
    raw = base64.b32decode(text)
    body, signed = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    key = keyring.keys.get(body[-1])
    if body[0] != _VERSION or body[1:5] != site_hash(site) or key is None or body[5] not in set(RightKind):
        return None
    reference = _unpacked(body[6:13])
    if reference is None or not hmac.compare_digest(signed, code_mac(key, _CONTEXT, site, body)):
        return None
    prepaid = int.from_bytes(body[23:27])
    return RightCode(
        RightKind(body[5]),
        reference,
        int.from_bytes(body[13:17]) * MINUTE_MS,
        int.from_bytes(body[17:20]),
        body[20:23],
        None if prepaid == NOT_PREPAID else prepaid,
        body[27],
    )


def resigned(text: str, keyring: Keyring, keys: Mapping[int, bytes], site: SiteId) -> str | None:
    """An authentic code with every byte as it was but its MAC, which is by the key of the same id in `keys`; else None."""
    if verify(text, keyring, site) is None:
        return None
    body = base64.b32decode(text)[:-_MAC_BYTES]
    return base64.b32encode(body + code_mac(keys[body[-1]], _CONTEXT, site, body)).decode()


def _packed(reference: str) -> bytes:
    """A one, then five bits a letter: leading zeros count."""
    value = 1
    for letter in reference:
        value = value * 32 + CROCKFORD.index(letter)
    return value.to_bytes(7)


def _unpacked(packed: bytes) -> str | None:
    value, letters = int.from_bytes(packed), ""
    while value > 1:
        value, letter = divmod(value, 32)
        letters = CROCKFORD[letter] + letters
    return letters if value == 1 and letters else None
