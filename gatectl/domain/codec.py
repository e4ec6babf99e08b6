"""Facts to canonical JSON bytes and back. The bytes made here are hashed, stored and sent, and never made again.

What a class needs on its way out and back in is found once, when the first of its facts comes by: every fact of a site, and at
the office of a thousand sites, passes here.
"""

import json
import types
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

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
    body = _WRITERS[type(fact)](fact).encode()
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
    try:
        made = _READERS[cls](plain)
    except BadBody as error:
        raise BadBody(f"{kind}{error}") from error
    assert isinstance(made, Fact)
    return made


# -- out --------------------------------------------------------------------------------------------------------------

Write = Callable[[Any], str]
"""A value as JSON."""


class _Writers(dict[type, Write]):
    """The writer for each type of value; made when the first such value comes by."""

    def __missing__(self, cls: type) -> Write:
        self[cls] = made = self._made(cls)
        return made

    def _made(self, cls: type) -> Write:
        if is_dataclass(cls):
            return self._fields_of(cls)
        if issubclass(cls, tuple):
            return lambda items: f"[{','.join([self[type(item)](item) for item in items])}]"
        if issubclass(cls, Enum):
            return lambda member: self[type(member.value)](member.value)
        if issubclass(cls, str):
            return encode_basestring
        if cls is bool:
            return lambda true: "true" if true else "false"
        if issubclass(cls, int):
            return int.__repr__
        assert cls is types.NoneType, f"facts hold no {cls.__name__}"
        return lambda _: "null"

    def _fields_of(self, cls: type) -> Write:
        parts = [(f'"{name}":', attrgetter(name)) for name in sorted(field.name for field in fields(cls))]

        def write(value: Any) -> str:
            return f"{{{','.join([key + self[type(part := get(value))](part) for key, get in parts])}}}"

        return write


_WRITERS: Final = _Writers()


# -- in ---------------------------------------------------------------------------------------------------------------

Read = Callable[[Any], Any]
"""Plain JSON as a value of a type. Raises BadBody, whose message begins with where in the value: `.lines[2].text: ...`."""


class _Readers(dict[Any, Read]):
    """The reader for values of each type; made when the first such value comes by."""

    def __missing__(self, hint: Any) -> Read:
        self[hint] = made = self._made(getattr(hint, "__supertype__", hint))
        return made

    def _made(self, hint: Any) -> Read:
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            inner = self[next(arm for arm in get_args(hint) if arm is not type(None))]
            return lambda plain: None if plain is None else inner(plain)
        if origin is tuple:
            return _items_reader(self[get_args(hint)[0]])
        if is_dataclass(hint):
            hints = get_type_hints(hint)
            return _fields_reader(hint, [(field, self[hints[field.name]]) for field in fields(hint)])
        if issubclass(hint, Enum):
            return _enum_reader(hint)
        return _whole_reader if hint is int else _word_reader(hint)


def _fields_reader(cls: Any, readers: Sequence[tuple[Field[Any], Read]]) -> Read:
    parts = [(field.name, field.default, read) for field, read in readers]

    def read(plain: Any) -> Any:
        if not isinstance(plain, dict):
            raise BadBody(f": expected an object, found {type(plain).__name__}")
        values = []
        for name, default, part in parts:
            if name in plain:
                try:
                    values.append(part(plain[name]))
                except BadBody as error:
                    raise BadBody(f".{name}{error}") from error
            elif default is MISSING:
                raise BadBody(f".{name}: missing")
            else:
                values.append(default)
        return cls(*values)

    return read


def _items_reader(item: Read) -> Read:
    def read(plain: Any) -> Any:
        if not isinstance(plain, list):
            raise BadBody(": expected a list")
        values = []
        for n, one in enumerate(plain):
            try:
                values.append(item(one))
            except BadBody as error:
                raise BadBody(f"[{n}]{error}") from error
        return tuple(values)

    return read


def _enum_reader(cls: type[Enum]) -> Read:
    def read(plain: Any) -> Enum:
        try:
            return cls(plain)
        except ValueError as error:
            raise BadBody(f": {error}") from error

    return read


def _word_reader(cls: type) -> Read:
    def read(plain: Any) -> Any:
        if type(plain) is not cls:
            raise BadBody(f": expected {cls.__name__}, found {type(plain).__name__}")
        return plain

    return read


def _whole_reader(plain: Any) -> int:
    if type(plain) is not int:
        raise BadBody(f": expected int, found {type(plain).__name__}")
    if not -WHOLE_MAX <= plain <= WHOLE_MAX:
        raise BadBody(f": expected at most {WHOLE_MAX}")
    return plain


_READERS: Final = _Readers()
