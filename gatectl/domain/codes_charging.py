"""The rows of `codes` about chargers and charging sessions."""

from typing import Final

from gatectl.domain.code_row import Code, Exit

CHARGING: Final = (
    Code(
        "E-CHG-01",
        "A charger is faulted.",
        "The charge point says so itself; the detail is its own word for it.",
        "gatectl charger show CHARGER; its display or its maker's manual says what the word means",
        Exit.DEGRADED,
        409,
    ),
    Code(
        "E-CHG-02",
        "A charging session is nobody's.",
        "Its credential is no ticket's that is inside, and no stay holds the charger's spot.",
        "Find the driver, then: gatectl charger claim SESSION TICKET --reason TEXT",
        Exit.DEGRADED,
        409,
    ),
)
