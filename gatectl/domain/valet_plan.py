"""A valet stand, from the site file."""

from dataclasses import dataclass

from gatectl.domain.ids import AreaId


@dataclass(frozen=True, slots=True)
class ValetPlan:
    """Where handed-over vehicles are parked, and what the service costs beside the parking, in minor units."""

    area: AreaId
    vehicle_type: str = "CAR"
    fee_minor: int = 0
    lost_claim_minor: int = 0
