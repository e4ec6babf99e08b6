"""The transport over real sockets: whatever the other end does comes back as a value."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import trustme
from sync_fakes import SECRET, SITE, FakeOffice, Journal, identity
from sync_wires import DEADLINE_S, CuttingProxy, listening, office_over_http

from sync.ports import Answer, Request, Unreachable
from sync.transport import BadAddress, PlainHttpRefused, Transport
from sync.upload import Send, UploaderMachine

SNAPSHOT = Request("GET", f"/sync/v1/sites/{SITE}/snapshot")


@contextlib.contextmanager
def _transport(
    port: int, scheme: str = "http", ca_file: Path | None = None, host: str = "localhost"
) -> Iterator[Transport]:
    transport = Transport(f"{scheme}://{host}:{port}", credential=SECRET, ca_file=ca_file, software="gatectl/test")
    try:
        yield transport
    finally:
        transport.close()


def _says(raw: bytes, then: threading.Event | None = None):
    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(raw)
        if then is not None:
            then.wait(DEADLINE_S)

    return serve


def test_an_answer_comes_back_whole() -> None:
    office = FakeOffice()
    office.put("tariff", "t", {"cents": 5})
    with office_over_http(office) as port, _transport(port) as transport:
        answers = [transport.ask(SNAPSHOT) for _ in range(3)]

    assert isinstance(answers[0], Answer)
    assert (200, "application/json") == (answers[0].status, answers[0].content_type)
    assert b'"cents":5' in answers[0].body
    assert answers[0] == answers[2]


def test_a_reply_cut_at_any_byte_is_no_acknowledgement() -> None:
    """A proxy closes the line after N bytes of the reply to an upload, for every N: only the whole reply counts."""
    office, journal = FakeOffice(), Journal()
    journal.write("fact-0")
    upload = _first_upload(office, journal)
    outcomes = []
    with office_over_http(office) as port:
        proxy = CuttingProxy(port)
        with listening(proxy.serve) as proxied:
            with _transport(proxied) as transport:
                whole = transport.ask(upload)
                length = proxy.passed
            assert isinstance(whole, Answer)
            assert 200 < length < 1_000
            with _transport(proxied) as transport:
                for cut in range(1, length):
                    proxy.bytes_max = cut
                    outcomes.append(transport.ask(upload))

    assert length - 1 == len(outcomes)
    assert all(isinstance(outcome, Unreachable) for outcome in outcomes)
    assert ["fact-0"] == office.fact_ids()


def _first_upload(office: FakeOffice, journal: Journal) -> Request:
    machine = UploaderMachine(identity(office), journal, Random(1), wall_ms=lambda: 0)
    hello = machine.step(0)
    assert isinstance(hello, Send)
    machine.answered(office.ask(hello.request), 0)
    upload = machine.step(0)
    assert isinstance(upload, Send)
    return upload.request


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "disconnected"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "illegal"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}", "how long it is"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\nabcde", "compressed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 2_000_000, "more than"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "illegal"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, ""),
    ],
    ids=["nothing", "ssh", "until-close", "gzip", "too-big", "bad-chunk", "endless-header"],
)
def test_nonsense_is_a_value(raw: bytes, why: str) -> None:
    with listening(_says(raw)) as port, _transport(port) as transport:
        outcome = transport.ask(SNAPSHOT)

    assert isinstance(outcome, Unreachable)
    assert why in outcome.why


def test_a_redirect_is_not_followed_and_no_cookie_is_kept() -> None:
    """A captive portal sends us to its own page and gives us a cookie; both stay where they are."""
    seen: list[bytes] = []
    portal = b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"

    def serve(connection: socket.socket) -> None:
        seen.append(connection.recv(65_536))
        connection.sendall(portal)

    with listening(serve) as port, _transport(port) as transport:
        outcomes = [transport.ask(SNAPSHOT) for _ in range(2)]

    assert [302, 302] == [outcome.status for outcome in outcomes if isinstance(outcome, Answer)]
    assert 2 == len(seen)
    assert all(b"cookie" not in request.lower() for request in seen)
    assert all(f"Bearer {SECRET}".encode() in request for request in seen)


def test_nobody_there_is_a_value() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with _transport(port) as transport:
        outcome = transport.ask(SNAPSHOT)

    assert isinstance(outcome, Unreachable)
    assert "refused" in outcome.why


def test_a_name_nobody_knows_is_a_value() -> None:
    with _transport(443, "https", host="no-such-host.invalid") as transport:
        outcome = transport.ask(Request("GET", "/", total_ms=3_000))

    assert isinstance(outcome, Unreachable)


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc"], ids=["silent", "stalls"])
def test_silence_ends_with_the_time_allowed(raw: bytes) -> None:
    done = threading.Event()
    with listening(_says(raw, done)) as port, _transport(port) as transport:
        outcome = transport.ask(Request("GET", "/", total_ms=150))
        done.set()

    assert Unreachable("no complete answer within 0.15 s") == outcome


def test_a_dripping_answer_ends_with_the_time_allowed() -> None:
    """Each byte comes in time, the whole never would: the limit is on the whole exchange, not on one read."""
    done = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not done.wait(0.01):
            connection.sendall(b"X: y\r\n")

    with listening(serve) as port, _transport(port) as transport:
        outcome = transport.ask(Request("GET", "/", total_ms=150))
        done.set()

    assert Unreachable("no complete answer within 0.15 s") == outcome


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_closing_wakes_a_long_poll(tmp_path: Path, secure: bool) -> None:
    """The daemon stops while a poll waits for its 25 s: it comes back at once, and nothing is asked afterwards."""
    ca = trustme.CA()
    server = _server_context(ca)
    arrived, done = threading.Event(), threading.Event()
    outcomes: list[Answer | Unreachable] = []

    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        arrived.set()
        done.wait(DEADLINE_S)

    with (
        listening(serve, server if secure else None) as port,
        _transport(port, "https" if secure else "http", _ca_file(ca, tmp_path)) as transport,
    ):
        thread = threading.Thread(target=lambda: outcomes.append(transport.ask(Request("GET", "/", total_ms=35_000))))
        thread.start()
        assert arrived.wait(DEADLINE_S)
        began = time.monotonic()
        transport.close()
        thread.join(DEADLINE_S)
        took_s = time.monotonic() - began
        outcomes.append(transport.ask(SNAPSHOT))
        done.set()

    assert [Unreachable("the link was closed")] * 2 == outcomes
    assert took_s < 1.0


def _server_context(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    return context


def _ca_file(ca: trustme.CA, folder: Path) -> Path:
    path = folder / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


def test_the_offices_own_authority_is_enough(tmp_path: Path) -> None:
    ca = trustme.CA()
    with (
        office_over_http(FakeOffice(), _server_context(ca)) as port,
        _transport(port, "https", _ca_file(ca, tmp_path)) as transport,
    ):
        outcome = transport.ask(SNAPSHOT)

    assert isinstance(outcome, Answer)


@pytest.mark.parametrize("whose", ["another", "system", "name"])
def test_a_certificate_that_does_not_hold_is_refused(tmp_path: Path, whose: str) -> None:
    """Signed by somebody else, by nobody the system knows, or for another name: the credential is never sent."""
    ca, office = trustme.CA(), FakeOffice()
    trusted = {"another": trustme.CA(), "system": None, "name": ca}[whose]
    file = None if trusted is None else _ca_file(trusted, tmp_path)
    host = "127.0.0.1" if whose == "name" else "localhost"
    with (
        office_over_http(office, _server_context(ca)) as port,
        _transport(port, "https", file, host) as transport,
    ):
        outcome = transport.ask(SNAPSHOT)

    assert isinstance(outcome, Unreachable)
    assert "certificate verify failed" in outcome.why
    assert [] == office.asked


@pytest.mark.parametrize(
    "host", ["office.example", "192.168.1.10", "10.0.0.1:8080", "localhost.evil.example", "[fe80::1]"]
)
def test_plain_http_off_this_machine_is_refused(host: str) -> None:
    with pytest.raises(PlainHttpRefused):
        Transport(f"http://{host}")


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "127.8.9.1:1", "[::1]:8000"])
def test_plain_http_on_this_machine_is_spoken(host: str) -> None:
    Transport(f"http://{host}/").close()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "office",
        "ftp://x",
        "https://",
        "https://a:b@c",
        "https://x?y",
        "https://x:99999",
        "https://x:0",
        "https://bü",
    ],
)
def test_a_bad_address_is_refused_by_name(address: str) -> None:
    with pytest.raises(BadAddress):
        Transport(address)
