"""What projections rest on, from cells alone: moments of tokens, cost and quality by feature, score and tier."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy.engine import Connection

from router_core.ledger.cells import EVIDENCE_KEYS, EVIDENCE_SUMS
from router_core.ledger.days import date_of
from router_core.ledger.filters import check, condition, labels
from router_core.ledger.spans import DAYS, cover
from router_core.ledger.store import Ledger

EVIDENCE_BY = ("scorer", "feature", "tier", "model", "strategy", "reason", "kind")

Ints = npt.NDArray[np.int64]
_NOWHERE: Mapping[str, Collection[str]] = {}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence cells summed over days: one entry a cell, every array of the same length.

    ``scorer``, ``feature``, ``tier`` and ``model`` are places in the tuples of names, which hold the names that occur,
    oldest first; ``strategy``, ``reason`` and ``kind`` are codes of ``router_core.decision``; ``score`` is -1 where
    nothing was scored, ``price_id`` 0 where no price is known. The sums are those of ``cell_tables.EvidenceCellRow``.
    ``since`` and ``until`` are the first and last day asked for, or held where none was asked for; ``days`` from one
    to the other, both included.
    """

    since: date | None
    until: date | None
    days: int
    scorers: tuple[str, ...]
    features: tuple[str, ...]
    tiers: tuple[str, ...]
    models: tuple[str, ...]
    scorer: Ints
    feature: Ints
    score: Ints
    tier: Ints
    strategy: Ints
    reason: Ints
    kind: Ints
    model: Ints
    price_id: Ints
    decisions: Ints
    succeeded: Ints
    unpriced_decisions: Ints
    labelled: Ints
    quality_ppm_sum: Ints
    quality_ppm_squares: Ints
    inverse_propensity_ppm: Ints
    decision_cost_nusd: Ints
    decision_cost_udollar_squares: Ints
    attempts: Ints
    metered_attempts: Ints
    input_tokens: Ints
    output_tokens: Ints
    cache_read_input_tokens: Ints
    cache_write_input_tokens: Ints
    reasoning_output_tokens: Ints
    input_squares: Ints
    output_squares: Ints
    input_output_products: Ints
    list_cost_nusd: Ints


def evidence(
    ledger: Ledger,
    since: date | None = None,
    until: date | None = None,
    where: Mapping[str, Collection[str]] = _NOWHERE,
) -> Evidence:
    """Sum evidence cells over days, ``until`` included; raises ``InputError`` where a dimension is unknown."""
    check(list(where), EVIDENCE_BY)
    with ledger.reading() as connection:
        table = evidence_cells(connection, since, until, where)
        first, last = _days_held(connection, since, until, where)
        begin = since or (None if first is None else date_of(first))
        end = until or (None if last is None else date_of(last))
        return as_evidence(connection, table, begin, end)


def evidence_cells(
    connection: Connection,
    since: date | None,
    until: date | None,
    where: Mapping[str, Collection[str]] = _NOWHERE,
) -> Ints:
    """Sum evidence cells over days, (columns, cells): the keys of a cell but its day, then its sums."""
    first, last = _days_held(connection, since, until, _NOWHERE)
    if first is not None and since is None:
        first -= first % DAYS  # nothing is older, so the whole span of the oldest day may be read
    spans, ranges = ([], []) if first is None or last is None else cover(connection, first, last)
    keys = ", ".join(EVIDENCE_KEYS[1:])
    listed = f"{keys}, {', '.join(EVIDENCE_SUMS)}"
    chosen = condition(connection, None, None, where).removeprefix(" WHERE ")
    parts = [f"evidence_span WHERE span = {span}" for span in spans]
    parts += [f"evidence_cell WHERE day >= {begin} AND day <= {end}" for begin, end in ranges]
    lines = " UNION ALL ".join(
        f"SELECT {listed} FROM {part}{f' AND {chosen}' if chosen else ''}"
        for part in parts or ["evidence_cell WHERE 0 = 1"]
    )
    sums = ", ".join(f"CAST(SUM({one}) AS BIGINT)" for one in EVIDENCE_SUMS)
    return integers(connection, f"SELECT {keys}, {sums} FROM ({lines}) lines GROUP BY {keys}")


def _days_held(
    connection: Connection, since: date | None, until: date | None, where: Mapping[str, Collection[str]]
) -> tuple[int | None, int | None]:
    """Return the first and the last day within that there is evidence of; None where there is none."""
    held = f"SELECT day FROM evidence_cell{condition(connection, since, until, where)} ORDER BY day"
    first, last = (connection.exec_driver_sql(f"{held} {way} LIMIT 1").scalar() for way in ("ASC", "DESC"))
    return first, last


def as_evidence(connection: Connection, table: Ints, since: date | None, until: date | None) -> Evidence:
    """Name what the columns of ``evidence_cells`` hold."""
    values: dict[str, Any] = dict(zip((*EVIDENCE_KEYS[1:], *EVIDENCE_SUMS), table, strict=True))
    name(connection, values, ("scorer", "feature", "tier", "model"))
    days = 0 if since is None or until is None else max((until - since).days + 1, 0)
    return Evidence(since=since, until=until, days=days, **values)


def name(connection: Connection, values: dict[str, Any], dimensions: Sequence[str]) -> None:
    """Put, for numbers such as ``tier_id``, their places ``tier`` in the names that occur, ``tiers``, oldest first."""
    for dimension in dimensions:
        present, values[dimension] = np.unique(values.pop(f"{dimension}_id"), return_inverse=True)
        known = labels(connection, dimension)
        values[f"{dimension}s"] = tuple(str(known[number]) for number in present.tolist())


def integers(connection: Connection, select: str) -> Ints:
    """Return a query's integers, shape (columns, rows), without a Python step for each value."""
    cursor = connection.exec_driver_sql(select).cursor
    assert cursor is not None
    width = len(cursor.description)
    flat = np.fromiter(chain.from_iterable(cursor.fetchall()), dtype=np.int64)
    return np.ascontiguousarray(flat.reshape(-1, width).T)
