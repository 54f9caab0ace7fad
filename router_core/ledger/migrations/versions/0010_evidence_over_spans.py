"""Evidence summed over spans of days, so that months of it are read from few cells; the next rollup fills it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SMALL = ("score", "strategy", "reason", "kind")
_KEYS = ("span", "scorer_id", "feature_id", "score", "tier_id", "strategy", "reason", "kind", "model_id", "price_id")
_SUMS = (
    "decisions",
    "succeeded",
    "unpriced_decisions",
    "labelled",
    "quality_ppm_sum",
    "quality_ppm_squares",
    "inverse_propensity_ppm",
    "decision_cost_nusd",
    "decision_cost_udollar_squares",
    "attempts",
    "metered_attempts",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
    "input_squares",
    "output_squares",
    "input_output_products",
    "list_cost_nusd",
)


def upgrade() -> None:
    op.create_table(
        "evidence_span",
        *(
            sa.Column(key, sa.SmallInteger() if key in _SMALL else sa.Integer(), autoincrement=False, nullable=False)
            for key in _KEYS
        ),
        *(sa.Column(column, sa.BigInteger(), nullable=False) for column in _SUMS),
        sa.PrimaryKeyConstraint(*_KEYS),
        sqlite_with_rowid=False,
    )
