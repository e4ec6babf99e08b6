"""Records go up under their chain: what fits is kept for ever, what does not is refused by name and changes nothing."""

import gzip
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from office_records import Journal, body, headers, issued, stay
from sqlalchemy import text
from test_hello import begin, name_of, open_alarms

from central.db import chains
from central.db.ingest import ingest
from sync.records import BATCH_BYTES_MAX, BATCH_RECORDS_MAX


def held(engine, table: str = "journal") -> int:
    with engine.connect() as connection:
        return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


def posted(site, content: bytes, **more: str):
    said = headers(site.journal.upload()) | site.auth
    return site.client.post(
        site.url("journal/1"), content=content, headers=said | {name.replace("_", "-"): v for name, v in more.items()}
    )


def test_the_ack_is_the_sites_own_chain(site) -> None:
    site.journal.write(*stay(1), *stay(2))
    ack = site.acked()

    assert ("north", 1, 16) == (ack.site, ack.generation, ack.ack)
    assert site.journal.heads[-1].hex() == ack.head


def test_every_byte_is_kept_as_it_was_sent(site, engine) -> None:
    """Odd spacing, key order, escapes and other alphabets: the office stores bytes, not meanings."""
    site.journal.append("site.stopped", b'{ "reason" :"\\u0041\\u0000 \xc3\xa4 \\\\u0000 \xf0\x9f\x9a\x97", "x":1e3 }')
    site.journal.append("custom.kind", b'{"b":1,"a":{"z":null},"b":2}', version=7)
    site.acked()
    again = site.client.get(site.url("journal/1"), headers=site.auth)

    assert body(site.journal.upload()) == again.content
    with engine.connect() as connection:
        assert chains.verify(connection, site.name) is None


@pytest.mark.parametrize("encoding", ["zstd", "gzip", "identity"])
def test_each_encoding_is_read(site, encoding) -> None:
    site.journal.write(*stay(1))
    raw = body(site.journal.upload())
    packed = {"zstd": zstandard.compress, "gzip": gzip.compress, "identity": bytes}[encoding](raw)

    assert 200 == posted(site, packed, content_encoding=encoding).status_code


def test_a_gap_is_refused_with_what_is_expected(site, engine) -> None:
    site.journal.write(*stay(1))
    site.acked(1, 3)
    answer = site.send(5)

    assert (409, "gap", 4) == (answer.status_code, name_of(answer), answer.json()["expected"])
    assert 3 == held(engine)


def test_a_fork_is_refused_and_raised(site, engine, operator) -> None:
    """Two machines with one identity: the second one's record 2 does not follow the office's record 1."""
    site.journal.write(issued(1))
    site.acked()
    clone = Journal(site.name, site.journal.installation).write(issued(8), issued(9))
    answers = [site.send(2, journal=clone), site.send(1, journal=clone)]

    assert [(409, "fork")] * 2 == [(answer.status_code, name_of(answer)) for answer in answers]
    assert 1 == held(engine)
    assert {"fork"} == open_alarms(site, operator)


def test_an_edited_byte_is_refused_and_raised(site, engine, operator) -> None:
    """One digit of an amount, changed on the way or on the disk."""
    site.journal.write(*stay(1))
    raw = body(site.journal.upload())
    assert b'"amount_minor":450' in raw
    answer = posted(site, raw.replace(b'"amount_minor":450', b'"amount_minor":451', 1))

    assert (422, "bad-chain") == (answer.status_code, name_of(answer))
    assert 0 == held(engine)
    assert {"bad-chain"} == open_alarms(site, operator)


def test_an_unknown_generation_is_refused(site, engine) -> None:
    later = Journal(site.name, site.journal.installation, generation=3).write(issued(1))

    assert (409, "fork") == (site.send(journal=later).status_code, name_of(site.send(journal=later)))
    assert 0 == held(engine)


@pytest.mark.parametrize(("first", "last", "ack"), [(1, 8, 8), (3, 8, 8), (5, 6, 6), (1, 2, 6), (1, 6, 6), (6, 6, 6)])
def test_an_overlap_adds_only_what_is_new(site, engine, first, last, ack) -> None:
    """A lost ack: the site sends again, in whatever cut, and nothing is doubled."""
    site.journal.write(*stay(1))
    site.acked(1, 6)
    said = site.acked(first, last)

    assert (ack, site.journal.head_at(ack).hex()) == (said.ack, said.head)
    assert ack == held(engine)
    assert 0 == held(engine, "duplicates")


def test_the_same_facts_under_a_new_generation_count_once(site, engine, operator) -> None:
    """The office had them, the ack was lost, the site was restored: it sends them again with their old ids."""
    site.journal.write(*stay(1), *stay(2))
    site.acked()
    assert 201 == begin(site, 1).status_code
    again = site.journal.renumbered(2, after=10)
    again.write(*stay(3))
    ack = site.acked(journal=again)
    seen = site.client.get("/api/v1/sites/north", headers=operator).json()

    assert (2, 14, again.heads[-1].hex()) == (ack.generation, ack.ack, ack.head)
    assert (24, 6) == (held(engine), held(engine, "duplicates"))
    assert (3, [{"amount_minor": 1350, "currency": "EUR"}]) == (seen["payments"], seen["paid"])
    with engine.connect() as connection:
        assert chains.verify(connection, site.name) is None
    sent = site.client.get(site.url("journal/2?after=5&limit=2"), headers=site.auth)
    assert body(again.upload(6, 7)) == sent.content


def test_an_old_id_with_another_body_is_kept_and_raised(site, engine, operator) -> None:
    """Two different facts cannot be one: both are stored, the first one counts, a person is called."""
    site.journal.write(*stay(1))
    site.acked()
    forged = site.journal.records[2]
    site.journal.append(forged.kind, forged.body.replace(b"450", b"999"), fact_id=forged.fact_id)
    ack = site.acked(9)
    seen = site.client.get("/api/v1/sites/north", headers=operator).json()

    assert 9 == ack.ack
    assert [{"amount_minor": 450, "currency": "EUR"}] == seen["paid"]
    assert {"conflict", "parked"} == {alarm["code"] for alarm in seen["alarms"]}
    assert 1 == seen["parked"]


def test_concurrent_copies_of_one_upload_store_it_once(site, engine) -> None:
    """A proxy replays a batch while the site retries it."""
    site.journal.write(*[fact for number in range(1, 40) for fact in stay(number)])
    with ThreadPoolExecutor(6) as pool:
        acks = list(pool.map(lambda _: ingest(engine, site.name, site.journal.upload()), range(6)))

    assert {(312, site.journal.heads[-1].hex())} == {(ack.ack, ack.head) for ack in acks}
    assert (312, 0, 39) == (held(engine), held(engine, "duplicates"), held(engine, "payments"))


def test_concurrent_sites_do_not_disturb_each_other(enrol, engine) -> None:
    sites = [enrol(f"site-{number}") for number in range(4)]
    for one in sites:
        one.journal.write(*stay(1), *stay(2))
    with ThreadPoolExecutor(4) as pool:
        acks = list(pool.map(lambda one: ingest(engine, one.name, one.journal.upload()), sites))

    assert [one.journal.heads[-1].hex() for one in sites] == [ack.head for ack in acks]


@pytest.mark.parametrize("encoding", ["zstd", "gzip"])
def test_a_compression_bomb_is_refused(site, engine, encoding) -> None:
    """64 MiB of spaces in a few kilobytes: never unpacked beyond the limit."""
    site.journal.write(issued(1))
    pack = {"zstd": zstandard.ZstdCompressor(level=19).compress, "gzip": gzip.compress}[encoding]
    bomb = pack(b" " * (64 * 1024 * 1024))
    answer = posted(site, bomb, content_encoding=encoding)

    assert len(bomb) < 100_000
    assert (413, "too-large") == (answer.status_code, name_of(answer))
    assert 0 == held(engine)


def test_an_oversize_body_is_refused_with_and_without_a_length(site) -> None:
    site.journal.write(issued(1))

    def unannounced():
        for _ in range(BATCH_BYTES_MAX // 65_536 + 2):
            yield b" " * 65_536

    answers = [posted(site, b" " * (BATCH_BYTES_MAX + 1)), posted(site, unannounced())]

    assert [(413, "too-large")] * 2 == [(answer.status_code, name_of(answer)) for answer in answers]


def test_too_many_records_at_once_are_refused(site) -> None:
    site.journal.write(*[issued(number) for number in range(1, BATCH_RECORDS_MAX + 2)])
    answer = site.send()

    assert (413, "too-large") == (answer.status_code, name_of(answer))


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"hello\n", b"\xff\xfe\x00\n", b"[]\n", b'{"seq":1,"body":{}}\n', b"[" * 100_000 + b"\n"],
    ids=["empty", "blank", "text", "bytes", "list", "short", "deep"],
)
def test_what_is_no_record_is_refused(site, engine, content) -> None:
    site.journal.write(issued(1))
    answer = posted(site, content)

    assert (422, "malformed") == (answer.status_code, name_of(answer))
    assert 0 == held(engine)


@pytest.mark.parametrize(
    ("encoding", "content", "status"),
    [
        ("zstd", b"no zstd", 422),
        ("gzip", b"no gzip", 422),
        ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-9], 422),
        ("br", b"", 415),
    ],
)
def test_a_broken_encoding_is_refused(site, encoding, content, status) -> None:
    site.journal.write(issued(1))
    answer = posted(site, content, content_encoding=encoding)

    assert (status, "malformed") == (answer.status_code, name_of(answer))


@pytest.mark.parametrize(
    "header", [{"First": "x"}, {"First": "-1"}, {"Count": ""}, {"Prev": "00"}, {"Head": "zz" * 32}, {"Count": "3"}]
)
def test_headers_that_do_not_fit_are_refused(site, header) -> None:
    site.journal.write(*stay(1))
    answer = site.send(said=header)

    assert (422, "malformed") == (answer.status_code, name_of(answer))


def test_a_database_that_is_away_means_come_back(site, engine, dsn, server_dsn) -> None:
    """The record is not acknowledged, the site keeps it and tries again."""
    site.journal.write(issued(1))
    name = engine.connect().connection.dbapi_connection.info.dbname
    engine.dispose()
    import psycopg

    with psycopg.connect(server_dsn, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        away = site.send()
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    back = site.send()

    assert (503, "unavailable", "5") == (away.status_code, name_of(away), away.headers["retry-after"])
    assert 200 == back.status_code
