"""The control socket: who may ask what, and what nobody can do to it."""

import getpass
import json
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gatectl.runtime import control
from gatectl.runtime.control import AlreadyServed, ControlServer
from gatectl.runtime.desk import Refused

DEADLINE_S = 10.0


class Desk:
    """Answers every question with what it was asked; `on` names questions that end otherwise."""

    def __init__(self) -> None:
        self.on: dict[str, Callable[..., Any]] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in self.on:
            return self.on[name]
        return lambda *about: {"schema": "test/1", "asked": [name, *map(repr, about)]}


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def server(path: Path, desk: Desk) -> Iterator[ControlServer]:
    server = ControlServer(path, desk)  # type: ignore[arg-type]  # it answers to every name
    server.start()
    yield server
    server.close()


def connected(path: Path) -> socket.socket:
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    caller.settimeout(DEADLINE_S)
    caller.connect(str(path))
    return caller


def said(path: Path, data: bytes) -> tuple[int, dict[str, Any]]:
    """Send raw bytes, and read the whole answer: status and body; (0, {}) if there is none."""
    with connected(path) as caller:
        caller.sendall(data)
        caller.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: caller.recv(65536), b""))
    if not answer:
        return 0, {}
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body.splitlines()[0])


def get(path: Path, target: str) -> tuple[int, dict[str, Any]]:
    return said(path, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def post(path: Path, target: str, body: object) -> tuple[int, dict[str, Any]]:
    data = json.dumps(body).encode()
    return said(path, f"POST {target} HTTP/1.1\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("/v1/status", ["status"]),
        ("/v1/lanes", ["lanes"]),
        ("/v1/lanes/IN-1", ["lane", "'IN-1'"]),
        ("/v1/lanes/IN%2F1", ["lane", "'IN/1'"]),
        ("/v1/printers", ["printers"]),
        ("/v1/tickets/000123-K7QF", ["ticket", "'000123-K7QF'"]),
        (
            "/v1/tickets?state=inside&since_ms=5&limit=7&q=K7",
            ["tickets", "TicketQuery(state='inside', since_ms=5, limit=7, q='K7', before_ms=None)"],
        ),
        ("/v1/tickets", ["tickets", "TicketQuery(state=None, since_ms=None, limit=50, q='', before_ms=None)"]),
        ("/v1/sync", ["sync"]),
        ("/v1/sync/prove", ["prove"]),
        (
            "/v1/events?after=0&lane=IN-1&kind=lane",
            ["events", "EventQuery(after=0, limit=50, lane='IN-1', kind='lane', since_ms=None)"],
        ),
    ],
)
def test_a_question_reaches_the_desk(server: ControlServer, path: Path, target: str, asked: list[str]) -> None:
    """Path and query become values; nothing of HTTP reaches the desk."""
    status, answer = get(path, target)

    assert (200, asked) == (status, answer["asked"])


def test_an_order_carries_the_callers_name_from_the_kernel(server: ControlServer, path: Path) -> None:
    """What the request says about who asks is not looked at."""
    body = {"reason": "ambulance", "request": "r-1", "who": "the mayor"}

    status, answer = post(path, "/v1/lanes/OUT-1/open", body)

    order = f"Order(who={getpass.getuser()!r}, reason='ambulance', request='r-1')"
    assert (200, ["hand", "'OUT-1'", "'open'", order]) == (status, answer["asked"])


def test_cash_reaches_the_desk_as_whole_numbers(server: ControlServer, path: Path) -> None:
    """Minor units, never a float."""
    body = {"ticket": "000123-K7QF", "method": "CASH", "tendered_minor": 500, "key": "k-1", "till": "till-2"}

    assert 200 == post(path, "/v1/payments", body)[0]
    assert 400 == post(path, "/v1/payments", {**body, "tendered_minor": 5.0})[0]
    assert 400 == post(path, "/v1/payments", {**body, "tendered_minor": True})[0]
    assert 400 == post(path, "/v1/payments", {**body, "tendered_minor": -1})[0]
    assert 400 == post(path, "/v1/payments", {**body, "method": "GOLD"})[0]


def test_a_refusal_is_told_with_cause_and_action(server: ControlServer, path: Path, desk: Desk) -> None:
    """gatectl.error/1, with the code's own status."""

    def refuse(*_: object) -> None:
        raise Refused("E-LANE-01", "the closing loop of OUT-1 is occupied", since_ms=4)

    desk.on["hand"] = refuse

    status, answer = post(path, "/v1/lanes/OUT-1/close", {"reason": "by hand", "request": "r-1"})

    assert 409 == status
    assert {"schema": "gatectl.error/1", "code": "E-LANE-01", "since_ms": 4} == {
        key: answer[key] for key in ("schema", "code", "since_ms")
    }
    assert {"message", "cause", "action", "see"} <= answer.keys()


LINE = b"GET /v1/status HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x00\xff\x00\xff\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /v1/status HTTP/0.9\r\n\r\n", 400),
        (b"GET v1/status HTTP/1.1\r\n\r\n", 400),
        (LINE + b"no colon\r\n\r\n", 400),
        (LINE + b" folded: x\r\n\r\n", 400),
        (LINE + b"X: " + b"y" * control.HEAD_BYTES_MAX + b"\r\n\r\n", 400),
        (b"GET /v1/nothing HTTP/1.1\r\n\r\n", 404),
        (b"GET /etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"DELETE /v1/status HTTP/1.1\r\n\r\n", 400),
        (b"POST /v1/lanes/IN-1/explode HTTP/1.1\r\n\r\n", 404),
        (b"GET /v1/tickets?limit=many HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/tickets?limit=1000000 HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/tickets?colour=red HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/tickets?" + b"&".join([b"q=x"] * 40) + b" HTTP/1.1\r\n\r\n", 400),
        (b"POST /v1/sync/now HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /v1/sync/now HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /v1/sync/now HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 400),
        (b"POST /v1/sync/now HTTP/1.1\r\nContent-Length: 5\r\n\r\n{nope", 400),
        (b"POST /v1/sync/now HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]", 400),
        (b"POST /v1/lanes/IN-1/open HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"", 0),
        (b"GET /v1/sta", 0),
        (b"POST /v1/sync/now HTTP/1.1\r\nContent-Length: 9\r\n\r\n{", 0),
    ],
    ids=repr,
)
def test_a_malformed_request_is_answered_by_name(server: ControlServer, path: Path, data: bytes, status: int) -> None:
    """A caller who does not speak the protocol gets a gatectl.error/1 (or nothing, if it left); the next is served."""
    found, answer = said(path, data)

    assert status == found
    assert ("gatectl.error/1" if status else None) == answer.get("schema")
    assert 200 == get(path, "/v1/status")[0]


def test_deeply_nested_json_is_refused(server: ControlServer, path: Path) -> None:
    """A parser that recurses is not a way to stop a thread."""
    data = b"[" * 60_000

    status, _ = said(path, b"POST /v1/sync/now HTTP/1.1\r\nContent-Length: 60000\r\n\r\n" + data)

    assert 400 == status


def test_a_defect_in_the_desk_is_one_answer(server: ControlServer, path: Path, desk: Desk) -> None:
    """A bug is told as E-BUG-01 and counted; the server goes on."""
    desk.on["status"] = lambda: {}["missing"]

    status, answer = get(path, "/v1/status")
    assert (500, "E-BUG-01") == (status, answer["code"])
    assert 200 == get(path, "/v1/lanes")[0]
    assert 1 == server.counters["failed"]


def test_a_request_that_trickles_is_cut_off(server: ControlServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is for the whole request, not for each byte."""
    monkeypatch.setattr(control, "REQUEST_S_MAX", 0.2)
    with connected(path) as caller:
        began = time.monotonic()
        caller.sendall(b"GET /v1/sta")
        answer = caller.recv(65536)

    assert b"E-USE-01" in answer
    assert time.monotonic() - began < DEADLINE_S


def test_one_caller_too_many_is_told_so(server: ControlServer, path: Path, desk: Desk) -> None:
    """Threads are bounded; the one that finds no place hears E-BUSY-01, and places come back."""
    go = threading.Event()
    arrived = threading.Semaphore(0)

    def slow() -> dict[str, Any]:
        arrived.release()
        assert go.wait(DEADLINE_S)
        return {}

    desk.on["status"] = slow
    with ExitStack() as stack:
        callers = []
        for _ in range(control.CONNECTIONS_MAX):
            callers.append(stack.enter_context(connected(path)))
            callers[-1].sendall(b"GET /v1/status HTTP/1.1\r\n\r\n")
            assert arrived.acquire(timeout=DEADLINE_S)
        one_more = stack.enter_context(connected(path))
        assert b"E-BUSY-01" in one_more.recv(65536)

        go.set()

        assert [True] * len(callers) == [caller.recv(65536).startswith(b"HTTP/1.1 200") for caller in callers]
    assert eventually(lambda: get(path, "/v1/lanes")[0] == 200)


def eventually(holds: Callable[[], bool]) -> bool:
    """True as soon as it holds, False when DEADLINE_S is over."""
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        if holds():
            return True
        threading.Event().wait(0.01)
    return False


# -- streams ------------------------------------------------------------------------------------------------------------


def test_a_stream_is_a_line_a_value_with_heartbeats(server: ControlServer, path: Path, desk: Desk) -> None:
    """NDJSON; an empty line says that the daemon is alive and nothing happened."""
    desk.on["inputs"] = lambda lane: iter([{"input": "arming"}, None, {"input": "closing"}])
    with connected(path) as caller:
        caller.sendall(b"GET /v1/lanes/IN-1/inputs HTTP/1.1\r\n\r\n")
        answer = b"".join(iter(lambda: caller.recv(65536), b""))

    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/x-ndjson" in head
    assert b'{"input":"arming"}\n\n{"input":"closing"}\n' == body


def test_a_stream_of_a_lane_that_is_not_there_is_refused(server: ControlServer, path: Path, desk: Desk) -> None:
    """The refusal comes with a status, as of any other question."""

    def inputs(lane: str) -> Iterator[dict[str, Any] | None]:
        raise Refused("E-NOT-01", f"there is no lane {lane}")
        yield None

    desk.on["inputs"] = inputs

    assert 404 == get(path, "/v1/lanes/IN-9/inputs")[0]


def test_a_watcher_who_leaves_frees_its_place(server: ControlServer, path: Path, desk: Desk) -> None:
    """The heartbeat finds out; the desk's iterator is closed."""
    closed = threading.Event()

    def stream(after: int | None) -> Iterator[dict[str, Any] | None]:
        try:
            while True:
                yield None
        finally:
            closed.set()

    desk.on["stream"] = stream
    with connected(path) as caller:
        caller.sendall(b"GET /v1/events/stream HTTP/1.1\r\n\r\n")
        assert caller.recv(64)

    assert closed.wait(DEADLINE_S)
    assert eventually(lambda: server.counters["gone"] == 1)


def test_watchers_leave_places_for_commands(server: ControlServer, path: Path, desk: Desk) -> None:
    """However many watch, an arm can still be closed."""
    go = threading.Event()

    def stream(after: int | None) -> Iterator[dict[str, Any] | None]:
        yield {"position": 1}
        assert go.wait(DEADLINE_S)

    desk.on["stream"] = stream
    watchers = [connected(path) for _ in range(control.STREAMS_MAX)]
    for watcher in watchers:
        watcher.sendall(b"GET /v1/events/stream HTTP/1.1\r\n\r\n")
        assert watcher.recv(15) == b"HTTP/1.1 200 OK"

    assert 503 == get(path, "/v1/events/stream")[0]
    assert 200 == get(path, "/v1/status")[0]

    go.set()
    for watcher in watchers:
        watcher.close()


def test_closing_ends_streams_and_waiting_callers(path: Path, desk: Desk) -> None:
    """A stop leaves no thread, no socket and no file, whoever is connected."""
    before = threading.active_count()
    desk.on["stream"] = lambda after: iter(lambda: time.sleep(0), "never")
    server = ControlServer(path, desk)  # type: ignore[arg-type]  # it answers to every name
    server.start()
    idle, watcher = connected(path), connected(path)
    watcher.sendall(b"GET /v1/events/stream HTTP/1.1\r\n\r\n")
    assert watcher.recv(15) == b"HTTP/1.1 200 OK"

    server.close()
    server.close()

    assert not path.exists()
    assert before == threading.active_count()
    idle.close()
    watcher.close()


# -- the socket ---------------------------------------------------------------------------------------------------------


def test_only_owner_and_group_may_connect(server: ControlServer, path: Path) -> None:
    """Mode 0660: root and the group gatectl."""
    assert 0o660 == stat.S_IMODE(path.stat().st_mode)


def test_a_socket_left_by_a_dead_daemon_is_replaced(path: Path, desk: Desk) -> None:
    """After kill -9 the file is still there, and nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    server = ControlServer(path, desk)  # type: ignore[arg-type]  # it answers to every name

    server.start()

    assert 200 == get(path, "/v1/status")[0]
    server.close()


def test_a_socket_somebody_listens_on_is_left_alone(server: ControlServer, path: Path, desk: Desk) -> None:
    """A second daemon is refused by name, and the first goes on."""
    with pytest.raises(AlreadyServed, match="listens"):
        ControlServer(path, desk).start()  # type: ignore[arg-type]  # it answers to every name

    assert 200 == get(path, "/v1/status")[0]


def test_a_file_in_the_way_is_not_removed(path: Path, desk: Desk) -> None:
    """Only a dead socket is ours to remove."""
    path.write_text("somebody's")

    with pytest.raises(AlreadyServed, match="not a socket"):
        ControlServer(path, desk).start()  # type: ignore[arg-type]  # it answers to every name

    assert "somebody's" == path.read_text()


def test_a_successor_keeps_its_socket(path: Path, desk: Desk) -> None:
    """A daemon that stops late does not take away the socket of the one that replaced it."""
    first = ControlServer(path, desk)  # type: ignore[arg-type]  # it answers to every name
    first.start()
    path.unlink()
    second = ControlServer(path, desk)  # type: ignore[arg-type]  # it answers to every name
    second.start()

    first.close()

    assert 200 == get(path, "/v1/status")[0]
    second.close()
