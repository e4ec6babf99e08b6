"""What the upload machine makes of each answer, one at a time, under simulated time."""

import json
from dataclasses import replace
from random import Random

import pytest
from sync_fakes import FakeOffice, Journal, OfficeSite, SimulatedSite, identity

from sync.backoff import RETRY_AFTER_MS_MAX, SLOW_MS, Backoff, retry_after_ms
from sync.ports import Answer, JournalDamaged, Request, Unreachable
from sync.records import BATCH_RECORDS_MAX
from sync.status import LinkState
from sync.upload import QUIET_MS_MAX, Acknowledge, Send, UploaderMachine, Wait


def _site(records: int = 0, office: FakeOffice | None = None) -> SimulatedSite:
    site = SimulatedSite(office or FakeOffice())
    for n in range(records):
        site.journal.write(f"fact-{n}")
    return site


def _machine(journal: Journal, office: FakeOffice) -> UploaderMachine:
    return UploaderMachine(identity(office), journal, Random(1), wall_ms=lambda: 0)


def _sent(machine: UploaderMachine, now_ms: int = 0) -> Request:
    step = machine.step(now_ms)
    assert isinstance(step, Send), step
    return step.request


def _greeted(records: int) -> tuple[UploaderMachine, Request, FakeOffice]:
    """A machine that has been welcomed, and the upload it wants to send."""
    office, journal = FakeOffice(), Journal()
    for n in range(records):
        journal.write(f"fact-{n}")
    machine = _machine(journal, office)
    machine.answered(office.ask(_sent(machine)), 0)
    return machine, _sent(machine), office


def test_a_journal_reaches_the_office_in_order() -> None:
    """1,203 records written while the link was down go up in three batches."""
    site = _site(1_203)
    site.settle()

    assert site.journal.fact_ids() == site.office.fact_ids()
    assert site.office.batches == [500, 500, 203]
    assert site.uploader.status.state == LinkState.ONLINE
    assert site.uploader.status.backlog == 0


def test_a_batch_stays_under_the_byte_limit() -> None:
    """Forty bodies of 60 kB are more than 1 MiB: the office never has to refuse one of our batches."""
    site = _site()
    for n in range(40):
        site.journal.write(f"fact-{n}", text="x" * 60_000)
    site.settle()

    assert len(site.office.fact_ids()) == 40
    assert len(site.office.batches) == 3


@pytest.mark.parametrize(
    "forge",
    [
        lambda a: replace(a, content_type="text/html"),
        lambda a: replace(a, body=b"<html>"),
        lambda a: replace(a, body=a.body[:-1]),
        lambda a: replace(a, status=302),
        lambda a: replace(a, status=500),
        lambda a: _with(a, schema="gatectl.welcome/1"),
        lambda a: _with(a, site="another"),
        lambda a: _with(a, generation=2),
        lambda a: _with(a, head="00" * 32),
        lambda a: _with(a, ack=2),
        lambda a: _with(a, ack=0),
        lambda a: _with(a, ack=4),
        lambda a: _with(a, ack=None),
        lambda _: Unreachable("reset"),
    ],
    ids=[
        "content-type",
        "html",
        "cut",
        "redirect",
        "500",
        "schema",
        "site",
        "generation",
        "head",
        "less",
        "none",
        "more",
        "null",
        "unreachable",
    ],
)
def test_nothing_but_an_echo_of_our_chain_is_an_acknowledgement(forge) -> None:
    """Three records went out; what comes back differs in one place from what the office says."""
    machine, upload, office = _greeted(3)
    machine.answered(forge(office.ask(upload)), 0)

    assert isinstance(machine.step(0), Wait)
    assert machine.status(0).backlog == 3
    assert machine.status(0).last_error != ""


def test_the_office_may_hold_more_than_the_batch() -> None:
    """All 600 records arrived before the process died; its next run sends 500 and hears that 600 are held."""
    office, journal = FakeOffice(), Journal()
    for n in range(600):
        journal.write(f"fact-{n}")
    machine = _machine(journal, office)
    machine.answered(office.ask(_sent(machine)), 0)
    upload = _sent(machine)
    SimulatedSite(office, journal=journal.copy()).settle()
    machine.answered(office.ask(upload), 0)

    assert Acknowledge(journal.position()) == machine.step(0)


def _with(answer: Answer, **members: object) -> Answer:
    return replace(answer, body=json.dumps({**json.loads(answer.body), **members}).encode())


def test_the_whole_journal_is_sent_after_a_failure_without_a_new_write() -> None:
    """The link fails while the last record goes out and nobody writes again: the queue drains all the same."""
    site = _site(5)
    site.wire.faults, site.wire.odds = ("request-lost",), 1.0
    site.turn(50)
    assert site.uploader.status.backlog == 5
    site.wire.faults = ()
    site.settle()

    assert site.journal.fact_ids() == site.office.fact_ids()
    assert site.uploader.status.backlog == 0
    assert site.uploader.status.last_error == ""


def test_an_idle_link_that_failed_once_is_online_again() -> None:
    """Nothing to send, one greeting lost: the next good greeting ends the trouble."""
    site = _site()
    site.wire.faults, site.wire.odds = ("502",), 1.0
    site.turn(2)
    assert site.uploader.status.state == LinkState.NEVER
    site.wire.faults = ()
    site.settle()

    assert site.uploader.status.state == LinkState.ONLINE


def test_a_quiet_site_learns_that_the_office_was_restored() -> None:
    """The office goes back to last night's backup. No car comes; within a minute the missing records are sent again."""
    site = _site(10)
    site.settle()
    backup = site.office.backup()
    for n in range(10, 15):
        site.journal.write(f"fact-{n}")
    site.settle()
    site.office.site = backup
    site.settle(2 * QUIET_MS_MAX)
    site.settle(2 * QUIET_MS_MAX)

    assert [f"fact-{n}" for n in range(15)] == site.office.fact_ids()
    assert site.uploader.status.rewinds == 1
    assert site.uploader.status.forks == 0


def test_an_office_without_our_generation_gets_its_facts_under_a_new_one() -> None:
    """The office is restored to before the site's last generation began; the site sends again what the office lost."""
    site = _site(10)
    site.settle()
    ancient = site.office.backup()
    site.journal.write("fact-10")
    site.settle()
    site.office.site.current, site.office.site.journals[2] = 2, []
    site.journal.begin_generation(2, "test")
    site.journal.write("fact-11")
    site.start()
    site.settle()
    assert len(site.office.fact_ids()) == 12
    site.office.site = ancient
    site.start()
    site.settle()

    assert [f"fact-{n}" for n in range(12)] == site.office.fact_ids()
    assert site.journal.begun[-1] == (3, "office-restored")


def test_a_restored_site_is_detected_and_loses_nothing() -> None:
    """The site's disk is replaced by last week's backup and works offline: old and new facts are all at the office."""
    office = FakeOffice()
    site = _site(20, office)
    site.settle()
    backup = site.journal.copy()
    for n in range(20, 30):
        site.journal.write(f"fact-{n}")
    site.settle()
    again = SimulatedSite(office, journal=backup)
    for n in range(5):
        backup.write(f"after-restore-{n}")
    again.settle()

    assert backup.begun == [(2, "behind")]
    assert [f"fact-{n}" for n in range(30)] + [f"after-restore-{n}" for n in range(5)] == office.fact_ids()
    assert again.uploader.status.forks == 1


def test_a_restored_site_that_overtook_the_office_is_a_fork() -> None:
    """It wrote so much offline that its numbers pass the office's: the head there gives it away."""
    office = FakeOffice()
    site = _site(20, office)
    site.settle()
    backup = site.journal.copy()
    site.journal.write("lost-with-the-disk")
    site.settle()
    again = SimulatedSite(office, journal=backup)
    for n in range(50):
        backup.write(f"after-restore-{n}")
    again.settle()

    assert backup.begun == [(2, "forked")]
    assert len(office.fact_ids()) == 71


def test_a_damaged_journal_begins_no_generation_and_asks_for_no_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two ends have parted, and what would be sent again does not hold its chain: it is told by name, and stays so."""

    def refuses(self: Journal, generation: int, reason: str) -> None:
        raise JournalDamaged("record 1/21")

    monkeypatch.setattr(Journal, "begin_generation", refuses)
    office = FakeOffice()
    site = _site(20, office)
    site.settle()
    backup = site.journal.copy()
    site.journal.write("lost-with-the-disk")
    site.settle()
    backup.write("after-restore")
    again = SimulatedSite(office, journal=backup)
    again.settle()

    assert (LinkState.STOPPED, "journal-damaged") == (again.uploader.status.state, again.uploader.status.reason)
    assert "record 1/21" in again.uploader.status.last_error
    assert 2 == max(office.site.journals)
    assert 21 == len(office.fact_ids())


def test_facts_sent_under_the_old_number_keep_their_ids() -> None:
    """The backup holds facts that the office has, but not that it has them: they go up again and count once."""
    office = FakeOffice()
    site = _site(20, office)
    backup = site.journal.copy()
    site.journal.write("fact-20")
    site.settle()
    again = SimulatedSite(office, journal=backup)
    again.settle()

    assert [f"fact-{n}" for n in range(21)] == office.fact_ids()
    assert len(office.site.journals[2]) == 20


def test_a_clone_fences_the_original_and_people_see_it() -> None:
    """Two machines run from one disk image. The one that comes second takes over; the first stops and says why."""
    office = FakeOffice()
    site = _site(20, office)
    site.settle()
    clone = SimulatedSite(office, journal=site.journal.copy())
    site.journal.write("original-20")
    site.settle()
    clone.journal.write("clone-20")
    clone.settle()
    site.journal.write("original-21")
    site.settle(60_000)
    status = site.uploader.status

    assert (status.state, status.reason) == (LinkState.STOPPED, "fenced")
    assert "another copy" in status.last_error
    assert status.backlog == 1
    assert status.next_try_ms is not None
    assert status.next_try_ms - status.at_ms + 60_000 >= SLOW_MS * 0.8
    assert office.site.current == 2


def test_the_fenced_site_goes_on_once_it_is_enrolled_again() -> None:
    """A person decides which machine is the site: enrolling it makes it write under a new generation."""
    office = FakeOffice()
    site = _site(3, office)
    site.settle()
    office.site.current, office.site.journals[2] = 2, office.site.journals[1][:0]
    clone = SimulatedSite(office, journal=Journal(generation=2))
    clone.journal.write("clone-1")
    clone.settle()
    site.journal.write("fact-3")
    site.settle(60_000)
    assert site.uploader.status.reason == "fenced"
    site.start(generation=2)
    site.settle()

    assert {"fact-0", "fact-1", "fact-2", "fact-3", "clone-1"} == set(office.fact_ids())
    assert site.uploader.status.backlog == 0


def test_a_lost_answer_to_a_new_generation_stops_nobody() -> None:
    """The office opened generation 2 and the answer was lost; so was the process. The next greeting sees it empty."""
    office = FakeOffice()
    site = _site(3, office)
    site.settle()
    office.site.current, office.site.journals[2] = 2, []
    site.journal.write("fact-3")
    site.start()
    site.settle()

    assert site.journal.begun == [(3, "unfinished-generation")]
    assert len(office.fact_ids()) == 4


def test_a_revoked_credential_stops_the_link_by_name() -> None:
    """The office revokes the site: the state says so, is tried slowly, and ends by itself when the office relents."""
    site = _site(3)
    site.office.enrolled = False
    site.settle(600_000)
    status = site.uploader.status
    assert (status.state, status.reason) == (LinkState.STOPPED, "not-enrolled")
    assert len(site.office.asked) <= 4
    site.office.enrolled = True
    site.settle()

    assert site.uploader.status.state == LinkState.ONLINE


def test_a_proxy_that_takes_small_bodies_gets_small_batches() -> None:
    """Something between refuses more than 20 kB: batches halve until they pass, and grow when it is gone."""
    site = _site(2_000)
    site.office.bytes_max = 20_000
    site.settle()
    assert len(site.office.fact_ids()) == 2_000
    assert max(site.office.batches) < 150
    site.office.bytes_max = 1_048_576
    for n in range(30_000):
        site.journal.write(f"later-{n}")
    site.settle()

    assert max(site.office.batches) == BATCH_RECORDS_MAX


def test_retry_after_is_honoured_and_capped() -> None:
    """A busy office says when to come back; nobody can send a site away for a day."""
    backoff = Backoff(Random(3))

    assert backoff.failed(120_000) >= 120_000
    assert retry_after_ms((("retry-after", "86400"),)) == RETRY_AFTER_MS_MAX
    assert retry_after_ms((("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),)) == 0
    assert retry_after_ms((("x", "1"), ("retry-after", "7"))) == 7_000


def test_waits_grow_and_differ() -> None:
    """Full jitter: two sites that failed together do not come back together, and none waits over a minute."""
    one, two = Backoff(Random(1)), Backoff(Random(2))
    waits = [(one.failed(), two.failed()) for _ in range(12)]

    assert sum(a != b for a, b in waits) == 12
    assert all(200 <= wait <= 60_000 for pair in waits for wait in pair)
    assert max(waits[-1] + waits[-2] + waits[-3]) > 10_000


def test_gzip_is_spoken_to_an_office_that_asks_for_it() -> None:
    """The office reads gzip only."""
    site = _site(3)
    site.office.encodings = ("gzip",)
    site.settle()

    assert {"gzip"} == site.office.used_encodings


def test_an_edited_record_on_the_disk_is_not_sent() -> None:
    """One bit of a stored body flips: the journal no longer fits its own chain, and that is said."""
    site = _site(5)
    record, head = site.journal.rows[1][2]
    site.journal.rows[1][2] = (replace(record, body=record.body.replace(b"fact-2", b"fact-9")), head)
    site.settle(60_000)
    status = site.uploader.status

    assert (status.state, status.reason) == (LinkState.STOPPED, "journal-damaged")
    assert site.office.fact_ids() == []


def test_a_batch_that_is_refused_as_broken_is_not_sent_for_ever() -> None:
    """The office computes another chain: twice it may be the line, the third time a person must look."""
    machine, _, office = _greeted(3)
    now_ms, reasons = 0, []
    for _ in range(3):
        machine.answered(Answer(422, "application/problem+json", (), b'{"type":"/problems/bad-chain"}'), now_ms)
        status = machine.status(now_ms)
        reasons.append(status.reason)
        assert status.next_try_ms is not None
        now_ms = status.next_try_ms
        machine.answered(office.ask(_sent(machine, now_ms)), now_ms)
        _sent(machine, now_ms)

    assert reasons == ["", "", "bad-chain"]


def test_a_problem_of_somebody_else_is_no_refusal() -> None:
    """A gateway answers 403 with a problem document of its own: that is weather, not the office's word."""
    machine, _, _ = _greeted(3)
    machine.answered(Answer(403, "application/problem+json", (), b'{"type":"about:blank"}'), 0)

    assert machine.status(0).reason == ""
    assert machine.status(0).state == LinkState.BACKING_OFF


def test_an_office_of_a_later_protocol_is_named() -> None:
    machine = _machine(Journal(), FakeOffice())
    hello = _sent(machine)
    machine.answered(_with(FakeOffice().ask(hello), protocol=7), 0)

    assert machine.status(0).reason == "protocol"


def test_history_that_nobody_holds_is_reported() -> None:
    """The office was restored to before what this site keeps: what there is goes up, and people hear of the rest."""
    office = FakeOffice()
    site = _site(10, office)
    site.settle()
    site.journal.write("fact-10")
    office.site = OfficeSite(journals={1: office.site.journals[1][:4]})
    site.journal.forget(6)
    site.start()
    site.settle()

    assert site.uploader.status.history_gone
    assert [f"fact-{n}" for n in (0, 1, 2, 3, 10)] == office.fact_ids()


def test_the_oldest_unsent_record_tells_its_age() -> None:
    """Written at 40 s of this boot and still here at 100 s; one of an earlier boot counts from when it was seen."""
    office, journal = FakeOffice(), Journal()
    machine = _machine(journal, office)
    assert machine.status(90_000).oldest_unsent_ms is None
    journal.write("a", mono_ms=40_000)
    assert machine.status(100_000).oldest_unsent_ms == 40_000
    journal.acknowledge(1, 1, journal.position().head)
    assert machine.status(100_000).oldest_unsent_ms is None
    journal.write("b", mono_ms=77_000)
    reborn = UploaderMachine(replace(identity(office), boot="another"), journal, Random(1), wall_ms=lambda: 0)
    reborn.status(5_000)

    assert reborn.status(9_000).oldest_unsent_ms == 5_000


def test_a_gap_leads_back_to_what_the_office_holds() -> None:
    """The office lost its tail between two batches: one greeting later the tail goes up."""
    office = FakeOffice()
    site = _site(600, office)
    site.turn(3)  # greeted, first batch sent and stored
    assert site.journal.acked().seq == 500
    office.site.journals[1] = office.site.journals[1][:100]
    site.settle()

    assert len(office.fact_ids()) == 600
    assert site.uploader.status.rewinds == 1


def test_a_restored_office_is_told_to_the_feed() -> None:
    """Once per rewind, so that reference data is taken anew."""
    told: list[str] = []
    site = _site(10)
    site.settle()
    site.office.site.journals[1] = site.office.site.journals[1][:4]
    site.start()
    site.uploader._on_office_restored = lambda: told.append("restored")
    site.settle()

    assert ["restored"] == told
