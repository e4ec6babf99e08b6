"""People who wait and people who watch: one answer each, an order done once, and nobody who holds up the gate."""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gatectl.domain.effects import Reply
from gatectl.domain.events import StopAsked
from gatectl.domain.ids import RequestId
from gatectl.runtime import requests as requests_module
from gatectl.runtime import watchers as watchers_module
from gatectl.runtime.requests import RequestReused, Requests, TooManyRequests
from gatectl.runtime.watchers import Watchers

ID, OTHER = RequestId("r1"), RequestId("r2")
EVENT = StopAsked("x")
DONE = Reply(ID, "", "done")
WAIT_S_MAX = 10.0


def test_an_answer_reaches_the_one_who_asked() -> None:
    """Whether it comes before the waiting or during it."""
    requests = Requests()
    asked = requests.expect(ID, EVENT)

    assert asked.fresh
    assert requests.answer(DONE)
    assert DONE == requests.wait(asked)


def test_an_answer_nobody_waits_for_is_no_fault() -> None:
    """The office's commands are answered so, and callers who left."""
    assert not Requests().answer(DONE)


def test_the_same_order_twice_is_done_once_and_answered_twice() -> None:
    """The caller lost patience and sent it again while it was under way."""
    requests = Requests()
    first, second = requests.expect(ID, EVENT), requests.expect(ID, EVENT)

    assert (True, False) == (first.fresh, second.fresh)
    requests.answer(DONE)
    assert [DONE, DONE] == [requests.wait(first), requests.wait(second)]


def test_a_repeat_after_the_answer_gets_it_again() -> None:
    """The answer was lost on the way; nothing is done a second time."""
    requests = Requests()
    first = requests.expect(ID, EVENT)
    requests.answer(DONE)
    assert DONE == requests.wait(first)

    again = requests.expect(ID, EVENT)

    assert not again.fresh
    assert DONE == requests.wait(again)


def test_a_repeat_of_what_timed_out_gets_the_late_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk was slow: the first caller was told to look; the second hears how it ended."""
    monkeypatch.setattr(requests_module, "ANSWER_S_MAX", 0.01)
    requests = Requests()
    assert requests.wait(requests.expect(ID, EVENT)) is None

    requests.answer(DONE)

    again = requests.expect(ID, EVENT)
    assert (False, DONE) == (again.fresh, requests.wait(again))


def test_what_was_refused_may_be_asked_again() -> None:
    """The lane was busy a minute ago."""
    requests = Requests()
    first = requests.expect(ID, EVENT)
    requests.answer(Reply(ID, "E-LANE-02", "busy"))
    assert "E-LANE-02" == getattr(requests.wait(first), "code", None)

    assert requests.expect(ID, EVENT).fresh


def test_an_id_with_another_order_is_refused() -> None:
    """Two orders under one id: one of the two would silently not be done."""
    requests = Requests()
    requests.expect(ID, EVENT)

    with pytest.raises(RequestReused, match="r1"):
        requests.expect(ID, StopAsked("y"))


def test_too_many_who_wait_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a place that is left is free again."""
    monkeypatch.setattr(requests_module, "WAITING_MAX", 1)
    monkeypatch.setattr(requests_module, "ANSWER_S_MAX", 0.01)
    requests = Requests()
    first = requests.expect(ID, EVENT)
    with pytest.raises(TooManyRequests):
        requests.expect(OTHER, EVENT)

    requests.wait(first)

    assert requests.expect(OTHER, EVENT).fresh


def test_old_orders_are_forgotten_but_never_one_that_somebody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, whatever callers choose as their ids."""
    monkeypatch.setattr(requests_module, "ORDERS_KEPT_MAX", 10)
    requests = Requests()
    patient = requests.expect(ID, EVENT)
    for number in range(100):
        asked = requests.expect(RequestId(f"n{number}"), EVENT)
        requests.answer(Reply(asked.request, "", "done"))
        requests.wait(asked)

    assert len(requests._orders) <= 11
    assert requests.answer(DONE)
    assert DONE == requests.wait(patient)
    assert requests.expect(RequestId("n0"), EVENT).fresh


def test_many_callers_and_one_writer() -> None:
    """Every caller gets its own answer; every order is fresh exactly once."""
    requests, inbox = Requests(), queue.Queue[RequestId | None]()

    def caller(number: int) -> tuple[bool, str]:
        request = RequestId(f"r{number % 20}")
        asked = requests.expect(request, EVENT)
        if asked.fresh:
            inbox.put(request)
        reply = requests.wait(asked)
        assert reply is not None
        return asked.fresh, reply.message

    def writer() -> None:
        while (request := inbox.get()) is not None:
            requests.answer(Reply(request, "", f"done {request}"))

    thread = threading.Thread(target=writer)
    thread.start()
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(caller, range(200)))
    inbox.put(None)
    thread.join()

    assert [f"done r{number % 20}" for number in range(200)] == [message for _, message in found]
    assert 20 == sum(fresh for fresh, _ in found)


def test_a_watcher_sees_what_happens_while_it_watches() -> None:
    """Not before, and not after."""
    watchers = Watchers()
    watchers.tell("before")
    with watchers.watching() as one, watchers.watching() as other:
        watchers.tell("during")
    watchers.tell("after")

    assert ["during"] == list(one.queue) == list(other.queue)


def test_a_watcher_who_does_not_keep_up_loses_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate never waits for a person who watches."""
    monkeypatch.setattr(watchers_module, "SEEN_MAX", 3)
    watchers = Watchers()
    with watchers.watching() as seen:
        for number in range(10):
            watchers.tell(number)

        assert [7, 8, 9] == list(seen.queue)


def test_every_port_tells_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several ports' threads tell one slow watcher: none of them may stumble over a queue that another has filled."""
    monkeypatch.setattr(watchers_module, "SEEN_MAX", 1)
    watchers, together = Watchers(), threading.Barrier(5, timeout=WAIT_S_MAX)

    def port(_: int) -> None:
        together.wait()
        for number in range(3_000):
            watchers.tell(number)

    def watch(seen: "queue.Queue[int]", over: threading.Event) -> None:
        together.wait()
        while not over.is_set():
            try:
                seen.get_nowait()
            except queue.Empty:
                continue

    over = threading.Event()
    with watchers.watching() as seen, ThreadPoolExecutor(5) as pool:
        watching = pool.submit(watch, seen, over)
        ports = [pool.submit(port, number) for number in range(4)]
        for told in ports:
            told.result(WAIT_S_MAX)
        over.set()
        watching.result(WAIT_S_MAX)
