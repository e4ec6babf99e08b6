"""The office's tables. Every one that grows has `site_id` first in its key, so that a site can move to another machine.

Rule 1: `journal` and `duplicates` hold what was sent, byte for byte; no domain constraint stands on them.
Rule 2: what is marked PROJECTION is made from them by central.db.projection and can be made again.
Rule 3: `_ms` is UTC milliseconds as the site said; `_at` the office's own clock; `_minor` minor units of `currency`.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from gatectl.domain import rows
from gatectl.domain.records import registry

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)


def _site(*, references: bool = False) -> Column[str]:
    if references:
        return Column("site_id", Text, ForeignKey("sites.site_id"), primary_key=True)
    return Column("site_id", Text, primary_key=True)


def _key(name: str, kind: type = Text) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null)


def _whole(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _at(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=null, server_default=None if null else func.now())


def _sent() -> tuple[Column[Any], ...]:
    """The columns of a record as it was sent."""
    return (
        _key("generation", BigInteger),
        _key("seq", BigInteger),
        _text("fact_id"),
        _whole("wall_ms"),
        _text("quality"),
        _text("boot_id"),
        _whole("mono_ms"),
        _text("kind"),
        _whole("version"),
        Column("body", LargeBinary, nullable=False),
        Column("head", LargeBinary, nullable=False),
        _at("received_at"),
    )


sites = Table(
    "sites",
    metadata,
    _site(),
    _text("name"),
    _text("installation", null=True),  # None until a site enrols
    _whole("generation"),
    Column("rotate", Boolean, nullable=False, server_default=text("false")),
    _at("created_at"),
)
site_credentials = Table(
    "site_credentials",
    metadata,
    _site(references=True),
    Column("hash", LargeBinary, primary_key=True),  # SHA-256 of a 256-bit random token
    _at("created_at"),
    _at("revoked_at", null=True),
)
enrolment_codes = Table(
    "enrolment_codes",
    metadata,
    _site(references=True),
    Column("hash", LargeBinary, primary_key=True),
    _at("created_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    _at("used_at", null=True),
)
positions = Table(
    "positions",
    metadata,
    _site(references=True),
    _key("generation", BigInteger),
    _whole("seq"),  # the high-water mark; 0: nothing yet
    Column("head", LargeBinary, nullable=False),
    _text("reason"),  # why this generation began
    _at("created_at"),
    _at("updated_at"),
)
journal = Table(
    "journal",
    metadata,
    _site(),
    *_sent(),
    UniqueConstraint("site_id", "fact_id"),
    postgresql_partition_by="HASH (site_id)",
)
duplicates = Table(
    "duplicates",
    metadata,
    _site(),
    *_sent(),
    _flag("same"),  # False: it differs from the fact that carries this id; that is a conflict, and parked
)
"""Facts that were sent again, mostly under a new generation. A chain runs through journal and duplicates together."""
parked = Table(
    "parked",
    metadata,
    _site(),
    _key("generation", BigInteger),
    _key("seq", BigInteger),
    _text("fact_id"),
    _text("kind"),
    _whole("version"),
    _key("ticket"),  # the one that it holds up; empty: none
    _text("why"),
    _text("detail"),
    _at("raised_at"),
    Index(None, "site_id", "ticket"),
)
"""PROJECTION, but for `why` = conflict: what the office could not digest."""

tickets = Table(
    "tickets",
    metadata,
    _site(),
    _key("ticket"),
    _whole("counter"),
    _text("state"),
    _text("lane"),
    _text("area"),
    _text("spot", null=True),
    _text("vehicle_type"),
    _text("spot_type", null=True),
    _text("tariff"),
    _whole("issued_ms"),
    _whole("entered_ms", null=True),
    _flag("verified"),
    _flag("exception"),
    _text("exit_lane", null=True),
    _whole("exited_ms", null=True),
    _text("void_reason", null=True),
    _whole("paid_minor"),
    _text("currency", null=True),
    _whole("demand_percent"),
    _whole("demand_taken", null=True),
    _whole("demand_spots", null=True),
    Index(None, "site_id", "state"),
)
"""PROJECTION."""
payments = Table(
    "payments",
    metadata,
    _site(),
    _key("payment"),
    _text("ticket"),
    _text("state"),  # pending, completed, failed, refunded
    _text("method"),
    _whole("amount_minor"),
    _whole("refunded_minor"),
    _text("currency"),
    _whole("tendered_minor"),
    _whole("change_minor"),
    _whole("due_minor"),
    _text("tariff"),
    Column("lines", JSONB, nullable=False),
    _text("till"),
    _text("paid_by"),
    _text("series", null=True),
    _whole("receipt", null=True),
    _whole("paid_ms", null=True),
    _text("auth_code"),
    _text("masked"),
    _text("terminal_ref"),
    _text("outcome"),  # why it failed
    _whole("kept_minor"),
    _flag("offline"),
    Index(None, "site_id", "ticket"),
)
"""PROJECTION."""
vends = Table(
    "vends",
    metadata,
    _site(),
    _key("vend"),
    _text("lane"),
    _text("cause"),
    _text("ticket", null=True),
    _text("state"),  # intended, confirmed, unknown, failed, closed
    _whole("at_ms"),
)
"""PROJECTION."""
lanes = Table("lanes", metadata, _site(), _key("lane"), _text("mode"), _text("who"), _text("why"), _whole("since_ms"))
"""PROJECTION."""
occupancy = Table("occupancy", metadata, _site(), _key("area"), _whole("entered"), _whole("exited"), _whole("adjusted"))
"""PROJECTION."""
alarms = Table(
    "alarms",
    metadata,
    _site(),
    _key("source"),  # lane, device: from facts (PROJECTION). sync: raised by the office itself
    _key("subject"),
    _key("code"),
    _text("detail"),
    _flag("open"),
    _whole("times"),
    _whole("since_ms"),
)

vitals = Table(
    "vitals",
    metadata,
    _site(references=True),
    _at("contact_at"),
    _text("software"),
    Column("body", JSONB, nullable=True),  # the newest gatectl.vitals
    _at("received_at", null=True),
)
feed_counters = Table(
    "feed_counters",
    metadata,
    _site(references=True),
    _whole("epoch"),
    _whole("seq"),
)
"""The feed's cursor: updated, hence locked, in the transaction that writes the row, so that order is commit order."""
feed = Table(
    "feed",
    metadata,
    _site(),
    _key("seq", BigInteger),
    _text("kind"),
    _text("key"),
    Column("body", JSONB(none_as_null=True), nullable=True),
    _at("created_at"),
)
commands = Table(
    "commands",
    metadata,
    _site(),
    _key("command"),
    _text("verb"),
    Column("args", JSONB, nullable=False),
    _text("person"),
    _text("reason"),
    _text("state"),  # requested, sent, done, refused, expired
    _text("answer"),
    _at("created_at"),
    Column("deadline_at", DateTime(timezone=True), nullable=False),
    _at("sent_at", null=True),
    _at("closed_at", null=True),
    Index("ix_commands_waiting", "site_id", postgresql_where=text("state IN ('requested', 'sent')")),
)


def _of_the_business(table: rows.Table) -> Table:
    """A table of gatectl.domain.records as the office holds it: the site's id before the key, nothing else added."""
    kinds = {str: Text, int: BigInteger, bool: Boolean}
    held: list[Column[Any]] = [
        Column(column.name, kinds[column.kind], primary_key=True, autoincrement=False)
        if column.name in table.key
        else Column(column.name, kinds[column.kind], nullable=column.null)
        for column in table.columns
    ]
    return Table(table.name, metadata, _site(), *held)


business: Final = {table.name: _of_the_business(table) for table in registry.TABLES}
"""PROJECTION. The same rows as in the site's mirror."""
