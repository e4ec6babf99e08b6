"""The options of a port where charge points call, and of the charge points: where we listen, who may call, with what password.

Sans-IO. Files are named here and read by the link each time they are needed, so that a renewed password or certificate is
taken up without a restart.
"""

import re
from dataclasses import dataclass
from typing import Final

from drivers.api import DeviceSpec, OptionFault, PortSpec
from drivers.options import Options

PATH_CHARS_MAX: Final = 4096
TEXT_CHARS_MAX: Final = 128
PORT: Final = 9220
GONE_MS: Final = 60_000
"""A charge point that lost its connection tries again within a minute; then it is missed."""

_IDENTITY = re.compile(r"[A-Za-z0-9*=:+|@._-]{1,48}")
"""OCPP 2.0.1 part 4, section 3.1.1: an identifierString; shorter in 1.6."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """`port` 0 lets the system choose. Empty `cert_file`: no TLS."""

    host: str
    port: int
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class PointOptions:
    """Empty `password_file`: it may call without a password."""

    device: str
    identity: str
    password_file: str
    gone_ms: int


def read_server(port: PortSpec, faults: list[OptionFault]) -> ServerOptions:
    """Where charge points call; what is wrong with it goes to `faults`."""
    options = Options(f"ports.{port.name}", port.options, faults)
    server = ServerOptions(
        host=options.text("host", "0.0.0.0", TEXT_CHARS_MAX),  # noqa: S104  # charge points are elsewhere
        port=options.integer("port", PORT, 0, 65_535),
        cert_file=_optional(options, "cert_file"),
        key_file=_optional(options, "key_file"),
    )
    if bool(server.cert_file) != bool(server.key_file):
        missing = "key_file" if server.cert_file else "cert_file"
        options.fault(missing, "is missing", "a certificate and its key go together")
    options.finish()
    return server


def read_point(device: DeviceSpec, faults: list[OptionFault]) -> PointOptions:
    """A charge point; what is wrong with it goes to `faults`."""
    options = Options(f"devices.{device.name}", device.options, faults)
    identity = options.text("identity", device.name, TEXT_CHARS_MAX)
    if identity and not _IDENTITY.fullmatch(identity):
        options.fault("identity", f"{identity!r} is no identity", "1 to 48 letters, digits and *-_=:+|@.")
    open_to_all = options.boolean("no_password", False)
    password_file = _optional(options, "password_file")
    if not password_file and not open_to_all:
        options.fault(
            "password_file", "is missing", "a file with the password on its first line, or no_password = true"
        )
    if password_file and open_to_all:
        options.fault("no_password", "is true beside a password_file")
    gone_ms = options.integer("gone_ms", GONE_MS, 1_000, 3_600_000, "ms")
    options.finish()
    return PointOptions(device.name, identity, password_file, gone_ms)


def _optional(options: Options, key: str) -> str:
    if not options.has(key):
        options.text(key, "-", PATH_CHARS_MAX)  # marks the key as known
        return ""
    return options.text(key, None, PATH_CHARS_MAX)
