"""Buys the site's credential with a one-time code.

The file's place is tried before the code is spent: a code whose credential cannot be written would be lost.
"""

import os
from pathlib import Path

from sync.answers import Refused, understand
from sync.credential import Credential, CredentialRefused, write_credential
from sync.ports import Office, Request
from sync.records import Enrol, Enrolled

ENROL_TOTAL_MS = 20_000

WORDS = {
    "bad-code": "the office does not know this code for this site",
    "expired-code": "the code has expired; ask the office for a new one",
    "already-enrolled": "the code was used already; ask the office for a new one",
}


class EnrolmentFailed(Exception):  # `name` is what people and the CLI go by
    """Raised when no credential came. `name`: the office's problem (bad-code, expired-code, already-enrolled ...) or
    `unreachable`, after which the code may be spent or not."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name


def enrol(
    office: Office, *, address: str, site: str, code: str, software: str, path: Path, replace: bool = False
) -> Credential:
    """Exchange the code and write the credential file. Raises EnrolmentFailed or CredentialRefused."""
    _check_place(path, replace=replace)
    request = Request(
        "POST",
        "/sync/v1/enrolments",
        Enrol(site, code, software).to_json(),
        (("content-type", "application/json"),),
        ENROL_TOTAL_MS,
    )
    said = understand(office.ask(request), Enrolled)
    if isinstance(said, Refused):
        raise EnrolmentFailed(said.name, WORDS.get(said.name, said.words))
    if not isinstance(said, Enrolled):
        raise EnrolmentFailed("unreachable", said.why)
    if said.site != site:
        raise EnrolmentFailed("unreachable", f"the office answers for site {said.site[:64]!r}")
    credential = Credential(site, address, said.installation, said.credential, said.generation)
    write_credential(path, credential, replace=replace)
    return credential


def _check_place(path: Path, *, replace: bool) -> None:
    if path.exists() and not replace:
        raise CredentialRefused("credential-exists", f"{path}: this site is enrolled already")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CredentialRefused("credential-unwritable", f"{path.parent}: not a directory that can be written")
