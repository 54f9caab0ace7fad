"""What became of alerts: who has seen which, and which were sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert_notice",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger()),
        sa.Column("seen_by", sa.String(), nullable=False),
        sa.Column("sent_at_ms", sa.BigInteger()),
        sa.Column("taken_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("key"),
    )
