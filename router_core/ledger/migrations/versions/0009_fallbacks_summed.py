"""Fall-backs summed by day: what failed, what stepped in for it, why, how long it took and what it cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KEYS = ("day", "feature_id", "tier_id", "model_id", "kind", "status", "why_id")
_SUMS = ("attempts", "unpriced_attempts", "latency_ms", "list_cost_nusd")


def upgrade() -> None:
    small = ("kind", "status")
    op.create_table(
        "fallback_cell",
        *(
            sa.Column(key, sa.SmallInteger() if key in small else sa.Integer(), autoincrement=False, nullable=False)
            for key in _KEYS
        ),
        *(sa.Column(column, sa.BigInteger(), nullable=False) for column in _SUMS),
        sa.PrimaryKeyConstraint(*_KEYS),
        sqlite_with_rowid=False,
    )
    # Days whose rows are in an archive alone keep the sums they have: bringing all of them back would cost too much.
    op.execute(
        "INSERT INTO dirty_day (day, generation) SELECT DISTINCT day, 1 FROM spend_cell "
        "WHERE (failed_attempts > 0 OR failovers > 0 OR escalations > 0) "
        "AND day NOT IN (SELECT day FROM dirty_day) AND day NOT IN (SELECT day FROM archived_day WHERE pruned = 1)"
    )
