"""What a site's fiscal law wants beside its receipts: which regime, and under which names its tills are registered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

RKSV: Final = "rksv"
PT: Final = "pt"
REGIMES: Final = (RKSV, PT)


@dataclass(frozen=True, slots=True)
class FiscalPlan:
    """The `[fiscal]` table of the site file.

    `cashbox`: RKSV, what the ids of the tills begin with; a till's own name follows. `certificate`: RKSV, the serial number of
    the signature certificate, in hex. `tax_number`: PT, the operator's NIF. `software`: PT, the certificate number of the
    program.
    `key_version`: PT, of the signing key. `codes`: PT, the tax authority's validation code for each series ("FS OUT-1").
    `tax_percent`: the rate of parking at the site, in whole percent.
    """

    regime: str
    tax_percent: int = 20
    cashbox: str = ""
    certificate: str = ""
    tax_number: str = ""
    software: str = ""
    key_version: int = 1
    codes: Mapping[str, str] = field(default_factory=dict)
