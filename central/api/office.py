"""What the routes share: the database, who may ask, and the limits on asking at once."""

import asyncio
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request
from sqlalchemy import Engine

from central.api.wakeups import Wakeups
from central.db import sites
from central.db.refusal import Refused

UPLOADS_AT_ONCE_MAX: Final = 16
"""Per worker; each holds up to 2 MiB and a database connection. More are asked to come back."""
_BEARER: Final = "bearer "


@dataclass
class Office:
    """One worker's share of the office."""

    engine: Engine
    wakeups: Wakeups
    operator_sha256: bytes | None
    """SHA-256 of the operator's token; None: the reading endpoints are closed."""
    open_page: bool
    """The page needs no token, but a loopback name in the Host header."""
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPLOADS_AT_ONCE_MAX))


def office_of(request: Request) -> Office:
    office = request.app.state.office
    assert isinstance(office, Office)
    return office


def is_operator(office: Office, token: str) -> bool:
    """Whether `token` is the operator's, in constant time."""
    given = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
    return office.operator_sha256 is not None and hmac.compare_digest(given, office.operator_sha256)


def operator(request: Request) -> Office:
    """The office, for its operator's bearer token. Raises Refused not-authenticated."""
    office = office_of(request)
    if not is_operator(office, bearer(request) or ""):
        raise Refused("not-authenticated", 401, "the operator's token is needed: Authorization: Bearer TOKEN")
    return office


def enrolled_site(site: str, request: Request) -> Office:
    """The office, for the site's own credential. Raises Refused unknown-site, not-enrolled."""
    office = office_of(request)
    credential = bearer(request)
    if credential is None:
        raise Refused("not-enrolled", 401, "the site's credential is needed: Authorization: Bearer CREDENTIAL")
    with office.engine.connect() as connection:
        sites.authenticate(connection, site, credential)
    return office


def bearer(request: Request) -> str | None:
    said = request.headers.get("authorization", "")
    return said[len(_BEARER) :].strip() if said.lower().startswith(_BEARER) else None
