"""The world has teeth for money: each of these is planted, and a run finds it and names the promise that it broke."""

import dataclasses

import pytest
from test_teeth import caught

from gatectl.domain import books, view
from gatectl.domain.business import fiscal, payments
from gatectl.domain.business.rule import Context
from gatectl.domain.events import EntrySigned
from gatectl.domain.facts import Fact, PaymentRefunded
from gatectl.domain.rows import Row

QUIET = {"faults_per_hour": 5, "days": 0.3}


def test_a_refund_that_forgets_what_went_back_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refund looks at the payment as it was taken: two of them give back more than was paid."""
    fold = books._FOLDS[PaymentRefunded]

    def forgetful(all_books: books.Books, fact: PaymentRefunded) -> None:
        before = all_books.payments.get(fact.payment)
        fold(all_books, fact)
        if before is not None:
            all_books.payments[fact.payment] = before

    monkeypatch.setitem(books._FOLDS, PaymentRefunded, forgetful)

    assert caught(range(1, 12), **QUIET).startswith(("nothing goes back beyond what was paid", "money is the same"))


def test_a_limit_that_looks_at_one_payment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much terminals approved today, the next may approve as much again."""

    def for_one(context: Context) -> int:
        return context.plan.money.offline_payment_minor

    monkeypatch.setattr(payments, "offline_left_minor", for_one)
    monkeypatch.setattr(view.payments, "offline_left_minor", for_one)

    assert caught(range(1, 40), **QUIET).startswith("offline approvals keep to the limit")


def test_a_signature_that_is_taken_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit answers late, for what was asked before a restart: its text chains to another entry."""

    def trusting(context: Context, row: Row, entry: Row | None, event: EntrySigned) -> bool:
        return True

    signed = fiscal.signed

    def stale(context: Context, event: EntrySigned) -> tuple[Fact, ...]:
        return signed(context, dataclasses.replace(event, text=event.text.replace("_0,00_", "_9,99_", 1)))

    monkeypatch.setattr(fiscal, "_fits", trusting)
    monkeypatch.setattr(fiscal, "signed", stale)

    assert caught(range(1, 12), **QUIET).startswith("the fiscal chain verifies from its start")
