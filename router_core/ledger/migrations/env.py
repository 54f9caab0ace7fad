"""Runs the steps on the connection it is given; Alembic calls it."""

from __future__ import annotations

from alembic import context

from router_core.ledger.schema import declared

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=declared(),
    version_table="tierwise_version",
    render_as_batch=True,
)
context.run_migrations()
