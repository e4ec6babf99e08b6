"""A lane's simulated devices: truth becomes inputs, effects become truth, each with its latency and its faults.

Rule 1: what a device says is said to the run of the daemon that is up at that moment; an order of an earlier run answers nobody.
Rule 2: a device that is away says nothing and obeys nothing; when it is back it tells everything anew.
Rule 3: faults are switches (`mode`, `lost`, `quirks`); a quirk is used up by the next thing that it can spoil.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from gatectl.domain import effects as fx
from gatectl.domain import lane as inputs
from gatectl.domain.events import DeviceWent, Event, LaneInput
from gatectl.domain.ids import JobId, LaneId
from gatectl.domain.lane import Arm, LaneKind, LanePlan, Layout, Loop, Trust
from gatectl.world.kernel import Kernel
from gatectl.world.lanes import LaneTruth

SENSE_MS: Final = (30, 90)
"""Debounce and polling: truth to input."""
ACT_MS: Final = (20, 150)
"""Order to output."""
PRINT_MS: Final = (900, 2_500)
PULL_MS: Final = 60
RETRACT_MS: Final = 400
SELF_CLOSE_MS: Final = 3_000
SELF_CLOSE_UNUSED_MS: Final = 40_000
"""A barrier that closes itself waits so long behind a vehicle, and so long for one that does not come."""


@dataclass(frozen=True, slots=True)
class Paper:
    """What is printed on a ticket."""

    job: JobId
    number: str
    code: str


@dataclass(slots=True)
class Loops:
    """One induction loop: what is on it, and how its detector lies. `mode`: "", stuck, dead, stale, fault."""

    on: bool = False
    mode: str = ""

    def reading(self) -> Loop:
        if self.mode in ("stale", "fault"):
            return Loop(self.on, Trust(self.mode))
        return Loop(self.mode == "stuck" or (self.on and self.mode != "dead"), Trust.GOOD)


@dataclass(slots=True)
class Printer:
    """`mouth`: the ticket that can be pulled (or picks up off the cutter, where there is no mouth)."""

    low: bool = False
    out: bool = False
    jam: bool = False
    mouth: Paper | None = None

    def status(self, online: bool) -> inputs.PrinterChanged:
        return inputs.PrinterChanged(online, self.low, self.out, self.jam, self.mouth is not None)


@dataclass(slots=True)
class Site:
    """What the devices of all lanes share: where their words go, and who watches the orders."""

    kernel: Kernel
    rng: Random
    post: Callable[[Event], None]
    life: Callable[[], int]
    mono_ms: Callable[[], int]
    shared: "dict[str, list[LaneDevices]]" = field(default_factory=dict)
    """Device to the lanes that it plays a role in."""


class LaneDevices:
    """Satisfies gatectl.world.lanes.Hardware for one lane, and performs the lane's effects.

    `wired` is role to device as in a site file, and a role that is not in it does not exist; without it the lane has
    everything, on devices of its own.
    """

    def __init__(self, site: Site, plan: LanePlan, wired: Mapping[str, str] | None = None) -> None:
        self.site = site
        self.plan = plan
        self.lane: LaneId = plan.lane
        self.loops = {"arming": Loops(), "closing": Loops()}
        if plan.layout is Layout.THREE_LOOP:
            self.loops["reset"] = Loops()
        self.limits = {"arm_up": False, "arm_down": False}
        self.printer = Printer()
        self.broken = self.door = self.fire = False
        self.lost: set[str] = set()
        """Names of devices that are away."""
        self.quirks: dict[str, str] = {}
        self.wires: Callable[[inputs.Input], None] | None = None
        """What bad wires make of the lane's words; None: they are good."""
        self.shown = ""
        self.device_of = dict(wired) if wired is not None else self._devices_of_its_own()
        for device in self.roles():
            site.shared.setdefault(device, []).append(self)
        self.truth = LaneTruth(
            site.kernel,
            plan.lane,
            plan.kind.value,
            self,
            has_limits=plan.layout is not Layout.NO_LIMITS,
            has_reset="reset" in self.loops,
        )
        self._told: dict[str, inputs.Input] = {}
        self._due: set[str] = set()
        self._closes = 0

    # -- telling -----------------------------------------------------------------------------------------------------

    def _devices_of_its_own(self) -> dict[str, str]:
        """An I/O module with every contact, and whatever else the plan says."""
        io = ["open", "close", "stop", *self.loops, *self.limits, "button", "broken", "door", "fire", "display"]
        whole = {"printer": self.plan.has_printer, "reader": self.plan.has_reader, "terminal": self.plan.has_terminal}
        return dict.fromkeys(io, f"io-{self.lane}") | {
            role: f"{role}-{self.lane}" for role, there in whole.items() if there
        }

    def roles(self) -> dict[str, tuple[str, ...]]:
        """Device to the roles it plays in this lane."""
        found: dict[str, tuple[str, ...]] = {}
        for role, device in self.device_of.items():
            found[device] = (*found.get(device, ()), role)
        return found

    def away(self, role: str) -> bool:
        """Whether the device behind a role is lost, or there is none."""
        return self.device_of.get(role) is None or self.device_of[role] in self.lost

    def say(self, happened: inputs.Input) -> None:
        if self.wires is None:
            self.site.post(LaneInput(self.lane, happened))
        else:
            self.wires(happened)

    def say_later(self, delay_ms: int, happened: inputs.Input) -> None:
        """Say it to this run of the daemon, if it is still up by then."""
        life = self.site.life()
        self.site.kernel.after(delay_ms, lambda: self.say(happened) if life == self.site.life() else None)

    def quirk(self, what: str) -> str:
        """The fault that waits for `what`, used up by this."""
        return self.quirks.pop(what, "")

    def lose(self, device: str, why: str) -> None:
        """A device goes away."""
        if device not in self.lost:
            for each in self.site.shared[device]:
                each.lost.add(device)
            self._went(device, up=False, why=why)

    def restore(self, device: str) -> None:
        """A device is back, and tells everything anew."""
        if device in self.lost:
            for each in self.site.shared[device]:
                each.lost.discard(device)
            self._back(device)

    def _back(self, device: str) -> None:
        self._went(device, up=True, why="")
        for each in self.site.shared[device]:
            each.tell_everything(device)

    def _went(self, device: str, *, up: bool, why: str) -> None:
        lanes = tuple((each.lane, each.roles()[device]) for each in self.site.shared[device])
        self.site.post(DeviceWent(device, up, why, lanes))

    def started(self) -> None:
        """The daemon is up: its drivers find the devices, one after the other."""
        self._told.clear()
        self._due.clear()
        life = self.site.life()
        for device in self.roles():
            if self.site.shared[device][0] is self:
                self.site.kernel.after(self.site.rng.randint(50, 600), self._finding(device, life))

    def _finding(self, device: str, life: int) -> Callable[[], None]:
        def found() -> None:
            if life != self.site.life():
                return
            if device in self.lost:
                self._went(device, up=False, why="not there")
            else:
                self._back(device)

        return found

    def tell_everything(self, device: str) -> None:
        if device in self.lost:
            return
        mine = self.roles()[device]
        for what in (*self.loops, *(["arm"] if self.truth.has_limits else [])):
            if what in mine or (what == "arm" and not set(self.limits).isdisjoint(mine)):
                self._told.pop(what, None)
                self._soon(what)
        for contact, said in _CONTACT.items():
            if contact in mine:
                self.say(said(getattr(self, contact)))
        if "printer" in mine:
            self.say(self.printer.status(online=True))
        if "terminal" in mine:
            self.say(inputs.TerminalChanged(True))

    def tell_printer(self) -> None:
        if not self.away("printer"):
            self.say(self.printer.status(online=True))

    # -- inputs --------------------------------------------------------------------------------------------------------

    def _close_by_itself(self, delay_ms: int) -> None:
        """A barrier without a closing input has logic and a loop of its own: it comes down when nothing is under it."""
        self._closes += 1
        mine = self._closes
        self.site.kernel.after(delay_ms, lambda: self._come_down(mine))

    def _come_down(self, mine: int) -> None:
        if mine != self._closes or self.truth.arm.is_down:
            return
        if self.truth.is_on("closing") or self.truth.is_on("reset") or self.fire:
            self._close_by_itself(SELF_CLOSE_MS)
        else:
            self.truth.arm.close()

    def contact(self, lane: str, role: str, on: bool) -> None:
        if not self.plan.has_close and role == "closing":
            if on and not self.truth.arm.is_down:
                self.truth.arm.open()
            self._close_by_itself(SELF_CLOSE_MS)
        if role in self.loops:
            self.loops[role].on = on
            self._soon(role)
        elif role in self.limits:
            self.limits[role] = on
            self._soon("arm")
        elif role == "button" and on and not self.away("button"):
            self.say_later(self._sense_ms(), inputs.ButtonPressed())

    def set_mode(self, loop: str, mode: str) -> None:
        """A loop's detector begins or ceases to lie."""
        self.loops[loop].mode = mode
        self._soon(loop)

    def set_contact(self, name: str, on: bool) -> None:
        """The contacts that are no loops: broken, door, fire."""
        setattr(self, name, on)
        if not self.away(name):
            self.say(_CONTACT[name](on))

    def _sense_ms(self) -> int:
        return self.site.rng.randint(*SENSE_MS)

    def _soon(self, what: str) -> None:
        if what in self._due:
            return
        self._due.add(what)
        self.site.kernel.after(self._sense_ms(), lambda: self._report(what))

    def _report(self, what: str) -> None:
        self._due.discard(what)
        if any(self.away(role) for role in (self.limits if what == "arm" else (what,))):
            return
        happened = self._arm() if what == "arm" else _LOOP[what](self.loops[what].reading())
        if self._told.get(what) != happened:
            self._told[what] = happened
            self.say(happened)

    def _arm(self) -> inputs.ArmMoved:
        up, down = self.limits["arm_up"], self.limits["arm_down"]
        if up and down:
            return inputs.ArmMoved(Arm.UNKNOWN)
        return inputs.ArmMoved(Arm.UP if up else Arm.DOWN if down else Arm.BETWEEN)

    # -- hands on the machine --------------------------------------------------------------------------------------------

    def pull(self) -> Paper | None:
        """Somebody takes the paper."""
        paper, self.printer.mouth = self.printer.mouth, None
        if paper is None:
            return None
        self.truth.mouth_changed(False)
        if self.plan.has_mouth and not self.away("printer") and self.quirk("pull") != "unseen":
            self.say_later(PULL_MS, inputs.TicketPulled(paper.job))
        return paper

    def take_ticket(self, lane: str) -> str | None:
        paper = self.pull()
        return paper.code if paper else None

    def read_code(self, lane: str, code: str) -> None:
        if not self.away("reader"):
            self.say_later(200, inputs.CodeWasRead(code))

    # -- effects -------------------------------------------------------------------------------------------------------

    def perform(self, effect: fx.Effect) -> None:
        _PERFORM[type(effect)](self, effect)

    def order_arm(self, effect: fx.OpenArm | fx.CloseArm | fx.StopArm) -> None:
        life = self.site.life()
        self.site.kernel.after(self.site.rng.randint(*ACT_MS), lambda: self._act(effect, life))

    def _act(self, effect: fx.OpenArm | fx.CloseArm | fx.StopArm, life: int) -> None:
        died = life != self.site.life()
        if died and self.site.rng.random() < 0.5:
            return  # the driver's thread was gone before it wrote
        verb = {fx.OpenArm: "open", fx.CloseArm: "close", fx.StopArm: "stop"}[type(effect)]
        if not died and effect.deadline_mono_ms < self.site.mono_ms():
            self.say(inputs.ArmAnswered(effect.vend, verb, "refused", "expired"))
            return
        if self.away(verb):
            if not died:
                self.say(inputs.ArmAnswered(effect.vend, verb, "refused", "device lost"))
            return
        self._obey(effect, verb, self.quirk("arm"), died)

    def _obey(self, effect: fx.OpenArm | fx.CloseArm | fx.StopArm, verb: str, quirk: str, died: bool) -> None:
        """`quirk`: refused, unknown (it did act), unknown-idle (it did not), silent, late, twice."""
        if quirk not in ("refused", "unknown-idle"):
            self.truth.pulsed(verb)
            if not self.plan.has_close:
                self._close_by_itself(SELF_CLOSE_UNUSED_MS)
        if died or quirk == "silent":
            return
        result = "unknown" if quirk.startswith("unknown") else "refused" if quirk == "refused" else "confirmed"
        answer = inputs.ArmAnswered(effect.vend, verb, result, quirk)
        self.say_later(self.site.rng.randint(4_000, 12_000) if quirk == "late" else 30, answer)
        if quirk == "twice":
            self.say_later(self.site.rng.randint(40, 5_000), answer)

    def print_ticket(self, effect: fx.PrintTicket) -> None:
        printer, job = self.printer, effect.job
        why = "lost" if self.away("printer") else "out" if printer.out else "jam" if printer.jam else ""
        if why or printer.mouth is not None:
            self.say_later(50, inputs.PrintFailed(job, why or "mouth not empty", maybe=False))
            return
        life = self.site.life()
        quirk = self.quirk("print")
        slow = 20_000 if quirk == "late" else 0
        delay_ms = self.site.rng.randint(*PRINT_MS) + slow
        self.site.kernel.after(delay_ms, lambda: self._printed(effect, quirk, life))

    def _printed(self, effect: fx.PrintTicket, quirk: str, life: int) -> None:
        """`quirk`: vanished (no paper, no word), silent (paper, no word), jam, late, disordered (words doubled and swapped)."""
        heard = life == self.site.life()
        if quirk == "vanished" or self.away("printer") or (not heard and self.site.rng.random() < 0.5):
            return
        if quirk == "jam":
            self.printer.jam = True
            if heard:
                self.say(inputs.PrintFailed(effect.job, "jam", maybe=True))
            self.tell_printer()
            return
        self.printer.mouth = Paper(effect.job, effect.ticket, effect.code)
        if heard and quirk != "silent":
            if quirk == "disordered":
                self.say(inputs.TicketPresented(effect.job))
                self.say_later(3_000, inputs.TicketPrinted(effect.job))
            self.say(inputs.TicketPrinted(effect.job))
            if self.plan.has_mouth:
                self.say_later(40, inputs.TicketPresented(effect.job))
        self.truth.mouth_changed(True)

    def retract(self, effect: fx.RetractTicket) -> None:
        if self.plan.has_mouth and self.quirk("retract") != "fails":
            self.site.kernel.after(RETRACT_MS, lambda: self._retracted(effect.job))

    def _retracted(self, job: JobId) -> None:
        paper = self.printer.mouth
        if paper is None or paper.job != job or self.away("printer"):
            return
        self.printer.mouth = None
        self.say(inputs.TicketRetracted(job))
        self.truth.mouth_changed(False)

    def show(self, effect: fx.ShowText) -> None:
        """Also what nobody reads because there is no display is kept, for whoever looks on."""
        if self.device_of.get("display") not in self.lost:
            self.shown = effect.text

    def ignore(self, effect: fx.Effect) -> None:
        """Receipts: nobody in this world reads them."""


_LOOP: Final[Mapping[str, Callable[[Loop], inputs.Input]]] = {
    "arming": inputs.ArmingLoopChanged,
    "closing": inputs.ClosingLoopChanged,
    "reset": inputs.ResetLoopChanged,
}
_CONTACT: Final[Mapping[str, Callable[[bool], inputs.Input]]] = {
    "broken": inputs.ArmBroke,
    "door": inputs.DoorMoved,
    "fire": inputs.FireChanged,
}
_PERFORM: Final[Mapping[type, Callable[[LaneDevices, Any], None]]] = {
    fx.OpenArm: LaneDevices.order_arm,
    fx.CloseArm: LaneDevices.order_arm,
    fx.StopArm: LaneDevices.order_arm,
    fx.PrintTicket: LaneDevices.print_ticket,
    fx.RetractTicket: LaneDevices.retract,
    fx.ShowText: LaneDevices.show,
    fx.PrintReceipt: LaneDevices.ignore,
}


def is_entry(devices: LaneDevices) -> bool:
    return devices.plan.kind is LaneKind.ENTRY
