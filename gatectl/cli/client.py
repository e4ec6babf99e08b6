"""Talks to the daemon: HTTP/1.1 over its Unix socket, one request a connection.

Written by hand, not with http.client: that module costs a third of a command's start-up (it loads email and ssl), and the
other end is ours.
"""

import contextlib
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote, urlencode

from gatectl.cli.errors import CommandFailed

CONNECT_S_MAX: Final = 3.0
ANSWER_S_MAX: Final = 30.0
"""Longer than the daemon itself waits for an arm or a printer."""
STREAM_SILENCE_S_MAX: Final = 5.0
"""A stream has a heartbeat every second."""
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
LINE_BYTES_MAX: Final = 256 * 1024
HEADERS_MAX: Final = 100
_STRANGER: Final = "The answer is not one of gatectl's: is something else on the socket?"


class DaemonDown(CommandFailed):
    """Raised when nobody listens on the socket; a command that can read the mirror instead does so."""

    def __init__(self, message: str = "") -> None:
        super().__init__("E-CON-01", message)


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
        with self._connected(STREAM_SILENCE_S_MAX) as connection, connection.makefile("rb") as answer:
            status = _exchange(connection, answer, _request("GET", _target(names, query), None))
            if status != 200:
                raise CommandFailed.told(_object(_read(answer, ANSWER_BYTES_MAX)))
            while line := _line(answer):
                found = _object(line) if line.strip() else None
                if found is not None and found.get("schema") == "gatectl.error/1":
                    raise CommandFailed.told(found)
                yield found

    def _ask(self, method: str, target: str, body: bytes | None) -> dict[str, Any]:
        with self._connected(ANSWER_S_MAX) as connection, connection.makefile("rb") as answer:
            status = _exchange(connection, answer, _request(method, target, body))
            found = _object(_read(answer, ANSWER_BYTES_MAX))
        if status != 200:
            raise CommandFailed.told(found)
        return found

    def _connected(self, silence_s: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECT_S_MAX)
            connection.connect(str(self._path))
        except OSError as error:
            connection.close()
            raise _unreachable(self._path, error) from None
        connection.settimeout(silence_s)
        return connection


def _unreachable(path: Path, error: OSError) -> CommandFailed:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return DaemonDown()
    if isinstance(error, PermissionError):
        return CommandFailed("E-CON-02")
    if isinstance(error, BlockingIOError):
        return CommandFailed("E-BUSY-01")
    return CommandFailed("E-CON-03", f"{path}: {error}")


def _request(method: str, target: str, body: bytes | None) -> bytes:
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body is not None else ""
    return f"{method} {target} HTTP/1.1\r\nHost: gatectl\r\n{length}\r\n".encode() + (body or b"")


def _exchange(connection: socket.socket, answer: BinaryIO, request: bytes) -> int:
    """Send, and read up to the body; returns the status. A daemon that hangs up early may still have said why."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(request)
    first = _line(answer)
    words = first.split(b" ")
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise CommandFailed("E-CON-03", "The daemon hung up." if not first else _STRANGER)
    for _ in range(HEADERS_MAX):
        if not _line(answer).strip():
            return int(words[1])
    raise CommandFailed("E-CON-03", _STRANGER)


def _target(names: tuple[str, ...], query: Mapping[str, object]) -> str:
    given = {key: value for key, value in query.items() if value not in (None, "")}
    path = "/v1/" + "/".join(quote(name, safe="") for name in names)
    return f"{path}?{urlencode(given)}" if given else path


def _read(answer: BinaryIO, bytes_max: int) -> bytes:
    """The body: everything up to the daemon's hanging up, for each answer has a connection of its own."""
    try:
        return answer.read(bytes_max)
    except TimeoutError:
        raise CommandFailed("E-CON-03") from None
    except OSError as error:
        raise CommandFailed("E-CON-03", f"The answer was cut off: {error}") from None


def _line(answer: BinaryIO) -> bytes:
    """The next line, b"" at the end."""
    try:
        return answer.readline(LINE_BYTES_MAX)
    except TimeoutError:
        raise CommandFailed("E-CON-03") from None
    except OSError as error:
        raise CommandFailed("E-CON-03", f"The daemon hung up: {error}") from None


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CommandFailed("E-CON-03", _STRANGER)
    return found
