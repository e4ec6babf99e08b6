"""How this process runs: folders, logs, speed. Order: command line, environment, systemd credential, file, default.

The file is the site file's table `[daemon]`; the environment variable of a key is `GATECTL_` and the key in capitals; a
credential is a file `gatectl_KEY` in $CREDENTIALS_DIRECTORY.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from config import places
from config.faults import Fault, SiteFileRefused
from config.files import Tables, read_tables
from config.wording import complaints_of, without_echoes

SPEED_MAX = 1_000
TABLE = "daemon"


@dataclass(frozen=True, slots=True)
class Origin:
    """A setting's value and where it came from, in words."""

    key: str
    value: object
    source: str


class Settings(BaseSettings):
    """`speed` scales the world's and the lanes' time in the demo, never the wire's; it is 1 on a real site."""

    model_config = SettingsConfigDict(env_prefix="GATECTL_", env_ignore_empty=True, extra="forbid", frozen=True)

    config: Path = places.CONFIG
    state_dir: Path = places.STATE_DIR
    runtime_dir: Path = places.RUNTIME_DIR
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "text"] = "auto"
    speed: Annotated[int, Field(ge=1, le=SPEED_MAX)] = 1
    speed_since_ms: int = 0
    """Real UTC milliseconds from which time runs faster; every restart of a demo's daemon is given the same."""
    speed_shows_ms: int = 0
    """What the clock showed then."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings  # no .env files; credentials have their own folder
        assert isinstance(init_settings, InitSettingsSource)
        given = dict(init_settings.init_kwargs)
        file = given.pop(TABLE, {})
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        secret = (
            (SecretsSettingsSource(settings_cls, credentials),) if credentials and Path(credentials).is_dir() else ()
        )
        from_file = InitSettingsSource(settings_cls, init_kwargs=file)
        return (InitSettingsSource(settings_cls, init_kwargs=given), env_settings, *secret, from_file)

    @property
    def socket(self) -> Path:
        return self.runtime_dir / places.SOCKET_NAME

    @property
    def database(self) -> Path:
        return self.state_dir / "gatectl.db"

    def credential(self, name: str) -> Path:
        """A secret's file: systemd's, if systemd was told to pass one of that name, else in the state directory."""
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        passed = Path(folder) / name if folder else None
        return passed if passed is not None and passed.exists() else self.state_dir / "credentials" / name

    @classmethod
    def load(cls, **command_line: Any) -> Self:
        """The settings in force; None on the command line means not given. Raises SiteFileRefused."""
        return cls._load(command_line)[0]

    @classmethod
    def _load(cls, command_line: Mapping[str, Any]) -> tuple[Self, Tables, dict[str, Any]]:
        given = {name: value for name, value in command_line.items() if value is not None}
        path = given.get("config") or places.find_places().config
        tables = read_tables(Path(path))
        table = tables.values.get(TABLE, {})
        if not isinstance(table, dict):
            raise SiteFileRefused([Fault(TABLE, "a value", "a table", file=str(path))])
        misplaced = [Fault(f"{TABLE}.config", "the file's own name", "it only on the command line", file=str(path))]
        if "config" in table:
            raise SiteFileRefused(misplaced)
        try:
            values: dict[str, Any] = {**given, TABLE: table}
            return cls(**values), tables, given
        except ValidationError as error:
            raw = {**table, **given}
            found = without_echoes(complaints_of(error, cls, raw), raw)
            at = [tables.fault(wrong.under(TABLE)) for wrong in found]
            raise SiteFileRefused([_blamed(fault, given) for fault in at]) from error

    @classmethod
    def explained(cls, **command_line: Any) -> list[Origin]:
        """Every setting with its value and its source. Raises SiteFileRefused."""
        settings, tables, given = cls._load(command_line)
        return [Origin(key, value, _source(key, given, tables)) for key, value in settings]


def _source(key: str, given: Mapping[str, Any], tables: Tables) -> str:
    """The first source, in order, that names the key."""
    variable = f"GATECTL_{key.upper()}"
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if key in given:
        return "command line"
    if os.environ.get(variable):
        return f"environment {variable}"
    if folder and (Path(folder) / f"gatectl_{key}").is_file():
        return f"credential gatectl_{key}"
    if key in tables.values.get(TABLE, {}):
        file, line = tables.place((TABLE, key))
        return f"{file}:{line}"
    return "default"


def _blamed(fault: Fault, given: Mapping[str, Any]) -> Fault:
    """The fault, with the place where the bad value was written."""
    key = fault.where.removeprefix(f"{TABLE}.")
    variable = f"GATECTL_{key.upper()}"
    if key in given:
        return Fault(f"--{key.replace('_', '-')}", fault.found, fault.expected, fault.hint)
    if os.environ.get(variable):
        return Fault(variable, fault.found, fault.expected, fault.hint)
    return fault
