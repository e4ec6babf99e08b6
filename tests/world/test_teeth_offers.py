"""The world has teeth for coupons and keys: planted, found, and named by the promise that was broken."""

import pytest
from test_teeth import caught

from gatectl.domain import facts as f
from gatectl.domain.books import Stay
from gatectl.domain.business import valet, validations
from gatectl.domain.ids import LaneId, SpotId


def test_a_coupon_that_is_looked_up_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is signed, so it is good, isn't it? The photograph of the same paper comes to the other exit."""
    monkeypatch.setattr(validations, "_over_a_limit", lambda *_: None)

    assert caught(range(1, 6)).startswith("a coupon is used as often as it may")


def test_a_valet_who_parks_where_somebody_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The spot is not looked at: two stays on one."""

    def anywhere(context: object, stay: Stay, spot: SpotId) -> f.VehicleMoved:
        return f.VehicleMoved(stay.ticket, LaneId("IN-1"), stay.area, stay.area, spot, "COMPACT", None, 0)

    monkeypatch.setattr(valet, "_moved", anywhere)

    assert "held already" in caught(range(1, 9))
