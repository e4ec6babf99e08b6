"""A stay goes on under another number, or a vehicle that is inside gets one: how the site numbers it."""

from collections.abc import Iterable, Mapping, Sequence

from gatectl.domain.business.rule import Done, Reissue
from gatectl.domain.effects import Reply
from gatectl.domain.fact_words import Cause
from gatectl.domain.facts import CodeRefused, Fact, TicketIssued, TicketLostDeclared
from gatectl.domain.ids import RequestId
from gatectl.domain.lane import Lane, LaneKind, Phase, TicketOffer
from gatectl.domain.view import LaneView


def numbered(view: LaneView, reissue: Reissue) -> tuple[TicketOffer, tuple[Fact, ...]]:
    """The new number and the facts that put it in the old one's place. `reissue.ticket` is inside, or None."""
    offer, now = view.exception_offer(), view.now
    found = view.books.stays[reissue.ticket] if reissue.ticket is not None else None
    issued = TicketIssued(
        offer.ticket,
        offer.counter,
        view.plan.lane,
        found.area if found else view.plan.area,
        None,
        found.vehicle_type if found else view.plan.vehicle_type,
        None,
        offer.tariff,
        now.wall_ms,
        now.quality,
    )
    moved = TicketLostDeclared(
        reissue.ticket,
        offer.ticket,
        reissue.by,
        reissue.why,
        None if found else reissue.entered_ms,
        found.spot if found else None,
        found.spot_type if found else None,
        reissue.cause.value,
    )
    return offer, (issued, moved, *reissue.facts(offer.ticket))


def told(view: LaneView, offer: TicketOffer, reissue: Reissue) -> dict[str, object]:
    """What the person at the desk is told of one new number, once the facts are folded."""
    price = view.price(offer.ticket)
    return {
        "ticket": offer.ticket,
        "replaces": reissue.ticket,
        "cause": reissue.cause.value,
        "code": offer.code,
        "due_minor": price.due_minor,
        "currency": price.currency,
    }


def reply(request: RequestId, done: Done, made: Sequence[Mapping[str, object]]) -> Reply:
    """The answer to what was asked; the first of the new numbers is in it as if it were the only one."""
    if not made:
        return Reply(request, "", done.text, dict(done.data))
    text = "; ".join(_said(new) for new in made)
    return Reply(request, "", text, {**done.data, **made[0], "tickets": [dict(new) for new in made]})


def _said(new: Mapping[str, object]) -> str:
    if new["replaces"] is None and new["cause"] != Cause.LOST:
        return f"{new['ticket']} is a special ticket"
    found = f" {new['replaces']}" if new["replaces"] else ""
    return f"{new['ticket']} replaces the {new['cause']} ticket{found}"


def awaits_ticket(lane: Lane | None) -> bool:
    """Whether a vehicle stands at the lane, and the lane reads codes that are paid on."""
    return lane is not None and lane.plan.kind is LaneKind.EXIT and lane.phase is Phase.PRESENT


def shown_reply(done: Reply, facts: Iterable[Fact]) -> Reply:
    """What the lane made of a ticket that a person showed it: its refusal is the answer."""
    refused = next((fact for fact in facts if isinstance(fact, CodeRefused)), None)
    if refused is None:
        return done
    return Reply(done.request, refused.why, f"{refused.lane} did not accept {refused.ticket or 'it'}")
