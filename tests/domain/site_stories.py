"""A small real site in memory, for tests that tell what happens to it. No disk, no threads: facts are folded at once."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gatectl.domain import events
from gatectl.domain import facts as f
from gatectl.domain.books import Books
from gatectl.domain.effects import Effect, OpenArm, PrintTicket
from gatectl.domain.ids import AreaId, Boot, LaneId, Moment, SiteId, SpotId
from gatectl.domain.lane import (
    Arm,
    ArmAnswered,
    ArmingLoopChanged,
    ArmMoved,
    ButtonPressed,
    ClosingLoopChanged,
    CodeWasRead,
    Input,
    LaneKind,
    LanePlan,
    Layout,
    Loop,
    PrinterChanged,
    TicketPresented,
    TicketPrinted,
    TicketPulled,
    Trust,
)
from gatectl.domain.plan import SitePlan
from gatectl.domain.site import Batch, Site
from gatectl.domain.spots import COMPATIBLE, Spot, SpotIndex
from gatectl.domain.tariffs import parse
from gatectl.domain.tickets import Keyring

SITE = SiteId("story-01")
AREA = AreaId("main")
IN, OUT = LaneId("IN-1"), LaneId("OUT-1")
ON, OFF = Loop(True, Trust.GOOD), Loop(False, Trust.GOOD)
START_MS = 1_780_000_000_000
TARIFF = {
    "id": "t-2026",
    "effective_from": "2026-01-01T00:00:00Z",
    "kind": "hourly",
    "per_hour_minor": 300,
    "step_minutes": 20,
    "daily_cap_minor": 2000,
    "entry_grace_minutes": 5,
    "exit_grace_minutes": 15,
    "lost_ticket_minor": 2000,
}


def site_plan(spots: int = 3, keys: bytes = b"k" * 32) -> SitePlan:
    return SitePlan(
        site=SITE,
        name="Story",
        currency="EUR",
        zone=ZoneInfo("Europe/Amsterdam"),
        areas=(AREA,),
        spots=tuple(Spot(SpotId(f"A-{n:03d}"), AREA, 0, "COMPACT") for n in range(spots)),
        lanes=(
            LanePlan(IN, LaneKind.ENTRY, Layout.TWO_LOOP, AREA, has_mouth=True),
            LanePlan(OUT, LaneKind.EXIT, Layout.TWO_LOOP, AREA, has_printer=False, has_reader=True),
        ),
        tariffs=(parse({**TARIFF, "effective_from": datetime(2026, 1, 1, tzinfo=UTC)}),),
        keyring=Keyring(1, {1: keys}),
        compatible=COMPATIBLE,
        config_digest="d",
        software="test",
    )


def new_books(plan: SitePlan) -> Books:
    return Books(SpotIndex(plan.spots, plan.compatible), {lane.lane: lane.area for lane in plan.lanes})


@dataclass
class Story:
    """Tell inputs; everything decided is kept in `facts` and `effects`."""

    plan: SitePlan = field(default_factory=site_plan)
    boot: Boot = field(default_factory=lambda: Boot("00" * 8, "K7QF"))
    books: Books | None = None
    now: Moment = field(default_factory=lambda: Moment(START_MS, 1_000))
    facts: list[f.Fact] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.books = self.books or new_books(self.plan)
        self.site = Site(self.plan, self.books, self.boot)

    def start(self, dark_from_ms: int | None = None) -> "Story":
        self.keep(self.site.start(self.now, dark_from_ms, clean=dark_from_ms is None))
        for lane in self.plan.lanes:
            self.at(lane.lane, ArmMoved(Arm.DOWN), ArmingLoopChanged(OFF), ClosingLoopChanged(OFF))
        self.at(IN, PrinterChanged(True, False, False, False, False))
        return self

    def keep(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.facts += batch.facts
        self.effects += batch.effects

    def tell(self, event: events.Event) -> "Story":
        self.keep(self.site.handle(event, self.now))
        return self

    def at(self, lane: LaneId, *inputs: Input) -> "Story":
        for happened in inputs:
            self.tell(events.LaneInput(lane, happened))
        return self

    def later(self, ms: int) -> "Story":
        self.now = replace(self.now, wall_ms=self.now.wall_ms + ms, mono_ms=self.now.mono_ms + ms)
        self.keep(self.site.elapsed(self.now))
        return self

    def last(self, kind: type) -> object:
        return next(item for item in reversed([*self.facts, *self.effects]) if isinstance(item, kind))

    def has(self, kind: type) -> bool:
        return any(isinstance(item, kind) for item in [*self.facts, *self.effects])

    # -- the usual moves -------------------------------------------------------------------------------------------

    def pull_ticket(self) -> PrintTicket:
        self.at(IN, ArmingLoopChanged(ON), ButtonPressed())
        printed = self.last(PrintTicket)
        assert isinstance(printed, PrintTicket)
        self.at(IN, TicketPrinted(printed.job), TicketPresented(printed.job))
        self.later(1_000).at(IN, TicketPulled(printed.job))
        return printed

    def drive_over(self, lane: LaneId) -> None:
        opened = self.last(OpenArm)
        assert isinstance(opened, OpenArm)
        self.at(lane, ArmAnswered(opened.vend, "open", "confirmed", ""), ArmMoved(Arm.BETWEEN))
        self.later(1_500).at(lane, ArmMoved(Arm.UP), ClosingLoopChanged(ON))
        self.later(1_000).at(lane, ArmingLoopChanged(OFF))
        self.later(1_000).at(lane, ClosingLoopChanged(OFF))
        self.later(2_000).at(lane, ArmMoved(Arm.BETWEEN))
        self.later(1_500).at(lane, ArmMoved(Arm.DOWN))
        self.later(100)

    def enter(self) -> PrintTicket:
        printed = self.pull_ticket()
        self.drive_over(IN)
        return printed

    def show_code(self, code: str) -> None:
        self.at(OUT, ArmingLoopChanged(ON), CodeWasRead(code))
