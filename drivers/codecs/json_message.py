"""A JSON object in one message, read from a peer that may send anything, and written the same way every time.

Sans-IO. What is returned is safe to handle: an object, no NaN, no depth that exhausts the stack.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

TEXT_CHARS_MAX: Final = 120


class Malformed(ValueError):
    """Raised for a payload that is not one JSON object. Its text never quotes the payload."""


def _refuse(_constant: str) -> None:
    raise Malformed("NaN and Infinity are not JSON")


def read(payload: bytes) -> dict[str, Any]:
    """The object in `payload`. Raises Malformed."""
    try:
        value = json.loads(payload.decode("utf-8"), parse_constant=_refuse)
    except Malformed:
        raise
    except (ValueError, RecursionError) as error:
        raise Malformed("not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise Malformed("not a JSON object")
    return value


def write(value: Mapping[str, object]) -> bytes:
    """Compact JSON in ASCII, keys in the order given. Raises ValueError or TypeError for what JSON cannot hold."""
    return json.dumps(dict(value), separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def printable(value: object) -> str:
    """A text from a peer as people may see it: printable ASCII, at most `TEXT_CHARS_MAX` characters."""
    text = value if isinstance(value, str) else ""
    return "".join(char if " " <= char <= "~" else "?" for char in text[:TEXT_CHARS_MAX])
