"""What lies on a simulated disk: files whose bytes are the system's until they are synced, and only then the platter's.

Rule 1: what is not synced may be there after a power cut, or not, or in part: in pieces of SECTOR_BYTES, by the seed.
Rule 2: trouble refuses by the numbers that SQLite's own system layer would answer (sqlite.org/rescode.html).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

SECTOR_BYTES: Final = 512
"""A disk writes so much whole, or not at all."""
WAL_FRAME_BYTES: Final = 24
"""Header of a frame in the write-ahead log; bytes 4 to 8 are not zero in the last frame of a transaction
(sqlite.org/fileformat2.html, 4.1)."""

CANTOPEN: Final = 14
FULL: Final = 13
IOERR_DELETE: Final = 10 | 10 << 8
IOERR_FSYNC: Final = 10 | 4 << 8
IOERR_READ: Final = 10 | 1 << 8
IOERR_WRITE: Final = 10 | 3 << 8

TROUBLES: Final = frozenset({"", "full", "error", "late-error", "read-only"})
"""full: no write fits. error: no write and no sync succeeds. late-error: the sync of a commit fails, after its bytes have
reached the file. read-only: mounted so by the system, as it does after an error."""


class Refused(Exception):  # it names an answer of the disk
    """Raised by an operation that fails; `code` is SQLite's."""

    def __init__(self, code: int) -> None:
        super().__init__(f"SQLite code {code}")
        self.code = code


@dataclass(slots=True)
class _Write:
    offset: int
    size_before: int
    old: bytes
    new: bytes


@dataclass(slots=True)
class _Cut:
    size: int
    tail: bytes


@dataclass(slots=True, eq=False)
class File:
    """One file as the system shows it, and what of it the platter may lack."""

    name: str
    data: bytearray = field(default_factory=bytearray)
    unsynced: list[_Write | _Cut] = field(default_factory=list)
    entry_synced: bool = False
    """Whether the folder on the platter knows it."""
    commits: bool = False
    """Whether the last frame of a transaction waits for its sync."""

    def write(self, offset: int, new: bytes) -> None:
        self.unsynced.append(_Write(offset, len(self.data), bytes(self.data[offset : offset + len(new)]), new))
        self._lay(offset, new)
        if len(new) == WAL_FRAME_BYTES and offset and self.name.endswith("-wal"):
            self.commits |= new[4:8] != bytes(4)

    def truncate(self, size: int) -> None:
        self.unsynced.append(_Cut(size, bytes(self.data[size:])))
        del self.data[size:]

    def sync(self) -> None:
        self.unsynced.clear()
        self.commits = False

    def tear(self, rng: Random) -> None:
        """The power went: each sector that was not synced is on the platter or not. The newest write never is."""
        done, self.unsynced = self.unsynced, []
        for change in reversed(done):
            if isinstance(change, _Cut):
                self.data.extend(change.tail)
            else:
                self.data[change.offset : change.offset + len(change.old)] = change.old
                del self.data[change.size_before :]
        for change in done[:-1]:
            if isinstance(change, _Cut):
                if rng.random() < 0.5:
                    del self.data[change.size :]
                continue
            for at in range(0, len(change.new), SECTOR_BYTES):
                if rng.random() < 0.5:
                    self._lay(change.offset + at, change.new[at : at + SECTOR_BYTES])
        self.commits = False

    def _lay(self, offset: int, piece: bytes) -> None:
        if offset > len(self.data):
            self.data.extend(bytes(offset - len(self.data)))
        self.data[offset : offset + len(piece)] = piece


@dataclass(slots=True, eq=False)
class Platter:
    """A disk. `power` is asked before every operation; once it says False, that one and all behind it do not happen."""

    rng: Random
    files: dict[str, File] = field(default_factory=dict)
    trouble: str = ""
    operations: int = 0
    power: Callable[[str, File | None], bool] | None = None
    dark: bool = False
    lives: int = 0
    """Power cuts so far: what was opened in an earlier life reaches nothing."""
    _removed: dict[str, File] = field(default_factory=dict)

    def operate(self, what: str, file: File | None = None) -> None:
        """Before every operation: `read`, `write`, `truncate`, `sync`, `delete`, `create`. Raises Refused."""
        self.operations += 1
        if self.power is not None and not self.power(what, file):
            self.dark = True
        if self.dark:
            raise Refused(IOERR_WRITE)
        code = _ANSWERS.get((self.trouble, what))
        if code is not None:
            raise Refused(code)
        if self.trouble == "late-error" and what == "sync" and file is not None and file.commits:
            raise Refused(IOERR_FSYNC)

    def create(self, name: str) -> File:
        self.operate("create")
        self._removed.pop(name, None)
        return self.files.setdefault(name, File(name))

    def delete(self, name: str) -> None:
        self.operate("delete")
        file = self.files.pop(name, None)
        if file is not None and file.entry_synced:
            self._removed[name] = file

    def sync(self, file: File) -> None:
        """The system also syncs the folder when a new file is synced for the first time."""
        self.operate("sync", file)
        if not file.entry_synced:
            self.sync_folder()
        file.sync()

    def sync_folder(self) -> None:
        self._removed.clear()
        for file in self.files.values():
            file.entry_synced = True

    def power_cut(self) -> None:
        """Nothing that was open is open any more; each file is what the platter has of it."""
        self.lives += 1
        self.dark, self.power = False, None
        for name, file in self._removed.items():
            if self.rng.random() < 0.5:
                self.files.setdefault(name, file)
        self._removed.clear()
        for name, file in list(self.files.items()):
            file.tear(self.rng)
            if not file.entry_synced and self.rng.random() < 0.5:
                del self.files[name]

    def flip(self, name: str, offset: int, bit: int) -> None:
        """One bit of a file changes where it lies, and nobody is told."""
        self.files[name].data[offset] ^= 1 << bit

    def duplicate(self, name: str, to: str) -> None:
        """A person copies a file, and waits until it is on the platter."""
        self.files[to] = File(to, bytearray(self.files[name].data), [], True)

    def rename(self, name: str, to: str) -> None:
        file = self.files.pop(name)
        file.name, self.files[to] = to, file

    def copy(self) -> "Platter":
        """The files as they lie."""
        made = Platter(Random(self.rng.getrandbits(64)))  # noqa: S311  # one seed is one run
        made.files = {name: File(name, bytearray(file.data), [], True) for name, file in self.files.items()}
        return made


_ANSWERS: Final = {
    ("full", "write"): FULL,
    ("full", "create"): FULL,
    ("error", "write"): IOERR_WRITE,
    ("error", "truncate"): IOERR_WRITE,
    ("error", "sync"): IOERR_FSYNC,
    ("error", "delete"): IOERR_DELETE,
    ("read-only", "write"): IOERR_WRITE,
    ("read-only", "truncate"): IOERR_WRITE,
    ("read-only", "sync"): IOERR_FSYNC,
    ("read-only", "delete"): IOERR_DELETE,
    ("read-only", "create"): CANTOPEN,
}
