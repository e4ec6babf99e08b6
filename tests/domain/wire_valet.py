"""One of each fact of valet, for wire_business."""

from gatectl.domain.facts import Fact
from gatectl.domain.ids import SpotId, TicketNumber
from gatectl.domain.records import valet as v

AT = 1_795_000_000_000
VISIT = "000123-K7QF"

EXAMPLES: tuple[Fact, ...] = (
    v.ValetReceived(
        *(VISIT, TicketNumber(VISIT), "000123-K7QF-9D2MC", "17", "grey estate", "valet", "mia", "EUR", 1_500, AT),
    ),
    v.ValetParked(VISIT, SpotId("A-003"), "ben", AT),
    v.ValetParked(VISIT, None, "ben", AT),
    v.ValetRequested(VISIT, "mia", AT, AT + 600_000),
    v.ValetFetched(VISIT, "ben", AT),
    v.ValetReady(VISIT, "ben", AT),
    v.ValetReturned(VISIT, "mia", "by-hand", AT),
    v.ValetClosed(VISIT),
    v.ValetReclaimed(VISIT, "000123-K7QF-M4X0A", 2, "passport seen, named the estate", "mia", 1_000, AT),
    v.ValetNoted(VISIT, 1, "in", "scratch on the left door", "cam-2/8812", "mia", AT),
    v.ValetRenumbered(VISIT, TicketNumber("000124-K7QF")),
)
