"""The exceptions desk and `gatectl why` from the command line: what is asked, what is said, what is not done by a slip."""

import json
from typing import Any

import pytest
from test_without_daemon import mirrored  # noqa: F401  # a fixture

from gatectl.cli.ticket_desk import CAUSES, CLOSE_MAX
from gatectl.domain.business import exceptions
from gatectl.domain.fact_words import Cause

WHY = ("--reason", "as it is", "--yes")


def test_the_commands_know_what_the_rules_know() -> None:
    """Copied, so that a command need not load the rules."""
    assert CLOSE_MAX == exceptions.CLOSE_MAX
    assert {*CAUSES, "lost", "damaged", "swapped"} == {cause.value for cause in Cause}


@pytest.mark.parametrize(
    ("words", "verb", "asked"),
    [
        (("damaged", "12-K7QF"), "ticket-damaged", {"ticket": "12-K7QF", "reason": "as it is"}),
        (("swap", "1-K7QF", "2-K7QF"), "ticket-swap", {"ticket": "1-K7QF", "other": "2-K7QF", "reason": "as it is"}),
        (
            ("special", "foreign", "--price", "12.50", "--lane", "OUT-1"),
            "ticket-special",
            {"cause": "foreign", "price_minor": 1250, "lane": "OUT-1", "reason": "as it is"},
        ),
        (("price", "1-K7QF", "7"), "ticket-price", {"ticket": "1-K7QF", "price_minor": 700, "reason": "as it is"}),
        (("present", "1-K7QF", "OUT-1"), "ticket-present", {"ticket": "1-K7QF", "lane": "OUT-1", "reason": "as it is"}),
        (
            ("close-stale", "--before-ms", "9", "--expected", "3", "--count", "keep"),
            "tickets-close",
            {"before_ms": 9, "expected": 3, "keep_count": True, "reason": "as it is"},
        ),
    ],
)
def test_each_act_is_asked_with_its_reason(site: Any, words: tuple[str, ...], verb: str, asked: dict[str, Any]) -> None:
    """Typed words become the verb's; without a reason nothing is done."""
    assert 9 == site.run("ticket", *words, typed="\n").exit_code
    assert [] == site.desk.done
    result = site.run("ticket", *words, *WHY)

    assert 0 == result.exit_code, result.output
    assert [(verb, asked)] == [(name, given) for _, name, given, *_ in site.desk.done]


def test_stale_tickets_are_listed_with_the_next_command(site: Any) -> None:
    """The list says how to close just these."""
    result = site.run("ticket", "stale", "--days", "0")

    assert 0 == result.exit_code, result.output
    assert "000123-K7QF" in result.stdout
    assert "--expected 1 --count ..." in result.stdout
    assert "main  1      1               0                     1" in result.stdout
    assert "gatectl.stale/1" == site.json("ticket", "stale", "--days", "0")["schema"]
    assert "No ticket is older than" in site.run("ticket", "stale", "--days", "0", "--area", "roof").stdout


def test_why_is_shown_and_printed_as_it_was_told(site: Any) -> None:
    """Numbered reasons, each with its rule; the steps under their day; where it was read."""
    result = site.run("why", "OUT-1", "--utc")

    assert 0 == result.exit_code, result.output
    assert "OUT-1: is locked." == result.stdout.splitlines()[0]
    assert "1. Locked by jan: snow\n   rule    a locked lane serves nobody" in result.stdout
    assert "  2026-11-18 UTC\n    11:06:40  left\n              - seen" in result.stdout
    assert "gatectl.why/1" == site.json("why", "OUT-1")["schema"]
    assert 4 == site.run("why", "nobody").exit_code


def test_why_without_a_daemon(mirrored: Any) -> None:  # noqa: F811  # the fixture
    """From the mirror: the stay, the lane's faults and mode; that the daemon is down comes first."""
    lane = mirrored.run("why", "OUT-1", "--utc")
    assert 0 == lane.exit_code, lane.output
    assert "1. The daemon is not running" in lane.stdout
    assert "2. Held open by jan: ambulance, 2026-11-18" in lane.stdout
    assert "E-BAR-02: The arm does not report open (no 'up' after 8 s)" in lane.stdout
    assert "no capture to read" in lane.stdout
    ticket = mirrored.run("why", "123-k7qf")
    assert "000123-K7QF: inside for" in ticket.stdout
    assert "no daemon: no price" in ticket.stdout
    slip = mirrored.run("why", "123-ABCD")
    assert 4 == slip.exit_code
    assert "of that count there is 000123-K7QF" in slip.stderr
    assert 4 == mirrored.run("why", "hello").exit_code


def test_a_stay_is_exported_with_and_without_a_daemon(mirrored: Any) -> None:  # noqa: F811  # the fixture
    """One by its number, all of a time; a number that is none is said."""
    one = mirrored.run("ticket", "export", "123-k7qf", "--apds")
    assert 0 == one.exit_code, one.output
    told = json.loads(one.stdout)
    assert "centrum-01:000123-K7QF" == told["sessions"]["data"][0]["id"]
    assert (
        told["sessions"]
        == json.loads(mirrored.run("ticket", "export", "--apds", "--since", "2026-01-01").stdout)["sessions"]
    )
    assert (
        [] == json.loads(mirrored.run("ticket", "export", "--apds", "--since", "2200-01-01").stdout)["sessions"]["data"]
    )
    assert 4 == mirrored.run("ticket", "export", "9-K7QF", "--apds").exit_code
    assert 2 == mirrored.run("ticket", "export", "--apds").exit_code
    assert 2 == mirrored.run("ticket", "export", "123-k7qf").exit_code
