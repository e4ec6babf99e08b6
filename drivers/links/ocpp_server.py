"""The local central system: a websocket server with its thread, where charge points call.

Rule 1: one thread runs the loop and everything on it. Orders come in by the order book, reports go out by the sink.
Rule 2: who calls is known by the last part of the address (OCPP-J): an identity that is not the site's gets a 404, a wrong
password a 401, and both are counted. A charge point that calls again replaces its old connection.
Rule 3: a charge point is missed when it had no connection for `gone_ms`, once; and it is back with its next connection.
Rule 4: what is a bug here ends the link, says so in `failed`, and `turns` stands still: the watchdog hears of it.
"""

import asyncio
import base64
import binascii
import contextlib
import hmac
import logging
import ssl
import threading
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from drivers.api import ChargerReport, Clock, Health, Order, Outcome, Result, Sink, StationAnswer, Steer
from drivers.codecs.ocpp import V16, V201
from drivers.links.monotonic import Monotonic
from drivers.links.ocpp_calls import Calls
from drivers.links.orders import RETRY_MS_MAX, OrderBook
from drivers.ocpp_options import PointOptions, ServerOptions

TICK_S: Final = 0.2
"""The loop turns at least this often."""
ANSWER_S_MAX: Final = 10.0
"""How long a charge point's request waits for the site."""
MESSAGE_BYTES_MAX: Final = 64 * 1024
MESSAGES_READ_MAX: Final = 16
"""Messages of one connection that are read ahead; then TCP holds the charge point back."""
PING_S: Final = 20
HANDSHAKE_S_MAX: Final = 10
CLOSE_S_MAX: Final = 10.0
HANG_UP_S_MAX: Final = 1
PASSWORD_BYTES_MAX: Final = 256

_PROTOCOLS: Final = (Subprotocol(V201), Subprotocol(V16))
_SILENT: Final = logging.getLogger("drivers.ocpp.silent")
"""What the library says of handshakes and bytes: counted here, not logged, for it holds identities and credentials."""
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class OcppBus:
    """`drivers.api.Bus` for the charge points of one port. The sink is called from the bus' thread; it must not block."""

    def __init__(
        self, name: str, server: ServerOptions, points: Sequence[PointOptions], clock: Clock | None = None
    ) -> None:
        self.name = name
        self.turns = 0
        self.failed = ""
        self.bound = threading.Event()
        """Set while charge points can call, at `port`."""
        self.port = 0
        self._server = server
        self._points = {point.identity: point for point in points}
        self._clock = clock or Monotonic()
        self._book = OrderBook(name, [point.device for point in points], one_engine=False)
        self._thread = threading.Thread(target=self._run, name=f"ocpp-{name}", daemon=True)
        self._sink: Sink = _nobody
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._calls: dict[str, tuple[ServerConnection, Calls]] = {}
        self._asked: dict[tuple[str, str], asyncio.Future[tuple[bool, Mapping[str, Any]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._alone_since_ms: dict[str, int | None] = {}
        self._told_up: dict[str, bool | None] = {}

    # -- from any thread --------------------------------------------------------------------------------------------------

    def start(self, sink: Sink) -> None:
        self._sink = sink
        self._thread.start()

    def order(self, device: str, order: Order) -> None:
        refusal = self._book.put(device, order, self._wake)
        if refusal is not None:
            self._sink(refusal)

    def counters(self) -> Mapping[str, int]:
        return dict(self._book.counters)

    def close(self) -> None:
        with self._book.lock:
            self._book.shut = True
            loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(stop.set)
        if self._thread.is_alive():
            self._thread.join(CLOSE_S_MAX)
        for outcome in self._book.left_open("the link is closed"):
            self._sink(outcome)

    def _wake(self) -> None:
        """Under the book's lock."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: `close` answers
                self._loop.call_soon_threadsafe(self._take_orders)

    # -- the thread -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception:  # noqa: BLE001  # a bug ends the link, and says so
            self.failed = traceback.format_exc()
        finally:
            with self._book.lock:
                self._loop = None
                self._book.shut = True
            for outcome in self._book.left_open("the link has ended"):
                self._sink(outcome)
            for device in self._told_up:
                self._tell(device, False, "the link has ended")

    async def _main(self) -> None:
        now_ms = self._clock.monotonic_ms()
        self._alone_since_ms = {point.device: now_ms for point in self._points.values()}
        self._told_up = dict.fromkeys(self._alone_since_ms)
        self._stop = asyncio.Event()
        with self._book.lock:
            self._loop = asyncio.get_running_loop()
            shut = self._book.shut
        if shut:
            return
        self._take_orders()
        ticking = asyncio.create_task(self._tick())
        try:
            await self._serve()
        finally:
            ticking.cancel()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(ticking, *self._tasks, return_exceptions=True)

    async def _serve(self) -> None:
        """Listen until told to stop; an address that cannot be had is tried again."""
        assert self._stop is not None
        while not self._stop.is_set():
            try:
                server = await self._listen()
            except (OSError, ssl.SSLError):
                self._count("cannot-listen")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), RETRY_MS_MAX / 1000)
                continue
            self.port = next(iter(server.sockets)).getsockname()[1]
            self.bound.set()
            await self._stop.wait()
            self.bound.clear()
            for waiting in self._asked.values():
                if not waiting.done():
                    waiting.set_exception(TimeoutError())
            server.close()
            await server.wait_closed()

    async def _listen(self) -> Server:
        context = None
        if self._server.cert_file:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(self._server.cert_file, self._server.key_file)
        return await serve(
            self._met,
            self._server.host,
            self._server.port,
            subprotocols=_PROTOCOLS,
            process_request=self._judge,
            compression=None,
            open_timeout=HANDSHAKE_S_MAX,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            close_timeout=HANG_UP_S_MAX,
            max_size=MESSAGE_BYTES_MAX,
            max_queue=MESSAGES_READ_MAX,
            logger=_SILENT,
            ssl=context,
        )

    async def _tick(self) -> None:
        while True:
            self.turns += 1
            now_ms = self._clock.monotonic_ms()
            for point in self._points.values():
                since_ms = self._alone_since_ms[point.device]
                if since_ms is not None and now_ms - since_ms >= point.gone_ms:
                    self._tell(point.device, False, f"no connection for {point.gone_ms} ms")
            await asyncio.sleep(TICK_S)

    def _tell(self, device: str, up: bool, why: str = "") -> None:
        if self._told_up[device] is not up:
            self._told_up[device] = up
            self._sink(Health(device, up, why))

    def _count(self, name: str) -> None:
        self._book.count(name)

    # -- who calls --------------------------------------------------------------------------------------------------------

    def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        """Before the handshake is answered: is it one of ours, and who it says."""
        point = self._points.get(_identity(request))
        if point is None:
            self._count("calls-unknown")
            return connection.respond(HTTPStatus.NOT_FOUND, "no such charge point\n")
        if not _admitted(point, request):
            self._count("calls-refused")
            response = connection.respond(HTTPStatus.UNAUTHORIZED, "identity or password is wrong\n")
            response.headers["WWW-Authenticate"] = 'Basic realm="gatectl"'
            return response
        return None

    async def _met(self, connection: ServerConnection) -> None:
        """One connection, until it ends."""
        request = connection.request
        assert request is not None
        device = self._points[_identity(request)].device
        if connection.subprotocol is None:
            self._count("calls-without-protocol")
            return
        before = self._calls.get(device)
        calls = Calls(device, connection.subprotocol, connection.send, self._ask, self._count)
        self._calls[device] = (connection, calls)
        self._alone_since_ms[device] = None
        if before is not None:
            self._count("calls-again")
            self._later(before[0].close())
        self._tell(device, True)
        try:
            async for raw in connection:
                await calls.received(raw)
        except ConnectionClosed:
            self._count("connections-lost")
        except Exception:  # noqa: BLE001  # a bug ends the link, and says so
            self.failed = traceback.format_exc()
            assert self._stop is not None
            self._stop.set()
        finally:
            calls.lost()
            if self._calls.get(device, (None, None))[1] is calls:
                del self._calls[device]
                self._alone_since_ms[device] = self._clock.monotonic_ms()

    def _later(self, what: Any) -> None:
        task = asyncio.ensure_future(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- questions and orders -----------------------------------------------------------------------------------------------

    async def _ask(self, report: ChargerReport) -> tuple[bool, Mapping[str, Any]] | None:
        key = (report.device, report.request)
        answer: asyncio.Future[tuple[bool, Mapping[str, Any]]] = asyncio.get_running_loop().create_future()
        self._asked[key] = answer
        try:
            self._sink(report)
            return await asyncio.wait_for(answer, ANSWER_S_MAX)
        except TimeoutError:
            return None
        finally:
            del self._asked[key]

    def _take_orders(self) -> None:
        while (taken := self._book.take(_whoever)) is not None:
            device, order, _ = taken
            if isinstance(order, StationAnswer):
                self._answered(device, order)
            elif isinstance(order, Steer):
                self._later(self._steer(device, order))
            else:
                self._outcome(device, order, Result.REFUSED, f"a charge point cannot {type(order).__name__}")

    def _answered(self, device: str, order: StationAnswer) -> None:
        waiting = self._asked.get((device, order.request))
        if waiting is None or waiting.done():
            self._outcome(device, order, Result.REFUSED, "no such request waits for an answer")
            return
        waiting.set_result((order.ok, order.data))
        self._outcome(device, order, Result.CONFIRMED)

    async def _steer(self, device: str, order: Steer) -> None:
        found = self._calls.get(device)
        if self._clock.monotonic_ms() >= order.deadline_ms:
            self._outcome(device, order, Result.REFUSED, "expired")
        elif found is None:
            self._outcome(device, order, Result.REFUSED, "not connected")
        else:
            try:
                result, why = await found[1].steer(order.act, order.connector, order.about)
            except ConnectionClosed:
                result, why = Result.UNKNOWN, "the connection was lost"
            self._outcome(device, order, result, why)

    def _outcome(self, device: str, order: Order, result: Result, detail: str = "") -> None:
        outcome = Outcome(device, order.order, result, detail)
        if self._book.strike(outcome):
            self._sink(outcome)


def _nobody(signal: Any) -> None:
    """Hears nothing: before the start."""


def _whoever(device: str) -> str:
    """No device is refused an order here: what becomes of it, it is told by kind."""
    return ""


def _identity(request: Request) -> str:
    return unquote(urlsplit(request.path).path.rstrip("/").rpartition("/")[2])


def _admitted(point: PointOptions, request: Request) -> bool:
    """OCPP's security profile 1: HTTP basic, the identity and the password. A file that cannot be read admits nobody."""
    if not point.password_file:
        return True
    try:
        wanted = Path(point.password_file).read_bytes().split(b"\n", 1)[0].rstrip(b"\r")
        scheme, _, told = request.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(told.strip(), validate=True).partition(b":")
    except (OSError, ValueError, binascii.Error, LookupError):
        return False
    known = hmac.compare_digest(user, point.identity.encode()) and hmac.compare_digest(password, wanted)
    return scheme.lower() == "basic" and known and 0 < len(wanted) <= PASSWORD_BYTES_MAX
