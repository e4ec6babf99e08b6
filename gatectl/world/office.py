"""A dull office in memory, and the road to it: it keeps the contract of sync.records to the letter, the road keeps nothing.

The office stores heads and not lines: what it holds is proved by the chain, and memory stays bounded for years.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import zstandard

from gatectl.world.disk import Disk
from gatectl.world.kernel import Kernel
from gatectl.world.ledger import hold
from sync.chain import genesis, link
from sync.ports import Answer, Request, Unreachable
from sync.records import BATCH_BYTES_MAX, PROBLEMS, PROTOCOL_MAX, Ack, Hello, Malformed, Record, Welcome
from sync.status import LinkState
from sync.upload import Acknowledge, Begin, Identity, Send, UploaderMachine, Wait

INSTALLATION: Final = "installation-1"
HEADS_KEPT_MAX: Final = 20_000
"""Heads the office can still compare with; a batch that overlaps further back is refused as a gap."""
ROAD_MS: Final = (20, 120)
WAKE_MS: Final = 5_000
"""Commits are sent together when they come so close."""
OFFICE_LOST_MS: Final = 30_000
LOOK_MS: Final = 15_000


class _Problem(Exception):
    def __init__(self, status: int, name: str) -> None:
        super().__init__(name)
        self.status, self.name = status, name


@dataclass(slots=True)
class Office:
    """One site's journal as the office has it."""

    site: str
    zstd: bool
    seq: int = 0
    heads: dict[int, bytes] = field(default_factory=dict)
    batches: int = 0

    def __post_init__(self) -> None:
        self.heads[0] = genesis(self.site, 1)

    def ask(self, request: Request) -> Answer:
        """As if the request came over a perfect wire."""
        try:
            body = self._route(request)
        except Malformed as error:
            return _answer(422, {"type": f"{PROBLEMS}malformed", "detail": str(error)})
        except _Problem as problem:
            return _answer(problem.status, {"type": f"{PROBLEMS}{problem.name}"})
        return Answer(200, "application/json", (("content-type", "application/json"),), body)

    def _route(self, request: Request) -> bytes:
        path = request.path.removeprefix(f"/sync/v1/sites/{self.site}/")
        if path == "hello":
            return self._hello(Hello.from_json(request.body)).to_json()
        if path == "journal/1" and request.method == "POST":
            return self._journal(dict(request.headers), request.body).to_json()
        raise _Problem(404, "unknown-path")

    def _hello(self, said: Hello) -> Welcome:
        head = self.heads[self.seq]
        why = ""
        if said.generation != 1:
            why = "unknown"
        elif said.seq < self.seq:
            why = "behind"
        elif said.seq == self.seq and said.head != head.hex():
            why = "forked"
        verdict = "new-generation" if why else "continue"
        encodings = ("zstd", "identity") if self.zstd else ("identity",)
        return Welcome(self.site, 1, self.seq, head.hex(), verdict, why, PROTOCOL_MAX, 1, 0, 0, False, encodings)

    def _journal(self, headers: dict[str, str], body: bytes) -> Ack:
        if headers["content-encoding"] == "zstd":
            body = zstandard.ZstdDecompressor().decompress(body, max_output_size=2 * BATCH_BYTES_MAX)
        lines = body.splitlines()
        first, head = int(headers["gatectl-first"]), bytes.fromhex(headers["gatectl-prev"])
        if first > self.seq + 1 or first - 1 not in self.heads:
            raise _Problem(409, "gap")
        if head != self.heads[first - 1]:
            raise _Problem(409, "fork")
        found: list[bytes] = []
        for seq, line in enumerate(lines, first):
            record = Record.from_line(line)
            head = link(head, record.header(), record.body)
            if record.seq != seq or (seq <= self.seq and self.heads.get(seq, head) != head):
                raise _Problem(409, "fork")
            found.append(head)
        if head.hex() != headers["gatectl-head"]:
            raise _Problem(422, "bad-chain")
        self._store(first, found)
        return Ack(self.site, 1, self.seq, self.heads[self.seq].hex(), 1, 0, 0)

    def _store(self, first: int, heads: list[bytes]) -> None:
        self.batches += 1
        self.heads.update(enumerate(heads, first))
        self.seq = max(self.seq, first + len(heads) - 1)
        while len(self.heads) > HEADS_KEPT_MAX:
            del self.heads[next(iter(self.heads))]


def _answer(status: int, members: dict[str, Any]) -> Answer:
    kind = "application/problem+json"
    return Answer(status, kind, (("content-type", kind),), json.dumps({"status": status, **members}).encode())


@dataclass(slots=True)
class Road:
    """Between site and office. `trouble`: "", away, slow, reply-lost, duplicated, portal."""

    kernel: Kernel
    rng: Random
    office: Office
    trouble: str = ""
    _before: Request | None = None

    def ask(self, request: Request, answered: Callable[[Answer | Unreachable], None]) -> None:
        """`answered` is called later, once."""
        delay_ms = self.rng.randint(*ROAD_MS)
        answer: Answer | Unreachable
        if self.trouble == "away":
            answer, delay_ms = Unreachable("no route"), request.total_ms
        elif self.trouble == "portal":
            answer = Answer(200, "text/html", (("content-type", "text/html"),), b"<html>Free WiFi</html>")
        else:
            if self.trouble == "duplicated" and self._before is not None:
                self.office.ask(self.rng.choice([request, self._before]))
            answer = self.office.ask(request)
            self._before = request
            if self.trouble == "slow":
                delay_ms = self.rng.randrange(request.total_ms)
            if self.trouble == "reply-lost" and self.rng.random() < 0.7:
                answer, delay_ms = Unreachable("reset"), request.total_ms
        self.kernel.after(delay_ms, lambda: answered(answer))


@dataclass(slots=True)
class Uplink:
    """Drives sync's upload machine as its thread does. `office_went` tells the core what the link's watcher would."""

    kernel: Kernel
    rng: Random
    disk: Disk
    road: Road
    wall_ms: Callable[[], int]
    office_went: Callable[[bool, str], None]
    machine: UploaderMachine | None = None
    _life: int = 0
    _wake_at_ms: int | None = None
    _busy: bool = False
    _up: bool | None = None
    _since_ms: int = 0

    def boot(self, boot_id: str) -> None:
        identity = Identity(self.disk.plan.site, INSTALLATION, 1, boot_id, "gatectl/simulate")
        self.machine = UploaderMachine(identity, self.disk, self.rng, wall_ms=self.wall_ms)
        self._life += 1
        self._busy, self._wake_at_ms, self._up, self._since_ms = False, None, None, self.kernel.now_ms
        self._turn(self._life)
        life = self._life
        self.kernel.after(LOOK_MS, lambda: self._look(life))

    def cut(self) -> None:
        self._life += 1
        self.machine = None

    def committed(self) -> None:
        """News for the machine; it hears of it soon."""
        if self.machine is not None and not self._busy:
            self._sleep_until(self.kernel.now_ms + WAKE_MS)

    @property
    def lag(self) -> int:
        return self.disk.unacknowledged

    def _sleep_until(self, at_ms: int) -> None:
        if self._wake_at_ms is None or at_ms < self._wake_at_ms:
            self._wake_at_ms = at_ms
            life = self._life
            self.kernel.at(at_ms, lambda: self._wake(life, at_ms))

    def _wake(self, life: int, at_ms: int) -> None:
        if life == self._life and at_ms == self._wake_at_ms:
            self._wake_at_ms = None
            self._turn(life)

    def _turn(self, life: int) -> None:
        while life == self._life and not self._busy:
            assert self.machine is not None
            step = self.machine.step(self.kernel.now_ms)
            if isinstance(step, Wait):
                self._sleep_until(max(step.until_ms, self.kernel.now_ms + 1))
                return
            if isinstance(step, Send):
                self._busy = True
                self.road.ask(step.request, lambda answer: self._answered(life, answer))
                return
            hold(not isinstance(step, Begin), "histories never part", str(step))
            if isinstance(step, Acknowledge):
                self.disk.acknowledge(step.position.generation, step.position.seq, step.position.head)
                the_office_holds_a_prefix(self.disk, self.road.office)
                self.machine.stored()

    def _answered(self, life: int, answer: Answer | Unreachable) -> None:
        if life == self._life:
            assert self.machine is not None
            self._busy = False
            self.machine.answered(answer, self.kernel.now_ms)
            self._turn(life)

    def _look(self, life: int) -> None:
        """Like the daemon's link: lost after a while without word, back as soon as both chains agree."""
        if life != self._life:
            return
        assert self.machine is not None
        status = self.machine.status(self.kernel.now_ms)
        up = status.state is LinkState.ONLINE
        if up:
            self._since_ms = self.kernel.now_ms
        if up and self._up is not True:
            self._up = True
            self.office_went(True, "")
        elif not up and self._up is not False and self.kernel.now_ms - self._since_ms >= OFFICE_LOST_MS:
            self._up = False
            self.office_went(False, status.last_error or "no answer")
        self.kernel.after(LOOK_MS, lambda: self._look(life))


def the_office_holds_a_prefix(disk: Disk, office: Office) -> None:
    """7: what the office holds is exactly the beginning of the journal."""
    own = disk.head_at(1, office.seq)
    hold(own == office.heads[office.seq], "the office holds a prefix of the journal", f"up to {office.seq}")
    hold(disk.acked().seq <= office.seq, "what is acknowledged, the office holds", f"{disk.acked().seq}")
