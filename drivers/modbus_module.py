"""One I/O module on a Modbus line: what is known of its contacts, and of the one output that may be on. Sans-IO.

Rule 1: a contact is believed after `SAMPLES_AGREEING` equal samples; "on" (occupied) at once, "off" after its dwell.
Rule 2: what was not read in time is STALE, and is believed again only after agreeing samples again.
Rule 3: outputs exclude each other. The next pulse waits until the last one is over, by the worst assumption about it,
        and its dead time; and while any output of ours is on that we did not switch on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Literal

from drivers.api import Input, Pulse, Quality
from drivers.codecs.modbus_rtu import (
    COIL_OFF,
    COIL_ON,
    ReadCoils,
    ReadInputs,
    ReadRegisters,
    WriteCoil,
)

SAMPLES_AGREEING: Final = 2


@dataclass(frozen=True, slots=True)
class Profile:
    """A model, from profiles/modbus_io.toml, which says what the fields mean."""

    inputs: int
    inputs_by: Literal["discrete", "coils"]
    inputs_start: int
    outputs: int
    outputs_start: int
    pulse: Literal["module", "host"]
    turnaround_ms: int
    pulse_start: int = 0
    pulse_unit_ms: int = 1
    watchdog_register: int = 0


@dataclass(frozen=True, slots=True)
class InputOptions:
    point: str
    number: int
    closed_when_clear: bool
    """Normally-closed: the contact opens when something is there, and when its wire is cut."""
    pulse: bool
    fail_safe: bool
    shortest_ms: int
    clear_after_ms: int


@dataclass(frozen=True, slots=True)
class OutputOptions:
    point: str
    number: int
    width_ms_max: int


@dataclass(frozen=True, slots=True)
class ModuleOptions:
    """`watchdog_ms`: the communication watchdog that the site says the module has; None: none, no host-timed pulse."""

    name: str
    address: int
    profile: Profile
    inputs: tuple[InputOptions, ...]
    outputs: tuple[OutputOptions, ...]
    reply_ms: int
    poll_ms: int
    dead_ms: int
    watchdog_ms: int | None

    @property
    def can_pulse(self) -> bool:
        return self.profile.pulse == "module" or self.watchdog_ms is not None

    @property
    def read_inputs(self) -> ReadInputs | ReadCoils:
        kind = ReadInputs if self.profile.inputs_by == "discrete" else ReadCoils
        return kind(self.address, self.profile.inputs_start, self.profile.inputs)

    @property
    def read_outputs(self) -> ReadCoils:
        return ReadCoils(self.address, self.profile.outputs_start, self.profile.outputs)

    @property
    def read_watchdog(self) -> ReadRegisters:
        """Two registers: enabled, has tripped."""
        return ReadRegisters(self.address, self.profile.watchdog_register, 2)

    def switch_on(self, output: OutputOptions, width_ms: int) -> WriteCoil:
        if self.profile.pulse == "host":
            return WriteCoil(self.address, self.profile.outputs_start + output.number, COIL_ON)
        return WriteCoil(self.address, self.profile.pulse_start + output.number, self.units(width_ms))

    def switch_off(self, output: OutputOptions) -> WriteCoil:
        return WriteCoil(self.address, self.profile.outputs_start + output.number, COIL_OFF)

    def units(self, width_ms: int) -> int:
        return -(-width_ms // self.profile.pulse_unit_ms)

    def pulse_ms(self, width_ms: int) -> int:
        """How long a pulse really is: the module counts in whole units, and a short one is made longer."""
        return self.units(width_ms) * self.profile.pulse_unit_ms


class Contact:
    """What is known of one input."""

    def __init__(self, options: InputOptions) -> None:
        self.options = options
        self.on: bool | None = None
        self.quality: Quality | None = None
        self._raw: bool | None = None
        self._since_ms = 0
        self._samples = 0

    def sample(self, closed: bool, now_ms: int) -> bool:
        """Take one reading of the contact. True if what is known changed, in value or in quality."""
        raw = closed != self.options.closed_when_clear
        if raw != self._raw:
            self._raw, self._since_ms, self._samples = raw, now_ms, 0
        self._samples += 1
        dwelt = raw or now_ms - self._since_ms >= self.options.clear_after_ms
        if self._samples < SAMPLES_AGREEING or not dwelt or (raw == self.on and self.quality is Quality.GOOD):
            return False
        self.on, self.quality = raw, Quality.GOOD
        return True

    def doubt(self) -> bool:
        """Nothing was read in time. True if that is news, about a contact whose value was told before."""
        self._raw = None
        if self.quality is not Quality.GOOD:
            return False
        self.quality = Quality.STALE
        return True

    def forget(self) -> None:
        """Tell the value again when it is next known."""
        self._raw = None
        self.quality = None


class Step(Enum):
    """Where the one pulse of a module stands."""

    ON = auto()  # to be written, once
    ON_SENT = auto()
    READ_BACK = auto()  # the answer was lost: look whether the output is on
    OFF = auto()  # host-timed: to be written when it is time
    OFF_CHECK = auto()  # the answer to that was lost: look before writing it again


@dataclass(slots=True)
class Running:
    """A pulse that was begun. `sent_ms` is when the module may have acted, at the earliest."""

    pulse: Pulse
    output: OutputOptions
    step: Step = Step.ON
    sent_ms: int = 0
    again_at_ms: int = 0
    looks: int = 0
    offs: int = 0
    answered: bool = False


@dataclass(slots=True)
class Module:
    """The state of one module."""

    options: ModuleOptions
    contacts: tuple[Contact, ...] = ()
    up: bool | None = None
    outputs_read: bool = False
    watchdog_read: bool = False
    watchdog_on: bool = False
    misses: int = 0
    read_at_ms: int = 0
    poll_at_ms: int = 0
    look_at_ms: int = 0
    free_at_ms: int = 0
    running: Running | None = None
    left_alone: bool = False
    """It was given the time to switch off what it was found with, once since it was last up."""
    found_on: set[int] = field(default_factory=set)
    """Outputs of ours that are on though we did not switch them on, or that would not go off."""

    def __post_init__(self) -> None:
        self.contacts = tuple(Contact(options) for options in self.options.inputs)

    @property
    def name(self) -> str:
        return self.options.name

    def start_over(self) -> None:
        """Nothing is known any more: read everything, as at the start."""
        self.outputs_read = self.watchdog_read = self.watchdog_on = False
        self.misses = 0

    def output(self, point: str) -> OutputOptions | None:
        return next((output for output in self.options.outputs if output.point == point), None)

    def sampled(self, bits: Sequence[bool], now_ms: int) -> list[Input]:
        return [self.told(contact) for contact in self.contacts if contact.sample(bits[contact.options.number], now_ms)]

    def doubted(self) -> list[Input]:
        return [self.told(contact) for contact in self.contacts if contact.doubt()]

    def told(self, contact: Contact) -> Input:
        assert contact.on is not None
        assert contact.quality is not None
        return Input(self.name, contact.options.point, contact.on, contact.quality)

    def outputs_seen(self, bits: Sequence[bool]) -> list[Input]:
        """Compare the outputs with what they should be; returns what is news."""
        again, self.outputs_read = self.outputs_read, True
        ours = self.running.output.number if self.running else None
        news: list[Input] = []
        for output in self.options.outputs:
            known = output.number in self.found_on
            on = bits[output.number] and (known or output.number != ours)
            if on and not (known and again):
                self.found_on.add(output.number)
                news.append(Input(self.name, output.point, on=True, quality=Quality.GOOD))
            elif known and not on:
                self.found_on.discard(output.number)
                news.append(Input(self.name, output.point, on=False, quality=Quality.GOOD))
        return news

    def unfit(self) -> str:
        """Why this module takes no order now; empty if it does."""
        if self.up is not True:
            return "the device is lost" if self.up is False else "the device has not been read yet"
        if not self.options.can_pulse:
            return "this model cannot time a pulse and no communication watchdog is configured"
        if self.options.profile.pulse == "host" and not self.watchdog_on:
            return "the module's communication watchdog is off"
        return ""

    def busy(self, now_ms: int) -> str:
        """Why a pulse must wait; empty if it may begin."""
        if self.found_on:
            points = [output.point for output in self.options.outputs if output.number in self.found_on]
            return f"{', '.join(points)} is on"
        if self.running is not None or now_ms < self.free_at_ms:
            return "another output was on until just now"
        return ""
