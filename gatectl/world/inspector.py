"""Looks over the daemon's shoulder at every step: what may be performed, what must be bounded, what a start must find."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final, TypeVar

from gatectl.domain.books import CLOSED_KEPT_MAX, PAYMENTS_KEPT_MAX, Books, Payment
from gatectl.domain.effects import CloseArm, Effect, OpenArm, ShowText, StopArm
from gatectl.domain.events import Event
from gatectl.domain.ids import PaymentId
from gatectl.domain.lane import Lane, Layout, Phase, Trust
from gatectl.domain.lane_pay import PENDING_MAX
from gatectl.domain.plan import SitePlan
from gatectl.domain.site import Batch
from gatectl.world.daemon import Daemon, Watch, lane_of
from gatectl.world.ledger import RECOUNTS, Ledger, hold

OPEN_TICKETS_MAX: Final = 100_000
K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class Inspector(Watch):
    """`visited`: (kind of lane, phase) seen so far."""

    plan: SitePlan
    ledger: Ledger
    visited: set[tuple[str, str]] = field(default_factory=set)
    pulses: int = 0
    full: int = 0
    """Drivers who were told that there is no spot for them."""
    overtaken: int = 0
    """Closings that were performed after the way had been entered, with the opening right behind them."""

    # -- at every step ---------------------------------------------------------------------------------------------------

    def decided(self, daemon: Daemon, batch: Batch, event: Event | None) -> None:
        assert daemon.site is not None
        lanes = daemon.site.lanes
        about = lane_of(event)
        for lane in [lanes[about]] if about in lanes else lanes.values():  # type: ignore[index]  # it is in
            self.visited.add((lane.plan.kind, lane.phase))
        if event is None and batch.facts and batch.facts[0].kind == "site.started":
            a_start_moves_nothing(batch)

    def performing(self, daemon: Daemon, effect: Effect) -> None:
        if isinstance(effect, OpenArm | CloseArm | StopArm):
            self.pulses += 1
            an_arm_moves_only_for_a_durable_intent(self.ledger, effect)
        elif isinstance(effect, ShowText):
            self.full += effect.text.startswith("Full")
        if isinstance(effect, CloseArm):
            self.overtaken += nothing_closes_over_a_way_not_known_clear(daemon, effect)

    def started(self, daemon: Daemon) -> None:
        """What was performed, or told to a person, had its record on disk: a start must find it there."""
        done, tip = daemon.done, daemon.disk.position()
        if done is not None and done.generation == tip.generation:
            kept = daemon.disk.head_at(done.generation, done.seq)
            hold(kept == done.head, "what was performed is on record", f"{done.generation}/{done.seq}")

    # -- now and then ----------------------------------------------------------------------------------------------------

    def audit(self, daemon: Daemon) -> None:
        """With everything decided on disk: three ways to know the same must agree."""
        mirror = daemon.disk.mirror()
        for recount in RECOUNTS:
            recount(self.ledger, mirror)
        if daemon.site is not None and daemon.quiet:
            books_equal_a_fresh_fold(daemon.site.books, mirror, self.plan)
            for lane in daemon.site.lanes.values():
                a_lane_is_bounded(lane)
            everything_is_bounded(daemon)
            no_vend_is_lost_sight_of(daemon)


def a_start_moves_nothing(batch: Batch) -> None:
    moved = [effect for effect in batch.effects if isinstance(effect, OpenArm | CloseArm | StopArm)]
    hold(not moved, "a start moves nothing", str(moved))


def an_arm_moves_only_for_a_durable_intent(ledger: Ledger, effect: OpenArm | CloseArm | StopArm) -> None:
    hold(effect.vend in ledger.vends, "an arm moves only for a durable intent", effect)


def nothing_closes_over_a_way_not_known_clear(daemon: Daemon, effect: CloseArm) -> bool:
    """Between decision and pulse the way may have been entered: then the opening is on its way already (True)."""
    assert daemon.site is not None
    lane = daemon.site.lanes[effect.lane]
    reopening = any(isinstance(waits, OpenArm) and waits.lane == effect.lane for waits in daemon.promised())
    clear = _is_known_clear(lane)
    hold(clear or reopening, "nothing closes over a way not known clear", (effect, lane.phase))
    return not clear


def _is_known_clear(lane: Lane) -> bool:
    """From the readings themselves, not by the lane's own word for it."""
    loops = [lane.closing, lane.reset] if lane.plan.layout is Layout.THREE_LOOP else [lane.closing]
    return all(loop.trust is Trust.GOOD and loop.on is False for loop in loops)


def same(one: Books, other: Books, plan: SitePlan) -> str:
    """The first field in which two books differ; empty when there is none.

    What is only remembered may differ where a start cannot know it: its order, its oldest part, failures of tickets that are
    closed.
    """
    for part in fields(Books):
        mine, others = getattr(one, part.name), getattr(other, part.name)
        if part.name == "payments":
            mine, others = _payments_that_count(one), _payments_that_count(other)
        elif part.name == "closed":
            mine, others = _whole(one.closed, CLOSED_KEPT_MAX), _whole(other.closed, CLOSED_KEPT_MAX)
        if part.name != "spots" and mine != others:
            return part.name
    areas = [area for area in plan.areas if one.spots.free(area) != other.spots.free(area)]
    return f"spots of {areas}" if areas else ""


def _payments_that_count(books: Books) -> dict[PaymentId, Payment]:
    wanted = {key: payment for key, payment in books.payments.items() if payment.ticket in books.stays}
    closed = {key: payment for key, payment in books.payments.items() if payment.state != "FAILED"}
    return wanted | _whole(closed, PAYMENTS_KEPT_MAX // 2)


def _whole(kept: Mapping[K, V], most: int) -> dict[K, V]:
    """What is remembered, as long as nothing had to be forgotten yet."""
    return dict(kept) if len(kept) < most else {}


def books_equal_a_fresh_fold(books: Books, fresh: Books, plan: SitePlan) -> None:
    """The running site believes exactly what its journal says."""
    hold(not (wrong := same(books, fresh, plan)), "books equal a fresh fold of the journal", wrong)


def a_lane_is_bounded(lane: Lane) -> None:
    hold(len(lane.pending) <= PENDING_MAX, "a lane is bounded", f"{lane.plan.lane}: {len(lane.pending)} payments")


def everything_is_bounded(daemon: Daemon) -> None:
    assert daemon.site is not None
    books, lanes = daemon.site.books, len(daemon.site.lanes)
    limits = {
        "closed": (len(books.closed), CLOSED_KEPT_MAX),
        "payments": (len(books.payments), PAYMENTS_KEPT_MAX),
        "vends": (len(books.vends), lanes),
        "stays": (len(books.stays), OPEN_TICKETS_MAX),
        "faults": (len(books.faults), lanes * 32),
        "devices": (len(books.devices_lost), lanes * 8),
        "modes": (len(books.modes), lanes),
        "tags": (len(books.tags), daemon.life),
    }
    for name, (size, most) in limits.items():
        hold(size <= most, "everything is bounded", f"{name}: {size}, at most {most}")


def no_vend_is_lost_sight_of(daemon: Daemon) -> None:
    """Every open vend, spent ticket and provisional ticket is some lane's business."""
    assert daemon.site is not None
    lanes = daemon.site.lanes.values()
    vends = {lane.vend for lane in lanes} | {lane.doubt.vend for lane in lanes if lane.doubt}
    hold(set(daemon.site.books.vends) <= vends, "no vend is lost sight of", str(daemon.site.books.vends))
    minded = {lane.ticket for lane in lanes} | {lane.doubt.ticket for lane in lanes if lane.doubt}
    for stay in daemon.site.books.stays.values():
        if stay.state.value in ("issued", "spent"):
            hold(stay.ticket in minded, "no ticket is lost sight of", f"{stay.ticket} is {stay.state}")


def phases_of(kind: str) -> frozenset[str]:
    """The phases that a kind of lane uses."""
    never = {Phase.PAYING} if kind == "entry" else {Phase.PRINTING, Phase.PRESENTED}
    return frozenset(phase.value for phase in set(Phase) - never)
