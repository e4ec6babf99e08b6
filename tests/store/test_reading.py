"""Reading the mirror without the daemon's machinery: the right rows, nothing written, nothing in the writer's way."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatectl.domain import codec
from gatectl.domain import facts as f
from gatectl.domain.ids import AreaId, LaneId, PaymentId, SpotId, TicketNumber, TimeQuality, VendId
from gatectl.store import database, journal, reading
from gatectl.store.projection import project
from gatectl.store.reading import DATABASE_NAME, Mirror, MirrorUnreadable
from sync import chain

SITE = "centrum-01"
T0_MS = 1_795_000_000_000


class Book:
    """A site's database, written as the daemon writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = database.open_database(path)
        with database.transaction(self.connection):
            self.tip = journal.read_tip(self.connection, SITE)
        self.written: list[f.Fact] = []

    def write(self, *facts: f.Fact) -> None:
        """Each fact a second after the one before."""
        for fact in facts:
            at_ms = T0_MS + 1000 * len(self.written)
            self.written.append(fact)
            entry = journal.Entry(
                f"f{len(self.written)}", at_ms, "synced", "ab" * 8, at_ms, fact.kind, fact.version, codec.encode(fact)
            )
            with database.transaction(self.connection):
                self.tip = journal.append(self.connection, self.tip, [entry])
                project(self.connection, fact, at_ms)

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / DATABASE_NAME)
    yield book
    book.close()


def issued(number: str, counter: int, spot: str | None = None, lane: str = "IN-1") -> f.TicketIssued:
    return f.TicketIssued(
        ticket=TicketNumber(number),
        counter=counter,
        lane=LaneId(lane),
        area=AreaId("main"),
        spot=SpotId(spot) if spot else None,
        vehicle_type="CAR",
        spot_type="COMPACT",
        tariff="day-2026",
        issued_ms=T0_MS + counter * 60_000,
        time_quality=TimeQuality.SYNCED,
    )


def entered(number: str, lane: str = "IN-1") -> f.VehicleEntered:
    return f.VehicleEntered(TicketNumber(number), LaneId(lane), VendId("v1"), T0_MS)


def paid(number: str, key: str, receipt: int) -> f.PaymentTaken:
    return f.PaymentTaken(
        payment=PaymentId(key),
        ticket=TicketNumber(number),
        method="CASH",
        amount_minor=350,
        currency="EUR",
        tendered_minor=500,
        change_minor=150,
        due_minor=350,
        tariff="day-2026",
        lines=(f.Line("3 steps", 350),),
        till="cashier",
        by="jan",
        series="cashier",
        receipt=receipt,
        paid_ms=T0_MS,
    )


def a_morning(book: Book) -> None:
    book.write(
        issued("000001-AAAA", 1, "A-1"),
        entered("000001-AAAA"),
        issued("000002-AAAA", 2, "A-2", "IN-10"),
        f.TicketVoided(TicketNumber("000002-AAAA"), LaneId("IN-10"), f.VoidReason.NOT_TAKEN),
        paid("000001-AAAA", "k-1", 1),
        f.LaneFaulted(LaneId("OUT-1"), f.LaneFault.FAILS_TO_OPEN, "no 'up' after 8 s"),
        f.DeviceLost("io", "no answer"),
    )


def test_the_name_of_the_file_is_the_writers() -> None:
    """The reader does not import the writer, which loads the ORM; the two must still open the same file."""
    assert database.DATABASE_NAME == DATABASE_NAME


@pytest.mark.parametrize(
    ("question", "numbers"),
    [
        ({}, ["000002-AAAA", "000001-AAAA"]),
        ({"state": "inside"}, ["000001-AAAA"]),
        ({"q": "0002"}, ["000002-AAAA"]),
        ({"q": "aaaa"}, ["000002-AAAA", "000001-AAAA"]),
        ({"q": "a-1"}, ["000001-AAAA"]),
        ({"q": "%"}, []),
        ({"q": "_"}, []),
        ({"q": "' OR 1=1 --"}, []),
        ({"since_ms": T0_MS + 90_000}, ["000002-AAAA"]),
        ({"limit": 1}, ["000002-AAAA"]),
    ],
)
def test_tickets_are_found(book: Book, question: dict[str, object], numbers: list[str]) -> None:
    """By state, by part of the number or the spot, by time; newest first."""
    a_morning(book)
    with Mirror(book.path) as mirror:
        found = mirror.tickets(**question)  # type: ignore[arg-type]  # a table of keyword arguments

    assert numbers == [row["ticket"] for row in found["tickets"]]


def test_a_ticket_tells_its_story(book: Book) -> None:
    """Its stay, its payments, and each event that names it, in words."""
    a_morning(book)
    with Mirror(book.path) as mirror:
        found = mirror.ticket("000001-AAAA")
        assert mirror.ticket("000009-AAAA") is None

    assert found is not None
    assert ("gatectl.ticket/1", "inside", True, 350) == (
        found["schema"], found["state"], found["verified"], found["paid_minor"],
    )  # fmt: skip
    assert [["3 steps", 350]] == found["payments"][0]["lines"]
    assert [
        "IN-1: ticket 000001-AAAA issued, spot A-1",
        "IN-1: vehicle entered on 000001-AAAA",
        "paid EUR 3.50 CASH for 000001-AAAA, change EUR 1.50, receipt cashier-1",
    ] == [event["text"] for event in found["events"]]


@pytest.mark.parametrize(
    ("question", "positions"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7]),
        ({"limit": 2}, [6, 7]),
        ({"after": 0, "limit": 2}, [1, 2]),
        ({"after": 2, "limit": 2}, [3, 4]),
        ({"after": 7}, []),
        ({"lane": "IN-1"}, [1, 2]),
        ({"lane": "IN-10"}, [3, 4]),
        ({"kind": "ticket"}, [1, 3, 4]),
        ({"kind": "ticket.issued"}, [1, 3]),
        ({"kind": "tick"}, []),
        ({"since_ms": T0_MS + 5000}, [6, 7]),
    ],
)
def test_events_are_paged_and_filtered(book: Book, question: dict[str, object], positions: list[int]) -> None:
    """Oldest first; without `after` the last ones. A lane whose name begins like another's is another lane."""
    a_morning(book)
    with Mirror(book.path) as mirror:
        found = mirror.events(**question)  # type: ignore[arg-type]  # a table of keyword arguments

    assert positions == [event["position"] for event in found["events"]]
    assert (positions[-1] if positions else question.get("after", 0)) == found["next"]


def test_lanes_devices_and_counts_are_told(book: Book) -> None:
    """What `gatectl status` says when no daemon runs."""
    a_morning(book)
    with Mirror(book.path) as mirror:
        lanes, devices, counts = mirror.lane_states(), mirror.devices(), mirror.counts()
        held, last = mirror.spots_held(), mirror.last_event("IN-1")

    assert [("fails-to-open", "E-BAR-02")] == [(fault["fault"], fault["code"]) for fault in lanes["OUT-1"]["faults"]]
    assert [("io", False)] == [(row["device"], row["up"]) for row in devices]
    assert 1 == counts["main"]["inside"]
    assert {("main", "COMPACT"): 1} == held
    assert last is not None
    assert (2, "IN-1: vehicle entered on 000001-AAAA") == (last["position"], last["text"])


def test_an_empty_mirror_answers_everything(book: Book) -> None:
    """A site on its first day."""
    with Mirror(book.path) as mirror:
        assert [] == mirror.tickets()["tickets"]
        assert ([], 0) == (mirror.events()["events"], mirror.events()["next"])
        assert (0, None) == (mirror.backlog()["backlog"], mirror.backlog()["oldest_ms"])
        proof = mirror.prove(SITE)

    assert (0, chain.genesis(SITE, 1).hex(), True) == (proof["seq"], proof["head"], proof["ok"])


# -- proof and backlog --------------------------------------------------------------------------------------------------


def test_the_proof_is_the_writers_own_head(book: Book) -> None:
    """Computed again from every record, it arrives where the writer stands; the digest is that of the tickets."""
    a_morning(book)
    with Mirror(book.path) as mirror:
        proof = mirror.prove(SITE)

    assert (1, 7, book.tip.head.hex(), True) == (proof["generation"], proof["seq"], proof["head"], proof["ok"])
    assert (2, 1, 350) == (proof["tickets"], proof["payments"], proof["paid_minor"])
    assert chain.digest([("000002-AAAA", "void", 0), ("000001-AAAA", "inside", 350)]) == proof["digest"]


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE journal SET body = replace(body, 'IN-1', 'IN-2') WHERE position = 2",
        "UPDATE journal SET wall_ms = wall_ms + 1 WHERE position = 2",
        "UPDATE journal SET head = zeroblob(32) WHERE position = 2",
    ],
)
def test_an_edited_record_is_found(book: Book, edit: str) -> None:
    """One byte of the journal that is not what was written."""
    a_morning(book)
    with database.transaction(book.connection):
        book.connection.exec_driver_sql(edit)

    with Mirror(book.path) as mirror:
        proof = mirror.prove(SITE)

    assert (False, 2) == (proof["ok"], proof["broken_at"])


def test_a_missing_record_is_found(book: Book) -> None:
    """The record behind the gap does not continue the one before it."""
    a_morning(book)
    with database.transaction(book.connection):
        book.connection.exec_driver_sql("DELETE FROM journal WHERE position = 3")

    with Mirror(book.path) as mirror:
        assert 4 == mirror.prove(SITE)["broken_at"]


def test_a_pruned_journal_is_proven_from_its_first_record(book: Book) -> None:
    """What the office holds may have been deleted here; the rest must still hang together."""
    a_morning(book)
    with database.transaction(book.connection):
        book.connection.exec_driver_sql("DELETE FROM journal WHERE position <= 3")

    with Mirror(book.path) as mirror:
        proof = mirror.prove(SITE)

    assert (4, True, book.tip.head.hex()) == (proof["from_seq"], proof["ok"], proof["head"])


def test_the_backlog_is_what_was_not_acknowledged(book: Book) -> None:
    """Counted in the journal; an acknowledgement of another generation counts for nothing."""
    a_morning(book)
    with database.transaction(book.connection):
        database.set_mark(book.connection, "acked_generation", "1")
        database.set_mark(book.connection, "acked_seq", "5")
    with Mirror(book.path) as mirror:
        assert {"generation": 1, "seq": 7, "acked": 5, "backlog": 2, "oldest_ms": T0_MS + 5000} == mirror.backlog()

    with database.transaction(book.connection):
        database.set_mark(book.connection, "acked_seq", "7")
    with Mirror(book.path) as mirror:
        assert (7, 0, None) == tuple(mirror.backlog()[key] for key in ("seq", "backlog", "oldest_ms"))

    with database.transaction(book.connection):
        database.set_mark(book.connection, "acked_generation", "0")
    with Mirror(book.path) as mirror:
        assert 7 == mirror.backlog()["backlog"]


# -- manners ------------------------------------------------------------------------------------------------------------


def test_a_reader_cannot_write(book: Book) -> None:
    """Neither by the file's mode nor by a pragma that a question might forget."""
    with Mirror(book.path) as mirror, pytest.raises(sqlite3.OperationalError, match="readonly"):
        mirror._db.execute("DELETE FROM tickets")


def test_the_writer_goes_on_while_somebody_reads(book: Book) -> None:
    """A long proof neither waits for a car nor makes one wait; it sees one moment."""
    a_morning(book)
    with Mirror(book.path) as mirror:
        mirror._db.execute("BEGIN")
        before = mirror.position()

        book.write(issued("000003-AAAA", 3))

        assert before == mirror.position()
        mirror._db.execute("ROLLBACK")
        assert before + 1 == mirror.position()


def test_reading_leaves_the_log_as_it_is(book: Book) -> None:
    """Exactly one connection checkpoints: the writer's."""
    a_morning(book)
    wal = book.path.with_name(book.path.name + "-wal")
    before = wal.read_bytes()

    with Mirror(book.path) as mirror:
        mirror.prove(SITE)

    assert before == wal.read_bytes()


def test_a_mirror_that_was_closed_is_read(book: Book) -> None:
    """The daemon has stopped in order: there is no log any more."""
    a_morning(book)
    book.close()

    with Mirror(book.path) as mirror:
        assert 7 == mirror.position()


@pytest.mark.parametrize("log", [None, b""])
def test_one_who_may_not_write_the_folder_reads_a_closed_mirror(
    book: Book, monkeypatch: pytest.MonkeyPatch, log: bytes | None
) -> None:
    """SQLite cannot make its shared memory; nobody writes, so the file is read as it lies. (Tests may run as root: the
    kernel's refusal is played.)"""
    a_morning(book)
    book.close()
    wal = book.path.with_name(book.path.name + "-wal")
    if log is not None:
        wal.write_bytes(log)
    opened = reading._opened

    def refused(path: Path, how: str) -> sqlite3.Connection:
        if how == "mode=ro":
            raise sqlite3.OperationalError("unable to open database file")
        return opened(path, how)

    monkeypatch.setattr(reading, "_opened", refused)

    with Mirror(book.path) as mirror:
        assert 7 == mirror.position()

    wal.write_bytes(b"not empty")
    with pytest.raises(MirrorUnreadable, match="group gatectl"):
        Mirror(book.path)


def test_a_mirror_whose_writer_was_killed_is_read(book: Book, tmp_path: Path) -> None:
    """What was committed is in the log, which nobody has put into the database yet."""
    a_morning(book)
    copy = tmp_path / "copy"
    copy.mkdir()
    for part in (DATABASE_NAME, f"{DATABASE_NAME}-wal"):
        (copy / part).write_bytes((tmp_path / part).read_bytes())

    with Mirror(copy / DATABASE_NAME) as mirror:
        assert 7 == mirror.position()


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no mirror yet"), (b"", "not a mirror"), (b"hello" * 1000, "not a database")]
)
def test_what_is_no_mirror_is_refused_by_name(tmp_path: Path, content: bytes | None, words: str) -> None:
    """Missing, empty, or somebody else's file; nothing is created."""
    path = tmp_path / "x.db"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(MirrorUnreadable, match=words):
        Mirror(path)

    assert (content is not None) == path.exists()


def test_a_body_that_cannot_be_read_hides_no_other_event(book: Book) -> None:
    """A damaged body is shown with what is left of it."""
    a_morning(book)
    with database.transaction(book.connection):
        book.connection.exec_driver_sql("UPDATE journal SET body = x'ff' WHERE position = 2")

    with Mirror(book.path) as mirror:
        events = mirror.events()["events"]

    assert 7 == len(events)
    assert {} == events[1]["body"]
    assert json.dumps(events)
