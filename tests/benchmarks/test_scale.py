"""The ledger at two million decisions, or as many as TIERWISE_SCALE says: views, rollups, size, and every engine.

Ratios are of CPU, so that other work on the machine does not decide them; the full rebuild alone is held to seconds.
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
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
import pytest
from test_ledger_postgres import Server, _programs
from view import look, measure_exact, weigh

from router_core.demo import fill
from router_core.ledger import queries
from router_core.ledger.cells import SPEND_HOURS
from router_core.ledger.engines.by_duckdb import DuckDb
from router_core.ledger.engines.by_spark import Spark
from router_core.ledger.evidence import evidence
from router_core.ledger.rollup import Engine, days_with_rows, refresh
from router_core.ledger.rows import ATTEMPT_COLUMNS, DECISION_COLUMNS
from router_core.ledger.spans import sum_spans
from router_core.ledger.store import LABEL_COLUMNS, Ledger, mark_dirty, open_ledger

SCALE = int(os.environ.get("TIERWISE_SCALE", "2000000"))
COMPARED = int(os.environ.get("TIERWISE_COMPARED", "1000000"))
LATE = 100_000
MILLION = 1_000_000
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
    "stage_cell",
)

# Day x tier x model x feature, as a page without cells would ask; no quantiles.
SUMS_ONLY = """
SELECT d.day, d.tier_id, a.model_id, d.feature_id, COUNT(*), SUM(a.input_tokens), SUM(a.output_tokens),
    SUM(a.list_cost_nusd), SUM(a.latency_ms), SUM(d.quality_ppm), COUNT(d.quality_ppm)
FROM decision d JOIN attempt a ON a.decision_id = d.id WHERE d.id >= :low AND d.id < :high
GROUP BY d.day, d.tier_id, a.model_id, d.feature_id
"""

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
            filled(ledger, SCALE)
        refresh(ledger, engine=DuckDb())
        yield ledger


def filled(ledger: Ledger, decisions: int) -> None:
    """Fill a ledger with the demo's traffic over ninety days, spread over twenty features of five teams."""
    fill(ledger, decisions=decisions, days=90, seed=1, now_ms=NOW_MS)
    features = [ledger.dimension_id("feature", f"feature {number}") for number in range(20)]
    teams = [ledger.dimension_id("team", f"team {number}") for number in range(5)]
    with ledger.writing() as connection:
        for kind, numbers in (("feature", features), ("team", teams)):
            # By a hash of the prompt beside what there is, so that scores and models differ by feature as before.
            place = f"(SELECT {min(numbers)} + ({kind}_id * 4 + ABS(prompt_hash % 4)) % {len(numbers)})"
            connection.exec_driver_sql(f"UPDATE decision SET {kind}_id = {place}")
        mark_dirty(connection, set(days_with_rows(connection, ledger.days)))


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
def memory(*, mine: bool = True) -> Iterator[list[float]]:
    """Watch the megabytes of this process, where it is asked for, and of its children; the last entry is the peak."""
    me, peak, done = psutil.Process(), [0.0], threading.Event()

    def weight() -> float:
        total = 0
        for process in (*([me] if mine else []), *me.children(recursive=True)):
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
    note = f"{count:,} decisions, {done.cells:,} cells; {used:.1f} s of CPU, load {os.getloadavg()[0]:.0f}"
    met = [
        report("seconds on the wall of a full rebuild, for ten million", wall * 10_000_000 / count, 60, note),
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


def test_a_view_is_far_cheaper_than_the_rows_it_sums(big: Ledger, tmp_path: Path) -> None:
    whole, seen = cpu(lambda: scan(big, SPEND_HOURS)), statistics.median(cpu(lambda: look(big)) for _ in range(9))
    with open_ledger(tmp_path / "million.db") as ledger:
        filled(ledger, MILLION)
        refresh(ledger, engine=DuckDb())
        fewer = statistics.median(cpu(lambda: look(ledger)) for _ in range(9))
    peak = alone(weigh, big)
    note = f"{seen * 1e3:.1f} ms against {whole:.1f} s; {fewer * 1e3:.1f} ms at a million"
    met = [
        report("a dashboard view / GROUP BY over the rows", seen / whole, 0.02, note),
        report("a dashboard view / the same at a million decisions", seen / fewer, 2, note),
        report("megabytes of a process that shows it", peak, 200, note),
    ]
    assert all(met)


def alone(work: Callable[[str, Any], None], ledger: Ledger) -> Any:
    """Do something with a ledger in a process of its own, and return what that puts in the queue it is given."""
    answer = get_context("spawn").Queue()
    process = get_context("spawn").Process(target=work, args=(str(ledger.engine.url.database), answer))
    process.start()
    found = answer.get()
    process.join()
    return found


def scan(ledger: Ledger, text: str) -> None:
    """Ask SQLite itself, over every row."""
    connection = sqlite3.connect(str(ledger.engine.url.database))
    connection.execute(text, {"low": b"", "high": b"\xff" * 16}).fetchall()
    connection.close()


def test_exact_quantiles_cost_less_than_sums(big: Ledger) -> None:
    sums = cpu(lambda: scan(big, SUMS_ONLY))
    with memory(mine=False) as peak:
        calls, used = alone(measure_exact, big)
    note = f"{used:.1f} s of CPU against {sums:.1f}, {calls:,} calls"
    met = [
        report("exact quantiles / SQLite's sums alone", used / sums, 0.3, note),
        report("megabytes of exact quantiles", peak[-1], 500, note),
    ]
    if queries.window(big).decisions < 10 * MILLION:
        pytest.skip("these bars are for ten million: with fewer, processes that start are most of it")
    assert all(met)


def test_evidence_of_months_is_read_from_spans(big: Ledger) -> None:
    with_spans = statistics.median(cpu(lambda: evidence(big)) for _ in range(3))
    with big.writing() as connection:
        connection.exec_driver_sql("DELETE FROM evidence_span")
    day_by_day = cpu(lambda: evidence(big))
    again = cpu(lambda: sum_spans(big))
    note = f"{with_spans:.2f} s of CPU against {day_by_day:.2f}; {again:.2f} to sum the spans"
    assert report("evidence of ninety days / the same from cells of days", with_spans / day_by_day, 0.5, note)


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
        if shutil.which("java") is None or find_spec("pyspark") is None:
            print("\nSpark: not compared, since it needs Java 17 and pyspark (tierwise[spark])")
        else:
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
    with ledger.reading() as source, other.writing() as connection:
        days = set(days_with_rows(source, ledger.days))
        other.partitions.provide(connection, days)
        mark_dirty(connection, days)
    raw = other.engine.raw_connection()
    with ledger.reading() as source, raw.cursor() as target:
        for table, columns in tables.items():
            listed = ", ".join(columns)
            rows = source.exec_driver_sql(f"SELECT {listed} FROM {table}")
            with target.copy(f"COPY {table} ({listed}) FROM STDIN") as into:  # type: ignore[attr-defined]
                for row in rows.cursor:  # type: ignore[union-attr]
                    into.write_row(row)
    raw.commit()
    raw.close()
