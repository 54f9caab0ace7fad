"""Cells of one table summed over days by some of what they are kept by, with names in place of numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from router_core.ledger.filters import Key, column, condition, labels
from router_core.ledger.store import Ledger

Line = tuple[tuple[Key, ...], tuple[int, ...], tuple[int, ...]]

EVERYWHERE: Mapping[str, Collection[str]] = {}


def summed(
    ledger: Ledger,
    table: str,
    by: Sequence[str],
    sums: Sequence[str],
    since: date | None,
    until: date | None,
    where: Mapping[str, Collection[str]],
    *,
    codes: Sequence[str] = (),
) -> list[Line]:
    """Return (names of ``by``, values of ``codes``, ``sums``) of each group, in the order of the names and codes.

    Days are from ``since`` to ``until``, both included. Dimensions are the caller's to check.
    """
    columns = (*map(column, by), *codes)
    listed = ", ".join((*columns, *(f"CAST(SUM({name}) AS BIGINT)" for name in sums)))
    grouped = f" GROUP BY {', '.join(columns)}" if columns else ""
    with ledger.reading() as connection:
        clause = condition(connection, since, until, where)
        shown = [labels(connection, dimension) for dimension in by]
        rows = connection.exec_driver_sql(f"SELECT {listed} FROM {table}{clause}{grouped}").all()
    width, coded = len(by), len(by) + len(codes)
    lines = [
        (
            tuple(names[number] for number, names in zip(row[:width], shown, strict=True)),
            tuple(row[width:coded]),
            tuple(row[coded:]),
        )
        for row in rows
        if row[coded] is not None  # the one row of sums over nothing
    ]
    return sorted(lines, key=lambda line: line[:2])
