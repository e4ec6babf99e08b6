"""Money is integers; a text becomes an amount exactly or is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.domain.money import (
    AMOUNT_MINOR_MAX,
    EXPONENTS,
    BadAmount,
    UnknownCurrency,
    decimal_text,
    digits,
    parse_amount,
    shown,
)

currencies = st.sampled_from(sorted(EXPONENTS))
amounts = st.integers(0, AMOUNT_MINOR_MAX)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (1250, "EUR", "12.50"),
        (5, "EUR", "0.05"),
        (0, "EUR", "0.00"),
        (-5, "EUR", "-0.05"),
        (-1250, "USD", "-12.50"),
        (1250, "JPY", "1250"),
        (-1, "JPY", "-1"),
        (1250, "KWD", "1.250"),
    ],
)
def test_an_amount_is_written_with_its_currency_s_decimals(minor: int, currency: str, text: str) -> None:
    """Euros have two decimals, yen none, Kuwaiti dinars three."""
    assert text == decimal_text(minor, currency)
    assert f"{currency} {text}" == shown(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12", "EUR", 1200),
        ("12.5", "EUR", 1250),
        ("12,50", "EUR", 1250),
        (" 0.05\n", "EUR", 5),
        ("007", "EUR", 700),
        ("1250", "JPY", 1250),
        ("1,234", "KWD", 1234),
        ("0", "KWD", 0),
    ],
)
def test_a_person_types_an_amount(text: str, currency: str, minor: int) -> None:
    """A cashier types a point or a comma, with or without all decimals."""
    assert minor == parse_amount(text, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("12.505", "EUR"),
        ("1,234", "EUR"),
        ("12.0", "JPY"),
        ("1,234", "JPY"),
        ("-3", "EUR"),
        ("+3", "EUR"),
        ("", "EUR"),
        (".5", "EUR"),
        ("5.", "EUR"),
        ("1.2.3", "EUR"),
        ("1 000", "EUR"),
        ("1e3", "EUR"),
        ("nan", "EUR"),
        ("EUR 3", "EUR"),
        ("١٢", "EUR"),  # Arabic-Indic digits: a person may paste them, int() would take them
        ("9" * 16, "EUR"),
        ("9" * 5000, "EUR"),
        ("10000000000.01", "EUR"),
    ],
)
def test_what_is_no_amount_is_refused(text: str, currency: str) -> None:
    """Too many decimals, signs, thousands separators and the rest are refused, never rounded."""
    with pytest.raises(BadAmount):
        parse_amount(text, currency)


@pytest.mark.parametrize("currency", ["EURO", "eur", "", "XXX", "€"])
def test_an_unknown_currency_is_refused_by_name(currency: str) -> None:
    """No default of two decimals: a wrong guess would be wrong a hundredfold."""
    for ask in (lambda: digits(currency), lambda: shown(1, currency), lambda: parse_amount("1", currency)):
        with pytest.raises(UnknownCurrency, match=repr(currency)):
            ask()


def test_the_table_holds_each_code_once() -> None:
    """A code listed under two numbers of digits would silently take the last."""
    assert {code: EXPONENTS[code] for code in ("EUR", "JPY", "KWD", "INR")} == {"EUR": 2, "JPY": 0, "KWD": 3, "INR": 2}
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in EXPONENTS)
    assert sum(1 for places in EXPONENTS.values() if places == 0) == 16
    assert sum(1 for places in EXPONENTS.values() if places == 3) == 7


@given(amounts, currencies)
def test_an_amount_survives_being_written_and_typed(minor: int, currency: str) -> None:
    """What is shown can be typed back, with a point or a comma."""
    text = decimal_text(minor, currency)

    assert minor == parse_amount(text, currency)
    assert minor == parse_amount(text.replace(".", ","), currency)


@given(st.text(max_size=30), currencies)
def test_any_text_is_an_amount_or_refused(text: str, currency: str) -> None:
    """Nothing but BadAmount comes out of hostile typing."""
    try:
        minor = parse_amount(text, currency)
    except BadAmount:
        return

    assert 0 <= minor <= AMOUNT_MINOR_MAX
