"""The journal's hash chain: what makes a missing, doubled, forked or edited record visible at either end."""

import hashlib
from collections.abc import Iterable

HEAD_BYTES = 32


def genesis(site: str, generation: int) -> bytes:
    """The head before the first record of a generation."""
    return hashlib.sha256(f"gatectl/1|{site}|{generation}".encode()).digest()


def link(previous: bytes, header: bytes, body: bytes) -> bytes:
    """The head after a record: SHA-256(previous head + header + newline + body)."""
    assert len(previous) == HEAD_BYTES
    return hashlib.sha256(b"%b%b\n%b" % (previous, header, body)).digest()


def digest(rows: Iterable[tuple[str, str, int]]) -> str:
    """SHA-256 (hex) over the lines `ticket|state|paid_minor`, sorted by ticket, joined by newline: equal at both ends."""
    lines = "\n".join(f"{ticket}|{state}|{paid_minor}" for ticket, state, paid_minor in sorted(rows))
    return hashlib.sha256(lines.encode()).hexdigest()
