"""The site's ticket keys: made at first start, kept outside the database, readable by the daemon alone."""

import json
import os
import secrets
from pathlib import Path
from typing import Final

from gatectl.domain.tickets import Keyring

KEYS_FILE: Final = "ticket-keys.json"
KEY_BYTES: Final = 32


class KeysRefused(RuntimeError):
    """Raised when the key file cannot be trusted: says why and what to do."""


def load_keyring(path: Path) -> Keyring:
    """The keys in `path`; made there, mode 0600, if there are none yet. Raises KeysRefused."""
    try:
        if not path.exists():
            _make(path)
        mode = path.stat().st_mode & 0o777
        text = path.read_text()
    except OSError as error:
        raise KeysRefused(f"{path}: {error.strerror}") from error
    if mode & 0o077:
        raise KeysRefused(f"{path} has mode {mode:04o}: others can read it. Type: chmod 600 {path}")
    try:
        plain = json.loads(text)
        keys = {int(key_id): bytes.fromhex(key) for key_id, key in plain["keys"].items()}
        return Keyring(int(plain["current"]), keys)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeysRefused(
            f"{path} is not a key file ({error}). Restore it from the backup of the site's keys"
        ) from error


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = json.dumps({"current": 1, "keys": {"1": secrets.token_hex(KEY_BYTES)}})
    made = path.with_suffix(".new")
    made.unlink(missing_ok=True)  # what a start that was killed here has left; it signed nothing yet
    fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, text.encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    made.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
