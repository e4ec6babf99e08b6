"""A wire of TCP that can freeze, heal and break, between a client and a server on this machine.

Frozen, it takes nothing and gives nothing, and nobody is told; healed, it delivers all that was held, even from an end that
has gone since: the worst that a network may do. Cut, both ends are reset, and nobody can connect until it is mended.
"""

import contextlib
import os
import selectors
import socket
import struct
import threading
from types import TracebackType
from typing import Final, Self

HOST: Final = "127.0.0.1"
CHUNK_BYTES: Final = 65_536
TURN_S_MAX: Final = 0.25
STOP_S_MAX: Final = 5.0
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class TcpProxy:
    """Listens on `port` and passes on to `target`. A context manager."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server((HOST, 0))
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._frozen = self._cut = self._stop = False
        self._partner: dict[socket.socket, socket.socket] = {}
        self._thread = threading.Thread(target=self._run, name=f"proxy-{self.port}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._set(stop=True)
        self._thread.join(STOP_S_MAX)
        self._listener.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def freeze(self) -> None:
        """When this returns, nothing passes any more."""
        self._set(frozen=True)

    def heal(self) -> None:
        self._set(frozen=False)

    def cut(self) -> None:
        self._set(cut=True)

    def mend(self) -> None:
        self._set(cut=False)

    def _set(self, *, frozen: bool | None = None, cut: bool | None = None, stop: bool = False) -> None:
        with self._lock:
            self._frozen = self._frozen if frozen is None else frozen
            self._cut = self._cut if cut is None else cut
            self._stop = self._stop or stop
            if self._cut:
                self._drop_all()
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"!")

    def _run(self) -> None:
        while True:
            with selectors.DefaultSelector() as waiting:
                waiting.register(self._wake_read, selectors.EVENT_READ)
                with self._lock:
                    if self._stop:
                        self._drop_all()
                        return
                    if not self._frozen:
                        waiting.register(self._listener, selectors.EVENT_READ)
                        for wire in self._partner:
                            waiting.register(wire, selectors.EVENT_READ)
                ready = waiting.select(TURN_S_MAX)
            with self._lock:
                for key, _ in ready:
                    self._turn(key.fileobj)

    def _turn(self, ready: object) -> None:
        if ready == self._wake_read:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, CHUNK_BYTES)
        elif self._frozen:
            return
        elif ready is self._listener:
            self._accept()
        elif isinstance(ready, socket.socket) and ready in self._partner:
            self._pass_on(ready)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        if self._cut:
            client.close()
            return
        try:
            server = socket.create_connection((HOST, self._target), timeout=1)
        except OSError:
            client.close()
            return
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._partner |= {client: server, server: client}

    def _pass_on(self, wire: socket.socket) -> None:
        try:
            data = wire.recv(CHUNK_BYTES)
            self._partner[wire].sendall(data)
        except OSError:
            data = b""
        if not data:
            other = self._partner.pop(wire)
            del self._partner[other]
            # Not reset but closed towards the other end: what was passed on to it is read before it hears of the end.
            for end in (wire, other):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
                end.close()

    def _drop_all(self) -> None:
        for wire in self._partner:
            wire.close()
        self._partner.clear()
