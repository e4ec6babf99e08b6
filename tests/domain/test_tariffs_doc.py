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


PRICES, DEMANDS, DUES = list(rows(4)), list(rows(5)), list(rows(6))


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

    left = due(
        tariff, charged, now_ms, paid_minor, last_paid_ms, lambda ms: charge(tariff, entered_ms, ms, ZONE, CURRENCY)
    )

    assert cells[4] == shown(left, CURRENCY)


@pytest.mark.parametrize(("tariff", "cells"), DEMANDS, ids=[f"{cells[2]}-{cells[-1][:30]}" for _, cells in DEMANDS])
def test_a_worked_price_by_demand(tariff: Tariff, cells: list[str]) -> None:
    """In, out, how full the lot was at entry, price."""
    taken, spots = (int(count) for count in cells[2].split(" of "))
    assert tariff.demand is not None
    fixed = tariff.demand.fixed(taken, spots)

    charged = charge(tariff, at_ms(cells[0]), at_ms(cells[1]), ZONE, CURRENCY, fixed)

    assert cells[3] == shown(charged.total_minor, CURRENCY)


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
    rows_of = {
        name.strip("` ") for line in re.findall(r"^\| (`.*?`) \|", PAGE, flags=re.MULTILINE) for name in line.split(",")
    }
    of_kinds = {key for rate in RATES.values() for key in rate.keys}

    assert set(RATES) == {tariff.rate.kind for tariff, _ in sections()}
    common = {"id", "effective_from", "effective_until", "kind", "vehicle_types", "spot_types"}
    common |= {"entry_grace_minutes", "exit_grace_minutes", "lost_ticket_minor"}
    of_bands = {
        "name",
        "days",
        "from",
        "until",
        "flat_minor",
        "steps",
        "per_step_minor",
        "step_minutes",
        "again",
        "cap_minor",
    }
    assert common | of_kinds | of_bands == rows_of
    assert (len(PRICES), len(DEMANDS), len(DUES)) == (26, 6, 5)
