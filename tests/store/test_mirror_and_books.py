"""One truth in three forms: the journal, the books that folded it, and the mirror that projected it.

A seeded walk leads a real site through anything that can happen, killed and started again from disk in between. At every
stop the books loaded from the mirror must be the books that lived through it, and the mirror made again from the journal must
have the same rows.
"""

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from site_stories import AREA, IN, OFF, ON, OUT, START_MS, Story, new_books, site_plan
from sqlalchemy import Connection

from gatectl.domain import codec, events, tickets
from gatectl.domain import facts as f
from gatectl.domain.books import Books
from gatectl.domain.effects import PrintTicket
from gatectl.domain.ids import AreaId, Boot, JobId, PaymentId, RequestId, TicketNumber, VendId
from gatectl.domain.lane import (
    Arm,
    ArmAnswered,
    ArmingLoopChanged,
    ArmMoved,
    ButtonPressed,
    ClosingLoopChanged,
    CodeWasRead,
    DoorMoved,
    FireChanged,
    Hand,
    Input,
    Phase,
    PrinterChanged,
    PrintFailed,
    TerminalAnswered,
    TicketPresented,
    TicketPrinted,
    TicketPulled,
    TicketRetracted,
)
from gatectl.domain.plan import SitePlan
from gatectl.domain.tariffs import parse
from gatectl.domain.tickets import CROCKFORD
from gatectl.store import journal
from gatectl.store.database import open_database, transaction
from gatectl.store.loading import load_books
from gatectl.store.projection import MIRROR_TABLES, rebuild

SEEDS = range(8)
STEPS = 350
LOOK_EVERY = 25


def of_a_lost_disk(plan: SitePlan, counter: int) -> str:
    """An authentic ticket of this site that no database knows any more."""
    issued_s = START_MS // 1000 - 3_600
    return tickets.sign(plan.keyring, plan.site, counter=counter, tag="D1SK", issued_s=issued_s, vehicle_type="CAR")


BY_DEMAND = {
    "id": "by-demand",
    "effective_from": datetime(2026, 1, 2, tzinfo=UTC),
    "kind": "bands",
    "lost_ticket_minor": 2_000,
    "bands": [{"per_step_minor": 300}],
    "demand": {"levels": [{"from_percent": 0, "percent": 100}, {"from_percent": 30, "percent": 150}]},
}


def plan_with_terminal(spots: int = 4) -> SitePlan:
    plan = site_plan(spots)
    lanes = tuple(replace(lane, has_terminal=lane.lane == OUT) for lane in plan.lanes)
    return replace(plan, lanes=lanes, tariffs=(*plan.tariffs, parse(BY_DEMAND)))


class Life:
    """A site, the disk it lives on, and a random day. `kept` is everything that it has recorded, over all runs."""

    def __init__(self, path: Path, seed: int) -> None:
        self.pick = random.Random(seed)
        self.connection: Connection = open_database(path)
        self.plan = plan_with_terminal()
        with transaction(self.connection):
            self.tip = journal.read_tip(self.connection, self.plan.site)
        self.codes = [of_a_lost_disk(self.plan, counter) for counter in (40, 20, 30)]
        self.kept: list[f.Fact] = []
        self.requests = 0
        self.story = Story(self.plan, self._boot())
        self.written = 0
        self.story.start()
        self.write()

    def _boot(self) -> Boot:
        return Boot(f"{self.pick.getrandbits(64):016x}", "".join(self.pick.choices(CROCKFORD, k=4)))

    @property
    def books(self) -> Books:
        return self.story.site.books

    def write(self) -> None:
        """Record what was decided since, as the writer does."""
        fresh = self.story.facts[self.written :]
        self.written = len(self.story.facts)
        if not fresh:
            return
        now = self.story.now
        with transaction(self.connection):
            entries = [
                journal.Entry(
                    f"id{self.tip.position + n}",
                    now.wall_ms,
                    now.quality.value,
                    self.story.boot.boot_id,
                    now.mono_ms,
                    fact.kind,
                    fact.version,
                    codec.encode(fact),
                )
                for n, fact in enumerate(fresh)
            ]
            self.tip = journal.append(self.connection, self.tip, entries)
            from gatectl.store.projection import project

            for fact in fresh:
                project(self.connection, fact, now.wall_ms)
        self.kept += fresh

    def restart(self) -> None:
        """kill -9, some dark time, and a start from disk."""
        dark_ms = self.story.now.wall_ms
        now = replace(self.story.now, wall_ms=dark_ms + 60_000, mono_ms=self.pick.randrange(10**6))
        self.story = Story(self.plan, self._boot(), load_books(self.connection, self.plan), now=now)
        self.written = 0
        self.story.start(dark_ms)

    # -- what can happen -------------------------------------------------------------------------------------------

    def step(self) -> None:
        act = self.pick.choices(
            [self.good_day, self.anything, self.wait, self.person, self.money, self.outside, self.restart],
            [45, 15, 14, 8, 10, 7, 1],
        )[0]
        act()
        self.codes += [e.code for e in self.story.effects if isinstance(e, PrintTicket) and e.code not in self.codes]
        self.write()

    def wait(self) -> None:
        self.story.later(self.pick.choice([100, 1_000, 2_000, 9_000, 21_000, 61_000, 3_600_000]))

    def good_day(self) -> None:
        """What would bring a lane on from where it is."""
        lane_id = self.pick.choice([IN, OUT])
        lane = self.story.site.lanes[lane_id]
        job, vend, payment = lane.job or JobId("x"), lane.vend or VendId("x-x-1"), lane.payment or PaymentId("x")
        code = self.pick.choice([*self.codes, "nothing"])
        moves: dict[Phase, list[Input]] = {
            Phase.STARTING: [ArmMoved(Arm.DOWN), ArmingLoopChanged(OFF), ClosingLoopChanged(OFF)],
            Phase.IDLE: [ArmingLoopChanged(ON)],
            Phase.PRESENT: [ButtonPressed(), CodeWasRead(code)],
            Phase.PRINTING: [TicketPrinted(job), TicketPresented(job)],
            Phase.PRESENTED: [TicketPulled(job)],
            Phase.OPENING: [ArmAnswered(vend, "open", "confirmed", ""), ArmMoved(Arm.UP)],
            Phase.OPEN: [ClosingLoopChanged(ON), ArmingLoopChanged(OFF)],
            Phase.PASSING: [ArmingLoopChanged(OFF), ClosingLoopChanged(OFF)],
            Phase.CLOSING: [ArmMoved(Arm.BETWEEN), ArmMoved(Arm.DOWN)],
        }
        paying = [TerminalAnswered(payment, self.pick.choice(["approved", "approved", "declined", "timed-out"]))]
        for happened in moves.get(lane.phase, paying):
            self.story.at(lane_id, happened)

    def anything(self) -> None:
        lane_id = self.pick.choice([IN, OUT])
        lane = self.story.site.lanes[lane_id]
        job, vend = lane.job or JobId("x"), lane.vend or VendId("x-x-1")
        loop = self.pick.choice([ON, OFF])
        self.story.at(
            lane_id,
            self.pick.choice(
                [
                    ArmingLoopChanged(loop),
                    ClosingLoopChanged(loop),
                    ArmMoved(self.pick.choice(list(Arm))),
                    ArmAnswered(
                        vend, self.pick.choice(["open", "close"]), self.pick.choice(["refused", "unknown"]), ""
                    ),
                    TicketRetracted(job),
                    PrintFailed(job, "jam", self.pick.random() < 0.5),
                    PrinterChanged(True, *(self.pick.choice([True, False]) for _ in range(4))),
                    DoorMoved(self.pick.random() < 0.5),
                    FireChanged(self.pick.random() < 0.2),
                    TerminalAnswered(lane.payment or PaymentId("x"), "unknown"),
                ]
            ),
        )

    def _request(self) -> RequestId:
        self.requests += 1
        return RequestId(f"r{self.requests}")

    def _ticket(self) -> TicketNumber:
        return self.pick.choice([*self.books.stays, TicketNumber("000099-ZZZZ")])

    def person(self) -> None:
        lane = self.pick.choice([IN, OUT])
        minutes = self.pick.choice([None, 90])
        self.story.tell(
            self.pick.choice(
                [
                    events.HandAsked(lane, self.pick.choice(list(Hand)), "mia", "why", self._request()),
                    events.HandAsked(lane, Hand.RESET, "mia", "repaired", self._request()),
                    events.VoidAsked(self._request(), self._ticket(), "mia", "why"),
                    events.LostTicketDeclared(self._request(), OUT, None, minutes, "mia", "lost"),
                    events.LostTicketDeclared(self._request(), OUT, self._ticket(), minutes, "mia", "lost"),
                    events.CountCorrected(self._request(), AREA, self.pick.choice([-2, -1, 1]), "mia", "counted"),
                    self._desk(),
                ]
            )
        )

    def _desk(self) -> events.Asked:
        """What the exceptions desk can be asked."""
        before_ms = self.story.now.wall_ms - 3_600_000
        stale = [stay for stay in self.books.stays.values() if stay.state == "inside" and stay.issued_ms < before_ms]
        keep = self.pick.random() < 0.5
        verb, words = self.pick.choice(
            [
                ("ticket-damaged", {"ticket": self._ticket()}),
                ("ticket-swap", {"ticket": self._ticket(), "other": self._ticket()}),
                ("ticket-special", {"cause": "foreign", "minutes": 90}),
                ("ticket-special", {"cause": "special", "price_minor": 700}),
                ("ticket-price", {"ticket": self._ticket(), "price_minor": 500}),
                ("ticket-present", {"ticket": self._ticket(), "lane": OUT}),
                ("tickets-close", {"before_ms": before_ms, "expected": len(stale), "keep_count": keep}),
            ]
        )
        return events.Asked(self._request(), verb, "mia", tuple({**words, "reason": "why"}.items()))

    def money(self) -> None:
        key = PaymentId(f"key-{self.pick.randrange(40)}")
        self.story.tell(events.CashOffered(self._request(), key, self._ticket(), None, 5000, "till-1", "mia"))
        if self.codes:
            what = self.pick.choice(["quote", "pay-cash"])
            code = self.pick.choice(self.codes)
            self.story.tell(events.StationAsked(self._request(), "kiosk", what, code, 5000))

    def outside(self) -> None:
        device = self.pick.choice(["io-1", "io-2", "printer"])
        roles = ((IN, ("printer",)),) if device == "printer" else ()
        tariff = {"id": "office-1", "effective_from_ms": START_MS + self.pick.randrange(10**7)}
        self.story.tell(
            self.pick.choice(
                [
                    events.DeviceWent(device, self.pick.random() < 0.5, "silence", roles),
                    events.OfficeWent(self.pick.random() < 0.5, "no answer"),
                    events.WallClockMoved(self.pick.randrange(10**6)),
                    events.TariffReceived("office-1", self._tariff_body(tariff), "office"),
                    events.OfficeCommanded("c1", OUT, Hand.OPEN, "office:eve", "why", self.story.now.mono_ms + 1),
                    events.StopAsked("SIGTERM"),
                ]
            )
        )

    def _tariff_body(self, changed: dict[str, object]) -> str:
        import json

        from gatectl.domain.tariffs import to_body

        known = json.loads(to_body(self.plan.tariffs[0]))
        return json.dumps({**known, **{key: value for key, value in changed.items() if key in known}})


def told(books: Books) -> dict[str, Any]:
    """Everything that the books know, comparable; what counts only within one run is left out."""
    return {
        "stays": books.stays,
        "closed": dict(books.closed),
        "tags": books.tags,
        "learned": books.learned,
        "counter": books.counter,
        "vends": list(books.vends.values()),
        "payments": {
            key: payment
            for key, payment in books.payments.items()
            if payment.state != "FAILED" or payment.ticket in books.stays
        },
        "receipts": books.receipts,
        "counts": books.counts,
        "tariffs": books.tariffs,
        "modes": books.modes,
        "faults": books.faults,
        "devices_lost": books.devices_lost,
        "office_lost": books.office_lost,
        "tables": books.tables,
        "free": books.spots.free(AREA),
    }


def mirror_rows(connection: Connection) -> dict[str, list[Any]]:
    return {
        table: [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}").fetchall()]
        for table in MIRROR_TABLES
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mirror_the_books_and_the_journal_say_the_same(tmp_path: Path, seed: int) -> None:
    """Whatever happened: a start from disk knows what the run before it knew, and a rebuilt mirror is the mirror."""
    life = Life(tmp_path / "gatectl.db", seed)
    for number in range(STEPS):
        life.step()
        if number % LOOK_EVERY and number != STEPS - 1:
            continue

        assert told(life.books) == told(load_books(life.connection, life.plan)), f"seed {seed}, step {number}"

    before = mirror_rows(life.connection)
    with transaction(life.connection):
        assert len(life.kept) == rebuild(life.connection)
    assert before == mirror_rows(life.connection)

    folded = new_books(life.plan)
    folded.fold_all(life.kept)
    assert told(folded) == told(load_books(life.connection, life.plan))
    life.connection.close()


def test_what_no_walk_reaches_is_projected_as_it_is_folded(tmp_path: Path) -> None:
    """A payment that goes back in two parts, the first out of a drawer, and a committed entry that drove back out."""
    life = Life(tmp_path / "gatectl.db", 1)
    story = life.story
    first, second = story.enter().ticket, story.later(3_600_000).enter().ticket
    story.tell(events.CashOffered(RequestId("r"), PaymentId("k"), first, None, 5000, "till-1", "mia"))
    refund = f.PaymentRefunded(PaymentId("k"), PaymentId("k-back"), first, 300, "EUR", "mia", "complained", "till-1", 2)
    taken = life.books.payments[PaymentId("k")].amount_minor
    rest = replace(
        refund, refund=PaymentId("k-rest"), amount_minor=taken - 100, receipt=3, till="till-1", refunded_ms=9
    )
    for fact in (replace(refund, amount_minor=100), rest, f.EntryReversed(second, IN)):
        life.books.fold(fact)
        story.facts.append(fact)
    life.write()

    assert told(life.books) == told(load_books(life.connection, life.plan))
    assert "REFUNDED" == life.books.payments[PaymentId("k")].state
    life.connection.close()


def test_a_vehicle_that_moves_on_is_projected_as_it_is_folded(tmp_path: Path) -> None:
    """One with its ticket goes on into another area, one that nobody knows comes back from there."""
    life = Life(tmp_path / "gatectl.db", 1)
    ticket = life.story.enter().ticket
    inner, at_ms = AreaId("inner"), life.story.now.wall_ms
    moved = f.VehicleMoved(ticket, OUT, AREA, inner, None, None, None, at_ms, verified=False)
    for fact in (moved, f.VehicleMoved(None, OUT, inner, AREA, None, None, None, at_ms)):
        life.books.fold(fact)
        life.story.facts.append(fact)
    life.write()

    assert told(life.books) == told(load_books(life.connection, life.plan))
    assert (inner, None) == (life.books.stays[ticket].area, life.books.stays[ticket].spot)
    life.connection.close()


def test_the_walks_get_everywhere(tmp_path: Path) -> None:
    """A walk that records only half of the kinds would prove half."""
    seen: set[type[f.Fact]] = set()
    for seed in SEEDS:
        life = Life(tmp_path / f"{seed}.db", seed)
        for _ in range(STEPS):
            life.step()
        seen |= {type(fact) for fact in life.kept}
        life.connection.close()

    beyond = {f.PaymentRefunded, f.EntryReversed, f.VehicleMoved, f.CommandDone, f.CommandRefused}
    assert set() == set(f.FACTS) - seen - beyond
