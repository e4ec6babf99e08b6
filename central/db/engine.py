"""How the office reaches its PostgreSQL: any libpq DSN, 14 or newer."""

from typing import Any, Final

import psycopg
from sqlalchemy import Engine, create_engine, text

VERSION_MIN: Final = 140_000
POOL_CONNECTIONS_MAX: Final = 20
POOL_WAIT_S_MAX: Final = 5
LOCK_WAIT_MS_MAX: Final = 5_000
STATEMENT_MS_MAX: Final = 60_000
CONNECT_S_MAX: Final = 10


class UnfitError(RuntimeError):
    """Raised for a server that cannot hold the office's records; the message says why."""


def make_engine(dsn: str, *, patient: bool = False) -> Engine:
    """An engine on `dsn`. `patient` lifts the limits on locks and statements (rebuild, prove, migrate)."""
    limits = "" if patient else f" -c lock_timeout={LOCK_WAIT_MS_MAX} -c statement_timeout={STATEMENT_MS_MAX}"

    def connect() -> Any:
        return psycopg.connect(
            dsn,
            connect_timeout=CONNECT_S_MAX,
            application_name="gatectl-central",
            options=f"-c synchronous_commit=on -c timezone=UTC{limits}",
        )

    return create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=POOL_CONNECTIONS_MAX,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S_MAX,
        pool_pre_ping=True,
    )


def check_server(engine: Engine) -> None:
    """Raises UnfitError for a server that is too old or does not keep what it commits."""
    with engine.connect() as connection:
        version = int(connection.execute(text("SHOW server_version_num")).scalar_one())
        if version < VERSION_MIN:
            raise UnfitError(f"PostgreSQL {version // 10_000} is too old: 14 or newer is needed")
        if connection.execute(text("SHOW synchronous_commit")).scalar_one() == "off":
            raise UnfitError("synchronous_commit is off: an acknowledged record could be lost at a power cut")
