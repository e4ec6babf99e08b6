"""What programs read: sites, tickets, payments. Money is whole minor units and a currency, times are UTC."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from central.api.office import Office, operator
from central.db import reading
from central.db.refusal import Refused

router = APIRouter(prefix="/api/v1", tags=["reading"])
Reader = Annotated[Office, Depends(operator)]
LIMIT_DEFAULT: Final = 50
Limit = Annotated[int, Query(ge=1, le=reading.PAGE_ROWS_MAX)]
Cursor = Annotated[str, Query(max_length=512)]


class Money(BaseModel):
    """`currency` is None only for nothing paid yet."""

    amount_minor: int
    currency: str | None


class Alarm(BaseModel):
    source: str
    subject: str
    code: str
    detail: str
    times: int
    since: datetime | None


class Site(BaseModel):
    site: str
    name: str
    enrolled: bool
    generation: int
    seq: int
    head: str
    software: str
    last_contact: datetime | None
    last_contact_age_s: int | None
    backlog: int | None
    tickets: int
    inside: int
    payments: int
    paid: list[Money]
    parked: int
    alarms: list[Alarm]

    @classmethod
    def of(cls, seen: reading.Overview) -> Self:
        return cls(
            site=seen.site,
            name=seen.name,
            enrolled=seen.enrolled,
            generation=seen.generation,
            seq=seen.seq,
            head=seen.head.hex(),
            software=seen.software,
            last_contact=seen.contact_at,
            last_contact_age_s=seen.contact_age_s,
            backlog=seen.backlog,
            tickets=seen.tickets,
            inside=seen.inside,
            payments=seen.payments,
            paid=[Money(amount_minor=amount, currency=currency) for currency, amount in sorted(seen.paid.items())],
            parked=seen.parked,
            alarms=[
                Alarm(
                    source=alarm.source,
                    subject=alarm.subject,
                    code=alarm.code,
                    detail=alarm.detail,
                    times=alarm.times,
                    since=moment(alarm.since_ms),
                )
                for alarm in seen.alarms
            ],
        )


class Ticket(BaseModel):
    ticket: str
    state: str
    lane: str
    area: str
    spot: str | None
    vehicle_type: str
    tariff: str
    issued: datetime | None
    entered: datetime | None
    exited: datetime | None
    exit_lane: str | None
    void_reason: str | None
    verified: bool
    exception: bool
    paid: Money
    demand_percent: int
    demand_taken: int | None
    demand_spots: int | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        copied = {name: row[name] for name in cls.model_fields if name in row}
        times = {name: moment(row[f"{name}_ms"]) for name in ("issued", "entered", "exited")}
        paid = Money(amount_minor=row["paid_minor"], currency=row["currency"])
        return cls.model_validate({**copied, **times, "paid": paid})


class PriceLine(BaseModel):
    text: str
    amount_minor: int


class Payment(BaseModel):
    payment: str
    ticket: str
    state: str
    method: str
    amount: Money
    due: Money
    tendered: Money
    change: Money
    refunded: Money
    kept: Money
    offline: bool
    lines: list[PriceLine]
    tariff: str
    till: str
    paid_by: str
    series: str | None
    receipt: int | None
    paid_at: datetime | None
    auth_code: str
    masked: str
    outcome: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        copied = {name: row[name] for name in cls.model_fields if name in row}
        sums = {
            name: Money(amount_minor=row[f"{name}_minor"], currency=row["currency"])
            for name in ("amount", "due", "tendered", "change", "refunded", "kept")
        }
        return cls.model_validate({**copied, **sums, "paid_at": moment(row["paid_ms"])})


class Sites(BaseModel):
    items: list[Site]
    next: str | None


class Tickets(BaseModel):
    items: list[Ticket]
    next: str | None


class Payments(BaseModel):
    items: list[Payment]
    next: str | None


@router.get("/sites")
def list_sites(
    request: Request, response: Response, office: Reader, cursor: Cursor = "", limit: Limit = LIMIT_DEFAULT
) -> Sites:
    """Sites in order of their id."""
    with office.engine.connect() as connection:
        found = reading.overview(connection, _key(cursor), limit + 1)
    following = _following(request, response, [one.site for one in found], limit)
    return Sites(items=[Site.of(one) for one in found[:limit]], next=following)


@router.get("/sites/{site}")
def show_site(site: str, office: Reader) -> Site:
    """One site."""
    with office.engine.connect() as connection:
        return Site.of(reading.one(connection, site))


@router.get("/sites/{site}/tickets")
def list_tickets(
    site: str, request: Request, response: Response, office: Reader, cursor: Cursor = "", limit: Limit = LIMIT_DEFAULT
) -> Tickets:
    """Tickets in order of their number."""
    with office.engine.connect() as connection:
        found = reading.rows(connection, "tickets", site, _key(cursor), limit + 1)
    following = _following(request, response, [row["ticket"] for row in found], limit)
    return Tickets(items=[Ticket.of(row) for row in found[:limit]], next=following)


@router.get("/sites/{site}/tickets/{number}")
def show_ticket(site: str, number: str, office: Reader) -> Ticket:
    """One ticket."""
    with office.engine.connect() as connection:
        return Ticket.of(reading.ticket(connection, site, number))


@router.get("/sites/{site}/payments")
def list_payments(
    site: str, request: Request, response: Response, office: Reader, cursor: Cursor = "", limit: Limit = LIMIT_DEFAULT
) -> Payments:
    """Payments in order of their id."""
    with office.engine.connect() as connection:
        found = reading.rows(connection, "payments", site, _key(cursor), limit + 1)
    following = _following(request, response, [row["payment"] for row in found], limit)
    return Payments(items=[Payment.of(row) for row in found[:limit]], next=following)


def moment(at_ms: int | None) -> datetime | None:
    """UTC; None for none, and for what a broken clock wrote that no calendar holds."""
    try:
        return None if at_ms is None else datetime.fromtimestamp(at_ms // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _key(cursor: str) -> str:
    try:
        return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise Refused("bad-cursor", 422, "this cursor was not given by this office") from error


def _following(request: Request, response: Response, keys: list[str], limit: int) -> str | None:
    """The cursor of the next page, also as an RFC 8288 link; None on the last page."""
    if len(keys) <= limit:
        return None
    cursor = base64.urlsafe_b64encode(keys[limit - 1].encode()).decode()
    target = request.url.include_query_params(cursor=cursor)
    response.headers["Link"] = f'<{target.path}?{target.query}>; rel="next"'
    return cursor
