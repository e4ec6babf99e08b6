"""Taking money at a till: a cashier's, a pay station's. What a lane's terminal takes is `gatectl.domain.lane_pay`.

Rule 1: a payment is never more than what is due; cash beyond it is change, or kept with a record where a machine has none.
Rule 2: several payments of any methods can be for one stay, each with its key, its receipt and its own explanation.
Rule 3: a till that needs a shift takes and gives nothing without one.
"""

from gatectl.domain.books import Stay
from gatectl.domain.business.rule import Context
from gatectl.domain.events import CashOffered
from gatectl.domain.facts import Line, PaymentTaken
from gatectl.domain.ids import TimeQuality
from gatectl.domain.payments import METHODS, Method, PaymentAsked, PaymentRefusal, Settled, settle_cash
from gatectl.domain.pricing import stay_price
from gatectl.domain.records.shifts import SHIFTS
from gatectl.domain.tickets import TicketState


def asked_of(event: CashOffered) -> PaymentAsked | PaymentRefusal:
    """The request in an event; refused with E-USE-01 for a method that is none."""
    if event.method not in METHODS:
        return PaymentRefusal("E-USE-01", f"{event.method[:40]} is no way to pay; known: {', '.join(METHODS)}")
    return PaymentAsked(
        event.payment,
        event.ticket,
        Method(event.method),
        event.amount_minor,
        event.tendered_minor,
        event.reference,
    )


def take(context: Context, asked: PaymentAsked, till: str, who: str) -> PaymentTaken | PaymentRefusal:
    """A payment for what is due on a stay now."""
    stay = context.books.stays.get(asked.ticket)
    if asked.payment in context.books.payments:
        return PaymentRefusal("E-PAY-02", "this key is used for a payment at a terminal")
    if stay is None or stay.state is not TicketState.INSIDE:
        return PaymentRefusal("E-PAY-04", f"{asked.ticket} is not inside")
    unpriced = _unpriced(context, stay)
    if unpriced is not None:
        return unpriced
    price = stay_price(context, stay)
    return collected(context, asked, price.due_minor, price.tariff, price.lines, till, who)


def _unpriced(context: Context, stay: Stay) -> PaymentRefusal | None:
    if context.now.quality is TimeQuality.UNSET:
        return PaymentRefusal("E-TIME-01", "the clock is not set: nothing can be priced")
    if not stay.time_known:
        return PaymentRefusal("E-TIME-01", f"{stay.ticket} was issued by a clock that was not set; replace it as lost")
    return None


def collected(
    context: Context, asked: PaymentAsked, due_minor: int, tariff: str, lines: tuple[Line, ...], till: str, who: str
) -> PaymentTaken | PaymentRefusal:
    """A payment of something that is due, at a till."""
    amount = due_minor if asked.amount_minor is None else asked.amount_minor
    if amount > due_minor:
        return PaymentRefusal("E-PAY-05", f"{amount} is more than the {due_minor} minor units that are due")
    if shift_missing(context, till):
        return PaymentRefusal("E-PAY-07", f"no shift is open on {till}")
    settled = _settled(context, asked, amount, till)
    if isinstance(settled, PaymentRefusal):
        return settled
    return PaymentTaken(
        payment=asked.payment,
        ticket=asked.ticket,
        method=asked.method.value,
        amount_minor=settled.amount_minor,
        currency=context.plan.currency,
        tendered_minor=settled.tendered_minor,
        change_minor=settled.change_minor,
        due_minor=due_minor,
        tariff=tariff,
        lines=lines,
        till=till,
        by=who,
        series=till,
        receipt=next_receipt(context, till),
        paid_ms=context.now.wall_ms,
        terminal_ref=asked.reference,
        kept_minor=settled.kept_minor,
    )


def _settled(context: Context, asked: PaymentAsked, amount: int, till: str) -> Settled | PaymentRefusal:
    tendered = amount if asked.tendered_minor is None else asked.tendered_minor
    if asked.method is Method.CASH:
        return settle_cash(amount, tendered, gives_change=till not in context.plan.money.no_change)
    if amount <= 0:
        return PaymentRefusal("E-PAY-01", "nothing is due")
    if tendered != amount:
        return PaymentRefusal("E-PAY-05", f"{asked.method} takes exactly the amount, and gives no change")
    if not asked.reference:
        return PaymentRefusal("E-USE-01", f"{asked.method} needs a reference: {_REFERENCE.get(asked.method, _RECEIPT)}")
    return Settled(amount, amount, 0, 0)


_RECEIPT = "the number on the terminal's own receipt"
_REFERENCE = {Method.ACCOUNT: "the account that is charged", Method.VALIDATION: "who pays for the driver"}


def shift_missing(context: Context, till: str) -> bool:
    """Whether a till needs a shift and has none."""
    shifts = context.books.tables.where(SHIFTS, "till", till)
    return till in context.plan.money.shift_tills and next(shifts, None) is None


def next_receipt(context: Context, series: str) -> int:
    return context.books.receipts.get(series, 0) + 1
