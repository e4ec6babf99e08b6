"""The site's half against the real office: its app under uvicorn, on a real PostgreSQL."""

import contextlib
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

import psycopg
import pytest
import uvicorn
from psycopg.conninfo import make_conninfo
from sqlalchemy import func, select
from sync_fakes import BOOT, SITE, Journal
from sync_wires import DEADLINE_S, RealClock, eventually

from central.api.app import create_app
from central.db import chains, feed, schema, sites
from central.db.engine import make_engine
from central.db.migrate import migrate
from central.embedded import EmbeddedServer
from sync.credential import Credential, read_credential
from sync.enrol import EnrolmentFailed, enrol
from sync.pull import PullerMachine
from sync.puller import Puller
from sync.records import Command, Vitals
from sync.status import LinkState
from sync.transport import Transport
from sync.upload import Identity, UploaderMachine
from sync.uploader import Uploader
from sync.vitals import VitalsSender

FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("pg"), FAST) as running:
        yield running


@pytest.fixture(scope="module")
def migrated(server: EmbeddedServer) -> str:
    engine = make_engine(server.dsn, patient=True)
    migrate(engine)
    engine.dispose()
    return "gatectl"


class RealOffice:
    """The office on one database, that can be backed up and restored while its web server is down."""

    def __init__(self, server: EmbeddedServer, template: str) -> None:
        self._server = server
        self.database = self._copy(template)
        self._running: tuple[uvicorn.Server, threading.Thread, Callable[[], None]] | None = None
        self.start()
        with self.engine.begin() as connection:
            sites.add(connection, SITE, "Hill Street")

    def _copy(self, template: str) -> str:
        name = f"office_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self._server.dsn_of("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def start(self) -> None:
        dsn = make_conninfo(self._server.dsn_of(self.database))
        self.engine = make_engine(dsn)
        app = create_app(dsn)
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        web = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2))
        thread = threading.Thread(target=web.run, kwargs={"sockets": [listener]})
        thread.start()
        self._running = (web, thread, app.state.office.wakeups.close)
        assert eventually(lambda: web.started)

    def stop(self) -> None:
        assert self._running is not None
        web, thread, answer_polls = self._running
        answer_polls()
        web.should_exit = True
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
        self.engine.dispose()
        self._running = None

    def backup(self) -> str:
        """Stops, copies, starts again."""
        self.stop()
        copy = self._copy(self.database)
        self.start()
        return copy

    def restore(self, backup: str) -> None:
        self.stop()
        self.database = self._copy(backup)
        self.start()

    def code(self, valid: timedelta = timedelta(hours=1)) -> str:
        with self.engine.begin() as connection:
            return sites.code(connection, SITE, valid)

    def position(self) -> tuple[int, int, bytes]:
        with self.engine.connect() as connection:
            row = connection.execute(
                select(schema.positions).order_by(schema.positions.c.generation.desc()).limit(1)
            ).one()
        return row.generation, row.seq, bytes(row.head)

    def fact_ids(self) -> set[str]:
        """Every fact held, each once."""
        with self.engine.connect() as connection:
            held = list(connection.execute(select(schema.journal.c.fact_id)).scalars())
        assert len(set(held)) == len(held)
        return set(held)

    def broken(self) -> chains.Broken | None:
        """The office recomputes every chain from what it stored."""
        with self.engine.connect() as connection:
            return chains.verify(connection, SITE)


@pytest.fixture
def office(server: EmbeddedServer, migrated: str) -> Iterator[RealOffice]:
    made = RealOffice(server, migrated)
    yield made
    made.stop()


@dataclass
class Sink:
    commands: list[Command] = field(default_factory=list)
    seen: threading.Event = field(default_factory=threading.Event)

    def applied(self, rows, *, whole: bool) -> None:
        pass

    def command(self, command: Command, expires_at_ms: int) -> None:
        assert expires_at_ms > RealClock().monotonic_ms()
        self.commands.append(command)
        self.seen.set()


def _enrol(office: RealOffice, path: Path) -> Credential:
    transport = Transport(office.address)
    try:
        return enrol(
            transport, address=office.address, site=SITE, code=office.code(), software="t", path=path, replace=True
        )
    finally:
        transport.close()


@contextlib.contextmanager
def _uploading(office: RealOffice, credential: Credential, journal: Journal) -> Iterator[Uploader]:
    identity = Identity(SITE, credential.installation, credential.generation, BOOT, "gatectl/test")
    machine = UploaderMachine(identity, journal, Random(1), wall_ms=lambda: 1_789_000_000_000)
    crashes: list[Exception] = []
    transport = Transport(office.address, credential=credential.credential)
    uploader = Uploader(machine, transport, journal, RealClock(), on_crash=crashes.append)
    uploader.start()
    try:
        yield uploader
    finally:
        assert uploader.stop(DEADLINE_S)
        assert [] == crashes


def _sent(office: RealOffice, credential: Credential, journal: Journal) -> Uploader:
    with _uploading(office, credential, journal) as uploader:
        done = eventually(lambda: uploader.status.state is LinkState.ONLINE and uploader.status.backlog == 0)
        assert done, uploader.status
    return uploader


def _write(journal: Journal, name: str, count: int) -> None:
    for n in range(count):
        journal.write(f"{name}-{n}")


def test_the_office_holds_exactly_what_the_site_wrote(office: RealOffice, tmp_path: Path) -> None:
    """Enrolled with a real code; 1,234 records go up; both ends name the same generation, seq and head."""
    credential, journal = _enrol(office, tmp_path / "credential"), Journal()
    _write(journal, "fact", 1_234)
    uploader = _sent(office, credential, journal)
    mine = journal.position()

    assert credential == read_credential(tmp_path / "credential", {})
    assert (mine.generation, mine.seq, mine.head) == office.position()
    assert set(journal.fact_ids()) == office.fact_ids()
    assert (0, 0, 0) == (uploader.status.rewinds, uploader.status.forks, uploader.status.disbelieved)
    assert office.broken() is None


def test_either_end_or_both_may_be_restored(office: RealOffice, tmp_path: Path) -> None:
    """The office goes back, the site goes back, then both: whatever anybody still holds is at the office, once."""
    credential, journal = _enrol(office, tmp_path / "credential"), Journal()
    _write(journal, "a", 20)
    _sent(office, credential, journal)
    office_backup = office.backup()
    _write(journal, "b", 20)
    _sent(office, credential, journal)
    site_backup = journal.copy()
    office.restore(office_backup)
    _write(journal, "c", 5)
    assert 1 == _sent(office, credential, journal).status.rewinds
    assert 45 == len(office.fact_ids())

    journal = site_backup.copy()
    _write(journal, "d", 5)
    assert 1 == _sent(office, credential, journal).status.forks
    assert 50 == len(office.fact_ids())

    office.restore(office_backup)
    journal = site_backup.copy()
    _write(journal, "e", 50)
    _sent(office, credential, journal)

    assert set(journal.fact_ids()) == office.fact_ids()
    assert 90 == len(office.fact_ids())
    assert office.broken() is None


def test_histories_that_parted_are_joined_where_they_parted(office: RealOffice, tmp_path: Path) -> None:
    """The office loses ten records and takes others under their numbers from a restored site; then the site's true disk
    is found. The search finds the last record they share, and only what the office lost is sent again."""
    credential, journal = _enrol(office, tmp_path / "credential"), Journal()
    _write(journal, "a", 30)
    _sent(office, credential, journal)
    office_backup, early = office.backup(), journal.copy()
    _write(journal, "b", 10)
    _sent(office, credential, journal)
    office.restore(office_backup)
    _write(early, "x", 5)
    _sent(office, credential, early)
    _sent(office, credential, journal)
    with office.engine.connect() as connection:
        again = connection.execute(select(func.count()).select_from(schema.duplicates)).scalar_one()

    assert set(journal.fact_ids()) | set(early.fact_ids()) == office.fact_ids()
    assert [(2, "forked")] == journal.begun
    assert (10, 0) == (journal.position().seq, again)
    assert office.broken() is None


def test_a_clone_is_shown_and_enrolling_decides(office: RealOffice, tmp_path: Path) -> None:
    """Two machines from one disk image: the second fences the first; a new code makes the first the site again."""
    credential, journal = _enrol(office, tmp_path / "credential"), Journal()
    _write(journal, "a", 5)
    _sent(office, credential, journal)
    clone = journal.copy()
    _write(journal, "original", 1)
    _sent(office, credential, journal)
    _write(clone, "clone", 2)
    _sent(office, credential, clone)
    _write(journal, "later", 1)
    with _uploading(office, credential, journal) as uploader:
        assert eventually(lambda: uploader.status.reason == "fenced"), uploader.status
    again = _enrol(office, tmp_path / "credential")
    _sent(office, again, journal)
    with _uploading(office, credential, clone) as uploader:
        assert eventually(lambda: uploader.status.reason == "not-enrolled"), uploader.status

    assert set(journal.fact_ids()) | set(clone.fact_ids()) == office.fact_ids()
    assert office.broken() is None


def test_a_used_code_is_refused_by_name(office: RealOffice, tmp_path: Path) -> None:
    transport, code = Transport(office.address), office.code()
    for name in ("one", "two"):
        with contextlib.ExitStack() as stack:
            if name == "two":
                caught = stack.enter_context(pytest.raises(EnrolmentFailed))
            enrol(transport, address=office.address, site=SITE, code=code, software="t", path=tmp_path / name)
    transport.close()

    assert "already-enrolled" == caught.value.name


def test_reference_data_and_orders_come_down(office: RealOffice, tmp_path: Path) -> None:
    """Snapshot, page, removal, a live order within moments, and vitals on the way."""
    credential, journal, sink = _enrol(office, tmp_path / "credential"), Journal(), Sink()
    transport = Transport(office.address, credential=credential.credential)
    vitals = VitalsSender(transport, lambda: Vitals(SITE, 1, 0, 0, 0, BOOT, "t", 0, {"IN-1": "idle"}, {"A": 3}))
    machine, crashes = PullerMachine(SITE, journal.feed_cursor(), Random(1)), []
    puller = Puller(machine, transport, journal, sink, RealClock(), on_crash=crashes.append, vitals=vitals)
    with office.engine.begin() as connection:
        feed.put(connection, SITE, "tariff", "t1", {"cents": 1})
    puller.start()
    assert eventually(lambda: ("tariff", "t1") in journal.reference)
    with office.engine.begin() as connection:
        for n in range(450):
            feed.put(connection, SITE, "pass", f"p{n}", {"n": n})
        feed.put(connection, SITE, "tariff", "t1", None)
    assert eventually(lambda: journal.cursor == (1, 452))
    with office.engine.begin() as connection:
        order = feed.request_command(connection, SITE, "lane.open", {"lane": "IN-1"}, "jo", "asked by phone", 10)
    arrived = sink.seen.wait(DEADLINE_S)
    stopped = puller.stop(DEADLINE_S)

    assert arrived
    assert stopped
    assert [] == crashes
    assert [(order, "lane.open", {"lane": "IN-1"})] == [(c.id, c.verb, c.args) for c in sink.commands]
    assert {("pass", f"p{n}") for n in range(450)} == set(journal.reference)
    assert 1 == vitals.sent
