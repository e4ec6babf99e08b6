"""A site's software goes back to an older version: its journal holds facts of the newer one."""

from dataclasses import replace
from pathlib import Path

import pytest
from site_stories import site_plan
from store_bench import SITE, T0_MS, entry, issued

from gatectl.domain import facts as f
from gatectl.domain.ids import LaneId
from gatectl.store import journal
from gatectl.store.database import StoreRefused, open_database, transaction
from gatectl.store.journal import Entry
from gatectl.store.projection import project
from gatectl.store.starting import begin


def database(path: Path, newer: Entry) -> None:
    """One ticket that entered by known facts, then a fact that this version does not know."""
    connection = open_database(path)
    with transaction(connection):
        tip = journal.read_tip(connection, SITE)
        ticket = issued(1)
        for fact in (ticket, f.VehicleEntered(ticket.ticket, LaneId("IN-1"), None, T0_MS)):
            tip = journal.append(connection, tip, [entry(tip.seq + 1, fact)])
            project(connection, fact, T0_MS)
        journal.append(connection, tip, [newer])
    connection.close()


@pytest.mark.parametrize(
    "newer",
    [
        replace(entry(3, issued(2)), kind="boom.lifted", body=b'{"lane":"IN-1"}'),
        replace(entry(3, issued(2)), version=2),
    ],
    ids=["a kind", "a version"],
)
def test_a_start_on_facts_of_a_newer_version_is_refused_by_name(tmp_path: Path, newer: Entry) -> None:
    """It says what it met and what to do; nothing is made again, nothing is written."""
    path = tmp_path / "gatectl.db"
    database(path, newer)
    before = path.read_bytes()
    connection = open_database(path)
    with pytest.raises(StoreRefused) as refused:
        begin(connection, path, replace(site_plan(), site=SITE))
    connection.close()

    assert f"{newer.kind}/{newer.version}" in str(refused.value)
    assert str(refused.value).endswith("Next: install a newer gatectl")
    assert before == path.read_bytes()
