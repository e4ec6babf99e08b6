"""A site becomes the office's by a one-time code, and stops being it when the office says so."""

from datetime import timedelta

import pytest
from office_records import issued
from sqlalchemy import text

from central.db import sites
from sync.records import Enrol, Enrolled


def problem_of(answer) -> tuple[int, str]:
    assert "application/problem+json" == answer.headers["content-type"]
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def fresh_code(engine, name: str, valid: timedelta = timedelta(hours=1)) -> str:
    with engine.begin() as connection:
        return sites.code(connection, name, valid)


def ask(client, name: str, code: str):
    return client.post("/sync/v1/enrolments", content=Enrol(name, code, "gatectl 0.1.0").to_json())


@pytest.fixture
def north(engine) -> str:
    with engine.begin() as connection:
        sites.add(connection, "north", "North garage")
    return "north"


def test_a_code_gives_a_credential_once(client, engine, north) -> None:
    """The technician types the code; a second use, by anyone, is refused by name."""
    code = fresh_code(engine, north)
    first, second = ask(client, north, code), ask(client, north, code)

    made = Enrolled.from_json(first.content)
    assert (201, "north", 1) == (first.status_code, made.site, made.generation)
    assert (409, "already-enrolled") == problem_of(second)


def test_neither_code_nor_credential_is_kept_readable(client, engine, north) -> None:
    """A stolen dump of the database lets nobody speak for a site."""
    code = fresh_code(engine, north)
    credential = ask(client, north, code).json()["credential"]
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT hash FROM site_credentials UNION SELECT hash FROM enrolment_codes"))
        hashes = [bytes(row.hash) for row in kept]

    assert [32, 32] == [len(one) for one in hashes]
    assert not any(secret.encode() in one for secret in (code, credential) for one in hashes)


def test_a_wrong_code_is_refused(client, engine, north) -> None:
    fresh_code(engine, north)

    assert (403, "bad-code") == problem_of(ask(client, north, "guess"))


def test_a_code_of_another_site_is_refused(client, engine, north) -> None:
    with engine.begin() as connection:
        sites.add(connection, "south", "South garage")

    assert (403, "bad-code") == problem_of(ask(client, "south", fresh_code(engine, north)))


def test_an_expired_code_is_refused(client, engine, north) -> None:
    code = fresh_code(engine, north)
    with engine.begin() as connection:
        connection.execute(text("UPDATE enrolment_codes SET expires_at = now() - interval '1 s'"))

    assert (403, "expired-code") == problem_of(ask(client, north, code))


def test_a_revoked_credential_opens_nothing(site, engine) -> None:
    """A stolen machine: the operator revokes, and the very next request is refused."""
    site.journal.write(issued(1))
    site.acked()
    with engine.begin() as connection:
        assert 1 == sites.revoke(connection, site.name)

    assert (403, "not-enrolled") == problem_of(site.send())


def test_enrolling_again_ends_the_older_machine(site, client, engine) -> None:
    """A new computer at the same gate: the old one's credential is dead."""
    answer = ask(client, site.name, fresh_code(engine, site.name))
    site.journal.write(issued(1))

    assert 201 == answer.status_code
    assert (403, "not-enrolled") == problem_of(site.send())


def test_a_credential_is_good_for_its_own_site_alone(enrol) -> None:
    """Site south's machine cannot write into site north's books, whatever it says."""
    north, south = enrol("north"), enrol("south")
    north.journal.write(issued(1))
    north.credential = south.credential

    assert (403, "not-enrolled") == problem_of(north.send())


def test_without_a_credential_nothing_is_read_or_written(site) -> None:
    answers = [
        site.client.get(site.url("snapshot")),
        site.client.get(site.url("journal/1")),
        site.client.get(site.url("feed?epoch=1&after=0")),
        site.client.put(site.url("vitals"), content=b"{}"),
        site.client.post(site.url("journal/1"), content=b""),
        site.client.post(site.url("hello"), content=b"{}"),
        site.client.post(site.url("generations"), content=b"{}"),
    ]

    assert [(401, "not-enrolled")] * len(answers) == [problem_of(answer) for answer in answers]


def test_an_unknown_site_is_named_as_such(site) -> None:
    for name in ("nowhere", "%00", "a" * 200):
        answer = site.client.get(f"/sync/v1/sites/{name}/snapshot", headers=site.auth)

        assert (404, "unknown-site") == problem_of(answer)


def test_another_installation_with_the_right_credential_is_refused(site) -> None:
    """A copied credential file on a machine that never enrolled."""
    site.journal.write(issued(1))

    assert (403, "not-enrolled") == problem_of(site.send(said={"Installation": "0123456789abcdef"}))


def test_rotation_is_asked_for_at_the_next_hello(site, engine) -> None:
    from test_hello import hello

    with engine.begin() as connection:
        sites.rotate(connection, site.name)

    assert hello(site).rotate


def test_two_uses_of_one_code_at_once_make_one_credential(client, engine, north) -> None:
    """Both technicians press enter in the same second."""
    from concurrent.futures import ThreadPoolExecutor

    code = fresh_code(engine, north)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(client, north, code).status_code, range(4)))

    assert [201, 409, 409, 409] == sorted(answers)
