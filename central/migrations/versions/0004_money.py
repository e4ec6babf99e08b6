"""What a machine kept because it could not give change, and what a terminal approved without its issuer.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE payments ADD COLUMN kept_minor BIGINT NOT NULL DEFAULT 0")
    op.execute("ALTER TABLE payments ADD COLUMN offline BOOLEAN NOT NULL DEFAULT false")
    op.execute("ALTER TABLE payments ALTER COLUMN kept_minor DROP DEFAULT, ALTER COLUMN offline DROP DEFAULT")


def downgrade() -> None:
    op.execute("ALTER TABLE payments DROP COLUMN kept_minor, DROP COLUMN offline")
