"""The feed: pages and cursors, snapshots, and orders that are given once, in time, or never."""

import json
from dataclasses import dataclass, field, replace
from random import Random

from sync_fakes import SITE, FakeOffice, FaultyWire, Journal, SimulatedClock

from sync.ports import Answer, Request, Unreachable
from sync.pull import COMMAND_IDS_KEPT, Ask, PullerMachine
from sync.puller import Puller
from sync.records import FEED_ROWS_MAX, Command, Vitals
from sync.status import LinkState
from sync.vitals import VITALS_EVERY_MS, VitalsSender


@dataclass
class Sink:
    """What the core is told."""

    clock: SimulatedClock
    commands: list[tuple[str, int]] = field(default_factory=list)
    applied_rows: list[tuple[int, bool]] = field(default_factory=list)

    def applied(self, rows, *, whole: bool) -> None:
        self.applied_rows.append((len(rows), whole))

    def command(self, command: Command, expires_at_ms: int) -> None:
        self.commands.append((command.id, expires_at_ms - self.clock.now_ms))


class PullingSite:
    """A site's downward half under simulated time."""

    def __init__(self, office: FakeOffice, seed: int = 0, vitals: bool = False) -> None:
        self.office, self.clock, self.store = office, SimulatedClock(), Journal()
        self.sink = Sink(self.clock)
        self.wire = FaultyWire(office, self.clock, Random(seed), ())
        self._vitals = VitalsSender(self.wire, _vitals) if vitals else None
        self.start()

    def start(self) -> None:
        self.machine = PullerMachine(SITE, self.store.feed_cursor(), Random(1))
        self.puller = Puller(
            self.machine, self.wire, self.store, self.sink, self.clock, on_crash=_raise, vitals=self._vitals
        )

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.puller.turn()


def _raise(error: Exception) -> None:
    raise error


def _vitals() -> Vitals:
    return Vitals(SITE, 1, 0, 0, 0, "0123456789abcdef", "gatectl/test", 0, {"IN-1": "idle"}, {"A": 3})


def _order(number: int, valid_ms: int = 8_000) -> Command:
    return Command(f"order-{number}", "lane.open", {"lane": "IN-1"}, "jo", "asked by phone", 0, valid_ms)


def _current(office: FakeOffice) -> dict[tuple[str, str], dict]:
    rows = {(row.kind, row.key): row.body for row in office.site.feed}
    return {key: body for key, body in rows.items() if body is not None}


def test_a_new_site_takes_everything_then_follows() -> None:
    """First a snapshot, then page by page, then what changes; a row that is gone at the office is gone here."""
    office = FakeOffice()
    for n in range(30):
        office.put("tariff", f"t{n}", {"cents": n})
    site = PullingSite(office)
    site.turn(2)
    assert [(30, True)] == site.sink.applied_rows
    for n in range(450):
        office.put("pass", f"p{n}", {"n": n})
    office.put("tariff", "t3", None)
    site.turn(20)

    assert _current(office) == site.store.reference
    assert [30, FEED_ROWS_MAX, FEED_ROWS_MAX, 51] == [count for count, _ in site.sink.applied_rows]
    assert (1, 481) == site.store.cursor
    assert 0 == site.puller.status.head - site.puller.status.seq


def test_a_lost_cursor_is_answered_by_a_snapshot_in_one_write() -> None:
    """The office was restored and counts from a new epoch; what it no longer has, the site must not keep."""
    office = FakeOffice()
    office.put("tariff", "old", {"cents": 1})
    site = PullingSite(office)
    site.turn(4)
    office.site.epoch, office.site.feed = 2, []
    office.put("tariff", "new", {"cents": 2})
    site.turn(8)

    assert {("tariff", "new"): {"cents": 2}} == site.store.reference
    assert (2, 1) == site.store.cursor
    assert ["replace", "replace"] == site.store.calls
    assert 2 == site.puller.status.snapshots


def test_the_feed_survives_every_fault() -> None:
    """Pages are lost, cut, doubled and forged by a portal; in the end both ends hold the same rows."""
    for seed in range(15):
        office = FakeOffice()
        site = PullingSite(office, seed)
        site.wire.faults = ("request-lost", "reply-lost", "cut", "portal", "502", "503")
        random = Random(seed)
        for n in range(60):
            office.put("pass", f"p{random.randrange(20)}", {"n": n} if random.random() < 0.8 else None)
            if random.random() < 0.05:
                office.site.epoch += 1
            if random.random() < 0.1:
                site.start()
            site.turn(random.randrange(4))
        site.wire.faults = ()
        site.turn(20)

        assert _current(office) == site.store.reference, f"seed {seed}"
        assert (office.site.epoch, len(office.site.feed)) == site.store.cursor, f"seed {seed}"
        assert LinkState.ONLINE == site.puller.status.state, f"seed {seed}"


def test_an_order_is_handed_on_at_once_and_once() -> None:
    """Its time runs from the arrival of the answer; the same order in a second answer is dropped."""
    office = FakeOffice()
    office.put("tariff", "t", {})
    site = PullingSite(office)
    site.turn(4)
    office.put("tariff", "u", {})
    office.commands = [_order(1), _order(2)]
    site.turn(3)
    assert [("order-1", 8_000), ("order-2", 8_000)] == site.sink.commands
    assert 1 == len(site.sink.applied_rows)  # orders do not wait for the disk
    office.commands = [_order(2), _order(3, valid_ms=0)]
    site.turn(8)

    assert 2 == len(site.sink.commands)
    assert 2 == site.puller.status.commands_dropped


def test_an_order_out_of_a_snapshot_is_dropped() -> None:
    """A site that comes back after a week takes a snapshot; nothing in it may open a barrier."""
    office = FakeOffice()
    machine = PullerMachine(SITE, (0, 0), Random(1))
    step = machine.step(0)
    assert isinstance(step, Ask)
    answer = office.ask(step.request)
    plain = json.loads(answer.body)
    plain["commands"] = [
        {"id": "x", "verb": "lane.open", "args": {}, "by": "", "reason": "", "deadline_ms": 0, "valid_ms": 9_000}
    ]
    machine.answered(replace(answer, body=json.dumps(plain).encode()), 0)
    machine.step(0)
    machine.done()

    assert 0 == machine.status().commands
    assert 1 == machine.status().commands_dropped


def test_the_memory_of_orders_is_bounded() -> None:
    office = FakeOffice()
    site = PullingSite(office)
    site.turn(3)
    for n in range(COMMAND_IDS_KEPT + 50):
        office.commands = [_order(n)]
        site.turn(2)

    assert COMMAND_IDS_KEPT == len(site.machine._seen)


def test_a_page_that_does_not_follow_is_not_applied() -> None:
    """A row is missing its place, a cursor runs ahead of its rows, another epoch, another site: nothing is written."""
    office = FakeOffice()
    for n in range(3):
        office.put("tariff", f"t{n}", {"n": n})
    for change in ({"epoch": 9}, {"next": 99}, {"site": "other"}, {"head": 1}, {"rows": []}, {"schema": "x/1"}):
        machine = PullerMachine(SITE, (1, 1), Random(1))
        step = machine.step(0)
        assert isinstance(step, Ask)
        answer = office.ask(step.request)
        body = json.dumps({**json.loads(answer.body), **change}).encode()
        machine.answered(replace(answer, body=body), 0)
        status = machine.status()

        assert (1, 1) == (status.epoch, status.seq), change
        assert status.last_error, change
        assert not machine._owed, change


def test_an_office_that_does_not_wait_is_not_hammered() -> None:
    """A poll that should last 25 s is answered at once with nothing: polls stay a second apart."""
    office = FakeOffice()
    site = PullingSite(office)
    site.turn(100)

    assert site.clock.now_ms > 40_000


def test_a_refused_site_asks_slowly() -> None:
    office = FakeOffice()
    office.enrolled = False
    site = PullingSite(office)
    site.turn(8)

    assert (LinkState.STOPPED, "not-enrolled") == (site.puller.status.state, site.puller.status.reason)
    assert site.clock.now_ms > 600_000
    assert len(office.asked) <= 4


def test_vitals_are_sent_now_and_then_and_may_be_lost() -> None:
    """One a minute while the link is up; a fleet page that cannot take them costs the feed nothing."""
    office = FakeOffice()
    site = PullingSite(office, vitals=True)
    site.turn(4)
    assert 1 == len(office.vitals)
    while site.clock.now_ms < VITALS_EVERY_MS * 3:
        site.turn()
    assert 3 <= len(office.vitals) <= 4
    ask = site.wire.ask

    def lossy(request: Request) -> Answer | Unreachable:
        return Unreachable("lost") if request.method == "PUT" else ask(request)

    site.wire.ask = lossy
    office.put("tariff", "t", {})
    site.clock.now_ms += VITALS_EVERY_MS
    site.turn(4)

    assert 1 == site._vitals.lost
    assert _current(office) == site.store.reference


def test_an_office_that_was_restored_and_overtook_the_cursor_is_taken_anew() -> None:
    """The office lost rows 2 and 3 and has written others under their numbers: by cursor alone nobody would notice."""
    office = FakeOffice()
    for n in range(3):
        office.put("tariff", f"t{n}", {"n": n})
    site = PullingSite(office)
    site.turn(4)
    del office.site.feed[1:]
    for n in range(7, 9):
        office.put("tariff", f"t{n}", {"n": n})
    site.turn(4)
    assert _current(office) != site.store.reference
    site.puller.resnapshot()
    site.turn(4)

    assert _current(office) == site.store.reference
