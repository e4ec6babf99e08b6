"""HTTP to the office: the only file that knows which library speaks it.

Everything the network can do comes back as a value. TLS is checked against the office's own CA file or the system's
store; plain HTTP is spoken to this machine only. No redirect is followed, no cookie kept, no proxy taken from the
environment, and an answer must say how long it is, so that a cut one is never taken for a whole one.
"""

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from sync.ports import Answer, Request, Unreachable

CONNECT_S_MAX = 5.0
"""TCP, and once more TLS."""
IDLE_S_MAX = 4.0
"""A connection unused for longer is not used again: uvicorn closes its end after 5 s."""


class BadAddress(ValueError):  # read by people as the name of the fault
    """Raised for an office address that is not http(s)://host[:port]."""


class PlainHttpRefused(ValueError):  # the same
    """Raised for an http:// address that is not this machine: the credential would travel in the clear."""


class Transport:
    """A way to the office for one thread at a time; `close` from any. Raises BadAddress, PlainHttpRefused; OSError and
    ssl.SSLError when the CA file cannot be read."""

    def __init__(
        self, address: str, *, credential: str = "", ca_file: Path | None = None, software: str = "gatectl"
    ) -> None:
        self._base = checked_address(address)
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=IDLE_S_MAX)
        self._http = httpx.HTTPTransport(verify=context, trust_env=False, limits=limits)
        self._headers = {"user-agent": software, "accept-encoding": "identity", "connection": "keep-alive"}
        if credential:
            self._headers["authorization"] = f"Bearer {credential}"
        self._busy = threading.Lock()
        self._closed = False
        self._late = False
        self._socket: socket.socket | None = None

    def ask(self, request: Request) -> Answer | Unreachable:
        """The whole exchange, within `request.total_ms`."""
        with self._busy:
            self._late = False
            timer = threading.Timer(request.total_ms / 1_000, self._give_up)
            timer.daemon = True
            timer.start()
            try:
                return self._exchange(request)
            except (httpx.HTTPError, httpx.StreamError, OSError, UnicodeError) as error:
                return Unreachable(self._why(error, request))
            finally:
                timer.cancel()
                timer.join()
                if self._closed:
                    self._http.close()

    def close(self) -> None:
        self._closed = True
        self._cut()
        if self._busy.acquire(blocking=False):
            self._http.close()
            self._busy.release()

    def _exchange(self, request: Request) -> Answer | Unreachable:
        if self._closed:
            return Unreachable("the link was closed")
        total_s = request.total_ms / 1_000
        timeout = {"connect": min(CONNECT_S_MAX, total_s), "read": total_s, "write": total_s, "pool": total_s}
        response = self._http.handle_request(
            httpx.Request(
                request.method,
                self._base + request.path,
                headers={**self._headers, **dict(request.headers)},
                content=request.body,
                extensions={"timeout": timeout, "trace": self._trace},
            )
        )
        try:
            return self._answer(response, request.answer_bytes_max)
        finally:
            response.close()

    def _answer(self, response: httpx.Response, bytes_max: int) -> Answer | Unreachable:
        headers = tuple((name.lower(), value) for name, value in response.headers.items())
        names = {name for name, _ in headers}
        if response.status_code not in (204, 304) and not names & {"content-length", "transfer-encoding"}:
            return Unreachable("an answer that does not say how long it is")
        if response.headers.get("content-encoding", "identity") != "identity":
            return Unreachable("a compressed answer, which was not asked for")
        body = bytearray()
        assert isinstance(response.stream, httpx.SyncByteStream)
        for chunk in response.stream:
            body += chunk
            if len(body) > bytes_max:
                return Unreachable(f"an answer of more than {bytes_max} bytes")
        content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Answer(response.status_code, content_type, headers, bytes(body))

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Learn the socket under a new connection: shutting it down is what wakes a thread that reads from it."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._closed or self._late:
                self._cut()

    def _give_up(self) -> None:
        self._late = True
        self._cut()

    def _cut(self) -> None:
        sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):  # closed already, or not connected
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # below TLS: its own shutdown would race the reader

    def _why(self, error: Exception, request: Request) -> str:
        if self._closed:
            return "the link was closed"
        if self._late or isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
            return f"no complete answer within {request.total_ms / 1_000:g} s"
        if isinstance(error, httpx.ConnectTimeout):
            return f"no connection within {CONNECT_S_MAX:g} s"
        return f"{str(error)[:200] or type(error).__name__}"


def checked_address(address: str) -> str:
    """The address without a trailing slash; raises BadAddress or PlainHttpRefused."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
        httpx.URL(address)
    except (ValueError, httpx.InvalidURL) as error:
        raise BadAddress(f"{address!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise BadAddress(f"{address!r}: expected https://host[:port]")
    if parts.username is not None or parts.query or parts.fragment or not address.isascii():
        raise BadAddress(f"{address!r}: only a host, a port and a path belong here")
    if parts.scheme == "http" and not _is_loopback(host):
        raise PlainHttpRefused(f"{address!r}: plain HTTP is spoken to this machine only; use https://")
    return address.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
