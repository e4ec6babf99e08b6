"""The site's credential on disk: outside the database and its backups, readable by its owner only.

One JSON file: who this site is to the office, where the office is, and the secret. Under systemd it may come as a
credential instead ($CREDENTIALS_DIRECTORY), where systemd answers for the access rights.
"""

import json
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sync.records import Malformed, plain

SCHEMA = "gatectl.credential/1"
CREDENTIAL_BYTES_MAX = 16_384

_SECRET = re.compile(r"[\x21-\x7e]{16,512}")


class CredentialRefused(ValueError):  # `name` is what people and the CLI go by
    """Raised for a credential file that cannot be used or made.

    `name`: credential-missing, credential-mode, credential-malformed, credential-exists, credential-unwritable.
    """

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Credential:
    site: str
    office: str
    """The office's address."""
    installation: str
    credential: str = field(repr=False)
    generation: int


def read_credential(path: Path, environ: Mapping[str, str] = os.environ) -> Credential:
    """Raises CredentialRefused."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            raw = file.read(CREDENTIAL_BYTES_MAX + 1)
    except OSError as error:
        raise CredentialRefused("credential-missing", f"{path}: {error.strerror}") from error
    directory = environ.get("CREDENTIALS_DIRECTORY")
    given_by_systemd = bool(directory) and path.resolve().is_relative_to(Path(str(directory)).resolve())
    if mode & 0o177 and not given_by_systemd:
        raise CredentialRefused("credential-mode", f"{path}: mode is {mode:04o}, must be 0600")
    return _parsed(raw, path)


def write_credential(path: Path, credential: Credential, *, replace: bool = False) -> None:
    """Whole or not at all, mode 0600, on disk when this returns. Raises CredentialRefused; an existing file stays
    unless `replace`."""
    raw = json.dumps({"schema": SCHEMA, **asdict(credential)}, indent=2).encode() + b"\n"
    try:
        handle, name = tempfile.mkstemp(prefix=".credential-", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                temporary.replace(path)
            else:
                os.link(temporary, path)  # unlike a rename, refuses to overwrite
        finally:
            temporary.unlink(missing_ok=True)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except FileExistsError as error:
        raise CredentialRefused("credential-exists", f"{path}: this site is enrolled already") from error
    except OSError as error:
        raise CredentialRefused("credential-unwritable", f"{path}: {error.strerror}") from error


def _parsed(raw: bytes, path: Path) -> Credential:
    try:
        if len(raw) > CREDENTIAL_BYTES_MAX:
            raise Malformed(f"more than {CREDENTIAL_BYTES_MAX} bytes")
        members = plain(raw)
        if members.get("schema") != SCHEMA:
            raise Malformed(f"schema: expected {SCHEMA}")
        texts = {name: members.get(name) for name in ("site", "office", "installation", "credential")}
        generation = members.get("generation")
        for name, value in texts.items():
            if not isinstance(value, str) or not value:
                raise Malformed(f"{name}: missing")
        if not _SECRET.fullmatch(str(texts["credential"])):
            raise Malformed("credential: not a credential")
        if type(generation) is not int or generation < 1:
            raise Malformed("generation: expected a whole number from 1")
    except Malformed as error:
        raise CredentialRefused("credential-malformed", f"{path}: {error}") from error
    return Credential(generation=generation, **{name: str(value) for name, value in texts.items()})
