"""The conversation with one ESC/POS printer, without I/O: orders and bytes in, bytes and signals out.

Rule 1: "printed" is said by the printer: the in-order reply after the cut, and then one whole round of status that was
        asked for afterwards. A lone byte may be noise of a printer that was switched off; a round is not.
Rule 2: a job is never sent twice. Once a byte of it has gone out, what is not CONFIRMED is UNKNOWN.
Rule 3: after an UNKNOWN job the printer's buffers are cleared at once, so that nobody finds the rest of a dead ticket
        when the paper is refilled. No other job starts before the printer has answered in order again.
Rule 4: XOFF stops print data between two pieces; status requests go on, or nobody could ask why it holds. A piece that
        has begun is finished: a job is not longer than the printer's buffer, and the buffer is empty when it begins.
Rule 5: one request is on the line at a time, and no data follow it before its answer (Epson TM-U220, DLE EOT, notes):
        the four answers look alike.
Rule 6: a new ticket is not pushed at an old one: what is still in the mouth is retracted first.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from drivers.api import (
    ORDERS_WAITING_MAX,
    Health,
    Order,
    Outcome,
    Paper,
    Print,
    PrinterStatus,
    Result,
    Retract,
    SerialTurn,
    Signal,
)
from drivers.codecs import escpos
from drivers.codecs.escpos import Block, Ejector, Flow, FullStatus, InOrder, RealTime, Style
from drivers.escpos_profile import EJECTOR, Profile, not_ready, read_status

POLL_MS: Final = 500
"""From the end of one status round to the next, while nothing happens."""
POLL_BUSY_MS: Final = 150
"""Likewise while a job is under way or a ticket is in the mouth: a ticket that is taken opens an arm."""
POLL_LOST_MS: Final = 1_000
REPLY_MS_MAX: Final = 500
QUIET_MS: Final = 300
"""After the port opened or an answer stayed out, nothing is asked: a late answer is not the next request's."""
MISSES_MAX: Final = 3
"""So many unanswered requests in a row, and the printer is lost."""
SYNC_MS_MAX: Final = 2_000
SYNC_QUIET_MS: Final = 200
"""After the reply that ends a recovery: the reply of a job from before may come first."""
RECOVER_AGAIN_MS: Final = 10_000
"""Between two tries to bring the printer back to a known state, or out of a cutter error whose cause may be gone."""
XOFF_STALE_MS: Final = 5_000
"""A printer that is idle and online does not hold for so long: its XON was lost on the line."""
TROUBLE_ROUNDS_MAX: Final = 2
"""So many rounds in a row that say "not ready" end a job, or that say "cutter error" make the driver clear it: one may
have crossed the in-order reply, or have been noise."""
MOUTH_EMPTY_READINGS: Final = 2
"""So many readings in a row make a ticket taken."""


@dataclass(slots=True)
class _Job:
    """What the in-order channel is busy with. "clear" and "sync" are the engine's own, and have no order."""

    kind: Literal["print", "retract", "clear", "sync"]
    order: str
    pieces: deque[bytes]
    until_ms: int
    sent: bool = False
    answered_ms: int | None = None
    trouble_rounds: int = 0
    mouth_seen: bool = False


@dataclass(slots=True)
class _Waiting:
    """An order that has not begun. It may when a round of status is over that began after `after_round`."""

    order: Print | Retract
    pieces: tuple[bytes, ...]
    after_round: int


@dataclass(slots=True)
class _Round:
    """One round of status requests; `readings` by n."""

    number: int
    began_ms: int
    left: deque[int]
    asked: int | None = None
    asked_ms: int = 0
    readings: dict[int, int | FullStatus] = field(default_factory=dict)
    in_order: list[int] = field(default_factory=list)
    """In-order replies, or the rest of a full status that lost its header: which, its end will tell."""


class EscposEngine:
    """`drivers.api.SerialEngine` for one printer. `wire_ms(n)` is how long n bytes take on its line."""

    def __init__(self, device: str, profile: Profile, style: Style, wire_ms: Callable[[int], float]) -> None:
        self.counters: dict[str, int] = {}
        self._device = device
        self._profile = profile
        self._style = style
        self._wire_ms = wire_ms
        self._parser = escpos.ReplyParser(full_status=escpos.FULL_STATUS in profile.requests)
        self._signals: list[Signal] = []
        self._out = bytearray()
        self._waiting: deque[_Waiting] = deque()
        self._job: _Job | None = None
        self._up: bool | None = None  # None: nobody has been told yet
        self._state: Literal["clean", "sync", "clear"] = "sync"  # what must be done before an order may begin
        self._reset(0)

    def _reset(self, now_ms: int) -> None:
        """The line is new: nothing that was known of the other end holds."""
        self._open = False
        self._misses = 0
        self._held_ms: int | None = None
        self._round: _Round | None = None
        self._rounds = 0  # begun
        self._rounds_done = 0  # number of the last whole one
        self._next_round_ms = now_ms
        self._quiet_until_ms = now_ms
        self._wire_free_ms = float(now_ms)
        self._recover_at_ms = now_ms
        self._unstick_at_ms = now_ms
        self._parser.forget()
        self._forget_printer()

    def _forget_printer(self) -> None:
        self._state = "sync" if self._state == "clean" else self._state
        self._status: PrinterStatus | None = None
        self._cutter_rounds = 0  # in a row that said "cutter error"
        self._ejector = (0, 0)  # its last two status bytes: any byte can be one, so a fault must be said twice
        self._mouth: bool | None = None
        self._mouth_empty = 0  # readings in a row
        self._mouth_order = ""  # whose ticket is, or is expected, in the mouth
        self._presented = False

    # -- what the link says --------------------------------------------------------------------------------------------

    def opened(self, now_ms: int) -> None:
        self._reset(now_ms)
        self._open = True
        self._next_round_ms = self._quiet_until_ms = now_ms + QUIET_MS

    def lost(self, now_ms: int, why: str) -> None:
        self._gone(why)
        self._reset(now_ms)
        self._out.clear()

    def received(self, data: bytes, now_ms: int) -> None:
        before = self._parser.garbage
        for reply in self._parser.feed(data):
            match reply:
                case Flow(hold):
                    self._count("xoff" if hold else "xon")
                    self._held_ms = now_ms if hold else None
                case InOrder(byte) if self._round is not None and self._round.asked == escpos.FULL_STATUS:
                    self._round.in_order.append(byte)
                case InOrder(byte):
                    self._hear_in_order(byte, now_ms)
                case RealTime(byte) | Ejector(byte):
                    self._hear_status(byte, isinstance(reply, Ejector), now_ms)
                case FullStatus():
                    self._hear_status(reply, False, now_ms)
                case Block(b"\x25"):
                    self._count("buffers-cleared")
                case _:
                    self._count("replies-unasked")
        self._count("garbage-bytes", self._parser.garbage - before)

    def order(self, device: str, order: Order, now_ms: int) -> None:
        try:
            self._waiting.append(self._accept(device, order, now_ms))
        except ValueError as refusal:
            self._count("orders-refused")
            self._signals.append(Outcome(device, order.order, Result.REFUSED, str(refusal)))
            return
        if self._round is None:
            self._next_round_ms = min(self._next_round_ms, now_ms)

    def _accept(self, device: str, order: Order, now_ms: int) -> _Waiting:
        """ValueError with the reason if it is not."""
        if device != self._device:
            raise ValueError(f"no printer {device!r} here")
        if not isinstance(order, Print | Retract):
            raise ValueError(f"a printer cannot {type(order).__name__.lower()}")
        if isinstance(order, Retract) and not self._profile.mouth:
            raise ValueError("this model cannot retract")
        if order.deadline_ms <= now_ms:
            raise ValueError("expired")
        if not self._open or self._up is False:
            raise ValueError("the printer does not answer")
        if len(self._waiting) >= ORDERS_WAITING_MAX:
            raise ValueError("queue full")
        pieces = escpos.encode(order.document, self._style) if isinstance(order, Print) else ()
        return _Waiting(order, pieces, self._rounds)

    def poll(self, now_ms: int) -> SerialTurn:
        if self._open:
            self._expire(now_ms)
            self._watch_reply(now_ms)
            self._watch_job(now_ms)
            self._begin_job(now_ms)
            self._send(now_ms)
        turn = SerialTurn(bytes(self._out), tuple(self._signals), self._wake_ms(now_ms))
        self._out.clear()
        self._signals.clear()
        return turn

    # -- sending -------------------------------------------------------------------------------------------------------

    def _send(self, now_ms: int) -> None:
        """One thing at most, when the line is free and no answer is waited for."""
        job = self._job
        if now_ms < max(self._quiet_until_ms, self._wire_free_ms):
            return
        if self._round is not None:
            if self._round.asked is None:
                self._ask(self._round, now_ms)
        elif now_ms >= self._next_round_ms:
            self._rounds += 1
            self._round = _Round(self._rounds, now_ms, deque(self._profile.requests))
            # It is answered in order: only when nothing is before it, and the printer executes at all.
            online = self._status is not None and self._status.online
            if self._profile.mouth and job is None and self._state == "clean" and online:
                self._round.left.append(EJECTOR)
            self._ask(self._round, now_ms)
        elif job is not None and job.pieces and (self._held_ms is None or job.kind == "clear"):
            job.sent = True
            self._write(job.pieces.popleft(), now_ms)
            if not job.pieces and job.kind == "clear":
                self._cleared(now_ms)

    def _ask(self, turn: _Round, now_ms: int) -> None:
        turn.asked, turn.asked_ms = turn.left.popleft(), now_ms
        self._parser.expect_ejector = turn.asked == EJECTOR
        self._write(escpos.ASK_EJECTOR if turn.asked == EJECTOR else escpos.status_request(turn.asked), now_ms)

    def _write(self, data: bytes, now_ms: int) -> None:
        self._out += data
        self._wire_free_ms = max(self._wire_free_ms, now_ms) + self._wire_ms(len(data))

    def _wake_ms(self, now_ms: int) -> int | None:
        if not self._open:
            return None
        at: list[float] = [waiting.order.deadline_ms for waiting in self._waiting]
        job, turn = self._job, self._round
        if turn is not None and turn.asked is not None:
            at.append(turn.asked_ms + REPLY_MS_MAX)
        else:
            sends = turn is not None or (job is not None and bool(job.pieces) and self._held_ms is None)
            at.append(max(now_ms if sends else self._next_round_ms, self._quiet_until_ms, self._wire_free_ms))
        if job is not None:
            at.append(job.until_ms)
            if job.kind == "sync" and job.answered_ms is not None:
                at.append(job.answered_ms + SYNC_QUIET_MS)
        else:
            at += [due_ms for due_ms in (self._recover_at_ms, self._unstick_at_ms) if due_ms > now_ms]
        return max(now_ms + 1, int(min(at) + 0.999))

    # -- status --------------------------------------------------------------------------------------------------------

    def _watch_reply(self, now_ms: int) -> None:
        """An answer that stayed out ends the round; after a few the printer is lost."""
        turn = self._round
        if turn is None or turn.asked is None or now_ms < turn.asked_ms + REPLY_MS_MAX:
            return
        self._parser.forget()
        if turn.asked == EJECTOR:  # in order, so it may rightly stay out; the rest of the round stands
            self._end_round(turn, now_ms)
            return
        self._count("replies-missed")
        self._misses += 1
        self._round = None
        self._next_round_ms = self._quiet_until_ms = now_ms + QUIET_MS
        if self._misses >= MISSES_MAX:
            self._next_round_ms = now_ms + POLL_LOST_MS
            self._gone("the printer does not answer")
            self._forget_printer()

    def _hear_status(self, reading: int | FullStatus, of_ejector: bool, now_ms: int) -> None:
        turn = self._round
        if (
            turn is None
            or turn.asked is None
            or isinstance(reading, FullStatus) != (turn.asked == escpos.FULL_STATUS)
            or of_ejector != (turn.asked == EJECTOR)
        ):
            self._count("replies-unasked")
            return
        turn.readings[turn.asked] = reading
        turn.asked = None
        for byte in turn.in_order:
            self._hear_in_order(byte, now_ms)
        turn.in_order.clear()
        if not turn.left:
            self._end_round(turn, now_ms)

    def _end_round(self, turn: _Round, now_ms: int) -> None:
        self._round = None
        self._misses = 0
        self._rounds_done = turn.number
        ejector = turn.readings.get(EJECTOR)
        if isinstance(ejector, int):
            self._ejector = (self._ejector[1], ejector)
        status = read_status(self._device, turn.readings, self._ejector[0] & self._ejector[1])
        if self._up is not True:
            self._up = True
            self._signals.append(Health(self._device, up=True))
        if status.in_mouth is not None:
            self._see_mouth(status.in_mouth)
        status = replace(status, in_mouth=self._mouth)
        self._cutter_rounds = self._cutter_rounds + 1 if status.cutter_error else 0
        if status != self._status:
            self._status = status
            self._signals.append(status)
        if self._held_ms is not None and (not status.online or self._job is not None):
            self._held_ms = now_ms
        elif self._held_ms is not None and now_ms - self._held_ms >= XOFF_STALE_MS:
            self._held_ms = None
            self._count("xoff-stale")
        self._judge_job(turn, now_ms)
        self._next_round_ms = now_ms + self._pause_ms()

    def _pause_ms(self) -> int:
        """Until the next round. None at all if an order waits for one, or a job that was answered."""
        if self._waiting and self._waiting[0].after_round >= self._rounds_done:
            return 0
        if self._job is not None:
            return 0 if self._job.kind == "print" and self._job.answered_ms is not None else POLL_BUSY_MS
        return POLL_BUSY_MS if self._mouth else POLL_MS

    def _gone(self, why: str) -> None:
        """The printer or its port is lost: nothing stays unanswered, and it is said once."""
        job, self._job = self._job, None
        if job is not None:
            self._state = "clear" if job.sent else self._state
            self._answer(job.order, Result.UNKNOWN if job.sent else Result.REFUSED, why)
        while self._waiting:
            self._answer(self._waiting.popleft().order.order, Result.REFUSED, why)
        if self._up is not False:
            self._up = False
            self._signals += [Health(self._device, up=False, why=why), PrinterStatus(self._device, online=False)]

    # -- the mouth -----------------------------------------------------------------------------------------------------

    def _see_mouth(self, full: bool) -> None:
        self._mouth_empty = 0 if full else self._mouth_empty + 1
        if self._mouth and self._mouth_empty in range(1, MOUTH_EMPTY_READINGS):
            return
        self._mouth = full
        job = self._job
        if full and job is not None:
            job.mouth_seen = True
        if not self._mouth_order:
            return
        if full and not self._presented:
            self._presented = True
            self._signals.append(Paper(self._device, self._mouth_order, "presented"))
        elif not full and self._presented:
            retracted = job is not None and job.kind == "retract" and job.sent
            self._signals.append(Paper(self._device, self._mouth_order, "retracted" if retracted else "taken"))
            self._mouth_order = ""

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def _expire(self, now_ms: int) -> None:
        for waiting in list(self._waiting):
            if waiting.order.deadline_ms <= now_ms:
                self._waiting.remove(waiting)
                self._answer(waiting.order.order, Result.REFUSED, "expired")

    def _begin_job(self, now_ms: int) -> None:
        if self._job is not None or self._up is not True or now_ms < self._quiet_until_ms:
            return
        due = now_ms >= self._recover_at_ms
        stuck = self._cutter_rounds >= TROUBLE_ROUNDS_MAX and now_ms >= self._unstick_at_ms
        if (due and self._state == "clear") or stuck:
            self._job = _Job("clear", "", deque([self._profile.clear]), now_ms + SYNC_MS_MAX)
            self._unstick_at_ms = now_ms + RECOVER_AGAIN_MS
        elif self._state == "sync" and due and self._held_ms is None and not not_ready(self._status):
            words = escpos.INITIALISE + self._profile.auto_status_off + escpos.BARRIER
            self._job = _Job("sync", "", deque([words]), now_ms + SYNC_MS_MAX)
        if self._job is None and self._waiting and self._rounds_done > self._waiting[0].after_round:
            self._begin_order(self._waiting[0], now_ms)

    def _begin_order(self, waiting: _Waiting, now_ms: int) -> None:
        """The status is younger than the order: refuse it, begin it, or make room for it first."""
        order, why = waiting.order, not_ready(self._status)
        if isinstance(order, Retract):
            why = "" if why == "paper out" else why
            why = why or ("" if self._mouth else "no ticket in the mouth")
        if why:
            self._waiting.popleft()
            self._answer(order.order, Result.REFUSED, why)
        elif self._state != "clean" or self._held_ms is not None:
            return  # until recovered, or expired
        elif isinstance(order, Print) and self._mouth:
            self._job = self._retract("", now_ms)
        elif isinstance(order, Print):
            self._waiting.popleft()
            wire_ms = round(self._wire_ms(sum(map(len, waiting.pieces))))
            self._mouth_order, self._presented = "", False
            until_ms = now_ms + 2 * wire_ms + self._profile.print_ms_max
            self._job = _Job("print", order.order, deque(waiting.pieces), until_ms)
        else:
            self._waiting.popleft()
            self._job = self._retract(order.order, now_ms)

    def _retract(self, order: str, now_ms: int) -> _Job:
        return _Job("retract", order, deque([self._profile.retract]), now_ms + self._profile.retract_ms_max)

    def _hear_in_order(self, byte: int, now_ms: int) -> None:
        """GS r 1 answers near end in bits 0 and 1, which are alike, and never paper out; anything else was noise.

        After a missed answer a byte may be what is left of it.
        """
        job, noise = self._job, byte & 0x0F not in (0x00, 0x03) or now_ms < self._quiet_until_ms
        if job is None or job.pieces or job.kind not in ("print", "sync") or noise:
            self._count("replies-unasked")
        elif job.kind == "sync" or job.answered_ms is None:
            job.answered_ms = now_ms
            self._next_round_ms = min(self._next_round_ms, now_ms)

    def _judge_job(self, turn: _Round, now_ms: int) -> None:
        """A whole round is over: what does it say of the job under way?"""
        job = self._job
        if job is None or job.kind == "clear":
            return
        if job.kind == "print" and job.answered_ms is not None and turn.began_ms >= job.answered_ms:
            self._printed(job)
        elif job.kind == "retract":
            if job.sent and self._mouth is False:
                self._finish(job, Result.CONFIRMED, "retracted")
        else:
            why = not_ready(self._status)
            job.trouble_rounds = job.trouble_rounds + 1 if why else 0
            if job.trouble_rounds >= TROUBLE_ROUNDS_MAX:
                self._fail(job, why, now_ms)

    def _watch_job(self, now_ms: int) -> None:
        job = self._job
        if job is None:
            return
        if job.kind == "sync" and job.answered_ms is not None and now_ms >= job.answered_ms + SYNC_QUIET_MS:
            self._job, self._state = None, "clean"
        elif now_ms >= job.until_ms:
            self._fail(job, "still in the mouth" if job.kind == "retract" else "no reply after the cut", now_ms)

    def _printed(self, job: _Job) -> None:
        self._finish(job, Result.CONFIRMED, "printed")
        if not self._profile.mouth:
            return
        self._mouth_order, self._presented = job.order, job.mouth_seen
        if job.mouth_seen:
            self._signals.append(Paper(self._device, job.order, "presented"))
        if job.mouth_seen and not self._mouth:
            self._signals.append(Paper(self._device, job.order, "taken"))
            self._mouth_order = ""

    def _cleared(self, now_ms: int) -> None:
        """The printer begins anew: what it said before does not hold, and the paper may have moved."""
        self._job, self._state = None, "sync"
        self._quiet_until_ms = now_ms + self._profile.clear_ms
        self._next_round_ms = max(self._next_round_ms, self._quiet_until_ms)
        self._held_ms, self._ejector, self._mouth = None, (0, 0), None

    def _fail(self, job: _Job, why: str, now_ms: int) -> None:
        self._finish(job, Result.UNKNOWN if job.sent else Result.REFUSED, why)
        if job.kind in ("sync", "clear"):
            self._count("recoveries-failed")
            self._recover_at_ms = now_ms + RECOVER_AGAIN_MS
        if job.sent and job.kind != "retract":
            self._state = "clear"
        if job.kind == "retract" and not job.order and self._waiting:
            self._answer(self._waiting.popleft().order.order, Result.REFUSED, "an old ticket is stuck in the mouth")

    def _finish(self, job: _Job, result: Result, detail: str) -> None:
        self._job = None
        self._answer(job.order, result, detail)

    def _answer(self, order: str, result: Result, detail: str) -> None:
        if order:  # the engine's own jobs have none
            self._signals.append(Outcome(self._device, order, result, detail))
            self._count(f"orders-{result.value}")

    def _count(self, name: str, by: int = 1) -> None:
        if by:
            self.counters[name] = self.counters.get(name, 0) + by
