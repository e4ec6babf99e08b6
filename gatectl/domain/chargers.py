"""Chargers as the site file describes them: which connector of which charge point stands at which spot, and what it costs."""

from dataclasses import dataclass

from gatectl.domain.ids import SpotId


@dataclass(frozen=True, slots=True)
class Charger:
    """One connector. `device`: the charge point it belongs to. `anyone`: it charges without a credential of a stay."""

    charger: str
    device: str
    connector: int
    spot: SpotId | None = None
    anyone: bool = False


@dataclass(frozen=True, slots=True)
class ChargingPrices:
    """In minor units; what is 0 is not charged. A session keeps the prices of its beginning.

    `idle_minor`: for each whole minute that a vehicle keeps its connector after it was charged, beyond the grace.
    """

    kwh_minor: int = 0
    connection_minor: int = 0
    idle_minor: int = 0
    idle_grace_minutes: int = 0
