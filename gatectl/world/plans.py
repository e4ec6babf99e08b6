"""The sites that are simulated: one area, entry and exit lanes by turns, every layout and equipment by the seed."""

from datetime import UTC, datetime
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from config.site import Site
from gatectl.domain.fiscal import PT, RKSV, FiscalPlan
from gatectl.domain.ids import AreaId, LaneId, SiteId, SpotId
from gatectl.domain.lane import LaneKind, LanePlan, Layout
from gatectl.domain.money_rules import CALL, LET_OUT, MoneyRules
from gatectl.domain.offers import Merchant
from gatectl.domain.plan import SitePlan
from gatectl.domain.spots import COMPATIBLE, Spot
from gatectl.domain.tariffs import parse
from gatectl.domain.tickets import Keyring
from gatectl.domain.valet_plan import ValetPlan
from gatectl.runtime.plan import site_plan as plan_of_file
from gatectl.world.chance import stream

SITE: Final = SiteId("sim-01")
AREA: Final = AreaId("main")
LANES_MAX: Final = 100
SIGNS_EACH: Final = 3
"""One site of so many has signs."""
_TARIFF: Final = {
    "id": "base-2026",
    "effective_from": datetime(2026, 1, 1, tzinfo=UTC),
    "kind": "hourly",
    "base_minor": 50,
    "per_hour_minor": 300,
    "step_minutes": 20,
    "daily_cap_minor": 2_000,
    "entry_grace_minutes": 5,
    "exit_grace_minutes": 15,
    "lost_ticket_minor": 2_500,
}
_BANDS: Final = {
    "id": "bands-2026",
    "effective_from": datetime(2026, 1, 2, tzinfo=UTC),
    "kind": "bands",
    "entry_grace_minutes": 5,
    "lost_ticket_minor": 2_500,
    "daily_caps_minor": [2_000, 1_200],
    "day_begins": "05:00",
    "bands": [
        {"name": "Night", "from": "19:30", "until": "06:30", "per_step_minor": 80, "cap_minor": 500},
        {"name": "Weekend", "days": ["sat", "sun"], "flat_minor": 600},
        {
            "name": "Day",
            "steps": [{"up_to_minutes": 30, "price_minor": 150}],
            "per_step_minor": 110,
            "step_minutes": 20,
        },
    ],
    "specials": [{"name": "Early bird", "from": "06:00", "until": "09:00", "leave_by": "18:30", "price_minor": 900}],
    "demand": {
        "levels": [{"from_percent": share, "percent": percent} for share, percent in ((0, 90), (40, 100), (75, 150))],
        "most_added_minor": 400,
    },
}
_LARGE: Final = {
    "id": "large-2026",
    "effective_from": datetime(2026, 1, 1, tzinfo=UTC),
    "kind": "bands",
    "lost_ticket_minor": 3_000,
    "spot_types": ["LARGE"],
    "bands": [
        {
            "steps": [{"up_to_minutes": 60, "price_minor": 400}, {"up_to_minutes": 720, "price_minor": 1_500}],
            "again": True,
        }
    ],
}
_TARIFFS: Final = ((_TARIFF,), (_TARIFF, _BANDS), (_TARIFF, _LARGE), (_TARIFF, _BANDS, _LARGE))
"""Price lists; a seed has one of them."""


def site_plan(seed: int, lanes: int, spots: int) -> SitePlan:
    """IN-1, OUT-1, IN-2, OUT-2 ...; the first pair has two loops, a kiosk printer and a payment terminal."""
    rng = Random(f"plan {seed}")  # noqa: S311  # one seed is one run
    return SitePlan(
        site=SITE,
        name="Simulated Garage",
        currency="EUR",
        zone=ZoneInfo("Europe/Amsterdam"),
        areas=(AREA,),
        spots=tuple(Spot(SpotId(f"A-{n:04d}"), AREA, n // 100, "COMPACT" if n % 4 else "LARGE") for n in range(spots)),
        lanes=tuple(_lane(number, rng) for number in range(lanes)),
        tariffs=tuple(parse(table) for table in stream("tariffs", seed).choice(_TARIFFS)),
        keyring=Keyring(1, {1: rng.randbytes(32)}),
        compatible=COMPATIBLE,
        config_digest=f"seed-{seed}",
        software="gatectl/simulate",
        money=_money(seed),
        announces=seed % SIGNS_EACH == 0,
        quotas={(AREA, "COMPACT"): spots // 10},
        merchants=(Merchant("cafe", "Cafe", minutes_max=60, day_max=40),),
        valet=ValetPlan(AREA, "CAR", 500, 300),
    )


def _money(seed: int) -> MoneyRules:
    """What a site allows with money, and the law it is under, by the seed."""
    rng = stream("money rules", seed)
    law = rng.choice(
        (None, FiscalPlan(RKSV, cashbox="SIM", certificate="1a2b3c"), FiscalPlan(PT, tax_number="500000000"))
    )
    return MoneyRules(
        offline_payment_minor=rng.choice((0, 500, 5_000)),
        offline_day_minor=rng.choice((0, 2_000, 20_000)),
        no_change=frozenset({"PS-1"}) if rng.random() < 0.3 else frozenset(),
        uncollectable=rng.choice((CALL, LET_OUT)),
        fiscal=law,
    )


def rehearsed_plan(site: Site, seed: int) -> tuple[SitePlan, dict[LaneId, dict[str, str]]]:
    """A real site's plan as its daemon would make it, but for the keys; and each lane's roles with their devices."""
    keys = Keyring(1, {1: stream("rehearsed keys", seed).randbytes(32)})
    roles = {LaneId(lane.id): lane.wiring.points() for lane in site.lanes}
    wired = {lane: {role: device for role, (device, _) in points.items()} for lane, points in roles.items()}
    return plan_of_file(site, keys, "gatectl/rehearsal"), wired


def _lane(number: int, rng: Random) -> LanePlan:
    pair, is_exit = divmod(number, 2)
    layout = Layout.TWO_LOOP if pair == 0 else rng.choice(list(Layout))
    has_close = pair == 0 or rng.random() < 0.75
    if is_exit:
        terminal = pair == 0 or rng.random() < 0.5
        return LanePlan(
            LaneId(f"OUT-{pair + 1}"),
            LaneKind.EXIT,
            layout,
            AREA,
            has_printer=pair == 0 or rng.random() < 0.5,  # of receipts
            has_reader=True,
            has_terminal=terminal,
            has_close=has_close,
        )
    mouth = pair == 0 or rng.random() < 0.6
    return LanePlan(
        LaneId(f"IN-{pair + 1}"), LaneKind.ENTRY, layout, AREA, has_mouth=mouth, has_reader=True, has_close=has_close
    )
