"""The second bookkeeper's page on coupons, validations and the valet. From facts alone.

Promises: a coupon is on no more stays than it may be, and what was paid with is never taken off; what stands alone stands alone;
a key tag hangs on one key; a vehicle that is handed back was handed over; each stay's rows end with the stay.
"""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any, Final

from gatectl.domain import facts as f
from gatectl.domain.books import Books
from gatectl.domain.ids import TicketNumber
from gatectl.domain.records import valet as k
from gatectl.domain.records import validations as v
from gatectl.world.holding import hold

STACKED_MAX: Final = 3


@dataclass(slots=True)
class OffersBook:
    """`on`: validations of open tickets, those that were taken off left out: ticket, coupon, whether it stands alone."""

    limits: dict[str, int | None] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    on: dict[str, tuple[TicketNumber, str | None, bool]] = field(default_factory=dict)
    spent: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    """Key tag to visit."""
    visits: dict[str, TicketNumber] = field(default_factory=dict)
    """Open visits of the valet, handed back or not."""

    def copy(self) -> "OffersBook":
        """As it is now, to go back to."""
        return OffersBook(**{part.name: copy(getattr(self, part.name)) for part in fields(self)})

    def witness(self, fact: f.Fact) -> None:
        keep = _KEEP.get(type(fact))
        if keep is not None:
            keep(self, fact)


def _defined(book: OffersBook, fact: v.CouponDefined) -> None:
    book.limits[fact.coupon] = fact.uses_max


def _applied(book: OffersBook, fact: v.ValidationApplied) -> None:
    book.on[fact.validation] = (fact.ticket, fact.coupon, fact.exclusive)
    together = [alone for ticket, _, alone in book.on.values() if ticket == fact.ticket]
    fits = len(together) == 1 or (len(together) <= STACKED_MAX and not any(together))
    hold(fits, "what is on a ticket goes together", (fact.ticket, together))
    if fact.coupon is not None:
        book.used[fact.coupon] = book.used.get(fact.coupon, 0) + 1
        limit = book.limits.get(fact.coupon, 1)
        hold(limit is None or book.used[fact.coupon] <= limit, "a coupon is used as often as it may", fact.coupon)


def _spent(book: OffersBook, fact: v.ValidationSpent) -> None:
    hold(fact.validation in book.on, "what is spent is on a ticket", fact.validation)
    book.spent.add(fact.validation)


def _released(book: OffersBook, fact: v.ValidationReleased) -> None:
    hold(fact.validation not in book.spent, "what was paid with is not taken off", fact.validation)
    hold(fact.validation in book.on, "what is taken off is on a ticket", fact.validation)
    _, coupon, _ = book.on.pop(fact.validation)
    if coupon is not None:
        book.used[coupon] -= 1


def _moved(book: OffersBook, fact: v.ValidationMoved) -> None:
    if fact.validation in book.on:
        _, coupon, alone = book.on[fact.validation]
        book.on[fact.validation] = (fact.replacement, coupon, alone)


def _closed(book: OffersBook, fact: v.ValidationClosed) -> None:
    book.on.pop(fact.validation, None)
    book.spent.discard(fact.validation)


def _expired(book: OffersBook, fact: v.CouponExpired) -> None:
    book.used.pop(fact.coupon, None)


def _received(book: OffersBook, fact: k.ValetReceived) -> None:
    hold(fact.tag not in book.tags, "a key tag hangs on one key", (fact.tag, fact.visit, book.tags.get(fact.tag)))
    book.tags[fact.tag] = fact.visit
    book.visits[fact.visit] = fact.ticket


def _returned(book: OffersBook, fact: k.ValetReturned) -> None:
    tags = [tag for tag, visit in book.tags.items() if visit == fact.visit]
    hold(len(tags) == 1, "what is handed back was handed over, and once", fact.visit)
    del book.tags[tags[0]]


def _visit_over(book: OffersBook, fact: k.ValetClosed) -> None:
    hold(fact.visit not in book.tags.values(), "a stay that is over leaves no key behind", fact.visit)
    hold(book.visits.pop(fact.visit, None) is not None, "a visit ends once", fact.visit)


def _renumbered(book: OffersBook, fact: k.ValetRenumbered) -> None:
    book.visits[fact.visit] = fact.ticket


_KEEP: Final[Mapping[type[f.Fact], Callable[[OffersBook, Any], None]]] = {
    v.CouponDefined: _defined,
    v.CouponExpired: _expired,
    v.ValidationApplied: _applied,
    v.ValidationSpent: _spent,
    v.ValidationReleased: _released,
    v.ValidationMoved: _moved,
    v.ValidationClosed: _closed,
    k.ValetReceived: _received,
    k.ValetReturned: _returned,
    k.ValetClosed: _visit_over,
    k.ValetRenumbered: _renumbered,
}


def differing(book: OffersBook, books: Books) -> str:
    """Where the rows say another thing than this page; empty: they agree."""
    tables = books.tables
    on: dict[Any, Any] = {
        row["validation"]: row["ticket"] for row in tables.all(v.VALIDATIONS) if row["state"] != v.RELEASED
    }
    kept: dict[Any, Any] = {name: ticket for name, (ticket, _, _) in book.on.items()}
    if on != kept:
        return f"validations on tickets: {set(on.items()) ^ set(kept.items())}"
    counted = {row["coupon"]: row["used"] for row in tables.all(v.COUPON_USES) if row["used"]}
    used: dict[Any, Any] = {coupon: count for coupon, count in book.used.items() if count}
    if counted != used:
        return f"coupons used: {set(counted.items()) ^ set(used.items())}"
    tags = {row["tag"]: row["visit"] for row in tables.all(k.VALET) if row["tag"]}
    hung: dict[Any, Any] = dict(book.tags)
    return "" if tags == hung else f"key tags: {set(tags.items()) ^ set(hung.items())}"


def open_tickets(book: OffersBook) -> set[TicketNumber]:
    """Tickets whose rows say that their stay is not over."""
    return {ticket for ticket, _, _ in book.on.values()} | set(book.visits.values())
