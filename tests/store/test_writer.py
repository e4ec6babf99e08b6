"""The writer's promises: durable before it moves, all or nothing, one transaction for all who wait, and a named end."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection
from store_bench import BOOT, SITE, WAIT_S_MAX, Bench, commit, issued

from gatectl.domain import facts as f
from gatectl.domain.ids import TicketNumber
from gatectl.store import writer as writer_module
from gatectl.store.database import set_mark
from gatectl.store.writer import GROUP_BATCHES_MAX, StoreStopped, Writer


def test_effects_are_released_only_after_their_facts_can_be_read(bench: Bench) -> None:
    """Whatever moves, moves for a fact that a reader beside the writer sees already."""
    bench.writer.start()

    for number in range(1, 6):
        bench.writer.submit(commit(issued(number)))
        bench.wait_released(number)

    assert list(range(1, 6)) == bench.seen
    assert 5 == bench.rows("SELECT count(*) FROM tickets WHERE state = 'issued'")[0][0]
    assert [] == bench.deaths


def test_batches_that_wait_share_one_transaction(bench: Bench) -> None:
    """A hundred lanes share one sync, in the order in which the core decided."""
    for number in range(1, 101):
        bench.writer.submit(commit(issued(number)))
    bench.statements.clear()

    bench.writer.start()
    bench.wait_released(100)

    assert 1 == bench.begins()
    assert list(range(1, 101)) == [bench.released[n].facts[0].fact.counter for n in range(100)]  # type: ignore[attr-defined]  # all are TicketIssued


def test_a_transaction_holds_at_most_so_many_batches(bench: Bench) -> None:
    """One commit never grows without end: the last who came must not wait for all."""
    for _ in range(2 * GROUP_BATCHES_MAX + 1):
        bench.writer.submit(commit(f.CodeRefused("OUT-1", "copy", None)))  # type: ignore[arg-type]  # a NewType of str
    bench.statements.clear()

    bench.writer.start()
    bench.wait_released(2 * GROUP_BATCHES_MAX + 1)

    assert 3 == bench.begins()


def test_what_decides_nothing_needs_no_disk(bench: Bench) -> None:
    """A batch of effects alone (a text for the driver) is released without a transaction."""
    bench.statements.clear()

    bench.writer.submit(commit())
    bench.writer.start()
    bench.wait_released(1)

    assert 0 == bench.begins()


def test_a_commit_that_fails_ends_the_process_and_leaves_nothing(bench: Bench) -> None:
    """Two tickets on one spot: the database refuses what the core should never have decided, and all of its group."""
    bench.writer.submit(commit(issued(1, spot="A-1")))
    bench.writer.submit(commit(issued(2, spot="A-1")))

    bench.writer.start()

    assert bench.died.wait(WAIT_S_MAX)
    assert ["commit failed"] == [why.partition(":")[0] for why in bench.deaths]
    assert [] == bench.released
    assert [(0,)] == bench.rows("SELECT count(*) FROM journal")
    assert [(0,)] == bench.rows("SELECT count(*) FROM tickets")


def test_who_waits_for_a_writer_that_fails_is_told(bench: Bench) -> None:
    """An acknowledgement behind the bad batch is refused at once, not after a time-out; so is every later one."""
    bench.writer.submit(commit(issued(1, spot="A-1"), issued(2, spot="A-1")))
    began_s = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(bench.writer.call, lambda connection: set_mark(connection, "x", "1"))
        while bench.writer.waiting() < 2:
            assert time.monotonic() - began_s < WAIT_S_MAX

        bench.writer.start()

        with pytest.raises(StoreStopped):
            waiting.result(WAIT_S_MAX)
    assert bench.died.wait(WAIT_S_MAX)
    with pytest.raises(StoreStopped):
        bench.writer.call(lambda connection: set_mark(connection, "x", "1"))


def test_a_call_that_slips_in_behind_the_end_is_refused_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer stops between the look and the queueing: nobody serves the queue any more."""
    bench.writer.start()
    real_put = bench.writer._queue.put

    def put(asked: object, timeout: float | None = None) -> None:
        monkeypatch.setattr(bench.writer._queue, "put", real_put)
        bench.writer.stop()
        real_put(asked, timeout=timeout)  # type: ignore[arg-type]  # what was given

    monkeypatch.setattr(writer_module, "CALL_S_MAX", 5.0)
    monkeypatch.setattr(bench.writer._queue, "put", put)
    began_s = time.monotonic()

    with pytest.raises(StoreStopped):
        bench.writer.call(lambda connection: None)

    assert time.monotonic() - began_s < 2.0


def test_a_core_that_outruns_the_disk_ends_the_process(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue has a limit; one batch more and nothing is promised any longer."""
    monkeypatch.setattr(writer_module, "BATCHES_WAITING_MAX", 3)
    deaths: list[str] = []
    full = Writer(bench.connection, SITE, BOOT, lambda commits, tip: None, deaths.append)
    for number in range(1, 4):
        full.submit(commit(issued(number)))

    with pytest.raises(StoreStopped):
        full.submit(commit(issued(4)))

    assert ["3 batches wait for the disk"] == deaths
    assert 3 == full.waiting()


def test_a_call_is_durable_when_it_returns(bench: Bench) -> None:
    """What another room writes (a cursor) is on disk before its caller goes on, and stands behind what was submitted."""
    bench.writer.start()
    bench.writer.submit(commit(issued(1)))

    def job(connection: Connection) -> int:
        set_mark(connection, "x", "1")
        count: int = connection.exec_driver_sql("SELECT count(*) FROM journal").scalar_one()
        return count

    assert 1 == bench.writer.call(job)
    assert [("1",)] == bench.rows("SELECT value FROM marks WHERE name = 'x'")


def test_a_call_that_fails_is_the_callers_and_changes_nothing(bench: Bench) -> None:
    """Half a write is undone, the caller hears why, and the writer goes on with the next."""
    bench.writer.start()

    def half(connection: Connection) -> None:
        set_mark(connection, "half", "1")
        raise LookupError("mistake")

    with pytest.raises(LookupError, match="mistake"):
        bench.writer.call(half)

    bench.writer.submit(commit(issued(1)))
    bench.wait_released(1)
    assert [] == bench.rows("SELECT value FROM marks WHERE name = 'half'")
    assert [] == bench.deaths


def test_calls_from_many_threads_are_one_after_the_other(bench: Bench) -> None:
    """Uploader, puller and people write at the same time; no write is lost."""
    bench.writer.start()

    def add(connection: Connection) -> None:
        was = connection.exec_driver_sql("SELECT value FROM marks WHERE name = 'n'").scalar()
        set_mark(connection, "n", str(int(was or 0) + 1))

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(bench.writer.call, add) for _ in range(40)]:
            done.result(WAIT_S_MAX)

    assert [("40",)] == bench.rows("SELECT value FROM marks WHERE name = 'n'")


def test_stopping_writes_what_waits_and_twice_is_once(bench: Bench) -> None:
    """A clean end loses nothing that the core has decided."""
    for number in range(1, 8):
        bench.writer.submit(commit(issued(number)))
    bench.writer.start()

    bench.writer.stop()
    bench.writer.stop()

    assert [(7,)] == bench.rows("SELECT count(*) FROM journal")
    assert 7 == len(bench.released)


def test_an_end_does_not_wait_for_ever_for_a_wedged_disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that stops because the disk hangs must stop, though the disk hangs."""
    monkeypatch.setattr(writer_module, "STOP_S_MAX", 0.2)
    wedged, hangs = threading.Event(), threading.Event()

    def hang(connection: Connection) -> None:
        hangs.set()
        wedged.wait(WAIT_S_MAX)

    bench.writer.start()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(bench.writer.call, hang)
        assert hangs.wait(WAIT_S_MAX)

        stopped = bench.writer.stop()

        wedged.set()
    assert not stopped


def test_a_learned_number_and_an_issued_one_are_told_apart(bench: Bench) -> None:
    """The mirror knows which numbers it never issued."""
    learned = f.TicketLearned(TicketNumber("000050-QQQQ"), 50, "OUT-1", "main", "CAR", "t", 1)  # type: ignore[arg-type]  # NewTypes of str

    bench.writer.submit(commit(learned, issued(1)))
    bench.writer.start()
    bench.wait_released(1)

    assert [("000001-K7QF", 0), ("000050-QQQQ", 1)] == bench.rows("SELECT ticket, learned FROM tickets ORDER BY ticket")
