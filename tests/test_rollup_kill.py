"""A rollup killed at any point leaves whole days behind, and gives every cell when it is run again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from decisions import DAY_MS, traffic

from router_core.decision import QualitySource
from router_core.ledger.labels import label
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger

DAYS = 36

_KILLED = """
import os, sys
from router_core.ledger import rollup, spans
from router_core.ledger.store import open_ledger
module, name, at = {modules}[sys.argv[2]], *sys.argv[3:5]
count = 0
def die(*given, **named):
    global count
    count += 1
    if count == int(at):
        os.kill(os.getpid(), 9)
    return real(*given, **named)
real = getattr(module, name)
setattr(module, name, die)
engine = None
if sys.argv[5] == "duckdb":
    from router_core.ledger.engines.by_duckdb import DuckDb
    engine = DuckDb()
rollup.refresh(open_ledger(sys.argv[1]), rebuild=True, engine=engine)
""".replace("{modules}", "{'rollup': rollup, 'spans': spans}")

_OF_DAYS = (
    *("spend_cell", "spend_hour_cell", "latency_cell", "evidence_cell"),
    *("label_cell", "agreement_cell", "fallback_cell", "stage_cell"),
)


def cells(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    with ledger.reading() as connection:
        return {
            table: sorted(tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}"))
            for table in (*_OF_DAYS, "evidence_span")
        }


@pytest.mark.parametrize(
    ("module", "name", "at", "engine"),
    [
        ("rollup", "_sum_day", 9, "sql"),  # a day is read
        ("rollup", "insert_many", 23, "sql"),  # its old cells are gone, and half of the new ones are there
        ("rollup", "_replace", 37, "sql"),  # all days but one are done
        ("rollup", "sum_spans", 1, "sql"),
        ("spans", "_is_summed", 4, "sql"),  # between two spans
        ("rollup", "insert_many", 52, "duckdb"),
    ],
)
def test_a_rollup_killed_anywhere_is_run_again_and_gives_every_cell(
    db_path: Path, module: str, name: str, at: int, engine: str
) -> None:
    if engine == "duckdb":
        pytest.importorskip("duckdb")
    with open_ledger(db_path) as ledger:
        decisions = list(traffic(700, seed=63, span_ms=DAYS * DAY_MS))
        ledger.write_decisions(decisions)
        for one in decisions[::50]:
            label(ledger, one.id, 0.25, QualitySource.JUDGE)
            label(ledger, one.id, 0.75, QualitySource.PERSON)
        refresh(ledger)
        expected = cells(ledger)
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(db_path), module, name, str(at), engine], check=False)
    assert killed.returncode == -9
    assert all(expected.values())
    with open_ledger(db_path) as ledger:
        left = cells(ledger)
        assert all(left[table] == expected[table] for table in _OF_DAYS)  # each day is whole, old or new
        refresh(ledger)
        assert cells(ledger) == expected
        assert refresh(ledger).days == 0
