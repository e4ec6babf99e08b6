"""Charging has teeth: bugs that are planted in it are found by the second bookkeeper, and named."""

import pytest

from gatectl.domain.business import charging, charging_sessions
from gatectl.world.simulation import Options, Result, World


def a_morning(seed: int = 23) -> Result:
    """A site with chargers and without sold places, where nothing breaks."""
    return World(Options(seed, days=0.15, lanes=2, oddity=0.3, faults_per_hour=0)).run()


def test_a_plain_run_finds_nothing_and_sees_it_all() -> None:
    """Charge points repeat, tell late, forget and charge strangers, and every bill is right."""
    result = a_morning()

    assert "" == result.broken
    wanted = {"charging.ended", "charging.settled", "charging.unclaimed", "charger repeats", "charger tells late"}
    assert set() == (wanted | {"charger forgets"}) - result.seen.keys()


def test_energy_that_is_rounded_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a cent here and there: nobody will notice."""
    monkeypatch.setattr(charging, "energy_minor", lambda energy_wh, kwh_minor: energy_wh * kwh_minor // 1000)

    assert a_morning(1).broken.startswith("charging costs what its sessions cost")


def test_a_meter_that_is_believed_whatever_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading is a reading, also when it is lower than the one before."""
    monkeypatch.setattr(charging_sessions, "_read", lambda session, wh: (session["from_wh"] or wh, wh, ""))

    assert a_morning().broken.startswith("energy never falls")
