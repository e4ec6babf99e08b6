"""The upload over a network with every fault there is, one seed one history; and proof that these checks can fail."""

from random import Random

import pytest
from sync_fakes import FAULTS, FakeOffice, SimulatedSite

from sync.ports import Answer, Position, Unreachable
from sync.records import Ack, Malformed
from sync.status import LinkState
from sync.upload import UploaderMachine


def _written_under_faults(seed: int, make: type[UploaderMachine] = UploaderMachine) -> SimulatedSite:
    """A site writes 400 facts while the network does its worst; then the faults stop, and nothing more is written."""
    site = SimulatedSite(FakeOffice(), seed=seed, faults=FAULTS, make=make)
    when = Random(seed * 7 + 1)
    written = 0
    while written < 400:
        for _ in range(when.randrange(30)):
            site.journal.write(f"fact-{written}")
            site.uploader.notify(written)
            written += 1
        if when.random() < 0.05:
            site.start()  # the process died and came back
        site.turn(when.randrange(6))
        _check_safety(site)
    site.wire.faults = ()
    site.settle()
    return site


def _check_safety(site: SimulatedSite) -> None:
    """What must hold after every step: the office holds a prefix, and the site believes no more than that."""
    held, mine = site.office.fact_ids(), site.journal.fact_ids()
    assert held == mine[: len(held)], f"seed {site.seed}: not a prefix"
    acked = site.journal.acked()
    assert acked.seq <= len(held), f"seed {site.seed}: believed {acked.seq} of {len(held)}"
    assert site.office.head(acked.generation)[0] >= acked.seq
    assert acked.head == site.journal.head_at(acked.generation, acked.seq)


def _check_complete(site: SimulatedSite) -> None:
    """Once the network is well everything arrives, in order, once, without another write, and the site knows."""
    rows = [line for lines in site.office.site.journals.values() for line in lines]
    assert site.journal.fact_ids() == site.office.fact_ids(), f"seed {site.seed}"
    assert len(site.journal.fact_ids()) == len(rows), f"seed {site.seed}: doubled"
    assert site.journal.position() == site.journal.acked(), f"seed {site.seed}: lag"
    status = site.uploader.status
    assert (status.state, status.backlog, status.forks) == (LinkState.ONLINE, 0, 0), f"seed {site.seed}: {status}"


@pytest.mark.parametrize("seed", range(20))
def test_everything_arrives_once_in_order_whatever_the_network_does(seed: int) -> None:
    site = _written_under_faults(seed)

    _check_complete(site)


def test_every_fault_was_there() -> None:
    """The seeds above between them meet every fault the network has: a test of the tests."""
    seen = {fault for seed in range(5) for fault in _written_under_faults(seed).wire.seen}

    assert {*FAULTS, ""} == seen


@pytest.mark.parametrize("seed", range(8))
def test_both_ends_may_be_restored_in_between(seed: int) -> None:
    """At random the site's disk or the office goes back to a backup. No fact that anybody still holds is lost or doubled.

    What the site lost with its disk and the office with its own is gone; what either has is at the office in the end.
    """
    random = Random(seed)
    site = SimulatedSite(FakeOffice(), seed=seed, faults=FAULTS)
    site.wire.odds = 0.2
    written, survivors = 0, set[str]()
    site_backup, office_backup = site.journal.copy(), site.office.backup()
    for _ in range(60):
        for _ in range(random.randrange(20)):
            site.journal.write(f"fact-{written}")
            written += 1
        site.turn(random.randrange(8))
        match random.randrange(20):
            case 0 | 1:
                site_backup = site.journal.copy()
            case 2 | 3:
                office_backup = site.office.backup()
            case 4:
                site.journal = site_backup.copy()
                site.start()
            case 5:
                while site.machine._phase.name in ("SEARCH", "OPEN"):  # a restore outlasts one exchange, which fails
                    site.turn()
                site.office.site = office_backup
                office_backup = site.office.backup()
        survivors = set(site.journal.fact_ids()) | set(site.office.fact_ids())
    site.wire.faults = ()
    site.settle()
    if site.uploader.status.reason == "fenced":  # a backup from before the site's last generation: a person enrols it
        site.start(generation=site.office.site.current)
    site.settle()
    site.settle()

    assert survivors == set(site.office.fact_ids()), f"seed {seed}"
    assert site.uploader.status.backlog == 0, f"seed {seed}"
    assert site.uploader.status.state == LinkState.ONLINE, f"seed {seed}"


class BelievesAny200(UploaderMachine):
    """The negative control: what a sync looks like that trusts the status."""

    def answered(self, answer: Answer | Unreachable, now_ms: int) -> None:
        batch = self._batch
        if isinstance(answer, Answer) and answer.status == 200 and self._phase.name == "PUSH" and batch is not None:
            try:
                Ack.from_json(answer.body)
            except Malformed:
                made = Ack(self._me.site, self._cursor.generation, batch.last, batch.head.hex(), 1, 0, 0).to_json()
                answer = Answer(200, "application/json", (), made)
        super().answered(answer, now_ms)


class BelievesAnyHead(UploaderMachine):
    """The negative control: an acknowledgement by number alone."""

    def _believed(self, said: Ack, batch) -> Position | None:
        return Position(self._cursor.generation, batch.last, batch.head)


class ForgetsTheTail(UploaderMachine):
    """The negative control: after a failure nothing is sent until somebody writes again."""

    def _failed(self, now_ms: int, why: str, retry_after_ms: int = 0) -> None:
        super()._failed(now_ms, why, retry_after_ms)
        self._not_before_ms = now_ms + 10**9


def _check_seeds(make: type[UploaderMachine]) -> None:
    for seed in range(10):
        _check_complete(_written_under_faults(seed, make))


@pytest.mark.parametrize("planted", [BelievesAny200, ForgetsTheTail])
def test_a_planted_mistake_is_caught(planted: type[UploaderMachine]) -> None:
    """The checks above find both classic bugs within a few seeds: a portal's 200, and a tail left behind."""
    with pytest.raises(AssertionError, match="seed"):
        _check_seeds(planted)


def test_an_acknowledgement_by_number_alone_is_caught() -> None:
    """Another site's office answers through a misdirected proxy: the number fits, the chain does not."""
    wrong = Ack("hill-street", 1, 3, "ab" * 32, 1, 0, 0).to_json()

    def run(make: type[UploaderMachine]) -> SimulatedSite:
        site = SimulatedSite(FakeOffice(), make=make)
        for n in range(3):
            site.journal.write(f"fact-{n}")
        site.turn()
        site.wire.ask = lambda request: Answer(200, "application/json", (), wrong)
        site.turn(2)
        return site

    honest = run(UploaderMachine)
    _check_safety(honest)

    assert honest.machine.disbelieved == 1
    with pytest.raises(AssertionError, match="believed 3 of 0"):
        _check_safety(run(BelievesAnyHead))
