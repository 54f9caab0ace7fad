"""Questions about spend and latency, answered from cells alone: no decision is ever read for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from router_core.ledger.cells import SPEND_SUMS
from router_core.ledger.days import date_of
from router_core.ledger.filters import Key, check, column, condition, labels
from router_core.ledger.latency import merge, quantiles
from router_core.ledger.rollup import WATERMARK
from router_core.ledger.store import Ledger, read_meta
from router_core.ledger.tables import MILLION

SPEND_BY = ("day", "hour", "team", "feature", "tier", "model", "status", "kind")
LATENCY_BY = ("day", "tier", "model", "kind")

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


def _list(by: Sequence[str]) -> str:
    return "".join(f"{column(dimension)}, " for dimension in by)


def _group(by: Sequence[str]) -> str:
    return f" GROUP BY {', '.join(map(column, by))}" if by else ""


def _keys(numbers: Sequence[int], shown: Sequence[Mapping[int, Key]]) -> tuple[Key, ...]:
    return tuple(names[number] for number, names in zip(numbers, shown, strict=True))
