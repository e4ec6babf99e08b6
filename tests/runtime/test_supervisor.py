"""The supervisor: systemd's watchdog is fed only when everything turned, and the process ends for the first reason."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatectl.runtime.notify import notify, watchdog_interval_s
from gatectl.runtime.supervisor import Supervisor

WAIT_S_MAX = 10.0


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "n"))
        listening.settimeout(WAIT_S_MAX)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        yield listening


def heard(systemd: socket.socket) -> list[bytes]:
    systemd.setblocking(False)
    found = []
    try:
        while True:
            found.append(systemd.recv(100))
    except BlockingIOError:
        return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watchdog of 20 ms: fed every 10."""
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)


class Counters:
    """Threads that turn each time the supervisor looks, but for those in `stuck`."""

    def __init__(self, *stuck: str) -> None:
        self.stuck = stuck
        self.looks = 0
        self.supervisor = Supervisor({name: (lambda name=name: self.count(name)) for name in ("core", "writer", "bus")})  # type: ignore[misc]  # binds the loop's value

    def count(self, name: str) -> int:
        return 0 if name in self.stuck else self.looks

    def run(self, looks: int) -> None:
        def look() -> None:
            self.looks += 1
            if self.looks == looks:
                self.supervisor.stop("enough")

        self.supervisor.run(look)


def test_the_watchdog_is_fed_while_everything_turns(systemd: socket.socket, quick: None) -> None:
    """Once a look."""
    Counters().run(5)

    assert [b"WATCHDOG=1"] * 5 == heard(systemd)


@pytest.mark.parametrize("stuck", ["core", "writer", "bus"])
def test_one_thread_that_does_not_turn_starves_the_watchdog(systemd: socket.socket, quick: None, stuck: str) -> None:
    """Three live threads of four are a dead gate: systemd starts it again. The first look has nothing to compare."""
    Counters(stuck).run(5)

    assert [b"WATCHDOG=1"] == heard(systemd)


def test_a_thread_that_comes_back_feeds_again(systemd: socket.socket, quick: None) -> None:
    """A slow disk is no reason to stay silent once it has answered."""
    counters = Counters("writer")
    counters.run(3)
    counters.stuck = ()
    counters.supervisor._ending = False

    counters.run(6)

    assert 1 + 3 == len(heard(systemd))


def test_the_first_reason_to_end_counts() -> None:
    """What follows is only consequence."""
    supervisor = Supervisor({})

    supervisor.fatal("disk gone")
    supervisor.fatal("core wedged")
    supervisor.stop("SIGTERM")
    supervisor.run(lambda: None)

    assert (True, "disk gone") == (supervisor.failed, supervisor.reason)


def test_an_end_that_was_asked_for_is_no_failure() -> None:
    """The exit code tells systemd whether to start again."""
    supervisor = Supervisor({})

    supervisor.stop("SIGTERM")
    supervisor.fatal("while stopping")
    supervisor.run(lambda: None)

    assert (False, "SIGTERM") == (supervisor.failed, supervisor.reason)


def test_an_end_from_another_thread_wakes_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not after the next look, which may be minutes away."""
    monkeypatch.setenv("WATCHDOG_USEC", str(600_000_000))
    supervisor = Supervisor({})
    running = threading.Thread(target=supervisor.run, args=(lambda: None,))
    running.start()

    supervisor.fatal("disk gone")

    running.join(WAIT_S_MAX)
    assert not running.is_alive()


def test_a_signal_may_come_at_any_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler runs inside whatever the main thread does, the waiting included: it must not wait for itself."""
    assert threading.current_thread() is threading.main_thread()
    monkeypatch.setenv("WATCHDOG_USEC", str(600_000_000))
    supervisor = Supervisor({})
    before = signal.signal(signal.SIGUSR1, lambda signum, _: supervisor.stop(signal.Signals(signum).name))
    try:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()

        supervisor.run(lambda: None)

        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert "SIGUSR1" == supervisor.reason


def test_without_systemd_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a technician's terminal."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)

    assert not notify("READY=1")


def test_systemd_is_told(systemd: socket.socket) -> None:
    """One datagram a message."""
    assert notify("READY=1")

    assert b"READY=1" == systemd.recv(100)


def test_an_abstract_socket_is_reached_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """sd_notify(3): a leading @ stands for a null byte."""
    name = f"gatectl-test-{os.getpid()}-{os.urandom(4).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(WAIT_S_MAX)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")

        assert notify("STOPPING=1")
        assert b"STOPPING=1" == listening.recv(100)


def test_a_listener_that_is_gone_does_not_end_the_gate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If systemd misses our word it acts on that; we go on."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))

    assert not notify("WATCHDOG=1")


@pytest.mark.parametrize(
    ("usec", "pid", "interval"),
    [
        ("30000000", None, 15.0),
        ("30000000", "own", 15.0),
        ("30000000", "1", None),
        (None, None, None),
        ("", None, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_time(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: str | None, interval: float | None
) -> None:
    """And only by the process that systemd means."""
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)

    assert interval == watchdog_interval_s()
