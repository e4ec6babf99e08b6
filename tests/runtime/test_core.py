"""The core thread: events in order, questions answered, deadlines kept, and no failure swallowed."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from site_stories import IN, Story

from drivers.api import Input as Contact
from drivers.api import Quality, Signal
from gatectl.domain import events
from gatectl.domain import facts as f
from gatectl.domain.ids import Moment, TimeQuality
from gatectl.domain.lane import Arm, ArmMoved
from gatectl.domain.site import Site
from gatectl.runtime import core as core_module
from gatectl.runtime.clock import SystemClock
from gatectl.runtime.core import Core, CoreStopped
from gatectl.store.writer import Commit

WAIT_S_MAX = 10.0
START_WALL_MS = 1_780_000_000_000


class FakeClock(SystemClock):
    """Stands still until it is moved; waiting for it never takes real time."""

    def __init__(self) -> None:
        super().__init__()
        self.wall_ms, self.mono_ms = START_WALL_MS, 1_000

    def now(self) -> Moment:
        return Moment(self.wall_ms, self.mono_ms, TimeQuality.SYNCED)

    def seconds_until(self, mono_ms: int) -> float:
        return 0.01 if mono_ms > self.mono_ms else 0.0

    def advance(self, ms: int, wall_ms: int | None = None) -> None:
        self.mono_ms += ms
        self.wall_ms += ms if wall_ms is None else wall_ms


@dataclass
class Bench:
    clock: FakeClock = field(default_factory=FakeClock)
    site: Site = field(default_factory=lambda: Story().site)
    commits: list[Commit] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    died: threading.Event = field(default_factory=threading.Event)
    translate: Callable[[Signal], Any] = lambda signal: ()

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self.core = Core(self.site, self.clock, self._translated, self._submit, self._fatal)

    def _translated(self, signal: Signal) -> Any:
        return self.translate(signal)

    def _submit(self, commit: Commit) -> None:
        with self._changed:
            self.commits.append(commit)
            self._changed.notify_all()

    def _fatal(self, why: str) -> None:
        self.deaths.append(why)
        self.died.set()

    @property
    def facts(self) -> list[f.Fact]:
        return [item.fact for commit in list(self.commits) for item in commit.facts]

    def wait_for(self, kind: type[f.Fact], number: int = 1) -> list[Any]:
        def found() -> list[f.Fact]:
            return [fact for fact in self.facts if isinstance(fact, kind)]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= number, WAIT_S_MAX), self.facts
        return found()

    def settle(self) -> None:
        """Until the core has heard everything that was posted."""
        self.core.ask(lambda site: None)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.core.begin(None, clean=True)
    bench.core.start()
    yield bench
    bench.core.stop()


def test_a_run_begins_with_its_start(bench: Bench) -> None:
    """Nothing precedes SiteStarted, and it moves nothing."""
    assert isinstance(bench.facts[0], f.SiteStarted)
    assert () == bench.commits[0].effects


def test_events_are_decided_in_the_order_in_which_they_came(bench: Bench) -> None:
    """However fast they come, and each fact has an id of its own."""
    for number in range(1, 201):
        bench.core.post(events.CountCorrected("r", "main", number, "mia", "why"))  # type: ignore[arg-type]  # NewTypes of str

    assert list(range(1, 201)) == [fact.delta for fact in bench.wait_for(f.CountAdjusted, 200)]
    ids = [item.fact_id for commit in bench.commits for item in commit.facts]
    assert len(ids) == len(set(ids))
    assert all(fact_id.startswith(bench.site.boot.boot_id) for fact_id in ids)


def test_a_signal_is_translated_on_the_core_thread(bench: Bench) -> None:
    """The wiring has no lock: it belongs to the core."""
    threads: list[str] = []

    def translate(signal: Signal) -> tuple[events.Event, ...]:
        threads.append(threading.current_thread().name)
        return (events.DeviceWent(signal.device, False, "silence", ()),)

    bench.translate = translate
    bench.core.post(Contact("io-1", "di0", True, Quality.GOOD))

    assert "io-1" == bench.wait_for(f.DeviceLost)[0].device
    assert ["core"] == threads


def test_a_question_sees_all_that_was_posted_before_it(bench: Bench) -> None:
    """It is asked on the core thread, behind what waits."""
    bench.core.post(events.LaneInput(IN, ArmMoved(Arm.DOWN)))

    assert Arm.DOWN == bench.core.ask(lambda site: site.lanes[IN].arm)


def test_a_bad_question_is_the_askers(bench: Bench) -> None:
    """The core goes on."""
    with pytest.raises(KeyError):
        bench.core.ask(lambda site: site.lanes["nowhere"])  # type: ignore[index]  # the mistake is the point

    assert 2 == bench.core.ask(lambda site: len(site.lanes))
    assert [] == bench.deaths


def test_a_deadline_passes_without_an_event(bench: Bench) -> None:
    """Nobody says anything for ten seconds: the lane, which has read no input, says so by itself."""
    bench.settle()
    assert not [fact for fact in bench.facts if isinstance(fact, f.LaneFaulted)]

    bench.clock.advance(10_001)

    assert {"IN-1", "OUT-1"} == {fact.lane for fact in bench.wait_for(f.LaneFaulted, 2)}


def test_no_deadline_passes_early(bench: Bench) -> None:
    """A lane's time is the core clock's."""
    bench.clock.advance(9_000)
    bench.settle()
    turned = bench.core.turns

    bench.settle()

    assert bench.core.turns > turned
    assert not [fact for fact in bench.facts if isinstance(fact, f.LaneFaulted)]


@pytest.mark.parametrize("by_ms", [3_600_000, -3_600_000, 2_001])
def test_a_step_of_the_wall_clock_is_a_fact(bench: Bench, by_ms: int) -> None:
    """NTP found the time, or somebody typed it: what was recorded before is on another clock. Said once."""
    bench.settle()
    bench.clock.advance(100, 100 + by_ms)
    bench.settle()
    bench.clock.advance(100)
    bench.settle()

    assert [by_ms] == [fact.by_ms for fact in bench.facts if isinstance(fact, f.ClockStepped)]


def test_a_clock_that_is_slewed_has_not_stepped(bench: Bench) -> None:
    """Small corrections happen all day."""
    for _ in range(5):
        bench.clock.advance(1_000, 1_400)
        bench.settle()

    assert not [fact for fact in bench.facts if isinstance(fact, f.ClockStepped)]


def test_a_failure_in_the_site_stops_the_process(bench: Bench) -> None:
    """An event that nobody handles: a defect of ours. It is not swallowed and not survived."""
    bench.core.post(object())  # type: ignore[arg-type]  # the mistake is the point

    assert bench.died.wait(WAIT_S_MAX)
    assert ["core failed: KeyError(<class 'object'>)"] == bench.deaths
    with pytest.raises(CoreStopped):
        bench.core.ask(lambda site: None)


def test_an_inbox_that_is_full_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core is wedged; events must not be lost silently, and a driver's thread must not wait for it."""
    monkeypatch.setattr(core_module, "INBOX_MAX", 2)
    bench = Bench()
    for _ in range(3):
        bench.core.post(events.StopAsked("x"))

    assert ["2 events wait for the core"] == bench.deaths
    assert 2 == bench.core.waiting()


def test_a_wedged_core_does_not_keep_the_process_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is asked for, waited for a bounded time, and then left behind; a reader is told as much."""
    monkeypatch.setattr(core_module, "STOP_S_MAX", 0.2)
    monkeypatch.setattr(core_module, "ASK_S_MAX", 0.2)
    monkeypatch.setattr(core_module, "INBOX_MAX", 1)
    bench, wedged, hangs = Bench(), threading.Event(), threading.Event()

    def hang(signal: Signal) -> tuple[()]:
        hangs.set()
        wedged.wait(WAIT_S_MAX)
        return ()

    bench.translate = hang
    bench.core.begin(None, clean=True)
    bench.core.start()
    bench.core.post(Contact("io-1", "di0", True, Quality.GOOD))
    assert hangs.wait(WAIT_S_MAX)

    with pytest.raises(CoreStopped, match="does not answer"):
        bench.core.ask(lambda site: None)
    assert not bench.core.stop()
    wedged.set()
    assert bench.core.stop()


def test_what_waits_is_decided_before_the_end(bench: Bench) -> None:
    """A clean stop loses nothing; afterwards nobody hears, and nobody is harmed. Twice is once."""
    for number in range(50):
        bench.core.post(events.CountCorrected("r", "main", number + 1, "mia", "why"))  # type: ignore[arg-type]  # NewTypes of str
    bench.core.post(events.StopAsked("SIGTERM"))

    assert bench.core.stop()
    assert bench.core.stop()

    bench.core.post(events.StopAsked("late"))
    assert 50 == len([fact for fact in bench.facts if isinstance(fact, f.CountAdjusted)])
    assert [f.SiteStopped("SIGTERM")] == [fact for fact in bench.facts if isinstance(fact, f.SiteStopped)]


def test_the_core_turns_when_nothing_happens(bench: Bench) -> None:
    """The watchdog sees it alive on a quiet night."""
    bench.settle()
    before = bench.core.turns
    deadline = threading.Event()
    while bench.core.turns == before and not deadline.wait(0.05):
        pass

    assert bench.core.turns > before
