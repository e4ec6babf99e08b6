"""Alarms that the office raises itself: a site was copied, restored, forked, or sent what cannot be digested."""

from typing import Final

from sqlalchemy import Connection, func, update
from sqlalchemy.dialects.postgresql import insert as upsert

from central.db.schema import alarms

SYNC: Final = "sync"


def raise_sync(connection: Connection, site: str, code: str, detail: str, times: int = 1) -> None:
    """Open, or count once more, the alarm `code` of a site; it stays open until a person settles it."""
    now_ms = func.floor(func.extract("epoch", func.now()) * 1000)
    row = {"site_id": site, "source": SYNC, "subject": site, "code": code}
    again = {"detail": detail, "open": True, "times": alarms.c.times + times}
    connection.execute(
        upsert(alarms)
        .values(**row, detail=detail, open=True, times=times, since_ms=now_ms)
        .on_conflict_do_update(index_elements=["site_id", "source", "subject", "code"], set_=again)
    )


def settle_sync(connection: Connection, site: str, code: str) -> bool:
    """A person has dealt with it; False if no such alarm is open."""
    mine = (alarms.c.site_id == site) & (alarms.c.source == SYNC) & (alarms.c.code == code) & alarms.c.open
    return connection.execute(update(alarms).where(mine).values(open=False)).rowcount > 0
