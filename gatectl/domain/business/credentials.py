"""What a driver shows, as the key of a right: a signed code, a card's number, a PIN, a plate.

Rule 1: card numbers and PINs are known by hash alone; what is read is hashed and looked up, and is in no row, record or log.
Rule 2: a reader can never speak for a camera: a plate comes in with a mark that no code holds.
"""

import hashlib
import re
from typing import Final

from gatectl.domain.business.rule import Context
from gatectl.domain.ids import SiteId
from gatectl.domain.lane_codes import is_pin
from gatectl.domain.right_codes import RightCode, RightKind, verify

TEXT_CHARS_MAX: Final = 200
PLATE_MARK: Final = "\x1fplate:"
_KEY: Final = re.compile(r"(card|pin):[0-9a-f]{32}|plate:[0-9A-Z]{2,12}|code:[0-9A-Z]{1,11}")
CREDENTIALS_MAX: Final = 20
"""Of one right."""


def hashed(site: SiteId, kind: str, text: str) -> str:
    """The key of a card number or a PIN: `kind`, a colon, and 32 hex digits of SHA-256 over site, kind and text."""
    digest = hashlib.sha256(f"gatectl/credential/1\0{site}\0{kind}\0{text}".encode()).hexdigest()
    return f"{kind}:{digest[:32]}"


def plate_key(plate: str) -> str:
    """Spaces, dashes and case do not matter on a plate."""
    return "plate:" + "".join(letter for letter in plate.upper() if letter.isascii() and letter.isalnum())


def plate_read(plate: str) -> str:
    """What a camera hands to a lane, where a reader hands a code."""
    return PLATE_MARK + plate


def is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def signed(context: Context, text: str, kind: RightKind) -> RightCode | None:
    """The signed code in a text, if it is one of this kind."""
    code = verify(text, context.plan.keyring, context.plan.site)
    return code if code is not None and code.kind is kind else None


def key_of(context: Context, text: str) -> str | None:
    """The key of what was shown, if it is no signed code; None for what can be no credential."""
    if text.startswith(PLATE_MARK):
        key = plate_key(text.removeprefix(PLATE_MARK)[:TEXT_CHARS_MAX])
        return key if is_key(key) else None
    if not text or len(text) > TEXT_CHARS_MAX or not text.isprintable():
        return None
    return hashed(context.plan.site, "pin" if is_pin(text) else "card", text)
