"""Rollups: cells kept equal to the sums of the rows, day by day, whoever writes meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from router_core.errors import LedgerError
from router_core.ledger.bulk import Row, insert_many
from router_core.ledger.cells import (
    EVIDENCE,
    EVIDENCE_KEYS,
    EVIDENCE_SUMS,
    LATENCIES,
    LATENCY_KEYS,
    SPEND_DAYS,
    SPEND_HOUR_KEYS,
    SPEND_HOURS,
    SPEND_KEYS,
    SPEND_SUMS,
)
from router_core.ledger.days import Days, date_of, id_time_ms
from router_core.ledger.label_cells import TABLES as LABEL_TABLES
from router_core.ledger.label_cells import insert_label_cells, sum_labels
from router_core.ledger.latency import pack
from router_core.ledger.store import Ledger, mark_dirty

WATERMARK = "rollup_watermark"
_TABLES = ("spend_hour_cell", "spend_cell", "latency_cell", "evidence_cell", *LABEL_TABLES)

_DIRTY = sa.text("SELECT day FROM dirty_day ORDER BY day")
_GENERATION = sa.text("SELECT generation FROM dirty_day WHERE day = :day")
_CLEAN = sa.text("DELETE FROM dirty_day WHERE day = :day AND generation = :generation")
_HOLD = sa.text("UPDATE dirty_day SET generation = generation WHERE day = :day")
_NEXT = sa.text("SELECT id FROM decision WHERE id >= :low ORDER BY id LIMIT 1")
_ADVANCE = sa.text(
    "INSERT INTO meta (name, value) VALUES (:name, '1') "
    "ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(meta.value AS BIGINT) + 1 AS VARCHAR(20))"
)


@dataclass(frozen=True, slots=True)
class RollupReport:
    """How many days were summed anew, into how many cells, and how long it took."""

    days: int
    cells: int
    seconds: float


def refresh(
    ledger: Ledger, *, rebuild: bool = False, progress: Callable[[int, int], None] | None = None
) -> RollupReport:
    """Sum every day whose rows changed since it was summed last; with ``rebuild`` every day there are rows of.

    A day's cells are computed from one snapshot and replaced in one short transaction, so writers go on, readers see
    whole days, several rollups may run at once, and one that was killed is simply run again. Calls
    ``progress(days done, days in all)``. Raises ``LedgerError`` where the database fails.
    """
    began = time.perf_counter()
    if rebuild:
        _mark_all(ledger)
    with ledger.reading() as connection:
        dirty = [int(day) for day in connection.execute(_DIRTY).scalars()]
    cells = 0
    for done, day in enumerate(dirty):
        if progress is not None:
            progress(done, len(dirty))
        cells += _refresh_day(ledger, day)
    if progress is not None:
        progress(len(dirty), len(dirty))
    return RollupReport(len(dirty), cells, time.perf_counter() - began)


def _mark_all(ledger: Ledger) -> None:
    with ledger.reading() as connection:
        days = list(_days_with_rows(connection, ledger.days))
    with ledger.writing() as connection:
        if days:
            mark_dirty(connection, days)


def _days_with_rows(connection: Connection, days: Days) -> Iterator[int]:
    low = b""
    while (found := connection.execute(_NEXT, {"low": low}).scalar()) is not None:
        day, _ = days.of(id_time_ms(bytes(found)))
        yield day
        low = days.id_range(day, day)[1]


def _refresh_day(ledger: Ledger, day: int) -> int:
    with ledger.reading() as connection:
        generation = connection.execute(_GENERATION, {"day": day}).scalar()
        if generation is None:
            return 0  # another rollup was faster
        hours, latencies, evidence = _sum_day(connection, ledger.days, day)
        labels, agreements = sum_labels(connection, *ledger.days.id_range(day, day))
    with ledger.writing() as connection:
        clean = connection.execute(_CLEAN, {"day": day, "generation": generation}).rowcount
        # Where rows came meanwhile the day stays dirty, but sums as of our snapshot are better than older ones. Where
        # no mark is left, another rollup summed a later snapshot than ours.
        if not clean and not connection.execute(_HOLD, {"day": day}).rowcount:
            return 0
        for table in _TABLES:
            connection.execute(sa.text(f"DELETE FROM {table} WHERE day = :day"), {"day": day})
        insert_many(connection, "spend_hour_cell", (*SPEND_HOUR_KEYS, *SPEND_SUMS), hours)
        days = [tuple(row) for row in connection.execute(sa.text(SPEND_DAYS), {"day": day})]
        insert_many(connection, "spend_cell", (*SPEND_KEYS, *SPEND_SUMS), days)
        insert_many(connection, "latency_cell", (*LATENCY_KEYS, "attempts", "histogram"), latencies)
        insert_many(connection, "evidence_cell", (*EVIDENCE_KEYS, *EVIDENCE_SUMS), evidence)
        insert_label_cells(connection, labels, agreements)
        connection.execute(_ADVANCE, {"name": WATERMARK})
    return sum(map(len, (hours, days, latencies, evidence, labels, agreements)))


def _sum_day(connection: Connection, days: Days, day: int) -> tuple[list[Row], list[Row], list[Row]]:
    """Return the cells of a day, each as a row of its table: spend by hour, latencies, evidence."""
    low, high = days.id_range(day, day)
    bounds = {"low": low, "high": high}
    hours: list[Row] = [tuple(row) for row in connection.execute(sa.text(SPEND_HOURS), bounds)]
    evidence: list[Row] = [tuple(row) for row in connection.execute(sa.text(EVIDENCE), bounds)]
    latencies: list[Row] = []
    for key, rows in groupby(connection.execute(sa.text(LATENCIES), bounds), key=lambda row: tuple(row[:4])):
        bins, counts = zip(*((row[4], row[5]) for row in rows), strict=True)
        latencies.append((*key, sum(counts), pack(bins, counts)))
    if any(row[0] != day for row in hours):
        raise LedgerError(f"some rows of {date_of(day)} carry another day than the time in their id says")
    return hours, latencies, evidence
