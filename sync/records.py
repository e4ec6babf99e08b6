"""The contract between a site and the office: records, how they lie on the wire, and the messages around them.

One record is one fact. On the wire it is one line of NDJSON whose last member is the body, byte for byte as it lies on the
site's disk::

    {"seq":17,"id":"…","wall":1789…,"q":"synced","boot":"…","mono":81234,"kind":"ticket.issued","v":1,"body":{…}}

`header` is the same line up to and without `,"body":`; the chain (sync.chain) hashes header and body as they are, so nothing is
ever serialised a second time.

Endpoints (all under `/sync/v1`, `Authorization: Bearer CREDENTIAL`, errors are RFC 9457 problems whose `type` ends in the name):

    POST /enrolments                          {"schema":"gatectl.enrol/1","site","code","software"} -> 201 Enrolled
         problems: 403 bad-code, 403 expired-code, 409 already-enrolled (the code was used)
    POST /sites/{site}/hello                  Hello -> 200 Welcome
    POST /sites/{site}/generations            {"schema":"gatectl.generation/1","after":gen,"installation","reason"}
                                              -> 201 {"generation":n}
    POST /sites/{site}/journal/{generation}   NDJSON, Content-Encoding zstd | gzip | identity,
         headers Gatectl-Installation, Gatectl-First, Gatectl-Count, Gatectl-Prev (hex), Gatectl-Head (hex) -> 200 Ack
         problems: 409 gap (member "expected": next seq wanted), 409 fork, 409 fenced, 403 not-enrolled, 404 unknown-site,
                   413 too-large, 422 bad-chain, 422 malformed, 429/503 with Retry-After
    GET  /sites/{site}/feed?epoch=E&after=S&wait=25   -> 200 Feed, 410 resnapshot
    GET  /sites/{site}/snapshot               -> 200 Feed with every current row and `epoch`, `head`
    PUT  /sites/{site}/vitals                 Vitals (telemetry: what the fleet page shows; may be lost) -> 204
    GET  /sites/{site}/journal/{generation}?after=SEQ&limit=N  -> 200 NDJSON of what the office holds (a site that lost its disk)

Every JSON message is a `Message` below: its `to_json` is what is sent, its `from_json` what is believed; members that a
reader does not know are ignored, so a field may be added with a default. A problem's `type` is `PROBLEMS` + name.
Further problems: 401/403 not-enrolled (no credential, a wrong or a revoked one), 409 protocol, 422 malformed for any JSON body.

The edge believes an Ack only if content type, schema, site, generation and head at `ack` are its own.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from json.encoder import encode_basestring
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

PROTOCOL_MIN = 1
PROTOCOL_MAX = 1

BATCH_RECORDS_MAX = 500
BATCH_BYTES_MAX = 1_048_576
"""Uncompressed bytes of one upload; the office refuses more with 413."""
BODY_BYTES_MAX = 65_536
LINE_BYTES_MAX = BODY_BYTES_MAX + 1_024
FEED_WAIT_S_MAX = 25
PROBLEMS = "/problems/"
"""What stands before the name in a problem's `type`; readers take what follows the last slash."""

_MARK = b',"body":'
_WORD = "[A-Za-z0-9._:-]{1,128}"
_WHOLE_MAX = 2**53
_SAFE = re.compile(_WORD)
_QUALITIES = ("synced", "free-running", "unset")
_HEADER = re.compile(
    f'{{"seq":([1-9][0-9]{{0,15}}),"id":"({_WORD})","wall":(0|-?[1-9][0-9]{{0,15}}),"q":"({"|".join(_QUALITIES)})",'
    f'"boot":"({_WORD})","mono":(0|[1-9][0-9]{{0,15}}),"kind":"({_WORD})","v":([1-9][0-9]{{0,15}})'
)
"""A header in canonical form, but for the numbers' limits."""


class Malformed(ValueError):
    """Raised for a line that is not a record; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One journal line. `body` is canonical JSON, kept as bytes for ever."""

    seq: int
    fact_id: str
    wall_ms: int
    quality: str
    boot_id: str
    mono_ms: int
    kind: str
    version: int
    body: bytes
    _header: bytes = field(default=b"", init=False, repr=False, compare=False)
    """Made when it is first asked for: a record is measured, chained and sent by the same bytes."""

    def header(self) -> bytes:
        if not self._header:
            made = (
                f'{{"seq":{self.seq},"id":"{self.fact_id}","wall":{self.wall_ms},"q":"{self.quality}",'
                f'"boot":"{self.boot_id}","mono":{self.mono_ms},"kind":"{self.kind}","v":{self.version}'
            )
            object.__setattr__(self, "_header", made.encode())
        return self._header

    def moved(self, seq: int) -> "Record":
        """The same fact at another place; in another generation, as a rule."""
        return Record(
            seq,
            self.fact_id,
            self.wall_ms,
            self.quality,
            self.boot_id,
            self.mono_ms,
            self.kind,
            self.version,
            self.body,
        )

    def to_line(self) -> bytes:
        """The record without its newline."""
        return b"%b%b%b}" % (self.header(), _MARK, self.body)

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Parse one line; raises Malformed. The body's bytes are taken as they are."""
        if len(line) > LINE_BYTES_MAX:
            raise Malformed(f"line of {len(line)} bytes, at most {LINE_BYTES_MAX}")
        cut = line.find(_MARK)
        if cut < 0 or not line.endswith(b"}"):
            raise Malformed("no body")
        body = line[cut + len(_MARK) : -1]
        try:
            header = line[:cut].decode()
            content = json.loads(body.decode())  # strict UTF-8: given bytes, json would guess other encodings
        except (ValueError, RecursionError) as error:
            raise Malformed(f"not JSON: {error}") from error
        if not isinstance(content, dict):
            raise Malformed("the body is not an object")
        found = _HEADER.fullmatch(header)
        if found is None:
            raise Malformed(_misfit(header))
        seq, fact_id, wall, quality, boot_id, mono, kind, version = found.groups()
        record = cls(int(seq), fact_id, int(wall), quality, boot_id, int(mono), kind, int(version), body)
        if max(record.seq, abs(record.wall_ms), record.mono_ms, record.version) > _WHOLE_MAX:
            raise Malformed(_misfit(header))
        object.__setattr__(record, "_header", line[:cut])
        return record


def _misfit(header: str) -> str:
    """Why this is no header: what is not JSON, or the first member that does not fit, or else its form."""
    try:
        head = json.loads(header + "}")
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    for name, fits in _MEMBERS.items():
        if not fits(head.get(name)):
            return f"{name}: {head.get(name)!r}"
    return "the header is not in canonical form"


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= _WHOLE_MAX


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and _SAFE.fullmatch(value) is not None


_MEMBERS: Mapping[str, Callable[[Any], bool]] = {
    "seq": _whole(1),
    "id": _is_word,
    "wall": _whole(-_WHOLE_MAX),
    "q": lambda value: value in _QUALITIES,
    "boot": _is_word,
    "mono": _whole(0),
    "kind": _is_word,
    "v": _whole(1),
}
"""What each member of a header must be, in the order in which a fault is named."""


# -- the messages around the journal ---------------------------------------------------------------------------------


def plain(raw: bytes) -> dict[str, Any]:
    """A JSON object without a float anywhere; raises Malformed."""
    try:
        content = _DECODER.decode(raw.decode(json.detect_encoding(raw), "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise Malformed("not an object")
    return content


def _no_float(text: str) -> Any:
    raise ValueError(f"{text} is not a whole number")


def _members(message: Any) -> dict[str, Any]:
    """A message's, or a nested dataclass's, fields by name."""
    cls: Any = type(message)
    return {name: getattr(message, name) for name in _names(cls)}


@cache
def _names(cls: Any) -> tuple[str, ...]:
    return tuple(part.name for part in fields(cls))


_DECODER = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float)
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=_members)
_TEXTS: defaultdict[type, Callable[[Any], str]] = defaultdict(
    lambda: _ENCODER.encode, {str: encode_basestring, int: int.__repr__}
)
"""How a member is written; most are words and numbers."""


@dataclass(frozen=True, slots=True)
class Message:
    """Base of all messages; `schema` is checked by the reader. Heads are hex, times UTC milliseconds."""

    schema: ClassVar[str]

    def to_json(self) -> bytes:
        parts = [f'"{name}":{_TEXTS[type(value)](value)}' for name, value in _members(self).items()]
        return f'{{"schema":"{self.schema}",{",".join(parts)}}}'.encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Parse and check; raises Malformed naming the member."""
        content = plain(raw)
        if content.get("schema") != cls.schema:
            raise Malformed(f"schema: expected {cls.schema}, found {content.get('schema')!r}")
        shape: Any = cls
        try:
            made = _reader(shape)(content)
        except Malformed as error:
            raise Malformed(str(error).lstrip(".")) from error
        assert isinstance(made, cls)
        return made


Read = Callable[[Any], Any]
"""A plain value as one of a type. Raises Malformed, whose message begins with where in it: `.rows[2].seq: ...`."""


@cache
def _reader(hint: Any) -> Read:
    """The reader for values of a type: str, int, bool, dict, a tuple of these, a dataclass, or `| None`."""
    arms = get_args(hint)
    if get_origin(hint) is tuple:
        return _items_reader(_reader(arms[0]))
    if type(None) in arms:
        inner = _reader(arms[0])
        return lambda value: None if value is None else inner(value)
    if get_origin(hint) is dict:
        return _word_reader(dict) if arms[1] is Any else _mapping_reader(_reader(arms[1]))
    if is_dataclass(hint):
        return _fields_reader(hint)
    return _word_reader(hint)


def _word_reader(cls: type) -> Read:
    def read(value: Any) -> Any:
        if type(value) is not cls:
            raise Malformed(f": expected {cls.__name__}, found {type(value).__name__}")
        return value

    return read


def _items_reader(item: Read) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise Malformed(": expected a list")
        return tuple(_at(f"[{n}]", item, one) for n, one in enumerate(value))

    return read


def _mapping_reader(item: Read) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Malformed(f": expected dict, found {type(value).__name__}")
        return {key: _at(f".{key}", item, one) for key, one in value.items()}

    return read


def _fields_reader(cls: Any) -> Read:
    hints = get_type_hints(cls)
    parts = [
        (part.name, _reader(hints[part.name]), part.default is MISSING is part.default_factory) for part in fields(cls)
    ]

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Malformed(f": expected {cls.__name__}, found {type(value).__name__}")
        made = {}
        for name, part, needed in parts:
            if name in value:
                try:
                    made[name] = part(value[name])
                except Malformed as error:
                    raise Malformed(f".{name}{error}") from error
            elif needed:
                raise Malformed(f".{name}: missing")
        return cls(**made)

    return read


def _at(place: str, read: Read, value: Any) -> Any:
    try:
        return read(value)
    except Malformed as error:
        raise Malformed(f"{place}{error}") from error


@dataclass(frozen=True, slots=True)
class Enrol(Message):
    schema: ClassVar[str] = "gatectl.enrol/1"
    site: str
    code: str
    software: str


@dataclass(frozen=True, slots=True)
class Enrolled(Message):
    """The site is the office's; `credential` is shown this once. Older credentials and installations end here.

    `generation` is the current one (1 for a new site); whether the site can go on in it is what the Hello after this settles.
    """

    schema: ClassVar[str] = "gatectl.enrolled/1"
    site: str
    installation: str
    generation: int
    credential: str


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """The site's position: its newest record in `generation` (`seq` 0: none, `head` the genesis)."""

    schema: ClassVar[str] = "gatectl.hello/1"
    site: str
    installation: str
    generation: int
    seq: int
    head: str
    boot: str
    wall_ms: int
    software: str
    protocol_min: int = PROTOCOL_MIN
    protocol_max: int = PROTOCOL_MAX


@dataclass(frozen=True, slots=True)
class Welcome(Message):
    """What the office holds. `generation` is the current one, `seq` and `head` its last record there.

    `verdict` "continue": go on after `seq` (the site checks its own head there). "new-generation": the site is not what the
    office saw last, or the office not what the site saw (`why`: "fenced", "behind", "forked", "unknown"): ask for a generation
    with `after` = the greater of the site's own and the one given here, and send again under it, with their old ids, all facts
    that the office does not hold: those beyond (`generation`, `seq`).
    """

    schema: ClassVar[str] = "gatectl.welcome/1"
    site: str
    generation: int
    seq: int
    head: str
    verdict: str
    why: str
    protocol: int
    feed_epoch: int
    feed_head: int
    server_ms: int
    rotate: bool = False  # the operator wants the credential replaced: enrol again with a new code
    encodings: tuple[str, ...] = ("zstd", "gzip", "identity")  # what the journal endpoint reads, best first


@dataclass(frozen=True, slots=True)
class NewGeneration(Message):
    """Asks for generation `after` + 1; 409 fenced (member "generation": the current one) when `after` is older than that."""

    schema: ClassVar[str] = "gatectl.generation/1"
    after: int
    installation: str
    reason: str


@dataclass(frozen=True, slots=True)
class Generation(Message):
    schema: ClassVar[str] = "gatectl.generation/1"
    generation: int


@dataclass(frozen=True, slots=True)
class Ack(Message):
    """Everything up to `ack` in `generation` is committed at the office; `head` is the chain head there."""

    schema: ClassVar[str] = "gatectl.ack/1"
    site: str
    generation: int
    ack: int
    head: str
    feed_epoch: int
    feed_head: int
    server_ms: int


@dataclass(frozen=True, slots=True)
class FeedRow:
    """The whole of one row of reference data; `body` None: the row is gone.

    Kind "tariff": key is the version's name, body the tariff as gatectl.domain.tariffs reads it, with `id` = key and
    `effective_from_ms`; the site judges it. Other kinds ("pass", "contract", "reservation", "quota" ...) are their subjects', as
    docs/business tells them; a site that does not know a kind keeps the row and does nothing.
    """

    seq: int
    kind: str
    key: str
    body: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Command:
    """An order for now. Refuse it `valid_ms` after the reply came in, or once a synchronised clock passes `deadline_ms`.

    `verb` "lane.open" has `args` {"lane": …}. The answer is a fact command.done or command.refused with `command` = `id`.
    """

    id: str
    verb: str
    args: dict[str, str]
    by: str
    reason: str
    deadline_ms: int
    valid_ms: int


@dataclass(frozen=True, slots=True)
class Feed(Message):
    """Rows with seq after the asked one, in order, at most FEED_ROWS_MAX; apply `rows` and `next` in one transaction.

    `next` is the cursor to ask with (the newest row given, or the asked one); `head` the newest row there is. A command is
    given to one poll only. In a snapshot `next` equals `head`.
    """

    schema: ClassVar[str] = "gatectl.feed/1"
    site: str
    epoch: int
    next: int
    head: int
    rows: tuple[FeedRow, ...]
    commands: tuple[Command, ...] = ()


FEED_ROWS_MAX = 200


@dataclass(frozen=True, slots=True)
class Vitals(Message):
    """Telemetry of a site; only the newest is kept. `lanes`: lane to phase; `free`: area to free spots."""

    schema: ClassVar[str] = "gatectl.vitals/1"
    site: str
    generation: int
    seq: int
    acked: int
    oldest_unacked_ms: int  # age of the oldest record not acknowledged, 0: none
    boot: str
    software: str
    sent_ms: int
    lanes: dict[str, str]
    free: dict[str, int]
    devices_lost: tuple[str, ...] = ()
    estimated: tuple[str, ...] = ()  # areas whose count nobody has checked since something may have passed unseen
