"""Claim checks: what a driver holds for a vehicle in a valet's hands.

`000123-K7QF-9D2MC` is the visit, and five characters that only this site's key makes, so that a visit's number alone fetches no
vehicle. A lost check's successor has others.
"""

import hmac
import re
from collections.abc import Mapping
from typing import Final

from gatectl.domain.ids import SiteId
from gatectl.domain.tickets import CROCKFORD, Keyring, code_mac, parse_number

_CONTEXT: Final = b"gatectl/claim/1\0"
_CHECK_CHARS: Final = 5
_CLAIM: Final = re.compile(f"([0-9]+-[{CROCKFORD}]{{4}})-([{CROCKFORD}]{{{_CHECK_CHARS}}})")
SHAPE: Final = f"[0-9]+-[{CROCKFORD}]{{4}}-[{CROCKFORD}]{{{_CHECK_CHARS}}}"
"""A claim check anywhere in a text."""
ISSUES_MAX: Final = 9
"""Claim checks of one visit that an export of an incident knows: somebody who lost eight of them has other troubles."""
_LOOKS_LIKE: Final = str.maketrans("OIL", "011")


def claim_of(keyring: Keyring, site: SiteId, visit: str, issue: int) -> str:
    return f"{visit}-{_check(keyring.keys[keyring.current], site, visit, issue)}"


def is_authentic(keyring: Keyring, site: SiteId, claim: str, issue: int) -> bool:
    """Whether this site made it, as the `issue`th of its visit; by any key that is in use."""
    found = _CLAIM.fullmatch(claim)
    return found is not None and any(
        hmac.compare_digest(found[2], _check(key, site, found[1], issue)) for key in keyring.keys.values()
    )


def resigned(claim: str, keyring: Keyring, keys: Mapping[int, bytes], site: SiteId) -> str | None:
    """An authentic claim check of one of the first ISSUES_MAX issues, made by the key of the same id in `keys`; else None."""
    visit, _, check = claim.rpartition("-")
    for issue in range(1, ISSUES_MAX + 1):
        for key_id, key in keyring.keys.items():
            if hmac.compare_digest(check, _check(key, site, visit, issue)):
                return f"{visit}-{_check(keys[key_id], site, visit, issue)}"
    return None


def typed(text: str) -> str | None:
    """The claim check that a person typed or a reader read; None if it cannot be one."""
    visit, _, check = text.strip().upper().rpartition("-")
    number = parse_number(visit)
    claim = f"{number}-{check.translate(_LOOKS_LIKE)}"
    return claim if number is not None and _CLAIM.fullmatch(claim) else None


def _check(key: bytes, site: SiteId, visit: str, issue: int) -> str:
    value = int.from_bytes(code_mac(key, _CONTEXT, site, f"{visit}\0{issue}".encode()))
    return "".join(CROCKFORD[value >> 5 * at & 31] for at in range(_CHECK_CHARS))
