"""Talks to the daemon: HTTP/1.1 over its Unix socket, with the standard library."""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from gatectl.cli.errors import CommandFailed

CONNECT_S_MAX: Final = 3.0
ANSWER_S_MAX: Final = 30.0
"""Longer than the daemon itself waits for an arm or a printer."""
STREAM_SILENCE_S_MAX: Final = 5.0
"""A stream has a heartbeat every second."""
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
LINE_BYTES_MAX: Final = 256 * 1024


class DaemonDown(CommandFailed):
    """Raised when nobody listens on the socket; a command that can read the mirror instead does so."""

    def __init__(self, message: str = "") -> None:
        super().__init__("E-CON-01", message)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT_S_MAX)
        self.sock.connect(str(self._path))
        self.sock.settimeout(self._timeout_s)


class Daemon:
    """The running daemon, as far as this user may talk to it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, *names: str, **query: object) -> dict[str, Any]:
        """Raises CommandFailed with the daemon's own words; DaemonDown when there is none."""
        return self._ask("GET", _target(names, query), None)

    def post(self, *names: str, **body: object) -> dict[str, Any]:
        return self._ask("POST", _target(names, {}), json.dumps(body).encode())

    def stream(self, *names: str, **query: object) -> Iterator[dict[str, Any] | None]:
        """The lines of an NDJSON stream; None for a heartbeat."""
        connection = _Connection(self._path, STREAM_SILENCE_S_MAX)
        try:
            response = self._exchange(connection, "GET", _target(names, query), None)
            if response.status != 200:
                raise CommandFailed.told(_object(response.read(ANSWER_BYTES_MAX)))
            while line := _line(response):
                found = _object(line) if line.strip() else None
                if found is not None and found.get("schema") == "gatectl.error/1":
                    raise CommandFailed.told(found)
                yield found
        finally:
            connection.close()

    def _ask(self, method: str, target: str, body: bytes | None) -> dict[str, Any]:
        connection = _Connection(self._path, ANSWER_S_MAX)
        try:
            response = self._exchange(connection, method, target, body)
            answer = _object(_whole(response))
        finally:
            connection.close()
        if response.status != 200:
            raise CommandFailed.told(answer)
        return answer

    def _exchange(
        self, connection: _Connection, method: str, target: str, body: bytes | None
    ) -> http.client.HTTPResponse:
        try:
            connection.connect()
        except (FileNotFoundError, ConnectionRefusedError):
            raise DaemonDown from None
        except PermissionError:
            raise CommandFailed("E-CON-02") from None
        except BlockingIOError:
            raise CommandFailed("E-BUSY-01") from None
        except OSError as error:
            raise CommandFailed("E-CON-03", f"{self._path}: {error}") from None
        try:
            connection.request(method, target, body, {"Content-Type": "application/json"} if body else {})
            return connection.getresponse()
        except TimeoutError:
            raise CommandFailed("E-CON-03") from None
        except (OSError, http.client.HTTPException) as error:
            raise CommandFailed("E-CON-03", f"The daemon hung up: {error or type(error).__name__}") from None


def _target(names: tuple[str, ...], query: Mapping[str, object]) -> str:
    given = {key: value for key, value in query.items() if value not in (None, "")}
    path = "/v1/" + "/".join(quote(name, safe="") for name in names)
    return f"{path}?{urlencode(given)}" if given else path


def _whole(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException) as error:
        raise CommandFailed("E-CON-03", f"The answer was cut off: {error or type(error).__name__}") from None


def _line(response: http.client.HTTPResponse) -> bytes:
    """The next line of a stream, b"" at its end."""
    try:
        return response.readline(LINE_BYTES_MAX)
    except (OSError, http.client.HTTPException):
        raise CommandFailed("E-CON-03", "The daemon has stopped answering.") from None


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CommandFailed("E-CON-03", "The answer is not one of gatectl's: is something else on the socket?")
    return found
