"""The life of a ticket as a chain of decisions: what was decided, by what, what an exit would say now, what would change it.

Works on rows and bodies as the mirror has them, so that it is the same with and without a daemon.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gatectl.domain.codes import code_of
from gatectl.domain.why.words import Next, Reason, Step, Why, amount, at, said, span

Body = Mapping[str, Any]
Event = Mapping[str, Any]

_CAUSES: Final = {
    "ticket": "the ticket was taken",
    "entitled": "a right was recognised",
    "paid": "nothing is due",
    "by-hand": "a person opened the lane",
    "hold": "a person holds the lane open",
    "fire": "fire alarm: the lane opens and stays open",
    "free-flow": "the lane stood open, so nothing had to move: whose passage it is goes on record",
    "retry": "the arm had not opened for it, or its driver asked again",
    "presence": "a vehicle came under the closing arm",
    "recovery": "the arm was seen up after it had been given up",
}
_VOID: Final = {
    "not-taken": "the vehicle left before the ticket was taken, or nobody took it in time",
    "backed-out": "the vehicle left the lane without driving in: its paper is loose and must open nothing",
    "print-failed": "the printer said that no ticket came out",
    "maybe-printed": "nobody can say whether paper came out, so the number is burnt either way",
    "dark": "the daemon ended while the ticket was not granted yet",
    "failed-to-open": "the arm did not open for it",
    "by-hand": "a person voided it",
    "lost": "another number replaced it",
    "reversed": "the vehicle drove back out over the entry",
}


_NOTED: Final = "exception.noted"


@dataclass(slots=True)
class _Life:
    """What is known of the ticket at the record that is being told."""

    ticket: str
    strategies: Mapping[str, str]
    vends: Mapping[str, Sequence[Event]]
    events: Sequence[Event] = ()
    entered_ms: int | None = None
    ended: str = ""
    """Why no exit takes it any more; "" while one would."""
    paid_ms: int | None = None
    replaced_by: str = ""
    told: list[Step] = field(default_factory=list)


# -- the beginning ---------------------------------------------------------------------------------------------------


def _issued(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    kinds = {other["kind"]: other["body"] for other in life.events}
    because = [_why_issued(b, life, kinds)]
    if b.get("spot"):
        strategy = life.strategies.get(str(b.get("area")), "level-by-level")
        because.append(
            f"spot {b['spot']} ({b.get('spot_type')}) in {b.get('area')}: best type for {b.get('vehicle_type')} that is "
            f"free, level chosen by {strategy}"
        )
    elif not _replaces(life):
        because.append(f"no spot: {b.get('area')} has none of its own, or none was free")
    because.append(f"tariff {b.get('tariff')}: in force then for {b.get('vehicle_type')}; it stays this ticket's")
    if b.get("demand_taken") is not None:
        because.append(
            f"prices x {b['demand_percent']} %: {b['demand_taken']} of {b['demand_spots']} spots were taken; fixed for its stay"
        )
    if b.get("time_quality") == "unset":
        because.append("the clock was not set: this stay cannot be priced (E-TIME-01)")
    elif b.get("time_quality") != "synced":
        because.append(f"the clock was {b.get('time_quality')}")
    return f"number issued at {b.get('lane')}", because


def _replaces(life: _Life) -> Body | None:
    for event in life.events:
        if event["kind"] == "ticket.lost" and event["body"].get("replacement") == life.ticket:
            body: Body = event["body"]
            return body
    return None


def _why_issued(b: Body, life: _Life, kinds: Mapping[str, Body]) -> str:
    replaced = _replaces(life)
    if replaced is not None:
        old = replaced.get("ticket") or "a ticket that was not found"
        return f"the exceptions desk replaced {old} ({replaced.get('cause', 'lost')}){said(replaced)}"
    if kinds.get("vehicle.entered", {}).get("exception") is True:
        return "nobody pulled it: a vehicle went in on no ticket, and gets a number so that its exit is no surprise"
    if "pass.used" in kinds:
        return f"pass {kinds['pass.used'].get('pass_id')} was shown: a virtual ticket, without paper"
    if "reservation.used" in kinds:
        return f"reservation {kinds['reservation.used'].get('reservation')} was shown: a virtual ticket, without paper"
    return f"a vehicle stood on {b.get('lane')}'s arming loop, the arm was down, the driver pressed for a ticket"


def _learned(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    life.entered_ms = b.get("issued_ms")
    return f"learned from its own code at {b.get('lane')}", [
        "the code is signed by this site, but this disk never issued the number: a lost or restored disk",
        f"its time is the code's: issued {at(b.get('issued_ms'))}; tariff {b.get('tariff')}",
    ]


def _taken(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    return f"taken at {b.get('lane')}", ["this is the grant: only now may the arm open"]


def _entered(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    life.entered_ms = b.get("entered_ms")
    seen = b.get("verified") is not False
    return f"inside: vehicle entered at {b.get('lane')}", [
        "the closing loop was occupied and cleared again behind the vehicle"
        if seen
        else "inferred, nobody saw it: a loop was not to be trusted, or the daemon was away"
    ]


# -- openings ---------------------------------------------------------------------------------------------------------


def _vend(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    because = [_CAUSES.get(str(b.get("cause")), str(b.get("cause")))]
    for later in life.vends.get(str(b.get("vend")), ()):
        body, after = later["body"], span(later["at_ms"] - event["at_ms"])
        if later["kind"] == "lane.opened-by-hand":
            because.append(f"by hand{said(body, 'who')}")
        elif later["kind"] == "vend.confirmed":
            because.append(f"the arm was seen up after {after}")
        elif later["kind"] == "vend.failed":
            because.append(f"the arm did not open: {body.get('why')}")
        elif later["kind"] == "vend.unknown":
            because.append(f"nobody can say whether the arm moved: {body.get('why')}")
    return f"{b.get('lane')} opens ({b.get('cause')})", because


# -- money ------------------------------------------------------------------------------------------------------------


def _asked(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    return f"{amount(b.get('amount_minor'), b.get('currency'))} asked for at {b.get('till')} ({b.get('method')})", []


def _paid(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    life.paid_ms = b.get("paid_ms")
    currency = b.get("currency")
    because = [f"due was {amount(b.get('due_minor'), currency)} by tariff {b.get('tariff')}:"]
    because += [_line(line.get("text"), line.get("amount_minor"), currency) for line in b.get("lines") or ()]
    by = f" by {b['by']}" if b.get("by") else ""
    where = f"at {b.get('till')}{by}, receipt {b.get('series')}-{b.get('receipt')}"
    return f"paid {amount(b.get('amount_minor'), currency)} {b.get('method')} {where}", because


def _line(text: object, minor: object, currency: object) -> str:
    """A line of a price; most that cost nothing say from when to when."""
    return f"{text}: {amount(minor, currency)}" if minor else str(text)


def _failed(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    return f"payment not made: {b.get('outcome')}", [str(b["why"])] if b.get("why") else []


def _refunded(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    return f"refunded {amount(b.get('amount_minor'), b.get('currency'))}{said(b)}", []


def _price_set(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    return f"price set to {amount(b.get('price_minor'), b.get('currency'))}{said(b)}", [
        "a named person's word goes before tariff, rights and coupons"
    ]


# -- the exit -----------------------------------------------------------------------------------------------------------


def _refused(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    code = code_of(str(b.get("why")))
    because = [code.sentence]
    if life.ended and code.code in ("E-TKT-04", "E-TKT-05", "E-TKT-08"):
        because.append(life.ended)
    elif code.code == "E-TKT-06" and life.paid_ms is not None:
        because.append(f"it was last paid {at(life.paid_ms)}, and more was due by then")
    elif code.code == "E-TKT-06":
        because.append("nothing was paid, and this lane can take no card now")
    else:
        because.append(code.cause)
    return f"refused at {b.get('lane')}: {code.code}", because


def _spent(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    life.ended = f"it was accepted at {b.get('lane')} {at(event['at_ms'])} (event {event['position']})"
    return f"accepted at {b.get('lane')}", ["authentic, inside, nothing due; from here no other exit takes it"]


def _returned(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    life.ended = ""
    place = b.get("lane") or "the start"
    return f"good again: {b.get('why')}", [f"its vehicle did not pass ({place}), so an exit takes it once more"]


def _exited(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    left = f"its vehicle left at {b.get('lane')} {at(event['at_ms'])} (event {event['position']})"
    life.ended = f"{left}: who shows it holds a copy"
    seen = b.get("verified") is not False
    return f"left at {b.get('lane')}", [
        "the loops saw a vehicle through" if seen else "inferred, nobody saw it: the loops were not to be trusted"
    ]


def _moved(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    life.ended = ""
    spot = f", spot {b['spot']}" if b.get("spot") else ""
    return f"through {b.get('lane')} from {b.get('from_area')} into {b.get('area')}{spot}", ["the stay goes on there"]


# -- other ends -----------------------------------------------------------------------------------------------------------


def _voided(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    reason = str(b.get("reason"))
    life.ended = f"it is void since {at(event['at_ms'])} (event {event['position']}): {_VOID.get(reason, reason)}"
    because = [_VOID.get(reason, reason)]
    if b.get("by") or b.get("why"):
        because.append(said(b).strip().removeprefix(": "))
    return f"void ({reason})", because


def _reversed(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    life.ended = f"its vehicle drove back out over {b.get('lane')} {at(event['at_ms'])} (event {event['position']})"
    return f"void: the vehicle drove back out over {b.get('lane')}", [
        "the loops were crossed against the lane's direction"
    ]


def _replaced(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    cause = b.get("cause", "lost")
    if b.get("replacement") == life.ticket:
        life.entered_ms = b.get("entered_ms") or event["at_ms"]
        return f"takes the place of {b.get('ticket') or 'a ticket that was not found'}", [
            f"{cause}{said(b)}",
            "time, spot and money of the old stay are this ticket's now"
            if b.get("ticket")
            else f"inside since {at(b['entered_ms'])}, as the driver proved"
            if b.get("entered_ms") is not None
            else "no stay was found: the price is that of a lost ticket",
        ]
    life.replaced_by = str(b.get("replacement"))
    life.ended = f"{life.replaced_by} took its place {at(event['at_ms'])} ({cause}{said(b)})"
    return f"replaced by {life.replaced_by}", [f"{cause}{said(b)}", "this paper opens nothing any more"]


def _written_off(b: Body, event: Event, life: _Life) -> tuple[str, list[str]]:
    life.ended = f"it was written off {at(event['at_ms'])} (event {event['position']}){said(b)}"
    counted = (
        "the count is one less by it"
        if b.get("counted", True)
        else "its vehicle was counted out before: the count stayed"
    )
    return f"written off{said(b)}", [counted]


_TOLD: Final[Mapping[str, Callable[[Body, Event, _Life], tuple[str, list[str]]]]] = {
    "ticket.issued": _issued,
    "ticket.learned": _learned,
    "ticket.taken": _taken,
    "vehicle.entered": _entered,
    "vend.intended": _vend,
    "payment.started": _asked,
    "payment.taken": _paid,
    "payment.failed": _failed,
    "payment.refunded": _refunded,
    "price.set": _price_set,
    "code.refused": _refused,
    "ticket.spent": _spent,
    "ticket.returned": _returned,
    "vehicle.exited": _exited,
    "vehicle.moved": _moved,
    "ticket.voided": _voided,
    "entry.reversed": _reversed,
    "ticket.lost": _replaced,
    "ticket.written-off": _written_off,
}


# -- the whole ------------------------------------------------------------------------------------------------------------


def why_ticket(
    row: Mapping[str, Any],
    vends: Mapping[str, Sequence[Event]],
    price: Mapping[str, Any] | None,
    strategies: Mapping[str, str],
    now_ms: int,
) -> Why:
    """`row`: gatectl.ticket/1 with its events. `vends`: what followed each opening. `price`: what is due now, if it is known."""
    number = str(row["ticket"])
    life = _Life(number, strategies, vends, row["events"])
    for event in row["events"]:
        if event["kind"] == "price.ended" or (event["kind"], event["body"].get("act") == "keyed") == (_NOTED, False):
            continue  # said by the record before it
        told = _TOLD.get(event["kind"])
        what, because = told(event["body"], event, life) if told else (str(event["text"]), [])
        life.told.append(Step(event["at_ms"], event["position"], what, tuple(because)))
    return Why(
        "ticket",
        number,
        _headline(row, price, now_ms),
        (_shown_now(row, life, price), *_priced(price)),
        _seen(row),
        tuple(life.told),
        _nexts(row, life, price),
        ("the journal",) if price is not None or row["state"] != "inside" else ("the journal", "no daemon: no price"),
    )


def _headline(row: Mapping[str, Any], price: Mapping[str, Any] | None, now_ms: int) -> str:
    state = str(row["state"])
    if state == "inside" and type(row["entered_ms"]) is int:
        due = f", due {amount(price['due_minor'], price['currency'])}" if price else ""
        return f"inside for {span(now_ms - row['entered_ms'])}{due}"
    words = {
        "issued": f"issued at {row['lane']}, its vehicle has not passed yet",
        "spent": f"accepted at {row['exit_lane']}, its vehicle has not passed yet",
        "exited": f"left {at(row['exited_ms'])} at {row['exit_lane']}",
        "void": f"void: {_VOID.get(str(row['void_reason']), row['void_reason'])}",
        "lost": "replaced by another number",
        "written-off": "written off",
    }
    return words.get(state, state)


def _seen(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    seen = [("vehicle", str(row["vehicle_type"])), ("area", str(row["area"])), ("spot", str(row["spot"] or "none"))]
    seen.append(("tariff", str(row["tariff"])))
    if row["paid_minor"]:
        currency = next((paid["currency"] for paid in row["payments"]), "")
        seen.append(("paid", f"{amount(row['paid_minor'], currency)}, last {at(row['last_paid_ms'])}"))
    return tuple(seen)


def _shown_now(row: Mapping[str, Any], life: _Life, price: Mapping[str, Any] | None) -> Reason:
    """What an exit would make of it at this moment."""
    if row["state"] == "inside" and row["time_quality"] == "unset":
        return Reason("An exit would refuse it now: E-TIME-01", "issued by a clock that was not set, it has no price")
    if row["state"] == "inside":
        if price is None:
            return Reason("An exit would take it as soon as nothing is due", "authentic, inside, not used before")
        if price["due_minor"]:
            due = amount(price["due_minor"], price["currency"])
            return Reason(
                f"An exit would ask for {due} now", "authentic, inside, not used before, and not paid in full"
            )
        return Reason("An exit would let it out now", "authentic, inside, not used before, nothing due")
    if row["state"] == "issued":
        return Reason("An exit would refuse it now: E-TKT-08", "its vehicle never passed the entry")
    code = "E-TKT-04" if row["state"] in ("spent", "exited") else "E-TKT-05"
    return Reason(f"An exit would refuse it now: {code}", life.ended or code_of(code).cause)


def _priced(price: Mapping[str, Any] | None) -> tuple[Reason, ...]:
    if price is None:
        return ()
    currency = price["currency"]
    lines = "; ".join(_line(text, minor, currency) for text, minor in price["lines"]) or "nothing is charged"
    paid = f", {amount(price['paid_minor'], currency)} of it paid" if price["paid_minor"] else ""
    return (
        Reason(f"The stay costs {amount(price['total_minor'], currency)}{paid}", f"tariff {price['tariff']}: {lines}"),
    )


def _nexts(row: Mapping[str, Any], life: _Life, price: Mapping[str, Any] | None) -> tuple[Next, ...]:
    number, state = row["ticket"], row["state"]
    if state == "inside":
        due = price is None or price["due_minor"]
        pay = (Next("to take the money", f"gatectl pay {number}"),) if due else ()
        return (
            *pay,
            Next("the paper is not read, the driver stands at an exit", f"gatectl ticket present {number} LANE"),
            Next("the paper is damaged or gone", f"gatectl ticket damaged {number}"),
            Next("the price is wrong", f"gatectl ticket price {number} AMOUNT"),
            Next("the vehicle is not here any more", f"gatectl ticket void {number}"),
        )
    if state in ("issued", "spent"):
        lane = row["lane"] if state == "issued" else row["exit_lane"]
        return (Next("why its lane is not done with it", f"gatectl why {lane}"),)
    if life.replaced_by:
        return (Next("what became of the stay", f"gatectl why {life.replaced_by}"),)
    return (
        Next(
            "the vehicle is inside all the same, and the time is proven", "gatectl ticket special special --minutes N"
        ),
        Next("... or at a price that you say", "gatectl ticket special special --price AMOUNT"),
    )
