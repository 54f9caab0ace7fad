"""The ledger beside its floor: the driver's own executemany, a model object a row, and sums over the rows themselves.

All ratios are of CPU an item, so that other work on the machine does not decide them, and of medians of rounds that
take turns.
"""

from __future__ import annotations

import asyncio
import gc
import math
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from decisions import DAY_MS, a_decision, traffic
from decisions import NOON_MS as NOON
from sqlmodel import Session
from test_ledger_postgres import Server, _programs
from view import look

from router_core.decision import RoutingDecision
from router_core.demo import fill
from router_core.ledger.cells import SPEND_HOURS
from router_core.ledger.groups import Receipt
from router_core.ledger.rollup import refresh
from router_core.ledger.rows import ATTEMPT_COLUMNS, DECISION_COLUMNS, rows_of
from router_core.ledger.store import LABEL_COLUMNS, Ledger, open_ledger
from router_core.ledger.tables import AttemptRow, DecisionRow
from router_core.ledger.writer import LedgerWriter

ROUNDS = 5
DECISIONS = 20_000
ONE_BY_ONE = 300
SERVED = 10_000
A_SECOND, PACED, PACED_ROUNDS = 500, 2_000, 3
IN_FLIGHT = 2_000
STORED = 200_000
NOW_MS = 1_795_449_600_000
LARGEST_ROW_BYTES = 250

Row = tuple[Any, ...]


@pytest.fixture(autouse=True)
def _measured(request: pytest.FixtureRequest) -> Iterator[None]:
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a measurement; 'make bench' runs it")
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def report(name: str, ratio: float, bar: float, *, at_least: bool, note: str) -> bool:
    """Print one line of the table and return whether the bar was met."""
    met = ratio >= bar if at_least else ratio <= bar
    sign = ">=" if at_least else "<="
    print(f"\n{name} | {ratio:.3g} | {sign} {bar:g} | {'met' if met else 'NOT MET'} | {note}")
    return met


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of all threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


def test_the_writer_beside_executemany_and_beside_model_objects(tmp_path: Path) -> None:
    decisions = list(traffic(DECISIONS))
    rounds = [one_round(tmp_path / str(turn), decisions) for turn in range(ROUNDS)]
    driver, writer_cpu, model = (statistics.median(each) for each in zip(*rounds, strict=True))
    shown = f"{writer_cpu * 1e6:.1f} us a decision; driver {driver * 1e6:.1f}, SQLModel {model * 1e6:.0f}"
    met = [
        report("writer / raw executemany(1,000), same rows", driver / writer_cpu, 0.5, at_least=True, note=shown),
        report("writer / SQLModel add + commit each", model / writer_cpu, 20, at_least=True, note=shown),
    ]
    assert all(met)


def one_round(folder: Path, decisions: list[RoutingDecision]) -> tuple[float, float, float]:
    """CPU seconds a decision of the driver, of the writer and of model objects, each into a new file."""
    folder.mkdir()
    with open_ledger(folder / "writer.db") as ledger:
        rows, attempts = rows_of(decisions, ledger.dimensions, ledger.days)  # names are known from here on
        with LedgerWriter(ledger) as writer:
            written = cpu(lambda: through(writer, decisions))
    open_ledger(folder / "driver.db").close()
    driven = cpu(lambda: executemany(folder / "driver.db", rows, attempts))
    with open_ledger(folder / "model.db") as ledger:
        modelled = cpu(lambda: add_and_commit(ledger, rows, attempts))
    return driven / DECISIONS, written / DECISIONS, modelled / ONE_BY_ONE


def test_the_writer_on_postgresql_beside_executemany() -> None:
    """Wall time, since most of the work is the server's; both take turns."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="tierwise-pg-"))
    server = Server(folder, programs)
    server.start()
    try:
        decisions = list(traffic(SERVED, seed=1))
        rounds = []
        for turn in range(ROUNDS):
            url = server.database(f"round{turn}")
            with open_ledger(url) as ledger:
                ledger.write_decisions([a_decision(NOON + day * DAY_MS) for day in range(11)])
                rows, attempts = rows_of(decisions, ledger.dimensions, ledger.days)  # names and days are known now
                driven = wall(partial(executemany_there, url, rows, attempts))
                empty_again(url)
                with LedgerWriter(ledger, spool=folder.with_suffix(f".{turn}")) as writer:
                    written = wall(partial(through, writer, decisions))
            rounds.append((driven, written))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    driver, writer_s = (statistics.median(each) / SERVED for each in zip(*rounds, strict=True))
    note = f"{1 / writer_s:,.0f} decisions/s against {1 / driver:,.0f}, each with its attempts and labels"
    assert report("PostgreSQL: writer / psycopg executemany(1,000)", driver / writer_s, 0.7, at_least=True, note=note)


def wall(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def executemany_there(url: str, decisions: list[Row], attempts: list[Row]) -> None:
    """The floor on a server: the same rows, made beforehand, a thousand decisions a transaction."""
    count, quality, source = (DECISION_COLUMNS.index(name) for name in ("attempts", "quality_ppm", "quality_source"))
    into = {
        "decision": DECISION_COLUMNS,
        "attempt": ATTEMPT_COLUMNS,
        "quality_label": LABEL_COLUMNS,
    }
    text = {
        table: f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"
        for table, names in into.items()
    }
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        begin = 0
        for start in range(0, len(decisions), 1_000):
            batch = decisions[start : start + 1_000]
            end = begin + sum(row[count] for row in batch)
            labels = [
                (row[0], row[1], row[source], row[quality], None, "", "") for row in batch if row[quality] is not None
            ]
            cursor.executemany(text["decision"], batch)
            cursor.executemany(text["attempt"], attempts[begin:end])
            cursor.executemany(text["quality_label"], labels)
            connection.commit()
            begin = end


def empty_again(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("TRUNCATE decision, attempt, quality_label, dirty_day")


def through(writer: LedgerWriter, decisions: list[RoutingDecision]) -> None:
    """Submit one by one, as callers do, with a bounded number in flight; return when all are durable."""
    waiting: deque[Receipt] = deque(maxlen=IN_FLIGHT)
    for place, decision in enumerate(decisions):
        if place >= IN_FLIGHT and place % (IN_FLIGHT // 4) == 0:
            waiting[IN_FLIGHT // 4].result()
        waiting.append(writer.submit(decision))
    waiting[-1].result()


def executemany(path: Path, decisions: list[Row], attempts: list[Row]) -> None:
    """The floor: tuples made beforehand, a thousand decisions a transaction, no other work at all."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA cache_size=-65536")
    count, quality, source = (DECISION_COLUMNS.index(name) for name in ("attempts", "quality_ppm", "quality_source"))
    begin = 0
    for start in range(0, len(decisions), 1_000):
        batch = decisions[start : start + 1_000]
        end = begin + sum(row[count] for row in batch)
        labels = [
            (row[0], row[1], row[source], row[quality], None, "", "") for row in batch if row[quality] is not None
        ]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"INSERT INTO decision VALUES ({marks(DECISION_COLUMNS)})", batch)
        connection.executemany(f"INSERT INTO attempt VALUES ({marks(ATTEMPT_COLUMNS)})", attempts[begin:end])
        connection.executemany(
            f"INSERT INTO quality_label ({', '.join(LABEL_COLUMNS)}) VALUES ({marks(LABEL_COLUMNS)})", labels
        )
        connection.execute("COMMIT")
        begin = end
    connection.close()


def marks(columns: tuple[str, ...]) -> str:
    return ", ".join("?" * len(columns))


def add_and_commit(ledger: Ledger, decisions: list[Row], attempts: list[Row]) -> None:
    """What reads best in a tutorial: a model object for each row, and a commit for each decision."""
    count = DECISION_COLUMNS.index("attempts")
    begin = 0
    for row in decisions[:ONE_BY_ONE]:
        with Session(ledger.engine.execution_options(ledger_begin="BEGIN IMMEDIATE")) as session:
            session.add(DecisionRow(**dict(zip(DECISION_COLUMNS, row, strict=True))))
            for call in attempts[begin : begin + row[count]]:
                session.add(AttemptRow(**dict(zip(ATTEMPT_COLUMNS, call, strict=True))))
            session.commit()
        begin += row[count]


async def test_what_the_log_adds_to_a_decision(tmp_path: Path) -> None:
    """Five hundred a second, each beside a call of some hundred milliseconds, with the log and without it."""
    draw = random.Random(3)
    calls_s = [0.3 * math.exp(draw.gauss(0, 0.4)) for _ in range(PACED)]
    decisions = iter(traffic(PACED * PACED_ROUNDS, seed=4))
    bare: list[float] = []
    logged: list[float] = []

    async def nothing(_: RoutingDecision) -> None:
        pass

    with open_ledger(tmp_path / "ledger.db") as ledger, LedgerWriter(ledger) as writer:
        await writer.record(a_decision())
        for _ in range(PACED_ROUNDS):
            mine = list(islice(decisions, PACED))
            bare += await paced(calls_s, mine, nothing)
            logged += await paced(calls_s, mine, writer.record)
        groups = writer.stats().groups
    (p50, p99), (p50_logged, p99_logged) = (np.percentile(each, (50, 99)) * 1e3 for each in (bare, logged))
    note = (
        f"p50 {p50:.0f} to {p50_logged:.0f} ms, p99 {p99:.0f} to {p99_logged:.0f} ms; {len(logged):,} decisions in "
        f"{groups:,} groups"
    )
    assert report("p99 with the log / without, at 500 a second", p99_logged / p99, 1.05, at_least=False, note=note)


async def paced(
    calls_s: list[float], decisions: list[RoutingDecision], record: Callable[[RoutingDecision], Awaitable[None]]
) -> list[float]:
    """Seconds from when each request came until its last byte could go."""
    began = time.perf_counter()

    async def one(place: int) -> float:
        due = began + place / A_SECOND
        await asyncio.sleep(due - time.perf_counter())
        await asyncio.sleep(calls_s[place])
        await record(decisions[place])
        return time.perf_counter() - due

    return list(await asyncio.gather(*map(one, range(len(decisions)))))


def test_a_stored_decision_is_small_and_its_sums_are_quick(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_ledger(path) as ledger:
        empty = used_bytes(ledger)
        fill(ledger, decisions=STORED, days=30, seed=1, now_ms=NOW_MS)
        row_bytes = (used_bytes(ledger) - empty) / STORED
        began = time.perf_counter()
        rolled = refresh(ledger)
        rollup_s = time.perf_counter() - began
        with ledger.reading() as connection:
            attempts = connection.exec_driver_sql("SELECT COUNT(*) FROM attempt").scalar_one() / STORED
            labels = connection.exec_driver_sql("SELECT COUNT(*) FROM quality_label").scalar_one() / STORED
        scan = statistics.median(cpu(lambda: sum_the_rows(path)) for _ in range(3))
        view = statistics.median(cpu(lambda: look(ledger)) for _ in range(9))
    print(f"\nrollup of {STORED:,} new rows: {rollup_s:.1f} s, {rolled.cells:,} cells")
    met = [
        report(
            "bytes a decision, attempts, labels and indexes included",
            row_bytes,
            LARGEST_ROW_BYTES,
            at_least=False,
            note=f"{attempts:.2f} attempts and {labels:.2f} labels each",
        ),
        report(
            "a dashboard view / GROUP BY over the rows",
            view / scan,
            0.02,
            at_least=False,
            note=f"{view * 1e3:.1f} ms against {scan * 1e3:.0f} ms, {STORED:,} decisions",
        ),
    ]
    assert all(met)


def used_bytes(ledger: Ledger) -> int:
    """Bytes of the pages in use, without any VACUUM."""
    with ledger.reading() as connection:
        pages, free, size = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def sum_the_rows(path: Path) -> None:
    """What a page would do without cells: the same sums over every decision and attempt."""
    connection = sqlite3.connect(path)
    connection.execute(SPEND_HOURS, {"low": b"", "high": b"\xff" * 16}).fetchall()
    connection.close()
