"""Brings a database to this build's schema; needs nothing but the installed package's own files."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from central.db.schema import metadata

VERSION_TABLE: Final = "gatectl_schema"
_LOCK: Final = 0x6761_7465  # any constant of ours: two offices starting at once migrate one after the other


def migrate(engine: Engine) -> str:
    """Upgrade to the newest revision, in one transaction, and return it. Several processes may call it at once."""
    config = _config()
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return current(connection) or ""


def current(connection: Connection) -> str | None:
    """The revision of a database; None before the first migration."""
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def newest() -> str | None:
    """The revision that this build wants."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def differences(connection: Connection) -> list[object]:
    """What separates the database from `central.db.schema`; empty when the migrations are complete."""

    def ours(_thing: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        return not (kind == "table" and name is not None and (name == VERSION_TABLE or name.startswith("journal_p")))

    opts = {"version_table": VERSION_TABLE, "include_object": ours, "compare_type": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=opts), metadata))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
    return config
