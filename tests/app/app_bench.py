"""The real daemon as a process of its own, on a small plant behind real pseudo-terminals: one lane in, one lane out.

Nothing here sleeps: a test waits for what it wants to see on the event stream, on the inputs' stream, or at the printer,
and each wait has a deadline.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from drivers.modbus_io import profiles
from drivers.sim.code_reader import SimulatedReader
from drivers.sim.escpos import SimulatedPrinter
from drivers.sim.modbus_io import SimulatedLine, SimulatedModule
from drivers.sim.pty import PtyPeer
from gatectl.cli.client import Daemon
from gatectl.demo.hardware import WatchedPrinter
from gatectl.store.reading import Mirror
from gatectl.store.syncing import open_reader

WAIT_S_MAX: Final = 20.0
STOP_S_MAX: Final = 20.0
SPEED: Final = 10
SITE: Final = "app-01"
SHOWN_MS: Final = 1_795_000_000_000
"""What the site's clock shows when a test begins."""
ROLES: Final = ("arming", "closing", "button", "arm_up", "arm_down")
NORMALLY_CLOSED: Final = frozenset({"closing"})
ADDRESSES: Final = {"IN-1": 1, "OUT-1": 2}

_HEAD = """\
[site]
id = "app-01"
name = "App"
timezone = "Europe/Amsterdam"
currency = "EUR"

[[areas]]
id = "main"
name = "Main"
levels = [{{ level = 0, spots = [{{ type = "COMPACT", count = 5 }}] }}]

[[tariffs]]
id = "t-2026"
effective_from = 2026-01-01T00:00:00Z
kind = "hourly"
base_minor = 100
per_hour_minor = 300
step_minutes = 20
daily_cap_minor = 2000
lost_ticket_minor = 2000

[ports.rs485]
kind = "serial"
path = "{folder}/rs485"
baud = 115200

[ports.printer]
kind = "serial"
path = "{folder}/printer"
baud = 115200

[ports.reader]
kind = "serial"
path = "{folder}/reader"
baud = 9600

[ports.reader-in]
kind = "serial"
path = "{folder}/reader-in"
baud = 9600

[devices.reader-in]
driver = "code-reader"
model = "generic-line"
port = "reader-in"
repeat_ms = 200

[devices.printer]
driver = "escpos"
model = "custom-kpm216"
port = "printer"

[devices.reader]
driver = "code-reader"
model = "generic-line"
port = "reader"
repeat_ms = 200
"""
_LANE = """\
[devices.io-{lane}]
driver = "modbus-io"
model = "waveshare-io-8ch"
port = "rs485"
address = {address}
[devices.io-{lane}.inputs]
di0 = {{ shortest_ms = 60, clear_after_ms = 30 }}
di1 = {{ shortest_ms = 60, clear_after_ms = 30, polarity = "normally-closed", fail_safe = true }}
di2 = {{ shortest_ms = 60, mode = "pulse" }}
di3 = {{ shortest_ms = 60, clear_after_ms = 30 }}
di4 = {{ shortest_ms = 60, clear_after_ms = 30 }}

[[lanes]]
id = "{lane}"
kind = "{kind}"
layout = "two-loop"
area = "main"
[lanes.wiring]
arming = "io-{lane}/di0"
closing = "io-{lane}/di1"
arm_up = "io-{lane}/di3"
arm_down = "io-{lane}/di4"
open = "io-{lane}/do0"
close = "io-{lane}/do1"
{more}
[lanes.pulses]
open_ms = 100
close_ms = 100
[lanes.timing]
print_ms = 120000
take_ms = 120000
arm_ms = 60000
pass_ms = 120000
start_ms = 120000
"""


_AT_ENTRY = """\
button = "io-IN-1/di2"
printer = "printer"
reader = "reader-in"
"""


class Plant:
    """The hardware. An arm obeys its pulse at once; `pulses` is everything that an output ever did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.pulses: list[tuple[str, str]] = []
        self._stack = contextlib.ExitStack()
        self._held = threading.Condition()
        self._holds = False
        profile = profiles()["waveshare-io-8ch"]
        self.modules = {
            lane: SimulatedModule(profile, address, self._on_output(lane)) for lane, address in ADDRESSES.items()
        }
        for lane in ADDRESSES:
            for role in ROLES:
                self._set(lane, role, role == "arm_down")
        self.line = self._peer("rs485", SimulatedLine(list(self.modules.values())))
        self.printer = SimulatedPrinter(model="custom-kpm216", line_ms=1, cut_ms=10, present_ms=20)
        self.watched = WatchedPrinter(self.printer, self._mouth)
        self.paper = self._peer("printer", self.watched)
        self.reader = SimulatedReader()
        self.window = self._peer("reader", self.reader)
        self.entry_reader = SimulatedReader()
        self.entry_window = self._peer("reader-in", self.entry_reader)

    def _peer(self, name: str, device: object) -> PtyPeer:
        return self._stack.enter_context(PtyPeer(device, self.folder / name))  # type: ignore[arg-type]  # each is one

    def _set(self, lane: str, role: str, on: bool) -> None:
        self.modules[lane].inputs[ROLES.index(role)] = on != (role in NORMALLY_CLOSED)

    def _on_output(self, lane: str) -> Callable[[int, bool, int], None]:
        def changed(output: int, on: bool, now_ms: int) -> None:
            if on:
                self.pulses.append((lane, ("open", "close")[output] if output < 2 else f"do{output}"))
                self._set(lane, "arm_up", output == 0)
                self._set(lane, "arm_down", output == 1)

        return changed

    def _mouth(self, holds: bool) -> None:
        with self._held:
            self._holds = holds
            self._held.notify_all()

    # -- what drivers do -------------------------------------------------------------------------------------------

    def contact(self, lane: str, role: str, on: bool) -> None:
        with self.line.changing():
            self._set(lane, role, on)

    def take(self) -> str:
        """Pull the ticket out of the mouth: its code."""
        with self.paper.changing():
            paper = self.watched.take()
        assert paper is not None
        return paper.codes[0]

    def wait_mouth(self) -> None:
        with self._held:
            assert self._held.wait_for(lambda: self._holds, WAIT_S_MAX), "no ticket came"

    def show(self, code: str) -> None:
        with self.window.changing():
            self.reader.show(code)

    def show_at_entry(self, text: str) -> None:
        with self.entry_window.changing():
            self.entry_reader.show(text)

    def close(self) -> None:
        self._stack.close()


@dataclass
class SiteUnderTest:
    """The daemon in a folder of its own. Everything in it is ended and removed by `close`."""

    root: Path
    more: str = ""
    """More of the site file."""
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.plant = Plant(self.root / "plant")
        self.since_ms = time.time_ns() // 1_000_000
        for name in ("state", "run"):
            (self.root / name).mkdir(parents=True)
        text = _HEAD.format(folder=self.root / "plant")
        text += _LANE.format(lane="IN-1", address=1, kind="entry", more=_AT_ENTRY)
        text += _LANE.format(lane="OUT-1", address=2, kind="exit", more='reader = "reader"\n')
        (self.root / "gatectl.toml").write_text(text + self.more)

    # -- the process -----------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATECTL_")},
            "GATECTL_CONFIG": str(self.root / "gatectl.toml"),
            "GATECTL_STATE_DIR": str(self.root / "state"),
            "GATECTL_RUNTIME_DIR": str(self.root / "run"),
            "GATECTL_SPEED": str(SPEED),
            "GATECTL_SPEED_SINCE_MS": str(self.since_ms),
            "GATECTL_SPEED_SHOWS_MS": str(SHOWN_MS),
            "GATECTL_LOG_FORMAT": "json",
            "NOTIFY_SOCKET": str(self.root / "notify"),
            **self.env,
        }

    def spawn(self) -> subprocess.Popen[bytes]:
        command = [str(Path(sys.executable).with_name("gatectl")), "run"]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, start_new_session=True
            )

    @property
    def log(self) -> Path:
        return self.root / "daemon.log"

    def start(self) -> None:
        """Start and wait until it says READY=1, as systemd does."""
        assert self.process is None
        with self._listening() as told:
            self.process = self.spawn()
            self._wait_told(told, b"READY=1")

    @contextlib.contextmanager
    def _listening(self) -> Iterator[socket.socket]:
        path = self.root / "notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(str(path))
            told.setblocking(False)
            yield told

    def _wait_told(self, told: socket.socket, word: bytes) -> None:
        assert self.process is not None
        deadline_s = time.monotonic() + WAIT_S_MAX
        died = os.pidfd_open(self.process.pid)
        try:
            while (left_s := deadline_s - time.monotonic()) > 0:
                ready, _, _ = select.select([told, died], [], [], left_s)
                if told in ready and told.recv(100) == word:
                    return
                assert died not in ready, f"the daemon ended:\n{self.log_end()}"
        finally:
            os.close(died)
        raise AssertionError(f"no {word!r} within {WAIT_S_MAX} s:\n{self.log_end()}")

    def told(self) -> str:
        """For a failed test: everything that is known."""
        lanes = [{key: row[key] for key in ("lane", "phase", "arm", "arming", "closing", "printer", "faults")}
                 for row in self.daemon.get("lanes")["lanes"]]  # fmt: skip
        return f"{lanes}\n{self.events()}\n{self.plant.pulses}\n{self.log_end()}"

    def log_end(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_S_MAX)
        self.process = None

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_S_MAX)
        self.process = None
        return code

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def close(self) -> None:
        if self.process is not None:
            self.kill()
        (self.root / "state" / "ballast").unlink(missing_ok=True)  # pytest keeps folders of several runs
        self.plant.close()

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def daemon(self) -> Daemon:
        return Daemon(self.root / "run" / "control.sock")

    @property
    def database(self) -> Path:
        return self.root / "state" / "gatectl.db"

    def rows(self, sql: str, *values: object) -> list[Any]:
        reader = open_reader(self.database)
        try:
            return list(reader.execute(sql, values))
        finally:
            reader.close()

    def events(self, kind: str = "", after: int = 0) -> list[dict[str, Any]]:
        """The journal's events, oldest first, with their bodies."""
        rows = self.rows(
            "SELECT position, kind, body FROM journal WHERE position > ? AND kind LIKE ? ORDER BY position",
            after,
            kind or "%",
        )
        return [{"position": position, "kind": name, **json.loads(body)} for position, name, body in rows]

    def position(self) -> int:
        return int(self.rows("SELECT coalesce(max(position), 0) FROM journal")[0][0])

    def wait(self, kind: str, after: int = 0, **members: object) -> dict[str, Any]:
        """The first event of a kind (and with these members) behind a position; waits for it on the event stream."""
        deadline_s = time.monotonic() + WAIT_S_MAX
        for event in self.daemon.stream("events", "stream", after=after):
            if event is not None and event["kind"] == kind and members.items() <= event["body"].items():
                return {"position": event["position"], **event["body"]}
            if time.monotonic() > deadline_s:
                break
        found = [(event["kind"], event) for event in self.events(after=after)]
        raise AssertionError(f"no {kind} {members} within {WAIT_S_MAX} s; there are {found}\n{self.log_end()}")

    def sensed(self, lane: str, role: str, on: bool) -> None:
        """A contact changes, and the daemon has read it."""
        self.plant.contact(lane, role, on)
        deadline_s = time.monotonic() + WAIT_S_MAX
        for row in self.daemon.stream("lanes", lane, "inputs"):
            if row is not None and (row["input"], row["on"], row["quality"]) == (role, on, "good"):
                return
            assert time.monotonic() < deadline_s, f"{lane} {role} was not read"

    def phase(self, lane: str) -> str:
        return str(self.daemon.get("lanes", lane)["phase"])

    def wait_phase(self, lane: str, *phases: str) -> str:
        """Looked at whenever the daemon has something to say, which is at least twice a second."""
        deadline_s = time.monotonic() + WAIT_S_MAX
        for _ in self.daemon.stream("events", "stream"):
            phase = self.phase(lane)
            if phase in phases:
                return phase
            assert time.monotonic() < deadline_s, f"{lane} is {phase}, not {phases}\n{self.told()}"
        raise AssertionError("the stream ended")

    def wait_ready_lanes(self) -> None:
        for lane in ADDRESSES:
            self.wait_phase(lane, "idle")

    # -- a car -----------------------------------------------------------------------------------------------------

    def press(self) -> dict[str, Any]:
        """Drive up and press the button: the ticket that was issued."""
        before = self.position()
        self.sensed("IN-1", "arming", True)
        self.plant.contact("IN-1", "button", True)
        issued = self.wait("ticket.issued", before)
        self.plant.contact("IN-1", "button", False)
        return issued

    def drive_over(self, lane: str, after: int) -> None:
        """From the raised arm over the closing loop and away, until the arm is down again."""
        self.wait("vend.confirmed", after, lane=lane)
        self.sensed(lane, "closing", True)
        self.sensed(lane, "arming", False)
        self.sensed(lane, "closing", False)
        self.wait("vend.closed", after, lane=lane)

    def enter(self) -> tuple[str, str]:
        """A whole entry: the ticket's number and its code."""
        before = self.position()
        issued = self.press()
        code = self.take()
        self.drive_over("IN-1", before)
        return issued["ticket"], code

    def take(self) -> str:
        """Wait until the daemon knows of the ticket in the mouth, as any driver's hand is slower, and pull it."""
        self.plant.wait_mouth()
        self.wait_phase("IN-1", "presented")
        return self.plant.take()

    def pay(self, number: str, key: str = "k1") -> dict[str, Any]:
        return self.daemon.post("payments", ticket=number, method="CASH", key=key, till="till-1")

    def leave(self, code: str) -> None:
        before = self.position()
        self.sensed("OUT-1", "arming", True)
        self.plant.show(code)
        self.drive_over("OUT-1", before)

    # -- what must always hold -----------------------------------------------------------------------------------------

    def check(self) -> None:
        """The invariants that can be read from the disk at any quiet moment."""
        with Mirror(self.database) as mirror:
            proof = mirror.prove(SITE)
        assert (True, None) == (proof["ok"], proof["broken_at"])
        counters = [event["counter"] for event in self.events("ticket.issued")]
        assert list(range(1, len(counters) + 1)) == counters
        ends: dict[str, int] = {}
        for event in self.events():
            if event["kind"] in ("ticket.voided", "vehicle.exited", "ticket.written-off", "entry.reversed"):
                ends[event["ticket"]] = ends.get(event["ticket"], 0) + 1
        assert all(number == 1 for number in ends.values()), ends
        entered, exited = len(self.events("vehicle.entered")), len(self.events("vehicle.exited"))
        for row in self.rows("SELECT entered, exited FROM counts"):
            assert (entered, exited) == tuple(row)
        opened = [pulse for pulse in self.plant.pulses if pulse[1] == "open"]
        assert len(opened) <= len(self.events("vend.intended"))
