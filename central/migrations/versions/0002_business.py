"""The business: rows that gatectl.domain.records declares, a projection of each site's journal.

Revision ID: 0002
"""

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
"""


def upgrade() -> None:
    for statement in filter(str.strip, TABLES.split(";")):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE shifts")
