"""The worked prices of docs/business/charging.md, told by a charger and read off the stay."""

import re
from pathlib import Path

import pytest
from charging_stories import MINUTE_MS, begin, end, ev_story, extras, status, tell

PAGE = (Path(__file__).parents[2] / "docs" / "business" / "charging.md").read_text()
ROWS = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, flags=re.M)


@pytest.mark.parametrize("cells", ROWS, ids="-".join)
def test_a_worked_session(cells: tuple[str, ...]) -> None:
    """Full after an hour, unplugged so many minutes later."""
    energy_wh, idle_minutes, connection, energy, idle = map(int, cells)
    story = ev_story()
    ticket = story.enter().ticket
    session = begin(story)
    story.later(60 * MINUTE_MS)
    tell(story, "charger-meter", transaction=str(session["transaction_id"]), meter_wh=1_000 + energy_wh)
    status(story, "paused")
    story.later(idle_minutes * MINUTE_MS)
    end(story, session, 1_000 + energy_wh)
    status(story, "available")
    story.later(60 * MINUTE_MS)

    assert [amount for amount in (connection, energy, idle) if amount] == [
        amount for _, amount in extras(story, ticket)
    ]


def test_the_page_has_its_examples() -> None:
    """A table that nobody finds is executed by nobody."""
    assert 5 == len(ROWS)
