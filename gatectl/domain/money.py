"""Money: integer minor units of an ISO 4217 currency. No float comes near it.

Rule 1: an amount is an `int` of minor units (cents, yen, fils); its currency travels beside it.
Rule 2: a currency is known by name or refused by name; the number of digits is never guessed.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

AMOUNT_MINOR_MAX = 10**12
"""Minor units. Typed and configured amounts above it are refused as mistakes; far inside SQLite's 64-bit integer."""

_BY_DIGITS: Mapping[int, str] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP"
        " CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS"
        " INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN"
        " MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE"
        " SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
}
EXPONENTS: Mapping[str, int] = MappingProxyType(
    {code: digits for digits, codes in _BY_DIGITS.items() for code in codes.split()}
)
"""ISO 4217 code -> decimal digits of its minor unit (ISO 4217 list one, national currencies)."""

SHOWN_KEPT: Final = 512
"""Texts of amounts that are remembered: a board has few prices, and each is shown again and again."""

_AMOUNT = re.compile(r"([0-9]{1,15})(?:[.,]([0-9]{1,15}))?")


class UnknownCurrency(ValueError):
    """Raised for a code that is not in `EXPONENTS`; the message names it."""


class BadAmount(ValueError):
    """Raised for a text that is no amount of the currency; the message says what is wrong with it."""


def digits(currency: str) -> int:
    """Decimal digits of the currency's minor unit. Raises UnknownCurrency."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrency(f"{currency!r} is not a known ISO 4217 currency code, such as 'EUR'") from None


def decimal_text(minor: int, currency: str) -> str:
    """`1250, "EUR"` -> `"12.50"`; the point is always a point. Raises UnknownCurrency."""
    places = digits(currency)
    sign = "-" if minor < 0 else ""
    whole, part = divmod(abs(minor), 10**places)
    return f"{sign}{whole}.{part:0{places}d}" if places else f"{sign}{whole}"


@lru_cache(maxsize=SHOWN_KEPT)
def shown(minor: int, currency: str) -> str:
    """`1250, "EUR"` -> `"EUR 12.50"`. Raises UnknownCurrency."""
    return f"{currency} {decimal_text(minor, currency)}"


def parse_amount(text: str, currency: str) -> int:
    """Minor units of an amount as a person types it: "12", "12.5", "12,50"; a point and a comma mean the same.

    There are no signs, no thousands separators and no rounding. Raises BadAmount, UnknownCurrency.
    """
    places = digits(currency)
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise BadAmount(f"{text[:40]!r} is not an amount; write digits with at most one point or comma")
    whole, part = found[1], found[2] or ""
    if len(part) > places:
        raise BadAmount(f"{text[:40]!r} has {len(part)} decimals, {currency} has {places}; no thousands separators")
    minor = int(whole + part.ljust(places, "0"))
    if minor > AMOUNT_MINOR_MAX:
        raise BadAmount(f"{text[:40]!r} is more than {shown(AMOUNT_MINOR_MAX, currency)}")
    return minor
