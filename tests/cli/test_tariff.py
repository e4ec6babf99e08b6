"""`gatectl tariff`: mistakes with their places, a price with its lines, a picture; and boards that really hang somewhere."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gatectl.cli.main import app
from gatectl.cli.tariff_file import read_tariffs

DOCS = Path(__file__).parents[2] / "docs"
BOARDS = sorted((DOCS / "tariffs" / "boards").glob("*.toml"))
BOARD = DOCS / "tariffs" / "boards" / "frederick-maryland.toml"
TABLE = (DOCS / "tariffs.md").read_text().rsplit("```toml\n", 1)[1].split("```")[0]


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["tariff", *map(str, words)], prog_name="gatectl")


@pytest.fixture
def centre(tmp_path: Path) -> Path:
    """The tariff of the documentation, in Amsterdam."""
    path = tmp_path / "centre.toml"
    path.write_text(f'timezone = "Europe/Amsterdam"\n{TABLE}')
    return path


# -- the boards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_a_published_price_board_costs_what_it_says(board: Path) -> None:
    """The board is data, says where it hangs, and every price that was published comes out."""
    table = tomllib.loads(board.read_text())

    read = read_tariffs(board)

    assert [] == [fault.text() for fault in read.faults]
    assert read.examples == len(table["examples"]) >= 5
    assert table["name"]
    assert re.fullmatch(r"https?://\S+", table["source"])
    assert table["read"]


def test_the_page_lists_the_boards() -> None:
    """Each with its source, at least six."""
    page = (DOCS / "tariffs.md").read_text()
    listed = dict(re.findall(r"^\| \[.+?\]\(tariffs/boards/(.+?)\.toml\) \| <(.+?)> \|", page, flags=re.MULTILINE))

    assert {board.stem: tomllib.loads(board.read_text())["source"] for board in BOARDS} == listed
    assert len(listed) >= 6


# -- check ----------------------------------------------------------------------------------------------------------------


def test_a_good_file_is_good() -> None:
    """One line, and what was priced."""
    result = run("check", BOARD)

    assert (0, f"{BOARD}: good. Tariffs: garages, 7 examples cost what they say.\n") == (
        result.exit_code,
        result.stdout,
    )


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('until = "06:30"', 'until = "6:30"', r"tariffs\[0\]\.bands\[2\]\.until: is '6:30' \(a time of day"),
        ("cap_minor = 500", "cap_mino = 500", r"tariffs\[0\]\.bands\[2\]\.cap_mino: .*\(did you mean cap_minor\?\)"),
        ("price_minor = 100", "price_minor = 101", r"examples\[0\]: costs USD 1\.00, not USD 1\.01 \(1 per hour\)"),
        ("price_minor = 100", 'price_minor = "1"', r"examples\[0\]: needs price_minor"),
        ("price_minor = 100", 'price_minor = 100, tariff = "x"', r"examples\[0\]: .* has no tariff x"),
        ("price_minor = 100", "price_minor = 100, colour = 1", r"examples\[0\]: has a key that is none of"),
        ("in = 2026-06-09T09:00:00-04:00", 'in = "9"', r"examples\[0\]: needs in and out"),
        ('"USD"', '"US"', r"currency: found 'US', expected an ISO 4217 code"),
        ('"America/New_York"', '"America/Nowhere"', r"timezone: found 'America/Nowhere', expected an IANA name"),
        ("[[tariffs]]", "[[tarif]]", r"tariffs: is missing"),
        ("[[tariffs]]", "[[tariffs]", r"syntax: "),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, before: str, after: str, told: str) -> None:
    """File and line, path, what was found, what to write."""
    path = tmp_path / "board.toml"
    text = BOARD.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))

    result = run("check", path)

    assert 1 == result.exit_code
    assert re.search(rf"^{re.escape(str(path))}(:\d+)?: {told}", result.stdout, flags=re.MULTILINE), result.stdout
    assert "E-CFG-01" in result.stderr


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    """TOML or JSON."""
    for name in ("none.toml", "none.json"):
        result = run("check", tmp_path / name)
        assert 1 == result.exit_code
        assert "No such file" in result.stdout


def test_what_the_office_takes_is_checked_too(tmp_path: Path) -> None:
    """One tariff as JSON."""
    path = tmp_path / "flat.json"
    path.write_text('{"id":"f","effective_from_ms":0,"kind":"flat","base_minor":500,"lost_ticket_minor":500}')
    good = run("check", path)
    path.write_text('{"id":"f","kind":"flat","base_minor":500,"lost_ticket_minor":500}')
    bad = run("check", path)

    assert (0, 1) == (good.exit_code, bad.exit_code)
    assert "effective_from_ms: is missing" in bad.stdout


def test_the_site_file_is_the_usual_one(quiet_site: Any) -> None:
    """Without a file, what the daemon reads: with the site's currency and time zone."""
    checked = quiet_site.json("tariff", "check")
    quoted = quiet_site.json("tariff", "quote", "--in", "2026-06-11T12:00", "--out", "2026-06-11T13:00")

    assert (True, "gatectl.tariff-check/1") == (checked["ok"], checked["schema"])
    assert ("EUR", "gatectl.tariff-quote/1") == (quoted["currency"], quoted["schema"])
    assert "From 2026-06-11 12:00:00 CEST" == quoted["lines"][0][0]


# -- quote ----------------------------------------------------------------------------------------------------------------


def test_a_quote_explains_itself(centre: Path) -> None:
    """Line by line, and the sum."""
    result = run("quote", centre, "--in", "2026-06-11T12:00", "--out", "2026-06-11T17:00", "--occupancy", "180/200")

    lines = [re.split(r" {2,}", line) for line in result.stdout.splitlines()]
    assert 0 == result.exit_code
    assert ["Demand 150 %: 180 of 200 spots taken at entry", "0.00"] in lines
    assert ["Day: 8 x 30 min started, EUR 2.00 each", "16.00"] in lines
    assert ["At most EUR 25.00 a day", "-3.50"] in lines
    assert ["Tariff centre-2026", "EUR 25.00"] == lines[-1]


def test_a_quote_is_for_a_vehicle() -> None:
    """A motorcycle has a tariff of its own there."""
    board = DOCS / "tariffs" / "boards" / "zhangye-airport.toml"
    stay = ("--in", "2026-06-09T10:00", "--out", "2026-06-09T12:00+08:00")

    told = [
        run("quote", board, *stay, "--vehicle", vehicle).stdout.splitlines()[-1] for vehicle in ("CAR", "MOTORCYCLE")
    ]

    assert [["Tariff", "small", "CNY", "3.00"], ["Tariff", "motorcycles", "CNY", "1.50"]] == [
        line.split() for line in told
    ]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--occupancy", "101"), "--occupancy: '101' is neither"),
        (("--occupancy", "5/0"), "--occupancy: '5/0' is neither"),
        (("--occupancy", "half"), "--occupancy: 'half' is neither"),
        (("--currency", "EURO"), "--currency: 'EURO' is no ISO 4217 code"),
        (("--timezone", "Mars"), "--timezone: 'Mars' is no IANA name"),
        (("--tariff", "other"), "has no tariff other"),
        (("--out", "noon"), "--out: 'noon' is no time"),
        (("--out", "1969-01-01T00:00"), "--out: '1969-01-01T00:00' is not between 1970"),
    ],
)
def test_a_slip_of_the_keyboard_is_refused(centre: Path, more: tuple[str, str], told: str) -> None:
    """By name, with the value."""
    result = run("quote", centre, "--in", "2026-06-11T12:00", "--out", "2026-06-11T17:00", *more)

    assert result.exit_code in (2, 4)
    assert told in result.stderr


# -- plot -----------------------------------------------------------------------------------------------------------------


def test_a_price_is_drawn_in_the_terminal(centre: Path) -> None:
    """Bars that never fall, prices at the left, hours below."""
    result = run("plot", centre, "--in", "2026-06-11T09:30", "--hours", "48")

    lines = result.stdout.splitlines()
    bars = [line.partition("|")[2] for line in lines if "|" in line]
    heights = [sum(column < len(bar) and bar[column] != " " for bar in bars) for column in range(64)]
    assert "centre-2026, CAR" == lines[0]
    assert lines[1].startswith("53.00 |")
    assert heights == sorted(heights)
    assert (1, 14) == (heights[0], heights[-1])
    assert re.fullmatch(r" +6 h +12 h +18 h +24 h +30 h +36 h +42 h +48 h", lines[-1])


def test_a_price_is_drawn_into_a_picture(centre: Path, tmp_path: Path) -> None:
    """A PNG with a curve that rises to the right."""
    image_of = pytest.importorskip("PIL.Image")
    png = tmp_path / "centre.png"

    result = run("plot", centre, "--in", "2026-06-11T09:30", "--png", png)

    assert 0 == result.exit_code
    with image_of.open(png) as image:
        blue = [
            (x, y) for x in range(image.width) for y in range(image.height) if image.getpixel((x, y)) == (31, 95, 168)
        ]
        assert ("PNG", (960, 540)) == (image.format, image.size)
    assert min(blue)[1] > max(blue)[1] + 300
    assert len({x for x, _ in blue}) > 700


def test_a_picture_that_cannot_be_written_is_refused(centre: Path, tmp_path: Path) -> None:
    """By name."""
    pytest.importorskip("PIL.Image")

    result = run("plot", centre, "--png", tmp_path / "none" / "x.png")

    assert 2 == result.exit_code
    assert "No such file" in result.stderr
