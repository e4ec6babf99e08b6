"""`gatectl journal`: what is damaged is named with its place, and repaired only as far as somebody said it may be."""

import sqlite3
from typing import Any

import pytest

from gatectl.domain import codec
from gatectl.domain import facts as f
from gatectl.domain.ids import AreaId, LaneId, TicketNumber, TimeQuality
from gatectl.store import database, journal
from gatectl.store.projection import project

T0_MS = 1_795_000_000_000
TICKET = TicketNumber("000001-K7QF")


@pytest.fixture
def written(quiet_site: Any) -> Any:
    """A stopped site with one car inside, of which the office knows nothing."""
    issued = f.TicketIssued(
        TICKET, 1, LaneId("IN-1"), AreaId("main"), None, "CAR", None, "day", T0_MS, TimeQuality.SYNCED
    )
    connection = database.open_database(quiet_site.root / "state" / database.DATABASE_NAME)
    with database.transaction(connection):
        tip = journal.read_tip(connection, "centrum-01")
        for number, fact in enumerate((issued, f.VehicleEntered(TICKET, LaneId("IN-1"), None, T0_MS))):
            body = codec.encode(fact)
            entry = journal.Entry(f"f{number}", T0_MS, "synced", "ab" * 8, 1, fact.kind, fact.version, body)
            tip = journal.append(connection, tip, [entry])
            project(connection, fact, T0_MS)
    connection.close()
    return quiet_site


def spoil(site: Any, sql: str) -> None:
    raw = sqlite3.connect(site.root / "state" / database.DATABASE_NAME)
    with raw:
        raw.execute(sql)
    raw.close()


def test_a_whole_journal(written: Any) -> None:
    """Nothing is wrong, and the exit code says so; a repair has nothing to do."""
    report = written.json("journal", "check")

    assert (True, 2, [], []) == (report["ok"], report["records"], report["damaged"], report["mirror"])
    assert "nothing is damaged" == written.json("journal", "repair")["done"]


def test_damage_is_named_and_what_lies_only_here_needs_a_word(written: Any) -> None:
    """Nobody holds the second record: it is taken out only when somebody says so, and then the rest is whole."""
    spoil(written, "UPDATE journal SET wall_ms = 7 WHERE seq = 2")
    told = written.run("journal", "check")
    refused = written.error("journal", "repair")
    done = written.json("journal", "repair", "--set-aside")

    assert 3 == told.exit_code
    assert "damaged: record 1/2 (content; only here)" in told.output
    assert "gatectl journal repair" in told.output
    assert ("E-JNL-03", True) == (refused["code"], "record 1/2" in refused["message"])
    assert ["record 1/2 (content; only here)"] == done["lost"]
    assert (True, 1) == ((after := written.json("journal", "check"))["ok"], after["set_aside"])


def test_without_the_office_nothing_is_changed(written: Any) -> None:
    """The office holds the damaged record and cannot be asked: it is not set aside, and the refusal says why."""
    spoil(written, "UPDATE journal SET wall_ms = 7 WHERE seq = 1")
    spoil(written, "INSERT INTO marks VALUES ('acked_generation', '1'), ('acked_seq', '1'), ('acked_head', '00')")

    error = written.error("journal", "repair", "--set-aside")

    assert "E-JNL-02" == error["code"]
    assert "record 1/1 could not be fetched from the office" in error["message"]
    assert "content" == written.run("journal", "check").output.split("(")[1].split(";")[0]


def test_it_is_refused_while_a_daemon_runs(written: Any) -> None:
    """Checking is allowed beside a daemon, repairing is not."""
    lock = database.StateLock(written.root / "state")

    assert written.json("journal", "check")["ok"]
    assert "E-JNL-02" == written.error("journal", "repair")["code"]
    lock.release()
