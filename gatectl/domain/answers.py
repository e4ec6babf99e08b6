"""What the person or station who offered money is told."""

from gatectl.domain.effects import Reply
from gatectl.domain.facts import PaymentTaken
from gatectl.domain.ids import RequestId
from gatectl.domain.payments import PaymentRefusal


def answer(request: RequestId, refusal: PaymentRefusal | None, taken: PaymentTaken) -> Reply:
    if refusal is not None:
        return Reply(request, refusal.code, refusal.why)
    return Reply(request, "", "paid", told_payment(taken))


def told_payment(taken: PaymentTaken) -> dict[str, object]:
    """A payment as the control API tells it."""
    return {
        "payment": taken.payment,
        "ticket": taken.ticket,
        "method": taken.method,
        "amount_minor": taken.amount_minor,
        "tendered_minor": taken.tendered_minor,
        "change_minor": taken.change_minor,
        "kept_minor": taken.kept_minor,
        "currency": taken.currency,
        "lines": [[line.text, line.amount_minor] for line in taken.lines],
        "series": taken.series,
        "receipt": taken.receipt,
        "paid_ms": taken.paid_ms,
    }
