"""The site's books: everything that facts have made true. `Books.fold` is the only way they change.

The same fold serves the running site, the start from disk and a replay; it asks nothing and decides nothing. A fact that
does not fit the books is a programmer's error and stops the process: the core must not have decided it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gatectl.domain import facts as f
from gatectl.domain.frozen import replace
from gatectl.domain.ids import AreaId, LaneId, PaymentId, SpotId, TicketNumber, TimeQuality, VendId
from gatectl.domain.records import registry
from gatectl.domain.records.spots import RECOUNTS, SPOTS_CLOSED, AreaRecounted, SpotClosed, SpotOpened
from gatectl.domain.rows import Tables, whole, words
from gatectl.domain.spots import SpotIndex
from gatectl.domain.tariff_demand import Fixed, fixed_of
from gatectl.domain.tickets import TicketState

CLOSED_KEPT_MAX: Final = 20_000
"""Ended tickets whose end is remembered in memory, to tell a driver why a code is refused. Older ones are in the mirror."""
PAYMENTS_KEPT_MAX: Final = 2_000
"""Payments remembered in memory beside those of open tickets, to answer a repeat as the first time; the mirror knows all."""
REFUNDS_KEPT_MAX: Final = 2_000
"""Refunds remembered in memory, for the same."""

OPEN_STATES: Final = frozenset({TicketState.ISSUED, TicketState.INSIDE, TicketState.SPENT})


@dataclass(frozen=True)  # copied often: gatectl.domain.frozen
class Stay:
    """One open ticket."""

    ticket: TicketNumber
    state: TicketState
    area: AreaId
    spot: SpotId | None
    vehicle_type: str
    tariff: str
    issued_ms: int
    entered_ms: int | None = None
    taken: bool = False
    paid_minor: int = 0
    last_paid_ms: int | None = None
    attempts: int = 0
    """Payments ever started for it; makes the next payment's key."""
    vend: VendId | None = None
    time_known: bool = True
    """False: issued by a clock that was not set. Its stay cannot be priced; a person ends it, or replaces the ticket."""
    lost: bool = False
    """A replacement for a lost ticket with no stay found: costs the lost-ticket price."""
    fixed: Fixed | None = None
    """What demand made of its price at entry."""
    spot_type: str | None = None
    """The type of its spot when the spot was given; a later site file may have made another of it."""


@dataclass(frozen=True)  # copied often: gatectl.domain.frozen
class OpenVend:
    vend: VendId
    lane: LaneId
    cause: str
    ticket: TicketNumber | None
    state: str  # intended, confirmed, unknown


@dataclass(frozen=True)  # copied often: gatectl.domain.frozen
class Payment:
    payment: PaymentId
    ticket: TicketNumber
    method: str
    amount_minor: int
    state: str  # PENDING, COMPLETED, FAILED, REFUNDED
    taken: f.PaymentTaken | None = None
    refunded_minor: int = 0
    """One that is refunded in part stays COMPLETED."""


@dataclass(frozen=True, slots=True)
class Count:
    entered: int = 0
    exited: int = 0
    adjusted: int = 0

    @property
    def inside(self) -> int:
        return self.entered - self.exited + self.adjusted


@dataclass(slots=True)
class Books:
    """Mutable, owned by the core thread. Load it with the mirror's rows, then only fold."""

    spots: SpotIndex
    lane_areas: Mapping[LaneId, AreaId]
    counter: int = 0
    vends_intended: int = 0
    stays: dict[TicketNumber, Stay] = field(default_factory=dict)
    closed: OrderedDict[TicketNumber, TicketState] = field(default_factory=OrderedDict)
    tags: dict[str, int] = field(default_factory=dict)
    """Highest counter issued under each boot tag: a code with a known tag and counter that is not open has ended."""
    learned: set[TicketNumber] = field(default_factory=set)
    """Tickets of a lost database, each admitted once; no more than stood inside when it was lost."""
    vends: dict[VendId, OpenVend] = field(default_factory=dict)
    payments: OrderedDict[PaymentId, Payment] = field(default_factory=OrderedDict)
    refunds: dict[PaymentId, f.PaymentRefunded] = field(default_factory=dict)
    """The newest REFUNDS_KEPT_MAX, to answer a repeat as the first time."""
    receipts: dict[str, int] = field(default_factory=dict)
    counts: dict[AreaId, Count] = field(default_factory=dict)
    tariffs: dict[str, f.TariffApplied] = field(default_factory=dict)
    modes: dict[LaneId, f.LaneModeChanged] = field(default_factory=dict)
    faults: dict[tuple[LaneId, f.LaneFault], str] = field(default_factory=dict)
    devices_lost: dict[str, f.DeviceLost] = field(default_factory=dict)
    office_lost: f.OfficeLost | None = None
    tables: Tables = field(default_factory=Tables)
    """What the facts of the business have made true."""

    def fold(self, fact: f.Fact) -> None:
        """Make a fact true here. Facts that change nothing in the books are listed, not defaulted."""
        fold = _FOLDS.get(type(fact))
        if fold is not None:
            fold(self, fact)
        for change in registry.changes(fact):
            self.tables.apply(change)
        if type(fact) in _OF_SPOTS:
            _OF_SPOTS[type(fact)](self, fact)

    def place_all(self) -> None:
        """Tell a new index of spots what the stays and the tables say of them: for books that were not folded together."""
        for stay in self.stays.values():
            self._hold(stay.spot)
        for row in self.tables.all(SPOTS_CLOSED):
            spot = SpotId(words(row, "spot"))
            if spot in self.spots:
                self.spots.close(spot)
        for row in self.tables.all(RECOUNTS):
            self.spots.counted(AreaId(words(row, "area")), words(row, "spot_type"), whole(row, "unseen"))

    def fold_all(self, facts: Iterable[f.Fact]) -> None:
        for fact in facts:
            self.fold(fact)

    def count(self, area: AreaId) -> Count:
        return self.counts.get(area, Count())

    def is_known(self, ticket: TicketNumber) -> bool:
        """Whether this database issued or learned the number, open or ended."""
        counter, _, tag = ticket.partition("-")
        return ticket in self.learned or int(counter) <= self.tags.get(tag, 0)

    # -- the steps that several folds share --

    def _open(self, stay: Stay) -> None:
        assert stay.ticket not in self.stays, f"{stay.ticket} is open already"
        self._hold(stay.spot)
        self.stays[stay.ticket] = stay

    def _hold(self, spot: SpotId | None) -> None:
        """A spot that the site file has no more stays the ticket's, and nobody can be sent there."""
        if spot is not None and spot in self.spots:
            self.spots.hold(spot)

    def _release(self, spot: SpotId | None) -> None:
        if spot is not None and spot in self.spots:
            self.spots.release(spot)

    def _close(self, ticket: TicketNumber, state: TicketState) -> None:
        stay = self.stays.pop(ticket)
        self._release(stay.spot)
        self.closed[ticket] = state
        while len(self.closed) > CLOSED_KEPT_MAX:
            self.closed.popitem(last=False)

    def _remember(self, payment: Payment) -> None:
        self.payments[payment.payment] = payment
        for _ in range(len(self.payments) - PAYMENTS_KEPT_MAX):
            key, oldest = self.payments.popitem(last=False)
            if oldest.state == "PENDING" or oldest.ticket in self.stays:
                self.payments[key] = oldest  # it can still be asked for again

    def _counted(self, area: AreaId, entered: int = 0, exited: int = 0, adjusted: int = 0) -> None:
        was = self.count(area)
        self.counts[area] = Count(was.entered + entered, was.exited + exited, was.adjusted + adjusted)

    def _used_number(self, ticket: TicketNumber, counter: int) -> None:
        tag = ticket.partition("-")[2]
        self.tags[tag] = max(counter, self.tags.get(tag, 0))


def _nothing(books: Books, fact: f.Fact) -> None:
    """The journal keeps it; the books have nothing to remember of it."""


def _issued(books: Books, fact: f.TicketIssued) -> None:
    assert fact.counter == books.counter + 1, f"number {fact.counter} after {books.counter}: a gap"
    books.counter = fact.counter
    books._used_number(fact.ticket, fact.counter)
    books._open(
        Stay(
            fact.ticket,
            TicketState.ISSUED,
            fact.area,
            fact.spot,
            fact.vehicle_type,
            fact.tariff,
            fact.issued_ms,
            time_known=fact.time_quality is not TimeQuality.UNSET,
            fixed=fixed_of(fact.demand_percent, fact.demand_taken, fact.demand_spots),
            spot_type=fact.spot_type,
        ),
    )


def _learned(books: Books, fact: f.TicketLearned) -> None:
    books.learned.add(fact.ticket)
    stay = Stay(fact.ticket, TicketState.INSIDE, fact.area, None, fact.vehicle_type, fact.tariff, fact.issued_ms)
    books._open(replace(stay, entered_ms=fact.issued_ms, taken=True))


def _taken(books: Books, fact: f.TicketTaken) -> None:
    books.stays[fact.ticket] = replace(books.stays[fact.ticket], taken=True)


def _voided(books: Books, fact: f.TicketVoided) -> None:
    books._close(fact.ticket, TicketState.VOID)


def _entered(books: Books, fact: f.VehicleEntered) -> None:
    stay = books.stays[fact.ticket]
    assert stay.state is TicketState.ISSUED, f"{fact.ticket} entered twice"
    books.stays[fact.ticket] = replace(stay, state=TicketState.INSIDE, entered_ms=fact.entered_ms, taken=True)
    books._counted(stay.area, entered=1)


def _reversed(books: Books, fact: f.EntryReversed) -> None:
    books._counted(books.stays[fact.ticket].area, entered=-1)
    books._close(fact.ticket, TicketState.VOID)


def _spent(books: Books, fact: f.TicketSpent) -> None:
    stay = books.stays[fact.ticket]
    assert stay.state is TicketState.INSIDE, f"{fact.ticket} spent while {stay.state}"
    books.stays[fact.ticket] = replace(stay, state=TicketState.SPENT, vend=fact.vend)


def _returned(books: Books, fact: f.TicketReturned) -> None:
    stay = books.stays[fact.ticket]
    assert stay.state is TicketState.SPENT, f"{fact.ticket} returned while {stay.state}"
    books.stays[fact.ticket] = replace(stay, state=TicketState.INSIDE, vend=None)


def _exited(books: Books, fact: f.VehicleExited) -> None:
    if fact.ticket is None:
        books._counted(fact.area, exited=1)
        return
    area = books.stays[fact.ticket].area
    books._close(fact.ticket, TicketState.EXITED)
    books._counted(area, exited=1)


def _moved(books: Books, fact: f.VehicleMoved) -> None:
    if fact.ticket is not None:
        stay = books.stays[fact.ticket]
        books._release(stay.spot)
        books._hold(fact.spot)
        moved = replace(stay, state=TicketState.INSIDE, vend=None, area=fact.area)
        books.stays[fact.ticket] = replace(moved, spot=fact.spot, spot_type=fact.spot_type)
    if fact.from_area != fact.area:
        books._counted(fact.from_area, exited=1)
        books._counted(fact.area, entered=1)


def _lost(books: Books, fact: f.TicketLostDeclared) -> None:
    replacement = books.stays[fact.replacement]
    assert replacement.state is TicketState.ISSUED, f"{fact.replacement} replaces after {replacement.state}"
    entered_ms = fact.entered_ms if fact.entered_ms is not None else replacement.issued_ms
    changed = replace(
        replacement,
        state=TicketState.INSIDE,
        issued_ms=entered_ms,
        entered_ms=entered_ms,
        taken=True,
        lost=fact.entered_ms is None,
    )
    if fact.ticket is not None:
        found = books.stays[fact.ticket]
        changed = replace(
            changed,
            lost=False,
            issued_ms=found.issued_ms,
            time_known=found.time_known,
            entered_ms=found.entered_ms,
            tariff=found.tariff,
            fixed=found.fixed,
            paid_minor=found.paid_minor,
            last_paid_ms=found.last_paid_ms,
        )
        books._close(fact.ticket, TicketState.LOST)
    if fact.spot is not None:
        books._hold(fact.spot)
        changed = replace(changed, spot=fact.spot, spot_type=fact.spot_type)
    books.stays[fact.replacement] = changed


def _written_off(books: Books, fact: f.TicketWrittenOff) -> None:
    stay = books.stays[fact.ticket]
    if fact.counted and stay.state is not TicketState.ISSUED:
        books._counted(stay.area, adjusted=-1)
    books._close(fact.ticket, TicketState.WRITTEN_OFF)


def _vend_intended(books: Books, fact: f.VendIntended) -> None:
    books.vends_intended += 1
    books.vends[fact.vend] = OpenVend(fact.vend, fact.lane, fact.cause, fact.ticket, "intended")


def _vend_state(state: str) -> Callable[[Books, Any], None]:
    def fold(books: Books, fact: f.VendConfirmed | f.VendUnknown) -> None:
        if fact.vend in books.vends:
            books.vends[fact.vend] = replace(books.vends[fact.vend], state=state)

    return fold


def _vend_over(books: Books, fact: f.VendFailed | f.VendClosed) -> None:
    books.vends.pop(fact.vend, None)


def _mode(books: Books, fact: f.LaneModeChanged) -> None:
    books.modes[fact.lane] = fact


def _faulted(books: Books, fact: f.LaneFaulted) -> None:
    books.faults[fact.lane, fact.fault] = fact.detail


def _cleared(books: Books, fact: f.LaneCleared) -> None:
    books.faults.pop((fact.lane, fact.fault), None)


def _payment_started(books: Books, fact: f.PaymentStarted) -> None:
    books._remember(Payment(fact.payment, fact.ticket, fact.method, fact.amount_minor, "PENDING"))
    if fact.ticket in books.stays:
        stay = books.stays[fact.ticket]
        books.stays[fact.ticket] = replace(stay, attempts=stay.attempts + 1)


def _payment_taken(books: Books, fact: f.PaymentTaken) -> None:
    before = books.payments.get(fact.payment)
    assert before is None or before.state == "PENDING", f"payment {fact.payment} counted twice"
    assert fact.receipt == books.receipts.get(fact.series, 0) + 1, f"receipt {fact.series}/{fact.receipt}: a gap"
    books.receipts[fact.series] = fact.receipt
    books._remember(Payment(fact.payment, fact.ticket, fact.method, fact.amount_minor, "COMPLETED", fact))
    if fact.ticket in books.stays:
        stay = books.stays[fact.ticket]
        attempts = stay.attempts + (before is None)
        books.stays[fact.ticket] = replace(
            stay, paid_minor=stay.paid_minor + fact.amount_minor, last_paid_ms=fact.paid_ms, attempts=attempts
        )


def _payment_failed(books: Books, fact: f.PaymentFailed) -> None:
    if fact.payment in books.payments:
        books.payments[fact.payment] = replace(books.payments[fact.payment], state="FAILED")


def _payment_refunded(books: Books, fact: f.PaymentRefunded) -> None:
    assert fact.receipt == books.receipts.get(fact.series, 0) + 1, f"receipt {fact.series}/{fact.receipt}: a gap"
    books.receipts[fact.series] = fact.receipt
    books.refunds[fact.refund] = fact
    if len(books.refunds) > REFUNDS_KEPT_MAX:
        del books.refunds[next(iter(books.refunds))]
    if fact.payment in books.payments:
        payment = books.payments[fact.payment]
        refunded = payment.refunded_minor + fact.amount_minor
        assert refunded <= payment.amount_minor, f"{fact.payment}: {refunded} refunded of {payment.amount_minor}"
        state = "REFUNDED" if refunded == payment.amount_minor else payment.state
        books.payments[fact.payment] = replace(payment, state=state, refunded_minor=refunded)
    if fact.ticket in books.stays:
        stay = books.stays[fact.ticket]
        books.stays[fact.ticket] = replace(stay, paid_minor=stay.paid_minor - fact.amount_minor)


def _tariff(books: Books, fact: f.TariffApplied) -> None:
    books.tariffs[fact.tariff] = fact


def _adjusted(books: Books, fact: f.CountAdjusted) -> None:
    books._counted(fact.area, adjusted=fact.delta)


def _device_lost(books: Books, fact: f.DeviceLost) -> None:
    books.devices_lost[fact.device] = fact


def _device_back(books: Books, fact: f.DeviceBack) -> None:
    books.devices_lost.pop(fact.device, None)


def _office_lost(books: Books, fact: f.OfficeLost) -> None:
    books.office_lost = fact


def _office_back(books: Books, fact: f.OfficeBack) -> None:
    books.office_lost = None


def _spot_closed(books: Books, fact: SpotClosed) -> None:
    if fact.spot in books.spots:
        books.spots.close(SpotId(fact.spot))


def _spot_opened(books: Books, fact: SpotOpened) -> None:
    if fact.spot in books.spots:
        books.spots.open(SpotId(fact.spot))


def _recounted(books: Books, fact: AreaRecounted) -> None:
    books.spots.counted(AreaId(fact.area), fact.spot_type, fact.unseen)


_OF_SPOTS: Final[Mapping[type[f.Fact], Callable[[Books, Any], None]]] = {
    SpotClosed: _spot_closed,
    SpotOpened: _spot_opened,
    AreaRecounted: _recounted,
}
"""Facts of the business that the index of spots must hear of."""

_FOLDS: Final[Mapping[type[f.Fact], Callable[[Books, Any], None]]] = {
    f.SiteStarted: _nothing,
    f.SiteStopped: _nothing,
    f.ClockStepped: _nothing,
    f.TariffApplied: _tariff,
    f.CountAdjusted: _adjusted,
    f.DeviceLost: _device_lost,
    f.DeviceBack: _device_back,
    f.OfficeLost: _office_lost,
    f.OfficeBack: _office_back,
    f.CommandDone: _nothing,
    f.CommandRefused: _nothing,
    f.TicketIssued: _issued,
    f.TicketLearned: _learned,
    f.TicketTaken: _taken,
    f.TicketVoided: _voided,
    f.VehicleEntered: _entered,
    f.EntryReversed: _reversed,
    f.TicketSpent: _spent,
    f.TicketReturned: _returned,
    f.VehicleExited: _exited,
    f.VehicleMoved: _moved,
    f.TicketLostDeclared: _lost,
    f.TicketWrittenOff: _written_off,
    f.CodeRefused: _nothing,
    f.PassageObserved: _nothing,
    f.VendIntended: _vend_intended,
    f.VendConfirmed: _vend_state("confirmed"),
    f.VendUnknown: _vend_state("unknown"),
    f.VendFailed: _vend_over,
    f.VendClosed: _vend_over,
    f.OpenedByHand: _nothing,
    f.LaneModeChanged: _mode,
    f.LaneFaulted: _faulted,
    f.LaneCleared: _cleared,
    f.PaymentStarted: _payment_started,
    f.PaymentTaken: _payment_taken,
    f.PaymentFailed: _payment_failed,
    f.PaymentRefunded: _payment_refunded,
}
assert set(_FOLDS) == set(f.FACTS), "every fact of lanes and site is folded, or named as changing nothing"
