"""Spend that somebody else summed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('metered_spend',
    sa.Column('row_hash', sa.LargeBinary(length=16), autoincrement=False, nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('day', sa.Integer(), nullable=False),
    sa.Column('starts_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('ends_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('provider_name', sa.String(), nullable=False),
    sa.Column('model', sa.String(), nullable=False),
    sa.Column('meter', sa.String(), nullable=False),
    sa.Column('account', sa.String(), nullable=False),
    sa.Column('requests', sa.BigInteger(), nullable=True),
    sa.Column('input_tokens', sa.BigInteger(), nullable=True),
    sa.Column('output_tokens', sa.BigInteger(), nullable=True),
    sa.Column('cache_read_input_tokens', sa.BigInteger(), nullable=True),
    sa.Column('cache_write_input_tokens', sa.BigInteger(), nullable=True),
    sa.Column('reasoning_output_tokens', sa.BigInteger(), nullable=True),
    sa.Column('list_cost_nusd', sa.BigInteger(), nullable=True),
    sa.Column('reported_cost_nusd', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('row_hash'),
    sqlite_with_rowid=False
    )
