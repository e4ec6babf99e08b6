"""Who may speak for a site: sites, one-time enrolment codes, credentials, generations.

Rule 1: secrets are 256 random bits, shown once, kept as SHA-256; a comparison takes the same time whatever differs.
Rule 2: enrolling again ends every older credential and installation of the site.
Rule 3: a generation is never issued twice, and an older one never accepted again.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from central.db import alarms
from central.db.chains import head_at
from central.db.refusal import Refused
from central.db.schema import enrolment_codes, feed_counters, positions, site_credentials, sites, vitals
from sync.chain import genesis
from sync.records import PROTOCOL_MAX, PROTOCOL_MIN, Enrol, Enrolled, Hello, NewGeneration, Welcome

SITE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SECRET_BYTES: Final = 32
CODE_VALID_S_MAX: Final = 7 * 86_400
GENERATION_MAX: Final = 2**31


@dataclass(frozen=True, slots=True)
class Position:
    """What the office holds of a site's current generation; `seq` 0: nothing."""

    generation: int
    seq: int
    head: bytes


def add(connection: Connection, site: str, name: str) -> None:
    """A new site, not yet enrolled. Raises Refused "bad-site" or "site-exists"."""
    if not SITE_ID.fullmatch(site):
        raise Refused("bad-site", 422, f"{site!r} is not a site id: letters, digits, dot, dash, underscore; at most 64")
    made = connection.execute(
        upsert(sites)
        .values(site_id=site, name=name, generation=1)
        .on_conflict_do_nothing(index_elements=["site_id"])
        .returning(sites.c.site_id)
    )
    if made.first() is None:
        raise Refused("site-exists", 409, f"{site} exists already")
    connection.execute(insert(feed_counters).values(site_id=site, epoch=1, seq=0))
    _begin(connection, site, 1, "first")


def code(connection: Connection, site: str, valid: timedelta) -> str:
    """A new one-time enrolment code, shown this once."""
    find(connection, site)
    assert timedelta() < valid <= timedelta(seconds=CODE_VALID_S_MAX)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    connection.execute(
        insert(enrolment_codes).values(site_id=site, hash=_hash(secret), expires_at=func.now() + valid),
    )
    return secret


def enrol(connection: Connection, asked: Enrol) -> Enrolled:
    """Make the site's credential. Raises Refused bad-code, expired-code, already-enrolled."""
    row = connection.execute(
        select(enrolment_codes, (enrolment_codes.c.expires_at <= func.now()).label("expired"))
        .where(enrolment_codes.c.site_id == asked.site, enrolment_codes.c.hash == _hash(asked.code))
        .with_for_update()
    ).first()
    if row is None:
        raise Refused("bad-code", 403, "this code was never issued for this site")
    if row.used_at is not None:
        raise Refused("already-enrolled", 409, "this code was used; ask the office for a new one")
    if row.expired:
        raise Refused("expired-code", 403, "this code is too old; ask the office for a new one")
    mine = (enrolment_codes.c.site_id == asked.site) & (enrolment_codes.c.hash == row.hash)
    connection.execute(update(enrolment_codes).where(mine).values(used_at=func.now()))
    revoke(connection, asked.site)
    credential, installation = secrets.token_urlsafe(SECRET_BYTES), secrets.token_hex(8)
    connection.execute(insert(site_credentials).values(site_id=asked.site, hash=_hash(credential)))
    changed = update(sites).where(sites.c.site_id == asked.site).values(installation=installation, rotate=False)
    generation = connection.execute(changed.returning(sites.c.generation)).scalar_one()
    contact(connection, asked.site, asked.software)
    return Enrolled(asked.site, installation, generation, credential)


def revoke(connection: Connection, site: str) -> int:
    """End every credential of a site; returns how many were alive."""
    alive = (site_credentials.c.site_id == site) & site_credentials.c.revoked_at.is_(None)
    return connection.execute(update(site_credentials).where(alive).values(revoked_at=func.now())).rowcount


def rotate(connection: Connection, site: str) -> None:
    """Ask the site, at its next hello, to enrol again with a new code; until then its credential stays good."""
    find(connection, site)
    connection.execute(update(sites).where(sites.c.site_id == site).values(rotate=True))


def authenticate(connection: Connection, site: str, credential: str) -> None:
    """Raises Refused unknown-site or not-enrolled."""
    find(connection, site)
    alive = select(site_credentials.c.hash).where(
        site_credentials.c.site_id == site, site_credentials.c.revoked_at.is_(None)
    )
    given = _hash(credential)
    if not any(hmac.compare_digest(given, bytes(known)) for known in connection.execute(alive).scalars()):
        raise Refused("not-enrolled", 403, "this credential is not, or no longer, the site's")


def find(connection: Connection, site: str) -> Row[tuple[object, ...]]:
    """The site's row. Raises Refused unknown-site."""
    if not SITE_ID.fullmatch(site):
        raise Refused("unknown-site", 404, f"{site!r} is no site's name")
    row = connection.execute(select(sites).where(sites.c.site_id == site)).first()
    if row is None:
        raise Refused("unknown-site", 404, f"no site {site!r} here")
    return row


def locked_position(connection: Connection, site: str, installation: str) -> Position:
    """The current position, locked to the end of the transaction: uploads and new generations of a site queue here.

    Raises Refused unknown-site, or not-enrolled when another installation speaks for the site now.
    """
    row = connection.execute(select(sites).where(sites.c.site_id == site).with_for_update(key_share=True)).first()
    if row is None:
        raise Refused("unknown-site", 404, f"no site {site!r} here")
    if row.installation is None or not hmac.compare_digest(installation.encode(), row.installation.encode()):
        raise Refused("not-enrolled", 403, "another installation was enrolled for this site")
    held = connection.execute(
        select(positions.c.seq, positions.c.head)
        .where(positions.c.site_id == site, positions.c.generation == row.generation)
        .with_for_update()
    ).one()
    return Position(row.generation, held.seq, bytes(held.head))


def hold(connection: Connection, site: str) -> None:
    """Keep uploads of a site waiting to the end of the transaction. Raises Refused unknown-site."""
    find(connection, site)
    connection.execute(select(sites.c.site_id).where(sites.c.site_id == site).with_for_update(key_share=True))


def new_generation(connection: Connection, site: str, asked: NewGeneration) -> int:
    """Begin generation `after` + 1. Raises Refused fenced when a newer one is current."""
    held = locked_position(connection, site, asked.installation)
    if asked.after < held.generation:
        raise Refused("fenced", 409, f"generation {held.generation} is current", {"generation": held.generation})
    if asked.after >= GENERATION_MAX:
        raise Refused("malformed", 422, f"after: at most {GENERATION_MAX}")
    generation = asked.after + 1
    connection.execute(update(sites).where(sites.c.site_id == site).values(generation=generation))
    _begin(connection, site, generation, asked.reason)
    alarms.raise_sync(connection, site, "new-generation", f"{generation}: {asked.reason}")
    return generation


def hello(connection: Connection, site: str, said: Hello) -> Welcome:
    """Compare what the site says of itself with what is held. Raises Refused not-enrolled, protocol, malformed."""
    if said.site != site:
        raise Refused("malformed", 422, f"site: {said.site!r} on the address of {site!r}")
    if said.protocol_max < PROTOCOL_MIN or said.protocol_min > PROTOCOL_MAX:
        raise Refused("protocol", 409, f"the office speaks {PROTOCOL_MIN} to {PROTOCOL_MAX}")
    held = locked_position(connection, site, said.installation)
    why = _doubt(connection, site, said, held)
    if why:
        alarms.raise_sync(connection, site, why, f"hello from generation {said.generation}, seq {said.seq}")
    contact(connection, site, said.software)
    counter = connection.execute(select(feed_counters).where(feed_counters.c.site_id == site)).one()
    return Welcome(
        site=site,
        generation=held.generation,
        seq=held.seq,
        head=held.head.hex(),
        verdict="new-generation" if why else "continue",
        why=why,
        protocol=min(PROTOCOL_MAX, said.protocol_max),
        feed_epoch=counter.epoch,
        feed_head=counter.seq,
        server_ms=now_ms(connection),
        rotate=bool(find(connection, site).rotate),
    )


def _doubt(connection: Connection, site: str, said: Hello, held: Position) -> str:
    """Why the site cannot be the continuation of what the office saw; empty if it can."""
    if said.generation > held.generation:
        return "unknown"
    if said.generation < held.generation:
        return "fenced"
    if said.seq > held.seq:
        return ""  # only the site can tell whether its head at the office's seq is the office's
    if said.head != (head_at(connection, site, said.generation, said.seq) or b"").hex():
        return "forked"
    return "behind" if said.seq < held.seq else ""


def contact(connection: Connection, site: str, software: str | None = None) -> None:
    """The site was heard of just now."""
    values = {"contact_at": func.now()} | ({} if software is None else {"software": software})
    connection.execute(
        upsert(vitals)
        .values(site_id=site, software=software or "")
        .on_conflict_do_update(index_elements=["site_id"], set_=values)
    )


def now_ms(connection: Connection) -> int:
    """The database's clock, UTC milliseconds: one clock for every worker."""
    return int(
        connection.execute(select(func.floor(func.extract("epoch", func.clock_timestamp()) * 1000))).scalar_one()
    )


def _begin(connection: Connection, site: str, generation: int, reason: str) -> None:
    connection.execute(
        insert(positions).values(
            site_id=site, generation=generation, seq=0, head=genesis(site, generation), reason=reason
        )
    )


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
