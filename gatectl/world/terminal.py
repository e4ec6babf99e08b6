"""A lane's payment terminal: it knows what was paid, whatever became of its answers."""

from collections import OrderedDict
from dataclasses import dataclass, field
from random import Random
from typing import Final

from gatectl.domain import effects as fx
from gatectl.domain.events import PaymentReversed
from gatectl.domain.ids import PaymentId
from gatectl.domain.lane import TerminalAnswered
from gatectl.world.devices import LaneDevices

REMEMBERED_MAX: Final = 1_000
"""Payments whose outcome a terminal still knows when it is asked."""
THINK_MS: Final = (4_000, 15_000)
LATE_MS: Final = (50_000, 200_000)
ASK_MS: Final = 300
OFFLINE: Final = 0.05
"""The share of approvals for which the issuer was not reached."""
WILFUL: Final = 0.2
"""The share of those that ignore the limit."""
REVERSES: Final = 0.9
"""The share of payments that can be taken back."""


@dataclass(slots=True)
class Terminal:
    """`card_works` is the driver's card. Quirks: declined, cancelled, timed-out, silent, late, twice."""

    devices: LaneDevices
    offline_rng: Random
    """Its own stream: when it does not reach the issuer."""
    card_works: bool = True
    asked_again: bool = False
    """The site was restored: it may ask for a payment that it has forgotten."""
    ledger: "OrderedDict[PaymentId, str]" = field(default_factory=OrderedDict)
    """Payment to outcome; "" while the driver still holds the card."""
    alone: set[PaymentId] = field(default_factory=set)
    """Payments that it approved without asking the issuer."""
    reversed: "OrderedDict[PaymentId, bool]" = field(default_factory=OrderedDict)
    """Payment to whether it was taken back, once it was asked to."""
    approved: dict[PaymentId, int] = field(default_factory=dict)
    """What was taken from drivers and is not in the journal yet: the simulation strikes it out."""

    def authorise(self, effect: fx.Authorise) -> None:
        if self.devices.away("terminal"):
            self.devices.say_later(50, TerminalAnswered(effect.payment, "cancelled", why="refused"))
            return
        if effect.payment in self.ledger:
            assert self.asked_again, f"{effect.payment} was asked for twice"
            self._answer(effect.payment, ASK_MS)  # the key is known: nobody pays twice
            return
        self.ledger[effect.payment] = ""
        while len(self.ledger) > REMEMBERED_MAX:
            self.ledger.popitem(last=False)
        rng = self.devices.site.rng
        self.devices.site.kernel.after(rng.randint(*THINK_MS), lambda: self._decide(effect))

    def _decide(self, effect: fx.Authorise) -> None:
        payment = effect.payment
        if self.ledger.get(payment) != "":
            return
        quirk = self.devices.quirk("terminal")
        refused = quirk if quirk in ("declined", "cancelled", "timed-out") else "" if self.card_works else "declined"
        self.ledger[payment] = refused or "approved"
        if not refused:
            self.approved[payment] = effect.amount_minor
            if self.offline_rng.random() < OFFLINE and self._dares(effect):
                self.alone.add(payment)
        rng = self.devices.site.rng
        if quirk == "silent":
            return
        self._answer(payment, rng.randint(*LATE_MS) if quirk == "late" else 200)
        if quirk == "twice":
            self._answer(payment, rng.randint(300, 20_000))

    def _answer(self, payment: PaymentId, delay_ms: int) -> None:
        """The broker hands it to whoever listens when it comes."""
        self.devices.site.kernel.after(delay_ms, lambda: self._say(payment))

    def _say(self, payment: PaymentId) -> None:
        if not self.devices.away("terminal"):
            outcome = self.ledger.get(payment) or "unknown"
            self.devices.say(
                TerminalAnswered(payment, outcome, auth_code="A1", terminal_ref="sim", offline=payment in self.alone)
            )

    def cancel(self, effect: fx.CancelPayment) -> None:
        if not self.devices.away("terminal") and self.ledger.get(effect.payment) == "":
            self.ledger[effect.payment] = "cancelled"
            self._answer(effect.payment, ASK_MS)

    def _dares(self, effect: fx.Authorise) -> bool:
        """It keeps to the limit it was told, but for a few that were set up wrong."""
        return effect.amount_minor <= effect.offline_max_minor or self.offline_rng.random() < WILFUL

    def reverse(self, effect: fx.ReversePayment) -> None:
        """Takes the money back once; some issuers refuse, and then for good."""
        if self.devices.away("terminal"):
            return
        payment = effect.payment
        if payment not in self.reversed:
            self.reversed[payment] = self.offline_rng.random() < REVERSES
            while len(self.reversed) > REMEMBERED_MAX:
                self.reversed.popitem(last=False)
        done = self.reversed[payment]
        self.approved.pop(payment, None)  # the journal knows of it either way
        answer = PaymentReversed(payment, "reversed" if done else "refused", "" if done else "batch closed")
        self.devices.site.kernel.after(ASK_MS, lambda: self.devices.site.post(answer))

    def query(self, effect: fx.QueryPayment) -> None:
        self._answer(effect.payment, ASK_MS)
