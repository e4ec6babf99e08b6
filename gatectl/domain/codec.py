"""Facts to canonical JSON bytes and back. The bytes made here are hashed, stored and sent, and never made again."""

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from gatectl.domain.facts import Fact
from gatectl.domain.kinds import KINDS

BODY_BYTES_MAX = 64 * 1024
WHOLE_MAX = 2**63 - 1
"""What SQLite and PostgreSQL hold as a whole number."""


class UnknownKind(ValueError):
    """Raised when a body names a kind or version that this build does not know: park it, do not drop it."""


class BadBody(ValueError):
    """Raised when a body does not fit its kind; the message names the field."""


def encode(fact: Fact) -> bytes:
    """Canonical JSON of a fact: sorted keys, no spaces, UTF-8, fields equal to their default kept."""
    body = json.dumps(_plain(fact), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert len(body) <= BODY_BYTES_MAX, f"{fact.kind}: {len(body)} bytes"
    return body


def decode(kind: str, version: int, body: bytes) -> Fact:
    """The fact in `body`. Unknown fields are ignored, missing ones take their default.

    Raises UnknownKind, or BadBody for what is not JSON, lacks a field or holds one of the wrong type.
    """
    cls = KINDS.get(kind)
    if cls is None or version != cls.version:
        raise UnknownKind(f"{kind}/{version}")
    try:
        plain = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadBody(f"{kind}: not JSON: {error}") from error
    made = _made(cls, plain, kind)
    assert isinstance(made, Fact)
    return made


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    assert value is None or isinstance(value, str | int), f"facts hold no {type(value).__name__}"
    return value


@cache
def _hints(cls: type) -> Mapping[str, Any]:
    return get_type_hints(cls)


def _made(cls: type, plain: Any, where: str) -> Any:
    if not isinstance(plain, dict):
        raise BadBody(f"{where}: expected an object, found {type(plain).__name__}")
    hints = _hints(cls)
    values = {}
    for field in fields(cls):
        if field.name in plain:
            values[field.name] = _typed(hints[field.name], plain[field.name], f"{where}.{field.name}")
        elif field.default is MISSING:
            raise BadBody(f"{where}.{field.name}: missing")
    return cls(**values)


def _typed(hint: Any, value: Any, where: str) -> Any:
    hint = getattr(hint, "__supertype__", hint)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        hint = next(arm for arm in get_args(hint) if arm is not type(None))
        return _typed(hint, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise BadBody(f"{where}: expected a list")
        return tuple(_typed(get_args(hint)[0], item, f"{where}[{n}]") for n, item in enumerate(value))
    if is_dataclass(hint):
        return _made(hint, value, where)  # type: ignore[arg-type]  # is_dataclass narrows to an instance too
    if issubclass(hint, Enum):
        try:
            return hint(value)
        except ValueError as error:
            raise BadBody(f"{where}: {error}") from error
    if type(value) is not hint:
        raise BadBody(f"{where}: expected {hint.__name__}, found {type(value).__name__}")
    if hint is int and not -WHOLE_MAX <= value <= WHOLE_MAX:
        raise BadBody(f"{where}: expected at most {WHOLE_MAX}")
    return value
