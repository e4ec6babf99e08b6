"""Where a lane between two areas leads."""

from dataclasses import dataclass

from gatectl.domain.ids import AreaId, SpotId


@dataclass(frozen=True, slots=True)
class PlaceBeyond:
    """Where a vehicle comes to that drives through a passage, and from where."""

    from_area: AreaId
    area: AreaId
    spot: SpotId | None
    spot_type: str | None
    from_spot: SpotId | None = None
