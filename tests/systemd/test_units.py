"""What we install on gate hardware, checked by the programs that will read it."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "systemd"
UNITS = ("gatectl.service", "gatectl-central.service")
EXPOSURE_MAX_TENTHS = 14
DEADLINE_S = 60


def run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A Debian tool; the test is skipped, with the reason, where it is not installed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE_S, cwd=cwd)


@pytest.mark.tools
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_no_fault_in_the_unit(unit: str, tmp_path: Path) -> None:
    """Unknown keys, bad values and contradictions; only the program itself is replaced by one that exists here."""
    text = (FOLDER / unit).read_text()
    (tmp_path / unit).write_text(re.sub(r"ExecStart=/usr/bin/[a-z-]+", "ExecStart=/bin/true", text))

    done = run("systemd-analyze", "verify", str(tmp_path / unit))

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.tools
@pytest.mark.parametrize("unit", UNITS)
def test_the_unit_is_confined(unit: str) -> None:
    """An exposure of at most 1.4 by systemd's own measure."""
    done = run(
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={EXPOSURE_MAX_TENTHS}",
        "--no-pager",
        str(FOLDER / unit),
    )

    assert 0 == done.returncode, "\n".join(line for line in done.stdout.splitlines() if line.startswith(("✗", "→")))


@pytest.mark.tools
def test_the_user_and_its_folders_are_made(tmp_path: Path) -> None:
    """sysusers and tmpfiles on an empty root: the user may open serial ports, secrets are its own."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "group").write_text("root:x:0:\ndialout:x:20:\n")
    (tmp_path / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")

    users = run("systemd-sysusers", f"--root={tmp_path}", str(FOLDER / "sysusers.d" / "gatectl.conf"))
    if users.returncode and "Operation not permitted" in users.stderr:
        pytest.skip("systemd-sysusers needs root here")
    folders = run("systemd-tmpfiles", f"--root={tmp_path}", "--create", str(FOLDER / "tmpfiles.d" / "gatectl.conf"))

    assert (0, 0) == (users.returncode, folders.returncode), users.stderr + folders.stderr
    assert "dialout:x:20:gatectl" in (tmp_path / "etc" / "group").read_text().splitlines()
    assert 0o700 == (tmp_path / "var/lib/gatectl/credentials").stat().st_mode & 0o777


def settings(unit: str) -> dict[str, list[str]]:
    """The keys of [Service] with all their values."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in (FOLDER / unit).read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_daemon_is_watched_and_always_comes_back() -> None:
    """A gate controller never stays down because it went down often."""
    service = settings("gatectl.service")

    assert (["notify"], ["always"]) == (service["Type"], service["Restart"])
    assert service["WatchdogSec"]
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(FOLDER / "gatectl.service")
    assert "0" == unit["Unit"]["StartLimitIntervalSec"]
    assert "network-online" not in unit["Unit"]["After"]


def test_the_daemon_reaches_serial_ports_and_nothing_else() -> None:
    """The only devices are terminals; callers keep their names."""
    service = settings("gatectl.service")

    assert ["closed"] == service["DevicePolicy"]
    assert all(re.fullmatch(r"char-tty[A-Za-z]+ rw", allowed) for allowed in service["DeviceAllow"])
    assert ["no"] == service["PrivateUsers"]


def test_the_folders_are_those_of_the_settings() -> None:
    """The unit, the settings and the tmpfiles agree on three folders."""
    from config import places

    service = settings("gatectl.service")
    assert ["gatectl"] == service["StateDirectory"] == service["RuntimeDirectory"] == service["ConfigurationDirectory"]
    assert ("/var/lib/gatectl", "/run/gatectl", "/etc/gatectl") == (
        str(places.STATE_DIR),
        str(places.RUNTIME_DIR),
        str(places.CONFIG.parent),
    )


def test_the_programs_are_called_as_they_want_to_be() -> None:
    """Every option in ExecStart is one that the command knows."""
    import click

    from central.cli import app as central
    from gatectl.cli.main import app

    for unit, group in (("gatectl.service", app), ("gatectl-central.service", central)):
        text = (FOLDER / unit).read_text().replace("\\\n", " ")
        words = next(line for line in text.splitlines() if line.startswith("ExecStart=")).split()[1:]
        command = group.get_command(click.Context(group), words[0])
        assert command is not None
        known = {option for param in command.params for option in param.opts}
        assert {word for word in words[1:] if word.startswith("--")} <= known, unit
