"""The frames of Shelly Gen2+ devices over MQTT, as values. Sans-IO.

Source: Shelly API documentation, Gen2 Device API: "RPC Protocol" (frames), "RPC Channels" (MQTT: requests on
`<id>/rpc`, responses on `<src>/rpc`, notifications on `<id>/events/rpc`), "Notifications" (NotifyStatus carries what
has changed), components "Switch" (Switch.Set with `toggle_after` in seconds, result `was_on`) and "Input" (`state` is
null for a button).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from drivers.codecs import json_message
from drivers.codecs.json_message import Malformed

RPC_ID_MAX: Final = 2**31 - 1
INDEX_MAX: Final = 99


@dataclass(frozen=True, slots=True)
class Request:
    """A call. The answer comes to `<src>/rpc` and bears `id`."""

    id: int
    src: str
    method: str
    params: Mapping[str, object] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        frame: dict[str, object] = {"id": self.id, "src": self.src, "method": self.method}
        if self.params:
            frame["params"] = dict(self.params)
        return json_message.write(frame)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Raises Malformed."""
        frame = json_message.read(payload)
        number, src, method = frame.get("id"), frame.get("src"), frame.get("method")
        params = frame.get("params", {})
        if type(number) is not int or not isinstance(src, str) or not isinstance(method, str):
            raise Malformed("a request has id, src and method")
        if not isinstance(params, dict):
            raise Malformed("params is an object")
        return cls(number, src, method, params)


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a call: `result`, or else `code` and `message` of an error."""

    id: int
    src: str
    dst: str
    result: Mapping[str, Any] | None = None
    code: int = 0
    message: str = ""

    def to_bytes(self) -> bytes:
        frame: dict[str, object] = {"id": self.id, "src": self.src, "dst": self.dst}
        if self.result is not None:
            frame["result"] = dict(self.result)
        else:
            frame["error"] = {"code": self.code, "message": self.message}
        return json_message.write(frame)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Raises Malformed."""
        frame = json_message.read(payload)
        number, src, dst = frame.get("id"), frame.get("src"), frame.get("dst")
        result, error = frame.get("result"), frame.get("error")
        if type(number) is not int or not isinstance(src, str) or not isinstance(dst, str):
            raise Malformed("a response has id, src and dst")
        if isinstance(result, dict) and error is None:
            return cls(number, src, dst, result)
        if isinstance(error, dict) and type(error.get("code")) is int:
            return cls(number, src, dst, None, error["code"], json_message.printable(error.get("message")))
        raise Malformed("a response has a result or an error with its code")


def notified(payload: bytes) -> Mapping[str, Any] | None:
    """What a NotifyStatus says has changed; None for other notifications (events, other methods). Raises Malformed."""
    frame = json_message.read(payload)
    if not isinstance(frame.get("method"), str):
        raise Malformed("a notification has a method")
    if frame["method"] != "NotifyStatus":
        return None
    params = frame.get("params")
    if not isinstance(params, dict):
        raise Malformed("params is an object")
    return params


def pushed(topic: str, payload: bytes) -> Mapping[str, Any]:
    """What `<id>/status/<component>` says, in the shape of a status; it is always whole. Raises Malformed."""
    name, body = topic.rpartition("/")[2], json_message.read(payload)
    if name.startswith("input:") and "state" not in body:
        raise Malformed("an input has a state")
    return {name: body}


@dataclass(frozen=True, slots=True)
class States:
    """Inputs and outputs by number, as far as a status names them. An input that is None has no state: a button."""

    inputs: Mapping[int, bool | None]
    outputs: Mapping[int, bool]


def states(components: Mapping[str, Any]) -> States:
    """The inputs and switches in a (partial) status of a device. Raises Malformed for one that makes no sense."""
    inputs: dict[int, bool | None] = {}
    outputs: dict[int, bool] = {}
    for name, body in components.items():
        kind, colon, index = name.partition(":")
        if not colon or kind not in ("input", "switch"):
            continue
        if not index.isascii() or not index.isdigit() or int(index[:3]) > INDEX_MAX or not isinstance(body, dict):
            raise Malformed("a component has a number and is an object")
        if kind == "input" and "state" in body:
            inputs[int(index)] = _state(body["state"])
        elif kind == "switch" and "output" in body:
            output = _state(body["output"])
            if output is None:
                raise Malformed("an output is true or false")
            outputs[int(index)] = output
    return States(inputs, outputs)


def _state(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise Malformed("a state is true, false or null")
    return value
