"""Money at an exit: asked for once, counted once, never lost.

Rule 1: PaymentStarted is recorded before the terminal is asked, with the key that the terminal will answer to.
Rule 2: an approval is recorded whenever it comes, also when the vehicle has gone; the ticket is then inside and paid.
Rule 3: what the terminal has not answered stays pending and is asked for again; no answer is no failure.
"""

from typing import Final

from gatectl.domain.effects import Authorise, CancelPayment, PrintReceipt, QueryPayment
from gatectl.domain.facts import CodeRefused, LaneFault, PaymentFailed, PaymentStarted, PaymentTaken, TicketSpent
from gatectl.domain.frozen import replace
from gatectl.domain.ids import JobId, PaymentId, TicketNumber
from gatectl.domain.lane import CodeWasRead, DeadlinePassed, PaidElsewhere, Phase, Price, Refusal, TerminalAnswered
from gatectl.domain.lane_codes import refuse
from gatectl.domain.lane_common import STATION_FAILED, settle, show
from gatectl.domain.lane_moves import vend
from gatectl.domain.lane_shared import LoopEvent, log_implausible, on_loops
from gatectl.domain.records.payments_terminals import ReversalStarted
from gatectl.domain.table import Turn, handles

P = Phase

PAY_TRIES_MAX: Final = 3
"""Payments that failed for one vehicle before it is sent to a person."""
PAY_WAITS_MAX: Final = 3
"""So many times `pay_ms` a vehicle waits for an answer, asked for again each time, before it is sent to a person."""
PENDING_MAX: Final = 8
"""Unanswered payments remembered by a lane. One more, and the oldest is recorded as failed, outcome unknown."""

_FINAL: Final = frozenset({"declined", "cancelled", "timed-out"})


def let_out(turn: Turn, cause: str, ticket: TicketNumber) -> None:
    """Spend the ticket and open, in one step."""
    turn.record(TicketSpent(ticket, turn.lane.plan.lane, turn.view.next_vend()))
    vend(turn, cause, ticket)


def charge(turn: Turn, price: Price) -> None:
    """Ask the terminal for what is due, or send the driver to a cashier."""
    lane = turn.lane
    turn.lane = replace(lane, ticket=price.ticket, price=price)
    if lane.plan.has_terminal and LaneFault.TERMINAL_OFFLINE in lane.faults and _on_a_debt(turn, price):
        return
    if not lane.plan.has_terminal or LaneFault.TERMINAL_OFFLINE in lane.faults:
        refuse(turn, "E-TKT-06", "Please pay\nat the cashier", price.ticket)
        return
    if lane.tries >= PAY_TRIES_MAX:
        refuse(turn, "E-PAY-06", "Please call", price.ticket)
        return
    _forget_oldest(turn)
    payment = turn.view.next_payment(price.ticket)
    turn.record(
        PaymentStarted(payment, price.ticket, "CREDIT_CARD", price.due_minor, price.currency, str(lane.plan.lane))
    )
    deadline = turn.now_mono_ms + turn.timing.pay_ms
    offline = turn.view.offline_left_minor()
    turn.do(Authorise(lane.plan.lane, payment, price.ticket, price.due_minor, price.currency, deadline, offline))
    show(turn, "Please pay\nat the terminal")
    turn.lane = replace(turn.lane, payment=payment, answer="", pending=(*turn.lane.pending, (payment, price)))
    turn.go(P.PAYING, turn.timing.pay_ms)


def settle_price(turn: Turn, price: Price) -> None:
    """Ask for what is due, or open if nothing is."""
    if price.due_minor > 0:
        charge(turn, price)
    else:
        let_out(turn, "moving" if turn.lane.plan.into else "paid", price.ticket)


def price_again(turn: Turn) -> None:
    """What is due for the vehicle that waits here has changed while its payment was called off."""
    ticket = turn.lane.ticket
    if ticket is not None and turn.view.inside(ticket):
        settle_price(turn, turn.view.price(ticket))


def coupon(turn: Turn, text: str) -> None:
    """A coupon for the vehicle that waits here: what is left is asked for; of one that is not good, all that was due."""
    lane = turn.lane
    if lane.ticket is None or not turn.view.inside(lane.ticket):
        refuse(turn, "E-CPN-07", "Please present\nyour ticket first")
        return
    reduced = turn.view.reduced(lane.ticket, text)
    if isinstance(reduced, Refusal):
        refuse(turn, reduced.code, reduced.text, lane.ticket)
        if lane.plan.has_terminal:
            price_again(turn)
        return
    turn.record(*reduced.facts)
    show(turn, "Coupon accepted")
    settle_price(turn, reduced.price)


@handles(CodeWasRead)
def coupon_while_paying(turn: Turn, happened: CodeWasRead) -> None:
    """A coupon that is good while the terminal is asked: the payment is called off first, and counts if it went through."""
    lane = turn.lane
    if lane.payment is None or lane.ticket is None or lane.asked is not None:
        return
    if not turn.view.is_coupon(happened.text):
        return
    reduced = turn.view.reduced(lane.ticket, happened.text)
    if isinstance(reduced, Refusal):
        refuse(turn, reduced.code, reduced.text, lane.ticket)
    else:
        _call_off(turn, happened.text)


def _call_off(turn: Turn, then: str) -> None:
    """Cancel the payment that is under way; once the terminal has said what became of it, `then` is served."""
    assert turn.lane.payment is not None
    turn.do(CancelPayment(turn.lane.plan.lane, turn.lane.payment))
    turn.lane = replace(turn.lane, asked=then)
    show(turn, "One moment")


def _on_a_debt(turn: Turn, price: Price) -> bool:
    """Nobody can pay here now: where the site wants it so, the driver leaves, and owes."""
    debt = turn.view.owed(price, "the terminal cannot be reached")
    if debt is None:
        return False
    turn.record(debt)
    let_out(turn, "owed", price.ticket)
    return True


def _forget_oldest(turn: Turn) -> None:
    pending = turn.lane.pending
    if len(pending) >= PENDING_MAX:
        payment, price = pending[0]
        turn.record(PaymentFailed(payment, price.ticket, "unknown", "never answered"))
        turn.lane = replace(turn.lane, pending=pending[1:])


def _settled(turn: Turn, payment: PaymentId) -> None:
    left = tuple(pair for pair in turn.lane.pending if pair[0] != payment)
    turn.lane = replace(turn.lane, pending=left)


def _taken(turn: Turn, price: Price, answer: TerminalAnswered) -> None:
    plan, now = turn.lane.plan, turn.view.now
    series, receipt = turn.view.next_receipt()
    turn.record(
        PaymentTaken(
            payment=answer.payment,
            ticket=price.ticket,
            method=answer.method,
            amount_minor=price.due_minor,
            currency=price.currency,
            tendered_minor=price.due_minor,
            change_minor=0,
            due_minor=price.due_minor,
            tariff=price.tariff,
            lines=price.lines,
            till=str(plan.lane),
            by="",
            series=series,
            receipt=receipt,
            paid_ms=now.wall_ms,
            auth_code=answer.auth_code,
            masked=answer.masked,
            terminal_ref=answer.terminal_ref,
            offline=answer.offline,
        )
    )
    if plan.has_printer and turn.lane.ticket == price.ticket:
        job = JobId(f"{series}-{receipt}")
        turn.do(
            PrintReceipt(
                plan.lane,
                job,
                price.ticket,
                receipt,
                series,
                price.lines,
                price.due_minor,
                price.currency,
                answer.method,
                now.wall_ms,
            )
        )


def _answered(turn: Turn, happened: TerminalAnswered) -> Price | None:
    """Record what became of a payment. The price, if it was approved; a payment that nobody waits for changes nothing."""
    price = next((price for payment, price in turn.lane.pending if payment == happened.payment), None)
    if price is None:
        return None
    if _beyond_the_limit(turn, price, happened):
        _settled(turn, happened.payment)
        _refuse_offline(turn, price, happened)
        return None
    if happened.outcome == "approved":
        _settled(turn, happened.payment)
        _taken(turn, price, happened)
        return price
    if happened.outcome in _FINAL:
        _settled(turn, happened.payment)
        turn.record(PaymentFailed(happened.payment, price.ticket, happened.outcome, happened.why))
    return None


def _beyond_the_limit(turn: Turn, price: Price, happened: TerminalAnswered) -> bool:
    approved_alone = happened.outcome == "approved" and happened.offline
    return approved_alone and price.due_minor > turn.view.offline_left_minor()


def _refuse_offline(turn: Turn, price: Price, happened: TerminalAnswered) -> None:
    """The terminal took a risk that the site does not carry: it takes the money back, and nothing was paid."""
    lane, why = turn.lane.plan.lane, "approved offline, beyond the site's limit"
    turn.record(
        PaymentFailed(happened.payment, price.ticket, "declined", why),
        ReversalStarted(
            happened.payment,
            price.ticket,
            lane,
            price.due_minor,
            price.currency,
            "gatectl",
            why,
            counted=False,
            started_ms=turn.view.now.wall_ms,
        ),
        CodeRefused(lane, "E-PAY-09", price.ticket),
    )


@handles(TerminalAnswered)
def late_answer(turn: Turn, happened: TerminalAnswered) -> None:
    """The vehicle has gone, or passes already: the money counts all the same."""
    _answered(turn, happened)


@handles(TerminalAnswered, P.OPENING)
def answer_at_station(turn: Turn, happened: TerminalAnswered) -> None:
    """The approval comes after the lane gave up waiting, and its vehicle is still here."""
    price = _answered(turn, happened)
    if price is not None and price.ticket == turn.lane.ticket:
        _paid(turn, price.ticket, "paid")


@handles(TerminalAnswered, P.OPENING, P.PRESENT, *STATION_FAILED)
def answer(turn: Turn, happened: TerminalAnswered) -> None:
    current = happened.payment == turn.lane.payment
    price = _answered(turn, happened)
    if not current:
        return
    if price is not None:
        turn.lane = replace(turn.lane, payment=None)
        _paid(turn, price.ticket, "paid")
    elif happened.outcome in _FINAL or happened.offline:
        _not_paid(turn, "Payment not accepted\nPresent ticket again")
    elif turn.lane.answer == "":
        turn.lane = replace(turn.lane, answer="unknown")
        turn.do(QueryPayment(turn.lane.plan.lane, happened.payment))


def _paid(turn: Turn, ticket: TicketNumber, cause: str) -> None:
    turn.lane = replace(turn.lane, asked=None)
    if turn.view.inside(ticket):
        let_out(turn, cause, ticket)
        return
    # Spent or ended at another lane in the meantime: a copied ticket.
    refuse(turn, "E-TKT-04", "Ticket already used\nPlease call", ticket)
    turn.lane = replace(turn.lane, ticket=None, price=None)
    settle(turn)


def _not_paid(turn: Turn, text: str) -> None:
    called_off = turn.lane.asked is not None
    turn.lane = replace(turn.lane, payment=None, answer="", tries=turn.lane.tries + (not called_off))
    if not called_off:
        show(turn, text)
    settle(turn)


@handles(DeadlinePassed, P.PRESENT, *STATION_FAILED)
def pay_deadline(turn: Turn, happened: DeadlinePassed) -> None:
    """No answer in time: ask what became of it; at last send the driver to a person, and keep asking behind their back."""
    lane = turn.lane
    assert lane.payment is not None
    turn.do(QueryPayment(lane.plan.lane, lane.payment))
    waited_ms = turn.now_mono_ms - lane.phase_since_mono_ms
    if waited_ms < PAY_WAITS_MAX * turn.timing.pay_ms:
        turn.go(P.PAYING, turn.timing.pay_ms)
    else:
        _not_paid(turn, "No answer\nPlease call")


@on_loops(P.IDLE, *STATION_FAILED)
def paying_loops(turn: Turn, happened: LoopEvent) -> None:
    """The vehicle backs out while it pays: the payment is called off, and counts if it went through all the same."""
    log_implausible(turn, happened)
    lane = turn.lane
    if lane.arming.clear and lane.payment is not None:
        turn.do(CancelPayment(lane.plan.lane, lane.payment))
        turn.lane = replace(lane, payment=None)
        settle(turn)


@handles(PaidElsewhere, P.OPENING, P.PRESENT, P.PAYING, *STATION_FAILED)
def paid_elsewhere(turn: Turn, happened: PaidElsewhere) -> None:
    """Somebody took the money, or a part of it, or something off the price, for the vehicle that waits here."""
    lane = turn.lane
    if happened.ticket != lane.ticket or not turn.view.inside(happened.ticket):
        return
    price = turn.view.price(happened.ticket)
    if price.due_minor > 0:
        _less_is_due(turn, price)
        return
    if lane.payment is not None:
        turn.do(CancelPayment(lane.plan.lane, lane.payment))
        turn.lane = replace(turn.lane, payment=None)
    _paid(turn, happened.ticket, "paid")


def _less_is_due(turn: Turn, price: Price) -> None:
    """The terminal must not take what is not due any more."""
    lane = turn.lane
    if lane.price is None or price.due_minor >= lane.price.due_minor:
        return
    if lane.payment is None:
        charge(turn, price)
    elif lane.asked is None:
        _call_off(turn, "")
