"""Jobs that priced history again, and what each call cost before, so that they can be undone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recost_job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("undone_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=False),
        sa.Column("last_day", sa.Integer(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("before_nusd", sa.BigInteger(), nullable=False),
        sa.Column("after_nusd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "recost_call",
        sa.Column("job_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("decision_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("seq", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("list_cost_nusd", sa.BigInteger(), nullable=True),
        sa.Column("price_id", sa.Integer(), nullable=True),
        sa.Column("decision_cost_nusd", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "decision_id", "seq"),
        sqlite_with_rowid=False,
    )
