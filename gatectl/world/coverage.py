"""Whether runs got anywhere: the phases that were visited and the exceptions that were met, over a batch of seeds.

A simulation that never leaves the first room proves nothing, however often it is run.
"""

from collections.abc import Iterable
from typing import Final

from gatectl.domain.facts import Irregularity, LaneFault, VoidReason
from gatectl.world.faults import FAULTS
from gatectl.world.inspector import phases_of
from gatectl.world.simulation import Result

CAUSES: Final = ("ticket", "paid", "by-hand", "hold", "fire", "free-flow", "retry", "presence", "recovery")
EXCEPTIONS: Final = (
    *(f"void {reason}" for reason in VoidReason if reason not in (VoidReason.BY_HAND, VoidReason.LOST)),
    *(f"passage {seen}" for seen in Irregularity),
    *(f"fault {fault}" for fault in LaneFault),
    *(f"mode {mode}" for mode in ("normal", "held-open", "locked", "fire")),
    *(f"vend {cause}" for cause in CAUSES),
    "exception entry",
    "exit without ticket",
    "entry.reversed",
    "ticket.returned",
    "ticket.lost",
    "clock.stepped",
    "office.lost",
    "office.back",
    "device.lost",
    "device.back",
    "vend.unknown",
    "vend.failed",
    "payment declined",
    "payment cancelled",
    "payment timed-out",
    "refused E-TKT-01",
    "refused E-TKT-04",
    "refused E-TKT-05",
)
"""Every exception that a lane knows, as it can be seen in facts."""


def missed(results: Iterable[Result]) -> list[str]:
    """What none of the runs came to: phases, exceptions, kinds of fault. Empty: they got everywhere."""
    runs = list(results)
    visited = {place for run in runs for place in run.visited}
    seen = {what for run in runs for what in run.seen}
    wanted = {(kind, phase) for kind in ("entry", "exit") for phase in phases_of(kind)}
    missing = [f"{kind} {phase}" for kind, phase in sorted(wanted - visited)]
    return missing + [what for what in (*EXCEPTIONS, *FAULTS) if what not in seen]
