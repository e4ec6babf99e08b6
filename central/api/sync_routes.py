"""The office's half of the contract in sync.records."""

import asyncio
import re
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert as upsert
from starlette.concurrency import run_in_threadpool

from central.api import bodies
from central.api.office import Office, enrolled_site, office_of
from central.db import chains, feed, schema, sites
from central.db.ingest import Upload, ingest
from central.db.refusal import Refused
from sync.records import (
    BATCH_RECORDS_MAX,
    FEED_WAIT_S_MAX,
    Ack,
    Enrol,
    Feed,
    Generation,
    Hello,
    Malformed,
    Message,
    NewGeneration,
    Vitals,
)

router = APIRouter(prefix="/sync/v1", tags=["sync"])
Enrolled = Annotated[Office, Depends(enrolled_site)]
WHOLE_MAX: Final = 2**53
Whole = Annotated[int, Query(ge=0, le=WHOLE_MAX)]
_NUMBER: Final = re.compile(r"[0-9]{1,16}")
_HEAD: Final = re.compile(r"[0-9a-f]{64}")

M = TypeVar("M", bound=Message)


def _answer(message: Message, status: int = 200) -> Response:
    return Response(message.to_json(), status, media_type="application/json")


async def _said(request: Request, kind: type[M]) -> M:
    raw = await bodies.read(request, bodies.JSON_BYTES_MAX)
    try:
        return kind.from_json(raw)
    except Malformed as error:
        raise Refused("malformed", 422, str(error)) from error


@router.post("/enrolments", status_code=201)
async def enrol(request: Request) -> Response:
    """A one-time code becomes the site's credential."""
    asked, office = await _said(request, Enrol), office_of(request)

    def make() -> Message:
        with office.engine.begin() as connection:
            return sites.enrol(connection, asked)

    return _answer(await run_in_threadpool(make), 201)


@router.post("/sites/{site}/hello")
async def hello(site: str, request: Request, office: Enrolled) -> Response:
    """What the site is, against what the office holds."""
    said = await _said(request, Hello)

    def greet() -> Message:
        with office.engine.begin() as connection:
            return sites.hello(connection, site, said)

    return _answer(await run_in_threadpool(greet))


@router.post("/sites/{site}/generations", status_code=201)
async def new_generation(site: str, request: Request, office: Enrolled) -> Response:
    """The next generation, for a site that cannot go on in its own."""
    asked = await _said(request, NewGeneration)

    def begin() -> int:
        with office.engine.begin() as connection:
            return sites.new_generation(connection, site, asked)

    return _answer(Generation(await run_in_threadpool(begin)), 201)


@router.post("/sites/{site}/journal/{generation}")
async def push(site: str, generation: int, request: Request, office: Enrolled) -> Response:
    """A batch of records; acknowledged when it is committed."""
    if office.uploads.locked():
        raise Refused("busy", 503, "too many uploads at once")
    async with office.uploads:
        raw, encoding = await bodies.read_batch(request)

        def store() -> Ack:
            lines = bodies.unpacked(raw, encoding).split(b"\n")
            if lines[-1] == b"":
                lines.pop()
            return ingest(office.engine, site, _upload(request, generation, lines))

        return _answer(await run_in_threadpool(store))


@router.get("/sites/{site}/journal/{generation}")
def pull(
    site: str,
    generation: int,
    office: Enrolled,
    after: Whole = 0,
    limit: Annotated[int, Query(ge=1, le=BATCH_RECORDS_MAX)] = BATCH_RECORDS_MAX,
) -> Response:
    """What the office holds, as it was sent: for a site that lost its disk."""
    with office.engine.connect() as connection:
        rows = chains.page(connection, site, generation, after, limit)
    lines = b"".join(chains.record_of(row).to_line() + b"\n" for row in rows)
    return Response(lines, media_type="application/x-ndjson")


@router.get("/sites/{site}/feed")
async def poll(
    site: str,
    request: Request,
    office: Enrolled,
    epoch: Whole,
    after: Whole,
    wait: Annotated[int, Query(ge=0, le=FEED_WAIT_S_MAX)] = 0,
) -> Response:
    """Rows beyond the cursor and commands, as soon as there are any, or nothing after `wait` seconds."""

    def touch() -> None:
        with office.engine.begin() as connection:
            sites.contact(connection, site)

    await run_in_threadpool(touch)
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    while True:
        news = office.wakeups.event(site)
        if await request.is_disconnected():  # nobody would read the command that we would give away
            return Response(status_code=499)
        found: Feed = await run_in_threadpool(feed.poll, office.engine, site, epoch, after)
        left_s = until - loop.time()
        if found.rows or found.commands or left_s <= 0 or office.wakeups.closing:
            return _answer(found)
        await office.wakeups.wait(news, left_s)


@router.get("/sites/{site}/snapshot")
def snapshot(site: str, office: Enrolled) -> Response:
    """Every current row."""
    with office.engine.connect() as connection:
        return _answer(feed.snapshot(connection, site))


@router.put("/sites/{site}/vitals", status_code=204)
async def vitals(site: str, request: Request, office: Enrolled) -> Response:
    """Telemetry; only the newest is kept."""
    said = await _said(request, Vitals)
    if said.site != site:
        raise Refused("malformed", 422, f"site: {said.site!r} on the address of {site!r}")

    def keep() -> None:
        now, body = func.now(), {name: getattr(said, name) for name in said.__dataclass_fields__}
        values = {"contact_at": now, "software": said.software, "body": body, "received_at": now}
        with office.engine.begin() as connection:
            connection.execute(
                upsert(schema.vitals)
                .values(site_id=site, **values)
                .on_conflict_do_update(index_elements=["site_id"], set_=values)
            )

    await run_in_threadpool(keep)
    return Response(status_code=204)


def _upload(request: Request, generation: int, lines: list[bytes]) -> Upload:
    def header(name: str, form: re.Pattern[str]) -> str:
        said = request.headers.get(name, "")
        if not form.fullmatch(said):
            raise Refused("malformed", 422, f"header {name}: {said[:80]!r}")
        return said

    return Upload(
        generation=generation,
        installation=request.headers.get("gatectl-installation", ""),
        first=int(header("gatectl-first", _NUMBER)),
        count=int(header("gatectl-count", _NUMBER)),
        prev=bytes.fromhex(header("gatectl-prev", _HEAD)),
        head=bytes.fromhex(header("gatectl-head", _HEAD)),
        lines=lines,
    )
