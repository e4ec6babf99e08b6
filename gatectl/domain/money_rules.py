"""What a site allows with money, from its site file."""

from dataclasses import dataclass
from typing import Final

from gatectl.domain.fiscal import FiscalPlan

CALL: Final = "call"
LET_OUT: Final = "let-out"


@dataclass(frozen=True, slots=True)
class MoneyRules:
    """Amounts are minor units of the site's currency.

    `offline_payment_minor`, `offline_day_minor`: what a terminal may approve without asking the issuer, for one payment and on
    one civil day of the site; 0: nothing. `shift_tills`: tills that take and give nothing without an open shift. `no_change`:
    stations that cannot give change. `uncollectable`: what an exit does whose terminal cannot be reached: CALL a person, or
    LET_OUT with the debt on record.
    """

    offline_payment_minor: int = 0
    offline_day_minor: int = 0
    shift_tills: frozenset[str] = frozenset()
    no_change: frozenset[str] = frozenset()
    uncollectable: str = CALL
    fiscal: FiscalPlan | None = None
