"""The mirror's rows as the core's books, at start. The journal is the truth; the mirror is how fast one gets to it."""

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from gatectl.domain import facts as f
from gatectl.domain.books import (
    CLOSED_KEPT_MAX,
    PAYMENTS_KEPT_MAX,
    REFUNDS_KEPT_MAX,
    Books,
    Count,
    OpenVend,
    Payment,
    Stay,
)
from gatectl.domain.ids import AreaId, LaneId, PaymentId, TicketNumber, TimeQuality, VendId
from gatectl.domain.plan import SitePlan
from gatectl.domain.records import registry
from gatectl.domain.spots import SpotIndex
from gatectl.domain.tariff_demand import fixed_of
from gatectl.domain.tickets import TicketState
from gatectl.store import rows

PAYMENT_COLUMNS: Final = (
    "payment, ticket, method, amount_minor, currency, tendered_minor, change_minor, due_minor, tariff, lines, till,"
    ' paid_by AS "by", series, receipt, paid_ms, auth_code, masked, terminal_ref, kept_minor, offline'
)
_OPEN: Final = "('issued','inside','spent')"
_OPEN_TICKETS: Final = f"SELECT ticket FROM tickets WHERE state IN {_OPEN}"  # noqa: S608  # a constant


def taken_of(row: Mapping[str, Any]) -> f.PaymentTaken:
    """The fact behind a completed payment's row, with the columns of PAYMENT_COLUMNS."""
    lines = json.loads(row["lines"]) if isinstance(row["lines"], str) else row["lines"]
    return f.PaymentTaken(
        **{
            **{name: row[name] for name in row if name != "lines"},
            "offline": bool(row["offline"]),
            "lines": tuple(f.Line(text, amount) for text, amount in lines),
        }
    )


def load_books(connection: Connection, plan: SitePlan) -> Books:
    """Books that hold what the mirror holds; a spot that is no longer in the plan stays its ticket's and is not counted."""
    books = Books(
        spots=SpotIndex(plan.spots, plan.compatible, plan.rules),
        lane_areas={lane.lane: lane.area for lane in plan.lanes},
    )
    _load_tickets(connection, books)
    _load_money(connection, books)
    _load_lanes(connection, books)
    for table in registry.TABLES:
        books.tables.load(table, rows.read(connection, table))
    books.place_all()
    return books


def _rows(connection: Connection, sql: str, *values: object) -> list[Any]:
    return list(connection.exec_driver_sql(sql, values).fetchall())


def _load_tickets(connection: Connection, books: Books) -> None:
    attempts = dict(
        _rows(
            connection,
            f"SELECT ticket, count(*) FROM payments WHERE ticket IN ({_OPEN_TICKETS}) GROUP BY ticket",  # noqa: S608  # a constant
        )
    )
    for row in _rows(
        connection,
        "SELECT ticket, state, area, spot, vehicle_type, tariff, issued_ms, entered_ms, taken, paid_minor, last_paid_ms, vend,"  # noqa: S608  # a constant
        " lost, time_quality, spot_type, demand_percent, demand_taken, demand_spots FROM tickets"
        f" WHERE state IN {_OPEN} ORDER BY counter",  # a constant
    ):
        ticket, state, area, spot, vehicle, tariff, issued, entered, taken, paid, last_paid, vend, lost, quality = row[
            :14
        ]
        books.stays[TicketNumber(ticket)] = Stay(
            TicketNumber(ticket),
            TicketState(state),
            AreaId(area),
            spot,
            vehicle,
            tariff,
            issued,
            entered,
            bool(taken),
            paid,
            last_paid,
            attempts.get(ticket, 0),
            vend,
            time_known=quality != TimeQuality.UNSET.value,
            lost=bool(lost),
            spot_type=row[14],
            fixed=fixed_of(*row[15:]),
        )
    closed = _rows(
        connection,
        f"SELECT ticket, state FROM tickets WHERE state NOT IN {_OPEN} ORDER BY issued_ms DESC LIMIT ?",  # noqa: S608  # a constant
        CLOSED_KEPT_MAX,
    )
    books.closed.update((TicketNumber(ticket), TicketState(state)) for ticket, state in reversed(closed))
    books.counter = _rows(connection, "SELECT coalesce(max(counter), 0) FROM tickets WHERE learned = 0")[0][0]
    books.tags = dict(
        _rows(
            connection,
            "SELECT substr(ticket, instr(ticket, '-') + 1) AS tag, max(counter) FROM tickets WHERE learned = 0 GROUP BY tag",
        )
    )
    books.learned = {
        TicketNumber(ticket) for (ticket,) in _rows(connection, "SELECT ticket FROM tickets WHERE learned = 1")
    }


def _load_money(connection: Connection, books: Books) -> None:
    recent = _rows(
        connection,
        f"SELECT {PAYMENT_COLUMNS}, state, refunded_minor FROM payments WHERE state = 'PENDING'"  # noqa: S608  # a constant
        f" OR ticket IN ({_OPEN_TICKETS}) OR payment IN (SELECT payment FROM payments"
        " WHERE state IN ('COMPLETED', 'REFUNDED') ORDER BY paid_ms DESC LIMIT ?) ORDER BY paid_ms",
        PAYMENTS_KEPT_MAX,
    )
    for row in recent:
        columns = dict(row._mapping)  # SQLAlchemy's public name for it
        state, refunded = columns.pop("state"), columns.pop("refunded_minor")
        payment, ticket = PaymentId(columns["payment"]), TicketNumber(columns["ticket"])
        taken = taken_of(columns) if columns["paid_ms"] is not None else None
        books.payments[payment] = Payment(
            payment, ticket, columns["method"], columns["amount_minor"], state, taken, refunded
        )
    for row in _rows(
        connection,
        "SELECT * FROM (SELECT payment, refund, ticket, amount_minor, currency, refunded_by, reason, series, receipt, method,"
        " till, refunded_ms, terminal_ref FROM refunds ORDER BY refunded_ms DESC, refund DESC LIMIT ?)"
        " ORDER BY refunded_ms, refund",
        REFUNDS_KEPT_MAX,
    ):
        books.refunds[PaymentId(row.refund)] = f.PaymentRefunded(*row)
    books.receipts = dict(_rows(connection, "SELECT series, max(receipt) FROM receipts GROUP BY series"))
    for tariff, effective, body, source in _rows(
        connection, "SELECT tariff, effective_from_ms, body, source FROM tariffs"
    ):
        books.tariffs[tariff] = f.TariffApplied(tariff, effective, body, source)


def _load_lanes(connection: Connection, books: Books) -> None:
    books.vends_intended = _rows(connection, "SELECT count(*) FROM vends")[0][0]
    for vend, lane, cause, ticket, state in _rows(
        connection,
        "SELECT vend, lane, cause, ticket, state FROM vends WHERE state IN ('intended','confirmed','unknown') ORDER BY rowid",
    ):
        books.vends[VendId(vend)] = OpenVend(VendId(vend), LaneId(lane), cause, ticket, state)
    for lane, mode, who, why in _rows(connection, "SELECT lane, mode, who, why FROM lanes"):
        books.modes[LaneId(lane)] = f.LaneModeChanged(LaneId(lane), mode, who, why)
    for lane, fault, detail in _rows(connection, "SELECT lane, fault, detail FROM lane_faults"):
        books.faults[LaneId(lane), f.LaneFault(fault)] = detail
    for area, entered, exited, adjusted in _rows(connection, "SELECT area, entered, exited, adjusted FROM counts"):
        books.counts[AreaId(area)] = Count(entered, exited, adjusted)
    for device, why, since_ms in _rows(connection, "SELECT device, why, since_ms FROM devices WHERE up = 0"):
        books.devices_lost[device] = f.DeviceLost(device, why, since_ms)
    for why, since_ms in _rows(connection, "SELECT why, since_ms FROM office_lost"):
        books.office_lost = f.OfficeLost(why, since_ms)
