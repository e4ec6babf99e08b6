"""What demand made of a ticket's price, fixed at entry, and the counts that justify it.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE tickets ADD COLUMN demand_percent BIGINT NOT NULL DEFAULT 100")
    op.execute("ALTER TABLE tickets ALTER COLUMN demand_percent DROP DEFAULT")
    op.execute("ALTER TABLE tickets ADD COLUMN demand_taken BIGINT, ADD COLUMN demand_spots BIGINT")


def downgrade() -> None:
    op.execute("ALTER TABLE tickets DROP COLUMN demand_percent, DROP COLUMN demand_taken, DROP COLUMN demand_spots")
