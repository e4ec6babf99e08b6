"""The control socket: HTTP/1.1 and JSON over a Unix socket, for the technician's commands.

Rule 1: one request a connection; the answer is a JSON object, or NDJSON for a stream; errors are gatectl.error/1.
Rule 2: nothing that arrives stops a thread: it is answered by name and counted.
Rule 3: who asks is what the kernel says (SO_PEERCRED), never what the request says.
Rule 4: every wait, size and number of threads has a limit here.
"""

import json
import pwd
import re
import socket
import socketserver
import stat
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import structlog

from gatectl.domain.codes import code_of
from gatectl.runtime.desk import Answer, Desk, Refused
from gatectl.runtime.routes import NAME_CHARS_MAX, ROUTES, Request, read_query

log = structlog.get_logger()

CONNECTIONS_MAX: Final = 32
"""Callers at one time, each with a thread; one more is answered E-BUSY-01."""
STREAMS_MAX: Final = 8
"""Of these, watchers: commands always find a place beside them."""
BACKLOG_MAX: Final = 64
"""Callers that the kernel lets wait to be accepted; one more gets EAGAIN at once."""
HEAD_BYTES_MAX: Final = 16 * 1024
BODY_BYTES_MAX: Final = 64 * 1024
REQUEST_S_MAX: Final = 5.0
"""A whole request arrives within this, however it trickles."""
WRITE_S_MAX: Final = 5.0
"""A caller that takes no byte for so long is let go."""

_CREDENTIALS: Final = struct.Struct("3i")
_STATUS_WORDS: Final = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Unavailable"}


class AlreadyServed(RuntimeError):  # it names a state of the machine
    """Raised when somebody listens on the socket: another daemon runs, or the path is not a socket's."""


class ControlServer:
    """Serves a desk on a Unix socket. `start` and `close` are called once each, by the composition root."""

    def __init__(self, path: Path, desk: Desk) -> None:
        self._path = path
        self._desk = desk
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.counters: Counter[str] = Counter()

    def start(self) -> None:
        """Listen. Raises AlreadyServed, or OSError when the folder cannot be written."""
        _make_way(self._path)
        self._server = _Server(str(self._path), self._desk, self.counters)
        self._thread = threading.Thread(target=self._server.serve, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, let go of every caller, remove the socket. Twice is once."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        server.stop()
        self._thread.join()
        server.server_close()


def _make_way(path: Path) -> None:
    """Remove a socket that a dead daemon left behind, and nothing else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise AlreadyServed(f"{path} is in the way and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(REQUEST_S_MAX)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise AlreadyServed(f"{path}: {error.strerror}") from error
    raise AlreadyServed(f"a daemon listens on {path} already")


@dataclass(slots=True)
class _Conversation:
    """One caller: reads one request, writes one answer."""

    caller: socket.socket
    desk: Desk
    counters: Counter[str]
    stopping: threading.Event
    streams: threading.Semaphore
    _left: bytes = b""
    _streaming: bool = False

    def hold(self) -> None:
        try:
            self.counters["requests"] += 1
            answer = self._answered()
            if isinstance(answer, dict):
                self.send(200, answer)
            else:
                self._stream(answer)
        except Refused as refused:
            self.counters["refused"] += 1
            self.send(code_of(refused.code).http, refused.plain())
        except _Gone:
            self.counters["gone"] += 1
        except Exception:  # a defect in one answer must not take the thread, or another caller, with it
            self.counters["failed"] += 1
            log.exception("control request failed")
            self.send(500, Refused("E-BUG-01").plain())

    def _answered(self) -> Answer | Iterator[Answer | None]:
        method, target, headers = self._head()
        path = urlsplit(target)
        found = [(route, match) for route in ROUTES if (match := route.pattern.fullmatch(path.path))]
        if not found:
            raise Refused("E-NOT-01", f"there is no {path.path[:NAME_CHARS_MAX]}")
        for route, match in found:
            if route.method == method:
                names = tuple(unquote(name) for name in match.groups())
                query = read_query(path.query, route.query)
                body = self._body(headers) if method == "POST" else {}
                return route.handler(self.desk, Request(names, query, body, self._who()))
        raise Refused("E-USE-01", f"{path.path[:NAME_CHARS_MAX]} is not for {method[:16]}")

    def _who(self) -> str:
        """The caller's user name, as the kernel knows it."""
        raw = self.caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        uid = _CREDENTIALS.unpack(raw)[1]
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return f"uid:{uid}"

    # -- bytes ------------------------------------------------------------------------------------------------------

    def _head(self) -> tuple[str, str, Mapping[str, str]]:
        deadline = time.monotonic() + REQUEST_S_MAX
        data = b""
        while b"\r\n\r\n" not in data:
            if len(data) > HEAD_BYTES_MAX:
                raise Refused("E-USE-01", f"the request's head is longer than {HEAD_BYTES_MAX} bytes")
            data += self._receive(deadline)
        head, _, self._left = data.partition(b"\r\n\r\n")
        if len(head) > HEAD_BYTES_MAX:
            raise Refused("E-USE-01", f"the request's head is longer than {HEAD_BYTES_MAX} bytes")
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0") or not words[1].startswith("/"):
            raise Refused("E-USE-01", "this is not an HTTP/1.1 request")
        pairs = [line.partition(":") for line in lines]
        if not all(colon and name and name == name.strip() for name, colon, _ in pairs):
            raise Refused("E-USE-01", "a header is malformed")
        return words[0], words[1], {name.lower(): value.strip() for name, _, value in pairs}

    def _body(self, headers: Mapping[str, str]) -> Mapping[str, Any]:
        if "transfer-encoding" in headers:
            raise Refused("E-USE-01", "send the body with a content-length")
        length = headers.get("content-length", "0")
        if not re.fullmatch(r"[0-9]{1,9}", length) or int(length) > BODY_BYTES_MAX:
            raise Refused("E-USE-01", f"the body's length must be at most {BODY_BYTES_MAX} bytes")
        deadline = time.monotonic() + REQUEST_S_MAX
        data = self._left
        while len(data) < int(length):
            data += self._receive(deadline)
        if int(length) == 0:
            return {}
        try:
            body = json.loads(data[: int(length)])
        except (ValueError, RecursionError):
            raise Refused("E-USE-01", "the body is not JSON") from None
        if not isinstance(body, dict):
            raise Refused("E-USE-01", "the body is not a JSON object")
        return body

    def _receive(self, deadline: float) -> bytes:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise Refused("E-USE-01", f"the request did not arrive within {REQUEST_S_MAX:g} s")
        self.caller.settimeout(left_s)
        try:
            data = self.caller.recv(8192)
        except TimeoutError:
            raise Refused("E-USE-01", f"the request did not arrive within {REQUEST_S_MAX:g} s") from None
        except OSError as error:
            raise _Gone from error
        if not data:
            raise _Gone
        return data

    def send(self, status: int, answer: Answer) -> None:
        """Answer, or end a stream that has begun with the answer as its last line; a caller that has left is counted."""
        body = _line(answer)
        word = _STATUS_WORDS.get(status, "Refused")
        head = (
            f"HTTP/1.1 {status} {word}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        try:
            self._write(body if self._streaming else head.encode() + body)
        except _Gone:
            self.counters["gone"] += 1

    def _stream(self, lines: Iterator[Answer | None]) -> None:
        if not self.streams.acquire(blocking=False):
            raise Refused("E-BUSY-01", f"{STREAMS_MAX} watchers are connected already")
        try:
            self._lines(lines)
        finally:
            self.streams.release()
            close = getattr(lines, "close", None)
            if close is not None:
                close()

    def _lines(self, lines: Iterator[Answer | None]) -> None:
        first = next(lines, None)  # a refusal comes out of the first step, while a status can still be sent
        self._write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n")
        self._streaming = True
        self._write(b"\n" if first is None else _line(first))
        for line in lines:
            if self.stopping.is_set():
                return
            self._write(b"\n" if line is None else _line(line))

    def _write(self, data: bytes) -> None:
        self.caller.settimeout(WRITE_S_MAX)
        try:
            self.caller.sendall(data)
        except OSError as error:
            raise _Gone from error


class _Gone(Exception):  # the caller left: nobody to answer
    """Raised when the caller closed its end or takes no byte any more."""


def _line(answer: Answer) -> bytes:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A thread a caller, bounded; all of them are joined when it stops."""

    request_queue_size = BACKLOG_MAX
    daemon_threads = False
    block_on_close = True

    def __init__(self, path: str, desk: Desk, counters: Counter[str]) -> None:
        self._desk = desk
        self._counters = counters
        self._stopping = threading.Event()
        self._places = threading.Semaphore(CONNECTIONS_MAX)
        self._streams = threading.Semaphore(STREAMS_MAX)
        self._lock = threading.Lock()
        self._callers: set[socket.socket] = set()
        super().__init__(path, socketserver.BaseRequestHandler)

    def server_bind(self) -> None:
        super().server_bind()
        Path(self._name).chmod(0o660)  # before it listens: nobody can connect yet
        self._inode = Path(self._name).stat().st_ino

    @property
    def _name(self) -> str:
        assert isinstance(self.server_address, str)
        return self.server_address

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self._counters["busy"] += 1
            self._conversation(request).send(503, Refused("E-BUSY-01").plain())
            self.shutdown_request(request)
            return
        with self._lock:
            self._callers.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._callers.discard(request)
            self._places.release()

    def finish_request(self, request: Any, client_address: Any) -> None:  # socketserver's signature
        self._conversation(request).hold()

    def handle_error(self, request: Any, client_address: Any) -> None:  # socketserver's signature
        self._counters["failed"] += 1
        log.exception("control connection failed")  # noqa: LOG004  # socketserver calls this in its except clause

    def _conversation(self, request: socket.socket) -> _Conversation:
        return _Conversation(request, self._desk, self._counters, self._stopping, self._streams)

    def serve(self) -> None:
        """Accept until told to stop; sleeps as long as nobody calls."""
        while not self._stopping.is_set():
            self.handle_request()

    def stop(self) -> None:
        self._stopping.set()
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        if Path(self._name).exists() and Path(self._name).stat().st_ino == self._inode:
            Path(self._name).unlink()
        with self._lock:
            for caller in self._callers:
                _hang_up(caller)


def _hang_up(caller: socket.socket) -> None:
    try:
        caller.shutdown(socket.SHUT_RD)
    except OSError:
        return  # it has left by itself
