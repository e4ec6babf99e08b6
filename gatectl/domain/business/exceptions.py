"""The exceptions desk: tickets that no lane can serve, and the person who decides what becomes of them.

Rule 1: everything here has a person and a reason, and is on record; a number that is replaced opens nothing any more.
Rule 2: a stay that goes on under another number keeps its time, its spot, its price and what was paid.
Rule 3: what a person says a stay costs is the last word, after tariff, rights and coupons.
Rule 4: stale tickets are listed first; a mass close says how many were listed, and is refused if there are others by now.
"""

from collections.abc import Iterable
from typing import Any, Final

from gatectl.domain import facts as f
from gatectl.domain.bill import Bill, Stage
from gatectl.domain.books import Stay
from gatectl.domain.business.rule import Context, Done, No, Param, Reissue, Rules, Verb, Words
from gatectl.domain.events import LostTicketDeclared
from gatectl.domain.fact_words import Cause
from gatectl.domain.facts import Fact, Line
from gatectl.domain.ids import AreaId, LaneId, TicketNumber
from gatectl.domain.money import AMOUNT_MINOR_MAX, shown
from gatectl.domain.records.exceptions import HAND_PRICES, ExceptionNoted, PriceEnded, PriceSet, StaleClosed
from gatectl.domain.rows import whole, words
from gatectl.domain.tickets import TicketState, parse_number

STAY_MINUTES_MAX: Final = 366 * 24 * 60
"""A driver who proves a longer stay than a year has made a slip of the keyboard."""
MINUTE_MS: Final = 60_000
CLOSE_MAX: Final = 1_000
"""Tickets of one mass close: as many as one list shows."""
_WITHOUT_TICKET: Final = (Cause.FOREIGN, Cause.UNREADABLE, Cause.SPECIAL)


def _inside(context: Context, given: object) -> Stay | No:
    """The stay of a number that a person typed, if its vehicle is inside and nobody is paying for it."""
    number = parse_number(str(given))
    if number is None:
        return No("E-NOT-01", f"{given!r} is not a ticket number; one looks like 000123-K7QF")
    stay = context.books.stays.get(number)
    if stay is None or stay.state is not TicketState.INSIDE:
        return No("E-TKT-08", f"{number} is not inside")
    if _is_being_paid(context, number):
        return No("E-PAY-04", f"{number} is being paid at a terminal now")
    return stay


def _is_being_paid(context: Context, ticket: TicketNumber) -> bool:
    return any(each.ticket == ticket and each.state == "PENDING" for each in context.books.payments.values())


def declared_lost(context: Context, event: LostTicketDeclared) -> Done | No:
    """The driver has no ticket at all: another one for the stay that was found, or for as long as is proven."""
    found = context.books.stays.get(event.ticket) if event.ticket is not None else None
    if event.ticket is not None and (found is None or found.state is not TicketState.INSIDE):
        return No("E-TKT-08", f"{event.ticket} is not inside")
    if event.minutes is not None and not 0 <= event.minutes <= STAY_MINUTES_MAX:
        return No("E-USE-01", f"0 to {STAY_MINUTES_MAX} minutes inside")
    minutes = event.minutes if found is None else None
    entered_ms = None if minutes is None else context.now.wall_ms - minutes * MINUTE_MS
    reissue = Reissue(Cause.LOST, event.who, event.why, event.ticket, entered_ms, event.lane)
    return Done("", reissues=(reissue,))


# -- another number -----------------------------------------------------------------------------------------------


def _damaged(context: Context, who: str, given: Words) -> Done | No:
    stay = _inside(context, given["ticket"])
    if isinstance(stay, No):
        return stay
    reissue = Reissue(Cause.DAMAGED, who, str(given["reason"]), stay.ticket)
    return Done("", reissues=(reissue,))


def _swap(context: Context, who: str, given: Words) -> Done | No:
    """Each driver holds the other's paper, so both papers are taken away: each stay goes on under a number of its own."""
    stays = []
    for name in ("ticket", "other"):
        stay = _inside(context, given[name])
        if isinstance(stay, No):
            return stay
        if stay.paid_minor:
            return No("E-PAY-04", f"{stay.ticket} is paid for already: set the price of what is left by hand")
        stays.append(stay)
    if stays[0].ticket == stays[1].ticket:
        return No("E-USE-01", "two tickets are needed")
    reissues = tuple(Reissue(Cause.SWAPPED, who, str(given["reason"]), stay.ticket) for stay in stays)
    return Done("", reissues=reissues)


def _special(context: Context, who: str, given: Words) -> Done | No:
    """For a vehicle that is inside, and whose driver has no ticket of this site that can be read."""
    cause = str(given["cause"])
    if cause not in _WITHOUT_TICKET:
        return No("E-USE-01", f"cause: one of {', '.join(_WITHOUT_TICKET)} is needed")
    minutes = int(given.get("minutes", 0))
    if minutes > STAY_MINUTES_MAX:
        return No("E-USE-01", f"0 to {STAY_MINUTES_MAX} minutes inside")
    price, why = given.get("price_minor"), str(given["reason"])
    if price is not None and int(price) > AMOUNT_MINOR_MAX:
        return No("E-USE-01", f"more than {AMOUNT_MINOR_MAX} minor units")
    entered_ms = context.now.wall_ms - minutes * MINUTE_MS if "minutes" in given else None

    def priced(ticket: TicketNumber) -> tuple[Fact, ...]:
        return () if price is None else (_price_set(context, ticket, int(price), who, why),)

    lane = str(given.get("lane", ""))
    return Done("", reissues=(Reissue(Cause(cause), who, why, None, entered_ms, lane, priced),))


def _noted(context: Context, fact: f.TicketLostDeclared) -> Iterable[Fact]:
    """Every replacement is in the desk's register; a price that was set goes with the stay."""
    at_ms = context.now.wall_ms
    before, after = (fact.ticket, fact.replacement) if fact.ticket is not None else (fact.replacement, "")
    yield ExceptionNoted(fact.cause, before, after, fact.by, fact.why, at_ms)
    if fact.ticket is None:
        return
    price = context.books.tables.get(HAND_PRICES, fact.ticket)
    if price is not None:
        yield PriceEnded(fact.ticket)
        minor, currency = whole(price, "price_minor"), words(price, "currency")
        set_by, why, set_ms = words(price, "set_by"), words(price, "why"), whole(price, "set_ms")
        yield PriceSet(fact.replacement, minor, currency, set_by, why, set_ms)


# -- a typed number, a price ----------------------------------------------------------------------------------------


def _present(context: Context, who: str, given: Words) -> Done | No:
    stay = _inside(context, given["ticket"])
    if isinstance(stay, No):
        return stay
    lane = LaneId(str(given["lane"]))
    noted = ExceptionNoted("keyed", stay.ticket, lane, who, str(given["reason"]), context.now.wall_ms)
    return Done(f"{stay.ticket} is shown at {lane}", (noted,), shown=(lane, stay.ticket))


def _price(context: Context, who: str, given: Words) -> Done | No:
    stay = _inside(context, given["ticket"])
    if isinstance(stay, No):
        return stay
    minor, why = int(given["price_minor"]), str(given["reason"])
    if minor > AMOUNT_MINOR_MAX:
        return No("E-USE-01", f"more than {AMOUNT_MINOR_MAX} minor units")
    fact = _price_set(context, stay.ticket, minor, who, why)
    left = max(0, minor - stay.paid_minor)
    text = f"{stay.ticket} costs {shown(minor, context.plan.currency)} now"
    return Done(text, (fact,), {"ticket": stay.ticket, "due_minor": left}, paid=stay.ticket)


def _price_set(context: Context, ticket: TicketNumber, minor: int, who: str, why: str) -> PriceSet:
    return PriceSet(ticket, minor, context.plan.currency, who, why, context.now.wall_ms)


def _the_last_word(context: Context, bill: Bill) -> Iterable[Line]:
    price = context.books.tables.get(HAND_PRICES, bill.stay.ticket)
    if price is not None:
        yield Line(f"Price set by {price['set_by']}", whole(price, "price_minor") - bill.total_minor)


def _over(
    context: Context, fact: f.VehicleExited | f.TicketVoided | f.EntryReversed | f.TicketWrittenOff
) -> Iterable[Fact]:
    if fact.ticket is not None and context.books.tables.get(HAND_PRICES, fact.ticket) is not None:
        yield PriceEnded(fact.ticket)


# -- stale tickets ---------------------------------------------------------------------------------------------------


def _close_stale(context: Context, who: str, given: Words) -> Done | No:
    before_ms, area = int(given["before_ms"]), given.get("area")
    if area is not None and area not in context.plan.areas:
        return No("E-NOT-01", f"no area {area}")
    if before_ms > context.now.wall_ms:
        return No("E-USE-01", "before_ms: a time that is past is needed")
    stale = [stay for stay in context.books.stays.values() if _is_stale(stay, before_ms, area)]
    if len(stale) != given["expected"]:
        return No("E-USE-01", f"{len(stale)} tickets are that old, {given['expected']} were listed: list them again")
    if len(stale) > CLOSE_MAX:
        return No("E-USE-01", f"{len(stale)} tickets at once, at most {CLOSE_MAX}: name an area or an earlier time")
    if not stale:
        return No("E-NOT-01", "no ticket is that old")
    paying = next((stay.ticket for stay in stale if _is_being_paid(context, stay.ticket)), None)
    if paying is not None:
        return No("E-PAY-04", f"{paying} is being paid at a terminal now")
    return _closed(context, who, given, stale)


def _is_stale(stay: Stay, before_ms: int, area: object) -> bool:
    """Whether its vehicle came in before; a stay that stands in a lane's exit (spent) is not stale."""
    return stay.state is TicketState.INSIDE and stay.issued_ms < before_ms and area in (None, stay.area)


def _closed(context: Context, who: str, given: Words, stale: list[Stay]) -> Done:
    counted, why, now_ms = not given["keep_count"], str(given["reason"]), context.now.wall_ms
    made: list[Fact] = [f.TicketWrittenOff(stay.ticket, who, why, counted) for stay in stale]
    areas: dict[AreaId, int] = {}
    for stay in stale:
        areas[stay.area] = areas.get(stay.area, 0) + 1
    close, before_ms = f"{context.boot.tag}-{now_ms}", int(given["before_ms"])
    told = []
    for area, number in areas.items():
        inside = context.books.count(area).inside - (number if counted else 0)
        made.append(StaleClosed(close, area, before_ms, number, counted, inside, who, why, now_ms))
        told.append({"area": area, "closed": number, "inside": inside})
    return Done(f"{len(stale)} tickets are closed", tuple(made), {"close": close, "areas": told})


_TICKET: Final = Param("ticket", str)
_REASON: Final = Param("reason", str)
_LANE: Final = Param("lane", str, needed=False)

VERBS: Final = (
    Verb("ticket-damaged", "replace a ticket whose number can still be read", (_TICKET, _REASON), _damaged),
    Verb("ticket-swap", "give two drivers their own stays back", (_TICKET, Param("other", str), _REASON), _swap),
    Verb(
        "ticket-special",
        "a ticket for a vehicle inside without one of this site",
        (
            Param("cause", str),
            Param("minutes", int, needed=False),
            Param("price_minor", int, needed=False),
            _LANE,
            _REASON,
        ),
        _special,
    ),
    Verb("ticket-present", "type a number for a lane's reader", (_TICKET, Param("lane", str), _REASON), _present),
    Verb("ticket-price", "say what a stay costs", (_TICKET, Param("price_minor", int), _REASON), _price),
    Verb(
        "tickets-close",
        "close the tickets that were listed as stale",
        (
            Param("before_ms", int),
            Param("expected", int),
            Param("keep_count", bool),
            Param("area", str, needed=False),
            _REASON,
        ),
        _close_stale,
    ),
)

_FOLLOW: Final[dict[type[Fact], Any]] = {
    f.TicketLostDeclared: _noted,
    f.VehicleExited: _over,
    f.TicketVoided: _over,
    f.EntryReversed: _over,
    f.TicketWrittenOff: _over,
}

RULES: Final = Rules("exceptions", VERBS, follow=_FOLLOW, adjust={Stage.HAND: _the_last_word})
