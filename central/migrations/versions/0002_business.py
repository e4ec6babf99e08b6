"""The business: rows that gatectl.domain.records declares, a projection of each site's journal.

Revision ID: 0002
"""

import re

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE shifts (
    site_id TEXT NOT NULL,
    shift TEXT NOT NULL,
    till TEXT NOT NULL,
    opened_by TEXT NOT NULL,
    currency TEXT NOT NULL,
    float_minor BIGINT NOT NULL,
    opened_ms BIGINT NOT NULL,
    cash_minor BIGINT NOT NULL,
    payments BIGINT NOT NULL,
    closed_by TEXT,
    closed_ms BIGINT,
    counted_minor BIGINT,
    expected_minor BIGINT,
    CONSTRAINT pk_shifts PRIMARY KEY (site_id, shift)
);
CREATE TABLE passes (
    site_id TEXT NOT NULL,
    pass_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    contract TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    areas TEXT NOT NULL,
    hours TEXT NOT NULL,
    cars BIGINT NOT NULL,
    grace_days BIGINT NOT NULL,
    grace TEXT NOT NULL,
    antipassback TEXT NOT NULL,
    reentry_minutes BIGINT NOT NULL,
    credentials TEXT NOT NULL,
    source TEXT NOT NULL,
    withdrawn BOOLEAN NOT NULL,
    until_ms BIGINT,
    suspended_by TEXT,
    suspended_why TEXT,
    used_ms BIGINT,
    CONSTRAINT pk_passes PRIMARY KEY (site_id, pass_id)
);
CREATE TABLE pass_credentials (
    site_id TEXT NOT NULL,
    credential TEXT NOT NULL,
    pass_id TEXT NOT NULL,
    CONSTRAINT pk_pass_credentials PRIMARY KEY (site_id, credential)
);
CREATE TABLE pass_stays (
    site_id TEXT NOT NULL,
    ticket TEXT NOT NULL,
    pass_id TEXT NOT NULL,
    contract TEXT NOT NULL,
    credential TEXT NOT NULL,
    used_ms BIGINT NOT NULL,
    excess BOOLEAN NOT NULL,
    counted BOOLEAN NOT NULL,
    ended TEXT,
    CONSTRAINT pk_pass_stays PRIMARY KEY (site_id, ticket)
);
CREATE TABLE contracts (
    site_id TEXT NOT NULL,
    contract TEXT NOT NULL,
    name TEXT NOT NULL,
    cars BIGINT NOT NULL,
    excess TEXT NOT NULL,
    source TEXT NOT NULL,
    CONSTRAINT pk_contracts PRIMARY KEY (site_id, contract)
);
CREATE TABLE reservations (
    site_id TEXT NOT NULL,
    reservation TEXT NOT NULL,
    holder TEXT NOT NULL,
    area TEXT NOT NULL,
    spot_type TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    until_ms BIGINT NOT NULL,
    early_minutes BIGINT NOT NULL,
    late_minutes BIGINT NOT NULL,
    credentials TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    kept TEXT NOT NULL,
    sold TEXT NOT NULL,
    prepaid_minor BIGINT,
    ticket TEXT,
    used_ms BIGINT,
    closed_ms BIGINT,
    CONSTRAINT pk_reservations PRIMARY KEY (site_id, reservation)
);
CREATE TABLE reservation_credentials (
    site_id TEXT NOT NULL,
    credential TEXT NOT NULL,
    reservation TEXT NOT NULL,
    CONSTRAINT pk_reservation_credentials PRIMARY KEY (site_id, credential)
);
CREATE TABLE quotas (
    site_id TEXT NOT NULL,
    area TEXT NOT NULL,
    spot_type TEXT NOT NULL,
    spots BIGINT NOT NULL,
    source TEXT NOT NULL,
    CONSTRAINT pk_quotas PRIMARY KEY (site_id, area, spot_type)
);
CREATE TABLE generations (
    site_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    reason TEXT NOT NULL,
    noted_ms BIGINT NOT NULL,
    CONSTRAINT pk_generations PRIMARY KEY (site_id, generation)
);
CREATE TABLE histories_gone (
    site_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    noted_ms BIGINT NOT NULL,
    CONSTRAINT pk_histories_gone PRIMARY KEY (site_id, generation)
);
"""


def upgrade() -> None:
    for statement in filter(str.strip, TABLES.split(";")):
        op.execute(statement)


def downgrade() -> None:
    for name in reversed(re.findall(r"CREATE TABLE (\w+)", TABLES)):
        op.execute(f"DROP TABLE {name}")
