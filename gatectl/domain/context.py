"""The site at one moment, as rules and prices see it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gatectl.domain.bill import Bill
from gatectl.domain.books import Books
from gatectl.domain.facts import Line
from gatectl.domain.ids import Boot, Moment
from gatectl.domain.plan import SitePlan


@dataclass(frozen=True, slots=True)
class Context:
    """`adjusts`: what the subjects make of a price, in order (`gatectl.domain.pricing`)."""

    plan: SitePlan
    books: Books
    boot: Boot
    now: Moment
    adjusts: "tuple[Adjust, ...]"


Adjust = Callable[[Context, Bill], Iterable[Line]]
"""What a subject adds to a bill (or takes off, with a minus), explained; it sees the lines of those before it."""
