"""The aggregate: events in, facts and effects out. No disk, no clock, no socket.

`Site.handle` decides, folds what it decided, and returns it as one batch: the facts that are now true here and must become
durable, and the effects that may be performed only after they are. Whoever calls it owns the thread, the disk and the time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gatectl.domain import entry_lane, events, exit_lane, replacing, signs
from gatectl.domain import facts as f
from gatectl.domain.answers import answer
from gatectl.domain.books import Books, OpenVend, Payment
from gatectl.domain.business import fiscal, histories, payments
from gatectl.domain.business import registry as business
from gatectl.domain.business.cashier import asked_of, take
from gatectl.domain.business.exceptions import declared_lost
from gatectl.domain.business.feeding import received, removed
from gatectl.domain.business.rule import TURN_MS, Context, Done, No, Reissue
from gatectl.domain.effects import Effect, QueryPayment, Reply
from gatectl.domain.fiscal_paper import HeldPaper
from gatectl.domain.ids import Boot, LaneId, Moment, PaymentId, RequestId, TicketNumber
from gatectl.domain.lane import (
    CodeWasRead,
    DeadlinePassed,
    DeviceAvailabilityChanged,
    Doubt,
    Hand,
    HandCommanded,
    Input,
    Lane,
    LaneKind,
    LanePlan,
    PaidElsewhere,
    Price,
    Refusal,
    Step,
)
from gatectl.domain.payments import PaymentRefusal, same_request
from gatectl.domain.plan import SitePlan
from gatectl.domain.pricing import stay_price
from gatectl.domain.tariffs import Tariff, TariffRefused, from_body, to_body
from gatectl.domain.tickets import TicketState
from gatectl.domain.view import LaneView, lane_of

CLOCK_STEP_MS_MAX: Final = 2_000
"""A wall clock that moves more than this against the monotonic clock has stepped."""

_STEP: Final = {LaneKind.ENTRY: entry_lane.step, LaneKind.EXIT: exit_lane.step, LaneKind.PASSAGE: exit_lane.step}


@dataclass(frozen=True, slots=True)
class Batch:
    """What one event led to: durable first, then performed."""

    facts: tuple[f.Fact, ...] = ()
    effects: tuple[Effect, ...] = ()


NOTHING: Final = Batch()


@dataclass(slots=True)
class Site:
    """Owned by the core thread. Build it with loaded books, call `start` once, then `handle` and `elapsed`."""

    plan: SitePlan
    books: Books
    boot: Boot
    lanes: dict[LaneId, Lane] = field(default_factory=dict)
    _now: Moment | None = None
    _turn_at_mono_ms: int | None = None
    _facts: list[f.Fact] = field(default_factory=list)
    _effects: list[Effect] = field(default_factory=list)
    _told: dict[str, str] = field(default_factory=dict)
    _paper: HeldPaper = field(default_factory=HeldPaper)

    # -- the three doors -----------------------------------------------------------------------------------------

    def start(self, now: Moment, dark_from_ms: int | None, clean: bool) -> Batch:
        """The first batch of a run. Settles what the dark interval left open; moves nothing."""
        self._now = now
        self._turn_at_mono_ms = now.mono_ms + TURN_MS if business.WAITS_FOR_THE_CLOCK else None
        self._record(
            f.SiteStarted(
                self.boot.boot_id,
                self.boot.tag,
                self.plan.software,
                dark_from_ms,
                now.wall_ms,
                clean,
                self.plan.config_digest,
            )
        )
        self._apply_tariffs_of_the_site_file()
        doubts = self._doubts()
        doubted = {doubt.ticket for doubt in doubts.values()}
        self._void_what_was_not_granted(doubted)
        self._ask_after_pending_payments()
        for plan in self.plan.lanes:
            mode = self.books.modes.get(plan.lane)
            kept = frozenset(fault for lane, fault in self.books.faults if lane == plan.lane)
            self.lanes[plan.lane] = Lane(
                plan=plan,
                doubt=doubts.get(plan.lane),
                faults=kept,
                mode=mode.mode if mode else "normal",
                pending=self._pending_at(plan.lane, now),
                deadline_mono_ms=now.mono_ms + plan.timing.start_ms,
            )
        self._effects.extend(business.reminded(self._context()))
        return self._batch()

    def handle(self, event: events.Event, now: Moment) -> Batch:
        """Decide one event."""
        self._now = now
        _HANDLERS[type(event)](self, event, now)
        return self._batch()

    def elapsed(self, now: Moment) -> Batch:
        """Tell every lane whose deadline has passed, and the business what time it is."""
        self._now = now
        for lane in list(self.lanes.values()):
            if lane.deadline_mono_ms is not None and lane.deadline_mono_ms <= now.mono_ms:
                self._step(lane.plan.lane, DeadlinePassed(), now)
        if self._turn_at_mono_ms is not None and self._turn_at_mono_ms <= now.mono_ms:
            self._turn_at_mono_ms = now.mono_ms + TURN_MS
            self._record(*business.turned(self._context()))
            self._effects.extend(business.reminded(self._context()))
        return self._batch()

    def next_deadline_mono_ms(self) -> int | None:
        soonest = self._turn_at_mono_ms
        for lane in self.lanes.values():
            due = lane.deadline_mono_ms
            if due is not None and (soonest is None or due < soonest):
                soonest = due
        return soonest

    # -- how anything becomes true ---------------------------------------------------------------------------------

    def _record(self, *facts: f.Fact) -> None:
        for fact in facts:
            self.books.fold(fact)
            self._facts.append(fact)
            if type(fact) in business.FOLLOWED:
                self._record(*business.followers(self._context(), fact))
            if type(fact) in business.PERFORMED:
                self._effects.extend(business.performed(self._context(), fact))

    def _context(self) -> Context:
        assert self._now is not None, "a site is started before it decides"
        return business.context(self.plan, self.books, self.boot, self._now)

    def _batch(self) -> Batch:
        if self.plan.announces and self._facts:
            self._effects += signs.announced(self._context(), self._told)
        if not self._facts and not self._effects:
            return NOTHING
        batch = Batch(tuple(self._facts), tuple(self._effects) if self.plan.money.fiscal is None else self._signed())
        self._facts.clear()
        self._effects.clear()
        return batch

    def _signed(self) -> tuple[Effect, ...]:
        """The effects, with each receipt behind its fiscal entry: it is printed with its code, or when it has none."""
        return self._paper.due(self._context(), self._facts, self._effects)

    def _step(self, lane_id: LaneId, happened: Input, now: Moment) -> Step:
        lane = self.lanes[lane_id]
        view = LaneView(self.plan, self.books, self.boot, now, lane.plan)
        step = _STEP[lane.plan.kind](lane, happened, view)
        self.lanes[lane_id] = step.lane
        for number, learned in view.learned.items():
            if step.lane.ticket == number or any(getattr(fact, "ticket", None) == number for fact in step.facts):
                self._record(learned)
        self._record(*step.facts)
        self._effects.extend(step.effects)
        return step

    # -- starting --------------------------------------------------------------------------------------------------

    def _apply_tariffs_of_the_site_file(self) -> None:
        for tariff in self.plan.tariffs:
            body = to_body(tariff)
            known = self.books.tariffs.get(tariff.tariff)
            if known is None:
                self._record(f.TariffApplied(tariff.tariff, tariff.effective_from_ms, body, "site-file"))
            elif known.source == "site-file" and not _same_tariff(known, tariff):
                self._record(f.CommandRefused(f"tariff {tariff.tariff}", "site-file", _KEEPS_ITS_PRICES))

    def _doubts(self) -> dict[LaneId, Doubt]:
        """The newest unfinished vend of each lane; older ones of the same lane are closed as unknown."""
        doubts: dict[LaneId, Doubt] = {}
        known = {plan.lane for plan in self.plan.lanes}
        for vend in list(self.books.vends.values()):
            given_up = doubts[vend.lane].vend if vend.lane in doubts else None
            if vend.lane in known:
                doubts[vend.lane] = Doubt(vend.vend, self._ticket_in_doubt(vend))
            else:
                given_up = vend.vend
            if given_up is not None:
                self._record(f.VendUnknown(given_up, vend.lane, "dark"), f.VendClosed(given_up, vend.lane))
        return doubts

    def _ticket_in_doubt(self, vend: OpenVend) -> TicketNumber | None:
        """The vend's ticket, if its passage was not committed before the dark: issued, or spent at that very lane."""
        stay = self.books.stays.get(vend.ticket) if vend.ticket else None
        if stay is None:
            return None
        spent_here = stay.state is TicketState.SPENT and stay.vend is not None and lane_of(stay.vend) == vend.lane
        return vend.ticket if stay.state is TicketState.ISSUED or spent_here else None

    def _void_what_was_not_granted(self, doubted: set[TicketNumber | None]) -> None:
        for stay in list(self.books.stays.values()):
            if stay.state is TicketState.ISSUED and stay.ticket not in doubted:
                self._record(f.TicketVoided(stay.ticket, None, f.VoidReason.DARK, by="gatectl"))
            elif stay.state is TicketState.SPENT and stay.ticket not in doubted:
                self._record(f.TicketReturned(stay.ticket, LaneId(""), "dark"))

    def _ask_after_pending_payments(self) -> None:
        lanes = [plan.lane for plan in self.plan.lanes if plan.has_terminal]
        for payment in self._pending():
            lane = next((lane for lane in lanes if _asked_at(payment, lane)), None)
            if lane is not None:
                self._effects.append(QueryPayment(lane, payment.payment))
            else:
                self._record(f.PaymentFailed(payment.payment, payment.ticket, "unknown", "dark"))

    def _pending(self) -> list[Payment]:
        """By their keys: books that were loaded are in no order, and a start must not depend on one."""
        asked = [payment for payment in self.books.payments.values() if payment.state == "PENDING"]
        return sorted(asked, key=lambda payment: payment.payment)

    def _pending_at(self, lane: LaneId, now: Moment) -> tuple[tuple[PaymentId, Price], ...]:
        """The payments that this lane's terminal was asked for and did not answer before the dark, as they were asked."""
        asked = [
            payment for payment in self._pending() if _asked_at(payment, lane) and payment.ticket in self.books.stays
        ]
        return tuple(
            (
                payment.payment,
                replace(
                    stay_price(self._context(), self.books.stays[payment.ticket]),
                    due_minor=payment.amount_minor,
                ),
            )
            for payment in asked
        )

    # -- events ----------------------------------------------------------------------------------------------------

    def _lane_input(self, event: events.LaneInput, now: Moment) -> None:
        if event.lane in self.lanes:
            self._step(event.lane, event.input, now)
        else:
            self._record(f.CommandRefused(type(event.input).__name__, "wiring", f"no lane {event.lane}"))

    def _device_went(self, event: events.DeviceWent, now: Moment) -> None:
        lost = self.books.devices_lost.get(event.device)
        if event.up and lost is not None:
            self._record(f.DeviceBack(event.device, max(0, now.wall_ms - lost.lost_ms)))
        elif not event.up and lost is None:
            self._record(f.DeviceLost(event.device, event.why, now.wall_ms))
        for lane, roles in event.roles:
            self._lane_input(events.LaneInput(lane, DeviceAvailabilityChanged(event.up, roles)), now)

    def _office_went(self, event: events.OfficeWent, now: Moment) -> None:
        lost = self.books.office_lost
        if event.up and lost is not None:
            self._record(f.OfficeBack(max(0, now.wall_ms - lost.lost_ms)))
        elif not event.up and lost is None:
            self._record(f.OfficeLost(event.why, now.wall_ms))

    def _tariff_received(self, event: events.TariffReceived, now: Moment) -> None:
        try:
            tariff = from_body(event.body)
        except TariffRefused as refused:
            self._record(f.CommandRefused(f"tariff {event.tariff}", event.source, str(refused)[:200]))
            return
        known = self.books.tariffs.get(tariff.tariff)
        if known is None:
            self._record(f.TariffApplied(tariff.tariff, tariff.effective_from_ms, event.body, event.source))
        elif not _same_tariff(known, tariff):
            self._record(f.CommandRefused(f"tariff {tariff.tariff}", event.source, _KEEPS_ITS_PRICES))

    def _received(self, event: events.Received, now: Moment) -> None:
        outcome = received(self._context(), event)
        if isinstance(outcome, No):
            self._record(f.CommandRefused(f"{event.kind} {event.key}"[:200], event.source, outcome.why[:200]))
        else:
            self._record(*outcome)

    def _received_whole(self, event: events.ReceivedWhole, now: Moment) -> None:
        for gone in removed(self._context(), event):
            self._received(gone, now)

    def _office_commanded(self, event: events.OfficeCommanded, now: Moment) -> None:
        if now.mono_ms > event.deadline_mono_ms:
            self._record(f.CommandRefused(event.command, event.who, "expired"))
            return
        if event.lane not in self.lanes:
            self._record(f.CommandRefused(event.command, event.who, f"no lane {event.lane}"))
            return
        before = len(self._effects)
        self._hand(event.lane, event.hand, event.who, event.why, f"office:{event.command}", now)
        replies = [effect for effect in self._effects[before:] if isinstance(effect, Reply)]
        self._effects[before:] = [effect for effect in self._effects[before:] if not isinstance(effect, Reply)]
        refused = next((reply for reply in replies if reply.code), None)
        if refused:
            self._record(f.CommandRefused(event.command, event.who, f"{refused.code} {refused.message}"))
        else:
            self._record(f.CommandDone(event.command, event.who, event.why))

    def _hand_asked(self, event: events.HandAsked, now: Moment) -> None:
        self._hand(event.lane, event.hand, event.who, event.why, event.request, now)

    def _hand(self, lane: LaneId, hand: Hand, who: str, why: str, request: str, now: Moment) -> None:
        asked = RequestId(request)
        if lane not in self.lanes:
            self._effects.append(Reply(asked, "E-NOT-01", f"no lane {lane}"))
            return
        if not (who.strip() and why.strip()):
            self._effects.append(Reply(asked, "E-USE-01", "a name and a reason are needed"))
            return
        self._step(lane, HandCommanded(hand, who, why, asked), now)

    def _cash_offered(self, event: events.CashOffered, now: Moment) -> None:
        asked = asked_of(event)
        if isinstance(asked, PaymentRefusal):
            self._effects.append(Reply(event.request, asked.code, asked.why))
            return
        earlier = self.books.payments.get(event.payment)
        if earlier is not None and earlier.taken is not None:
            refusal = same_request(earlier.taken, asked)
            self._effects.append(answer(event.request, refusal, earlier.taken))
            return
        if any(lane.ticket == event.ticket and lane.payment is not None for lane in self.lanes.values()):
            self._effects.append(Reply(event.request, "E-PAY-04", f"{event.ticket} is being paid at a terminal now"))
            return
        taken = take(self._context(), asked, event.till, event.who)
        if isinstance(taken, PaymentRefusal):
            self._effects.append(Reply(event.request, taken.code, taken.why))
            return
        self._record(taken)
        self._effects.append(answer(event.request, None, taken))
        self._tell_its_lane(event.ticket, now)

    def _tell_its_lane(self, ticket: TicketNumber, now: Moment) -> None:
        """What is due for a ticket has changed, and its driver may stand at an exit."""
        for lane in list(self.lanes.values()):
            if lane.ticket == ticket:
                self._step(lane.plan.lane, PaidElsewhere(ticket), now)

    def _station_asked(self, event: events.StationAsked, now: Moment) -> None:
        view = LaneView(self.plan, self.books, self.boot, now, self._any_exit())
        code, _, coupon = event.code.partition(" ")
        price = view.admit(code)
        if isinstance(price, Refusal):
            self._effects.append(Reply(event.request, price.code, price.text))
            return
        self._record(*view.learned.values())
        if coupon:
            reduced = view.reduced(price.ticket, coupon, event.station)
            if isinstance(reduced, Refusal):
                self._effects.append(Reply(event.request, reduced.code, reduced.text))
                return
            price = reduced.price
            self._record(*reduced.facts)
            self._tell_its_lane(price.ticket, now)
        if event.what == "pay-cash":
            payment = PaymentId(f"{price.ticket}-{event.request}")
            paid = events.CashOffered(
                event.request, payment, price.ticket, None, event.tendered_minor, event.station, event.station
            )
            self._cash_offered(paid, now)
            return
        data: dict[str, object] = {
            "ticket": price.ticket,
            "due_minor": price.due_minor,
            "currency": price.currency,
            "lines": [[line.text, line.amount_minor] for line in price.lines],
        }
        self._effects.append(Reply(event.request, "", "quoted", data))

    def _void_asked(self, event: events.VoidAsked, now: Moment) -> None:
        stay = self.books.stays.get(event.ticket)
        if stay is None:
            self._effects.append(Reply(event.request, "E-NOT-01", f"{event.ticket} is not open"))
        elif any(event.ticket in (lane.ticket, lane.doubt and lane.doubt.ticket) for lane in self.lanes.values()):
            self._effects.append(Reply(event.request, "E-LANE-02", f"{event.ticket} is in a lane now"))
        elif stay.state is TicketState.ISSUED:
            self._record(f.TicketVoided(event.ticket, None, f.VoidReason.BY_HAND, event.who, event.why))
            self._effects.append(Reply(event.request, "", f"{event.ticket} is void"))
        else:
            self._record(f.TicketWrittenOff(event.ticket, event.who, event.why))
            self._effects.append(Reply(event.request, "", f"{event.ticket} is written off, the count is one less"))

    def _lost_ticket(self, event: events.LostTicketDeclared, now: Moment) -> None:
        self._answer(event.request, declared_lost(self._context(), event), now)

    def _reissued(self, reissue: Reissue, now: Moment) -> dict[str, object]:
        plan = self.plan.lane(LaneId(reissue.lane)) if reissue.lane in self.lanes else self._any_exit()
        view = LaneView(self.plan, self.books, self.boot, now, plan)
        offer, facts = replacing.numbered(view, reissue)
        self._record(*facts)
        return replacing.told(view, offer, reissue)

    def _any_exit(self) -> LanePlan:
        return next((plan for plan in self.plan.lanes if plan.kind is LaneKind.EXIT), self.plan.lanes[0])

    def _count_corrected(self, event: events.CountCorrected, now: Moment) -> None:
        if event.area not in self.plan.areas:
            self._effects.append(Reply(event.request, "E-NOT-01", f"no area {event.area}"))
            return
        self._record(f.CountAdjusted(event.area, event.delta, event.who, event.why))
        self._effects.append(Reply(event.request, "", f"count of {event.area} adjusted by {event.delta:+d}"))

    def _asked(self, event: events.Asked, now: Moment) -> None:
        verb = business.VERBS.get(event.verb)
        if verb is None:
            self._effects.append(Reply(event.request, "E-NOT-01", f"nothing here is called {event.verb}"))
            return
        self._answer(event.request, verb.decide(self._context(), event.who, dict(event.words)), now)

    def _answer(self, request: RequestId, outcome: Done | No, now: Moment) -> None:
        if isinstance(outcome, No):
            self._effects.append(Reply(request, outcome.code, outcome.why))
            return
        lane, number = outcome.shown or (None, None)
        if lane is not None and not replacing.awaits_ticket(self.lanes.get(lane)):
            self._effects.append(Reply(request, "E-LANE-02", f"no vehicle waits for its ticket at an exit lane {lane}"))
            return
        self._record(*outcome.facts)
        made = [self._reissued(reissue, now) for reissue in outcome.reissues]
        reply = replacing.reply(request, outcome, made)
        if lane is not None and number is not None:
            view = LaneView(self.plan, self.books, self.boot, now, self.plan.lane(lane))
            step = self._step(lane, CodeWasRead(view.code(number)), now)
            reply = replacing.shown_reply(reply, step.facts)
        self._effects.append(reply)
        self._effects.extend(outcome.effects)
        if outcome.paid is not None:
            self._tell_its_lane(outcome.paid, now)

    def _history_stands(self, event: events.HistoryStands, now: Moment) -> None:
        self._record(*histories.noted(self.books.tables, event.generation, event.reason, event.gone, now.wall_ms))

    def _payment_reversed(self, event: events.PaymentReversed, now: Moment) -> None:
        self._record(*payments.reversed_(self._context(), event))

    def _entry_signed(self, event: events.EntrySigned, now: Moment) -> None:
        self._record(*fiscal.signed(self._context(), event))

    def _wall_clock_moved(self, event: events.WallClockMoved, now: Moment) -> None:
        self._record(f.ClockStepped(event.by_ms, now.quality))

    def _stop(self, event: events.StopAsked, now: Moment) -> None:
        self._record(f.SiteStopped(event.reason))


_KEEPS_ITS_PRICES: Final = "a version keeps its prices; give others another id"


def _same_tariff(known: f.TariffApplied, tariff: Tariff) -> bool:
    return to_body(from_body(known.body)) == to_body(tariff)


def _asked_at(payment: Payment, lane: LaneId) -> bool:
    """Whether this lane's terminal was asked for it: the key says so (LaneView.next_payment). Lane ids may hold dashes."""
    return payment.payment.rpartition("-")[0] == f"{payment.ticket}-{lane}"


_HANDLERS: Final[Mapping[type, Callable[[Site, Any, Moment], None]]] = {
    events.LaneInput: Site._lane_input,
    events.DeviceWent: Site._device_went,
    events.OfficeWent: Site._office_went,
    events.TariffReceived: Site._tariff_received,
    events.Received: Site._received,
    events.ReceivedWhole: Site._received_whole,
    events.OfficeCommanded: Site._office_commanded,
    events.HandAsked: Site._hand_asked,
    events.CashOffered: Site._cash_offered,
    events.StationAsked: Site._station_asked,
    events.VoidAsked: Site._void_asked,
    events.LostTicketDeclared: Site._lost_ticket,
    events.CountCorrected: Site._count_corrected,
    events.Asked: Site._asked,
    events.HistoryStands: Site._history_stands,
    events.PaymentReversed: Site._payment_reversed,
    events.EntrySigned: Site._entry_signed,
    events.WallClockMoved: Site._wall_clock_moved,
    events.StopAsked: Site._stop,
}
