"""One record back from the office, for a site whose own copy is damaged."""

from sync.answers import Refused, understand_line
from sync.ports import Answer, Office, Request, Unreachable
from sync.records import Record

FETCH_TOTAL_MS = 20_000


class NotFetched(Exception):  # it names what the office did, not a fault of the call
    """Raised when the record did not come: the office cannot be reached, refuses, or holds no such record."""


def fetch(office: Office, site: str, generation: int, seq: int) -> Record:
    """The office's record at a place. It is the office's word alone: the caller proves it by the chain. Raises NotFetched."""
    return fetched(office.ask(asking(site, generation, seq)), generation, seq)


def asking(site: str, generation: int, seq: int) -> Request:
    """The question for the record at a place."""
    return Request(
        "GET",
        f"/sync/v1/sites/{site}/journal/{generation}?after={seq - 1}&limit=1",
        total_ms=FETCH_TOTAL_MS,
    )


def fetched(answer: Answer | Unreachable, generation: int, seq: int) -> Record:
    """The record in what came back for it. Raises NotFetched."""
    said = understand_line(answer)
    if isinstance(said, Record):
        if said.seq != seq:
            raise NotFetched(f"the office has no record {generation}/{seq}: the next one is {said.seq}")
        return said
    if said is None:
        raise NotFetched(f"the office has no record {generation}/{seq}")
    raise NotFetched(said.words if isinstance(said, Refused) else said.why)
