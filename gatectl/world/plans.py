"""The sites that are simulated: one area, entry and exit lanes by turns, every layout and equipment by the seed."""

from datetime import UTC, datetime
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from config.site import Site
from gatectl.domain.ids import AreaId, LaneId, SiteId, SpotId
from gatectl.domain.lane import LaneKind, LanePlan, Layout
from gatectl.domain.plan import SitePlan
from gatectl.domain.spots import COMPATIBLE, Spot
from gatectl.domain.tariffs import parse
from gatectl.domain.tickets import Keyring
from gatectl.runtime.plan import site_plan as plan_of_file
from gatectl.world.chance import stream

SITE: Final = SiteId("sim-01")
AREA: Final = AreaId("main")
LANES_MAX: Final = 100
_TARIFF: Final = {
    "id": "sim-2026",
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
        tariffs=(parse(_TARIFF),),
        keyring=Keyring(1, {1: rng.randbytes(32)}),
        compatible=COMPATIBLE,
        config_digest=f"seed-{seed}",
        software="gatectl/simulate",
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
            has_printer=False,
            has_reader=True,
            has_terminal=terminal,
            has_close=has_close,
        )
    mouth = pair == 0 or rng.random() < 0.6
    return LanePlan(LaneId(f"IN-{pair + 1}"), LaneKind.ENTRY, layout, AREA, has_mouth=mouth, has_close=has_close)
