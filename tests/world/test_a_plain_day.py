"""The thinnest worlds: nobody does anything odd and nothing breaks. What the books say is then exactly what is true."""

import pytest

from gatectl.world.plans import AREA
from gatectl.world.simulation import Options, World


@pytest.mark.parametrize("lanes", [2, 6])
def test_after_a_plain_day_the_count_is_the_truth(lanes: int) -> None:
    """Vehicles come, stay and go for a day; as many are inside as the count says, and every one of them has its ticket."""
    world = World(Options(seed=1, days=0.5, lanes=lanes, oddity=0, faults_per_hour=0))
    result = world.run()

    assert "" == result.broken
    assert result.entered > 100
    assert world.motorists.inside == world.ledger.inside[AREA]
    assert {"inside"} >= set(world.ledger.tickets.values()) - {"spent", "issued"}
    assert result.entered - result.exited == world.ledger.inside[AREA]


def test_the_same_seed_is_the_same_run() -> None:
    """Every byte of the journal is the seed's: two runs end with the same head, another seed with another."""
    first, second, other = (World(Options(seed, days=0.5, lanes=2)).run() for seed in (7, 7, 8))

    assert first.head == second.head
    assert first.head != other.head
