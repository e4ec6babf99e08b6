"""What the core was told, written down beside the journal, so that an incident can be replayed: `gatectl incident export`.

Rule 1: the core never waits for it. It appends a turn to a bounded queue; a small thread writes what waits. When the thread
does not keep up, or the disk refuses, turns are left out and counted, and the capture begins anew with the whole state.
Rule 2: a segment is a file of JSON lines: the state, then a line for each turn. Nothing is synced: a torn last line is normal.
Rule 3: captures hold ticket codes, which open gates until their tickets are spent: mode 0600. They never hold a key.
Rule 4: the ring is bounded by files, bytes and days, and leaves the disk's last bytes to the journal.
"""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from gatectl.domain.turns import SiteState, Turn, state_lines, turn_line

log = structlog.get_logger()

FOLDER: Final = "captures"
SUFFIX: Final = ".jsonl"
TURNS_WAITING_MAX: Final = 20_000
"""Turns between the core and the disk; what comes beyond is left out."""
FLUSH_S: Final = 0.25
"""So much of the newest a process that is killed takes with it."""
BREATH_LINES: Final = 16
"""So many lines are made at a time before the core's thread is let in."""
SEGMENT_BYTES_MAX: Final = 8 * 1024 * 1024
"""Then a new segment is asked for; it begins with the core's next turn."""
SEGMENTS_MAX: Final = 200
RING_BYTES_MAX: Final = 256 * 1024 * 1024
DAYS_MAX: Final = 14
KEPT_MIN: Final = 4
"""The newest segments stay whatever the clock says of their age."""
FREE_BYTES_MIN: Final = 256 * 1024 * 1024
"""With less than this left on the disk nothing is captured: the rest is the journal's."""
REST_S: Final = 60.0
"""After a refusal of the disk, how long nothing is tried."""
STOP_S_MAX: Final = 5.0
_DAY_S: Final = 86_400


class Capture:
    """Satisfies gatectl.domain.turns.Recorder: `turn` and `state` are the core thread's, everything else the writer's own."""

    def __init__(self, folder: Path) -> None:
        self._queue: deque[tuple[int, Turn] | tuple[int, SiteState]] = deque()
        self._begin_anew = True
        self._lost = 0
        self._told = 0
        self._ring = Ring(folder)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self.left_out = 0
        """Turns that no file has, of this run."""

    # -- the core's thread ---------------------------------------------------------------------------------------------

    @property
    def wants_state(self) -> bool:
        return self._begin_anew or (self._lost > 0 and len(self._queue) < TURNS_WAITING_MAX // 2)

    def state(self, state: SiteState) -> None:
        self._begin_anew, self._lost = False, 0
        self._queue.append((self._told, state))

    def turn(self, turn: Turn) -> None:
        self._told += 1
        if self._lost or len(self._queue) >= TURNS_WAITING_MAX:
            self._lost += 1
            self.left_out += 1
        else:
            self._queue.append((self._told, turn))

    # -- any thread ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then stop. Twice is once; a disk that hangs is left behind."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S_MAX)
        elif self._thread.ident is None:  # the daemon's start came to nothing: why may be among what waits
            self._run()

    # -- the writer's thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._end.wait(FLUSH_S):
                self.write()
            self.write()
        except Exception:  # a bug here must not stop a gate: what happens from now on is not captured
            log.exception("capture failed")
        finally:
            self._ring.close()

    def write(self) -> None:
        """Everything that waits, to the operating system."""
        lines = 0
        while self._queue:
            number, given = self._queue.popleft()
            if isinstance(given, SiteState):
                self._ring.begin(given.boot.boot_id, state_lines(given, number))
            elif self._ring.is_open:
                self._write_turn(number, given)
            else:
                self.left_out += 1
            lines += 1
            if lines % BREATH_LINES == 0:
                time.sleep(0)
        if self._ring.flush():
            self._begin_anew = True

    def _write_turn(self, number: int, turn: Turn) -> None:
        try:
            line = turn_line(number, turn)
        except Exception:  # a value that is not of its type: what follows could not be replayed without it
            log.exception("a turn cannot be captured", happened=type(turn.what).__name__)
            self.left_out += 1
            self._ring.close()
            self._begin_anew = True
            return
        self._ring.line(line)


class Ring:
    """The segments in a folder, the newest one open. Whatever the disk refuses closes it; never raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None
        self._size = 0
        self._asked = True
        """A new segment was asked for, as the first one is unasked, and not begun yet."""
        self._rest_until_s = 0.0

    @property
    def is_open(self) -> bool:
        return self._file is not None

    def begin(self, boot_id: str, lines: Iterator[bytes]) -> None:
        """A new segment with the state in it."""
        self.close()
        self._asked, self._size = False, 0
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            number = self._make_room()
            path = self._folder / f"{number:08d}-{boot_id}{SUFFIX}"
            self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
            for line in lines:
                self.line(line)
                time.sleep(0)
        except OSError as error:
            self._refused(error)

    def line(self, line: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line + b"\n")
            self._size += len(line) + 1
        except OSError as error:
            self._refused(error)

    def flush(self) -> bool:
        """To the operating system. True, once for each segment: the next one should begin."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                self._refused(error)
        due = self._size >= SEGMENT_BYTES_MAX if self._file is not None else time.monotonic() >= self._rest_until_s
        if due and not self._asked:
            self._asked = True
            return True
        return False

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _refused(self, error: OSError) -> None:
        log.warning("capture rests", why=str(error), seconds=REST_S)
        self.close()
        self._asked, self._rest_until_s = False, time.monotonic() + REST_S

    def _make_room(self) -> int:
        """Remove the oldest segments until one more fits; its number. By number, for the clock may be wrong."""
        kept = segments(self._folder)
        sizes = {path: path.stat() for path in kept}
        free = os.statvfs(self._folder)
        if free.f_bavail * free.f_frsize < FREE_BYTES_MIN:
            raise OSError("the disk is almost full, the rest is the journal's")
        old_s = time.time() - DAYS_MAX * _DAY_S
        total = sum(found.st_size for found in sizes.values()) + SEGMENT_BYTES_MAX
        number = _number(kept[-1]) + 1 if kept else 1
        for left, path in zip(range(len(kept), 0, -1), kept, strict=True):
            aged = sizes[path].st_mtime < old_s and left > KEPT_MIN
            if left < SEGMENTS_MAX and total <= RING_BYTES_MAX and not aged:
                break
            path.unlink()
            total -= sizes[path].st_size
        return number


def segments(folder: Path) -> list[Path]:
    """The segments, oldest first. Raises OSError; a folder that is not there has none."""
    if not folder.exists():
        return []
    return sorted((path for path in folder.iterdir() if path.suffix == SUFFIX and _number(path)), key=_number)


def _number(path: Path) -> int:
    """0 for a file that is not ours."""
    number = path.name.partition("-")[0]
    return int(number) if number.isdecimal() and len(number) == 8 else 0
