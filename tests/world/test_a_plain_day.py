"""The thinnest worlds: nobody does anything odd and nothing breaks. What the books say is then exactly what is true."""

import json
import os
import subprocess
import sys

import pytest

from gatectl.world.plans import AREA
from gatectl.world.simulation import Options, World


@pytest.mark.parametrize("lanes", [2, 4])
def test_after_a_plain_day_the_count_is_the_truth(lanes: int) -> None:
    """Vehicles come, stay and go for a day; as many are inside as the count says, and every one of them has its ticket."""
    world = World(Options(seed=1, days=0.4, lanes=lanes, oddity=0, faults_per_hour=0))
    result = world.run()

    assert "" == result.broken
    assert result.entered > 100
    assert world.motorists.inside == world.ledger.inside[AREA]
    assert {"inside"} >= set(world.ledger.tickets.values()) - {"spent", "issued"}
    assert result.entered - result.exited == world.ledger.inside[AREA]


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_same_seed_is_the_same_run(hash_seed: str) -> None:
    """Every byte of the journal is the seed's, in any process: what breaks, breaks again. Another seed is another run."""
    words = ["simulate", "--seed", "7", "--days", "0.15", "--lanes", "4", "--oddity", "0.3", "--faults", "20", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", "from gatectl.cli.main import app; app()", *words],
        check=True,
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    here, other = (World(Options(seed, 0.15, 4, oddity=0.3, faults_per_hour=20)).run() for seed in (7, 8))

    assert here.head == json.loads(done.stdout)["head"]
    assert here.head != other.head
