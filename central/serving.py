"""Runs the office's web server: one address, bound before it is announced; polls that wait do not hold up a stop."""

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import uvicorn
from uvicorn.supervisors import Multiprocess

from central.api import app

READY_SCHEMA: Final = "gatectl-central.ready/1"
STOP_S_MAX: Final = 5
CONNECTIONS_MAX: Final = 2_000
"""Per worker; every site holds one poll open."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How to serve. `port` 0 takes a free one."""

    dsn: str
    host: str
    port: int
    workers: int
    tls_cert: Path | None
    tls_key: Path | None
    operator_token: str | None
    open_page: bool


class _Server(uvicorn.Server):
    """Says when it accepts."""

    def __init__(self, config: uvicorn.Config, accepting: Callable[[], None]) -> None:
        super().__init__(config)
        self._accepting = accepting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._accepting()


def serve(serving: Serving, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `announce` gets one JSON line with the address once it is bound."""
    os.environ[app.DSN_VARIABLE] = serving.dsn
    token = serving.operator_token
    os.environ[app.OPERATOR_VARIABLE] = app.sha256_of(token).hex() if token else ""
    os.environ[app.OPEN_PAGE_VARIABLE] = "1" if serving.open_page else "0"
    config = uvicorn.Config(
        "central.api.app:from_environment",
        factory=True,
        host=serving.host,
        port=serving.port,
        workers=serving.workers,
        ssl_certfile=serving.tls_cert,
        ssl_keyfile=serving.tls_key,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=STOP_S_MAX,
    )
    with _bound(serving.host, serving.port) as bound:
        line = json.dumps({"schema": READY_SCHEMA, "url": _url(serving, bound)}, separators=(",", ":"))
        if serving.workers > 1:
            announce(line)  # bound and listening: a request waits until a worker is up
            Multiprocess(config, [bound]).run()
        else:
            _Server(config, lambda: announce(line)).run(sockets=[bound])


def is_loopback(host: str) -> bool:
    """Whether an address reaches no further than this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _bound(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(socket.SOMAXCONN)
        bound.set_inheritable(True)
    except OSError:
        bound.close()
        raise
    return bound


def _url(serving: Serving, bound: socket.socket) -> str:
    name = f"[{serving.host}]" if ":" in serving.host else serving.host
    return f"{'https' if serving.tls_cert else 'http'}://{name}:{bound.getsockname()[1]}"
