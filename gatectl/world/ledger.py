"""A second bookkeeper, who trusts nobody: the promises of the design, kept from durable facts alone and by other means.

Each promise is a small function with its name; what it finds broken it says by raising Broken. Nothing here asks `Books`.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any, Final

from gatectl.domain import facts as f
from gatectl.domain.books import Books
from gatectl.domain.ids import AreaId, PaymentId, SpotId, TicketNumber, TimeQuality, VendId
from gatectl.domain.records.spots import SpotClosed, SpotOpened
from gatectl.world import books_money
from gatectl.world.books_charging import ChargingBooks, sessions_are_the_same
from gatectl.world.books_desk import DeskBook, prices_differ
from gatectl.world.books_money import MoneyBook
from gatectl.world.books_offers import OffersBook, open_tickets
from gatectl.world.books_offers import differing as offers_differing
from gatectl.world.books_rights import RightsBook, differing
from gatectl.world.holding import Broken, hold

__all__ = ["Broken", "hold"]  # found here by everyone, beside what is defined here

VENDS_KEPT_MAX: Final = 4_000
PAYMENTS_KEPT_MAX: Final = 200_000
NUMBERS_KEPT_MAX: Final = 50_000
_KEPT: Final = frozenset({"struck", "kinds", "forgotten"})
"""What a restore of the disk does not take back."""


@dataclass(slots=True)
class Vend:
    lane: str
    passages: int = 0
    over: bool = False


def _own(value: Any) -> Any:
    """A copy that shares nothing that changes: of all that a ledger holds only a `Vend` and the pages do."""
    if isinstance(value, RightsBook | OffersBook | MoneyBook):
        return value.copy()
    made = copy(value)
    if isinstance(made, dict):
        made.update([(key, copy(held)) for key, held in made.items() if isinstance(held, Vend)])
    return made


@dataclass(slots=True)
class Ledger:
    """Fed with every fact as it becomes durable, in order. `struck` is told of every payment that is on record."""

    struck: Callable[[PaymentId, int], None]
    numbers: int = 0
    tickets: dict[TicketNumber, str] = field(default_factory=dict)
    """Open tickets: issued, inside, spent."""
    places: dict[TicketNumber, tuple[AreaId, SpotId | None]] = field(default_factory=dict)
    spots: dict[SpotId, TicketNumber] = field(default_factory=dict)
    vends: "OrderedDict[VendId, Vend]" = field(default_factory=OrderedDict)
    inside: dict[AreaId, int] = field(default_factory=dict)
    entered: int = 0
    exited: int = 0
    payments: "OrderedDict[PaymentId, str]" = field(default_factory=OrderedDict)
    receipts: dict[str, int] = field(default_factory=dict)
    taken_minor: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    """How often each kind of fact, and each irregularity, fault and void reason, was seen."""
    recent: dict[TicketNumber, None] = field(default_factory=dict)
    """The newest tickets, issued or learned."""
    out_of_service: set[SpotId] = field(default_factory=set)
    """Spots that nobody may be sent to."""
    rights: RightsBook = field(default_factory=RightsBook)
    money: MoneyBook = field(default_factory=MoneyBook)
    charging: ChargingBooks = field(default_factory=ChargingBooks)
    offers: OffersBook = field(default_factory=OffersBook)
    desk: DeskBook = field(default_factory=DeskBook)
    forgotten: set[TicketNumber] = field(default_factory=set)
    """Tickets of a past that the disk does not have any more: each may be learned once."""

    def copy(self) -> "Ledger":
        """As it is now, to go back to."""
        parts = {part.name: _own(getattr(self, part.name)) for part in fields(self) if part.name != "struck"}
        return Ledger(self.struck, **parts)

    def go_back_to(self, backup: "Ledger") -> None:
        """The disk was replaced by a backup of that moment: what was written since, the site cannot know."""
        self.forgotten |= self.recent.keys() - backup.recent.keys()
        for part in fields(self):
            if part.name not in _KEPT:
                setattr(self, part.name, _own(getattr(backup, part.name)))

    def known(self, ticket: TicketNumber) -> None:
        self.recent[ticket] = None
        if len(self.recent) > NUMBERS_KEPT_MAX:
            del self.recent[next(iter(self.recent))]

    def saw(self, what: str) -> None:
        self.kinds[what] = self.kinds.get(what, 0) + 1

    def witness(self, fact: f.Fact) -> None:
        self.saw(fact.kind)
        keep = _KEEP.get(type(fact))
        if keep is not None:
            keep(self, fact)
        self.charging.witness(fact)
        self.rights.witness(fact)
        self.offers.witness(fact)
        self.desk.witness(fact)
        self.money.witness(fact)

    # -- what several facts share

    def _moved(self, ticket: TicketNumber, was: tuple[str, ...], now: str) -> None:
        """4: every number is in one state, and leaves it only for one that follows."""
        state = self.tickets.get(ticket, "nowhere")
        if state not in was:
            raise Broken("each number ends once", f"{ticket} is {state}, and would become {now}")
        self.tickets[ticket] = now

    def _ended(self, ticket: TicketNumber, was: tuple[str, ...]) -> AreaId:
        self._moved(ticket, was, "ended")
        del self.tickets[ticket]
        area, spot = self.places.pop(ticket)
        self._left_spot(ticket, spot)
        return area

    def _left_spot(self, ticket: TicketNumber, spot: SpotId | None) -> None:
        if spot is not None:
            hold(self.spots.pop(spot, None) == ticket, "no spot holds two tickets", f"{spot} was not {ticket}'s")

    def _takes_spot(self, ticket: TicketNumber, spot: SpotId | None) -> None:
        if spot is not None:
            hold(spot not in self.spots, "no spot holds two tickets", f"{spot} for {ticket}")
            hold(spot not in self.out_of_service, "nobody is sent to a spot out of service", f"{spot} for {ticket}")
            self.spots[spot] = ticket

    def _count(self, area: AreaId, by: int) -> None:
        self.inside[area] = self.inside.get(area, 0) + by

    def _passage(self, vend: VendId | None) -> None:
        """3: one vend, at most one committed passage."""
        if vend is None:
            return
        hold(vend in self.vends, "a passage names a vend that was intended", vend)
        self.vends[vend].passages += 1
        hold(self.vends[vend].passages == 1, "one vend, one passage", vend)


def _issued(ledger: Ledger, fact: f.TicketIssued) -> None:
    ledger.numbers += 1
    if fact.time_quality is TimeQuality.UNSET:
        ledger.saw("ticket by a clock that was not set")
    hold(fact.counter == ledger.numbers, "numbers have no gap", f"{fact.counter} where {ledger.numbers} is next")
    hold(fact.ticket not in ledger.tickets, "each number is issued once", fact.ticket)
    ledger._takes_spot(fact.ticket, fact.spot)
    ledger.tickets[fact.ticket] = "issued"
    ledger.places[fact.ticket] = (fact.area, fact.spot)
    ledger.known(fact.ticket)


def _learned(ledger: Ledger, fact: f.TicketLearned) -> None:
    hold(fact.ticket in ledger.forgotten, "a ticket of this disk is known to it", fact.ticket)
    ledger.forgotten.discard(fact.ticket)
    ledger.tickets[fact.ticket] = "inside"
    ledger.places[fact.ticket] = (fact.area, None)
    ledger.known(fact.ticket)


def _voided(ledger: Ledger, fact: f.TicketVoided) -> None:
    ledger.saw(f"void {fact.reason}")
    ledger._ended(fact.ticket, ("issued",))


def _entered(ledger: Ledger, fact: f.VehicleEntered) -> None:
    ledger._moved(fact.ticket, ("issued",), "inside")
    ledger._count(ledger.places[fact.ticket][0], +1)
    ledger._passage(fact.vend)
    ledger.entered += 1
    if fact.exception:
        ledger.saw("exception entry")


def _reversed(ledger: Ledger, fact: f.EntryReversed) -> None:
    ledger._count(ledger._ended(fact.ticket, ("inside",)), -1)
    ledger.entered -= 1


def _spent(ledger: Ledger, fact: f.TicketSpent) -> None:
    ledger._moved(fact.ticket, ("inside",), "spent")


def _returned(ledger: Ledger, fact: f.TicketReturned) -> None:
    ledger._moved(fact.ticket, ("spent",), "inside")


def _exited(ledger: Ledger, fact: f.VehicleExited) -> None:
    if fact.ticket is not None:
        area = ledger._ended(fact.ticket, ("spent", "inside"))
    else:
        area = fact.area
        ledger.saw("exit without ticket")
    ledger._count(area, -1)
    ledger._passage(fact.vend)
    ledger.exited += 1


def _went_on(ledger: Ledger, fact: f.VehicleMoved) -> None:
    """From one area into another: nobody came, nobody left."""
    if fact.ticket is not None:
        ledger._moved(fact.ticket, ("spent", "inside"), "inside")
        ledger._left_spot(fact.ticket, ledger.places[fact.ticket][1])
        ledger._takes_spot(fact.ticket, fact.spot)
        ledger.places[fact.ticket] = (fact.area, fact.spot)
    ledger._count(fact.from_area, -1)
    ledger._count(fact.area, +1)
    ledger._passage(fact.vend)


def _spot_closed(ledger: Ledger, fact: SpotClosed) -> None:
    ledger.out_of_service.add(SpotId(fact.spot))


def _spot_opened(ledger: Ledger, fact: SpotOpened) -> None:
    ledger.out_of_service.discard(SpotId(fact.spot))


def _lost(ledger: Ledger, fact: f.TicketLostDeclared) -> None:
    ledger._moved(fact.replacement, ("issued",), "inside")
    if fact.ticket is not None:
        stood = ledger.places.get(fact.ticket, (None, None))[1]
        hold(
            fact.spot == stood,
            "a replacement stands where its stay stood",
            f"{fact.replacement}: {fact.spot}, not {stood}",
        )
        ledger._ended(fact.ticket, ("inside",))
    ledger.saw(f"replaced {fact.cause}")
    if fact.spot is not None:
        ledger._takes_spot(fact.replacement, fact.spot)
        ledger.places[fact.replacement] = (ledger.places[fact.replacement][0], SpotId(fact.spot))


def _written_off(ledger: Ledger, fact: f.TicketWrittenOff) -> None:
    counted = ledger.tickets.get(fact.ticket) != "issued"
    area = ledger._ended(fact.ticket, ("issued", "inside", "spent"))
    if counted and fact.counted:
        ledger._count(area, -1)


def _adjusted(ledger: Ledger, fact: f.CountAdjusted) -> None:
    ledger._count(fact.area, fact.delta)


def _intended(ledger: Ledger, fact: f.VendIntended) -> None:
    hold(fact.vend not in ledger.vends, "a vend is intended once", fact.vend)
    hold(bool(fact.cause), "an arm moves only with a cause", fact.vend)
    ledger.vends[fact.vend] = Vend(fact.lane)
    while len(ledger.vends) > VENDS_KEPT_MAX:
        ledger.vends.popitem(last=False)
    ledger.saw(f"vend {fact.cause}")


def _vend_over(ledger: Ledger, fact: f.VendFailed | f.VendClosed) -> None:
    hold(fact.vend in ledger.vends, "what ends was intended", fact.vend)
    ledger.vends[fact.vend].over = True


def _vend_said(ledger: Ledger, fact: f.VendConfirmed | f.VendUnknown) -> None:
    hold(fact.vend in ledger.vends, "what is told was intended", fact.vend)


def _payment(ledger: Ledger, fact: f.PaymentTaken) -> None:
    """6: a payment counts once, what was paid was due, and receipts have no gap."""
    hold(ledger.payments.get(fact.payment) != "taken", "a payment counts once", fact.payment)
    hold(0 < fact.amount_minor <= fact.due_minor, "what was paid was due", f"{fact.payment}: {fact.amount_minor}")
    given = fact.tendered_minor - fact.change_minor - fact.kept_minor
    hold(given == fact.amount_minor, "change is what was given too much", fact.payment)
    _receipt(ledger, fact.series, fact.receipt)
    ledger.payments[fact.payment] = "taken"
    while len(ledger.payments) > PAYMENTS_KEPT_MAX:
        ledger.payments.popitem(last=False)
    ledger.taken_minor += fact.amount_minor
    ledger.struck(fact.payment, fact.amount_minor)
    ledger.saw(f"paid {fact.method}")


def _receipt(ledger: Ledger, series: str, receipt: int) -> None:
    last = ledger.receipts.get(series, 0)
    hold(receipt == last + 1, "receipts have no gap", f"{series}/{receipt} after {last}")
    ledger.receipts[series] = receipt


def _refunded(ledger: Ledger, fact: f.PaymentRefunded) -> None:
    _receipt(ledger, fact.series, fact.receipt)
    ledger.taken_minor -= fact.amount_minor
    ledger.saw(f"refunded {fact.method}")


def _payment_failed(ledger: Ledger, fact: f.PaymentFailed) -> None:
    hold(ledger.payments.get(fact.payment) != "taken", "what was taken does not fail", fact.payment)
    ledger.saw(f"payment {fact.outcome}")


def _observed(ledger: Ledger, fact: f.PassageObserved) -> None:
    ledger.saw(f"passage {fact.irregularity}")


def _faulted(ledger: Ledger, fact: f.LaneFaulted) -> None:
    ledger.saw(f"fault {fact.fault}")


def _mode(ledger: Ledger, fact: f.LaneModeChanged) -> None:
    ledger.saw(f"mode {fact.mode}")


def _refused(ledger: Ledger, fact: f.CodeRefused) -> None:
    ledger.saw(f"refused {fact.why}")


def _by_hand(ledger: Ledger, fact: f.OpenedByHand) -> None:
    hold(bool(fact.who and fact.why), "who opens by hand is named, and says why", fact.vend)


_KEEP: Final[Mapping[type[f.Fact], Callable[[Ledger, Any], None]]] = {
    f.TicketIssued: _issued,
    f.TicketLearned: _learned,
    f.TicketVoided: _voided,
    f.VehicleEntered: _entered,
    f.EntryReversed: _reversed,
    f.TicketSpent: _spent,
    f.TicketReturned: _returned,
    f.VehicleExited: _exited,
    f.VehicleMoved: _went_on,
    SpotClosed: _spot_closed,
    SpotOpened: _spot_opened,
    f.TicketLostDeclared: _lost,
    f.TicketWrittenOff: _written_off,
    f.CountAdjusted: _adjusted,
    f.VendIntended: _intended,
    f.VendConfirmed: _vend_said,
    f.VendUnknown: _vend_said,
    f.VendFailed: _vend_over,
    f.VendClosed: _vend_over,
    f.PaymentTaken: _payment,
    f.PaymentFailed: _payment_failed,
    f.PaymentRefunded: _refunded,
    f.PassageObserved: _observed,
    f.LaneFaulted: _faulted,
    f.LaneModeChanged: _mode,
    f.CodeRefused: _refused,
    f.OpenedByHand: _by_hand,
}


# -- comparing ----------------------------------------------------------------------------------------------------------


def counts_equal_the_recount(ledger: Ledger, books: Books) -> None:
    """5: the count is what came in, less what went out, and what was adjusted."""
    told = {area: count.inside for area, count in books.counts.items() if count.inside}
    kept = {area: inside for area, inside in ledger.inside.items() if inside}
    hold(told == kept, "counts equal the recount", f"{told} told, {kept} counted")


def open_tickets_are_the_same(ledger: Ledger, books: Books) -> None:
    told = {ticket: stay.state.value for ticket, stay in books.stays.items()}
    hold(told == ledger.tickets, "open tickets are the same", f"{set(told.items()) ^ set(ledger.tickets.items())}")
    held = {stay.spot: ticket for ticket, stay in books.stays.items() if stay.spot is not None}
    hold(held == ledger.spots, "held spots are the same", f"{set(held.items()) ^ set(ledger.spots.items())}")


def open_vends_are_the_same(ledger: Ledger, books: Books) -> None:
    kept = {vend for vend, known in ledger.vends.items() if not known.over}
    hold(set(books.vends) == kept, "open vends are the same", f"{set(books.vends) ^ kept}")


def money_is_the_same(ledger: Ledger, books: Books) -> None:
    hold(books.receipts == ledger.receipts, "receipts are the same", f"{books.receipts} {ledger.receipts}")
    wrong = books_money.differing(ledger.money, books)
    hold(not wrong, "money is the same", wrong)


def rights_are_the_same(ledger: Ledger, books: Books) -> None:
    found = differing(ledger.rights, books)
    hold(not found, "rights are the same", found)
    ended = ledger.rights.inside() - ledger.tickets.keys()
    hold(not ended, "a right that is inside has an open ticket", str(ended))


def charging_is_the_same(ledger: Ledger, books: Books) -> None:
    sessions_are_the_same(ledger.charging, books)


def offers_are_the_same(ledger: Ledger, books: Books) -> None:
    found = offers_differing(ledger.offers, books)
    hold(not found, "coupons and keys are the same", found)
    ended = open_tickets(ledger.offers) - ledger.tickets.keys()
    hold(not ended, "what is on a ticket has an open ticket", str(ended))


def prices_by_hand_are_the_same(ledger: Ledger, books: Books) -> None:
    found = prices_differ(ledger.desk, books)
    hold(not found, "prices by a person are the same", found)
    ended = ledger.desk.prices.keys() - ledger.tickets.keys()
    hold(not ended, "a price by a person has an open ticket", str(ended))


RECOUNTS: Final = (
    counts_equal_the_recount,
    open_tickets_are_the_same,
    open_vends_are_the_same,
    money_is_the_same,
    rights_are_the_same,
    charging_is_the_same,
    offers_are_the_same,
    prices_by_hand_are_the_same,
)
