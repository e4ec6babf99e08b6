"""Whether runs got anywhere: the phases that were visited and the exceptions that were met, over a batch of seeds.

A simulation that never leaves the first room proves nothing, however often it is run.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

from gatectl.domain.facts import Irregularity, LaneFault, VoidReason
from gatectl.world.faults import FAULTS
from gatectl.world.inspector import phases_of

ROWS: Final[Mapping[str, tuple[str, ...]]] = {
    "backs out before taking the ticket": ("void not-taken",),
    "backs out after taking it": ("void backed-out",),
    "reverses over the line": ("passage reversed", "passage wrong-way", "entry.reversed", "ticket.returned"),
    "two cars on one opening": ("passage tailgate", "exception entry", "exit without ticket"),
    "long vehicle": ("passage long-vehicle",),
    "arming loop stuck": ("fault arming-loop-stuck",),
    "closing loop stuck": ("fault closing-loop-stuck",),
    "loop dead": ("fault loop-dead", "passage unverified-passage"),
    "loop not to be trusted": ("fault loop-untrusted", "passage implausible-order"),
    "arm fails to open": ("fault fails-to-open", "vend.failed", "vend retry", "void failed-to-open"),
    "arm fails to close": ("fault fails-to-close",),
    "arm moved by somebody else": ("fault arm-forced", "fault arm-unknown"),
    "vehicle under a closing arm": ("passage reopened-on-presence", "vend presence"),
    "boom broken off: exit free, entry closed": ("boom", "fault arm-broken", "vend free-flow"),
    "printer low, out, jammed, gone": (
        "fault printer-low",
        "fault printer-out",
        "fault printer-jam",
        "fault printer-offline",
        "void print-failed",
        "void maybe-printed",
    ),
    "power lost in the middle": ("power", "vend.unknown", "vend recovery"),
    "printed and not taken when it went dark": ("void dark",),
    "clock wrong at boot": ("ticket by a clock that was not set", "refused E-TIME-01", "clock.stepped"),
    "link to the office lost": ("office.lost", "office.back"),
    "a bit of the journal flips": (
        "bit-flip",
        "journal.repaired",
        "flip told by a start",
        "flip told by the uploader",
        "record fetched back",
        "record set aside",
    ),
    "fire": ("mode fire", "vend fire"),
    "opened by hand and from afar": ("vend by-hand", "lane.opened-by-hand", "command.done", "command.refused"),
    "held open, locked": ("mode held-open", "vend hold", "mode locked", "mode normal"),
    "cabinet door": ("fault door-open",),
    "device lost": ("device.lost", "device.back", "fault device-lost", "fault terminal-offline"),
    "ticket used a second time": ("refused E-TKT-04",),
    "in and out by a pass": ("pass.used", "pass.freed", "refused E-PASS-06", "vend entitled"),
    "in by a reservation that only its code tells of": ("reservation.made", "reservation.used", "reservation.left"),
    "a reservation overstayed": ("reservation.overstayed",),
    "a coupon lowers a price, and its copy is refused": ("validation.applied", "validation.spent", "refused E-CPN-02"),
    "a merchant validates, and takes it back": ("merchant.counted", "validation.released"),
    "in a valet's hands and back": ("valet.received", "valet.parked", "valet.returned", "valet.closed"),
    "a lost claim check": ("valet.reclaimed",),
    "foreign and forged tickets": ("refused E-TKT-01", "refused E-TKT-02", "refused E-TKT-03"),
    "lost ticket, and void tickets that turn up": ("ticket.lost", "refused E-TKT-05"),
    "a ticket that cannot be read, a price by a person": (
        "replaced damaged",
        "price.set",
        "price.ended",
        "exception.noted",
    ),
    "card refused, terminal silent": ("payment declined", "payment cancelled", "payment timed-out"),
    "money goes back, in part and whole": ("refunded CASH", "refunded CREDIT_CARD"),
    "cannot pay: owed, paid later, forgiven": ("debt.made", "debt.paid", "debt.forgiven"),
    "a machine without change": ("overpayment.returned",),
    "approved without the issuer, within the limit and beyond": (
        "offline.approved",
        "refused E-PAY-09",
        "reversal.ended",
    ),
    "shifts: open, relieve, close": ("shift.opened", "shift.entry", "shift.closed"),
    "the fiscal journal, and a unit that fails": ("fiscal.signed", "signature unit failed"),
    "site full": ("told that it is full",),
    "spots out of service, counts, classes turned away": (
        "spot.closed",
        "area.recounted",
        "state.set",
        "count.doubted",
    ),
    "charge points that repeat, tell late, forget": ("charger repeats", "charger tells late", "charger forgets"),
    "charging that is nobody's, that ends with its stay": ("charging.unclaimed", "charging.settled"),
    "charger faulted": ("charger.faulted", "charger.cleared"),
}
"""What happens at gates beside the plain thing, each with the words by which a run tells that it was met.

The words are those of `Result.seen`: kinds of facts, their reasons, faults that began, what the inspector saw.
"""
EXCEPTIONS: Final = tuple(
    dict.fromkeys(
        (
            *(f"void {reason}" for reason in VoidReason if reason not in (VoidReason.BY_HAND, VoidReason.LOST)),
            *(f"passage {seen}" for seen in Irregularity),
            *(f"fault {fault}" for fault in LaneFault),
            *(word for words in ROWS.values() for word in words),
            *(f"vend {cause}" for cause in ("ticket", "paid")),
        )
    )
)
"""Every exception that a lane knows, whether a row names it or not."""


class Seen(Protocol):
    """What one run, or many together, came to."""

    @property
    def seen(self) -> Mapping[str, int]: ...
    @property
    def visited(self) -> AbstractSet[tuple[str, str]]: ...


def met(results: Iterable[Seen]) -> dict[str, int]:
    """How often each row was met: as often as the rarest of its words."""
    seen: Counter[str] = Counter()
    for run in results:
        seen.update(run.seen)
    return {row: min(seen[word] for word in words) for row, words in ROWS.items()}


def missed(results: Iterable[Seen]) -> list[str]:
    """What none of the runs came to: phases, exceptions, kinds of fault. Empty: they got everywhere."""
    runs = list(results)
    visited = {place for run in runs for place in run.visited}
    seen = {what for run in runs for what in run.seen}
    wanted = {(kind, phase) for kind in ("entry", "exit") for phase in phases_of(kind)}
    missing = [f"{kind} {phase}" for kind, phase in sorted(wanted - visited)]
    return missing + [what for what in (*EXCEPTIONS, *FAULTS) if what not in seen]
