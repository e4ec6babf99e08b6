"""The demo's processes: the office with its PostgreSQL, and the daemon, as a user would start them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from drivers.sim.tcp_proxy import TcpProxy
from gatectl.cli.client import Daemon
from gatectl.cli.errors import CommandFailed

SITE: Final = "demo-01"
START_S_MAX: Final = 90.0
STOP_S_MAX: Final = 20.0
COMMAND_S_MAX: Final = 60.0
LOOK_S: Final = 0.05
OPERATOR_TOKEN: Final = "demo"  # noqa: S105  # an office on loopback that lives as long as the demo


class StageFailed(RuntimeError):
    """Raised when a process of the demo does not do what it must; names its log."""


def program(name: str) -> str:
    """A console script of this environment. Raises StageFailed when it is not there."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise StageFailed(f"{name} is not installed")
    return found


@dataclass(slots=True)
class Office:
    """`gatectl-central serve --embedded`, and the wire to it."""

    folder: Path
    url: str = ""
    wire: TcpProxy = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        command = [program("gatectl-central"), "serve", "--embedded", str(self.folder / "pg"), "--port", "0"]
        command += ["--dev-token", OPERATOR_TOKEN, "--ready-file", str(ready)]
        self._process = _spawn(command, self.folder / "office.log")
        _until(lambda: ready.exists() and bool(ready.read_text().strip()), self._process, self.folder / "office.log")
        self.url = json.loads(ready.read_text())["url"]
        address = urlsplit(self.url)
        assert address.port
        self.wire = TcpProxy(address.port)
        self.wire.__enter__()

    @property
    def url_for_site(self) -> str:
        return f"http://127.0.0.1:{self.wire.port}"

    def command(self, *words: str) -> str:
        """Run a command of the office on its own database; returns what it printed."""
        done = subprocess.run(  # noqa: S603  # our own program
            [program("gatectl-central"), "--embedded", str(self.folder / "pg"), *words],
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        if done.returncode != 0:
            raise StageFailed(f"gatectl-central {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()

    def stop(self) -> None:
        self.wire.__exit__(None, None, None)
        _end(self._process)


@dataclass(slots=True)
class SiteDaemon:
    """`gatectl run` in a folder of its own; may be killed and started again at will."""

    folder: Path
    speed: int
    since_ms: int
    shows_ms: int
    kills: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "GATECTL_CONFIG": str(self.folder / "gatectl.toml"),
            "GATECTL_STATE_DIR": str(self.folder / "state"),
            "GATECTL_RUNTIME_DIR": str(self.folder / "run"),
            "GATECTL_SPEED": str(self.speed),
            "GATECTL_SPEED_SINCE_MS": str(self.since_ms),
            "GATECTL_SPEED_SHOWS_MS": str(self.shows_ms),
            "GATECTL_LOG_FORMAT": "json",
        }

    @property
    def database(self) -> Path:
        return self.folder / "state" / "gatectl.db"

    @property
    def client(self) -> Daemon:
        return Daemon(self.folder / "run" / "control.sock")

    def configure(self, text: str) -> None:
        for name in ("state", "run"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "gatectl.toml").write_text(text)

    def gatectl(self, *words: str) -> str:
        """Run a technician's command at this site; returns what it printed."""
        done = subprocess.run(  # noqa: S603  # our own program
            [program("gatectl"), *words],
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        if done.returncode != 0:
            raise StageFailed(f"gatectl {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def start(self) -> None:
        self._process = _spawn([program("gatectl"), "run"], self.folder / "daemon.log", self.environment)

    def wait_ready(self) -> None:
        assert self._process is not None
        _until(self.answers, self._process, self.folder / "daemon.log")

    def answers(self) -> bool:
        try:
            self.client.get("status")
        except (CommandFailed, OSError):
            return False
        return True

    def died(self) -> int | None:
        return self._process.poll() if self._process else None

    def kill(self) -> None:
        """kill -9, and start again at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.kills += 1
        self.start()

    def stop(self) -> None:
        if self._process is not None:
            _end(self._process)


def _spawn(command: list[str], log: Path, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Started so that it ends with us, even if we are killed: an orphan would go on opening whatever its ports become."""
    setpriv = shutil.which("setpriv")
    if setpriv:
        command = [setpriv, "--pdeathsig", "TERM", *command]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603  # our own programs
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )


def _until(true: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + START_S_MAX
    while not true():
        if process.poll() is not None or time.monotonic() > deadline_s:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise StageFailed(f"{process.args!r} did not start:\n{tail}")
        time.sleep(LOOK_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
