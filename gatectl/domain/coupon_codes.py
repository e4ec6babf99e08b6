"""Signed codes of coupons: paper that takes something off a price, and any site key's holder verifies without asking.

The code is 64 characters of upper-case base32 (RFC 4648, no padding), 40 bytes, big-endian:

    version 3 | site hash 4 | series 3 | number 2 | gives 1 | value 4 | from (min) 4 | minutes 3 | exclusive 1 | key id 1 | MAC 16

Rule 1: the MAC is made as a ticket's (`tickets`), over another context word: no coupon is a ticket, no ticket a coupon.
Rule 2: a code says all of its terms, so that a site that was cut off when it was printed honours it; it is good for one stay.
Rule 3: every code has an end, so that what was spent need not be remembered for ever.
"""

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gatectl.domain.ids import SiteId
from gatectl.domain.tickets import CROCKFORD, Keyring, code_mac, site_hash

MINUTE_MS: Final = 60_000
NUMBER_MAX: Final = 2**16 - 1
VALUE_MAX: Final = 2**32 - 1
LENGTH_MINUTES_MAX: Final = 2**24 - 1
_VERSION: Final = 3
_CONTEXT: Final = b"gatectl/coupon/1\0"
_MAC_BYTES: Final = 16
_BYTES: Final = 40
CODE_CHARS: Final = _BYTES * 8 // 5
_CODE: Final = re.compile(f"[A-Z2-7]{{{_BYTES * 8 // 5}}}")
_SERIES: Final = re.compile(f"[{CROCKFORD}]{{4}}")
_GIVES: Final = {"minutes": 1, "flat": 2, "percent": 3, "amount": 4}
"""A promise: codes that are out hold it."""
_GIVEN: Final = {number: gives for gives, number in _GIVES.items()}


@dataclass(frozen=True, slots=True)
class CouponCode:
    """What a code says. `series` is 4 Crockford characters of whoever signs; from `from_ms` for `minutes`."""

    series: str
    number: int
    gives: str
    value: int
    from_ms: int
    minutes: int
    exclusive: bool = False

    @property
    def name(self) -> str:
        """What rows and people call it: `Q-K7QF-00012`."""
        return f"Q-{self.series}-{self.number:05d}"

    @property
    def until_ms(self) -> int:
        return self.from_ms + self.minutes * MINUTE_MS


def sign(keyring: Keyring, site: SiteId, coupon: CouponCode) -> str:
    """The code. What does not fit its field is a defect: whoever signs has checked it."""
    assert _SERIES.fullmatch(coupon.series), coupon.series
    assert 0 < coupon.minutes <= LENGTH_MINUTES_MAX, coupon.minutes
    body = b"".join(
        (
            bytes((_VERSION,)),
            site_hash(site),
            sum(CROCKFORD.index(letter) << 5 * at for at, letter in enumerate(reversed(coupon.series))).to_bytes(3),
            coupon.number.to_bytes(2),
            bytes((_GIVES[coupon.gives],)),
            coupon.value.to_bytes(4),
            (coupon.from_ms // MINUTE_MS).to_bytes(4),
            coupon.minutes.to_bytes(3),
            bytes((coupon.exclusive, keyring.current)),
        )
    )
    assert len(body) == _BYTES - _MAC_BYTES, len(body)
    return base64.b32encode(body + code_mac(keyring.keys[keyring.current], _CONTEXT, site, body)).decode()


def resigned(text: str, keyring: Keyring, keys: Mapping[int, bytes], site: SiteId) -> str | None:
    """An authentic code with every byte as it was but its MAC, which is by the key of the same id in `keys`; else None."""
    if verify(text, keyring, site) is None:
        return None
    body = base64.b32decode(text)[:-_MAC_BYTES]
    return base64.b32encode(body + code_mac(keys[body[-1]], _CONTEXT, site, body)).decode()


def verify(text: str, keyring: Keyring, site: SiteId) -> CouponCode | None:
    """What an authentic code of this site says; None for any other text."""
    if not _CODE.fullmatch(text):
        return None
    raw = base64.b32decode(text)
    body, signed = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    key = keyring.keys.get(body[-1])
    if body[0] != _VERSION or body[1:5] != site_hash(site) or key is None or body[10] not in _GIVEN:
        return None
    if not hmac.compare_digest(signed, code_mac(key, _CONTEXT, site, body)):
        return None
    series = int.from_bytes(body[5:8])
    return CouponCode(
        "".join(CROCKFORD[series >> shift & 31] for shift in (15, 10, 5, 0)),
        int.from_bytes(body[8:10]),
        _GIVEN[body[10]],
        int.from_bytes(body[11:15]),
        int.from_bytes(body[15:19]) * MINUTE_MS,
        int.from_bytes(body[19:22]),
        bool(body[22]),
    )
