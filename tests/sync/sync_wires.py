"""Real sockets for the sync's tests: the fake office over HTTP, and a proxy that cuts."""

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sync_fakes import FakeOffice

DEADLINE_S = 10.0


class RealClock:
    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        return event.wait(timeout_s)


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it comes true before the deadline."""
    pause, end = threading.Event(), time.monotonic() + DEADLINE_S
    while not holds():
        if time.monotonic() > end:
            return False
        pause.wait(0.005)
    return True


@contextlib.contextmanager
def office_over_http(office: FakeOffice, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The office's port on loopback."""
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with turn:
                status, kind, answer = office.serve(self.command, self.path, headers, body)
            self.send_response_only(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = _serve

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that goes away in the middle is what these tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port where every connection is given to `serve`, one after the other."""
    listener = socket.create_server(("127.0.0.1", 0))
    closing = threading.Event()

    def run() -> None:
        while not closing.is_set():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                if closing.is_set():
                    return
                connection.settimeout(DEADLINE_S)
                if context is None:
                    serve(connection)
                else:
                    with context.wrap_socket(connection, server_side=True) as secure:
                        serve(secure)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        closing.set()
        with contextlib.suppress(OSError):
            socket.create_connection(listener.getsockname(), 1).close()
        thread.join()
        listener.close()


class CuttingProxy:
    """Passes everything on, and closes the connection after `bytes_max` of the reply."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self.bytes_max = 1 << 30
        self.passed = 0

    def serve(self, client: socket.socket) -> None:
        self.passed = 0
        with socket.create_connection(("127.0.0.1", self._upstream_port)) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [], DEADLINE_S)
                for source in ready:
                    data = source.recv(65_536)
                    if not data:
                        return
                    if source is client:
                        server.sendall(data)
                        continue
                    data = data[: self.bytes_max - self.passed]
                    self.passed += len(data)  # before the client can have it, and look
                    client.sendall(data)
                    if self.passed >= self.bytes_max:
                        return
