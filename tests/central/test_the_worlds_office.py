"""The office of the simulated world is a fake: what it said in runs with every trouble, the real one says too."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import psycopg
import pytest
import zstandard
from sqlalchemy import Engine, text

from central.db import schema
from gatectl.world.faults import PASTS
from gatectl.world.office import Backup, Deed, Office
from gatectl.world.plans import SITE
from gatectl.world.simulation import Options, World
from sync.chain import link
from sync.ports import Answer, Request
from sync.records import Record

COMPARED = ("type", "expected", "verdict", "why", "generation", "seq", "ack", "head")
"""Of an answer in JSON. The rest is the clock's and the feed's."""
KINDS = (*sorted(PASTS - {"skew"}), "office", "power")
SPOILT = 0.2
"""The share of uploads before which a spoilt one comes."""

Said = tuple[Request | Deed, Answer | None]


def recorded(seed: int) -> list[Said]:
    """Everything that was asked of the world's office in a run, and done to it, in order."""
    told: list[Said] = []
    world = World(Options(seed, days=0.12, lanes=2, faults_per_hour=16, kinds=KINDS))
    world.office.observed = lambda what, answer: told.append((what, answer))
    result = world.run()
    assert "" == result.broken
    return told


class RealOffice:
    """The office on its database, with the hands of its people: they also restore the whole database from a backup."""

    def __init__(self, site: Any, engine: Engine, dsn: str) -> None:
        self._site, self._engine, self._dsn = site, engine, dsn
        self._backups: dict[str, dict[str, bytes]] = {}
        self.enrol("installation-1")

    def enrol(self, installation: str) -> None:
        """As `sites.enrol` does, but for the installation's name, which the world's site says."""
        with self._engine.begin() as connection:
            connection.execute(text("UPDATE sites SET installation = :new"), {"new": installation})

    def backup(self, number: str) -> None:
        self._backups[number] = {}
        with psycopg.connect(self._dsn) as connection:
            for table in schema.metadata.sorted_tables:
                with connection.cursor().copy(f"COPY (SELECT * FROM {table.name}) TO STDOUT") as copy:
                    self._backups[number][table.name] = b"".join(map(bytes, copy))

    def restore(self, number: str) -> None:
        with psycopg.connect(self._dsn) as connection:
            connection.execute(f"TRUNCATE {', '.join(map(str, schema.metadata.tables))} CASCADE")
            for table in schema.metadata.sorted_tables:
                with connection.cursor().copy(f"COPY {table.name} FROM STDIN") as copy:
                    copy.write(self._backups[number][table.name])

    def ask(self, request: Request) -> Answer:
        answer = self._site.client.request(
            request.method, request.path, content=request.body, headers=dict(request.headers) | self._site.auth
        )
        kind = answer.headers.get("content-type", "").partition(";")[0]
        return Answer(answer.status_code, kind, (), answer.content)


def compared(answer: Answer) -> dict[str, Any]:
    """What both offices must say alike."""
    if answer.content_type == "application/x-ndjson":
        return {"status": answer.status, "lines": answer.body}
    content = json.loads(answer.body)
    return {"status": answer.status} | {name: content[name] for name in COMPARED if name in content}


@pytest.fixture
def real(enrol: Callable[[str], Any], engine: Engine, dsn: str) -> RealOffice:
    return RealOffice(enrol(SITE), engine, dsn)


def spoilt(request: Request, rng: Random) -> Request:
    """An upload as no site sends it: a header or a byte is another one."""
    headers = dict(request.headers)
    match rng.choice(["first", "count", "prev", "head", "installation", "body", "empty", "encoding"]):
        case "first":
            headers["gatectl-first"] = str(int(headers["gatectl-first"]) + rng.choice([-1, 1, 40]))
        case "count":
            headers["gatectl-count"] = str(int(headers["gatectl-count"]) + 1)
        case "body":
            at = rng.randrange(len(request.body))
            body = request.body[:at] + bytes([request.body[at] ^ 1]) + request.body[at + 1 :]
            return replace(request, body=body)
        case "empty":
            return replace(request, body=b"", headers=(*headers.items(), ("content-encoding", "identity")))
        case "encoding":
            headers["content-encoding"] = "gzip"
        case "installation":
            headers["gatectl-installation"] = "installation-0"
        case which:
            headers[f"gatectl-{which}"] = bytes(rng.randbytes(32)).hex()
    return replace(request, headers=tuple(headers.items()))


def forged(request: Request, seqs: int) -> Request:
    """The same facts at another time and, by `seqs`, at another place: a whole chain, but not the one the office has."""
    headers = dict(request.headers)
    body = zstandard.decompress(request.body) if headers["content-encoding"] == "zstd" else request.body
    records = [Record.from_line(line) for line in body.splitlines()]
    records = [replace(record, seq=record.seq + seqs, wall_ms=record.wall_ms + 1) for record in records]
    head = bytes.fromhex(headers["gatectl-prev"])
    for record in records:
        head = link(head, record.header(), record.body)
    headers |= {"gatectl-first": str(records[0].seq), "gatectl-head": head.hex(), "content-encoding": "identity"}
    return replace(
        request, body=b"".join(record.to_line() + b"\n" for record in records), headers=tuple(headers.items())
    )


class FakeOffice:
    """A second office of the world's, that goes through the same as the real one."""

    def __init__(self) -> None:
        self.office = Office(SITE, zstd=True)
        self._backups: dict[str, Backup] = {}

    def enrol(self, installation: str) -> None:
        assert installation == self.office.enrol()[0]

    def backup(self, number: str) -> None:
        self._backups[number] = self.office.backup()

    def restore(self, number: str) -> None:
        self.office.restore(self._backups[number])


@pytest.mark.parametrize("seed", [5, 10])
def test_the_real_office_answers_like_the_worlds(real: RealOffice, seed: int) -> None:
    """Restores of both ends, clones, cuts, duplicates, old questions behind newer ones: the same answers, one by one.

    Between them come uploads that no site sends: those are refused alike, and change neither.
    """
    fake, rng, seen = FakeOffice(), Random(seed), Counter[str]()
    for number, (what, answer) in enumerate(told := recorded(seed)):
        if isinstance(what, Deed):
            for office in (fake, real):
                {"enrol": office.enrol, "backup": office.backup, "restore": office.restore}[what.what](what.which)
            seen[what.what] += 1
            continue
        where = f"seed {seed}, number {number} of {len(told)}: {what.method} {what.path}"
        upload = bool(what.body) and "journal" in what.path
        for bad in [spoilt(what, rng), forged(what, 700)] if upload and rng.random() < SPOILT else []:
            here, there = compared(fake.office.ask(bad)), compared(real.ask(bad))
            seen[str(here.get("type"))] += 1

            assert there == here, f"{where}, before it"
        assert answer is not None
        here, there = compared(answer), compared(real.ask(what))
        seen[str(here.get("why") or here.get("type") or here["status"])] += 1

        assert there == here, where
        assert compared(fake.office.ask(what)) == here, where
        if upload and answer.status == 200 and rng.random() < SPOILT:
            here, there = compared(fake.office.ask(forged(what, 0))), compared(real.ask(forged(what, 0)))
            seen[str(here.get("type"))] += 1

            assert there == here, f"{where}, behind it"
    problems = {f"/problems/{name}" for name in ("fork", "gap", "bad-chain", "malformed", "not-enrolled")}
    assert {"backup", "restore", "200", "201", *problems} <= set(seen), seen
