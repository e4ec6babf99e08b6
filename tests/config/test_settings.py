"""Settings of the process: which source wins, and that one can ask where a value came from."""

from pathlib import Path

import pytest

from config import places
from config.faults import SiteFileRefused
from config.places import find_places
from config.settings import Settings


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty site file that the environment names; no other setting is in the environment."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"GATECTL_{name.upper()}", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    path = tmp_path / "gatectl.toml"
    path.write_text("")
    monkeypatch.setenv("GATECTL_CONFIG", str(path))
    return path


def source(key: str, **command_line: object) -> tuple[object, str]:
    row = next(row for row in Settings.explained(**command_line) if row.key == key)
    return row.value, row.source


def test_without_anything_the_defaults_hold(file: Path) -> None:
    """A package installed on gate hardware needs no settings."""
    settings = Settings.load()

    assert (Path("/var/lib/gatectl"), Path("/run/gatectl"), 1) == (
        settings.state_dir,
        settings.runtime_dir,
        settings.speed,
    )
    assert Path("/run/gatectl/control.sock") == settings.socket
    assert (Path("/var/lib/gatectl"), "default") == source("state_dir")


def test_each_source_wins_over_the_ones_behind_it(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command line, environment, credential, file, default; and explain names the one that won."""
    file.write_text('[daemon]\nlog_level = "warning"\n')
    assert ("warning", f"{file}:2") == source("log_level")

    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "gatectl_log_level").write_text("error\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert ("error", "credential gatectl_log_level") == source("log_level")

    monkeypatch.setenv("GATECTL_LOG_LEVEL", "debug")
    assert ("debug", "environment GATECTL_LOG_LEVEL") == source("log_level")

    assert ("info", "command line") == source("log_level", log_level="info")


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ('log_levle = "info"', "daemon.log_levle", "did you mean 'log_level'?"),
        ('log_level = "infp"', "daemon.log_level", "did you mean 'info'?"),
        ("speed = 0", "daemon.speed", ""),
        ('config = "/elsewhere"', "daemon.config", ""),
    ],
)
def test_a_bad_setting_is_refused_with_its_line(file: Path, text: str, where: str, hint: str) -> None:
    """The same words as for the rest of the file."""
    file.write_text(f"[daemon]\n{text}\n")

    with pytest.raises(SiteFileRefused) as refused:
        Settings.load()

    (fault,) = refused.value.faults
    assert (where, hint) == (fault.where, fault.hint)


def test_a_bad_variable_is_blamed_not_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The technician looks where the value was written."""
    monkeypatch.setenv("GATECTL_LOG_LEVEL", "loud")

    with pytest.raises(SiteFileRefused) as refused:
        Settings.load()

    assert "GATECTL_LOG_LEVEL" == refused.value.faults[0].where


def test_a_secret_comes_from_systemd_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What systemd passes wins over the state directory."""
    settings = Settings.load(state_dir=tmp_path)
    assert tmp_path / "credentials" / "office.json" == settings.credential("office.json")

    (tmp_path / "passed").mkdir()
    (tmp_path / "passed" / "office.json").write_text("{}")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "passed"))

    assert tmp_path / "passed" / "office.json" == settings.credential("office.json")


@pytest.mark.parametrize("drop_in", [False, True])
@pytest.mark.parametrize("env", [False, True])
@pytest.mark.parametrize("credential", [False, True])
@pytest.mark.parametrize("command_line", [False, True])
def test_the_command_line_finds_the_same_places_as_the_daemon(
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    drop_in: bool,
    env: bool,
    credential: bool,
    command_line: bool,
) -> None:
    """`config.places` answers without pydantic what `config.settings` answers with it."""
    file.write_text('[daemon]\nstate_dir = "/from/file"\nruntime_dir = "/run/file"\n')
    if drop_in:
        (tmp_path / "gatectl.d").mkdir()
        (tmp_path / "gatectl.d" / "a.toml").write_text('[daemon]\nstate_dir = "/from/drop-in"\n')
    if env:
        monkeypatch.setenv("GATECTL_STATE_DIR", "/from/env")
    if credential:
        (tmp_path / "c").mkdir()
        (tmp_path / "c" / "gatectl_state_dir").write_text("/from/credential")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "c"))
    given = Path("/from/line") if command_line else None

    settings, found = Settings.load(state_dir=given), find_places(state_dir=given)

    assert (settings.config, settings.state_dir, settings.runtime_dir, settings.socket) == (
        found.config, found.state_dir, found.runtime_dir, found.socket,
    )  # fmt: skip


def test_a_broken_file_does_not_hide_the_daemon(file: Path) -> None:
    """While somebody edits the site file, `gatectl status` still finds the socket."""
    file.write_text("[daemon\n")

    assert places.RUNTIME_DIR / "control.sock" == find_places().socket
