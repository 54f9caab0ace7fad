"""The ledger at two million decisions, or as many as TIERWISE_SCALE says: views, rollups, size, and every engine.

Ratios are of CPU, so that other work on the machine does not decide them; seconds are printed as an indication.
"""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from test_ledger_postgres import Server, _programs

from router_core.demo import fill
from router_core.ledger import queries
from router_core.ledger.cells import SPEND_HOURS
from router_core.ledger.days import id_time_ms
from router_core.ledger.engines.by_duckdb import DuckDb
from router_core.ledger.engines.by_spark import Spark
from router_core.ledger.rollup import Engine, refresh
from router_core.ledger.rows import ATTEMPT_COLUMNS, DECISION_COLUMNS
from router_core.ledger.store import LABEL_COLUMNS, Ledger, open_ledger

SCALE = int(os.environ.get("TIERWISE_SCALE", "2000000"))
COMPARED = int(os.environ.get("TIERWISE_COMPARED", "1000000"))
LATE = 100_000
NOW_MS = 1_795_449_600_000
HOUR_MS = 3_600_000
LARGEST_MB = 1_000
TABLES = (
    "spend_cell",
    "spend_hour_cell",
    "latency_cell",
    "evidence_cell",
    "label_cell",
    "agreement_cell",
    "fallback_cell",
)

Row = tuple[Any, ...]


@pytest.fixture(autouse=True)
def _measured(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a measurement; 'make bench' runs it")


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A ledger of simulated traffic over ninety days; TIERWISE_SCALE_DB names one that is there already."""
    kept = os.environ.get("TIERWISE_SCALE_DB")
    with open_ledger(kept or tmp_path_factory.mktemp("scale") / "ledger.db") as ledger:
        if kept is None:
            fill(ledger, decisions=SCALE, days=90, seed=1, now_ms=NOW_MS)
        yield ledger


def report(name: str, figure: float, bar: float, note: str) -> bool:
    """Print one line of the table and return whether the bar was met."""
    met = figure <= bar
    print(f"\n{name} | {figure:.3g} | <= {bar:g} | {'met' if met else 'NOT MET'} | {note}")
    return met


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of all threads."""
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began


@contextmanager
def memory() -> Iterator[list[float]]:
    """Watch the megabytes of this process and its children beyond what they were; the last entry is the peak."""
    me, peak, done = psutil.Process(), [0.0], threading.Event()

    def weight() -> float:
        total = 0
        for process in (me, *me.children(recursive=True)):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
        return total / 2**20

    def watch() -> None:
        while not done.wait(0.2):
            peak.append(max(peak[-1], weight()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def cells(ledger: Ledger) -> dict[str, list[Row]]:
    with ledger.reading() as connection:
        return {
            table: sorted(tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}"))
            for table in TABLES
        }


def test_a_full_rebuild_by_duckdb_is_quick_and_small(big: Ledger) -> None:
    with memory() as peak:
        began, before = time.perf_counter(), sum(os.times()[:4])
        done = refresh(big, rebuild=True, engine=DuckDb())
        wall, used = time.perf_counter() - began, sum(os.times()[:4]) - before
    count = queries.window(big).decisions
    note = f"{count:,} decisions, {done.cells:,} cells; {wall:.1f} s on the wall, load {os.getloadavg()[0]:.0f}"
    met = [
        # Two processes share the work; seconds on the wall say so only where nobody else uses the machine.
        report("CPU seconds a core of a full rebuild, for ten million", used / 2 * 10_000_000 / count, 60, note),
        report("megabytes of a full rebuild", peak[-1], LARGEST_MB, note),
    ]
    assert all(met)


def test_a_decision_is_small(big: Ledger) -> None:
    with big.reading() as connection:
        kept = [
            connection.exec_driver_sql(f"SELECT SUM(pgsize) FROM dbstat WHERE name LIKE '{name}%'").scalar()
            for name in ("decision", "attempt", "quality_label", "ix_quality_label", "sqlite_autoindex_decision")
        ]
        count = connection.exec_driver_sql("SELECT COUNT(*) FROM decision").scalar_one()
    weight = sum(each or 0 for each in kept) / count
    assert report("bytes a decision, attempts, labels and indexes included", weight, 250, f"{count:,} decisions")


def test_a_view_is_far_cheaper_than_the_rows_it_sums(big: Ledger) -> None:
    def scan() -> None:
        connection = sqlite3.connect(str(big.engine.url.database))
        connection.execute(SPEND_HOURS, {"low": b"", "high": b"\xff" * 16}).fetchall()
        connection.close()

    def view() -> None:
        queries.window(big)
        queries.spend(big, ["day", "tier", "status"])
        queries.latency(big, ["tier"])

    refresh(big)
    whole, seen = cpu(scan), statistics.median(cpu(view) for _ in range(9))
    note = f"{seen * 1e3:.1f} ms against {whole:.1f} s"
    assert report("a dashboard view / GROUP BY over the rows", seen / whole, 0.02, note)


def test_new_rows_are_summed_soon(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "new.db") as ledger:
        fill(ledger, decisions=LATE, days=1, seed=2, now_ms=NOW_MS + 12 * HOUR_MS)
        began = time.perf_counter()
        used = cpu(lambda: refresh(ledger))
        note = f"{LATE:,} new rows; {time.perf_counter() - began:.1f} s on the wall, load {os.getloadavg()[0]:.0f}"
    assert report("CPU seconds of a rollup of new rows", used, 3, note)


def test_every_engine_makes_the_same_cells_of_a_million_decisions(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "million.db") as ledger:
        fill(ledger, decisions=COMPARED, days=30, seed=3, now_ms=NOW_MS)
        refresh(ledger)
        expected = cells(ledger)
        engines: dict[str, Engine] = {"DuckDB": DuckDb()}
        if shutil.which("java") is not None:
            engines["Spark"] = Spark("local-cluster[2,1,1024]")
        for name, engine in engines.items():
            with ledger.writing() as connection:
                for table in TABLES:
                    connection.exec_driver_sql(f"DELETE FROM {table}")
            began = time.perf_counter()
            refresh(ledger, rebuild=True, engine=engine)
            print(f"\n{name}: {sum(map(len, expected.values())):,} cells in {time.perf_counter() - began:.1f} s")
            assert cells(ledger) == expected, name
        programs = _programs()
        if programs is None:
            pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        folder = Path(tempfile.mkdtemp(prefix="tierwise-pg-"))
        server = Server(folder, programs)
        server.start()
        try:
            with open_ledger(server.database("million")) as other:
                copy(ledger, other)
                began = time.perf_counter()
                refresh(other)
                print(f"\nPostgreSQL: {time.perf_counter() - began:.1f} s")
                assert cells(other) == expected, "PostgreSQL"
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)


def copy(ledger: Ledger, other: Ledger) -> None:
    """Give another ledger the same rows under the same numbers."""
    tables = {
        "dimension": ("id", "kind", "name"),
        "decision": DECISION_COLUMNS,
        "attempt": ATTEMPT_COLUMNS,
        "quality_label": LABEL_COLUMNS,
    }
    raw = other.engine.raw_connection()
    with ledger.reading() as source, raw.cursor() as target:
        for table, columns in tables.items():
            listed = ", ".join(columns)
            rows = source.exec_driver_sql(f"SELECT {listed} FROM {table}")
            with target.copy(f"COPY {table} ({listed}) FROM STDIN") as into:  # type: ignore[attr-defined]
                for row in rows.cursor:  # type: ignore[union-attr]
                    into.write_row(row)
        days = {other.days.of(id_time_ms(row[0]))[0] for row in source.exec_driver_sql("SELECT id FROM decision")}
        target.executemany("INSERT INTO dirty_day VALUES (%s, 1)", [(day,) for day in days])
    raw.commit()
    raw.close()
