"""What a passage, and a passage that did not happen, puts on record: the one place where entry and exit lanes differ in it.

Rule 1: a vend covers one passage. The first vehicle through is the vend's (`lane.fresh`); any other is an exception.
Rule 2: a vehicle that is in without a ticket gets a number for its stay, so that its exit is no surprise.
Rule 3: counts are facts and nothing else; what was committed wrongly is compensated, never deleted.
"""

from gatectl.domain.facts import (
    EntryReversed,
    Irregularity,
    LaneFault,
    PassageObserved,
    TicketIssued,
    TicketReturned,
    TicketVoided,
    VehicleEntered,
    VehicleExited,
    VehicleMoved,
    VendClosed,
    VoidReason,
)
from gatectl.domain.frozen import replace
from gatectl.domain.ids import TicketNumber, VendId
from gatectl.domain.lane import LaneKind, Phase, TicketOffer
from gatectl.domain.passage import restarted
from gatectl.domain.table import Turn


def observed(turn: Turn, irregularity: Irregularity, ticket: TicketNumber | None = None) -> None:
    turn.record(PassageObserved(turn.lane.plan.lane, irregularity, ticket, turn.lane.vend))


def end_vend(turn: Turn) -> None:
    """The movement that the vend allowed is over."""
    if turn.lane.vend is not None:
        turn.record(VendClosed(turn.lane.vend, turn.lane.plan.lane))
        turn.lane = replace(turn.lane, vend=None)


def issued(turn: Turn, offer: TicketOffer) -> TicketIssued:
    """The fact that uses an offered number up."""
    plan, now = turn.lane.plan, turn.view.now
    return TicketIssued(
        offer.ticket,
        offer.counter,
        plan.lane,
        plan.area,
        offer.spot,
        plan.vehicle_type,
        offer.spot_type,
        offer.tariff,
        now.wall_ms,
        now.quality,
        offer.fixed.percent if offer.fixed else 100,
        offer.fixed.taken if offer.fixed else None,
        offer.fixed.spots if offer.fixed else None,
    )


def passed(turn: Turn, verified: bool, held: bool = False) -> None:
    """One vehicle went through in the lane's direction. `held`: the lane stands open, so following is no tailgating."""
    lane = turn.lane
    kept = lane.plan.kind is LaneKind.ENTRY and lane.phase not in (Phase.PRINTING, Phase.PRESENTED)
    covered = lane.fresh or (kept and lane.ticket is not None)
    ticket, vend = lane.ticket if covered else None, lane.vend if lane.fresh else None
    if not verified:
        observed(turn, Irregularity.UNVERIFIED_PASSAGE, ticket)
    elif not covered and not held:
        observed(turn, Irregularity.TAILGATE)
    if lane.plan.kind is LaneKind.ENTRY:
        _entered(turn, ticket, vend, verified)
    elif lane.plan.kind is LaneKind.PASSAGE:
        _moved(turn, ticket, vend, verified)
    else:
        _exited(turn, ticket, vend, verified)
    if covered:
        turn.lane = replace(turn.lane, fresh=False, ticket=None, last=ticket)


def passed_unseen(turn: Turn, held: bool = False) -> None:
    """One vehicle is taken to have gone through; what the loops say later is about the next one."""
    passed(turn, verified=False, held=held)
    turn.lane = replace(turn.lane, track=restarted(turn.lane.track))


def _entered(turn: Turn, ticket: TicketNumber | None, vend: VendId | None, verified: bool) -> None:
    lane, now_ms = turn.lane.plan.lane, turn.view.now.wall_ms
    if ticket is not None:
        turn.record(VehicleEntered(ticket, lane, vend, now_ms, verified))
        return
    offer = turn.view.exception_offer()
    turn.record(issued(turn, offer), VehicleEntered(offer.ticket, lane, vend, now_ms, verified, exception=True))


def _exited(turn: Turn, ticket: TicketNumber | None, vend: VendId | None, verified: bool) -> None:
    plan = turn.lane.plan
    turn.record(VehicleExited(ticket, plan.lane, plan.area, vend, turn.view.now.wall_ms, verified))


def _moved(turn: Turn, ticket: TicketNumber | None, vend: VendId | None, verified: bool, back: bool = False) -> None:
    """From one area into another. `back`: against the lane's direction."""
    place = turn.view.place_beyond(ticket, back)
    at_ms = turn.view.now.wall_ms
    to = (place.from_area, place.area, place.spot, place.spot_type)
    turn.record(VehicleMoved(ticket, turn.lane.plan.lane, *to, vend, at_ms, verified, place.from_spot))


def came_back(turn: Turn, verified: bool) -> None:
    """A vehicle went through against the lane's direction: the one that this opening let through, or a stranger."""
    lane = turn.lane
    reversed_ = lane.last is not None
    observed(turn, Irregularity.REVERSED if reversed_ else Irregularity.WRONG_WAY, lane.last)
    if lane.plan.kind is LaneKind.PASSAGE:
        known = lane.last is not None and turn.view.inside(lane.last)
        _moved(turn, lane.last if known else None, None, verified, back=True)
    elif lane.plan.kind is LaneKind.EXIT:
        _entered(turn, None, None, verified)
    elif lane.last is not None and turn.view.inside(lane.last):
        turn.record(EntryReversed(lane.last, lane.plan.lane))
    else:
        _exited(turn, None, None, verified)
    turn.lane = replace(turn.lane, last=None)


def withdrawn(turn: Turn, why: str) -> None:
    """The vend's vehicle left without passing: an entry ticket is void (its paper is loose), an exit ticket good again."""
    lane = turn.lane
    if lane.fresh and lane.track.b_seen:
        observed(turn, Irregularity.REVERSED, lane.ticket)
    give_up_ticket(turn, VoidReason.BACKED_OUT, why)
    turn.lane = replace(turn.lane, fresh=False)


def give_up_ticket(turn: Turn, reason: VoidReason, why: str) -> None:
    """Void the entry ticket of the vehicle that has left, or return the exit ticket that was spent for it."""
    lane = turn.lane
    if lane.ticket is not None and lane.plan.kind is LaneKind.ENTRY:
        turn.record(TicketVoided(lane.ticket, lane.plan.lane, reason, why=why))
    elif lane.ticket is not None and lane.fresh:
        turn.record(TicketReturned(lane.ticket, lane.plan.lane, why))
    turn.lane = replace(turn.lane, ticket=None, job=None, price=None)


def vend_without_passage(turn: Turn, why: str) -> None:
    """The vend is over and its vehicle still stands at the station: an entry ticket stays granted, an exit ticket is good again.

    Both stay the ticket of the vehicle in the lane; an exit ticket must be spent anew.
    """
    lane = turn.lane
    if lane.fresh and lane.ticket is not None and lane.plan.kind is not LaneKind.ENTRY:
        turn.record(TicketReturned(lane.ticket, lane.plan.lane, why))
    turn.lane = replace(turn.lane, fresh=False)


def left_the_station(turn: Turn) -> None:
    """The vehicle has left the arming loop and did not pass: whatever it was granted ends here."""
    failed = LaneFault.FAILS_TO_OPEN in turn.lane.faults
    give_up_ticket(turn, VoidReason.FAILED_TO_OPEN if failed else VoidReason.BACKED_OUT, "left the lane")
    turn.lane = replace(turn.lane, fresh=False, asked=None, tries=0)
