"""Days kept in an archive, and whether their rows are still here too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "archived_day",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("archived_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("pruned", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day"),
    )
