"""A real database file with a real writer, and what the writer said."""

import sqlite3
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatectl.domain import codec
from gatectl.domain import facts as f
from gatectl.domain.effects import Effect, ShowText
from gatectl.domain.ids import AreaId, Boot, LaneId, Moment, SpotId, TicketNumber, TimeQuality
from gatectl.store import journal
from gatectl.store.database import open_database
from gatectl.store.syncing import open_reader
from gatectl.store.writer import Commit, StampedFact, Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

SITE = "bench-01"
BOOT = Boot("ab" * 8, "K7QF")
T0_MS = 1_795_000_000_000
WAIT_S_MAX = 10.0
EFFECT = ShowText(LaneId("IN-1"), "hello")


def issued(counter: int, spot: str | None = None) -> f.TicketIssued:
    return f.TicketIssued(
        ticket=TicketNumber(f"{counter:06d}-K7QF"),
        counter=counter,
        lane=LaneId("IN-1"),
        area=AreaId("main"),
        spot=SpotId(spot) if spot else None,
        vehicle_type="CAR",
        spot_type="COMPACT",
        tariff="t",
        issued_ms=T0_MS + counter,
        time_quality=TimeQuality.SYNCED,
    )


def commit(*facts: f.Fact, effects: tuple[Effect, ...] = (EFFECT,), first: int = 0) -> Commit:
    """A batch whose facts have ids that tell where they came from."""
    stamped = tuple(
        StampedFact(f"{fact.kind}-{first + number}-{id(fact):x}", Moment(T0_MS + first + number, first), fact)
        for number, fact in enumerate(facts)
    )
    return Commit(stamped, effects)


def entry(number: int, fact: f.Fact) -> journal.Entry:
    return journal.Entry(
        f"id{number}", T0_MS + number, "synced", BOOT.boot_id, number, fact.kind, fact.version, codec.encode(fact)
    )


@dataclass
class Bench:
    """`released` holds the batches whose effects may be performed, `deaths` what the writer said when it could not go on."""

    path: Path
    released: list[Commit] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    """Journal rows that another connection could read, each time effects were released."""

    def __post_init__(self) -> None:
        self.connection: Connection = open_database(self.path)
        self.died = threading.Event()
        self._moved = threading.Condition()
        self.watch: Callable[[], Any] | None = None
        self.writer = Writer(self.connection, SITE, BOOT, self._committed, self._fatal)
        raw = self.connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_trace_callback(self.statements.append)

    def _committed(self, commits: tuple[Commit, ...], tip: journal.Tip) -> None:
        self.seen.append(self.rows("SELECT count(*) FROM journal")[0][0])
        with self._moved:
            self.released += commits
            self._moved.notify_all()

    def _fatal(self, why: str) -> None:
        self.deaths.append(why)
        self.died.set()

    def wait_released(self, number: int) -> None:
        with self._moved:
            assert self._moved.wait_for(lambda: len(self.released) >= number, WAIT_S_MAX), f"{len(self.released)} only"

    def rows(self, sql: str, *values: object) -> list[Any]:
        """What a reader beside the writer sees."""
        reader = open_reader(self.path)
        try:
            return list(reader.execute(sql, values))
        finally:
            reader.close()

    def begins(self) -> int:
        return sum(statement.startswith("BEGIN") for statement in self.statements)

    def close(self) -> None:
        self.writer.stop()
        self.connection.close()
