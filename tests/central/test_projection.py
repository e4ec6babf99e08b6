"""What the facts add up to at the office, and that the journal alone can make it again."""

import json
from dataclasses import replace
from random import Random

import pytest
from office_records import AREA, IN, OUT, START_MS, Journal, entered, issued, left, paid, stay
from sqlalchemy import select, text

from central.db import chains, reading
from central.db import schema as s
from central.db.projection import _FOLDS, NO_ROWS, TICKET_STATES, rebuild
from gatectl.domain import facts as f
from gatectl.domain.ids import PaymentId, TicketNumber, VendId
from gatectl.domain.kinds import KINDS
from sync.chain import digest

PROJECTIONS = (s.tickets, s.payments, s.vends, s.lanes, s.occupancy, s.alarms, s.parked)


def everything(engine, site: str) -> dict[str, list[dict]]:
    """All projected rows, without the office's own clock."""
    found = {}
    with engine.connect() as connection:
        for table in PROJECTIONS:
            asked = select(table).where(table.c.site_id == site).order_by(*table.primary_key)
            rows = [dict(row) for row in connection.execute(asked).mappings()]
            found[table.name] = [{k: v for k, v in row.items() if k != "raised_at"} for row in rows]
    return found


def rows(engine, table: str, **where) -> list[dict]:
    return [
        row for row in everything(engine, "north")[table] if all(row[name] == value for name, value in where.items())
    ]


def ticket(engine, number: int) -> dict:
    return rows(engine, "tickets", ticket=issued(number).ticket)[0]


def count(engine) -> tuple[int, int, int]:
    row = rows(engine, "occupancy")[0]
    return row["entered"], row["exited"], row["adjusted"]


def told(site, *facts: f.Fact) -> None:
    first = len(site.journal.records) + 1
    site.journal.write(*facts)
    site.acked(first)


T1 = issued(1).ticket
TICKET_STORIES = [
    ("issued", (), (0, 0, 0)),
    ("inside", (entered(1),), (1, 0, 0)),
    ("spent", (entered(1), left(1)[0]), (1, 0, 0)),
    ("inside", (entered(1), left(1)[0], f.TicketReturned(T1, OUT, "backed out")), (1, 0, 0)),
    ("exited", (entered(1), *left(1)), (1, 1, 0)),
    ("void", (f.TicketVoided(T1, IN, f.VoidReason.NOT_TAKEN),), (0, 0, 0)),
    ("void", (entered(1), f.EntryReversed(T1, IN)), (0, 0, 0)),
    ("written-off", (entered(1), f.TicketWrittenOff(T1, "mia", "gone")), (1, 0, -1)),
    ("written-off", (f.TicketWrittenOff(T1, "mia", "gone"),), (0, 0, 0)),
    ("inside", (f.TicketLearned(T1, 1, IN, AREA, "CAR", "t1", START_MS),), (0, 0, 0)),
]


@pytest.mark.parametrize(("state", "facts", "counts"), TICKET_STORIES)
def test_a_ticket_is_what_the_last_fact_said(site, engine, state, facts, counts) -> None:
    told(site, issued(1), f.CountAdjusted(AREA, 0, "mia", "start"), *facts)

    assert state == ticket(engine, 1)["state"]
    assert counts == count(engine)
    assert [] == rows(engine, "parked")


def test_a_lost_ticket_hands_its_money_to_its_replacement(site, engine) -> None:
    """The driver paid, then lost the paper: the replacement is inside and paid, and the money is counted once."""
    told(site, issued(1), entered(1), paid(1, 300), issued(2))
    told(site, f.TicketLostDeclared(T1, issued(2).ticket, "mia", "found by plate"))
    told(site, *left(2))

    assert ("lost", 300) == (ticket(engine, 1)["state"], ticket(engine, 1)["paid_minor"])
    assert ("exited", 300) == (ticket(engine, 2)["state"], ticket(engine, 2)["paid_minor"])
    with engine.connect() as connection:
        totals = reading.totals(connection, "north")
        rows_told = list(chains.ticket_rows(connection, "north"))
    assert (2, 1, 300) == (totals.tickets, totals.payments, totals.paid_minor)
    assert [("000001-K7QF", "lost", 300), ("000002-K7QF", "exited", 300)] == sorted(rows_told)
    assert digest(reversed(rows_told)) == totals.digest


def test_demand_stays_with_the_stay(site, engine) -> None:
    """What was fixed at entry, with the counts that justify it; the replacement of a lost ticket has it too."""
    full = replace(issued(1), demand_percent=150, demand_taken=91, demand_spots=100)
    told(site, full, entered(1), issued(2), issued(3))
    told(site, f.TicketLostDeclared(T1, issued(2).ticket, "mia", "found by plate"))

    fixed = [[ticket(engine, n)[f"demand_{what}"] for what in ("percent", "taken", "spots")] for n in (1, 2, 3)]
    assert [[150, 91, 100], [150, 91, 100], [100, None, None]] == fixed


def test_money_follows_payment_refund_and_failure(site, engine) -> None:
    started = f.PaymentStarted(PaymentId("c1"), T1, "CREDIT_CARD", 450, "EUR", "OUT-1")
    told(site, issued(1), entered(1), started, replace(paid(1), payment=PaymentId("c1"), method="CREDIT_CARD"))
    told(site, replace(started, payment=PaymentId("c2")), f.PaymentFailed(PaymentId("c2"), T1, "declined", "limit"))
    told(site, f.PaymentRefunded(PaymentId("c1"), PaymentId("r1"), T1, 150, "EUR", "mia", "overpaid", "till-1", 2))

    assert 300 == ticket(engine, 1)["paid_minor"]
    assert [("c1", "COMPLETED", 450, 150), ("c2", "FAILED", 450, 0)] == [
        (row["payment"], row["state"], row["amount_minor"], row["refunded_minor"]) for row in rows(engine, "payments")
    ]
    told(site, f.PaymentRefunded(PaymentId("c1"), PaymentId("r2"), T1, 300, "EUR", "mia", "overpaid", "till-1", 3))
    assert [("c1", "REFUNDED", 450), ("c2", "FAILED", 0)] == [
        (row["payment"], row["state"], row["refunded_minor"]) for row in rows(engine, "payments")
    ]
    with engine.connect() as connection:
        asked = select(s.business["refunds"].c.refund).where(s.business["refunds"].c.site_id == "north")
        assert ["r1", "r2"] == sorted(connection.execute(asked).scalars())


def test_alarms_open_and_close_with_the_facts(site, engine) -> None:
    told(site, f.LaneFaulted(IN, f.LaneFault.PRINTER_OUT, "no paper"), f.DeviceLost("reader-1", "silent"))
    told(site, f.LaneFaulted(IN, f.LaneFault.PRINTER_OUT, "still none"), f.DeviceBack("reader-1", 900))

    assert [("device", False, 1), ("lane", True, 2)] == [
        (row["source"], row["open"], row["times"]) for row in rows(engine, "alarms")
    ]


def test_a_lane_shows_its_mode_and_a_vend_its_outcome(site, engine) -> None:
    told(site, f.LaneModeChanged(IN, "locked", "mia", "snow"), f.VendIntended(VendId("v9"), IN, "ticket", None))
    told(site, f.VendUnknown(VendId("v9"), IN, "reply lost"))

    assert "locked" == rows(engine, "lanes")[0]["mode"]
    assert "unknown" == rows(engine, "vends")[0]["state"]


def test_every_fact_is_folded_or_named_as_changing_nothing() -> None:
    assert set(f.FACTS) == set(_FOLDS) | NO_ROWS
    assert not set(_FOLDS) & NO_ROWS
    assert set(TICKET_STATES) <= set(_FOLDS)


# -- what cannot be digested -----------------------------------------------------------------------------------------


def parked(engine) -> list[tuple[int, str]]:
    return [(row["seq"], row["why"]) for row in rows(engine, "parked")]


def test_an_unknown_kind_is_kept_parked_and_raised_and_others_flow(site, engine) -> None:
    """A newer site says something this office has no words for; only that ticket waits for the upgrade."""
    told(site, issued(1), issued(2))
    site.journal.append("ticket.teleported", json.dumps({"ticket": T1, "to": "moon"}).encode())
    site.acked(3)
    told(site, entered(1), entered(2))

    assert [(3, "unknown-kind"), (4, "behind")] == parked(engine)
    assert ("issued", "inside") == (ticket(engine, 1)["state"], ticket(engine, 2)["state"])
    assert {"parked"} == {row["code"] for row in rows(engine, "alarms", open=True)}


def test_an_unknown_version_is_parked(site, engine) -> None:
    site.journal.append("ticket.issued", b'{"ticket":"000001-K7QF"}', version=2)
    site.acked()

    assert [(1, "unknown-kind")] == parked(engine)


BAD_BODIES = [
    ("bad-body", b"{}"),
    ("bad-body", b'{"area":"main","by":"x","delta":1.5,"reason":"r"}'),
    ("bad-body", b'{"area":"main","by":"x","delta":NaN,"reason":"r"}'),
    ("unstorable", b'{"area":"ma\\u0000in","by":"x","delta":1,"reason":"r"}'),
    ("unstorable", b'{"area":"ma\\ud800in","by":"x","delta":1,"reason":"r"}'),
    ("bad-body", b'{"area":"main","by":"x","delta":99999999999999999999,"reason":"r"}'),
]


@pytest.mark.parametrize(("why", "content"), BAD_BODIES)
def test_what_no_row_can_hold_is_parked_alone(site, engine, why, content) -> None:
    """In the middle of a batch, and in the same area: everything around it counts."""
    adjusted = f.CountAdjusted(AREA, 2, "mia", "counted")
    site.journal.write(adjusted, issued(1))
    site.journal.append("count.adjusted", content)
    site.journal.write(entered(1), adjusted)
    site.acked()

    assert [(3, why)] == parked(engine)
    assert (1, 0, 4) == count(engine)


def test_a_fact_about_a_ticket_that_nobody_issued_is_parked(site, engine) -> None:
    told(site, entered(7), paid(7))

    assert [(1, "unknown-ticket"), (2, "behind")] == parked(engine)
    assert [] == rows(engine, "payments")


def test_a_number_issued_twice_is_parked_with_what_follows(site, engine) -> None:
    """A restored counter repeated a printed number: the first stay is not touched, a person is called."""
    told(site, *stay(1))
    told(site, issued(1), entered(1))

    assert [(9, "clash"), (10, "behind")] == parked(engine)
    assert "exited" == ticket(engine, 1)["state"]


def test_a_payment_counts_once_whatever_the_site_says(site, engine) -> None:
    """Two facts with two ids under one payment key: one is money, the other is a question."""
    told(site, issued(1), entered(1), paid(1, 450), paid(1, 450, receipt=2))

    assert [(4, "clash")] == parked(engine)
    assert 450 == ticket(engine, 1)["paid_minor"]


def test_a_refund_of_nothing_is_parked(site, engine) -> None:
    refund = f.PaymentRefunded(PaymentId("p9"), PaymentId("r1"), T1, 5, "EUR", "mia", "?", "till-1", 1)
    told(site, issued(1), refund)

    assert [(2, "unknown-payment")] == parked(engine)


def test_parked_and_projected_are_all_that_was_received(site, engine) -> None:
    """Nothing is dropped: with everything that can go wrong in one batch, the journal holds it all."""
    site.journal.write(*stay(1), entered(9), issued(1))
    for why, content in BAD_BODIES:
        site.journal.append("count.adjusted", content)
        site.journal.append(f"new.{why}", b'{"n":1}')
    ack = site.acked()
    with engine.connect() as connection:
        held = connection.execute(text("SELECT count(*) FROM journal")).scalar_one()

    assert 22 == ack.ack == held
    assert 14 == len({seq for seq, _ in parked(engine)})


# -- rebuild ---------------------------------------------------------------------------------------------------------


def a_messy_day(seed: int) -> Journal:
    """Stays interleaved at random, with faults, losses, unknown kinds and clashes among them."""
    dice = Random(seed)
    lanes = [list(stay(number, dice.randrange(50, 900))) for number in range(1, 60)]
    journal = Journal("north", "")
    while lanes:
        facts = dice.choice(lanes)
        journal.write(facts.pop(0))
        if not facts:
            lanes.remove(facts)
        roll = dice.random()
        number = dice.randrange(1, 70)
        if roll < 0.03:
            journal.write(f.LaneFaulted(IN, dice.choice(list(f.LaneFault)), "x"))
        elif roll < 0.06:
            journal.write(f.LaneCleared(IN, dice.choice(list(f.LaneFault))))
        elif roll < 0.08:
            journal.append("ticket.teleported", json.dumps({"ticket": issued(number).ticket}).encode())
        elif roll < 0.10:
            journal.write(f.TicketWrittenOff(issued(number).ticket, "mia", "x"))
        elif roll < 0.12:
            journal.append(*dice.choice([("count.adjusted", content) for _, content in BAD_BODIES]))
        elif roll < 0.13:
            journal.write(f.TicketLostDeclared(issued(number).ticket, issued(dice.randrange(1, 70)).ticket, "m", "x"))
    return journal


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_rebuild_arrives_at_the_same_rows(site, engine, seed) -> None:
    """Whatever the batches were, and also in one piece from the journal: the rows are the same."""
    dice = Random(seed)
    for record in a_messy_day(seed).records:
        site.journal.take(record)
    first = 1
    while first <= len(site.journal.records):
        last = min(len(site.journal.records), first + dice.choice([0, 3, 40, 200]))
        site.acked(first, last)
        first = last + 1
    live = everything(engine, site.name)
    with engine.begin() as connection:
        read = rebuild(connection, site.name)

    assert len(site.journal.records) == read
    assert live["parked"], f"seed {seed} parks nothing"
    assert live == everything(engine, site.name), f"seed {seed}"


def test_a_rebuild_mends_what_was_changed_by_hand(site, engine) -> None:
    told(site, *stay(1), *stay(2))
    before = everything(engine, site.name)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM tickets"))
        connection.execute(text("UPDATE payments SET amount_minor = 1"))
        connection.execute(text("UPDATE occupancy SET entered = 99"))
        rebuild(connection, site.name)

    assert before == everything(engine, site.name)


def test_a_rebuild_after_an_upgrade_digests_what_was_parked(site, engine, monkeypatch) -> None:
    """The office of last year did not know `ticket.written-off`; the new one does."""
    with monkeypatch.context() as last_year:
        last_year.delitem(KINDS, "ticket.written-off")
        told(site, issued(1), entered(1), f.TicketWrittenOff(TicketNumber(T1), "mia", "gone"))
        assert [(3, "unknown-kind")] == parked(engine)
    with engine.begin() as connection:
        rebuild(connection, site.name)

    assert [] == parked(engine)
    assert "written-off" == ticket(engine, 1)["state"]
    assert [] == rows(engine, "alarms", open=True)


def test_the_rebuild_of_one_site_leaves_the_others_alone(enrol, engine) -> None:
    north, south = enrol("north"), enrol("south")
    told(north, *stay(1))
    told(south, *stay(1), *stay(2))
    before = everything(engine, "south")
    with engine.begin() as connection:
        rebuild(connection, "north")

    assert before == everything(engine, "south")
    assert 1 == len(rows(engine, "tickets"))
