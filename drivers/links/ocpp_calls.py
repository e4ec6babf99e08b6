"""One connected charge point: its messages taken apart and answered, and what we ask of it. The only user of the ocpp library.

Rule 1: a request is answered after the site has answered, and the next one is read after that: what the site has not put
on disk is never acknowledged, and a charge point that floods waits for itself.
Rule 2: what is malformed, unknown or does not fit its schema is counted and refused by OCPP's own error; it never raises.
Rule 3: we ask one thing at a time. An answer that nothing waits for is dropped and counted.
"""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from ocpp import messages
from ocpp.exceptions import OCPPError
from ocpp.messages import Call, CallError, CallResult

from drivers.api import ChargerReport, Result
from drivers.codecs import ocpp as codec

messages.ASYNC_VALIDATION = False
"""Schemas are checked on the link's own thread: payloads are small, and a pool of threads is more than they are worth."""

SCHEMAS: Final[Mapping[str, str]] = {codec.V16: "1.6", codec.V201: "2.0.1"}
ID_CHARS_MAX: Final = 64
CALL_S_MAX: Final = 30.0
"""How long a charge point may take to say whether it will do what it was asked."""

Ask = Callable[[ChargerReport], Awaitable[tuple[bool, Mapping[str, Any]] | None]]
"""Hand a report to the site and wait for its answer: whether it was taken, and what it says; None: it did not answer in time."""
Send = Callable[[str], Awaitable[None]]
Count = Callable[[str], None]


class Calls:
    """The conversation on one connection. Called from the link's loop only."""

    def __init__(self, device: str, protocol: str, send: Send, ask: Ask, count: Count) -> None:
        self._device = device
        self._protocol = protocol
        self._send = send
        self._ask = ask
        self._count = count
        self._asking = asyncio.Lock()
        self._awaited: dict[str, asyncio.Future[Any]] = {}
        self._starts = 0
        self._seen: dict[str, int] = {}

    async def received(self, raw: str | bytes) -> None:
        """Take one message apart; answer it if it is a request."""
        message = self._unpacked(raw)
        if isinstance(message, Call):
            await self._send(await self._answered(message))
        elif message is not None:
            awaited = self._awaited.pop(message.unique_id, None)
            if awaited is None or awaited.done():
                self._count("answers-unasked")
            else:
                awaited.set_result(message)

    def _unpacked(self, raw: str | bytes) -> Any:
        try:
            message = messages.unpack(raw)
        except (OCPPError, ValueError, TypeError, RecursionError):
            self._count("messages-malformed")
            return None
        known = isinstance(message.unique_id, str) and len(message.unique_id) <= ID_CHARS_MAX
        if isinstance(message, Call):
            known = known and isinstance(message.action, str) and isinstance(message.payload, dict)
        if not known:
            self._count("messages-malformed")
            return None
        return message

    async def _answered(self, call: Any) -> str:
        action = codec.ACTIONS[self._protocol].get(call.action)
        if action is None:
            self._count("requests-unknown")
            return _error(call, "NotImplemented", "this request is not understood here")
        try:
            await messages.validate_payload(call, SCHEMAS[self._protocol])
        except OCPPError as error:
            self._count("requests-misshapen")
            return _error(call, error.code, "the payload does not fit its schema")
        told = action.read(call.payload)
        if told is None:
            return _result(call, action.write({}))
        self._look_for_gaps(call.payload)
        words = tuple(told.words.items())
        report = ChargerReport(self._device, uuid.uuid4().hex[:16], told.what, told.connector, words)
        answer = await self._ask(report)
        if answer is None:
            self._count("requests-unanswered")
            return _error(call, "InternalError", "the site did not answer in time; send it again")
        ok, data = answer
        if not ok:
            self._count("requests-refused")
        if "now_ms" not in data and told.what in ("boot", "beat"):
            return _error(call, "InternalError", "the site does not know the time")
        return _result(call, action.write(data if ok else {}))

    def _look_for_gaps(self, payload: Mapping[str, Any]) -> None:
        """Transaction events are numbered: one that is missing was lost by the charge point."""
        number = payload.get("seqNo")
        if not isinstance(number, int):
            return
        name = str(payload["transactionInfo"]["transactionId"])
        if number > self._seen.get(name, number - 1) + 1:
            self._count("events-missing")
        self._seen = {name: max(number, self._seen.get(name, 0))}

    # -- what we ask ----------------------------------------------------------------------------------------------------

    async def steer(self, act: str, connector: int, about: str) -> tuple[Result, str]:
        """Ask the charge point to start or to stop; what became of it."""
        if act == "start":
            self._starts += 1
            action, payload = codec.start_call(self._protocol, connector, about, self._starts)
        else:
            found = codec.stop_call(self._protocol, about)
            if found is None:
                return Result.REFUSED, f"it has no transaction {about}"
            action, payload = found
        async with self._asking:
            return await self._called(Call(uuid.uuid4().hex, action, dict(payload)))

    async def _called(self, call: Any) -> tuple[Result, str]:
        awaited: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._awaited[call.unique_id] = awaited
        try:
            await self._send(call.to_json())
            answer = await asyncio.wait_for(awaited, CALL_S_MAX)
        except TimeoutError:
            return Result.UNKNOWN, f"no answer within {CALL_S_MAX:.0f} s"
        except asyncio.CancelledError:
            if awaited.cancelled():
                return Result.UNKNOWN, "the connection was lost"
            raise
        finally:
            self._awaited.pop(call.unique_id, None)
        if not isinstance(answer, CallResult) or not isinstance(answer.payload, dict):
            return Result.REFUSED, codec.plain(getattr(answer, "error_code", "")) or "refused"
        status = codec.plain(answer.payload.get("status"))
        return (Result.CONFIRMED if status == "Accepted" else Result.REFUSED), status

    def lost(self) -> None:
        """The connection is gone: nobody answers any more."""
        for awaited in list(self._awaited.values()):
            awaited.cancel()


def _result(call: Any, payload: Mapping[str, Any]) -> str:
    return json.dumps([CallResult.message_type_id, call.unique_id, payload], separators=(",", ":"))


def _error(call: Any, code: str, what: str) -> str:
    return json.dumps([CallError.message_type_id, call.unique_id, code, what, {}], separators=(",", ":"))
