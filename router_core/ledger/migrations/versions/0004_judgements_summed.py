"""Judgements summed by day: who judged what, the tiers people would have wanted, and how far sources agree."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _create(name: str, keys: tuple[str, ...], sums: tuple[str, ...]) -> None:
    small = ("reason", "source", "good", "person_good")
    op.create_table(
        name,
        *(
            sa.Column(key, sa.SmallInteger() if key in small else sa.Integer(), autoincrement=False, nullable=False)
            for key in keys
        ),
        *(sa.Column(column, sa.BigInteger(), nullable=False) for column in sums),
        sa.PrimaryKeyConstraint(*keys),
        sqlite_with_rowid=False,
    )


def upgrade() -> None:
    _create(
        "label_cell",
        ("day", "feature_id", "tier_id", "reason", "source", "needed_tier_id"),
        ("labels", "carried", "quality_ppm_sum", "quality_ppm_squares"),
    )
    _create(
        "agreement_cell",
        ("day", "feature_id", "tier_id", "source", "good", "person_good"),
        ("decisions", "quality_ppm_sum", "person_ppm_sum"),
    )
    op.execute(
        "INSERT INTO dirty_day (day, generation) SELECT DISTINCT day, 1 FROM spend_cell "
        "WHERE labelled > 0 AND day NOT IN (SELECT day FROM dirty_day)"
    )
