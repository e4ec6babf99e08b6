"""Reference data from the office: one path for every kind of row, judged by the subject that knows it."""

import json
from collections.abc import Iterator
from typing import Final

from gatectl.domain.business.registry import FEEDS
from gatectl.domain.business.rule import Context, No
from gatectl.domain.events import Received, ReceivedWhole
from gatectl.domain.facts import Fact

BODY_CHARS_MAX: Final = 32 * 1024
KEY_CHARS_MAX: Final = 100


def received(context: Context, event: Received) -> tuple[Fact, ...] | No:
    """The facts that a row leads to: none if it is known already. Any row is answered."""
    feed = FEEDS.get(event.kind)
    if feed is None:
        return No("E-NOT-01", f"this version knows no {event.kind[:40]!r}")
    if not (0 < len(event.key) <= KEY_CHARS_MAX and event.key.isprintable()):
        return No("E-USE-01", f"a key has 1 to {KEY_CHARS_MAX} printable characters")
    body = None
    if event.body is not None:
        if len(event.body) > BODY_CHARS_MAX:
            return No("E-USE-01", f"{len(event.body)} characters, at most {BODY_CHARS_MAX}")
        try:
            body = json.loads(event.body)
        except (ValueError, RecursionError) as error:
            return No("E-USE-01", f"not JSON: {error}"[:200])
        if not isinstance(body, dict):
            return No("E-USE-01", f"a JSON {type(body).__name__}, not an object")
    outcome = feed.take(context, event.key, body, event.source)
    return outcome if isinstance(outcome, No) else tuple(outcome)


def removed(context: Context, event: ReceivedWhole) -> Iterator[Received]:
    """What the site holds of the feed and the whole feed has no more."""
    feed = FEEDS.get(event.kind)
    if feed is not None:
        there = frozenset(event.keys)
        for key in sorted(key for key in feed.held(context) if key not in there):
            yield Received(event.kind, key, None, event.source)
