"""The commands against a running daemon: what they print, how they end, what they have the daemon do."""

import getpass
from collections.abc import Callable
from typing import Any

import pytest

from gatectl.cli.ticket import STATES
from gatectl.domain.codes import CODES, EXITS
from gatectl.domain.tickets import TicketState
from gatectl.runtime.desk import Refused


def test_a_healthy_site_says_so(site: Any) -> None:
    """The technician types `gatectl status` and reads one screen; the exit code tells a script the same."""
    result = site.run("status", "--utc")

    assert 0 == result.exit_code
    assert "centrum-01   OK   up 12 d 4 h   v0.1.0" == result.stdout.splitlines()[0]
    assert "OUT-1  exit  idle   down  free    free     ok" in result.stdout
    assert "main  2/3         1       COMPACT 2/3" in result.stdout


def test_a_sick_site_names_the_problem_before_anything_else(site: Any, broken_boom: Callable[[], Any]) -> None:
    """At 3 a.m. what is wrong and what to do come first, in four lines."""
    site.desk.problems = broken_boom()

    result = site.run("status")

    assert 3 == result.exit_code
    lines = result.stdout.splitlines()
    assert "problem: OUT-1: The arm does not report open." == lines[3]
    assert lines[4].startswith(" action: Check the open limit switch")
    assert "    see: gatectl help E-BAR-02" == lines[5]
    assert lines.index("problem: OUT-1: The arm does not report open.") < result.stdout.splitlines().index(
        next(line for line in lines if line.startswith("LANE"))
    )


def test_x_prints_only_what_is_sick(site: Any, broken_boom: Callable[[], Any]) -> None:
    """As zpool status -x: one line when all is well, only the problems otherwise."""
    assert "centrum-01: all is well\n" == site.run("status", "-x").stdout

    site.desk.problems = broken_boom()

    assert "CLOSING" not in site.run("status", "-x").stdout


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        (("status",), "gatectl.status/1"),
        (("lane", "list"), "gatectl.lanes/1"),
        (("lane", "show", "OUT-1"), "gatectl.lane/1"),
        (("lane", "open", "OUT-1", "--reason", "ambulance", "--yes"), "gatectl.done/1"),
        (("lane", "close", "OUT-1"), "gatectl.done/1"),
        (("printer", "status"), "gatectl.printers/1"),
        (("printer", "test", "printer-out1"), "gatectl.done/1"),
        (("ports",), "gatectl.ports/1"),
        (("ticket", "find", "000123"), "gatectl.tickets/1"),
        (("ticket", "show", "000123-K7QF"), "gatectl.ticket/1"),
        (("ticket", "void", "000123-K7QF", "--reason", "torn", "--yes"), "gatectl.done/1"),
        (("ticket", "lost", "--reason", "torn", "--yes"), "gatectl.done/1"),
        (("pay", "000123-K7QF", "--yes"), "gatectl.payment/1"),
        (("sync", "status"), "gatectl.sync/1"),
        (("sync", "now"), "gatectl.done/1"),
        (("sync", "prove"), "gatectl.prove/1"),
        (("events",), "gatectl.events/1"),
        (("help",), "gatectl.codes/1"),
        (("help", "e-bar-02"), "gatectl.code/1"),
        (("version",), "gatectl.version/1"),
    ],
)
def test_every_command_speaks_a_versioned_schema(site: Any, words: tuple[str, ...], schema: str) -> None:
    """A script finds JSON behind every command, and knows by its name what it holds."""
    result = site.run(*words, "--json")

    assert 0 == result.exit_code, result.output
    assert schema == site.json(*words)["schema"]


def test_the_keys_of_the_status_are_a_promise(site: Any) -> None:
    """Keys may be added, none removed, within gatectl.status/1."""
    status = site.json("status")

    promised = {
        "schema", "site", "name", "state", "verdict", "up_ms", "software", "boot", "lanes", "areas", "sync", "clock",
        "problems", "position", "at_ms",
    }  # fmt: skip
    assert promised <= status.keys()
    lane = {"lane", "kind", "phase", "mode", "arm", "arming", "closing", "printer", "faults", "last"}
    assert lane <= status["lanes"][0].keys()
    assert {"area", "free", "total", "inside", "by_type", "quality"} <= status["areas"][0].keys()


# -- by hand ------------------------------------------------------------------------------------------------------------


def test_opening_asks_why_and_records_who(site: Any) -> None:
    """The reason typed at the prompt is the confirmation; the name is the kernel's."""
    result = site.run("lane", "open", "OUT-1", typed="ambulance\n")

    assert 0 == result.exit_code
    assert [("open", "OUT-1", getpass.getuser(), "ambulance")] == site.desk.done
    assert "OUT-1 open. Recorded as event 88213. Close with: gatectl lane close OUT-1\n" == result.stdout


@pytest.mark.parametrize(
    ("words", "typed", "code"),
    [
        ((), "\n", 9),
        ((), "", 2),
        (("--yes",), "", 2),
        (("--reason", " "), "", 2),
        (("--reason", "ambulance"), "n\n", 9),
        (("--reason", "ambulance"), "", 2),
    ],
)
def test_nothing_opens_without_a_reason_and_a_yes(site: Any, words: tuple[str, ...], typed: str, code: int) -> None:
    """An empty reason cancels; a script that forgot one is told, and nothing moves."""
    result = site.run("lane", "open", "OUT-1", *words, typed=typed)

    assert (code, []) == (result.exit_code, site.desk.done)


@pytest.mark.parametrize("verb", ["close", "lock", "release", "unlock"])
def test_the_safe_acts_never_ask(site: Any, verb: str) -> None:
    """Locking a lane at once matters more than knowing why."""
    result = site.run("lane", verb, "OUT-1")

    assert 0 == result.exit_code
    assert (verb, "OUT-1", getpass.getuser(), "by hand") == site.desk.done[0]


def test_closing_has_no_force(site: Any) -> None:
    """A refusal by safety ends with 8 and says what to look at; there is no option that would change it."""
    site.desk.refuse["close"] = Refused("E-LANE-01", "the closing loop of OUT-1 is occupied")

    result = site.run("lane", "close", "OUT-1")

    assert 8 == result.exit_code
    assert "problem: the closing loop of OUT-1 is occupied" in result.stderr
    assert 2 == site.run("lane", "close", "OUT-1", "--force").exit_code


def test_a_lane_that_does_not_exist_is_said_before_a_reason_is_asked(site: Any) -> None:
    """Nobody types a reason for a typo."""
    result = site.run("lane", "open", "OUT-9", typed="ambulance\n")

    assert 4 == result.exit_code
    assert "Reason" not in result.output


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_ends_with_its_own_exit_code(site: Any, code: str) -> None:
    """What the daemon refuses, the command ends with; the code, the cause and the action reach the script."""
    site.desk.refuse["close"] = Refused(code)

    error = site.error("lane", "close", "OUT-1")

    row = CODES[code]
    assert (code, row.sentence, row.cause, row.action) == tuple(
        error[key] for key in ("code", "message", "cause", "action")
    )
    assert int(row.exit) == site.run("lane", "close", "OUT-1").exit_code
    assert row.exit in EXITS


# -- watching -----------------------------------------------------------------------------------------------------------


def test_a_loop_is_watched_for_so_many_changes(site: Any) -> None:
    """Like mosquitto_sub -C: a watcher that a script can use."""
    result = site.run("loop", "watch", "OUT-1", "-C", "2", "--utc")

    assert 0 == result.exit_code
    lines = result.stdout.splitlines()
    assert 2 == len(lines)
    assert lines[1].endswith("arming     on     +100 ms")


def test_events_follow_on_after_the_history(site: Any) -> None:
    """First what was, then what comes, only of the lane that was asked for."""
    result = site.run("events", "-f", "--lane", "OUT-1", "--utc")

    assert ["7", "8"] == [line.split(" UTC ")[1].split()[0] for line in result.stdout.splitlines()]


# -- tickets and money --------------------------------------------------------------------------------------------------


def test_paying_shows_the_price_and_the_change(site: Any) -> None:
    """The cashier reads the lines, types what the driver gave, says yes, and reads the change."""
    result = site.run("pay", "000123-K7QF", typed="20,00\ny\n")

    assert 0 == result.exit_code, result.output
    assert "3 steps of 20 min  EUR 3.50" in result.stderr
    assert "Paid EUR 3.50 for ticket 000123-K7QF. Change: EUR 16.50. Receipt cashier-12.\n" == result.stdout
    assert ("pay", "000123-K7QF", 2000) == site.desk.done[0][:3]


@pytest.mark.parametrize(
    ("cash", "code", "exit_code"),
    [("3.499", "E-USE-01", 2), ("1e3", "E-USE-01", 2), ("-5", "E-USE-01", 2), ("3.49", "E-PAY-03", 8)],
)
def test_an_amount_that_is_none_takes_no_money(site: Any, cash: str, code: str, exit_code: int) -> None:
    """Amounts are read digit by digit: no rounding, no exponent, no sign, and never too little."""
    words = ("pay", "000123-K7QF", f"--cash={cash}", "--yes")

    assert code == site.error(*words)["code"]
    assert exit_code == site.run(*words).exit_code
    assert [] == site.desk.done


def test_the_states_to_choose_from_are_the_domains() -> None:
    """`gatectl ticket find --state` knows every state that a ticket can have."""
    assert set(TicketState) == set(STATES)


def test_nothing_due_takes_nothing(site: Any) -> None:
    """Within the grace there is nothing to pay, and nobody is asked for money."""
    site.desk.price["due_minor"] = 0

    assert "E-PAY-01" == site.error("pay", "000123-K7QF", "--yes")["code"]


def test_a_payment_whose_answer_was_lost_names_its_key(site: Any) -> None:
    """The same key asked again takes no money twice; the command says how."""
    site.desk.refuse["pay"] = Refused("E-LANE-03", "no answer yet")

    error = site.error("pay", "000123-K7QF", "--yes", "--key", "k-1")

    assert "k-1" == error["key"]
    assert "gatectl pay 000123-K7QF --key k-1" in error["action"]


def test_a_ticket_that_is_not_there_ends_with_four(site: Any) -> None:
    """Not found is an exit code of its own, for find and for show."""
    assert 4 == site.run("ticket", "find", "999").exit_code
    assert 4 == site.run("ticket", "show", "999").exit_code


@pytest.mark.parametrize(("state", "code"), [("online", 0), ("no-office", 0), ("backing-off", 3), ("not-enrolled", 3)])
def test_sync_status_says_whether_a_person_is_needed(site: Any, state: str, code: int) -> None:
    """An office that is away is a degraded site, not a failed command."""
    site.desk.sync_state = state

    assert code == site.run("sync", "status").exit_code


def test_a_printer_that_needs_a_person_ends_with_three(site: Any) -> None:
    """A monitoring script looks at the exit code alone."""
    site.desk.printer_state = "paper out"

    assert 3 == site.run("printer", "status").exit_code


# -- words --------------------------------------------------------------------------------------------------------------


def test_a_mistyped_command_is_answered_with_the_nearest(site: Any) -> None:
    """As git does."""
    result = site.run("evnets")

    assert 2 == result.exit_code
    assert "Did you mean 'events'?" in result.stderr


def test_a_usage_error_is_json_when_json_was_asked_for(site: Any) -> None:
    """A script that mistypes gets an object on stderr, too."""
    assert "E-USE-01" == site.error("lane", "open")["code"]


def test_an_unknown_code_names_the_nearest(site: Any) -> None:
    """Codes are read out over the phone and typed wrong."""
    assert "Did you mean E-BAR-02?" in site.error("help", "E-BRA-02")["message"]
