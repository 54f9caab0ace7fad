"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('attempt',
    sa.Column('decision_id', sa.LargeBinary(length=16), autoincrement=False, nullable=False),
    sa.Column('seq', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('kind', sa.SmallInteger(), nullable=False),
    sa.Column('tier_id', sa.Integer(), nullable=False),
    sa.Column('provider_id', sa.Integer(), nullable=False),
    sa.Column('model_id', sa.Integer(), nullable=False),
    sa.Column('status', sa.SmallInteger(), nullable=False),
    sa.Column('final', sa.SmallInteger(), nullable=False),
    sa.Column('why_id', sa.Integer(), nullable=False),
    sa.Column('offset_ms', sa.Integer(), nullable=False),
    sa.Column('latency_ms', sa.Integer(), nullable=False),
    sa.Column('latency_bin', sa.SmallInteger(), nullable=False),
    sa.Column('ttft_ms', sa.Integer(), nullable=True),
    sa.Column('input_tokens', sa.Integer(), nullable=True),
    sa.Column('output_tokens', sa.Integer(), nullable=True),
    sa.Column('cache_read_input_tokens', sa.Integer(), nullable=True),
    sa.Column('cache_write_input_tokens', sa.Integer(), nullable=True),
    sa.Column('reasoning_output_tokens', sa.Integer(), nullable=True),
    sa.Column('usage_source', sa.SmallInteger(), nullable=False),
    sa.Column('list_cost_nusd', sa.BigInteger(), nullable=True),
    sa.Column('reported_cost_nusd', sa.BigInteger(), nullable=True),
    sa.Column('price_id', sa.Integer(), nullable=True),
    sa.PrimaryKeyConstraint('decision_id', 'seq'),
    sqlite_with_rowid=False
    )
    op.create_table('budget_spend',
    sa.Column('scope', sa.String(), nullable=False),
    sa.Column('period_start', sa.String(), nullable=False),
    sa.Column('spent_nusd', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('reserved_nusd', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('alerted_ppm', sa.BigInteger(), server_default='0', nullable=False),
    sa.PrimaryKeyConstraint('scope', 'period_start')
    )
    op.create_table('captured_prompt',
    sa.Column('decision_id', sa.LargeBinary(length=16), autoincrement=False, nullable=False),
    sa.Column('expires_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('prompt', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('decision_id'),
    sqlite_with_rowid=False
    )
    op.create_table('config_version',
    sa.Column('version', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('created_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('author', sa.String(), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('config_json', sa.Text(), nullable=False),
    sa.Column('rollout', sa.String(), nullable=False),
    sa.Column('share_ppm', sa.Integer(), nullable=False),
    sa.Column('projection_json', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('version')
    )
    op.create_table('decision',
    sa.Column('id', sa.LargeBinary(length=16), autoincrement=False, nullable=False),
    sa.Column('decided_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('day', sa.Integer(), nullable=False),
    sa.Column('hour', sa.SmallInteger(), nullable=False),
    sa.Column('config_version', sa.Integer(), nullable=False),
    sa.Column('scorer_id', sa.Integer(), nullable=False),
    sa.Column('feature_id', sa.Integer(), nullable=False),
    sa.Column('team_id', sa.Integer(), nullable=False),
    sa.Column('user_tier_id', sa.Integer(), nullable=False),
    sa.Column('score', sa.SmallInteger(), nullable=True),
    sa.Column('stage_id', sa.Integer(), nullable=False),
    sa.Column('tier_id', sa.Integer(), nullable=False),
    sa.Column('reason', sa.SmallInteger(), nullable=False),
    sa.Column('propensity_ppm', sa.Integer(), nullable=False),
    sa.Column('strategy', sa.SmallInteger(), nullable=False),
    sa.Column('status', sa.SmallInteger(), nullable=False),
    sa.Column('attempts', sa.SmallInteger(), nullable=False),
    sa.Column('escalations', sa.SmallInteger(), nullable=False),
    sa.Column('failovers', sa.SmallInteger(), nullable=False),
    sa.Column('latency_ms', sa.Integer(), nullable=False),
    sa.Column('ttft_ms', sa.Integer(), nullable=True),
    sa.Column('expected_output_tokens', sa.Integer(), nullable=True),
    sa.Column('conversation_hash', sa.BigInteger(), nullable=True),
    sa.Column('prompt_hash', sa.BigInteger(), nullable=True),
    sa.Column('cost_nusd', sa.BigInteger(), nullable=True),
    sa.Column('quality_ppm', sa.Integer(), nullable=True),
    sa.Column('quality_source', sa.SmallInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sqlite_with_rowid=False
    )
    op.create_table('dimension',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('kind', 'name')
    )
    op.create_table('dirty_day',
    sa.Column('day', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('generation', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('day')
    )
    op.create_table('event',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.Column('who', sa.String(), nullable=False),
    sa.Column('what', sa.String(), nullable=False),
    sa.Column('detail', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_table('evidence_cell',
    sa.Column('day', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('scorer_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('feature_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('score', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('tier_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('strategy', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('reason', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('kind', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('model_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('price_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('decisions', sa.BigInteger(), nullable=False),
    sa.Column('succeeded', sa.BigInteger(), nullable=False),
    sa.Column('unpriced_decisions', sa.BigInteger(), nullable=False),
    sa.Column('labelled', sa.BigInteger(), nullable=False),
    sa.Column('quality_ppm_sum', sa.BigInteger(), nullable=False),
    sa.Column('quality_ppm_squares', sa.BigInteger(), nullable=False),
    sa.Column('inverse_propensity_ppm', sa.BigInteger(), nullable=False),
    sa.Column('decision_cost_nusd', sa.BigInteger(), nullable=False),
    sa.Column('decision_cost_udollar_squares', sa.BigInteger(), nullable=False),
    sa.Column('attempts', sa.BigInteger(), nullable=False),
    sa.Column('metered_attempts', sa.BigInteger(), nullable=False),
    sa.Column('input_tokens', sa.BigInteger(), nullable=False),
    sa.Column('output_tokens', sa.BigInteger(), nullable=False),
    sa.Column('cache_read_input_tokens', sa.BigInteger(), nullable=False),
    sa.Column('cache_write_input_tokens', sa.BigInteger(), nullable=False),
    sa.Column('reasoning_output_tokens', sa.BigInteger(), nullable=False),
    sa.Column('input_squares', sa.BigInteger(), nullable=False),
    sa.Column('output_squares', sa.BigInteger(), nullable=False),
    sa.Column('input_output_products', sa.BigInteger(), nullable=False),
    sa.Column('list_cost_nusd', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('day', 'scorer_id', 'feature_id', 'score', 'tier_id', 'strategy', 'reason', 'kind', 'model_id', 'price_id'),
    sqlite_with_rowid=False
    )
    op.create_table('gateway_key',
    sa.Column('key_hash', sa.LargeBinary(length=32), autoincrement=False, nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('team', sa.String(), nullable=False),
    sa.Column('features_json', sa.Text(), nullable=False),
    sa.Column('created_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('revoked_at_ms', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('key_hash')
    )
    op.create_table('latency_cell',
    sa.Column('day', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('tier_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('model_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('kind', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('attempts', sa.BigInteger(), nullable=False),
    sa.Column('histogram', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('day', 'tier_id', 'model_id', 'kind'),
    sqlite_with_rowid=False
    )
    op.create_table('meta',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('price',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('provider_name', sa.String(), nullable=False),
    sa.Column('model', sa.String(), nullable=False),
    sa.Column('layer', sa.String(), nullable=False),
    sa.Column('effective_from', sa.String(), nullable=False),
    sa.Column('processing', sa.String(), nullable=False),
    sa.Column('min_input_tokens', sa.Integer(), nullable=False),
    sa.Column('minute_from', sa.Integer(), nullable=True),
    sa.Column('minute_to', sa.Integer(), nullable=True),
    sa.Column('input_usd_per_mtok', sa.String(), nullable=True),
    sa.Column('output_usd_per_mtok', sa.String(), nullable=True),
    sa.Column('cache_read_usd_per_mtok', sa.String(), nullable=True),
    sa.Column('cache_write_usd_per_mtok', sa.String(), nullable=True),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('note', sa.String(), nullable=False),
    sa.Column('added_at_ms', sa.BigInteger(), server_default='0', nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('ix_price_provider_name', 'price', ['provider_name'], unique=False)

    op.create_table('quality_label',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('decision_id', sa.LargeBinary(length=16), nullable=False),
    sa.Column('labelled_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('source', sa.SmallInteger(), nullable=False),
    sa.Column('quality_ppm', sa.Integer(), nullable=False),
    sa.Column('needed_tier_id', sa.Integer(), nullable=True),
    sa.Column('author', sa.String(), nullable=False),
    sa.Column('note', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('ix_quality_label_decision_id', 'quality_label', ['decision_id'], unique=False)

    op.create_table('scorer',
    sa.Column('version', sa.String(), nullable=False),
    sa.Column('fitted_at_ms', sa.BigInteger(), nullable=False),
    sa.Column('artefact', sa.LargeBinary(), nullable=False),
    sa.Column('skill_json', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('version')
    )
    op.create_table('spend_cell',
    sa.Column('day', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('hour', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('team_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('feature_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('tier_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('model_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('status', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('kind', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('decisions', sa.BigInteger(), nullable=False),
    sa.Column('attempts', sa.BigInteger(), nullable=False),
    sa.Column('failed_attempts', sa.BigInteger(), nullable=False),
    sa.Column('priced_attempts', sa.BigInteger(), nullable=False),
    sa.Column('unpriced_attempts', sa.BigInteger(), nullable=False),
    sa.Column('estimated_attempts', sa.BigInteger(), nullable=False),
    sa.Column('input_tokens', sa.BigInteger(), nullable=False),
    sa.Column('output_tokens', sa.BigInteger(), nullable=False),
    sa.Column('cache_read_input_tokens', sa.BigInteger(), nullable=False),
    sa.Column('cache_write_input_tokens', sa.BigInteger(), nullable=False),
    sa.Column('reasoning_output_tokens', sa.BigInteger(), nullable=False),
    sa.Column('list_cost_nusd', sa.BigInteger(), nullable=False),
    sa.Column('reported_cost_nusd', sa.BigInteger(), nullable=False),
    sa.Column('reported_attempts', sa.BigInteger(), nullable=False),
    sa.Column('escalations', sa.BigInteger(), nullable=False),
    sa.Column('failovers', sa.BigInteger(), nullable=False),
    sa.Column('cache_hits', sa.BigInteger(), nullable=False),
    sa.Column('labelled', sa.BigInteger(), nullable=False),
    sa.Column('quality_ppm_sum', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('day', 'hour', 'team_id', 'feature_id', 'tier_id', 'model_id', 'status', 'kind'),
    sqlite_with_rowid=False
    )
