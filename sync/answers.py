"""Is this the office speaking? An answer is believed for its form and its content, never for its status alone.

Hotels, proxies and captive portals answer 200 with a page of their own. What does not parse as one of our messages, or
is not one of our problems, counts as if nothing had come.
"""

from dataclasses import dataclass
from typing import TypeVar

from sync.backoff import retry_after_ms
from sync.ports import Answer, Unreachable
from sync.records import PROBLEMS, Malformed, Message, Record, plain

M = TypeVar("M", bound=Message)

WORDS = {
    "fenced": "another copy of this site has written to the office; enrol the machine that shall be the site again",
    "not-enrolled": "the office does not accept this site's credential; enrol again with a new code",
    "unknown-site": "the office knows no site of this name",
    "protocol": "the office speaks another version of the protocol; upgrade one of the two",
    "journal-damaged": "the journal on this disk does not fit its own chain; nothing is sent from it",
    "bad-chain": "the office computes another chain from what arrives",
    "malformed": "the office cannot read what arrives",
}
"""What a named state means, for people."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The office said no, by name."""

    status: int
    name: str
    detail: str

    @property
    def words(self) -> str:
        return WORDS.get(self.name) or f"the office refuses: {self.name}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing that can be believed came back; try again."""

    why: str
    retry_after_ms: int = 0


def understand(answer: Answer | Unreachable, wanted: type[M]) -> M | Refused | Failed:
    """The message in a 2xx answer, the office's refusal, or why it is neither."""
    said = _successful(answer, "application/json")
    if not isinstance(said, Answer):
        return said
    try:
        return wanted.from_json(said.body)
    except Malformed as error:
        return Failed(f"not an answer of the office: {str(error)[:200]}")


def understand_line(answer: Answer | Unreachable) -> Record | Refused | Failed | None:
    """The one record in a 200 answer of NDJSON; None when the office holds none."""
    said = _successful(answer, "application/x-ndjson")
    if not isinstance(said, Answer):
        return said
    if not said.body:
        return None
    try:
        return Record.from_line(said.body.removesuffix(b"\n"))
    except Malformed as error:
        return Failed(f"not a record of the office: {str(error)[:200]}")


def _successful(answer: Answer | Unreachable, content_type: str) -> Answer | Refused | Failed:
    if isinstance(answer, Unreachable):
        return Failed(answer.why)
    wait = retry_after_ms(answer.headers)
    if answer.content_type == "application/problem+json":
        refused = _problem(answer)
        if refused is None:
            return Failed(f"status {answer.status} with a problem that is not the office's", wait)
        return Failed(refused.words, wait) if answer.status in (429, 503) else refused
    if not 200 <= answer.status < 300:
        return Failed(f"status {answer.status} by something that is not the office", wait)
    if answer.content_type != content_type:
        return Failed(f"status {answer.status} with {answer.content_type or 'no content type'}: not the office", wait)
    return answer


def _problem(answer: Answer) -> Refused | None:
    try:
        content = plain(answer.body)
    except Malformed:
        return None
    kind, detail = content.get("type"), content.get("detail", "")
    if not isinstance(kind, str) or PROBLEMS not in kind or answer.status < 400:
        return None
    return Refused(answer.status, kind.rsplit("/", 1)[1][:64], detail[:200] if isinstance(detail, str) else "")
