"""What is due for a stay: the tariff's charge, then every subject's adjustment in the order of stages.

Rule 1: stages add up in order: tariff, surcharges (valet, energy), rights (pass, reservation), validations and coupons.
Rule 2: a price comes with its lines, and they sum to it; after every line it is 0 or more.
Rule 3: the exit grace is judged on the whole adjusted price: what was due in all when the last payment was made.
Rule 4: a price reads the books and nothing else: the same books and time, the same price.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Final

from gatectl.domain import rows, tariffs
from gatectl.domain.bill import LOST, Bill
from gatectl.domain.books import Books, Stay
from gatectl.domain.context import Context
from gatectl.domain.facts import Line
from gatectl.domain.ids import AreaId
from gatectl.domain.lane import Price
from gatectl.domain.plan import SitePlan
from gatectl.domain.records.payments_debts import DEBTS
from gatectl.domain.records.payments_terminals import REVERSALS
from gatectl.domain.tariff_demand import Fixed
from gatectl.domain.tariffs import Charge

TARIFFS_PARSED_MAX: Final = 256
"""Tariff versions whose bodies are kept parsed; a price must not parse them again."""


def tariff_at(
    site: SitePlan, books: Books, at_ms: int, vehicle_type: str = "", spot_type: str | None = None
) -> tariffs.Tariff:
    """The tariff in force; those applied from the office replace those of the site file with the same id."""
    return tariffs.chosen(known_tariffs(site, books).values(), at_ms, vehicle_type, spot_type)


def demand_now(site: SitePlan, books: Books, area: AreaId, tariff: tariffs.Tariff) -> Fixed | None:
    """What demand makes of the price of a stay that begins now; None for a tariff that does not ask."""
    if tariff.demand is None:
        return None
    areas = site.areas if tariff.demand.measure == "site" else (area,)
    spots = sum(sum(books.spots.total(area).values()) for area in areas)
    free = sum(sum(books.spots.free(area).values()) for area in areas)
    return tariff.demand.fixed(spots - free, spots)


def known_tariffs(site: SitePlan, books: Books) -> dict[str, tariffs.Tariff]:
    known = {tariff.tariff: tariff for tariff in site.tariffs}
    known.update((name, _parsed(applied.body)) for name, applied in books.tariffs.items())
    return known


@lru_cache(maxsize=TARIFFS_PARSED_MAX)
def _parsed(body: str) -> tariffs.Tariff:
    return tariffs.from_body(body)


def stay_price(context: Context, stay: Stay) -> Price:
    """What is due for a stay now, by the tariff that was fixed on its ticket and what the subjects make of it."""
    known = known_tariffs(context.plan, context.books)
    tariff = known.get(stay.tariff) or tariffs.chosen(known.values(), stay.issued_ms, stay.vehicle_type)

    def charged(at_ms: int) -> Charge:
        bill = billed(context, stay, tariff, at_ms)
        return Charge(bill.total_minor, bill.lines)

    whole = charged(context.now.wall_ms)
    settled = _settled(context, stay)
    if stay.lost:  # a special price has no grace: it is one sum, however long the vehicle stays on
        due = max(0, whole.total_minor - settled.paid_minor)
    else:
        due = tariffs.due(tariff, whole, context.now.wall_ms, settled.paid_minor, settled.last_paid_ms, charged)
    return Price(
        stay.ticket, due, stay.paid_minor, whole.total_minor, context.plan.currency, tariff.tariff, whole.lines
    )


def _settled(context: Context, stay: Stay) -> Stay:
    """The stay with what is owed for it counted as paid, and what is being taken back counted as not."""
    tables = context.books.tables
    debts = tuple(tables.where(DEBTS, "ticket", stay.ticket))
    taken_back = tuple(row for row in tables.where(REVERSALS, "ticket", stay.ticket) if row["counted"])
    if not debts and not taken_back:
        return stay
    owed = sum(rows.whole(debt, "amount_minor") - rows.whole(debt, "paid_minor") for debt in debts)
    back = sum(rows.whole(row, "amount_minor") for row in taken_back)
    moments = [rows.whole(debt, "made_ms") for debt in debts]
    moments += [stay.last_paid_ms] if stay.last_paid_ms is not None else []
    return replace(stay, paid_minor=stay.paid_minor + owed - back, last_paid_ms=max(moments, default=None))


def billed(context: Context, stay: Stay, tariff: tariffs.Tariff, until_ms: int) -> Bill:
    """The whole price of a stay until a moment, adjusted by every subject."""
    zone, currency = context.plan.zone, context.plan.currency
    if stay.lost:
        parking = Charge(tariff.lost_ticket_minor, (Line(LOST, tariff.lost_ticket_minor),))
    else:
        parking = tariffs.charge(tariff, stay.issued_ms, until_ms, zone, currency, stay.fixed)
    bill = Bill(stay, tariff, until_ms, zone, currency, parking.total_minor, parking.total_minor, parking.lines)
    for adjust in context.adjusts:
        for line in adjust(context, bill):
            bill = bill.adjusted(line)
    return bill
