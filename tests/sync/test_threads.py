"""Uploader and puller as threads, on real time and real sockets."""

import threading
from random import Random

from sync_fakes import SECRET, SITE, FakeOffice, Journal, identity
from sync_wires import DEADLINE_S, RealClock, eventually, listening, office_over_http

from sync.ports import Answer, Request, StoreStopped, Unreachable
from sync.pull import PullerMachine
from sync.puller import Puller
from sync.status import LinkState, link_status
from sync.transport import Transport
from sync.upload import UploaderMachine
from sync.uploader import Uploader


class _LockedJournal(Journal):
    """Written by one thread and read by another, as the real one is."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()

    def write(self, fact_id: str, **more) -> None:
        with self._lock:
            super().write(fact_id, **more)

    def position(self):
        with self._lock:
            return super().position()


def _uploader(journal: Journal, office, crashes: list[Exception] | None = None) -> Uploader:
    machine = UploaderMachine(identity(), journal, Random(1), wall_ms=lambda: 0)
    found = [] if crashes is None else crashes
    return Uploader(machine, office, journal, RealClock(), on_crash=found.append)


def test_every_commit_is_sent_and_the_last_one_too() -> None:
    """2,000 commits by another thread, each notified once; the queue drains after the last without a further write."""
    office, journal = FakeOffice(), _LockedJournal()
    with office_over_http(office) as port:
        uploader = _uploader(journal, Transport(f"http://127.0.0.1:{port}", credential=SECRET))
        uploader.start()
        pause = threading.Event()
        for n in range(2_000):
            journal.write(f"fact-{n}")
            uploader.notify(n + 1)
            if n % 97 == 0:
                pause.wait(0.001)
        drained = eventually(lambda: journal.acked().seq == 2_000 and uploader.status.backlog == 0)
        stopped = uploader.stop(DEADLINE_S)

    assert drained
    assert stopped
    assert journal.fact_ids() == office.fact_ids()
    assert LinkState.ONLINE == uploader.status.state


def test_a_single_commit_wakes_a_sleeping_uploader() -> None:
    """It has gone to sleep for a minute; one commit, one notify, and the record is at the office within a moment."""
    office, journal = FakeOffice(), _LockedJournal()
    uploader = _uploader(journal, office)
    uploader.start()
    for n in range(200):
        assert eventually(lambda: uploader.status.state is LinkState.ONLINE and uploader.status.backlog == 0)
        journal.write(f"fact-{n}")
        uploader.notify(n + 1)
    drained = eventually(lambda: len(office.fact_ids()) == 200)
    stopped = uploader.stop(DEADLINE_S)

    assert drained
    assert stopped


def test_a_store_that_ends_ends_the_uploader_quietly() -> None:
    class Stopping(_LockedJournal):
        def acknowledge(self, generation: int, seq: int, head: bytes) -> None:
            raise StoreStopped

    crashes: list[Exception] = []
    journal = Stopping()
    journal.write("fact-0")
    uploader = _uploader(journal, FakeOffice(), crashes)
    uploader.start()

    assert eventually(lambda: not uploader._thread.is_alive())
    assert [] == crashes
    assert uploader.stop(0)


def test_no_exception_ends_a_thread_unheard() -> None:
    class Broken(_LockedJournal):
        def read(self, *args, **more):
            raise RuntimeError("disk I/O error")

    crashes: list[Exception] = []
    journal = Broken()
    uploader = _uploader(journal, FakeOffice(), crashes)
    uploader.start()
    journal.write("fact-0")
    uploader.notify(1)
    heard = eventually(lambda: len(crashes) == 1)
    uploader.stop(DEADLINE_S)

    assert heard
    assert "disk I/O error" == str(crashes[0])


def test_a_stop_breaks_off_a_poll_under_way() -> None:
    """The puller waits in a long poll; stopping takes a moment, not 25 s."""
    arrived, done = threading.Event(), threading.Event()

    def serve(connection) -> None:
        connection.recv(65_536)
        arrived.set()
        done.wait(DEADLINE_S)

    with listening(serve) as port:
        transport = Transport(f"http://127.0.0.1:{port}", credential=SECRET)
        machine = PullerMachine(SITE, (1, 0), Random(1))
        puller = Puller(machine, transport, Journal(), _Deaf(), RealClock(), on_crash=_Deaf.crash)
        puller.start()
        assert arrived.wait(DEADLINE_S)
        stopped = puller.stop(2.0)
        done.set()

    assert stopped


class _Deaf:
    def applied(self, rows, *, whole: bool) -> None:
        pass

    def command(self, command, expires_at_ms: int) -> None:
        pass

    @staticmethod
    def crash(error: Exception) -> None:
        raise error


def test_a_thread_that_never_started_stops_too() -> None:
    assert _uploader(Journal(), FakeOffice()).stop(0)


def test_the_status_is_one_view_of_both_halves() -> None:
    """Ages are counted when somebody looks."""
    journal = Journal()
    journal.write("fact-0", mono_ms=500)
    machine = UploaderMachine(identity(), journal, Random(1), wall_ms=lambda: 0)
    machine.step(1_000)
    machine.answered(Unreachable("no route to host"), 1_000)
    puller = PullerMachine(SITE, (0, 0), Random(1))
    status = link_status(machine.status(1_000), puller.status(), 1_100)

    assert LinkState.NEVER == status.state
    assert 1 == status.backlog
    assert 600 == status.oldest_unsent_age_ms
    assert "no route to host" == status.last_error
    assert status.next_try_in_ms is not None
    assert status.next_try_in_ms <= 900
    assert status.last_contact_age_ms is None


def test_what_the_uploader_says_over_http_is_the_contract() -> None:
    """The request that goes out has the headers that the contract names."""
    journal = Journal()
    journal.write("fact-0")
    office = FakeOffice()
    seen: list[Request] = []

    class Listening:
        def ask(self, request: Request) -> Answer:
            seen.append(request)
            return office.ask(request)

        def close(self) -> None:
            pass

    uploader = _uploader(journal, Listening())
    uploader.turn()
    uploader.turn()
    names = {name for name, _ in seen[1].headers}

    assert [f"/sync/v1/sites/{SITE}/hello", f"/sync/v1/sites/{SITE}/journal/1"] == [request.path for request in seen]
    assert {f"gatectl-{name}" for name in ("installation", "first", "count", "prev", "head")} < names
