"""A stay's price in the making: what its tariff charges, and what surcharges, rights and validations add or take off."""

from dataclasses import dataclass
from datetime import tzinfo
from enum import IntEnum
from typing import Final

from gatectl.domain import tariffs
from gatectl.domain.books import Stay
from gatectl.domain.facts import Line
from gatectl.domain.tariffs import Charge, Tariff


class Stage(IntEnum):
    """The order in which a price is adjusted: later ones see what earlier ones made of it."""

    SURCHARGE = 1  # what the site did beyond parking: valet, energy
    RIGHT = 2  # what a pass or a reservation leaves due
    VALIDATION = 3  # what a merchant or a coupon gives
    HAND = 4  # what a named person says: the last word


LOST: Final = "Lost ticket"


@dataclass(frozen=True, slots=True)
class Bill:
    """A stay until `until_ms`, as far as it is priced. `lines` sum to `total_minor`, which is never negative.

    `parking_minor` is what the tariff charges alone: a right is about parking and leaves a surcharge due.
    """

    stay: Stay
    tariff: Tariff
    until_ms: int
    zone: tzinfo
    currency: str
    parking_minor: int
    total_minor: int
    lines: tuple[Line, ...]
    off_minor: int = 0
    """What was taken off so far."""

    @property
    def parking_left_minor(self) -> int:
        """What is still due for parking: whatever was taken off was taken off that."""
        return max(0, self.parking_minor - self.off_minor)

    @property
    def entered_ms(self) -> int:
        """When the stay's time begins to cost."""
        return self.stay.issued_ms

    def charged(self, from_ms: int, until_ms: int) -> Charge:
        """What the stay's tariff charges for a part of it, as for a stay of its own."""
        return tariffs.charge(self.tariff, from_ms, until_ms, self.zone, self.currency, self.stay.fixed)

    def adjusted(self, line: Line) -> "Bill":
        """With one more line; one that takes off more than there is, takes off what there is."""
        amount = max(line.amount_minor, -self.total_minor)
        return Bill(
            self.stay,
            self.tariff,
            self.until_ms,
            self.zone,
            self.currency,
            self.parking_minor,
            self.total_minor + amount,
            (*self.lines, Line(line.text, amount)),
            self.off_minor + max(0, -amount),
        )
