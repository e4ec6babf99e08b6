"""`gatectl mirror rebuild`: the tables made again from the journal, and never under a running daemon."""

from typing import Any

import pytest

from gatectl.domain import codec
from gatectl.domain import facts as f
from gatectl.domain.ids import AreaId, LaneId, TicketNumber, TimeQuality
from gatectl.store import database, journal
from gatectl.store.projection import project
from gatectl.store.reading import Mirror

T0_MS = 1_795_000_000_000
TICKET = TicketNumber("000001-K7QF")


@pytest.fixture
def mirrored(quiet_site: Any) -> Any:
    """A stopped site with one car inside."""
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
    connection = database.open_database(site.root / "state" / database.DATABASE_NAME)
    with database.transaction(connection):
        connection.exec_driver_sql(sql)
    connection.close()


def state(site: Any) -> str | None:
    with Mirror(site.root / "state" / database.DATABASE_NAME) as mirror:
        row = mirror.ticket(TICKET)
        return row and str(row["state"])


@pytest.mark.parametrize("wound", ["DELETE FROM tickets", "UPDATE tickets SET state = 'void'"])
def test_a_spoiled_mirror_is_made_again(mirrored: Any, wound: str) -> None:
    """Somebody edited a table; the journal still knows."""
    spoil(mirrored, wound)

    answer = mirrored.json("mirror", "rebuild")

    assert {
        "schema": "gatectl.done/1",
        "done": "the mirror was made again from 2 facts",
        "position": 2,
    } == answer
    assert "inside" == state(mirrored)


def test_it_is_refused_while_a_daemon_runs(mirrored: Any) -> None:
    """The daemon's own connection is the only one that writes."""
    spoil(mirrored, "UPDATE tickets SET state = 'void'")
    lock = database.StateLock(mirrored.root / "state")

    error = mirrored.error("mirror", "rebuild")
    lock.release()

    assert "E-CFG-02" == error["code"]
    assert "is in use by gatectl with pid" in error["message"]
    assert "void" == state(mirrored)


def test_a_journal_that_cannot_be_read_changes_nothing(mirrored: Any) -> None:
    """A fact of a newer version stands in it: all or nothing."""
    spoil(mirrored, "UPDATE journal SET version = 9 WHERE position = 2")

    error = mirrored.error("mirror", "rebuild")

    assert ("E-CFG-02", "vehicle.entered/9") == (error["code"], error["message"])
    assert "inside" == state(mirrored)


def test_without_a_mirror_there_is_nothing_to_make(quiet_site: Any) -> None:
    """It does not make an empty one: a wrong --state-dir must be noticed."""
    assert "E-CFG-02" == quiet_site.error("mirror", "rebuild")["code"]
    assert [] == list((quiet_site.root / "state").iterdir())
