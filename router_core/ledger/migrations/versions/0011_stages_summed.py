"""Decisions summed by the stage that scored them: their share, how good they were, and what scoring them took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_KEYS = ("day", "feature_id", "stage_id", "reason")
_SUMS = ("decisions", "labelled", "quality_ppm_sum", "calls", "unpriced_calls", "latency_ms", "list_cost_nusd")


def upgrade() -> None:
    op.create_table(
        "stage_cell",
        *(
            sa.Column(key, sa.SmallInteger() if key == "reason" else sa.Integer(), autoincrement=False, nullable=False)
            for key in _KEYS
        ),
        *(sa.Column(column, sa.BigInteger(), nullable=False) for column in _SUMS),
        sa.PrimaryKeyConstraint(*_KEYS),
        sqlite_with_rowid=False,
    )
    # Days whose rows are in an archive alone have none of these sums: bringing all of them back would cost too much.
    op.execute(
        "INSERT INTO dirty_day (day, generation) SELECT DISTINCT day, 1 FROM spend_cell "
        "WHERE day NOT IN (SELECT day FROM dirty_day) AND day NOT IN (SELECT day FROM archived_day WHERE pruned = 1)"
    )
