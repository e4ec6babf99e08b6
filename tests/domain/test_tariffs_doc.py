"""The worked examples of docs/tariffs.md, calculated."""

import re
import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gatectl.domain.money import decimal_text, parse_amount, shown
from gatectl.domain.tariffs import RATES, Tariff, charge, due, parse

PAGE = (Path(__file__).parents[2] / "docs" / "tariffs.md").read_text()
ZONE, CURRENCY = ZoneInfo("Europe/Amsterdam"), "EUR"
A_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d")


def at_ms(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z").timestamp()) * 1000


def sections() -> Iterator[tuple[Tariff, str]]:
    """Each tariff of the page with the text that follows it, up to the next tariff."""
    parts = re.split(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)[1:]
    for toml, text in zip(parts[::2], parts[1::2], strict=True):
        (table,) = tomllib.loads(toml)["tariffs"]
        yield parse(table), text


def rows(columns: int) -> Iterator[tuple[Tariff, list[str]]]:
    """The rows of the page's tables of so many columns that begin with a time, each with its tariff."""
    for tariff, text in sections():
        for line in text.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if len(cells) == columns and A_TIME.fullmatch(cells[0]):
                yield tariff, cells


PRICES, DUES = list(rows(4)), list(rows(6))


@pytest.mark.parametrize(("tariff", "cells"), PRICES, ids=[f"{t.tariff}-{cells[-1][:30]}" for t, cells in PRICES])
def test_a_worked_price(tariff: Tariff, cells: list[str]) -> None:
    """In, out, price: the page says what the code does."""
    entered, left, price, _ = cells

    assert price == shown(charge(tariff, at_ms(entered), at_ms(left), ZONE, CURRENCY).total_minor, CURRENCY)


@pytest.mark.parametrize(("tariff", "cells"), DUES, ids=[f"{t.tariff}-{cells[-1][:30]}" for t, cells in DUES])
def test_a_worked_balance(tariff: Tariff, cells: list[str]) -> None:
    """In, what was paid and when, and what is due later."""
    entered_ms, now_ms = at_ms(cells[0]), at_ms(cells[3])
    paid_minor = parse_amount(cells[1].removeprefix("EUR "), CURRENCY)
    last_paid_ms = None if cells[2] == "never" else at_ms(cells[2])
    charged = charge(tariff, entered_ms, now_ms, ZONE, CURRENCY)

    left = due(tariff, charged, entered_ms, now_ms, paid_minor, last_paid_ms, ZONE, CURRENCY)

    assert cells[4] == shown(left, CURRENCY)


def test_the_worked_explanation() -> None:
    """The lines on the page are the lines on the receipt."""
    tariff, text = next(sections())
    sentence = text[text.index("Every price explains itself") :]
    entered, left = A_TIME.findall(sentence)[:2]
    (block,) = re.findall(r"```text\n(.*?)```", sentence, flags=re.DOTALL)

    lines = charge(tariff, at_ms(entered), at_ms(left), ZONE, CURRENCY).lines

    expected = [tuple(re.split(r" {2,}", line)) for line in block.splitlines()]
    assert expected == [(line.text, decimal_text(line.amount_minor, CURRENCY)) for line in lines]


def test_the_page_is_whole() -> None:
    """Every kind has an example, every key its row, and the tables were found."""
    keys = set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE))
    of_kinds = {key for rate in RATES.values() for key in rate.keys}

    assert set(RATES) == {tariff.rate.kind for tariff, _ in sections()}
    common = {"id", "effective_from", "kind", "entry_grace_minutes", "exit_grace_minutes", "lost_ticket_minor"}
    assert common | of_kinds == keys
    assert (len(PRICES), len(DUES)) == (15, 5)
