"""A real broker on a free port of this machine: mosquitto if it is installed, else amqtt out of a wheel.

amqtt speaks MQTT 3.1.1 to anybody and no more, which is enough for the demo. Accounts, access lists and TLS need
mosquitto.
"""

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

HOST: Final = "127.0.0.1"
READY_S_MAX: Final = 20.0
READY_PAUSE_S: Final = 0.02
STOP_S_MAX: Final = 5.0
PORTS_TRIED_MAX: Final = 5
LOG_SHOWN_CHARS: Final = 2_000

Kind = Literal["mosquitto", "amqtt"]


class BrokerFailed(RuntimeError):
    """Raised when no broker could be started; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Security:
    """`users`: name to password; none: anybody. `acl`: lines of a mosquitto access list. Certificates: PEM files."""

    users: Mapping[str, str] = field(default_factory=dict)
    acl: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    """If given, clients must show a certificate that it signed."""


def mosquitto() -> str | None:
    """The program, or None if it is not installed. Debian keeps it where not every user's PATH looks."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Broker:
    """A broker process with its files in `folder`. A context manager; `options` are those of a port of ours to it."""

    def __init__(self, folder: Path, security: Security | None = None, kind: Kind | None = None) -> None:
        self.folder = folder
        self.security = security or Security()
        self.kind: Kind = kind or ("mosquitto" if mosquitto() else "amqtt")
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        if self.security != Security() and self.kind != "mosquitto":
            raise BrokerFailed("accounts, access lists and TLS need mosquitto, which is not installed")

    @property
    def options(self) -> dict[str, object]:
        return {"host": HOST, "port": self.port}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it accepts connections. After a `stop` it comes back on the same port.

        Raises BrokerFailed.
        """
        assert self._process is None, "it runs"
        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(PORTS_TRIED_MAX):  # between looking for a free port and taking it, another may take it
            self.port = self.port or _free_port()
            if self._run():
                return
            self.port = 0
        raise BrokerFailed(f"{self.kind} did not start: {self._log_end()}")

    def stop(self) -> None:
        """Stop it as a power cut does, and wait until it is gone. Twice is once."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(STOP_S_MAX)

    def _run(self) -> bool:
        command = self._mosquitto() if self.kind == "mosquitto" else self._amqtt()
        with (self.folder / "broker.log").open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)  # noqa: S603 - our own command
        until = time.monotonic() + READY_S_MAX
        while time.monotonic() < until:
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
            except OSError:
                try:
                    process.wait(READY_PAUSE_S)
                except subprocess.TimeoutExpired:
                    continue
                return False
            else:
                if process.poll() is None:
                    self._process = process
                    return True
        process.kill()
        process.wait(STOP_S_MAX)
        return False

    def _mosquitto(self) -> list[str]:
        program = mosquitto()
        if program is None:
            raise BrokerFailed("mosquitto is not installed")
        given = self.security
        lines = [
            f"listener {self.port} {HOST}",
            f"user {pwd.getpwuid(os.getuid()).pw_name}",
            "persistence false",
            "message_size_limit 1048576",
            f"allow_anonymous {'false' if given.users else 'true'}",
        ]
        if given.users:
            lines.append(f"password_file {self._passwords()}")
        if given.acl:
            lines.append(f"acl_file {self._private('acl', given.acl)}")
        if given.cert_file:
            lines += [f"certfile {given.cert_file}", f"keyfile {given.key_file}"]
        if given.client_ca_file:
            lines += [f"cafile {given.client_ca_file}", "require_certificate true"]
        return [program, "-c", str(self._private("mosquitto.conf", "\n".join(lines) + "\n"))]

    def _passwords(self) -> Path:
        """mosquitto's own tool hashes the file in place, so that no password is seen on a command line."""
        path = self._private("passwords", "".join(f"{name}:{word}\n" for name, word in self.security.users.items()))
        tool = shutil.which("mosquitto_passwd")
        if tool is None:
            raise BrokerFailed("mosquitto_passwd is not installed")
        subprocess.run([tool, "-U", str(path)], check=True, capture_output=True)  # noqa: S603 - our own command
        return path

    def _amqtt(self) -> list[str]:
        config = {
            "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{self.port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
        path = self._private("amqtt.yaml", json.dumps(config))  # JSON is YAML
        return [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", str(path)]

    def _private(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def _log_end(self) -> str:
        log = self.folder / "broker.log"
        return log.read_text(errors="replace")[-LOG_SHOWN_CHARS:] if log.exists() else "it wrote no log"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
