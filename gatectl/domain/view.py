"""The site as one lane sees it, at one moment: offers, verdicts on codes, prices, the next ids. Asking changes nothing."""

from dataclasses import dataclass, field, replace
from functools import partial

from gatectl.domain import tariffs, tickets
from gatectl.domain.beyond import PlaceBeyond
from gatectl.domain.books import Books, Payment, Stay
from gatectl.domain.business import coupons, payments
from gatectl.domain.business import registry as business
from gatectl.domain.business.reservations import kept_spots
from gatectl.domain.business.rule import Context, No
from gatectl.domain.business.validations import price_after
from gatectl.domain.facts import TicketLearned
from gatectl.domain.ids import AreaId, Boot, Moment, PaymentId, SpotId, TicketNumber, TimeQuality, VendId
from gatectl.domain.lane import Entitled, LanePlan, Price, Quote, Reduced, Refusal, TicketOffer
from gatectl.domain.lane_codes import NO_SUCH_PIN, is_pin
from gatectl.domain.money_rules import LET_OUT
from gatectl.domain.opening import Parker
from gatectl.domain.payments import BY_TERMINAL
from gatectl.domain.plan import SitePlan
from gatectl.domain.pricing import demand_now, stay_price, tariff_at
from gatectl.domain.records.payments_debts import DebtMade
from gatectl.domain.records.payments_terminals import REVERSALS
from gatectl.domain.tariff_demand import Fixed
from gatectl.domain.tickets import TicketState

_WHY_ENDED = {
    TicketState.VOID: Refusal("E-TKT-05", "Ticket void. Please call."),
    TicketState.EXITED: Refusal("E-TKT-04", "Ticket already used. Please call."),
    TicketState.LOST: Refusal("E-TKT-05", "Ticket replaced. Please call."),
    TicketState.WRITTEN_OFF: Refusal("E-TKT-05", "Ticket closed. Please call."),
}


@dataclass(slots=True)
class LaneView:
    """Satisfies gatectl.domain.lane.View. `learned` holds a ticket that was admitted on its code alone."""

    site: SitePlan
    books: Books
    boot: Boot
    now: Moment
    plan: LanePlan
    learned: dict[TicketNumber, TicketLearned] = field(default_factory=dict)

    @property
    def context(self) -> Context:
        return business.context(self.site, self.books, self.boot, self.now)

    def quote(self) -> Quote | None:
        kept = partial(kept_spots, self.context, self.plan.area)
        spot = self.books.spots.allocate(self.plan.area, self.plan.vehicle_type, None, kept, self.plan.near)
        tariff = self._tariff(spot.spot_type if spot else None)
        fixed = self._fixed(tariff, None)
        if fixed is None:
            return None
        text = tariff.summary(self.site.currency, self.now.wall_ms, self.site.zone, fixed)
        return Quote(tariff.tariff, fixed, text)

    def offer(self, quote: Quote | None = None) -> TicketOffer | Refusal:
        return self._turned_away(Parker.TRANSIENT) or self._offered(None, quote)

    def _turned_away(self, parker: Parker) -> Refusal | None:
        """By people, hours or a margin, before it is looked for a spot."""
        for gate in business.GATES:
            refusal = gate(self.context, self.plan, parker)
            if refusal is not None:
                return Refusal(refusal.code, refusal.why)
        return None

    def _offered(self, claimed: str | None, quote: Quote | None = None) -> TicketOffer | Refusal:
        """`claimed`: a spot type of which the vehicle may have what is kept from others."""
        area, vehicle = self.plan.area, self.plan.vehicle_type
        kept = partial(kept_spots, self.context, area)
        spot = self.books.spots.allocate(area, vehicle, claimed, kept, self.plan.near)
        if spot is None and self.books.spots.total(area):
            full = f"Full for {vehicle.replace('_', ' ').lower()}"
            if claimed is not None:
                return Refusal("E-FULL-01", f"{full}\n{claimed.replace('_', ' ').lower()}")
            if self.books.spots.allocate(area, vehicle) is not None:
                return Refusal("E-FULL-02", f"{full}\nKept for reservations")
            return Refusal("E-FULL-01", full)
        return self._numbered(spot.spot if spot else None, spot.spot_type if spot else None, quote)

    def entitle(self, text: str) -> Entitled | Refusal:
        context = self.context
        for entitle in business.ENTITLE:
            answer = entitle(context, self.plan, text)
            if isinstance(answer, No):
                return Refusal(answer.code, answer.why)
            if answer is not None:
                offer = self._turned_away(answer.parker) or self._offered(answer.claimed)
                if isinstance(offer, Refusal):
                    return offer
                return Entitled(offer, answer.facts(offer.ticket), answer.text)
        return Refusal("E-CRED-01", "Not known here\nPlease press for a ticket")

    def exception_offer(self) -> TicketOffer:
        area, vehicle = self.plan.area, self.plan.vehicle_type
        kept = partial(kept_spots, self.context, area)
        # It stands somewhere already: on what is kept only if nothing else can be.
        spot = self.books.spots.allocate(area, vehicle, None, kept) or self.books.spots.allocate(area, vehicle)
        return self._numbered(spot.spot if spot else None, spot.spot_type if spot else None)

    def _tariff(self, spot_type: str | None) -> tariffs.Tariff:
        return tariff_at(self.site, self.books, self.now.wall_ms, self.plan.vehicle_type, spot_type)

    def _fixed(self, tariff: tariffs.Tariff, quote: Quote | None) -> Fixed | None:
        """What the vehicle was told, if it was told of this tariff; else what demand says now."""
        if tariff.demand is not None and quote is not None and quote.tariff == tariff.tariff:
            return quote.fixed
        return demand_now(self.site, self.books, self.plan.area, tariff)

    def _numbered(self, spot: SpotId | None, spot_type: str | None, quote: Quote | None = None) -> TicketOffer:
        counter = self.books.counter + 1
        number = tickets.format_number(counter, self.boot.tag)
        tariff = self._tariff(spot_type)
        fixed = self._fixed(tariff, quote)
        code = tickets.sign(
            self.site.keyring,
            self.site.site,
            counter=counter,
            tag=self.boot.tag,
            issued_s=self.now.wall_ms // 1000,
            vehicle_type=self.plan.vehicle_type,
        )
        text = tariff.summary(self.site.currency, self.now.wall_ms, self.site.zone, fixed)
        return TicketOffer(number, counter, code, spot, spot_type, tariff.tariff, text, fixed)

    def code(self, ticket: TicketNumber) -> str:
        """The code of an open ticket, for a number that a person typed: signed anew, read like the one on its paper."""
        counter, _, tag = ticket.partition("-")
        stay = self.books.stays[ticket]
        return tickets.sign(
            self.site.keyring,
            self.site.site,
            counter=int(counter),
            tag=tag,
            issued_s=stay.issued_ms // 1000,
            vehicle_type=stay.vehicle_type,
        )

    def place_beyond(self, ticket: TicketNumber | None, back: bool) -> PlaceBeyond:
        assert self.plan.into is not None, f"{self.plan.lane} leads nowhere else"
        before, behind = self.plan.area, self.plan.into
        stay = self.books.stays.get(ticket) if ticket is not None else None
        area = before if back else behind
        if stay is None:
            return PlaceBeyond(behind if back else before, area, None, None)
        spot = self.books.spots.allocate(area, stay.vehicle_type)
        return PlaceBeyond(stay.area, area, spot.spot if spot else None, spot.spot_type if spot else None, stay.spot)

    def admit(self, code: str) -> Price | Refusal:
        price = self._admitted(code)
        if self.plan.into is None or isinstance(price, Refusal):
            return price
        return self._let_pass(replace(price, due_minor=0, lines=()), self.plan.into)

    def _let_pass(self, price: Price, into: AreaId) -> Price | Refusal:
        """Between two areas nothing is charged; into a nested area there must be room, out of it nobody is kept."""
        stay = self.books.stays.get(price.ticket)
        if stay is not None and stay.area == into:
            return Refusal("E-TKT-09", "Ticket is used\nin there", price.ticket)
        closed = None if self.plan.outward else self._turned_away(Parker.TRANSIENT)
        if closed is not None:
            return closed
        spots, vehicle = self.books.spots, stay.vehicle_type if stay else self.plan.vehicle_type
        if not self.plan.outward and spots.total(into) and spots.allocate(into, vehicle) is None:
            return Refusal("E-FULL-01", f"Full for {vehicle.replace('_', ' ').lower()}")
        return price

    def _admitted(self, code: str) -> Price | Refusal:
        read = tickets.verify(code, self.site.keyring, self.site.site)
        if isinstance(read, tickets.CodeRefusal):
            return self._by_right(code, read)
        number = tickets.format_number(read.counter, read.tag)
        stay = self.books.stays.get(number)
        if stay is None:
            return self._unlisted(number, read)
        return self._presented(stay)

    def _by_right(self, text: str, read: tickets.CodeRefusal) -> Price | Refusal:
        """A credential that is no ticket's code, if it is one: the stay that it came in by."""
        for stay_of in business.STAY_OF:
            answer = stay_of(self.context, text)
            if isinstance(answer, No):
                return Refusal(answer.code, answer.why)
            if answer is not None:
                return self._presented(self.books.stays[answer])
        if is_pin(text):
            return Refusal(NO_SUCH_PIN, "Not known here. Please call.")
        return Refusal(read.code, "Ticket not accepted. Please call.")

    def _presented(self, stay: Stay) -> Price | Refusal:
        if stay.state is TicketState.SPENT:
            return Refusal("E-TKT-04", "Ticket already used. Please call.", stay.ticket)
        if stay.state is TicketState.ISSUED:
            return Refusal("E-TKT-08", "Ticket did not enter. Please call.", stay.ticket)
        if self.now.quality is TimeQuality.UNSET or not stay.time_known:
            return Refusal("E-TIME-01", "Please call.", stay.ticket)
        return self.price(stay.ticket)

    def _unlisted(self, number: TicketNumber, read: tickets.VerifiedCode) -> Price | Refusal:
        if number in self.books.closed:
            return replace(_WHY_ENDED[self.books.closed[number]], ticket=number)
        if self.books.is_known(number):
            return Refusal("E-TKT-04", "Ticket already used. Please call.", number)
        if self.now.quality is TimeQuality.UNSET:
            return Refusal("E-TIME-01", "Please call.", number)
        issued_ms = read.issued_s * 1000
        tariff = tariff_at(self.site, self.books, issued_ms, read.vehicle_type)
        fact = TicketLearned(
            number, read.counter, self.plan.lane, self.plan.area, read.vehicle_type, tariff.tariff, issued_ms
        )
        self.learned[number] = fact
        stay = Stay(number, TicketState.INSIDE, self.plan.area, None, read.vehicle_type, tariff.tariff, issued_ms)
        return stay_price(self.context, stay)

    def is_coupon(self, text: str) -> bool:
        return coupons.is_coupon(self.context, text)

    def reduced(self, ticket: TicketNumber, coupon: str, place: str = "") -> Reduced | Refusal:
        where = place or str(self.plan.lane)
        facts = coupons.apply(self.context, ticket, coupon, where, where)
        if isinstance(facts, No):
            return Refusal(facts.code, "Coupon not accepted")
        return Reduced(facts, price_after(self.context, self.books.stays[ticket], facts))

    def price(self, ticket: TicketNumber) -> Price:
        return stay_price(self.context, self.books.stays[ticket])

    def inside(self, ticket: TicketNumber) -> bool:
        stay = self.books.stays.get(ticket)
        return stay is not None and stay.state is TicketState.INSIDE

    def next_vend(self) -> VendId:
        return next_vend(self.books, self.boot, self.plan)

    def next_payment(self, ticket: TicketNumber) -> PaymentId:
        stay = self.books.stays.get(ticket)
        return PaymentId(f"{ticket}-{self.plan.lane}-{(stay.attempts if stay else 0) + 1}")

    def next_receipt(self) -> tuple[str, int]:
        return str(self.plan.lane), self.books.receipts.get(self.plan.lane, 0) + 1

    def offline_left_minor(self) -> int:
        return payments.offline_left_minor(self.context)

    def owed(self, price: Price, why: str) -> DebtMade | None:
        context = self.context
        if self.site.money.uncollectable != LET_OUT or payments.too_many_debts(context):
            return None
        return payments.debt_made(context, price.ticket, price.due_minor, "", "policy", why, self.plan.lane)

    def taken_here(self, ticket: TicketNumber) -> tuple[PaymentId, int] | None:
        found = [
            payment
            for payment in self.books.payments.values()
            if payment.ticket == ticket and payment.state == "COMPLETED" and self._mine(payment)
        ]
        if not found:
            return None
        last = max(found, key=lambda payment: payment.taken.receipt if payment.taken else 0)
        return last.payment, last.amount_minor - last.refunded_minor

    def _mine(self, payment: Payment) -> bool:
        """Whether this lane's terminal took it, and nobody takes it back already."""
        taken, under_way = payment.taken, self.books.tables.get(REVERSALS, payment.payment)
        return (
            taken is not None and taken.till == self.plan.lane and payment.method in BY_TERMINAL and under_way is None
        )


def next_vend(books: Books, boot: Boot, plan: LanePlan) -> VendId:
    """Unique over boots by the tag, within one by the count of vends intended."""
    return VendId(f"{plan.lane}-{boot.tag}-{books.vends_intended + 1}")


def lane_of(vend: VendId) -> str:
    """The lane that a vend was made for; a lane's id may hold dashes itself."""
    return vend.rsplit("-", 2)[0]
