"""Same input, same price, for ever: stays that were priced when a tariff's form was new, priced again.

`tariffs_v1.jsonl` has the forms `flat` and `hourly`, `tariffs_v2.jsonl` those with bands. A line is a body, entry and exit in
UTC milliseconds, a time zone, what demand made of the ticket (or null), and the price in minor units. A line is never edited
or removed; a form that gets a new meaning is another form. `python test_tariff_golden.py` adds the lines of new examples.
"""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from gatectl.domain.tariff_demand import Fixed
from gatectl.domain.tariffs import charge, from_body, parse, to_body

GOLDEN = Path(__file__).parent / "golden"
DOCS = Path(__file__).parents[2] / "docs"
FILES = ("tariffs_v1.jsonl", "tariffs_v2.jsonl")
LINES = [(file, number, line) for file in FILES for number, line in enumerate((GOLDEN / file).read_text().splitlines())]
HOUR_MS = 3_600_000
SPANS_MS = (0, 1, HOUR_MS // 6, HOUR_MS, 5 * HOUR_MS, 26 * HOUR_MS, 9 * 24 * HOUR_MS)
CHANGES_MS = (1_774_746_000_000, 1_792_890_000_000)  # the clock changes of 2026 in Europe


def priced(line: str) -> tuple[int, int]:
    """The promised price and today's."""
    body, entered_ms, until_ms, zone, fixed, total = json.loads(line)
    made = None if fixed is None else Fixed(*fixed)
    return total, charge(from_body(body), entered_ms, until_ms, ZoneInfo(zone), "EUR", made).total_minor


@pytest.mark.parametrize("file", FILES)
def test_old_stays_keep_their_prices(file: str) -> None:
    """Every line of the form's file."""
    wrong = [(number, *priced(line)) for name, number, line in LINES if name == file and len(set(priced(line))) > 1]

    assert [] == wrong


@pytest.mark.parametrize("file", FILES)
def test_a_body_once_written_is_written_the_same(file: str) -> None:
    """Its bytes are in the journal, and say whether a tariff has changed."""
    bodies = {json.loads(line)[0] for name, _, line in LINES if name == file}

    assert len(bodies) >= 5
    assert bodies == {to_body(from_body(body)) for body in bodies}


def examples(file: str) -> Iterator[str]:
    """Bodies of a form with stays by a fixed seed."""
    rng = Random(f"golden {file}")
    for body in bodies_of(file):
        tariff = from_body(body)
        for zone in ("Europe/Amsterdam", "America/St_Johns"):
            for span_ms in SPANS_MS:
                entered_ms = rng.choice(CHANGES_MS) + rng.randrange(-30 * HOUR_MS, 30 * HOUR_MS)
                until_ms = entered_ms + span_ms + rng.randrange(HOUR_MS)
                fixed = tariff.demand.fixed(rng.randrange(101), 100) if tariff.demand else None
                plain = None if fixed is None else [fixed.percent, fixed.taken, fixed.spots]
                total = charge(tariff, entered_ms, until_ms, ZoneInfo(zone), "EUR", fixed).total_minor
                yield json.dumps([body, entered_ms, until_ms, zone, plain, total])


def bodies_of(file: str) -> list[str]:
    if file == "tariffs_v1.jsonl":
        common = {"effective_from_ms": 0, "entry_grace_minutes": 5, "exit_grace_minutes": 15, "lost_ticket_minor": 2500}
        hourly = {"kind": "hourly", "base_minor": 0, "step_minutes": 60, "per_hour_minor": 350}
        forms = [
            {"kind": "flat", "base_minor": 1000},
            hourly,
            hourly | {"step_minutes": 20, "daily_cap_minor": 2800},
            hourly | {"base_minor": 50, "step_minutes": 7, "daily_cap_minor": 1999},
            hourly | {"base_minor": 100, "step_minutes": 1440, "per_hour_minor": 33},
        ]
        made = [{"id": f"v1-{number}", **common, **form} for number, form in enumerate(forms)]
        return [json.dumps(plain, sort_keys=True, separators=(",", ":")) for plain in made]
    pages = [(DOCS / "tariffs.md").read_text().rsplit("```toml\n", 1)[1].split("```")[0]]
    pages += [path.read_text() for path in sorted((DOCS / "tariffs" / "boards").glob("*.toml"))]
    return [to_body(parse(table)) for page in pages for table in tomllib.loads(page)["tariffs"]]


def main() -> None:
    """Add what is missing, by body; never touch a line that is there."""
    for file in FILES:
        path = GOLDEN / file
        lines = path.read_text().splitlines() if path.exists() else []
        known = {json.loads(line)[0] for line in lines}
        lines += [line for line in examples(file) if json.loads(line)[0] not in known]
        path.write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
