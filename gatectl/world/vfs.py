"""SQLite's door to a simulated disk: a VFS (sqlite.org/vfs.html) for the very library that this Python's sqlite3 uses.

The structures are those of sqlite3.h; the production store opens its database through it unchanged. Everything runs on
the thread that runs the world.
"""

import _sqlite3
import ctypes
import sqlite3
from collections.abc import Callable
from ctypes import c_char, c_char_p, c_double, c_int, c_int64, c_void_p
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from gatectl.store.files import Files
from gatectl.world.platter import CANTOPEN, IOERR_WRITE, File, Platter, Refused

NAME: Final = "gatectl-world"
PATH_BYTES_MAX: Final = 512
OK: Final = 0
BUSY: Final = 5
NOTFOUND: Final = 12
IOERR_LOCK: Final = 10 | 15 << 8
IOERR_SHORT_READ: Final = 10 | 2 << 8
OPEN_READONLY: Final = 0x1
OPEN_READWRITE: Final = 0x2
OPEN_CREATE: Final = 0x4
SHARED, RESERVED, EXCLUSIVE = 1, 2, 4
SHM_UNLOCK, SHM_SHARED = 1, 4
SECTOR: Final = 4_096
POWERSAFE_OVERWRITE: Final = 0x1000
"""As the system layer of Linux says of every disk."""
JULIAN_DAY: Final = 2_461_192.5


class NoSuchDoor(RuntimeError):
    """Raised where this Python's SQLite cannot be given a VFS: its library does not show its functions."""


@dataclass(eq=False, slots=True)
class _Shared:
    """The memory that connections share beside a database, and who holds which of its locks."""

    regions: list[Any] = field(default_factory=list)
    exclusive: dict[int, int] = field(default_factory=dict)
    shared: dict[int, set[int]] = field(default_factory=dict)
    users: set[int] = field(default_factory=set)


@dataclass(eq=False, slots=True)
class _Handle:
    platter: Platter
    file: File
    life: int
    locks: dict[int, int]
    shm: _Shared
    read_only: bool

    def check(self) -> None:
        if self.life != self.platter.lives:
            raise Refused(IOERR_WRITE)  # of a process that is gone

    def operate(self, what: str) -> None:
        self.check()
        if self.read_only and what != "read":
            raise Refused(IOERR_WRITE)
        self.platter.operate(what, self.file)


@dataclass(eq=False, slots=True)
class _Disk:
    platter: Platter
    locks: dict[str, dict[int, int]] = field(default_factory=dict)
    shms: dict[str, _Shared] = field(default_factory=dict)


_disks: Final[dict[str, _Disk]] = {}
_handles: Final[dict[int, _Handle]] = {}
_kept: Final[list[Any]] = []
"""What SQLite points at, for as long as the process lives."""


class _File(ctypes.Structure):
    _fields_ = (("methods", c_void_p),)


class _Methods(ctypes.Structure):
    _fields_ = (("version", c_int), *((f"f{n}", c_void_p) for n in range(16)))


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", c_int),
        ("file_bytes", c_int),
        ("path_bytes_max", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("app_data", c_void_p),
        *((f"f{n}", c_void_p) for n in range(12)),
    )


def attach(name: str, platter: Platter) -> str:
    """Make a disk's files reachable: returns the folder, to be used with the VFS `NAME`. Raises NoSuchDoor.

    After a power cut attach it anew under another name: what is still open under the old one must not reach the files.
    """
    _register()
    folder = f"/{name}/"
    _disks[folder] = _Disk(platter)
    return folder


def detach(folder: str) -> None:
    del _disks[folder]


@cache
def _register() -> None:
    try:
        library = ctypes.CDLL(_sqlite3.__file__)  # finds what it is linked with
        register = library.sqlite3_vfs_register
    except (AttributeError, OSError) as error:
        raise NoSuchDoor(f"SQLite {sqlite3.sqlite_version} of this Python takes no VFS: {error}") from None
    calls = [_callback(arguments, function) for function, arguments in _FILE_CALLS]
    methods = _Methods(2, *(ctypes.cast(call, c_void_p) for call in calls))
    opens = _callback((c_void_p, c_void_p, c_void_p, c_int, c_void_p), _opener(ctypes.addressof(methods)))
    system = [opens, *(_callback(arguments, function) for function, arguments in _SYSTEM_CALLS)]
    pointers = [ctypes.cast(call, c_void_p) for call in system]
    no_extensions = [c_void_p(None)] * 4
    vfs = _Vfs(
        1,
        ctypes.sizeof(_File),
        PATH_BYTES_MAX,
        None,
        NAME.encode(),
        None,
        *pointers[:4],
        *no_extensions,
        *pointers[4:],
    )
    _kept.extend([library, calls, methods, system, vfs])
    answer = register(ctypes.byref(vfs), 0)
    assert answer == OK, f"sqlite3_vfs_register: {answer}"


def _callback(arguments: tuple[Any, ...], function: Callable[..., int]) -> Any:
    def guarded(*given: Any) -> int:
        try:
            return function(*given)
        except Refused as refused:
            return refused.code

    return ctypes.CFUNCTYPE(c_int, *arguments)(guarded)


def _put(pointer: int, kind: Any, value: Any) -> None:
    kind.from_address(pointer).value = value


# -- the system's part: opening, deleting, looking ----------------------------------------------------------------------


def _where(path: str) -> tuple[_Disk, str]:
    folder, name = path[: path.rindex("/") + 1], path[path.rindex("/") + 1 :]
    disk = _disks.get(folder)
    if disk is None:
        raise Refused(CANTOPEN)
    return disk, name


def _opener(methods: int) -> Callable[..., int]:
    def opens(_: int, path: int | None, address: int, flags: int, out: int | None) -> int:
        file = _File.from_address(address)
        file.methods = None
        if path is None:
            disk, found, name = _Disk(_NOWHERE), File("temporary"), "temporary"
        else:
            disk, name = _where(ctypes.string_at(path).decode())
            found, flags = _opened(disk.platter, name, flags)
        locks, shm = disk.locks.setdefault(name, {}), disk.shms.setdefault(name, _Shared())
        _handles[address] = _Handle(disk.platter, found, disk.platter.lives, locks, shm, not flags & OPEN_READWRITE)
        file.methods = methods
        if out:
            _put(out, c_int, flags)
        return OK

    return opens


def _opened(platter: Platter, name: str, flags: int) -> tuple[File, int]:
    found = platter.files.get(name)
    if found is None:
        if not flags & OPEN_CREATE:
            raise Refused(CANTOPEN)
        return platter.create(name), flags
    if flags & OPEN_READWRITE and platter.trouble == "read-only":
        flags = flags & ~(OPEN_READWRITE | OPEN_CREATE) | OPEN_READONLY
    return found, flags


def _delete(_: int, path: int, sync_folder: int) -> int:
    disk, name = _where(ctypes.string_at(path).decode())
    disk.platter.delete(name)
    if sync_folder:
        disk.platter.sync_folder()
    return OK


def _access(_: int, path: int, flags: int, out: int) -> int:
    disk, name = _where(ctypes.string_at(path).decode())
    file = disk.platter.files.get(name)
    _put(out, c_int, file is not None and (len(file.data) > 0 or flags != 0))
    return OK


def _full_path(_: int, path: int, size: int, out: int) -> int:
    name = ctypes.string_at(path)
    if len(name) >= size:
        return CANTOPEN
    ctypes.memmove(out, name + b"\0", len(name) + 1)
    return OK


def _randomness(_: int, size: int, out: int) -> int:
    ctypes.memmove(out, _NOWHERE.rng.randbytes(size), size)
    return size


def _sleep(_: int, microseconds: int) -> int:
    return microseconds


def _time(_: int, out: int) -> int:
    _put(out, c_double, JULIAN_DAY)
    return OK


def _last_error(_: int, size: int, out: int) -> int:
    return OK


@dataclass(frozen=True, slots=True)
class PlatterFiles(Files):
    """The files of a simulated disk, for people who copy, move and remove them."""

    def exists(self, path: Path) -> bool:
        disk, name = _where(str(path))
        return name in disk.platter.files

    def copy(self, path: Path, to: Path) -> None:
        disk, name = _where(str(path))
        disk.platter.duplicate(name, to.name)

    def move(self, path: Path, to: Path) -> None:
        disk, name = _where(str(path))
        disk.platter.rename(name, to.name)
        for known in (name, to.name):
            disk.locks.pop(known, None)
            disk.shms.pop(known, None)

    def remove(self, path: Path) -> None:
        disk, name = _where(str(path))
        disk.platter.files.pop(name, None)


# -- a file's part --------------------------------------------------------------------------------------------------------


def _close(at: int) -> int:
    handle = _handles.pop(at)
    handle.locks.pop(at, None)
    return OK


def _read(at: int, buffer: int, size: int, offset: int) -> int:
    handle = _handles[at]
    handle.operate("read")
    piece = bytes(memoryview(handle.file.data)[offset : offset + size])
    ctypes.memmove(buffer, piece, len(piece))
    if len(piece) == size:
        return OK
    ctypes.memset(buffer + len(piece), 0, size - len(piece))
    return IOERR_SHORT_READ


def _write(at: int, buffer: int, size: int, offset: int) -> int:
    handle = _handles[at]
    handle.operate("write")
    handle.file.write(offset, ctypes.string_at(buffer, size))
    return OK


def _truncate(at: int, size: int) -> int:
    handle = _handles[at]
    handle.operate("truncate")
    handle.file.truncate(size)
    return OK


def _sync(at: int, flags: int) -> int:
    handle = _handles[at]
    handle.check()
    handle.platter.sync(handle.file)
    return OK


def _size(at: int, out: int) -> int:
    _put(out, c_int64, len(_handles[at].file.data))
    return OK


def _lock(at: int, level: int) -> int:
    if level > SHARED and _handles[at].read_only:
        return IOERR_LOCK  # the system locks no file for writing that is open for reading
    locks = _handles[at].locks
    others = max((held for who, held in locks.items() if who != at), default=0)
    if (level == SHARED and others > RESERVED) or (level == RESERVED and others >= RESERVED):
        return BUSY
    if level > RESERVED and others:
        return BUSY
    locks[at] = max(level, locks.get(at, 0))
    return OK


def _unlock(at: int, level: int) -> int:
    locks = _handles[at].locks
    locks[at] = min(level, locks.get(at, 0))
    if not locks[at]:
        del locks[at]
    return OK


def _reserved(at: int, out: int) -> int:
    _put(out, c_int, max(_handles[at].locks.values(), default=0) >= RESERVED)
    return OK


def _control(at: int, what: int, argument: int | None) -> int:
    return NOTFOUND


def _sector(at: int) -> int:
    return SECTOR


def _traits(at: int) -> int:
    return POWERSAFE_OVERWRITE


def _shm_map(at: int, region: int, size: int, extend: int, out: int) -> int:
    shm = _handles[at].shm
    shm.users.add(at)
    while len(shm.regions) <= region and extend:
        shm.regions.append((c_char * size)())
    _put(out, c_void_p, ctypes.addressof(shm.regions[region]) if region < len(shm.regions) else None)
    return OK


def _shm_lock(at: int, first: int, many: int, flags: int) -> int:
    shm, slots = _handles[at].shm, range(first, first + many)
    if flags & SHM_UNLOCK:
        for slot in slots:
            shm.shared.get(slot, set()).discard(at)
            if shm.exclusive.get(slot) == at:
                del shm.exclusive[slot]
        return OK
    if any(shm.exclusive.get(slot, at) != at for slot in slots):
        return BUSY
    if flags & SHM_SHARED:
        for slot in slots:
            shm.shared.setdefault(slot, set()).add(at)
        return OK
    if any(shm.shared.get(slot, set()) - {at} for slot in slots):
        return BUSY
    shm.exclusive.update(dict.fromkeys(slots, at))
    return OK


def _shm_barrier(at: int) -> int:
    return OK


def _shm_unmap(at: int, delete: int) -> int:
    shm = _handles[at].shm
    _shm_lock(at, 0, 8, SHM_UNLOCK)
    shm.users.discard(at)
    if not shm.users:
        shm.regions.clear()
    return OK


_NOWHERE: Final = Platter(Random("temporary"))  # noqa: S311  # the contents of no file that is kept
_SYSTEM_CALLS: Final[tuple[tuple[Callable[..., int], tuple[Any, ...]], ...]] = (
    (_delete, (c_void_p, c_void_p, c_int)),
    (_access, (c_void_p, c_void_p, c_int, c_void_p)),
    (_full_path, (c_void_p, c_void_p, c_int, c_void_p)),
    (_randomness, (c_void_p, c_int, c_void_p)),
    (_sleep, (c_void_p, c_int)),
    (_time, (c_void_p, c_void_p)),
    (_last_error, (c_void_p, c_int, c_void_p)),
)
_FILE_CALLS: Final[tuple[tuple[Callable[..., int], tuple[Any, ...]], ...]] = (
    (_close, (c_void_p,)),
    (_read, (c_void_p, c_void_p, c_int, c_int64)),
    (_write, (c_void_p, c_void_p, c_int, c_int64)),
    (_truncate, (c_void_p, c_int64)),
    (_sync, (c_void_p, c_int)),
    (_size, (c_void_p, c_void_p)),
    (_lock, (c_void_p, c_int)),
    (_unlock, (c_void_p, c_int)),
    (_reserved, (c_void_p, c_void_p)),
    (_control, (c_void_p, c_int, c_void_p)),
    (_sector, (c_void_p,)),
    (_traits, (c_void_p,)),
    (_shm_map, (c_void_p, c_int, c_int, c_int, c_void_p)),
    (_shm_lock, (c_void_p, c_int, c_int, c_int)),
    (_shm_barrier, (c_void_p,)),
    (_shm_unmap, (c_void_p, c_int)),
)
"""In the order of sqlite3_vfs and sqlite3_io_methods."""
