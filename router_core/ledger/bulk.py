"""Many rows at once, the way each database takes them quickest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy.engine import Connection

Row = tuple[Any, ...]

_ROWS_A_STATEMENT = 128


def insert_many(connection: Connection, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert rows of plain values, given in the order of ``columns``."""
    if not rows:
        return
    if connection.dialect.name != "sqlite":
        # Servers take a pipeline of small statements several times as fast as one with thousands of values.
        connection.exec_driver_sql(_statement(table, columns, 1, connection.dialect.paramstyle), list(rows))
        return
    # SQLite's driver lets go of the interpreter once a statement, not once a row, so a busy event loop does not get in
    # between; and sizes are powers of two, so that the few different statements stay prepared.
    start, size = 0, _ROWS_A_STATEMENT
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        statement = _statement(table, columns, size, connection.dialect.paramstyle)
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(rows[start : start + size])))
        start += size


@cache
def _statement(table: str, columns: tuple[str, ...], rows: int, paramstyle: str) -> str:
    mark = "?" if paramstyle == "qmark" else "%s"
    row = f"({', '.join([mark] * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"
