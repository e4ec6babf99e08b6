"""Frozen values to plain JSON and back, by their type hints: events, inputs, effects, lanes, books. No schema to keep by hand.

Rule 1: a member of a union of classes is written as `["ClassName", {...}]`, any other class as `{...}` with every field, also
those that equal their default: a later version may have another default.
Rule 2: mappings are lists of pairs in their own order, which is part of the value; sets are sorted lists.
Rule 3: reading ignores members it does not know and gives missing ones their default; anything else that does not fit is a
BadBody that names the place.
Rule 4: a tariff is its canonical body and a time zone its name; keys have no form here, so that none can be written.

Facts on their way to the journal are `gatectl.domain.codec`'s, whose bytes are a promise.
"""

import types
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import tzinfo
from enum import Enum
from functools import cache
from typing import Any, Final, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

from gatectl.domain.codec import BadBody
from gatectl.domain.tariffs import Tariff, TariffRefused, from_body, to_body
from gatectl.domain.tickets import Keyring

Plain = Any
"""What `json` writes: None, bool, int, str, list, dict."""
Encode = Callable[[Any], Plain]
Decode = Callable[[Plain, str], Any]
"""From plain JSON and the place where it stands. Raises BadBody."""

_WORDS: Final = (str, int, bool)
_MAPPINGS: Final = (dict, OrderedDict, Mapping)
_SETS: Final = (set, frozenset)


def _same(value: Any) -> Plain:
    return value


def _bare(hint: Any) -> Any:
    """Without NewType; without the None of an optional, which every reader and writer allows for itself."""
    return _bare(hint.__supertype__) if hasattr(hint, "__supertype__") else hint


def _arms(hint: Any) -> tuple[Any, ...]:
    """The members of a union but None; empty for what is no union."""
    if get_origin(hint) not in (Union, types.UnionType):
        return ()
    return tuple(_bare(arm) for arm in get_args(hint) if arm is not type(None))


def _all_words(arms: tuple[Any, ...]) -> bool:
    return all(arm in _WORDS for arm in arms)


@cache
def hints_of(cls: type) -> Mapping[str, Any]:
    """The types of a dataclass's fields, in their order."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


# -- writing ----------------------------------------------------------------------------------------------------------


@cache
def encoder(hint: Any) -> Encode:
    """The writer for values of a type. Raises TypeError for a type that no value here has."""
    hint = _bare(hint)
    arms = _arms(hint)
    if len(arms) == 1:
        return _optional(encoder(arms[0]))
    if arms:
        return _same if _all_words(arms) else _tagged
    if hint in _WRITERS:
        return _WRITERS[hint]
    if hint is Keyring:
        raise TypeError("keys are never written")
    if is_dataclass(hint):
        return _fields_writer(hint)  # type: ignore[arg-type]  # is_dataclass narrows to an instance too
    if hint in _WORDS or hint is object:
        return _same
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum_value
    return _container_writer(hint)


def _enum_value(value: Enum) -> Plain:
    return value.value


def _optional(inner: Encode) -> Encode:
    if inner is _same:
        return _same
    return lambda value: None if value is None else inner(value)


def _tagged(value: Any) -> Plain:
    cls: Any = type(value)
    return [cls.__name__, encoder(cls)(value)]


def _fields_writer(cls: type) -> Encode:
    parts = tuple((name, encoder(hint)) for name, hint in hints_of(cls).items())
    if all(write is _same for _, write in parts):
        names = tuple(name for name, _ in parts)
        return lambda value: {name: getattr(value, name) for name in names}
    return lambda value: {name: write(getattr(value, name)) for name, write in parts}


def _container_writer(hint: Any) -> Encode:
    origin, args = get_origin(hint), get_args(hint)
    if origin is tuple and args[1:] == (...,):
        item = encoder(args[0])
        return list if item is _same else lambda value: [item(one) for one in value]
    if origin is tuple:
        items = tuple(encoder(arg) for arg in args)
        return lambda value: [write(one) for write, one in zip(items, value, strict=True)]
    if origin in _SETS:
        item = encoder(args[0])
        return lambda value: sorted(item(one) for one in value)
    if origin in _MAPPINGS or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if args[1] is object:
            return _same
        key, held = encoder(args[0]), encoder(args[1])
        return lambda value: [[key(name), held(one)] for name, one in value.items()]
    raise TypeError(f"no value here is a {hint}")


# -- reading ----------------------------------------------------------------------------------------------------------


@cache
def decoder(hint: Any) -> Decode:
    """The reader for values of a type."""
    hint = _bare(hint)
    arms = _arms(hint)
    if len(arms) == 1:
        return _or_none(decoder(arms[0]))
    if arms:
        return (
            _or_none(_words_reader(arms)) if _all_words(arms) else _tagged_reader({arm.__name__: arm for arm in arms})
        )
    if hint in _READERS:
        return _READERS[hint]
    if is_dataclass(hint):
        return _fields_reader(hint)  # type: ignore[arg-type]  # is_dataclass narrows to an instance too
    if hint is object:
        return _as_it_is
    if hint in _WORDS:
        return _words_reader((hint,))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum_reader(hint)
    return _container_reader(hint)


def _as_it_is(plain: Plain, where: str) -> Any:
    return plain


def _or_none(inner: Decode) -> Decode:
    return lambda plain, where: None if plain is None else inner(plain, where)


def _words_reader(classes: tuple[type, ...]) -> Decode:
    def read(plain: Plain, where: str) -> Any:
        if type(plain) not in classes:
            names = " or ".join(cls.__name__ for cls in classes)
            raise BadBody(f"{where}: expected {names}, found {type(plain).__name__}")
        return plain

    return read


def _enum_reader(cls: type[Enum]) -> Decode:
    def read(plain: Plain, where: str) -> Enum:
        try:
            return cls(plain)
        except ValueError as error:
            raise BadBody(f"{where}: {error}") from error

    return read


def _tagged_reader(classes: Mapping[str, type]) -> Decode:
    def read(plain: Plain, where: str) -> Any:
        if not (isinstance(plain, list) and len(plain) == 2 and isinstance(plain[0], str)):
            raise BadBody(f"{where}: expected a name and its members")
        cls = classes.get(plain[0])
        if cls is None:
            raise BadBody(f"{where}: this version knows no {plain[0][:64]}")
        return decoder(cls)(plain[1], f"{where}.{plain[0]}")

    return read


def _fields_reader(cls: type) -> Decode:
    parts = tuple(
        (field.name, decoder(hints_of(cls)[field.name]), field.default is MISSING and field.default_factory is MISSING)
        for field in fields(cls)
    )

    def read(plain: Plain, where: str) -> Any:
        if not isinstance(plain, dict):
            raise BadBody(f"{where}: expected an object, found {type(plain).__name__}")
        values = {}
        for name, held, needed in parts:
            if name in plain:
                values[name] = held(plain[name], f"{where}.{name}")
            elif needed:
                raise BadBody(f"{where}.{name}: missing")
        return cls(**values)

    return read


def _container_reader(hint: Any) -> Decode:
    origin, args = get_origin(hint), get_args(hint)
    if origin is tuple and args[1:] == (...,):
        return _items_reader(tuple, decoder(args[0]))
    if origin is tuple:
        return _fixed_reader(tuple(decoder(arg) for arg in args))
    if origin in _SETS:
        return _items_reader(origin, decoder(args[0]))
    if args[1] is object:
        return _object_reader
    pairs = _items_reader(list, _fixed_reader((decoder(args[0]), decoder(args[1]))))
    made: Callable[[Any], Any] = OrderedDict if origin is OrderedDict else dict
    return lambda plain, where: made(pairs(plain, where))


def _listed(plain: Plain, where: str) -> list[Plain]:
    if not isinstance(plain, list):
        raise BadBody(f"{where}: expected a list, found {type(plain).__name__}")
    return plain


def _items_reader(made: Callable[[Any], Any], item: Decode) -> Decode:
    return lambda plain, where: made(item(one, f"{where}[{n}]") for n, one in enumerate(_listed(plain, where)))


def _fixed_reader(items: tuple[Decode, ...]) -> Decode:
    def read(plain: Plain, where: str) -> tuple[Any, ...]:
        if len(_listed(plain, where)) != len(items):
            raise BadBody(f"{where}: expected {len(items)} members")
        return tuple(held(one, f"{where}[{n}]") for n, (held, one) in enumerate(zip(items, plain, strict=True)))

    return read


def _object_reader(plain: Plain, where: str) -> dict[str, object]:
    if not isinstance(plain, dict):
        raise BadBody(f"{where}: expected an object, found {type(plain).__name__}")
    return plain


# -- values with a form of their own ------------------------------------------------------------------------------------


def _zone_name(zone: tzinfo) -> str:
    assert isinstance(zone, ZoneInfo), f"a time zone without a name: {zone}"
    assert zone.key is not None, "a time zone read from a file has no name"
    return zone.key


def _zone(plain: Plain, where: str) -> tzinfo:
    try:
        return ZoneInfo(plain)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise BadBody(f"{where}: no time zone is named {plain!r}") from error


def _tariff(plain: Plain, where: str) -> Tariff:
    if not isinstance(plain, str):
        raise BadBody(f"{where}: expected a tariff's body")
    try:
        return from_body(plain)
    except TariffRefused as error:
        raise BadBody(f"{where}: {error}"[:500]) from error


_WRITERS: Final[Mapping[Any, Encode]] = {tzinfo: _zone_name, Tariff: to_body}
_READERS: Final[Mapping[Any, Decode]] = {tzinfo: _zone, Tariff: _tariff}
