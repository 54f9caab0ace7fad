"""Questions about spend, latency and evidence, answered from cells alone: no decision is ever read for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from router_core.ledger.cells import EVIDENCE_KEYS, EVIDENCE_SUMS, SPEND_SUMS
from router_core.ledger.days import date_of
from router_core.ledger.filters import Key, check, column, condition, labels
from router_core.ledger.latency import merge, quantiles
from router_core.ledger.rollup import WATERMARK
from router_core.ledger.spans import DAYS, cover
from router_core.ledger.store import Ledger, read_meta
from router_core.ledger.tables import MILLION

SPEND_BY = ("day", "hour", "team", "feature", "tier", "model", "status", "kind")
LATENCY_BY = ("day", "tier", "model", "kind")
EVIDENCE_BY = ("scorer", "feature", "tier", "model", "strategy", "reason", "kind")

Ints = npt.NDArray[np.int64]
_NOWHERE: Mapping[str, Collection[str]] = {}


@dataclass(frozen=True, slots=True)
class Window:
    """Which days the cells hold, in the reporting zone (None: none), and how many decisions."""

    first_day: date | None
    last_day: date | None
    decisions: int
    is_demo: bool
    timezone: str


@dataclass(frozen=True, slots=True)
class SpendLine:
    """Sums over the spend cells that share ``keys``; see ``cell_tables.SpendCellRow`` for what each one counts."""

    keys: tuple[Key, ...]
    decisions: int
    attempts: int
    failed_attempts: int
    priced_attempts: int
    unpriced_attempts: int
    estimated_attempts: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    reasoning_output_tokens: int
    list_cost_nusd: int
    reported_cost_nusd: int
    reported_attempts: int
    escalations: int
    failovers: int
    cache_hits: int
    labelled: int
    quality_ppm_sum: int

    @property
    def quality(self) -> float | None:
        """Mean quality of the labelled decisions, 0..1; None where none is labelled."""
        return self.quality_ppm_sum / MILLION / self.labelled if self.labelled else None

    @property
    def priced_share(self) -> float | None:
        """Share of the calls that used tokens whose price is known; None where no call did."""
        known = self.priced_attempts + self.unpriced_attempts
        return self.priced_attempts / known if known else None


@dataclass(frozen=True, slots=True)
class LatencyLine:
    """Latencies of the attempts that share ``keys``; quantiles in milliseconds, each within 2 % of the true one."""

    keys: tuple[Key, ...]
    attempts: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


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


def watermark(ledger: Ledger) -> int:
    """Return a number that changes whenever cells do; cheap enough to ask at every turn."""
    with ledger.reading() as connection:
        return int(read_meta(connection, WATERMARK) or 0)


def window(ledger: Ledger) -> Window:
    """Return which days the cells hold."""
    with ledger.reading() as connection:
        first, last, decisions = connection.execute(
            sa.text("SELECT MIN(day), MAX(day), CAST(COALESCE(SUM(decisions), 0) AS BIGINT) FROM spend_cell")
        ).one()
        return Window(
            first_day=None if first is None else date_of(first),
            last_day=None if last is None else date_of(last),
            decisions=int(decisions),
            is_demo=read_meta(connection, "demo") == "1",
            timezone=ledger.zone.key,
        )


def spend(
    ledger: Ledger,
    by: Sequence[str],
    since: date | None = None,
    until: date | None = None,
    where: Mapping[str, Collection[str]] = _NOWHERE,
) -> list[SpendLine]:
    """Sum spend by some of ``SPEND_BY`` over days, ``until`` included; lines in the order of their keys.

    ``where`` keeps the named teams, features and so on; status and kind are names in lower case, days dates. Raises
    ``InputError`` where a dimension is unknown.
    """
    check(by, SPEND_BY)
    check(list(where), SPEND_BY[1:])
    table = "spend_hour_cell" if "hour" in by or "hour" in where else "spend_cell"
    sums = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in SPEND_SUMS)
    with ledger.reading() as connection:
        select = f"SELECT {_list(by)}{sums} FROM {table}{condition(connection, since, until, where)}{_group(by)}"
        shown = [labels(connection, dimension) for dimension in by]
        rows = connection.exec_driver_sql(select).all()
    width = len(by)
    lines = [SpendLine(_keys(row[:width], shown), *row[width:]) for row in rows if row[width] is not None]
    return sorted(lines, key=lambda line: line.keys)


def latency(
    ledger: Ledger,
    by: Sequence[str],
    since: date | None = None,
    until: date | None = None,
    where: Mapping[str, Collection[str]] = _NOWHERE,
) -> list[LatencyLine]:
    """Merge latency histograms by some of ``LATENCY_BY`` over days, ``until`` included; the tier is that of the call.

    Raises ``InputError`` where a dimension is unknown.
    """
    lines = []
    for keys, counts in latency_histograms(ledger, by, since, until, where).items():
        p50, p95, p99 = quantiles(counts, (0.5, 0.95, 0.99))
        if p50 is not None and p95 is not None and p99 is not None:
            lines.append(LatencyLine(keys, int(counts.sum()), p50, p95, p99))
    return sorted(lines, key=lambda line: line.keys)


def latency_histograms(
    ledger: Ledger,
    by: Sequence[str],
    since: date | None = None,
    until: date | None = None,
    where: Mapping[str, Collection[str]] = _NOWHERE,
) -> dict[tuple[Key, ...], Ints]:
    """Merge latency histograms as ``latency`` does, and return their counts by bin of ``ledger.latency``."""
    check(by, LATENCY_BY)
    check(list(where), LATENCY_BY[1:])
    with ledger.reading() as connection:
        select = f"SELECT {_list(by)}histogram FROM latency_cell{condition(connection, since, until, where)}"
        shown = [labels(connection, dimension) for dimension in by]
        rows = connection.exec_driver_sql(select).all()
    blobs: dict[tuple[int, ...], list[bytes]] = {}
    for row in rows:
        blobs.setdefault(tuple(row[:-1]), []).append(bytes(row[-1]))
    return {_keys(numbers, shown): merge(histograms) for numbers, histograms in blobs.items()}


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
    sums = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in EVIDENCE_SUMS)
    return _table(connection, f"SELECT {keys}, {sums} FROM ({lines}) lines GROUP BY {keys}")


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
    for dimension in ("scorer", "feature", "tier", "model"):
        present, values[dimension] = np.unique(values.pop(f"{dimension}_id"), return_inverse=True)
        known = labels(connection, dimension)
        values[f"{dimension}s"] = tuple(str(known[number]) for number in present.tolist())
    days = 0 if since is None or until is None else max((until - since).days + 1, 0)
    return Evidence(since=since, until=until, days=days, **values)


def _table(connection: Connection, select: str) -> Ints:
    """Return a query's integers, shape (columns, rows), without a Python step for each value."""
    cursor = connection.exec_driver_sql(select).cursor
    assert cursor is not None
    width = len(cursor.description)
    flat = np.fromiter(chain.from_iterable(cursor.fetchall()), dtype=np.int64)
    return np.ascontiguousarray(flat.reshape(-1, width).T)


def _list(by: Sequence[str]) -> str:
    return "".join(f"{column(dimension)}, " for dimension in by)


def _group(by: Sequence[str]) -> str:
    return f" GROUP BY {', '.join(map(column, by))}" if by else ""


def _keys(numbers: Sequence[int], shown: Sequence[Mapping[int, Key]]) -> tuple[Key, ...]:
    return tuple(names[number] for number, names in zip(numbers, shown, strict=True))
