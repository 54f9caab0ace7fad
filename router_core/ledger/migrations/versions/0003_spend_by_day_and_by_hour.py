"""Spend by day, and apart from it by hour; cells are sums, so they are summed anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SUMS = (
    "decisions",
    "attempts",
    "failed_attempts",
    "priced_attempts",
    "unpriced_attempts",
    "estimated_attempts",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
    "list_cost_nusd",
    "reported_cost_nusd",
    "reported_attempts",
    "escalations",
    "failovers",
    "cache_hits",
    "labelled",
    "quality_ppm_sum",
)


def _create(name: str, *hour: sa.Column[int]) -> None:
    keys = [
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        *hour,
        sa.Column("team_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("feature_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tier_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
    ]
    op.create_table(
        name,
        *keys,
        *(sa.Column(column, sa.BigInteger(), nullable=False) for column in _SUMS),
        sa.PrimaryKeyConstraint(*(key.name for key in keys)),
        sqlite_with_rowid=False,
    )


def upgrade() -> None:
    op.execute(
        "INSERT INTO dirty_day (day, generation) SELECT DISTINCT day, 1 FROM spend_cell "
        "WHERE day NOT IN (SELECT day FROM dirty_day)"
    )
    op.drop_table("spend_cell")
    _create("spend_cell")
    _create("spend_hour_cell", sa.Column("hour", sa.SmallInteger(), autoincrement=False, nullable=False))
