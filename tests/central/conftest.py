"""A real PostgreSQL for the office's tests: one server a worker, one database a test."""

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from sqlalchemy import Engine
from starlette.testclient import TestClient

from central.api.app import create_app
from central.db import sites
from central.db.engine import make_engine
from central.db.migrate import migrate
from central.embedded import EmbeddedServer
from sync.records import Ack, Enrol

sys.path.insert(0, str(Path(__file__).parent))

from office_records import Journal, body, headers

OPERATOR = "operator-token-of-the-tests"
_UNSAFE_BUT_FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB", "max_connections": "60"}


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """A server where databases can be made: GATECTL_TEST_DSN, or one out of the wheel for this worker."""
    given = os.environ.get("GATECTL_TEST_DSN")
    if given:
        yield given
        return
    with _directory() as directory, EmbeddedServer(directory, _UNSAFE_BUT_FAST) as server:
        yield server.dsn_of("postgres")


@contextmanager
def _directory() -> Iterator[Path]:
    """Not below pytest's own directory: as root the server runs as another user, and every pytest that starts on this
    machine shuts that directory to others again. PostgreSQL does not survive that.
    """
    directory = Path(tempfile.mkdtemp(prefix="gatectl-test-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def pg_directory() -> Iterator[Path]:
    """Where a test may run a server of its own."""
    with _directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def template(server_dsn: str) -> Iterator[str]:
    """The name of a migrated database to copy from."""
    name = f"gatectl_template_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        engine = make_engine(make_conninfo(server_dsn, dbname=name), patient=True)
        migrate(engine)
        engine.dispose()
        yield name
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def dsn(server_dsn: str, template: str) -> Iterator[str]:
    """A migrated, empty database."""
    name = f"gatectl_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield make_conninfo(server_dsn, dbname=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(dsn: str) -> Iterator[Engine]:
    made = make_engine(dsn)
    yield made
    made.dispose()


@dataclass
class Site:
    """An enrolled site: its journal, and how it speaks to the office."""

    name: str
    credential: str
    journal: Journal
    client: TestClient

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.credential}"}

    def url(self, rest: str) -> str:
        return f"/sync/v1/sites/{self.name}/{rest}"

    def send(self, first: int = 1, last: int | None = None, journal: Journal | None = None, said=None):
        """Upload records `first` to `last`; `said` are headers to put over the true ones, without their prefix."""
        upload = (journal or self.journal).upload(first, last)
        said = headers(upload) | {f"Gatectl-{name}": value for name, value in (said or {}).items()}
        return self.client.post(
            self.url(f"journal/{upload.generation}"), content=body(upload), headers=said | self.auth
        )

    def acked(self, first: int = 1, last: int | None = None, journal: Journal | None = None) -> Ack:
        answer = self.send(first, last, journal)
        assert answer.status_code == 200, answer.text
        return Ack.from_json(answer.content)


@pytest.fixture
def client(dsn: str) -> Iterator[TestClient]:
    app = create_app(dsn, operator_token=OPERATOR, open_page=True)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as made:
        yield made


@pytest.fixture
def operator() -> dict[str, str]:
    return {"Authorization": f"Bearer {OPERATOR}"}


@pytest.fixture
def enrol(client: TestClient, engine: Engine):
    """Adds and enrols a site."""

    def make(name: str = "north") -> Site:
        with engine.begin() as connection:
            sites.add(connection, name, f"Garage {name}")
            code = sites.code(connection, name, timedelta(hours=1))
        answer = client.post("/sync/v1/enrolments", content=Enrol(name, code, "gatectl 0.1.0").to_json())
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return Site(name, made["credential"], Journal(name, made["installation"]), client)

    return make


@pytest.fixture
def site(enrol) -> Site:
    return enrol()
