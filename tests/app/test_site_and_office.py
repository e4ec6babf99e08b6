"""A real daemon on simulated hardware and a real office on a real PostgreSQL: what comes down is applied, what goes up agrees."""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from central.embedded import EmbeddedServer
from gatectl.demo.hardware import Plant
from gatectl.demo.stage import SITE, Office, SiteDaemon

EVENTS_MAX = 200
"""Lines of the event stream, heartbeats included (two a second), before a test gives up."""


class Pair:
    """A site and its office, both running; `pulses` are the outputs that closed."""

    def __init__(self, folder: Path) -> None:
        self.pulses: list[tuple[str, str]] = []
        self.plant = Plant(folder / "plant", lambda lane, verb: self.pulses.append((lane, verb)), lambda *_: None)
        for lane in ("IN-1", "IN-2", "IN-3", "OUT-1", "OUT-2"):
            for role in ("arming", "closing", "button", "arm_up", *(("reset",) if lane == "OUT-2" else ())):
                self.plant.contact(lane, role, False)
            self.plant.contact(lane, "arm_down", True)
        self.office = Office(folder / "office")
        self.site = SiteDaemon(folder, 1, 0, 0)

    def start(self) -> None:
        self.office.start()
        self.office.command("site", "add", SITE)
        self.site.configure(self.plant.site_file(self.office.url_for_site, 10))
        code = self.office.command("site", "code", SITE)
        self.site.gatectl("sync", "enrol", "--office", self.office.url_for_site, "--code", code)
        self.site.start()
        self.site.wait_ready()

    def stop(self) -> None:
        self.site.stop()
        self.office.stop()
        self.plant.close()

    def until(self, kind: str, **members: object) -> dict[str, Any]:
        """The first event of a kind whose body has these members, from the journal's beginning."""
        for _, event in zip(range(EVENTS_MAX), self.site.client.stream("events", "stream", after=0), strict=False):
            if event is not None and event["kind"] == kind and members.items() <= event["body"].items():
                return event
        raise AssertionError(f"no {kind} with {members}")

    def until_every_lane_serves(self) -> None:
        for _, event in zip(range(EVENTS_MAX), self.site.client.stream("events", "stream", after=0), strict=False):
            if event is None and {"idle"} == {lane["phase"] for lane in self.site.client.get("lanes")["lanes"]}:
                return
        raise AssertionError("not every lane serves")

    def asked(self, sql: str) -> list[tuple[Any, ...]]:
        dsn = EmbeddedServer(self.office.folder / "pg").dsn_if_running()
        assert dsn is not None
        with psycopg.connect(dsn) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def pair() -> Iterator[Pair]:
    folder = Path(
        tempfile.mkdtemp(prefix="gatectl-t-")
    )  # PostgreSQL must reach it, and tmp_path is closed to it as root
    made = Pair(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_tariff_and_a_command_come_down_and_their_facts_go_up(pair: Pair, tmp_path: Path) -> None:
    """The office sends a tariff and opens a lane; the site applies both, and both ends print the same proof."""
    tariff = {"id": "office-1", "effective_from_ms": 1_700_000_000_000, "kind": "flat", "lost_ticket_minor": 2000}
    file = tmp_path / "tariff.json"
    file.write_text(json.dumps({**tariff, "base_minor": 500}))
    pair.office.command("tariff", "put", SITE, str(file))
    pair.until("tariff.applied", tariff="office-1", source="office")

    pair.until_every_lane_serves()
    pair.office.command("command", SITE, "lane", "open", "OUT-1", "--reason", "drill", "--by", "bob")
    done = pair.until("command.done", reason="drill")

    assert "bob" in done["body"]["by"]
    opened = pair.until("lane.opened-by-hand", lane="OUT-1")
    assert ("drill", "OUT-1") == (opened["body"]["why"], opened["body"]["lane"])
    assert ("OUT-1", "open") in pair.pulses
    while (proof := json.loads(pair.office.command("prove", SITE)))["seq"] < done["seq"]:
        pair.site.gatectl("sync", "now")
    site = json.loads(pair.site.gatectl("sync", "prove", "--json"))

    assert [(done["body"]["command"], "done")] == pair.asked("SELECT command, state FROM commands")
    assert (site["generation"], site["site"]) == (proof["generation"], proof["site"])


def test_a_revoked_site_keeps_serving_and_says_so(pair: Pair) -> None:
    """A stolen credential is ended at the office: the site goes on, keeps its records, and status names the cause."""
    pair.office.command("site", "revoke", SITE)
    pair.site.kill()
    pair.site.wait_ready()
    for _, event in zip(range(EVENTS_MAX), pair.site.client.stream("events", "stream", after=0), strict=False):
        status = pair.site.client.get("status") if event is None else {"problems": []}
        if any(problem["code"] == "E-SYNC-03" for problem in status["problems"]):
            break
    else:
        raise AssertionError("the refusal is not shown")

    assert "stopped" == pair.site.client.get("sync")["state"]
    pair.until_every_lane_serves()


def test_a_flipped_bit_is_named_and_the_record_comes_back_from_the_office(pair: Pair) -> None:
    """A card flips bits in a record that was sent: the lanes serve, status names the place and the next command, the repair
    fetches the record from the office, and both ends prove the same again."""
    pair.until_every_lane_serves()
    while pair.site.client.get("sync")["backlog"]:
        pair.site.gatectl("sync", "now")
    pair.site.stop()
    with closing(sqlite3.connect(pair.site.database)) as raw, raw:
        raw.execute("UPDATE journal SET body = replace(CAST(body AS TEXT), 'e', 'd') WHERE seq = 2")

    pair.site.start()
    pair.site.wait_ready()
    pair.until_every_lane_serves()
    problems = {problem["code"]: problem for problem in pair.site.client.get("status")["problems"]}
    assert "record 1/2 (content; the office holds it)" in problems["E-JNL-01"]["sentence"]
    assert "gatectl journal repair" in problems["E-JNL-01"]["action"]

    pair.site.stop()
    assert 1 == json.loads(pair.site.gatectl("journal", "repair", "--json"))["fetched"]
    assert json.loads(pair.site.gatectl("journal", "check", "--json"))["ok"]
    pair.site.start()
    pair.site.wait_ready()
    assert "1 fetched" in pair.until("journal.repaired", lost=0)["text"]
    assert "E-JNL-01" not in {problem["code"] for problem in pair.site.client.get("status")["problems"]}
    while json.loads(pair.office.command("prove", SITE))["seq"] < pair.site.client.get("sync")["seq"]:
        pair.site.gatectl("sync", "now")
    assert json.loads(pair.site.gatectl("sync", "prove", "--json"))["ok"]
