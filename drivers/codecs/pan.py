"""A tripwire for card numbers: 13 to 19 digits that pass the Luhn check (ISO/IEC 7812-1), however they are dressed.

Sans-IO. It looks at every key and value of a message, at digits of every script, and at groups of digits that a single
space, dash or dot joins ("4111 1111 1111 1111 12/27" holds one). More than 19 digits in one group are suspected too:
no field of ours needs them, and track data does.
"""

import re
from collections.abc import Collection
from typing import Any, Final

PAN_DIGITS_MIN: Final = 13
PAN_DIGITS_MAX: Final = 19

_JOINED = re.compile(r"\d+(?:[ .\-]\d+)*")
_GROUP = re.compile(r"\d+")


def luhn(digits: str) -> bool:
    """True if the last digit is the Luhn check digit of those before it."""
    total = 0
    for place, digit in enumerate(int(char) for char in reversed(digits)):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def suspect(text: str) -> bool:
    """True if `text` holds what may be a card number."""
    return any(_suspect_groups(_GROUP.findall(run)) for run in _JOINED.findall(text))


def _suspect_groups(groups: list[str]) -> bool:
    """True if one group is too long, or some neighbouring groups together are a card number."""
    for start in range(len(groups)):
        digits = ""
        for group in groups[start:]:
            digits += group
            if len(digits) > PAN_DIGITS_MAX:
                break
            if len(digits) >= PAN_DIGITS_MIN and luhn(digits):
                return True
    return any(len(group) > PAN_DIGITS_MAX for group in groups)


def carries_card_number(value: Any, ours: Collection[str] = ()) -> bool:
    """True if any key or value in a parsed JSON message may be a card number; texts in `ours` were made by us."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str):
            if item not in ours and suspect(item):
                return True
        elif isinstance(item, int | float) and not isinstance(item, bool) and suspect(str(item)):
            return True
    return False
