"""Where two histories part when neither end's newest generation says anything about the older ones."""

from sync_fakes import FakeOffice, OfficeSite, SimulatedSite

from sync.status import LinkState
from sync.upload import UNFINISHED_MS


def _two_generations(office: FakeOffice) -> SimulatedSite:
    """Six facts under generation 1, all acknowledged; then the disk comes from a backup of the third, and writes on."""
    site = SimulatedSite(office)
    for n in range(3):
        site.journal.write(f"fact-{n}")
    site.settle()
    backup = site.journal.copy()
    for n in range(3, 6):
        site.journal.write(f"lost-{n}")
    site.settle()
    site.journal = backup
    site.start()
    for n in range(3, 6):
        site.journal.write(f"fact-{n}")
    site.settle()
    assert site.journal.generation == 2
    return site


def test_an_office_from_before_both_generations_gets_what_it_lacks_of_the_older_one() -> None:
    """The office comes back with one record, another machine opens and uses a generation there, this one is enrolled again.

    Nothing of its generation 2 is at the office; that says nothing about generation 1, of which two facts are gone there.
    Found by `gatectl simulate` (seed 51, restores and clones alone): they were never sent again.
    """
    office = FakeOffice()
    site = _two_generations(office)
    office.site = OfficeSite(journals={1: office.site.journals[1][:1], 3: []}, current=3)
    other = SimulatedSite(office)
    other.journal.generation = 3
    other.journal.write("other-1")
    other.settle()
    assert 1 == len(office.site.journals[3])
    site.start(generation=3)
    site.settle()

    assert {*site.journal.fact_ids(), "other-1"} == set(office.fact_ids())
    assert LinkState.ONLINE == site.uploader.status.state


def test_the_beginning_of_a_generation_proves_nothing_of_the_one_before() -> None:
    """The office is at the beginning of the site's own generation, and holds less of the older one than it did."""
    office = FakeOffice()
    site = _two_generations(office)
    office.site = OfficeSite(journals={1: office.site.journals[1][:2], 2: []}, current=2)
    site.start()
    site.settle()

    assert site.journal.fact_ids() == office.fact_ids()
    assert 1 == site.uploader.status.rewinds


def test_a_generation_that_was_just_begun_costs_one_question_more() -> None:
    """The usual case: the office holds all of the older generation, one record says so, and nothing is taken back."""
    office = FakeOffice()
    site = _two_generations(office)
    before = len(office.asked)
    site.start()
    site.settle()
    office.site.journals[2].clear()
    site.start()
    site.settle()

    assert ["hello", "hello", "journal", "journal"] == office.asked[before:]
    assert site.journal.fact_ids() == [fact for fact in office.fact_ids() if fact.startswith("fact")]


def test_a_generation_that_another_machine_opened_just_now_is_left_to_it() -> None:
    """Two machines speak for the site. What one opens, the other does not outbid at once: that race had no end in sight."""
    office = FakeOffice()
    site = SimulatedSite(office)
    site.journal.write("fact-0")
    site.settle()
    office.site.current, office.site.journals[2] = 2, []
    site.start()
    site.turn()
    asked_ms, other = site.clock.now_ms, SimulatedSite(office)
    other.journal.generation = 2
    other.journal.write("other-1")
    other.settle()
    site.turn(3)

    assert "fenced" == site.uploader.status.reason
    assert 2 == office.site.current
    assert UNFINISHED_MS <= site.clock.now_ms - asked_ms


def test_a_generation_that_nobody_writes_to_is_outbid_after_a_while() -> None:
    """The process died between opening it and storing that it had."""
    office = FakeOffice()
    site = SimulatedSite(office)
    office.site.current, office.site.journals[2] = 2, []
    site.journal.write("fact-0")
    site.start()
    site.settle()

    assert [(3, "unfinished-generation")] == site.journal.begun
    assert ["fact-0"] == office.fact_ids()
