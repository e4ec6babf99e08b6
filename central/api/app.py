"""The office as an ASGI application."""

import hashlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from types import FrameType
from typing import Final

from fastapi import FastAPI

from central.api import problems, reading_routes, sync_routes
from central.api.office import Office
from central.api.wakeups import Wakeups
from central.db.engine import make_engine
from central.office import page

DSN_VARIABLE: Final = "GATECTL_CENTRAL_DSN"
OPERATOR_VARIABLE: Final = "GATECTL_CENTRAL_OPERATOR_SHA256"
OPEN_PAGE_VARIABLE: Final = "GATECTL_CENTRAL_OPEN_PAGE"


def create_app(dsn: str, *, operator_token: str | None = None, open_page: bool = False) -> FastAPI:
    """The office on a migrated database.

    `operator_token` opens the reading endpoints and the page; without one the endpoints are closed. `open_page` shows
    the page to whoever asks under a loopback name.
    """
    return _create(dsn, sha256_of(operator_token) if operator_token else None, open_page)


def from_environment() -> FastAPI:
    """For the worker processes of `gatectl-central serve`, which get their settings from its environment."""
    operator = os.environ.get(OPERATOR_VARIABLE, "")
    open_page = os.environ.get(OPEN_PAGE_VARIABLE) == "1"
    return _create(os.environ[DSN_VARIABLE], bytes.fromhex(operator) or None, open_page, on_start=_answer_polls_at_exit)


def _answer_polls_at_exit(wakeups: Wakeups) -> None:
    """The server waits for open requests when it is told to stop; polls end then at once, not after 25 s."""
    for number in (signal.SIGTERM, signal.SIGINT):
        servers = signal.getsignal(number)

        def stop(got: int, frame: FrameType | None, servers: object = servers) -> None:
            wakeups.close()
            if callable(servers):
                servers(got, frame)

        signal.signal(number, stop)


def sha256_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _create(
    dsn: str, operator_sha256: bytes | None, open_page: bool, on_start: Callable[[Wakeups], None] | None = None
) -> FastAPI:
    engine, wakeups = make_engine(dsn), Wakeups(dsn)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        wakeups.start()
        if on_start is not None:
            on_start(wakeups)
        yield
        await wakeups.stop()
        engine.dispose()

    app = FastAPI(title="gatectl office", version=version("gatectl"), lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.office = Office(engine, wakeups, operator_sha256, open_page)
    problems.install(app)
    app.include_router(sync_routes.router)
    app.include_router(reading_routes.router)
    app.include_router(page.router)
    return app
