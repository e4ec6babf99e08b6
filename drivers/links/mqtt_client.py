"""One connection to a broker, made by paho: dialled in a thread of its own, bounded, and reset when it is given up."""

import contextlib
import errno
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from drivers.api import Publish
from drivers.broker_options import BrokerOptions, TlsOptions
from drivers.links.mqtt_core import WRITE_STALL_MS_MAX

PACKET_BYTES_MAX: Final = 256 * 1024
"""A longer packet ends the connection: MQTT allows 256 MiB, and paho would take them all into memory."""
READ_BYTES_MAX: Final = 16 * 1024
CONNECT_S_MAX: Final = 3.0
"""TCP, and again TLS."""
PASSWORD_BYTES_MAX: Final = 1_024
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_LINGER_ON_CLOSE: Final = struct.pack("ii", 0, 0)


class Client(mqtt.Client):
    """paho's client with a bound on what a broker can make it hold, and that closes what it could not open."""

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        assert self._ssl_context is not None
        wire = self._ssl_context.wrap_socket(tcp_sock, server_hostname=self._host, do_handshake_on_connect=False)
        try:
            wire.settimeout(CONNECT_S_MAX)
            wire.do_handshake()
        except BaseException:
            wire.close()
            raise
        return wire

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._in_packet["remaining_length"] > PACKET_BYTES_MAX:
            raise OSError(errno.EMSGSIZE, "the broker sends a packet that is too long")
        return super()._sock_recv(min(bufsize, READ_BYTES_MAX))


class Dial:
    """One attempt to connect, in a thread of its own. `done` is set last; then `client` or `why` holds the result."""

    def __init__(self, broker: BrokerOptions, will: Publish | None, wake: Callable[[], None]) -> None:
        self.client: Client | None = None
        self.why = ""
        self.done = threading.Event()
        self._broker, self._will, self._wake = broker, will, wake
        self.thread = threading.Thread(target=self._run, name=f"dial-{broker.host}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.client = connect(self._broker, self._will)
        except Exception as refused:  # noqa: BLE001 - OSError, SSLError, ValueError: whatever it is becomes the reason
            self.why = reason(refused)
        finally:
            self.done.set()
            self._wake()


def connect(broker: BrokerOptions, will: Publish | None) -> Client:
    """TCP, TLS and MQTT's CONNECT; the broker's answer is read later. Raises what sockets, ssl and paho raise."""
    newer = broker.protocol == "5"
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=broker.client_id,
        clean_session=None if newer else True,
        protocol=mqtt.MQTTv5 if newer else mqtt.MQTTv311,
        reconnect_on_failure=False,
    )
    client.connect_timeout = CONNECT_S_MAX
    if broker.username:
        client.username_pw_set(broker.username, _password(broker.password_file))
    if broker.tls is not None:
        client.tls_set_context(_tls_context(broker.tls))
    if will is not None:
        client.will_set(will.topic, will.payload, qos=0, retain=will.retain)
    client.connect(
        broker.host, broker.port, broker.keepalive_s, clean_start=True if newer else mqtt.MQTT_CLEAN_START_FIRST_ONLY
    )
    wire = client.socket()
    assert isinstance(wire, socket.socket)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # The kernel gives up on bytes that nobody acknowledges, instead of sending them when the link heals.
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, WRITE_STALL_MS_MAX)
    return client


def _password(path: str) -> str:
    """The first line of a credential file, read anew for each connection."""
    with Path(path).open("rb") as file:
        return file.read(PASSWORD_BYTES_MAX).split(b"\n", 1)[0].strip().decode()


def _tls_context(tls: TlsOptions) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.check_name
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def fileno(client: Client) -> int:
    wire = client.socket()
    assert isinstance(wire, socket.socket)
    return wire.fileno()


def pending(client: Client) -> bool:
    """True if TLS holds bytes that poll(2) cannot see."""
    wire = client.socket()
    return isinstance(wire, ssl.SSLSocket) and wire.pending() > 0


def reset(client: Client) -> None:
    """Close with a reset: what the kernel had not sent yet is thrown away."""
    client.on_disconnect = None
    wire = client.socket()
    if isinstance(wire, socket.socket):
        with contextlib.suppress(OSError):
            wire.close()


def reason(error: BaseException) -> str:
    """One line for a person, without Python's decoration."""
    return str(error.args[-1] if error.args else type(error).__name__)


def farewell(client: Client) -> None:
    """Say DISCONNECT, and let the kernel send it."""
    wire = client.socket()
    if isinstance(wire, socket.socket):
        with contextlib.suppress(OSError, ValueError):
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ON_CLOSE)
            client.disconnect()
