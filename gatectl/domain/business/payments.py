"""What happens to money beside being taken: it goes back, is owed, is approved without the issuer, is taken back at the terminal.

Rule 1: nothing goes back beyond what was paid, and it goes back the way it came: cash out of a drawer, the rest through its
terminal.
Rule 2: each refund has its key and its receipt; the same key again gets the first answer, with another request it is refused.
Rule 3: a debt stands in for what could not be collected: the driver may leave, the debt stays until it is paid or forgiven.
Rule 4: a reversal that was begun is asked for until the terminal has answered; until then its money does not count as paid.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from gatectl.domain.books import Payment
from gatectl.domain.business.cashier import collected, next_receipt, shift_missing
from gatectl.domain.business.rule import Context, Done, No, Param, Rules, Verb, Words
from gatectl.domain.effects import Effect, ReversePayment
from gatectl.domain.events import PaymentReversed
from gatectl.domain.facts import Fact, Line, PaymentRefunded, PaymentTaken
from gatectl.domain.ids import LaneId, PaymentId, TicketNumber, TimeQuality
from gatectl.domain.payments import METHODS, Method, PaymentAsked, PaymentRefusal, same_request
from gatectl.domain.pricing import stay_price
from gatectl.domain.records.payments_debts import (
    DEBTS,
    OVERPAYMENTS,
    DebtForgiven,
    DebtMade,
    DebtPaid,
    OverpaymentReturned,
)
from gatectl.domain.records.payments_terminals import (
    OFFLINE_DAYS,
    REVERSALS,
    OfflineApproved,
    ReversalEnded,
    ReversalStarted,
)
from gatectl.domain.rows import Row, whole, words
from gatectl.domain.tickets import TicketState

VOID_WORDS: Final = "void at the terminal"
DEBTS_OPEN_MAX: Final = 50_000
"""Debts that are open at a site; one more is not made."""


def _text(given: Words, name: str) -> str:
    return str(given.get(name, ""))


def _maybe(given: Words, name: str) -> int | None:
    return int(given[name]) if name in given else None


# -- refunds ------------------------------------------------------------------------------------------------------------


def _refund(context: Context, who: str, given: Words) -> Done | No:
    payment = context.books.payments.get(PaymentId(str(given["payment"])))
    if payment is None or payment.taken is None:
        return No("E-NOT-01", f"no payment {given['payment']} was taken, or it is too long ago")
    key = PaymentId(
        _text(given, "key") or f"{payment.payment}-refund-{context.books.receipts.get(_till(given, payment), 0) + 1}"
    )
    earlier = context.books.refunds.get(key)
    if earlier is not None:
        return _refunded_before(context, earlier, payment, given)
    left = payment.amount_minor - payment.refunded_minor
    amount = left if "amount_minor" not in given else int(given["amount_minor"])
    refused = _not_refundable(context, payment, amount, left, given)
    if refused is not None:
        return refused
    till = _till(given, payment)
    fact = PaymentRefunded(
        payment.payment,
        key,
        payment.ticket,
        amount,
        payment.taken.currency,
        who,
        str(given["reason"]),
        till,
        next_receipt(context, till),
        payment.method,
        till,
        context.now.wall_ms,
        _text(given, "reference"),
    )
    return Done(f"{amount} minor units of {payment.payment} refunded", (fact,), told_refund(fact), payment.ticket)


def _till(given: Words, payment: Payment) -> str:
    assert payment.taken is not None
    return _text(given, "till") or payment.taken.till


def _not_refundable(context: Context, payment: Payment, amount: int, left: int, given: Words) -> No | None:
    if context.books.tables.get(REVERSALS, payment.payment) is not None:
        return No("E-PAY-08", f"{payment.payment} is being taken back at its terminal now")
    if not 0 < amount <= left:
        return No("E-PAY-08", f"{amount} of the {left} minor units that are left of {payment.payment}")
    if payment.method == Method.CASH and shift_missing(context, _till(given, payment)):
        return No("E-PAY-07", f"no shift is open on {_till(given, payment)}")
    if payment.method != Method.CASH and not _text(given, "reference"):
        return No(
            "E-USE-01", f"paid by {payment.method}: give the number on the receipt of its own refund as reference"
        )
    stay = context.books.stays.get(payment.ticket)
    if stay is not None and stay.state is TicketState.SPENT:
        return No("E-PAY-04", f"{payment.ticket} is driving out now")
    return None


def _refunded_before(context: Context, earlier: PaymentRefunded, payment: Payment, given: Words) -> Done | No:
    amount = int(given.get("amount_minor", earlier.amount_minor))
    said = (payment.payment, amount, _till(given, payment), _text(given, "reference"))
    if said != (earlier.payment, earlier.amount_minor, earlier.till, earlier.terminal_ref):
        return No("E-PAY-02", f"{earlier.refund} was used before for another refund")
    return Done(f"{earlier.amount_minor} minor units of {earlier.payment} refunded", (), told_refund(earlier))


def told_refund(fact: PaymentRefunded) -> dict[str, object]:
    copied = ("refund", "payment", "ticket", "amount_minor", "currency", "method", "till", "series", "receipt")
    return {name: getattr(fact, name) for name in copied}


# -- debts --------------------------------------------------------------------------------------------------------------


def debt_made(
    context: Context, ticket: TicketNumber, due_minor: int, debtor: str, by: str, why: str, lane: str = ""
) -> DebtMade:
    """The debt for what is due now. Its key names the ticket; boot and second set it apart from another of the same stay."""
    debt = f"IOU-{ticket}-{context.boot.tag}{context.now.mono_ms // 1000}"
    return DebtMade(debt, ticket, due_minor, context.plan.currency, debtor, by, why, context.now.wall_ms, lane)


def _iou(context: Context, who: str, given: Words) -> Done | No:
    ticket = TicketNumber(str(given["ticket"]))
    stay = context.books.stays.get(ticket)
    if stay is None or stay.state is not TicketState.INSIDE:
        return No("E-PAY-04", f"{ticket} is not inside")
    if context.now.quality is TimeQuality.UNSET or not stay.time_known:
        return No("E-TIME-01", f"{ticket} cannot be priced; let the driver out by hand")
    due = stay_price(context, stay).due_minor
    if due <= 0:
        return No("E-PAY-01", f"nothing is due for {ticket}")
    if too_many_debts(context):
        return No("E-PAY-10", f"{DEBTS_OPEN_MAX} debts are open")
    fact = debt_made(context, ticket, due, _text(given, "debtor"), who, str(given["reason"]))
    data = {"debt": fact.debt, "ticket": ticket, "amount_minor": due, "currency": fact.currency}
    return Done(f"{due} minor units of {ticket} are owed as {fact.debt}", (fact,), data, ticket)


def too_many_debts(context: Context) -> bool:
    return context.books.tables.count(DEBTS) >= DEBTS_OPEN_MAX


def owed_minor(debt: Row) -> int:
    return whole(debt, "amount_minor") - whole(debt, "paid_minor")


def _pay_debt(context: Context, who: str, given: Words) -> Done | No:
    debt = context.books.tables.get(DEBTS, str(given["debt"]))
    method = _text(given, "method") or Method.CASH
    if method not in METHODS:
        return No("E-USE-01", f"{method} is no way to pay; known: {', '.join(METHODS)}")
    key, till = PaymentId(str(given["key"])), str(given["till"])
    earlier = context.books.payments.get(key)
    ticket = (
        earlier.ticket if debt is None and earlier is not None else words(debt, "ticket") if debt is not None else ""
    )
    asked = PaymentAsked(
        key,
        TicketNumber(ticket),
        Method(method),
        _maybe(given, "amount_minor"),
        _maybe(given, "tendered_minor"),
        _text(given, "reference"),
    )
    if earlier is not None:
        return _debt_paid_before(earlier, asked)
    if debt is None:
        return No("E-NOT-01", f"no debt {given['debt']} is open")
    owed = owed_minor(debt)
    line = Line(f"Debt {debt['debt']}", owed)
    taken = collected(context, asked, owed, "", (line,), till, who)
    if isinstance(taken, PaymentRefusal):
        return No(taken.code, taken.why)
    paid = DebtPaid(words(debt, "debt"), key, taken.amount_minor, owed - taken.amount_minor, taken.paid_ms)
    return Done(f"{taken.amount_minor} minor units paid for {debt['debt']}", (taken, paid), _told_debt(taken, paid))


def _debt_paid_before(earlier: Payment, asked: PaymentAsked) -> Done | No:
    if earlier.taken is None:
        return No("E-PAY-02", "this key is used for a payment at a terminal")
    refusal = same_request(earlier.taken, asked)
    if refusal is not None:
        return No(refusal.code, refusal.why)
    taken = earlier.taken
    data = {
        "payment": taken.payment,
        "series": taken.series,
        "receipt": taken.receipt,
        "change_minor": taken.change_minor,
    }
    return Done(f"{taken.amount_minor} minor units were paid before under this key", (), data)


def _told_debt(taken: PaymentTaken, paid: DebtPaid) -> dict[str, object]:
    told: dict[str, object] = {
        "payment": taken.payment,
        "amount_minor": taken.amount_minor,
        "left_minor": paid.left_minor,
    }
    return told | {"series": taken.series, "receipt": taken.receipt, "change_minor": taken.change_minor}


def _forgive(context: Context, who: str, given: Words) -> Done | No:
    debt = context.books.tables.get(DEBTS, str(given["debt"]))
    if debt is None:
        return No("E-NOT-01", f"no debt {given['debt']} is open")
    if TicketNumber(words(debt, "ticket")) in context.books.stays:
        return No("E-PAY-04", f"{debt['ticket']} has not left: take the money, or void the ticket")
    left = owed_minor(debt)
    fact = DebtForgiven(words(debt, "debt"), left, who, str(given["reason"]), context.now.wall_ms)
    return Done(f"{left} minor units of {fact.debt} are forgiven", (fact,), {"debt": fact.debt, "amount_minor": left})


def _return_overpayment(context: Context, who: str, given: Words) -> Done | No:
    kept = context.books.tables.get(OVERPAYMENTS, str(given["payment"]))
    if kept is None:
        return No("E-NOT-01", f"nothing is kept of {given['payment']}")
    till = str(given["till"])
    if shift_missing(context, till):
        return No("E-PAY-07", f"no shift is open on {till}")
    amount = whole(kept, "kept_minor")
    payment = PaymentId(words(kept, "payment"))
    fact = OverpaymentReturned(payment, amount, till, who, str(given["reason"]), context.now.wall_ms)
    return Done(f"{amount} minor units of {payment} are to be given back", (fact,), {"amount_minor": amount})


# -- terminals ----------------------------------------------------------------------------------------------------------


def civil_day(context: Context) -> str:
    """The site's day now, YYYY-MM-DD."""
    return datetime.fromtimestamp(context.now.wall_ms // 1000, UTC).astimezone(context.plan.zone).date().isoformat()


def offline_today_minor(context: Context) -> int:
    row = context.books.tables.get(OFFLINE_DAYS, civil_day(context))
    return 0 if row is None else whole(row, "amount_minor")


def offline_left_minor(context: Context) -> int:
    """The most that a terminal may approve without its issuer now, for one payment."""
    rules = context.plan.money
    return max(0, min(rules.offline_payment_minor, rules.offline_day_minor - offline_today_minor(context)))


def _taken(context: Context, fact: PaymentTaken) -> Iterable[Fact]:
    if fact.offline:
        today = offline_today_minor(context) + fact.amount_minor
        yield OfflineApproved(fact.payment, fact.amount_minor, civil_day(context), today)


def reversed_(context: Context, event: PaymentReversed) -> tuple[Fact, ...]:
    """What a terminal's answer makes true; nothing if nobody waits for it, or if it does not know yet."""
    row = context.books.tables.get(REVERSALS, event.payment)
    if row is None or event.outcome not in ("reversed", "refused"):
        return ()
    ended = ReversalEnded(event.payment, event.outcome, event.why[:200])
    payment = context.books.payments.get(event.payment)
    if event.outcome == "refused" or not row["counted"] or payment is None or payment.taken is None:
        return (ended,)
    series, left = payment.taken.series, payment.amount_minor - payment.refunded_minor
    refunded = PaymentRefunded(
        payment.payment,
        PaymentId(f"{payment.payment}-void"),
        payment.ticket,
        left,
        payment.taken.currency,
        words(row, "asked_by"),
        words(row, "reason"),
        series,
        next_receipt(context, series),
        payment.method,
        payment.taken.till,
        context.now.wall_ms,
        VOID_WORDS,
    )
    return (ended, refunded)


def _reverse(context: Context, fact: ReversalStarted) -> Iterable[Effect]:
    yield ReversePayment(fact.lane, fact.payment)


def _remind(context: Context) -> Iterable[Effect]:
    for row in sorted(context.books.tables.all(REVERSALS), key=lambda row: words(row, "payment")):
        yield ReversePayment(LaneId(words(row, "lane")), PaymentId(words(row, "payment")))


_REASON: Final = Param("reason", str)
_DEBT: Final = Param("debt", str)

RULES: Final = Rules(
    "payments",
    (
        Verb(
            "pay-refund",
            "give back a payment, or a part of it",
            (
                Param("payment", str),
                _REASON,
                Param("amount_minor", int, needed=False),
                Param("till", str, needed=False),
                Param("key", str, needed=False),
                Param("reference", str, needed=False),
            ),
            _refund,
        ),
        Verb(
            "debt-make",
            "let a driver out who cannot pay; what is due is owed",
            (Param("ticket", str), _REASON, Param("debtor", str, needed=False)),
            _iou,
        ),
        Verb(
            "debt-pay",
            "take money for a debt",
            (
                _DEBT,
                Param("key", str),
                Param("till", str),
                Param("amount_minor", int, needed=False),
                Param("tendered_minor", int, needed=False),
                Param("method", str, needed=False),
                Param("reference", str, needed=False),
            ),
            _pay_debt,
        ),
        Verb("debt-forgive", "give up what is left of a debt", (_DEBT, _REASON), _forgive),
        Verb(
            "overpayment-return",
            "give a driver what a machine had kept",
            (Param("payment", str), Param("till", str), _REASON),
            _return_overpayment,
        ),
    ),
    follow={PaymentTaken: _taken},
    behind={ReversalStarted: _reverse},
    remind=_remind,
)
