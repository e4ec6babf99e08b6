"""An incident of the real daemon: exported beside it, replayed elsewhere, and no code in it opens a gate."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app_bench import SHOWN_MS, SITE, WAIT_S_MAX, SiteUnderTest
from click.testing import CliRunner, Result

from gatectl.cli.main import app
from gatectl.domain.ids import SiteId
from gatectl.domain.tickets import CodeRefusal, VerifiedCode, verify
from gatectl.runtime.capture import FOLDER, segments
from gatectl.runtime.incident import read_incident
from gatectl.runtime.keys import load_keyring

AROUND = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=SHOWN_MS)).isoformat()
"""What the site's clock shows, not this machine's."""


def run(site: SiteUnderTest, *words: str) -> Result:
    places = [f"--{name}={site.root / path}" for name, path in (("config", "gatectl.toml"), ("state-dir", "state"))]
    return CliRunner().invoke(app, [*places, f"--runtime-dir={site.root / 'run'}", *words])


def replayed(site: SiteUnderTest, file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(site, "replay", str(file), "--json").stdout)
    return found


def wait_captured(site: SiteUnderTest, kind: str, number: int) -> None:
    """Until the capture's thread has written a fact about a ticket; it looks four times a second."""
    about = f'"{kind}",1,'
    deadline_s = time.monotonic() + WAIT_S_MAX
    for _ in site.daemon.stream("events", "stream"):
        lines = "".join(path.read_text() for path in segments(site.root / "state" / FOLDER))
        if lines.count(about) >= number:
            return
        assert time.monotonic() < deadline_s, f"{kind} was not captured"


def test_a_session_is_replayed_as_it_was(site: SiteUnderTest, tmp_path: Path) -> None:
    """A car in, paid, out. Exported while the daemon runs; the code of the ticket is another one, and as good as the first."""
    number, code = site.enter()
    site.pay(number)
    site.leave(code)
    wait_captured(site, "vehicle.exited", 1)
    file = tmp_path / "gate.zst"

    exported = run(site, "incident", "export", str(file), "--ticket", number, "--lane", "OUT-1")

    assert 0 == exported.exit_code, exported.output
    assert 0o600 == file.stat().st_mode & 0o777
    outcome = replayed(site, file)
    assert (True, None) == (outcome["ok"], outcome["divergence"])
    assert outcome["durable"] > 10
    told = run(site, "replay", str(file), "--show", "OUT-1")
    assert "no divergence" in told.stdout
    assert f"vehicle.exited: OUT-1: vehicle left on {number}" in told.stdout
    keyring = load_keyring(site.root / "state" / "credentials" / "ticket-keys.json")
    incident = read_incident(file)
    read = [
        line["in"][1]["input"][1]["text"] for line in incident.lines() if "CodeWasRead" in json.dumps(line.get("in"))
    ]
    assert code not in read
    assert isinstance(verify(read[0], keyring, SiteId(SITE)), CodeRefusal)
    own = type(keyring)(keyring.current, incident.keys)
    assert isinstance(verify(read[0], own, SiteId(SITE)), VerifiedCode)


def test_what_a_killed_daemon_has_left_is_replayed(site: SiteUnderTest, tmp_path: Path) -> None:
    """kill -9 with a car half way in, and once more after a restart: both runs come out as they were, without a daemon."""
    site.press()
    wait_captured(site, "ticket.issued", 1)
    site.kill()
    site.start()
    wait_captured(site, "site.started", 2)
    site.kill()
    file = tmp_path / "gate.jsonl"

    exported = run(site, "incident", "export", str(file), "--around", AROUND, "--json")

    assert 0 == exported.exit_code, exported.output
    outcome = replayed(site, file)
    assert (True, None) == (outcome["ok"], outcome["divergence"])
    assert 2 == outcome["segments"]
    assert outcome["turns"] > 20


def test_an_export_of_a_time_without_captures_is_refused(site: SiteUnderTest, tmp_path: Path) -> None:
    """By name, and no file is left. What is captured is the daemon's alone: codes open gates. Keys are not in it."""
    wait_captured(site, "site.started", 1)
    folder, file = site.root / "state" / FOLDER, tmp_path / "gate.zst"
    (path,) = segments(folder)
    keyring = load_keyring(site.root / "state" / "credentials" / "ticket-keys.json")

    refused = run(site, "incident", "export", str(file), "--around", "2001-01-01T00:00", "--json")

    assert 4 == refused.exit_code
    assert "E-INC-03" == json.loads(refused.stderr)["code"]
    assert not file.exists()
    assert 2 == run(site, "incident", "export", str(file), "--last", "teatime").exit_code
    assert (0o700, 0o600) == (folder.stat().st_mode & 0o777, path.stat().st_mode & 0o777)
    assert keyring.keys[keyring.current].hex() not in path.read_text()
