"""After the faults: everything serves again, nothing is owed to anybody. Safety alone is easily had by never moving at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gatectl.domain.ids import LaneId, PaymentId
from gatectl.domain.lane import Lane, LaneKind
from gatectl.world.daemon import Daemon
from gatectl.world.desk import Desk
from gatectl.world.devices import LaneDevices
from gatectl.world.kernel import Kernel
from gatectl.world.ledger import Ledger, hold
from gatectl.world.motorists import PROBE_MS, Motorists
from gatectl.world.terminal import Terminal
from gatectl.world.uplink import Uplink

HOUR_MS: Final = 3_600_000
SERVE_MS_MAX: Final = 3 * HOUR_MS
LAG_MS_MAX: Final = HOUR_MS
PASSING_MS_MAX: Final = 10 * 60_000
"""Some vehicle is nearly always between a loop and its commit; but not for so long."""


class Afterwards(Protocol):
    """The world, as its end is judged."""

    kernel: Kernel
    devices: dict[LaneId, LaneDevices]
    terminals: dict[LaneId, Terminal]
    motorists: Motorists
    desk: Desk
    uplink: Uplink
    ledger: Ledger
    daemon: Daemon
    signs: dict[str, str]

    def lane(self, lane: LaneId) -> Lane | None: ...


@dataclass(slots=True)
class _Tally:
    done: int = 0

    def one(self) -> None:
        self.done += 1


def signs_show_what_is_free(world: Afterwards) -> None:
    """When all is quiet every count sign shows what the books say, and no more than that was free is promised."""
    site = world.daemon.site
    hold(site is not None, "the site runs at the end", "it does not")
    assert site is not None
    for area in site.plan.areas if site.plan.announces else ():
        free, shown = sum(site.books.spots.free(area).values()), world.signs.get(f"area/{area}/free")
        hold(str(free) == shown, "signs show what is free", f"{area}: {shown} shown, {free} free")


def _wait(kernel: Kernel, until: Callable[[], bool], most_ms: int) -> bool:
    end_ms = kernel.now_ms + most_ms
    while not until() and kernel.now_ms < end_ms:
        kernel.run_to(kernel.now_ms + 10_000)
    return until()


def _nth(lanes: Sequence[LaneDevices], n: int) -> LaneDevices | None:
    return lanes[n % len(lanes)] if lanes else None


def every_lane_serves_again(world: Afterwards, stays_ms: int = PROBE_MS, within_ms: int = SERVE_MS_MAX) -> None:
    """A fresh vehicle goes in by each entry lane and out by each exit lane."""
    entries = [devices for devices in world.devices.values() if devices.plan.kind is LaneKind.ENTRY]
    exits = [devices for devices in world.devices.values() if devices.plan.kind is LaneKind.EXIT]
    tally = _Tally()
    pairs = max(len(entries), len(exits))
    for n in range(pairs):
        entry, exit_ = _nth(entries, n), _nth(exits, n)
        world.kernel.start(world.motorists.probe(entry, exit_, tally.one, stays_ms))
    served = _wait(world.kernel, lambda: tally.done == pairs, within_ms)
    told = [(lane, at.phase.value, sorted(at.faults)) for lane in world.devices if (at := world.lane(lane))]
    hold(served, "every lane serves again", f"{tally.done} of {pairs} went in and out: {told}")


def the_office_has_everything(world: Afterwards) -> None:
    """The lag reaches zero without a new local write having to push it."""
    gone = _wait(world.kernel, lambda: world.uplink.lag == 0, LAG_MS_MAX)
    hold(gone, "the lag reaches zero", f"{world.uplink.lag} records")


def the_count_is_the_truth(world: Afterwards) -> None:
    """With sensors that tell the truth the count is exact, whatever drivers do, but for passages that are told as unverified."""

    def off() -> int:
        return abs(sum(world.ledger.inside.values()) - world.motorists.inside)

    unsure = world.ledger.kinds.get("passage unverified-passage", 0)
    still = _wait(world.kernel, lambda: off() <= unsure, PASSING_MS_MAX)
    hold(still, "the count is the truth", f"off by {off()}, {unsure} unverified")


def all_money_is_on_record(world: Afterwards) -> None:
    """What a terminal took from a driver is in the journal, once it has been asked for a last time."""

    def missing() -> dict[PaymentId, int]:
        return {
            payment: amount
            for terminal in world.terminals.values()
            for payment, amount in terminal.approved.items()
            if world.ledger.payments.get(payment) != "taken"  # it was, before the terminal had decided: somebody lied
        }

    recorded = _wait(world.kernel, lambda: not missing(), PASSING_MS_MAX)
    hold(recorded, "all money is on record", str(missing()))
