"""Rollups: cells kept equal to the sums of the rows, day by day, whoever writes meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from router_core.errors import InputError, LedgerError
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
from router_core.ledger.fallback_cells import COLUMNS as FALLBACK_COLUMNS
from router_core.ledger.fallback_cells import FALLBACKS
from router_core.ledger.fallback_cells import TABLE as FALLBACK_TABLE
from router_core.ledger.label_cells import TABLES as LABEL_TABLES
from router_core.ledger.label_cells import insert_label_cells, sum_labels
from router_core.ledger.latency import pack
from router_core.ledger.spans import forget, hold, sum_spans
from router_core.ledger.stage_cells import COLUMNS as STAGE_COLUMNS
from router_core.ledger.stage_cells import STAGES
from router_core.ledger.stage_cells import TABLE as STAGE_TABLE
from router_core.ledger.store import Ledger, mark_dirty

if TYPE_CHECKING:
    from router_core.ledger.manifest import Manifest

WATERMARK = "rollup_watermark"
_TABLES = ("spend_hour_cell", "spend_cell", "latency_cell", "evidence_cell", *LABEL_TABLES, FALLBACK_TABLE, STAGE_TABLE)

_DIRTY = sa.text("SELECT day FROM dirty_day ORDER BY day")
_GENERATION = sa.text("SELECT generation FROM dirty_day WHERE day = :day")
_CLEAN = sa.text("DELETE FROM dirty_day WHERE day = :day AND generation = :generation")
_PRUNED = sa.text("SELECT day, folder FROM archived_day WHERE pruned = 1")
_HOLD = sa.text("UPDATE dirty_day SET generation = generation WHERE day = :day")
_NEXT = sa.text("SELECT id FROM decision WHERE id >= :low ORDER BY id LIMIT 1")
_ADVANCE = sa.text(
    "INSERT INTO meta (name, value) VALUES (:name, '1') "
    "ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(meta.value AS BIGINT) + 1 AS VARCHAR(20))"
)


@dataclass(frozen=True, slots=True)
class RollupReport:
    """How many days were summed anew, into how many cells, and how long it took.

    ``waiting`` are days that changed after their rows went to an archive which cannot be read now, each with the
    sentence that says why; their cells are left as they were.
    """

    days: int
    cells: int
    seconds: float
    waiting: tuple[tuple[date, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DaySums:
    """The cells of one day, each as a row of its table, and the generation of the rows they sum."""

    day: int
    generation: int
    hours: list[Row]
    latencies: list[Row]
    evidence: list[Row]
    labels: list[Row]
    agreements: list[Row]
    fallbacks: list[Row]
    stages: list[Row]


class Engine(Protocol):
    """What sums days that are marked dirty, in any order; it leaves out those that are not any more."""

    reads_archives: bool

    def sums(self, ledger: Ledger, days: Sequence[int], archives: Mapping[int, Manifest]) -> Iterable[DaySums]:
        """Yield the cells of days: where ``archives`` has one from there, else from the ledger's rows."""


def refresh(
    ledger: Ledger,
    *,
    rebuild: bool = False,
    engine: Engine | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RollupReport:
    """Sum every day whose rows changed since it was summed last; with ``rebuild`` every day there are rows of.

    A day's cells are computed from one snapshot and replaced in one short transaction, so writers go on, readers see
    whole days, several rollups may run at once, and one that was killed is simply run again. ``engine`` is what sums,
    the database itself unless said otherwise. Days whose rows are in an archive alone keep their cells; where rows came
    late to one, the others are brought back. Calls ``progress(days done, days in all)``. Raises ``LedgerError`` where
    the database fails.
    """
    began = time.perf_counter()
    engine = engine or _Database()
    waiting: dict[int, str] = {}
    if rebuild:
        _mark_all(ledger, engine, waiting)
    with ledger.reading() as connection:
        dirty = [int(day) for day in connection.execute(_DIRTY).scalars()]
        pruned = pruned_days(connection)
        rows = {day for day in dirty if day in pruned and _has_rows(connection, ledger.days, day)}
    archives: dict[int, Manifest] = {}
    for day in dirty:
        if day in pruned:
            from router_core.ledger.archive_days import archived, bring_back  # few ledgers need it; it reads Parquet

            try:
                if engine.reads_archives and day not in rows:
                    archives[day] = archived(ledger, pruned[day], day)
                else:
                    bring_back(ledger, pruned[day], day)
            except InputError as error:
                waiting[day] = str(error)
    ready = [day for day in dirty if day not in waiting]
    cells = done = 0
    if progress is not None:
        progress(0, len(ready))
    for sums in engine.sums(ledger, ready, archives) if ready else ():
        cells += _replace(ledger, sums)
        done += 1
        if progress is not None:
            progress(done, len(ready))
    sum_spans(ledger)
    if progress is not None and done < len(ready):  # another rollup was faster with some
        progress(len(ready), len(ready))
    late = tuple((date_of(day), why) for day, why in sorted(waiting.items()))
    return RollupReport(len(ready), cells, time.perf_counter() - began, late)


def pruned_days(connection: Connection) -> dict[int, Path]:
    """Return the days whose rows were taken out of the ledger, each with the folder of the archive that has them."""
    return {row.day: Path(row.folder) for row in connection.execute(_PRUNED)}


def _mark_all(ledger: Ledger, engine: Engine, waiting: dict[int, str]) -> None:
    with ledger.reading() as connection:
        days = set(days_with_rows(connection, ledger.days))
        pruned = pruned_days(connection) if engine.reads_archives else {}
    for day, folder in pruned.items():
        from router_core.ledger.archive_days import archived

        try:
            archived(ledger, folder, day)
            days.add(day)
        except InputError as error:
            waiting[day] = str(error)  # not marked, since its cells are as good as they were
    with ledger.writing() as connection:
        if days:
            mark_dirty(connection, days)


def _has_rows(connection: Connection, days: Days, day: int) -> bool:
    low, high = days.id_range(day, day)
    found = connection.execute(_NEXT, {"low": low}).scalar()
    return found is not None and bytes(found) < high


def days_with_rows(connection: Connection, days: Days) -> Iterator[int]:
    """Yield the days that the ledger holds decisions of, oldest first."""
    low = b""
    while (found := connection.execute(_NEXT, {"low": low}).scalar()) is not None:
        day, _ = days.of(id_time_ms(bytes(found)))
        yield day
        low = days.id_range(day, day)[1]


class _Database:
    reads_archives = False

    def sums(self, ledger: Ledger, days: Sequence[int], archives: Mapping[int, Manifest]) -> Iterator[DaySums]:
        for day in days:
            with ledger.reading() as connection:
                generation = connection.execute(_GENERATION, {"day": day}).scalar()
                if generation is None:
                    continue  # another rollup was faster
                hours, latencies, evidence = _sum_day(connection, ledger.days, day)
                low, high = ledger.days.id_range(day, day)
                labels, agreements = sum_labels(connection, low, high)
                fallbacks, stages = (_run(connection, text, low, high) for text in (FALLBACKS, STAGES))
            yield DaySums(day, generation, hours, latencies, evidence, labels, agreements, fallbacks, stages)


def _replace(ledger: Ledger, sums: DaySums) -> int:
    """Put a day's new cells in the place of the old ones; returns how many, 0 where another rollup was faster."""
    day = sums.day
    with ledger.writing() as connection:
        hold(connection)
        clean = connection.execute(_CLEAN, {"day": day, "generation": sums.generation}).rowcount
        # Where rows came meanwhile the day stays dirty, but sums as of our snapshot are better than older ones. Where
        # no mark is left, another rollup summed a later snapshot than ours.
        if not clean and not connection.execute(_HOLD, {"day": day}).rowcount:
            return 0
        for table in _TABLES:
            connection.execute(sa.text(f"DELETE FROM {table} WHERE day = :day"), {"day": day})
        forget(connection, day)
        insert_many(connection, "spend_hour_cell", (*SPEND_HOUR_KEYS, *SPEND_SUMS), sums.hours)
        days = [tuple(row) for row in connection.execute(sa.text(SPEND_DAYS), {"day": day})]
        insert_many(connection, "spend_cell", (*SPEND_KEYS, *SPEND_SUMS), days)
        insert_many(connection, "latency_cell", (*LATENCY_KEYS, "attempts", "histogram"), sums.latencies)
        insert_many(connection, "evidence_cell", (*EVIDENCE_KEYS, *EVIDENCE_SUMS), sums.evidence)
        insert_label_cells(connection, sums.labels, sums.agreements)
        insert_many(connection, FALLBACK_TABLE, FALLBACK_COLUMNS, sums.fallbacks)
        insert_many(connection, STAGE_TABLE, STAGE_COLUMNS, sums.stages)
        connection.execute(_ADVANCE, {"name": WATERMARK})
    others = (sums.latencies, sums.evidence, sums.labels, sums.agreements, sums.fallbacks, sums.stages)
    return sum(map(len, (sums.hours, days, *others)))


def _sum_day(connection: Connection, days: Days, day: int) -> tuple[list[Row], list[Row], list[Row]]:
    """Return the cells of a day, each as a row of its table: spend by hour, latencies, evidence."""
    low, high = days.id_range(day, day)
    hours, evidence, latencies = (_run(connection, text, low, high) for text in (SPEND_HOURS, EVIDENCE, LATENCIES))
    check_days(day, hours)
    return hours, fold_latencies(latencies), evidence


def _run(connection: Connection, text: str, low: bytes, high: bytes) -> list[Row]:
    return [tuple(row) for row in connection.execute(sa.text(text), {"low": low, "high": high})]


def fold_latencies(counted: Iterable[Row]) -> list[Row]:
    """Return the rows of ``latency_cell`` from those of ``LATENCIES``, in the order of their key."""
    latencies: list[Row] = []
    for key, rows in groupby(counted, key=lambda row: tuple(row[:4])):
        bins, counts = zip(*((row[4], row[5]) for row in rows), strict=True)
        latencies.append((*key, sum(counts), pack(bins, counts)))
    return latencies


def check_days(day: int, hours: list[Row]) -> None:
    """Raise ``LedgerError`` where a day's rows carry another day."""
    if any(row[0] != day for row in hours):
        raise LedgerError(f"some rows of {date_of(day)} carry another day than the time in their id says")
