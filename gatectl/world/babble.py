"""Talks to lanes directly, past every device: mostly what the world would answer next, sometimes nothing, sometimes anything.

What is said here may be a lie. Safety and the books must hold all the same; whether the count is the truth cannot be asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from random import Random
from typing import Any, Final, get_args, get_type_hints

from gatectl.domain import events, tickets
from gatectl.domain import lane as inputs
from gatectl.domain.ids import AreaId, JobId, LaneId, PaymentId, RequestId, TicketNumber, VendId
from gatectl.domain.lane import Arm, Hand, Input, Lane, LaneKind, LanePlan, Loop, Phase, Trust
from gatectl.domain.site import Site
from gatectl.domain.tickets import TicketState

ON: Final = Loop(True, Trust.GOOD)
OFF: Final = Loop(False, Trust.GOOD)
NOWHERE: Final = LaneId("NO-SUCH-LANE")
TEXTS: Final = ("", " ", "x", "ok", "\x00\x1b[2J", "\u202etekcit", "{}", "A" * 5_000, "0", "-1", "E-TKT-01")
INPUTS: Final[tuple[type, ...]] = get_args(Input)
_WHERE: Final = get_type_hints(events.DeviceWent)["roles"]
_OURS: Final = (events.LaneInput, events.WallClockMoved, events.HistoryStands, events.StopAsked)
"""Lane inputs come by their lane; the clock and the generation are the site's own word; after a stop nothing more is said."""
EVENTS: Final[tuple[type, ...]] = tuple(kind for kind in get_args(events.Event) if kind not in _OURS)
"""The core makes WallClockMoved itself; after StopAsked nothing more is said."""


# -- what the world would answer next -----------------------------------------------------------------------------------


def answers(site: Site, lane: Lane) -> list[Input]:
    """What a lane in this phase waits for, the plain thing first."""
    job, vend, payment = lane.job or JobId("none"), lane.vend or VendId("none"), lane.payment or PaymentId("none")
    table: dict[Phase, list[Input]] = {
        Phase.STARTING: [inputs.ArmingLoopChanged(OFF), inputs.ClosingLoopChanged(OFF), inputs.ArmMoved(Arm.DOWN)],
        Phase.IDLE: [inputs.ArmingLoopChanged(ON)],
        Phase.PRESENT: [_wish(site, lane), inputs.ArmingLoopChanged(OFF)],
        Phase.PRINTING: [inputs.TicketPrinted(job), inputs.TicketPresented(job), inputs.PrintFailed(job, "jam", True)],
        Phase.PRESENTED: [inputs.TicketPulled(job), inputs.TicketRetracted(job)],
        Phase.PAYING: [inputs.TerminalAnswered(payment, "approved"), inputs.TerminalAnswered(payment, "unknown")],
        Phase.OPENING: [inputs.ArmAnswered(vend, "open", "confirmed", ""), inputs.ArmMoved(Arm.UP)],
        Phase.OPEN: [inputs.ClosingLoopChanged(ON), inputs.ArmingLoopChanged(OFF)],
        Phase.PASSING: [inputs.ArmingLoopChanged(OFF), inputs.ClosingLoopChanged(OFF), inputs.ResetLoopChanged(OFF)],
        Phase.CLOSING: [inputs.ArmAnswered(vend, "close", "confirmed", ""), inputs.ArmMoved(Arm.DOWN)],
        Phase.HELD_OPEN: [inputs.ArmingLoopChanged(ON), inputs.ClosingLoopChanged(OFF), inputs.ArmMoved(Arm.DOWN)],
        Phase.FIRE: [inputs.FireChanged(False)],
    }
    return [word for word in table.get(lane.phase, [inputs.ArmBroke(False)]) if _has(lane, word)]


def _wish(site: Site, lane: Lane) -> Input:
    return inputs.ButtonPressed() if lane.plan.kind is LaneKind.ENTRY else inputs.CodeWasRead(some_code(site))


def some_code(site: Site, rng: Random | None = None) -> str:
    """The code of a ticket that is inside: of the oldest, or of any; text that is none when nobody is inside."""
    inside = [number for number, stay in site.books.stays.items() if stay.state is TicketState.INSIDE]
    if not inside:
        return "no ticket"
    stay = site.books.stays[rng.choice(inside) if rng else inside[0]]
    counter, _, tag = str(stay.ticket).partition("-")
    return tickets.sign(
        site.plan.keyring,
        site.plan.site,
        counter=int(counter),
        tag=tag,
        issued_s=stay.issued_ms // 1_000,
        vehicle_type=stay.vehicle_type,
    )


def _has(lane: Lane, word: Input) -> bool:
    """Lanes without limit switches are not wired to say how the arm stands."""
    if isinstance(word, inputs.ResetLoopChanged):
        return lane.plan.layout is inputs.Layout.THREE_LOOP
    return lane.plan.layout is not inputs.Layout.NO_LIMITS or not isinstance(word, inputs.ArmMoved)


# -- anything -----------------------------------------------------------------------------------------------------------


def anything(site: Site, lane: LaneId, rng: Random, n: int) -> events.Event:
    """Any input of any lane, or any other event, with any values. `n` makes its request its own."""
    pool = Pool(site, site.lanes[lane], rng, n)
    if rng.random() < 0.75:
        kind: type = rng.choice([kind for kind in INPUTS if kind is not inputs.HandCommanded])
        word: Input = pool.value(kind)
        if not _has(site.lanes[lane], word):
            return events.DeviceWent("no-such-device", rng.random() < 0.9, "babble", ((NOWHERE, ("open",)),))
        return events.LaneInput(NOWHERE if rng.random() < 0.05 else lane, word)
    event: events.Event = pool.value(rng.choice(EVENTS))
    return event


class Pool:
    """Values by the name of the field, mostly ones that mean something here, else by its type."""

    def __init__(self, site: Site, lane: Lane, rng: Random, n: int) -> None:
        self.site, self.lane, self.rng, self.n = site, lane, rng, n

    def value(self, kind: type) -> Any:
        """An instance of a frozen dataclass."""
        hints = get_type_hints(kind)
        return kind(**{part.name: self._field(part.name, hints[part.name]) for part in fields(kind)})

    def _field(self, name: str, hint: Any) -> Any:
        if hint == _WHERE:
            return self.where()
        if name in _BY_NAME:
            return _BY_NAME[name](self)
        if hint is bool:
            return self.rng.random() < 0.5
        if hint is int:
            return self.number()
        options = get_args(hint)
        if type(None) in options:
            return None if self.rng.random() < 0.5 else self._field("", options[0])
        return self.text()

    def text(self) -> str:
        return self.rng.choice(TEXTS)

    def number(self) -> int:
        return self.rng.choice([0, 1, -1, 250, 10**6, -(10**9), 2**53])

    def vend(self) -> VendId:
        others = [lane.vend for lane in self.site.lanes.values() if lane.vend is not None]
        return self.rng.choice([*others, VendId("V-0"), VendId("")])

    def job(self) -> JobId:
        others = [lane.job for lane in self.site.lanes.values() if lane.job is not None]
        return self.rng.choice([*others, JobId("J-0"), JobId("")])

    def ticket(self) -> TicketNumber:
        stays = [*self.site.books.stays][-20:]
        return self.rng.choice([*stays, TicketNumber("999999-ZZZZ"), TicketNumber("")])

    def payment(self) -> PaymentId:
        """Never one that a terminal is at work on: what was truly taken must stay on record, and it would be a lie."""
        known = [*self.site.books.payments][-20:]
        asked = {payment for lane in self.site.lanes.values() for payment, _ in lane.pending}
        return self.rng.choice([*(each for each in known if each not in asked), PaymentId("P-0"), PaymentId("")])

    def code(self) -> str:
        good = some_code(self.site, self.rng)
        at = self.rng.randrange(len(good))
        return self.rng.choice([good, good[:at], good[:at] + "X" + good[at + 1 :], good * 2, self.text()])

    def lane_id(self) -> LaneId:
        return self.rng.choice([*self.site.lanes, NOWHERE])

    def area(self) -> AreaId:
        return self.rng.choice([*self.site.plan.areas, AreaId("no-such-area")])

    def roles(self, plan: LanePlan | None = None) -> tuple[str, ...]:
        """Two that the lane has."""
        plan = plan or self.lane.plan
        own = {"printer": plan.has_printer, "reader": plan.has_reader, "terminal": plan.has_terminal}
        return tuple(self.rng.sample(["open", "arming", "closing", *(role for role, there in own.items() if there)], 2))

    def where(self) -> tuple[tuple[LaneId, tuple[str, ...]], ...]:
        """Up to two lanes, one of which may not exist."""
        some = self.rng.sample(self.site.plan.lanes, self.rng.randint(0, 1))
        named = [(plan.lane, self.roles(plan)) for plan in some]
        return (*named, (NOWHERE, ("open",))) if self.rng.random() < 0.1 else tuple(named)


_BY_NAME: Final[Mapping[str, Callable[[Pool], Any]]] = {
    "loop": lambda pool: Loop(pool.rng.random() < 0.5, pool.rng.choice(list(Trust))),
    "arm": lambda pool: pool.rng.choice(list(Arm)),
    "vend": Pool.vend,
    "job": Pool.job,
    "ticket": Pool.ticket,
    "payment": Pool.payment,
    "text": Pool.code,
    "code": Pool.code,
    "lane": Pool.lane_id,
    "area": Pool.area,
    "order": lambda pool: pool.rng.choice(["open", "close", "stop", "dance"]),
    "result": lambda pool: pool.rng.choice(["confirmed", "refused", "unknown", "perhaps"]),
    "outcome": lambda pool: pool.rng.choice(["approved", "declined", "cancelled", "timed-out", "unknown", "perhaps"]),
    "method": lambda pool: pool.rng.choice(["CREDIT_CARD", "UPI", "SHELLS"]),
    "hand": lambda pool: pool.rng.choice(list(Hand)),
    "roles": lambda pool: pool.roles(),
    "body": Pool.text,
    "device": lambda _: "no-such-device",
    "delta": lambda pool: pool.rng.randint(-2, 2),
    "minutes": lambda pool: pool.rng.choice([None, 0, -5, 90, 10**9]),
    "request": lambda pool: RequestId(f"babble-{pool.n}"),
    "command": lambda pool: f"babble-{pool.n}",
    "till": lambda _: "till-1",
    "station": lambda _: "PS-1",
    "who": lambda pool: pool.rng.choice(["mia", ""]),
}
