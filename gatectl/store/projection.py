"""Facts into mirror rows: one short list of statements for each kind, run in the transaction that records the fact.

The rules are those of gatectl.domain.books, written as SQL; `rebuild` makes the mirror again from the journal and must arrive at
the same rows.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection

from gatectl.domain import codec
from gatectl.domain import facts as f
from gatectl.domain.records import registry
from gatectl.store import rows
from gatectl.store.journal import mention

Statement = tuple[str, tuple[Any, ...]]

MIRROR_TABLES: Final = (
    "tickets",
    "payments",
    "receipts",
    "vends",
    "lanes",
    "lane_faults",
    "devices",
    "counts",
    "tariffs",
    "starts",
    "office_lost",
    "mentions",
    *(table.name for table in registry.TABLES),
)

_STATE: Final = "UPDATE tickets SET state = ? WHERE ticket = ?"
_COUNT: Final = (
    "INSERT INTO counts (area, entered, exited, adjusted) VALUES (?, ?, ?, ?) ON CONFLICT (area) DO UPDATE SET"
    " entered = entered + excluded.entered, exited = exited + excluded.exited, adjusted = adjusted + excluded.adjusted"
)
_COUNT_OF_TICKET: Final = (
    "INSERT INTO counts (area, entered, exited, adjusted) SELECT area, ?, ?, ? FROM tickets WHERE ticket = ?"
    " ON CONFLICT (area) DO UPDATE SET"
    " entered = entered + excluded.entered, exited = exited + excluded.exited, adjusted = adjusted + excluded.adjusted"
)


def statements(fact: f.Fact, wall_ms: int) -> Iterator[Statement]:
    """What a fact changes in the mirror. `wall_ms` is when it was recorded."""
    made = _PROJECT.get(type(fact))
    if made is not None:
        yield from made(fact, wall_ms)
    yield from map(rows.statement, registry.changes(fact))


def project(connection: Connection, fact: f.Fact, wall_ms: int) -> None:
    for sql, values in statements(fact, wall_ms):
        connection.exec_driver_sql(sql, values)


def rebuild(connection: Connection) -> int:
    """Empty the mirror and make it again from the journal, inside the caller's transaction. Returns the facts read."""
    for table in MIRROR_TABLES:
        connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608  # names from the list above
    rows = connection.exec_driver_sql(
        "SELECT kind, version, body, wall_ms, position FROM journal ORDER BY position"
    ).fetchall()
    mention(connection, ((row[4], row[2]) for row in rows))
    for kind, version, body, wall_ms, _ in rows:
        project(connection, codec.decode(kind, version, body), wall_ms)
    return len(rows)


def _nothing(fact: f.Fact, wall_ms: int) -> Iterator[Statement]:
    return iter(())


def _started(fact: f.SiteStarted, wall_ms: int) -> Iterator[Statement]:
    yield (
        "INSERT INTO starts (boot_id, started_ms, dark_from_ms, clean, software) VALUES (?, ?, ?, ?, ?)",
        (fact.boot_id, fact.dark_to_ms, fact.dark_from_ms, int(fact.clean), fact.software),
    )


def _tariff(fact: f.TariffApplied, wall_ms: int) -> Iterator[Statement]:
    yield (
        "INSERT INTO tariffs (tariff, effective_from_ms, body, source) VALUES (?, ?, ?, ?) ON CONFLICT (tariff) DO UPDATE"
        " SET effective_from_ms = excluded.effective_from_ms, body = excluded.body, source = excluded.source",
        (fact.tariff, fact.effective_from_ms, fact.body, fact.source),
    )


def _adjusted(fact: f.CountAdjusted, wall_ms: int) -> Iterator[Statement]:
    yield _COUNT, (fact.area, 0, 0, fact.delta)


def _device(fact: f.DeviceLost | f.DeviceBack, wall_ms: int) -> Iterator[Statement]:
    why = fact.why if isinstance(fact, f.DeviceLost) else ""
    yield (
        "INSERT INTO devices (device, up, why, since_ms) VALUES (?, ?, ?, ?) ON CONFLICT (device) DO UPDATE SET"
        " up = excluded.up, why = excluded.why, since_ms = excluded.since_ms",
        (fact.device, int(isinstance(fact, f.DeviceBack)), why, wall_ms),
    )


def _office_lost(fact: f.OfficeLost, wall_ms: int) -> Iterator[Statement]:
    yield "INSERT OR REPLACE INTO office_lost (one, why, since_ms) VALUES (1, ?, ?)", (fact.why, fact.lost_ms)


def _office_back(fact: f.OfficeBack, wall_ms: int) -> Iterator[Statement]:
    yield "DELETE FROM office_lost", ()


def _issued(fact: f.TicketIssued, wall_ms: int) -> Iterator[Statement]:
    yield (
        "INSERT INTO tickets (ticket, counter, state, lane, area, spot, vehicle_type, spot_type, tariff, issued_ms,"
        " time_quality, demand_percent, demand_taken, demand_spots)"
        " VALUES (?, ?, 'issued', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            fact.ticket,
            fact.counter,
            fact.lane,
            fact.area,
            fact.spot,
            fact.vehicle_type,
            fact.spot_type,
            fact.tariff,
            fact.issued_ms,
            fact.time_quality.value,
            fact.demand_percent,
            fact.demand_taken,
            fact.demand_spots,
        ),
    )


def _learned(fact: f.TicketLearned, wall_ms: int) -> Iterator[Statement]:
    yield (
        "INSERT INTO tickets (ticket, counter, state, lane, area, vehicle_type, tariff, issued_ms, time_quality, taken,"
        " entered_ms, verified, learned) VALUES (?, ?, 'inside', ?, ?, ?, ?, ?, 'free-running', 1, ?, 0, 1)",
        (
            fact.ticket,
            fact.counter,
            fact.lane,
            fact.area,
            fact.vehicle_type,
            fact.tariff,
            fact.issued_ms,
            fact.issued_ms,
        ),
    )


def _taken(fact: f.TicketTaken, wall_ms: int) -> Iterator[Statement]:
    yield "UPDATE tickets SET taken = 1 WHERE ticket = ?", (fact.ticket,)


def _voided(fact: f.TicketVoided, wall_ms: int) -> Iterator[Statement]:
    yield "UPDATE tickets SET state = 'void', void_reason = ? WHERE ticket = ?", (fact.reason.value, fact.ticket)


def _entered(fact: f.VehicleEntered, wall_ms: int) -> Iterator[Statement]:
    yield (
        "UPDATE tickets SET state = 'inside', entered_ms = ?, taken = 1, verified = ?, exception = ? WHERE ticket = ?",
        (fact.entered_ms, int(fact.verified), int(fact.exception), fact.ticket),
    )
    yield _COUNT_OF_TICKET, (1, 0, 0, fact.ticket)


def _reversed(fact: f.EntryReversed, wall_ms: int) -> Iterator[Statement]:
    yield "UPDATE tickets SET state = 'void', void_reason = 'reversed' WHERE ticket = ?", (fact.ticket,)
    yield _COUNT_OF_TICKET, (-1, 0, 0, fact.ticket)


def _spent(fact: f.TicketSpent, wall_ms: int) -> Iterator[Statement]:
    yield (
        "UPDATE tickets SET state = 'spent', vend = ?, exit_lane = ? WHERE ticket = ?",
        (fact.vend, fact.lane, fact.ticket),
    )


def _returned(fact: f.TicketReturned, wall_ms: int) -> Iterator[Statement]:
    yield "UPDATE tickets SET state = 'inside', vend = NULL, exit_lane = NULL WHERE ticket = ?", (fact.ticket,)


def _exited(fact: f.VehicleExited, wall_ms: int) -> Iterator[Statement]:
    if fact.ticket is None:
        yield _COUNT, (fact.area, 0, 1, 0)
        return
    yield (
        "UPDATE tickets SET state = 'exited', exited_ms = ?, exit_lane = ?, verified = verified * ? WHERE ticket = ?",
        (fact.exited_ms, fact.lane, int(fact.verified), fact.ticket),
    )
    yield _COUNT_OF_TICKET, (0, 1, 0, fact.ticket)


def _moved(fact: f.VehicleMoved, wall_ms: int) -> Iterator[Statement]:
    if fact.ticket is not None:
        yield (
            "UPDATE tickets SET state = 'inside', vend = NULL, exit_lane = NULL, area = ?, spot = ?, spot_type = ?,"
            " verified = verified * ? WHERE ticket = ?",
            (fact.area, fact.spot, fact.spot_type, int(fact.verified), fact.ticket),
        )
    if fact.from_area != fact.area:
        yield _COUNT, (fact.from_area, 0, 1, 0)
        yield _COUNT, (fact.area, 1, 0, 0)


def _lost(fact: f.TicketLostDeclared, wall_ms: int) -> Iterator[Statement]:
    yield (
        "UPDATE tickets SET state = 'inside', taken = 1, lost = ?, issued_ms = coalesce(?, issued_ms),"
        " entered_ms = coalesce(?, issued_ms) WHERE ticket = ?",
        (int(fact.ticket is None and fact.entered_ms is None), fact.entered_ms, fact.entered_ms, fact.replacement),
    )
    if fact.ticket is not None:
        yield (
            "UPDATE tickets SET (issued_ms, time_quality, entered_ms, tariff, paid_minor, last_paid_ms, demand_percent,"
            " demand_taken, demand_spots) = (SELECT issued_ms, time_quality, entered_ms, tariff, paid_minor, last_paid_ms,"
            " demand_percent, demand_taken, demand_spots FROM tickets WHERE ticket = ?) WHERE ticket = ?",
            (fact.ticket, fact.replacement),
        )
        yield _STATE, ("lost", fact.ticket)
    if fact.spot is not None:
        yield (
            "UPDATE tickets SET spot = ?, spot_type = ? WHERE ticket = ?",
            (fact.spot, fact.spot_type, fact.replacement),
        )


def _written_off(fact: f.TicketWrittenOff, wall_ms: int) -> Iterator[Statement]:
    if fact.counted:
        yield (
            "INSERT INTO counts (area, adjusted) SELECT area, -1 FROM tickets WHERE ticket = ? AND state <> 'issued'"
            " ON CONFLICT (area) DO UPDATE SET adjusted = adjusted + excluded.adjusted",
            (fact.ticket,),
        )
    yield _STATE, ("written-off", fact.ticket)


def _vend_intended(fact: f.VendIntended, wall_ms: int) -> Iterator[Statement]:
    yield (
        "INSERT INTO vends (vend, lane, cause, ticket, state, at_ms) VALUES (?, ?, ?, ?, 'intended', ?)",
        (fact.vend, fact.lane, fact.cause, fact.ticket, wall_ms),
    )


def _vend(state: str) -> Callable[[Any, int], Iterator[Statement]]:
    def change(fact: Any, wall_ms: int) -> Iterator[Statement]:
        yield (
            "UPDATE vends SET state = ? WHERE vend = ? AND state NOT IN ('failed', 'closed')",
            (state, fact.vend),
        )

    return change


def _mode(fact: f.LaneModeChanged, wall_ms: int) -> Iterator[Statement]:
    yield (
        "INSERT INTO lanes (lane, mode, who, why) VALUES (?, ?, ?, ?) ON CONFLICT (lane) DO UPDATE SET"
        " mode = excluded.mode, who = excluded.who, why = excluded.why",
        (fact.lane, fact.mode, fact.who, fact.why),
    )


def _faulted(fact: f.LaneFaulted, wall_ms: int) -> Iterator[Statement]:
    yield (
        "INSERT INTO lane_faults (lane, fault, detail, since_ms) VALUES (?, ?, ?, ?) ON CONFLICT (lane, fault) DO UPDATE SET"
        " detail = excluded.detail",
        (fact.lane, fact.fault.value, fact.detail, wall_ms),
    )


def _cleared(fact: f.LaneCleared, wall_ms: int) -> Iterator[Statement]:
    yield "DELETE FROM lane_faults WHERE lane = ? AND fault = ?", (fact.lane, fact.fault.value)


def _payment_started(fact: f.PaymentStarted, wall_ms: int) -> Iterator[Statement]:
    yield (
        "INSERT INTO payments (payment, ticket, state, method, amount_minor, currency, till)"
        " VALUES (?, ?, 'PENDING', ?, ?, ?, ?)",
        (fact.payment, fact.ticket, fact.method, fact.amount_minor, fact.currency, fact.till),
    )


def _payment_taken(fact: f.PaymentTaken, wall_ms: int) -> Iterator[Statement]:
    lines = json.dumps(
        [[line.text, line.amount_minor] for line in fact.lines], ensure_ascii=False, separators=(",", ":")
    )
    yield "DELETE FROM payments WHERE payment = ? AND state = 'PENDING'", (fact.payment,)
    yield (
        "INSERT INTO payments (payment, ticket, state, method, amount_minor, currency, tendered_minor, change_minor,"
        " due_minor, tariff, lines, till, paid_by, series, receipt, paid_ms, auth_code, masked, terminal_ref, kept_minor,"
        " offline) VALUES (?, ?, 'COMPLETED', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            fact.payment,
            fact.ticket,
            fact.method,
            fact.amount_minor,
            fact.currency,
            fact.tendered_minor,
            fact.change_minor,
            fact.due_minor,
            fact.tariff,
            lines,
            fact.till,
            fact.by,
            fact.series,
            fact.receipt,
            fact.paid_ms,
            fact.auth_code,
            fact.masked,
            fact.terminal_ref,
            fact.kept_minor,
            int(fact.offline),
        ),
    )
    yield (
        "INSERT INTO receipts (series, receipt, payment) VALUES (?, ?, ?)",
        (fact.series, fact.receipt, fact.payment),
    )
    yield (
        "UPDATE tickets SET paid_minor = paid_minor + ?, last_paid_ms = ? WHERE ticket = ?",
        (fact.amount_minor, fact.paid_ms, fact.ticket),
    )


def _payment_failed(fact: f.PaymentFailed, wall_ms: int) -> Iterator[Statement]:
    yield (
        "UPDATE payments SET state = 'FAILED', outcome = ? WHERE payment = ? AND state = 'PENDING'",
        (f"{fact.outcome}: {fact.why}".rstrip(": "), fact.payment),
    )


def _payment_refunded(fact: f.PaymentRefunded, wall_ms: int) -> Iterator[Statement]:
    yield (
        "UPDATE payments SET refunded_minor = refunded_minor + ?, state = CASE WHEN refunded_minor + ? = amount_minor"
        " THEN 'REFUNDED' ELSE state END WHERE payment = ?",
        (fact.amount_minor, fact.amount_minor, fact.payment),
    )
    yield (
        "INSERT INTO receipts (series, receipt, payment) VALUES (?, ?, ?)",
        (fact.series, fact.receipt, fact.refund),
    )
    yield "UPDATE tickets SET paid_minor = paid_minor - ? WHERE ticket = ?", (fact.amount_minor, fact.ticket)


_PROJECT: Final[Mapping[type[f.Fact], Callable[[Any, int], Iterator[Statement]]]] = {
    f.SiteStarted: _started,
    f.SiteStopped: _nothing,
    f.ClockStepped: _nothing,
    f.TariffApplied: _tariff,
    f.CountAdjusted: _adjusted,
    f.DeviceLost: _device,
    f.DeviceBack: _device,
    f.OfficeLost: _office_lost,
    f.OfficeBack: _office_back,
    f.CommandDone: _nothing,
    f.CommandRefused: _nothing,
    f.TicketIssued: _issued,
    f.TicketLearned: _learned,
    f.TicketTaken: _taken,
    f.TicketVoided: _voided,
    f.VehicleEntered: _entered,
    f.EntryReversed: _reversed,
    f.TicketSpent: _spent,
    f.TicketReturned: _returned,
    f.VehicleExited: _exited,
    f.VehicleMoved: _moved,
    f.TicketLostDeclared: _lost,
    f.TicketWrittenOff: _written_off,
    f.CodeRefused: _nothing,
    f.PassageObserved: _nothing,
    f.VendIntended: _vend_intended,
    f.VendConfirmed: _vend("confirmed"),
    f.VendUnknown: _vend("unknown"),
    f.VendFailed: _vend("failed"),
    f.VendClosed: _vend("closed"),
    f.OpenedByHand: _nothing,
    f.LaneModeChanged: _mode,
    f.LaneFaulted: _faulted,
    f.LaneCleared: _cleared,
    f.PaymentStarted: _payment_started,
    f.PaymentTaken: _payment_taken,
    f.PaymentFailed: _payment_failed,
    f.PaymentRefunded: _payment_refunded,
}
assert set(_PROJECT) == set(f.FACTS), "every fact of lanes and site is projected, or named as changing no row"
