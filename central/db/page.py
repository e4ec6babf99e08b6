"""The rows that a batch of facts touches, while it is folded over them."""

from dataclasses import dataclass, field
from typing import Any

from gatectl.domain.rows import Change

Row = dict[str, Any]


class Park(Exception):  # carries the reason to the one place that parks
    def __init__(self, why: str, detail: str) -> None:
        super().__init__(detail)
        self.why, self.detail = why, detail


@dataclass(slots=True)
class Rows:
    """Rows of one table by key: those loaded, those changed."""

    known: dict[str, Row]
    changed: dict[str, Row] = field(default_factory=dict)

    def put(self, key: str, row: Row) -> Row:
        self.known[key] = self.changed[key] = row
        return row

    def edit(self, key: str) -> Row:
        return self.put(key, self.known[key])


@dataclass(slots=True)
class Page:
    """What a batch reads and writes."""

    site: str
    tickets: Rows
    payments: Rows
    vends: Rows
    lanes: Rows
    areas: Rows
    alarms: Rows
    blocked: dict[str, str]
    """Tickets with a parked fact, and which."""
    commands: list[Row] = field(default_factory=list)
    business: list[Change] = field(default_factory=list)
    """What the facts of the business change, in order."""
    parked: list[Row] = field(default_factory=list)

    def ticket(self, number: str) -> Row:
        if number not in self.tickets.known:
            raise Park("unknown-ticket", f"no ticket {number} was ever issued or learned")
        return self.tickets.edit(number)

    def count(self, area: str, entered: int = 0, exited: int = 0, adjusted: int = 0) -> None:
        row = self.areas.known.get(area) or {
            "site_id": self.site, "area": area, "entered": 0, "exited": 0, "adjusted": 0
        }  # fmt: skip
        row["entered"] += entered
        row["exited"] += exited
        row["adjusted"] += adjusted
        self.areas.put(area, row)

    def alarm(self, source: str, subject: str, code: str, *, detail: str | None, at_ms: int) -> None:
        """Open an alarm, or close it with `detail` None."""
        key = f"{source}\n{subject}\n{code}"
        row = self.alarms.known.get(key)
        if detail is None:
            if row is not None:
                row["open"] = False
                self.alarms.put(key, row)
            return
        fresh = {
            "site_id": self.site,
            "source": source,
            "subject": subject,
            "code": code,
            "times": 0,
            "since_ms": at_ms,
        }
        row = row or {**fresh, "open": False}
        if not row["open"]:
            row["since_ms"] = at_ms
        self.alarms.put(key, row | {"open": True, "times": row["times"] + 1, "detail": detail})
