"""The wire between the demo's site and its office: a TCP forwarder that can be cut, as an internet line is."""

import socket
import threading
from contextlib import suppress
from typing import Final

PIECE_BYTES: Final = 65_536
CONNECTIONS_MAX: Final = 64
ACCEPT_S: Final = 0.2


class Wire:
    """Forwards 127.0.0.1:`port` to `target`. While cut, connections are dropped and new ones refused."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS_MAX)
        self._listener.settimeout(ACCEPT_S)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._cut = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="wire", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """The line is dead, also for what is under way."""
        self._cut = True
        with self._lock:
            for sock in self._sockets:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        self._cut = False

    def close(self) -> None:
        self._closing.set()
        self.cut()
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                site, _ = self._listener.accept()
            except TimeoutError:
                continue
            if self._cut or len(self._sockets) >= CONNECTIONS_MAX * 2:
                site.close()
                continue
            try:
                office = socket.create_connection(self._target, timeout=5)
            except OSError:
                site.close()
                continue
            with self._lock:
                self._sockets |= {site, office}
            for source, sink in ((site, office), (office, site)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        source.settimeout(None)
        with suppress(OSError):
            while piece := source.recv(PIECE_BYTES):
                sink.sendall(piece)
        for sock in (source, sink):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._sockets.discard(source)
        source.close()
