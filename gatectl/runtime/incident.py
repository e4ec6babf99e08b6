"""An incident in one file: the state, what the core was told, what came of it, and the journal of that stretch.

    {"schema":"gatectl.incident/1","software","site","made_ms","wanted","lane","keys":{"1":"..."},"notes":[...]}
    the lines of each capture segment as they are (gatectl.domain.turns), oldest first
    {"record":"...","generation":1,"head":"..."}       a journal record, its bytes as they lie on the disk, and its chain head
    {"end":{"segments","turns","records"},"sha256":"..."}   of every byte before it

Every ticket code that the site's keys verify is signed anew under keys made for this file, which are in it: the file opens no
gate, and a replay still tells an authentic code from a foreign one, which stays as it was. The name's ending `.zst` compresses.
"""

import hashlib
import io
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import zstandard

from gatectl.domain import coupon_codes, right_codes, tickets
from gatectl.domain.business import claims
from gatectl.domain.codec import BadBody
from gatectl.domain.ids import SiteId
from gatectl.domain.tickets import KEY_BYTES, Keyring
from gatectl.domain.turns import SCHEMA as CAPTURE
from gatectl.domain.turns import moment_of
from gatectl.runtime.capture import segments
from sync.records import Malformed, Record

SCHEMA: Final = "gatectl.incident/1"
INCIDENT_BYTES_MAX: Final = 1024 * 1024 * 1024
"""Uncompressed; what is longer is refused."""
LINE_BYTES_MAX: Final = 16 * 1024 * 1024
TAIL_BYTES: Final = 256 * 1024
"""A segment's last whole line is looked for in so much of its end."""
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_CODES: Final = (
    (tickets.CODE_CHARS, tickets.resigned),
    (right_codes.CODE_CHARS, right_codes.resigned),
    (coupon_codes.CODE_CHARS, coupon_codes.resigned),
)
"""Every kind of code that the site signs: its length, and how it is signed anew."""
_RUN: Final = re.compile(rb"[A-Za-z2-7]{%d,}" % min(chars for chars, _ in _CODES))
_CLAIM: Final = re.compile(claims.SHAPE.encode(), re.IGNORECASE)

Plain = dict[str, Any]


class IncidentRefused(ValueError):
    """Raised for a file that cannot be replayed, or a stretch that cannot be exported; `code` is an E-... code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def damaged(message: str) -> IncidentRefused:
    return IncidentRefused("E-INC-01", message)


# -- what is wanted ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """The stretches of wall-clock time (UTC milliseconds, both ends in) that an incident is about, and in words."""

    stretches: Sequence[tuple[int, int]]
    words: str
    lane: str = ""

    def until_ms(self, first_ms: int, last_ms: int) -> int | None:
        """The end of what is wanted of a segment that covers this span; None if nothing of it is."""
        ends = [until for since, until in self.stretches if since <= last_ms and first_ms <= until]
        return max(ends, default=None)


@dataclass(frozen=True, slots=True)
class Found:
    """A segment on the disk: which boot, the wall clock of its first and its last line."""

    path: Path
    boot_id: str
    site: str
    key_ids: tuple[int, ...]
    facts_made: int
    first_ms: int
    last_ms: int


def look(path: Path) -> Found | None:
    """What a segment is, by its first and last lines; None for one that was torn before it had its state."""
    with path.open("rb") as file:
        head = _object(file.readline(LINE_BYTES_MAX))
        if head is None or head.get("schema") != CAPTURE:
            return None
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        tail = file.read().splitlines(keepends=True)
    last = next((line for raw in reversed(tail) if (line := _object(raw)) is not None and "at" in line), head)
    try:
        first_ms, last_ms = moment_of(head, "state").wall_ms, moment_of(last, "turn").wall_ms
        return Found(
            path,
            str(head["boot"][0]),
            str(head["site"]),
            tuple(head["keys"]["ids"]),
            int(head["facts_made"]),
            min(first_ms, last_ms),
            max(first_ms, last_ms),
        )
    except (BadBody, KeyError, TypeError, IndexError, ValueError):
        return None


def _object(line: bytes) -> Plain | None:
    """A whole line's object; None for a torn or a foreign one."""
    if not line.endswith(b"\n"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


# -- writing ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Written:
    """What went into the file. `ranges`: boot to its first and last fact's number."""

    segments: int = 0
    turns: int = 0
    records: int = 0
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class IncidentWriter:
    """Writes one incident: `open`, then `segment` for each, then `records`, then `close`."""

    def __init__(self, out: BinaryIO, keyring: Keyring, site: str, key_ids: Iterable[int]) -> None:
        self._out = out
        self._sum = hashlib.sha256()
        self._keyring, self._site = keyring, SiteId(site)
        self._keys = {key_id: secrets.token_bytes(KEY_BYTES) for key_id in sorted({*key_ids, *keyring.keys})}
        self.done = Written()

    def open(self, software: str, wanted: Wanted, made_ms: int, notes: Sequence[str]) -> None:
        head = {
            "schema": SCHEMA,
            "software": software,
            "site": self._site,
            "made_ms": made_ms,
            "wanted": wanted.words,
            "lane": wanted.lane,
            "keys": {str(key_id): key.hex() for key_id, key in self._keys.items()},
            "notes": list(notes),
        }
        self._line(json.dumps(head).encode())

    def segment(self, boot_id: str, facts_made: int, lines: Iterable[bytes], until_ms: int | None) -> None:
        """The state's lines and its turns until a wall clock time; ends at the first line that is torn or damaged."""
        made, first = facts_made, facts_made + 1
        for raw in lines:
            line = _object(raw)
            if line is None:
                self.done.notes.append(f"a line of boot {boot_id} is torn; what follows it in its segment is left out")
                break
            if "n" in line:
                if until_ms is not None and line["at"][0] > until_ms:
                    break
                self.done.turns += 1
                made += len(line["facts"])
            self._line(self.without_codes(raw[:-1]))
        known = self.done.ranges.get(boot_id, (first, made))
        self.done.ranges[boot_id] = (min(known[0], first), max(known[1], made))
        self.done.segments += 1

    def record(self, generation: int, record: Record, head: bytes) -> None:
        line = record.to_line()
        clean = self.without_codes(line)
        plain = {"record": clean.decode(), "generation": generation, "head": head.hex()}
        if clean != line:
            plain["resigned"] = True  # somebody wrote a code into a reason: the chain cannot be computed here
        self._line(json.dumps(plain).encode())
        self.done.records += 1

    def records(self, records: Iterable[tuple[int, Record, bytes]]) -> None:
        for generation, record, head in records:
            self.record(generation, record, head)

    def close(self) -> None:
        done = self.done
        end = {"end": {"segments": done.segments, "turns": done.turns, "records": done.records}}
        self._out.write(json.dumps({**end, "sha256": self._sum.hexdigest()}).encode() + b"\n")

    def without_codes(self, line: bytes) -> bytes:
        """The line with every authentic code, wherever in a text and in whatever case, signed by this file's own keys."""
        return _CLAIM.sub(self._claim_anew, _RUN.sub(lambda found: self._run_without(found[0]), line))

    def _claim_anew(self, found: re.Match[bytes]) -> bytes:
        new = claims.resigned(found[0].decode().upper(), self._keyring, self._keys, self._site)
        return found[0] if new is None else new.encode()

    def _run_without(self, run: bytes) -> bytes:
        at = 0
        while at < len(run):
            found = self._signed_anew(run[at:])
            run = run[:at] + found + run[at + len(found) :]
            at += len(found) or 1
        return run

    def _signed_anew(self, run: bytes) -> bytes:
        """The code that a run begins with, by this file's own keys; empty if it begins with none."""
        for chars, resigned in _CODES:
            text = run[:chars].decode()
            new = resigned(text.upper(), self._keyring, self._keys, self._site)
            if new is not None:
                cased = (made.lower() if was.islower() else made for made, was in zip(new, text, strict=True))
                return "".join(cased).encode()
        return b""

    def _line(self, line: bytes) -> None:
        self._out.write(line + b"\n")
        self._sum.update(line + b"\n")


@contextmanager
def created(path: Path) -> Iterator[BinaryIO]:
    """A new file, mode 0600, compressed if its name ends in .zst; taken away again if it does not come to its end."""
    try:
        raw = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
    except OSError as error:
        raise IncidentRefused("E-USE-01", f"{path}: {error.strerror}") from error
    try:
        with raw:
            if path.suffix == ".zst":
                with zstandard.ZstdCompressor(level=9).stream_writer(raw, closefd=False) as packed:
                    yield packed
            else:
                yield raw
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def found_segments(folder: Path, wanted: Wanted) -> list[tuple[Found, int]]:
    """The captured segments that an incident needs, oldest first, and until when. Raises IncidentRefused, OSError."""
    looked = [found for path in segments(folder) if (found := look(path)) is not None]
    chosen = [
        (found, until) for found in looked if (until := wanted.until_ms(found.first_ms, found.last_ms)) is not None
    ]
    if not chosen:
        raise IncidentRefused("E-INC-03", f"nothing is captured of {wanted.words}")
    return chosen


# -- reading ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """A journal record of the stretch. `resigned`: its body holds a code that was signed anew, so its link is not proven."""

    generation: int
    record: Record
    head: bytes
    resigned: bool


@dataclass(frozen=True, slots=True)
class Incident:
    """A file that was found whole. `segments` reads it again."""

    path: Path
    head: Mapping[str, Any]
    keys: Mapping[int, bytes]
    end: Mapping[str, int]
    records: Sequence[Kept]

    def lines(self) -> Iterator[Plain]:
        """The lines of the captures, in order."""
        for number, line in enumerate(islice(_lines(self.path), 1, None), 2):
            plain: Plain = json.loads(line)
            if "n" in plain and not _is_turn(plain):
                raise damaged(f"{self.path}: line {number} is no turn")
            if "schema" in plain or "part" in plain or "whole" in plain or "n" in plain:
                yield plain


def _is_turn(plain: Plain) -> bool:
    """Whether the members that are compared have their shape; what the core was told is decoded, and refused, later."""
    facts, effects, lanes = (plain.get(name) for name in ("facts", "fx", "then"))
    return (
        type(plain["n"]) is int
        and _listed(facts, str, int, dict)
        and _listed(effects, str, dict)
        and _listed(lanes, str, str, (int, type(None)))
    )


def _listed(rows: object, *kinds: type | tuple[type, ...]) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, list) and len(row) == len(kinds) and all(map(isinstance, row, kinds)) for row in rows
    )


def read_incident(path: Path) -> Incident:
    """Raises IncidentRefused when it is no incident, not whole, not what was written, or of a version not known here."""
    lines = _lines(path)
    first = next(lines, b"")
    head = _object(first)
    if head is None or not str(head.get("schema", "")).startswith("gatectl.incident/"):
        raise IncidentRefused("E-INC-02", f"{path}: not an incident file")
    if head["schema"] != SCHEMA:
        raise IncidentRefused("E-INC-02", f"{path}: it is {head['schema']}, this version reads {SCHEMA}")
    digest = hashlib.sha256(first)
    records: list[Kept] = []
    for number, line in enumerate(lines, 2):
        plain = _object(line)
        if plain is None:
            raise damaged(f"{path}: line {number} is not whole")
        if "end" in plain:
            return _ended(path, head, plain, digest.hexdigest(), records, next(lines, None))
        digest.update(line)
        if "record" in plain:
            records.append(_kept(plain, f"{path}: line {number}"))
    raise damaged(f"{path}: its end is missing")


def _ended(
    path: Path, head: Plain, plain: Plain, digest: str, records: Sequence[Kept], after: bytes | None
) -> Incident:
    if plain.get("sha256") != digest:
        raise damaged(f"{path}: it is not what was written")
    if after is not None:
        raise damaged(f"{path}: something follows its end")
    try:
        keys = {int(key_id): bytes.fromhex(key) for key_id, key in head["keys"].items()}
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise damaged(f"{path}: its keys cannot be read") from error
    return Incident(path, {key: value for key, value in head.items() if key != "keys"}, keys, plain["end"], records)


def _kept(plain: Plain, where: str) -> Kept:
    try:
        record = Record.from_line(plain["record"].encode())
        return Kept(int(plain["generation"]), record, bytes.fromhex(plain["head"]), bool(plain.get("resigned")))
    except (Malformed, KeyError, ValueError, TypeError, AttributeError) as error:
        raise damaged(f"{where}: not a journal record: {error}") from error


def _lines(path: Path) -> Iterator[bytes]:
    """Raw lines, with their ends. Raises IncidentRefused for what cannot be read or unpacked."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(_ZSTD)) == _ZSTD
            raw.seek(0)
            file = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw, closefd=False)) if packed else raw
            left = INCIDENT_BYTES_MAX
            while line := file.readline(LINE_BYTES_MAX):
                left -= len(line)
                if left < 0:
                    raise damaged(f"{path}: longer than {INCIDENT_BYTES_MAX} bytes")
                yield line
    except OSError as error:
        raise IncidentRefused("E-INC-02", f"{path}: {error.strerror}") from error
    except zstandard.ZstdError as error:
        raise damaged(f"{path}: {error}") from error
