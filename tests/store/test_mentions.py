"""Which records name a ticket or a lane: noted as they are written, the same after an upgrade and after a rebuild."""

import re
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Connection

from gatectl.domain import codec
from gatectl.domain import facts as f
from gatectl.domain.ids import AreaId, LaneId, SpotId, TicketNumber, TimeQuality, VendId
from gatectl.domain.records.exceptions import ExceptionNoted
from gatectl.store import journal
from gatectl.store.database import migrations, open_database, transaction
from gatectl.store.projection import project, rebuild
from gatectl.store.reading import Mirror

T0_MS = 1_795_000_000_000
LANES = [LaneId("IN-1"), LaneId("OUT-1"), LaneId("Süd 2")]


def number(n: int) -> TicketNumber:
    return TicketNumber(f"{n:06d}-K7QF")


def anything(rng: Random, n: int) -> tuple[f.Fact, ...]:
    """A ticket's beginning, and facts that name it in every way that there is."""
    lane = rng.choice(LANES)
    spot = SpotId(f"A-{n}")
    first = f.TicketIssued(number(n), n, lane, AreaId("main"), spot, "CAR", "COMPACT", "t", T0_MS, TimeQuality.SYNCED)
    entered = f.VehicleEntered(number(n), lane, None, T0_MS)
    rest: list[tuple[f.Fact, ...]] = [
        (),
        (f.CodeRefused(lane, "E-TKT-08", None),),
        (f.VendIntended(VendId(f"{lane}-K7QF-{n}"), lane, "ticket", number(n)),),
        (ExceptionNoted("damaged", number(n), number(max(1, n - 1)), "mia", 'said "000009-K7QF"', T0_MS),),
        (ExceptionNoted("keyed", number(n), "OUT-1", "mia", '"lane":"IN-1"', T0_MS),),
        (f.DeviceLost("io", "silence"),),
    ]
    return first, entered, *rng.choice(rest)


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    rng, made = Random("mentions"), open_database(tmp_path / "gatectl.db")  # seeded
    with transaction(made):
        tip = journal.read_tip(made, "s")
        for n in range(1, 80):
            for fact in anything(rng, n):
                body = codec.encode(fact)
                entry = journal.Entry(f"f{tip.seq}", T0_MS, "synced", "ab" * 8, 1, fact.kind, fact.version, body)
                tip = journal.append(made, tip, [entry])
                project(made, fact, T0_MS)
    return made


def mentions(connection: Connection) -> list[tuple[str, int]]:
    rows = connection.exec_driver_sql("SELECT what, position FROM mentions ORDER BY what, position")
    return [(what, position) for what, position in rows]


def test_an_upgrade_and_a_rebuild_find_what_was_noted(connection: Connection) -> None:
    """A journal of an older version is read once, in SQL; whoever wrote a number into a reason has named nothing by it."""
    noted = mentions(connection)
    script = next(script for number, script in migrations() if number == 6)
    with transaction(connection):
        connection.exec_driver_sql("DELETE FROM mentions")
        for statement in re.findall(r"INSERT OR IGNORE.*?;", script, re.DOTALL):
            connection.exec_driver_sql(statement)
    upgraded = mentions(connection)
    with transaction(connection):
        rebuild(connection)

    assert len(noted) > 200
    assert noted == upgraded
    assert noted == mentions(connection)
    assert [] == [what for what, _ in noted if "000009" in what and what != "ticket 000009-K7QF"]
    connection.close()


def test_events_of_one_ticket_and_of_one_lane_are_all_that_name_it(connection: Connection, tmp_path: Path) -> None:
    """The same events as a search through every body, in the same order; the newest ones when there are many."""
    connection.close()
    with Mirror(tmp_path / "gatectl.db") as mirror:
        every = mirror.events(after=0, limit=1000)["events"]
        for lane in LANES:
            wanted = [event["position"] for event in every if event["body"].get("lane") == lane]
            assert wanted == [event["position"] for event in mirror.events(0, 1000, lane)["events"]]
            assert wanted[-3:] == [event["position"] for event in mirror.events(None, 3, lane)["events"]]
        of_one = mirror.events(ticket=number(7), limit=1000)["events"]
        assert [e["position"] for e in every if number(7) in (e["body"].get("ticket"), e["body"].get("other"))] == [
            event["position"] for event in of_one
        ]
        assert [] == mirror.events(lane="OUT-9")["events"]
