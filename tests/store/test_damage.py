"""A disk that forgets and a card that flips bits: damage is found at its place, and made whole by what the chain proves."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from store_bench import SITE, T0_MS, entry, issued
from test_mirror_and_books import plan_with_terminal

from gatectl.domain import facts as f
from gatectl.domain.ids import AreaId, Boot, LaneId, Moment, TimeQuality
from gatectl.store import journal
from gatectl.store.checking import Report, What, check
from gatectl.store.database import open_database, transaction
from gatectl.store.projection import project
from gatectl.store.reading import Mirror
from gatectl.store.repairing import CannotRepair, Repaired, Repairer
from gatectl.store.starting import begin
from gatectl.store.syncing import SyncJournal, set_acked
from sync.ports import Answer
from sync.records import Record, Welcome
from sync.upload import Identity, Send, UploaderMachine, Wait

RECORDS = 60
ACKED = 40
"""The office holds so many of them."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A stopped site's database: 30 tickets that entered."""
    path = tmp_path / "gatectl.db"
    connection = open_database(path)
    with transaction(connection):
        tip = journal.read_tip(connection, SITE)
        for number in range(1, RECORDS // 2 + 1):
            ticket = issued(number, f"A-{number}")
            for fact in (ticket, f.VehicleEntered(ticket.ticket, LaneId("IN-1"), None, T0_MS)):
                tip = journal.append(connection, tip, [entry(tip.seq + 1, fact)])
                project(connection, fact, T0_MS)
                if tip.seq == ACKED:
                    set_acked(connection, 1, ACKED, tip.head)
    connection.close()
    return path


@pytest.fixture
def office(path: Path) -> Callable[[int, int], Record]:
    """What the office was sent, before anything was damaged."""
    reader = SyncJournal(path, SITE)
    held = {record.seq: record for record in reader.read(1, 0, ACKED, 10**9)}
    reader.close()

    def fetch(generation: int, seq: int) -> Record:
        assert generation == 1
        if seq not in held:
            raise CannotRepair("no such record")
        return held[seq]

    return fetch


def spoil(path: Path, sql: str, *values: object) -> None:
    """As a bad disk would, but where one wants it."""
    raw = sqlite3.connect(path)
    with raw:
        assert raw.execute(sql, values).rowcount >= 1
    raw.close()


def repaired(path: Path, fetch: Any) -> tuple[Repaired, Report]:
    repairer = Repairer(SITE, fetch, "mia", Boot("cd" * 8, "0000"), Moment(T0_MS, 0, TimeQuality.FREE_RUNNING))
    return repairer.repair(path, check(path, SITE)), check(path, SITE)


def kinds(path: Path) -> list[tuple[str, int]]:
    raw = sqlite3.connect(path)
    found = list(raw.execute("SELECT kind, count(*) FROM journal GROUP BY kind ORDER BY kind"))
    raw.close()
    return found


def test_a_journal_that_is_whole(path: Path) -> None:
    assert (True, RECORDS) == ((report := check(path, SITE)).ok, report.records)


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE journal SET body = replace(body, 'CAR', 'CBR') WHERE seq = 7", What.CONTENT),
        ("UPDATE journal SET wall_ms = wall_ms + 4096 WHERE seq = 7", What.CONTENT),
        ("UPDATE journal SET kind = CAST(x'74ff' AS TEXT) WHERE seq = 7", What.CONTENT),
        ("UPDATE journal SET version = 'one' WHERE seq = 7", What.CONTENT),
        ("UPDATE journal SET seq = 7000 WHERE seq = 7", What.CONTENT),
        ("UPDATE journal SET generation = 9 WHERE seq = 7", What.CONTENT),
        ("UPDATE journal SET head = zeroblob(32) WHERE seq = 7", What.HEAD),
        ("DELETE FROM journal WHERE seq = 7", What.MISSING),
    ],
)
def test_what_the_office_holds_comes_back_and_is_proved(path: Path, office: Any, sql: str, what: What) -> None:
    """Whatever became of the seventh record: it is found, named, fetched, and the journal is byte for byte what it was."""
    spoil(path, sql)
    (damage,) = check(path, SITE).damages
    done, after = repaired(path, office)

    assert (1, 7, what, True) == (damage.generation, damage.seq, damage.what, damage.held)
    assert (1, [], True) == (len(done.fetched), done.lost, done.mirror)
    assert after.ok, after
    assert [("journal.repaired", 1), ("ticket.issued", 30), ("vehicle.entered", 30)] == kinds(path)


def test_several_at_once(path: Path, office: Any) -> None:
    """A page is gone: eleven records in a row, and one alone, and a row of the mirror."""
    spoil(path, "DELETE FROM journal WHERE seq BETWEEN 11 AND 21")
    spoil(path, "UPDATE journal SET body = x'7b7d' WHERE seq = 35")
    spoil(path, "UPDATE tickets SET paid_minor = 900 WHERE counter = 3")
    done, after = repaired(path, office)

    assert 12 == len(done.fetched)
    assert after.ok, after
    with Mirror(path) as mirror:
        assert 0 == mirror.ticket("000003-K7QF")["paid_minor"]  # type: ignore[index]  # it is there


def test_a_row_of_the_mirror(path: Path, office: Any) -> None:
    """The journal is whole, so the mirror is made again; nothing has to be on record for that."""
    spoil(path, "UPDATE tickets SET state = 'void' WHERE counter = 3")
    before = check(path, SITE)
    done, after = repaired(path, office)

    assert ("tickets 000003-K7QF",) == before.mirror
    assert ([], [], True) == (done.fetched, done.lost, after.ok)
    assert RECORDS == after.records


@pytest.mark.parametrize(
    "wound", ["UPDATE journal SET body = x'7b7d' WHERE seq = 50", "DELETE FROM journal WHERE seq = 50"]
)
def test_what_lies_only_here_is_set_aside_and_on_record(path: Path, office: Any, wound: str) -> None:
    """Nobody can send it back: the rest closes up, keeps its ids, and a fact says what is gone. The mirror still knows."""
    spoil(path, wound)
    done, after = repaired(path, office)
    raw = sqlite3.connect(path)
    lying = raw.execute("SELECT generation, seq, position FROM quarantine").fetchall()
    ids = [row[0] for row in raw.execute("SELECT fact_id FROM journal ORDER BY position")]
    body = raw.execute("SELECT body FROM journal WHERE kind = 'journal.repaired'").fetchone()[0]
    raw.close()

    assert ([], 1, 1) == (done.fetched, len(done.lost), after.set_aside)
    assert after.ok, after
    assert [(1, 50, 50)] == lying
    assert [*(f"id{n}" for n in range(1, 61) if n != 50), f"{'cd' * 8}00000001"] == ids
    assert b"record 1/50" in body
    with Mirror(path) as mirror:
        assert "inside" == mirror.ticket("000025-K7QF")["state"]  # type: ignore[index]  # it is there


@pytest.mark.parametrize("seq", [1, 50])
def test_a_start_finds_it_wherever_it_lies(path: Path, seq: int) -> None:
    """World seed 1: the very first record was trusted, as if older ones had been pruned, and then could not be read."""
    spoil(path, f"UPDATE journal SET body = x'7b7d' WHERE seq = {seq}")
    connection = open_database(path)
    start = begin(connection, path, replace(plan_with_terminal(), site=SITE))
    connection.close()

    assert f"record 1/{seq} (content" in start.damaged
    assert RECORDS // 2 == start.books.counts[AreaId("main")].inside


@pytest.mark.parametrize(
    "wound",
    [
        "UPDATE journal SET body = CAST(body AS TEXT) WHERE seq = 50",
        "UPDATE journal SET mono_ms = 'soon' WHERE seq = 50",
        "UPDATE journal SET fact_id = x'ff' WHERE seq = 50",
        "UPDATE journal SET head = 'nothing' WHERE seq = 60",
        "UPDATE journal SET head = zeroblob(31) WHERE seq = 60",
    ],
)
def test_what_is_of_another_type_is_not_sent(path: Path, wound: str) -> None:
    """A bit in a row's header makes text of bytes: the uploader says so by name, and does not stop the daemon."""
    spoil(path, wound)
    reader = SyncJournal(path, SITE)
    machine = UploaderMachine(Identity(SITE, "i", 1, "b", "s"), reader, Random(1), wall_ms=lambda: 0)
    head = reader.head_at(1, ACKED)
    assert head is not None
    welcome = Welcome(SITE, 1, ACKED, head.hex(), "continue", "", 1, 1, 0, 0, False, ("identity",))
    assert isinstance(machine.step(0), Send)
    machine.answered(Answer(200, "application/json", (), welcome.to_json()), 0)

    assert isinstance(machine.step(0), Wait)
    assert "journal-damaged" == machine.status(0).reason
    reader.close()


def test_a_new_file_has_the_offices_data_and_asks_for_it_again(path: Path, office: Any) -> None:
    """A page is unreadable: what the office had sent down goes on serving, and without its cursor all of it comes anew."""
    spoil(path, "INSERT INTO feed (kind, key, seq, body) VALUES ('tariff', 'day', 7, '{}')")
    spoil(path, "INSERT INTO marks (name, value) VALUES ('feed_epoch', '1'), ('feed_seq', '7')")
    raw = bytearray(path.read_bytes())
    at = raw.index(b'"ticket":"000020-K7QF"') // 4096 * 4096
    raw[at : at + 8] = bytes(8)  # the header of a page of the journal
    path.write_bytes(bytes(raw))
    done, after = repaired(path, office)
    reader = SyncJournal(path, SITE)

    assert done.aside is not None
    assert after.ok, after
    assert [("day", {})] == reader.feed_rows("tariff")
    assert (0, 0) == reader.feed_cursor()
    assert ACKED == reader.acked().seq
    reader.close()


def test_the_newest_record_is_set_aside_and_its_number_is_not_used_again(path: Path, office: Any) -> None:
    """Whoever followed the events up to 60 must hear of the repair: it is 61, though 60 lies in the journal no longer."""
    spoil(path, f"UPDATE journal SET body = x'7b7d' WHERE seq = {RECORDS}")
    _, after = repaired(path, office)
    raw = sqlite3.connect(path)
    newest = raw.execute("SELECT position, seq, kind FROM journal ORDER BY position DESC LIMIT 1").fetchone()
    raw.close()

    assert (RECORDS + 1, RECORDS, "journal.repaired") == newest
    assert after.ok, after


def test_a_record_that_does_not_come_to_the_head_is_refused(path: Path, office: Any) -> None:
    """An office of another site, or one that was tampered with, is not believed: nothing is changed."""
    spoil(path, "UPDATE journal SET body = x'7b7d' WHERE seq = 7")
    before = path.read_bytes()

    with pytest.raises(CannotRepair, match="does not come to the head"):
        repaired(path, lambda generation, seq: Record(seq, "x", 1, "synced", "b", 1, "ticket.issued", 1, b"{}"))
    assert What.CONTENT == check(path, SITE).damages[0].what
    assert len(before) == path.stat().st_size


def test_the_end_that_is_missing_comes_back(path: Path, office: Any) -> None:
    """A file that was cut off: the office has acknowledged what is not here."""
    spoil(path, "DELETE FROM journal WHERE seq > 30")
    done, after = repaired(path, office)

    assert 10 == len(done.fetched)
    assert after.ok, after


@pytest.mark.parametrize("seed", range(60))
def test_no_flipped_bit_goes_unseen_that_matters_and_every_one_is_mended(path: Path, office: Any, seed: int) -> None:
    """One bit anywhere in the file: either nothing that is read has changed, or it is found; after the repair all is whole."""
    rng = Random(f"flip {seed}")
    raw = bytearray(path.read_bytes())
    raw[rng.randrange(100, len(raw))] ^= 1 << rng.randrange(8)
    content = contents(path)
    path.write_bytes(bytes(raw))
    report = check(path, SITE)

    if report.ok:
        assert content == contents(path)
        return
    _, after = repaired(path, office)
    assert after.ok, (report, after)
    if not after.set_aside:
        assert content["tickets"] == contents(path)["tickets"]


def contents(path: Path) -> dict[str, list[Any]]:
    raw = sqlite3.connect(path)
    raw.text_factory = bytes
    found = {
        table: sorted(raw.execute(f"SELECT * FROM {table}"), key=repr)
        for table in ("journal", "tickets", "counts", "marks")
    }
    raw.close()
    return found
