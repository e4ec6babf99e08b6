"""The second bookkeeper's page on the exceptions desk: prices that a person said. From facts alone.

Promises: nobody is asked for more than a named person has said; a price goes with its stay and ends with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gatectl.domain import facts as f
from gatectl.domain.books import Books
from gatectl.domain.ids import TicketNumber
from gatectl.domain.records.exceptions import HAND_PRICES, PriceEnded, PriceSet
from gatectl.world.holding import hold


@dataclass(slots=True)
class DeskBook:
    """Open tickets with a price of their own."""

    prices: dict[TicketNumber, int] = field(default_factory=dict)

    def __copy__(self) -> "DeskBook":
        return DeskBook(dict(self.prices))

    def witness(self, fact: f.Fact) -> None:
        keep = _KEEP.get(type(fact))
        if keep is not None:
            keep(self, fact)


def _said(book: DeskBook, fact: PriceSet) -> None:
    book.prices[fact.ticket] = fact.price_minor


def _over(book: DeskBook, fact: PriceEnded) -> None:
    hold(book.prices.pop(fact.ticket, None) is not None, "a price that was said ends once", fact.ticket)


def _paid(book: DeskBook, fact: f.PaymentTaken) -> None:
    price = book.prices.get(fact.ticket, fact.due_minor)
    hold(
        fact.due_minor <= price, "nobody is asked for more than was said", f"{fact.ticket}: {fact.due_minor} of {price}"
    )


_KEEP: Final[Mapping[type[f.Fact], Callable[[DeskBook, Any], None]]] = {
    PriceSet: _said,
    PriceEnded: _over,
    f.PaymentTaken: _paid,
}


def prices_differ(book: DeskBook, books: Books) -> str:
    """Where the rows say another thing than this page; empty: they agree."""
    told: dict[Any, Any] = {row["ticket"]: row["price_minor"] for row in books.tables.all(HAND_PRICES)}
    kept: dict[Any, Any] = dict(book.prices)
    return "" if told == kept else f"prices by a person: {set(told.items()) ^ set(kept.items())}"
