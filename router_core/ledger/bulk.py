"""Many rows at once, the way each database takes them quickest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy.engine import Connection

from router_core.ledger.connect import driven

Row = tuple[Any, ...]

_ROWS_A_STATEMENT = 128
_WORTH_A_COPY = 4  # rows; fewer are sent sooner as statements


def insert_many(connection: Connection, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert rows of plain values, given in the order of ``columns``."""
    if not rows:
        return
    if connection.dialect.name == "postgresql" and len(rows) >= _WORTH_A_COPY:
        _copy(connection, f"COPY {table} ({', '.join(columns)}) FROM STDIN", rows)
        return
    if connection.dialect.name != "sqlite":
        # Servers take a pipeline of small statements several times as fast as one with thousands of values.
        connection.exec_driver_sql(_statement(table, columns, 1, connection.dialect.paramstyle), list(rows))
        return
    for statement, values in sqlite_inserts(table, columns, rows):
        connection.exec_driver_sql(statement, values)


def sqlite_inserts(table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    """Yield the statements that insert rows into SQLite, each with its values."""
    # Its driver lets go of the interpreter once a statement, not once a row, so a busy event loop does not get in
    # between; and sizes are powers of two, so that the few different statements stay prepared.
    start, size = 0, _ROWS_A_STATEMENT
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        yield _statement(table, columns, size, "qmark"), tuple(chain.from_iterable(rows[start : start + size]))
        start += size


def _copy(connection: Connection, statement: str, rows: Sequence[Row]) -> None:
    """Send rows as one stream."""
    with driven(connection, statement) as driver, driver.cursor() as cursor, cursor.copy(statement) as stream:
        write = stream.write_row
        for row in rows:
            write(row)


@cache
def _statement(table: str, columns: tuple[str, ...], rows: int, paramstyle: str) -> str:
    mark = "?" if paramstyle == "qmark" else "%s"
    row = f"({', '.join([mark] * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"
