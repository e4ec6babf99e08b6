"""The stored journal: its chain can be computed again, an edited byte is found, and a new generation keeps what it moves."""

import sqlite3
from pathlib import Path

import pytest
from store_bench import SITE, Bench, commit, entry, issued

from gatectl.domain import facts as f
from gatectl.store import journal
from gatectl.store.database import mark, transaction
from gatectl.store.journal import Tip
from gatectl.store.reading import Mirror
from gatectl.store.syncing import SyncJournal, SyncWrites
from sync import chain
from sync.ports import JournalDamaged
from sync.records import Record

COLUMNS = "seq, fact_id, wall_ms, quality, boot_id, mono_ms, kind, version, body, head"


def write(bench: Bench, number: int, first: int = 1) -> None:
    with transaction(bench.connection):
        entries = [entry(n, f.CodeRefused("OUT-1", f"copy {n}", None)) for n in range(first, first + number)]  # type: ignore[arg-type]  # a NewType of str
        bench.writer.tip = journal.append(bench.connection, bench.writer.tip, entries)


def heads(bench: Bench, generation: int) -> list[bytes]:
    """The chain computed again from what lies on disk, as the office computes it."""
    head, found = chain.genesis(SITE, generation), []
    for *columns, stored in bench.rows(f"SELECT {COLUMNS} FROM journal WHERE generation = ? ORDER BY seq", generation):
        record = Record(*columns)
        head = chain.link(head, record.header(), record.body)
        assert head == stored, f"record {record.seq}"
        found.append(head)
    return found


def test_the_chain_of_the_stored_journal_can_be_computed_again(bench: Bench) -> None:
    """Heads are those of the bytes that lie on disk, through every commit; the tip is the last of them."""
    bench.writer.start()
    for number in range(1, 31):
        bench.writer.submit(commit(issued(number), f.CodeRefused("OUT-1", "copy", None)))  # type: ignore[arg-type]  # a NewType of str
    bench.wait_released(30)

    found = heads(bench, 1)

    assert 60 == len(found)
    assert Tip(1, 60, found[-1], 60) == bench.writer.tip
    assert list(range(1, 61)) == [seq for (seq,) in bench.rows("SELECT seq FROM journal ORDER BY position")]
    with Mirror(bench.path) as mirror:
        proof = mirror.prove(SITE)
    assert (True, 60, found[-1].hex(), None) == (proof["ok"], proof["seq"], proof["head"], proof["broken_at"])


@pytest.mark.parametrize(
    "edit",
    [
        "body = CAST(replace(CAST(body AS TEXT), 'copy 3', 'copy 4') AS BLOB)",
        "wall_ms = wall_ms + 1",
        "mono_ms = mono_ms + 1",
        "fact_id = 'idX'",
        "quality = 'unset'",
        "boot_id = 'cd' || substr(boot_id, 3)",
        "kind = 'code.refuseD'",
        "version = 2",
        "head = zeroblob(32)",
    ],
)
def test_one_edited_byte_is_found_at_its_record(bench: Bench, edit: str) -> None:
    """Whoever edits the journal is named the record; what stands before it is still proven."""
    write(bench, 6)
    with transaction(bench.connection):
        bench.connection.exec_driver_sql(f"UPDATE journal SET {edit} WHERE seq = 3")

    with Mirror(bench.path) as mirror:
        proof = mirror.prove(SITE)

    assert (False, 3) == (proof["ok"], proof["broken_at"])


@pytest.mark.parametrize(
    "wound", ["DELETE FROM journal WHERE seq = 3", "UPDATE journal SET seq = seq + 10 WHERE seq > 3"]
)
def test_a_missing_record_is_found(bench: Bench, wound: str) -> None:
    """A record that was cut out, and a journal with a gap, do not prove."""
    write(bench, 6)
    with transaction(bench.connection):
        bench.connection.exec_driver_sql(wound)

    with Mirror(bench.path) as mirror:
        assert not mirror.prove(SITE)["ok"]


def test_another_sites_chain_is_not_ours(bench: Bench) -> None:
    """The chain begins with the site's name: a database copied from a neighbour does not prove here."""
    write(bench, 3)

    with Mirror(bench.path) as mirror:
        proof = mirror.prove("elsewhere-01")

    assert (False, 1) == (proof["ok"], proof["broken_at"])


def test_a_new_generation_renumbers_only_what_is_not_acknowledged(bench: Bench) -> None:
    """A restored backup: ids and bodies stay byte for byte, only place and head are new; the acknowledged stays put."""
    write(bench, 10)
    bench.writer.start()
    reader = SyncJournal(bench.path, SITE)
    writes = SyncWrites(bench.writer, reader, SITE)
    fourth = reader.head_at(1, 4)
    assert fourth is not None
    writes.acknowledge(1, 4, fourth)
    content = "SELECT position, fact_id, wall_ms, quality, boot_id, mono_ms, kind, version, body FROM journal ORDER BY position"
    acknowledged = f"SELECT {COLUMNS} FROM journal WHERE position <= 4 ORDER BY position"
    before, kept = bench.rows(content), bench.rows(acknowledged)

    writes.begin_generation(3, "restored backup")

    assert before == bench.rows(content)
    assert kept == bench.rows(acknowledged)
    assert [(3, n - 4) for n in range(5, 11)] == bench.rows(
        "SELECT generation, seq FROM journal WHERE position > 4 ORDER BY position"
    )
    assert heads(bench, 3)[-1] == reader.position().head
    assert (3, 6) == (reader.position().generation, reader.position().seq)
    assert (3, 0, chain.genesis(SITE, 3)) == (reader.acked().generation, reader.acked().seq, reader.acked().head)
    reader.close()


def test_the_journal_goes_on_in_the_new_generation(bench: Bench) -> None:
    """What happens afterwards stands behind what was moved, in the same chain; event numbers never repeat."""
    write(bench, 3)
    bench.writer.start()
    reader = SyncJournal(bench.path, SITE)
    SyncWrites(bench.writer, reader, SITE).begin_generation(2, "cloned disk")

    bench.writer.submit(commit(issued(1)))
    bench.wait_released(1)

    assert [(2, 1), (2, 2), (2, 3), (2, 4)] == bench.rows("SELECT generation, seq FROM journal ORDER BY position")
    assert 4 == len(heads(bench, 2))
    assert Tip(2, 4, heads(bench, 2)[-1], 4) == bench.writer.tip
    reader.close()


def test_a_generation_in_which_nothing_waits_begins_empty(bench: Bench) -> None:
    """All was acknowledged: the first record of the new generation is the next thing that happens."""
    write(bench, 3)
    bench.writer.start()
    reader = SyncJournal(bench.path, SITE)
    writes = SyncWrites(bench.writer, reader, SITE)
    writes.acknowledge(1, 3, reader.position().head)

    writes.begin_generation(2, "rebuilt site")
    bench.writer.submit(commit(issued(1)))
    bench.wait_released(1)

    assert [(1, 3), (2, 1)] == bench.rows("SELECT generation, seq FROM journal WHERE position >= 3 ORDER BY position")
    assert 1 == len(heads(bench, 2))
    reader.close()


def test_a_renumbering_that_is_cut_off_never_happened(bench: Bench) -> None:
    """Power fails in the middle: the next start finds the old generation whole."""
    write(bench, 5)
    tip = bench.writer.tip

    def cut_off() -> None:
        with transaction(bench.connection):
            journal.begin_generation(bench.connection, SITE, 2, Tip(1, 2, heads(bench, 1)[1], tip.position))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()

    assert 5 == len(heads(bench, 1))
    assert "1" == mark(bench.connection, "generation")
    with transaction(bench.connection):
        assert tip == journal.read_tip(bench.connection, SITE)


@pytest.mark.parametrize(
    "wound",
    [
        "UPDATE journal SET body = x'7b7d' WHERE seq = 4",
        "UPDATE journal SET generation = 'one' WHERE seq = 4",
        "DELETE FROM journal WHERE seq = 4",
    ],
)
def test_a_damaged_record_gets_no_new_place(bench: Bench, wound: str) -> None:
    """In a new generation each record gets a new head: a damaged one would get one that fits it, and be sent as if it were so."""
    write(bench, 5)
    third = heads(bench, 1)[2]
    bench.connection.exec_driver_sql(wound)
    lying = bench.rows("SELECT * FROM journal ORDER BY position")
    bench.writer.start()
    reader = SyncJournal(bench.path, SITE)
    SyncWrites(bench.writer, reader, SITE).acknowledge(1, 3, third)

    with pytest.raises(JournalDamaged, match="record"):
        SyncWrites(bench.writer, reader, SITE).begin_generation(2, "forked")
    assert lying == bench.rows("SELECT * FROM journal ORDER BY position")
    assert 1 == reader.position().generation
    reader.close()


def test_the_tip_is_read_back_as_it_was(bench: Bench, tmp_path: Path) -> None:
    """A start goes on exactly where the last run ended, even one that was killed."""
    write(bench, 4)
    copy = tmp_path / "killed"
    copy.mkdir()
    for part in ("gatectl.db", "gatectl.db-wal"):
        (copy / part).write_bytes((tmp_path / part).read_bytes())

    again = Bench(copy / "gatectl.db")

    assert bench.writer.tip == again.writer.tip
    again.close()


def test_readers_never_write(bench: Bench) -> None:
    """Exactly one connection writes and checkpoints."""
    with pytest.raises(sqlite3.OperationalError, match=r"readonly|query_only"):
        bench.rows("DELETE FROM journal")
