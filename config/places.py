"""Where this machine keeps gatectl's things, for the command line: standard library only, and quick.

The same order as `config.settings`: command line, environment, credential, file, default; a test compares the two.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONFIG = Path("/etc/gatectl/gatectl.toml")
STATE_DIR = Path("/var/lib/gatectl")
RUNTIME_DIR = Path("/run/gatectl")
SOCKET_NAME = "control.sock"
DROP_INS_MAX = 100
CREDENTIAL_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class Places:
    """`config` is the site file, `state_dir` holds the mirror and keys, `runtime_dir` the control socket."""

    config: Path
    state_dir: Path
    runtime_dir: Path

    @property
    def socket(self) -> Path:
        return self.runtime_dir / SOCKET_NAME


def find_places(
    config: Path | None = None,
    state_dir: Path | None = None,
    runtime_dir: Path | None = None,
    env: Mapping[str, str] = os.environ,
) -> Places:
    """The places in force. A file that cannot be read or parsed says nothing here: `gatectl config check` tells why."""
    file = config or _from_env(env, "config") or CONFIG
    given = {"state_dir": state_dir, "runtime_dir": runtime_dir}
    found = {name: value or _from_env(env, name) for name, value in given.items()}
    table = _daemon_table(file) if None in found.values() else {}
    defaults = {"state_dir": STATE_DIR, "runtime_dir": RUNTIME_DIR}
    whole = {name: value or Path(table.get(name, defaults[name])) for name, value in found.items()}
    return Places(config=file, **whole)


def _from_env(env: Mapping[str, str], name: str) -> Path | None:
    value = env.get(f"GATECTL_{name.upper()}")
    if value:
        return Path(value)
    folder = env.get("CREDENTIALS_DIRECTORY")
    if folder:
        try:
            return Path((Path(folder) / f"gatectl_{name}").read_text(encoding="utf-8").strip()[:CREDENTIAL_BYTES_MAX])
        except OSError:
            return None
    return None


def _daemon_table(file: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in (file, *sorted((file.parent / f"{file.stem}.d").glob("*.toml"))[:DROP_INS_MAX]):
        try:
            text = part.read_text(encoding="utf-8")
            if "daemon" not in text:
                continue
            import tomllib  # noqa: PLC0415  # most files say nothing here, and every command would pay for the parser

            table = tomllib.loads(text).get("daemon", {})
        except (OSError, ValueError):
            continue
        if isinstance(table, dict):
            found |= {name: value for name, value in table.items() if isinstance(value, str)}
    return found
