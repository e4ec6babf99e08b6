"""How the link to the office does, as values for people and for the fleet page."""

from dataclasses import dataclass
from enum import StrEnum


class LinkState(StrEnum):
    NEVER = "never"  # no word from the office since this process started
    ONLINE = "online"
    BACKING_OFF = "backing-off"  # trying again, or finding out where both ends stand
    STOPPED = "stopped"  # waits for a person; `reason` names why


@dataclass(frozen=True, slots=True)
class UploadStatus:
    """The upward half at `at_ms` on the monotonic clock; times of day play no part."""

    at_ms: int
    state: LinkState
    reason: str
    """Name of a stopped state (`fenced`, `not-enrolled` ...), else empty."""
    last_contact_ms: int | None
    generation: int
    seq: int
    acked: int
    backlog: int
    """Records in the journal that the office has not acknowledged."""
    oldest_unsent_ms: int | None
    """When the oldest of them was written, at the latest; None when there is none."""
    rewinds: int
    forks: int
    disbelieved: int
    """Answers that claimed success and did not hold our own chain."""
    last_error: str
    next_try_ms: int | None
    rotate: bool
    """The office wants the credential replaced."""
    history_gone: bool
    """The office was restored to before what this site keeps: records are missing there for good."""
    begun_for: str
    """Why this run began the generation; empty if it did not."""


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """The downward half."""

    state: LinkState
    reason: str
    last_contact_ms: int | None
    epoch: int
    seq: int
    head: int
    """The office's newest row, as it last said."""
    snapshots: int
    commands: int
    commands_dropped: int
    """Doubled, or out of a snapshot."""
    last_error: str


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """Both halves at one moment; ages are counted when it is made."""

    state: LinkState
    reason: str
    last_contact_age_ms: int | None
    generation: int
    seq: int
    acked: int
    backlog: int
    oldest_unsent_age_ms: int
    rewinds: int
    forks: int
    disbelieved: int
    last_error: str
    next_try_in_ms: int | None
    rotate: bool
    history_gone: bool
    begun_for: str
    feed_state: LinkState
    feed_epoch: int
    feed_seq: int
    feed_lag: int
    """Rows the office has and this site has not."""
    feed_error: str


def link_status(up: UploadStatus, down: FeedStatus, now_ms: int) -> LinkStatus:
    """Ages and waits as seen at `now_ms`."""
    contacts = [at for at in (up.last_contact_ms, down.last_contact_ms) if at is not None]
    return LinkStatus(
        state=up.state,
        reason=up.reason,
        last_contact_age_ms=max(0, now_ms - max(contacts)) if contacts else None,
        generation=up.generation,
        seq=up.seq,
        acked=up.acked,
        backlog=up.backlog,
        oldest_unsent_age_ms=0 if up.oldest_unsent_ms is None else max(0, now_ms - up.oldest_unsent_ms),
        rewinds=up.rewinds,
        forks=up.forks,
        disbelieved=up.disbelieved,
        last_error=up.last_error,
        next_try_in_ms=None if up.next_try_ms is None else max(0, up.next_try_ms - now_ms),
        rotate=up.rotate,
        history_gone=up.history_gone,
        begun_for=up.begun_for,
        feed_state=down.state,
        feed_epoch=down.epoch,
        feed_seq=down.seq,
        feed_lag=max(0, down.head - down.seq),
        feed_error=down.last_error,
    )
