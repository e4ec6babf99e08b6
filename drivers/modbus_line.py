"""The conversation on one Modbus RTU line: one request at a time, orders first, every module polled in turn. Sans-IO.

Rule 1: one request is outstanding at a time. After a reply the line is silent for 3.5 characters; after a lost one for
        as long again as was waited, so that a late reply is not taken for the next request's. A line that is never
        silent is spoken on all the same, after `QUIET_MS_MAX`: what cannot be read must become stale.
Rule 2: a write that switches on is sent once. Lost reply: read the output back. Seen on is CONFIRMED; anything else is
        UNKNOWN, since a pulse may have come and gone.
Rule 3: a host-timed pulse is switched off before anything else is asked; "off" is written again only after reading
        that the output is still on.
Rule 4: the first thing said to a module is a question. Coming back from anywhere moves nothing: an output that is found
        on is reported, not switched. A host-timed pulse that a loss cut short is still ended, after the question; of one
        that another run of ours began we know nothing, so the module is left alone until its watchdog ends it.
Rule 5: an adapter that repeats what is sent makes every write look confirmed. From the first read that is heard back
        until one is answered without that, nothing is switched on, and a write's answer proves nothing.
Rule 6: of the lost modules one is asked each `PROBE_MS`, so that they do not slow down those that answer.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from drivers.api import (
    ORDERS_WAITING_MAX,
    Health,
    Input,
    Order,
    Outcome,
    Pulse,
    Quality,
    Result,
    SerialTurn,
    Signal,
)
from drivers.codecs.modbus_rtu import (
    DEVICE_BUSY,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    Bits,
    Refusal,
    Registers,
    Reply,
    ReplyReader,
    Request,
    Written,
    gap_ms,
)
from drivers.modbus_module import Module, ModuleOptions, OutputOptions, Running, Step
from drivers.options import LineOptions

STALE_AFTER_MISSES: Final = 3
LOST_AFTER_MISSES: Final = 8
STALE_MS: Final = 1_000
"""An input that was not read for so long is stale, whoever kept the line busy."""
QUIET_MS_MAX: Final = 250
PROBE_MS: Final = 1_000
OUTPUTS_LOOK_MS: Final = 500
"""How often an output that is on by itself is looked at."""
ECHO: Final = "the adapter repeats what is sent: switch its echo off"
LOOKS_MAX: Final = 3
LOOK_AGAIN_MS: Final = 400
OFFS_MAX: Final = 5
WIDTH_MS_MIN: Final = 100
WATCHDOG_LATE_MS_MAX: Final = 500
"""How much later than its time a module's communication watchdog may act."""
CERTAIN_REFUSALS: Final = frozenset({ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_BUSY})


@dataclass(frozen=True, slots=True)
class _Asked:
    """The request that is outstanding. `step` None: a reading of the module itself, not of a pulse."""

    module: Module
    request: Request
    step: Step | None
    until_ms: int


class ModbusLine:
    """`drivers.api.SerialEngine` for the I/O modules of one line."""

    def __init__(self, line: LineOptions, modules: Sequence[ModuleOptions]) -> None:
        self.counters: dict[str, int] = {}
        self._line = line
        self._gap_ms = ceil(gap_ms(line.baud))
        self._modules = {options.name: Module(options) for options in modules}
        self._reader = ReplyReader()
        self._asked: _Asked | None = None
        self._open = False
        self._echoing = False
        self._quiet_until_ms = 0
        self._quiet_until_ms_max = 0
        self._probe_at_ms = 0
        self._waiting: deque[tuple[Module, Pulse]] = deque()
        self._signals: list[Signal] = []

    # -- what the link tells ------------------------------------------------------------------------------------------

    def opened(self, now_ms: int) -> None:
        self._open = True
        self._asked = None
        self._reader.expect(None)
        self._be_quiet(now_ms, self._gap_ms)
        for module in self._modules.values():
            module.start_over()
            module.poll_at_ms = now_ms
        self._probe_at_ms = now_ms

    def lost(self, now_ms: int, why: str) -> None:
        self._open = False
        self._asked = None
        self._reader.expect(None)
        for module in self._modules.values():
            self._lose(module, why, now_ms)

    def received(self, data: bytes, now_ms: int) -> None:
        if self._asked is None:
            self._count("late-bytes", len(data))
            until_ms = max(self._quiet_until_ms, now_ms + self._gap_ms)
            self._quiet_until_ms = min(until_ms, self._quiet_until_ms_max)
            return
        asked, echoed = self._asked, self._reader.echoed
        reply = self._reader.feed(data)
        self.counters["skipped-bytes"] = self._reader.skipped
        if self._reader.echoed > echoed:
            self._count("echoes")
            self._echoing = True
            self._failed(ECHO, now_ms)
        elif reply is not None:
            self._asked = None
            self._be_quiet(now_ms, self._gap_ms)
            self._echoing = self._echoing and isinstance(reply, Written)
            self._answered(asked, reply, now_ms)

    def order(self, device: str, order: Order, now_ms: int) -> None:
        module = self._modules[device]
        why = self._refusal(module, order) or ("expired" if now_ms > order.deadline_ms else "")
        if why or not isinstance(order, Pulse):
            self._answer(module, order, Result.REFUSED, why)
        else:
            self._waiting.append((module, order))

    def poll(self, now_ms: int) -> SerialTurn:
        write = b""
        if self._open:
            if self._asked is not None and now_ms >= self._asked.until_ms:
                self._count("timeouts")
                self._failed("no answer", now_ms)
            self._refuse_expired(now_ms)
            for module in self._modules.values():
                if now_ms - module.read_at_ms > STALE_MS:
                    self._signals += module.doubted()
            if self._asked is None and now_ms >= self._quiet_until_ms:
                write = self._ask_next(now_ms)
        signals, self._signals = tuple(self._signals), []
        return SerialTurn(write, signals, self._wake_at_ms(now_ms) if self._open else None)

    def _be_quiet(self, now_ms: int, for_ms: int) -> None:
        self._quiet_until_ms = now_ms + for_ms
        self._quiet_until_ms_max = self._quiet_until_ms + QUIET_MS_MAX

    # -- what is asked next -------------------------------------------------------------------------------------------

    def _ask_next(self, now_ms: int) -> bytes:
        asked = self._next_pulse_step(now_ms) or self._begin_order(now_ms) or self._next_reading(now_ms)
        if asked is None:
            return b""
        module, request, step = asked
        frame = request.to_bytes()
        wire_ms = self._line.wire_ms(len(frame) + request.reply_bytes)
        self._asked = _Asked(module, request, step, now_ms + ceil(wire_ms) + self._gap_ms + module.options.reply_ms)
        self._reader.expect(request)
        self._count("requests")
        return frame

    def _next_pulse_step(self, now_ms: int) -> tuple[Module, Request, Step] | None:
        for module in self._modules.values():
            running = module.running
            if running is None or not module.outputs_read or now_ms < self._step_at_ms(module, running):
                continue
            if running.step is Step.OFF:
                running.offs += 1
                return module, module.options.switch_off(running.output), Step.OFF
            running.looks += 1
            return module, module.options.read_outputs, running.step
        return None

    def _step_at_ms(self, module: Module, running: Running) -> int:
        if running.step is Step.OFF:
            return max(running.again_at_ms, running.sent_ms + module.options.pulse_ms(running.pulse.width_ms))
        return running.again_at_ms

    def _begin_order(self, now_ms: int) -> tuple[Module, Request, Step] | None:
        for place, (module, pulse) in enumerate(self._waiting):
            if module.busy(now_ms):
                continue
            if self._echoing:
                del self._waiting[place]
                self._answer(module, pulse, Result.REFUSED, ECHO)
                return None
            output = module.output(pulse.point)
            assert output is not None, pulse
            del self._waiting[place]
            module.running = Running(pulse, output, Step.ON_SENT, sent_ms=now_ms)
            self._count("pulses")
            return module, module.options.switch_on(output, pulse.width_ms), Step.ON_SENT
        return None

    def _next_reading(self, now_ms: int) -> tuple[Module, Request, None] | None:
        due = [module for module in self._modules.values() if self._reading_at_ms(module) <= now_ms]
        if not due:
            return None
        module = min(due, key=lambda one: one.poll_at_ms)
        module.poll_at_ms = now_ms + module.options.poll_ms
        if module.up is False:
            self._probe_at_ms = now_ms + PROBE_MS
        options = module.options
        if not module.outputs_read:
            return module, options.read_outputs, None
        if not module.watchdog_read and options.profile.pulse == "host" and options.can_pulse:
            return module, options.read_watchdog, None
        if module.found_on and now_ms >= module.look_at_ms:
            return module, options.read_outputs, None
        return module, options.read_inputs, None

    def _reading_at_ms(self, module: Module) -> int:
        if module.up is False and not module.outputs_read:
            return max(module.poll_at_ms, self._probe_at_ms)
        return module.poll_at_ms

    def _wake_at_ms(self, now_ms: int) -> int:
        if self._asked is not None:
            return min([self._asked.until_ms, *(pulse.deadline_ms + 1 for _, pulse in self._waiting)])
        due = [self._reading_at_ms(module) for module in self._modules.values()]
        due += [
            self._step_at_ms(module, module.running)
            for module in self._modules.values()
            if module.running is not None and module.outputs_read
        ]
        due += [max(now_ms, module.free_at_ms) for module, _ in self._waiting if not module.busy(module.free_at_ms)]
        deadlines = [pulse.deadline_ms + 1 for _, pulse in self._waiting]
        return min([max(self._quiet_until_ms, min(due)), *deadlines])

    # -- what was answered --------------------------------------------------------------------------------------------

    def _answered(self, asked: _Asked, reply: Reply, now_ms: int) -> None:
        module = asked.module
        if isinstance(reply, Refusal):
            self._count("exceptions")
            self._refused(asked, reply, now_ms)
            return
        self._count("replies")
        module.misses = 0
        match reply, asked.step:
            case Bits(), None if asked.request == module.options.read_outputs:
                self._outputs_seen(module, reply.bits, now_ms)
            case Bits(), None:
                self._inputs_seen(module, reply.bits, now_ms)
            case Registers(), None:
                module.watchdog_read = True
                self._watchdog_seen(module, reply.values)
                module.poll_at_ms = now_ms
            case Bits(), Step.READ_BACK:
                self._read_back(module, reply.bits, now_ms)
            case Bits(), Step.OFF_CHECK:
                self._off_checked(module, reply.bits, now_ms)
            case Written(), Step.ON_SENT:
                self._switched_on(module, Result.CONFIRMED, "", now_ms)
            case Written(), Step.OFF if self._echoing:
                self._step_failed(module, Step.OFF, ECHO, now_ms)
            case Written(), Step.OFF:
                self._over(module, now_ms + module.options.dead_ms)

    def _inputs_seen(self, module: Module, bits: Sequence[bool], now_ms: int) -> None:
        module.read_at_ms = now_ms
        if module.up is not True:
            module.up, module.left_alone = True, False
            self._signals.append(Health(module.name, up=True))
        self._signals += module.sampled(bits, now_ms)

    def _outputs_seen(self, module: Module, bits: Sequence[bool], now_ms: int) -> None:
        first = not module.outputs_read
        news = module.outputs_seen(bits)
        self._count("coils-found-on", sum(one.on for one in news))
        self._signals += news
        module.look_at_ms = now_ms + OUTPUTS_LOOK_MS
        module.poll_at_ms = now_ms
        watchdog_ms = module.options.watchdog_ms
        if first and module.found_on and watchdog_ms is not None and not module.left_alone:
            module.left_alone = True
            module.outputs_read = False
            module.poll_at_ms = now_ms + watchdog_ms + WATCHDOG_LATE_MS_MAX

    def _watchdog_seen(self, module: Module, values: Sequence[int]) -> None:
        # The manual prints the value as two bytes without saying which comes first; both forms of 1 mean "on".
        module.watchdog_on = values[0] != 0
        if not module.watchdog_on:
            self._count("watchdogs-off")
        if values[1] != 0:
            self._count("watchdogs-tripped")

    # -- what was not -------------------------------------------------------------------------------------------------

    def _failed(self, why: str, now_ms: int) -> None:
        """No (good) reply: whatever may still come of it is not listened to."""
        assert self._asked is not None
        asked, self._asked = self._asked, None
        self._reader.expect(None)
        self._be_quiet(now_ms, asked.module.options.reply_ms)
        if asked.step is not None:
            self._step_failed(asked.module, asked.step, why, now_ms)
        self._missed(asked.module, why, now_ms)

    def _refused(self, asked: _Asked, refusal: Refusal, now_ms: int) -> None:
        module = asked.module
        if asked.step is Step.ON_SENT and refusal.code in CERTAIN_REFUSALS:
            assert module.running is not None
            self._answer(module, module.running.pulse, Result.REFUSED, str(refusal))
            self._over(module, now_ms)
        elif asked.step is not None:
            self._step_failed(module, asked.step, str(refusal), now_ms)
        elif asked.request == module.options.read_watchdog:
            # A model or firmware without these registers has no watchdog that we could see.
            self._watchdog_seen(module, (0, 0))
            module.watchdog_read = True
        else:
            self._missed(module, str(refusal), now_ms)

    def _missed(self, module: Module, why: str, now_ms: int) -> None:
        module.misses += 1
        if module.misses == STALE_AFTER_MISSES:
            self._signals += module.doubted()
        if module.misses >= LOST_AFTER_MISSES:
            self._lose(module, why, now_ms)

    def _lose(self, module: Module, why: str, now_ms: int) -> None:
        self._signals += module.doubted()
        for contact in module.contacts:
            contact.forget()
        running = module.running
        if running is not None:
            if not running.answered:
                self._answer(module, running.pulse, Result.UNKNOWN, why)
            if module.options.profile.pulse == "host":
                running.answered, running.step, running.offs, running.again_at_ms = True, Step.OFF_CHECK, 0, now_ms
            else:
                self._over(module, now_ms + module.options.pulse_ms(running.pulse.width_ms) + module.options.dead_ms)
        waiting = [pulse for one, pulse in self._waiting if one is module]
        self._waiting = deque(entry for entry in self._waiting if entry[0] is not module)
        for pulse in waiting:
            self._answer(module, pulse, Result.REFUSED, f"the device is lost: {why}")
        module.start_over()
        if module.up is not False:
            module.up = False
            self._count("modules-lost")
            self._signals.append(Health(module.name, up=False, why=why))

    # -- a pulse ------------------------------------------------------------------------------------------------------

    def _switched_on(self, module: Module, result: Result, detail: str, now_ms: int) -> None:
        """The pulse is answered. What is left is to end it, or to wait until it has ended itself."""
        running = module.running
        assert running is not None
        if not running.answered:
            running.answered = True
            self._answer(module, running.pulse, result, detail)
        if module.options.profile.pulse == "host":
            running.step = Step.OFF
        else:
            self._over(module, now_ms + module.options.pulse_ms(running.pulse.width_ms) + module.options.dead_ms)

    def _step_failed(self, module: Module, step: Step, why: str, now_ms: int) -> None:
        running = module.running
        assert running is not None
        if step is Step.ON_SENT:
            running.step = Step.READ_BACK
        elif step is Step.READ_BACK and running.looks >= LOOKS_MAX:
            self._switched_on(module, Result.UNKNOWN, f"neither the answer nor the output could be read: {why}", now_ms)
        elif step in (Step.OFF, Step.OFF_CHECK):
            # As long as it takes, since nobody else ends it; with pauses, in which the others are read.
            running.step, running.again_at_ms = Step.OFF_CHECK, now_ms + LOOK_AGAIN_MS

    def _read_back(self, module: Module, bits: Sequence[bool], now_ms: int) -> None:
        running = module.running
        assert running is not None
        if bits[running.output.number]:
            self._switched_on(module, Result.CONFIRMED, "the answer was lost, the output was read back", now_ms)
        else:
            self._switched_on(module, Result.UNKNOWN, "the answer was lost, the output was read back off", now_ms)

    def _off_checked(self, module: Module, bits: Sequence[bool], now_ms: int) -> None:
        running = module.running
        assert running is not None
        if not bits[running.output.number]:
            self._over(module, now_ms + module.options.dead_ms)
        elif running.offs >= OFFS_MAX:
            self._stays_on(module, running.output, now_ms)
        else:
            running.step = Step.OFF

    def _stays_on(self, module: Module, output: OutputOptions, now_ms: int) -> None:
        """We could not switch it off. Only the module's watchdog and a person are left."""
        self._count("outputs-stuck-on")
        module.found_on.add(output.number)
        module.look_at_ms = now_ms + OUTPUTS_LOOK_MS
        self._signals.append(Input(module.name, output.point, on=True, quality=Quality.FAULT))
        self._over(module, now_ms + module.options.dead_ms)

    def _over(self, module: Module, free_at_ms: int) -> None:
        module.running = None
        module.free_at_ms = free_at_ms

    # -- orders -------------------------------------------------------------------------------------------------------

    def _refusal(self, module: Module, order: Order) -> str:
        if not isinstance(order, Pulse):
            return f"an I/O module takes no {type(order).__name__}"
        output = module.output(order.point)
        if output is None:
            return f"no output {order.point!r}"
        if not WIDTH_MS_MIN <= order.width_ms <= output.width_ms_max:
            return f"a pulse of {order.width_ms} ms is not between {WIDTH_MS_MIN} and {output.width_ms_max} ms"
        if len(self._waiting) >= ORDERS_WAITING_MAX:
            return "queue full"
        return module.unfit()

    def _refuse_expired(self, now_ms: int) -> None:
        for _ in range(len(self._waiting)):
            module, pulse = self._waiting.popleft()
            if now_ms > pulse.deadline_ms:
                busy = module.busy(now_ms)
                self._answer(module, pulse, Result.REFUSED, f"expired: {busy}" if busy else "expired")
            else:
                self._waiting.append((module, pulse))

    def _answer(self, module: Module, order: Order, result: Result, detail: str) -> None:
        self._count(f"orders-{result.value}")
        self._signals.append(Outcome(module.name, order.order, result, detail))

    def _count(self, name: str, by: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + by
