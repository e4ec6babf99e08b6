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
from dataclasses import MISSING, asdict, dataclass, fields
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
_SAFE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_QUALITIES = frozenset({"synced", "free-running", "unset"})


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

    def header(self) -> bytes:
        return (
            f'{{"seq":{self.seq},"id":"{self.fact_id}","wall":{self.wall_ms},"q":"{self.quality}","boot":"{self.boot_id}",'
            f'"mono":{self.mono_ms},"kind":"{self.kind}","v":{self.version}'
        ).encode()

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
            head = json.loads(line[:cut].decode() + "}")
            content = json.loads(body.decode())  # strict UTF-8: given bytes, json would guess other encodings
        except (ValueError, RecursionError) as error:
            raise Malformed(f"not JSON: {error}") from error
        if not isinstance(content, dict):
            raise Malformed("the body is not an object")
        record = cls(
            seq=_whole(head, "seq", 1),
            fact_id=_word(head, "id"),
            wall_ms=_whole(head, "wall", -(2**53)),
            quality=_word(head, "q"),
            boot_id=_word(head, "boot"),
            mono_ms=_whole(head, "mono", 0),
            kind=_word(head, "kind"),
            version=_whole(head, "v", 1),
            body=body,
        )
        if record.quality not in _QUALITIES:
            raise Malformed(f"q: {record.quality!r}")
        if record.header() != line[:cut]:
            raise Malformed("the header is not in canonical form")
        return record


def _whole(head: dict[str, Any], name: str, least: int) -> int:
    value = head.get(name)
    if type(value) is not int or not least <= value <= 2**53:
        raise Malformed(f"{name}: {value!r}")
    return value


def _word(head: dict[str, Any], name: str) -> str:
    value = head.get(name)
    if not isinstance(value, str) or not _SAFE.fullmatch(value):
        raise Malformed(f"{name}: {value!r}")
    return value


# -- the messages around the journal ---------------------------------------------------------------------------------


def plain(raw: bytes) -> dict[str, Any]:
    """A JSON object without a float anywhere; raises Malformed."""
    try:
        content = json.loads(raw, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise Malformed("not an object")
    return content


def _no_float(text: str) -> Any:
    raise ValueError(f"{text} is not a whole number")


@dataclass(frozen=True, slots=True)
class Message:
    """Base of all messages; `schema` is checked by the reader. Heads are hex, times UTC milliseconds."""

    schema: ClassVar[str]

    def to_json(self) -> bytes:
        return json.dumps({"schema": self.schema, **asdict(self)}, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Parse and check; raises Malformed naming the member."""
        content = plain(raw)
        if content.get("schema") != cls.schema:
            raise Malformed(f"schema: expected {cls.schema}, found {content.get('schema')!r}")
        made = _shaped(cls, content, "")
        assert isinstance(made, cls)
        return made


def _shaped(hint: Any, value: Any, where: str) -> Any:
    """`value` as `hint` wants it: str, int, bool, dict, a tuple of these, a dataclass, or `| None`."""
    arms = get_args(hint)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise Malformed(f"{where}: expected a list")
        return tuple(_shaped(arms[0], item, f"{where}[{n}]") for n, item in enumerate(value))
    if type(None) in arms:
        return None if value is None else _shaped(arms[0], value, where)
    if (get_origin(hint) or hint) is dict and isinstance(value, dict):
        return (
            {key: _shaped(arms[1], item, f"{where}.{key}") for key, item in value.items()}
            if arms[1] is not Any
            else value
        )
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__") and isinstance(value, dict):
        hints, made = get_type_hints(hint), {}
        for field in fields(hint):
            if field.name in value:
                made[field.name] = _shaped(hints[field.name], value[field.name], f"{where}.{field.name}".lstrip("."))
            elif field.default is MISSING and field.default_factory is MISSING:
                raise Malformed(f"{where}.{field.name}: missing".lstrip("."))
        return hint(**made)
    if type(value) is not hint:
        raise Malformed(f"{where}: expected {getattr(hint, '__name__', hint)}, found {type(value).__name__}")
    return value


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
    `effective_from_ms`; the site judges it.
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
