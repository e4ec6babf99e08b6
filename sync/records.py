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
    POST /sites/{site}/generations            {"schema":"gatectl.generation/1","after":gen,"installation","reason"} -> 201 {"generation":n}
    POST /sites/{site}/journal/{generation}   NDJSON, Content-Encoding zstd | gzip | identity,
         headers Gatectl-Installation, Gatectl-First, Gatectl-Count, Gatectl-Prev (hex), Gatectl-Head (hex) -> 200 Ack
         problems: 409 gap (member "expected": next seq wanted), 409 fork, 409 fenced, 403 not-enrolled, 404 unknown-site,
                   413 too-large, 422 bad-chain, 422 malformed, 429/503 with Retry-After
    GET  /sites/{site}/feed?epoch=E&after=S&wait=25   -> 200 Feed, 410 resnapshot
    GET  /sites/{site}/snapshot               -> 200 Feed with every current row and `epoch`, `head`
    PUT  /sites/{site}/vitals                 Vitals (telemetry: what the fleet page shows; may be lost) -> 204
    GET  /sites/{site}/journal/{generation}?after=SEQ&limit=N  -> 200 NDJSON of what the office holds (a site that lost its disk)

The edge believes an Ack only if content type, schema, site, generation and head at `ack` are its own.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Self

PROTOCOL_MIN = 1
PROTOCOL_MAX = 1

BATCH_RECORDS_MAX = 500
BATCH_BYTES_MAX = 1_048_576
"""Uncompressed bytes of one upload; the office refuses more with 413."""
BODY_BYTES_MAX = 65_536
LINE_BYTES_MAX = BODY_BYTES_MAX + 1_024
FEED_WAIT_S_MAX = 25

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
            head = json.loads(line[:cut] + b"}")
            content = json.loads(body)
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
