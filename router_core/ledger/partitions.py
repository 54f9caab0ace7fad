"""Partitions of a ledger in PostgreSQL: a table a day for decisions and for attempts, made ahead and on demand.

They are ranges of ids, and a day is one: so the primary key is still the id alone, and a decision sent twice, by
whichever gateway, is found to be there already. Partitioned by the day column the key would need that column too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from router_core.ledger.days import Days, date_of

TABLES = ("decision", "attempt")

_AHEAD = 7  # days made with that of today, so that gateways seldom wait for one another at midnight
_PATIENCE_MS = 2_000  # for everybody else to let go of a table, while new readers and writers wait behind us
_NO_PARTITION = "23514"

_THERE = sa.text(
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE i.inhparent = CAST('decision' AS regclass)"
)
_IS_DIRTY = sa.text("SELECT 1 FROM dirty_day WHERE day = :day")


class Partitions:
    """The days that a ledger has tables for; in a database without partitions every day is."""

    def __init__(self, days: Days) -> None:
        self._days = days
        self._known: set[int] = set()

    def provide(self, connection: Connection, wanted: Iterable[int]) -> None:
        """See to it that rows of these days find a table, within the connection's transaction."""
        if connection.dialect.name != "postgresql":
            return
        missing = set(wanted) - self._known
        if missing:
            today, _ = self._days.of(time.time_ns() // 1_000_000)
            if today in missing:
                missing |= set(range(today + 1, today + 1 + _AHEAD))
            make_partitions(connection, self._days, missing)
            self._known |= missing

    def forget(self) -> None:
        """Look again which tables there are: another process may have dropped some."""
        self._known.clear()

    def drop(self, connection: Connection, day: int) -> bool:
        """Drop the tables of a day that is not dirty, within the transaction; returns whether they are gone.

        Raises ``LedgerLockedError`` where others do not let go of them soon.
        """
        # In the order in which writers take them. Once we hold all three, every mark of a day made before is seen, and
        # whoever makes one later finds that the day was pruned.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_PATIENCE_MS}")
        connection.exec_driver_sql(f"LOCK TABLE ONLY {', ONLY '.join(TABLES)} IN ACCESS EXCLUSIVE MODE")
        connection.exec_driver_sql("LOCK TABLE dirty_day IN SHARE MODE")
        if connection.execute(_IS_DIRTY, {"day": day}).first():
            return False
        for table in TABLES:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_name(table, day)}")
        self._known.discard(day)
        return True


def make_partitions(connection: Connection, days: Days, wanted: Iterable[int]) -> None:
    """Make the tables of days that have none yet. Readers and writers of other days go on meanwhile."""
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7305808869230650228)")  # one process at a time
    there = set(connection.execute(_THERE).scalars())
    for day in sorted(wanted):
        low, high = days.id_range(day, day)
        if low == high or _name("decision", day) in there:  # clocks may leave a day out
            continue
        for table in TABLES:
            name = _name(table, day)
            # Made apart and then attached: made in place it would wait for every reader, and all others for it.
            connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
            connection.exec_driver_sql(
                f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('\\x{low.hex()}') TO ('\\x{high.hex()}')"
            )


def lacks_partition(error: IntegrityError) -> bool:
    """Return whether a row was refused because there is no table for its day."""
    return getattr(error.orig, "sqlstate", None) == _NO_PARTITION


def _name(table: str, day: int) -> str:
    return f"{table}_{date_of(day):%Y%m%d}"
