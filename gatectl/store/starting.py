"""What a start reads: the newest part of the journal is checked, the mirror is made again where it is not what the journal says.

Lanes go on over a damaged record: the books are the mirror's, which was made when the record was whole. It is named, and the
uploader sends nothing that the chain does not hold for.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection

from gatectl.domain.books import Books
from gatectl.domain.kinds import KINDS
from gatectl.domain.plan import SitePlan
from gatectl.store.checking import Damage, check_newest, mirror_differs, open_to_check
from gatectl.store.database import StoreRefused, transaction
from gatectl.store.loading import load_books
from gatectl.store.projection import rebuild

log = structlog.get_logger()

CHECKED_MAX: Final = 10_000
"""Newest records whose chain a start computes; a journal that is no longer also has its whole mirror compared."""

NEWER_TOLD_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Start:
    """`damaged` names what is wrong with the journal, for status; empty when nothing is."""

    books: Books
    damaged: str = ""


def begin(connection: Connection, path: Path, plan: SitePlan, vfs: str | None = None) -> Start:
    """The books of a start. Raises StoreRefused when neither mirror nor journal gives any."""
    with closing(open_to_check(path, vfs)) as db:
        damages = check_newest(db, plan.site, CHECKED_MAX)
        if not damages:
            _refuse_what_is_newer(db)
        differing = [] if damages else mirror_differs(db, CHECKED_MAX)
    damaged = told(damages)
    if damaged:
        log.error("the journal is damaged", what=damaged, action="gatectl journal check")
    if differing:
        log.error("the mirror is damaged: it is made again from the journal", first=differing[0], rows=len(differing))
        _rebuild(connection)
    try:
        return Start(load_books(connection, plan), damaged)
    except (ValueError, TypeError, KeyError, AssertionError, sqlite3.Error) as error:
        log.error("the mirror cannot be read: it is made again from the journal", why=repr(error))
    try:
        _rebuild(connection)
        return Start(load_books(connection, plan), damaged)
    except Exception as error:
        raise StoreRefused(
            f"the mirror cannot be read or made again: {error!r}. Next: gatectl journal repair"
        ) from error


def told(damages: Sequence[Damage]) -> str:
    """For status; empty when nothing is wrong."""
    return f"{len(damages)} damaged, first {damages[0]}" if damages else ""


def _refuse_what_is_newer(db: sqlite3.Connection) -> None:
    """A site whose software went back to an older version: it would decide without what it cannot read."""
    rows = db.execute(
        "SELECT DISTINCT kind, version FROM journal WHERE position > (SELECT max(position) FROM journal) - ?"
        " ORDER BY kind, version",
        (CHECKED_MAX,),
    )
    known = {(kind, cls.version) for kind, cls in KINDS.items()}
    newer = [f"{kind}/{version}" for kind, version in rows if (kind, version) not in known]
    if newer:
        told = ", ".join(newer[:NEWER_TOLD_MAX])
        raise StoreRefused(f"the journal holds facts of a newer version: {told}. Next: install a newer gatectl")


def _rebuild(connection: Connection) -> None:
    with transaction(connection):
        rebuild(connection)
