"""The other end of a Modbus line: I/O modules that time their pulses, with faults that can be switched. Sans-IO.

The fields of a module may be set from another thread inside `PtyPeer.changing()`. `on_output` is called in the peer's
thread, with the peer held still: it may set inputs of this line, and must not wait for anything.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from drivers.codecs.modbus_rtu import (
    COIL_OFF,
    COIL_ON,
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    Bits,
    ReadCoils,
    ReadInputs,
    ReadRegisters,
    Refusal,
    Registers,
    Reply,
    Request,
    RequestReader,
    WriteCoil,
    WriteCoils,
    Written,
)
from drivers.modbus_module import Profile

BROADCAST: Final = 0
SILENCE_MS: Final = 100
"""A frame that pauses for longer is void. Far more than on a wire: the threads of a test share two processors."""
PULSE_UNITS_MAX: Final = 0x7FFF
REPLIES_LATE_MAX: Final = 64

OnOutput = Callable[[int, bool, int], None]
"""(output, on, now_ms), after it changed."""


def _nobody(_output: int, _on: bool, _now_ms: int) -> None:
    pass


@dataclass(slots=True)
class SimulatedModule:
    """One module. `inputs` are closed contacts, which `stuck` overrides. `pulses` counts the switchings-on it obeyed."""

    profile: Profile
    address: int
    on_output: OnOutput = _nobody
    inputs: list[bool] = field(default_factory=list)
    outputs: list[bool] = field(default_factory=list)
    pulses: int = 0
    watchdog_ms: int | None = None
    """The communication watchdog; None: off."""
    # Faults:
    mute: bool = False
    """Hears nothing, does nothing: no power."""
    late_ms: int = 0
    garbled: bool = False
    """Acts, but its reply has a wrong bit."""
    silent_writes: int = 0
    """So many writes are carried out without a reply."""
    deaf_writes: int = 0
    """So many writes are neither carried out nor replied to."""
    refuses_with: int = 0
    """The exception that answers every request; 0: none."""
    stuck: dict[int, bool] = field(default_factory=dict)
    _off_at_ms: dict[int, int] = field(default_factory=dict)
    _heard_at_ms: int = 0
    _tripped: bool = False

    def __post_init__(self) -> None:
        self.inputs = self.inputs or [False] * self.profile.inputs
        self.outputs = self.outputs or [False] * self.profile.outputs

    def handle(self, request: Request, now_ms: int) -> Reply | None:
        """Carry out a request that is addressed to this module; None: nothing is said."""
        if self.mute:
            return None
        self._heard_at_ms = now_ms
        write = isinstance(request, WriteCoil | WriteCoils)
        if write and self.deaf_writes:
            self.deaf_writes -= 1
            return None
        if self.refuses_with:
            reply: Reply = Refusal(self.address, request.function, self.refuses_with)
        else:
            reply = self._carry_out(request, now_ms)
        if write and self.silent_writes:
            self.silent_writes -= 1
            return None
        return None if request.address == BROADCAST else reply

    def tick(self, now_ms: int) -> None:
        """End the pulses that are over, and switch everything off if nobody has spoken to us in time."""
        for output, at_ms in list(self._off_at_ms.items()):
            if now_ms >= at_ms:
                self._switch(output, False, now_ms)
        if self.watchdog_ms is not None and any(self.outputs) and now_ms - self._heard_at_ms > self.watchdog_ms:
            self._tripped = True
            for output in range(len(self.outputs)):
                self._switch(output, False, now_ms)

    @property
    def next_at_ms(self) -> int | None:
        due = list(self._off_at_ms.values())
        if self.watchdog_ms is not None and any(self.outputs):
            due.append(self._heard_at_ms + self.watchdog_ms + 1)
        return min(due, default=None)

    def _switch(self, output: int, on: bool, now_ms: int, for_ms: int | None = None) -> None:
        self._off_at_ms.pop(output, None)
        self.pulses += on
        if on and for_ms is not None:
            self._off_at_ms[output] = now_ms + for_ms
        if on != self.outputs[output]:
            self.outputs[output] = on
            self.on_output(output, on, now_ms)

    def _contacts(self) -> list[bool]:
        return [self.stuck.get(number, closed) for number, closed in enumerate(self.inputs)]

    def _carry_out(self, request: Request, now_ms: int) -> Reply:
        match request:
            case ReadInputs() if self.profile.inputs_by == "discrete":
                return self._bits(request, {self.profile.inputs_start: self._contacts()})
            case ReadCoils():
                banks = {self.profile.outputs_start: self.outputs}
                if self.profile.inputs_by == "coils":
                    banks[self.profile.inputs_start] = self._contacts()
                return self._bits(request, banks)
            case ReadRegisters() if self.profile.watchdog_register == request.start and request.count == 2:
                return Registers(self.address, (int(self.watchdog_ms is not None), int(self._tripped)))
            case WriteCoil():
                return self._write(request, now_ms)
            case WriteCoils():
                return self._write_many(request, now_ms)
        return Refusal(self.address, request.function, ILLEGAL_ADDRESS)

    def _bits(self, request: ReadCoils | ReadInputs, banks: dict[int, list[bool]]) -> Reply:
        known = {start + number: bit for start, bank in banks.items() for number, bit in enumerate(bank)}
        places = range(request.start, request.start + request.count)
        if any(place not in known for place in places):
            return Refusal(self.address, request.function, ILLEGAL_ADDRESS)
        return Bits(self.address, request.function, tuple(known[place] for place in places))

    def _write(self, request: WriteCoil, now_ms: int) -> Reply:
        plain = request.coil - self.profile.outputs_start
        timed = request.coil - self.profile.pulse_start
        if 0 <= plain < len(self.outputs):
            if request.value not in (COIL_ON, COIL_OFF):
                return Refusal(self.address, request.function, ILLEGAL_VALUE)
            self._switch(plain, request.value == COIL_ON, now_ms)
        elif self.profile.pulse == "module" and 0 <= timed < len(self.outputs):
            if not 1 <= request.value <= PULSE_UNITS_MAX:
                return Refusal(self.address, request.function, ILLEGAL_VALUE)
            self._switch(timed, True, now_ms, request.value * self.profile.pulse_unit_ms)
        else:
            return Refusal(self.address, request.function, ILLEGAL_ADDRESS)
        return Written(request)

    def _write_many(self, request: WriteCoils, now_ms: int) -> Reply:
        first = request.start - self.profile.outputs_start
        if first < 0 or first + len(request.bits) > len(self.outputs):
            return Refusal(self.address, request.function, ILLEGAL_ADDRESS)
        for number, on in enumerate(request.bits):
            self._switch(first + number, on, now_ms)
        return Written(request)


class SimulatedLine:
    """`drivers.sim.pty.SimulatedSerialDevice` for all modules of one line.

    `echo`: the adapter repeats to us what we say.
    """

    def __init__(self, modules: Sequence[SimulatedModule], seed: int = 0) -> None:
        self.modules = {module.address: module for module in modules}
        self.echo = False
        self.heard: list[Request] = []
        """What was heard, the last `heard_max` of it, whoever it was for."""
        self.heard_max = 1_000
        self._random = random.Random(seed)  # noqa: S311 - faults must be repeatable, not secret
        self._reader = RequestReader()
        self._heard_at_ms = 0
        self._replies: list[tuple[int, bytes]] = []

    def received(self, data: bytes, now_ms: int) -> None:
        if now_ms - self._heard_at_ms > SILENCE_MS:
            self._reader.silence()
        self._heard_at_ms = now_ms
        if self.echo:
            self._replies.append((now_ms, data))
        for module in self.modules.values():
            module.tick(now_ms)
        for request in self._reader.feed(data):
            self.heard = [*self.heard, request][-self.heard_max :]
            for module in self.modules.values():
                if request.address in (BROADCAST, module.address):
                    self._reply(module, module.handle(request, now_ms), now_ms)

    def poll(self, now_ms: int) -> tuple[bytes, int | None]:
        for module in self.modules.values():
            module.tick(now_ms)
        due = b"".join(frame for at_ms, frame in self._replies if at_ms <= now_ms)
        self._replies = [(at_ms, frame) for at_ms, frame in self._replies if at_ms > now_ms]
        wakes = [at_ms for at_ms, _ in self._replies]
        wakes += [at_ms for module in self.modules.values() if (at_ms := module.next_at_ms) is not None]
        return due, min(wakes, default=None)

    def _reply(self, module: SimulatedModule, reply: Reply | None, now_ms: int) -> None:
        if reply is None or len(self._replies) >= REPLIES_LATE_MAX:
            return
        frame = bytearray(reply.to_bytes())
        if module.garbled:
            frame[self._random.randrange(len(frame))] ^= 1 << self._random.randrange(8)
        self._replies.append((now_ms + module.late_ms, bytes(frame)))
