"""The options of an MQTT port: where the broker is, who we are to it, and under which topics we live.

Sans-IO. Files are named here and read by the link each time it connects, so that a renewed password or certificate is
taken up without a restart.
"""

import re
from dataclasses import dataclass
from typing import Final

from drivers.api import OptionFault, PortSpec
from drivers.options import Options

TEXT_CHARS_MAX: Final = 128
PATH_CHARS_MAX: Final = 4096
KEEPALIVE_S_MIN: Final = 2
KEEPALIVE_S_MAX: Final = 60
KEEPALIVE_S: Final = 5
"""A dead link is noticed after at most twice this. What may be ordered is decided by freshness, not by this."""
PORT_PLAIN: Final = 1883
PORT_TLS: Final = 8883
TOPIC_PREFIX: Final = "gatectl"

_TOPIC_PART = re.compile(r"[A-Za-z0-9_.:-]+(/[A-Za-z0-9_.:-]+)*")


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """Empty `ca_file`: the system's authorities. `check_name` off is for a broker whose certificate has no name."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    check_name: bool = True


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """`protocol` is "3.1.1" or "5". `topic_prefix` starts every topic that is ours: give it to the broker's ACL."""

    host: str
    port: int
    client_id: str
    username: str = ""
    password_file: str = ""
    keepalive_s: int = KEEPALIVE_S
    protocol: str = "3.1.1"
    topic_prefix: str = TOPIC_PREFIX
    tls: TlsOptions | None = None


def plain_topic(text: str) -> bool:
    """True for a topic that can be neither a wildcard, nor `$SYS`, nor start or end with a slash."""
    return len(text) <= TEXT_CHARS_MAX and _TOPIC_PART.fullmatch(text) is not None


def read_topic(options: Options, key: str, default: str | None) -> str:
    """A topic, or the beginning of one, out of a table of options."""
    text = options.text(key, default, TEXT_CHARS_MAX)
    if text and not plain_topic(text):
        options.fault(key, f"{text!r} is not a topic", "letters, digits and _.:- in levels separated by /")
        return default or ""
    return text


def read_broker(port: PortSpec, faults: list[OptionFault]) -> BrokerOptions:
    """The broker of an MQTT port; what is wrong with it goes to `faults`."""
    options = Options(f"ports.{port.name}", port.options, faults)
    tls = _read_tls(options, faults)
    broker = BrokerOptions(
        host=options.text("host", None, TEXT_CHARS_MAX),
        port=options.integer("port", PORT_TLS if tls else PORT_PLAIN, 1, 65_535),
        client_id=options.text("client_id", f"gatectl-{port.name}", TEXT_CHARS_MAX),
        username=_optional(options, "username", TEXT_CHARS_MAX),
        password_file=_optional(options, "password_file", PATH_CHARS_MAX),
        keepalive_s=options.integer("keepalive_s", KEEPALIVE_S, KEEPALIVE_S_MIN, KEEPALIVE_S_MAX, "seconds"),
        protocol=options.one_of("protocol", "3.1.1", ("3.1.1", "5")),
        topic_prefix=read_topic(options, "topic_prefix", TOPIC_PREFIX),
        tls=tls,
    )
    if broker.password_file and not broker.username:
        options.fault("password_file", "is given without a username")
    if broker.username and not broker.password_file:
        options.fault(
            "username", "is given without a password_file", "a file that holds the password on its first line"
        )
    options.finish()
    return broker


def broker_of(port: PortSpec) -> BrokerOptions:
    """The broker of a port that was checked before. A fault here is a bug of the caller."""
    faults: list[OptionFault] = []
    broker = read_broker(port, faults)
    assert not faults, faults
    return broker


def check(port: PortSpec) -> list[OptionFault]:
    """Every fault in the options of an MQTT port."""
    faults: list[OptionFault] = []
    if port.kind != "mqtt":
        faults.append(OptionFault(f"ports.{port.name}.kind", f"{port.kind!r} is not 'mqtt'"))
    read_broker(port, faults)
    return faults


def _optional(options: Options, key: str, chars_max: int) -> str:
    """A text that may be left out; `text` itself marks the key as known."""
    if not options.has(key):
        options.text(key, "-", chars_max)
        return ""
    return options.text(key, None, chars_max)


def _read_tls(options: Options, faults: list[OptionFault]) -> TlsOptions | None:
    table = options.table("tls")
    if not options.has("tls"):
        return None
    inner = Options(f"{options.where}.tls", table, faults)
    tls = TlsOptions(
        ca_file=_optional(inner, "ca_file", PATH_CHARS_MAX),
        cert_file=_optional(inner, "cert_file", PATH_CHARS_MAX),
        key_file=_optional(inner, "key_file", PATH_CHARS_MAX),
        check_name=inner.boolean("check_name", True),
    )
    if bool(tls.cert_file) != bool(tls.key_file):
        inner.fault("key_file" if tls.cert_file else "cert_file", "is missing", "a certificate and its key go together")
    inner.finish()
    return tls
