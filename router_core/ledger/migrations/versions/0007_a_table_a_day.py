"""In PostgreSQL decisions and their attempts in a table a day, so that old days leave at once; elsewhere as they were."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    from router_core.ledger.days import Days
    from router_core.ledger.partitions import make_partitions
    from router_core.ledger.rollup import days_with_rows
    from router_core.ledger.store import read_meta

    days = Days(ZoneInfo(read_meta(connection, "timezone") or "UTC"))
    there = list(days_with_rows(connection, days))
    for table, key in (("decision", "id"), ("attempt", "decision_id")):
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_whole")
        op.execute(f"ALTER TABLE {table}_whole RENAME CONSTRAINT {table}_pkey TO {table}_whole_pkey")
        op.execute(f"CREATE TABLE {table} (LIKE {table}_whole INCLUDING ALL) PARTITION BY RANGE ({key})")
    make_partitions(connection, days, there)
    for table in ("decision", "attempt"):
        op.execute(f"INSERT INTO {table} SELECT * FROM {table}_whole")
        op.execute(f"DROP TABLE {table}_whole")
