"""The office's one page: every site at a glance, rendered here, with nothing from any other host."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from central.api.office import Office, is_operator, office_of
from central.api.problems import problem
from central.db import reading

router = APIRouter()
REFRESH_S: Final = 10
QUIET_S: Final = 180
"""A site polls every 25 s; one that was not heard of for so long is shown as away."""
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_EXPONENTS: Final = {
    "BHD": 3,
    "CLP": 0,
    "IQD": 3,
    "ISK": 0,
    "JOD": 3,
    "JPY": 0,
    "KRW": 0,
    "KWD": 3,
    "OMR": 3,
    "TND": 3,
    "VND": 0,
}
"""ISO 4217: digits after the point where they are not two."""

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def age(seconds: int | None) -> str:
    """An age for people: two units at most."""
    if seconds is None:
        return "never"
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min"
    if seconds < 86_400:
        return f"{seconds // 3_600} h {seconds % 3_600 // 60} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3_600} h"


def money(amount_minor: int, currency: str) -> str:
    """Minor units for people, by whole-number arithmetic alone."""
    digits = _EXPONENTS.get(currency, 2)
    sign, whole = "-" if amount_minor < 0 else "", str(abs(amount_minor)).rjust(digits + 1, "0")
    if digits == 0:
        return f"{sign}{int(whole):,} {currency}"
    return f"{sign}{int(whole[:-digits]):,}.{whole[-digits:]} {currency}"


def clock(at_ms: int) -> str:
    """A moment for people, UTC; a clock that was never set may have written anything."""
    try:
        return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "unknown time"


_PAGES: Final = Environment(loader=PackageLoader("central.office"), autoescape=True, undefined=StrictUndefined)
_PAGES.filters |= {"age": age, "money": money, "clock": clock}


@router.get("/", include_in_schema=False)
def page(request: Request) -> Response:
    """All sites. Open on loopback without a token; otherwise HTTP Basic, the operator's token as password."""
    office = office_of(request)
    if not _may_see(office, request):
        challenge = {"WWW-Authenticate": 'Basic realm="gatectl office", charset="UTF-8"'}
        return problem("not-authenticated", 401, "any user name, the operator's token as password", headers=challenge)
    with office.engine.connect() as connection:
        found = reading.overview(connection)
    html = _PAGES.get_template("sites.html").render(sites=found, quiet_s=QUIET_S, refresh_s=REFRESH_S)
    return Response(html, headers=_HEADERS, media_type="text/html; charset=utf-8")


def _may_see(office: Office, request: Request) -> bool:
    # A page of another host, resolving its name to loopback, carries that name in Host: it must not read along.
    if office.open_page and request.url.hostname in LOOPBACK_NAMES:
        return True
    kind, _, said = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return False
    try:
        password = base64.b64decode(said, validate=True).decode().partition(":")[2]
    except (ValueError, binascii.Error):
        return False
    return is_operator(office, password)
