"""A lane whose devices are bytes and messages away: truth becomes contacts, outputs become truth, and nothing else is said.

Rule 1: no word of this lane reaches the core but through the production drivers; what `LaneDevices` would say, the
        simulated devices of `drivers.sim` let be read off them.
Rule 2: a fault of the signal level is played as a state of the device that has this effect.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from drivers.codecs.modbus_rtu import DEVICE_BUSY
from drivers.sim.code_reader import SimulatedReader
from drivers.sim.escpos import Printed, SimulatedPrinter
from drivers.sim.modbus_io import SimulatedModule
from drivers.sim.shelly import ShellyTwin
from gatectl.domain import effects as fx
from gatectl.domain.ids import JobId
from gatectl.domain.lane import Input, LanePlan
from gatectl.world.cables import Cable, DeviceEnd
from gatectl.world.cables_mqtt import Broker, MqttEnd
from gatectl.world.cables_watch import SIGHT_MS_MAX, CableWatch
from gatectl.world.devices import SELF_CLOSE_UNUSED_MS, LaneDevices, Paper, Site
from gatectl.world.kernel import Kernel
from gatectl.world.ledger import hold

CLOSED_AT_REST: Final = frozenset({"arming", "closing", "reset"})
"""Contacts of detectors: a cut wire reads "occupied"."""
SPOILT_MS: Final = 5_000
"""How long a device misbehaves for one order."""
REBOOT_MS: Final = 2_500


class Io(Protocol):
    """The inputs and outputs of one lane, on one device or two."""

    def set(self, role: str, on: bool) -> None: ...
    def power(self, device: str, on: bool) -> None: ...
    def spoil(self, quirk: str) -> None:
        """The next order finds the device as `LaneDevices._obey` says."""


@dataclass(slots=True)
class ModuleIo:
    """`places`: role to the number of its input."""

    kernel: Kernel
    device: str
    module: SimulatedModule
    places: Mapping[str, int]
    watch: CableWatch

    def set(self, role: str, on: bool) -> None:
        place = self.places.get(role)
        if place is not None:
            self.module.inputs[place] = on is not (role in CLOSED_AT_REST)
            self.watch.contact(self.device, f"di{place}", on)

    def power(self, device: str, on: bool) -> None:
        self.module.mute = not on
        if not on:
            self.module.outputs = [False] * len(self.module.outputs)

    def spoil(self, quirk: str) -> None:
        if quirk == "refused":
            self.module.refuses_with = DEVICE_BUSY
        elif quirk == "unknown":
            self.module.silent_writes = 1
        elif quirk == "unknown-idle":
            self.module.deaf_writes = 1
        elif quirk == "silent":
            self.module.mute = True
        elif quirk == "late":
            self.module.late_ms = 160
        self.kernel.after(SPOILT_MS, self._well)

    def _well(self) -> None:
        module = self.module
        module.refuses_with = module.silent_writes = module.deaf_writes = module.late_ms = 0
        module.mute = False


@dataclass(slots=True)
class ShellyIo:
    """`places`: role to (device, number of its input)."""

    kernel: Kernel
    twins: Mapping[str, ShellyTwin]
    ends: Mapping[str, MqttEnd]
    places: Mapping[str, tuple[str, int]]
    watch: CableWatch

    def set(self, role: str, on: bool) -> None:
        if role in self.places:
            device, number = self.places[role]
            self.twins[device].set_input(number, on is not (role in CLOSED_AT_REST))
            self.watch.contact(device, f"di{number}", on)
            self.kernel.after(0, self.ends[device].turn)

    def power(self, device: str, on: bool) -> None:
        if on:
            self.ends[device].again()
        else:
            twin = self.twins[device]
            twin.outputs = dict.fromkeys(twin.outputs, False)
            self.ends[device].close()

    def spoil(self, quirk: str) -> None:
        for twin in self.twins.values():
            twin.mute = quirk == "silent"
            twin.swallow_set_replies = quirk == "unknown"
            twin.late_ms = 4_000 if quirk == "late" else 0
        self.kernel.after(SPOILT_MS, lambda: self.spoil("") if quirk else None)


@dataclass(slots=True)
class PrinterPost:
    """A printer and its cable."""

    sim: SimulatedPrinter
    cable: Cable
    end: DeviceEnd
    cut: int = 0
    """Documents seen."""
    cuts_ms: tuple[int, int] = (0, 0)
    """When the last two documents were cut: what was heard before the first of them is not on the next one."""
    hangs: Printed | None = None
    """At a printer without a mouth: the last ticket, until somebody takes it."""


@dataclass(slots=True)
class ReaderPost:
    sim: SimulatedReader
    cable: Cable
    end: DeviceEnd


@dataclass(slots=True)
class Cables:
    """What a fault can reach at one lane."""

    serial: dict[str, Cable] = field(default_factory=dict)
    """By device; modules of one line share one."""
    links: dict[str, MqttEnd] = field(default_factory=dict)
    """The devices' own links to the broker."""
    broker: Broker | None = None


class CabledLane(LaneDevices):
    """Stands in for `LaneDevices`: `roles` is role to device. `boot` is called when the daemon is up."""

    def __init__(
        self,
        site: Site,
        plan: LanePlan,
        roles: Mapping[str, str],
        watch: CableWatch,
        boot: Callable[[], None],
    ) -> None:
        super().__init__(site, plan, roles)
        self.cables = Cables()
        self.watch = watch
        self.io: Io | None = None
        self.printer_post: PrinterPost | None = None
        self.reader_post: ReaderPost | None = None
        self.ambush: Callable[[str], None] | None = None
        """Waits for the next order to a device (its role), and is used up by it."""
        self._boot = boot
        self._closing_since_ms: int | None = None

    # -- truth to contacts -------------------------------------------------------------------------------------------

    def started(self) -> None:
        self._boot()

    def say(self, happened: Input) -> None:
        raise AssertionError(f"{self.lane} speaks through its drivers, not by itself: {happened}")

    def contact(self, lane: str, role: str, on: bool) -> None:
        if role == "button":
            self._set(role, on)
            return
        if role == "closing":
            self._closing_since_ms = self.site.kernel.now_ms if on else None
        super().contact(lane, role, on)

    def _soon(self, what: str) -> None:
        if what == "arm":
            for role, on in self.limits.items():
                self._set(role, on)
        else:
            self._set(what, self._read_by_detector(what))

    def _read_by_detector(self, role: str) -> bool:
        """A detector that fails lets its contact go: that reads "occupied"."""
        loop = self.loops[role]
        return loop.mode in ("stuck", "stale", "fault") or (loop.on and loop.mode != "dead")

    def set_contact(self, name: str, on: bool) -> None:
        setattr(self, name, on)
        self._set(name, on)

    def _set(self, role: str, on: bool) -> None:
        if self.io is not None:
            self.io.set(role, on)

    # -- power ---------------------------------------------------------------------------------------------------------

    def lose(self, device: str, why: str) -> None:
        if device not in self.lost:
            self.lost.add(device)
            self._power(device, on=False)

    def restore(self, device: str) -> None:
        if device in self.lost:
            self.lost.discard(device)
            self._power(device, on=True)

    def _power(self, device: str, *, on: bool) -> None:
        printer, reader = self.printer_post, self.reader_post
        role = self.roles()[device][0]
        if role == "printer" and printer is not None:
            self.watch.count("printer interrupted")
            printer.end.on = on
            if on:
                printer.sim.revive()
            printer.end.turn()
        elif role == "reader" and reader is not None:
            if on:
                reader.cable.mend()
            else:
                reader.cable.unplug()
        elif role == "terminal":
            end = self.cables.links[device]
            if on:
                end.again()
            else:
                end.close()
        elif self.io is not None:
            self.io.power(device, on)

    def reboot(self, device: str) -> None:
        """It starts anew by itself."""
        if device not in self.lost:
            self.lose(device, "it starts anew")
            self.site.kernel.after(REBOOT_MS, lambda: self.restore(device))

    # -- outputs to truth ------------------------------------------------------------------------------------------------

    def output(self, verb: str) -> None:
        """An output closed."""
        self.watch.acted(self.lane, verb)
        if verb == "close":
            self._nothing_closes_on_what_was_seen()
        self.truth.pulsed(verb)
        if not self.plan.has_close:
            self._close_by_itself(SELF_CLOSE_UNUSED_MS)

    def _nothing_closes_on_what_was_seen(self) -> None:
        since_ms, loop = self._closing_since_ms, self.loops["closing"]
        stood_ms = 0 if since_ms is None else self.site.kernel.now_ms - since_ms
        seen = stood_ms > SIGHT_MS_MAX and loop.mode != "dead"
        hold(not seen, "nothing closes on a vehicle that stands there to be seen", f"{self.lane}, for {stood_ms} ms")

    def spoil(self, effect: fx.Effect) -> None:
        """Before an order goes out: the fault that waits for it."""
        role = "open" if isinstance(effect, fx.OpenArm | fx.CloseArm | fx.StopArm) else ""
        role = "printer" if isinstance(effect, fx.PrintTicket) else role
        if role == "open" and self.io is not None and (quirk := self.quirk("arm")):
            self.io.spoil(quirk)
        elif role == "printer" and self.printer_post is not None:
            self._spoil_print(self.quirk("print"), self.printer_post)
        if role and self.ambush is not None:
            ambush, self.ambush = self.ambush, None
            ambush(role)

    def _spoil_print(self, quirk: str, post: PrinterPost) -> None:
        kernel, sim = self.site.kernel, post.sim
        if quirk == "vanished":
            self.watch.count("printer interrupted")
            sim.dies_after_bytes = self.site.rng.randint(1, 300)
            kernel.after(4 * SPOILT_MS, sim.revive)
        elif quirk == "silent":
            sim.mute = True
            kernel.after(2 * SPOILT_MS, lambda: setattr(sim, "mute", False))
        elif quirk == "late":
            sim.hold = True
            kernel.after(SPOILT_MS, lambda: setattr(sim, "hold", False))
        elif quirk == "jam":
            self.printer.jam = True
            self.tell_printer()

    def tell_printer(self) -> None:
        """What `Printer` says of the paper becomes the state of the simulated one."""
        post = self.printer_post
        if post is None:
            return
        post.sim.paper_low, post.sim.paper_out = self.printer.low, self.printer.out
        if post.sim.custom:
            post.sim.jam = self.printer.jam
        else:
            post.sim.broken = self.printer.jam
        post.end.turn()

    # -- paper ---------------------------------------------------------------------------------------------------------

    def paper_moved(self) -> None:
        """The printer did something: what is there to be taken now?"""
        post = self.printer_post
        if post is None:
            return
        while post.cut < len(post.sim.printed):
            document = post.sim.printed[post.cut]
            post.cut += 1
            self.watch.paper(document, post.cable, post.cuts_ms[0])
            post.cuts_ms = (post.cuts_ms[1], self.site.kernel.now_ms)
            if not post.sim.custom:
                post.hangs = document
        there = post.sim.mouth if post.sim.custom else post.hangs
        paper = None if there is None else _paper_of(there)
        if paper != self.printer.mouth:
            self.printer.mouth = paper
            self.truth.mouth_changed(paper is not None)

    def pull(self) -> Paper | None:
        paper, self.printer.mouth = self.printer.mouth, None
        if paper is not None and self.printer_post is not None:
            self.printer_post.sim.take()
            self.printer_post.hangs = None
            self.truth.mouth_changed(False)
        return paper

    def read_code(self, lane: str, code: str) -> None:
        if self.reader_post is not None:
            self.reader_post.sim.show(code)
            self.reader_post.end.turn()


def _paper_of(document: Printed) -> Paper:
    """What a driver holds in the hand: the number is the largest thing on it. Harmed paper may have neither."""
    number = next((line.text.strip() for line in document.lines if line.big), "")
    return Paper(JobId(number), number, document.codes[0] if document.codes else "")
