"""A connection to an MQTT broker with its thread: moves messages between a broker and the engines of its devices.

Rule 1: one thread calls the engines and every function of paho but `connect`, which blocks and so has a thread of its
        own while it lasts. Nothing is queued between broker and engine: a message waits in the kernel or is handled.
Rule 2: QoS 0 for everything we publish. QoS 1 keeps an order for the next connection: an "open" was measured to arrive
        7 s late, message expiry notwithstanding. Nothing published survives the connection it was published on.
Rule 3: a client that lost its connection is thrown away, and so are the bytes it had not sent (the socket is reset, not
        closed). The next one starts clean and asks its devices for their state anew.
Rule 4: an order for a link that is not up is refused here; the engine never sees it.
Rule 5: every order is answered by exactly one Outcome. What an engine leaves unanswered when the link is lost becomes
        UNKNOWN, a second answer is dropped and counted.
Rule 6: an engine that raises has a bug. The link is closed, its devices are reported lost, `failed` says why, and
        `turns` stands still: the watchdog hears of it. Whatever paho raises ends the connection, not the thread.
"""

import contextlib
import os
import random
import select
import threading
import traceback
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from drivers.api import (
    ORDERS_WAITING_MAX,
    Clock,
    Health,
    MqttEngine,
    Order,
    Outcome,
    PortSpec,
    Publish,
    Result,
    Signal,
    Sink,
)
from drivers.broker_options import broker_of
from drivers.links.monotonic import Monotonic
from drivers.links.mqtt_client import (
    READ_BYTES_MAX,
    WRITE_STALL_MS_MAX,
    Client,
    Dial,
    farewell,
    fileno,
    pending,
    reason,
    reset,
)

TURN_MS_MAX: Final = 250
"""The thread turns at least this often, idle or not."""
WAKE_MS_MIN: Final = 1
MESSAGE_BYTES_MAX: Final = 16 * 1024
"""A longer payload is refused and counted; the largest expected is a Shelly's whole status, about 4 KiB."""
PUBLISH_WAITING_MAX: Final = 64
"""Messages that wait for the socket to take them; one more ends the connection."""
GREETING_MS_MAX: Final = 5_000
"""From TCP's connection to the broker's answer to our subscriptions."""
RETRY_MS_FIRST: Final = 100
RETRY_MS_MAX: Final = 10_000
CLOSE_MS_MAX: Final = 10_000


class _LinkGoneError(Exception):
    """The connection cannot be used any more; the text says why."""


class MqttBus:
    """`drivers.api.Bus` for one broker; `engines` are by the name of their device, one each.

    The sink is called from the bus' thread, and from the caller's when an order is refused at once. It must not block.
    `will` is for the simulators, which are devices: the broker publishes it when the connection is lost or closed.
    `failed` holds the traceback of a bug that ended the thread, else it is empty.
    """

    def __init__(
        self,
        port: PortSpec,
        engines: Mapping[str, MqttEngine],
        clock: Clock | None = None,
        *,
        will: Publish | None = None,
        jitter: random.Random | None = None,
    ) -> None:
        self.name = port.name
        self.turns = 0
        self.failed = ""
        self._broker = broker_of(port)
        self._engines = dict(engines)
        self._clock = clock or Monotonic()
        self._will = will
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads reconnects, guards nothing
        self._counters: dict[str, int] = {}
        self._sink: Sink | None = None
        self._thread: threading.Thread | None = None
        self._close_lock = threading.Lock()
        # Shared with callers of `order`, `nudge` and `close`, under the lock:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, Order]] = deque()
        self._unanswered: dict[str, dict[str, bool]] = {device: {} for device in engines}  # was it handed to the engine
        self._nudged = False
        self._shut = False
        self._wake_read, self._wake_write = -1, -1
        # The bus' thread only:
        self._dial: Dial | None = None
        self._client: Client | None = None
        self._up = False
        self._gone = ""
        self._known_lost = False
        self._greeted_by_ms = 0
        self._up_since_ms = 0
        self._retry_at_ms = 0
        self._retry_wait_ms = RETRY_MS_FIRST
        self._arrived: deque[tuple[str, bytes, bool]] = deque()
        self._granted: list[ReasonCode] | None = None
        self._deaf: dict[str, str] = {}  # device -> the subscription that the broker refuses
        self._out: deque[Publish] = deque()
        self._out_moved_at_ms = 0
        self._touched = set(engines)
        self._wake_at_ms: dict[str, int] = {}
        self._filters = tuple((topic, device) for device, engine in engines.items() for topic in engine.subscriptions)
        self._exact: dict[str, list[str]] = {}
        for topic, device in self._filters:
            if not {"+", "#"} & set(topic):
                self._exact.setdefault(topic, []).append(device)
        self._wild = tuple((topic, device) for topic, device in self._filters if {"+", "#"} & set(topic))

    # -- anyone's thread ----------------------------------------------------------------------------------------------

    def start(self, sink: Sink) -> None:
        assert self._thread is None, "a bus starts once"
        self._sink = sink
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{self.name}", daemon=True)
        self._thread.start()

    def order(self, device: str, order: Order) -> None:
        """Hand over an order. Answered by one Outcome; an id that is waiting already is the same order."""
        assert self._sink is not None, "order before start"
        refusal = ""
        with self._lock:
            unanswered = self._unanswered.get(device)
            if self._shut:
                refusal = "the link is closed"
            elif unanswered is None:
                refusal = f"no device {device!r} on port {self.name!r}"
            elif order.order in unanswered:
                self._count("orders-repeated")
            elif len(unanswered) >= ORDERS_WAITING_MAX:
                refusal = "queue full"
            else:
                unanswered[order.order] = False
                self._waiting.append((device, order))
                self._wake()
        if refusal:
            self._count("orders-refused")
            self._sink(Outcome(device, order.order, Result.REFUSED, refusal))

    def nudge(self) -> None:
        """Have every engine polled now: something was changed in one of them. For the simulators."""
        with self._lock:
            if not self._shut and self._thread is not None:
                self._nudged = True
                self._wake()

    def counters(self) -> Mapping[str, int]:
        """The link's own, prefixed `link-`, and each engine's, prefixed with its device."""
        mine = {f"link-{name}": count for name, count in self._counters.copy().items()}
        engines = self._engines.items()
        return mine | {f"{device}.{name}": count for device, e in engines for name, count in e.counters.copy().items()}

    def close(self) -> None:
        """Stop the thread and let go of the broker. Twice is once. Waiting orders are answered before it returns."""
        with self._close_lock:
            with self._lock:
                self._shut = True
                if self._thread is None:
                    return
                self._wake()
            assert threading.current_thread() is not self._thread, "a sink must not close its own bus"
            self._thread.join(CLOSE_MS_MAX / 1000)
            assert not self._thread.is_alive(), f"port {self.name!r} did not stop within {CLOSE_MS_MAX} ms"
            self._thread = None
            with self._lock:  # a dial that is given up may still want to wake us
                os.close(self._wake_read)
                os.close(self._wake_write)
                self._wake_read, self._wake_write = -1, -1

    def _wake(self) -> None:
        # A full pipe has woken the thread already.
        if self._wake_write >= 0:
            with contextlib.suppress(BlockingIOError):
                os.write(self._wake_write, b"!")

    def _dialled(self) -> None:
        with self._lock:
            self._wake()

    def _count(self, name: str, by: int = 1) -> None:
        self._counters[name] = self._counters.get(name, 0) + by

    # -- the bus' thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._shut:
                self._turn()
            self._part()
        except Exception as bug:  # noqa: BLE001 - rule 6: it ends this link, is kept in `failed`, and stops the watchdog
            self.failed = traceback.format_exc()
            self._give_up(f"{type(bug).__name__}: {bug}")
        finally:
            self._let_go()
            if self._dial is not None and self._dial.done.wait(CLOSE_MS_MAX / 1000) and self._dial.client is not None:
                reset(self._dial.client)

    def _turn(self) -> None:
        self.turns += 1
        now_ms = self._clock.monotonic_ms()
        if self._client is None and self._dial is None and now_ms >= self._retry_at_ms:
            self._count("dialled")
            self._dial = Dial(self._broker, self._will, self._dialled)
        readable = self._wait()
        try:
            self._take_dialled()
            if self._client is not None:
                self._pump(self._client, readable)
                self._greet()
                self._deliver()
            self._take_orders()
            self._poll_engines()
            self._flush()
        except _LinkGoneError as gone:
            self._lose(str(gone))

    def _wait(self) -> bool:
        """Wait for the broker, orders, a dial or an engine's wake. True if the socket has bytes, or is gone."""
        now_ms = self._clock.monotonic_ms()
        until_ms = min([now_ms + TURN_MS_MAX, *self._wake_at_ms.values()])
        if self._client is None and self._dial is None:
            until_ms = min(until_ms, self._retry_at_ms)
        unseen = self._client is not None and pending(self._client)
        poller = select.poll()
        poller.register(self._wake_read, select.POLLIN)
        wire = -1
        if self._client is not None:
            wire = fileno(self._client)
            poller.register(wire, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        rest_ms = 0 if self._touched or unseen else max(until_ms - now_ms, WAKE_MS_MIN)
        events = dict(poller.poll(rest_ms))
        if self._wake_read in events:
            os.read(self._wake_read, READ_BYTES_MAX)
        return unseen or bool(events.get(wire, 0) & ~select.POLLOUT)

    def _take_dialled(self) -> None:
        if self._dial is None or not self._dial.done.is_set():
            return
        dial, self._dial = self._dial, None
        dial.thread.join()
        if dial.client is None:
            self._count("dial-failed")
            raise _LinkGoneError(dial.why)
        client = self._client = dial.client
        self._gone, self._granted = "", None
        self._greeted_by_ms = self._clock.monotonic_ms() + GREETING_MS_MAX
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect

    # paho calls these from within `loop_read` and `loop_misc`, so on our thread. They only note.

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            self._gone = f"the broker refuses us: {code}"
        elif self._filters:
            client.subscribe([(topic, 0) for topic, _ in self._filters])
        else:
            self._granted = []

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Any) -> None:
        self._granted = codes

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._count("messages-in")
        if len(message.payload) > MESSAGE_BYTES_MAX:
            self._count("messages-oversized")
            return
        try:
            self._arrived.append((message.topic, bytes(message.payload), bool(message.retain)))
        except UnicodeDecodeError:
            self._count("topics-malformed")

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._gone = self._gone or f"connection lost: {code}"

    def _pump(self, client: Client, readable: bool) -> None:
        try:
            code = client.loop_read() if readable else MQTTErrorCode.MQTT_ERR_SUCCESS
            if not code and client.want_write():
                code = client.loop_write()
            if not code:
                code = client.loop_misc()
        except Exception as error:  # rule 6: for instance at what a broker sends
            self._count("paho-raised")
            raise _LinkGoneError(reason(error)) from error
        if code or client.socket() is None or self._gone:
            raise _LinkGoneError(self._gone or mqtt.error_string(code))

    def _greet(self) -> None:
        """Once the broker has answered our subscriptions, tell the engines. It has only so long."""
        if self._up:
            return
        now_ms = self._clock.monotonic_ms()
        if self._granted is None:
            if now_ms > self._greeted_by_ms:
                raise _LinkGoneError(f"the broker did not greet us within {GREETING_MS_MAX} ms")
            return
        self._count("connected")
        self._up, self._known_lost, self._up_since_ms = True, False, now_ms
        refused = [pair for pair, code in zip(self._filters, self._granted, strict=False) if code.is_failure]
        self._deaf = {device: f"the broker refuses us {topic}" for topic, device in refused}
        for device, engine in self._engines.items():
            self._touched.add(device)
            if device in self._deaf:
                engine.disconnected(now_ms, self._deaf[device])
            else:
                engine.connected(now_ms)

    def _deliver(self) -> None:
        while self._arrived:
            topic, payload, retained = self._arrived.popleft()
            devices = self._exact.get(topic, [])
            devices = devices + [device for sub, device in self._wild if mqtt.topic_matches_sub(sub, topic)]
            if not devices:
                self._count("messages-unrouted")
            for device in devices:
                self._engines[device].message(topic, payload, retained, self._clock.monotonic_ms())
                self._touched.add(device)

    def _take_orders(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                device, order = self._waiting.popleft()
                handed = self._up and device not in self._deaf
                self._unanswered[device][order.order] = handed
            if handed:
                self._touched.add(device)
                self._engines[device].order(device, order, self._clock.monotonic_ms())
            else:
                why = self._deaf.get(device, f"no connection to the broker of port {self.name!r}")
                self._emit(Outcome(device, order.order, Result.REFUSED, why))

    def _poll_engines(self) -> None:
        with self._lock:
            nudged, self._nudged = self._nudged, False
        now_ms = self._clock.monotonic_ms()
        due = {device for device, at_ms in self._wake_at_ms.items() if at_ms <= now_ms}
        for device in sorted(self._engines if nudged else self._touched | due):
            self._touched.discard(device)
            self._poll(device, self._clock.monotonic_ms())

    def _poll(self, device: str, now_ms: int) -> None:
        turn = self._engines[device].poll(now_ms)
        self._wake_at_ms.pop(device, None)
        if turn.wake_at_ms is not None:
            self._wake_at_ms[device] = turn.wake_at_ms
        for signal in turn.signals:
            self._emit(signal)
        if turn.publish and not self._up:
            self._count("publish-dropped", len(turn.publish))
        elif turn.publish:
            if not self._out:
                self._out_moved_at_ms = now_ms
            self._out.extend(turn.publish)

    def _flush(self) -> None:
        """Give paho one message at a time, so that what waits can still be dropped when it is late."""
        if self._client is None or not self._up:
            return
        while self._out and not self._client.want_write():
            now_ms = self._clock.monotonic_ms()
            message = self._out.popleft()
            self._out_moved_at_ms = now_ms
            if message.not_after_ms is not None and now_ms > message.not_after_ms:
                self._count("publish-late")
                continue
            try:
                self._client.publish(message.topic, message.payload, qos=0, retain=message.retain)
            except (OSError, ValueError) as error:  # paho raises ValueError for a topic it does not like
                raise _LinkGoneError(reason(error)) from error
            self._count("messages-out")
        if not self._out:
            return
        if self._clock.monotonic_ms() - self._out_moved_at_ms > WRITE_STALL_MS_MAX:
            raise _LinkGoneError(f"the broker took no byte for {WRITE_STALL_MS_MAX} ms")
        if len(self._out) > PUBLISH_WAITING_MAX:
            raise _LinkGoneError(f"more than {PUBLISH_WAITING_MAX} messages wait to be sent")

    def _emit(self, signal: Signal) -> None:
        assert self._sink is not None
        if isinstance(signal, Outcome):
            with self._lock:
                asked = self._unanswered.get(signal.device, {}).pop(signal.order, None) is not None
            if not asked:
                self._count("outcomes-unasked")
                return
        self._sink(signal)

    def _lose(self, why: str) -> None:
        """Throw the connection away, tell the engines once, and plan when to try again."""
        now_ms = self._clock.monotonic_ms()
        # A broker that lets us in and out again at once is not dialled in a tight loop; one that held starts afresh.
        if self._up and now_ms - self._up_since_ms >= RETRY_MS_MAX:
            self._retry_wait_ms = RETRY_MS_FIRST
        self._let_go()
        if not self._known_lost:
            self._known_lost = True
            self._count("lost")
            for device, engine in self._engines.items():
                engine.disconnected(now_ms, why)
                self._poll(device, now_ms)
        self._answer_rest(why)
        self._retry_at_ms = now_ms + round(self._retry_wait_ms * self._jitter.uniform(0.5, 1.0))
        self._retry_wait_ms = min(self._retry_wait_ms * 2, RETRY_MS_MAX)

    def _answer_rest(self, why: str) -> None:
        """Answer what the engines left open. What they were given may have acted; what still waits here has not."""
        with self._lock:
            everything = [
                (device, order, given) for device, some in self._unanswered.items() for order, given in some.items()
            ]
            waiting = [(device, order.order) for device, order in self._waiting] if self._shut else []
            if waiting:
                self._waiting.clear()  # nothing is added any more
        for device, order in [(device, order) for device, order, given in everything if given]:
            self._count("orders-left-open")
            self._emit(Outcome(device, order, Result.UNKNOWN, why))
        for device, order in waiting:
            self._emit(Outcome(device, order, Result.REFUSED, why))

    def _part(self) -> None:
        """Close on purpose. A device (`will`) leaves without a word, so that the broker speaks for it."""
        if self._client is not None and self._up and self._will is None:
            farewell(self._client)
        self._lose("the link is closed")

    def _give_up(self, why: str) -> None:
        """An engine or the sink has a bug: say so for every device, without asking the engines again."""
        with self._lock:
            self._shut = True
        # The sink itself may be what raised; `failed` is kept, and the watchdog starves, either way.
        with contextlib.suppress(Exception):
            self._answer_rest(f"driver failed: {why}")
            for device in self._engines:
                self._emit(Health(device, up=False, why=f"driver failed: {why}"))

    def _let_go(self) -> None:
        if self._client is not None:
            reset(self._client)
        self._client, self._up, self._deaf = None, False, {}
        self._arrived.clear()
        self._out.clear()
