"""Where the two ends' histories parted is on record once, with the reason, and in words."""

import json

from site_stories import Story, site_plan

from gatectl.domain import codec
from gatectl.domain.events import HistoryStands
from gatectl.domain.facts import Fact
from gatectl.domain.ids import Boot
from gatectl.domain.records.histories import GenerationBegun, HistoryGone
from gatectl.domain.telling import tell


def told(*stands: HistoryStands) -> list[Fact]:
    story = Story(site_plan(), Boot("ab" * 8, "K7QF")).start()
    for each in stands:
        story.tell(each)
    return [fact for fact in story.facts if isinstance(fact, GenerationBegun | HistoryGone)]


def test_a_new_site_has_no_history_to_tell_of() -> None:
    """Generation 1 is how every site begins."""
    assert [] == told(HistoryStands(1, "", False))


def test_a_disk_that_was_copied_is_told_once() -> None:
    """The uplink says it after every start; the journal says it once, in words that an auditor understands."""
    found = told(HistoryStands(3, "forked", False), HistoryStands(3, "", False), HistoryStands(3, "forked", True))

    assert [GenerationBegun, HistoryGone] == [type(fact) for fact in found]
    words = tell(found[0].kind, json.loads(codec.encode(found[0])))
    assert words.startswith("the journal goes on as generation 3: the office holds another continuation")
