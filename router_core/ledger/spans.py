"""Evidence summed over spans of sixteen days, so that months of it are read from few cells."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from router_core.ledger.cells import EVIDENCE_KEYS, EVIDENCE_SUMS
from router_core.ledger.store import Ledger

DAYS = 16  # fewer make more spans to add up, more leave more single days beside them

_KEYS = ", ".join(EVIDENCE_KEYS[1:])
_SUMMED = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in EVIDENCE_SUMS)
_FORGET = sa.text("DELETE FROM evidence_span WHERE span = :span")
_IS_SUMMED = sa.text("SELECT 1 FROM evidence_span WHERE span = :span LIMIT 1")
_FIRST = sa.text("SELECT day FROM evidence_cell ORDER BY day LIMIT 1")
_LAST = sa.text("SELECT day FROM evidence_cell ORDER BY day DESC LIMIT 1")
_SUM = sa.text(
    f"INSERT INTO evidence_span (span, {_KEYS}, {', '.join(EVIDENCE_SUMS)}) "
    f"SELECT :span, {_KEYS}, {_SUMMED} FROM evidence_cell WHERE day >= :first AND day < :beyond GROUP BY {_KEYS}"
)


def hold(connection: Connection) -> None:
    """Let nobody else change cells or sum spans until the connection's transaction ends."""
    if connection.dialect.name == "postgresql":  # elsewhere there is one writer at a time anyway
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7305808869230650229)")


def forget(connection: Connection, day: int) -> None:
    """Drop the sums of the span that a day is in, within the transaction that changes the day's cells."""
    connection.execute(_FORGET, {"span": day // DAYS})


def sum_spans(ledger: Ledger) -> None:
    """Sum every span that is over and not summed yet; that of the newest days changes too often to be worth it."""
    with ledger.reading() as connection:
        first, last = (connection.execute(text).scalar() for text in (_FIRST, _LAST))
        if first is None or last is None:
            return
        missing = [one for one in range(first // DAYS, last // DAYS) if not _is_summed(connection, one)]
    for span in missing:
        with ledger.writing() as connection:
            hold(connection)
            if not _is_summed(connection, span):  # another rollup may have been faster
                connection.execute(_SUM, {"span": span, "first": span * DAYS, "beyond": (span + 1) * DAYS})


def cover(connection: Connection, first: int, last: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the summed spans that lie within days ``first`` to ``last``, and the ranges of days beside them."""
    spans: list[int] = []
    ranges: list[tuple[int, int]] = []
    day = first
    for span in range(-(-first // DAYS), (last + 1) // DAYS):
        if _is_summed(connection, span):
            spans.append(span)
            if day < span * DAYS:
                ranges.append((day, span * DAYS - 1))
            day = (span + 1) * DAYS
    if day <= last:
        ranges.append((day, last))
    return spans, ranges


def _is_summed(connection: Connection, span: int) -> bool:
    return connection.execute(_IS_SUMMED, {"span": span}).first() is not None
