"""A site for the commands: a dull desk behind the real control server on a real Unix socket, and a way to type commands."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gatectl.cli.main import app
from gatectl.domain.codes import problem
from gatectl.runtime.control import ControlServer
from gatectl.runtime.desk import CashPayment, EventQuery, LostTicket, Order, Refused, TicketQuery

SITE = """
[site]
id = "centrum-01"
name = "Garage Centrum"
timezone = "Europe/Amsterdam"
currency = "EUR"

[[areas]]
id = "main"
name = "Main"
levels = [{ level = 0, spots = [{ type = "COMPACT", count = 3 }] }]

[ports.rs485]
kind = "serial"
path = "/dev/ttyUSB0"

[devices.io]
driver = "modbus-io"
model = "waveshare-io-8ch"
port = "rs485"
address = 1
inputs = { di0 = {}, di1 = { polarity = "normally-closed" }, di2 = {}, di3 = {}, di4 = {} }

[ports.reader]
kind = "serial"
path = "/dev/ttyUSB1"

[devices.reader]
driver = "code-reader"
model = "generic-line"
port = "reader"

[[lanes]]
id = "OUT-1"
kind = "exit"
layout = "two-loop"
area = "main"
[lanes.wiring]
arming = "io/di0"
closing = "io/di1"
arm_up = "io/di3"
arm_down = "io/di4"
open = "io/do0"
reader = "reader"

[[tariffs]]
id = "day-2026"
effective_from = 2026-01-01T00:00:00Z
kind = "flat"
base_minor = 350
lost_ticket_minor = 2800
"""

LANE = {
    "lane": "OUT-1",
    "kind": "exit",
    "area": "main",
    "phase": "idle",
    "mode": "normal",
    "arm": "down",
    "arming": "free",
    "closing": "free",
    "printer": {"device": "printer-out1", "state": "ok"},
    "ticket": None,
    "faults": [],
    "last": {"position": 7, "at_ms": 1_795_000_000_000, "text": "OUT-1: vehicle left on 000123-K7QF"},
}
EVENT = {
    "position": 7,
    "generation": 1,
    "seq": 7,
    "at_ms": 1_795_000_000_000,
    "kind": "vehicle.exited",
    "text": "OUT-1: vehicle left on 000123-K7QF",
    "body": {"lane": "OUT-1"},
}
TICKET = {
    "ticket": "000123-K7QF",
    "state": "inside",
    "lane": "IN-1",
    "area": "main",
    "spot": "main-0-COMPACT-001",
    "vehicle_type": "CAR",
    "spot_type": "COMPACT",
    "tariff": "day-2026",
    "issued_ms": 1_795_000_000_000,
    "time_quality": "synced",
    "taken": True,
    "entered_ms": 1_795_000_010_000,
    "verified": True,
    "exception": False,
    "learned": False,
    "lost": False,
    "exit_lane": None,
    "exited_ms": None,
    "void_reason": None,
    "paid_minor": 0,
    "last_paid_ms": None,
}
PRICE = {
    "due_minor": 350,
    "paid_minor": 0,
    "total_minor": 350,
    "currency": "EUR",
    "tariff": "day-2026",
    "lines": [["3 steps of 20 min", 350]],
}


@dataclass
class FakeDesk:
    """Answers like a small healthy site; remembers what it was told to do."""

    done: list[tuple[Any, ...]] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    refuse: dict[str, Refused] = field(default_factory=dict)
    price: dict[str, Any] | None = field(default_factory=lambda: dict(PRICE))
    sync_state: str = "online"
    printer_state: str = "ok"

    def _do(self, what: str, *about: Any) -> dict[str, Any]:
        if what in self.refuse:
            raise self.refuse[what]
        self.done.append((what, *about))
        return {"schema": "gatectl.done/1", "done": f"{about[0]} {what}", "position": 88213}

    def status(self) -> dict[str, Any]:
        return {
            "schema": "gatectl.status/1",
            "site": "centrum-01",
            "name": "Garage Centrum",
            "state": "degraded" if self.problems else "ok",
            "verdict": self.problems[0]["sentence"] if self.problems else "All lanes serve.",
            "up_ms": 1_051_200_000,
            "software": "0.1.0",
            "boot": "ab" * 8,
            "lanes": [LANE],
            "areas": [
                {
                    "area": "main",
                    "free": 2,
                    "total": 3,
                    "inside": 1,
                    "by_type": {"COMPACT": {"free": 2, "total": 3}},
                    "quality": "live",
                }
            ],
            "sync": self.sync(),
            "clock": {"quality": "synced"},
            "problems": self.problems,
            "position": 7,
            "at_ms": 1_795_000_000_000,
        }

    def lanes(self) -> dict[str, Any]:
        return {"schema": "gatectl.lanes/1", "lanes": [LANE]}

    def lane(self, lane: str) -> dict[str, Any]:
        self._known(lane)
        devices = [{"role": "arming", "device": "io", "point": "di0", "up": True, "value": "off"}]
        return {"schema": "gatectl.lane/1", **LANE, "events": [EVENT], "devices": devices, "plan": {}}

    def _known(self, lane: str) -> None:
        if lane != "OUT-1":
            raise Refused("E-NOT-01", f"there is no lane {lane!r}; there are OUT-1")

    def hand(self, lane: str, verb: str, order: Order) -> dict[str, Any]:
        self._known(lane)
        return self._do(verb, lane, order.who, order.reason)

    def inputs(self, lane: str) -> Iterator[dict[str, Any] | None]:
        self._known(lane)
        for number in range(3):
            yield {
                "at_ms": 1_795_000_000_000,
                "input": "arming",
                "on": number % 2 == 1,
                "quality": "good",
                "since_ms": number * 100,
            }
            yield None

    def printers(self) -> dict[str, Any]:
        row = {"device": "printer-out1", "state": self.printer_state, "paper_low": False, "cover_open": None}
        return {"schema": "gatectl.printers/1", "printers": [row]}

    def ports(self) -> dict[str, Any]:
        row = {"port": "rs485", "devices": ["io"], "counters": {"timeouts": 3}}
        return {"schema": "gatectl.ports/1", "ports": [row]}

    def test_printer(self, device: str, who: str) -> dict[str, Any]:
        return self._do("test", device, who)

    def tickets(self, query: TicketQuery) -> dict[str, Any]:
        rows = [TICKET] if query.q in TICKET["ticket"] else []
        return {"schema": "gatectl.tickets/1", "tickets": rows}

    def ticket(self, number: str) -> dict[str, Any]:
        if number != TICKET["ticket"]:
            raise Refused("E-NOT-01", f"there is no ticket {number}")
        return {"schema": "gatectl.ticket/1", **TICKET, "payments": [], "events": [EVENT], "price": self.price}

    def ask(self, verb: str, words: Mapping[str, Any], who: str, request: str) -> dict[str, Any]:
        return {**self._do(verb, verb, dict(words)), "areas": []}

    def why(self, subject: str) -> dict[str, Any]:
        if subject not in ("OUT-1", TICKET["ticket"]):
            raise Refused("E-NOT-01", f"there is no ticket {subject}")
        reason = {"what": "Locked by jan: snow", "rule": "a locked lane serves nobody", "change": "", "command": ""}
        steps = [{"at_ms": 1_795_000_000_000, "position": 7, "what": "left", "because": ["seen"]}]
        return {"schema": "gatectl.why/1", "kind": "lane", "subject": subject, "headline": "is locked", "reasons": [reason],
                "seen": [["arm", "down"]], "steps": steps, "next": [{"when": "x", "command": "y"}], "sources": ["z"]}  # fmt: skip

    def void(self, number: str, order: Order) -> dict[str, Any]:
        return self._do("void", number, order.who, order.reason)

    def lost(self, lost: LostTicket, order: Order) -> dict[str, Any]:
        return {**self._do("lost", lost.ticket, lost.minutes, order.reason), "ticket": "000124-K7QF"}

    def pay(self, payment: CashPayment) -> dict[str, Any]:
        self._do("pay", payment.ticket, payment.tendered_minor, payment.key, payment.till)
        due = 350
        return {
            "schema": "gatectl.payment/1",
            "payment": payment.key,
            "ticket": payment.ticket,
            "method": "CASH",
            "amount_minor": due,
            "tendered_minor": payment.tendered_minor or due,
            "change_minor": (payment.tendered_minor or due) - due,
            "currency": "EUR",
            "lines": PRICE["lines"],
            "series": "cashier",
            "receipt": 12,
            "paid_ms": 1_795_000_020_000,
        }

    def sync(self) -> dict[str, Any]:
        return {
            "schema": "gatectl.sync/1",
            "office": "https://office.example:8443",
            "state": self.sync_state,
            "backlog": 0,
            "oldest_ms": None,
            "generation": 1,
            "seq": 7,
            "acked": 7,
            "last_error": None,
            "last_contact_age_ms": 400,
        }

    def sync_now(self, who: str) -> dict[str, Any]:
        return self._do("sync now", who)

    def prove(self) -> dict[str, Any]:
        return {
            "schema": "gatectl.prove/1",
            "site": "centrum-01",
            "generation": 1,
            "seq": 7,
            "head": "00" * 32,
            "from_seq": 1,
            "ok": True,
            "broken_at": None,
            "tickets": 1,
            "payments": 0,
            "paid_minor": 0,
            "digest": "11" * 32,
        }

    def events(self, query: EventQuery) -> dict[str, Any]:
        return {"schema": "gatectl.events/1", "events": [EVENT], "next": 7}

    def stream(self, after: int | None) -> Iterator[dict[str, Any] | None]:
        yield None
        yield {**EVENT, "position": 8}
        yield {**EVENT, "position": 9, "body": {"lane": "IN-1"}}


@dataclass
class Site:
    """A folder with a site file, a state and a runtime directory, and the commands run against them."""

    root: Path
    desk: FakeDesk

    @property
    def places(self) -> list[str]:
        return [
            f"--config={self.root / 'gatectl.toml'}",
            f"--state-dir={self.root / 'state'}",
            f"--runtime-dir={self.root / 'run'}",
        ]

    def run(self, *words: str, typed: str = "") -> Result:
        return CliRunner().invoke(app, [*self.places, *words], input=typed)

    def json(self, *words: str, typed: str = "") -> dict[str, Any]:
        """What a command prints on stdout with --json."""
        result = self.run(*words, "--json", typed=typed)
        assert result.stdout, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def error(self, *words: str, typed: str = "") -> dict[str, Any]:
        """The error that a command prints on stderr with --json: its last line."""
        result = self.run(*words, "--json", typed=typed)
        found: dict[str, Any] = json.loads(result.stderr.strip().splitlines()[-1])
        return found


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GATECTL_CONFIG", "GATECTL_STATE_DIR", "GATECTL_RUNTIME_DIR", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def quiet_site(tmp_path: Path) -> Site:
    """A site without a daemon and without a mirror."""
    (tmp_path / "state").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "gatectl.toml").write_text(SITE)
    return Site(tmp_path, FakeDesk())


@pytest.fixture
def site(quiet_site: Site) -> Iterator[Site]:
    """A site whose daemon answers."""
    server = ControlServer(quiet_site.root / "run" / "control.sock", quiet_site.desk)
    server.start()
    yield quiet_site
    server.close()


@pytest.fixture
def broken_boom() -> Callable[[], list[dict[str, str]]]:
    """The problems of a site whose exit lane does not report open."""
    return lambda: [problem("OUT-1", "E-BAR-02")]
