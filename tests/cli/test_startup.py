"""Start-up: what a command may not import; and the installed program as people call it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FORBIDDEN = frozenset({"pydantic", "sqlalchemy", "httpx", "structlog", "paho", "serial", "asyncio", "rich"})
DEADLINE_S = 60
PROGRAM = ("-c", "from gatectl.cli.main import app; app()")


def called(site: Any, *words: str, options: tuple[str, ...] = (), **env: str) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own, without a terminal."""
    return subprocess.run(
        [sys.executable, *options, *PROGRAM, *site.places, *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **env},
    )


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("status", "--json"),
        ("--help",),
        ("lane", "list"),
        ("ticket", "find"),
        ("events",),
        ("help", "E-BAR-02"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("running", [True, False])
def test_a_command_imports_nothing_slow(request: pytest.FixtureRequest, words: tuple[str, ...], running: bool) -> None:
    """A technician's command is there at once, with and without a daemon: no ORM, no models, no event loop."""
    site = request.getfixturevalue("site" if running else "quiet_site")

    done = called(site, *words, options=("-X", "importtime"))

    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "gatectl.cli.base" in imported
    assert set() == {name for name in imported if name.partition(".")[0] in FORBIDDEN}


def test_a_script_gets_json_and_an_exit_code(site: Any) -> None:
    """Through pipes, as a monitoring system calls it."""
    done = called(site, "status", "--json")

    assert (0, "") == (done.returncode, done.stderr)
    assert "gatectl.status/1" == json.loads(done.stdout)["schema"]


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_a_pipe_gets_no_colour(site: Any, env: dict[str, str]) -> None:
    """Escape sequences are for terminals that want them."""
    assert "\x1b" not in called(site, "status", **env).stdout


@pytest.mark.parametrize(
    ("env", "coloured"), [({"TERM": "xterm"}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_a_terminal_gets_colour_unless_it_is_not_wanted(site: Any, env: dict[str, str], coloured: bool) -> None:
    """NO_COLOR and a dumb terminal are believed."""
    master, slave = os.openpty()
    try:
        clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}
        done = subprocess.run(
            [sys.executable, *PROGRAM, *site.places, "status"],
            check=False,
            stdout=slave,
            timeout=DEADLINE_S,
            env={**clean, **env},
        )
        shown = os.read(master, 65536)
    finally:
        os.close(slave)
        os.close(master)

    assert 0 == done.returncode
    assert coloured == (b"\x1b[" in shown)


def test_ctrl_c_ends_with_130(site: Any) -> None:
    """A watcher is ended by the person, and scripts can tell."""
    # A shell's background jobs ignore SIGINT, and what they start inherits that.
    heeding = ["env", "--default-signal=INT"]
    watcher = subprocess.Popen(
        [*heeding, sys.executable, *PROGRAM, *site.places, "status", "--watch", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with watcher:
        assert watcher.stdout is not None
        assert "gatectl.status/1" in watcher.stdout.readline()
        watcher.send_signal(signal.SIGINT)

        assert 130 == watcher.wait(DEADLINE_S)


def test_a_reader_that_leaves_is_no_failure(site: Any) -> None:
    """`gatectl events | head -1` prints one line and no traceback."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -c '{PROGRAM[1]}' {' '.join(site.places)} help | head -1"],
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )

    assert ("", 1) == (done.stderr, len(done.stdout.splitlines()))


def test_completion_offers_commands(site: Any) -> None:
    """Tab after `gatectl st`."""
    done = called(site, _GATECTL_COMPLETE="bash_complete", COMP_WORDS="gatectl st", COMP_CWORD="1")

    assert ["plain,status", "plain,state"] == done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_completion_script(site: Any, shell: str) -> None:
    """For the three shells that people have."""
    assert "_GATECTL_COMPLETE" in site.run("completion", shell).stdout


def test_every_command_has_its_help(site: Any) -> None:
    """-h works everywhere and loads the command that it describes."""
    from gatectl.cli.main import COMMANDS

    for name in COMMANDS:
        result = site.run(name, "-h")
        assert 0 == result.exit_code, name
        assert f" {name} " in result.stdout.splitlines()[0], name


def test_the_runtime_directory_may_come_from_the_environment(
    site: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A technician's shell on a test bench."""
    from click.testing import CliRunner

    from gatectl.cli.main import app

    monkeypatch.setenv("GATECTL_RUNTIME_DIR", str(tmp_path / "run"))

    assert 0 == CliRunner().invoke(app, ["status", "-x"]).exit_code
