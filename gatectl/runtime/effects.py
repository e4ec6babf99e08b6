"""Performs effects after their batch is durable: turns each into an order and hands it to the device's own thread.

Called on the writer's thread; nothing here waits. What cannot be handed over is answered as REFUSED through the same door as
a device's own answer, so that a lane always hears.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any, Final, Literal

from drivers import api
from gatectl.domain import effects
from gatectl.domain.ids import LaneId
from gatectl.runtime.clock import SystemClock
from gatectl.runtime.paper import receipt_document, ticket_document
from gatectl.runtime.signs import Signs
from gatectl.runtime.wiring import CHARGER, STATION, LaneWires, OrderName

SHORT_ORDER_MS: Final = 5_000
"""Orders that carry no deadline of their own (texts, cancels, queries) are dropped after this."""


@dataclass(frozen=True, slots=True)
class Effects:
    """Knows which bus serves which device. `answer` is where outcomes go; `replied` is where people wait."""

    site_name: str
    zone: tzinfo
    clock: SystemClock
    wires: Mapping[LaneId, LaneWires]
    buses: Mapping[str, api.Bus]
    """Device to the bus it is on."""
    answer: Callable[[api.Signal], None]
    replied: Callable[[effects.Reply], None]
    sign: Callable[[effects.SignEntry], None]
    """Where entries of the fiscal journal go to be signed."""
    way_is_clear: Callable[[LaneId], bool]
    """Whether the core still knows the way under the arm to be clear: between a decision and its commit a vehicle may come."""
    chargers: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Charger to its device and connector."""
    signs: Signs = field(default_factory=Signs)

    def perform(self, effect: effects.Effect) -> None:
        """Hand one effect over."""
        _PERFORM[type(effect)](self, effect)

    def send(self, lane: LaneId, role: str, order: api.Order) -> None:
        """Give an order to the device that plays `role` in the lane."""
        wired = self.wires[lane].roles.get(role) if lane in self.wires else None
        if wired is None or wired[0] not in self.buses:
            self.answer(api.Outcome("", order.order, api.Result.REFUSED, f"{lane} has no {role}"))
            return
        self.buses[wired[0]].order(wired[0], order)

    def _short(self) -> int:
        return self.clock.monotonic_ms() + SHORT_ORDER_MS

    def _print_ticket(self, effect: effects.PrintTicket) -> None:
        name = OrderName(effect.lane, "print", effect.job)
        document = ticket_document(effect, self.site_name, self.zone)
        deadline_ms = self.clock.real_deadline_ms(effect.deadline_mono_ms)
        self.send(effect.lane, "printer", api.Print(str(name), document, deadline_ms))

    def _print_receipt(self, effect: effects.PrintReceipt) -> None:
        name = OrderName(effect.lane, "receipt", effect.job)
        document = receipt_document(effect, self.site_name, self.zone)
        self.send(effect.lane, "printer", api.Print(str(name), document, self._short()))

    def _retract(self, effect: effects.RetractTicket) -> None:
        name = OrderName(effect.lane, "retract", effect.job)
        self.send(effect.lane, "printer", api.Retract(str(name), self._short()))

    def _pulse(self, effect: effects.OpenArm | effects.CloseArm | effects.StopArm) -> None:
        verb = _PULSES[type(effect)]
        wires = self.wires[effect.lane]
        name = OrderName(effect.lane, verb, effect.vend)
        point = wires.roles.get(verb, ("", ""))[1]
        if verb == "close" and not self.way_is_clear(effect.lane):
            why = "overtaken: the way is not clear any more"
            self.answer(api.Outcome("", str(name), api.Result.REFUSED, why))
            return
        deadline_ms = self.clock.real_deadline_ms(effect.deadline_mono_ms)
        self.send(effect.lane, verb, api.Pulse(str(name), point, wires.pulse_ms[verb], deadline_ms))

    def _show(self, effect: effects.ShowText) -> None:
        if "display" in self.wires[effect.lane].roles:
            name = OrderName(effect.lane, "show", "")
            self.send(effect.lane, "display", api.Show(str(name), effect.text, self._short()))

    def _authorise(self, effect: effects.Authorise) -> None:
        name = OrderName(effect.lane, "charge", effect.payment)
        deadline_ms = self.clock.real_deadline_ms(effect.deadline_mono_ms)
        order = api.Charge(str(name), effect.payment, effect.amount_minor, effect.currency, effect.ticket, deadline_ms)
        self.send(effect.lane, "terminal", replace(order, offline_max_minor=effect.offline_max_minor))

    def _cancel(self, effect: effects.CancelPayment) -> None:
        name = OrderName(effect.lane, "cancel", effect.payment)
        self.send(effect.lane, "terminal", api.CancelCharge(str(name), effect.payment, self._short()))

    def _reverse(self, effect: effects.ReversePayment) -> None:
        name = OrderName(effect.lane, "reverse", effect.payment)
        self.send(effect.lane, "terminal", api.ReverseCharge(str(name), effect.payment, self._short()))

    def _sign(self, effect: effects.SignEntry) -> None:
        self.sign(effect)

    def _query(self, effect: effects.QueryPayment) -> None:
        name = OrderName(effect.lane, "query", effect.payment)
        self.send(effect.lane, "terminal", api.QueryCharge(str(name), effect.payment, self._short()))

    def _steer(self, effect: effects.SteerCharger) -> None:
        device, connector = self.chargers[effect.charger]
        name = OrderName(CHARGER, effect.act, effect.charger)
        act: Literal["start", "stop"] = "start" if effect.act == "start" else "stop"
        deadline_ms = self.clock.real_deadline_ms(effect.deadline_mono_ms)
        self.buses[device].order(device, api.Steer(str(name), act, connector, effect.about, deadline_ms))

    def _announce(self, effect: effects.Announce) -> None:
        self.signs.announce(effect)

    def _reply(self, effect: effects.Reply) -> None:
        name = OrderName.parse(effect.request)
        if name.lane == CHARGER:
            return  # nobody waits: a charger's refusal is on record
        if name.lane != STATION:
            self.replied(effect)
            return
        data = effect.data if not effect.code else {"code": effect.code, "message": effect.message}
        answer = api.StationAnswer(effect.request, name.about, not effect.code, data, self._short())
        self.buses[name.verb].order(name.verb, answer)


_PULSES: Final[Mapping[type, str]] = {effects.OpenArm: "open", effects.CloseArm: "close", effects.StopArm: "stop"}
_PERFORM: Final[Mapping[type, Callable[[Effects, Any], None]]] = {
    effects.PrintTicket: Effects._print_ticket,
    effects.PrintReceipt: Effects._print_receipt,
    effects.RetractTicket: Effects._retract,
    effects.OpenArm: Effects._pulse,
    effects.CloseArm: Effects._pulse,
    effects.StopArm: Effects._pulse,
    effects.ShowText: Effects._show,
    effects.Authorise: Effects._authorise,
    effects.CancelPayment: Effects._cancel,
    effects.QueryPayment: Effects._query,
    effects.SteerCharger: Effects._steer,
    effects.Announce: Effects._announce,
    effects.ReversePayment: Effects._reverse,
    effects.SignEntry: Effects._sign,
    effects.Reply: Effects._reply,
}
