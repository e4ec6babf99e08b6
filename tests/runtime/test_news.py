"""What the office sends, on its way to the core: every kind by one path, and never faster than the core hears."""

from typing import Any

from gatectl.domain.events import Event, Received, ReceivedWhole, TariffReceived
from gatectl.runtime.clock import SystemClock
from gatectl.runtime.link import FEED_BURST_MAX, News
from sync.records import FeedRow


def news(told: list[Event], waits: list[int]) -> News:
    return News(told.append, SystemClock(), lambda: waits.append(len(told)))


def test_rows_of_known_kinds_become_events_and_others_stay_in_the_table() -> None:
    """A tariff has an event of its own; None is a row that is gone; of an unknown kind the core hears nothing."""
    told: list[Event] = []
    rows = [
        FeedRow(1, "pass", "M1", {"from_ms": 0, "cars": 2}),
        FeedRow(2, "quota", "main/COMPACT", None),
        FeedRow(3, "pasta", "x", {}),
        FeedRow(4, "tariff", "t", {"id": "t"}),
    ]

    news(told, []).applied(rows, whole=False)

    assert [
        Received("pass", "M1", '{"cars":2,"from_ms":0}', "office"),
        Received("quota", "main/COMPACT", None, "office"),
        TariffReceived("t", '{"id":"t"}', "office"),
    ] == told


def test_a_whole_feed_and_a_start_say_what_there_is() -> None:
    """Of every kind that is known, none left out: what is missing in it can be removed."""
    told: list[Event] = []
    news(told, []).applied([FeedRow(1, "pass", "M1", {})], whole=True)
    again: list[Event] = []
    stored: dict[str, list[tuple[str, dict[str, Any]]]] = {"pass": [("M1", {})]}
    news(again, []).again(lambda kind: stored.get(kind, []))

    for heard in (told, again):
        whole = {event.kind: event.keys for event in heard if isinstance(event, ReceivedWhole)}
        assert Received("pass", "M1", "{}", "office") in heard
        assert {"pass": ("M1",), "reservation": ()}.items() <= whole.items()


def test_a_long_feed_waits_for_the_core() -> None:
    """Ten thousand passes do not fill its inbox, which would stop the daemon."""
    told: list[Event] = []
    waits: list[int] = []
    rows = [FeedRow(n, "pass", f"M{n}", {}) for n in range(3 * FEED_BURST_MAX + 1)]

    news(told, waits).applied(rows, whole=False)

    assert [FEED_BURST_MAX, 2 * FEED_BURST_MAX, 3 * FEED_BURST_MAX] == waits
