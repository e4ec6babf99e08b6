"""A charge point to talk to: the other end of OCPP 1.6 and 2.0.1, on the ocpp library's own ChargePoint, with its faults.

A `ChargePointSim` has a loop and a thread of its own; every method waits until the central system has answered. What a charge
point of the field does wrong, it does on demand: `vanish` (the connection is cut in the middle), `reboot`, `offline` (what
happens is queued and told later, in order), `repeat` (the last transaction message once more), a meter that goes backwards
(`end(meter_wh=...)`), `fault`, and `say`, which sends whatever bytes.
"""

import asyncio
import contextlib
import logging
import threading
from base64 import b64encode
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Final, Self, TypeVar

import ocpp.v16
import ocpp.v16.call
import ocpp.v16.call_result
import ocpp.v201
import ocpp.v201.call
import ocpp.v201.call_result
from ocpp.routing import on
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from drivers.codecs.ocpp import V16, V201

T = TypeVar("T")
WAIT_S_MAX: Final = 15.0
START_MS: Final = 1_780_000_000_000
_SILENT: Final = logging.getLogger("drivers.sim.ocpp")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class _Station16(ocpp.v16.ChargePoint):
    sim: "ChargePointSim"

    @on("RemoteStartTransaction")
    def on_start(self, id_tag: str, **_: Any) -> Any:
        return ocpp.v16.call_result.RemoteStartTransaction(self.sim.asked("start", id_tag))

    @on("RemoteStopTransaction")
    def on_stop(self, transaction_id: int) -> Any:
        return ocpp.v16.call_result.RemoteStopTransaction(self.sim.asked("stop", str(transaction_id)))


class _Station201(ocpp.v201.ChargePoint):
    sim: "ChargePointSim"

    @on("RequestStartTransaction")
    def on_request_start(self, id_token: dict[str, Any], **_: Any) -> Any:
        return ocpp.v201.call_result.RequestStartTransaction(self.sim.asked("start", id_token["id_token"]))

    @on("RequestStopTransaction")
    def on_request_stop(self, transaction_id: str, **_: Any) -> Any:
        return ocpp.v201.call_result.RequestStopTransaction(self.sim.asked("stop", transaction_id))


class ChargePointSim:
    """One charge point. `asks` are what it was asked to do; `obeys` whether it says that it will."""

    def __init__(self, address: str, identity: str, protocol: str, password: str = "", ssl: Any = None) -> None:
        self._address = f"{address}/{identity}"
        self._identity = identity
        self._protocol = protocol
        self._password = password
        self._ssl = ssl
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"sim-{identity}", daemon=True)
        self._thread.start()
        self._connection: ClientConnection | None = None
        self._station: Any = None
        self._reading: asyncio.Task[None] | None = None
        self._queued: list[Any] | None = None
        self._last: Any = None
        self.asks: list[tuple[str, str]] = []
        self.obeys = True
        self.now_ms = START_MS
        self.meter_wh = 1_000
        self.transaction = ""
        self._number = 0
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up and end the thread. Twice is once."""
        if self._thread.is_alive():
            self._do(self._part())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(WAIT_S_MAX)
            self._loop.close()

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(WAIT_S_MAX)

    # -- the connection ---------------------------------------------------------------------------------------------------

    def call(self) -> None:
        """Call the central system. Raises websockets' InvalidStatus when it refuses."""
        self._do(self._dial())

    async def _dial(self) -> None:
        told = b64encode(f"{self._identity}:{self._password}".encode()).decode()
        headers = {"Authorization": f"Basic {told}"} if self._password else {}
        self._connection = await connect(
            self._address,
            subprotocols=[Subprotocol(self._protocol)],
            additional_headers=headers,
            compression=None,
            ssl=self._ssl,
            logger=_SILENT,
        )
        made: Any = _Station16 if self._protocol == V16 else _Station201
        self._station = made(self._identity, self._connection, response_timeout=int(WAIT_S_MAX), logger=_SILENT)
        self._station.sim = self
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._station.start()

    async def _part(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        if self._reading is not None:
            await self._reading
        self._connection = self._reading = None

    def hang_up(self) -> None:
        self._do(self._part())

    def vanish(self) -> None:
        """The cable is cut: no goodbye."""

        async def cut() -> None:
            assert self._connection is not None
            self._connection.transport.abort()
            await self._part()

        self._do(cut())

    def say(self, text: str | bytes) -> None:
        """Whatever bytes."""

        async def send() -> None:
            assert self._connection is not None
            await self._connection.send(text)

        self._do(send())

    def reboot(self) -> None:
        """Power goes and comes: its transaction is forgotten."""
        self.vanish()
        self.transaction = ""
        self.call()
        self.boot()

    def offline(self) -> None:
        """Hang up; from now on what happens is queued."""
        self.hang_up()
        self._queued = []

    def online(self) -> list[Any]:
        """Call again, and tell what was queued, in order."""
        self.call()
        self.boot()
        queued, self._queued = self._queued or [], None
        return [self._tell(message) for message in queued]

    # -- what happens at it -----------------------------------------------------------------------------------------------

    def _time(self) -> str:
        return datetime.fromtimestamp(self.now_ms / 1000, UTC).isoformat().replace("+00:00", "Z")

    def _tell(self, message: Any) -> Any:
        if self._queued is not None:
            self._queued.append(message)
            return None
        return self._do(self._station.call(message, suppress=False))

    def boot(self) -> Any:
        if self._protocol == V16:
            return self._tell(ocpp.v16.call.BootNotification("AC22", "Maker", firmware_version="1.2.3"))
        station = {"model": "AC22", "vendorName": "Maker", "firmwareVersion": "1.2.3"}
        return self._tell(ocpp.v201.call.BootNotification(station, "PowerUp"))

    def beat(self) -> Any:
        return self._tell((ocpp.v16 if self._protocol == V16 else ocpp.v201).call.Heartbeat())

    def status(self, status: str, connector: int = 1, error: str = "NoError") -> Any:
        """A connector's status, in the words of its version of OCPP."""
        if self._protocol == V16:
            return self._tell(ocpp.v16.call.StatusNotification(connector, error, status, self._time()))
        return self._tell(ocpp.v201.call.StatusNotification(self._time(), status, connector, 1))

    def fault(self, connector: int = 1) -> Any:
        return self.status("Faulted", connector, "GroundFailure")

    def authorize(self, token: str) -> str:
        """What the central system says of a credential."""
        if self._protocol == V16:
            return str(self._tell(ocpp.v16.call.Authorize(token)).id_tag_info["status"])
        answer = self._tell(ocpp.v201.call.Authorize({"idToken": token, "type": "Local"}))
        return str(answer.id_token_info["status"])

    def begin(self, token: str = "", connector: int = 1) -> Any:
        """A transaction begins at the meter's reading."""
        if self._protocol == V16:
            message = ocpp.v16.call.StartTransaction(connector, token or "-", self.meter_wh, self._time())
            answer = self._transaction(message)
            self.transaction = str(answer.transaction_id) if answer is not None else "0"
            return answer
        self._number, self._sequence = self._number + 1, 0
        self.transaction = f"{self._identity}-{self._number}"
        return self._transaction(self._event("Started", token, connector=connector, context="Transaction.Begin"))

    def charge(self, wh: int, state: str = "") -> Any:
        """So much more flows, and the meter is told. `state`: 2.0.1's charging state, such as SuspendedEV."""
        self.meter_wh += wh
        if self._protocol == V16:
            sample = {"timestamp": self._time(), "sampledValue": [{"value": str(self.meter_wh), "unit": "Wh"}]}
            return self._tell(ocpp.v16.call.MeterValues(1, [sample], int(self.transaction)))
        return self._transaction(self._event("Updated", state=state))

    def end(self, meter_wh: int | None = None, reason: str = "EVDisconnected") -> Any:
        """The transaction ends; `meter_wh` is a reading that the meter never had."""
        reading = self.meter_wh if meter_wh is None else meter_wh
        if self._protocol == V16:
            message = ocpp.v16.call.StopTransaction(reading, self._time(), int(self.transaction), reason)
            return self._transaction(message)
        return self._transaction(self._event("Ended", meter_wh=reading, reason=reason, context="Transaction.End"))

    def _event(
        self,
        kind: str,
        token: str = "",
        *,
        connector: int = 1,
        meter_wh: int | None = None,
        state: str = "",
        reason: str | None = None,
        context: str = "Sample.Periodic",
    ) -> Any:
        info = {"transactionId": self.transaction, "chargingState": state or None, "stoppedReason": reason}
        value = (self.meter_wh if meter_wh is None else meter_wh) / 1000
        sample = {"value": value, "context": context, "unitOfMeasure": {"unit": "kWh"}}
        self._sequence += 1
        return ocpp.v201.call.TransactionEvent(
            event_type=kind,
            timestamp=self._time(),
            trigger_reason="MeterValuePeriodic",
            seq_no=self._sequence,
            transaction_info={name: text for name, text in info.items() if text is not None},
            meter_value=[{"timestamp": self._time(), "sampledValue": [sample]}],
            offline=self._queued is not None,
            evse={"id": connector} if kind == "Started" else None,
            id_token={"idToken": token, "type": "Local"} if token else None,
        )

    def _transaction(self, message: Any) -> Any:
        self._last = message
        return self._tell(message)

    def repeat(self) -> Any:
        """The last transaction message once more: its answer was lost."""
        return self._tell(self._last)

    def asked(self, act: str, about: str) -> str:
        """Called by the central system, on the loop's thread."""
        self.asks.append((act, about))
        return "Accepted" if self.obeys else "Rejected"


PROTOCOLS: Final = (V16, V201)
