"""The real daemon: a car through it, a clean end, and a second one that is turned away."""

import pytest
from app_bench import SHOWN_MS, SITE, STOP_S_MAX, SiteUnderTest

from gatectl.cli.errors import CommandFailed
from gatectl.store.reading import Mirror


def test_a_car_goes_in_pays_cash_and_leaves(site: SiteUnderTest) -> None:
    """Through pty, driver, lane, journal and back: what moved is what was recorded, and the arm moved twice a lane."""
    number, code = site.enter()
    paid = site.pay(number)
    site.leave(code)

    assert [("IN-1", "open"), ("IN-1", "close"), ("OUT-1", "open"), ("OUT-1", "close")] == site.plant.pulses
    assert paid["amount_minor"] > 0
    with Mirror(site.database) as mirror:
        ticket = mirror.ticket(number)
    assert ticket is not None
    assert ("exited", True, paid["amount_minor"]) == (ticket["state"], ticket["verified"], ticket["paid_minor"])
    kinds = [event["kind"] for event in site.events() if number in (event.get("ticket"), event.get("vend"))]
    assert kinds.index("ticket.issued") < kinds.index("vend.intended") < kinds.index("vehicle.entered")
    assert "ok" == site.daemon.get("status")["state"]
    site.check()


def test_a_payment_repeated_after_a_restart_is_taken_once(site: SiteUnderTest) -> None:
    """The cashier's line broke after the commit; the repeat gets the first answer, another body an error."""
    number, _ = site.enter()
    first = site.pay(number, "key-1")
    site.kill()
    site.start()

    assert first == site.pay(number, "key-1")
    with pytest.raises(CommandFailed) as refused:
        site.daemon.post("payments", ticket=number, method="CASH", key="key-1", tendered_minor=9_999)
    assert "E-PAY-02" == refused.value.code
    assert 1 == len(site.events("payment.taken"))
    site.check()


def test_an_order_sent_twice_is_done_once(site: SiteUnderTest) -> None:
    """The attendant's terminal sent it again: the arm moves once, and both get the answer."""
    body = {"reason": "delivery", "request": "abc"}

    first = site.daemon.post("lanes", "OUT-1", "open", **body)
    again = site.daemon.post("lanes", "OUT-1", "open", **body)

    assert first["done"] == again["done"]
    site.wait("vend.confirmed", lane="OUT-1")
    assert 1 == len(site.events("lane.opened-by-hand"))
    assert [("OUT-1", "open")] == site.plant.pulses


def test_a_clean_end_is_recorded_and_the_next_start_knows(site: SiteUnderTest) -> None:
    """SIGTERM: exit code 0, the last fact says why; the next start is clean, and nothing moves because of either."""
    number, _ = site.enter()
    moved = list(site.plant.pulses)

    assert 0 == site.stop()

    assert "site.stopped" == site.events()[-1]["kind"]
    assert "SIGTERM" == site.events("site.stopped")[-1]["reason"]
    assert not (site.root / "run" / "control.sock").exists()
    site.start()
    site.wait_ready_lanes()
    first, second = site.events("site.started")
    assert (True, None) == (first["clean"], first["dark_from_ms"])
    assert second["clean"]
    assert SHOWN_MS <= second["dark_from_ms"] <= second["dark_to_ms"]
    assert moved == site.plant.pulses
    assert "inside" == site.daemon.get("tickets", number)["state"]
    site.check()


def test_a_second_daemon_is_turned_away_by_name(site: SiteUnderTest) -> None:
    """Same state directory: exit code 1 with the reason; the first does not notice."""
    assert site.process is not None
    first = site.process

    second = site.spawn()
    code = second.wait(STOP_S_MAX)

    assert 1 == code
    assert f"is in use by gatectl with pid {first.pid}" in site.log.read_text()
    assert site.alive()
    assert SITE == site.daemon.get("status")["site"]
    assert 1 == len(site.events("site.started"))


def test_a_socket_that_is_in_the_way_is_named(site: SiteUnderTest) -> None:
    """A file where the control socket belongs: the start is refused with words, and recorded as no clean run."""
    assert 0 == site.stop()
    (site.root / "run" / "control.sock").write_text("")

    refused = site.spawn()

    assert 1 == refused.wait(STOP_S_MAX)
    assert "is in the way and is not a socket" in site.log.read_text()
    assert "Traceback" not in site.log.read_text()


def test_keys_that_others_can_read_are_refused_by_name(site: SiteUnderTest) -> None:
    """The message says which file and what to type; no traceback."""
    assert 0 == site.stop()
    keys = site.root / "state" / "credentials" / "ticket-keys.json"
    keys.chmod(0o644)

    refused = site.spawn()

    assert 1 == refused.wait(STOP_S_MAX)
    assert f"chmod 600 {keys}" in site.log.read_text().replace("\n", " ")
    assert "Traceback" not in site.log.read_text()
