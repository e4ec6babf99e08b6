"""The cashier's odd jobs: shifts, money that goes back, debts, a payment that is called back while the car still stands there.

Everything is asked for as a person would, with the site's own screen before them: what is refused is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from gatectl.domain.business.shifts import expected_minor
from gatectl.domain.events import Asked, CashOffered, HandAsked
from gatectl.domain.ids import PaymentId, RequestId
from gatectl.domain.lane import Hand
from gatectl.domain.payments import Method
from gatectl.domain.records.payments_debts import DEBTS, OVERPAYMENTS
from gatectl.domain.records.shifts import SHIFTS
from gatectl.domain.rows import words
from gatectl.domain.site import Site
from gatectl.world.chance import stream
from gatectl.world.daemon import Daemon
from gatectl.world.desk import Desk
from gatectl.world.kernel import Process

ROUND_MS: Final = (60_000, 900_000)
AT_LANES_MS: Final = (1_500, 25_000)
"""How often somebody looks whether a car stands before an arm that was opened for it."""
TILL: Final = "till-1"
RECENT: Final = 20

Order = tuple[str, dict[str, str | int]]
"""A verb and its words."""


@dataclass(slots=True)
class Clerk:
    daemon: Daemon
    desk: Desk
    seed: int
    open: bool = True

    def processes(self) -> Iterator[Process]:
        yield self._rounds(stream("clerk", self.seed))
        yield self._at_lanes(stream("clerk at lanes", self.seed))

    def _rounds(self, rng: Random) -> Process:
        while self.open:
            yield rng.randint(*ROUND_MS)
            site = self.daemon.site
            if site is None:
                continue
            act = rng.choice((_shift, _refund, _refund, _debt, _pay_debt, _give_back, _part))
            order = act(site, rng)
            if isinstance(order, CashOffered):
                yield from self.desk.ask(lambda _: order)  # noqa: B023  # it is asked before the next round
            elif order is not None:
                verb, given = order
                yield from self.desk.ask(lambda request: Asked(request, verb, "anna", tuple(given.items())))  # noqa: B023  # as above

    def _at_lanes(self, rng: Random) -> Process:
        """Now and then a driver has paid for the wrong ticket, and says so in time."""
        while self.open:
            yield rng.randint(*AT_LANES_MS)
            site = self.daemon.site
            if site is None or rng.random() < 0.9:
                continue
            for lane in list(site.lanes.values()):
                if lane.plan.has_terminal and lane.ticket is not None and lane.arming.occupied:
                    name = lane.plan.lane
                    yield from self.desk.ask(
                        lambda request: HandAsked(name, Hand.VOID_PAYMENT, "anna", "wrong ticket", request)  # noqa: B023  # as above
                    )


def _shift(site: Site, rng: Random) -> Order:
    shift = next(site.books.tables.where(SHIFTS, "till", TILL), None)
    if shift is None:
        return "shift-open", {"till": TILL, "float_minor": rng.randint(0, 20_000)}
    counted = max(0, expected_minor(shift) + rng.choice((0, 0, -50, 20)))
    given: dict[str, str | int] = {"till": TILL, "counted_minor": counted, "reason": "counted twice"}
    return ("shift-close", given) if rng.random() < 0.5 else ("shift-relieve", {**given, "relief": "ben"})


def _refund(site: Site, rng: Random) -> Order | None:
    taken = [(payment.taken.paid_ms, key) for key, payment in site.books.payments.items() if payment.taken is not None]
    if not taken:
        return None
    payment = site.books.payments[rng.choice(sorted(taken)[-RECENT:])[1]]
    given: dict[str, str | int] = {"payment": payment.payment, "reason": "complained"}
    if rng.random() < 0.6:
        given["amount_minor"] = rng.randint(1, 600)
    if rng.random() < 0.5:
        given["till"] = TILL
    if payment.method != Method.CASH or rng.random() < 0.2:
        given["reference"] = f"R-{rng.randint(1, 999)}"
    if rng.random() < 0.5:
        given["key"] = f"{payment.payment}-back-{rng.randint(1, 3)}"
    return "pay-refund", given


def _debt(site: Site, rng: Random) -> Order | None:
    waiting = [lane.ticket for lane in site.lanes.values() if lane.plan.has_reader and lane.ticket is not None]
    tickets = waiting or sorted(site.books.stays)
    if not tickets:
        return None
    return "debt-make", {"ticket": rng.choice(tickets), "reason": "no money", "debtor": "a driver"}


def _pay_debt(site: Site, rng: Random) -> Order | None:
    debts = [words(row, "debt") for row in site.books.tables.all(DEBTS)]
    if not debts:
        return None
    debt = rng.choice(sorted(debts))
    if rng.random() < 0.2:
        return "debt-forgive", {"debt": debt, "reason": "too old"}
    given: dict[str, str | int] = {"debt": debt, "till": TILL, "key": f"{debt}-{rng.randint(1, 9)}"}
    if rng.random() < 0.5:
        given["amount_minor"] = rng.randint(1, 300)
    return "debt-pay", given


def _give_back(site: Site, rng: Random) -> Order | None:
    kept = [words(row, "payment") for row in site.books.tables.all(OVERPAYMENTS)]
    if not kept:
        return None
    return "overpayment-return", {"payment": rng.choice(sorted(kept)), "till": TILL, "reason": "no coins"}


def _part(site: Site, rng: Random) -> CashOffered | None:
    """A merchant, an account or coins pay for a part of somebody's stay."""
    inside = sorted(site.books.stays)
    if not inside:
        return None
    ticket, key = rng.choice(inside), rng.getrandbits(40)
    method = rng.choice((Method.CASH, Method.VALIDATION, Method.ACCOUNT, Method.UPI))
    reference = "" if method is Method.CASH else "Bakery"
    amount = rng.randint(1, 300)
    request, payment = RequestId(f"part-{key}"), PaymentId(f"{ticket}-part-{key}")
    return CashOffered(request, payment, ticket, amount, None, TILL, "anna", method.value, reference)
