"""Evidence between two moments: cells of the whole days, and the rows of the days cut by them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from router_core.ledger.cells import EVIDENCE, EVIDENCE_KEYS, EVIDENCE_SUMS
from router_core.ledger.days import date_of, id_floor
from router_core.ledger.evidence import Evidence, as_evidence, evidence_cells
from router_core.ledger.store import Ledger

Ints = npt.NDArray[np.int64]

ENOUGH_DAYS = 3  # whole ones, beside which the days cut are left out: their rows would be read one by one


def evidence_between(ledger: Ledger, since_ms: int, until_ms: int) -> Evidence:
    """Sum the evidence of the decisions made from ``since_ms`` to ``until_ms``, UTC epoch milliseconds, end excluded.

    Where three whole days lie between, only whole days are summed, from cells. Otherwise the rows of the first and the
    last day that belong to it are read too.
    """
    days = ledger.days
    (first, _), (last, _) = days.of(since_ms), days.of(max(until_ms - 1, since_ms))
    begin = first if days.start_ms(first) == since_ms else first + 1
    end = last if days.start_ms(last + 1) == until_ms else last - 1
    tables: list[Ints] = []
    keys = len(EVIDENCE_KEYS) - 1
    width = keys + len(EVIDENCE_SUMS)
    with ledger.reading() as connection:
        if begin <= end:
            tables.append(evidence_cells(connection, date_of(begin), date_of(end)))
        if end - begin + 1 < ENOUGH_DAYS:
            whole = (days.start_ms(begin), days.start_ms(end + 1)) if begin <= end else (until_ms, until_ms)
            for low, high in ((since_ms, min(whole[0], until_ms)), (max(whole[1], since_ms), until_ms)):
                if low < high:
                    bounds = {"low": id_floor(low), "high": id_floor(high)}
                    rows = connection.execute(sa.text(EVIDENCE), bounds).all()
                    # A cell's first key is its day, which is summed over here.
                    tables.append(np.array([tuple(row)[1:] for row in rows], dtype=np.int64).reshape(-1, width).T)
            begin, end = first, last
        table = _summed([table for table in tables if table.size], keys)
        return as_evidence(connection, table, date_of(begin), date_of(max(end, begin)))


def _summed(tables: list[Ints], keys: int) -> Ints:
    """Add cells of the same keys up, (columns, cells)."""
    if not tables:
        return np.zeros((keys + len(EVIDENCE_SUMS), 0), dtype=np.int64)
    joined = np.concatenate(tables, axis=1)
    places, at = np.unique(joined[:keys], axis=1, return_inverse=True)
    sums = np.zeros((places.shape[1], len(joined) - keys), dtype=np.int64)
    np.add.at(sums, at.ravel(), joined[keys:].T)
    return np.concatenate([places, sums.T])
