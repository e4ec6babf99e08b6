"""A connection to an MQTT broker with its thread: moves messages between a broker and the engines of its devices. What there
is to decide, `mqtt_core` does.

Rule 1: one thread calls the engines and every function of paho but `connect`, which blocks and so has a thread of its
        own while it lasts. Nothing is queued between broker and engine: a message waits in the kernel or is handled.
Rule 2: QoS 0 for everything we publish. QoS 1 keeps an order for the next connection: an "open" was measured to arrive
        7 s late, message expiry notwithstanding. Nothing published survives the connection it was published on.
Rule 3: a client that lost its connection is thrown away, and so are the bytes it had not sent (the socket is reset, not
        closed). The next one starts clean and asks its devices for their state anew.
Rule 4: an engine that raises has a bug. The link is closed, its devices are reported lost, `failed` says why, and
        `turns` stands still: the watchdog hears of it. Whatever paho raises ends the connection, not the thread.
"""

import contextlib
import os
import random
import select
import threading
import traceback
from collections.abc import Mapping
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from drivers.api import Clock, MqttEngine, Order, PortSpec, Publish, Signal, Sink
from drivers.broker_options import broker_of
from drivers.links.monotonic import Monotonic
from drivers.links.mqtt_client import (
    READ_BYTES_MAX,
    Client,
    Dial,
    farewell,
    fileno,
    pending,
    reason,
    reset,
)
from drivers.links.mqtt_core import MqttCore
from drivers.links.orders import LinkGone

TURN_MS_MAX: Final = 250
"""The thread turns at least this often, idle or not."""
WAKE_MS_MIN: Final = 1
GREETING_MS_MAX: Final = 5_000
"""From TCP's connection to the broker's answer to our subscriptions."""
CLOSE_MS_MAX: Final = 10_000


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
        self._clock = clock or Monotonic()
        self._will = will
        spread = jitter or random.Random()  # noqa: S311 - spreads reconnects, guards nothing
        self._core = MqttCore(port.name, engines, self._tell, spread)
        self._sink: Sink | None = None
        self._thread: threading.Thread | None = None
        self._close_lock = threading.Lock()
        self._lock = self._core.orders.lock
        self._nudged = False  # shared with callers of `nudge`, under the lock
        self._wake_read, self._wake_write = -1, -1
        # The bus' thread only:
        self._dial: Dial | None = None
        self._client: Client | None = None
        self._gone = ""
        self._greeted_by_ms = 0
        self._arrived: list[tuple[str, bytes, bool]] = []
        self._granted: list[ReasonCode] | None = None

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
        refusal = self._core.orders.put(device, order, self._wake)
        if refusal is not None:
            self._sink(refusal)

    def nudge(self) -> None:
        """Have every engine polled now: something was changed in one of them. For the simulators."""
        with self._lock:
            if not self._core.orders.shut and self._thread is not None:
                self._nudged = True
                self._wake()

    def counters(self) -> Mapping[str, int]:
        """The link's own, prefixed `link-`, and each engine's, prefixed with its device."""
        return self._core.counters()

    def close(self) -> None:
        """Stop the thread and let go of the broker. Twice is once. Waiting orders are answered before it returns."""
        with self._close_lock:
            with self._lock:
                self._core.orders.shut = True
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

    def _tell(self, signal: Signal) -> None:
        assert self._sink is not None
        self._sink(signal)

    # -- the bus' thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._core.orders.shut:
                self._turn()
            self._part()
        except Exception as bug:  # noqa: BLE001 - rule 4: it ends this link, is kept in `failed`, and stops the watchdog
            self.failed = traceback.format_exc()
            self._give_up(f"driver failed: {type(bug).__name__}: {bug}")
        finally:
            self._let_go()
            if self._dial is not None and self._dial.done.wait(CLOSE_MS_MAX / 1000) and self._dial.client is not None:
                reset(self._dial.client)

    def _turn(self) -> None:
        self.turns += 1
        now_ms = self._clock.monotonic_ms()
        if self._client is None and self._dial is None and now_ms >= self._core.dial_at_ms:
            self._core.orders.count("dialled")
            self._dial = Dial(self._broker, self._will, self._dialled)
        readable = self._wait()
        try:
            self._take_dialled()
            if self._client is not None:
                self._pump(self._client, readable)
                self._greet()
                self._deliver()
            with self._lock:
                nudged, self._nudged = self._nudged, False
            self._core.turn(self._clock.monotonic_ms(), all_engines=nudged)
            self._flush()
        except LinkGone as gone:
            self._lose(str(gone))

    def _wait(self) -> bool:
        """Wait for the broker, orders, a dial or an engine's wake. True if the socket has bytes, or is gone."""
        now_ms = self._clock.monotonic_ms()
        until_ms = min(now_ms + TURN_MS_MAX, self._core.wake_at_ms or now_ms + TURN_MS_MAX)
        if self._client is None and self._dial is None:
            until_ms = min(until_ms, self._core.dial_at_ms)
        unseen = self._client is not None and pending(self._client)
        poller = select.poll()
        poller.register(self._wake_read, select.POLLIN)
        wire = -1
        if self._client is not None:
            wire = fileno(self._client)
            poller.register(wire, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        rest_ms = 0 if self._core.busy or unseen else max(until_ms - now_ms, WAKE_MS_MIN)
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
            self._core.orders.count("dial-failed")
            raise LinkGone(dial.why)
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
        elif self._core.filters:
            client.subscribe([(topic, 0) for topic, _ in self._core.filters])
        else:
            self._granted = []

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Any) -> None:
        self._granted = codes

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            self._arrived.append((message.topic, bytes(message.payload), bool(message.retain)))
        except UnicodeDecodeError:
            self._core.orders.count("topics-malformed")

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._gone = self._gone or f"connection lost: {code}"

    def _pump(self, client: Client, readable: bool) -> None:
        try:
            code = client.loop_read() if readable else MQTTErrorCode.MQTT_ERR_SUCCESS
            if not code and client.want_write():
                code = client.loop_write()
            if not code:
                code = client.loop_misc()
        except Exception as error:  # rule 4: for instance at what a broker sends
            self._core.orders.count("paho-raised")
            raise LinkGone(reason(error)) from error
        if code or client.socket() is None or self._gone:
            raise LinkGone(self._gone or mqtt.error_string(code))

    def _greet(self) -> None:
        """Once the broker has answered our subscriptions, tell the engines. It has only so long."""
        if self._core.is_up:
            return
        now_ms = self._clock.monotonic_ms()
        if self._granted is None:
            if now_ms > self._greeted_by_ms:
                raise LinkGone(f"the broker did not greet us within {GREETING_MS_MAX} ms")
            return
        answers = zip(self._core.filters, self._granted, strict=False)
        self._core.connected({device: topic for (topic, device), code in answers if code.is_failure}, now_ms)

    def _deliver(self) -> None:
        arrived, self._arrived = self._arrived, []
        for topic, payload, retained in arrived:
            self._core.arrived(topic, payload, retained, self._clock.monotonic_ms())

    def _flush(self) -> None:
        """Give paho one message at a time, so that what waits can still be dropped when it is late."""
        if self._client is None or not self._core.is_up:
            return
        while not self._client.want_write():
            message = self._core.next_message(self._clock.monotonic_ms())
            if message is None:
                break
            try:
                self._client.publish(message.topic, message.payload, qos=0, retain=message.retain)
            except (OSError, ValueError) as error:  # paho raises ValueError for a topic it does not like
                raise LinkGone(reason(error)) from error
        self._core.check_stall(self._clock.monotonic_ms())

    def _lose(self, why: str) -> None:
        """Throw the connection away; the core plans when to try again."""
        self._reset()
        self._core.lose(why, self._clock.monotonic_ms())

    def _part(self) -> None:
        """Close on purpose. A device (`will`) leaves without a word, so that the broker speaks for it."""
        if self._client is not None and self._core.is_up and self._will is None:
            farewell(self._client)
        self._lose("the link is closed")

    def _give_up(self, why: str) -> None:
        with self._lock:
            self._core.orders.shut = True
        # The sink itself may be what raised; `failed` is kept, and the watchdog starves, either way.
        with contextlib.suppress(Exception):
            self._core.give_up(why)

    def _let_go(self) -> None:
        self._reset()
        self._core.let_go()

    def _reset(self) -> None:
        if self._client is not None:
            reset(self._client)
        self._client = None
        self._arrived.clear()
