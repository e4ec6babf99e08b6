"""The rows of `codes` about coupons, merchants' validations, and vehicles in a valet's hands."""

from typing import Final

from gatectl.domain.code_row import Code, Exit

_N, _R = Exit.NOT_FOUND, Exit.REFUSED

VALIDATIONS: Final = (
    Code(
        "E-CPN-01",
        "No coupon of this site.",
        "The code is not known here, is signed by another site, or was removed.",
        "gatectl coupon list",
        _N,
        404,
    ),
    Code(
        "E-CPN-02",
        "The coupon is used up.",
        "It is on another ticket, was spent before, or its limit of the day is reached.",
        "gatectl coupon show CODE names the tickets that had it",
        _R,
        409,
    ),
    Code(
        "E-CPN-03",
        "The coupon is not good now.",
        "Its dates, days or hours are others. The moment of applying counts.",
        "gatectl coupon show CODE",
        _R,
        409,
    ),
    Code(
        "E-CPN-04",
        "The coupon is not for this stay.",
        "It is for other tariffs or other vehicles.",
        "gatectl coupon show CODE; gatectl ticket show NUMBER",
        _R,
        409,
    ),
    Code(
        "E-CPN-05",
        "The coupon does not go together with what is on the ticket.",
        "It is on it already, as many as may be are on it, or one of them stands alone and gives as much.",
        "gatectl coupon on NUMBER; take one off with gatectl coupon void VALIDATION --reason TEXT",
        _R,
        409,
    ),
    Code(
        "E-CPN-06",
        "Nothing is due: the coupon is kept.",
        "The stay is paid. A coupon never pays money out.",
        "give money back as a refund, if it shall be given back",
        _R,
        409,
    ),
    Code(
        "E-CPN-07",
        "A coupon needs a ticket that is inside.",
        "The ticket has left, is void, did not enter yet, or no ticket was presented before the coupon.",
        "gatectl ticket show NUMBER",
        _R,
        409,
    ),
    Code(
        "E-VAL-01",
        "There is no such merchant.",
        "It is in neither the site file nor the office's feed.",
        "gatectl coupon merchants",
        _N,
        404,
    ),
    Code(
        "E-VAL-02",
        "The merchant may not give that.",
        "It is more than its terms allow, of another kind, or for a reason that is not among them.",
        "gatectl coupon merchants",
        _R,
        409,
    ),
    Code(
        "E-VAL-03",
        "The merchant's limit is reached.",
        "It gave as many validations as its terms allow for this day or month.",
        "gatectl coupon merchants; the limit is the site file's or the office's",
        _R,
        409,
    ),
    Code(
        "E-VAL-04",
        "The validation cannot be taken off.",
        "Its stay is over, it was taken off before, or money was taken at the price that it had lowered.",
        "give money back as a refund, if it shall be given back",
        _R,
        409,
    ),
)
