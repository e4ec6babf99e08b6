"""Every error leaves as an RFC 9457 problem whose `type` ends in its name."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from central.db.refusal import Refused
from sync.records import PROBLEMS

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 5

log = structlog.get_logger(__name__)

_NAMES: Final = {401: "not-authenticated", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}


def problem(
    name: str,
    status: int,
    detail: str,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response for a problem."""
    said = {"type": PROBLEMS + name, "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    body = json.dumps(said | dict(members or {}), separators=(",", ":"))
    return Response(body.encode(), status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(DataError, _unstorable)
    app.add_exception_handler(UnicodeEncodeError, _unstorable)
    for busy in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(busy, _unavailable)
    app.add_exception_handler(Exception, _fault)


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    headers = {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers = {"WWW-Authenticate": "Bearer"}
    elif error.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers = {"Retry-After": str(RETRY_AFTER_S)}
    return problem(error.name, error.status, error.detail, error.members, headers)


def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    name = _NAMES.get(error.status_code, HTTPStatus(error.status_code).phrase.lower().replace(" ", "-"))
    return problem(name, error.status_code, str(error.detail), headers=error.headers)


def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [{"at": ".".join(map(str, fault["loc"])), "what": fault["msg"]} for fault in error.errors()]
    detail = "; ".join(f"{fault['at']}: {fault['what']}" for fault in faults)
    return problem("malformed", HTTPStatus.UNPROCESSABLE_ENTITY, detail, {"faults": faults})


def _unstorable(_request: Request, error: Exception) -> Response:
    log.info("value refused by the database", why=str(error)[:200])
    return problem("malformed", HTTPStatus.UNPROCESSABLE_ENTITY, "a value that cannot be looked up or stored")


def _unavailable(request: Request, error: Exception) -> Response:
    log.warning("database not available", path=request.url.path, why=str(error)[:200])
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return problem(
        "unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "the office cannot store now; try again", None, headers
    )


def _fault(request: Request, error: Exception) -> Response:
    log.error("request failed", path=request.url.path, exc_info=error)
    return problem("fault", HTTPStatus.INTERNAL_SERVER_ERROR, "the office made a mistake; it is in its log")
