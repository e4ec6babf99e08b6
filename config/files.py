"""Reads gatectl.toml and its drop-ins into one table and remembers on which line each value stood. Stdlib only.

Drop-ins are `gatectl.d/*.toml` beside the file, merged in order of their names: a value replaces, a table is merged,
and the lists of the file's top level (`[[lanes]]`, `[[areas]]`, ...) grow.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.faults import Complaint, Fault

FILE_BYTES_MAX = 1_048_576
DROP_INS_MAX = 100

Key = tuple[str | int, ...]
"""A place in the merged table: ("lanes", 1, "wiring", "arming")."""

_HEADER = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_ASSIGNMENT = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=\s*(.*)$"""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|' + r"'[^']*'")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True)
class Tables:
    """The merged content, the place each value came from, and what could not be read."""

    path: Path
    files: tuple[Path, ...]
    values: Mapping[str, Any]
    places: Mapping[Key, tuple[Path, int]] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def place(self, key: Key) -> tuple[Path, int | None]:
        """File and line of a value; those of the nearest table around it when the value has no line of its own."""
        for length in range(len(key), 0, -1):
            found = self.places.get(key[:length])
            if found is not None:
                return found
        return self.path, None

    def fault(self, wrong: Complaint) -> Fault:
        """A complaint with its file and line."""
        file, line = self.place(wrong.key)
        return Fault(dotted(wrong.key), wrong.found, wrong.expected, wrong.hint, str(file), line)


def dotted(key: Key) -> str:
    """("lanes", 1, "wiring") as `lanes[1].wiring`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_tables(path: Path) -> Tables:
    """The file and its drop-ins. Never raises for what is in them or for a file that is missing: those are faults."""
    values: dict[str, Any] = {}
    places: dict[Key, tuple[Path, int]] = {}
    faults: list[Fault] = []
    drop_ins = sorted((path.parent / f"{path.stem}.d").glob("*.toml"))
    if len(drop_ins) > DROP_INS_MAX:
        faults.append(Fault(str(path.parent), f"{len(drop_ins)} drop-in files", f"at most {DROP_INS_MAX}"))
    files = (path, *drop_ins[:DROP_INS_MAX])
    for file in files:
        text = _text(file, faults)
        if text is None:
            continue
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            faults.append(_syntax_fault(file, text, str(error)))
            continue
        _merge(values, places, table, {key: (file, line) for key, line in lines_of(text)})
    return Tables(path=path, files=files, values=values, places=places, faults=tuple(faults))


def _text(file: Path, faults: list[Fault]) -> str | None:
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            faults.append(Fault("file", f"{file.stat().st_size} bytes", f"at most {FILE_BYTES_MAX}", file=str(file)))
            return None
        return file.read_text(encoding="utf-8")
    except OSError as error:
        faults.append(Fault("file", error.strerror or "an unreadable file", "a readable file", file=str(file)))
    except UnicodeDecodeError as error:
        faults.append(Fault("file", f"a byte that is not UTF-8 at offset {error.start}", "UTF-8 text", file=str(file)))
    return None


def _syntax_fault(file: Path, text: str, message: str) -> Fault:
    at = _AT_LINE.search(message)
    line = int(at[1]) if at else len(text.splitlines())
    found = text.splitlines()[line - 1].strip() if 0 < line <= len(text.splitlines()) else "the end of the file"
    plain = _AT_LINE.sub("", message).replace("(at end of document)", "").strip()
    return Fault("syntax", repr(found), "valid TOML", hint=plain, file=str(file), line=line)


def _merge(
    values: dict[str, Any],
    places: dict[Key, tuple[Path, int]],
    table: Mapping[str, Any],
    new: Mapping[Key, tuple[Path, int]],
) -> None:
    shift: dict[str, int] = {}
    for name, value in table.items():
        present = values.get(name)
        if _list_of_tables(present) and _list_of_tables(value):
            shift[name] = len(present)  # type: ignore[arg-type]  # a list of tables has a length
            values[name] = [*present, *value]  # type: ignore[misc]  # and can be spread
        else:
            values[name] = _merged(present, value)
    for key, place in new.items():
        first = str(key[0])
        if first in shift and len(key) > 1 and isinstance(key[1], int):
            places[first, key[1] + shift[first], *key[2:]] = place
        else:
            places[key] = place


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}
    return new


def _list_of_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def lines_of(text: str) -> Iterator[tuple[Key, int]]:
    """Every table header and assignment with its line. Values inside inline tables have the line of their assignment.

    `text` must be valid TOML: the scan only knows headers, keys, and how far a value reaches.
    """
    table: Key = ()
    counts: dict[Key, int] = {}
    depth, quote = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if depth or quote:
            depth, quote = _reach(line, depth, quote)
            continue
        header = _HEADER.match(line)
        if header and not _ASSIGNMENT.match(line):
            table = _header_key(_parts(header[2]), header[1] == "[[", counts)
            yield table, number
            continue
        assignment = _ASSIGNMENT.match(line)
        if assignment:
            yield (*table, *_parts(assignment[1])), number
            depth, quote = _reach(assignment[2], 0, "")


def _header_key(names: tuple[str, ...], is_list: bool, counts: dict[Key, int]) -> Key:
    key: Key = ()
    for position, name in enumerate(names):
        key = (*key, name)
        if is_list and position == len(names) - 1:
            counts[key] = counts.get(key, -1) + 1
        if key in counts:
            key = (*key, counts[key])
    return key


def _parts(dotted_key: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted_key))


def _reach(rest: str, depth: int, quote: str) -> tuple[int, str]:
    """How deep in brackets, and in which multi-line quote, a line ends."""
    while True:
        if quote:
            _, found, rest = rest.partition(quote)
            if not found:
                return depth, quote
            quote = ""
        opening = re.search(r'"""|' + "'''", rest)
        plain = rest[: opening.start()] if opening else rest
        plain = _STRING.sub("", plain).partition("#")[0]
        depth = max(0, depth + plain.count("[") + plain.count("{") - plain.count("]") - plain.count("}"))
        if opening is None:
            return depth, ""
        quote, rest = opening[0], rest[opening.end() :]
