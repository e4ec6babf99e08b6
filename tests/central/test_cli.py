"""The operator's commands, against a real database; and the server as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner
from office_records import IN, stay
from sqlalchemy import text

from central.cli import app
from central.db import feed
from sync.chain import digest
from sync.records import Enrol

START_S_MAX = 60


@pytest.fixture
def run(dsn):
    def call(*words: str, code: int = 0):
        result = CliRunner().invoke(app, ["--dsn", dsn, *words])
        assert code == result.exit_code, f"{result.stdout}{result.stderr}{result.exception!r}"
        return result

    return call


def said(result) -> dict:
    return json.loads(result.stdout)


def test_a_site_is_added_enrolled_shown_and_revoked(run, client) -> None:
    run("site", "add", "north", "--name", "North garage")
    code = run("site", "code", "north", "--valid", "30m").stdout.strip()
    enrolled = client.post("/sync/v1/enrolments", content=Enrol("north", code, "x").to_json())
    shown = said(run("site", "show", "north"))

    assert 201 == enrolled.status_code
    assert ("gatectl-central.site/1", "North garage", True) == tuple(
        shown[key] for key in ("schema", "name", "enrolled")
    )
    assert [shown["site"]] == [json.loads(line)["site"] for line in run("site", "list").stdout.splitlines()]
    assert "1 credential(s) revoked\n" == run("site", "revoke", "north").stdout


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["site", "add", "no spaces"], 1, "bad-site"),
        (["site", "add", "north"], 1, "site-exists"),
        (["site", "show", "nowhere"], 1, "unknown-site"),
        (["site", "code", "nowhere"], 1, "unknown-site"),
        (["site", "revoke", "nowhere"], 1, "unknown-site"),
        (["prove", "nowhere"], 1, "unknown-site"),
        (["rebuild", "nowhere"], 1, "unknown-site"),
        (["site", "code", "north", "--valid", "9x"], 2, "write a number and s, m, h or d"),
        (["site", "code", "north", "--valid", "99d"], 2, "at most"),
        (["site", "settle", "north", "fork"], 1, "no open alarm"),
        (["command", "north", "lane", "open", "IN-1", "--by", "mia"], 2, "--reason"),
        (["command", "north", "lane", "open", "IN-1", "--by", "mia", "--reason", " "], 2, "must not be empty"),
        (["serve", "--host", "0.0.0.0"], 2, "in the clear"),
        (["serve", "--host", "0.0.0.0", "--dev-token", "x"], 2, "in the clear"),
        (["serve", "--tls-cert", __file__], 2, "belong together"),
        (["serve", "--host", "0.0.0.0", "--tls-cert", __file__, "--tls-key", __file__], 2, "--token-file"),
    ],
)
def test_wrong_use_is_refused_with_the_reason(run, words, code, why) -> None:
    run("site", "add", "north")

    assert why in run(*words, code=code).stderr


def test_the_place_of_the_records_must_be_said() -> None:
    result = CliRunner().invoke(app, ["site", "list"])

    assert (2, True) == (result.exit_code, "--dsn" in result.stderr)


def test_a_database_that_is_not_there_is_said_plainly() -> None:
    result = CliRunner().invoke(app, ["--dsn", "host=/nonexistent dbname=x", "site", "list"])

    assert (1, True) == (result.exit_code, "does not answer" in result.stderr)


def test_a_database_that_was_never_migrated_is_said_plainly(run, engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE gatectl_schema"))

    assert "gatectl-central migrate" in run("site", "list", code=1).stderr


def test_prove_prints_position_totals_and_digest(run, site) -> None:
    site.journal.write(*stay(1, 300), *stay(2, 200))
    site.acked()
    tickets = [("000001-K7QF", "exited", 300), ("000002-K7QF", "exited", 200)]

    assert {
        "schema": "gatectl.prove/1",
        "site": "north",
        "generation": 1,
        "seq": 16,
        "head": site.journal.heads[-1].hex(),
        "tickets": 2,
        "payments": 2,
        "paid_minor": 500,
        "digest": digest(tickets),
    } == said(run("prove", "north"))


DAMAGES = [
    ("UPDATE journal SET body = replace(convert_from(body, 'UTF8'), '450', '451')::bytea WHERE seq = 3", "record 3"),
    ("UPDATE journal SET wall_ms = wall_ms + 1 WHERE seq = 5", "record 5"),
    ("DELETE FROM journal WHERE seq = 4", "record 4"),
    ("DELETE FROM journal WHERE seq = 8", "the records end at 7"),
    ("UPDATE positions SET head = sha256('x')", "the records end at 8"),
]


@pytest.mark.parametrize(("damage", "where"), DAMAGES)
def test_prove_finds_what_was_changed_behind_our_back(run, site, engine, damage, where) -> None:
    """Somebody edits, deletes or cuts the stored records: the chain says so, and where."""
    site.journal.write(*stay(1))
    site.acked()
    with engine.begin() as connection:
        assert 1 == connection.execute(text(damage)).rowcount

    assert where in run("prove", "north", code=1).stderr


def test_prove_says_when_something_is_parked(run, site) -> None:
    site.journal.append("new.kind", b"{}")
    site.acked()

    assert "1 record(s) are parked" in run("prove", "north").stderr


def test_a_tariff_reaches_the_site(run, site, engine, tmp_path) -> None:
    file = tmp_path / "day.json"
    file.write_text('{"id": "day-2027", "kind": "flat", "base_minor": 500, "lost_ticket_minor": 900}')
    assert "effective_from_ms" in run("tariff", "put", "north", str(file), code=1).stderr
    made = said(run("tariff", "put", "north", str(file), "--from", "2027-01-01T00:00:00Z"))
    row = feed.poll(engine, "north", 1, 0).rows[0]

    assert ("day-2027", 1) == (made["tariff"], made["feed_seq"])
    assert ("tariff", "day-2027") == (row.kind, row.key)
    assert {
        "id": "day-2027",
        "kind": "flat",
        "base_minor": 500,
        "lost_ticket_minor": 900,
        "effective_from_ms": 1_798_761_600_000,
    } == row.body


@pytest.mark.parametrize("content", ["[]", "{", '{"id": "x", "price": 1.5}', '{"effective_from_ms": 0}', '{"id": 7}'])
def test_a_tariff_file_that_is_none_is_refused(run, site, tmp_path, content) -> None:
    """A float is no amount: it is refused before it can be rounded."""
    file = tmp_path / "bad.json"
    file.write_text(content)

    assert str(file) in run("tariff", "put", "north", str(file), code=1).stderr


def test_a_tariff_that_a_site_would_refuse_is_refused_here(run, site, engine, tmp_path) -> None:
    """Every fault with its place and its cure; nothing is sent."""
    file = tmp_path / "bands.json"
    file.write_text('{"id":"b","effective_from_ms":0,"kind":"bands","lost_ticket_minor":1,"bands":[{"flat_mino":5}]}')

    told = run("tariff", "put", "north", str(file), code=1).stderr

    assert "bands[0].flat_mino: is not a key of a band (did you mean flat_minor?)" in told
    assert () == tuple(feed.poll(engine, "north", 1, 0).rows)


def test_a_command_waits_for_the_site(run, site, engine) -> None:
    made = said(run("command", "north", "lane", "open", IN, "--reason", "snow", "--by", "mia", "--valid", "20s"))
    given = feed.poll(engine, "north", 1, 0).commands[0]

    assert (made["command"], "lane.open", {"lane": IN}) == (given.id, given.verb, given.args)
    assert given.valid_ms <= 20_000


def test_rebuild_says_what_it_read(run, site) -> None:
    site.journal.write(*stay(1))
    site.journal.append("new.kind", b"{}")
    site.acked()
    made = said(run("rebuild", "north"))

    assert (9, 1) == (made["records"], made["parked"])


def test_rotation_gives_a_code_and_an_alarm_can_be_settled(run, site, client) -> None:
    from test_hello import begin, open_alarms

    code = run("site", "rotate", "north").stdout.strip()
    begin(site, 1)
    run("site", "settle", "north", "new-generation")
    operator = {"Authorization": "Bearer operator-token-of-the-tests"}

    assert set() == open_alarms(site, operator)
    assert 201 == client.post("/sync/v1/enrolments", content=Enrol("north", code, "x").to_json()).status_code


# -- the server as a process ------------------------------------------------------------------------------------------


class Office:
    """`gatectl-central serve` in a process of its own."""

    def __init__(self, ready: Path, *words: str) -> None:
        ready.unlink(missing_ok=True)
        program = [sys.executable, "-c", "from central.cli import app; app()", "serve", "--port", "0"]
        self.process = subprocess.Popen(
            [*program, "--ready-file", str(ready), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + START_S_MAX
        while not ready.exists():
            assert self.process.poll() is None, f"exit code {self.process.returncode}"
            assert time.monotonic() < until
            time.sleep(0.05)
        self.url = json.loads(ready.read_text())["url"]

    def get(self, path: str, token: str = "", **more) -> bytes:
        asked = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked, timeout=20, **more) as answer:
            return answer.read()

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        code = self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def postmaster(directory: Path) -> int:
    return int((directory / "pg" / "postmaster.pid").read_text().split()[0])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_embedded_office_survives_being_killed(pg_directory) -> None:
    """kill -9 leaves its PostgreSQL behind; the next start takes it over, nothing is lost, a clean stop ends both."""
    data, ready = pg_directory / "office", pg_directory / "ready"
    words = ("--embedded", str(data), "--dev-token", "t")
    first = Office(ready, *words)
    added = CliRunner().invoke(app, ["--embedded", str(data), "site", "add", "north"])
    first.stop(signal.SIGKILL)
    left_behind = postmaster(data)
    second = Office(ready, *words)
    try:
        found = json.loads(second.get("/api/v1/sites", "t"))["items"]
        page = second.get("/")
        running = postmaster(data)
    finally:
        code = second.stop()

    assert 0 == added.exit_code, added.output
    assert ["north"] == [site["site"] for site in found]
    assert b"north" in page
    assert not alive(left_behind)
    assert not alive(running)
    assert 0 == code


def test_the_ready_line_names_the_bound_address(dsn, tmp_path) -> None:
    office = Office(tmp_path / "ready", "--dsn", dsn, "--dev-token", "t")
    try:
        line = json.loads(office.process.stdout.readline())
    finally:
        office.stop()

    assert {"schema": "gatectl-central.ready/1", "url": office.url} == line
    assert office.url.startswith("http://127.0.0.1:")


def test_an_office_with_two_workers_stops_at_once_with_a_poll_open(dsn, engine, tmp_path) -> None:
    """The operator updates the office while a hundred sites wait for news: nobody waits 25 s for it."""
    from concurrent.futures import ThreadPoolExecutor
    from datetime import timedelta

    from central.db import sites

    with engine.begin() as connection:
        sites.add(connection, "north", "")
        code = sites.code(connection, "north", timedelta(hours=1))
    with engine.begin() as connection:
        credential = sites.enrol(connection, Enrol("north", code, "x")).credential
    office = Office(tmp_path / "ready", "--dsn", dsn, "--workers", "2")
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(office.get, "/sync/v1/sites/north/feed?epoch=1&after=0&wait=25", credential)
        until = time.monotonic() + 20
        contact = text("SELECT contact_at > now() - interval '1 h' FROM vitals WHERE software = 'x'")
        with engine.begin() as connection:
            connection.execute(text("UPDATE vitals SET contact_at = now() - interval '2 h'"))
        while time.monotonic() < until:
            with engine.connect() as connection:
                if connection.execute(contact).scalar():
                    break
        began = time.monotonic()
        office.stop()
        answer = json.loads(poll.result(timeout=30))

    assert [] == answer["rows"]
    assert time.monotonic() - began < 12


def test_tls_is_served_with_the_offices_certificate(dsn, tmp_path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    cert, key, token = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "token"
    made.cert_chain_pems[0].write_to_path(cert)
    made.private_key_pem.write_to_path(key)
    token.write_text("from-a-file\n")
    words = ("--tls-cert", str(cert), "--tls-key", str(key), "--token-file", str(token))
    office = Office(tmp_path / "ready", "--dsn", dsn, *words)
    try:
        import ssl

        context = ssl.create_default_context()
        authority.configure_trust(context)
        found = json.loads(office.get("/api/v1/sites", "from-a-file", context=context))
    finally:
        office.stop()

    assert office.url.startswith("https://")
    assert {"items": [], "next": None} == found


def test_the_ready_line_also_goes_to_a_descriptor(dsn) -> None:
    reading, writing = os.pipe()
    program = [sys.executable, "-c", "from central.cli import app; app()", "serve", "--port", "0", "--dsn", dsn]
    with subprocess.Popen(
        [*program, "--ready-fd", str(writing)],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(writing)
        with os.fdopen(reading) as pipe:
            line = json.loads(pipe.read())
        process.terminate()

    assert "gatectl-central.ready/1" == line["schema"]


def test_a_row_reaches_the_site_and_is_taken_away(run, site, engine, tmp_path) -> None:
    """A pass, whole; then gone. A kind that no site takes in is a slip."""
    file = tmp_path / "pass.json"
    file.write_text('{"from_ms": 0, "cars": 2}')
    assert 1 == said(run("row", "put", "north", "pass", "M7", str(file)))["feed_seq"]
    assert 2 == said(run("row", "remove", "north", "pass", "M7"))["feed_seq"]
    run("row", "remove", "north", "pasta", "M7", code=2)

    row = feed.poll(engine, "north", 1, 0).rows[-1]
    assert ("pass", "M7", None) == (row.kind, row.key, row.body)
