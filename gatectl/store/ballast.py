"""A reserve on the disk: a file of zeros that is given up when the disk is full, so that the journal has room to go on.

What fills a disk is hardly ever the journal; without the reserve the first thing that fails is the ticket at the gate.
"""

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

BALLAST_BYTES: Final = 16 * 1024 * 1024
"""Some 30,000 records with their mirror: days of a busy site."""
LOW_BYTES: Final = 4 * 1024 * 1024
"""Less room than this, and the reserve is given up."""
NAME: Final = "ballast"


def free_bytes(folder: Path) -> int:
    """What may still be written there."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def keep_room(folder: Path) -> str:
    """At a start: give the reserve up where room is short, lay it where there is plenty. What a person must know, or ""."""
    free, file = free_bytes(folder), folder / NAME
    laid = file.exists() and file.stat().st_size == BALLAST_BYTES
    if free < LOW_BYTES and laid:
        with contextlib.suppress(OSError):  # a disk that is read-only as well: what follows will say so
            file.unlink()
        log.error("the disk is full: the reserve is given up", free_bytes=free, reserve_bytes=BALLAST_BYTES)
        laid = False
    elif not laid and free > 2 * BALLAST_BYTES + LOW_BYTES:
        laid = _lay(file)
    return "" if laid else f"{free_bytes(folder) // 1024} KiB free, no reserve"


def _lay(file: Path) -> bool:
    try:
        with file.open("wb") as made:
            os.posix_fallocate(made.fileno(), 0, BALLAST_BYTES)
    except OSError as error:
        with contextlib.suppress(OSError):
            file.unlink()
        log.warning("no reserve on the disk", why=errno.errorcode.get(error.errno or 0, str(error)))
        return False
    return True
