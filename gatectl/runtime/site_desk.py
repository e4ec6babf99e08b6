"""The desk of a running daemon: questions go to the core or the mirror, wishes go to the core and wait for their commit."""

import queue
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from drivers import api
from gatectl import __version__
from gatectl.domain import events
from gatectl.domain.answers import told_payment
from gatectl.domain.business import registry as business
from gatectl.domain.business.rule import Words
from gatectl.domain.effects import Reply
from gatectl.domain.events import Event
from gatectl.domain.ids import AreaId, LaneId, PaymentId, RequestId, TicketNumber
from gatectl.domain.lane import Hand
from gatectl.domain.payments import Method, PaymentAsked, same_request
from gatectl.domain.pricing import stay_price
from gatectl.domain.records.spots import COUNT_DOUBTS
from gatectl.domain.site import Site
from gatectl.domain.tickets import parse_number
from gatectl.runtime import availability, panel, why
from gatectl.runtime.availability import availability_of
from gatectl.runtime.clock import SystemClock
from gatectl.runtime.core import Core, CoreStopped
from gatectl.runtime.desk import (
    HEARTBEAT_S_MAX,
    Answer,
    CashPayment,
    EventQuery,
    LostTicket,
    Order,
    Refused,
    TicketQuery,
)
from gatectl.runtime.link import Link
from gatectl.runtime.paper import test_document
from gatectl.runtime.requests import RequestReused, Requests, TooManyRequests
from gatectl.runtime.watchers import Watchers
from gatectl.runtime.wiring import LaneWires, Wiring
from gatectl.store.loading import taken_of
from gatectl.store.reading import Mirror
from sync.records import Vitals

TEST_PRINT_MS_MAX: Final = 15_000
_INPUT_ROLES: Final = ("arming", "closing", "reset", "arm_up", "arm_down", "button", "broken", "door", "fire")

T = TypeVar("T")


@dataclass(slots=True)
class SiteDesk:
    """Satisfies gatectl.runtime.desk.Desk. Called from the control server's threads."""

    database: Path
    core: Core
    clock: SystemClock
    wiring: Wiring
    buses: Mapping[str, api.Bus]
    """Device to its bus."""
    requests: Requests
    signals: Watchers
    commits: Watchers
    office: str | None
    link: Callable[[], Link | None]
    started_ms: int
    damaged: str = ""
    """What the start found wrong with the journal."""
    disk_low: str = ""
    """What the start found of room on the disk, when it was too little."""

    # -- asking ----------------------------------------------------------------------------------------------------

    def _ask(self, question: Callable[[Site], T]) -> T:
        try:
            return self.core.ask(question)
        except CoreStopped as stopped:
            raise Refused("E-BUSY-01", str(stopped)) from stopped

    def _lane_row(self, site: Site, wires: LaneWires, last: panel.Plain | None) -> panel.Plain:
        """On the core's thread: nothing here touches a disk."""
        printer = self._printer_row(wires.roles["printer"][0]) if "printer" in wires.roles else None
        return panel.lane_row(site.lanes[wires.lane], panel.lane_faults(site, wires.lane), printer, last)

    def _printer_row(self, device: str) -> panel.Plain:
        status = self.wiring.last_status.get(device)
        if not isinstance(status, api.PrinterStatus):
            return {"device": device, "state": "unknown"}
        row = {"device": device, "online": status.online, "paper_low": status.paper_low, "paper_out": status.paper_out}
        row |= {"cover_open": status.cover_open, "cutter_error": status.cutter_error, "error": status.error}
        return row | {"in_mouth": status.in_mouth, "state": _printer_state(status)}

    def status(self) -> Answer:
        with Mirror(self.database) as mirror:
            now = self.clock.now()
            link = self.link()
            link_status = link.status() if link else None
            last = {wires.lane: mirror.last_event(wires.lane) for wires in self.wiring.lanes}
            lanes, areas, found, name = self._ask(
                lambda site: (
                    [self._lane_row(site, wires, last[wires.lane]) for wires in self.wiring.lanes],
                    panel.area_rows(site, now),
                    panel.problems(
                        site, link_status, self.office is not None, now.quality, self.damaged, self.disk_low
                    ),
                    (site.plan.site, site.plan.name, site.boot.boot_id),
                )
            )
            starting = [row["lane"] for row in lanes if row["phase"] == "starting"]
            state = "degraded" if found else "starting" if starting else "ok"
            return {
                "schema": "gatectl.status/1",
                "site": name[0],
                "name": name[1],
                "state": state,
                "verdict": _verdict(found, starting),
                "up_ms": self.clock.monotonic_ms() - self.started_ms,
                "software": __version__,
                "boot": name[2],
                "lanes": lanes,
                "areas": areas,
                "sync": panel.sync_row(link_status, self.office, mirror.backlog(), now.wall_ms),
                "clock": {"quality": now.quality.value},
                "problems": found,
                "position": mirror.position(),
                "at_ms": now.wall_ms,
            }

    def lanes(self) -> Answer:
        return {"schema": "gatectl.lanes/1", "lanes": self.status()["lanes"]}

    def lane(self, lane: str) -> Answer:
        wires = next((wires for wires in self.wiring.lanes if wires.lane == lane), None)
        if wires is None:
            known = ", ".join(wires.lane for wires in self.wiring.lanes)
            raise Refused("E-NOT-01", f"there is no lane {lane!r}; there are {known}")
        with Mirror(self.database) as mirror:
            last = mirror.last_event(lane)
            row = self._ask(lambda site: self._lane_row(site, wires, last))
            devices = {device["device"]: device for device in mirror.devices()}
            recent = mirror.events(limit=10, lane=lane)["events"]
        wired = [
            {
                "role": role,
                "device": device,
                "point": point,
                "up": bool(devices.get(device, {"up": True})["up"]),
                **({"value": self._value(device, point)} if point else {}),
            }
            for role, (device, point) in wires.roles.items()
        ]
        plan = {"pulse_ms": dict(wires.pulse_ms)}
        return {"schema": "gatectl.lane/1", **row, "events": recent, "devices": wired, "plan": plan}

    def _value(self, device: str, point: str) -> str | None:
        seen = self.wiring.last_inputs.get((device, point))
        if seen is None:
            return None
        return ("on" if seen.on else "off") if seen.quality is api.Quality.GOOD else seen.quality.value

    def printers(self) -> Answer:
        names = sorted({wires.roles["printer"][0] for wires in self.wiring.lanes if "printer" in wires.roles})
        return {"schema": "gatectl.printers/1", "printers": [self._printer_row(name) for name in names]}

    def ports(self) -> Answer:
        rows: dict[str, panel.Plain] = {}
        for device, bus in self.buses.items():
            row = rows.setdefault(bus.name, {"port": bus.name, "devices": [], "counters": dict(bus.counters())})
            row["devices"].append(device)
        return {"schema": "gatectl.ports/1", "ports": list(rows.values())}

    def tickets(self, query: TicketQuery) -> Answer:
        with Mirror(self.database) as mirror:
            return mirror.tickets(query.state, query.since_ms, query.limit, query.q, query.before_ms)

    def ticket(self, number: str) -> Answer:
        wanted = _number(number)
        with Mirror(self.database) as mirror:
            found = mirror.ticket(wanted)
        if found is None:
            raise Refused("E-NOT-01", f"there is no ticket {number}")
        found["price"] = self._ask(lambda site: self._price(site, TicketNumber(wanted)))
        return found

    def why(self, subject: str) -> Answer:
        now = self.clock.now()
        found = self._ask(lambda site: why.of_running(site, subject, now))
        with Mirror(self.database) as mirror:
            if found is not None:
                sources = ("the running core", "the journal")
                return why.lane(mirror, found[0], now.wall_ms, now.mono_ms, found[1], running=True, sources=sources)
            wanted = _number(subject)
            price, strategies = self._ask(
                lambda site: (self._price(site, TicketNumber(wanted)), why.strategies(site.plan))
            )
            story = why.ticket(mirror, wanted, price, strategies, now.wall_ms)
            if story is None:
                raise Refused("E-NOT-01", why.no_such(mirror, wanted))
            return story

    def _price(self, site: Site, number: TicketNumber) -> panel.Plain | None:
        stay = site.books.stays.get(number)
        if stay is None:
            return None
        price = stay_price(business.context(site.plan, site.books, site.boot, self.clock.now()), stay)
        return {
            "due_minor": price.due_minor,
            "paid_minor": price.paid_minor,
            "total_minor": price.total_minor,
            "currency": price.currency,
            "tariff": price.tariff,
            "lines": [[line.text, line.amount_minor] for line in price.lines],
        }

    def sync(self) -> Answer:
        link = self.link()
        with Mirror(self.database) as mirror:
            row = panel.sync_row(
                link.status() if link else None, self.office, mirror.backlog(), self.clock.now().wall_ms
            )
        return {"schema": "gatectl.sync/1", **row}

    def prove(self) -> Answer:
        site = self._ask(lambda site: site.plan.site)
        with Mirror(self.database) as mirror:
            return mirror.prove(site)

    def events(self, query: EventQuery) -> Answer:
        with Mirror(self.database) as mirror:
            return mirror.events(query.after, query.limit, query.lane, query.kind, query.since_ms)

    def vitals(self) -> Vitals:
        """What the office's fleet page shows of this site."""
        with Mirror(self.database) as mirror:
            backlog = mirror.backlog()
        now = self.clock.now()
        lanes, free, lost, estimated, site, boot = self._ask(
            lambda site: (
                {str(lane): state.phase.value for lane, state in site.lanes.items()},
                {str(area): sum(site.books.spots.free(AreaId(area)).values()) for area in site.plan.areas},
                tuple(site.books.devices_lost),
                tuple(str(row["area"]) for row in site.books.tables.all(COUNT_DOUBTS)),
                site.plan.site,
                site.boot.boot_id,
            )
        )
        oldest = backlog["oldest_ms"]
        return Vitals(
            site=site,
            generation=backlog["generation"],
            seq=backlog["seq"],
            acked=backlog["acked"],
            oldest_unacked_ms=0 if oldest is None else max(0, now.wall_ms - oldest),
            boot=boot,
            software=__version__,
            sent_ms=now.wall_ms,
            lanes=lanes,
            free=free,
            devices_lost=lost,
            estimated=estimated,
        )

    def availability(self) -> Answer:
        now = self.clock.now()
        return self._ask(lambda site: availability_of(site, now))

    # -- watching --------------------------------------------------------------------------------------------------

    def inputs(self, lane: str) -> Iterator[Answer | None]:
        wires = next((wires for wires in self.wiring.lanes if wires.lane == lane), None)
        if wires is None:
            raise Refused("E-NOT-01", f"there is no lane {lane!r}")
        roles = {where: role for role, where in wires.roles.items() if role in _INPUT_ROLES}
        return self._inputs(roles)

    def _inputs(self, roles: dict[tuple[str, str], str]) -> Iterator[Answer | None]:
        changed_ms: dict[str, int] = {}
        with self.signals.watching() as seen:
            for where, role in roles.items():
                known = self.wiring.last_inputs.get(where)
                if known is not None:
                    yield self._input_row(known, role, changed_ms)
            yield from self._told(seen, lambda signal: self._wired_row(signal, roles, changed_ms))

    def _wired_row(
        self, signal: api.Signal, roles: dict[tuple[str, str], str], changed_ms: dict[str, int]
    ) -> Answer | None:
        if not isinstance(signal, api.Input) or (signal.device, signal.point) not in roles:
            return None
        return self._input_row(signal, roles[signal.device, signal.point], changed_ms)

    def _input_row(self, signal: api.Input, role: str, changed_ms: dict[str, int]) -> Answer:
        now_ms = self.clock.monotonic_ms()
        since_ms = now_ms - changed_ms.get(role, now_ms)
        changed_ms[role] = now_ms
        quality = signal.quality.value
        return {
            "at_ms": self.clock.now().wall_ms,
            "input": role,
            "on": signal.on,
            "quality": quality,
            "since_ms": since_ms,
        }

    @staticmethod
    def _told(seen: Any, row: Callable[[Any], Answer | None]) -> Iterator[Answer | None]:
        while True:
            signal = _wait(seen)
            found = None if signal is None else row(signal)
            if signal is None or found is not None:
                yield found

    def stream(self, after: int | None) -> Iterator[Answer | None]:
        with self.commits.watching() as seen, Mirror(self.database) as mirror:
            at = mirror.position() if after is None else after
            while True:
                page = mirror.events(after=at, limit=200)
                yield from page["events"]
                at = page["next"]
                if not page["events"]:
                    yield None
                    _wait(seen)

    def availability_stream(self) -> Iterator[Answer | None]:
        with self.commits.watching() as seen:
            yield from availability.changes(self.availability, lambda: _wait(seen))

    # -- doing -----------------------------------------------------------------------------------------------------

    def _do(self, request: RequestId, event: Event) -> Reply:
        try:
            asked = self.requests.expect(request, event)
        except TooManyRequests as full:
            raise Refused("E-BUSY-01", str(full)) from full
        except RequestReused as reused:
            raise Refused("E-USE-01", str(reused)) from reused
        if asked.fresh:
            self.core.post(event)
        reply = self.requests.wait(asked)
        if reply is None:
            raise Refused("E-LANE-03", "no answer yet; look at `gatectl events` before asking again")
        if reply.code:
            raise Refused(reply.code, reply.message)
        return reply

    def _done(self, reply: Reply) -> Answer:
        with Mirror(self.database) as mirror:
            return {"schema": "gatectl.done/1", "done": reply.message, "position": mirror.position(), **reply.data}

    def hand(self, lane: str, verb: str, order: Order) -> Answer:
        request = _request(order)
        asked = events.HandAsked(LaneId(lane), Hand(verb), order.who, order.reason, request)
        return self._done(self._do(request, asked))

    def void(self, number: str, order: Order) -> Answer:
        request = _request(order)
        asked = events.VoidAsked(request, TicketNumber(_number(number)), order.who, order.reason)
        return self._done(self._do(request, asked))

    def lost(self, lost: LostTicket, order: Order) -> Answer:
        ticket = TicketNumber(_number(lost.ticket)) if lost.ticket else None
        request = _request(order)
        lane = LaneId(lost.lane or "")
        asked = events.LostTicketDeclared(request, lane, ticket, lost.minutes, order.who, order.reason)
        return self._done(self._do(request, asked))

    def pay(self, payment: CashPayment) -> Answer:
        with Mirror(self.database) as mirror:
            earlier = mirror.payment(payment.key)
        if earlier is not None:
            return _repeated(earlier, payment)
        request = RequestId(f"pay:{secrets.token_hex(8)}")  # the key is what makes a repeat harmless
        asked = events.CashOffered(
            request,
            PaymentId(payment.key),
            TicketNumber(_number(payment.ticket)),
            payment.amount_minor,
            payment.tendered_minor,
            payment.till,
            payment.who,
            payment.method,
            payment.reference,
        )
        return {"schema": "gatectl.payment/1", **self._do(request, asked).data}

    def rows(self, table: str, where: tuple[str, str] | None, limit: int) -> Answer:
        with Mirror(self.database) as mirror:
            return mirror.business(table, where, limit)

    def ask(self, verb: str, words: Words, who: str, request: str) -> Answer:
        asked = RequestId(f"do:{request}")
        return self._done(self._do(asked, events.Asked(asked, verb, who, tuple(sorted(words.items())))))

    def test_printer(self, device: str, who: str) -> Answer:
        if device not in self.buses or not any(w.roles.get("printer", ("",))[0] == device for w in self.wiring.lanes):
            raise Refused("E-NOT-01", f"there is no printer {device!r}")
        order = f"|test|{who}-{time.monotonic_ns()}"
        with self.signals.watching() as seen:
            deadline_ms = self.clock.monotonic_ms() + TEST_PRINT_MS_MAX
            self.buses[device].order(device, api.Print(order, test_document(), deadline_ms))
            while (left_ms := deadline_ms - self.clock.monotonic_ms()) > 0:
                signal = _wait(seen, left_ms / 1000)
                if isinstance(signal, api.Outcome) and signal.order == order:
                    if signal.result is api.Result.CONFIRMED:
                        return {"schema": "gatectl.done/1", "done": f"{device} printed a test page", "position": None}
                    raise Refused("E-LANE-03", f"{device}: {signal.detail or signal.result.value}")
        raise Refused("E-LANE-03", f"{device} did not answer within {TEST_PRINT_MS_MAX} ms")

    def sync_now(self, who: str) -> Answer:
        link = self.link()
        if link is None:
            raise Refused("E-SYNC-02")
        link.uploader.notify(0)
        with Mirror(self.database) as mirror:
            return {"schema": "gatectl.done/1", "done": "the uploader was woken", "position": mirror.position()}


def _wait(seen: Any, timeout_s: float = HEARTBEAT_S_MAX / 2) -> Any:
    try:
        return seen.get(timeout=timeout_s)
    except queue.Empty:
        return None


def _request(order: Order) -> RequestId:
    """Whatever a caller chose as its id, it cannot be taken for another room's."""
    return RequestId(f"order:{order.request}")


def _number(text: str) -> str:
    number = parse_number(text)
    if number is None:
        raise Refused("E-NOT-01", f"{text!r} is not a ticket number; one looks like 000123-K7QF")
    return number


def _printer_state(status: api.PrinterStatus) -> str:
    if not status.online:
        return "offline"
    if status.paper_out:
        return "paper out"
    if status.error or status.cutter_error:
        return "error"
    if status.cover_open:
        return "cover open"
    return "paper low" if status.paper_low else "ok"


def _repeated(earlier: panel.Plain, payment: CashPayment) -> Answer:
    """The first answer again, if it is the same request; a key under which no cash was taken is not free for any."""
    if earlier["paid_ms"] is None:
        raise Refused("E-PAY-02", "this key is used for a payment at a terminal")
    taken = taken_of(
        {key: value for key, value in earlier.items() if key not in ("state", "outcome", "refunded_minor")}
    )
    asked = PaymentAsked(
        PaymentId(payment.key),
        TicketNumber(_number(payment.ticket)),
        Method(payment.method),
        payment.amount_minor,
        payment.tendered_minor,
        payment.reference,
    )
    refusal = same_request(taken, asked)
    if refusal is not None:
        raise Refused(refusal.code, refusal.why)
    return {"schema": "gatectl.payment/1", **told_payment(taken)}


def _verdict(found: list[panel.Plain], starting: list[str]) -> str:
    if found:
        more = f" And {len(found) - 1} more." if len(found) > 1 else ""
        return f"{found[0]['sentence']}{more}"
    if starting:
        return f"{', '.join(starting)} not ready yet: reading the inputs."
    return "All lanes serve."
