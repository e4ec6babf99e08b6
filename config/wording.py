"""pydantic's errors in plain words: the place, what was found, what was expected, the nearest valid key."""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from config.faults import Complaint, did_you_mean, listing, nearest
from config.files import Key

_TYPES: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a decimal number",
    str: "a text",
    dict: "a table",
    list: "a list",
    tuple: "a list",
    datetime: "a date and time",
    date: "a date",
    time: "a time of day",
}
_EXPECTED: Mapping[str, str] = {
    "string_type": 'a text ("...")',
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list ([...])",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "string_too_short": "a text that is not empty",
}
_MEANT = re.compile(r"did you mean '?([A-Za-z0-9_-]+)'?\?")
VALUE_CHARS_MAX = 60


def described(value: object) -> str:
    """What was found, short enough for one line: `the text "x"`, `the whole number 3`, `a table`."""
    name = next((words for kind, words in _TYPES.items() if type(value) is kind), f"a {type(value).__name__}")
    if isinstance(value, dict | list | tuple):
        return name
    shown = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    if len(shown) > VALUE_CHARS_MAX:
        shown = shown[:VALUE_CHARS_MAX] + "..."
    return shown if isinstance(value, bool) else f"{name.replace('a ', 'the ', 1)} {shown}"


def complaints_of(error: ValidationError, model: type[BaseModel], raw: Mapping[str, Any]) -> list[Complaint]:
    """One complaint for each thing that pydantic found."""
    complaints = []
    for item in error.errors(include_url=False):
        key = _key(item["loc"])
        if item["type"] == "extra_forbidden":
            word, known = str(key[-1]), _keys(model, key[:-1])
            complaints.append(Complaint(key, f"the unknown key {word!r}", _one_of(known), did_you_mean(word, known)))
        elif item["type"] == "missing":
            complaints.append(_missing(key, raw))
        else:
            complaints.append(_wrong(key, dict(item)))
    return complaints


def without_echoes(complaints: Iterable[Complaint], raw: Mapping[str, Any]) -> list[Complaint]:
    """A key that is missing because it was misspelt is one mistake: its absence is not told a second time."""
    found = list(complaints)
    meant = {
        (*wrong.key[:-1], said[1])
        for wrong in found
        if (said := _MEANT.search(wrong.hint)) and _is_there(wrong.key, raw)
    }
    return [wrong for wrong in found if wrong.key not in meant or _is_there(wrong.key, raw)]


def _is_there(key: Key, raw: Any) -> bool:
    for part in key:
        try:
            raw = raw[part]
        except (LookupError, TypeError):
            return False
    return True


def _one_of(words: list[str]) -> str:
    return f"one of {listing(words)}"


def _missing(key: Key, raw: Mapping[str, Any]) -> Complaint:
    """A key that is not there; in a table with free options the nearest of them may be what was meant."""
    table: Any = raw
    for part in key[:-1]:
        table = table[part]
    near = nearest(str(key[-1]), list(table)) if isinstance(table, Mapping) else None
    return Complaint(key, "nothing", "a value, it is required", f"did you misspell it as {near!r}?" if near else "")


def _wrong(key: Key, item: Mapping[str, Any]) -> Complaint:
    value, kind, context = item["input"], str(item["type"]), item.get("ctx", {})
    if kind == "literal_error":
        allowed = [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
        hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
        return Complaint(key, described(value), _one_of(allowed), hint)
    if kind == "string_pattern_mismatch":
        return Complaint(key, described(value), "letters, digits, dashes and underscores only")
    if kind == "string_too_long":
        return Complaint(key, described(value), f"at most {context['max_length']} characters")
    if kind in ("greater_than_equal", "less_than_equal", "greater_than"):
        bound = {"greater_than_equal": "at least", "less_than_equal": "at most", "greater_than": "more than"}[kind]
        return Complaint(key, str(value), f"{bound} {context.get('ge', context.get('le', context.get('gt')))}")
    return Complaint(key, described(value), _EXPECTED.get(kind, str(item["msg"]).lower()))


def _key(loc: tuple[int | str, ...]) -> Key:
    """pydantic's place without its mark for a table's bad name, which is no key of the file."""
    return loc[:-1] if loc[-1] == "[key]" else loc


def _keys(model: type[BaseModel], path: Key) -> list[str]:
    """The keys that the table at `path` may have."""
    here: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        if isinstance(here, type) and issubclass(here, BaseModel):
            here = _inner(here.model_fields[part].annotation) if part in here.model_fields else here
    fields = here.model_fields if isinstance(here, type) and issubclass(here, BaseModel) else {}
    return [field.alias or name for name, field in fields.items() if name != "options"]


def _inner(annotation: Any) -> Any:
    """The model inside `tuple[Model, ...]`, `dict[str, Model]` or `Model | None`; else the annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for arm in get_args(annotation):
        found = _inner(arm)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return annotation
