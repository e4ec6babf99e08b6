"""Valet: a vehicle is handed over for a claim check, parked by somebody on a spot, asked for, fetched, handed back.

Rule 1: a vehicle in a valet's hands is a stay like any other: it has a ticket, holds a spot, and costs its tariff and the fee.
Rule 2: a key tag hangs on one key at a time. A spot holds one open ticket: parking elsewhere moves the stay there or is refused.
Rule 3: the claim check is signed; whoever lost it shows something else to a named person, gets another, and the old one is void.
Rule 4: handed back by hand ends the stay and needs it to be paid; handed back for the exit leaves both to the exit lane.
"""

from collections.abc import Iterable
from functools import partial
from typing import Final

from gatectl.domain import facts as f
from gatectl.domain.bill import Bill, Stage
from gatectl.domain.books import Stay
from gatectl.domain.business.claims import claim_of, is_authentic, typed
from gatectl.domain.business.reservations import kept_spots
from gatectl.domain.business.rule import Context, Done, No, Param, Rules, Verb, Words
from gatectl.domain.facts import Fact, Line
from gatectl.domain.ids import LaneId, SpotId, TicketNumber, TimeQuality
from gatectl.domain.lane import LaneKind
from gatectl.domain.pricing import demand_now, stay_price, tariff_at
from gatectl.domain.records import valet as v
from gatectl.domain.records.valet import VALET
from gatectl.domain.rows import Row, whole, words
from gatectl.domain.tickets import TicketState, format_number, parse_number
from gatectl.domain.valet_plan import ValetPlan

MINUTE_MS: Final = 60_000
TAG_CHARS_MAX: Final = 12
WANTED_MINUTES_MAX: Final = 7 * 24 * 60
NOTES_MAX: Final = 50
"""Notes on one vehicle."""
BY_HAND: Final = "by-hand"
TO_EXIT: Final = "to-exit"
_AT_REST: Final = (v.RECEIVED, v.PARKED)
_ASKED_FOR: Final = (v.REQUESTED, v.FETCHED, v.READY)


def _row(context: Context, given: Words, *states: str) -> Row | No:
    """The vehicle of a claim check, if it is in one of the states."""
    claim = typed(str(given["claim"]))
    row = next(context.books.tables.where(VALET, "claim", claim), None) if claim is not None else None
    if row is None or not is_authentic(
        context.plan.keyring, context.plan.site, words(row, "claim"), whole(row, "issue")
    ):
        return No("E-VLT-03", "no vehicle here has this claim check")
    if row["state"] not in states:
        return No("E-VLT-04", f"{row['visit']} is {row['state']}")
    return row


# -- handing over -------------------------------------------------------------------------------------------------------


def _in(context: Context, who: str, given: Words) -> Done | No:
    plan, tag = context.plan.valet, str(given["tag"]).strip().upper()
    if plan is None:
        return No("E-VLT-01", "the site file has no [valet]")
    if len(tag) > TAG_CHARS_MAX or not tag:
        return No("E-USE-01", f"a key tag has 1 to {TAG_CHARS_MAX} characters")
    used = next(context.books.tables.where(VALET, "tag", tag), None)
    if used is not None:
        return No("E-VLT-02", f"tag {tag} hangs on the key of {used['visit']}")
    taken = _with_ticket(context, given) if "ticket" in given else _new_stay(context, plan)
    if isinstance(taken, No):
        return taken
    ticket, facts = taken
    claim = claim_of(context.plan.keyring, context.plan.site, ticket, 1)
    stand, vehicle = str(given.get("stand", "valet")), str(given["vehicle"])
    received = v.ValetReceived(
        ticket, ticket, claim, tag, vehicle, stand, who, context.plan.currency, plan.fee_minor, context.now.wall_ms
    )
    data = {
        "ticket": ticket,
        "claim": claim,
        "tag": tag,
        "fee_minor": plan.fee_minor,
        "currency": context.plan.currency,
    }
    return Done(f"{ticket} is taken over, claim check {claim}", (*facts, received), data)


def _with_ticket(context: Context, given: Words) -> tuple[TicketNumber, tuple[Fact, ...]] | No:
    number = parse_number(str(given["ticket"]))
    stay = context.books.stays.get(number) if number is not None else None
    if stay is None or stay.state is not TicketState.INSIDE:
        return No("E-TKT-08", f"{given['ticket']} is not inside")
    found = next(context.books.tables.where(VALET, "ticket", stay.ticket), None)
    if found is not None:
        return No("E-VLT-04", f"{stay.ticket} is with the valet already")
    if context.books.tables.get(VALET, stay.ticket) is not None:
        return No("E-VLT-04", f"{stay.ticket} names another vehicle's visit")
    return stay.ticket, ()


def _new_stay(context: Context, plan: ValetPlan) -> tuple[TicketNumber, tuple[Fact, ...]] | No:
    """A stand within the gates: the stay begins with the hand-over."""
    spots, now = context.books.spots, context.now
    spot = spots.allocate(plan.area, plan.vehicle_type, None, partial(kept_spots, context, plan.area))
    if spot is None and spots.total(plan.area):
        return No("E-FULL-01", f"no spot for a {plan.vehicle_type} is free in {plan.area}")
    spot_type = spot.spot_type if spot else None
    tariff = tariff_at(context.plan, context.books, now.wall_ms, plan.vehicle_type, spot_type)
    fixed = demand_now(context.plan, context.books, plan.area, tariff)
    counter = context.books.counter + 1
    ticket, lane = format_number(counter, context.boot.tag), _lane(context, LaneKind.ENTRY)
    issued = f.TicketIssued(
        ticket,
        counter,
        lane,
        plan.area,
        spot.spot if spot else None,
        plan.vehicle_type,
        spot_type,
        tariff.tariff,
        now.wall_ms,
        now.quality,
        fixed.percent if fixed else 100,
        fixed.taken if fixed else None,
        fixed.spots if fixed else None,
    )
    return ticket, (issued, f.TicketTaken(ticket, lane), f.VehicleEntered(ticket, lane, None, now.wall_ms))


def _lane(context: Context, kind: LaneKind) -> LaneId:
    """The lane that stands for the valet's on records that need one."""
    lanes = context.plan.lanes
    return next((plan.lane for plan in lanes if plan.kind is kind and plan.into is None), lanes[0].lane)


# -- where it stands ----------------------------------------------------------------------------------------------------


def _park(context: Context, who: str, given: Words) -> Done | No:
    row = _row(context, given, *_AT_REST, *_ASKED_FOR)
    if isinstance(row, No):
        return row
    stay = context.books.stays[TicketNumber(words(row, "ticket"))]
    if stay.state is not TicketState.INSIDE:
        return No("E-VLT-04", f"{stay.ticket} is at an exit")
    moved: tuple[Fact, ...] = ()
    spot = stay.spot
    if "spot" in given and given["spot"] != stay.spot:
        spot = SpotId(str(given["spot"]))
        outcome = _moved(context, stay, spot)
        if isinstance(outcome, No):
            return outcome
        moved = (outcome,)
    parked = v.ValetParked(words(row, "visit"), spot, who, context.now.wall_ms)
    return Done(f"{row['visit']} is parked at {spot or 'a place not noted'}", (*moved, parked), {"spot": spot})


def _moved(context: Context, stay: Stay, spot: SpotId) -> f.VehicleMoved | No:
    spots = context.books.spots
    if spot not in spots:
        return No("E-NOT-01", f"no spot {spot}")
    if spots.is_held(spot):
        return No("E-VLT-05", f"a ticket is on {spot}")
    if spots.is_closed(spot):
        return No("E-VLT-05", f"{spot} is out of service")
    place, lane = spots.spot(spot), _lane(context, LaneKind.ENTRY)
    return f.VehicleMoved(stay.ticket, lane, stay.area, place.area, spot, place.spot_type, None, context.now.wall_ms)


# -- the queue ------------------------------------------------------------------------------------------------------------


def _request(context: Context, who: str, given: Words) -> Done | No:
    row, minutes = _row(context, given, *_AT_REST), int(given.get("minutes", 0))
    if isinstance(row, No):
        return row
    if minutes > WANTED_MINUTES_MAX:
        return No("E-USE-01", f"at most {WANTED_MINUTES_MAX} minutes ahead")
    now_ms = context.now.wall_ms
    fact = v.ValetRequested(words(row, "visit"), who, now_ms, now_ms + minutes * MINUTE_MS)
    before = [one for one in queue(context) if whole(one, "wanted_ms") <= fact.wanted_ms and one["state"] != v.READY]
    data = {"before": len(before), "wanted_ms": fact.wanted_ms}
    return Done(f"{row['visit']} is asked for, {len(before)} before it", (fact,), data)


def queue(context: Context) -> list[Row]:
    """What is asked for and not handed back, in the order in which it is wanted."""
    rows = [row for row in context.books.tables.all(VALET) if row["state"] in _ASKED_FOR]
    return sorted(rows, key=lambda row: (whole(row, "wanted_ms"), whole(row, "requested_ms"), words(row, "visit")))


def _fetch(context: Context, who: str, given: Words) -> Done | No:
    row = _row(context, given, v.REQUESTED)
    if isinstance(row, No):
        return row
    fact = v.ValetFetched(words(row, "visit"), who, context.now.wall_ms)
    return Done(f"{row['visit']} is at {row['spot'] or 'a place not noted'}, key tag {row['tag']}", (fact,))


def _ready(context: Context, who: str, given: Words) -> Done | No:
    row = _row(context, given, v.REQUESTED, v.FETCHED)
    if isinstance(row, No):
        return row
    return Done(f"{row['visit']} is ready", (v.ValetReady(words(row, "visit"), who, context.now.wall_ms),))


def _back(context: Context, who: str, given: Words) -> Done | No:
    row = _row(context, given, *_AT_REST, *_ASKED_FOR)
    if isinstance(row, No):
        return row
    visit, now = words(row, "visit"), context.now
    stay = context.books.stays[TicketNumber(words(row, "ticket"))]
    if given.get("to_exit") is True:
        return Done(f"{visit} is handed back, the exit is next", (v.ValetReturned(visit, who, TO_EXIT, now.wall_ms),))
    if stay.state is not TicketState.INSIDE:
        return No("E-VLT-04", f"{stay.ticket} is at an exit")
    if now.quality is TimeQuality.UNSET or not stay.time_known:
        return No("E-TIME-01", "the clock is not set: nothing can be priced")
    price = stay_price(context, stay)
    if price.due_minor > 0:
        return No("E-VLT-06", f"{price.due_minor} minor units are due for {stay.ticket}")
    returned = v.ValetReturned(visit, who, BY_HAND, now.wall_ms)
    left = f.VehicleExited(stay.ticket, _lane(context, LaneKind.EXIT), stay.area, None, now.wall_ms)
    return Done(f"{visit} is handed back", (returned, left), {"ticket": stay.ticket})


# -- notes and lost checks ------------------------------------------------------------------------------------------------


def _note(context: Context, who: str, given: Words) -> Done | No:
    row = _row(context, given, *_AT_REST, *_ASKED_FOR, v.RETURNED)
    if isinstance(row, No):
        return row
    number = whole(row, "notes") + 1
    if number > NOTES_MAX:
        return No("E-FULL-01", f"{NOTES_MAX} notes on {row['visit']} already")
    moment = "in" if row["state"] in _AT_REST else "out"
    fact = v.ValetNoted(
        *(words(row, "visit"), number, moment, str(given["text"]), str(given.get("photos", ""))),
        *(who, context.now.wall_ms),
    )
    return Done(f"noted on {row['visit']} ({moment})", (fact,), {"number": number, "moment": moment})


def _lost_claim(context: Context, who: str, given: Words) -> Done | No:
    """The vehicle is found by the tag on its key; a named person has seen who its driver is."""
    tag, plan = str(given["tag"]).strip().upper(), context.plan.valet
    row = next(context.books.tables.where(VALET, "tag", tag), None) if tag else None
    if row is None:
        return No("E-VLT-03", f"no key has tag {tag}")
    visit, issue = words(row, "visit"), whole(row, "issue") + 1
    claim = claim_of(context.plan.keyring, context.plan.site, visit, issue)
    fee_minor = plan.lost_claim_minor if plan is not None else 0
    fact = v.ValetReclaimed(visit, claim, issue, str(given["proof"]), who, fee_minor, context.now.wall_ms)
    ticket = TicketNumber(words(row, "ticket"))
    return Done(f"{visit} has the claim check {claim} now", (fact,), {"claim": claim, "fee_minor": fee_minor}, ticket)


# -- the price, and what others decide --------------------------------------------------------------------------------------


def _fees(context: Context, bill: Bill) -> Iterable[Line]:
    for row in context.books.tables.where(VALET, "ticket", bill.stay.ticket):
        if whole(row, "fee_minor"):
            yield Line("Valet", whole(row, "fee_minor"))
        if whole(row, "claim_fee_minor"):
            yield Line("Lost claim check", whole(row, "claim_fee_minor"))


def _over(
    context: Context, fact: f.VehicleExited | f.TicketVoided | f.EntryReversed | f.TicketWrittenOff
) -> Iterable[Fact]:
    """The stay is over, however it ended."""
    for row in list(context.books.tables.where(VALET, "ticket", fact.ticket)):
        if row["state"] != v.RETURNED:
            yield v.ValetReturned(words(row, "visit"), "gatectl", fact.kind, context.now.wall_ms)
        yield v.ValetClosed(words(row, "visit"))


def _renumbered(context: Context, fact: f.TicketLostDeclared) -> Iterable[Fact]:
    for row in list(context.books.tables.where(VALET, "ticket", fact.ticket)) if fact.ticket is not None else ():
        yield v.ValetRenumbered(words(row, "visit"), fact.replacement)


_CLAIM: Final = Param("claim", str)
RULES: Final = Rules(
    "valet",
    (
        Verb(
            "valet-in",
            "take a vehicle over",
            (
                *(Param("vehicle", str), Param("tag", str), Param("ticket", str, needed=False)),
                Param("stand", str, needed=False),
            ),
            _in,
        ),
        Verb("valet-park", "say where a vehicle stands", (_CLAIM, Param("spot", str, needed=False)), _park),
        Verb("valet-request", "ask for a vehicle", (_CLAIM, Param("minutes", int, needed=False)), _request),
        Verb("valet-fetch", "go for a vehicle", (_CLAIM,), _fetch),
        Verb("valet-ready", "a vehicle waits for its driver", (_CLAIM,), _ready),
        Verb("valet-back", "hand a vehicle back", (_CLAIM, Param("to_exit", bool, needed=False)), _back),
        Verb(
            "valet-note",
            "note what is seen on a vehicle",
            (_CLAIM, Param("text", str), Param("photos", str, needed=False)),
            _note,
        ),
        Verb("valet-lost", "another claim check", (Param("tag", str), Param("proof", str)), _lost_claim),
    ),
    follow={
        f.VehicleExited: _over,
        f.TicketVoided: _over,
        f.EntryReversed: _over,
        f.TicketWrittenOff: _over,
        f.TicketLostDeclared: _renumbered,
    },
    adjust={Stage.SURCHARGE: _fees},
)
